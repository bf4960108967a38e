//! One direction of a path: a bottleneck with a queue, and what happens behind it.

use std::collections::VecDeque;

use super::{Datagram, HEADERS, MS, Micros, Random};

/// Jitter takes a new value so often, and moves between them in a straight line.
const JITTER: Micros = 10 * MS;

#[derive(Clone)]
pub struct Path {
    /// Since when how many bytes a second pass.
    pub rates: Vec<(Micros, f64)>,
    /// Bytes that the queue takes.
    pub queue: u64,
    pub delay: Micros,
    /// The share that is lost behind the queue.
    pub loss: f64,
    /// Bursts of losses: the chance to begin, the chance to end, and the loss in them.
    pub bursts: Option<(f64, f64, f64)>,
    /// Added to the delay: up to so much.
    pub jitter: Micros,
    /// The share that is late, and by how much at most.
    pub reorder: (f64, Micros),
    /// The share that arrives twice.
    pub duplicate: f64,
    /// Bytes a second, and bytes at once: what exceeds them is dropped.
    pub policer: Option<(f64, f64)>,
    /// When nothing passes.
    pub outage: Option<(Micros, Micros)>,
}

impl Path {
    /// A plain one. The queue is so many milliseconds long, at least three packets.
    pub fn new(mbit: f64, delay: Micros, queue_ms: f64) -> Self {
        Self {
            rates: vec![(0, mbit * 125_000.0)],
            queue: ((mbit * 125.0 * queue_ms) as u64).max(3_700),
            delay,
            loss: 0.0,
            bursts: None,
            jitter: 0,
            reorder: (0.0, 0),
            duplicate: 0.0,
            policer: None,
            outage: None,
        }
    }

    /// The way back in these tests: fast, with a queue that takes all.
    pub fn wide(delay: Micros) -> Self {
        Self { queue: u64::MAX, ..Self::new(1_000.0, delay, 0.0) }
    }
}

/// A datagram of a flow.
pub type Item = (usize, Datagram);

pub struct Link {
    path: Path,
    queue: VecDeque<Item>,
    bytes: u64,
    /// When the first of the queue is through, to the fraction of a microsecond.
    free: f64,
    burst: bool,
    tokens: f64,
    tokens_at: Micros,
    last_arrival: Micros,
    salt: u64,
    pub drops: u64,
    pub passed: u64,
}

impl Link {
    pub fn new(path: Path) -> Self {
        Self {
            tokens: path.policer.map_or(0.0, |(_, burst)| burst),
            path,
            queue: VecDeque::new(),
            bytes: 0,
            free: 0.0,
            burst: false,
            tokens_at: 0,
            last_arrival: 0,
            salt: 0,
            drops: 0,
            passed: 0,
        }
    }

    /// Takes a datagram. Some: the queue was empty, and it is through by then.
    pub fn push(&mut self, item: Item, now: Micros, random: &mut Random) -> Option<Micros> {
        if self.salt == 0 {
            self.salt = random.next() | 1;
        }
        let size = item.1.size as u64 + HEADERS;
        let dead = self.path.outage.is_some_and(|(from, until)| (from..until).contains(&now));
        if dead || !self.polices(size as f64, now) || self.bytes + size > self.path.queue {
            self.drops += 1;
            return None;
        }
        self.bytes += size;
        self.queue.push_back(item);
        self.free = self.free.max(now as f64);
        (self.queue.len() == 1).then(|| self.next(now)).flatten()
    }

    /// The first of the queue is through: what arrives when, and when the next one is.
    pub fn serve(
        &mut self,
        now: Micros,
        random: &mut Random,
    ) -> (Vec<(Micros, Item)>, Option<Micros>) {
        let mut arrivals = Vec::new();
        if let Some(item) = self.queue.pop_front() {
            self.bytes -= item.1.size as u64 + HEADERS;
            if self.loses(random) {
                self.drops += 1;
            } else {
                self.passed += 1;
                let at = self.arrival(now, random);
                if random.chance(self.path.duplicate) {
                    arrivals.push((at + 1, item.clone()));
                }
                arrivals.push((at, item));
            }
        }
        (arrivals, self.next(now))
    }

    fn next(&mut self, now: Micros) -> Option<Micros> {
        let size = self.queue.front()?.1.size as u64 + HEADERS;
        let rates = self.path.rates.iter().rev();
        let rate = rates.clone().find(|(from, _)| *from <= now).map_or(1.0, |(_, rate)| *rate);
        self.free += size as f64 * 1e6 / rate;
        Some((self.free as Micros).max(now))
    }

    fn polices(&mut self, size: f64, now: Micros) -> bool {
        let Some((rate, burst)) = self.path.policer else { return true };
        let elapsed = (now - self.tokens_at) as f64 / 1e6;
        self.tokens = (self.tokens + elapsed * rate).min(burst);
        self.tokens_at = now;
        let passes = self.tokens >= size;
        if passes {
            self.tokens -= size;
        }
        passes
    }

    fn loses(&mut self, random: &mut Random) -> bool {
        let mut lost = random.chance(self.path.loss);
        if let Some((begins, ends, loss)) = self.path.bursts {
            self.burst = if self.burst { !random.chance(ends) } else { random.chance(begins) };
            lost |= self.burst && random.chance(loss);
        }
        lost
    }

    fn arrival(&mut self, now: Micros, random: &mut Random) -> Micros {
        let mut at = now + self.path.delay;
        if self.path.jitter > 0 {
            let slot = now / JITTER;
            let share = (now % JITTER) as f64 / JITTER as f64;
            let value = |slot: u64| Random(slot.wrapping_mul(self.salt)).share();
            let jitter = value(slot) * (1.0 - share) + value(slot + 1) * share;
            at += (jitter * self.path.jitter as f64) as Micros;
        }
        if random.chance(self.path.reorder.0) {
            return at + (random.share() * self.path.reorder.1 as f64) as Micros;
        }
        self.last_arrival = self.last_arrival.max(at);
        self.last_arrival
    }
}

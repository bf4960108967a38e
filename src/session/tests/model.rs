//! An outbox against a plain list of messages: random sends, writes, flushes, losses.

use super::sending::bytes_of;
use super::*;
use std::collections::VecDeque;

/// A message that waits.
struct Waiting {
    frame: Vec<u8>,
    /// Bytes written.
    sent: usize,
    /// Waits for a flush.
    held: bool,
    /// Some of it is with the model.
    flying: bool,
}

/// What an outbox ought to be.
struct Plain {
    limits: Limits,
    manual: bool,
    waiting: VecDeque<Waiting>,
    /// Bytes with the model.
    flying: usize,
    /// Messages that are written and still counted: those that share memory leave together.
    lingering: usize,
    refused: u32,
    dropped: u32,
}

impl Plain {
    fn bytes(&self) -> usize {
        self.waiting.iter().map(|message| message.frame.len() - message.sent).sum()
    }

    fn free_bytes(&self) -> Vec<u8> {
        let free = self.waiting.iter().take_while(|message| !message.held);
        free.flat_map(|message| message.frame[message.sent..].iter().copied()).collect()
    }

    fn messages(&self) -> usize {
        self.waiting.len() + self.lingering
    }

    fn fits(&self, bytes: usize, messages: usize, wire: usize) -> bool {
        bytes + wire <= self.limits.outbox_max_bytes as usize
            && messages < self.limits.outbox_max_messages as usize
    }

    fn send(&mut self, frame: Vec<u8>, force: bool) -> Result<(), SendError> {
        if !force {
            self.admit(frame.len())?;
        }
        let held = self.manual;
        self.waiting.push_back(Waiting { frame, sent: 0, held, flying: false });
        Ok(())
    }

    fn admit(&mut self, wire: usize) -> Result<(), SendError> {
        if wire > self.limits.outbox_max_bytes as usize {
            return Err(SendError::TooBig);
        }
        if self.fits(self.bytes(), self.messages(), wire) {
            return Ok(());
        }
        let stay = |message: &&Waiting| message.flying || message.sent > 0;
        let staying = self.waiting.iter().filter(stay);
        let bytes = staying.clone().map(|message| message.frame.len() - message.sent).sum();
        match self.limits.overflow {
            Overflow::Close => Err(SendError::Overflow),
            Overflow::DropOldest if self.fits(bytes, staying.count(), wire) => {
                while !self.fits(self.bytes(), self.waiting.len(), wire) {
                    let oldest = self.waiting.iter().position(|message| !stay(&message));
                    self.waiting.remove(oldest.expect("those that stay leave room"));
                    self.dropped += 1;
                }
                Ok(())
            }
            _ => {
                self.refused += 1;
                Err(SendError::Again)
            }
        }
    }

    fn flush(&mut self) {
        self.waiting.iter_mut().for_each(|message| message.held = false);
    }

    fn transmitted(&mut self, mut len: usize) {
        self.flying = len;
        for message in &mut self.waiting {
            message.flying = len > 0;
            len = len.saturating_sub(message.frame.len() - message.sent);
        }
    }

    fn sent(&mut self, mut count: usize) {
        self.flying = 0;
        self.waiting.iter_mut().for_each(|message| message.flying = false);
        while count > 0 {
            let front = self.waiting.front_mut().expect("no more is written than waits");
            let step = count.min(front.frame.len() - front.sent);
            front.sent += step;
            count -= step;
            if front.sent == front.frame.len() {
                self.waiting.pop_front();
            }
        }
    }

    fn writable(&mut self) -> Option<u32> {
        let low = self.bytes() <= self.limits.outbox_low_bytes as usize
            && self.messages() <= self.limits.outbox_max_messages as usize / 2;
        (low && self.refused > 0).then(|| std::mem::take(&mut self.refused))
    }
}

/// What happened, so that a run proves that it went everywhere.
#[derive(Default)]
struct Seen {
    taken: u32,
    refused: u32,
    too_big: u32,
    overflows: u32,
    relieved: u32,
    partial: u32,
    abandoned: u32,
    dropped: u32,
}

/// A session and its model, in step.
struct Pair<'a> {
    pool: &'a Bounded,
    framing: Framing,
    random: Random,
    session: Session,
    train: Option<Train>,
    plain: Plain,
    next: u8,
    seen: Seen,
}

impl<'a> Pair<'a> {
    fn new(
        pool: &'a Bounded,
        framing: Framing,
        limits: Limits,
        manual: bool,
        seed: u64,
    ) -> Pair<'a> {
        let waiting = VecDeque::new();
        let (flying, lingering, refused, dropped) = (0, 0, 0, 0);
        let plain = Plain { limits, manual, waiting, flying, lingering, refused, dropped };
        let session = Session::new(NOW, manual);
        let (random, seen) = (Random(seed), Seen::default());
        Pair { pool, framing, random, session, train: None, plain, next: 0, seen }
    }

    fn step(&mut self, largest: usize) {
        match self.random.below(100) {
            0..55 => self.send(largest),
            55..70 => self.transmit(),
            70..90 => self.write(),
            90..99 => {
                self.session.flush();
                self.plain.flush();
            }
            _ if self.train.is_none() && self.random.below(5) == 0 => {
                assert_eq!(self.session.abandon() as usize, self.plain.bytes());
                self.plain.waiting.clear();
                self.plain.refused = 0;
                self.seen.abandoned += 1;
            }
            _ => {}
        }
        self.compare();
    }

    fn send(&mut self, largest: usize) {
        let len = match self.random.below(8) {
            0 => 0,
            1 => self.random.below(largest),
            _ => self.random.size(largest),
        };
        let len = if self.framing.kind == FramingKind::Raw { len.max(1) } else { len };
        self.next = self.next.wrapping_add(1);
        let message: Vec<u8> = (0..len).map(|at| self.next.wrapping_add((at >> 3) as u8)).collect();
        let force = self.random.below(200) == 0;
        let wire = frame(&self.framing, &[], &message);
        let outgoing = if self.random.below(4) == 0 {
            Outgoing::Framed(
                Session::frame(&self.framing, self.pool, &message).expect("memory").into_slice(),
            )
        } else {
            Outgoing::Copy(&message)
        };
        let limits = &self.plain.limits.clone();
        let answer = self.session.send(&self.framing, limits, self.pool.memory(), outgoing, force);
        assert_eq!(answer, self.plain.send(wire, force), "a send of {len} bytes");
        match answer {
            Ok(()) => self.seen.taken += 1,
            Err(SendError::Again) => self.seen.refused += 1,
            Err(SendError::TooBig) => self.seen.too_big += 1,
            Err(SendError::Overflow) => self.seen.overflows += 1,
            Err(error) => panic!("{error:?}"),
        }
    }

    fn transmit(&mut self) {
        let train = self.session.poll_transmit(NOW);
        if self.train.is_some() {
            return assert!(train.is_none(), "one train at a time");
        }
        let free = self.plain.free_bytes();
        let Some(train) = train else { return assert!(free.is_empty(), "what may leave leaves") };
        let bytes = bytes_of(&train);
        assert!(free.starts_with(&bytes), "the oldest bytes go first");
        assert!(
            bytes.len() == free.len() || train.slices().count() == TRAIN_MAX,
            "all or a full one"
        );
        self.plain.transmitted(bytes.len());
        self.train = Some(train);
    }

    fn write(&mut self) {
        let Some(train) = self.train.take() else { return };
        let count = match self.random.below(4) {
            0 => 0,
            1 => self.random.below(train.len()),
            _ => train.len(),
        };
        let partial = count < self.plain.flying;
        sent(&mut self.session, count, train);
        self.plain.sent(count);
        self.compare();
        assert!(partial || self.plain.manual || self.plain.lingering == 0, "a whole train left");
        self.seen.partial += u32::from(partial);
        let told = self.session.poll_writable(&self.plain.limits);
        assert_eq!(told, self.plain.writable(), "at the low mark, once");
        assert_eq!(self.session.poll_writable(&self.plain.limits), None);
        self.seen.relieved += u32::from(told.is_some());
    }

    fn compare(&mut self) {
        let outbox = self.session.outbox();
        assert_eq!(outbox.bytes() as usize, self.plain.bytes());
        let waiting = self.plain.waiting.len();
        let shared = waiting > 0 && self.plain.limits.overflow != Overflow::DropOldest;
        self.plain.lingering =
            (outbox.messages() as usize).checked_sub(waiting).expect("all count");
        assert!(shared || self.plain.lingering == 0, "each message has memory of its own");
        assert_eq!(outbox.dropped(), self.plain.dropped);
        self.seen.dropped = outbox.dropped();
    }

    /// Writes what is left.
    fn finish(mut self) -> Seen {
        self.write();
        self.session.flush();
        self.plain.flush();
        while !self.plain.waiting.is_empty() {
            self.transmit();
            self.write();
            self.compare();
        }
        assert!(self.session.poll_transmit(NOW).is_none());
        assert_eq!(self.session.poll_writable(&self.plain.limits), None);
        self.seen
    }
}

fn run(overflow: Overflow, framing: Framing, seed: u64) -> Seen {
    let pool = Bounded::new(64 << 20);
    let mut all = Seen::default();
    for (round, manual) in (0..24).zip([false, true].into_iter().cycle()) {
        let limits = Limits {
            outbox_max_bytes: [30_000, 100_000, 1500][round % 3],
            outbox_low_bytes: [10_000, 99_999, 0][round % 3],
            outbox_max_messages: [1000, 40, 5, 1][round % 4],
            overflow,
            ..Limits::default()
        };
        let largest = [20 << 10, 300, 5000, 40][round / 3 % 4];
        let mut pair = Pair::new(&pool, framing, limits, manual, seed + round as u64);
        for _ in 0..2000 {
            pair.step(largest);
        }
        let seen = pair.finish();
        all.taken += seen.taken;
        all.refused += seen.refused;
        all.too_big += seen.too_big;
        all.overflows += seen.overflows;
        all.relieved += seen.relieved;
        all.partial += seen.partial;
        all.abandoned += seen.abandoned;
        all.dropped += seen.dropped;
        assert!(pool.bytes() <= ARENA_COST, "an outbox without messages has no memory");
    }
    assert!(all.taken > 1000 && all.partial > 1000 && all.too_big > 100 && all.abandoned > 10);
    all
}

#[test]
fn an_outbox_that_rejects_is_a_list_of_messages() {
    for framing in [length(2, false), of_varint(), Framing::default()] {
        let seen = run(Overflow::Reject, framing, 10);
        assert!(seen.refused > 1000 && seen.relieved > 100);
        assert_eq!((seen.dropped, seen.overflows), (0, 0));
    }
}

#[test]
fn an_outbox_that_drops_the_oldest_is_a_list_of_messages() {
    for framing in [length(4, true), of_varint()] {
        let seen = run(Overflow::DropOldest, framing, 20);
        assert!(seen.dropped > 1000 && seen.refused > 100 && seen.relieved > 50);
        assert_eq!(seen.overflows, 0);
    }
}

#[test]
fn an_outbox_that_closes_is_a_list_of_messages() {
    let seen = run(Overflow::Close, length(2, false), 30);
    assert!(seen.overflows > 1000);
    assert_eq!((seen.refused, seen.dropped, seen.relieved), (0, 0, 0));
}

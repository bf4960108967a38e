//! Which datagrams of one direction are lost, doubled, changed or overtaken, and when the others
//! leave. Pure: the clock is given, and the bytes of a datagram are not looked at.

use super::weather::{Dice, Losses, MILLI, Micros, Way};
use std::collections::BTreeMap;

/// A datagram that the next one is to overtake waits no longer for it.
const PATIENCE: Micros = 20 * MILLI;

/// Datagrams that wait to leave.
pub struct Datagrams<T> {
    way: Way,
    dice: Dice,
    losses: Losses,
    /// At its rate, when the datagrams that came are through.
    free: Micros,
    /// Nothing leaves before it.
    stalled: Micros,
    /// Counts those that wait, so that two of the same time keep their order.
    number: u64,
    held: BTreeMap<(Micros, u64), (T, usize)>,
    /// Bytes they count for.
    bytes: usize,
    /// The one that the next one overtakes, and when it would leave by itself.
    aside: Option<((Micros, u64), Micros)>,
}

/// What becomes of a datagram.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    /// It never leaves.
    Lost,
    /// It leaves.
    Leaves {
        /// When.
        at: Micros,
        /// Behind the one that comes next.
        late: bool,
        /// Twice.
        twice: bool,
        /// With a bit changed, this one of its bits, if it has any.
        corrupt: Option<u64>,
    },
}

impl<T> Datagrams<T> {
    /// Nothing happens to what passes.
    pub fn calm() -> Datagrams<T> {
        Datagrams {
            way: Way::CALM,
            dice: Dice::default(),
            losses: Losses::default(),
            free: 0,
            stalled: 0,
            number: 0,
            held: BTreeMap::new(),
            bytes: 0,
            aside: None,
        }
    }

    /// Sets it at `now`. Those that wait leave when they were to, or at once if it is calm.
    pub fn set(&mut self, way: Way, dice: Dice, now: Micros) {
        (self.way, self.dice, self.losses) = (way, dice, Losses::default());
        self.free = now;
        self.stalled = now + Micros::from(way.stall_ms) * MILLI;
    }

    /// Whether datagrams pass as they come.
    pub fn is_calm(&self) -> bool {
        self.way == Way::CALM
    }

    /// Draws what becomes of a datagram of `len` bytes that comes `now`.
    pub fn draw(&mut self, now: Micros, len: usize) -> Fate {
        let way = self.way;
        // It takes its time on the way to where it is lost.
        self.free = self.free.max(now) + way.takes(len as u64);
        if self.losses.next(&way, &mut self.dice) {
            return Fate::Lost;
        }
        let at = self.free.max(self.stalled) + way.delay(&mut self.dice);
        let late = self.dice.chance(way.reorder_ppm);
        let twice = self.dice.chance(way.duplicate_ppm);
        let bits = 8 * len as u64;
        let corrupt = self.dice.chance(way.corrupt_ppm) && bits > 0;
        let corrupt = corrupt.then(|| self.dice.below(bits));
        Fate::Leaves { at, late, twice, corrupt }
    }

    /// Has a datagram that counts for so many bytes wait until `at`, or `late`.
    pub fn hold(&mut self, at: Micros, late: bool, item: T, bytes: usize) {
        let key = (if late { at + PATIENCE } else { at }, self.count());
        self.bytes += bytes;
        self.held.insert(key, (item, bytes));
        let overtaken = self.aside.take_if(|_| !late);
        if late {
            self.aside.get_or_insert((key, at));
        }
        if let Some((old, own)) = overtaken
            && let Some(one) = self.held.remove(&old)
        {
            let key = (at.max(own), self.count());
            self.held.insert(key, one);
        }
    }

    fn count(&mut self) -> u64 {
        self.number += 1;
        self.number
    }

    /// When the next one leaves.
    pub fn next(&self) -> Option<Micros> {
        let (&(at, _), _) = self.held.first_key_value()?;
        Some(if self.is_calm() { 0 } else { at.max(self.stalled) })
    }

    /// The next one, if it leaves now.
    pub fn take(&mut self, now: Micros) -> Option<T> {
        self.next().filter(|&at| at <= now)?;
        let (key, (item, bytes)) = self.held.pop_first()?;
        self.bytes -= bytes;
        self.aside.take_if(|(aside, _)| *aside == key);
        Some(item)
    }

    /// Bytes that those that wait count for.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::super::weather::MILLION;
    use super::*;

    const MANY: u64 = 100_000;

    /// Sends `MANY` datagrams of `len` bytes, one each `every`; of those that left: number, when it
    /// came, when it left, in the order in which they left.
    fn run(way: Way, len: usize, every: Micros) -> Vec<(u64, Micros, Micros)> {
        let mut all = Datagrams::calm();
        all.set(way, Dice(11), 0);
        let mut left = Vec::new();
        let mut drain = |all: &mut Datagrams<u64>, until: Micros| {
            while let Some(at) = all.next().filter(|&at| at <= until) {
                let number = all.take(at).expect("it is due");
                left.push((number, number * every, at));
            }
        };
        for number in 0..MANY {
            let now = number * every;
            drain(&mut all, now);
            if let Fate::Leaves { at, late, twice, .. } = all.draw(now, len) {
                (0..=u32::from(twice)).for_each(|_| all.hold(at, late, number, len));
            }
        }
        drain(&mut all, Micros::MAX);
        assert!(all.is_empty() && all.bytes() == 0);
        left
    }

    fn near(value: f64, of: f64) {
        assert!((value - of).abs() <= of * 0.02, "{value} is not {of}");
    }

    fn lost(left: &[(u64, Micros, Micros)]) -> f64 {
        1.0 - left.len() as f64 / MANY as f64
    }

    #[test]
    fn loss_is_as_it_was_set() {
        for ppm in [100_000, 300_000, 500_000] {
            near(lost(&run(Way { loss_ppm: ppm, ..Way::CALM }, 100, MILLI)), f64::from(ppm) / 1e6);
        }
        assert_eq!(lost(&run(Way { loss_ppm: MILLION, ..Way::CALM }, 100, MILLI)), 1.0);
        assert_eq!(lost(&run(Way { delay_ms: 5, ..Way::CALM }, 100, MILLI)), 0.0);
    }

    #[test]
    fn bursts_are_as_long_as_they_were_set_and_lose_no_more() {
        for (ppm, burst) in [(200_000, 4), (300_000, 2)] {
            let left = run(Way { loss_ppm: ppm, burst, ..Way::CALM }, 100, MILLI);
            near(lost(&left), f64::from(ppm) / 1e6);
            let gaps = left.windows(2).map(|two| two[1].0 - two[0].0 - 1).filter(|&gap| gap > 0);
            let (count, sum) = gaps.fold((0, 0), |(count, sum), gap| (count + 1, sum + gap));
            near(sum as f64 / f64::from(count), f64::from(burst));
        }
        // Nine of ten can only be lost in longer ones.
        near(lost(&run(Way { loss_ppm: 900_000, burst: 2, ..Way::CALM }, 1, MILLI)), 0.9);
    }

    #[test]
    fn delay_is_as_it_was_set() {
        let way = Way { delay_ms: 80, ..Way::CALM };
        assert!(run(way, 100, MILLI).iter().all(|(_, came, at)| at - came == 80 * MILLI));
        let left = run(Way { jitter_ms: 20, ..way }, 100, MILLI);
        let delay = |&(_, came, at): &(u64, Micros, Micros)| at - came;
        assert!(left.iter().map(delay).all(|it| (60 * MILLI..=100 * MILLI).contains(&it)));
        near(left.iter().map(delay).sum::<u64>() as f64 / MANY as f64, 80e3);
        // The mean distance of two of a uniform distribution from its middle is half its width.
        let spread = left.iter().map(|it| delay(it).abs_diff(80 * MILLI)).sum::<u64>() as f64;
        near(spread / MANY as f64, 10e3);
    }

    #[test]
    fn rate_is_as_it_was_set() {
        let way = Way { rate_bytes: 1_000_000, ..Way::CALM };
        let left = run(way, 1000, 0);
        let seconds = left.last().expect("none is lost").2 as f64 / 1e6;
        near(left.len() as f64 * 1000.0 / seconds, 1e6);
        // Half of it is no queue.
        let left = run(way, 1000, 2 * MILLI);
        assert!(left.iter().all(|(_, came, at)| at - came == MILLI));
    }

    #[test]
    fn twice_is_as_often_as_it_was_set() {
        let left = run(Way { duplicate_ppm: 250_000, ..Way::CALM }, 100, MILLI);
        near(left.len() as f64 / MANY as f64, 1.25);
        let left = run(Way { duplicate_ppm: MILLION, ..Way::CALM }, 100, MILLI);
        assert_eq!(left.len() as u64, 2 * MANY);
        assert!(left.chunks(2).all(|two| two[0].0 == two[1].0));
    }

    #[test]
    fn one_in_so_many_is_overtaken_by_the_next() {
        let left = run(Way { reorder_ppm: 100_000, delay_ms: 7, ..Way::CALM }, 100, MILLI);
        assert_eq!(left.len() as u64, MANY, "none is lost");
        let behind = left.windows(2).filter(|two| two[1].0 < two[0].0).count();
        // Of two in a row that are to be overtaken, the second waits by itself.
        near(behind as f64 / MANY as f64, 0.1);
        let alone = run(Way { reorder_ppm: MILLION, ..Way::CALM }, 100, 0);
        assert!(alone.iter().all(|it| it.2 <= PATIENCE), "none waits for ever");
    }

    #[test]
    fn so_many_have_one_bit_changed() {
        let mut all = Datagrams::<()>::calm();
        all.set(Way { corrupt_ppm: 100_000, ..Way::CALM }, Dice(3), 0);
        let corrupt = (0..MANY).filter(|_| {
            let Fate::Leaves { corrupt, .. } = all.draw(0, 10) else { panic!("none is lost") };
            assert!(corrupt.is_none_or(|bit| bit < 80));
            corrupt.is_some()
        });
        near(corrupt.count() as f64 / MANY as f64, 0.1);
        all.set(Way { corrupt_ppm: MILLION, ..Way::CALM }, Dice(3), 0);
        let empty = all.draw(0, 0);
        assert!(matches!(empty, Fate::Leaves { corrupt: None, .. }), "nothing to be changed");
    }

    #[test]
    fn a_stall_holds_everything_once() {
        let left = run(Way { stall_ms: 500, ..Way::CALM }, 1, MILLI);
        assert!(left.iter().all(|&(_, came, at)| at == came.max(500 * MILLI)));
    }

    #[test]
    fn what_waits_leaves_at_once_when_it_is_calm_again() {
        let mut all = Datagrams::calm();
        all.set(Way { delay_ms: 1000, ..Way::CALM }, Dice(3), 0);
        all.hold(1_000_000, false, 'a', 1);
        all.hold(1_000_000, false, 'b', 1);
        assert_eq!(all.take(0), None);
        all.set(Way::CALM, Dice(3), 0);
        assert_eq!((all.take(0), all.take(0), all.take(0)), (Some('a'), Some('b'), None));
    }
}

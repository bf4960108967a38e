//! When the bytes of one direction of a stream leave, in the order in which they came. Pure: the
//! clock is given, and the bytes stay where they are.

use super::weather::{Dice, Losses, MILLI, Micros, Way};

/// At a rate, so much time's worth of bytes leaves at once at least, and what a late look missed is
/// made up for at most so long.
const GRAIN: Micros = 2 * MILLI;
const MAKE_UP: Micros = 20 * MILLI;

/// What is lost of a stream is sent again so much later: the least that Linux waits (tcp(7)).
const RESEND: Micros = 200 * MILLI;

/// See the module.
pub struct Course {
    way: Way,
    dice: Dice,
    losses: Losses,
    /// When what came last leaves: nothing leaves before it.
    last: Micros,
    /// At its rate, when the bytes that left are through.
    free: Micros,
    /// Nothing leaves before it.
    stalled: Micros,
    /// Bytes that left since it was set.
    passed: u64,
}

/// What may leave.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Leave {
    /// So many bytes, now.
    Now(usize),
    /// Nothing before this time.
    At(Micros),
}

impl Course {
    /// Nothing happens to what passes.
    pub fn calm() -> Course {
        Course::new(Way::CALM, Dice::default(), 0)
    }

    /// It is set at `now`.
    pub fn new(way: Way, dice: Dice, now: Micros) -> Course {
        let stalled = now + Micros::from(way.stall_ms) * MILLI;
        let losses = Losses::default();
        Course { way, dice, losses, last: now, free: now, stalled, passed: 0 }
    }

    /// Whether bytes pass as they come.
    pub fn is_calm(&self) -> bool {
        self.way == Way::CALM
    }

    /// When what comes `now` leaves. What is lost comes later, and all behind it waits.
    pub fn due(&mut self, now: Micros) -> Micros {
        let again = if self.losses.next(&self.way, &mut self.dice) { RESEND } else { 0 };
        self.last = self.last.max(now + self.way.delay(&mut self.dice) + again);
        self.last
    }

    /// When the bytes that are next, due at `due`, leave.
    pub fn at(&self, due: Micros) -> Micros {
        let free = if self.way.rate_bytes > 0 { self.free } else { 0 };
        if self.is_calm() { 0 } else { due.max(self.stalled).max(free) }
    }

    /// How many of the `len` bytes that are next, due at `due`, leave now. They count as left.
    pub fn leave(&mut self, now: Micros, due: Micros, len: usize) -> Leave {
        let at = self.at(due);
        if now < at {
            return Leave::At(at);
        }
        if self.is_calm() {
            return Leave::Now(len);
        }
        let mut most = len as u64;
        if self.way.split_bytes > 0 {
            most = most.min(self.way.split_bytes.into());
        }
        if self.way.reset_after_bytes > 0 {
            most = most.min(self.way.reset_after_bytes.saturating_sub(self.passed).max(1));
        }
        if self.way.rate_bytes > 0 {
            // What left is through by now, but no bytes were there in time.
            self.free = self.free.max(now.saturating_sub(MAKE_UP)).max(due.min(now));
            let time = u128::from(now - self.free + GRAIN);
            let worth = time * u128::from(self.way.rate_bytes) / 1_000_000;
            most = most.min((worth as u64).max(1));
            self.free += self.way.takes(most);
        }
        self.passed += most;
        Leave::Now(most as usize)
    }

    /// So many of the bytes that left did not: they are next again.
    pub fn returned(&mut self, count: usize) {
        self.passed = self.passed.saturating_sub(count as u64);
    }

    /// Whether a further piece may leave together with the one before.
    pub fn gathers(&self) -> bool {
        self.way.split_bytes == 0
    }

    /// Whether so many bytes have left that the connection is reset.
    pub fn is_over(&self) -> bool {
        self.way.reset_after_bytes > 0 && self.passed >= self.way.reset_after_bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sends `pieces` of `len` bytes, one each `every`, through a course; when each byte left, and
    /// when it came.
    fn run(way: Way, pieces: u64, len: usize, every: Micros) -> Vec<(Micros, Micros, usize)> {
        let mut course = Course::new(way, Dice(5), 0);
        let mut held: std::collections::VecDeque<(Micros, Micros, usize)> = Default::default();
        let (mut now, mut came, mut left) = (0, 0, Vec::new());
        while came < pieces || !held.is_empty() {
            while came < pieces && came * every <= now {
                held.push_back((course.due(came * every), came * every, len));
                came += 1;
            }
            let mut next = came * every;
            while let Some((due, at, rest)) = held.front_mut() {
                match course.leave(now, *due, *rest) {
                    Leave::Now(count) => {
                        left.push((*at, now, count));
                        *rest -= count;
                        if *rest == 0 {
                            held.pop_front();
                        }
                    }
                    Leave::At(time) => {
                        next = if came < pieces { next.min(time) } else { time };
                        break;
                    }
                }
            }
            now = now.max(next);
        }
        left
    }

    fn near(value: f64, of: f64) {
        assert!((value - of).abs() <= of * 0.02, "{value} is not {of}");
    }

    #[test]
    fn a_calm_course_holds_nothing() {
        let mut course = Course::calm();
        assert!(course.is_calm());
        assert_eq!(course.leave(0, Micros::MAX, 9), Leave::Now(9), "also what was due later");
    }

    #[test]
    fn a_delay_is_that_of_every_byte() {
        let left = run(Way { delay_ms: 80, ..Way::CALM }, 100_000, 10, 500);
        assert!(left.iter().all(|&(came, at, _)| at == came + 80 * MILLI));
        assert_eq!(left.iter().map(|it| it.2).sum::<usize>(), 1_000_000);
    }

    #[test]
    fn jitter_keeps_the_order_and_its_bounds() {
        let way = Way { delay_ms: 80, jitter_ms: 20, ..Way::CALM };
        let sparse = run(way, 100_000, 1, 100 * MILLI);
        assert!(
            sparse
                .iter()
                .all(|&(came, at, _)| { (60 * MILLI..=100 * MILLI).contains(&(at - came)) })
        );
        let mean = sparse.iter().map(|&(came, at, _)| at - came).sum::<u64>() as f64 / 1e5;
        near(mean, 80e3);
        let dense = run(way, 1000, 1, MILLI);
        assert!(dense.is_sorted_by_key(|it| it.1) && dense.is_sorted_by_key(|it| it.0));
    }

    #[test]
    fn what_is_lost_comes_later_with_all_behind_it() {
        let way = Way { delay_ms: 10, loss_ppm: 20_000, ..Way::CALM };
        let left = run(way, 100_000, 1, 1000 * MILLI);
        let late = left.iter().filter(|&(came, at, _)| at - came == 10 * MILLI + RESEND);
        let (late, on_time) = (late.count(), left.len());
        near(late as f64 / on_time as f64, 0.02);
        let dense = run(way, 10_000, 1, MILLI);
        assert!(dense.is_sorted_by_key(|it| it.1) && dense.len() == 10_000, "none is lost");
    }

    #[test]
    fn a_rate_is_kept_however_bytes_come() {
        for (pieces, len, rate) in [(100, 10_000, 100_000), (5, 1, 1), (2000, 1, 100)] {
            let left = run(Way { rate_bytes: rate, ..Way::CALM }, pieces, len, 0);
            let bytes: usize = left.iter().map(|it| it.2).sum();
            assert_eq!(bytes as u64, pieces * len as u64);
            // The first byte leaves at once: the time is that of those behind it.
            let (first, seconds) = (left[0].2, left.last().unwrap().1 as f64 / 1e6);
            near((bytes - first) as f64 / seconds, rate as f64);
        }
    }

    #[test]
    fn a_rate_counts_bytes_that_are_there() {
        let mut course = Course::new(Way { rate_bytes: 1_000_000, ..Way::CALM }, Dice(1), 0);
        let Leave::Now(count) = course.leave(10_000_000, 9_999_999, 100_000) else {
            panic!("nothing left before")
        };
        assert!(count <= 2001, "silence does not save up: {count}");
    }

    #[test]
    fn a_stall_holds_everything_once() {
        let left = run(Way { stall_ms: 500, ..Way::CALM }, 2000, 1, MILLI);
        assert!(left.iter().all(|&(came, at, _)| at == came.max(500 * MILLI)));
    }

    #[test]
    fn pieces_are_as_small_as_asked() {
        let left = run(Way { split_bytes: 1, ..Way::CALM }, 3, 4, 0);
        assert!(left.len() == 12 && left.iter().all(|it| it.2 == 1));
    }

    #[test]
    fn it_is_over_after_exactly_so_many_bytes() {
        let way = Way { reset_after_bytes: 10, ..Way::CALM };
        let mut course = Course::new(way, Dice(1), 0);
        assert_eq!(course.leave(0, 0, 8), Leave::Now(8));
        assert!(!course.is_over());
        assert_eq!(course.leave(0, 0, 8), Leave::Now(2));
        course.returned(1);
        assert!(!course.is_over(), "one did not leave");
        assert_eq!(course.leave(0, 0, 8), Leave::Now(1));
        assert!(course.is_over());
    }
}

//! Deadlines of one worker: a heap with at most a few entries for each connection. An entry is a
//! reminder to look, not the deadline itself: that may have moved on, and then it is put in anew.

use crate::io::Token;
use crate::session::Millis;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Room made at first, and kept. Most allocators make it a mapping of its own, which costs what is
/// used of it and grows without leaving its old place behind.
const ROOM: usize = 8192;

/// Reminders, earliest first.
#[derive(Default)]
pub struct Timers(BinaryHeap<Reverse<(Millis, Token)>>);

/// Deadlines are met late by up to a sixteenth of what they allow, a second at most, so that many
/// of them share a wake-up.
pub fn coarse(at: Millis, now: Millis) -> Millis {
    let step = (at.saturating_sub(now) / 16).clamp(1, 1000);
    at.div_ceil(step) * step
}

impl Timers {
    /// Reminds of `token` at `at`.
    pub fn add(&mut self, at: Millis, token: Token) {
        if self.0.len() == self.0.capacity() {
            self.0.reserve(ROOM);
        }
        self.0.push(Reverse((at, token)));
    }

    /// When the next reminder is due.
    pub fn next(&self) -> Option<Millis> {
        self.0.peek().map(|Reverse((at, _))| *at)
    }

    /// Takes a reminder that is due.
    pub fn pop(&mut self, now: Millis) -> Option<(Millis, Token)> {
        if self.next()? > now {
            return None;
        }
        if self.0.capacity() > ROOM && self.0.len() < self.0.capacity() / 4 {
            self.0.shrink_to(self.0.capacity() / 2);
        }
        self.0.pop().map(|Reverse(due)| due)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_coarse_deadline_is_never_early_and_hardly_late() {
        for now in [0, 1, 999, 1_000_003] {
            for wait in (0..2000).chain([15_999, 16_000, 16_001, 30_000, 86_400_000]) {
                let at = now + wait;
                let coarse = coarse(at, now);
                assert!(coarse >= at, "{at} at {now}");
                assert!(coarse - at <= (wait / 16).min(1000), "{at} at {now}: {coarse}");
            }
        }
    }

    #[test]
    fn a_deadline_that_is_short_or_over_stays_as_it_is() {
        assert_eq!(coarse(100, 100), 100);
        assert_eq!(coarse(7, 1_000_000), 7);
        assert_eq!(coarse(131, 100), 131, "31 ms are met to the millisecond");
    }

    #[test]
    fn many_deadlines_share_a_wake_up() {
        let mut wakes: Vec<Millis> = (0..10_000).map(|at| coarse(at + 30_000, at)).collect();
        wakes.dedup();
        assert!(wakes.len() <= 11, "{} for ten seconds of deadlines", wakes.len());
        assert!(wakes.is_sorted());
    }

    #[test]
    fn the_room_for_many_reminders_goes_with_them() {
        let mut timers = Timers::default();
        let token = Token::new(1, 1);
        (0..100_000).for_each(|at| timers.add(at, token));
        assert!(timers.0.capacity() < 300_000);
        let all = std::iter::from_fn(|| timers.pop(100_000)).map(|(at, _)| at);
        assert!(all.eq(0..100_000));
        assert!(timers.is_empty() && timers.0.capacity() < 4 * ROOM);
    }

    #[test]
    fn reminders_come_in_order_when_they_are_due() {
        let mut timers = Timers::default();
        assert_eq!((timers.next(), timers.pop(Millis::MAX)), (None, None));
        let token = |index| Token::new(index, 1);
        for (at, index) in [(50, 1), (10, 2), (30, 3), (30, 2), (10, 2), (70, 4)] {
            timers.add(at, token(index));
        }
        assert_eq!(timers.next(), Some(10));
        assert_eq!(timers.pop(9), None, "not yet");
        assert_eq!(timers.pop(10), Some((10, token(2))));
        assert_eq!(timers.pop(10), Some((10, token(2))), "as often as it was asked for");
        assert_eq!(timers.pop(29), None);
        assert_eq!(timers.next(), Some(30));
        timers.add(5, token(9));
        let late: Vec<_> = std::iter::from_fn(|| timers.pop(60)).collect();
        assert_eq!(late, [(5, token(9)), (30, token(2)), (30, token(3)), (50, token(1))]);
        assert_eq!((timers.next(), timers.pop(70)), (Some(70), Some((70, token(4)))));
        assert_eq!(timers.next(), None);
    }
}

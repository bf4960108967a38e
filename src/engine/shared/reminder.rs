//! What a socket keeps of its entry in a worker's timers.

use crate::io::Token;
use crate::session::{Millis, Moment};
use std::num::NonZeroU32;

/// The name of an entry. It may be used again once that has fired or was cancelled.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Timer(NonZeroU32);

impl Timer {
    /// The entry that links call so; 0: none.
    pub fn named(name: u32) -> Option<Timer> {
        NonZeroU32::new(name).map(Timer)
    }

    /// What links call it.
    pub fn name(self) -> u32 {
        self.0.get()
    }
}

/// Whose deadline it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Due {
    /// A connection, a listener or a datagram socket.
    Conn(Token),
    /// A timer of the host, by its number.
    Host(u64),
    /// A transport that carries connections, by its number.
    Transport(u64),
}

/// The reminder of one socket, in the six bytes that every connection has for it. Invariant: it has
/// at most one entry, in the wheel of one worker.
///
/// From below: the entry's name, the worker, and when it fires, in units of 64 ms that begin anew
/// every two hours: enough to distinguish times that are at most an hour apart.
#[derive(Default)]
pub struct Reminder(Moment);

/// No reminder is further away. An earlier look than the deadline does no harm.
pub const FARTHEST_MS: Millis = 3_600_000;

/// As many entries as a net may have sockets, and one more, have a name.
const NAME_BITS: u32 = Token::INDEX_BITS + 1;
/// Workers are numbered up to 63.
const HOME_BITS: u32 = 6;
const TICK_BITS: u32 = 48 - NAME_BITS - HOME_BITS;
/// Milliseconds of a tick, as a power of two.
const TICK: u32 = 6;
const _: () = assert!(FARTHEST_MS < 1 << (TICK_BITS - 1 + TICK));

impl Reminder {
    /// Whether it fires before `at`, which is not further than `FARTHEST_MS` from now. One that
    /// fires at nearly the same time is as good as none.
    #[inline]
    pub fn precedes(&self, at: Millis, now: Millis) -> bool {
        let bits = Millis::from(self.0);
        let unused = u64::BITS - TICK_BITS;
        let from_now = |tick: u64| (tick.wrapping_sub(now >> TICK) << unused) as i64;
        bits != 0 && from_now(bits >> (NAME_BITS + HOME_BITS)) < from_now(at >> TICK)
    }

    /// The worker that has its entry, and the entry.
    fn entry(&self) -> Option<(usize, Timer)> {
        let bits = Millis::from(self.0);
        let home = bits >> NAME_BITS & ((1 << HOME_BITS) - 1);
        Timer::named((bits & ((1 << NAME_BITS) - 1)) as u32).map(|timer| (home as usize, timer))
    }

    /// Whether this entry of the worker `home` is its own. Then it is none any more.
    pub fn fired(&mut self, timer: Timer, home: usize) -> bool {
        let own = self.entry() == Some((home, timer));
        if own {
            *self = Reminder::default();
        }
        own
    }

    /// Notes its entry in the wheel of `home`. The entry that it had with another worker.
    pub fn set(&mut self, timer: Timer, at: Millis, home: usize) -> Option<(usize, Timer)> {
        let before = self.entry();
        let tick = (at >> TICK) & ((1 << TICK_BITS) - 1);
        let home_bits = ((home as u64) << NAME_BITS) | (tick << (NAME_BITS + HOME_BITS));
        self.0 = (u64::from(timer.name()) | home_bits).into();
        before.filter(|before| before.0 != home)
    }

    /// Its entry if it is in the wheel of `home`.
    pub fn with(&self, home: usize) -> Option<Timer> {
        self.entry().filter(|entry| entry.0 == home).map(|(_, timer)| timer)
    }

    /// The worker that has its entry, and the entry, which is forgotten here.
    pub fn take(&mut self) -> Option<(usize, Timer)> {
        std::mem::take(self).entry()
    }
}

/// Deadlines may be met late by up to a sixteenth of what they allow, 63 ms at most, so that many
/// of them share a wake-up and yet those of thousands do not meet in one.
pub fn coarse(at: Millis, now: Millis) -> Millis {
    let most = (at.saturating_sub(now) / 16).clamp(1, 64);
    at.next_multiple_of(1 << most.ilog2())
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
                assert!(coarse - at <= (wait / 16).min(63), "{at} at {now}: {coarse}");
            }
        }
        assert_eq!((coarse(100, 100), coarse(7, 1_000_000)), (100, 7), "over");
        assert_eq!(coarse(131, 100), 131, "31 ms are met to the millisecond");
    }

    #[test]
    fn deadlines_share_wake_ups_but_not_too_many_one() {
        let mut wakes: Vec<Millis> = (0..10_000).map(|at| coarse(at + 30_000, at)).collect();
        wakes.dedup();
        assert!(wakes.is_sorted());
        assert!((150..=160).contains(&wakes.len()), "{} for ten seconds of deadlines", wakes.len());
    }

    #[test]
    fn a_reminder_knows_whether_it_is_early_enough() {
        let timer = Timer::named((1 << NAME_BITS) - 1).expect("the last name");
        let mut reminder = Reminder::default();
        for now in [1, 63, 64, 8_000_000, 8_388_600, 1 << 24, 3 << 40] {
            for wait in [0, 10, 100, 30_000, FARTHEST_MS] {
                reminder.set(timer, now + wait, 63);
                assert!(reminder.precedes(now + wait + 64, now), "{wait} at {now}");
                assert!(!reminder.precedes(now + wait, now), "{wait} at {now}");
                assert!(
                    !reminder.precedes((now + wait).saturating_sub(64), now),
                    "{wait} at {now}"
                );
                let late = now + wait + 30_000;
                assert!(reminder.precedes(late + 64, late), "it is overdue");
            }
        }
    }
}

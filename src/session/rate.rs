//! Rates: what a connection may move in a second, and what a peer has to.

use super::limits::Millis;

/// Thousandths of a byte: what a rate of bytes a second gives in a millisecond, exactly.
type Milli = i64;

/// Nothing moves before a sixteenth of a second's bytes are there, so that it does not go on byte
/// by byte.
const LEAST_PARTS: Milli = 16;

/// A token bucket that holds a second's bytes, and begins full. It follows a count of bytes that
/// moved. One that was let go on may move more than it had: the bucket then owes them.
#[derive(Clone, Copy, Default, PartialEq, Debug)]
pub struct Bucket {
    has: Milli,
    /// When that was counted; 0: it has not begun.
    at: Millis,
    /// The count of bytes that were taken from it so far.
    counted: u64,
}

impl Bucket {
    /// Bytes that may move now, 0 or enough to be worth it, where `count` have moved so far.
    pub fn poll(&mut self, rate: u32, count: u64, now: Millis) -> u32 {
        let (rate, full) = (Milli::from(rate), Milli::from(rate) * 1000);
        if self.at == 0 {
            *self = Bucket { has: full, at: now, counted: count };
        }
        let passed = now.saturating_sub(self.at) as Milli;
        self.has = self.has.saturating_add(passed.saturating_mul(rate)).min(full);
        self.at = self.at.max(now);
        let moved = count.wrapping_sub(self.counted) as i64;
        self.has = (self.has - moved * 1000).min(full);
        self.counted = count;
        if self.has < full / LEAST_PARTS { 0 } else { (self.has / 1000) as u32 }
    }

    /// Takes bytes that are about to move, before they are counted; those that do not move in the
    /// end come back.
    pub fn take(&mut self, bytes: usize) {
        self.has -= bytes as Milli * 1000;
        self.counted = self.counted.wrapping_add(bytes as u64);
    }

    /// From when on bytes may move again, if nothing moves until then.
    pub fn ready_at(&self, rate: u32) -> Option<Millis> {
        let rate = Milli::from(rate);
        let lacks = rate * 1000 / LEAST_PARTS - self.has;
        let short = self.at > 0 && rate > 0 && lacks > 0;
        short.then(|| self.at + (lacks as Millis).div_ceil(rate as Millis))
    }
}

/// How far ahead of its least rate a peer is that sends a message: each byte puts off when it is
/// late, to the end of a window from now at most.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Pace {
    late_at: Millis,
    /// The bytes and the messages that had come.
    bytes: u64,
    messages: u64,
}

impl Pace {
    /// A peer that is waited for from now on, with `before` where it was since its last bytes.
    /// `stood`: so long ago those came, and it was not waited for since. `window` and `rate` are
    /// not 0.
    pub fn next(
        before: Option<Pace>,
        (rate, window): (u32, u32),
        (bytes, messages): (u64, u64),
        stood: Millis,
        now: Millis,
    ) -> Pace {
        let most = now + Millis::from(window);
        let Some(before) = before.filter(|before| before.messages == messages) else {
            return Pace { late_at: most, bytes, messages };
        };
        let rate = u64::from(rate);
        let gained = bytes.saturating_sub(before.bytes) * 1000 / rate;
        // What is less than a millisecond's counts the next time.
        let bytes = before.bytes + gained * rate / 1000;
        Pace { late_at: (before.late_at + stood + gained).min(most), bytes, messages }
    }

    /// When it is late, if nothing comes until then.
    pub fn late_at(&self) -> Millis {
        self.late_at
    }
}

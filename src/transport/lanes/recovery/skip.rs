//! Sequence numbers that are left out, to catch a peer that acknowledges what it never received.
//!
//! Such a peer makes a sender believe in a path that is faster than it is. RFC 9000 §21.4 has the
//! same remedy. Whether a number is left out does not depend on how long ago the last one was, so
//! a peer learns nothing about the next from those before it.

use std::ops::RangeInclusive;

/// One number in so many is left out.
const ONE_IN: f64 = 128.0;
/// So many of them are remembered.
const KEPT: usize = 16;

pub struct Skips {
    seed: u64,
    /// The number to leave out next, or the first after it that asks.
    next: u64,
    last: u64,
    /// How far each of the numbers left out was from the one before it, newest first.
    gaps: [u16; KEPT - 1],
    kept: u8,
}

impl Skips {
    pub fn new(seed: u64) -> Self {
        let mut skips = Self { seed, next: 0, last: 0, gaps: [0; KEPT - 1], kept: 0 };
        // The first number of a connection is never left out.
        skips.next = 1 + skips.distance();
        skips
    }

    /// Whether `seq` is to be left out. Asked once for each number that a packet would have.
    pub fn takes(&mut self, seq: u64) -> bool {
        if seq < self.next {
            return false;
        }
        match u16::try_from(seq - self.last) {
            Ok(gap) => {
                self.gaps.copy_within(..KEPT - 2, 1);
                self.gaps[0] = gap;
                self.kept = KEPT.min(usize::from(self.kept) + 1) as u8;
            }
            // So much was sent since that the ones before it no longer matter.
            Err(_) => self.kept = 1,
        }
        self.last = seq;
        self.next = seq.saturating_add(1 + self.distance());
        true
    }

    /// Whether an acknowledgement of `range` names one of them.
    pub fn cover(&self, range: &RangeInclusive<u64>) -> bool {
        let mut at = self.last;
        for index in 0..usize::from(self.kept) {
            if at < *range.start() {
                return false;
            }
            if at <= *range.end() {
                return true;
            }
            at = at.saturating_sub(self.gaps.get(index).copied().unwrap_or(0).into());
        }
        false
    }

    /// How many numbers are used before the next one that is not: geometrically distributed.
    fn distance(&mut self) -> u64 {
        let uniform = (random(&mut self.seed) >> 11) as f64 / (1u64 << 53) as f64;
        ((1.0 - uniform).ln() / (1.0 - 1.0 / ONE_IN).ln()) as u64
    }
}

/// SplitMix64.
fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
impl Skips {
    /// As if all numbers before `first` had been used.
    pub fn start_at(&mut self, first: u64) {
        self.next = first.saturating_add(1 + self.distance());
    }
}

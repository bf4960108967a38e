//! The largest datagram that the path takes, found by trying (RFC 8899).
//!
//! A probe is a packet with nothing but padding, which no one misses: the rate does not hear of its
//! loss. Probing begins with the first bulk; small messages gain nothing by it.

use super::MTU_MIN;
use crate::transport::lanes::Micros;

/// A size is given up after so many probes.
const TRIES: u8 = 3;
/// The search ends where it is known to so many bytes.
const GRAIN: u16 = 16;
/// A larger size is tried again after so long,
const RAISE: Micros = 600_000_000;
/// and after so long where the path has shrunk.
const AGAIN: Micros = 10_000_000;
/// The path takes full packets no longer when so many were lost since the last that came.
const LOST_MAX: u8 = 4;

/// See the module.
pub struct Mtu {
    /// What the path takes, and the least that it does not.
    size: u16,
    bound: u16,
    /// Both ends take so much.
    max: u16,
    probe: Option<Probe>,
    /// When the next probe is due, or the last one counts as lost.
    due: Micros,
    tries: u8,
    /// Full packets lost since one came, the greatest number of those that did.
    lost: u8,
    came: u32,
}

/// A probe that was sent.
struct Probe {
    seq: u64,
    size: u16,
}

impl Mtu {
    pub fn new(max: u16, now: Micros) -> Mtu {
        let size = MTU_MIN as u16;
        let bound = max.saturating_add(1);
        Mtu { size, bound, max, probe: None, due: now, tries: 0, lost: 0, came: 0 }
    }

    pub fn size(&self) -> usize {
        self.size.into()
    }

    /// What is to be tried next: first the most, then the middle of what is not known.
    fn candidate(&self) -> Option<u16> {
        if self.bound > self.max {
            return (self.max > self.size).then_some(self.max);
        }
        let unknown = self.bound - self.size;
        (unknown > GRAIN).then(|| self.size + unknown / 2)
    }

    /// The size of a probe that is to be sent now.
    pub fn wants(&self, now: Micros) -> Option<usize> {
        let due = self.probe.is_none() && self.due <= now;
        self.candidate().filter(|_| due).map(usize::from)
    }

    /// When it wants to be asked.
    pub fn due(&self) -> Option<Micros> {
        (self.probe.is_some() || self.candidate().is_some() || self.size < self.max)
            .then_some(self.due)
    }

    /// A probe leaves. It counts as lost after `patience`.
    pub fn handle_sent(&mut self, seq: u64, size: usize, patience: Micros, now: Micros) {
        self.probe = Some(Probe { seq, size: size as u16 });
        self.due = now.saturating_add(patience);
    }

    /// The packets of this range came. Answers whether the path takes more than was known.
    pub fn handle_acked(&mut self, first: u64, last: u64, now: Micros) -> bool {
        let Some(Probe { size, seq }) = self.probe.take_if(|it| first <= it.seq && it.seq <= last)
        else {
            return false;
        };
        (self.size, self.tries, self.lost, self.came) = (size, 0, 0, seq as u32);
        self.settle(now);
        true
    }

    /// The time of `due` has come.
    pub fn handle_timeout(&mut self, now: Micros) {
        if now < self.due {
            return;
        }
        if let Some(Probe { size, .. }) = self.probe.take() {
            self.tries += 1;
            self.due = now;
            if self.tries >= TRIES {
                (self.bound, self.tries) = (size, 0);
                self.settle(now);
            }
        } else if self.candidate().is_none() {
            // Perhaps the path is another one by now.
            self.bound = self.max.saturating_add(1);
        }
    }

    /// The next size is tried at once, if there is one.
    fn settle(&mut self, now: Micros) {
        let wait = if self.candidate().is_some() { 0 } else { RAISE };
        self.due = now.saturating_add(wait);
    }

    /// A packet came that is larger than every path takes. Its number is the low half.
    pub fn handle_full_acked(&mut self, seq: u32) {
        if seq.wrapping_sub(self.came) as i32 > 0 {
            self.came = seq;
            self.lost = 0;
        }
    }

    /// Such a packet is lost. Answers whether the path takes none any more.
    pub fn handle_full_lost(&mut self, seq: u32, now: Micros) -> bool {
        // One that was sent later came: the size was not the cause.
        if (seq.wrapping_sub(self.came) as i32) < 0 {
            return false;
        }
        self.lost += 1;
        if self.lost < LOST_MAX || self.size() == MTU_MIN {
            return false;
        }
        (self.bound, self.size) = (self.size, MTU_MIN as u16);
        (self.probe, self.tries, self.lost) = (None, 0, 0);
        self.due = now.saturating_add(AGAIN);
        true
    }
}

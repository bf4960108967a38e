//! When a packet counts as lost, and when to probe (RFC 9002 §6), with thresholds that learn.
//!
//! A path that reorders packets makes a sender believe in losses that are none. Each packet that
//! comes after all teaches how far packets fall behind.

use super::rtt::Rtt;
use super::sent::Packet;
use crate::transport::lanes::Micros;

/// A packet is lost once one is acknowledged that was sent so many later; at first.
const BEHIND: u8 = 3;
const BEHIND_MAX: u64 = 64;
/// Or when it was sent 9/8 of a round trip ago; at first.
const EIGHTHS: u8 = 1;
const EIGHTHS_MAX: u8 = 8;
/// No packet is lost within less time.
const GRAIN: Micros = 1_000;
/// What is sent after a timeout: one of two packets may be lost as well.
const PROBES: u8 = 2;

pub struct Loss {
    behind: u8,
    eighths: u8,
    /// The greatest number that was acknowledged.
    largest: Option<u64>,
    /// When the oldest packet that is missing will count as lost.
    due: Option<Micros>,
    /// Since when an acknowledgement is awaited.
    since: Micros,
    /// Timeouts in a row.
    fired: u32,
    probes: u8,
}

impl Loss {
    pub fn new(now: Micros) -> Self {
        Self {
            behind: BEHIND,
            eighths: EIGHTHS,
            largest: None,
            due: None,
            since: now,
            fired: 0,
            probes: 0,
        }
    }

    pub fn largest(&self) -> Option<u64> {
        self.largest
    }

    pub fn handle_sent(&mut self, now: Micros) {
        self.since = now;
    }

    /// Something new was acknowledged, `largest` at most. True: nothing greater ever was.
    pub fn handle_acked(&mut self, largest: u64) -> bool {
        self.fired = 0;
        self.probes = 0;
        let newest = self.largest.is_none_or(|before| before < largest);
        if newest {
            self.largest = Some(largest);
        }
        newest
    }

    /// A packet came after all; one sent `distance` later was acknowledged by then.
    pub fn handle_spurious(&mut self, distance: u64) {
        let behind = distance.saturating_add(1).min(BEHIND_MAX) as u8;
        self.behind = self.behind.max(behind);
        self.eighths = (self.eighths * 2).min(EIGHTHS_MAX);
    }

    /// How long a packet may be missing.
    pub fn patience(&self, rtt: &Rtt) -> Micros {
        let longest = rtt.longest();
        (longest + longest * Micros::from(self.eighths) / 8).max(GRAIN)
    }

    pub fn is_lost<C>(
        &self,
        packet: &Packet<C>,
        largest: u64,
        patience: Micros,
        now: Micros,
    ) -> bool {
        largest - packet.seq >= u64::from(self.behind)
            || now.saturating_sub(packet.sent_at) >= patience
    }

    pub fn set_due(&mut self, due: Option<Micros>) {
        self.due = due;
    }

    pub fn is_due(&self, now: Micros) -> bool {
        self.due.is_some_and(|due| due <= now)
    }

    /// When something will count as lost, or else is to be probed.
    pub fn timeout(&self, rtt: &Rtt) -> Micros {
        self.due.unwrap_or_else(|| self.since.saturating_add(rtt.pto(self.fired)))
    }

    /// Counts a timeout: how many there were in a row. The next is counted from now on.
    pub fn handle_pto(&mut self, now: Micros) -> u32 {
        self.fired = self.fired.saturating_add(1);
        self.probes = PROBES;
        self.since = now;
        self.fired
    }

    pub fn fired(&self) -> u32 {
        self.fired
    }

    pub fn take_probe(&mut self) -> bool {
        let asked = self.probes > 0;
        self.probes -= u8::from(asked);
        asked
    }
}

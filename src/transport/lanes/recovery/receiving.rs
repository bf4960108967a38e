//! When to acknowledge what is received.

use crate::transport::lanes::Micros;

/// The rate is measured over at least so long.
const WINDOW: Micros = 50_000;
/// After so long without a packet, the peer's trains are measured by our acknowledgements again.
const IDLE: Micros = 1_000_000;
/// So many packets after that are acknowledged often.
const EAGER: u8 = 128;
/// Bytes a second from which on every eighth packet is enough: 20 Mbit/s.
const FAST: f64 = 2_500_000.0;
/// Packets that ask for an acknowledgement and are not late.
const OFTEN: u32 = 2;
const SELDOM: u32 = 8;
const DELAY: Micros = 5_000;
/// When nothing of it was reliable, and when packets of our own will carry it.
const UNRELIABLE: Micros = 25_000;
const RIDING: Micros = 100_000;

/// How often to acknowledge. A packet that is out of order is acknowledged at once, a duplicate
/// never.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AckPolicy {
    /// After so many packets,
    pub packets: u32,
    /// or so long after the first of them that has something reliable,
    pub delay: Micros,
    /// or so long after the first of them that has not.
    pub unreliable_delay: Micros,
}

/// The packets that arrive.
pub struct Receiving {
    since: Micros,
    last: Micros,
    bytes: u32,
    fast: bool,
    eager: u8,
    /// When a packet of our own left that carries something, and that it was soon after the last.
    sent_at: Micros,
    sends_often: bool,
}

impl Receiving {
    pub fn new(now: Micros) -> Self {
        Self {
            since: now,
            last: now,
            bytes: 0,
            fast: false,
            eager: EAGER,
            sent_at: 0,
            sends_often: false,
        }
    }

    pub fn handle_received(&mut self, size: usize, now: Micros) {
        if now.saturating_sub(self.last) > IDLE {
            self.eager = EAGER;
            self.fast = false;
            self.since = now;
            self.bytes = 0;
        }
        self.last = now;
        self.eager = self.eager.saturating_sub(1);
        self.bytes = self.bytes.saturating_add(size as u32);
        let elapsed = now.saturating_sub(self.since);
        if elapsed >= WINDOW {
            self.fast = f64::from(self.bytes) * 1e6 / elapsed as f64 >= FAST;
            self.since = now;
            self.bytes = 0;
        }
    }

    pub fn handle_sent(&mut self, now: Micros) {
        if self.sent_at != now {
            self.sends_often = now.saturating_sub(self.sent_at) <= RIDING;
            self.sent_at = now;
        }
    }

    pub fn policy(&self) -> AckPolicy {
        // Measured at the last packet: this is asked when there is one to acknowledge.
        let rides = self.sends_often && self.last.saturating_sub(self.sent_at) <= RIDING;
        AckPolicy {
            packets: if self.fast && self.eager == 0 { SELDOM } else { OFTEN },
            delay: DELAY,
            unreliable_delay: if rides { RIDING } else { UNRELIABLE },
        }
    }
}

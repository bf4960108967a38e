//! How fast packets are delivered (draft-cheng-iccrg-delivery-rate-estimation).

use super::rate::Ack;
use super::sent::Packet;
use crate::transport::lanes::Micros;

/// Bytes that were delivered, and when.
pub struct Delivery {
    delivered: u64,
    delivered_at: Micros,
    /// When the newest of the packets was sent that were delivered.
    first_sent_at: Micros,
    /// Until so much is delivered, the samples say nothing about the path: there was not enough to
    /// send.
    limited_until: Option<u64>,
    /// A round ends when a packet is acknowledged that was sent after the round before ended.
    round_ends: u64,
}

/// What a packet remembers of the moment when it was sent. The ages are those of `delivered_at`
/// and `first_sent_at`.
pub struct Stamp {
    delivered: u64,
    delivered_age: u32,
    first_sent_age: u32,
    app_limited: bool,
}

/// The packet of an ACK that the sample is taken from, and the one that was sent last.
pub struct Newest {
    stamp: (u64, Micros, u32, bool),
    sent_at: Micros,
}

impl Delivery {
    pub fn new(now: Micros) -> Self {
        Self::counting_from(0, now)
    }

    pub fn counting_from(delivered: u64, now: Micros) -> Self {
        Self {
            delivered,
            delivered_at: now,
            first_sent_at: now,
            limited_until: None,
            round_ends: delivered,
        }
    }

    /// A packet is sent; `idle`: nothing else is in flight.
    pub fn stamp(&mut self, idle: bool, app_limited: bool, now: Micros) -> Stamp {
        if idle {
            self.delivered_at = now;
            self.first_sent_at = now;
        }
        Stamp {
            delivered: self.delivered,
            delivered_age: age(now, self.delivered_at),
            first_sent_age: age(now, self.first_sent_at),
            app_limited: app_limited || self.limited_until.is_some(),
        }
    }

    /// All that could be sent was sent, and `in_flight` is less than the window.
    pub fn mark_app_limited(&mut self, in_flight: u64) {
        self.limited_until = Some(self.delivered.wrapping_add(in_flight));
    }

    /// A packet arrived. `newest` gathers what the sample of this ACK needs.
    pub fn handle_delivered<C>(
        &mut self,
        packet: &Packet<C>,
        newest: &mut Option<Newest>,
        now: Micros,
    ) {
        self.delivered = self.delivered.wrapping_add(packet.size.into());
        self.delivered_at = now;
        let stamp = &packet.stamp;
        let of = |stamp: &Stamp| {
            let delivered_at = packet.sent_at.saturating_sub(stamp.delivered_age.into());
            (stamp.delivered, delivered_at, stamp.first_sent_age, stamp.app_limited)
        };
        match newest {
            None => *newest = Some(Newest { stamp: of(stamp), sent_at: packet.sent_at }),
            Some(newest) => {
                newest.sent_at = newest.sent_at.max(packet.sent_at);
                if !is_before(stamp.delivered, newest.stamp.0) {
                    newest.stamp = of(stamp);
                }
            }
        }
    }

    /// Puts the sample of one ACK into `ack`.
    pub fn sample(&mut self, newest: Newest, ack: &mut Ack) {
        let (delivered, delivered_at, send_elapsed, app_limited) = newest.stamp;
        let ack_elapsed = ack.now.saturating_sub(delivered_at);
        ack.interval = ack_elapsed.max(send_elapsed.into()).max(1);
        ack.rate = self.delivered.wrapping_sub(delivered) as f64 * 1e6 / ack.interval as f64;
        ack.app_limited = app_limited;
        ack.sent_at = newest.sent_at;
        ack.delivered = self.delivered;
        self.first_sent_at = self.first_sent_at.max(newest.sent_at);
        ack.round_start = !is_before(delivered, self.round_ends);
        if ack.round_start {
            self.round_ends = self.delivered;
        }
        if self.limited_until.is_some_and(|until| is_before(until, self.delivered)) {
            self.limited_until = None;
        }
    }
}

fn age(now: Micros, then: Micros) -> u32 {
    u32::try_from(now.saturating_sub(then)).unwrap_or(u32::MAX)
}

/// The counter wraps, and what is compared is never far apart.
fn is_before(a: u64, b: u64) -> bool {
    (a.wrapping_sub(b) as i64) < 0
}

//! What an endpoint asks of a connection that it carries.

use super::{Peer, flag};
use crate::session::LaneFacts;
use crate::transport::lanes::Micros;

impl Peer {
    /// Whether the peer has everything that was written, but perhaps for END.
    pub fn is_settled(&self) -> bool {
        self.outgoing.is_done()
    }

    /// Whether the next packet asks the peer for a sign of life.
    pub fn has_ping(&self) -> bool {
        self.flags & flag::PING != 0
    }

    /// Whether the next packet answers a challenge.
    pub fn has_response(&self) -> bool {
        self.flags & flag::RESPONSE != 0
    }

    /// What came is acknowledged in a packet that is made now.
    pub fn acknowledge(&mut self, now: Micros) {
        self.acks.hasten(now);
    }

    /// What is known of the path and the lanes, for the host.
    pub fn lane_facts(&self) -> LaneFacts {
        let facts = self.recovery.facts();
        let short = |time: Micros| u32::try_from(time).unwrap_or(u32::MAX);
        LaneFacts {
            // Nothing is known before the first sample.
            rtt_us: if facts.min_rtt > 0 { short(facts.rtt) } else { 0 },
            jitter_us: if facts.min_rtt > 0 { short(facts.jitter) } else { 0 },
            rtt_min_us: short(facts.min_rtt),
            queue_us: short(facts.queue),
            rate_bytes: facts.rate,
            in_flight_bytes: facts.in_flight,
            packets_sent: facts.sent,
            packets_lost: facts.lost,
            messages_dropped: self.outgoing.dropped,
            held_bytes: self.held_bytes() as u64,
            mtu_bytes: self.path_mtu() as u32,
            lanes: self.flags & flag::HEARD != 0,
            clock_offset_us: self.clock.as_ref().and_then(|clock| clock.offset()),
            ..LaneFacts::default()
        }
    }
}

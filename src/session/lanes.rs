//! What the host has pending in each lane of a connection: the bound, and who waits for room.

use super::event::SendError;
use super::limits::{Limits, Millis, Overflow};

/// What is known of a path is noted so often.
pub const FACTS_MS: Millis = 100;

/// The lanes of one connection.
pub struct Lanes {
    all: Box<[Pending]>,
    /// Bytes in all of them.
    bytes: u64,
    /// Sends that were refused for want of room in a lane, since the last WRITABLE.
    refused: u32,
    facts: LaneFacts,
    /// When those were taken; 0: never.
    facts_at: Millis,
}

/// What is pending in a lane: in the outbox, and with the transport.
#[derive(Clone, Copy, Default)]
struct Pending {
    bytes: u32,
    /// Bytes of the smallest message that was refused; 0: none was.
    refused: u32,
}

/// What is known of a connection's path. Times are in microseconds, rates in bytes a second.
#[derive(Clone, Copy, Default, PartialEq, Debug)]
#[allow(missing_docs, reason = "the C ABI's `sockeye_lanes_info` documents each")]
pub struct LaneFacts {
    pub rtt_us: u32,
    pub jitter_us: u32,
    /// The least that the round trip took.
    pub rtt_min_us: u32,
    /// What packets wait in queues of the path.
    pub queue_us: u32,
    pub rate_bytes: u64,
    pub in_flight_bytes: u64,
    pub packets_sent: u64,
    pub packets_lost: u64,
    pub packets_received: u64,
    /// Of the peer's, those that did not come.
    pub packets_missing: u64,
    pub messages_dropped: u64,
    /// Bytes of incomplete and unread messages.
    pub held_bytes: u64,
    pub mtu_bytes: u32,
    /// The key is known to everybody: neither end is authenticated, and nothing is private.
    pub open: bool,
    /// The other end is of this library.
    pub lanes: bool,
    /// Its clock less ours; None: not known.
    pub clock_offset_us: Option<i64>,
}

impl Lanes {
    /// So many lanes with nothing in them.
    pub fn new(count: usize) -> Lanes {
        Lanes {
            all: vec![Pending::default(); count].into(),
            bytes: 0,
            refused: 0,
            facts: LaneFacts::default(),
            facts_at: 0,
        }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.all.len()
    }

    /// Bytes that are pending in all.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether a lane has room for a message of `wire` bytes. If not, and it is to be refused for
    /// now, a WRITABLE is owed.
    pub fn admit(&mut self, limits: &Limits, lane: u8, wire: usize) -> Result<(), SendError> {
        let Some(pending) = self.all.get_mut(usize::from(lane)) else {
            return Err(SendError::Malformed);
        };
        let most = limits.outbox_max_bytes as usize;
        if wire > most {
            return Err(SendError::TooBig);
        }
        if pending.bytes as usize + wire <= most {
            return Ok(());
        }
        if limits.overflow == Overflow::Close {
            return Err(SendError::Overflow);
        }
        let before = if pending.refused == 0 { u32::MAX } else { pending.refused };
        pending.refused = before.min(wire as u32);
        self.refused = self.refused.saturating_add(1);
        Err(SendError::Again)
    }

    /// Whether a lane has room, without a refusal to be made good.
    pub fn has_room(&self, limits: &Limits, lane: u8, wire: usize) -> bool {
        let pending = self.all.get(usize::from(lane));
        pending.is_some_and(|it| it.bytes as usize + wire <= limits.outbox_max_bytes as usize)
    }

    /// A message was taken.
    pub fn take(&mut self, lane: u8, wire: u32) {
        if let Some(pending) = self.all.get_mut(usize::from(lane)) {
            pending.bytes += wire;
            self.bytes += u64::from(wire);
        }
    }

    /// Bytes of a lane are pending no more.
    pub fn release(&mut self, lane: u8, bytes: u32) {
        if let Some(pending) = self.all.get_mut(usize::from(lane)) {
            debug_assert!(bytes <= pending.bytes, "no more goes than was taken");
            let bytes = bytes.min(pending.bytes);
            pending.bytes -= bytes;
            self.bytes -= u64::from(bytes);
        }
    }

    /// The memory that a message wants which was refused, where its lane has room for it now.
    #[inline]
    pub fn owed(&self, limits: &Limits) -> Option<usize> {
        if self.refused == 0 {
            return None;
        }
        let has_room = |it: &&Pending| {
            let room = it.bytes + it.refused <= limits.outbox_max_bytes;
            it.refused > 0 && it.bytes <= limits.outbox_low_bytes && room
        };
        self.all.iter().filter(has_room).map(|it| it.refused as usize).min()
    }

    /// Refusals to be reported by a WRITABLE now; then none is owed.
    pub fn relieved(&mut self, limits: &Limits) -> Option<u32> {
        self.owed(limits)?;
        // Who finds another lane full still is refused again, and owed another one.
        self.all.iter_mut().for_each(|it| it.refused = 0);
        Some(std::mem::take(&mut self.refused))
    }

    /// Everything is given up; answers how many bytes that were.
    pub fn clear(&mut self) -> u64 {
        self.all.iter_mut().for_each(|it| it.bytes = 0);
        std::mem::take(&mut self.bytes)
    }

    /// What was known of the path when it was last looked at.
    pub fn facts(&self) -> &LaneFacts {
        &self.facts
    }

    /// Whether the facts are as old.
    pub fn wants_facts(&self, now: Millis, every: Millis) -> bool {
        self.facts_at == 0 || now >= self.facts_at + every
    }

    /// What is known of the path now.
    pub fn set_facts(&mut self, facts: LaneFacts, now: Millis) {
        (self.facts, self.facts_at) = (facts, now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> Limits {
        Limits { outbox_max_bytes: 1000, outbox_low_bytes: 250, ..Limits::default() }
    }

    #[test]
    fn each_lane_has_its_own_bound() {
        let (mut lanes, limits) = (Lanes::new(2), limits());
        assert_eq!(lanes.admit(&limits, 0, 1000), Ok(()));
        lanes.take(0, 1000);
        assert_eq!(lanes.admit(&limits, 0, 1), Err(SendError::Again));
        assert_eq!(lanes.admit(&limits, 1, 1000), Ok(()), "the other one has room");
        assert_eq!(lanes.admit(&limits, 1, 1001), Err(SendError::TooBig));
        assert_eq!(lanes.admit(&limits, 2, 1), Err(SendError::Malformed), "there is none");
        let close = Limits { overflow: Overflow::Close, ..limits };
        assert_eq!(lanes.admit(&close, 0, 1), Err(SendError::Overflow));
        assert_eq!(lanes.bytes(), 1000);
    }

    #[test]
    fn room_is_told_at_the_low_mark() {
        let (mut lanes, limits) = (Lanes::new(3), limits());
        lanes.take(2, 900);
        assert_eq!(lanes.relieved(&limits), None, "nobody was refused");
        assert_eq!(lanes.admit(&limits, 2, 200), Err(SendError::Again));
        assert_eq!(lanes.admit(&limits, 2, 800), Err(SendError::Again));
        lanes.release(2, 600);
        assert_eq!(lanes.relieved(&limits), None, "not low enough");
        lanes.release(2, 100);
        assert_eq!(lanes.relieved(&limits), Some(2));
        assert_eq!(lanes.relieved(&limits), None, "told once");
        assert_eq!(lanes.clear(), 200);
        assert_eq!(lanes.bytes(), 0);
    }
}

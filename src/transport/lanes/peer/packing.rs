//! What is in the next packet.

use super::outgoing::Room;
use super::wire::{VARINT_MAX, Writer};
use super::{Contents, MTU_MIN, OVERHEAD, OVERHEAD_WIDE, PAYLOAD_MAX, Peer, flag};
use crate::transport::lanes::Micros;

/// A payload to be sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ready {
    /// Its size.
    pub len: usize,
    /// The number of its packet.
    pub seq: u64,
    /// It is too long for a packet that is not wide.
    pub wide: bool,
}

impl Peer {
    /// Bytes that the envelope adds.
    fn overhead(&self) -> usize {
        if self.wide().is_some() { OVERHEAD_WIDE } else { OVERHEAD }
    }

    /// Writes the next payload. `next` is the number that its packet would have, and counts up.
    pub fn poll_payload(&mut self, next: &mut u64, out: &mut [u8], now: Micros) -> Option<Ready> {
        if *next > VARINT_MAX {
            return None;
        }
        if self.config.plain {
            let len = self.outgoing.pack_plain(out)?;
            *next += 1;
            return Some(Ready { len, seq: *next - 1, wide: false });
        }
        if self.turn.is_none_or(|turn| turn < now) {
            self.turn = Some(now);
            self.recovery.begin_turn(now);
        }
        self.flags &= !flag::BLOCKED;
        let probe = self.recovery.take_probe();
        let room = self.room(probe, out.len(), now);
        self.look_at_own_end();
        let asks = room.is_some() || self.flags & flag::FRAMES != 0;
        if !asks && self.acks.due().is_none_or(|due| now < due) {
            return None;
        }
        while asks && self.recovery.skips(*next) {
            *next += 1;
        }
        let (len, contents, bulk) = self.fill(room, asks, out, now);
        let seq = *next;
        *next += 1;
        let size = len + self.overhead();
        self.recovery.handle_sent(seq, size, contents, bulk, now);
        Some(Ready { len, seq, wide: len > PAYLOAD_MAX })
    }

    /// What the packet may have of messages. None: nothing.
    fn room(&mut self, probe: bool, most: usize, now: Micros) -> Option<Room> {
        let overhead = self.overhead();
        let limit = (MTU_MIN - overhead).min(most);
        let bulk_limit = (self.recovery.packet_bytes(MTU_MIN) - overhead).min(most);
        if probe {
            if !self.outgoing.probe(bulk_limit as u32) {
                self.flags |= flag::PING;
            }
            return Some(Room { limit, bulk: Some(bulk_limit) });
        }
        let (small, bulk) = self.outgoing.pending(&self.config.lanes, now);
        if bulk {
            self.recovery.bulk_pending(now);
        }
        let may_small = small && self.recovery.may_send(false, now);
        let may_bulk = bulk && self.recovery.may_send(true, now);
        if (small, bulk) != (may_small, may_bulk) {
            self.flags |= flag::BLOCKED;
        }
        let (small, bulk) = (may_small, may_bulk);
        (small || bulk).then_some(Room { limit, bulk: bulk.then_some(bulk_limit) })
    }

    /// END goes behind everything.
    fn look_at_own_end(&mut self) {
        let said = flag::END_SENT | flag::END_ACKED;
        if self.flags & flag::ENDING != 0 && self.flags & said == 0 && self.outgoing.is_sent() {
            self.flags |= flag::END | flag::END_SENT;
        }
    }

    /// Writes frames. Answers the size of the payload, what it carries where it asks for an
    /// acknowledgement, and whether there is bulk in it.
    fn fill(
        &mut self,
        room: Option<Room>,
        asks: bool,
        out: &mut [u8],
        now: Micros,
    ) -> (usize, Option<Contents>, bool) {
        let limit = (MTU_MIN - self.overhead()).min(out.len());
        let mut writer = Writer::new(out);
        let mut contents = Contents::default();
        let frames = self.flags & flag::FRAMES;
        self.flags &= !flag::FRAMES;
        if frames & flag::HELLO != 0 || (asks && self.hello.is_none()) {
            contents.flags |= flag::HELLO;
            writer.hello(&self.own_hello());
        }
        if frames & flag::CHALLENGE != 0 {
            writer.challenge(self.challenge);
        }
        if frames & flag::RESPONSE != 0 {
            writer.response(self.response);
        }
        if frames & flag::WINDOW != 0 {
            contents.flags |= flag::WINDOW;
            writer.window(self.incoming.window());
        }
        if frames & flag::END != 0 {
            contents.flags |= flag::END;
            writer.end(self.outgoing.counts(&self.config.lanes));
        }
        if frames & flag::PING != 0 {
            writer.ping();
        }
        if !self.acks.ranges().is_empty() {
            writer.ack(self.acks.ranges(), self.acks.delay(now), limit);
            contents.acked = Some(self.acks.handle_sent());
        }
        let mut bulk = false;
        if let Some(room) = room {
            let packed = self.outgoing.pack(&self.config.lanes, &mut writer, room, now);
            (contents.pieces, bulk) = (packed.pieces, packed.bulk);
        }
        (writer.finish(), asks.then_some(contents), bulk)
    }
}

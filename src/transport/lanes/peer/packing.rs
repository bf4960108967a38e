//! What is in the next packet.

use super::mtu::Mtu;
use super::outgoing::{Packed, Room};
use super::wire::{VARINT_MAX, Writer};
use super::{Contents, MTU_MIN, OVERHEAD, OVERHEAD_WIDE, PAYLOAD_MAX, Peer, flag};
use crate::transport::lanes::Micros;

/// A peer may keep an acknowledgement back for so long.
const ACK_DELAY_MAX: Micros = 100_000;

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

/// Why a packet is made, and what it may have of messages.
#[derive(Clone, Copy)]
enum Why {
    /// There is something for the peer that it is to acknowledge.
    Asks(Option<Room>),
    /// Acknowledgements are due, and nothing else.
    Acks,
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
        let probe = self.mtu.as_ref().and_then(|mtu| mtu.wants(now));
        if let Some(size) = probe {
            return Some(self.probe_mtu(size, next, out, now));
        }
        let why = self.why(out.len(), now)?;
        if let Why::Asks(_) = why {
            self.skip(next);
        }
        let (len, packed, flags, acked) = self.fill(why, out, now);
        if len == 0 {
            return None;
        }
        // What was due may not have gone, for want of allowance; acknowledgements are left then.
        let asks = packed.messages > 0 || flags != 0;
        let (seq, size) = (*next, len + self.overhead());
        *next += 1;
        let full = (size > MTU_MIN).then_some(seq as u32);
        let Packed { pieces, bulk, .. } = packed;
        let contents = asks.then_some(Contents { pieces, acked, flags, full });
        self.recovery.handle_sent(seq, size, contents, bulk, now);
        if bulk && self.mtu.is_none() && usize::from(self.datagram_max) > MTU_MIN {
            self.mtu = Some(Box::new(Mtu::new(self.datagram_max, now)));
        }
        Some(Ready { len, seq, wide: len > PAYLOAD_MAX })
    }

    /// Leaves out numbers that no honest peer acknowledges.
    fn skip(&mut self, next: &mut u64) {
        while self.recovery.skips(*next) {
            *next += 1;
        }
    }

    /// A packet that is as large as the path may take, of which recovery is not told.
    fn probe_mtu(&mut self, size: usize, next: &mut u64, out: &mut [u8], now: Micros) -> Ready {
        self.skip(next);
        let len = (size - OVERHEAD_WIDE).min(out.len());
        let mut writer = Writer::new(out);
        writer.ping();
        writer.padding(len);
        let seq = *next;
        *next += 1;
        self.recovery.handle_sent(seq, size, None, false, now);
        let patience = self.recovery.facts().pto + ACK_DELAY_MAX;
        if let Some(mtu) = &mut self.mtu {
            mtu.handle_sent(seq, size, patience, now);
        }
        Ready { len, seq, wide: true }
    }

    /// Whether there is to be a packet. `most`: bytes that it may have.
    fn why(&mut self, most: usize, now: Micros) -> Option<Why> {
        let overhead = self.overhead();
        let limit = (MTU_MIN - overhead).min(most);
        self.flags &= !flag::BLOCKED;
        if self.recovery.take_probe() {
            // It goes whatever the path takes.
            if !self.outgoing.probe(&self.config.lanes, limit as u32) {
                self.flags |= flag::PING;
            }
            return Some(Why::Asks(Some(Room { limit, bulk: Some(limit) })));
        }
        self.look_at_own_end();
        let (small, bulk) = self.outgoing.pending(&self.config.lanes, now);
        if bulk {
            self.recovery.bulk_pending(now);
        }
        let copies = self.outgoing.copy_due().is_some_and(|due| due <= now);
        let wants = small || copies;
        let small = wants && self.recovery.may_send(false, now);
        let may_bulk = bulk && self.recovery.may_send(true, now);
        if (wants, bulk) != (small, may_bulk) {
            self.flags |= flag::BLOCKED;
        }
        if small || may_bulk {
            let full = self.recovery.packet_bytes(self.path_mtu());
            let bulk = may_bulk.then(|| (full - overhead).min(most));
            return Some(Why::Asks(Some(Room { limit, bulk })));
        }
        if self.flags & flag::FRAMES != 0 {
            return Some(Why::Asks(None));
        }
        self.acks.due().filter(|&due| due <= now).map(|_| Why::Acks)
    }

    /// END goes behind everything.
    fn look_at_own_end(&mut self) {
        let said = flag::END_SENT | flag::END_ACKED;
        if self.flags & flag::ENDING != 0 && self.flags & said == 0 && self.outgoing.is_sent() {
            self.flags |= flag::END | flag::END_SENT;
        }
    }

    /// Writes frames. Answers the size of the payload, its messages, what else of it is to be sent
    /// again if it is lost, and the greatest number that it acknowledges.
    fn fill(&mut self, why: Why, out: &mut [u8], now: Micros) -> (usize, Packed, u32, Option<u64>) {
        let limit = (MTU_MIN - self.overhead()).min(out.len());
        let mut writer = Writer::new(out);
        let mut packed = Packed::default();
        let mut flags = 0;
        if let Why::Asks(_) = why {
            flags = self.write_frames(&mut writer);
        }
        let mut acked = None;
        if !self.acks.ranges().is_empty() {
            writer.ack(self.acks.ranges(), self.acks.delay(now), limit);
            acked = Some(self.acks.handle_sent());
        }
        if let Why::Asks(Some(room)) = why {
            if self.flags & flag::HEARD != 0
                && let Some(clock) = self.clock.get_or_insert_default().take(now)
            {
                writer.clock(&clock);
                flags |= flag::PING;
            }
            let Peer { outgoing, recovery, config, .. } = self;
            let may = |len| recovery.redundancy(len);
            outgoing.pack_copies(&mut writer, limit, now, &mut packed, may);
            outgoing.pack(&config.lanes, &mut writer, room, now, &mut packed);
        }
        (writer.finish(), packed, flags, acked)
    }

    /// Writes what is neither an acknowledgement nor a message. Answers what it was.
    fn write_frames(&mut self, writer: &mut Writer<'_>) -> u32 {
        let mut frames = self.flags & flag::FRAMES;
        self.flags &= !flag::FRAMES;
        if self.flags & flag::HEARD == 0 {
            frames |= flag::HELLO;
        }
        if frames & flag::HELLO != 0 {
            writer.hello(&self.own_hello());
        }
        if let Some(paths) = &self.paths {
            if frames & flag::CHALLENGE != 0 {
                writer.challenge(paths.challenge);
            }
            if frames & flag::RESPONSE != 0 {
                writer.response(paths.response);
            }
        }
        if frames & flag::WINDOW != 0 {
            writer.window(self.incoming.window());
        }
        if frames & flag::END != 0 {
            writer.end(self.outgoing.counts(&self.config.lanes));
        }
        if frames & flag::PING != 0 {
            writer.ping();
        }
        frames
    }
}

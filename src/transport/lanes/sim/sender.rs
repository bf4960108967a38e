//! The end of a flow that writes: the least that a connection needs around `Recovery`.

use std::collections::{BTreeMap, VecDeque};

use super::{Body, Datagram, Kind, Message, Micros, Node};
use crate::transport::lanes::recovery::{COPIES, COPY_GAP, Fate, Recovery};

/// What a full packet has beside bulk: the envelope, frame headers, ranges.
const OVERHEAD: usize = 80;
/// What a packet has beside its messages, and what a message has beside its bytes.
const PACKET: usize = 25 + 4;
const FRAME: usize = 4;
const MTU: usize = 1_200;

pub struct Sender {
    pub recovery: Recovery<Vec<Message>>,
    next: u64,
    unreliable: VecDeque<Message>,
    reliable: BTreeMap<u64, Pending>,
    /// Copies are sent of small reliable messages.
    copies: u8,
    /// Bytes of bulk that were not sent yet, and what comes next.
    bulk: u64,
    bulk_id: u64,
    /// Bulk that is not acknowledged, and that of it which was lost.
    unacked: BTreeMap<u64, Message>,
    again: VecDeque<Message>,
}

/// A small reliable message that is not acknowledged.
struct Pending {
    message: Message,
    sent: u8,
    last: Micros,
    lost: bool,
}

impl Sender {
    pub fn new(recovery: Recovery<Vec<Message>>, copies: u8) -> Self {
        Self {
            recovery,
            next: 0,
            unreliable: VecDeque::new(),
            reliable: BTreeMap::new(),
            copies,
            bulk: 0,
            bulk_id: 0,
            unacked: BTreeMap::new(),
            again: VecDeque::new(),
        }
    }

    /// With copies of small reliable messages.
    pub fn with_copies(recovery: Recovery<Vec<Message>>) -> Self {
        Self::new(recovery, COPIES)
    }

    fn tell(&mut self, told: Vec<(Message, Fate)>) {
        for (piece, fate) in told {
            match (piece.kind, fate) {
                (Kind::Bulk, Fate::Acked) => {
                    self.unacked.remove(&piece.id);
                }
                (Kind::Bulk, Fate::Lost) => self.again.push_back(piece),
                (Kind::Reliable, Fate::Acked) => {
                    self.reliable.remove(&piece.id);
                }
                (Kind::Reliable, Fate::Lost) => {
                    if let Some(pending) = self.reliable.get_mut(&piece.id) {
                        pending.lost = true;
                    }
                }
                (Kind::Unreliable, _) => {}
            }
        }
    }

    /// Small messages of one packet.
    fn pack_small(&mut self, probe: bool, now: Micros) -> (Vec<Message>, usize) {
        let (mut pieces, mut size) = (Vec::new(), PACKET);
        while let Some(message) = self.unreliable.front()
            && size + message.bytes as usize + FRAME <= MTU
        {
            size += message.bytes as usize + FRAME;
            pieces.extend(self.unreliable.pop_front());
        }
        let mut probe = probe;
        for pending in self.reliable.values_mut() {
            let bytes = pending.message.bytes as usize;
            let fits = size + bytes + FRAME <= MTU;
            let due = pending.sent < self.copies && now >= pending.last + COPY_GAP;
            let first = pending.sent == 0 || pending.lost;
            let copy = fits && !first && due && self.recovery.redundancy(bytes + FRAME);
            if fits && (first || copy || std::mem::take(&mut probe)) {
                size += bytes + FRAME;
                pieces.push(pending.message);
                pending.sent = pending.sent.saturating_add(1);
                pending.last = now;
                pending.lost = false;
            }
        }
        (pieces, size)
    }

    /// Bulk of one packet: what was lost before what is new.
    fn pack_bulk(&mut self) -> Option<(Message, usize)> {
        while let Some(piece) = self.again.pop_front() {
            if self.unacked.contains_key(&piece.id) {
                return Some((piece, piece.bytes as usize + OVERHEAD));
            }
        }
        if self.bulk == 0 {
            return None;
        }
        let room = self.recovery.packet_bytes(MTU) - OVERHEAD;
        let bytes = self.bulk.min(room as u64);
        let piece = Message { kind: Kind::Bulk, id: self.bulk_id, bytes, at: 0 };
        self.bulk_id += 1;
        self.bulk -= bytes;
        self.unacked.insert(piece.id, piece);
        Some((piece, bytes as usize + OVERHEAD))
    }

    fn has_bulk(&mut self) -> bool {
        while let Some(piece) = self.again.front()
            && !self.unacked.contains_key(&piece.id)
        {
            self.again.pop_front();
        }
        self.bulk > 0 || !self.again.is_empty()
    }

    fn has_small(&self, now: Micros) -> bool {
        !self.unreliable.is_empty()
            || self.reliable.values().any(|pending| {
                let due = pending.sent < self.copies && now >= pending.last + COPY_GAP;
                pending.sent == 0 || pending.lost || due
            })
    }

    fn seal(&mut self, pieces: Vec<Message>, size: usize, bulk: bool, now: Micros) -> Datagram {
        while self.recovery.skips(self.next) {
            self.next += 1;
        }
        let seq = self.next;
        self.next += 1;
        self.recovery.handle_sent(seq, size, Some(pieces.clone()), bulk, now);
        Datagram { seq, size, body: Body::Pieces(pieces) }
    }
}

impl Node for Sender {
    fn write(&mut self, message: Message, _now: Micros) {
        match message.kind {
            Kind::Bulk => self.bulk += message.bytes,
            Kind::Unreliable => self.unreliable.push_back(message),
            Kind::Reliable => {
                let pending = Pending { message, sent: 0, last: 0, lost: false };
                self.reliable.insert(message.id, pending);
            }
        }
    }

    fn receive(&mut self, datagram: Datagram, now: Micros) {
        let Body::Ack(ack) = datagram.body else { return };
        let mut told = Vec::new();
        let tell = |pieces: &Vec<Message>, fate| {
            told.extend(pieces.iter().map(|piece| (*piece, fate)));
        };
        let done = self.recovery.handle_ack(&ack.ranges, ack.delay, now, tell);
        assert_eq!(done, Ok(()), "an honest peer was taken for a liar");
        self.tell(told);
    }

    fn turn(&mut self, now: Micros) -> Vec<Datagram> {
        let mut out = Vec::new();
        self.recovery.begin_turn(now);
        while self.recovery.take_probe() {
            let (mut pieces, mut size) = self.pack_small(true, now);
            if pieces.is_empty() {
                // A PING, or the oldest bulk.
                let oldest = self.unacked.values().next().copied();
                size = oldest.map_or(PACKET, |piece| piece.bytes as usize + OVERHEAD);
                pieces.extend(oldest);
            }
            out.push(self.seal(pieces, size, false, now));
        }
        if self.has_bulk() {
            self.recovery.bulk_pending(now);
        }
        while self.has_small(now) && self.recovery.may_send(false, now) {
            let (pieces, size) = self.pack_small(false, now);
            if pieces.is_empty() {
                break;
            }
            out.push(self.seal(pieces, size, false, now));
        }
        while self.has_bulk() && self.recovery.may_send(true, now) {
            let Some((piece, size)) = self.pack_bulk() else { break };
            out.push(self.seal(vec![piece], size, true, now));
        }
        out
    }

    fn poll_timeout(&self, now: Micros) -> Option<Micros> {
        let waits = self.bulk > 0 || !self.again.is_empty() || !self.unreliable.is_empty();
        let send = if waits { self.recovery.next_send(now) } else { None };
        let copies = self.reliable.values().filter(|pending| pending.sent < self.copies);
        let copy = copies.map(|pending| pending.last + COPY_GAP).min();
        [self.recovery.poll_timeout(), send, copy].into_iter().flatten().min()
    }

    fn handle_timeout(&mut self, now: Micros) {
        let mut told = Vec::new();
        let tell = |pieces: &Vec<Message>, fate| {
            told.extend(pieces.iter().map(|piece| (*piece, fate)));
        };
        self.recovery.handle_timeout(now, tell);
        self.tell(told);
    }

    fn take_delivered(&mut self) -> Vec<Message> {
        Vec::new()
    }
}

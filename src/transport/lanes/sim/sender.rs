//! The end of a flow that writes bulk: the least that a connection needs around `Recovery`.

use std::collections::{BTreeMap, VecDeque};

use super::{Body, Datagram, Kind, Message, Micros, Node};
use crate::transport::lanes::recovery::{Fate, Recovery};

/// What a full packet has beside bulk: the envelope, frame headers, ranges.
const OVERHEAD: usize = 80;
const MTU: usize = 1_200;

pub struct Sender {
    pub recovery: Recovery<Message>,
    next: u64,
    /// Bytes that were not sent yet, and the number of the next piece.
    bulk: u64,
    bulk_id: u64,
    /// What is not acknowledged, and what of it was lost.
    unacked: BTreeMap<u64, Message>,
    again: VecDeque<Message>,
}

impl Sender {
    pub fn new(recovery: Recovery<Message>) -> Self {
        Self {
            recovery,
            next: 0,
            bulk: 0,
            bulk_id: 0,
            unacked: BTreeMap::new(),
            again: VecDeque::new(),
        }
    }

    fn tell(&mut self, told: Vec<(Message, Fate)>) {
        for (piece, fate) in told {
            match fate {
                Fate::Acked => {
                    self.unacked.remove(&piece.id);
                }
                Fate::Lost => self.again.push_back(piece),
            }
        }
    }

    /// What was lost before what is new.
    fn pack(&mut self) -> Option<Message> {
        if self.has_lost() {
            return self.again.pop_front();
        }
        let room = (self.recovery.packet_bytes(MTU) - OVERHEAD) as u64;
        let bytes = self.bulk.min(room);
        let piece = Message { kind: Kind::Bulk, id: self.bulk_id, bytes, at: 0 };
        self.bulk_id += 1;
        self.bulk -= bytes;
        self.unacked.insert(piece.id, piece);
        (bytes > 0).then_some(piece)
    }

    fn has_lost(&mut self) -> bool {
        while let Some(piece) = self.again.front()
            && !self.unacked.contains_key(&piece.id)
        {
            self.again.pop_front();
        }
        !self.again.is_empty()
    }

    fn seal(&mut self, piece: Message, now: Micros) -> Datagram {
        while self.recovery.skips(self.next) {
            self.next += 1;
        }
        let (seq, size) = (self.next, piece.bytes as usize + OVERHEAD);
        self.next += 1;
        self.recovery.handle_sent(seq, size, Some(piece), true, now);
        Datagram { seq, size, body: Body::Pieces(vec![piece]) }
    }
}

impl Node for Sender {
    fn write(&mut self, message: Message, _now: Micros) {
        assert_eq!(message.kind, Kind::Bulk);
        self.bulk += message.bytes;
    }

    fn receive(&mut self, datagram: Datagram, now: Micros) {
        let Body::Ack(ack) = datagram.body else { return };
        let mut told = Vec::new();
        let tell = |piece: &Message, fate| told.push((*piece, fate));
        let done = self.recovery.handle_ack(&ack.ranges, ack.delay, now, tell);
        assert_eq!(done, Ok(()), "an honest peer was taken for a liar");
        self.tell(told);
    }

    fn turn(&mut self, now: Micros) -> Vec<Datagram> {
        let mut out = Vec::new();
        self.recovery.begin_turn(now);
        while self.recovery.take_probe() {
            if let Some(oldest) = self.unacked.values().next().copied() {
                out.push(self.seal(oldest, now));
            }
        }
        if self.bulk > 0 || self.has_lost() {
            self.recovery.bulk_pending(now);
        }
        while (self.bulk > 0 || self.has_lost()) && self.recovery.may_send(true, now) {
            let Some(piece) = self.pack() else { break };
            out.push(self.seal(piece, now));
        }
        out
    }

    fn poll_timeout(&self, now: Micros) -> Option<Micros> {
        let waits = self.bulk > 0 || !self.again.is_empty();
        let send = if waits { self.recovery.next_send(now) } else { None };
        [self.recovery.poll_timeout(), send].into_iter().flatten().min()
    }

    fn handle_timeout(&mut self, now: Micros) {
        let mut told = Vec::new();
        self.recovery.handle_timeout(now, |piece, fate| told.push((*piece, fate)));
        self.tell(told);
    }

    fn take_delivered(&mut self) -> Vec<Message> {
        Vec::new()
    }
}

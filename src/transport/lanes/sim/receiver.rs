//! The end of a flow that reads bulk and acknowledges it.

use std::collections::HashSet;

use super::{Acks, Body, Datagram, Message, Micros, Node};
use crate::transport::lanes::recovery::{Control, RateConfig, Recovery};

/// Ranges of an ACK at most.
const RANGES: usize = 32;

pub struct Receiver {
    /// For the policy alone: nothing is sent but ACKs.
    recovery: Recovery<()>,
    /// What was received: from, to, oldest first.
    ranges: Vec<(u64, u64)>,
    newest_at: Micros,
    unacked: u32,
    due: Option<Micros>,
    at_once: bool,
    seen: HashSet<u64>,
    delivered: Vec<Message>,
}

impl Receiver {
    pub fn new() -> Self {
        let config = RateConfig { control: Control::Fixed, ..RateConfig::default() };
        Self {
            recovery: Recovery::new(config, None, 0, 0),
            ranges: Vec::new(),
            newest_at: 0,
            unacked: 0,
            due: None,
            at_once: false,
            seen: HashSet::new(),
            delivered: Vec::new(),
        }
    }

    /// False: it was there. A packet out of order is acknowledged at once.
    fn insert(&mut self, seq: u64) -> bool {
        let at = self.ranges.partition_point(|range| range.1 < seq);
        if self.ranges.get(at).is_some_and(|range| range.0 <= seq) {
            return false;
        }
        let joins_left = at > 0 && self.ranges[at - 1].1 + 1 == seq;
        let joins_right = self.ranges.get(at).is_some_and(|range| range.0 == seq + 1);
        self.at_once |= at < self.ranges.len() || !joins_left;
        match (joins_left, joins_right) {
            (true, true) => {
                self.ranges[at - 1].1 = self.ranges[at].1;
                self.ranges.remove(at);
            }
            (true, false) => self.ranges[at - 1].1 = seq,
            (false, true) => self.ranges[at].0 = seq,
            (false, false) => self.ranges.insert(at, (seq, seq)),
        }
        if self.ranges.len() > RANGES {
            self.ranges.remove(0);
        }
        true
    }
}

impl Node for Receiver {
    fn write(&mut self, _message: Message, _now: Micros) {
        unreachable!("it only reads");
    }

    fn receive(&mut self, datagram: Datagram, now: Micros) {
        let Body::Pieces(pieces) = datagram.body else { return };
        if !self.insert(datagram.seq) {
            return;
        }
        self.recovery.handle_received(datagram.size, now);
        self.newest_at = now;
        self.unacked += 1;
        let policy = self.recovery.ack_policy();
        let due = now + policy.delay;
        self.due = Some(self.due.map_or(due, |at| at.min(due)));
        self.at_once |= self.unacked >= policy.packets;
        for piece in pieces {
            if self.seen.insert(piece.id) {
                self.delivered.push(piece);
            }
        }
    }

    fn turn(&mut self, now: Micros) -> Vec<Datagram> {
        if !self.at_once && self.due.is_none_or(|due| now < due) {
            return Vec::new();
        }
        self.at_once = false;
        self.due = None;
        self.unacked = 0;
        let ranges = self.ranges.iter().rev().map(|range| range.0..=range.1).collect::<Vec<_>>();
        let size = 25 + 6 + 3 * (ranges.len() - 1);
        let ack = Acks { ranges, delay: now - self.newest_at };
        vec![Datagram { seq: 0, size, body: Body::Ack(ack) }]
    }

    fn poll_timeout(&self, _now: Micros) -> Option<Micros> {
        self.due
    }

    fn handle_timeout(&mut self, _now: Micros) {}

    fn take_delivered(&mut self) -> Vec<Message> {
        std::mem::take(&mut self.delivered)
    }
}

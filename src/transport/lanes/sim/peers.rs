//! Two real peers as a flow: what `sender` and `receiver` stand for in the small.

use std::collections::HashSet;
use std::sync::Arc;

use super::{Body, Datagram, Kind, Message, Micros, Node};
use crate::buf::Pool;
use crate::session::{Key, Side};
use crate::transport::lanes::peer::{Config, Message as Outgoing, OVERHEAD, OVERHEAD_WIDE};
use crate::transport::lanes::peer::{Peer, PeerEvent};
use crate::transport::lanes::recovery::RateConfig;
use crate::transport::lanes::{LaneKind, LaneOptions};

/// Small messages go before bulk, each kind on a lane of its own.
const LANES: [LaneOptions; 3] = [
    LaneOptions { kind: LaneKind::Unreliable, priority: 0, weight: 1 },
    LaneOptions { kind: LaneKind::Ordered, priority: 0, weight: 1 },
    LaneOptions { kind: LaneKind::Reliable, priority: 1, weight: 1 },
];
/// Bulk is written in messages of so many bytes, and so many of them are pending at most.
const CHUNK: u64 = 8 << 10;
const PENDING: u64 = 1_024;
/// A peer holds at most what the other may send ahead, and a little that is unreliable.
const HELD_MAX: usize = 6 << 20;
/// A message begins with what it is.
const HEADER: usize = 1 + 8 + 8;

pub struct PeerNode {
    peer: Peer,
    pool: Pool,
    next: u64,
    /// The envelope lets no packet through twice.
    seen: HashSet<u64>,
    /// Bytes of bulk that were not written, messages of it that were, and those pending.
    bulk: u64,
    bulk_id: u64,
    pending: u64,
    delivered: Vec<Message>,
    out: Vec<u8>,
}

/// The writer and the reader of a flow. `rtt`: what the handshake took.
pub fn peers(rate: RateConfig, rtt: Option<Micros>, seed: u64) -> [Box<dyn Node>; 2] {
    let config = Arc::new(Config {
        lanes: LANES.into(),
        message_max_bytes: 512 << 10,
        rate,
        mtu_max: 1_472,
        plain: false,
    });
    [Side::Connected, Side::Accepted].map(|side| {
        let peer = Peer::new(&config, side, 1, rtt, seed, 0);
        Box::new(PeerNode {
            peer,
            pool: Pool::new(1 << 30),
            next: 1,
            seen: HashSet::new(),
            bulk: 0,
            bulk_id: 0,
            pending: 0,
            delivered: Vec::new(),
            out: vec![0; 65_536],
        }) as Box<dyn Node>
    })
}

impl PeerNode {
    fn write_message(&mut self, message: Message) {
        let mut bytes = vec![0; (message.bytes as usize).max(HEADER)];
        bytes[0] = message.kind as u8;
        bytes[1..9].copy_from_slice(&message.id.to_be_bytes());
        bytes[9..HEADER].copy_from_slice(&message.at.to_be_bytes());
        let data = self.pool.take(bytes.len()).expect("the pool is large").write(&bytes).into();
        let lane = message.kind as u8;
        self.peer.write(Outgoing { lane, data, deadline: None, key: Key::default() });
    }

    fn write_bulk(&mut self, now: Micros) {
        while self.bulk > 0 && self.pending < PENDING {
            let bytes = self.bulk.min(CHUNK);
            self.bulk -= bytes;
            self.pending += 1;
            self.write_message(Message { kind: Kind::Bulk, id: self.bulk_id, bytes, at: now });
            self.bulk_id += 1;
        }
    }

    fn look(&mut self, now: Micros) {
        while let Some(event) = self.peer.poll_event() {
            match event {
                PeerEvent::Readable => self.read(),
                PeerEvent::Released { lane, messages, .. } if lane == Kind::Bulk as u8 => {
                    self.pending -= u64::from(messages);
                }
                _ => {}
            }
        }
        self.write_bulk(now);
    }

    fn read(&mut self) {
        let kinds = [Kind::Unreliable, Kind::Reliable, Kind::Bulk];
        while let Some(message) = self.peer.read() {
            let bytes = message.data.to_vec();
            let number = |at: usize| {
                bytes[at..at + 8].iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
            };
            let (id, at) = (number(1), number(9));
            let kind = kinds[usize::from(bytes[0])];
            assert_eq!(usize::from(message.lane), kind as usize);
            self.delivered.push(Message { kind, id, bytes: bytes.len() as u64, at });
        }
    }
}

impl Node for PeerNode {
    fn write(&mut self, message: Message, now: Micros) {
        if message.kind == Kind::Bulk {
            self.bulk += message.bytes;
            self.write_bulk(now);
        } else {
            self.write_message(message);
        }
    }

    fn receive(&mut self, datagram: Datagram, now: Micros) {
        let Body::Payload { wide, bytes } = datagram.body else { return };
        if self.seen.insert(datagram.seq) {
            let done = self.peer.handle_payload(datagram.seq, wide, &bytes, &self.pool, now);
            assert_eq!(done, Ok(()));
            assert!(self.peer.held_bytes() <= HELD_MAX, "{}", self.peer.held_bytes());
            self.look(now);
        }
    }

    fn turn(&mut self, now: Micros) -> Vec<Datagram> {
        let mut datagrams = Vec::new();
        while let Some(ready) = self.peer.poll_payload(&mut self.next, &mut self.out, now) {
            let overhead = if ready.wide { OVERHEAD_WIDE } else { OVERHEAD };
            let bytes = self.out[..ready.len].to_vec();
            datagrams.push(Datagram {
                seq: ready.seq,
                size: ready.len + overhead,
                body: Body::Payload { wide: ready.wide, bytes },
            });
        }
        self.look(now);
        datagrams
    }

    fn poll_timeout(&self, _now: Micros) -> Option<Micros> {
        self.peer.poll_timeout()
    }

    fn handle_timeout(&mut self, now: Micros) {
        self.peer.handle_timeout(now);
        self.look(now);
    }

    fn take_delivered(&mut self) -> Vec<Message> {
        std::mem::take(&mut self.delivered)
    }
}

//! One established connection: messages in lanes, and the frames that carry them.
//!
//! A `Peer` knows neither keys nor addresses. What the envelope has decrypted goes to
//! `handle_payload`, which no packet reaches twice; what `poll_payload` writes is encrypted and
//! sent. `incoming` is what arrives, `outgoing` what leaves, `acks` what is acknowledged; what was
//! lost and how fast to send is decided by `recovery`. `docs/lanes.md` specifies the wire.

mod acks;
mod asked;
mod clock;
mod incoming;
mod message;
mod mtu;
mod outgoing;
mod packing;
#[cfg(test)]
mod tests;
mod wire;

pub use message::{Data, Incoming as Received, Message};
pub use packing::Ready;

use super::recovery::{Facts, Fate, RateConfig, Recovery};
use super::{LaneOptions, Micros};
use crate::buf::Pool;
use crate::session::{Cause, Side};
use acks::Acks;
use clock::Clock;
use incoming::{CREDIT_FIRST, Fault, Incoming};
use mtu::Mtu;
use outgoing::{Outgoing, Pieces};
use std::sync::Arc;
use wire::{Ack, Frame, Hello, Malformed, RANGES_MAX, VARINT_MAX, VERSION};

/// Bytes that the envelope adds to a payload at most.
pub const OVERHEAD: usize = 25;
/// The same where the packet has the id of its connection.
pub const OVERHEAD_WIDE: usize = 33;
/// The datagram that every path takes.
pub const MTU_MIN: usize = 1200;
/// The longest payload of a packet that is not wide.
pub const PAYLOAD_MAX: usize = 1200;

/// What the peers of an endpoint have in common.
#[derive(Clone, Debug)]
pub struct Config {
    /// 1 to 16, the same at both ends.
    pub lanes: Vec<LaneOptions>,
    /// The longest message that may arrive.
    pub message_max_bytes: u32,
    /// How its rate is found.
    pub rate: RateConfig,
    /// The largest datagram.
    pub mtu_max: usize,
    /// There are no lanes: a payload is a message.
    pub plain: bool,
}

/// What happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PeerEvent {
    /// There is something to be read. Not said again before `read` had nothing.
    Readable,
    /// Messages are pending no more: they were acknowledged, sent where nothing is acknowledged, or
    /// dropped.
    Released {
        /// Their lane.
        lane: u8,
        /// Their bytes.
        bytes: u32,
        /// How many.
        messages: u32,
    },
    /// The peer sends no reliable message any more, and all that it sent can be read.
    Ended,
    /// The peer has everything that was written, and knows that nothing follows.
    EndAcked,
    /// The peer has answered `challenge` with these bytes.
    Responded([u8; 8]),
    /// The path takes datagrams of another size.
    MtuChanged(usize),
}

/// One connection. See the module.
pub struct Peer {
    config: Arc<Config>,
    recovery: Recovery<Contents>,
    incoming: Incoming,
    outgoing: Outgoing,
    acks: Acks,
    /// The number by which a server finds this connection; a client's once it was heard.
    id: u64,
    /// The largest datagram that both ends take, as far as that was heard.
    datagram_max: u16,
    /// Frames to be sent, and what was said: bits of `flag`.
    flags: u32,
    /// Whether an address is the peer's, where that was asked.
    paths: Option<Box<Paths>>,
    /// Where there was something to send.
    clock: Option<Box<Clock>>,
    /// Where there was bulk to send.
    mtu: Option<Box<Mtu>>,
    /// The encoded counts of the peer's END.
    ended: Option<Box<[u8]>>,
    /// The turn that packets leave in.
    turn: Option<Micros>,
    side: Side,
}

/// What was asked, what is to be answered, and what was.
#[derive(Default)]
struct Paths {
    challenge: [u8; 8],
    response: [u8; 8],
    responded: [u8; 8],
}

/// Bits of `Peer::flags`, and of `Contents::flags` up to `END`.
mod flag {
    /// HELLO is to be sent, or was.
    pub const HELLO: u32 = 1;
    /// WINDOW is to be sent, or was.
    pub const WINDOW: u32 = 2;
    /// END is to be sent, or was.
    pub const END: u32 = 4;
    /// PING is to be sent.
    pub const PING: u32 = 8;
    pub const CHALLENGE: u32 = 16;
    pub const RESPONSE: u32 = 32;
    /// What was to be sent was refused by the rate.
    pub const BLOCKED: u32 = 128;
    /// The host has said that nothing follows.
    pub const ENDING: u32 = 256;
    /// The peer has END.
    pub const END_ACKED: u32 = 512;
    /// `PeerEvent::EndAcked` was reported.
    pub const END_TOLD: u32 = 1024;
    /// `PeerEvent::Readable` was reported.
    pub const READABLE: u32 = 2048;
    /// `PeerEvent::Ended` was reported.
    pub const ENDED_TOLD: u32 = 4096;
    /// `PeerEvent::Responded` is to be reported.
    pub const RESPONDED: u32 = 8192;
    /// Everything before the peer's END came.
    pub const ENDED: u32 = 16384;
    /// END was sent.
    pub const END_SENT: u32 = 32768;
    /// The peer has said what it is.
    pub const HEARD: u32 = 65536;
    /// `PeerEvent::MtuChanged` is to be reported.
    pub const MTU_CHANGED: u32 = 131_072;
    /// Frames that make a packet.
    pub const FRAMES: u32 = HELLO | WINDOW | END | PING | CHALLENGE | RESPONSE;
}

/// What a packet carried.
#[derive(Default, Debug)]
pub struct Contents {
    pieces: Pieces,
    /// The largest number that it acknowledged.
    acked: Option<u64>,
    flags: u32,
    /// Where the packet is larger than every path takes, the low half of its number.
    full: Option<u32>,
}

impl Peer {
    /// `id`: what the server calls the connection; 0 at the client. `rtt`: what the handshake took,
    /// if it was measured.
    pub fn new(
        config: &Arc<Config>,
        side: Side,
        id: u64,
        rtt: Option<Micros>,
        seed: u64,
        now: Micros,
    ) -> Peer {
        let lanes = config.lanes.len().max(1);
        Peer {
            config: config.clone(),
            recovery: Recovery::new(config.rate, rtt, seed, now),
            incoming: Incoming::new(lanes, config.message_max_bytes),
            outgoing: Outgoing::new(lanes, CREDIT_FIRST),
            acks: Acks::default(),
            id,
            datagram_max: MTU_MIN as u16,
            flags: if config.plain { 0 } else { flag::HELLO | flag::WINDOW },
            paths: None,
            clock: None,
            mtu: None,
            ended: None,
            turn: None,
            side,
        }
    }

    /// A payload came, in a packet that did not come before. An error ends the connection. Where
    /// there is no memory for it, it is as if it had not come.
    pub fn handle_payload(
        &mut self,
        seq: u64,
        wide: bool,
        payload: &[u8],
        pool: &Pool,
        now: Micros,
    ) -> Result<(), Cause> {
        if self.config.plain {
            // What there is no memory for is lost, as datagrams are.
            let _ = self.incoming.handle_plain(payload, pool);
            return Ok(());
        }
        if seq > VARINT_MAX {
            return Err(Cause::Protocol);
        }
        if self.acks.contains(seq) {
            return Ok(());
        }
        match self.handle_frames(payload, pool, now) {
            Ok(Asks { anything, reliable }) => {
                let apart = self.acks.insert(seq, now);
                if anything {
                    let overhead = if wide { OVERHEAD_WIDE } else { OVERHEAD };
                    self.recovery.handle_received(payload.len() + overhead, now);
                    self.acks.expect(reliable, apart, self.recovery.ack_policy(), now);
                }
                Ok(())
            }
            Err(Fault::Refused) => Ok(()),
            Err(Fault::Broken(cause)) => Err(cause),
        }
    }

    fn handle_frames(
        &mut self,
        mut payload: &[u8],
        pool: &Pool,
        now: Micros,
    ) -> Result<Asks, Fault> {
        let mut asks = Asks::default();
        while let Some(frame) = wire::take_frame(&mut payload)? {
            asks.anything |= !matches!(frame, Frame::Ack(_));
            match frame {
                Frame::Message(part) => {
                    asks.reliable |= self.incoming.handle(&self.config.lanes, &part, pool)?;
                    self.look_at_end()?;
                }
                Frame::Ack(ack) => self.handle_ack(&ack, now)?,
                Frame::Ping => {}
                Frame::Window(credit) => {
                    self.outgoing.credit = self.outgoing.credit.max(credit);
                }
                Frame::End(counts) => {
                    asks.reliable = true;
                    self.incoming.is_complete(&self.config.lanes, counts.clone())?;
                    self.ended.get_or_insert_with(|| counts.bytes().into());
                    self.look_at_end()?;
                }
                Frame::Hello(hello) => {
                    asks.reliable = true;
                    self.handle_hello(hello)?;
                }
                Frame::Challenge(data) => {
                    self.paths.get_or_insert_default().response = data;
                    self.flags |= flag::RESPONSE;
                }
                Frame::Response(data) => {
                    self.paths.get_or_insert_default().responded = data;
                    self.flags |= flag::RESPONDED;
                }
                Frame::Clock(clock) => {
                    self.clock.get_or_insert_default().handle(&clock, now);
                }
            }
        }
        Ok(asks)
    }

    fn handle_ack(&mut self, ack: &Ack<'_>, now: Micros) -> Result<(), Fault> {
        let (one, mut all);
        let ranges = if let Some(range) = ack.range() {
            one = [range];
            &one[..]
        } else {
            all = [const { 0..=0 }; RANGES_MAX];
            let count = ack.ranges(&mut all)?;
            &all[..count]
        };
        if let Some(mtu) = &mut self.mtu {
            let mut ranges = ranges.iter();
            if ranges.any(|range| mtu.handle_acked(*range.start(), *range.end(), now)) {
                self.flags |= flag::MTU_CHANGED;
            }
        }
        let (recovery, mut books) = self.books();
        let fate = |contents: &Contents, fate| books.settle(contents, fate, now);
        let forged = |_| Fault::Broken(Cause::Protocol);
        recovery.handle_ack(ranges, ack.delay, now, fate).map_err(forged)
    }

    /// What learns of the fate of packets, beside what decides it.
    fn books(&mut self) -> (&mut Recovery<Contents>, Books<'_>) {
        let Peer { recovery, outgoing, acks, flags, mtu, .. } = self;
        (recovery, Books { outgoing, acks, flags, mtu: mtu.as_deref_mut() })
    }

    fn handle_hello(&mut self, hello: Hello) -> Result<(), Fault> {
        if self.flags & flag::HEARD != 0 {
            return Ok(());
        }
        let own = self.own_hello();
        if hello.version == VERSION && (hello.lanes, hello.kinds) != (own.lanes, own.kinds) {
            return Err(Fault::Broken(Cause::Version));
        }
        self.flags |= flag::HEARD;
        if self.side == Side::Connected {
            self.id = hello.id;
        }
        let most = hello.datagram_max.min(self.config.mtu_max as u64);
        self.datagram_max = u16::try_from(most).unwrap_or(u16::MAX).max(MTU_MIN as u16);
        Ok(())
    }

    fn own_hello(&self) -> Hello {
        let lanes = &self.config.lanes;
        let kinds = lanes.iter().rev().fold(0, |kinds, lane| kinds << 2 | lane.kind as u32);
        Hello {
            version: VERSION,
            features: 0,
            datagram_max: self.config.mtu_max as u64,
            id: if self.side == Side::Accepted { self.id } else { 0 },
            lanes: lanes.len() as u8,
            kinds,
        }
    }

    /// Whether everything before the peer's END is here.
    fn look_at_end(&mut self) -> Result<(), Fault> {
        let Some(counts) = &self.ended else { return Ok(()) };
        if self.incoming.is_complete(&self.config.lanes, wire::Counts::new(counts))? {
            self.flags |= flag::ENDED;
        }
        Ok(())
    }

    /// Takes a message, always: the endpoint bounds what is pending of each lane.
    pub fn write(&mut self, message: Message) {
        debug_assert!(usize::from(message.lane) < self.config.lanes.len().max(1));
        self.outgoing.write(message);
    }

    /// Nothing is written any more. `EndAcked` follows when the peer has everything.
    pub fn end(&mut self) {
        self.flags |= flag::ENDING;
    }

    /// The next message that came.
    pub fn read(&mut self) -> Option<Received> {
        let message = self.incoming.read();
        if message.is_none() {
            self.flags &= !flag::READABLE;
        } else if !self.config.plain && self.incoming.owes_window() {
            self.flags |= flag::WINDOW;
        }
        message
    }

    /// What happened.
    pub fn poll_event(&mut self) -> Option<PeerEvent> {
        if self.incoming.has_unread() && self.flags & flag::READABLE == 0 {
            self.flags |= flag::READABLE;
            return Some(PeerEvent::Readable);
        }
        if let Some((lane, released)) = self.outgoing.take_released() {
            let outgoing::Released { bytes, messages } = released;
            return Some(PeerEvent::Released { lane, bytes, messages });
        }
        if self.take(flag::MTU_CHANGED) {
            return Some(PeerEvent::MtuChanged(self.path_mtu()));
        }
        if self.take(flag::RESPONDED) {
            let paths = self.paths.as_deref().map(|paths| paths.responded);
            return Some(PeerEvent::Responded(paths.unwrap_or_default()));
        }
        if self.flags & (flag::ENDED | flag::ENDED_TOLD) == flag::ENDED {
            self.flags |= flag::ENDED_TOLD;
            return Some(PeerEvent::Ended);
        }
        let acked = self.flags & flag::END_ACKED != 0
            || (self.config.plain && self.flags & flag::ENDING != 0);
        if acked && self.flags & flag::END_TOLD == 0 && self.outgoing.is_done() {
            self.flags |= flag::END_TOLD;
            return Some(PeerEvent::EndAcked);
        }
        None
    }

    /// Takes a flag away, and answers whether it was there.
    fn take(&mut self, flag: u32) -> bool {
        let was = self.flags & flag != 0;
        self.flags &= !flag;
        was
    }

    /// When `handle_timeout` and then `poll_payload` are to be called without another cause.
    pub fn poll_timeout(&self) -> Option<Micros> {
        let blocked = self.turn.filter(|_| self.flags & flag::BLOCKED != 0);
        let blocked = blocked.and_then(|turn| self.recovery.next_send(turn));
        let mtu = self.mtu.as_ref().and_then(|mtu| mtu.due());
        let copy = self.outgoing.copy_due().filter(|_| self.flags & flag::BLOCKED == 0);
        let all = [self.acks.due(), self.recovery.poll_timeout(), blocked, copy, mtu];
        all.into_iter().flatten().min()
    }

    /// That time has come.
    pub fn handle_timeout(&mut self, now: Micros) {
        if let Some(mtu) = &mut self.mtu {
            mtu.handle_timeout(now);
        }
        let (recovery, mut books) = self.books();
        recovery.handle_timeout(now, |contents, fate| books.settle(contents, fate, now));
    }

    /// Asks the peer to answer these bytes, in the next packet: whether an address is its own.
    pub fn challenge(&mut self, data: [u8; 8]) {
        self.paths.get_or_insert_default().challenge = data;
        self.flags |= flag::CHALLENGE;
    }

    /// A packet that the peer answers is to be sent.
    pub fn ping(&mut self) {
        self.flags |= flag::PING;
    }

    /// The id of the connection, where both ends know wide packets.
    pub fn wide(&self) -> Option<u64> {
        (self.flags & flag::HEARD != 0).then_some(self.id)
    }

    /// Bytes of the largest datagram that the path is known to take.
    pub fn path_mtu(&self) -> usize {
        self.mtu.as_ref().map_or(MTU_MIN, |mtu| mtu.size())
    }

    /// What is known of the path.
    pub fn facts(&self) -> Facts {
        self.recovery.facts()
    }

    /// Bytes of incomplete and unread messages.
    pub fn held_bytes(&self) -> usize {
        self.incoming.held_bytes()
    }
}

/// What a packet asks for.
#[derive(Default)]
struct Asks {
    /// An acknowledgement.
    anything: bool,
    /// And that soon.
    reliable: bool,
}

/// What learns of the fate of packets.
struct Books<'a> {
    outgoing: &'a mut Outgoing,
    acks: &'a mut Acks,
    flags: &'a mut u32,
    mtu: Option<&'a mut Mtu>,
}

impl Books<'_> {
    /// A packet came, or is lost.
    fn settle(&mut self, contents: &Contents, fate: Fate, now: Micros) {
        let pieces = contents.pieces.all();
        match fate {
            Fate::Acked => {
                pieces.iter().for_each(|piece| self.outgoing.handle_acked(piece));
                if let Some(largest) = contents.acked {
                    self.acks.forget(largest);
                }
                if contents.flags & flag::END != 0 {
                    *self.flags = (*self.flags | flag::END_ACKED) & !flag::END;
                }
                if let Some((seq, mtu)) = contents.full.zip(self.mtu.as_deref_mut()) {
                    mtu.handle_full_acked(seq);
                }
            }
            Fate::Lost => {
                pieces.iter().for_each(|piece| self.outgoing.handle_lost(piece));
                let again = contents.flags & (flag::HELLO | flag::WINDOW | flag::END);
                let acked = *self.flags & flag::END_ACKED != 0;
                *self.flags |= if acked { again & !flag::END } else { again };
                if let Some((seq, mtu)) = contents.full.zip(self.mtu.as_deref_mut())
                    && mtu.handle_full_lost(seq, now)
                {
                    *self.flags |= flag::MTU_CHANGED;
                }
            }
        }
    }
}

impl From<Malformed> for Fault {
    fn from(_: Malformed) -> Fault {
        Fault::Broken(Cause::Protocol)
    }
}

#[cfg(test)]
impl Peer {
    /// Bytes of memory beside its own, but for those of messages.
    fn heap_bytes(&self) -> usize {
        self.incoming.heap_bytes() + self.outgoing.heap_bytes() + self.acks.heap_bytes()
    }
}

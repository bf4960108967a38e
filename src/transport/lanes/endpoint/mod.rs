//! Many connections behind one datagram socket: who a datagram is of, how one begins and ends, and
//! when each is sent what.

mod line;
mod partings;
mod receiving;
mod sending;
#[cfg(test)]
mod tests;
mod timers;

use super::envelope::{Server, ServerConfig};
use super::peer::{self, PeerEvent};
use super::{Micros, Options, Seed};
use crate::buf::{Chunk, Pool, Purpose};
use crate::session::{Cause, LaneFacts, Side, TAG_BYTES, Tag};
use crate::transport::{
    Datagram, Endpoint, Event, Full, Handled, Message, Run, Stream, Target, Transmit,
};
use line::{Line, Open, State};
use partings::{Parting, Partings};
use std::collections::{HashMap, VecDeque};
use std::mem;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use timers::Timers;

/// Answers to strangers that wait to be sent; more are not made.
const REPLIES_MAX: usize = 256;
/// Handshakes that wait for their second half, and tokens that are remembered.
const PENDING_MAX: usize = 4_096;
const TOKENS_MAX: usize = 65_536;
/// Messages up to this size that are kept until they are acknowledged have memory of their own: it
/// is not to pin that of others.
const OWN_MAX: usize = 4_000;
/// A client that heard nothing for so long says who it is: its address may be another one now.
const SILENCE: Micros = 300_000;
/// One that was asked says so for so long.
const ABROAD: Micros = 1_000_000;
/// An address is asked for a proof so often, and so long.
const PATH_AGAIN: Micros = 200_000;
const PATH_US: Micros = 3_000_000;

/// See the module.
pub struct Lanes {
    options: Arc<Options>,
    config: Arc<peer::Config>,
    side: Side,
    /// The time of day at 0 of the clock, in seconds.
    unix_s: u64,
    random: Random,
    /// Who comes in, at a listener.
    door: Option<Server>,
    lines: Vec<Option<Box<Line>>>,
    addresses: HashMap<SocketAddr, Stream>,
    /// Those that may come from another address, by the number that they say then.
    ids: HashMap<u64, Stream>,
    events: VecDeque<Event>,
    /// Those that may have something to send.
    ready: VecDeque<Stream>,
    replies: VecDeque<(SocketAddr, Option<IpAddr>, Vec<u8>)>,
    partings: Partings,
    timers: Timers,
    /// A packet that is opened, and one that is made.
    scratch: Vec<u8>,
    packet: Vec<u8>,
    /// Where packets lie that are sent.
    chunk: Option<Chunk>,
    /// As of the last `poll_transmit`.
    pool: Option<Pool>,
    /// Of a message of which not all runs came.
    data: peer::Data,
    tag: Tag,
    /// What the last one that came in was let in with.
    greeting: Option<(Stream, Box<[u8; 256]>)>,
}

/// Numbers from a seed, for what needs no secret.
struct Random(u64);

impl Random {
    /// SplitMix64.
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut it = self.0;
        it = (it ^ it >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        it = (it ^ it >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        it ^ it >> 31
    }
}

impl Lanes {
    /// The transport of one socket. `unix_s`: the time of day at 0 of its clock, in seconds.
    pub fn new(options: &Arc<Options>, side: Side, seed: Seed, unix_s: u64) -> Lanes {
        let mut first = [0; 8];
        first.copy_from_slice(&seed[..8]);
        let config = ServerConfig {
            protocol_id: options.protocol_id,
            key: options.key,
            addresses: options.public.clone(),
            pending_max: PENDING_MAX,
            tokens_max: TOKENS_MAX,
        };
        Lanes {
            options: options.clone(),
            config: options.of_peers(),
            side,
            unix_s,
            random: Random(u64::from_le_bytes(first)),
            door: (side == Side::Accepted).then(|| Server::new(config, seed)),
            lines: Vec::new(),
            addresses: HashMap::new(),
            ids: HashMap::new(),
            events: VecDeque::new(),
            ready: VecDeque::new(),
            replies: VecDeque::new(),
            partings: Partings::default(),
            timers: Timers::default(),
            scratch: Vec::new(),
            packet: Vec::new(),
            chunk: None,
            pool: None,
            data: peer::Data::default(),
            tag: Tag::default(),
            greeting: None,
        }
    }

    fn unix(&self, now: Micros) -> u64 {
        self.unix_s + now / 1_000_000
    }

    fn line(&mut self, stream: Stream) -> Option<&mut Line> {
        self.lines.get_mut(stream.0 as usize)?.as_deref_mut()
    }

    fn add(&mut self, stream: Stream, line: Line) {
        let at = stream.0 as usize;
        if at >= self.lines.len() {
            self.lines.resize_with(at + 1, || None);
        }
        debug_assert!(self.lines[at].is_none(), "{stream:?} is vacant");
        self.addresses.insert(line.peer, stream);
        self.lines[at] = Some(Box::new(line));
        self.touch(stream);
    }

    /// A stream may have something to send, and may want to be looked at earlier.
    fn touch(&mut self, stream: Stream) {
        let Some(line) = self.lines.get_mut(stream.0 as usize).and_then(Option::as_deref_mut)
        else {
            return;
        };
        if !mem::replace(&mut line.listed, true) {
            self.ready.push_back(stream);
        }
    }

    /// Has a stream looked at when it wants to be.
    fn arm(&mut self, stream: Stream) {
        let ping = self.options.ping;
        let Some(line) = self.lines.get_mut(stream.0 as usize).and_then(Option::as_deref_mut)
        else {
            return;
        };
        let at = match &line.state {
            State::Opening(client) => client.poll_timeout().unwrap_or(Micros::MAX),
            State::Open(open) => open.due(ping),
            State::Over => Micros::MAX,
        };
        if at < Micros::MAX {
            self.timers.arm(stream, &mut line.armed, at);
        }
    }

    /// It is over: told once, and what it has to be read stays.
    fn over(&mut self, stream: Stream, cause: Cause) {
        let Some(line) = self.line(stream) else { return };
        if line.is_over() {
            return;
        }
        match &mut line.state {
            State::Open(open) => {
                open.over = Some(cause);
                open.owes = cause == Cause::Peer;
            }
            state => *state = State::Over,
        }
        self.events.push_back(Event::Closed(stream, cause));
    }

    /// What became of a stream's lanes.
    fn look(&mut self, stream: Stream) {
        let Some(line) = self.lines.get_mut(stream.0 as usize).and_then(Option::as_deref_mut)
        else {
            return;
        };
        let State::Open(open) = &mut line.state else { return };
        let mut over = None;
        while let Some(event) = open.lanes.poll_event() {
            match event {
                PeerEvent::Readable => {
                    if !mem::replace(&mut line.readable, true) {
                        self.events.push_back(Event::Readable(stream));
                    }
                }
                PeerEvent::Released { lane, bytes, messages } => {
                    let bytes = bytes + messages * TAG_BYTES as u32;
                    self.events.push_back(Event::Released(stream, lane, bytes));
                }
                PeerEvent::Ended => over = Some(Cause::Peer),
                PeerEvent::EndAcked => over = over.or(Some(Cause::Host)),
                PeerEvent::Responded(data) => open.responded = Some(data),
                PeerEvent::MtuChanged(_) => {}
            }
        }
        if let Some(cause) = over {
            self.over(stream, cause);
        }
    }

    /// A message that was taken whole goes to its lane.
    fn take_message(&mut self, stream: Stream, now: Micros) {
        let Tag { lane, deadline, key } = self.tag;
        let mut data = mem::take(&mut self.data);
        let len = data.len() as usize;
        let of_it = self.options.lanes.get(usize::from(lane));
        let reliable = of_it.is_some_and(|it| it.kind.is_reliable());
        if reliable
            && (1..=OWN_MAX).contains(&len)
            && let Some(pool) = &self.pool
            && let Some(mut own) = pool.take_for(len, Purpose::Send)
        {
            self.scratch.resize(len, 0);
            data.copy(0, &mut self.scratch);
            data = own.write(&self.scratch).into();
        }
        // Milliseconds of the net's clock begin at 1.
        let now_ms = (now / 1000 + 1) as u32;
        let left = i64::from(deadline.wrapping_sub(now_ms) as i32).max(0) as Micros;
        let deadline = (deadline != 0).then_some(now + left * 1000);
        let message = peer::Message { lane, data, deadline, key };
        if let Some(open) = self.line(stream).and_then(Line::open)
            && open.over.is_none()
        {
            open.lanes.write(message);
        }
        self.touch(stream);
    }
}

impl Endpoint for Lanes {
    fn handle_datagram(
        &mut self,
        datagram: Datagram,
        vacant: Option<Stream>,
        now: Micros,
    ) -> Handled {
        self.receive(datagram, vacant, now)
    }

    fn poll_transmit(&mut self, pool: &Pool, now: Micros) -> Transmit {
        self.send(pool, now)
    }

    fn poll_timeout(&self) -> Option<Micros> {
        let door = self.door.as_ref().and_then(Server::poll_timeout);
        [self.timers.next(), self.partings.next(), door].into_iter().flatten().min()
    }

    fn handle_timeout(&mut self, now: Micros) {
        if let Some(door) = &mut self.door {
            door.handle_timeout(now);
        }
        while let Some((stream, at)) = self.timers.due(now) {
            let Some(line) = self.line(stream) else { continue };
            if line.armed.fired(at) {
                self.stream_due(stream, now);
            }
        }
    }

    fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    fn connect(&mut self, stream: Stream, target: Target, now: Micros) {
        self.begin(stream, target, now);
    }

    fn read(&mut self, stream: Stream) -> Option<Message> {
        let plain = self.options.lanes.is_empty();
        let line = self.line(stream)?;
        let message = line.open().and_then(|open| open.lanes.read());
        line.readable &= message.is_some();
        let Some(peer::Received { lane, data, unreliable }) = message else {
            // What was read makes room for more, which the peer is to know.
            self.touch(stream);
            return None;
        };
        Some(Message { data, lane, unreliable, plain })
    }

    fn write(&mut self, stream: Stream, run: Run, now: Micros) -> Result<(), Full> {
        if run.first {
            self.tag = run.tag;
        }
        self.data.push(run.data);
        if run.last {
            self.take_message(stream, now);
        }
        Ok(())
    }

    fn close(&mut self, stream: Stream, _now: Micros) {
        let plain = self.options.lanes.is_empty();
        let Some(line) = self.line(stream) else { return };
        match &mut line.state {
            State::Open(open) if open.over.is_none() && !plain => {
                open.ends = true;
                open.lanes.end();
                self.touch(stream);
            }
            State::Open(_) | State::Opening(_) => self.over(stream, Cause::Host),
            State::Over => {}
        }
    }

    fn peer(&self, stream: Stream) -> Option<SocketAddr> {
        Some(self.lines.get(stream.0 as usize)?.as_ref()?.peer)
    }

    fn greeting(&self, stream: Stream) -> &[u8] {
        match &self.greeting {
            Some((of, bytes)) if *of == stream => &bytes[..],
            _ => &[],
        }
    }

    fn facts(&self, stream: Stream, _now: Micros) -> Option<LaneFacts> {
        let line = self.lines.get(stream.0 as usize)?.as_ref()?;
        let State::Open(open) = &line.state else { return None };
        Some(LaneFacts {
            open: self.options.open,
            packets_received: open.received,
            packets_missing: (open.newest + 1).saturating_sub(open.received),
            ..open.lanes.lane_facts()
        })
    }

    fn set_unix(&mut self, unix_s: u64) {
        self.unix_s = unix_s;
    }

    fn forget(&mut self, stream: Stream, now: Micros) {
        let Some(mut line) = self.lines.get_mut(stream.0 as usize).and_then(Option::take) else {
            return;
        };
        if self.addresses.get(&line.peer) == Some(&stream) {
            self.addresses.remove(&line.peer);
        }
        // Who has the number next may stand in the list of those that send twice, which is no harm.
        self.events.retain(|event| event.stream() != stream);
        let last = self.last_word(&mut line, now);
        if let State::Open(open) = line.state {
            self.ids.remove(&open.id);
            if let Some(door) = &mut self.door {
                door.release(open.client_id);
            }
            let Open { session, over, .. } = *open;
            // A peer that is gone, or has said so itself, is told nothing.
            if !matches!(over, Some(Cause::TimeoutPeer | Cause::Reset)) {
                let (peer, local) = (line.peer, line.local);
                self.partings.add(Parting { peer, local, session, last, at: now });
            }
        }
        if self.addresses.is_empty() {
            self.lines = Vec::new();
        }
    }
}

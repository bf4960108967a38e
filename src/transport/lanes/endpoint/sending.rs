//! What the socket is given to send, one packet after the other.

use super::line::{Line, Open, State};
use super::partings::Partings;
use super::{ABROAD, Lanes, PATH_AGAIN, REPLIES_MAX, SILENCE};
use crate::buf::{CHUNK_BYTES, Pool, Slice};
use crate::session::{Cause, Side};
use crate::transport::lanes::Micros;
use crate::transport::lanes::envelope::{Kind, OVERHEAD_MAX};
use crate::transport::lanes::peer::{PAYLOAD_MAX, Ready};
use crate::transport::{Datagram, Stream, Transmit};
use std::mem;
use std::net::{IpAddr, SocketAddr};

impl Lanes {
    /// An answer to a stranger.
    pub fn reply(&mut self, peer: SocketAddr, local: Option<IpAddr>, packet: Vec<u8>) {
        if self.replies.len() < REPLIES_MAX {
            self.replies.push_back((peer, local, packet));
        }
    }

    /// A stream wanted to be looked at.
    pub fn stream_due(&mut self, stream: Stream, now: Micros) {
        let Some(line) = self.lines.get_mut(stream.0 as usize).and_then(Option::as_deref_mut)
        else {
            return;
        };
        match &mut line.state {
            State::Opening(client) => {
                let event = client.handle_timeout(now);
                self.client_event(stream, event, now);
            }
            State::Open(open) => {
                open.lanes.handle_timeout(now);
                let gone = now.saturating_sub(open.heard) >= open.timeout;
                if let Some(path) = &mut open.path {
                    if path.until <= now {
                        open.path = None;
                    } else if path.again <= now {
                        path.asks = true;
                        path.again = now + PATH_AGAIN;
                    }
                }
                self.look(stream);
                if gone {
                    self.over(stream, Cause::TimeoutPeer);
                }
            }
            State::Over => {}
        }
        self.touch(stream);
    }

    /// The next packet.
    pub fn send(&mut self, pool: &Pool, now: Micros) -> Transmit {
        if self.pool.is_none() {
            self.pool = Some(pool.clone());
        }
        // Where it lies: there is memory for it before anything is taken.
        let room = self.config.mtu_max.max(PAYLOAD_MAX) + OVERHEAD_MAX;
        let most = match self.side {
            Side::Accepted => CHUNK_BYTES.max(room),
            // One connection, which sends a packet or two at a time.
            Side::Connected => 2 * room,
        };
        if self.chunk.as_ref().is_none_or(|chunk| chunk.room() < room) {
            let idle = self.ready.is_empty() && self.replies.is_empty();
            if idle && !self.parts(now) {
                return Transmit::Nothing;
            }
            self.chunk = None;
            match pool.take(most) {
                Some(chunk) => self.chunk = Some(chunk),
                None => return Transmit::Starved(most),
            }
        }
        let sent = self.next_packet(now);
        if sent.is_none() {
            // Whoever is silent has no memory for it.
            self.chunk = None;
        }
        match sent {
            Some((peer, local, data)) => Transmit::Datagram(Datagram { peer, local, data }),
            None => Transmit::Nothing,
        }
    }

    fn parts(&self, now: Micros) -> bool {
        self.partings.next().is_some_and(|at| at <= now)
    }

    fn next_packet(&mut self, now: Micros) -> Option<(SocketAddr, Option<IpAddr>, Slice)> {
        if let Some((peer, local, packet)) = self.replies.pop_front() {
            return Some((peer, local, self.chunk.as_mut()?.write(&packet)));
        }
        if self.parts(now) {
            return self.goodbye(now);
        }
        while let Some(&stream) = self.ready.front() {
            let made = self.packet_of(stream, now);
            self.look(stream);
            if let Some((peer, local, len)) = made {
                // The others first, before this one sends more.
                self.ready.rotate_left(1);
                return Some((peer, local, self.chunk.as_mut()?.write(&self.packet[..len])));
            }
            self.ready.pop_front();
            if let Some(line) = self.line(stream) {
                line.listed = false;
            }
            self.arm(stream);
        }
        None
    }

    /// Makes a packet of a stream in `packet`, if it has something to send.
    fn packet_of(
        &mut self,
        stream: Stream,
        now: Micros,
    ) -> Option<(SocketAddr, Option<IpAddr>, usize)> {
        let most = self.config.mtu_max.max(PAYLOAD_MAX);
        self.scratch.resize(most, 0);
        self.packet.resize(most + OVERHEAD_MAX, 0);
        let (side, ping) = (self.side, self.options.ping);
        let line = self.lines.get_mut(stream.0 as usize)?.as_deref_mut()?;
        let Line { peer, local, state, .. } = line;
        let open = match state {
            State::Opening(client) => {
                let len = client.poll_transmit(&mut self.packet, now)?;
                return Some((*peer, *local, len));
            }
            State::Open(open) if open.over.is_none() => open,
            State::Open(open) if open.owes => {
                open.owes = false;
                open.lanes.acknowledge(now);
                let len = payload_of(open, side, &mut self.scratch, &mut self.packet, now)?;
                return Some((*peer, *local, len));
            }
            State::Open(_) | State::Over => return None,
        };
        let (mut peer, mut local) = (*peer, *local);
        if let Some(path) = open.path.as_mut().filter(|path| path.asks) {
            // The next packet asks there, whatever else is in it.
            path.asks = false;
            (peer, local) = (path.peer, path.local);
            open.lanes.challenge(path.data);
        }
        let quiet = now.saturating_sub(open.sent) >= ping;
        if quiet && side == Side::Connected && is_unheard(open, now) && open.lanes.wide().is_some()
        {
            // Where it is not known by its address a keep-alive says nothing, and this does.
            open.lanes.ping();
        }
        if mem::take(&mut open.greets) || quiet && !open.lanes.has_ping() {
            let sequence = open.take_sequence(now);
            let payload = open.place.to_bytes();
            let len =
                open.session.seal(Kind::KeepAlive, None, sequence, &payload, &mut self.packet);
            return Some((peer, local, len));
        }
        let len = payload_of(open, side, &mut self.scratch, &mut self.packet, now)?;
        Some((peer, local, len))
    }

    /// Tells a peer of the end once more.
    fn goodbye(&mut self, now: Micros) -> Option<(SocketAddr, Option<IpAddr>, Slice)> {
        let (told, mut parting) = self.partings.due(now)?;
        let last = parting.last.as_ref().map_or(0, |last| last.len());
        self.packet.resize(self.packet.len().max(last + OVERHEAD_MAX), 0);
        let (middle, end) = Partings::packets(told, &mut parting, &mut self.packet);
        let (peer, local) = (parting.peer, parting.local);
        self.partings.told(told, parting, now);
        if middle > 0 && middle < end {
            self.replies.push_back((peer, local, self.packet[middle..end].to_vec()));
            return Some((peer, local, self.chunk.as_mut()?.write(&self.packet[..middle])));
        }
        Some((peer, local, self.chunk.as_mut()?.write(&self.packet[..end])))
    }

    /// The last payload of a connection whose peer has ended it: it acknowledges that.
    pub fn last_word(&mut self, line: &mut Line, now: Micros) -> Option<Box<[u8]>> {
        let side = self.side;
        let State::Open(open) = &mut line.state else { return None };
        if open.over != Some(Cause::Peer) {
            return None;
        }
        let most = self.config.mtu_max.max(PAYLOAD_MAX);
        self.scratch.resize(most, 0);
        self.packet.resize(most + OVERHEAD_MAX, 0);
        open.lanes.acknowledge(now);
        let len = payload_of(open, side, &mut self.scratch, &mut self.packet, now)?;
        Some(self.packet[..len].into())
    }
}

/// The next payload of an open connection, sealed into `packet`.
fn payload_of(
    open: &mut Open,
    side: Side,
    scratch: &mut [u8],
    packet: &mut [u8],
    now: Micros,
) -> Option<usize> {
    if open.lanes.has_response() {
        // It was asked who it is: its address is not known yet.
        open.abroad = now + ABROAD;
    }
    let Ready { len, seq, wide } = open.lanes.poll_payload(&mut open.session.next, scratch, now)?;
    let says = side == Side::Connected && (is_unheard(open, now) || now < open.abroad);
    let id = open.lanes.wide().filter(|_| wide || says);
    let kind = if id.is_some() { Kind::Wide } else { Kind::Payload };
    open.sent = now;
    Some(open.session.seal(kind, id, seq, &scratch[..len], packet))
}

/// Whether a client may have another address now, as far as the server's silence says so.
fn is_unheard(open: &Open, now: Micros) -> bool {
    now.saturating_sub(open.heard) >= SILENCE
}

//! What comes from the socket: of a connection, or of somebody who wants to be let in.

use super::line::{Line, Open, Path, State};
use super::{Lanes, PATH_AGAIN, PATH_US};
use crate::session::{Cause, Side};
use crate::transport::lanes::envelope::{
    self, Accepted, Answer, Client, ClientEvent, Connected, Failure, KeepAlive, Kind, Reason, token,
};
use crate::transport::lanes::peer::Peer;
use crate::transport::lanes::{Key, Micros};
use crate::transport::{Datagram, Event, Handled, Reason as Dropped, Stream, Target};
use std::net::{IpAddr, SocketAddr};

/// A token that a client makes for itself is good for so many seconds.
const OPEN_EXPIRE_S: u64 = 60;

impl Lanes {
    pub(super) fn receive(
        &mut self,
        datagram: Datagram,
        vacant: Option<Stream>,
        now: Micros,
    ) -> Handled {
        let Datagram { peer, local, data } = datagram;
        let Some(seen) = envelope::peek(&data) else { return Handled::Dropped(Dropped::Malformed) };
        self.scratch.clear();
        self.scratch.extend_from_slice(&data);
        drop(data);
        if let Some(&stream) = self.addresses.get(&peer) {
            return self.receive_known(stream, local, seen.kind, now);
        }
        if let Some(id) = seen.id {
            return match self.ids.get(&id) {
                Some(&stream) => self.receive_abroad(stream, peer, local, now),
                None => Handled::Dropped(Dropped::Unknown),
            };
        }
        self.receive_stranger(peer, local, vacant, now)
    }

    /// From an address that has a connection.
    fn receive_known(
        &mut self,
        stream: Stream,
        local: Option<IpAddr>,
        kind: Kind,
        now: Micros,
    ) -> Handled {
        let Some(line) = self.lines.get_mut(stream.0 as usize).and_then(Option::as_deref_mut)
        else {
            return Handled::Dropped(Dropped::Unknown);
        };
        line.local = local;
        match &mut line.state {
            State::Opening(client) => {
                let event = client.handle(&mut self.scratch, now);
                self.client_event(stream, event, now);
                Handled::Existing(stream)
            }
            // The keep-alive that lets it in was lost.
            State::Open(open) if kind == Kind::Response && self.side == Side::Accepted => {
                open.greets = true;
                self.touch(stream);
                Handled::Existing(stream)
            }
            State::Open(_) => match self.open_packet(stream, now) {
                Ok(_) => Handled::Existing(stream),
                Err(reason) => Handled::Dropped(dropped(reason)),
            },
            State::Over => Handled::Dropped(Dropped::Unknown),
        }
    }

    /// Opens the packet in `scratch`, of an open connection. Answers its sequence.
    fn open_packet(&mut self, stream: Stream, now: Micros) -> Result<u64, Reason> {
        let plain = self.options.lanes.is_empty();
        let Some(line) = self.lines.get_mut(stream.0 as usize).and_then(Option::as_deref_mut)
        else {
            return Err(Reason::Unknown);
        };
        let Some(open) = line.open() else { return Err(Reason::Unknown) };
        let packet = open.session.open(&mut self.scratch)?;
        open.received += 1;
        open.newest = open.newest.max(packet.sequence);
        if open.over.is_some() {
            let ended = open.over == Some(Cause::Peer);
            if ended
                && matches!(packet.kind, Kind::Payload | Kind::Wide)
                && let Some(pool) = &self.pool
            {
                // It did not hear that its end arrived. Nothing else of it counts any more.
                let (wide, payload) = (packet.kind == Kind::Wide, &self.scratch[packet.range]);
                let _ = open.lanes.handle_payload(packet.sequence, wide, payload, pool, now);
                open.owes = true;
                self.touch(stream);
            }
            return Ok(packet.sequence);
        }
        open.heard = now;
        let over = match packet.kind {
            Kind::Payload | Kind::Wide => {
                let Some(pool) = &self.pool else { return Ok(packet.sequence) };
                let (wide, payload) = (packet.kind == Kind::Wide, &self.scratch[packet.range]);
                open.lanes.handle_payload(packet.sequence, wide, payload, pool, now).err()
            }
            Kind::Disconnect => Some(open.cut(plain)),
            _ => None,
        };
        self.look(stream);
        if let Some(cause) = over {
            self.over(stream, cause);
        }
        self.touch(stream);
        Ok(packet.sequence)
    }

    /// From another address than its connection's: it may have moved there.
    fn receive_abroad(
        &mut self,
        stream: Stream,
        peer: SocketAddr,
        local: Option<IpAddr>,
        now: Micros,
    ) -> Handled {
        // Only an answer that comes from there counts, which is in this packet or not at all.
        if let Some(open) = self.line(stream).and_then(Line::open) {
            open.responded = None;
        }
        if let Err(reason) = self.open_packet(stream, now) {
            return Handled::Dropped(dropped(reason));
        }
        let data = self.random.next().to_le_bytes();
        let Some(line) = self.lines.get_mut(stream.0 as usize).and_then(Option::as_deref_mut)
        else {
            return Handled::Dropped(Dropped::Unknown);
        };
        let before = line.peer;
        let State::Open(open) = &mut line.state else { return Handled::Existing(stream) };
        let answered = open.responded.take();
        match &mut open.path {
            // Whoever answers there has read what was sent there with the keys of the connection.
            Some(path) if path.peer == peer && answered == Some(path.data) => {
                open.path = None;
                (line.peer, line.local) = (peer, local);
                self.addresses.remove(&before);
                self.addresses.insert(peer, stream);
                self.events.push_back(Event::Migrated(stream));
            }
            Some(path) if path.peer == peer => {}
            path => {
                let (until, again) = (now + PATH_US, now + PATH_AGAIN);
                *path = Some(Box::new(Path { peer, local, data, asks: true, until, again }));
            }
        }
        self.touch(stream);
        Handled::Existing(stream)
    }

    /// From somebody who has no connection.
    fn receive_stranger(
        &mut self,
        peer: SocketAddr,
        local: Option<IpAddr>,
        vacant: Option<Stream>,
        now: Micros,
    ) -> Handled {
        let unix_s = self.unix(now);
        let Some(door) = &mut self.door else { return Handled::Dropped(Dropped::Unknown) };
        match door.handle(peer, &mut self.scratch, vacant.is_some(), unix_s, now) {
            Answer::Nothing(reason) => Handled::Dropped(dropped(reason)),
            Answer::Reply(packet) => {
                self.reply(peer, local, packet);
                match vacant {
                    Some(_) => Handled::Reply,
                    // It is told that there is no room.
                    None => Handled::Dropped(Dropped::Refused),
                }
            }
            Answer::Accepted(accepted) => match vacant {
                Some(stream) => {
                    self.accept(stream, peer, local, *accepted, now);
                    Handled::New
                }
                None => Handled::Dropped(Dropped::Refused),
            },
        }
    }

    fn accept(
        &mut self,
        stream: Stream,
        peer: SocketAddr,
        local: Option<IpAddr>,
        accepted: Accepted,
        now: Micros,
    ) {
        let Accepted { client_id, user_data, session, timeout_s } = accepted;
        let id = self.random.next();
        let lanes = Peer::new(&self.config, Side::Accepted, id, None, self.random.next(), now);
        let timeout = self.timeout(timeout_s);
        let mut open = Open::new(session, lanes, timeout, now);
        (open.client_id, open.id) = (client_id, id);
        open.place = KeepAlive { client_index: stream.0, max_clients: u32::MAX };
        self.ids.insert(id, stream);
        self.greeting = Some((stream, Box::new(user_data)));
        self.add(stream, Line::new(peer, local, State::Open(Box::new(open))));
    }

    /// After so long a silence a peer is gone: what the token says, and never more than the host.
    fn timeout(&self, token_s: i32) -> Micros {
        match token_s {
            1.. => (token_s as Micros * 1_000_000).min(self.options.peer_timeout),
            _ => self.options.peer_timeout,
        }
    }

    /// Begins to connect.
    pub fn begin(&mut self, stream: Stream, target: Target, now: Micros) {
        let unix_s = self.unix(now);
        let made;
        let token: Option<&[u8; token::TOKEN]> = match &target.token {
            Some(token) => (&token[..]).try_into().ok(),
            None => {
                let user_data = [0; 0];
                made = token::make(&token::Config {
                    protocol_id: self.options.protocol_id,
                    key: Key::default(),
                    client_id: self.random.next(),
                    expire_s: OPEN_EXPIRE_S,
                    timeout_s: self.options.connect_timeout_s,
                    public: &[target.peer],
                    user_data: &user_data,
                    unix_s,
                });
                made.as_ref().ok()
            }
        };
        let mut seed = [0; 32];
        for word in seed.chunks_exact_mut(8) {
            word.copy_from_slice(&self.random.next().to_le_bytes());
        }
        let client = token.map(|token| Client::new(token, seed, now));
        let (line, failure) = match client {
            Some(Ok(client)) => {
                let peer = client.peer();
                (Line::new(peer, None, State::Opening(Box::new(client))), None)
            }
            _ => (Line::new(target.peer, None, State::Over), Some(Cause::TokenInvalid)),
        };
        self.add(stream, line);
        if let Some(cause) = failure {
            self.events.push_back(Event::Closed(stream, cause));
        }
    }

    /// What became of a connection that asks to be let in.
    pub fn client_event(&mut self, stream: Stream, event: ClientEvent, now: Micros) {
        match event {
            ClientEvent::Connected(connected) => {
                let Connected { session, at, timeout_s, .. } = *connected;
                let seed = self.random.next();
                let lanes = Peer::new(&self.config, Side::Connected, 0, None, seed, now);
                let timeout = self.timeout(timeout_s);
                let mut open = Open::new(session, lanes, timeout, now);
                open.place = at;
                let Some(line) = self.line(stream) else { return };
                line.state = State::Open(Box::new(open));
                self.events.push_back(Event::Opened(stream));
            }
            ClientEvent::Failed(failure) => self.over(stream, cause_of(failure)),
            ClientEvent::Nothing | ClientEvent::Dropped(_) => {}
        }
        self.follow(stream);
        self.touch(stream);
    }

    /// A client that tries the next address of its token is known by that.
    fn follow(&mut self, stream: Stream) {
        let Some(line) = self.lines.get_mut(stream.0 as usize).and_then(Option::as_deref_mut)
        else {
            return;
        };
        let State::Opening(client) = &line.state else { return };
        let (before, peer) = (line.peer, client.peer());
        if before != peer {
            line.peer = peer;
            self.addresses.remove(&before);
            self.addresses.insert(peer, stream);
        }
    }
}

fn cause_of(failure: Failure) -> Cause {
    match failure {
        Failure::TokenExpired => Cause::TokenExpired,
        Failure::Denied => Cause::Full,
        _ => Cause::TimeoutConnect,
    }
}

fn dropped(reason: Reason) -> Dropped {
    match reason {
        Reason::Malformed => Dropped::Malformed,
        Reason::Full => Dropped::Refused,
        _ => Dropped::Unknown,
    }
}

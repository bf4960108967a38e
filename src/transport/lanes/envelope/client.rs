//! The client's side of the handshake: requests and responses ten times a second, to one server of
//! its token after the other.

use super::bytes::Reader;
use super::packet::{CHALLENGE, KeepAlive, Kind, REQUEST};
use super::server::{next, random_start};
use super::token::{Public, TOKEN, TokenError};
use super::{Reason, Session, VERSION};
use crate::transport::lanes::Micros;
use std::net::SocketAddr;

/// The time between two packets.
const EVERY: Micros = 100_000;
const SECOND: Micros = 1_000_000;

/// A client that has no connection yet.
pub struct Client {
    token: Box<Public>,
    /// The place of its server in the token.
    at: usize,
    stage: Stage,
    /// Of the connection that it wants: the packets of a handshake have its keys too.
    session: Session,
    /// The number of the next packet that is sent.
    sequence: u64,
    /// When the token is over.
    expires: Micros,
    /// When the server is given up.
    gives_up: Option<Micros>,
    /// When a packet is due.
    due: Micros,
}

enum Stage {
    Requesting,
    /// With what it was challenged with.
    Responding(Box<[u8; CHALLENGE]>),
    /// Connected, or failed.
    Over,
}

/// What came of a packet, or of time.
pub enum ClientEvent {
    /// Nothing that its user has to know.
    Nothing,
    /// Nothing comes of the packet.
    Dropped(Reason),
    /// It is over: the connection stands.
    Connected(Box<Connected>),
    /// It is over.
    Failed(Failure),
}

/// A connection that stands.
pub struct Connected {
    /// Its keys.
    pub session: Session,
    /// The client's number at its server, and how many there can be.
    pub at: KeepAlive,
    /// The server.
    pub server: SocketAddr,
    /// After how many seconds of silence it is gone. Negative: never.
    pub timeout_s: i32,
}

/// Why there is no connection. With several servers it is what the last of them did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Failure {
    /// The token was over before.
    TokenExpired,
    /// The server has no room.
    Denied,
    /// It did not answer.
    RequestTimeout,
    /// It did not answer any more.
    ResponseTimeout,
}

impl Client {
    /// Begins with the first server of a token. `seed` is secret, and another for each client.
    ///
    /// How long a token is good for, it says itself: the clock of a player's machine may be wrong.
    pub fn new(token: &[u8; TOKEN], seed: [u8; 32], now: Micros) -> Result<Client, TokenError> {
        let token = Box::new(Public::read(token)?);
        let life_s = token.expire_s - token.create_s;
        Ok(Client {
            at: 0,
            stage: Stage::Requesting,
            session: Session::new(token.keys.clone(), token.protocol_id),
            sequence: random_start(&seed),
            expires: now.saturating_add(life_s.saturating_mul(SECOND)),
            gives_up: patience(&token, now),
            due: now,
            token,
        })
    }

    /// Whom it speaks to now. Packets of others are not given to it.
    pub fn peer(&self) -> SocketAddr {
        self.token.servers[self.at]
    }

    /// A packet came from `peer`.
    pub fn handle(&mut self, packet: &mut [u8], now: Micros) -> ClientEvent {
        if matches!(self.stage, Stage::Over) {
            return ClientEvent::Dropped(Reason::Unexpected);
        }
        let opened = match self.session.open(packet) {
            Ok(opened) => opened,
            Err(reason) => return ClientEvent::Dropped(reason),
        };
        let plain = &packet[opened.range];
        match (opened.kind, &self.stage) {
            (Kind::Denied, _) => self.next_server(Failure::Denied, now),
            (Kind::Challenge, Stage::Requesting) => {
                let Some(challenge) = Reader(plain).array() else {
                    return ClientEvent::Dropped(Reason::Malformed);
                };
                self.stage = Stage::Responding(Box::new(challenge));
                (self.gives_up, self.due) = (patience(&self.token, now), now);
                ClientEvent::Nothing
            }
            (Kind::KeepAlive, Stage::Responding(_)) => match KeepAlive::read(plain) {
                Some(at) => self.connected(at),
                None => ClientEvent::Dropped(Reason::Malformed),
            },
            _ => ClientEvent::Dropped(Reason::Unexpected),
        }
    }

    /// Writes the packet that is due to `out`, which has 1,078 bytes at least, and answers its
    /// length.
    pub fn poll_transmit(&mut self, out: &mut [u8], now: Micros) -> Option<usize> {
        if now < self.due {
            return None;
        }
        let len = match &self.stage {
            Stage::Requesting => self.write_request(out),
            Stage::Responding(challenge) => {
                let sequence = next(&mut self.sequence);
                self.session.seal(Kind::Response, None, sequence, &challenge[..], out)
            }
            Stage::Over => return None,
        };
        self.due = now + EVERY;
        Some(len)
    }

    /// When it wants to be called without a packet.
    pub fn poll_timeout(&self) -> Option<Micros> {
        match self.stage {
            Stage::Over => None,
            _ => Some(self.gives_up.unwrap_or(Micros::MAX).min(self.expires).min(self.due)),
        }
    }

    /// That time has come: a packet may be due, or there is an event.
    pub fn handle_timeout(&mut self, now: Micros) -> ClientEvent {
        let gives_up = self.gives_up.is_some_and(|at| at <= now);
        match self.stage {
            Stage::Over => ClientEvent::Nothing,
            _ if self.expires <= now => self.failed(Failure::TokenExpired),
            Stage::Requesting if gives_up => self.next_server(Failure::RequestTimeout, now),
            Stage::Responding(_) if gives_up => self.next_server(Failure::ResponseTimeout, now),
            _ => ClientEvent::Nothing,
        }
    }

    fn write_request(&self, out: &mut [u8]) -> usize {
        let token = &self.token;
        let parts: [&[u8]; 6] = [
            &[Kind::Request as u8],
            VERSION,
            &token.protocol_id.to_le_bytes(),
            &token.expire_s.to_le_bytes(),
            &token.nonce,
            &token.private,
        ];
        let mut at = 0;
        for part in parts {
            out[at..at + part.len()].copy_from_slice(part);
            at += part.len();
        }
        debug_assert_eq!(at, REQUEST);
        at
    }

    fn next_server(&mut self, failure: Failure, now: Micros) -> ClientEvent {
        if self.at + 1 == self.token.servers.len() {
            return self.failed(failure);
        }
        self.at += 1;
        self.stage = Stage::Requesting;
        // Another server numbers what it sends by itself. The numbers of what is sent go on.
        self.session = self.new_session();
        (self.gives_up, self.due) = (patience(&self.token, now), now);
        ClientEvent::Nothing
    }

    fn connected(&mut self, at: KeepAlive) -> ClientEvent {
        self.stage = Stage::Over;
        let new = self.new_session();
        ClientEvent::Connected(Box::new(Connected {
            session: std::mem::replace(&mut self.session, new),
            at,
            server: self.peer(),
            timeout_s: self.token.timeout_s,
        }))
    }

    fn failed(&mut self, failure: Failure) -> ClientEvent {
        self.stage = Stage::Over;
        ClientEvent::Failed(failure)
    }

    fn new_session(&self) -> Session {
        Session::new(self.token.keys.clone(), self.token.protocol_id)
    }
}

/// How long one server is waited for, from now on. None: without an end.
fn patience(token: &Public, now: Micros) -> Option<Micros> {
    let seconds = u64::try_from(token.timeout_s).ok().filter(|&seconds| seconds > 0)?;
    Some(now.saturating_add(seconds * SECOND))
}

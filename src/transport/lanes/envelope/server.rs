//! The server's side of the handshake: what is done with packets from addresses that have no
//! connection.
//!
//! Whoever has no valid token gets no answer and leaves nothing behind. With one, an address has a
//! handshake of ten seconds at most; their number is bounded, and so is that of the tokens that are
//! remembered. No answer is longer than what it answers.

use super::ledger::{Claim, Ledger};
use super::packet::{self, Kind, OVERHEAD_MAX, Opened, REQUEST};
use super::replay::Replay;
use super::token::{CHALLENGE, Challenge, PRIVATE, Private};
use super::{Key, Keys, Reason, Session, TAG, USER_DATA, VERSION, cipher};
use crate::transport::lanes::Micros;
use crate::transport::lanes::envelope::bytes::Reader;
use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;

/// How long a handshake may take, if its token does not say less.
const HANDSHAKE: Micros = 10_000_000;
/// What is sent before a connection stands is numbered from here on.
const UPPER_HALF: u64 = 1 << 63;

/// What a server's door is told when it is made.
#[derive(Clone)]
pub struct ServerConfig {
    /// The game, and its version.
    pub protocol_id: u64,
    /// What the backend that makes tokens has too.
    pub key: Key,
    /// Where the server is, as tokens say it. Empty: any token's addresses will do.
    pub addresses: Vec<SocketAddr>,
    /// Most handshakes at a time.
    pub pending_max: usize,
    /// Most tokens that are remembered.
    pub tokens_max: usize,
}

/// What is answered to a packet.
pub enum Answer {
    /// Nothing.
    Nothing(Reason),
    /// This, to where it came from.
    Reply(Vec<u8>),
    /// A connection stands. The first that is sent over it is a `KeepAlive` with the client's
    /// number, which tells the client so, and which is sent again for each further `Response`.
    Accepted(Box<Accepted>),
}

/// A client that has answered its challenge. When its connection is over, `Server::release` is
/// called.
pub struct Accepted {
    /// Who it is, as its token says.
    pub client_id: u64,
    /// What the backend says of it.
    pub user_data: [u8; USER_DATA],
    /// After how many seconds of silence it is gone. Negative: never.
    pub timeout_s: i32,
    /// Its connection.
    pub session: Session,
}

/// A handshake that waits for a response.
struct Pending {
    claim: Claim,
    keys: Keys,
    timeout_s: i32,
    until: Micros,
}

/// The door of one socket.
pub struct Server {
    protocol_id: u64,
    key: Key,
    addresses: Vec<SocketAddr>,
    ledger: Arc<Ledger>,
    pending_max: usize,
    pending: HashMap<SocketAddr, Pending>,
    /// Those in `pending`, by when they end.
    ends: BTreeSet<(Micros, SocketAddr)>,
    /// Of this server alone, and new with each: what another has challenged is not its.
    challenge_key: Key,
    challenges: u64,
    /// The number of the next packet that is sent outside of a connection.
    sequence: u64,
}

impl Server {
    /// A door with a ledger of its own. `seed` is secret, and another for each server there is.
    pub fn new(config: ServerConfig, seed: [u8; 32]) -> Server {
        let ledger = Arc::new(Ledger::new(config.tokens_max));
        Server::sharing(config, seed, ledger)
    }

    /// One of several doors that know of each other's tokens and clients.
    pub fn sharing(config: ServerConfig, seed: [u8; 32], ledger: Arc<Ledger>) -> Server {
        Server {
            protocol_id: config.protocol_id,
            key: config.key,
            addresses: config.addresses.into_iter().map(canonical).collect(),
            ledger,
            pending_max: config.pending_max,
            pending: HashMap::new(),
            ends: BTreeSet::new(),
            challenge_key: cipher::derive(&seed, 0),
            challenges: 0,
            sequence: random_start(&seed),
        }
    }

    /// What it knows of tokens and clients.
    pub fn ledger(&self) -> &Arc<Ledger> {
        &self.ledger
    }

    /// The connection of a client is over.
    pub fn release(&self, client_id: u64) {
        self.ledger.release(client_id);
    }

    /// A packet came from an address that has no connection. `room`: there may be one more.
    pub fn handle(
        &mut self,
        from: SocketAddr,
        packet: &mut [u8],
        room: bool,
        unix_s: u64,
        now: Micros,
    ) -> Answer {
        let answer = match packet::peek(packet).map(|peek| peek.kind) {
            None => Err(Reason::Malformed),
            Some(Kind::Request) => self.requested(from, packet, room, unix_s, now),
            Some(Kind::Response) => self.responded(from, packet, room, now),
            Some(_) => Err(Reason::Unknown),
        };
        answer.unwrap_or_else(Answer::Nothing)
    }

    /// When it wants to be called without a packet.
    pub fn poll_timeout(&self) -> Option<Micros> {
        self.ends.first().map(|&(until, _)| until)
    }

    /// That time has come.
    pub fn handle_timeout(&mut self, now: Micros) {
        while let Some(&(until, from)) = self.ends.first()
            && until <= now
        {
            self.forget(from);
        }
    }

    /// Handshakes that wait for a response.
    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    fn requested(
        &mut self,
        from: SocketAddr,
        packet: &mut [u8],
        room: bool,
        unix_s: u64,
        now: Micros,
    ) -> Result<Answer, Reason> {
        let mut reader = Reader(&packet[1..]);
        let mut head = || Some((reader.array::<13>()?, reader.u64()?, reader.u64()?));
        let (version, protocol_id, expire_s) = head().ok_or(Reason::Malformed)?;
        if version != *VERSION {
            return Err(Reason::WrongVersion);
        }
        if protocol_id != self.protocol_id {
            return Err(Reason::WrongProtocol);
        }
        if expire_s <= unix_s {
            return Err(Reason::TokenExpired);
        }
        let nonce = reader.array().ok_or(Reason::Malformed)?;
        let sealed = packet[REQUEST - PRIVATE..].as_mut_array().ok_or(Reason::Malformed)?;
        let mac = sealed[PRIVATE - TAG..].try_into().map_err(|_| Reason::Malformed)?;
        let token = Private::open(&self.key, protocol_id, expire_s, &nonce, sealed)
            .ok_or(Reason::TokenInvalid)?;
        let here = |server: &SocketAddr| self.addresses.contains(&canonical(*server));
        if !self.addresses.is_empty() && !token.servers.iter().any(here) {
            return Err(Reason::WrongAddress);
        }
        let claim = Claim { mac, expire_s, client_id: token.client_id, from };
        self.ledger.claim(&claim, unix_s)?;
        if !room {
            return Ok(self.deny(&token.keys));
        }
        self.wait(claim, &token, now)?;
        Ok(self.challenge(&token))
    }

    /// Waits for a response from where the token came from.
    fn wait(&mut self, claim: Claim, token: &Private, now: Micros) -> Result<(), Reason> {
        self.handle_timeout(now);
        let from = claim.from;
        let renewed = self.pending.get(&from).is_some_and(|pending| pending.claim.mac == claim.mac);
        if renewed {
            return Ok(());
        }
        if self.pending.len() >= self.pending_max && !self.pending.contains_key(&from) {
            return Err(Reason::Full);
        }
        self.forget(from);
        let longest = u64::try_from(token.timeout_s).ok().filter(|&s| s > 0);
        let until = now + longest.map_or(HANDSHAKE, |s| HANDSHAKE.min(s * 1_000_000));
        let (keys, timeout_s) = (token.keys.clone(), token.timeout_s);
        self.pending.insert(from, Pending { claim, keys, timeout_s, until });
        self.ends.insert((until, from));
        Ok(())
    }

    fn forget(&mut self, from: SocketAddr) -> Option<Pending> {
        let pending = self.pending.remove(&from)?;
        self.ends.remove(&(pending.until, from));
        Some(pending)
    }

    fn responded(
        &mut self,
        from: SocketAddr,
        packet: &mut [u8],
        room: bool,
        now: Micros,
    ) -> Result<Answer, Reason> {
        self.handle_timeout(now);
        let pending = self.pending.get(&from).ok_or(Reason::Unknown)?;
        let (receive, replay) = (&pending.keys.receive, &mut Replay::default());
        let Opened { range, .. } = packet::open(receive, self.protocol_id, replay, packet)?;
        let mut reader = Reader(&packet[range]);
        let mut parts = || Some((reader.u64()?, reader.array::<CHALLENGE>()?));
        let (sequence, sealed) = parts().ok_or(Reason::Malformed)?;
        let challenge = Challenge::open(&self.challenge_key, sequence, sealed)
            .filter(|challenge| challenge.client_id == pending.claim.client_id)
            .ok_or(Reason::Forged)?;
        if !room {
            let keys = pending.keys.clone();
            return Ok(self.deny(&keys));
        }
        self.ledger.spend(&pending.claim)?;
        let Pending { keys, timeout_s, .. } = self.forget(from).ok_or(Reason::Unknown)?;
        Ok(Answer::Accepted(Box::new(Accepted {
            client_id: challenge.client_id,
            user_data: challenge.user_data,
            timeout_s,
            session: Session::new(keys, self.protocol_id),
        })))
    }

    fn challenge(&mut self, token: &Private) -> Answer {
        let challenge = Challenge { client_id: token.client_id, user_data: token.user_data };
        let sequence = self.challenges;
        self.challenges += 1;
        let mut body = sequence.to_le_bytes().to_vec();
        body.extend(challenge.seal(&self.challenge_key, sequence));
        self.reply(&token.keys, Kind::Challenge, &body)
    }

    fn deny(&mut self, keys: &Keys) -> Answer {
        self.reply(keys, Kind::Denied, &[])
    }

    fn reply(&mut self, keys: &Keys, kind: Kind, body: &[u8]) -> Answer {
        let mut out = vec![0; body.len() + OVERHEAD_MAX];
        let sequence = next(&mut self.sequence);
        let len =
            packet::seal(&keys.send, self.protocol_id, (kind, None), sequence, body, &mut out);
        out.truncate(len);
        Answer::Reply(out)
    }
}

/// Where the numbers begin of what is sent before a connection stands: apart from those of
/// connections, and with next to no chance the same for two ends that have the same keys.
pub(super) fn random_start(seed: &Key) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = cipher::derive(seed, 1);
    u64::from_le_bytes([a, b, c, d, e, f, g, h]) | UPPER_HALF
}

/// The number of what is sent now. It comes round within the upper half.
pub(super) fn next(sequence: &mut u64) -> u64 {
    let this = *sequence;
    *sequence = this.wrapping_add(1) | UPPER_HALF;
    this
}

/// An address as another socket of the same machine may call it.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

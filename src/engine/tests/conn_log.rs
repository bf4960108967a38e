//! What a host sent to one connection, what was reported of it, and what of it arrived.

use super::peer_log::PeerLog;
use super::wire::Wire;
use crate::engine::{CloseHow, Error};
use crate::io::Token;
use crate::session::{Cause, Limits, Overflow};
use std::collections::{HashMap, VecDeque};

/// What the connections of one endpoint have in common.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    pub wire: Wire,
    pub frame_max: usize,
    pub limits: Limits,
    pub user_data: u64,
    pub weight: u32,
}

/// How a connection ended, as CLOSED said.
#[derive(Clone, Copy, Debug)]
pub struct Closed {
    pub cause: Cause,
    pub unsent: u64,
    /// During the shutdown.
    pub late: bool,
}

/// A connection as its host knows it.
pub struct ConnLog {
    pub style: Style,
    /// None: the host made it.
    pub listener: Option<Token>,
    pub opened: bool,
    pub closed: Option<Closed>,
    /// The batch with its CLOSED is over.
    pub stale: bool,
    /// The host closed it, and how at last.
    pub shut: Option<CloseHow>,
    /// A call said that it is closed, before CLOSED came.
    pub doomed: bool,
    /// A send did.
    deaf: bool,
    pub paused: bool,
    /// Polls that reported nothing since it was paused. The first may not have looked at the
    /// sockets.
    pub silence: usize,
    pub user_data: u64,
    /// Taken and not yet seen by the peer, as sent.
    taken: VecDeque<Vec<u8>>,
    /// Of all that was taken, how many are no longer in `taken`.
    gone: usize,
    /// Where the last one of each key stands, as `gone` counts.
    places: HashMap<u64, usize>,
    /// Read by the peer and not yet compared.
    seen: Vec<u8>,
    /// Bytes taken in all.
    pub taken_bytes: u64,
    /// Sends refused, and refusals reported by WRITABLE.
    refused: u64,
    told_refused: u64,
    pub number: u64,
}

impl ConnLog {
    pub fn new(style: Style, listener: Option<Token>) -> ConnLog {
        ConnLog {
            style,
            listener,
            opened: false,
            closed: None,
            stale: false,
            shut: None,
            doomed: false,
            deaf: false,
            paused: false,
            silence: 0,
            user_data: style.user_data,
            taken: VecDeque::new(),
            gone: 0,
            places: HashMap::new(),
            seen: Vec::new(),
            taken_bytes: 0,
            refused: 0,
            told_refused: 0,
            number: 0,
        }
    }

    /// Whether the host may still speak of it.
    pub fn is_live(&self) -> bool {
        self.closed.is_none()
    }

    /// Whether it is paused, and all that was parsed by then is reported.
    pub fn is_quiet(&self) -> bool {
        self.paused && self.silence > 1
    }

    /// The host paused it or let it go on.
    pub fn set_paused(&mut self, paused: bool) {
        (self.paused, self.silence) = (paused, 0);
    }

    /// Whether messages that were taken may be dropped.
    pub fn drops(&self) -> bool {
        self.style.limits.overflow == Overflow::DropOldest
    }

    /// A send was answered. `waits`: bytes and messages in the outbox before it; `scarce`: memory
    /// was short.
    pub fn sent(
        &mut self,
        payload: &[u8],
        answer: Result<(), Error>,
        waits: (u64, u32),
        scarce: bool,
    ) {
        let limits = &self.style.limits;
        let frame = self.style.wire.frame(payload);
        let wire = frame.len();
        let most = limits.outbox_max_bytes as usize;
        let raw = self.style.wire == Wire::Raw;
        let big = wire > most || (!raw && payload.len() > self.style.frame_max);
        let full = waits.0 as usize + wire > most || waits.1 >= limits.outbox_max_messages;
        let after = self.closed.map(|closed| closed.cause);
        assert!(!self.stale, "a send to a connection whose batch is over was {answer:?}");
        match answer {
            Ok(()) => {
                let open = self.shut.is_none() && !self.deaf;
                assert!(open && after.is_none_or(|cause| cause == Cause::Peer), "a send was taken");
                assert!(!big, "{} bytes were taken, past every limit", payload.len());
                assert!(!full || self.drops(), "a send was taken past the cap: {waits:?} + {wire}");
                self.take(frame);
            }
            Err(Error::Again) => {
                assert!(!big, "{} bytes will never be taken, AGAIN says later", payload.len());
                let free = !full && !scarce;
                assert!(!free, "a send of {wire} was refused: {waits:?} waits, max {most}");
                self.refused += 1;
            }
            Err(Error::TooBig) => assert!(big, "{} bytes are not too big", payload.len()),
            Err(Error::Closed) => (self.doomed, self.deaf) = (true, true),
            Err(error) => panic!("a send was answered with {error:?}"),
        }
    }

    /// As `sent`, of a message under a key (0: none) that stands behind all others if it was taken.
    pub fn sent_under(
        &mut self,
        key: u64,
        payload: &[u8],
        answer: Result<(), Error>,
        waits: (u64, u32),
        scarce: bool,
    ) {
        self.sent(payload, answer, waits, scarce);
        if key > 0 && answer.is_ok() {
            self.places.insert(key, self.gone + self.taken.len() - 1);
        }
    }

    /// As `sent`, of a message that was taken in the place of the older one of its key.
    pub fn sent_in_place(
        &mut self,
        key: u64,
        payload: &[u8],
        answer: Result<(), Error>,
        waits: (u64, u32),
        scarce: bool,
    ) {
        let place = self.places.get(&key).expect("there is an older one");
        let at = place.checked_sub(self.gone).expect("what has arrived is not replaced");
        let older = self.taken.remove(at).expect("it stands there");
        let whole = self.style.wire.frame_len(&older) == Some(older.len());
        assert!(whole, "what has partly arrived is not replaced");
        self.taken_bytes -= older.len() as u64;
        self.sent(payload, answer, (waits.0 - older.len() as u64, waits.1 - 1), scarce);
        let newer = self.taken.pop_back().expect("just taken");
        self.taken.insert(at, newer);
    }

    /// A message was taken.
    pub fn take(&mut self, frame: Vec<u8>) {
        self.taken_bytes += frame.len() as u64;
        if !frame.is_empty() {
            self.taken.push_back(frame);
        }
    }

    /// WRITABLE came.
    pub fn writable(&mut self, refused: u32) {
        self.told_refused += u64::from(refused);
        assert!(refused > 0 && self.told_refused <= self.refused, "WRITABLE without a refusal");
    }

    /// Whether a WRITABLE is owed.
    pub fn is_owed(&self) -> bool {
        self.told_refused < self.refused
    }

    /// The peer read these bytes.
    pub fn arrived(&mut self, bytes: &[u8]) {
        self.seen.extend_from_slice(bytes);
        let mut at = 0;
        while at < self.seen.len() {
            let rest = &self.seen[at..];
            let whole = match self.drops() {
                true => self.style.wire.frame_len(rest).filter(|len| *len <= rest.len()),
                false => self.taken.front().map(|front| front.len().min(rest.len())),
            };
            let Some(len) = whole else {
                assert!(self.drops(), "{} bytes arrived that were never taken", rest.len());
                break;
            };
            if self.drops() {
                // What was dropped in between never arrives.
                let next = self.taken.iter().position(|frame| frame == &rest[..len]);
                let next = next.expect("a whole message arrived that was not taken, or too late");
                self.taken.drain(..=next);
                self.gone += next + 1;
            } else {
                let front = self.taken.front_mut().expect("looked at above");
                assert!(front[..len] == rest[..len], "other bytes arrived than were taken");
                front.drain(..len);
                if front.is_empty() {
                    self.taken.pop_front();
                    self.gone += 1;
                }
            }
            at += len;
        }
        self.seen.drain(..at);
    }

    /// Whether all that was taken arrived.
    pub fn has_all_arrived(&self) -> bool {
        self.taken.is_empty() && self.seen.is_empty()
    }

    pub fn describe(&self) -> String {
        let (policy, count) = (self.style.limits.overflow, self.taken.len());
        let first = self.taken.front().map_or(0, Vec::len);
        format!(" | {policy:?}: {count} to arrive, first {first} bytes, {} seen", self.seen.len())
    }

    /// CLOSED came. `peer`: its peer, if it was ever connected.
    pub fn close(&mut self, closed: Closed, peer: Option<&PeerLog>, connects: bool) {
        assert!(self.closed.is_none(), "CLOSED came twice");
        let Closed { cause, unsent, .. } = closed;
        let quiet = self.is_quiet() && cause == Cause::Peer;
        assert!(!quiet, "the peer's end was told of what is paused");
        let known = self.opened || self.listener.is_none();
        assert!(known, "CLOSED came for a connection without OPENED");
        self.check_cause(cause, peer, connects);
        let taken = self.taken_bytes;
        assert!(unsent <= taken, "{unsent} bytes unsent, {taken} taken");
        let handed = peer.map_or(0, |peer| peer.peer.taken());
        if cause != Cause::Peer && !self.drops() {
            let told = format!("{taken} taken, {unsent} unsent, {handed} handed over ({cause:?})");
            assert!(taken - unsent <= handed, "bytes are missing: {told}");
        }
        if let Some(peer) = peer
            && cause == Cause::Peer
            && self.shut.is_none()
        {
            assert!(peer.is_told(), "CLOSED before the last message: {}", peer.describe());
        }
        self.closed = Some(closed);
    }

    fn check_cause(&self, cause: Cause, peer: Option<&PeerLog>, connects: bool) {
        let limits = &self.style.limits;
        let peer_did = |did: &dyn Fn(&PeerLog) -> bool| peer.is_some_and(did);
        let right = match cause {
            Cause::Peer => peer_did(&|peer| peer.ended || peer.closed),
            Cause::Truncated => peer_did(&PeerLog::is_cut),
            Cause::Reset => peer_did(&|peer| peer.closed || peer.reset),
            Cause::Refused | Cause::Unreachable => connects && !self.opened,
            Cause::TimeoutConnect => !self.opened && limits.connect_timeout_ms > 0,
            Cause::TimeoutIdle => limits.idle_timeout_ms > 0,
            Cause::TimeoutFirstByte => limits.first_byte_timeout_ms > 0 && !connects,
            Cause::TimeoutFrame => limits.frame_timeout_ms > 0,
            Cause::TimeoutRate => limits.min_receive_rate > 0,
            Cause::TimeoutSend => limits.send_timeout_ms > 0,
            Cause::TimeoutLinger => self.shut.is_some(),
            Cause::LimitFrame | Cause::Protocol => peer_did(&PeerLog::is_broken),
            // A net of 1 or 3 MiB is under pressure soon, and a frame may be more than its share.
            // Who connects holds what the host has sent to it.
            Cause::LimitMemory => !connects || self.opened || self.taken_bytes > 0,
            Cause::LimitOutbox => limits.overflow == Overflow::Close,
            Cause::LimitModel => connects && !self.opened,
            Cause::Host => self.shut.is_some(),
            // `ledger.rs` knows whether the net was shut down.
            Cause::Shutdown => true,
            _ => false,
        };
        let told = peer.map_or_else(String::new, PeerLog::describe);
        assert!(right, "closed with {cause:?}, shut {:?}: {told}", self.shut);
    }
}

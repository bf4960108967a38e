//! What a slot holds: a connection is socket + session + two lanes, a listener socket + one lane.

use super::config::Endpoint;
use crate::io::Token;
use crate::session::{Cause, Millis, Session};
use socket2::Socket;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;

/// One lane of a socket.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LaneState {
    /// No operation.
    Idle,
    /// The model has an operation.
    InFlight,
}

/// How far a connection is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Phase {
    /// Its name is looked up.
    Resolving,
    /// The model connects it, or is about to.
    Connecting,
    /// Connected.
    Open,
}

/// How a connection ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// It does not.
    Not,
    /// The peer ended its side, and CLOSED says so. What the host sends while the batch with that
    /// CLOSED lives is still written, then the socket goes.
    Peer,
    /// To be flushed, ended and drained before it goes.
    Graceful,
    /// As soon as the model has let go of it.
    Abrupt,
}

/// Addresses of one name, in the order in which they are tried. In a box: few connections have it.
pub struct Candidates(pub VecDeque<SocketAddr>);

/// A connection. Two facts let its slot go: *joined* (the model and the socket are gone) and
/// *ended* (CLOSED was told, and its batch is over).
pub struct Conn {
    pub session: Session,
    pub endpoint: Arc<Endpoint>,
    /// None before the first connect and after the join.
    pub socket: Option<Socket>,
    pub peer: Option<SocketAddr>,
    /// Kept when the socket goes.
    pub local: Option<Box<SocketAddr>>,
    pub listener: Option<Token>,
    /// Addresses still to be tried.
    pub addresses: Option<Box<Candidates>>,
    /// The worker.
    pub home: u16,
    pub queue: u16,
    pub lanes: [LaneState; 2],
    pub phase: Phase,
    pub end: End,
    /// Why it ends, once it does.
    pub cause: Cause,
    pub os_error: i32,
    /// The end of connecting, or of a graceful close.
    pub deadline: Option<(Millis, Cause)>,
    /// The time of its entry in the worker's timers; 0 for none.
    pub timer_at: Millis,
    /// True exactly when the model knows the socket.
    pub adopted: bool,
    /// True exactly when the operations in flight were told to end.
    pub cancelled: bool,
    /// Closed with a reset.
    pub reset: bool,
    /// True exactly when CLOSED was emitted.
    pub told: bool,
    pub joined: bool,
    pub ended: bool,
    /// A command to look at it is on its way.
    pub dirty: bool,
    pub paused: bool,
    /// It stands on its worker's list of those that wait for the queue to be drained.
    pub stalled: bool,
    /// The peer's end was received.
    pub eof: bool,
    /// Our end was sent.
    pub fin_sent: bool,
    /// The host knows it: it called connect, or OPENED was emitted. Only then is CLOSED.
    pub announced: bool,
    /// It was accepted by another worker, whose listener counts it until it is told.
    pub handed: bool,
    /// The next address is tried when the model has let go of this one's socket.
    pub redial: bool,
    /// It stands on a list of those to be parsed later.
    pub parse_later: bool,
    /// A failure to be told when what was received before it is told: after a resume, or when
    /// reading comes to its end.
    pub broken: Option<(Cause, i32)>,
    /// Bytes taken and given up.
    pub unsent: u32,
    pub received_bytes: u64,
    pub received_messages: u64,
    pub sent_bytes: u64,
}

impl Conn {
    /// A connection without a socket as yet.
    pub fn new(endpoint: Arc<Endpoint>, session: Session, home: usize, queue: usize) -> Conn {
        Conn {
            session,
            endpoint,
            socket: None,
            peer: None,
            local: None,
            listener: None,
            addresses: None,
            home: home as u16,
            queue: queue as u16,
            lanes: [LaneState::Idle; 2],
            phase: Phase::Resolving,
            end: End::Not,
            cause: Cause::Host,
            os_error: 0,
            deadline: None,
            timer_at: 0,
            adopted: false,
            cancelled: false,
            reset: false,
            told: false,
            joined: false,
            ended: false,
            dirty: false,
            paused: false,
            stalled: false,
            eof: false,
            fin_sent: false,
            announced: false,
            handed: false,
            redial: false,
            parse_later: false,
            broken: None,
            unsent: 0,
            received_bytes: 0,
            received_messages: 0,
            sent_bytes: 0,
        }
    }

    /// Whether the host may still send.
    pub fn takes_sends(&self) -> bool {
        matches!(self.end, End::Not | End::Peer) && self.broken.is_none()
    }

    /// Ends it as soon as the model lets go, unless that is so already.
    pub fn end_abruptly(&mut self, cause: Cause, os_error: i32) {
        if self.end != End::Abrupt {
            self.end = End::Abrupt;
            self.cause = cause;
            self.os_error = os_error;
        }
    }
}

/// The end of a graceful close that begins now.
pub fn linger(conn: &Conn, now: Millis) -> (Millis, Cause) {
    (now + Millis::from(conn.endpoint.limits.linger_ms), Cause::TimeoutLinger)
}

/// A listener.
pub struct Listener {
    pub socket: Option<Socket>,
    pub endpoint: Arc<Endpoint>,
    pub local: Option<SocketAddr>,
    pub home: u16,
    pub lane: LaneState,
    pub adopted: bool,
    /// Why it ends, once it does.
    pub closing: Option<(Cause, i32)>,
    pub cancelled: bool,
    pub told: bool,
    pub joined: bool,
    pub stalled: bool,
    /// Connections that other workers were given and have not yet told. LISTENER_CLOSED waits for
    /// them: no OPENED comes after it.
    pub handed: u32,
    /// When it accepts again after the system ran out of something; 0: now.
    pub resume_at: Millis,
    /// The wait after the next such failure.
    pub backoff_ms: Millis,
    pub accepted: u64,
}

impl Listener {
    /// A listener whose socket listens.
    pub fn new(socket: Socket, endpoint: Arc<Endpoint>, home: usize) -> Listener {
        let local = socket.local_addr().ok().and_then(|address| address.as_socket());
        Listener { local, ..Listener::bare(Some(socket), endpoint, home) }
    }

    fn bare(socket: Option<Socket>, endpoint: Arc<Endpoint>, home: usize) -> Listener {
        Listener {
            socket,
            endpoint,
            local: None,
            home: home as u16,
            lane: LaneState::Idle,
            adopted: false,
            closing: None,
            cancelled: false,
            told: false,
            joined: false,
            stalled: false,
            handed: 0,
            resume_at: 0,
            backoff_ms: 0,
            accepted: 0,
        }
    }

    /// A listener without a socket.
    #[cfg(test)]
    pub fn for_tests() -> Listener {
        Listener::bare(None, Arc::default(), 0)
    }
}

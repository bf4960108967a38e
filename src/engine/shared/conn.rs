//! What a slot holds: a connection is socket + session + two lanes, a listener socket + one lane.

mod moving;
mod origin;
mod peer;
pub mod race;
mod racing;
#[cfg(test)]
mod tests;

pub use moving::Moving;
pub use origin::Origin;
use peer::{Link, Peer};
use race::Race;

use crate::engine::shared::event::Notice;
use crate::engine::shared::reminder::Reminder;
use crate::io::os::local::{self, Credentials, SocketFile};
use crate::io::os::sys;
use crate::io::{Lane, Role, Token};
use crate::session::{Cause, Millis, Session};
use socket2::Socket;
use std::io;
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

/// The peer's end of the stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Eof {
    No,
    Received,
    /// Received, and told as an event of its own (`half_open`).
    Told,
}

/// Our end of the stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fin {
    No,
    Sent,
    /// Sent, and a shutdown waits until the peer's system acknowledges it: it stands on its
    /// worker's list of those.
    Awaited,
}

/// A connection. Two facts let its slot go: *joined* (the model and the socket are gone) and
/// *ended* (CLOSED was told, and its batch is over).
///
/// An idle one is to be small: what few have at any time is in `More`.
pub struct Conn {
    pub session: Session,
    pub endpoint: Arc<Origin>,
    more: Option<Box<More>>,
    pub received_bytes: u64,
    pub received_messages: u64,
    pub sent_bytes: u64,
    peer: Peer,
    /// Of its next deadline.
    pub reminder: Reminder,
    /// None before the first connect and after the join.
    pub socket: Option<Socket>,
    /// The worker.
    pub home: u8,
    pub queue: u8,
    /// Of a move: the queue that it goes to, and while it arrives the one that it came from.
    pub other_queue: u8,
    /// How far a move is.
    pub moving: Moving,
    /// True exactly when its worker serves another queue than its own.
    pub abroad: bool,
    pub lanes: [LaneState; 2],
    pub phase: Phase,
    pub end: End,
    /// Why it ends, once it does.
    pub cause: Cause,
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
    /// Whether the peer's end was received.
    pub eof: Eof,
    /// Whether our end was sent.
    pub fin: Fin,
    /// The host knows it: it called connect, or OPENED was emitted. Only then is CLOSED.
    pub announced: bool,
    /// It was accepted by another worker, whose listener counts it until it is told.
    pub handed: bool,
    /// The next address is tried when the model has let go of this one's socket.
    pub redial: bool,
    /// It stands on a list of those to be parsed later.
    pub parse_later: bool,
    /// Its worker is in the middle of a turn with it: no other takes it over.
    pub settling: bool,
}

// Every connection has one, idle or not.
const _: () = assert!(size_of::<Conn>() <= 152 + 2 * size_of::<Socket>());

/// What a connection has while it begins or ends, made when it is needed.
#[derive(Default, PartialEq)]
struct More {
    /// While it connects.
    race: Race,
    /// The end of connecting, or of a graceful close.
    deadline: Option<(Millis, Cause)>,
    /// A failure to be told when what was received before it is told: after a resume, or when
    /// reading comes to its end.
    broken: Option<(Cause, i32)>,
    /// What the addresses that were tried told, as far as that is known.
    failure: Option<(Cause, i32)>,
    /// Why it ends, as the system has it.
    os_error: i32,
    /// Bytes taken and given up.
    unsent: u64,
    /// Kept when the socket goes.
    local: Option<SocketAddr>,
    credentials: Option<Credentials>,
    /// Of the peer's address.
    link: Link,
}

impl Conn {
    /// A connection without a socket as yet.
    pub fn new(endpoint: Arc<Origin>, session: Session, home: usize, queue: usize) -> Conn {
        let small = |number| u8::try_from(number).expect("a net has at most 64 of them");
        Conn {
            session,
            endpoint,
            more: None,
            received_bytes: 0,
            received_messages: 0,
            sent_bytes: 0,
            peer: Peer::UNKNOWN,
            reminder: Reminder::default(),
            socket: None,
            home: small(home),
            queue: small(queue),
            other_queue: 0,
            moving: Moving::No,
            abroad: false,
            lanes: [LaneState::Idle; 2],
            phase: Phase::Resolving,
            end: End::Not,
            cause: Cause::Host,
            adopted: false,
            cancelled: false,
            reset: false,
            told: false,
            joined: false,
            ended: false,
            dirty: false,
            paused: false,
            stalled: false,
            eof: Eof::No,
            fin: Fin::No,
            announced: false,
            handed: false,
            redial: false,
            parse_later: false,
            settling: false,
        }
    }

    /// Whether the host may still send.
    #[inline]
    pub fn takes_sends(&self) -> bool {
        matches!(self.end, End::Not | End::Peer) && self.broken().is_none()
    }

    /// Whether the model has a send.
    #[inline]
    pub fn is_sending(&self) -> bool {
        self.phase == Phase::Open && self.lanes[Lane::Out as usize] == LaneState::InFlight
    }

    /// What its socket is to the model once it is connected.
    pub fn role(&self) -> Role {
        if self.peer().is_some() { Role::Stream } else { Role::Local }
    }

    /// Ends it as soon as the model lets go, unless that is so already.
    pub fn end_abruptly(&mut self, cause: Cause, os_error: i32) {
        if self.end != End::Abrupt {
            self.end = End::Abrupt;
            self.blame(cause, os_error);
        }
    }

    /// Why it ends.
    pub fn blame(&mut self, cause: Cause, os_error: i32) {
        self.cause = cause;
        if os_error != self.os_error() {
            self.more().os_error = os_error;
        }
    }

    /// Why it ends, as the system has it.
    pub fn os_error(&self) -> i32 {
        self.more.as_ref().map_or(0, |more| more.os_error)
    }

    /// A failure that is still to be told.
    #[inline]
    pub fn broken(&self) -> Option<(Cause, i32)> {
        self.more.as_ref()?.broken
    }

    /// A failure, to be told when what was received before it is. The first one counts.
    pub fn break_off(&mut self, cause: Cause, os_error: i32) {
        self.more().broken.get_or_insert((cause, os_error));
    }

    /// The end of connecting, or of a graceful close.
    #[inline]
    pub fn deadline(&self) -> Option<(Millis, Cause)> {
        self.more.as_ref()?.deadline
    }

    pub fn set_deadline(&mut self, deadline: Option<(Millis, Cause)>) {
        if deadline != self.deadline() {
            self.more().deadline = deadline;
        }
    }

    /// Bytes taken and given up.
    pub fn unsent(&self) -> u64 {
        self.more.as_ref().map_or(0, |more| more.unsent)
    }

    /// Gives up what waits to be written.
    pub fn give_up(&mut self) {
        let bytes = self.session.abandon();
        if bytes > 0 {
            self.more().unsent += u64::from(bytes);
        }
    }

    /// Why an address could not be connected to. One that tells of the peer counts for more than
    /// one that does not, and the last of them for most.
    pub fn note_failure(&mut self, failure: (Cause, i32), tells: bool) {
        if tells || self.failure().is_none() {
            self.more().failure = Some(failure);
        }
    }

    /// Why it could not be connected.
    pub fn failure(&self) -> Option<(Cause, i32)> {
        self.more.as_ref()?.failure
    }

    /// Fails where its socket was connected to itself: TCP lets two that connect to each other
    /// meet, and these two can be one, when the system chooses the port that is dialled and nobody
    /// listens there (RFC 9293, 3.5, simultaneous open).
    pub fn is_another(&self) -> io::Result<()> {
        let Some((socket, peer)) = self.socket.as_ref().zip(self.peer()) else { return Ok(()) };
        let local = socket.local_addr().ok().and_then(|local| local.as_socket());
        if local != Some(peer) {
            return Ok(());
        }
        sys::cut(socket);
        Err(io::Error::from_raw_os_error(sys::REFUSED))
    }

    /// It is connected: what it began with is not needed any more.
    pub fn begun(&mut self) {
        self.set_deadline(None);
        self.end_race();
        if let Some(more) = &mut self.more {
            more.failure = None;
        }
        self.relax();
    }

    /// Gives up memory that nothing is in.
    pub fn relax(&mut self) {
        self.session.relax();
        self.more.take_if(|more| **more == More::default());
    }

    /// Connected, and not about to end.
    #[inline]
    pub fn is_open(&self) -> bool {
        self.end == End::Not && self.phase == Phase::Open
    }

    /// Whether the host paused it and nothing is asked of the model that would tell of a reset.
    #[inline]
    pub fn is_unheard(&self) -> bool {
        self.paused
            && self.is_open()
            && self.eof == Eof::No
            && self.lanes[Lane::In as usize] == LaneState::Idle
    }

    /// Whether it has no deadline but those of its session.
    #[inline]
    pub fn is_plain(&self) -> bool {
        self.more.is_none() && !self.paused
    }

    /// The listener that it came from.
    #[inline]
    pub fn listener(&self) -> Option<Token> {
        self.endpoint.listener()
    }

    /// Resets it while the model still has the socket. Its address stays known.
    pub fn reset_now(&mut self) {
        let local = self.local();
        if let Some(socket) = &self.socket {
            sys::cut(socket);
            self.more().local = local;
        }
    }

    /// The socket goes. Its address stays known.
    pub fn take_socket(&mut self) -> Option<Socket> {
        let (local, credentials) = (self.local(), self.credentials());
        let socket = self.socket.take()?;
        let more = self.more();
        (more.local, more.credentials) = (local, credentials);
        Some(socket)
    }

    /// The address at this end, also when the socket is gone.
    pub fn local(&self) -> Option<SocketAddr> {
        let now = self.socket.as_ref().and_then(|socket| socket.local_addr().ok()?.as_socket());
        // One that was reset has none any more.
        let known = now.filter(|local| !local.ip().is_unspecified());
        known.or_else(|| self.more.as_ref()?.local).or(now)
    }

    /// Who is at the other end of a local socket, also when the socket is gone.
    pub fn credentials(&self) -> Option<Credentials> {
        if self.peer().is_some() {
            return None;
        }
        let now = self.socket.as_ref().and_then(local::credentials);
        now.or_else(|| self.more.as_ref()?.credentials)
    }

    pub fn peer(&self) -> Option<SocketAddr> {
        self.peer.address(self.more.as_ref().map_or((0, 0), |more| more.link))
    }

    pub fn set_peer(&mut self, address: Option<SocketAddr>) {
        let unknown = (Peer::UNKNOWN, (0, 0));
        let (peer, link) = address.map_or(unknown, Peer::new);
        self.peer = peer;
        if self.more.is_some() || link != (0, 0) {
            self.more().link = link;
        }
    }

    /// Ends a move whose worker is gone. What is to be told on the new queue.
    pub fn cut_move(&mut self) -> Option<Notice> {
        if !self.moving.is_quiet() {
            return None;
        }
        if self.moving != Moving::Arriving {
            std::mem::swap(&mut self.queue, &mut self.other_queue);
        }
        self.moving = Moving::No;
        Some(Notice::Moved { queue: self.other_queue, left: false })
    }

    fn more(&mut self) -> &mut More {
        self.more.get_or_insert_default()
    }
}

/// The end of a graceful close that begins now.
pub fn linger(conn: &Conn, now: Millis) -> (Millis, Cause) {
    (now + Millis::from(conn.endpoint.limits.linger_ms), Cause::TimeoutLinger)
}

/// A listener.
pub struct Listener {
    pub socket: Option<Socket>,
    /// Of a local socket; goes with it.
    pub file: Option<SocketFile>,
    pub endpoint: Arc<Origin>,
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
    /// Accepts in a row that brought nobody and failed for the one connection.
    pub lost: u32,
    /// Of `resume_at`.
    pub reminder: Reminder,
    pub accepted: u64,
}

impl Listener {
    /// A listener whose socket listens.
    pub fn new(
        socket: Socket,
        file: Option<SocketFile>,
        endpoint: Arc<Origin>,
        home: usize,
    ) -> Listener {
        let local = socket.local_addr().ok().and_then(|address| address.as_socket());
        Listener { local, file, ..Listener::bare(Some(socket), endpoint, home) }
    }

    fn bare(socket: Option<Socket>, endpoint: Arc<Origin>, home: usize) -> Listener {
        Listener {
            socket,
            file: None,
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
            lost: 0,
            reminder: Reminder::default(),
            accepted: 0,
        }
    }

    /// A listener without a socket.
    #[cfg(test)]
    pub fn for_tests() -> Listener {
        Listener::bare(None, Arc::default(), 0)
    }
}

//! A connection: its session, its link to a socket with two lanes, how far its life is, the lists
//! that it stands on, and a move to another queue.

pub mod life;
pub mod link;
mod marks;
mod moving;
mod origin;
mod pacing;
mod peer;
mod proxied;
mod proxy;
pub mod race;
mod racing;
mod rates;
#[cfg(test)]
mod tests;

pub use life::{End, Eof, Fin, Life, Phase, Report};
pub use link::{Link, Tie};
pub use marks::Marks;
pub use moving::{Move, Moving};
pub use origin::Origin;
use peer::{Peer, Scope};
use proxy::Proxied;
use race::Race;
use rates::Rates;

use crate::engine::shared::event::Notice;
use crate::engine::shared::parting::Answer;
use crate::engine::shared::reminder::Reminder;
use crate::io::os::local::{self, Credentials};
use crate::io::os::sys;
use crate::io::{Lane, Role, Token, Weather, canonical};
use crate::session::{Cause, Framing, Millis, Stack};
use socket2::Socket;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

/// A connection. Two facts let its slot go: its link is *joined* (the model and the socket are
/// gone) and its report is *over* (the batch with its CLOSED is).
///
/// An idle one is to be small: what few have at any time is in `More`.
pub struct Conn {
    pub session: Stack,
    pub endpoint: Arc<Origin>,
    more: Option<Box<More>>,
    pub received_bytes: u64,
    pub received_messages: u64,
    pub sent_bytes: u64,
    peer: Peer,
    /// Of its next deadline.
    pub reminder: Reminder,
    pub link: Link,
    pub life: Life,
    pub marks: Marks,
    pub moving: Move,
    /// The worker.
    pub home: u8,
    pub queue: u8,
}

// Every connection has one, idle or not.
const _: () = assert!(size_of::<Conn>() <= 152 + 2 * size_of::<Socket>());

/// What a connection has while it begins or ends, or what few have; made when it is needed.
#[derive(Default, PartialEq)]
struct More {
    /// While it connects.
    race: Race,
    /// The end of connecting, or of a graceful close.
    deadline: Option<(Millis, Cause)>,
    /// A failure to be reported after everything that was received before it: after a resume, or at
    /// the end of reading.
    broken: Option<(Cause, i32)>,
    /// The failures of the addresses that were tried, as far as they are known.
    failure: Option<(Cause, i32)>,
    /// Why it ends, as the system has it.
    os_error: i32,
    /// Bytes taken and given up.
    unsent: u64,
    /// Kept when the socket goes.
    local: Option<SocketAddr>,
    credentials: Option<Credentials>,
    /// Of the peer's address.
    scope: Scope,
    /// What the host has done to its bytes.
    weather: Option<Arc<Weather>>,
    /// Its tap was asked to be quiet, behind a cancel.
    quieted: bool,
    /// The host closed it in order, and the table counts it among those that linger.
    lingers: bool,
    /// Its address is another one now than that it came in from, which is counted no more.
    moved_away: bool,
    /// What it is let in with.
    connect_token: Option<Arc<[u8]>>,
    /// While it is parting.
    answer: Option<Answer>,
    proxied: Proxied,
    /// Where its endpoint bounds how fast it goes.
    rates: Option<Box<Rates>>,
}

impl Conn {
    /// A connection without a socket as yet.
    pub fn new(endpoint: Arc<Origin>, session: Stack, home: usize, queue: usize) -> Conn {
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
            link: Link::new(None),
            life: Life::new(),
            marks: Marks::default(),
            moving: Move::default(),
            home: small(home),
            queue: small(queue),
        }
    }

    /// Whether the host may still send.
    #[inline]
    pub fn takes_sends(&self) -> bool {
        matches!(self.life.end, End::Not | End::Peer) && self.broken().is_none()
    }

    /// Whether the model has a send.
    #[inline]
    pub fn is_sending(&self) -> bool {
        self.is_connected() && self.link.is_busy(Lane::Out)
    }

    /// Whether its socket is connected and bytes go both ways.
    #[inline]
    pub fn is_connected(&self) -> bool {
        self.life.phase >= Phase::Opening
    }

    /// Whether the host wants no messages. Until the layer is open there are none to stop.
    #[inline]
    pub fn is_held_back(&self) -> bool {
        (self.marks.paused || self.moving.stage.is_quiet()) && self.life.phase == Phase::Open
    }

    /// What its socket is to the model once it is connected.
    pub fn role(&self) -> Role {
        if self.peer().is_some() { Role::Stream } else { Role::Local }
    }

    /// Ends it as soon as the model lets go, unless that is so already.
    pub fn end_abruptly(&mut self, cause: Cause, os_error: i32) {
        if self.life.end != End::Abrupt {
            self.life.end = End::Abrupt;
            self.blame(cause, os_error);
        }
    }

    /// Its layer has failed. What that has to say to the peer is still written.
    pub fn fail(&mut self, cause: Cause) {
        if self.life.end != End::Not || !self.session.has_last_word() {
            return self.end_abruptly(cause, 0);
        }
        self.give_up();
        self.life.end = End::Peer;
        self.blame(cause, 0);
    }

    /// Why it ends.
    pub fn blame(&mut self, cause: Cause, os_error: i32) {
        self.life.cause = cause;
        if os_error != self.os_error() {
            self.more().os_error = os_error;
        }
    }

    /// Why it ends, as the system has it.
    pub fn os_error(&self) -> i32 {
        self.more.as_ref().map_or(0, |more| more.os_error)
    }

    /// A failure that is still to be reported.
    #[inline]
    pub fn broken(&self) -> Option<(Cause, i32)> {
        self.more.as_ref()?.broken
    }

    /// A failure, to be reported when what was received before it is. The first one counts.
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
        self.lose(bytes.into());
    }

    /// The peer goes on from another address.
    pub fn migrate(&mut self, peer: Option<SocketAddr>) {
        if self.endpoint.door().is_some() && !std::mem::replace(&mut self.more().moved_away, true) {
            self.endpoint.left(self.peer());
        }
        self.set_peer(peer);
    }

    /// What a transport is to be let in with.
    pub fn connect_token(&self) -> Option<Arc<[u8]>> {
        self.more.as_ref()?.connect_token.clone()
    }

    /// Gives it what a transport is to be let in with.
    pub fn set_connect_token(&mut self, token: Option<Arc<[u8]>>) {
        if token.is_some() || self.connect_token().is_some() {
            self.more().connect_token = token;
        }
    }

    /// More bytes were taken and given up.
    pub fn lose(&mut self, bytes: u64) {
        if bytes > 0 {
            self.more().unsent += bytes;
        }
    }

    /// What the host has done to its bytes, if that was set for it alone.
    pub fn weather(&self) -> Option<&Arc<Weather>> {
        self.more.as_ref()?.weather.as_ref()
    }

    pub fn set_weather(&mut self, weather: Option<Arc<Weather>>) {
        if weather.is_some() || self.weather().is_some() {
            self.more().weather = weather;
        }
    }

    /// Its tap is asked to be quiet, behind a cancel. False: it was before.
    pub fn quiet(&mut self) -> bool {
        !std::mem::replace(&mut self.more().quieted, true)
    }

    /// Why an address could not be connected to. A failure that says something of the peer counts
    /// more than one that does not, and the last of those counts most.
    pub fn note_failure(&mut self, failure: (Cause, i32), tells: bool) {
        if tells || self.failure().is_none() {
            self.more().failure = Some(failure);
        }
    }

    /// Why it could not be connected.
    pub fn failure(&self) -> Option<(Cause, i32)> {
        self.more.as_ref()?.failure
    }

    /// Fails where its socket was connected to itself: TCP connects two sockets that connect to
    /// each other, and the two can be one, when the system chooses the port that is dialled and no
    /// socket listens there (RFC 9293, 3.5, simultaneous open).
    pub fn is_another(&self) -> io::Result<()> {
        let Some((socket, peer)) = self.link.socket().zip(self.peer()) else {
            return Ok(());
        };
        let local = socket.local_addr().ok().and_then(|local| local.as_socket()).map(canonical);
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
        self.life.end == End::Not && self.life.phase == Phase::Open
    }

    /// The host has to say how the stream goes on, where it wanted that.
    pub fn await_step(&mut self) {
        self.marks.paused |= self.endpoint.step;
    }

    /// Whether the host paused it and no operation of the model would report a reset.
    #[inline]
    pub fn is_unheard(&self) -> bool {
        self.marks.paused
            && !self.link.is_carried()
            && self.is_open()
            && self.life.eof == Eof::No
            && !self.link.is_busy(Lane::In)
    }

    /// Whether it has no deadline but those of its session.
    #[inline]
    pub fn is_plain(&self) -> bool {
        let timed = |more: &More| more.deadline.is_some() || more.race != Race::default();
        !self.more.as_ref().is_some_and(|more| timed(more))
            && !self.marks.paused
            && !self.session.is_layered()
    }

    /// How its messages are cut.
    #[inline]
    pub fn framing(&self) -> &Framing {
        self.endpoint.framing_of(self.session.web().is_some())
    }

    /// The listener that it came from.
    #[inline]
    pub fn listener(&self) -> Option<Token> {
        self.endpoint.listener()
    }

    /// Resets it while the model still has the socket. Its address stays known.
    pub fn reset_now(&mut self) {
        let local = self.local();
        if let Some(socket) = self.link.socket() {
            sys::cut(socket);
            self.more().local = local;
        }
    }

    /// The socket goes. Its address stays known.
    pub fn take_socket(&mut self) -> Option<Socket> {
        if self.endpoint.local().is_some() {
            return self.link.take_socket();
        }
        let (local, credentials) = (self.local(), self.credentials());
        let socket = self.link.take_socket()?;
        let more = self.more();
        (more.local, more.credentials) = (local, credentials);
        Some(socket)
    }

    /// The address at this end, also when the socket is gone.
    pub fn local(&self) -> Option<SocketAddr> {
        if let Some(local) = self.endpoint.local() {
            return Some(local);
        }
        let now = self.link.socket().and_then(|socket| socket.local_addr().ok()?.as_socket());
        // One that was reset has none any more.
        let known = now.filter(|local| !local.ip().is_unspecified());
        known.or_else(|| self.more.as_ref()?.local).or(now).map(canonical)
    }

    /// The address at this end, of one without a socket of its own.
    pub fn set_local(&mut self, local: Option<SocketAddr>) {
        if self.endpoint.local().is_none() {
            self.more().local = local;
        }
    }

    /// Who is at the other end of a local socket, also when the socket is gone.
    pub fn credentials(&self) -> Option<Credentials> {
        if self.peer().is_some() {
            return None;
        }
        let now = self.link.socket().and_then(local::credentials);
        now.or_else(|| self.more.as_ref()?.credentials)
    }

    pub fn peer(&self) -> Option<SocketAddr> {
        self.peer.address(self.more.as_ref().map_or((0, 0), |more| more.scope))
    }

    pub fn set_peer(&mut self, address: Option<SocketAddr>) {
        let unknown = (Peer::UNKNOWN, (0, 0));
        let (peer, link) = address.map_or(unknown, Peer::new);
        self.peer = peer;
        if self.more.is_some() || link != (0, 0) {
            self.more().scope = link;
        }
    }

    /// The host's call waits for the socket.
    pub fn set_answer(&mut self, answer: Answer) {
        self.more().answer = Some(answer);
    }

    /// Where the host's call waits for the socket, if one does.
    pub fn take_answer(&mut self) -> Option<Answer> {
        self.more.as_mut()?.answer.take()
    }

    /// Ends a move whose worker is gone. What is to be reported on the new queue.
    pub fn cut_move(&mut self) -> Option<Notice> {
        if self.moving.stage == Moving::Parting {
            self.moving.stage = Moving::No;
            // The host's call sees that there is no answer any more.
            drop(self.take_answer());
        }
        if !self.moving.stage.is_quiet() {
            return None;
        }
        if self.moving.stage != Moving::Arriving {
            std::mem::swap(&mut self.queue, &mut self.moving.other_queue);
        }
        self.moving.stage = Moving::No;
        Some(Notice::Moved { queue: self.moving.other_queue, left: false })
    }

    /// Fails in a debug build where two facts exclude each other.
    #[inline]
    pub fn assert_valid(&self) {
        if cfg!(debug_assertions) {
            self.life.assert_valid();
            self.link.assert_valid();
            let arrives = self.moving.stage == Moving::Arriving;
            assert!(!arrives || self.link.is_idle(), "nothing is in flight between two workers");
            assert!(!self.link.is_joined() || self.life.end == End::Abrupt, "only the end joins");
        }
    }

    /// Notes that it lingers. Whether it did before.
    pub fn begin_linger(&mut self) -> bool {
        std::mem::replace(&mut self.more().lingers, true)
    }

    /// Whether the table counts it among those that linger.
    pub fn lingers(&self) -> bool {
        self.more.as_ref().is_some_and(|more| more.lingers)
    }

    fn more(&mut self) -> &mut More {
        self.more.get_or_insert_default()
    }
}

impl Drop for Conn {
    fn drop(&mut self) {
        if !self.is_outside() && !self.more.as_ref().is_some_and(|more| more.moved_away) {
            self.endpoint.left(self.peer());
        }
    }
}

/// The end of a graceful close that begins now.
pub fn linger(conn: &Conn, now: Millis) -> (Millis, Cause) {
    (now + Millis::from(conn.endpoint.limits.linger_ms), Cause::TimeoutLinger)
}

//! Sockets that come from the host, and go back to it; `worker/part.rs` has the steps of going.

use crate::engine::host::layered::layer_of_tests;
use crate::engine::host::net::Net;
use crate::engine::host::url::Place;
use crate::engine::shared::config::Endpoint;
use crate::engine::shared::conn::{Conn, End, Moving, Phase, Report};
use crate::engine::shared::error::{Error, Refusal};
use crate::engine::shared::home::Command;
use crate::engine::shared::parting::{Answer, Awaited, Parted};
use crate::engine::shared::table::{Held, Resident};
use crate::io::os::{descriptor, sys};
use crate::io::{Token, model};
use crate::session::Stack;
use socket2::{SockAddr, Socket, Type};
use std::io;
use std::mem::ManuallyDrop;
use std::net::SocketAddr;
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

/// The longest wait for a worker that is to let go.
const PART_MOST: Duration = Duration::from_secs(1);
/// So many turns of a worker that no other thread turns come without a pause, and the pause between
/// the others: a model that cancels what it has begun needs two.
const PART_TURNS: u32 = 4;
const PART_PAUSE: Duration = Duration::from_millis(1);

/// What a descriptor of the host's is.
struct Found {
    socket: ManuallyDrop<Socket>,
    kind: Type,
    local: SockAddr,
}

impl Found {
    fn at(handle: isize) -> Result<Found, Refusal> {
        let found = || -> io::Result<Found> {
            let socket = descriptor::lend(handle)?;
            let (kind, local) = (socket.r#type()?, socket.local_addr()?);
            Ok(Found { socket, kind, local })
        };
        found().map_err(|error| invalid(handle, &format!("is not a socket: {error}")))
    }

    /// Whether streams of its family can be had here.
    fn is_stream(&self) -> bool {
        let known = self.local.as_socket().is_some() || descriptor::is_local(&self.local);
        self.kind == Type::STREAM && known
    }

    fn prepare(&self, handle: isize) -> Result<(), Refusal> {
        let tried = format!("handle {handle} cannot be set to close on exec and not to block");
        descriptor::prepare(&self.socket).map_err(|error| Refusal::system(&tried, &error))
    }

    /// The socket, which is the library's from here on.
    fn take(self) -> Socket {
        ManuallyDrop::into_inner(self.socket)
    }
}

fn invalid(handle: isize, words: &str) -> Refusal {
    Refusal::new(Error::Invalid, format!("handle {handle} {words}"))
}

impl Net {
    /// Opens a listener with a socket of the host's; `out` is given its handle before any worker
    /// knows it. The socket stays the host's where this fails.
    pub fn listen_adopt(
        &self,
        handle: isize,
        mut endpoint: Endpoint,
        out: impl FnOnce(u64),
    ) -> Result<(), Refusal> {
        let opening = self.opening.read();
        self.check_running()?;
        self.add_layer(&Place::Descriptor(handle), true, &mut endpoint)?;
        endpoint.layer = endpoint.layer.or_else(layer_of_tests);
        let opened = self.take_listener(handle, &format!("handle {handle}"), endpoint, out);
        drop(opening);
        self.core.log.tell_later();
        opened
    }

    pub(in crate::engine) fn take_listener(
        &self,
        handle: isize,
        url: &str,
        mut endpoint: Endpoint,
        out: impl FnOnce(u64),
    ) -> Result<(), Refusal> {
        let found = Found::at(handle)?;
        let local = found.local.as_socket();
        if found.kind == Type::DGRAM
            && let Some(local) = local
        {
            self.resolve_endpoint(&mut endpoint, true)?;
            return self.take_port(handle, found, local, endpoint, out);
        }
        if !found.is_stream() {
            return Err(invalid(handle, "is neither of TCP, UDP nor a local stream socket"));
        }
        if !descriptor::listens(&found.socket).unwrap_or(false) {
            return Err(invalid(handle, "is a stream socket that does not listen"));
        }
        self.resolve_endpoint(&mut endpoint, false)?;
        found.prepare(handle)?;
        // The file of a local one is whoever made it's.
        self.add_listener(url, local, endpoint, || (found.take(), None), out)
    }

    fn take_port(
        &self,
        handle: isize,
        found: Found,
        local: SocketAddr,
        endpoint: Endpoint,
        out: impl FnOnce(u64),
    ) -> Result<(), Refusal> {
        if found.socket.peer_addr().is_ok() {
            return Err(invalid(handle, "is a datagram socket that is connected"));
        }
        if local.port() == 0 {
            return Err(invalid(handle, "is a datagram socket that is not bound"));
        }
        found.prepare(handle)?;
        sys::prepare_datagrams(&found.socket);
        if local.ip().is_unspecified() {
            let tried = "the address that a datagram was sent to cannot be had";
            sys::ask_local(&found.socket, local.is_ipv6())
                .map_err(|error| Refusal::system(tried, &error))?;
        }
        self.add_port(local, endpoint, || found.take(), out)
    }

    /// Begins a connection with a socket of the host's that is connected, and bytes that were
    /// received from it; `out` is given its handle before any worker knows it. The socket stays
    /// the host's where this fails.
    pub fn conn_adopt(
        &self,
        handle: isize,
        mut endpoint: Endpoint,
        unread: &[u8],
        out: impl FnOnce(u64),
    ) -> Result<(), Refusal> {
        let _opening = self.opening.read();
        self.check_running()?;
        self.resolve_endpoint(&mut endpoint, false)?;
        if endpoint.tls.is_some() {
            let words = "endpoint.tls: a connection is adopted without TLS in this version";
            return Err(Refusal::new(Error::Unsupported, words));
        }
        let found = Found::at(handle)?;
        if !found.is_stream() || descriptor::listens(&found.socket).unwrap_or(false) {
            return Err(invalid(handle, "is no stream socket of TCP or of this machine"));
        }
        let peer = found.socket.peer_addr();
        let peer = peer.map_err(|error| invalid(handle, &format!("is not connected: {error}")))?;
        let core = &self.core;
        let mut session = Stack::new(core.now(), core.is_manual());
        if !session.session_mut().unread(&core.pool, unread) {
            return Err(Error::NoMemory.into());
        }
        found.prepare(handle)?;
        endpoint.socket.set(&found.socket);
        let placed = core.place(endpoint.queue);
        let (queue, home) = placed.unwrap_or_else(|| core.squeeze(endpoint.queue));
        let user_data = std::mem::take(&mut endpoint.user_data);
        endpoint.queue = None;
        let mut conn = Conn::new(core.table.origin(endpoint), session, home, queue);
        conn.life.report = Report::Known;
        conn.life.phase = Phase::Open;
        conn.set_peer(peer.as_socket());
        let full = || Refusal::new(Error::Limit, "connections_max is reached");
        let token = core.insert(Resident::Conn(conn), user_data, home).ok_or_else(full)?;
        let mut held = core.table.hold(token);
        if let Some(conn) = held.as_mut().and_then(Held::conn) {
            conn.link.set_socket(found.take());
        }
        drop(held);
        out(self.conn_id(token));
        core.homes[home].post(Command::Adopt(token));
        Ok(())
    }

    /// The descriptor of a connection, to be looked at.
    pub fn conn_native(&self, token: Token) -> Result<isize, Error> {
        let mut held = self.core.table.hold(token).ok_or(Error::Stale)?;
        let link = match held.resident() {
            Resident::Conn(conn) if conn.life.report == Report::Known => &conn.link,
            Resident::Conn(conn) if conn.life.report == Report::Closed => {
                return Err(Error::Closed);
            }
            Resident::Datagram(udp) if udp.connected => &udp.link,
            _ => return Err(Error::Stale),
        };
        link.socket().map(descriptor::raw).ok_or(Error::Closed)
    }

    /// Gives a connection's socket to the host, with what is on its way in and out.
    pub fn conn_release(&self, token: Token) -> Result<Parted, Refusal> {
        self.check_parting()?;
        let mut held = self.hold_conn(token)?;
        let conn = &mut *held;
        if conn.life.end != End::Not || conn.broken().is_some() {
            return Err(Error::Closed.into());
        }
        if conn.session.is_layered() {
            let words = "what a layer knows of a connection cannot be given away";
            return Err(Refusal::new(Error::Unsupported, words));
        }
        if conn.link.is_carried() {
            let words = "the connection has no socket of its own";
            return Err(Refusal::new(Error::Unsupported, words));
        }
        if conn.life.phase != Phase::Open || !conn.link.is_adopted() {
            return Err(Refusal::new(Error::Busy, "the connection is not open yet"));
        }
        if conn.moving.stage != Moving::No {
            let words = "the connection is on its way to another queue, or to another call";
            return Err(Refusal::new(Error::Busy, words));
        }
        if conn.session.session().is_dropping() {
            let words = "the rest of a message that was cut is still to come";
            return Err(Refusal::new(Error::Busy, words));
        }
        let (answer, awaited) = Answer::new();
        conn.moving.stage = Moving::Parting;
        conn.set_answer(answer);
        let home = usize::from(conn.home);
        drop(held);
        self.await_parted(token, home, &awaited)
    }

    /// Gives a listener's socket to the host.
    pub fn listener_release(&self, token: Token) -> Result<Socket, Refusal> {
        self.check_parting()?;
        let mut held = self.core.table.hold(token).ok_or(Error::Stale)?;
        if held.datagram().is_some_and(|udp| !udp.connected) {
            let words = "a datagram socket is not given back; keep a duplicate of one and adopt it";
            return Err(Refusal::new(Error::Unsupported, words));
        }
        let listener = held.listener().ok_or(Error::Stale)?;
        if listener.closing.is_some() {
            return Err(Error::Closed.into());
        }
        if listener.parting.is_some() || !listener.link.is_adopted() {
            return Err(Refusal::new(Error::Busy, "the listener is not open yet, or released"));
        }
        let (answer, awaited) = Answer::new();
        listener.parting = Some(answer);
        let home = usize::from(listener.home);
        drop(held);
        self.await_parted(token, home, &awaited).map(|parted| parted.socket)
    }

    fn check_parting(&self) -> Result<(), Refusal> {
        self.check_running()?;
        if self.is_inside() {
            return Err(Error::WouldDeadlock.into());
        }
        let (model, _) = self.model();
        if !model::lets_go(model) {
            let name = model.name();
            let words = format!("{name} cannot give a socket back without ending its stream");
            return Err(Refusal::new(Error::Unsupported, words));
        }
        if self.core.config.taps {
            let words = "with config.taps bytes are held that are neither here nor there";
            return Err(Refusal::new(Error::Unsupported, words));
        }
        Ok(())
    }

    /// Waits until the worker has let go, and turns it where no other thread does.
    fn await_parted(
        &self,
        token: Token,
        home: usize,
        awaited: &Awaited,
    ) -> Result<Parted, Refusal> {
        self.core.homes[home].post(Command::Part(token));
        let until = Instant::now() + PART_MOST;
        for turn in 0.. {
            self.batons[home].hasten();
            let pause = if turn < PART_TURNS { Duration::ZERO } else { PART_PAUSE };
            match awaited.recv_timeout(pause) {
                Ok(answer) => return answer,
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(self.check_running().err().unwrap_or(Error::Closed).into());
                }
                Err(RecvTimeoutError::Timeout) if Instant::now() < until => {}
                Err(RecvTimeoutError::Timeout) => break,
            }
        }
        if self.withdraw(token) {
            let words = "its worker did not let go of it within a second";
            return Err(Refusal::new(Error::Busy, words));
        }
        // Answered meanwhile.
        awaited.try_recv().unwrap_or_else(|_| Err(Error::Closed.into()))
    }

    /// Whether the host's call waits for this socket still; then not any more.
    fn withdraw(&self, token: Token) -> bool {
        let Some(mut held) = self.core.table.hold(token) else { return false };
        match held.resident() {
            Resident::Conn(conn) if conn.moving.stage == Moving::Parting => {
                conn.moving.stage = Moving::No;
                conn.take_answer().is_some()
            }
            Resident::Listener(listener) => listener.parting.take().is_some(),
            _ => false,
        }
    }
}

//! What the host asks: doors, and single connections.

use crate::buf::Slice;
use crate::engine::host::carried::carrier_of_tests;
use crate::engine::host::layered::layer_of_tests;
use crate::engine::host::net::Net;
use crate::engine::host::url::{self, Dial, Place};
use crate::engine::shared::config::{CloseHow, Endpoint, Kind};
use crate::engine::shared::conn::{Conn, End, Origin, Phase, Report, linger};
use crate::engine::shared::error::{Error, Refusal};
use crate::engine::shared::groups::deliver::settle;
use crate::engine::shared::guard::Door;
use crate::engine::shared::home::Command;
use crate::engine::shared::listener::Listener;
use crate::engine::shared::log::Level;
use crate::engine::shared::queue::{Queue, queue_of};
use crate::engine::shared::table::{Held, HeldConn, Resident};
use crate::io::Token;
use crate::io::os::local::SocketFile;
use crate::session::{Cause, FramingKind, Outgoing, SendError, Stack};
use crate::transport::Carrying;
use socket2::Socket;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::*;

/// Larger buffers are not given out.
const ACQUIRE_MAX: usize = i32::MAX as usize;

impl Net {
    /// The token behind a public handle, if it is of this net and kind. Whether it is alive is
    /// asked of the table.
    #[inline]
    pub fn token(&self, id: u64, kind: Kind) -> Result<Token, Error> {
        let token = Token(id & ((1 << (Token::INDEX_BITS + Token::GENERATION_BITS)) - 1));
        if kind.handle(self.core.table.tag(), token) == id { Ok(token) } else { Err(Error::Stale) }
    }

    /// A connection whose handle the host may use.
    #[inline]
    pub fn hold_conn(&self, token: Token) -> Result<HeldConn<'_>, Error> {
        let held = self.core.table.hold(token).and_then(Held::into_conn).ok_or(Error::Stale)?;
        match held.life.report {
            Report::Known | Report::Closed => Ok(held),
            Report::Hidden | Report::Over => Err(Error::Stale),
        }
    }

    /// Opens a listener; `out` is given its handle before any worker knows it.
    pub fn listen(
        &self,
        url: &str,
        endpoint: Endpoint,
        out: impl FnOnce(u64),
    ) -> Result<(), Refusal> {
        let opened = self.read_url(url, true, endpoint, |place, endpoint| {
            if let Place::Descriptor(handle) = place {
                self.take_listener(handle, url, endpoint, out)
            } else if place.is_of_datagrams() {
                self.listen_port(place, endpoint, out)
            } else {
                self.listen_stream(url, place, endpoint, out)
            }
        });
        self.core.log.tell_later();
        opened
    }

    /// Runs `open` with what listen and connect are given, checked and filled in. No shutdown
    /// passes meanwhile.
    fn read_url(
        &self,
        url: &str,
        listens: bool,
        mut endpoint: Endpoint,
        open: impl FnOnce(Place, Endpoint) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        let _opening = self.opening.read();
        self.check_running()?;
        let mut place = url::parse(url, listens, &mut endpoint)?;
        let lanes = endpoint.lanes_of(&mut place, listens)?;
        if !matches!(place, Place::Descriptor(_)) {
            self.resolve_endpoint(&mut endpoint, place.is_of_datagrams())?;
        }
        self.add_layer(&place, listens, &mut endpoint)?;
        endpoint.layer = endpoint.layer.or_else(layer_of_tests);
        if place.is_of_datagrams()
            && let Some(carrying) = lanes.or_else(carrier_of_tests)
        {
            endpoint.carry(carrying);
        }
        open(place, endpoint)
    }

    fn listen_stream(
        &self,
        url: &str,
        place: Place,
        mut endpoint: Endpoint,
        out: impl FnOnce(u64),
    ) -> Result<(), Refusal> {
        let addresses = place.into_listen(&mut endpoint.socket)?;
        let refused = |error| Refusal::system(&format!("listen on {url}"), &error);
        let (socket, file) = endpoint.socket.listener(&addresses).map_err(refused)?;
        let local = socket.local_addr().ok().and_then(|address| address.as_socket());
        self.add_listener(url, local, endpoint, || (socket, file), out)
    }

    /// A listener that is bound to `local`. Its socket is asked for when nothing can fail any more.
    pub fn add_listener(
        &self,
        url: &str,
        local: Option<SocketAddr>,
        endpoint: Endpoint,
        socket: impl FnOnce() -> (Socket, Option<SocketFile>),
        out: impl FnOnce(u64),
    ) -> Result<(), Refusal> {
        if endpoint.proxies.is_some() && local.is_none() {
            let words = "guard.proxy_from is for tcp:// listeners: a local peer has no address";
            return Err(Refusal::new(Error::Unsupported, words));
        }
        // Its events come on its queue, so it lives with a worker of that; these take turns.
        let queue = endpoint.queue.unwrap_or(0);
        let turn = self.next_listener.fetch_add(1, Relaxed);
        let no_room = || Refusal::new(Error::Limit, "no worker of this model has room");
        let home = self.core.place_listener(queue, turn).ok_or_else(no_room)?;
        let doubts = self.doubts(&endpoint);
        let user_data = endpoint.user_data;
        let door = endpoint.guard.map(|limits| Door::new(limits, &self.core.guard));
        let origin = Arc::new(Origin::bound(endpoint, local, door));
        let bound = local.map_or_else(|| url.to_owned(), |local| local.to_string());
        let listener = Resident::Listener(Listener::new(local, origin.clone(), home));
        let full = || Refusal::new(Error::Limit, "connections_max is reached");
        let token = self.core.insert(listener, user_data, home).ok_or_else(full)?;
        origin.set_listener(token);
        let mut held = self.core.table.hold(token);
        if let Some(listener) = held.as_mut().and_then(Held::listener) {
            let (socket, file) = socket();
            listener.link.set_socket(socket);
            listener.file = file;
        }
        drop(held);
        out(self.listener_id(token));
        self.core.homes[home].post(Command::Adopt(token));
        self.core.log.note(Level::Info, || format!("listening on {bound}"));
        if let Some(words) = doubts {
            self.core.log.note(Level::Warning, || format!("{bound}: {words}"));
        }
        Ok(())
    }

    /// Checks an endpoint, and fills in what depends on the net.
    pub fn resolve_endpoint(
        &self,
        endpoint: &mut Endpoint,
        datagrams: bool,
    ) -> Result<(), Refusal> {
        let memory = self.core.pool.share_max();
        endpoint.resolve(self.core.queues.len() as u32, datagrams, memory)
    }

    /// Of frames that an endpoint allows and memory does not.
    fn doubts(&self, endpoint: &Endpoint) -> Option<String> {
        let (largest, most) = (endpoint.framing.frame_max_bytes, self.core.pool.share_max());
        let fits = endpoint.framing.kind == FramingKind::Raw || u64::from(largest) <= most;
        (!fits).then(|| {
            format!(
                "frame_max_bytes is {largest}, but memory_max_bytes leaves a frame {most}: a \
                 larger one ends its connection with LIMIT_MEMORY"
            )
        })
    }

    /// Closes a listener.
    pub fn listener_close(&self, token: Token) -> Result<(), Error> {
        self.check_running()?;
        let mut held = self.core.table.hold(token).ok_or(Error::Stale)?;
        let Some(listener) = held.listener() else {
            drop(held);
            return self.close_port(token, false, CloseHow::Graceful, None);
        };
        if listener.closing.is_some() {
            return Err(Error::Closed);
        }
        listener.closing = Some((Cause::Host, 0));
        let home = usize::from(listener.home);
        self.core.summon(token, held, home);
        Ok(())
    }

    /// Begins a connection; `out` is given its handle before any worker knows it.
    pub fn connect(
        &self,
        url: &str,
        endpoint: Endpoint,
        out: impl FnOnce(u64),
    ) -> Result<(), Refusal> {
        let begun = self.read_url(url, false, endpoint, |place, endpoint| {
            if place.is_of_datagrams() && endpoint.socket.share {
                let words = "share: a connected socket shares no address";
                return Err(Refusal::new(Error::Invalid, words));
            }
            match &endpoint.carrying {
                None if place.is_of_datagrams() => self.connect_port(place, endpoint, out),
                _ => self.connect_stream(place, endpoint, out),
            }
        });
        self.core.log.tell_later();
        begun
    }

    fn connect_stream(
        &self,
        place: Place,
        mut endpoint: Endpoint,
        out: impl FnOnce(u64),
    ) -> Result<(), Refusal> {
        let core = &self.core;
        let dial = place.into_connect(&endpoint.socket)?;
        let (queue, home) = match &endpoint.carrying {
            Some(_) => core.place_carried(endpoint.queue, self.next_carried.fetch_add(1, Relaxed)),
            None => {
                let placed = core.place(endpoint.queue);
                placed.unwrap_or_else(|| core.squeeze(endpoint.queue))
            }
        };
        let (now, timeout) = (core.now(), endpoint.limits.connect_timeout_ms);
        // These two are its own and are known from here on; the rest is shared with its likes.
        let user_data = std::mem::take(&mut endpoint.user_data);
        let connect_token = endpoint.connect_token.take();
        endpoint.queue = None;
        let mut session = Stack::new(now, core.is_manual());
        if let Some(count) = endpoint.carrying.as_ref().and_then(Carrying::lanes) {
            session.add_lanes(count);
        }
        let mut conn = Conn::new(core.table.origin(endpoint), session, home, queue);
        conn.life.report = Report::Known;
        conn.set_connect_token(connect_token);
        let deadline = (now + u64::from(timeout), Cause::TimeoutConnect);
        conn.set_deadline((timeout > 0).then_some(deadline));
        let name = match dial {
            Dial::Addresses(addresses) => {
                conn.set_addresses(addresses);
                None
            }
            Dial::Name(name, port) => Some((name, port)),
        };
        let full = || Refusal::new(Error::Limit, "connections_max is reached");
        let token = core.insert(Resident::Conn(conn), user_data, home).ok_or_else(full)?;
        if let Some(name) = name {
            self.look_up(token, home, name)?;
        }
        out(self.conn_id(token));
        core.homes[home].post(Command::Tend(token));
        Ok(())
    }

    /// Looks a name up for a connection that is not reported yet, and frees it if that fails.
    pub fn look_up(&self, token: Token, home: usize, name: (String, u16)) -> Result<(), Refusal> {
        let core = &self.core;
        core.names.start(core, token, home, name).inspect_err(|_| {
            if let Some(held) = core.table.hold(token) {
                core.table.free(token, held);
                core.socket_closed(home);
            }
        })
    }

    /// Closes a connection, behind a last message if one is given.
    pub fn close(&self, token: Token, how: CloseHow, last: Option<&[u8]>) -> Result<(), Error> {
        self.check_running()?;
        let Ok(mut held) = self.hold_conn(token) else {
            return self.close_port(token, true, how, last);
        };
        let slot = held.slot();
        let conn = &mut *held;
        settle(&self.core, token, conn);
        match (conn.life.end, how) {
            (End::Not, CloseHow::Graceful) => {
                if let Some(last) = last {
                    let framing = conn.endpoint.framing_of(conn.session.web().is_some());
                    let limits = &conn.endpoint.limits;
                    let message = Outgoing::Copy(last);
                    let memory = self.memory(usize::from(conn.home));
                    let taken = conn
                        .session
                        .send_over(|session| session.send(framing, limits, memory, message, true));
                    taken.map_err(|error| match error {
                        SendError::Memory => Error::NoMemory,
                        error => error.into(),
                    })?;
                }
                let waits = conn.session.pending_bytes() > 0;
                if conn.life.phase == Phase::Open || waits {
                    conn.life.end = End::Graceful;
                    conn.life.cause = Cause::Host;
                    self.core.table.linger(conn);
                    conn.set_deadline(Some(linger(conn, self.core.now())));
                } else {
                    conn.end_abruptly(Cause::Host, 0);
                }
            }
            (End::Not | End::Graceful, CloseHow::Reset) => {
                conn.life.reset = true;
                conn.end_abruptly(Cause::Host, 0);
            }
            _ => return Err(Error::Closed),
        }
        slot.muted.store(true, Release);
        let home = usize::from(conn.home);
        self.core.summon(token, held, home);
        Ok(())
    }

    /// Stops or resumes reading.
    pub fn pause(&self, token: Token, paused: bool) -> Result<(), Error> {
        self.check_running()?;
        let Ok(mut held) = self.hold_conn(token) else {
            return self.pause_port(token, paused);
        };
        let conn = &mut *held;
        if conn.life.end != End::Not {
            return Err(Error::Closed);
        }
        conn.marks.paused = paused;
        let home = usize::from(conn.home);
        if !paused {
            self.core.summon(token, held, home);
        }
        Ok(())
    }

    /// Whether the host did not close a connection. A CLOSED that is pending does not count: what
    /// the peer sent before it is still to be handled.
    pub fn is_open(&self, token: Token) -> Result<bool, Error> {
        let slot = match self.hold_conn(token) {
            Ok(held) => held.slot(),
            Err(_) => self.hold_datagram(token, true)?.slot(),
        };
        Ok(!slot.muted.load(Acquire))
    }

    /// Sets what a connection's events carry.
    pub fn set_user_data(&self, token: Token, user_data: u64) -> Result<(), Error> {
        self.check_running()?;
        let slot = match self.hold_conn(token) {
            Ok(held) => held.slot(),
            Err(_) => self.hold_datagram(token, true)?.slot(),
        };
        slot.user_data.store(user_data, Release);
        Ok(())
    }

    /// Memory for the host.
    pub fn acquire(&self, len: usize) -> Result<Slice, Error> {
        self.check_running()?;
        if len > ACQUIRE_MAX {
            return Err(Error::TooBig);
        }
        let mut chunk = self.core.pool.take(len).ok_or(Error::NoMemory)?;
        Ok(chunk.write_zeros(len))
    }

    /// A message of a batch that lives, for the host to keep: shared where that pins little. What
    /// became of its connection does not matter: the batch has the payload.
    pub fn hold(&self, token: Token, number: u64, data: *const u8) -> Result<Slice, Error> {
        let queue = self.core.queues.get(queue_of(number)).ok_or(Error::Stale)?;
        // A thread inside means that the batch has ended.
        let found = queue.visit(|poller| {
            poller.payload(token, number, data).map(|(payload, front)| (payload.clone(), front))
        });
        let (payload, front) = found.flatten().ok_or(Error::Stale)?;
        self.keep(payload, front)
    }

    /// As `hold`, for the payload of an event of no connection and no listener.
    pub fn hold_mail(&self, data: *const u8) -> Result<Slice, Error> {
        let of = |queue: &Queue| queue.visit(|poller| poller.mail(data).cloned()).flatten();
        let payload = self.core.queues.iter().find_map(of).ok_or(Error::Stale)?;
        self.keep(payload, 0)
    }

    /// The payload behind `front` bytes.
    fn keep(&self, mut payload: Slice, front: usize) -> Result<Slice, Error> {
        if payload.len() * 4 >= payload.pinned() {
            payload.advance(front);
            return Ok(payload);
        }
        let payload = &payload[front..];
        let mut chunk = self.core.pool.take(payload.len()).ok_or(Error::NoMemory)?;
        Ok(chunk.write(payload))
    }
}

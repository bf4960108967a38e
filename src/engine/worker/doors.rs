//! How connections begin: accepted at a listener, or dialled.

use crate::engine::shared::cause::{connect_failure, refusal, tells};
use crate::engine::shared::conn::race::ATTEMPT_DELAY_MS;
use crate::engine::shared::conn::{Conn, End, Origin, Phase, Report, linger};
use crate::engine::shared::core::Core;
use crate::engine::shared::counters::count;
use crate::engine::shared::event::Notice;
use crate::engine::shared::guard::asked::Asked;
use crate::engine::shared::home::Command;
use crate::engine::shared::listener::Listener;
use crate::engine::shared::table::Resident;
use crate::engine::worker::desk::{Desk, Order};
use crate::io::os::sys;
use crate::io::{Accepted, Lane, Op, Role, Token};
use crate::session::{Cause, Millis, Stack};
use socket2::SockAddr;
use std::io;
use std::mem;
use std::net::SocketAddr;

/// The first wait after an accept that failed for want of something, and the longest.
const ACCEPT_BACKOFF_MS: (Millis, Millis) = (100, 1000);
/// So many connections in a row that broke before they were accepted are no chance any more: a
/// listener that fails so for ever is not asked without a pause.
const LOST_MAX: u32 = 256;

impl Desk {
    /// Takes a socket: a listener's, or one accepted elsewhere.
    pub fn adopt(&mut self, core: &Core, token: Token) {
        let Some(mut held) = core.table.hold(token) else { return };
        let role = match held.resident() {
            Resident::Conn(conn) if conn.is_connected() => conn.role(),
            Resident::Conn(_) => Role::Connecting,
            Resident::Datagram(_) => Role::Datagram,
            Resident::Listener(_) | Resident::Free => Role::Listener,
        };
        self.orders.push(Order::Adopt(token, role));
    }

    /// The model took the socket, or refused it.
    pub fn adopted(&mut self, core: &Core, token: Token, answer: io::Result<()>) {
        let Some(mut held) = core.table.hold(token) else { return };
        let conn = match held.resident() {
            Resident::Conn(conn) => conn,
            Resident::Listener(listener) => {
                listener.link.adopted(answer.is_ok());
                if let Err(error) = answer {
                    listener.closing = Some(refusal(&error));
                }
                return self.tend_listener(core, token, listener);
            }
            Resident::Datagram(udp) => return self.datagram_adopted(core, token, udp, answer),
            Resident::Free => return,
        };
        conn.link.adopted(answer.is_ok());
        let arrives = self.arrives(core, token, conn);
        if answer.is_ok() && !arrives {
            self.begin_layer(conn);
        }
        if conn.life.phase != Phase::Opening && mem::take(&mut conn.marks.handed) {
            self.handed.extend(conn.listener());
        }
        if let Err(error) = answer {
            let (cause, os_error) = refusal(&error);
            conn.end_abruptly(cause, os_error);
        } else if !core.is_running() {
            conn.end_abruptly(Cause::Shutdown, 0);
        } else if conn.life.phase == Phase::Connecting {
            self.start_connect(token, conn);
        } else if conn.life.end == End::Not && conn.life.phase == Phase::Open && !arrives {
            conn.life.report = Report::Known;
            self.emit(token, Notice::opened(conn.listener()));
            conn.await_step();
            self.tell_writable(core, token, conn);
        }
        self.tend_conn(core, token, conn);
    }

    pub fn accepted(
        &mut self,
        core: &Core,
        token: Token,
        mut all: Vec<Accepted>,
        error: Option<io::Error>,
    ) {
        let Some(mut held) = core.table.hold(token) else { return };
        let Some(listener) = held.listener() else { return };
        listener.link.end(Lane::In);
        if !all.is_empty() {
            (listener.backoff_ms, listener.lost) = (0, 0);
        }
        let endpoint = listener.endpoint.clone();
        self.keep_out(core, &endpoint, &mut all);
        if let Some(error) = error
            && listener.closing.is_none()
            && listener.parting.is_none()
        {
            self.not_accepted(core, token, listener, &error);
        }
        if core.guard.admit.is_set() && !core.is_running() {
            all.retain(|one| core.keep_out(&endpoint, one));
        } else if core.guard.admit.is_set() && !all.is_empty() {
            listener.asks = true;
            drop(held);
            let home = &core.homes[self.home];
            home.asked.add(Asked { listener: token, peers: all });
            // A host that turns the worker here may not come back for long.
            return home.ring();
        }
        drop(held);
        self.let_in(core, token, all);
    }

    /// Makes connections of peers that may come in.
    pub fn let_in(&mut self, core: &Core, token: Token, all: Vec<Accepted>) {
        let Some(mut held) = core.table.hold(token) else { return };
        let Some(listener) = held.listener() else { return };
        let endpoint = listener.endpoint.clone();
        listener.asks = false;
        listener.accepted += all.len() as u64;
        count(&core.homes[self.home].counters.accepted, all.len() as u64);
        // Before any of them can be found: another worker may end one as soon as it has a slot.
        let most = all.len() as u32;
        listener.handed += most;
        drop(held);
        // The worker that accepts reports it at once, except where a layer has to open or a header
        // to come.
        let layered = endpoint.layer.is_some();
        let mut kept = 0;
        let mut handed = Vec::new();
        for one in all {
            let session = Stack::new(self.now, core.is_manual());
            let proxied = endpoint.is_proxy(one.peer.as_socket());
            let Some((queue, place)) = core.place(endpoint.queue) else {
                if !proxied {
                    endpoint.left(one.peer.as_socket());
                }
                self.turned_away(core, "no worker of this model has room");
                continue;
            };
            let home = if core.roams { self.home } else { place };
            let mut conn = Conn::new(endpoint.clone(), session, home, queue);
            endpoint.socket.set(&one.socket);
            conn.set_peer(one.peer.as_socket());
            conn.link.set_socket(one.socket);
            conn.life.phase = Phase::Open;
            if proxied {
                conn.await_header();
            }
            let opens = layered || proxied;
            conn.marks.handed = home != self.home || opens;
            let role = conn.role();
            match core.insert(Resident::Conn(conn), endpoint.user_data, place) {
                Some(fresh) if home == self.home => {
                    kept += u32::from(opens);
                    self.orders.push(Order::Adopt(fresh, role));
                }
                Some(fresh) => handed.push((home, fresh)),
                // The entry was dropped, which closed the socket: the peer sees a reset or an end,
                // and the host this count.
                None => self.turned_away(core, "connections_max is reached"),
            }
        }
        // Behind the orders for what it accepted: nothing of it comes after its own end.
        let Some(mut held) = core.table.hold(token) else { return };
        if let Some(listener) = held.listener() {
            listener.handed -= most - kept - handed.len() as u32;
            self.tend_listener(core, token, listener);
        }
        drop(held);
        for (home, fresh) in handed {
            core.homes[home].post(Command::Adopt(fresh));
        }
    }

    /// Resets those that may not come in, before anything is made for them.
    fn keep_out(&mut self, core: &Core, origin: &Origin, all: &mut Vec<Accepted>) {
        if !core.guard.is_on() && origin.door().is_none() {
            return;
        }
        all.retain(|one| {
            let peer = one.peer.as_socket();
            // Who comes by a proxy is known when its header is.
            let lets_in = origin.is_proxy(peer) || self.lets_in(core, origin, peer);
            if !lets_in {
                sys::reset(&one.socket);
            }
            lets_in
        });
    }

    /// Whether a peer may come in; its door counts it then.
    pub fn lets_in(&mut self, core: &Core, origin: &Origin, peer: Option<SocketAddr>) -> bool {
        let Err(reason) = core.guard.decide(origin.door(), peer, self.now) else { return true };
        if let Some(line) = core.guard.line(peer, reason, self.now) {
            self.say(|| line);
        }
        false
    }

    /// The system refused to accept. Never a spin, never the end of the listener: wait, then ask
    /// again.
    fn not_accepted(
        &mut self,
        core: &Core,
        token: Token,
        listener: &mut Listener,
        error: &io::Error,
    ) {
        count(&core.homes[self.home].counters.accept_failures, 1);
        self.say(|| format!("a connection could not be accepted: {error}"));
        listener.lost += 1;
        if !sys::accept_goes_on(error) || listener.lost.is_multiple_of(LOST_MAX) {
            let (first, longest) = ACCEPT_BACKOFF_MS;
            listener.backoff_ms = (listener.backoff_ms * 2).clamp(first, longest);
            listener.resume_at = self.now + listener.backoff_ms;
            self.remind(core, token, &mut listener.reminder, listener.resume_at);
        }
    }

    /// A connection that was accepted and is not kept.
    pub fn turned_away(&mut self, core: &Core, why: &str) {
        count(&core.homes[self.home].counters.accept_failures, 1);
        self.say(|| format!("a connection was refused: {why}"));
    }

    /// What is to be done next with a listener.
    pub fn tend_listener(&mut self, core: &Core, token: Token, listener: &mut Listener) {
        if listener.closing.is_none() && listener.parting.is_none() {
            let late = listener.resume_at <= self.now;
            if listener.link.is_adopted()
                && !listener.link.is_busy(Lane::In)
                && !listener.asks
                && !listener.is_crowded()
                && late
                && !self.stall(core, token, self.queue, &mut listener.stalled)
            {
                listener.link.begin(Lane::In);
                self.orders.push(Order::Submit(token, Op::Accept));
            }
        } else if listener.parting.is_some() {
            // The model is asked by `part`, also where it closes meanwhile.
        } else if listener.link.is_busy(Lane::In) {
            if listener.link.cancel() {
                self.orders.push(Order::Cancel(token));
            }
        } else if listener.asks {
            // Those that come in do so before its end.
        } else if let Some(socket) = listener.link.take_socket() {
            listener.file = None;
            sys::end(&socket);
            self.orders.push(Order::Release(token, socket));
        } else if listener.link.is_joined() && listener.handed == 0 && !listener.told {
            listener.told = true;
            let (cause, os_error) = listener.closing.unwrap_or((Cause::Host, 0));
            self.emit(token, Notice::ListenerClosed { cause, os_error });
            // Only now: its worker had to report it.
            core.socket_closed(self.home);
        }
    }

    pub fn start_connect(&mut self, token: Token, conn: &mut Conn) {
        if conn.life.end == End::Abrupt {
            return;
        }
        let Some(address) = conn.take_dialled() else { return };
        conn.link.begin(Lane::Out);
        self.orders.push(Order::Submit(token, Op::Connect(address)));
    }

    pub fn connected(&mut self, core: &Core, token: Token, answer: io::Result<()>) {
        let Some(mut held) = core.table.hold(token) else { return };
        let Some(conn) = held.conn() else { return };
        conn.link.end(Lane::Out);
        match answer.and_then(|()| conn.is_another()) {
            // Given up for the next address, or for an attempt that was faster.
            Ok(()) if conn.life.end == End::Abrupt || conn.marks.redial => {}
            Ok(()) if conn.main().is_some() => {
                let Some(socket) = conn.link.take_socket() else { return };
                conn.life.report = Report::Over;
                conn.link.release();
                conn.life.end = End::Abrupt;
                return self.orders.push(Order::HandOver(token, socket));
            }
            Ok(()) => {
                self.call_off(core, conn);
                conn.life.phase = Phase::Open;
                conn.begun();
                self.begin_layer(conn);
                if conn.life.end != End::Not {
                    conn.set_deadline(Some(linger(conn, self.now)));
                } else if conn.life.phase == Phase::Open {
                    self.emit(token, Notice::opened(None));
                    conn.await_step();
                    self.tell_writable(core, token, conn);
                }
            }
            Err(error) => {
                conn.note_failure(connect_failure(&error, conn.peer()), tells(&error));
                let others = conn.has_addresses() || conn.is_racing();
                if conn.life.end != End::Abrupt && others {
                    conn.marks.redial = true;
                } else if let Some((cause, os_error)) = conn.failure() {
                    conn.end_abruptly(cause, os_error);
                }
            }
        }
        self.tend_conn(core, token, conn);
    }

    /// A new session's first socket: dials the next address of a connection.
    pub fn dial(&mut self, core: &Core, token: Token, conn: &mut Conn) {
        if conn.endpoint.carrying.is_some() {
            return self.dial_carried(core, token, conn);
        }
        conn.set_give_up_at(0);
        if let Some((socket, address)) = conn.take_won() {
            conn.set_peer(address.as_socket());
            conn.life.phase = Phase::Open;
            conn.link.set_socket(socket);
            conn.begun();
            if conn.life.end != End::Not {
                conn.set_deadline(Some(linger(conn, self.now)));
            }
            return self.orders.push(Order::Adopt(token, Role::Stream));
        }
        let Some(address) = conn.next_address() else {
            if !conn.is_racing() {
                conn.end_abruptly(Cause::Resolve, 0);
            }
            return;
        };
        conn.set_attempt_at(self.now + ATTEMPT_DELAY_MS);
        conn.set_peer(address.as_socket());
        conn.life.phase = Phase::Connecting;
        match conn.endpoint.socket.stream(&address) {
            Ok(socket) => {
                conn.link.set_socket(socket);
                conn.set_dialled(address);
                self.orders.push(Order::Adopt(token, Role::Connecting));
            }
            Err(error) => {
                conn.note_failure(refusal(&error), tells(&error));
                let (cause, os_error) = conn.failure().unwrap_or_else(|| refusal(&error));
                conn.end_abruptly(cause, os_error);
            }
        }
    }

    pub fn resolved(&mut self, core: &Core, token: Token, found: Result<Vec<SocketAddr>, i32>) {
        let Some(mut held) = core.table.hold(token) else { return };
        if let Some(udp) = held.datagram() {
            return self.datagram_resolved(core, token, udp, found);
        }
        let Some(conn) = held.conn() else { return };
        if conn.life.end == End::Abrupt || conn.life.phase != Phase::Resolving {
            return;
        }
        match found {
            Ok(addresses) => {
                let options = conn.endpoint.socket;
                let all = addresses.into_iter().filter(|address| options.reaches(*address));
                conn.set_addresses(all.map(SockAddr::from));
                self.dial(core, token, conn);
            }
            Err(os_error) => conn.end_abruptly(Cause::Resolve, os_error),
        }
        self.tend_conn(core, token, conn);
    }
}

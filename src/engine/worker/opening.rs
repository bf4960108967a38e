//! How a connection opens that has a layer, or a proxy's header in front: behind the connecting,
//! before OPENED.

use crate::engine::shared::conn::{Conn, End, Phase, Report, linger};
use crate::engine::shared::core::Core;
use crate::engine::shared::event::Notice;
use crate::engine::worker::desk::Desk;
use crate::io::Token;
use crate::session::{Cause, Intake, Millis, Side};
use std::mem;

impl Desk {
    /// A socket is connected: if a proxy made it, its header is to come first, and if its endpoint
    /// has a layer, that is to open.
    #[inline]
    pub fn begin_layer(&self, conn: &mut Conn) {
        if conn.awaits_header() {
            self.await_header(conn);
        } else if conn.endpoint.layer.is_some() {
            self.add_layer(conn);
        }
    }

    #[cold]
    fn await_header(&self, conn: &mut Conn) {
        conn.life.phase = Phase::Opening;
        let limit = conn.endpoint.proxies.as_ref().map_or(0, |proxies| proxies.timeout_ms);
        if conn.life.end == End::Not && limit > 0 {
            conn.set_deadline(Some((self.now + limit, Cause::TimeoutFirstByte)));
        }
    }

    #[cold]
    fn add_layer(&self, conn: &mut Conn) {
        let endpoint = conn.endpoint.clone();
        let Some(layer) = &endpoint.layer else { return };
        if conn.life.phase != Phase::Open || conn.session.is_layered() {
            return;
        }
        let side = if conn.listener().is_some() { Side::Accepted } else { Side::Connected };
        conn.life.phase = Phase::Opening;
        match layer.maker.make(side) {
            Ok(layer) => conn.session.add_layer(layer),
            Err(cause) => return conn.end_abruptly(cause, 0),
        }
        if conn.life.end == End::Not && layer.handshake_timeout_ms > 0 {
            let at = self.now + Millis::from(layer.handshake_timeout_ms);
            conn.set_deadline(Some((at, Cause::TimeoutHandshake)));
        }
    }

    /// Reports OPENED if the layer has opened.
    #[cold]
    pub fn look_at_layer(&mut self, core: &Core, token: Token, conn: &mut Conn) {
        if conn.session.poll_opened() {
            self.opened(core, token, conn);
        }
    }

    /// Whether the costly work of a layer is for a later turn: one is done in each.
    #[cold]
    pub fn waits_for_its_turn(&mut self, token: Token, input: &mut Intake<'_>) -> bool {
        let waits = self.served != Some(token);
        if waits && input.queue() {
            self.hellos.push_back(token);
        }
        waits
    }

    /// Does the costly work of the layer that waits longest, behind all else of the turn. What
    /// others wait for is delayed by one such step at most. Answers whether there was one.
    pub fn serve_hello(&mut self, core: &Core) -> bool {
        while let Some(token) = self.hellos.pop_front() {
            let Some(mut held) = core.table.hold(token) else { continue };
            let Some(conn) = held.conn() else { continue };
            conn.session.unqueue();
            if conn.life.end != End::Not || self.wait_elsewhere(core, token, conn.home.into()) {
                continue;
            }
            self.served = Some(token);
            self.tend_conn(core, token, conn);
            self.served = None;
            return true;
        }
        false
    }

    /// An accepted one ended before it was open.
    #[cold]
    pub fn not_opened(&mut self, core: &Core, conn: &Conn) {
        match conn.life.cause {
            Cause::TimeoutFirstByte if conn.awaits_header() => {
                self.turned_away(core, "the header of its proxy did not come in time");
            }
            _ if conn.awaits_header() => {
                self.turned_away(core, "its proxy ended it before its header was whole");
            }
            _ if conn.is_outside() => {}
            // It came for a page, and has it.
            Cause::Host => {}
            _ => self.turned_away(core, "its layer did not open"),
        }
    }

    /// The layer is open: to the host the connection is so now.
    #[cold]
    pub fn opened(&mut self, core: &Core, token: Token, conn: &mut Conn) {
        conn.life.phase = Phase::Open;
        if mem::take(&mut conn.marks.handed) {
            self.handed.extend(conn.listener());
        }
        match conn.life.end {
            End::Not => {
                conn.begun();
                conn.life.report = Report::Known;
                self.emit(token, Notice::opened(conn.listener()));
                conn.await_step();
                self.tell_writable(core, token, conn);
                // A pause, a move or a close may have been asked for meanwhile.
                self.hungry.push(token);
            }
            End::Graceful if conn.deadline().is_none() => {
                conn.set_deadline(Some(linger(conn, self.now)));
            }
            _ => {}
        }
    }
}

//! How a connection opens that has a layer: behind the connecting, before OPENED.

use crate::engine::shared::conn::{Conn, End, Phase, Report, linger};
use crate::engine::shared::core::Core;
use crate::engine::shared::event::Notice;
use crate::engine::worker::desk::Desk;
use crate::io::Token;
use crate::session::{Cause, Millis, Side};

impl Desk {
    /// A socket is connected: if its endpoint has a layer, that is to open first.
    #[inline]
    pub fn begin_layer(&self, conn: &mut Conn) {
        if conn.endpoint.layer.is_some() {
            self.add_layer(conn);
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

    /// The layer is open: to the host the connection is so now.
    #[cold]
    pub fn opened(&mut self, core: &Core, token: Token, conn: &mut Conn) {
        conn.life.phase = Phase::Open;
        if std::mem::take(&mut conn.marks.handed) {
            self.handed.extend(conn.listener());
        }
        match conn.life.end {
            End::Not => {
                conn.begun();
                conn.life.report = Report::Known;
                self.emit(token, Notice::Opened(conn.listener()));
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

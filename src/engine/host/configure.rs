//! The host changes how a live connection goes on.

use crate::engine::host::net::Net;
use crate::engine::shared::config::Endpoint;
use crate::engine::shared::conn::{End, Origin};
use crate::engine::shared::error::{Error, Refusal};
use crate::engine::shared::groups::deliver::settle;
use crate::io::{Lane, Token};
use crate::session::FramingKind;
use std::sync::Arc;

impl Net {
    /// Gives a connection another endpoint: its limits and timeouts at any time, and where it
    /// stands between two messages (`step`) its framing and bytes that come next.
    pub fn configure(
        &self,
        token: Token,
        mut endpoint: Endpoint,
        unread: &[u8],
    ) -> Result<(), Refusal> {
        self.check_running()?;
        self.resolve_endpoint(&mut endpoint, false)?;
        let mut held = self.hold_conn(token)?;
        let conn = &mut *held;
        if conn.life.end != End::Not {
            return Err(Error::Closed.into());
        }
        settle(&self.core, token, conn);
        let now = &conn.endpoint;
        // A transport and a WebSocket have messages of their own.
        let web = now.framing.kind == FramingKind::Web || conn.session.web().is_some();
        if now.carrying.is_some() || web {
            (endpoint.framing, endpoint.web_framing) = (now.framing, now.web_framing);
        }
        if web && endpoint.limits.half_open {
            let words = "endpoint.half_open: a WebSocket ends in both directions at once";
            return Err(Refusal::new(Error::Invalid, words));
        }
        if web && !unread.is_empty() {
            let words = "unread: the bytes of a WebSocket are no messages";
            return Err(Refusal::new(Error::Unsupported, words));
        }
        let between = conn.marks.paused && !conn.session.session().has_partial();
        let takes = unread.is_empty() || !conn.link.is_busy(Lane::In);
        let stands = now.step && between && takes && conn.is_held_back();
        let same = (now.framing, now.step) == (endpoint.framing, endpoint.step);
        if !(stands || same && unread.is_empty()) {
            let words = "the framing changes only between two messages of a connection that steps";
            return Err(Refusal::new(Error::Busy, words));
        }
        // What is of a listener, a connect, a layer or a transport stays as it is.
        (endpoint.layer, endpoint.carrying) = (now.layer.clone(), now.carrying.clone());
        (endpoint.queue, endpoint.user_data) = (now.queue, now.user_data);
        if stands {
            let session = conn.session.session_mut();
            if !session.unread(&self.core.pool, unread) {
                return Err(Error::NoMemory.into());
            }
            session.reframe(endpoint.framing.is_line());
            conn.marks.paused = false;
        }
        conn.endpoint = Arc::new(Origin::changed(endpoint, &conn.endpoint));
        conn.rates_changed(self.core.now());
        let home = usize::from(conn.home);
        self.core.summon(token, held, home);
        Ok(())
    }
}

//! What a message is on the wire, made once for neighbours whose wires are alike.

use crate::buf::{Pool, Purpose, Slice};
use crate::engine::shared::conn::{Conn, Origin};
use crate::session::{Framed, Framing, FramingKind, Parts, SendError, Tag, deflate};
use std::sync::Arc;

/// Shorter messages are not deflated: they would hardly get smaller.
pub const DEFLATE_MIN: usize = 64;

/// What the wire of a connection is like.
#[derive(Clone)]
pub struct Form {
    origin: Arc<Origin>,
    /// As `Stack::web`.
    web: Option<u8>,
}

impl Form {
    /// That of a connection.
    pub fn of(conn: &Conn) -> Form {
        Form { origin: conn.endpoint.clone(), web: conn.session.web() }
    }

    /// How its messages are framed.
    pub fn framing(&self) -> &Framing {
        self.origin.framing_of(self.web.is_some())
    }

    /// Whether that of a connection is the same.
    pub fn is_of(&self, conn: &Conn) -> bool {
        self.web == conn.session.web()
            && (Arc::ptr_eq(&self.origin, &conn.endpoint) || self.framing() == conn.framing())
    }

    fn window_bits(&self) -> u8 {
        self.web.unwrap_or(0)
    }
}

/// A message as the last connection got it.
#[derive(Default)]
pub struct Rendering {
    last: Option<(Form, Framed)>,
    /// The bits of a window, and the payload deflated with that, where it gets smaller so.
    deflated: Option<(u8, Option<Slice>)>,
}

impl Rendering {
    /// What a connection gets, if its neighbour got the same.
    pub fn for_conn(&mut self, conn: &Conn) -> Option<&mut Framed> {
        self.last.as_mut().filter(|(form, _)| form.is_of(conn)).map(|(_, framed)| framed)
    }

    /// Makes what connections of this form get, of which there are about `count`.
    pub fn make(
        &mut self,
        form: Form,
        parts: &Parts<'_>,
        tag: Tag,
        text: bool,
        pool: &Pool,
        count: usize,
    ) -> Result<(), SendError> {
        // As it is without: what is over the maximum does not come in deflated.
        parts.wire_bytes(form.framing())?;
        let mut framing = *form.framing();
        framing.text = text && framing.kind == FramingKind::Web;
        framing.tag = tag;
        let framed = match self.deflate(form.window_bits(), parts, pool) {
            None => parts.frame(&framing, pool, count, Purpose::Send),
            Some(payload) => {
                framing.deflated = true;
                let one = [&payload[..]];
                let parts = Parts::new(&one, Some(&payload)).ok_or(SendError::Malformed)?;
                parts.frame(&framing, pool, count, Purpose::Send)
            }
        };
        self.last = Some((form, framed?));
        Ok(())
    }

    fn deflate(&mut self, bits: u8, parts: &Parts<'_>, pool: &Pool) -> Option<Slice> {
        if bits == 0 || parts.bytes() < DEFLATE_MIN {
            return None;
        }
        if self.deflated.as_ref().is_none_or(|(known, _)| *known != bits) {
            self.deflated = Some((bits, deflate(parts.runs(), bits, pool)));
        }
        self.deflated.as_ref()?.1.clone()
    }
}

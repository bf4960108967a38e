//! Layers: what stands between the bytes of a connection and its messages, as TLS does.
//!
//! A layer has no input, output, clock or thread: it turns bytes that were received into
//! plaintext, and plaintext into bytes to be sent. The stack calls it, and keeps these four
//! promises to the host:
//!
//! 1. What is received goes to the layer, and only plaintext goes to the framer.
//! 2. A message stays a message in the outbox until its train is about to leave; what a layer has
//!    sealed and the model has not written is at most one train. So keys, drops, WRITABLE and
//!    gathered sends are the same with a layer as without.
//! 3. OPENED is reported when the layer is open, and not before.
//! 4. Our end of the stream is sent when the layer is done, and not before.

mod any;
mod over;
#[cfg(test)]
mod tests;
mod tls;
mod web;

use super::event::Cause;
use super::limits::Millis;
use crate::buf::{Mutex, Pool, Slice, Train, rank};
use any::Any;
pub use any::{AnyEnd, looks_like};
use over::Over;
use std::fmt;
use std::sync::Arc;
#[cfg(test)]
pub(crate) use tests::pad;
#[cfg(test)]
pub(crate) use tls::tests::tls_ends;
pub use tls::{Tls, TlsEnd, TlsFacts, note_name};
pub use web::{Page, Utf8, Web, WebClient, WebEnd, WebFacts, WebServer, deflate};

/// Which end of the connection a layer stands at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    /// The one that connected.
    Connected,
    /// The one that accepted.
    Accepted,
}

/// How far a layer is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// It talks with its like at the other end; no message goes either way. The endpoint bounds
    /// the time for this (`Layering::handshake_timeout_ms`).
    Opening,
    /// Plaintext goes both ways.
    Open,
    /// It was asked to end, and has still something to send.
    Ending,
    /// It has said all that it had to: our end of the stream may be sent. With a cause other than
    /// `Host` it failed.
    Done(Cause),
}

/// What comes out of a layer.
#[derive(Debug)]
pub enum Plain {
    /// Nothing, until more is received.
    Nothing,
    /// Plaintext, never empty.
    Bytes(Slice),
    /// One whole message, which no framer is to cut. It may be empty.
    Message {
        /// Its payload.
        data: Slice,
        /// Whether it is text: UTF-8, and checked.
        text: bool,
    },
    /// The peer has said that nothing follows. Without this, the end of the stream is a cut.
    End,
    /// There is no memory for so many bytes. To be asked again when there is.
    Starved(usize),
    /// What was received is not of this layer. Nothing comes after it.
    Broken(Cause),
}

/// There is no memory for so many bytes to be sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Starved(pub usize);

/// What stands between the bytes of one connection and its messages.
pub trait Layer: Send {
    /// How far it is. It opens in `poll_plain` or in `poll_wire`, and never goes back.
    fn state(&self) -> State;

    /// Bytes arrived. They share memory with what was received for others: a layer that waits for
    /// the rest of a record copies what it has of it.
    fn handle_received(&mut self, wire: Slice, now: Millis);

    /// What the bytes that arrived turned out to be. Asked until it answers that there is nothing.
    fn poll_plain(&mut self, pool: &Pool, now: Millis) -> Plain;

    /// Adds to `wire`, which has nothing, what is to be sent now: first what the layer has to say
    /// itself, then the first bytes of `plain`, sealed. Answers how many of these it has taken;
    /// those that it left are given again. `plain` has something only while the layer is open.
    fn poll_wire(
        &mut self,
        plain: &Train,
        wire: &mut Train,
        pool: &Pool,
        now: Millis,
    ) -> Result<usize, Starved>;

    /// The host closes, and all of the outbox was sealed: the layer ends its side. Called any
    /// number of times.
    fn end(&mut self);

    /// The number that the layer sends when it ends: the close code of a WebSocket. False: it sends
    /// none.
    fn set_code(&mut self, _code: u16) -> bool {
        false
    }

    /// When it wants to be called without a cause from outside.
    fn poll_timeout(&self) -> Option<Millis>;

    /// That time has come. What it has to say is asked for with `poll_wire`.
    fn handle_timeout(&mut self, now: Millis);

    /// That time has come, but the peer is not read by the host's choice: what it has said may wait
    /// in the system.
    fn handle_unread(&mut self, now: Millis) {
        self.handle_timeout(now);
    }

    /// Whether what arrived, and was not asked for, takes long to work on: the keys of a handshake.
    /// A turn of a worker does that for one connection.
    fn is_costly(&self) -> bool {
        false
    }

    /// Bytes of memory that it holds for a record that has not come whole.
    fn held_bytes(&self) -> usize;

    /// Whether it has failed and still has to say why, with `poll_wire`.
    fn has_last_word(&self) -> bool {
        false
    }

    /// Bytes that it has taken of the outbox and that `poll_wire` has not added as yet: they wait
    /// for the train before, or for memory.
    fn owed_bytes(&self) -> usize {
        0
    }

    /// Whether the end of the stream below is a proper end, without a word of the peer's before.
    fn ends_with_stream(&self) -> bool {
        false
    }

    /// What the peer said of why it ends: a TLS alert, or the close code of a WebSocket; 0 for
    /// nothing.
    fn code(&self) -> u16 {
        0
    }

    /// What TLS has agreed on.
    fn tls(&self) -> Option<TlsFacts> {
        None
    }

    /// The bits of the window that our messages may be deflated with. None: not at all.
    fn compression(&self) -> Option<u8> {
        None
    }

    /// What a WebSocket has agreed on. None: it is not one, or not open.
    fn web(&self) -> Option<WebFacts> {
        None
    }
}

/// The layer of an endpoint's connections.
#[derive(Clone, Debug)]
pub struct Layering {
    /// Makes that of one connection.
    pub maker: Maker,
    /// Time for it to open; 0: any.
    pub handshake_timeout_ms: u32,
}

impl Layering {
    /// The time to open that an endpoint has which does not say another.
    pub const HANDSHAKE_TIMEOUT_MS: u32 = 10_000;
}

impl PartialEq for Layering {
    /// Whether it is surely the same.
    fn eq(&self, other: &Layering) -> bool {
        let same = match (&self.maker, &other.maker) {
            (Maker::Test(one), Maker::Test(other)) => std::ptr::fn_addr_eq(*one, *other),
            (Maker::Tls(one), Maker::Tls(other)) => Arc::ptr_eq(one, other),
            // Those that connect have a path of their own, and are not made alike.
            _ => false,
        };
        same && self.handshake_timeout_ms == other.handshake_timeout_ms
    }
}

/// What makes layers.
#[derive(Clone)]
pub enum Maker {
    /// A function of a test.
    Test(fn(Side) -> Box<dyn Layer>),
    /// TLS.
    Tls(Arc<TlsMaker>),
    /// A WebSocket, in TLS or not.
    Web(WebEnd, Option<Arc<TlsMaker>>),
    /// What the peer turns out to be.
    Any(Arc<AnyEnd>),
}

impl Maker {
    /// The layer of a connection. Fails where the system has no random numbers.
    pub fn make(&self, side: Side) -> Result<Box<dyn Layer>, Cause> {
        let secure = |maker: &TlsMaker| Tls::new(&maker.end()).map_err(|_| Cause::Internal);
        Ok(match self {
            Maker::Test(make) => make(side),
            Maker::Tls(maker) => Box::new(secure(maker)?),
            Maker::Web(end, None) => Box::new(Web::new(end)?),
            Maker::Web(end, Some(maker)) => {
                Box::new(Over::new(Box::new(Web::new(end)?), Box::new(secure(maker)?)))
            }
            Maker::Any(end) => Box::new(Any::new(end.clone())),
        })
    }

    /// How TLS is done, where there is any.
    pub fn tls(&self) -> Option<&Arc<TlsMaker>> {
        match self {
            Maker::Test(_) => None,
            Maker::Tls(maker) => Some(maker),
            Maker::Web(_, maker) => maker.as_ref(),
            Maker::Any(end) => end.tls.as_ref(),
        }
    }
}

impl fmt::Debug for Maker {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Maker::Test(_) => "Test",
            Maker::Tls(_) => "Tls",
            Maker::Web(..) => "Web",
            Maker::Any(_) => "Any",
        })
    }
}

/// What the TLS of an endpoint is made with, which may be replaced while it listens.
pub struct TlsMaker(Mutex<rank::Tls, TlsEnd>);

impl TlsMaker {
    /// One that makes all alike.
    pub fn new(end: TlsEnd) -> TlsMaker {
        TlsMaker(Mutex::new(end))
    }

    fn end(&self) -> TlsEnd {
        self.0.lock().clone()
    }

    /// From here on new connections are made with this.
    pub fn replace(&self, end: TlsEnd) {
        let old = std::mem::replace(&mut *self.0.lock(), end);
        // Without the lock.
        drop(old);
    }
}

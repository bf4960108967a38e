//! WebSockets as a layer: RFC 6455 and RFC 7692.

mod options;
mod utf8;

use super::{Layer, Plain, Starved, State};
use crate::buf::{Pool, Slice, Train};
use crate::session::event::Cause;
use crate::session::limits::Millis;
pub use options::{Page, WebClient, WebEnd, WebFacts, WebServer};
pub use utf8::Utf8;

/// The WebSocket of one connection.
pub struct Web;

impl Web {
    /// One that has said nothing as yet.
    pub fn new(_end: &WebEnd) -> Result<Web, Cause> {
        Err(Cause::Internal)
    }
}

/// A message deflated with a window of so many bits and without context. None: it does not get
/// smaller, or there is no memory.
pub fn deflate(_parts: &[&[u8]], _window_bits: u8, _pool: &Pool) -> Option<Slice> {
    None
}

impl Layer for Web {
    fn state(&self) -> State {
        State::Opening
    }

    fn handle_received(&mut self, _wire: Slice, _now: Millis) {}

    fn poll_plain(&mut self, _pool: &Pool, _now: Millis) -> Plain {
        Plain::Nothing
    }

    fn poll_wire(
        &mut self,
        _plain: &Train,
        _wire: &mut Train,
        _pool: &Pool,
        _now: Millis,
    ) -> Result<usize, Starved> {
        Ok(0)
    }

    fn end(&mut self) {}

    fn poll_timeout(&self) -> Option<Millis> {
        None
    }

    fn handle_timeout(&mut self, _now: Millis) {}

    fn held_bytes(&self) -> usize {
        0
    }
}

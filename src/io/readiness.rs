//! The contract of a model that only watches: select, poll, epoll and their like.
//!
//! Reports may be early or repeated, never missing: after `blocked` and `arm` there is a report as
//! soon as a try would not block. A report disarms its lane, so that nothing is reported again and
//! again while the engine does not want it.

use super::bell::Bell;
use super::op::{Lane, Token};
use socket2::Socket;
use std::io;
use std::time::Duration;

/// One report.
#[derive(Clone, Copy)]
pub struct Ready {
    /// The socket.
    pub token: Token,
    /// The lane on which a try is worth it.
    pub lane: Lane,
    /// The peer ended or broke the connection, or sent urgent data: a short receive does not mean
    /// that nothing is left.
    pub ended: bool,
}

/// Nothing but waiting.
pub trait Readiness: Send + Sized + 'static {
    /// Sockets one worker can watch.
    const SOCKETS_MAX: Option<u32> = None;

    /// A send that was taken in part counts as one that blocked: room is reported nevertheless.
    const PART_BLOCKS: bool = true;

    /// A close of a socket that no other process has is as good as `remove`.
    const CLOSE_REMOVES: bool = false;

    /// A poller that watches nothing but its bell.
    fn open() -> io::Result<(Self, Bell)>;

    /// A descriptor that is readable while a wait would end. Unsupported: it has none.
    fn descriptor(&self) -> io::Result<isize> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Whether it could watch this socket: `QuotaExceeded` when its number is out of reach.
    fn admit(&self, _socket: &Socket) -> io::Result<()> {
        Ok(())
    }

    /// Watches a socket, for nothing as yet. Called once connect(2) was, never before.
    fn add(&mut self, token: Token, socket: &Socket) -> io::Result<()>;

    /// Forgets a socket.
    fn remove(&mut self, token: Token, socket: &Socket);

    /// A try on this lane just blocked, or drained it.
    fn blocked(&mut self, token: Token, lane: Lane);

    /// An operation waits on this lane.
    fn arm(&mut self, token: Token, lane: Lane) -> io::Result<()>;

    /// The error that came with a report of this socket, once: the report may have taken it from
    /// the socket.
    fn error(&mut self, _token: Token) -> Option<io::Error> {
        None
    }

    /// Whether there is one.
    fn has_error(&self, _token: Token) -> bool {
        false
    }

    /// Waits once. `timeout`: None waits without limit, zero only looks.
    fn wait(
        &mut self,
        ready: &mut Vec<Ready>,
        timeout: Option<Duration>,
        bell: &Bell,
    ) -> io::Result<()>;
}

/// Milliseconds for a system call that counts in them: rounded up, -1 for no limit.
pub fn millis(timeout: Option<Duration>) -> i32 {
    timeout
        .map_or(-1, |timeout| i32::try_from(timeout.as_micros().div_ceil(1000)).unwrap_or(i32::MAX))
}

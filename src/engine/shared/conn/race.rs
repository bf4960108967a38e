//! The addresses of a peer and the attempts to reach one of them (RFC 8305).

use crate::io::Token;
use crate::session::{Cause, Millis};
use socket2::{SockAddr, Socket};
use std::collections::VecDeque;

/// How long an attempt is alone before the next begins beside it.
pub const ATTEMPT_DELAY_MS: Millis = 250;

/// How an attempt ended: with a socket, or a cause and the system's error.
pub type Attempted = Result<(Socket, SockAddr), (Cause, i32)>;

/// What a connection has until one of its attempts has succeeded.
#[derive(Default)]
pub struct Race {
    /// Addresses still to be tried.
    pub addresses: VecDeque<SockAddr>,
    /// The address that its socket is made for, until the model connects it.
    pub dialled: Option<Box<SockAddr>>,
    /// Attempts beside its own, each in a slot that the host does not know.
    pub attempts: Vec<Token>,
    /// When the next one begins; 0: not by time.
    pub next_at: Millis,
    /// When its own attempt is given up for the next; 0: not yet known.
    pub give_up_at: Millis,
    /// Of an attempt: the connection that it is for.
    pub main: Option<Token>,
    /// The socket of the attempt that was first, until the connection's own is closed.
    pub won: Option<Box<(Socket, SockAddr)>>,
}

/// None is like another but one that holds nothing: two sockets are never the same.
impl PartialEq for Race {
    fn eq(&self, other: &Race) -> bool {
        let empty = |race: &Race| {
            race.addresses.is_empty()
                && race.dialled.is_none()
                && race.attempts.is_empty()
                && (race.next_at, race.give_up_at) == (0, 0)
                && race.main.is_none()
                && race.won.is_none()
        };
        empty(self) && empty(other)
    }
}

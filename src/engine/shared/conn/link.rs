//! A socket as the worker has it: what the model knows of it and has to do with it.

use crate::io::{LANES, Lane};
use socket2::Socket;

/// The socket of a connection, a listener or for datagrams.
pub struct Link {
    /// None before the first connect, and when it is being closed.
    pub socket: Option<Socket>,
    /// Invariant: at most one operation in flight on each, and only while the model has the socket.
    pub lanes: [LaneState; 2],
    pub tie: Tie,
}

/// What the model has to do with the socket.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tie {
    /// Nothing: there is none as yet, or it is on its way to the model.
    Loose,
    /// The model knows it.
    Adopted,
    /// The model knows it and was asked to end what is in flight.
    Cancelled,
    /// The model was asked to give it back, or there is none to be given back; `Joined` follows.
    Released,
    /// The model has given the socket back, and it is closed.
    Joined,
}

/// One lane of a socket.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LaneState {
    /// No operation.
    Idle,
    /// The model has an operation.
    InFlight,
}

impl Link {
    /// One whose socket the model does not know.
    pub fn new(socket: Option<Socket>) -> Link {
        Link { socket, lanes: [LaneState::Idle; 2], tie: Tie::Loose }
    }

    /// Whether the model knows the socket.
    #[inline]
    pub fn is_adopted(&self) -> bool {
        matches!(self.tie, Tie::Adopted | Tie::Cancelled)
    }

    /// Whether the model and the socket are gone.
    pub fn is_joined(&self) -> bool {
        self.tie == Tie::Joined
    }

    /// Whether the model has an operation on this lane.
    #[inline]
    pub fn is_busy(&self, lane: Lane) -> bool {
        self.lanes[lane as usize] == LaneState::InFlight
    }

    /// Whether the model has no operation.
    pub fn is_idle(&self) -> bool {
        self.lanes == [LaneState::Idle; 2]
    }

    /// The model took the socket, or refused it.
    pub fn adopted(&mut self, taken: bool) {
        self.tie = if taken { Tie::Adopted } else { Tie::Loose };
    }

    /// Whether the model is to end what is in flight: it was not asked before.
    pub fn cancel(&mut self) -> bool {
        self.tie == Tie::Adopted && {
            self.tie = Tie::Cancelled;
            true
        }
    }

    /// Whether the end of it is to be waited for: it is not as yet.
    pub fn release(&mut self) -> bool {
        let begins = !matches!(self.tie, Tie::Released | Tie::Joined);
        if begins {
            self.tie = Tie::Released;
        }
        begins
    }

    /// Model and socket are gone. Whether they were before.
    pub fn join(&mut self) -> bool {
        std::mem::replace(&mut self.tie, Tie::Joined) == Tie::Joined
    }

    /// Fails in a debug build where two facts exclude each other.
    pub fn assert_valid(&self) {
        debug_assert!(self.socket.is_some() || !self.is_adopted(), "the model knows a socket");
        let busy = LANES.into_iter().any(|lane| self.is_busy(lane));
        debug_assert!(!busy || self.is_adopted(), "the model has what is in flight");
    }
}

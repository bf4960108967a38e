//! What a connection, a listener or a datagram socket goes over: a socket as the worker has it, or
//! a stream of the transport behind a datagram socket.

use crate::io::{LANES, Lane};
use crate::transport::Stream;
use socket2::Socket;

/// A socket of its own, or a place behind that of others. Both are in two lanes and have a tie; the
/// branch that asks which one it is reads the line that these lie in.
pub enum Link {
    /// Of a connection, a listener or for datagrams.
    Socket {
        /// None before the first connect, and when it is being closed.
        socket: Option<Socket>,
        /// Invariant: at most one operation in flight on each, and only while the model has the
        /// socket.
        lanes: [LaneState; 2],
        /// What the model has to do with the socket.
        tie: Tie,
    },
    /// Of a connection without a socket of its own: the model knows nothing of it.
    Carried {
        /// The transport, by its number with the connection's worker.
        by: u32,
        /// What the transport calls the connection.
        stream: Stream,
        /// In flight means that it waits: for a message of the peer's, for room in the transport.
        lanes: [LaneState; 2],
        /// Adopted while the transport has the stream.
        tie: Tie,
    },
}

/// What the model has to do with the socket, or a transport with the stream.
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

// Every connection has one, idle or not.
const _: () = assert!(size_of::<Link>() <= 8 + size_of::<Option<Socket>>());

impl Link {
    /// One whose socket the model does not know.
    pub fn new(socket: Option<Socket>) -> Link {
        Link::Socket { socket, lanes: [LaneState::Idle; 2], tie: Tie::Loose }
    }

    /// One over a stream that the transport `by` has.
    pub fn carried(by: u32, stream: Stream) -> Link {
        Link::Carried { by, stream, lanes: [LaneState::Idle; 2], tie: Tie::Adopted }
    }

    /// The transport that carries it, and what that calls it.
    #[inline]
    pub fn carrier(&self) -> Option<(u32, Stream)> {
        match *self {
            Link::Socket { .. } => None,
            Link::Carried { by, stream, .. } => Some((by, stream)),
        }
    }

    /// Whether a transport carries it.
    #[inline]
    pub fn is_carried(&self) -> bool {
        matches!(self, Link::Carried { .. })
    }

    /// Its own socket, if it has one.
    #[inline]
    pub fn socket(&self) -> Option<&Socket> {
        match self {
            Link::Socket { socket, .. } => socket.as_ref(),
            Link::Carried { .. } => None,
        }
    }

    /// Gives it its socket.
    pub fn set_socket(&mut self, new: Socket) {
        match self {
            Link::Socket { socket, .. } => *socket = Some(new),
            Link::Carried { .. } => debug_assert!(false, "a carried connection has no socket"),
        }
    }

    /// The socket goes.
    pub fn take_socket(&mut self) -> Option<Socket> {
        match self {
            Link::Socket { socket, .. } => socket.take(),
            Link::Carried { .. } => None,
        }
    }

    #[inline]
    pub fn lanes(&self) -> [LaneState; 2] {
        let (Link::Socket { lanes, .. } | Link::Carried { lanes, .. }) = self;
        *lanes
    }

    #[inline]
    fn lanes_mut(&mut self) -> &mut [LaneState; 2] {
        let (Link::Socket { lanes, .. } | Link::Carried { lanes, .. }) = self;
        lanes
    }

    #[inline]
    pub fn tie(&self) -> Tie {
        let (Link::Socket { tie, .. } | Link::Carried { tie, .. }) = self;
        *tie
    }

    #[inline]
    pub fn set_tie(&mut self, new: Tie) {
        let (Link::Socket { tie, .. } | Link::Carried { tie, .. }) = self;
        *tie = new;
    }

    /// The model has an operation on this lane from now on.
    #[inline]
    pub fn begin(&mut self, lane: Lane) {
        self.lanes_mut()[lane as usize] = LaneState::InFlight;
    }

    /// The operation on this lane is complete.
    #[inline]
    pub fn end(&mut self, lane: Lane) {
        self.lanes_mut()[lane as usize] = LaneState::Idle;
    }

    /// Whether the model knows the socket.
    #[inline]
    pub fn is_adopted(&self) -> bool {
        matches!(self.tie(), Tie::Adopted | Tie::Cancelled)
    }

    /// Whether the model and the socket are gone.
    pub fn is_joined(&self) -> bool {
        self.tie() == Tie::Joined
    }

    /// Whether the model has an operation on this lane.
    #[inline]
    pub fn is_busy(&self, lane: Lane) -> bool {
        self.lanes()[lane as usize] == LaneState::InFlight
    }

    /// Whether the model has no operation.
    pub fn is_idle(&self) -> bool {
        self.lanes() == [LaneState::Idle; 2]
    }

    /// The model took the socket, or refused it.
    pub fn adopted(&mut self, taken: bool) {
        self.set_tie(if taken { Tie::Adopted } else { Tie::Loose });
    }

    /// Whether the model is to end what is in flight: it was not asked before.
    pub fn cancel(&mut self) -> bool {
        self.tie() == Tie::Adopted && {
            self.set_tie(Tie::Cancelled);
            true
        }
    }

    /// Whether the end of it is to be waited for: it is not as yet.
    pub fn release(&mut self) -> bool {
        let begins = !matches!(self.tie(), Tie::Released | Tie::Joined);
        if begins {
            self.set_tie(Tie::Released);
        }
        begins
    }

    /// Model and socket are gone. Whether they were before.
    pub fn join(&mut self) -> bool {
        let before = self.is_joined();
        self.set_tie(Tie::Joined);
        before
    }

    /// Fails in a debug build where two facts exclude each other.
    pub fn assert_valid(&self) {
        let there = self.socket().is_some() || self.is_carried();
        debug_assert!(there || !self.is_adopted(), "the model knows a socket");
        let busy = LANES.into_iter().any(|lane| self.is_busy(lane));
        debug_assert!(!busy || self.is_adopted(), "the model has what is in flight");
    }
}

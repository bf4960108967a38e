//! Operations and their completions: the whole language between the engine and a model.

use super::datagram::{Arrival, Datagram};
use crate::buf::{Chunk, Slice, Train};
use socket2::{SockAddr, Socket};
use std::io;

/// Names a socket: slot index and generation, so that a late report of a former owner of the slot
/// is recognised. Bits: generation 24 | index 24; the 16 above are free for a handle's kind and
/// net, or a kernel's user data.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Token(pub u64);

impl Token {
    /// Bits of the slot index.
    pub const INDEX_BITS: u32 = 24;
    /// Bits of the generation.
    pub const GENERATION_BITS: u32 = 24;
    /// No token has it: a slot in it is used up.
    pub const GENERATION_MAX: u32 = (1 << Self::GENERATION_BITS) - 1;

    /// The token of a slot in its `generation`.
    pub fn new(index: u32, generation: u32) -> Token {
        Token(u64::from(generation) << Self::INDEX_BITS | u64::from(index))
    }

    /// The slot.
    #[inline]
    pub fn index(self) -> usize {
        (self.0 & ((1 << Self::INDEX_BITS) - 1)) as usize
    }

    /// The slot's generation.
    #[inline]
    pub fn generation(self) -> u32 {
        (self.0 >> Self::INDEX_BITS) as u32 & Self::GENERATION_MAX
    }
}

/// A socket has two, and each has at most one operation at a time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lane {
    /// Accepting and receiving.
    In = 0,
    /// Connecting and sending.
    Out = 1,
}

/// Both.
pub const LANES: [Lane; 2] = [Lane::In, Lane::Out];

/// What is asked of a socket when its peer seems to be late.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Look {
    /// Bytes, an end or an error for the receive that waits.
    Input,
    /// Bytes, while nothing asks for them.
    Unread,
    /// Room for the send that waits, or the answer to a connect.
    Output,
}

impl Look {
    /// The lane that it is about.
    pub fn lane(self) -> Lane {
        if self == Look::Output { Lane::Out } else { Lane::In }
    }
}

/// What a socket is when a model adopts it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// Bound and listening.
    Listener,
    /// To be connected by `Op::Connect`.
    Connecting,
    /// Connected.
    Stream,
    /// Connected to a process of this machine. Messages may come with descriptors (unix(7)), and
    /// a receive stops behind one that has some, with more behind it.
    Local,
    /// A datagram socket, bound or connected. Its two lanes are `RecvFrom` and `SendTo`.
    Datagram,
}

/// What a model is asked to do. Buffers move in and come back out with the completion.
pub enum Op {
    /// In: at least one connection, and as many more as are there at once.
    Accept,
    /// In: bytes. None: the model takes a buffer as late as it can, so that an idle socket has
    /// none. Some: behind what this chunk has.
    Recv(Option<Chunk>),
    /// Out: a connection. Boxed: it would make every operation large.
    Connect(Box<SockAddr>),
    /// Out: as much of the train as the system takes.
    Send(Train),
    /// In: at least one datagram, and as many more as are there at once, up to `DATAGRAMS_MAX`.
    /// Any from 0 to 65,507 bytes comes whole.
    RecvFrom,
    /// Out: as many of these, `DATAGRAMS_MAX` at most, from the first on, as the system takes now.
    SendTo(Vec<Datagram>),
}

impl Op {
    /// The lane it goes on.
    pub fn lane(&self) -> Lane {
        match self {
            Op::Accept | Op::Recv(_) | Op::RecvFrom => Lane::In,
            Op::Connect(_) | Op::Send(_) | Op::SendTo(_) => Lane::Out,
        }
    }

    /// Its outcome when it fails, buffers included.
    pub fn fail(self, error: io::Error) -> Outcome {
        match self {
            Op::Accept => Outcome::Accepted(Vec::new(), Some(error)),
            Op::Recv(chunk) => Outcome::Received(Err(error), chunk),
            Op::Connect(_) => Outcome::Connected(Err(error)),
            Op::Send(train) => Outcome::Sent(Err(error), train),
            Op::RecvFrom => Outcome::ReceivedFrom(Err(error)),
            Op::SendTo(datagrams) => Outcome::SentTo(Err(error), datagrams),
        }
    }
}

/// A connection that was accepted.
pub struct Accepted {
    /// Non-blocking and close-on-exec.
    pub socket: Socket,
    /// The peer's address.
    pub peer: SockAddr,
}

/// What became of an operation.
pub enum Outcome {
    /// Connections, and the error that ended the batch if one did.
    Accepted(Vec<Accepted>, Option<io::Error>),
    /// Bytes; an empty slice is the end of the stream. The chunk is the one that was given.
    Received(io::Result<Slice>, Option<Chunk>),
    /// Connected or not.
    Connected(io::Result<()>),
    /// Bytes written. The train comes back whatever happened.
    Sent(io::Result<usize>, Train),
    /// Datagrams. An error is one that the system reported of the socket, mostly of an earlier send
    /// (ICMP): the engine counts it and asks again.
    ReceivedFrom(io::Result<Vec<Arrival>>),
    /// Datagrams taken, from the front on. An error is the first one's: none was sent. They all
    /// come back.
    SentTo(io::Result<usize>, Vec<Datagram>),
}

/// The end of one operation.
pub struct Completion {
    /// The socket it was submitted for.
    pub token: Token,
    /// Its lane, free again.
    pub lane: Lane,
    /// What became of it.
    pub outcome: Outcome,
}

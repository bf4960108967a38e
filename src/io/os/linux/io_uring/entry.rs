//! What the model keeps of a socket, and how it names its operations to the kernel.

use super::outgoing::Outward;
use crate::buf::{Chunk, Slice};
use crate::io::common::receiving::LONG_ROOM;
use crate::io::op::{Op, Token};
use io_uring::{opcode, squeue, types::Fd};
use socket2::{SockAddrStorage, Socket};
use std::collections::VecDeque;
use std::io;
use std::mem::ManuallyDrop;
use std::os::fd::AsRawFd;

/// Bits of a token; the kind of the operation is above them.
const TOKEN_BITS: u32 = Token::INDEX_BITS + Token::GENERATION_BITS;

/// An operation as its user data names it: a token, and one of these.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Receives until it is cancelled, each time into a buffer of the stock.
    Multi = 0,
    /// Receives once into a buffer of the stock.
    Once = 1,
    /// Receives once into a chunk of the engine's.
    Into = 2,
    Accept = 3,
    /// Sends or connects, or waits for room to send datagrams.
    Out = 4,
    /// Waits for datagrams, or for more of a long frame.
    Poll = 5,
    /// Ends one of the above, whose kind is in the bits above.
    Cancel = 6,
}

const KINDS: [Kind; 7] =
    [Kind::Multi, Kind::Once, Kind::Into, Kind::Accept, Kind::Out, Kind::Poll, Kind::Cancel];

/// The user data of an operation.
pub fn name(token: Token, kind: Kind) -> u64 {
    token.0 & ((1 << TOKEN_BITS) - 1) | (kind as u64) << TOKEN_BITS
}

/// Whose operation completed, and which. Of a cancel: what it was to end.
pub fn read(user_data: u64) -> (Token, Kind, Option<Kind>) {
    let token = Token(user_data & ((1 << TOKEN_BITS) - 1));
    let kind = |bits: u64| KINDS[(bits & 7).min(6) as usize];
    let (which, target) = (kind(user_data >> TOKEN_BITS), kind(user_data >> (TOKEN_BITS + 3)));
    (token, which, (which == Kind::Cancel).then_some(target))
}

/// Ends an operation; its own completion still comes.
pub fn cancel(token: Token, kind: Kind) -> squeue::Entry {
    let own = name(token, Kind::Cancel) | (kind as u64) << (TOKEN_BITS + 3);
    let entry = opcode::AsyncCancel::new(name(token, kind)).build().user_data(own);
    // Where it works the operation's own completion says so.
    entry.flags(squeue::Flags::SKIP_SUCCESS)
}

/// What the engine waits for on lane In.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Inward {
    Nothing,
    Accept,
    Recv,
    RecvFrom,
}

/// A socket that the engine lent.
pub struct Entry {
    /// Of its token; the index is its place among the entries.
    pub generation: u32,
    /// Borrowed: the engine keeps it open until `release`, and closes it.
    pub socket: ManuallyDrop<Socket>,
    /// What the engine asked for.
    pub inward: Inward,
    /// What the kernel does for lane In. A `Multi` goes on when the engine asks for nothing.
    pub flying: Option<Kind>,
    /// That was cancelled.
    pub stopping: bool,
    /// The engine closes it: what is received is dropped.
    pub closing: bool,
    /// The host takes it: nothing is begun any more, and nothing that comes is dropped.
    pub leaving: bool,
    /// Whole buffers come: it receives one at a time, so that nothing piles up here. Of datagrams:
    /// more are there, so the next are received without a poll.
    pub bulk: bool,
    /// It is among those to be served without the kernel, or of long frames.
    pub runnable: bool,
    /// It is among those that wait for the pool to have room.
    pub starved: bool,
    /// What waits on lane Out is the kernel's now.
    pub sending: bool,
    /// What the engine asked for on lane Out.
    pub outward: Option<Box<Outward>>,
    /// In a box: an idle socket has none.
    pub behind: Option<Box<Behind>>,
}

// Every connection has one, idle or not.
const _: () = assert!(size_of::<Option<Entry>>() <= 32 + 2 * size_of::<Socket>());

/// What is on the way in.
#[derive(Default)]
pub struct Behind {
    /// What the engine gave to receive into. The kernel writes to it in an `Into`.
    pub chunk: Option<Chunk>,
    /// Received and not yet asked for, in order. Invariant: none is empty.
    pub surplus: VecDeque<Slice>,
    /// Behind the surplus: the peer's end, or what broke the connection.
    pub end: Option<Option<io::Error>>,
    /// Where the kernel writes the address of the next connection.
    pub address: Option<Box<Address>>,
}

/// Room for an address.
pub struct Address {
    pub storage: SockAddrStorage,
    pub len: libc::socklen_t,
}

impl Entry {
    /// A socket with nothing to do.
    pub fn new(token: Token, socket: ManuallyDrop<Socket>) -> Entry {
        Entry {
            generation: token.generation(),
            socket,
            inward: Inward::Nothing,
            flying: None,
            stopping: false,
            closing: false,
            leaving: false,
            bulk: false,
            runnable: false,
            starved: false,
            sending: false,
            outward: None,
            behind: None,
        }
    }

    /// Its descriptor for an operation.
    pub fn fd(&self) -> Fd {
        Fd(self.socket.as_raw_fd())
    }

    /// Whether a receive could be answered with what is here.
    pub fn has_surplus(&self) -> bool {
        let has = |behind: &Behind| !behind.surplus.is_empty() || behind.end.is_some();
        self.behind.as_deref().is_some_and(has)
    }

    /// Bytes received and not asked for.
    pub fn surplus_bytes(&self) -> usize {
        let bytes = |behind: &Behind| behind.surplus.iter().map(|slice| slice.len()).sum();
        self.behind.as_deref().map_or(0, bytes)
    }

    /// Whether what the engine waits for is a receive of a long frame.
    pub fn is_long(&self) -> bool {
        let chunk = self.behind.as_ref().and_then(|behind| behind.chunk.as_ref());
        self.inward == Inward::Recv && chunk.is_some_and(|chunk| chunk.room() >= LONG_ROOM)
    }

    /// What is on the way in, to be written.
    pub fn behind(&mut self) -> &mut Behind {
        self.behind.get_or_insert_default()
    }

    /// The operation that the engine waits for on lane In, given back.
    pub fn take_inward(&mut self) -> Option<Op> {
        match std::mem::replace(&mut self.inward, Inward::Nothing) {
            Inward::Nothing => None,
            Inward::Accept => Some(Op::Accept),
            Inward::RecvFrom => Some(Op::RecvFrom),
            Inward::Recv => Some(Op::Recv(self.behind.as_mut().and_then(|it| it.chunk.take()))),
        }
    }
}

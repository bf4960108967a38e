//! What carries connections: the contract between the engine and a transport.
//!
//! The engine has a datagram socket and a transport for it. What the socket receives goes to
//! `handle_datagram`, what `poll_transmit` answers with is sent over it, and a timer calls
//! `handle_timeout`. After any of these, and after a verb of a stream, the engine asks
//! `poll_event` until there is none, then `poll_transmit`, then `poll_timeout`.
//!
//! 1. The engine numbers the streams: those that a peer opens, and those that it connects. A number
//!    is used again after `forget`, and a transport never speaks of it in between.
//! 2. Messages are messages: what one end writes is read whole at the other, or not at all.
//! 3. What is written stays in the outbox of its connection for as long as the transport has no
//!    room for it, so that keys, drops and WRITABLE are the same as with a socket.
//! 4. Everything that a peer can make grow is bounded by the transport, but for the number of
//!    streams, which the engine bounds.

use crate::buf::{Pool, Slice};
use crate::session::{Cause, Millis, Side};
use crate::transport::Run;
use std::net::{IpAddr, SocketAddr};

/// A connection, as its transport and the engine call it: a small number.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Stream(pub u32);

/// A datagram that came, or that is to be sent.
#[derive(Debug)]
pub struct Datagram {
    /// Its sender, or where it goes.
    pub peer: SocketAddr,
    /// The address of this machine that it came to, or is to leave from; None: that is not known,
    /// or the system's to choose.
    pub local: Option<IpAddr>,
    /// The payload.
    pub data: Slice,
}

/// What became of a datagram.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Handled {
    /// It is of this stream, whatever was in it.
    Existing(Stream),
    /// It opened a stream: the vacant number is taken.
    New,
    /// It is of no stream, and is answered.
    Reply,
    /// Nothing comes of it.
    Dropped(Reason),
}

/// Why nothing comes of a datagram.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reason {
    /// It is none of this transport's.
    Malformed,
    /// It is of a stream that is not there.
    Unknown,
    /// It would have opened a stream, and there was no number for one.
    Refused,
}

/// What happened to a stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event {
    /// The peer has answered a `connect`.
    Opened(Stream),
    /// There is a message to be read. Told again only after `read` had none.
    Readable(Stream),
    /// A message that was refused would be taken now.
    Writable(Stream),
    /// It is over. What it has to be read is still there, and nothing is written any more.
    /// `Cause::Host`: it was closed here, and all that was written left.
    Closed(Stream, Cause),
}

/// What is to be sent.
#[derive(Debug)]
pub enum Transmit {
    /// Nothing now.
    Nothing,
    /// This, before anything else.
    Datagram(Datagram),
    /// There is no memory for so many bytes. To be asked again when there is.
    Starved(usize),
}

/// No room for a message: `Event::Writable` follows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Full;

/// Many connections behind one datagram socket.
pub trait Endpoint: Send {
    /// A datagram came. A stream that it opens gets the number `vacant`; None: it is not to open
    /// one.
    fn handle_datagram(
        &mut self,
        datagram: Datagram,
        vacant: Option<Stream>,
        now: Millis,
    ) -> Handled;

    /// The next datagram to be sent.
    fn poll_transmit(&mut self, pool: &Pool, now: Millis) -> Transmit;

    /// When it wants to be called without a cause from outside. None also means that nothing more
    /// follows of streams that were forgotten.
    fn poll_timeout(&self) -> Option<Millis>;

    /// That time has come.
    fn handle_timeout(&mut self, now: Millis);

    /// What happened.
    fn poll_event(&mut self) -> Option<Event>;

    /// Begins a stream to `peer`. `Opened` follows, or `Closed` with a cause.
    fn connect(&mut self, stream: Stream, peer: SocketAddr, now: Millis);

    /// The next message of a stream.
    fn read(&mut self, stream: Stream) -> Option<Slice>;

    /// Takes a run of a message. Only the first run of one is ever refused, and all others follow
    /// before anything else is written to any stream.
    fn write(&mut self, stream: Stream, run: Run, now: Millis) -> Result<(), Full>;

    /// Ends a stream in order, behind what was written. `Closed` follows, at the latest when the
    /// peer is not there any more.
    fn close(&mut self, stream: Stream, now: Millis);

    /// The engine lets go of a stream: nothing is told of it any more. One that was neither closed
    /// nor is over is reset, and a peer that opened it is refused.
    fn forget(&mut self, stream: Stream, now: Millis);
}

/// What carries the connections of an endpoint.
#[derive(Clone, Copy, Debug)]
pub struct Carrying {
    /// Makes that of one socket. A function with a name: a closure may have several addresses, and
    /// two of those are not alike.
    pub make: fn(Side) -> Box<dyn Endpoint>,
    /// The longest message that it takes.
    pub message_max_bytes: u32,
    /// Connections that are made by connect share a socket with those of their worker that are made
    /// alike; else each has its own.
    pub shares: bool,
}

impl PartialEq for Carrying {
    /// Whether it is surely the same.
    fn eq(&self, other: &Carrying) -> bool {
        std::ptr::fn_addr_eq(self.make, other.make)
            && self.message_max_bytes == other.message_max_bytes
            && self.shares == other.shares
    }
}

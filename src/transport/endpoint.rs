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
use crate::session::{Cause, LaneFacts, Side};
use crate::transport::Run;
use crate::transport::lanes::{Lanes, Micros, Options, Seed};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

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
    /// So many bytes of messages of a lane, headers of the outbox included, are pending no more:
    /// they were acknowledged, sent where nothing is acknowledged, or dropped.
    Released(Stream, u8, u32),
    /// The peer goes on from another address: see `Endpoint::peer`.
    Migrated(Stream),
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

impl Event {
    /// The stream that it happened to.
    pub fn stream(&self) -> Stream {
        let (Event::Opened(stream)
        | Event::Readable(stream)
        | Event::Writable(stream)
        | Event::Released(stream, ..)
        | Event::Migrated(stream)
        | Event::Closed(stream, _)) = *self;
        stream
    }
}

/// A message that came.
#[derive(Debug)]
pub struct Message {
    /// The payload.
    pub data: Slice,
    /// The lane that it came on.
    pub lane: u8,
    /// Others of its lane may be lost.
    pub unreliable: bool,
    /// It is a datagram of a peer that has no lanes.
    pub plain: bool,
}

impl From<Slice> for Message {
    /// One of a transport without lanes.
    fn from(data: Slice) -> Message {
        Message { data, lane: 0, unreliable: false, plain: false }
    }
}

/// Whom a stream connects to.
#[derive(Clone, Debug)]
pub struct Target {
    /// The address.
    pub peer: SocketAddr,
    /// What the host was given to be let in with, as far as the transport wants that.
    pub token: Option<Arc<[u8]>>,
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
        now: Micros,
    ) -> Handled;

    /// The next datagram to be sent.
    fn poll_transmit(&mut self, pool: &Pool, now: Micros) -> Transmit;

    /// When it wants to be called without a cause from outside. None also means that nothing more
    /// follows of streams that were forgotten.
    fn poll_timeout(&self) -> Option<Micros>;

    /// That time has come.
    fn handle_timeout(&mut self, now: Micros);

    /// What happened.
    fn poll_event(&mut self) -> Option<Event>;

    /// Begins a stream. `Opened` follows, or `Closed` with a cause.
    fn connect(&mut self, stream: Stream, target: Target, now: Micros);

    /// The next message of a stream.
    fn read(&mut self, stream: Stream) -> Option<Message>;

    /// Takes a run of a message. Only the first run of one is ever refused, and all others follow
    /// before anything else is written to any stream.
    fn write(&mut self, stream: Stream, run: Run, now: Micros) -> Result<(), Full>;

    /// Ends a stream in order, behind what was written. `Closed` follows, at the latest when the
    /// peer is not there any more.
    fn close(&mut self, stream: Stream, now: Micros);

    /// Whom a stream speaks to, where the transport may know that better than its engine.
    fn peer(&self, _stream: Stream) -> Option<SocketAddr> {
        None
    }

    /// What the peer was let in with, for the host.
    fn greeting(&self, _stream: Stream) -> &[u8] {
        &[]
    }

    /// What is known of a stream's lanes and its path.
    fn facts(&self, _stream: Stream, _now: Micros) -> Option<LaneFacts> {
        None
    }

    /// The time of day at 0 of the clock, in seconds since 1970: the system's was set.
    fn set_unix(&mut self, _unix_s: u64) {}

    /// The engine lets go of a stream: nothing is told of it any more. One that was neither closed
    /// nor is over is reset, and a peer that opened it is refused.
    fn forget(&mut self, stream: Stream, now: Micros);
}

/// What carries the connections of an endpoint.
#[derive(Clone, Debug)]
pub struct Carrying {
    /// What makes that of one socket.
    pub maker: Maker,
    /// The longest message that it takes.
    pub message_max_bytes: u32,
    /// Connections that are made by connect share a socket with those of their worker that are made
    /// alike; else each has its own.
    pub shares: bool,
}

/// What makes a transport.
#[derive(Clone, Debug)]
pub enum Maker {
    /// A function with a name: a closure may have several addresses, and two of those are not
    /// alike.
    Of(fn(Side) -> Box<dyn Endpoint>),
    /// `game://`.
    Lanes(Arc<Options>),
}

impl Carrying {
    /// The transport of one socket. `unix_s`: the time of day at 0 of its clock, in seconds.
    pub fn endpoint(&self, side: Side, seed: Seed, unix_s: u64) -> Box<dyn Endpoint> {
        match &self.maker {
            Maker::Of(make) => make(side),
            Maker::Lanes(options) => Box::new(Lanes::new(options, side, seed, unix_s)),
        }
    }

    /// How many lanes its connections have; None: they know of none.
    pub fn lanes(&self) -> Option<usize> {
        match &self.maker {
            Maker::Of(_) => None,
            Maker::Lanes(options) => Some(options.lanes()),
        }
    }
}

impl PartialEq for Carrying {
    /// Whether it is surely the same.
    fn eq(&self, other: &Carrying) -> bool {
        let alike = match (&self.maker, &other.maker) {
            (Maker::Of(one), Maker::Of(two)) => std::ptr::fn_addr_eq(*one, *two),
            (Maker::Lanes(one), Maker::Lanes(two)) => one == two,
            _ => false,
        };
        alike && self.message_max_bytes == other.message_max_bytes && self.shares == other.shares
    }
}

//! How far a connection is, how it ends, and what the host knows of that.

use crate::session::Cause;

/// See the module.
pub struct Life {
    pub phase: Phase,
    pub end: End,
    /// Why it ends, once it does.
    pub cause: Cause,
    pub report: Report,
    /// Whether the peer's end was received.
    pub eof: Eof,
    /// Whether our end was sent.
    pub fin: Fin,
    /// Closed with a reset.
    pub reset: bool,
}

/// What the host knows of a connection.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Debug)]
pub enum Report {
    /// Nothing: it was accepted, or is an attempt of another one. It ends without an event.
    Hidden,
    /// That it is there: the host called connect, or OPENED was emitted. CLOSED is owed.
    Known,
    /// CLOSED was emitted, and its batch is not over.
    Closed,
    /// Nothing more is to come: the batch with CLOSED is over, or no event was owed.
    Over,
}

/// How far a connection is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Debug)]
pub enum Phase {
    /// Its name is looked up.
    Resolving,
    /// The model connects it, or is about to.
    Connecting,
    /// Connected, and its layer is not open: to the host it connects.
    Opening,
    /// Connected, layer and all.
    Open,
}

/// How a connection ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// It does not.
    Not,
    /// The peer ended its side, and CLOSED says so. What the host sends while the batch with that
    /// CLOSED lives is still written, then the socket goes.
    Peer,
    /// To be flushed, ended and drained before it goes.
    Graceful,
    /// As soon as the model has given its socket back.
    Abrupt,
}

/// The peer's end of the stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Eof {
    No,
    Received,
    /// Received, and reported as an event of its own (`half_open`).
    Told,
}

/// Our end of the stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fin {
    No,
    /// Not before a tap holds nothing any more.
    Waits,
    Sent,
    /// Sent, and a shutdown waits until the peer's system acknowledges it: it stands on its
    /// worker's list of those.
    Awaited,
}

impl Life {
    /// One that begins.
    pub fn new() -> Life {
        Life {
            phase: Phase::Resolving,
            end: End::Not,
            cause: Cause::Host,
            report: Report::Hidden,
            eof: Eof::No,
            fin: Fin::No,
            reset: false,
        }
    }

    /// Fails in a debug build where two facts exclude each other.
    pub fn assert_valid(&self) {
        debug_assert!(self.report < Report::Closed || self.end != End::Not, "CLOSED ends it");
        let ended = self.eof != Eof::No || self.fin != Fin::No;
        debug_assert!(!ended || self.phase >= Phase::Opening, "only a stream has ends");
    }
}

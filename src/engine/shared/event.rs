//! What happens to connections and listeners, as it is reported to the host.

use crate::buf::Slice;
use crate::io::Token;
use crate::io::os::sys::SLOT_BYTES;
use crate::session::Cause;

/// Bytes that an event counts for beside its payload.
const EVENT_BYTES: u64 = 64;

/// One thing that happened.
pub struct Event {
    /// The connection or listener it happened to.
    pub token: Token,
    /// What happened.
    pub notice: Notice,
}

/// What the payload of a connection's event is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    /// One message.
    Whole,
    /// One message, which is text.
    Text,
    /// The beginning of one that was over the maximum.
    Cut,
    /// What arrived, where there is no framing.
    Bytes,
    /// One message of a transport.
    Carried {
        /// The lane that it came on.
        lane: u8,
        /// Others of its lane may be lost.
        unreliable: bool,
    },
}

/// What an event reports. The C ABI's `sockeye_event_kind` documents each.
#[allow(missing_docs, reason = "the C ABI documents each")]
pub enum Notice {
    Opened {
        listener: Option<Token>,
        /// What the peer was let in with.
        data: Slice,
    },
    /// It goes on from another address.
    Migrated,
    Message {
        data: Slice,
        form: Form,
    },
    /// The sender's address, then the payload.
    Datagram {
        data: Slice,
        truncated: bool,
        connected: bool,
    },
    Writable {
        refused: u32,
        /// Of a listener of datagrams.
        listener: bool,
    },
    /// The other queue, and whether this one is left.
    Moved {
        queue: u8,
        left: bool,
    },
    Closed {
        cause: Cause,
        os_error: i32,
        unsent: u64,
        /// Bytes of a partial frame.
        code: u32,
    },
    /// The peer ended its side, and the connection stays.
    Ended,
    ListenerClosed {
        cause: Cause,
        os_error: i32,
    },
    Posted {
        detail: u64,
        user_data: u64,
    },
    /// A timer of the host is due: which, and the periods that are merged with this one.
    Timer {
        timer: Token,
        missed: u32,
    },
    /// An event of no connection and no listener, with a payload.
    Mail(Box<Mail>),
    /// Handed out, and its batch is over.
    Gone,
}

/// An event of the host's own, as it is handed out.
#[derive(Default)]
pub struct Mail {
    /// The C ABI's number of its kind.
    pub kind: u32,
    /// A `Cause`, or 0.
    pub cause: i32,
    /// The error behind it, or 0.
    pub os_error: i32,
    /// Its meaning depends on the kind.
    pub detail: u64,
    /// The host's.
    pub user_data: u64,
    /// The payload.
    pub data: Slice,
}

impl Notice {
    /// An opening that brings nothing else.
    pub fn opened(listener: Option<Token>) -> Notice {
        Notice::Opened { listener, data: Slice::default() }
    }
}

impl Event {
    /// Bytes it counts for while it waits.
    #[inline(always)]
    pub fn cost(&self) -> u64 {
        match &self.notice {
            // What it keeps from being used again.
            Notice::Message { data, form: Form::Carried { .. } }
            | Notice::Datagram { data, .. } => EVENT_BYTES + data.len().max(SLOT_BYTES) as u64,
            Notice::Message { data, .. } => EVENT_BYTES + data.len() as u64,
            Notice::Mail(mail) => EVENT_BYTES + mail.data.len() as u64,
            _ => EVENT_BYTES,
        }
    }

    /// Of them, those that are counted for its connection too: of messages.
    #[inline(always)]
    pub fn own_cost(&self) -> u64 {
        match &self.notice {
            Notice::Message { .. } | Notice::Datagram { .. } => self.cost(),
            _ => 0,
        }
    }
}

/// An event on its way to the host.
pub struct Handed<'a> {
    /// The event.
    pub event: &'a Event,
    /// The host's number for its connection or listener, as it is now.
    pub user_data: u64,
    /// Its number among all events that queues gave out, for `hold`.
    pub number: u64,
}

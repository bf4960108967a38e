//! Refusals.

use crate::io::os::sys;
use crate::session::SendError;
use std::io;

/// Why a call did nothing. The numbers are those of the C ABI.
#[repr(i32)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the C ABI's `sockeye_status_code` documents each")]
pub enum Error {
    Invalid = -1,
    Stale = -2,
    Closed = -3,
    Again = -4,
    TooBig = -5,
    Busy = -6,
    Unsupported = -7,
    Limit = -8,
    Os = -9,
    Shutdown = -10,
    WouldDeadlock = -11,
    Forked = -12,
    Panic = -13,
    NoMemory = -14,
    Denied = -15,
}

const ERRORS: [(Error, &str); 15] = [
    (Error::Invalid, "invalid argument"),
    (Error::Stale, "stale handle"),
    (Error::Closed, "closed"),
    (Error::Again, "full for now"),
    (Error::TooBig, "too big"),
    (Error::Busy, "another thread is inside this queue"),
    (Error::Unsupported, "not supported here"),
    (Error::Limit, "limit reached"),
    (Error::Os, "the operating system refused"),
    (Error::Shutdown, "the net is shut down"),
    (Error::WouldDeadlock, "would wait for itself"),
    (Error::Forked, "called in a forked child"),
    (Error::Panic, "a fault inside the library was caught; the net is closed"),
    (Error::NoMemory, "out of memory under memory_max_bytes"),
    (Error::Denied, "permission denied"),
];

impl Error {
    /// Plain words.
    pub fn words(self) -> &'static str {
        ERRORS.iter().find(|(error, _)| *error == self).map_or("unknown", |(_, words)| words)
    }
}

impl From<SendError> for Error {
    fn from(error: SendError) -> Self {
        match error {
            SendError::Again | SendError::Memory => Error::Again,
            SendError::TooBig => Error::TooBig,
            SendError::Overflow => Error::Closed,
            SendError::Malformed => Error::Invalid,
        }
    }
}

/// An error with words for `sockeye_last_error`.
#[derive(Debug)]
pub struct Refusal {
    /// What kind.
    pub error: Error,
    /// What exactly.
    pub words: String,
}

impl Refusal {
    /// An error with words.
    pub fn new(error: Error, words: impl Into<String>) -> Refusal {
        Refusal { error, words: words.into() }
    }

    /// What the system said, and what was tried.
    pub fn system(tried: &str, error: &io::Error) -> Refusal {
        let kind = match sys::kind(error) {
            io::ErrorKind::AddrInUse => Error::Busy,
            io::ErrorKind::PermissionDenied => Error::Denied,
            _ if sys::out_of_descriptors(error) => Error::Limit,
            _ => Error::Os,
        };
        Refusal::new(kind, format!("{tried}: {error}"))
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Refusal::new(error, error.words())
    }
}

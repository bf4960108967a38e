//! Answers and causes: what calls answer and why connections end.

use crate::engine::{Cause, Error};
use std::ffi::CStr;

/// The version of the binary interface that this header describes; `sockeye_abi_version` gives the
/// library's.
pub const SOCKEYE_ABI_VERSION: u32 = 1;

/// What a call answers: `s >= 0` is done (a count where the call says so), `s < 0` is one of
/// `sockeye_status_code` and nothing was done.
pub type sockeye_status = i32;

/// The values of a `sockeye_status` that are not a count.
#[repr(C)]
pub enum sockeye_status_code {
    /// Done.
    SOCKEYE_OK = 0,
    /// An argument is wrong: NULL, an unknown number, a bad URL, a wrong `struct_size`.
    SOCKEYE_ERR_INVALID = -1,
    /// The handle is old, of another net, or made up.
    SOCKEYE_ERR_STALE = -2,
    /// The connection or listener is closed or closing; its last event is pending or was delivered.
    SOCKEYE_ERR_CLOSED = -3,
    /// Full for now: nothing was taken. A WRITABLE event follows when there is room again.
    SOCKEYE_ERR_AGAIN = -4,
    /// Larger than could ever be taken: the outbox, the frame limit or the length field.
    SOCKEYE_ERR_TOO_BIG = -5,
    /// Another thread is inside this queue, or the port is in use.
    SOCKEYE_ERR_BUSY = -6,
    /// This build, platform, kernel or model cannot do it.
    SOCKEYE_ERR_UNSUPPORTED = -7,
    /// A limit of the configuration or of the process is reached: connections, descriptors.
    SOCKEYE_ERR_LIMIT = -8,
    /// The operating system refused; `sockeye_last_error` has its words.
    SOCKEYE_ERR_OS = -9,
    /// The net is shut down.
    SOCKEYE_ERR_SHUTDOWN = -10,
    /// The call would wait for the thread that makes it.
    SOCKEYE_ERR_WOULD_DEADLOCK = -11,
    /// Called in a forked child.
    SOCKEYE_ERR_FORKED = -12,
    /// A fault inside the library was caught; the net is closed, other nets live on.
    SOCKEYE_ERR_PANIC = -13,
    /// No memory under `memory_max_bytes` for a buffer.
    SOCKEYE_ERR_NO_MEMORY = -14,
    /// The operating system denies it: a privileged port, a security policy.
    SOCKEYE_ERR_DENIED = -15,
}

/// Why a connection or a listener closed: `cause` of CLOSED and LISTENER_CLOSED.
#[repr(C)]
pub enum sockeye_cause {
    /// No cause: the event is not a close.
    SOCKEYE_CAUSE_NONE = 0,
    /// The peer ended its side in order (FIN).
    SOCKEYE_CAUSE_PEER = 1,
    /// The connection was reset (RST), or broke with the system's error in `os_error`.
    SOCKEYE_CAUSE_RESET = 2,
    /// Connect: no socket listens there, or none can: this machine has no address of that kind, or
    /// the address is the connection's own.
    SOCKEYE_CAUSE_REFUSED = 3,
    /// Connect: no route to that host or network.
    SOCKEYE_CAUSE_UNREACHABLE = 4,
    /// Connect: the name was not found. RESOLVED: nothing was found.
    SOCKEYE_CAUSE_RESOLVE = 5,
    /// Connect took longer than `connect_timeout_ms`.
    SOCKEYE_CAUSE_TIMEOUT_CONNECT = 6,
    /// Nothing was received for `idle_timeout_ms`.
    SOCKEYE_CAUSE_TIMEOUT_IDLE = 7,
    /// The first byte did not come within `first_byte_timeout_ms`.
    SOCKEYE_CAUSE_TIMEOUT_FIRST_BYTE = 8,
    /// A frame began and was not complete within `frame_timeout_ms`.
    SOCKEYE_CAUSE_TIMEOUT_FRAME = 9,
    /// Nothing of the outbox could be sent for `send_timeout_ms`.
    SOCKEYE_CAUSE_TIMEOUT_SEND = 10,
    /// A graceful close did not end within `linger_ms`: the peer did not end its side, or bytes
    /// that were taken could not be sent. Those are lost, and the peer sees a reset.
    SOCKEYE_CAUSE_TIMEOUT_LINGER = 11,
    /// A frame over `frame_max_bytes`.
    SOCKEYE_CAUSE_LIMIT_FRAME = 12,
    /// The outbox was full and `overflow` is CLOSE.
    SOCKEYE_CAUSE_LIMIT_OUTBOX = 13,
    /// The frame could never fit under `memory_max_bytes`; or the connection held memory and made
    /// no progress while others needed it.
    SOCKEYE_CAUSE_LIMIT_MEMORY = 14,
    // 15 is reserved: connections past `connections_max` have no event.
    /// The process has no descriptors left, or the system no port to connect from.
    SOCKEYE_CAUSE_LIMIT_DESCRIPTORS = 16,
    /// The model cannot watch another socket.
    SOCKEYE_CAUSE_LIMIT_MODEL = 17,
    /// The peer broke the framing.
    SOCKEYE_CAUSE_PROTOCOL = 18,
    /// The host closed it.
    SOCKEYE_CAUSE_HOST = 19,
    /// The net was shut down.
    SOCKEYE_CAUSE_SHUTDOWN = 20,
    /// A fault inside the library.
    SOCKEYE_CAUSE_INTERNAL = 21,
    /// The peer ended its side in the middle of a frame, whose bytes so far are the event's `code`.
    SOCKEYE_CAUSE_TRUNCATED = 22,
    /// TLS, WebSocket: the handshake took longer than `handshake_timeout_ms`.
    SOCKEYE_CAUSE_TIMEOUT_HANDSHAKE = 23,
    /// Lanes: nothing came from the peer for `peer_timeout_ms`.
    SOCKEYE_CAUSE_TIMEOUT_PEER = 24,
    /// TLS: a certificate is not valid at this time.
    SOCKEYE_CAUSE_TLS_CERTIFICATE_EXPIRED = 25,
    /// TLS: a certificate is for another name.
    SOCKEYE_CAUSE_TLS_CERTIFICATE_NAME = 26,
    /// TLS: no authority that this end trusts has signed a certificate.
    SOCKEYE_CAUSE_TLS_CERTIFICATE_UNTRUSTED = 27,
    /// TLS: the peer sent an alert, which is the event's `code`.
    SOCKEYE_CAUSE_TLS_ALERT = 28,
    /// TLS: the peer broke the protocol.
    SOCKEYE_CAUSE_TLS_PROTOCOL = 29,
    /// Lanes: the connect token does not fit this server.
    SOCKEYE_CAUSE_TOKEN_INVALID = 30,
    /// Lanes: the connect token has expired.
    SOCKEYE_CAUSE_TOKEN_EXPIRED = 31,
    /// Lanes: the connect token was used before.
    SOCKEYE_CAUSE_TOKEN_USED = 32,
    /// Lanes: the server has no place left.
    SOCKEYE_CAUSE_FULL = 33,
    /// Lanes: the ends speak different versions.
    SOCKEYE_CAUSE_VERSION = 34,
    /// A message began, and the rest of it came more slowly than `min_receive_rate`.
    SOCKEYE_CAUSE_TIMEOUT_RATE = 35,
}

const _: () = {
    assert!(sockeye_cause::SOCKEYE_CAUSE_PEER as i32 == Cause::Peer as i32);
    assert!(sockeye_cause::SOCKEYE_CAUSE_TIMEOUT_CONNECT as i32 == Cause::TimeoutConnect as i32);
    assert!(sockeye_cause::SOCKEYE_CAUSE_LIMIT_FRAME as i32 == Cause::LimitFrame as i32);
    assert!(sockeye_cause::SOCKEYE_CAUSE_INTERNAL as i32 == Cause::Internal as i32);
    assert!(sockeye_cause::SOCKEYE_CAUSE_TIMEOUT_RATE as i32 == Cause::TimeoutRate as i32);
    assert!(sockeye_status_code::SOCKEYE_ERR_INVALID as i32 == Error::Invalid as i32);
    assert!(sockeye_status_code::SOCKEYE_ERR_DENIED as i32 == Error::Denied as i32);
};

const STATUS_TEXTS: [&CStr; 16] = [
    c"done",
    c"invalid argument",
    c"stale handle",
    c"closed",
    c"full for now, try again after WRITABLE",
    c"too big",
    c"busy",
    c"not supported here",
    c"limit reached",
    c"the operating system refused",
    c"the net is shut down",
    c"would wait for itself",
    c"called in a forked child",
    c"a fault inside the library was caught",
    c"out of memory under memory_max_bytes",
    c"permission denied",
];

/// The words for a status: those of OK for a count.
pub(super) fn words_of(status: sockeye_status) -> &'static CStr {
    let at = if status >= 0 { Some(0) } else { usize::try_from(-i64::from(status)).ok() };
    at.and_then(|at| STATUS_TEXTS.get(at)).copied().unwrap_or(c"unknown")
}

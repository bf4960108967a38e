//! What a session reports.

use crate::buf::Slice;

/// Why a connection closed. The numbers are those of the C ABI.
#[repr(u8)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the C ABI's `sockeye_cause` documents each")]
pub enum Cause {
    Peer = 1,
    Reset = 2,
    Refused = 3,
    Unreachable = 4,
    Resolve = 5,
    TimeoutConnect = 6,
    TimeoutIdle = 7,
    TimeoutFirstByte = 8,
    TimeoutFrame = 9,
    TimeoutSend = 10,
    TimeoutLinger = 11,
    LimitFrame = 12,
    LimitOutbox = 13,
    LimitMemory = 14,
    // 15 was for a reached `connections_max`: connect answers that, and a refused accept has no
    // event that could carry it.
    LimitDescriptors = 16,
    LimitModel = 17,
    Protocol = 18,
    Host = 19,
    Shutdown = 20,
    Internal = 21,
    Truncated = 22,
    TimeoutHandshake = 23,
    TimeoutPeer = 24,
    TlsCertificateExpired = 25,
    TlsCertificateName = 26,
    TlsCertificateUntrusted = 27,
    TlsAlert = 28,
    TlsProtocol = 29,
    TokenInvalid = 30,
    TokenExpired = 31,
    TokenUsed = 32,
    Full = 33,
    Version = 34,
    TimeoutRate = 35,
}

/// One thing that came out of the received bytes.
#[derive(Debug)]
pub enum Event {
    /// One frame's payload, or what arrived where there is no framing.
    Message(Slice),
    /// A message that is text.
    Text(Slice),
    /// The beginning of a message that is over the maximum; the rest of it is dropped.
    Cut(Slice),
    /// The layer is open; reported before any message.
    Opened,
    /// The layer's peer has said that nothing follows.
    Ended,
    /// The stream cannot go on; nothing comes after it.
    Broken(Cause),
    /// There is no memory for so many bytes of a frame that began. Ask again when there is room.
    Starved(usize),
}

/// Why a message was not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SendError {
    /// No room now: a WRITABLE is owed.
    Again,
    /// No room ever.
    TooBig,
    /// The outbox is full and the policy is to close.
    Overflow,
    /// The pool is empty: a WRITABLE is owed.
    Memory,
    /// A message of the wrong form for the framing (keep_header without room for the header).
    Malformed,
}

//! Connect tokens, the handshake, and packets: netcode 1.02, and one type of packet of our own.
//!
//! The standard is `STANDARD.md` of mas-bandwidth/netcode. Packets of the types 0 to 6 are as it
//! says, so that others' clients and servers understand them. Type 7, `Kind::Wide`, is a payload
//! packet with a connection id, which may be longer than 1,200 bytes; it is only sent to a peer
//! that has said that it knows it.
//!
//! A handshake: the client sends a `Request` with its connect token until it is sent a `Challenge`,
//! then a `Response` until it is sent a `KeepAlive`. `Server` and `Client` end there, each with the
//! `Session` that seals and opens what follows.
//!
//! Where netcode leaves a choice, a nonce is never used twice under a key: what is sent before a
//! connection stands is numbered from a random start in the upper half of the sequence, what is
//! sent over it from 0, and a token opens one connection at most.

mod bytes;
mod cipher;
pub mod client;
pub mod ledger;
pub mod packet;
mod replay;
pub mod server;
mod session;
#[cfg(test)]
mod tests;
pub mod token;

pub use client::{Client, ClientEvent, Connected, Failure};
pub use ledger::Ledger;
pub use packet::{KeepAlive, Kind, OVERHEAD_MAX, Opened, Peek, peek};
pub use server::{Accepted, Answer, Server, ServerConfig};
pub use session::Session;
pub use token::TokenError;

/// The version of the protocol, as tokens and requests begin and all that is sealed depends on it.
pub const VERSION: &[u8; 13] = b"NETCODE 1.02\0";
/// Bytes of a token's user data.
pub const USER_DATA: usize = 256;
/// Bytes that sealing adds behind what it seals.
const TAG: usize = cipher::TAG;

/// A key of ChaCha20-Poly1305 or XChaCha20-Poly1305.
pub type Key = [u8; 32];

/// The keys of one end of a connection.
#[derive(Clone)]
pub struct Keys {
    /// What is sent is sealed with it.
    pub send: Key,
    /// What is received is opened with it.
    pub receive: Key,
}

/// Why nothing comes of a packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reason {
    /// It has not the form of any packet.
    Malformed,
    /// It is of no kind that is expected here.
    Unexpected,
    /// Of another version of netcode.
    WrongVersion,
    /// Of another protocol id.
    WrongProtocol,
    /// It was not sealed with the key.
    Forged,
    /// It came before, or is too old to know.
    Replayed,
    /// The connect token was not made with the server's key, or is broken.
    TokenInvalid,
    /// The connect token is over.
    TokenExpired,
    /// The connect token came from another address, or has opened a connection.
    TokenUsed,
    /// The connect token is for other servers.
    WrongAddress,
    /// The client is connected already.
    Connected,
    /// There is no room for one more handshake.
    Full,
    /// It is of no connection and of no handshake.
    Unknown,
}

impl Reason {
    /// All of them, in the order of their values.
    pub const ALL: [Reason; 13] = [
        Reason::Malformed,
        Reason::Unexpected,
        Reason::WrongVersion,
        Reason::WrongProtocol,
        Reason::Forged,
        Reason::Replayed,
        Reason::TokenInvalid,
        Reason::TokenExpired,
        Reason::TokenUsed,
        Reason::WrongAddress,
        Reason::Connected,
        Reason::Full,
        Reason::Unknown,
    ];

    /// Its name, for counters and logs.
    pub fn name(self) -> &'static str {
        match self {
            Reason::Malformed => "malformed",
            Reason::Unexpected => "unexpected",
            Reason::WrongVersion => "wrong_version",
            Reason::WrongProtocol => "wrong_protocol",
            Reason::Forged => "forged",
            Reason::Replayed => "replayed",
            Reason::TokenInvalid => "token_invalid",
            Reason::TokenExpired => "token_expired",
            Reason::TokenUsed => "token_used",
            Reason::WrongAddress => "wrong_address",
            Reason::Connected => "connected",
            Reason::Full => "full",
            Reason::Unknown => "unknown",
        }
    }
}

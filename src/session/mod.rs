//! Sessions: a byte stream cut into messages, and messages turned into bytes. No input, output,
//! clock or thread in here: bytes and the time are arguments, events and bytes are answers.
#![forbid(unsafe_code)]

mod delimited;
mod event;
mod framer;
mod input;
mod keyed;
mod laned;
mod lanes;
mod layer;
mod limits;
mod message;
mod outbox;
mod pieces;
pub mod proxy;
mod rate;
#[allow(clippy::module_inception)]
mod session;
mod stack;
#[cfg(test)]
mod tests;
mod untold;

pub use event::{Cause, Event, SendError};
pub use framer::{DELIMITER_MAX, Framing, FramingKind, Overlong, TAG_BYTES, Tag};
pub use input::Input;
pub use lanes::{FACTS_MS, LaneFacts, Lanes};
pub use layer::{
    AnyEnd, Layer, Layering, Maker, Page, Plain, Side, Starved, State, Tls, TlsEnd, TlsFacts,
    TlsMaker, Utf8, WebClient, WebEnd, WebFacts, WebServer, deflate, looks_like, note_name,
};
#[cfg(test)]
pub(crate) use layer::{pad, tls_ends};
pub use limits::{Limits, Millis, Moment, Overflow};
pub use message::{Framed, Parts};
pub use outbox::{GATHER_MAX, Key, Memory};
pub use pieces::Refused;
pub use rate::{Bucket, Pace};
pub use session::{Outgoing, Session, Want};
pub use stack::{Intake, Stack};

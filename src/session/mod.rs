//! Sessions: a byte stream cut into messages, and messages turned into bytes. No input, output,
//! clock or thread in here: bytes and the time are arguments, events and bytes are answers.
#![forbid(unsafe_code)]

mod event;
mod framer;
mod keyed;
mod limits;
mod message;
mod outbox;
mod pieces;
#[allow(clippy::module_inception)]
mod session;
#[cfg(test)]
mod tests;

pub use event::{Cause, Event, SendError};
pub use framer::{Framing, FramingKind};
pub use limits::{Limits, Millis, Moment, Overflow};
pub use message::{Framed, Parts};
pub use outbox::{GATHER_MAX, Memory};
pub use pieces::Refused;
pub use session::{Input, Outgoing, Session, Want};

//! Transports: many connections behind one datagram socket. As in a session there is no input,
//! output, clock or thread in here: datagrams and the time are arguments, datagrams and events are
//! answers.
#![forbid(unsafe_code)]

mod cutter;
mod endpoint;
pub mod lanes;
#[cfg(test)]
mod tests;

pub use cutter::{Cutter, Run};
pub use endpoint::{
    Carrying, Datagram, Endpoint, Event, Full, Handled, Maker, Message, Reason, Stream, Target,
    Transmit,
};

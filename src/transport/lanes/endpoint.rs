//! Many connections behind one datagram socket.

use super::{Micros, Options, Seed};
use crate::buf::Pool;
use crate::session::Side;
use crate::transport::{
    Datagram, Endpoint, Event, Full, Handled, Message, Reason, Run, Stream, Target, Transmit,
};
use std::sync::Arc;

/// See the module.
pub struct Lanes {}

impl Lanes {
    /// The transport of one socket.
    pub fn new(_options: &Arc<Options>, _side: Side, _seed: Seed, _unix_s: u64) -> Lanes {
        Lanes {}
    }
}

impl Endpoint for Lanes {
    fn handle_datagram(&mut self, _: Datagram, _: Option<Stream>, _: Micros) -> Handled {
        Handled::Dropped(Reason::Malformed)
    }
    fn poll_transmit(&mut self, _: &Pool, _: Micros) -> Transmit {
        Transmit::Nothing
    }
    fn poll_timeout(&self) -> Option<Micros> {
        None
    }
    fn handle_timeout(&mut self, _: Micros) {}
    fn poll_event(&mut self) -> Option<Event> {
        None
    }
    fn connect(&mut self, _: Stream, _: Target, _: Micros) {}
    fn read(&mut self, _: Stream) -> Option<Message> {
        None
    }
    fn write(&mut self, _: Stream, _: Run, _: Micros) -> Result<(), Full> {
        Err(Full)
    }
    fn close(&mut self, _: Stream, _: Micros) {}
    fn forget(&mut self, _: Stream, _: Micros) {}
}

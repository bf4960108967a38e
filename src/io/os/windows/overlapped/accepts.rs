//! A listener's accepts in flight, and who came before the engine asked.

use super::calls::ADDRESSES_BYTES;
use super::operation::Operation;
use crate::io::op::{Accepted, Token};
use socket2::{Domain, Socket};
use std::cell::UnsafeCell;
use std::io;

/// What a listener has.
pub struct Doors {
    pub domain: Domain,
    /// In flight; each is a box of its own, which whoever reaps it frees.
    pub flying: Vec<*const Accept>,
    /// Who came, and is not asked for yet.
    pub arrived: Vec<Accepted>,
    /// What an accept failed with.
    pub failed: Option<io::Error>,
}

// SAFETY: the accepts are only named here; each is reaped once, by whoever is notified of it.
unsafe impl Send for Doors {}

/// One accept in flight. It outlives its listener where that is closed meanwhile.
#[repr(C)]
pub struct Accept {
    /// First, so that the one's place is the other's.
    pub operation: Operation,
    pub listener: Token,
    pub socket: Socket,
    /// The system writes here.
    pub addresses: UnsafeCell<[u8; ADDRESSES_BYTES]>,
}

impl Doors {
    /// A listener's, with none in flight.
    pub fn of(listener: &Socket) -> io::Result<Doors> {
        let domain = listener.local_addr()?.domain();
        Ok(Doors { domain, flying: Vec::new(), arrived: Vec::new(), failed: None })
    }

    /// Has the system end what is in flight.
    pub fn shut(&self, listener: &Socket) {
        for &accept in &self.flying {
            // SAFETY: it is in flight, so it is still there.
            unsafe { &(*accept).operation }.cancel(listener);
        }
    }

    /// Who came while the door was being closed finds it closed, as the backlog does. True: some
    /// accepts are in flight.
    pub fn close(&mut self) -> bool {
        (self.arrived, self.failed) = Default::default();
        !self.flying.is_empty()
    }
}

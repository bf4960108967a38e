//! One event object for many operations: those that nothing else reports.

use super::operation::{Operation, named};
use crate::io::os::windows::doorbell::Event;
use std::io;
use windows_sys::Win32::Foundation::HANDLE;
use windows_sys::Win32::System::IO::OVERLAPPED;

/// See the module.
pub struct Joint {
    event: Event,
    flying: Vec<*mut OVERLAPPED>,
}

// SAFETY: the operations are only named here, and any thread may look whether one is over.
unsafe impl Send for Joint {}

impl Joint {
    /// With nothing in flight.
    pub fn new() -> io::Result<Joint> {
        Ok(Joint { event: Event::new()?, flying: Vec::new() })
    }

    /// What its operations signal. The next that is begun ends the signal, so `collect` is called
    /// before each wait, too.
    pub fn event(&self) -> HANDLE {
        self.event.raw()
    }

    /// Ends the signal. `collect` follows.
    pub fn clear(&self) {
        self.event.clear();
    }

    /// One is in flight.
    pub fn begun(&mut self, operation: &Operation) {
        self.flying.push(operation.overlapped());
    }

    /// Takes out those that are over.
    pub fn collect(&mut self, over: &mut Vec<*mut OVERLAPPED>) {
        // SAFETY: in flight or over, and not reaped, so it is still there.
        over.extend(self.flying.extract_if(.., |name| unsafe { named(*name) }.is_over()));
    }
}

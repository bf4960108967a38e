//! Where no one object covers the sockets of a model, its bell and a deadline.

use std::io;
use std::time::Duration;

/// There is no such thing.
pub enum WaitSet {}

impl WaitSet {
    /// The set of these.
    pub fn new(_members: &[isize]) -> io::Result<WaitSet> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Has it be signalled when so much time has passed.
    pub fn due(&self, _after: Option<Duration>) {
        match *self {}
    }

    /// The number the host is given.
    pub fn raw(&self) -> isize {
        match *self {}
    }
}

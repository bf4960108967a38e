//! Messages, as the endpoint gives and takes them.

use crate::buf::Slice;
use crate::session::Key;
use crate::transport::lanes::Micros;

/// The bytes of a message in as many runs as it was given in; most have one.
#[derive(Clone, Default, Debug)]
pub struct Data {
    first: Slice,
    rest: Vec<Slice>,
    len: u32,
}

/// A message to be sent.
#[derive(Debug)]
pub struct Message {
    /// One of the connection's.
    pub lane: u8,
    /// Its bytes.
    pub data: Data,
    /// Where the lane is unreliable, when it is of no use any more.
    pub deadline: Option<Micros>,
    /// What it is about.
    pub key: Key,
}

/// A message that came.
#[derive(Debug)]
pub struct Incoming {
    /// Its bytes.
    pub data: Slice,
    /// The lane that it came in.
    pub lane: u8,
    /// Others of its lane may be lost.
    pub unreliable: bool,
}

impl Data {
    /// Puts a run behind those before.
    pub fn push(&mut self, run: Slice) {
        self.len += run.len() as u32;
        if self.first.is_empty() {
            self.first = run;
        } else if !run.is_empty() {
            self.rest.push(run);
        }
    }

    /// Bytes of all runs.
    pub fn len(&self) -> u32 {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Copies what is at `offset`; `out` is not longer than the rest.
    pub fn copy(&self, offset: u32, out: &mut [u8]) {
        if self.rest.is_empty() {
            let from = offset as usize;
            return out.copy_from_slice(&self.first[from..from + out.len()]);
        }
        let (mut skip, mut done) = (offset as usize, 0);
        for run in std::iter::once(&self.first).chain(&self.rest) {
            let from = skip.min(run.len());
            skip -= from;
            let len = (run.len() - from).min(out.len() - done);
            out[done..done + len].copy_from_slice(&run[from..from + len]);
            done += len;
        }
        debug_assert_eq!(done, out.len());
    }
}

impl From<Slice> for Data {
    fn from(run: Slice) -> Data {
        Data { len: run.len() as u32, first: run, rest: Vec::new() }
    }
}

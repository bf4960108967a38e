//! One connection of the simulated network, seen from its middle.

use super::super::op::Token;
use crate::buf::Train;
use socket2::Socket;
use std::collections::VecDeque;
use std::mem::MaybeUninit;

/// Bytes that wait for an engine to read them, at most; more stays with the peer.
const INBOUND_MAX: usize = 256 * 1024;

/// How far an engine's end is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// It may write.
    Open,
    /// It ended its writing.
    Ended,
    /// It is closed, in order.
    Closed,
    /// It is closed, with a reset.
    Reset,
}

/// A connection.
pub struct Link {
    /// The engine's name of it, once it is adopted.
    pub token: Option<Token>,
    /// The engine's end.
    pub end: End,
    /// The other end of the engine's descriptor.
    pub probe: Option<Socket>,
    /// On its way to the engine.
    inbound: VecDeque<u8>,
    /// On its way to the peer, or not read yet.
    outbound: VecDeque<u8>,
    /// Bytes that may wait for the peer.
    window: usize,
    /// Bytes taken from the engine in all.
    taken: u64,
    peer_ended: bool,
    /// The peer closed without reading on: what is sent now breaks the connection.
    peer_gone: bool,
    peer_reset: bool,
}

impl Link {
    pub fn new(window: usize) -> Link {
        Link {
            token: None,
            end: End::Open,
            probe: None,
            inbound: VecDeque::new(),
            outbound: VecDeque::new(),
            window,
            taken: 0,
            peer_ended: false,
            peer_gone: false,
            peer_reset: false,
        }
    }

    /// Looks whether the engine ended or closed its end, which it does without the model.
    pub fn refresh(&mut self) -> End {
        let mut byte = [MaybeUninit::uninit()];
        if self.end == End::Open
            && let Some(probe) = &self.probe
            && matches!(probe.peek(&mut byte), Ok(0))
        {
            // What was never adopted cannot have been ended by halves.
            self.end = if self.token.is_some() { End::Ended } else { End::Closed };
        }
        self.end
    }

    /// The engine lets go. What the peer has not read by then may be lost with a reset; `lost`
    /// says how much.
    pub fn close(&mut self, reset: bool, lost: u64) {
        let unread = !self.inbound.is_empty() && !self.peer_reset;
        self.end = if reset || unread { End::Reset } else { End::Closed };
        if reset {
            let left = lost as usize % (self.outbound.len() + 1);
            self.outbound.truncate(left);
        }
        self.inbound.clear();
        self.probe = None;
    }

    pub fn is_reset(&self) -> bool {
        self.peer_reset
    }

    pub fn has_peer_ended(&self) -> bool {
        self.peer_ended
    }

    /// Bytes an engine can read.
    pub fn readable(&self) -> usize {
        self.inbound.len()
    }

    /// Bytes an engine can write.
    pub fn room(&self) -> usize {
        if self.peer_gone { usize::MAX } else { self.window.saturating_sub(self.outbound.len()) }
    }

    pub fn read(&mut self, count: usize) -> Vec<u8> {
        self.inbound.drain(..count).collect()
    }

    /// The first `count` bytes of the train.
    pub fn write(&mut self, train: &Train, mut count: usize) {
        self.taken += count as u64;
        if self.peer_gone {
            // The peer's answer to bytes that will not be read.
            self.peer_reset = true;
            return;
        }
        for slice in train.slices() {
            let part = count.min(slice.len());
            self.outbound.extend(&slice[..part]);
            count -= part;
        }
    }

    pub fn taken(&self) -> u64 {
        self.taken
    }

    /// What the peer writes; how much of it fits.
    pub fn peer_writes(&mut self, bytes: &[u8]) -> usize {
        if self.peer_ended || self.peer_reset || matches!(self.end, End::Closed | End::Reset) {
            return 0;
        }
        let count = bytes.len().min(INBOUND_MAX.saturating_sub(self.inbound.len()));
        self.inbound.extend(&bytes[..count]);
        count
    }

    pub fn peer_reads(&mut self, most: usize) -> Vec<u8> {
        let count = most.min(self.outbound.len());
        self.outbound.drain(..count).collect()
    }

    /// Whether the peer has read all that was written.
    pub fn is_drained(&self) -> bool {
        self.outbound.is_empty()
    }

    pub fn widen(&mut self) {
        self.window = usize::MAX;
    }

    pub fn peer_ends(&mut self) {
        self.peer_ended = true;
    }

    pub fn peer_closes(&mut self) {
        self.peer_ended = true;
        // Unread bytes turn a close into a reset.
        self.peer_reset |= !self.outbound.is_empty();
        self.peer_gone = true;
        self.outbound.clear();
    }

    /// `keep`: the engine can still read what was sent before, as on Linux.
    pub fn peer_resets(&mut self, keep: bool) {
        self.peer_reset = true;
        self.peer_gone = true;
        self.outbound.clear();
        if !keep {
            self.inbound.clear();
        }
    }

    /// A polite peer's answer to an end. True: it gave one.
    pub fn answer_end(&mut self) -> bool {
        let answers = !self.peer_ended && !self.peer_reset && self.refresh() == End::Ended;
        self.peer_ended |= answers;
        answers
    }
}

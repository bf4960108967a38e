//! Timers of the host that a worker is about to report; see `host_timers.rs`.

use crate::engine::shared::host_timers::{Ring, Time};
use crate::engine::shared::reminder::Timer;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Those that are about to be due.
#[derive(Default)]
pub struct Rings {
    /// Entries of the wheel that fired in this turn: index and entry.
    pub fired: Vec<(u32, Timer)>,
    /// The first is on top.
    pub soon: BinaryHeap<Reverse<Ring>>,
}

impl Rings {
    /// When the first is due.
    pub fn next(&self) -> Option<Time> {
        self.soon.peek().map(|Reverse(ring)| ring.due)
    }
}

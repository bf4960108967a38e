//! Small reliable messages are sent more than once while they are not acknowledged.

use crate::transport::lanes::Micros;
use crate::transport::lanes::recovery::{COPIES, COPY_GAP};
use std::collections::VecDeque;

/// A message that may be sent again.
#[derive(Clone, Copy)]
pub struct Copy {
    pub due: Micros,
    pub id: u64,
    pub lane: u8,
    /// Times that are left.
    left: u8,
}

/// In the order in which they are due.
#[derive(Default)]
pub struct Copies(VecDeque<Copy>);

impl Copies {
    /// A message was sent for the first time.
    pub fn add(&mut self, lane: u8, id: u64, now: Micros) {
        let due = now.saturating_add(COPY_GAP);
        self.0.push_back(Copy { due, id, lane, left: COPIES - 1 });
    }

    pub fn first(&self) -> Option<Copy> {
        self.0.front().copied()
    }

    /// The first is not wanted any more.
    pub fn drop_first(&mut self) {
        self.0.pop_front();
        if self.0.is_empty() && self.0.capacity() > 8 {
            self.0 = VecDeque::new();
        }
    }

    /// The first was sent.
    pub fn advance(&mut self, now: Micros) {
        let Some(mut copy) = self.0.pop_front() else { return };
        copy.left -= 1;
        copy.due = now.saturating_add(COPY_GAP);
        if copy.left > 0 {
            self.0.push_back(copy);
        }
    }
}

//! The pieces of an outbox: a queue whose first element is in place. Most outboxes have one piece
//! and most of the time none, so that a connection that is idle has no memory elsewhere.

use crate::buf::Slice;
use std::collections::VecDeque;

/// Room for so many pieces is kept when they are gone; more was a burst.
const KEEP: usize = 16;

/// Some whole messages, or what is left of them, in one run of bytes.
#[derive(Default)]
pub struct Piece {
    /// Empty while the model has it.
    pub slice: Slice,
    /// Bytes, never 0.
    pub len: u32,
    /// Messages that end in it.
    pub messages: u32,
}

/// Invariant: `first.len` is 0 exactly when there is no piece at all.
#[derive(Default)]
pub struct Pieces {
    first: Piece,
    rest: VecDeque<Piece>,
}

impl Pieces {
    #[inline(always)]
    pub fn len(&self) -> usize {
        usize::from(self.first.len > 0) + self.rest.len()
    }

    #[inline(always)]
    pub fn is_empty(&self) -> bool {
        self.first.len == 0
    }

    #[inline(always)]
    pub fn push_back(&mut self, piece: Piece) {
        debug_assert!(piece.len > 0, "an empty piece says nothing");
        if self.is_empty() {
            self.first = piece;
        } else {
            self.rest.push_back(piece);
        }
    }

    #[inline(always)]
    pub fn get_mut(&mut self, at: usize) -> Option<&mut Piece> {
        match at.checked_sub(1) {
            None => (self.first.len > 0).then_some(&mut self.first),
            Some(at) => self.rest.get_mut(at),
        }
    }

    #[inline(always)]
    pub fn back_mut(&mut self) -> Option<&mut Piece> {
        let last = self.len().checked_sub(1)?;
        self.get_mut(last)
    }

    /// Takes out the piece at `at`.
    #[inline(always)]
    pub fn remove(&mut self, at: usize) -> Option<Piece> {
        match at.checked_sub(1) {
            None => {
                let next = self.rest.pop_front().unwrap_or_default();
                if self.rest.is_empty() && self.rest.capacity() > KEEP {
                    self.rest = VecDeque::new();
                }
                let first = std::mem::replace(&mut self.first, next);
                (first.len > 0).then_some(first)
            }
            Some(at) => self.rest.remove(at),
        }
    }

    /// Puts a piece behind the one at `at`.
    pub fn insert_behind(&mut self, at: usize, piece: Piece) {
        self.rest.insert(at, piece);
    }
}

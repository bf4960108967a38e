//! Messages with a key that wait: a newer one takes the place of an older one.

use super::message::Framed;
use crate::buf::Slice;
use std::collections::{HashMap, VecDeque};

/// What waits under a key.
pub struct Waiting {
    pub first: Slice,
    pub rest: Vec<Slice>,
    /// Which of the pieces its place is, as `pushed` counts.
    number: u64,
    /// Flushes before the first one of this key was sent.
    flushes: u64,
}

/// The messages with a key of one outbox that were not yet given to the model. Each has a place
/// among the pieces, in the order of `order`. Invariant: `order` has each key of `waiting` once.
#[derive(Default)]
pub struct Keyed {
    waiting: HashMap<u64, Waiting>,
    order: VecDeque<u64>,
    /// Pieces that were put behind the first place. Others come and go only before all places, so
    /// that this gives how many are behind each.
    pushed: u64,
    flushes: u64,
}

impl Keyed {
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// How many pieces are behind the place of `key`, if something waits there.
    pub fn behind(&self, key: u64) -> Option<usize> {
        let waiting = self.waiting.get(&key)?;
        Some((self.pushed - waiting.number) as usize)
    }

    /// A piece was put behind all.
    pub fn push(&mut self) {
        self.pushed += 1;
    }

    /// Everything may leave.
    pub fn flush(&mut self) {
        self.flushes += 1;
    }

    /// Puts a message under `key`: at the last piece, or where the older one waits. Answers whether
    /// there was no flush since that place was taken.
    pub fn put(&mut self, key: u64, message: &mut Framed) -> bool {
        let first = message.slice(0);
        let rest = (1..message.count()).map(|at| message.slice(at)).collect();
        let (number, flushes) = (self.pushed, self.flushes);
        let waiting = self.waiting.entry(key).or_insert_with(|| {
            self.order.push_back(key);
            Waiting { first: Slice::default(), rest: Vec::new(), number, flushes }
        });
        (waiting.first, waiting.rest) = (first, rest);
        waiting.flushes == flushes
    }

    /// Gives up the place of `key`. Tells whether there was no flush since it was taken.
    pub fn remove(&mut self, key: u64) -> bool {
        let Some(removed) = self.waiting.remove(&key) else { return false };
        self.order.retain(|&other| other != key);
        // Those before it have one piece less behind them.
        for waiting in self.waiting.values_mut().filter(|it| it.number < removed.number) {
            waiting.number += 1;
        }
        removed.flushes == self.flushes
    }

    /// Takes out what waits at the first place.
    pub fn pop(&mut self) -> Option<Waiting> {
        let key = self.order.pop_front()?;
        self.waiting.remove(&key)
    }
}

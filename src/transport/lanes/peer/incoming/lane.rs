//! One lane's messages as they come: which came before, which wait for others.

use super::partial::Partial;
use crate::buf::Slice;
use std::collections::BTreeMap;

/// Unreliable messages of a lane of which something came. A new one takes the place of the oldest.
pub const PARTIAL_MAX: usize = 4;

/// What a lane has only where something is missing.
#[derive(Default)]
pub struct Missing {
    /// Runs of numbers at or behind `next` that came: first and last.
    pub came: BTreeMap<u64, u64>,
    /// ORDERED: those of them that wait.
    pub early: BTreeMap<u64, Slice>,
    /// Those of which something came.
    pub partial: BTreeMap<u64, Partial>,
}

/// See the module.
#[derive(Default)]
pub struct Lane {
    /// Reliable: all before it came. SEQUENCED: none before it is wanted any more.
    pub next: u64,
    pub missing: Option<Box<Missing>>,
}

impl Lane {
    /// Whether a reliable message came.
    pub fn came(&self, id: u64) -> bool {
        let run = |missing: &Missing| {
            missing.came.range(..=id).next_back().is_some_and(|(_, &last)| id <= last)
        };
        id < self.next || self.missing.as_deref().is_some_and(run)
    }

    /// A reliable message came, which had not before.
    pub fn mark(&mut self, id: u64) {
        let Some(missing) = &mut self.missing else {
            if id == self.next {
                self.next += 1;
            } else {
                self.missing.get_or_insert_default().came.insert(id, id);
            }
            return;
        };
        let came = &mut missing.came;
        let last = came.remove(&(id + 1)).unwrap_or(id);
        if id == self.next {
            self.next = last + 1;
        } else if let Some((_, before)) = came.range_mut(..id).next_back()
            && *before + 1 == id
        {
            *before = last;
        } else {
            came.insert(id, last);
        }
    }

    /// Something of it came, and the rest is missing.
    pub fn partial(&mut self, id: u64, total: u32) -> &mut Partial {
        let missing = self.missing.get_or_insert_default();
        missing.partial.entry(id).or_insert_with(|| Partial::new(total))
    }

    /// What came of it.
    pub fn get_partial(&self, id: u64) -> Option<&Partial> {
        self.missing.as_ref()?.partial.get(&id)
    }

    /// Lets go of what came of it.
    pub fn remove_partial(&mut self, id: u64) -> Option<Partial> {
        self.missing.as_mut()?.partial.remove(&id)
    }

    /// Gives memory back where nothing is missing.
    pub fn shrink(&mut self) {
        self.missing = self
            .missing
            .take()
            .filter(|it| !(it.came.is_empty() && it.early.is_empty() && it.partial.is_empty()));
    }
}

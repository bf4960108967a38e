//! The least or greatest of the values of a sliding window.

use std::collections::VecDeque;

/// A window is kept to one part in so many, so that few values of it are.
const PARTS: u64 = 32;

/// The least of the values that were added within a window. The window is given with each value,
/// and its unit is whatever the values are keyed by: time, or rounds.
#[derive(Default)]
pub struct Lowest {
    /// Each is lower than those that come after it. The first is the least of the window.
    entries: VecDeque<(u64, f64)>,
}

impl Lowest {
    /// Adds a value, and tells the least of those whose keys are at most `window` before.
    pub fn add(&mut self, key: u64, value: f64, window: u64) -> f64 {
        while self.entries.back().is_some_and(|back| back.1 >= value) {
            self.entries.pop_back();
        }
        // One that is almost as old as a lower one is not missed when that leaves the window.
        let grain = window / PARTS;
        if self.entries.back().is_none_or(|back| key - back.0 >= grain) {
            self.entries.push_back((key, value));
        }
        while self.entries.len() > 1 && key.saturating_sub(self.entries[0].0) > window {
            self.entries.pop_front();
        }
        self.get()
    }

    /// Infinite if nothing was added.
    pub fn get(&self) -> f64 {
        self.entries.front().map_or(f64::INFINITY, |front| front.1)
    }

    /// Forgets all but `value`.
    pub fn reset(&mut self, key: u64, value: f64) {
        self.entries.clear();
        self.entries.push_back((key, value));
    }
}

/// The greatest of the values that were added within a window.
#[derive(Default)]
pub struct Highest(Lowest);

impl Highest {
    pub fn add(&mut self, key: u64, value: f64, window: u64) -> f64 {
        -self.0.add(key, -value, window)
    }

    /// 0 if nothing was added: no value is less.
    pub fn get(&self) -> f64 {
        (-self.0.get()).max(0.0)
    }

    pub fn reset(&mut self, key: u64, value: f64) {
        self.0.reset(key, -value);
    }
}

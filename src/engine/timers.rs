//! Deadlines of one worker: a heap with at most a few entries for each connection. An entry is a
//! reminder to look, not the deadline itself: that may have moved on, and then it is put in anew.

use crate::io::Token;
use crate::session::Millis;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Reminders, earliest first.
#[derive(Default)]
pub struct Timers(BinaryHeap<Reverse<(Millis, Token)>>);

/// Deadlines are met late by up to a sixteenth of what they allow, a second at most, so that many
/// of them share a wake-up.
pub fn coarse(at: Millis, now: Millis) -> Millis {
    let step = (at.saturating_sub(now) / 16).clamp(1, 1000);
    at.div_ceil(step) * step
}

impl Timers {
    /// Reminds of `token` at `at`.
    pub fn add(&mut self, at: Millis, token: Token) {
        self.0.push(Reverse((at, token)));
    }

    /// When the next reminder is due.
    pub fn next(&self) -> Option<Millis> {
        self.0.peek().map(|Reverse((at, _))| *at)
    }

    /// Takes a reminder that is due.
    pub fn pop(&mut self, now: Millis) -> Option<(Millis, Token)> {
        if self.next()? > now {
            return None;
        }
        self.0.pop().map(|Reverse(due)| due)
    }
}

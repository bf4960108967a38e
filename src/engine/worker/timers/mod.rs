//! Deadlines of one worker: a hierarchical timer wheel.
//!
//! Eight levels of 64 slots, each level 64 times as coarse as the one below; the lowest counts
//! milliseconds. An entry lies in the lowest level whose slots can express its time from now, and
//! moves down as that time comes near, at most once a level. Setting, moving and cancelling touch
//! the entry and its neighbours only, and one word a level says which slots have any, so the next
//! one is found without looking at them.
//!
//! An entry is a reminder to look, not the deadline itself: that may have moved on, and then it is
//! set anew when the reminder fires. So a message never touches the wheel.

mod nodes;
#[cfg(test)]
mod tests;

use crate::engine::shared::reminder::{Due, Timer};
use crate::session::Millis;
use nodes::{Node, Nodes};

const LEVELS: usize = 8;
const SLOT_BITS: u32 = 6;
const SLOTS: usize = 1 << SLOT_BITS;
/// The last time that there is, as `Moment` has it.
const LAST: Millis = (1 << (LEVELS as u32 * SLOT_BITS)) - 1;

/// What one turn may spend on timers: so many steps. An expiry is followed by far more work than a
/// move to a lower level, and counts for more: a turn that moves thousands of entries still reports
/// some.
pub const TURN_STEPS: u32 = 16 * 1024;
/// What an expiry counts for.
pub const EXPIRY_STEPS: u32 = 64;

/// See the module.
#[derive(Default)]
pub struct Wheel {
    /// Everything due up to here has fired, or lies in slots that begin here or before.
    elapsed: Millis,
    /// The first entry of each slot of each level, 0 for none. Made with the first entry.
    heads: Vec<u32>,
    /// Which slots of each level have entries.
    occupied: [u64; LEVELS],
    nodes: Nodes,
    /// Entries of connections and their like.
    conns: usize,
}

impl Wheel {
    /// Has `due` reported at `at`: a new entry, or the existing one moves.
    pub fn set(&mut self, timer: Option<Timer>, due: Due, at: Millis) -> Timer {
        let at = at.min(LAST);
        let timer = match timer {
            Some(timer) if self.nodes.has(timer, due) => {
                self.unlink(timer);
                timer
            }
            _ => {
                self.conns += usize::from(matches!(due, Due::Conn(_)));
                self.nodes.take(due)
            }
        };
        self.nodes[timer].at = at.into();
        self.link(timer, at);
        timer
    }

    /// Forgets an entry. One that has fired is passed over.
    pub fn cancel(&mut self, timer: Timer, due: Due) {
        if self.nodes.has(timer, due) {
            self.unlink(timer);
            self.give_back(timer);
        }
    }

    fn give_back(&mut self, timer: Timer) -> Due {
        let due = self.nodes.give_back(timer);
        self.conns -= usize::from(matches!(due, Due::Conn(_)));
        due
    }

    /// When to come back: no entry is due before.
    pub fn next(&self) -> Option<Millis> {
        self.first().map(|(_, start)| start)
    }

    /// Takes an entry that is due, while there are steps left.
    pub fn pop(&mut self, now: Millis, steps: &mut u32) -> Option<(Timer, Due)> {
        loop {
            let Some((list, start)) = self.first().filter(|&(_, start)| start <= now) else {
                self.elapsed = self.elapsed.max(now);
                return None;
            };
            if *steps == 0 {
                return None;
            }
            self.elapsed = self.elapsed.max(start);
            let timer = Timer::named(self.heads[list]).expect("the slot is occupied");
            let at = Millis::from(self.nodes[timer].at);
            self.unlink(timer);
            if at <= self.elapsed {
                *steps = steps.saturating_sub(EXPIRY_STEPS);
                return Some((timer, self.give_back(timer)));
            }
            *steps -= 1;
            self.link(timer, at);
        }
    }

    /// Whether any is of a connection, a listener or a datagram socket.
    pub fn has_conns(&self) -> bool {
        self.conns > 0
    }

    /// The slot that begins first, and when that is.
    ///
    /// A slot's entries have all digits above its level in common with `elapsed`, and the slot is
    /// not behind that of `elapsed`: so the lowest bit of each level is its first.
    fn first(&self) -> Option<(usize, Millis)> {
        let mut first: Option<(usize, Millis)> = None;
        // From above: what has to move down goes before what it may move in front of.
        for level in (0..LEVELS).rev().filter(|&level| self.occupied[level] != 0) {
            let slot = self.occupied[level].trailing_zeros();
            let shift = level as u32 * SLOT_BITS;
            let base = self.elapsed >> (shift + SLOT_BITS) << (shift + SLOT_BITS);
            let start = base | Millis::from(slot) << shift;
            if first.is_none_or(|(_, least)| start < least) {
                first = Some((level * SLOTS + slot as usize, start));
            }
        }
        first
    }

    /// Puts an entry behind the others of its slot.
    fn link(&mut self, timer: Timer, at: Millis) {
        let at = at.max(self.elapsed);
        let differs = (at ^ self.elapsed) | (SLOTS as u64 - 1);
        let level = (differs.ilog2() / SLOT_BITS) as usize;
        let slot = (at >> (level as u32 * SLOT_BITS)) as usize % SLOTS;
        let list = level * SLOTS + slot;
        self.heads.resize(LEVELS * SLOTS, 0);
        self.occupied[level] |= 1 << slot;
        self.nodes[timer].set_list(list);
        match Timer::named(self.heads[list]) {
            None => {
                self.heads[list] = timer.name();
                // The first one's `prev` is the last one.
                (self.nodes[timer].prev, self.nodes[timer].next) = (timer.name(), 0);
            }
            Some(head) => {
                let last = self.nodes[head].prev;
                (self.nodes[timer].prev, self.nodes[timer].next) = (last, 0);
                self.nodes[head].prev = timer.name();
                self.nodes[Timer::named(last).expect("a slot has a last one")].next = timer.name();
            }
        }
    }

    fn unlink(&mut self, timer: Timer) {
        let Node { prev, next, .. } = self.nodes[timer];
        let list = self.nodes[timer].list();
        let head = self.heads[list];
        if head == timer.name() {
            self.heads[list] = next;
            if next == 0 {
                self.occupied[list / SLOTS] &= !(1 << (list % SLOTS));
            }
        } else if let Some(before) = Timer::named(prev) {
            self.nodes[before].next = next;
        }
        // The one behind it, or the first one of a list that it was the last of.
        let behind = if next == 0 { self.heads[list] } else { next };
        if let Some(behind) = Timer::named(behind) {
            self.nodes[behind].prev = prev;
        }
    }
}

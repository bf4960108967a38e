//! Timers of the host: a slot for each, named by index and generation.
//!
//! A slot belongs to one queue until it is freed, and so to the worker that serves it: that has at
//! most one entry for it among its own timers, which may be early or for nothing, and is looked at
//! when it fires. What a call changes is put on a list, each slot once, and the worker looks at
//! that.
//!
//! At most one event of a timer is in its queue. While one is there a period that is over is only
//! counted, and the worker does not come back for further ones before a poll has taken it. A timer
//! that is stopped while its event is queued keeps its slot until a poll drops that. So neither
//! the queue nor these lists hold more than there may be timers.

use crate::buf::{Mutex, rank};
use crate::engine::shared::error::Error;
use crate::engine::shared::reminder::Timer;
use crate::io::Token;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering::*};
use std::time::Duration;

/// Free slots of a queue that wait before the first of them is used again, so that handles last.
const SPARE: usize = 256;
/// Room that a list keeps.
const KEEP: usize = 1024;
const SLOTS_MAX: usize = 1 << Token::INDEX_BITS;

/// Times are of the net's clock, since it began.
pub type Time = Duration;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Life {
    Free,
    Running,
    /// Its event is in the queue, and is not to be delivered.
    Stopped,
}

struct Slot {
    generation: u32,
    life: Life,
    queue: u8,
    /// It stands on the list of those that changed.
    listed: bool,
    /// An event of it is in the queue, and not handed out.
    queued: bool,
    /// A period was over while an event was queued: `due` is not watched before a poll takes the
    /// event.
    rests: bool,
    /// 0: it is due once.
    every_ms: u32,
    /// Periods that the queued event stands for, beside its own.
    missed: u32,
    /// The worker's entry, which may be of an earlier time or timer.
    entry: Option<Timer>,
    user_data: u64,
    /// None: not any more.
    due: Option<Time>,
}

/// A timer that is due now or within a millisecond. The first is the least.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Ring {
    pub due: Time,
    index: u32,
    generation: u32,
}

/// What a poll reports of a timer.
pub struct Told {
    pub user_data: u64,
    pub missed: u32,
    /// Its worker is to be called, to watch it again.
    pub calls: bool,
}

struct OfQueue {
    /// First in, first out.
    free: VecDeque<u32>,
    changed: Vec<u32>,
    /// A command to look at them is on its way.
    called: bool,
}

/// What is inside the lock.
pub struct Inside {
    slots: Vec<Slot>,
    queues: Vec<OfQueue>,
    /// The highest generation of any slot.
    highest: u32,
    used: usize,
}

/// See the module.
pub struct HostTimers {
    /// The generation that slots begin with.
    first: u32,
    most: usize,
    /// Those in use, to be read without the lock.
    used: AtomicUsize,
    inside: Mutex<rank::HostTimers, Inside>,
}

impl HostTimers {
    /// At most `most` timers. `first`: the generation that their handles begin with.
    pub fn new(most: u32, queues: usize, first: u32) -> HostTimers {
        let queue = |_| OfQueue { free: VecDeque::new(), changed: Vec::new(), called: false };
        let queues = (0..queues).map(queue).collect();
        let inside = Inside { slots: Vec::new(), queues, highest: first, used: 0 };
        let (most, used) = (most as usize, AtomicUsize::new(0));
        HostTimers { first, most, used, inside: Mutex::new(inside) }
    }

    /// Whether there is any.
    #[inline]
    pub fn is_any(&self) -> bool {
        self.used.load(Relaxed) > 0
    }

    /// The highest generation that any handle had.
    pub fn highest(&self) -> u32 {
        self.inside.lock().highest
    }

    /// Runs `work` on what there is.
    pub fn with<T>(&self, work: impl FnOnce(&mut Inside) -> T) -> T {
        let mut inside = self.inside.lock();
        let answer = work(&mut inside);
        self.used.store(inside.used, Relaxed);
        answer
    }

    /// A new timer, which no worker watches before `watch`. None: there are as many as there may
    /// be.
    pub fn insert(&self, queue: usize, due: Time, every_ms: u32, user_data: u64) -> Option<Token> {
        self.with(|inside| {
            if inside.used >= self.most {
                return None;
            }
            let index = inside.free_slot(queue, self.first)?;
            inside.used += 1;
            let slot = &mut inside.slots[index as usize];
            (slot.life, slot.due) = (Life::Running, Some(due));
            (slot.queued, slot.rests, slot.missed) = (false, false, 0);
            (slot.every_ms, slot.user_data) = (every_ms, user_data);
            Some(Token::new(index, slot.generation))
        })
    }
}

impl Inside {
    fn free_slot(&mut self, queue: usize, first: u32) -> Option<u32> {
        let free = &mut self.queues[queue].free;
        if free.len() <= SPARE && self.slots.len() < SLOTS_MAX {
            self.slots.push(Slot {
                generation: first,
                life: Life::Free,
                queue: queue as u8,
                listed: false,
                queued: false,
                rests: false,
                every_ms: 0,
                missed: 0,
                entry: None,
                user_data: 0,
                due: None,
            });
            return Some(self.slots.len() as u32 - 1);
        }
        free.pop_front()
    }

    /// The slot that a token names, if that is its timer.
    fn slot(&mut self, token: Token) -> Option<&mut Slot> {
        let slot = self.slots.get_mut(token.index())?;
        (slot.generation == token.generation() && slot.life != Life::Free).then_some(slot)
    }

    /// A slot's timer is over. One whose generations are used up is retired.
    fn free(&mut self, index: usize) {
        let slot = &mut self.slots[index];
        debug_assert!(slot.life != Life::Free, "it is freed once");
        (slot.life, slot.due) = (Life::Free, None);
        let next = slot.generation + 1;
        slot.generation = next.min(Token::GENERATION_MAX);
        self.used -= 1;
        self.highest = self.highest.max(next);
        if next < Token::GENERATION_MAX {
            self.queues[usize::from(slot.queue)].free.push_back(index as u32);
        }
    }

    /// Puts a slot on the list of its queue.
    fn list(&mut self, index: usize) {
        let slot = &mut self.slots[index];
        if !slot.listed {
            slot.listed = true;
            self.queues[usize::from(slot.queue)].changed.push(index as u32);
        }
    }

    /// As `list`. True: the worker is to be called.
    pub fn call(&mut self, index: usize) -> bool {
        self.list(index);
        let called = &mut self.queues[usize::from(self.slots[index].queue)].called;
        !std::mem::replace(called, true)
    }

    /// Stops a timer. Whatever its worker still has of it comes to nothing.
    pub fn stop(&mut self, token: Token) -> Result<(), Error> {
        let slot = self.slot(token).filter(|slot| slot.life == Life::Running);
        let slot = slot.ok_or(Error::Stale)?;
        slot.due = None;
        let (queued, watched) = (slot.queued, slot.entry.is_some());
        slot.life = Life::Stopped;
        if watched {
            // Without a call: the worker looks when it is here next.
            self.list(token.index());
        }
        if !queued {
            self.free(token.index());
        }
        Ok(())
    }

    /// A poll has come to the event of a timer. None: that was stopped.
    pub fn take(&mut self, token: Token, now: impl FnOnce() -> Time) -> Option<Told> {
        let slot = self.slot(token)?;
        if slot.life == Life::Stopped {
            self.free(token.index());
            return None;
        }
        slot.queued = false;
        let user_data = slot.user_data;
        if slot.every_ms == 0 {
            self.free(token.index());
            return Some(Told { user_data, missed: 0, calls: false });
        }
        let rests = std::mem::take(&mut slot.rests);
        if rests {
            slot.merge(now());
        }
        let missed = std::mem::take(&mut slot.missed);
        Some(Told { user_data, missed, calls: rests && self.call(token.index()) })
    }

    /// Has a queue's worker look at what changed: `watch` is given a timer's index, the worker's
    /// entry for it and when it is due, and answers with the entry that there is from then on.
    pub fn look(
        &mut self,
        queue: usize,
        mut watch: impl FnMut(u32, Option<Timer>, Option<Time>) -> Option<Timer>,
    ) {
        let of_queue = &mut self.queues[queue];
        of_queue.called = false;
        for index in of_queue.changed.drain(..) {
            let slot = &mut self.slots[index as usize];
            slot.listed = false;
            let due = slot.due.filter(|_| !slot.rests);
            slot.entry = watch(index, slot.entry.take(), due);
        }
        of_queue.changed.shrink_to(KEEP);
    }

    /// A worker's entry has fired. The timer that is due now or soon, if it is still that.
    pub fn fired(&mut self, index: u32, entry: Timer) -> Option<Ring> {
        let slot = &mut self.slots[index as usize];
        if slot.entry != Some(entry) {
            return None;
        }
        slot.entry = None;
        // Of those that changed the worker has not yet seen what there is now.
        let due = slot.due.filter(|_| !slot.rests && !slot.listed)?;
        Some(Ring { due, index, generation: slot.generation })
    }

    /// A timer is due. Answers an event of it, if none is queued already; and, of a periodic one,
    /// when it is due again, to be watched with the entry that `watch` makes.
    pub fn ring(
        &mut self,
        ring: Ring,
        now: Time,
        watch: impl FnOnce(u32, Time) -> Timer,
    ) -> Option<Token> {
        let token = Token::new(ring.index, ring.generation);
        let slot = self.slot(token).filter(|slot| slot.due == Some(ring.due) && !slot.rests)?;
        if slot.queued {
            slot.rests = true;
            return None;
        }
        slot.queued = true;
        slot.due = None;
        if slot.every_ms > 0 {
            slot.due = Some(ring.due);
            slot.merge(now);
            slot.missed -= 1;
        }
        if let Some(due) = slot.due
            && !slot.listed
        {
            debug_assert!(slot.entry.is_none(), "a slot has one entry");
            slot.entry = Some(watch(ring.index, due));
        }
        Some(token)
    }
}

impl Slot {
    /// Counts the periods that are over as missed, and goes on behind them: by what was asked for,
    /// not by now.
    fn merge(&mut self, now: Time) {
        let Some(due) = self.due.filter(|&due| due <= now) else { return };
        let every = Duration::from_millis(self.every_ms.into());
        let over = (now - due).as_nanos() / every.as_nanos() + 1;
        let step = u64::try_from(every.as_nanos() * over).unwrap_or(u64::MAX);
        self.due = Some(due.saturating_add(Duration::from_nanos(step)));
        let over = u32::try_from(over).unwrap_or(u32::MAX);
        self.missed = self.missed.saturating_add(over);
    }
}

#[cfg(test)]
mod tests;

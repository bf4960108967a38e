//! Callbacks: a queue whose events are not polled but given to a function of the host's.
//!
//! A worker's thread calls it at the end of its turn, with what it and others have published;
//! without worker threads the poll does. No lock is held meanwhile: whoever calls has taken the
//! receiver out of its place, and the hook keeps others from it. What is published while a
//! receiver runs is looked at by who ran it: it looks once more after it has put it back.

use crate::engine::host::net::Net;
use crate::engine::shared::core::Core;
use crate::engine::shared::error::Error;
use crate::engine::shared::hook::{Hook, Inside};
use crate::engine::shared::queue::{CALLED, Handed, NOBODY, Poller, Queue};
use parking_lot::{Mutex, MutexGuard};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::*};
use std::time::Duration;

/// What takes a queue's events in place of polls.
pub trait Receiver: Send {
    /// How many it takes at a time.
    fn room(&self) -> usize;
    /// The next event, at `at`.
    fn put(&mut self, at: usize, handed: Handed);
    /// Calls the host with `count` of them.
    fn call(&mut self, count: usize);
}

/// The callback of one queue.
#[derive(Default)]
pub struct Callback {
    /// Empty also while somebody has taken it, who is inside the hook.
    receiver: Mutex<Option<Box<dyn Receiver>>>,
    /// The thread that calls it, or changes it: one at a time.
    hook: Arc<Hook>,
    /// True exactly when there is one, told without the lock.
    set: AtomicBool,
    /// Threads that are about to change it; nobody calls it before they have.
    wanted: AtomicUsize,
    /// Set from inside it: takes its place when that returns.
    next: Mutex<Option<Option<Box<dyn Receiver>>>>,
}

/// A receiver out of its place; nobody else calls or changes it before this is dropped.
struct Taken<'a> {
    callback: &'a Callback,
    receiver: Option<Box<dyn Receiver>>,
    /// Last: others come when the receiver is back.
    _inside: Inside<'a>,
}

impl Callback {
    /// Whether this thread is inside it.
    pub fn is_inside(&self) -> bool {
        self.hook.is_inside()
    }

    /// Who is inside it.
    pub fn hook(&self) -> &Arc<Hook> {
        &self.hook
    }

    /// Whether somebody calls or changes it, who looks at the queue afterwards.
    fn is_taken(&self) -> bool {
        self.wanted.load(SeqCst) > 0 || self.hook.is_busy()
    }

    /// Waits until nobody calls it, and lets nobody do so from then on.
    pub fn shut(&self) -> Result<(), Error> {
        self.take_back().map(std::mem::forget)
    }

    /// Whether any thread is inside.
    pub fn runs(&self) -> bool {
        self.hook.is_busy()
    }

    /// Takes the receiver. None: another thread has it.
    fn take(&self) -> Option<Taken<'_>> {
        let inside = self.hook.enter_alone()?;
        let receiver = self.receiver.lock().take();
        Some(Taken { callback: self, receiver, _inside: inside })
    }

    /// Takes the receiver when it has returned.
    fn take_back(&self) -> Result<Taken<'_>, Error> {
        loop {
            match self.take() {
                Some(taken) => return Ok(taken),
                None => self.hook.wait()?,
            }
        }
    }
}

impl Taken<'_> {
    fn put(&mut self, receiver: Option<Box<dyn Receiver>>) {
        self.callback.set.store(receiver.is_some(), SeqCst);
        self.receiver = receiver;
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        *self.callback.receiver.lock() = self.receiver.take();
    }
}

impl Core {
    /// Whether this thread is inside a callback of this net.
    pub fn inside_callback(&self) -> bool {
        self.queues.iter().any(|queue| queue.callback.is_inside())
    }

    /// Without worker threads it runs inside a poll.
    fn calls_in_poll(&self) -> bool {
        self.config.workers == Some(0)
    }
}

impl Queue {
    /// Whether a worker's thread has something to give to the callback, and nobody does.
    pub fn calls(&self) -> bool {
        self.waiter.load(SeqCst) == CALLED && self.is_ready() && !self.callback.is_taken()
    }

    /// Gives what waits to the callback, on a worker's thread.
    pub fn call(&self, core: &Core) {
        if self.waiter.load(SeqCst) != CALLED || self.callback.is_taken() {
            return;
        }
        let Some(mut taken) = self.callback.take() else { return };
        let mut poller = self.poller.lock();
        self.give(core, &mut taken, &mut poller);
        drop(poller);
        drop(taken);
        // Whoever published in between may have found it taken.
        if self.calls() {
            core.homes[self.home].wake();
        }
    }

    /// Gives what waits now to the receiver, batch by batch. How many events.
    fn give(
        &self,
        core: &Core,
        taken: &mut Taken<'_>,
        poller: &mut MutexGuard<'_, Poller>,
    ) -> usize {
        let mut told = 0;
        while let Some(it) = &mut taken.receiver {
            let room = it.room();
            let count = self.hand_out(core, poller, room, |at, handed| it.put(at, handed));
            if count == 0 {
                break;
            }
            told += count;
            Queue::step_out(poller, || it.call(count));
            self.end_batch(core, poller);
            let next = self.callback.next.lock().take();
            if let Some(next) = next {
                if next.is_none() {
                    self.waiter.store(NOBODY, SeqCst);
                }
                taken.put(next);
            }
            if poller.pending() == 0 || self.callback.wanted.load(SeqCst) > 0 {
                break;
            }
        }
        self.put_back(poller);
        told
    }

    /// A net has ended: its callback is given what is left, and is gone.
    pub fn last_call(&self, core: &Core) {
        // Who is inside may wait for this thread; he is given what is left himself.
        let Ok(mut taken) = self.callback.take_back() else { return };
        if taken.receiver.is_none() {
            // Polls go on, and find nobody in their way.
            return;
        }
        // A poll that is inside gives it what is left, and ends.
        if let Some(mut poller) = self.enter() {
            while self.give(core, &mut taken, &mut poller) > 0 {}
            taken.put(None);
        }
        let _ = self.waiter.compare_exchange(CALLED, NOBODY, SeqCst, SeqCst);
    }
}

impl Net {
    /// Gives a queue's events to `receiver` from now on, or to polls again.
    pub fn set_callback(
        &self,
        queue: u32,
        receiver: Option<Box<dyn Receiver>>,
    ) -> Result<(), Error> {
        let core = &*self.core;
        let queue = self.queue(queue)?;
        if receiver.is_some() {
            self.check_running()?;
        }
        let callback = &queue.callback;
        if callback.is_inside() {
            *callback.next.lock() = Some(receiver);
            return Ok(());
        }
        callback.wanted.fetch_add(1, SeqCst);
        let answer = self.change_callback(queue, receiver);
        callback.wanted.fetch_sub(1, SeqCst);
        if queue.calls() {
            core.homes[queue.home].wake();
        }
        answer
    }

    fn change_callback(
        &self,
        queue: &Queue,
        receiver: Option<Box<dyn Receiver>>,
    ) -> Result<(), Error> {
        let (core, callback) = (&*self.core, &queue.callback);
        let mut taken = callback.take_back()?;
        if receiver.is_none() {
            let _ = queue.waiter.compare_exchange(CALLED, NOBODY, SeqCst, SeqCst);
            taken.put(None);
            return Ok(());
        }
        let mut poller = queue.enter().ok_or(Error::Busy)?;
        queue.end_batch(core, &mut poller);
        queue.put_back(&mut poller);
        taken.put(receiver);
        drop(poller);
        drop(taken);
        if core.calls_in_poll() {
            return Ok(());
        }
        core.homes[queue.home].pooled.store(true, SeqCst);
        queue.waiter.store(CALLED, SeqCst);
        self.crew.seats[queue.home].recall();
        Ok(())
    }

    /// Whether a queue's events are a callback's.
    pub fn is_called(&self, queue: &Queue) -> bool {
        queue.callback.set.load(SeqCst) && !self.core.is_over()
    }

    /// A poll without an array: turns the worker of a net without worker threads, and gives what
    /// comes to the callback. How many events.
    pub fn poll_callback(&self, queue: u32, timeout: Option<Duration>) -> Result<usize, Error> {
        let core = &*self.core;
        let queue = self.queue(queue)?;
        if !queue.callback.set.load(SeqCst) {
            return Err(if core.has_ended() { self.over() } else { Error::Invalid });
        }
        if !core.calls_in_poll() || queue.callback.runs() {
            return Err(Error::Busy);
        }
        let mut poller = queue.enter().ok_or(Error::Busy)?;
        self.poll_with(queue, &mut poller, usize::MAX, timeout, |poller| {
            let mut taken = queue.callback.take()?;
            let _set = taken.receiver.as_ref()?;
            Some(queue.give(core, &mut taken, poller))
        })
    }
}

//! Callbacks: a queue whose events are not polled but given to a function of the host's.
//!
//! A worker's thread calls it at the end of its turn, with what it and others have published;
//! without worker threads the poll does. No lock is held meanwhile: whoever calls has taken the
//! receiver out of its place, and the hook keeps others from it. What is published while a
//! receiver runs is looked at by who ran it: it looks once more after it has put it back.

use crate::buf::{Mutex, rank};
use crate::engine::shared::error::Error;
use crate::engine::shared::event::Handed;
use crate::engine::shared::hook::{Hook, Inside};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::*};

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
    /// Empty also while a thread that is inside the hook has taken it.
    receiver: Mutex<rank::Receiver, Option<Box<dyn Receiver>>>,
    /// The thread that calls it, or changes it: one at a time.
    hook: Arc<Hook>,
    /// True exactly when there is one, to be read without the lock.
    pub set: AtomicBool,
    /// Threads that are about to change it; it is not called before they have.
    pub wanted: AtomicUsize,
    /// Set from inside it: takes its place when that returns.
    pub next: Mutex<rank::Next, Option<Option<Box<dyn Receiver>>>>,
}

/// A receiver out of its place; no other thread calls or changes it before this is dropped.
pub struct Taken<'a> {
    callback: &'a Callback,
    pub receiver: Option<Box<dyn Receiver>>,
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

    /// Whether a thread calls or changes it, which looks at the queue afterwards.
    pub fn is_taken(&self) -> bool {
        self.wanted.load(SeqCst) > 0 || self.hook.is_busy()
    }

    /// Waits until no thread calls it, and lets none do so from then on.
    pub fn shut(&self) -> Result<(), Error> {
        self.take_back().map(std::mem::forget)
    }

    /// Whether any thread is inside.
    pub fn runs(&self) -> bool {
        self.hook.is_busy()
    }

    /// Takes the receiver. None: another thread has it.
    pub fn take(&self) -> Option<Taken<'_>> {
        let inside = self.hook.enter_alone()?;
        let receiver = self.receiver.lock().take();
        Some(Taken { callback: self, receiver, _inside: inside })
    }

    /// Takes the receiver when it has returned.
    pub fn take_back(&self) -> Result<Taken<'_>, Error> {
        loop {
            match self.take() {
                Some(taken) => return Ok(taken),
                None => self.hook.wait()?,
            }
        }
    }
}

impl Taken<'_> {
    /// Puts another one in its place.
    pub fn put(&mut self, receiver: Option<Box<dyn Receiver>>) {
        self.callback.set.store(receiver.is_some(), SeqCst);
        self.receiver = receiver;
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        *self.callback.receiver.lock() = self.receiver.take();
    }
}

//! Callbacks as the host sets them, and the poll that runs them; see `shared/callback.rs`.

use crate::engine::host::net::Net;
use crate::engine::shared::callback::Receiver;
use crate::engine::shared::error::Error;
use crate::engine::shared::queue::Queue;
use crate::engine::shared::waiter::Waiting;
use std::sync::atomic::Ordering::*;
use std::time::Duration;

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
            queue.waiter.end_called();
            taken.put(None);
            return Ok(());
        }
        let mut poller = queue.enter().ok_or(Error::Busy)?;
        core.end_batch(&mut poller);
        queue.put_back(&mut poller);
        taken.put(receiver);
        drop(poller);
        drop(taken);
        if core.calls_in_poll() {
            return Ok(());
        }
        core.homes[queue.home].pooled.store(true, SeqCst);
        queue.waiter.set(Waiting::Called);
        self.batons[queue.home].recall();
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
        self.check_polls()?;
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
            Some(core.give(queue, &mut taken, poller))
        })
    }
}

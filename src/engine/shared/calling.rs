//! Gives the events of a queue to its callback; see `callback.rs`.

use crate::buf::{MutexGuard, rank};
use crate::engine::shared::callback::Taken;
use crate::engine::shared::core::Core;
use crate::engine::shared::queue::{Poller, Queue};
use crate::engine::shared::waiter::Waiting;
use std::sync::atomic::Ordering::*;

impl Core {
    /// Whether this thread is inside a callback of this net.
    pub fn inside_callback(&self) -> bool {
        self.queues.iter().any(|queue| queue.callback.is_inside())
    }

    /// Without worker threads it runs inside a poll.
    pub fn calls_in_poll(&self) -> bool {
        self.config.workers == Some(0)
    }

    /// Gives what waits to the callback, on a worker's thread.
    pub fn call(&self, queue: &Queue) {
        if queue.waiter.get() != Waiting::Called || queue.callback.is_taken() {
            return;
        }
        let Some(mut taken) = queue.callback.take() else { return };
        let mut poller = queue.poller.lock();
        self.give(queue, &mut taken, &mut poller);
        drop(poller);
        drop(taken);
        // Whoever published in between may have found it taken.
        if queue.calls() {
            self.homes[queue.home].wake();
        }
    }

    /// Gives what waits now to the receiver, batch by batch. How many events.
    pub fn give(
        &self,
        queue: &Queue,
        taken: &mut Taken<'_>,
        poller: &mut MutexGuard<'_, rank::Poller, Poller>,
    ) -> usize {
        let mut told = 0;
        while let Some(it) = &mut taken.receiver {
            let room = it.room();
            let count = self.hand_out(queue, poller, room, |at, handed| it.put(at, handed));
            if count == 0 {
                break;
            }
            told += count;
            Queue::step_out(poller, || {
                rank::may_call_out();
                it.call(count);
            });
            self.end_batch(poller);
            let next = queue.callback.next.lock().take();
            if let Some(next) = next {
                if next.is_none() {
                    queue.waiter.set(Waiting::Nobody);
                }
                taken.put(next);
            }
            if poller.pending() == 0 || queue.callback.wanted.load(SeqCst) > 0 {
                break;
            }
        }
        queue.put_back(poller);
        told
    }

    /// A net has ended: its callback is given what is left, and is gone.
    pub fn last_call(&self, queue: &Queue) {
        // A thread that is inside may wait for this one; it is given what is left itself.
        let Ok(mut taken) = queue.callback.take_back() else { return };
        if taken.receiver.is_none() {
            // Polls go on, and no callback is in their way.
            return;
        }
        // A poll that is inside gives it what is left, and ends.
        if let Some(mut poller) = queue.enter() {
            while self.give(queue, &mut taken, &mut poller) > 0 {}
            taken.put(None);
        }
        queue.waiter.end_called();
    }
}

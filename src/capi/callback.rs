//! Callbacks: a queue's events delivered to a function of the host.

use super::boundary::guard;
use super::event::{NO_EVENT, sockeye_event, translate};
use super::net::{enter, sockeye_net};
use super::status::sockeye_status;
use crate::engine::{Handed, Net, Receiver};
use std::ffi::c_void;

/// Events that one call gives at most.
const ROOM: usize = 256;

/// The host's function for the events of a queue: it receives `user` and `net` as given, the queue,
/// and a batch of `count` events, 1 or more. It must not throw.
///
/// Ownership: the events, their payloads and handles are borrowed until return.
/// NULL:      `user` is as it was given; the others are never NULL.
/// Threads:   called on a worker's thread, or inside a poll with `workers` 0; one call at a time
///            for each queue.
/// Since:     0.1
pub type sockeye_callback_fn = Option<
    unsafe extern "C" fn(
        user: *mut c_void,
        net: *mut sockeye_net,
        queue: u32,
        events: *const sockeye_event,
        count: u32,
    ),
>;

struct Host {
    call: unsafe extern "C" fn(*mut c_void, *mut sockeye_net, u32, *const sockeye_event, u32),
    user: *mut c_void,
    net: *mut sockeye_net,
    /// What is behind that, also while the host frees it.
    inner: *const Net,
    queue: u32,
    events: Box<[sockeye_event; ROOM]>,
}

// SAFETY: the library never looks behind `user`; the host says in `sockeye_set_callback` that it
// may come on any thread. The net may be used on any, and outlives its callbacks.
unsafe impl Send for Host {}

impl Receiver for Host {
    fn room(&self) -> usize {
        ROOM
    }

    #[inline]
    fn put(&mut self, at: usize, handed: Handed) {
        // SAFETY: callbacks are over before a net is gone.
        self.events[at] = translate(unsafe { &*self.inner }, handed);
    }

    fn call(&mut self, count: usize) {
        let (events, count) = (self.events.as_ptr(), count as u32);
        // SAFETY: the host's function with what it was given for, and so many events.
        unsafe { (self.call)(self.user, self.net, self.queue, events, count) };
    }
}

/// Delivers a queue's events to `callback` instead of polls: on threads of the net's workers, one
/// call at a time for each queue, with no lock of the library held. Each call is a batch of its
/// own, which ends when the callback returns; pending events are delivered first. A poll of the
/// queue answers ERR_BUSY while a callback is set, and the queue's worker is driven as in POOL from
/// then on. With `workers` 0 the callback runs inside
/// `sockeye_poll_events(net, NULL, 0, timeout_ms)`, which answers how many events were delivered.
///
/// The callback may call every function of the library except shutdown and free, which answer
/// ERR_WOULD_DEADLOCK; with flush MANUAL it flushes what it sends. While it runs, its worker does
/// nothing else: its queue waits, the queues of other workers go on.
///
/// When this returns, the previous callback does not run and is never called again; if it makes
/// this call itself, that is so when it returns. A callback that waits for the thread that replaces
/// it therefore never ends. A shutdown delivers all remaining events before it returns, and removes
/// the callback.
///
/// Ownership: ends the batch of the last poll. `user` is borrowed until another function, or NULL,
///            is set.
/// NULL:      `callback` may be NULL: the queue is polled again. `user` may be NULL.
/// Threads:   any thread.
/// Returns:   OK; ERR_INVALID (NULL net, unknown queue); ERR_BUSY (a thread polls the queue);
///            ERR_SHUTDOWN, not for NULL; ERR_WOULD_DEADLOCK (the previous callback waits, itself
///            or through others, for the callback that this thread runs).
/// Since:     0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sockeye_set_callback(
    net: *mut sockeye_net,
    queue: u32,
    callback: sockeye_callback_fn,
    user: *mut c_void,
) -> sockeye_status {
    guard(|| {
        // SAFETY: the caller gives NULL or a live net.
        let shared = unsafe { enter(net) }?;
        let receiver = callback.map(|call| -> Box<dyn Receiver> {
            let events = Box::new([NO_EVENT; ROOM]);
            Box::new(Host { call, user, net, inner: shared, queue, events })
        });
        shared.set_callback(queue, receiver)
    })
}

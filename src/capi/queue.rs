//! Queues: flushes, posts, and waiting in a loop of the host's own.

use super::boundary::{bytes_arg, fail, guard, guard_mutely, in_words, same_fields, write_sized};
use super::event::SOCKEYE_EVENT_HOST;
use super::net::{enter, sockeye_net};
use super::status::sockeye_status;
use crate::engine::{Error, Mail, keeping_errno};
use std::ffi::c_void;

/// What waits in a queue now.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sockeye_queue_stats {
    /// `sizeof(sockeye_queue_stats)` of the library, at most that of the caller.
    pub struct_size: u32,
    /// Must be ignored.
    pub reserved: u32,
    /// Events that no poll has handed out.
    pub events: u64,
    /// Bytes that they count for: 64 each, and its payload.
    pub bytes: u64,
    /// How long the oldest of them waits, in nanoseconds: how late the host is. 0: there is none.
    pub oldest_ns: u64,
}

const _: () = assert!(size_of::<sockeye_queue_stats>() == 32);

/// Starts the sending of everything that is pending, in all queues. Does not wait, and does not
/// fail for a connection.
///
/// NULL:      not allowed.
/// Threads:   any thread.
/// Returns:   OK; ERR_INVALID; ERR_SHUTDOWN.
/// Since:     0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sockeye_flush(net: *mut sockeye_net) -> sockeye_status {
    // SAFETY: the caller gives NULL or a live net.
    guard(|| unsafe { enter(net) }?.flush(None))
}

/// Starts the sending of everything that is pending, for the connections of one queue.
///
/// NULL:      not allowed.
/// Threads:   any thread.
/// Returns:   OK; ERR_INVALID (NULL, unknown queue); ERR_SHUTDOWN.
/// Since:     0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sockeye_queue_flush(net: *mut sockeye_net, queue: u32) -> sockeye_status {
    // SAFETY: the caller gives NULL or a live net.
    guard(|| unsafe { enter(net) }?.flush(Some(queue)))
}

/// Puts an event of kind POSTED into a queue, with two numbers of the host: a way to wake a poll
/// from any thread. Posts of one thread are delivered in order.
///
/// NULL:      not allowed.
/// Threads:   any thread.
/// Returns:   OK; ERR_INVALID (NULL, unknown queue); ERR_AGAIN (half of `queue_max_bytes` is
///            pending: nothing was taken); ERR_SHUTDOWN.
/// Since:     0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sockeye_post(
    net: *mut sockeye_net,
    queue: u32,
    detail: u64,
    user_data: u64,
) -> sockeye_status {
    // SAFETY: the caller gives NULL or a live net.
    guard(|| unsafe { enter(net) }?.post(queue, detail, user_data))
}

/// Puts an event of a kind of the host's own into a queue, with two numbers and a copy of a
/// payload: how one thread of the host hands another something through the same loop. Posts of one
/// thread are delivered in order. The payload is valid until the next poll of the queue;
/// `sockeye_event_hold` does not take it.
///
/// Ownership: `data` is copied.
/// NULL:      `data` may be NULL when `data_len` is 0.
/// Threads:   any thread.
/// Returns:   OK; ERR_INVALID (NULL, unknown queue, a kind below SOCKEYE_EVENT_HOST); ERR_AGAIN
///            (half of `queue_max_bytes` is pending: nothing was taken); ERR_TOO_BIG (over half of
///            `queue_max_bytes`); ERR_NO_MEMORY (`memory_max_bytes`); ERR_SHUTDOWN.
/// Since:     0.1
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn sockeye_post_message(
    net: *mut sockeye_net,
    queue: u32,
    kind: u32,
    detail: u64,
    user_data: u64,
    data: *const c_void,
    data_len: usize,
) -> sockeye_status {
    guard(|| {
        // SAFETY: the caller gives NULL or a live net.
        let net = unsafe { enter(net) }?;
        // SAFETY: the caller gives `data_len` readable bytes.
        let data = unsafe { bytes_arg(data, data_len) }?;
        if kind < SOCKEYE_EVENT_HOST {
            return Err(Error::Invalid);
        }
        let mail = Mail { kind, detail, user_data, ..Mail::default() };
        net.post_message(queue, mail, data)
    })
}

/// Wakes a queue's poll: the one that waits, or else the next one, answers 0 events at once, also
/// where events are pending; those stay for the poll after it. The queue's wait handle, or port, is
/// signalled until then. Wakes that no poll has answered yet are one. Where a callback takes the
/// queue's events nothing happens, except to the poll that calls it (`workers` 0). For a handler of
/// SIGTERM: it sets a flag of the host's, then wakes the loop that looks at the flag.
///
/// It is async-signal-safe on Unix, with every model: it takes no lock and no memory, and keeps
/// errno. It leaves no words for `sockeye_last_error`.
///
/// NULL:      not allowed.
/// Threads:   any thread, signal handlers and callbacks included.
/// Returns:   OK; ERR_INVALID (NULL, unknown queue); ERR_SHUTDOWN, ERR_PANIC (the net has ended: no
///            poll waits any more).
/// Since:     0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sockeye_wake(net: *mut sockeye_net, queue: u32) -> sockeye_status {
    // SAFETY: the caller gives NULL or a live net.
    keeping_errno(|| guard_mutely(|| unsafe { enter(net) }?.wake(queue)))
}

/// Gives a system object that is readable, or signalled, as long as the queue has events: a
/// descriptor for epoll, poll or select; on Windows a HANDLE. The first call creates it; from then
/// on the queue's worker is driven as in POOL. Poll the queue with timeout 0 when it is signalled.
///
/// With `workers` 0 no thread fills the queue while the host waits elsewhere. There the object is
/// signalled as long as a poll has something to do: events, sockets that are ready, what other
/// threads sent or asked for, a deadline that has passed. Poll with timeout 0 until the answer is
/// 0, also where the first answer is 0. What waits for a flush (MANUAL) signals nothing. EPOLL and
/// IO_URING have such an object.
///
/// Ownership: the library's: never read, reset or close it. `sockeye_free` closes it.
/// NULL:      not allowed.
/// Threads:   any thread.
/// Returns:   OK; ERR_INVALID (NULL, unknown queue; with IO_URING and `workers` 0 another thread
///            than the one that polls); ERR_UNSUPPORTED (`workers` is 0 and the model has no such
///            object); ERR_BUSY (a thread polls this queue); ERR_OS; ERR_SHUTDOWN.
/// Since:     0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sockeye_wait_handle(
    net: *mut sockeye_net,
    queue: u32,
    out_handle: *mut isize,
) -> sockeye_status {
    guard(|| {
        if out_handle.is_null() {
            return Err(fail(Error::Invalid, "out_handle is NULL"));
        }
        // SAFETY: the caller gives NULL or a live net.
        let net = unsafe { enter(net) }.map_err(in_words)?;
        let handle = net.wait_handle(queue).map_err(in_words)?;
        // SAFETY: not NULL, and the caller's to be written.
        unsafe { out_handle.write(handle) };
        Ok(())
    })
}

/// Posts a packet with `key` to a completion port of the host (Windows) when an event is put into
/// the empty queue: one packet, with 0 bytes and no OVERLAPPED, then none until a poll has emptied
/// the queue. Events that are pending now count. From then on the queue's worker is driven as in
/// POOL. After a packet, poll the queue with timeout 0 until it answers 0. A packet that the system
/// has no memory for is posted with the next events, or by a poll that leaves some.
///
/// A later call replaces the port; `port` 0 ends the posts. Packets that were posted stay with
/// their port.
///
/// Ownership: `port`, a HANDLE, stays the host's: the library keeps a handle of its own until
///            another call or `sockeye_free`.
/// NULL:      not allowed for `net`.
/// Threads:   any thread.
/// Returns:   OK; ERR_INVALID (NULL, unknown queue, not a handle); ERR_UNSUPPORTED (a system
///            without completion ports: see `sockeye_wait_handle`; `workers` is 0: no thread would
///            fill the queue while the host waits elsewhere); ERR_BUSY (a thread polls this queue);
///            ERR_SHUTDOWN.
/// Since:     0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sockeye_wait_port(
    net: *mut sockeye_net,
    queue: u32,
    port: isize,
    key: u64,
) -> sockeye_status {
    guard(|| {
        // SAFETY: the caller gives NULL or a live net.
        let net = unsafe { enter(net) }.map_err(in_words)?;
        net.wait_port(queue, port, key).map_err(in_words)
    })
}

/// What waits in a queue now, without a lock.
///
/// Ownership: `out_stats` is written before return, up to `size` bytes.
/// NULL:      not allowed.
/// Threads:   any thread, also after a shutdown.
/// Returns:   OK; ERR_INVALID (NULL, unknown queue, size below 16).
/// Since:     0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sockeye_queue_get_stats(
    net: *mut sockeye_net,
    queue: u32,
    out_stats: *mut sockeye_queue_stats,
    size: usize,
) -> sockeye_status {
    guard(|| {
        // SAFETY: the caller gives NULL or a live net.
        let facts = unsafe { enter(net) }?.queue_stats(queue)?;
        let stats = same_fields!(facts => sockeye_queue_stats {
            events,
            bytes,
            oldest_ns,
        } and {
            struct_size: size.min(size_of::<sockeye_queue_stats>()) as u32,
            reserved: 0,
        });
        // SAFETY: the caller gives `size` writable bytes.
        unsafe { write_sized(out_stats, size, &stats) }
    })
}

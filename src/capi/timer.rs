//! Timers: events at a time.

use super::boundary::{fail, guard, in_words};
use super::net::{enter, sockeye_net};
use super::status::sockeye_status;
use crate::engine::{Error, Kind};

/// A timer of one net: an old one, or one of another net, answers ERR_STALE for as long as the
/// process lives. `{0}` is none.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct sockeye_timer {
    /// Opaque.
    pub id: u64,
}

/// Starts a timer whose events, of kind TIMER, come in a queue: once, `after_ms` from now, and if
/// `every_ms` is not 0 again and again, at `after_ms` + n * `every_ms` from now, however late each
/// is told. It is never told early. A poll that begins 1 ms or more after a timer is due tells of
/// it, or one of those that follow until one answers 0: a turn of the worker tells of 256. In POOL
/// that is so once the system lets the worker's thread run. Those that are due together come in
/// the order of their times. On Windows the waits of a worker are no more exact than the system's
/// timer: timeBeginPeriod.
///
/// At most one event of a timer waits in the queue: periods that are over meanwhile are counted in
/// its `code`, so that all events with what they count are all the periods. A timer that is due
/// once is stale when its event was given out. A shutdown does not wait for timers and ends them.
///
/// Ownership: `out_timer` is the caller's, written before the first event can come.
/// NULL:      not allowed.
/// Threads:   any thread, callbacks included.
/// Returns:   OK; ERR_INVALID (NULL, unknown queue); ERR_LIMIT (`timers_max` is reached; one that
///            was stopped counts until a poll has passed its event); ERR_SHUTDOWN.
/// Since:     0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sockeye_timer_start(
    net: *mut sockeye_net,
    queue: u32,
    after_ms: u32,
    every_ms: u32,
    user_data: u64,
    out_timer: *mut sockeye_timer,
) -> sockeye_status {
    guard(|| {
        if out_timer.is_null() {
            return Err(fail(Error::Invalid, "out_timer is NULL"));
        }
        // SAFETY: the caller gives NULL or a live net.
        let net = unsafe { enter(net) }.map_err(in_words)?;
        // SAFETY: not NULL, and the caller's to be written.
        let out = |id| unsafe { out_timer.write(sockeye_timer { id }) };
        net.start_timer(queue, (after_ms, every_ms), user_data, out).map_err(in_words)
    })
}

/// Stops a timer: no poll that begins later tells of it, though its event may wait in the queue.
/// What is in an array already, or in the one that a callback is inside of, is the host's to skip.
///
/// NULL:      not allowed.
/// Threads:   any thread, callbacks included, any number of times.
/// Returns:   OK; ERR_STALE (it was stopped before, or it was due once and is told); ERR_INVALID
///            (NULL); ERR_SHUTDOWN (the shutdown has ended it).
/// Since:     0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sockeye_timer_stop(
    net: *mut sockeye_net,
    timer: sockeye_timer,
) -> sockeye_status {
    guard(|| {
        // SAFETY: the caller gives NULL or a live net.
        let net = unsafe { enter(net) }?;
        net.stop_timer(net.token(timer.id, Kind::Timer)?)
    })
}

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

/// Starts a timer, which puts events of kind TIMER into a queue: one `after_ms` from now and, if
/// `every_ms` is not 0, further ones at `after_ms` + n * `every_ms` from now, however late each is
/// delivered. No event is reported before its time. Polls that begin 1 ms or more after a timer
/// expired report it before one of them answers 0; a turn of the worker reports at most 256 timers.
/// In POOL this holds once the system has run the worker's thread. Timers that have expired
/// together are reported in the order of their times. On Windows the waits of a worker are as exact
/// as the system's timer: timeBeginPeriod.
///
/// At most one event of a timer is pending: the periods that pass meanwhile are counted in its
/// `code`, so that no period is lost. A timer without a period is stale once its event was
/// delivered. A shutdown does not wait for timers; it ends them.
///
/// Ownership: `out_timer` is the caller's, written before the first event can come.
/// NULL:      not allowed.
/// Threads:   any thread, callbacks included.
/// Returns:   OK; ERR_INVALID (NULL, unknown queue); ERR_LIMIT (`timers_max` is reached; a stopped
///            timer counts until a poll has removed its event); ERR_SHUTDOWN.
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

/// Stops a timer: no later poll reports it, even if its event is pending in the queue. The host
/// skips an event that is already in its array, or in the array of a running callback.
///
/// NULL:      not allowed.
/// Threads:   any thread, callbacks included, any number of times.
/// Returns:   OK; ERR_STALE (it was stopped before, or had no period and its event was delivered);
///            ERR_INVALID (NULL); ERR_SHUTDOWN (the shutdown has ended it).
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

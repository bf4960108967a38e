//! The monotonic clock, which the servers' broadcasts tell too, and when this process went on.

use anyhow::{Context, Result};
use std::sync::atomic::{AtomicU64, Ordering};
use std::{io, mem, ptr};

/// When the process went on after its last stop; 0 if it never stopped.
static WENT_ON: AtomicU64 = AtomicU64::new(0);

/// Nanoseconds of the monotonic clock.
pub fn now() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` lives through the call, which cannot fail for this clock.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// From now on `went_on` tells. The handler runs before anything else does after a stop (there is
/// one thread), so that a time that was taken after a stop is never seen without it.
pub fn watch_going_on() -> Result<()> {
    let handler: extern "C" fn(libc::c_int) = on_going_on;
    // SAFETY: a `sigaction` is numbers and a mask of bits; all zero is a valid one.
    let mut action: libc::sigaction = unsafe { mem::zeroed() };
    action.sa_sigaction = handler as libc::sighandler_t;
    action.sa_flags = libc::SA_RESTART;
    // SAFETY: `action` lives through the call; the handler reads a clock and stores a number, both
    // of which a handler may do.
    if unsafe { libc::sigaction(libc::SIGCONT, &action, ptr::null_mut()) } < 0 {
        return Err(io::Error::last_os_error()).context("sigaction");
    }
    Ok(())
}

extern "C" fn on_going_on(_signal: libc::c_int) {
    WENT_ON.store(now(), Ordering::Relaxed);
}

/// When the process went on after its last stop; 0 if it never stopped.
pub fn went_on() -> u64 {
    WENT_ON.load(Ordering::Relaxed)
}

/// Lets waits end when they should, not up to 50 µs later to save wake-ups.
pub fn wake_sharply() -> Result<()> {
    // SAFETY: no pointers.
    if unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1_u64, 0_u64, 0_u64, 0_u64) } < 0 {
        return Err(io::Error::last_os_error()).context("prctl");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn going_on_is_seen_with_its_time() {
        watch_going_on().unwrap();
        let before = now();
        // SAFETY: no pointers; the signal goes to this thread before the call returns.
        assert_eq!(unsafe { libc::raise(libc::SIGCONT) }, 0);
        assert!((before..=now()).contains(&went_on()));
    }
}

//! A lock for a few instructions, taken on every message: one atomic to lock it and none to unlock
//! it, half of what a lock that knows its waiters costs.

use parking_lot::{Condvar, Mutex};
use spin::mutex::{SpinMutex, SpinMutexGuard};
use spin::relax::RelaxStrategy;
use std::cell::Cell;
use std::hint::spin_loop;
use std::thread;
use std::time::Duration;

/// Held for as long as a small copy takes, never while calling out or waiting.
pub type Lock<T> = SpinMutex<T, Patience>;
/// A held `Lock`.
pub type LockGuard<'a, T> = SpinMutexGuard<'a, T, Patience>;

/// Of so many looks at a lock that is held, the first few only spin, the last one sleeps.
const LOOKS: u32 = 128;
const SPINS: u32 = 32;
/// Long enough for a holder of a lower priority, which no yielding lets run, to get the processor.
const NAP: Duration = Duration::from_micros(50);

/// What who waits for a `Lock` does: spin, then yield, then sleep, in turns.
pub struct Patience;

impl RelaxStrategy for Patience {
    fn relax() {
        thread_local!(static LOOK: Cell<u32> = const { Cell::new(0) });
        match LOOK.replace((LOOK.get() + 1) % LOOKS) {
            0..SPINS => spin_loop(),
            look if look < LOOKS - 1 => thread::yield_now(),
            _ => nap(),
        }
    }
}

/// Sleeps. Unlike nanosleep(2) this is no point at which a thread is cancelled.
#[cold]
fn nap() {
    static BED: (Mutex<()>, Condvar) = (Mutex::new(()), Condvar::new());
    BED.1.wait_for(&mut BED.0.lock(), NAP);
}

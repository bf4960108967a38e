//! The doorbell of a worker: a system call only when the worker sleeps.

use super::os::sys::uncancelled;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::SeqCst};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

const AWAKE: u8 = 0;
const ASLEEP: u8 = 1;
const RUNG: u8 = 2;
const NAPPING: u8 = 3;

/// Wakes whoever waits in a model. Clones are the same bell; any thread may ring.
#[derive(Clone)]
pub struct Bell(Arc<Inner>);

struct Inner {
    state: AtomicU8,
    strikes: AtomicU64,
    strike: Box<dyn Fn() + Send + Sync>,
    /// Who naps, or did last.
    napper: Mutex<Option<Thread>>,
}

impl Bell {
    /// A bell whose `strike` ends the model's kernel wait.
    pub fn new(strike: impl Fn() + Send + Sync + 'static) -> Bell {
        let (state, strikes) = (AtomicU8::new(AWAKE), AtomicU64::new(0));
        let (strike, napper) = (Box::new(strike), Mutex::new(None));
        Bell(Arc::new(Inner { state, strikes, strike, napper }))
    }

    /// Any thread, after what it announces is visible.
    pub fn ring(&self) {
        match self.0.state.swap(RUNG, SeqCst) {
            ASLEEP => {
                self.0.strikes.fetch_add(1, SeqCst);
                // Sends come here without any other protection.
                uncancelled(|| (self.0.strike)());
            }
            NAPPING => {
                if let Some(thread) = &*self.0.napper.lock() {
                    thread.unpark();
                }
            }
            _ => {}
        }
    }

    /// The turner, in place of a kernel wait that the system refuses: sleeps until somebody rings,
    /// at most for `most`.
    pub fn nap(&self, most: Duration) {
        let until = Instant::now() + most;
        *self.0.napper.lock() = Some(thread::current());
        if self.0.state.compare_exchange(AWAKE, NAPPING, SeqCst, SeqCst).is_err() {
            return;
        }
        while self.0.state.load(SeqCst) == NAPPING {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            thread::park_timeout(left);
        }
        let _ = self.0.state.compare_exchange(NAPPING, AWAKE, SeqCst, SeqCst);
    }

    /// The turner, just before a kernel wait. False: rung since `hush`, do not block.
    pub fn doze(&self) -> bool {
        self.0.state.compare_exchange(AWAKE, ASLEEP, SeqCst, SeqCst).is_ok()
    }

    /// The turner, just after the kernel wait. Keeps RUNG.
    pub fn rouse(&self) {
        let _ = self.0.state.compare_exchange(ASLEEP, AWAKE, SeqCst, SeqCst);
    }

    /// Rung and not yet hushed. Asked by who lays a baton down, after it is down.
    pub fn rung(&self) -> bool {
        self.0.state.load(SeqCst) == RUNG
    }

    /// The turner, before it takes its commands. False: nobody rang, so there are none.
    pub fn hush(&self) -> bool {
        self.0.state.swap(AWAKE, SeqCst) == RUNG
    }

    /// System calls made to wake somebody.
    pub fn strikes(&self) -> u64 {
        self.0.strikes.load(SeqCst)
    }
}

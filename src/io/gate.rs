//! A gate: where one thread waits until another opens it. To open it takes no lock and no memory,
//! so that a signal handler may.

use super::os::sys::Futex;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Instant;

const SHUT: u32 = 0;
const OPEN: u32 = 1;
/// Shut, with a thread in front of it.
const AWAITED: u32 = 2;

/// See the module.
#[derive(Default)]
pub struct Gate(Futex);

impl Gate {
    /// Lets the thread through that waits, or else the next one. Async-signal-safe.
    #[inline]
    pub fn open(&self) {
        if self.0.word().swap(OPEN, SeqCst) == AWAITED {
            self.0.wake();
        }
    }

    /// Waits until the gate is open, at most until then, and shuts it behind. One thread at a time.
    pub fn pass(&self, until: Option<Instant>) {
        let word = self.0.word();
        self.0.prepare();
        if word.compare_exchange(SHUT, AWAITED, SeqCst, SeqCst).is_ok() {
            while word.load(SeqCst) == AWAITED {
                let left = until.map(|until| until.saturating_duration_since(Instant::now()));
                if left.is_some_and(|left| left.is_zero()) {
                    break;
                }
                self.0.wait(AWAITED, left);
            }
        }
        word.store(SHUT, SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;
    use std::thread;
    use std::time::Duration;

    #[test]
    fn one_that_is_open_is_passed_once() {
        let gate = Gate::default();
        gate.open();
        gate.open();
        gate.pass(None);
        let until = Instant::now() + Duration::from_millis(20);
        gate.pass(Some(until));
        assert!(Instant::now() >= until, "it was shut behind");
    }

    #[test]
    fn no_thread_is_left_in_front_of_it() {
        let (gate, there) = (Gate::default(), Gate::default());
        let passed = AtomicUsize::new(0);
        thread::scope(|scope| {
            scope.spawn(|| {
                for _ in 0..20_000 {
                    gate.pass(None);
                    passed.fetch_add(1, SeqCst);
                    there.open();
                }
            });
            for _ in 0..20_000 {
                gate.open();
                there.pass(None);
            }
        });
        assert_eq!(passed.into_inner(), 20_000);
    }
}

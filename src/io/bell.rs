//! The doorbell of a worker: a system call only when the worker sleeps.
//!
//! On Unix a signal handler may ring, so nothing here takes a lock and no strike does.
//!
//! The system may refuse that call for want of memory. Then the next ring strikes again, and a
//! model whose bell that can happen to sleeps in rounds, so that its turner finds out by itself.

use super::gate::Gate;
use super::os::sys::uncancelled;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::*};
use std::time::{Duration, Instant};

const AWAKE: u8 = 0;
const ASLEEP: u8 = 1;
const RUNG: u8 = 2;
const NAPPING: u8 = 3;
/// Rung while asleep, and every strike failed: the turner may sleep on.
const UNHEARD: u8 = 4;

/// Tries of one ring.
const STRIKES: usize = 3;
/// How late a turner sees a ring whose strikes failed, if nothing else wakes it.
const ROUND: Duration = Duration::from_secs(1);

/// Wakes whoever waits in a model. Clones are the same bell; any thread may ring.
#[derive(Clone)]
pub struct Bell(Arc<Inner>);

struct Inner {
    state: AtomicU8,
    strikes: AtomicU64,
    born: Instant,
    /// How long the turner waited, written by it alone: twice the nanoseconds while it is up. While
    /// it waits, twice those less the time when that began, and 1. So that one load has both, and
    /// what is read never falls.
    waited: AtomicU64,
    strike: Box<dyn Fn() -> bool + Send + Sync>,
    /// The longest kernel wait: None where no strike fails.
    round: Option<Duration>,
    /// Where the turner naps.
    gate: Gate,
}

impl Bell {
    /// A bell whose `strike` ends the model's kernel wait, or will end the next. It answers whether
    /// it did; where it does not although the turner sleeps, `fallible` is the constructor.
    pub fn new(strike: impl Fn() -> bool + Send + Sync + 'static) -> Bell {
        Bell::with(strike, None)
    }

    /// A bell whose `strike` the system may refuse for want of memory.
    pub fn fallible(strike: impl Fn() -> bool + Send + Sync + 'static) -> Bell {
        Bell::with(strike, Some(ROUND))
    }

    fn with(strike: impl Fn() -> bool + Send + Sync + 'static, round: Option<Duration>) -> Bell {
        Bell(Arc::new(Inner {
            state: AtomicU8::new(AWAKE),
            strikes: AtomicU64::new(0),
            born: Instant::now(),
            waited: AtomicU64::new(0),
            strike: Box::new(strike),
            round,
            gate: Gate::default(),
        }))
    }

    /// Any thread, after what it announces is visible.
    pub fn ring(&self) {
        match self.0.state.swap(RUNG, SeqCst) {
            // Sends come here without any other protection.
            ASLEEP | UNHEARD => uncancelled(|| self.strike()),
            NAPPING => self.0.gate.open(),
            _ => {}
        }
    }

    fn strike(&self) {
        for _ in 0..STRIKES {
            self.0.strikes.fetch_add(1, SeqCst);
            if (self.0.strike)() {
                return;
            }
        }
        // Unless the turner has seen it meanwhile, from another.
        let _ = self.0.state.compare_exchange(RUNG, UNHEARD, SeqCst, SeqCst);
    }

    /// The turner, in place of a kernel wait that the system refuses: sleeps until the bell is
    /// rung, at most for `most`.
    pub fn nap(&self, most: Duration) {
        let until = Instant::now() + most;
        if self.0.state.compare_exchange(AWAKE, NAPPING, SeqCst, SeqCst).is_err() {
            return;
        }
        self.begin_wait();
        // One that was opened late, for an earlier nap, is passed at once.
        while self.0.state.load(SeqCst) == NAPPING && Instant::now() < until {
            self.0.gate.pass(Some(until));
        }
        let _ = self.0.state.compare_exchange(NAPPING, AWAKE, SeqCst, SeqCst);
        self.end_wait();
    }

    /// The turner, just before a kernel wait. False: rung since `hush`, do not block.
    pub fn doze(&self) -> bool {
        let dozes = self.0.state.compare_exchange(AWAKE, ASLEEP, SeqCst, SeqCst).is_ok();
        if dozes {
            self.begin_wait();
        }
        dozes
    }

    /// The turner, just after the kernel wait. Keeps RUNG.
    pub fn rouse(&self) {
        self.end_wait();
        if self.0.state.compare_exchange(ASLEEP, AWAKE, SeqCst, SeqCst) == Err(UNHEARD) {
            let _ = self.0.state.compare_exchange(UNHEARD, RUNG, SeqCst, SeqCst);
        }
    }

    /// Rung and not yet hushed. Asked by who lays a baton down, after it is down.
    pub fn rung(&self) -> bool {
        matches!(self.0.state.load(SeqCst), RUNG | UNHEARD)
    }

    /// The turner, before it takes its commands. False: it was not rung, so there are none.
    pub fn hush(&self) -> bool {
        // It may have been left to a wait of the host's own.
        self.end_wait();
        matches!(self.0.state.swap(AWAKE, SeqCst), RUNG | UNHEARD)
    }

    /// Twice the nanoseconds since the bell was made.
    fn now(&self) -> u64 {
        2 * self.0.born.elapsed().as_nanos() as u64
    }

    fn begin_wait(&self) {
        let waited = self.0.waited.load(Relaxed);
        self.0.waited.store(waited.wrapping_sub(self.now()) | 1, Release);
    }

    #[inline]
    fn end_wait(&self) {
        let waited = self.0.waited.load(Relaxed);
        if waited & 1 != 0 {
            self.0.waited.store((waited & !1).wrapping_add(self.now()), Release);
        }
    }

    /// Nanoseconds that the turner waited, a wait that goes on included. Any thread.
    pub fn waited_ns(&self) -> u64 {
        loop {
            let waited = self.0.waited.load(Acquire);
            if waited & 1 == 0 {
                return waited / 2;
            }
            let so_far = (waited & !1).wrapping_add(self.now()) / 2;
            // The time is one of that wait's.
            if self.0.waited.load(Acquire) == waited {
                return so_far;
            }
        }
    }

    /// System calls made to wake a thread.
    pub fn strikes(&self) -> u64 {
        self.0.strikes.load(SeqCst)
    }

    /// The turner: calls `wait` for as long as `timeout` says, in rounds where a strike may fail.
    /// `wait` answers whether something ended it.
    pub fn rounds(
        &self,
        timeout: Option<Duration>,
        mut wait: impl FnMut(Option<Duration>) -> io::Result<bool>,
    ) -> io::Result<()> {
        let Some(round) = self.0.round.filter(|&round| timeout.is_none_or(|all| all > round))
        else {
            return wait(timeout).map(|_| ());
        };
        let begun = Instant::now();
        loop {
            let left = timeout.map(|timeout| timeout.saturating_sub(begun.elapsed()));
            let next = left.map_or(round, |left| left.min(round));
            if wait(Some(next))? || self.rung() || left.is_some_and(|left| left <= round) {
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;

    /// A bell whose next strikes fail, so many.
    fn bell(failures: &Arc<AtomicUsize>) -> Bell {
        let failures = failures.clone();
        let less = |left: usize| left.checked_sub(1);
        Bell::fallible(move || failures.fetch_update(SeqCst, SeqCst, less).is_err())
    }

    #[test]
    fn a_strike_that_fails_is_tried_again() {
        let failures = Arc::new(AtomicUsize::new(1));
        let bell = bell(&failures);
        assert!(bell.doze());
        bell.ring();
        assert_eq!((bell.strikes(), failures.load(SeqCst)), (2, 0));
        bell.ring();
        assert_eq!(bell.strikes(), 2, "it was heard");
        bell.rouse();
        assert!(bell.hush());
    }

    #[test]
    fn a_ring_that_nobody_hears_is_not_lost() {
        let failures = Arc::new(AtomicUsize::new(STRIKES));
        let bell = bell(&failures);
        assert!(bell.doze());
        bell.ring();
        assert!(bell.rung() && bell.strikes() == STRIKES as u64);
        bell.ring();
        assert_eq!(bell.strikes(), STRIKES as u64 + 1, "the next one strikes anew");
        failures.store(STRIKES, SeqCst);
        bell.rouse();
        assert!(bell.hush() && bell.doze());
        bell.ring();
        bell.rouse();
        assert!(!bell.doze(), "it is kept for the turner");
        assert!(bell.hush() && !bell.rung());
    }

    #[test]
    fn what_was_slept_is_counted() {
        const SLEEP: Duration = Duration::from_millis(5);
        let bell = Bell::new(|| true);
        let slept = |sleeps: &dyn Fn()| {
            let before = bell.waited_ns();
            sleeps();
            Duration::from_nanos(bell.waited_ns() - before)
        };
        let pass = || {
            let begun = Instant::now();
            while begun.elapsed() < SLEEP {}
        };
        let kernel_wait = || {
            if bell.doze() {
                pass();
            }
            bell.rouse();
        };
        assert!(slept(&kernel_wait) >= SLEEP);
        assert!(slept(&|| bell.nap(SLEEP)) >= SLEEP);
        assert_eq!(slept(&pass), Duration::ZERO);
        assert!(bell.doze());
        assert!(slept(&pass) >= SLEEP, "a wait that goes on");
        bell.ring();
        assert!(bell.hush());
        assert_eq!(slept(&pass), Duration::ZERO, "the next turn has begun");
        bell.ring();
        assert_eq!(slept(&kernel_wait), Duration::ZERO, "rung before, so it did not wait");
    }

    #[test]
    fn what_was_slept_never_falls() {
        const READS: usize = 100_000;
        let bell = Bell::new(|| true);
        let begun = Instant::now();
        let done = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(SeqCst) {
                    bell.doze();
                    bell.rouse();
                }
            });
            let mut last = 0;
            for _ in 0..READS {
                let waited = bell.waited_ns();
                assert!(last <= waited && u128::from(waited) <= begun.elapsed().as_nanos());
                last = waited;
            }
            done.store(true, SeqCst);
        });
    }

    #[test]
    fn a_long_wait_is_made_of_rounds() {
        let asked = |bell: &Bell, timeout| {
            let mut asked = Vec::new();
            let wait = |round| {
                asked.push(round);
                if asked.len() == 2 {
                    bell.ring();
                }
                Ok(false)
            };
            bell.rounds(timeout, wait).unwrap();
            asked
        };
        let short = Some(ROUND / 2);
        let bell = Bell::fallible(|| true);
        assert_eq!(asked(&bell, None), [Some(ROUND); 2]);
        assert_eq!(asked(&bell, short), [short]);
        assert_eq!(asked(&Bell::new(|| true), None), [None]);
    }
}

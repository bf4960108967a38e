//! Every lock there is, each with its rank in the order of locks; see `rank.rs`.
//!
//! `Lock` is for a few instructions, taken on every message: one atomic to lock it and none to
//! unlock it, half of what a lock that knows its waiters costs.

use super::rank::{self, Hold, Rank, may_wait};
use spin::mutex::{SpinMutex, SpinMutexGuard};
use spin::relax::RelaxStrategy;
use std::cell::Cell;
use std::hint::spin_loop;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::thread;
use std::time::{Duration, Instant};

/// A lock whose waiters sleep.
pub struct Mutex<R: Rank, T> {
    lock: parking_lot::Mutex<T>,
    _rank: PhantomData<fn(R)>,
}

/// A held `Mutex`.
pub struct MutexGuard<'a, R: Rank, T> {
    // First: it is down before it is counted off.
    guard: parking_lot::MutexGuard<'a, T>,
    hold: Hold<R>,
}

impl<R: Rank, T> Mutex<R, T> {
    /// A lock around `value`.
    pub const fn new(value: T) -> Mutex<R, T> {
        Mutex { lock: parking_lot::Mutex::new(value), _rank: PhantomData }
    }

    /// Waits until no other thread holds it.
    #[inline]
    pub fn lock(&self) -> MutexGuard<'_, R, T> {
        may_wait::<R>();
        MutexGuard { guard: self.lock.lock(), hold: Hold::taken() }
    }

    /// None: another thread holds it.
    #[inline]
    pub fn try_lock(&self) -> Option<MutexGuard<'_, R, T>> {
        self.lock.try_lock().map(|guard| MutexGuard { guard, hold: Hold::taken() })
    }

    /// None: another thread holds it until `until`.
    pub fn try_lock_until(&self, until: Instant) -> Option<MutexGuard<'_, R, T>> {
        may_wait::<R>();
        let guard = self.lock.try_lock_until(until)?;
        Some(MutexGuard { guard, hold: Hold::taken() })
    }

    /// What is in it, without the lock: no other thread has it.
    pub fn get_mut(&mut self) -> &mut T {
        self.lock.get_mut()
    }
}

impl<R: Rank, T: Default> Default for Mutex<R, T> {
    fn default() -> Mutex<R, T> {
        Mutex::new(T::default())
    }
}

impl<R: Rank, T> MutexGuard<'_, R, T> {
    /// Runs `work` with the lock down, and takes it again.
    pub fn unlocked<U>(held: &mut Self, work: impl FnOnce() -> U) -> U {
        let guard = &mut held.guard;
        held.hold.without(|| {
            parking_lot::MutexGuard::unlocked(guard, || {
                let answer = work();
                may_wait::<R>();
                answer
            })
        })
    }

    /// Leaves it locked for ever.
    pub fn forget(held: Self) {
        std::mem::forget(held.guard);
    }
}

impl<R: Rank, T> Deref for MutexGuard<'_, R, T> {
    type Target = T;

    #[inline(always)]
    fn deref(&self) -> &T {
        &self.guard
    }
}

impl<R: Rank, T> DerefMut for MutexGuard<'_, R, T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut T {
        &mut self.guard
    }
}

/// What threads that hold a `Mutex` wait for.
#[derive(Default)]
pub struct Condvar(parking_lot::Condvar);

impl Condvar {
    /// One without waiting threads.
    pub const fn new() -> Condvar {
        Condvar(parking_lot::Condvar::new())
    }

    /// Wakes one of those that wait.
    pub fn notify_one(&self) {
        self.0.notify_one();
    }

    /// Wakes all that wait.
    pub fn notify_all(&self) {
        self.0.notify_all();
    }

    /// Waits to be notified, with the lock down meanwhile.
    pub fn wait<R: Rank, T>(&self, held: &mut MutexGuard<'_, R, T>) {
        self.pause(held, |condvar, guard| condvar.wait(guard));
    }

    /// As `wait`, until `until`. True: it was not notified by then.
    pub fn wait_until<R: Rank, T>(&self, held: &mut MutexGuard<'_, R, T>, until: Instant) -> bool {
        self.pause(held, |condvar, guard| condvar.wait_until(guard, until).timed_out())
    }

    /// As `wait`, for so long. True: it was not notified meanwhile.
    pub fn wait_for<R: Rank, T>(&self, held: &mut MutexGuard<'_, R, T>, time: Duration) -> bool {
        self.pause(held, |condvar, guard| condvar.wait_for(guard, time).timed_out())
    }

    fn pause<'a, R: Rank, T, U>(
        &self,
        held: &mut MutexGuard<'a, R, T>,
        wait: impl FnOnce(&parking_lot::Condvar, &mut parking_lot::MutexGuard<'a, T>) -> U,
    ) -> U {
        let guard = &mut held.guard;
        held.hold.without(|| {
            // It takes the lock again.
            may_wait::<R>();
            wait(&self.0, guard)
        })
    }
}

/// A lock that many may hold to read.
pub struct RwLock<R: Rank, T> {
    lock: parking_lot::RwLock<T>,
    _rank: PhantomData<fn(R)>,
}

/// An `RwLock` held to read.
pub struct ReadGuard<'a, R: Rank, T> {
    guard: parking_lot::RwLockReadGuard<'a, T>,
    _hold: Hold<R>,
}

/// An `RwLock` held to write.
pub struct WriteGuard<'a, R: Rank, T> {
    guard: parking_lot::RwLockWriteGuard<'a, T>,
    _hold: Hold<R>,
}

impl<R: Rank, T> RwLock<R, T> {
    /// A lock around `value`.
    pub const fn new(value: T) -> RwLock<R, T> {
        RwLock { lock: parking_lot::RwLock::new(value), _rank: PhantomData }
    }

    /// Waits until no thread holds it to write, or waits for that.
    #[inline]
    pub fn read(&self) -> ReadGuard<'_, R, T> {
        may_wait::<R>();
        ReadGuard { guard: self.lock.read(), _hold: Hold::taken() }
    }

    /// Waits until no thread holds it.
    pub fn write(&self) -> WriteGuard<'_, R, T> {
        may_wait::<R>();
        WriteGuard { guard: self.lock.write(), _hold: Hold::taken() }
    }
}

impl<R: Rank, T: Default> Default for RwLock<R, T> {
    fn default() -> RwLock<R, T> {
        RwLock::new(T::default())
    }
}

impl<R: Rank, T> Deref for ReadGuard<'_, R, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.guard
    }
}

impl<R: Rank, T> Deref for WriteGuard<'_, R, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.guard
    }
}

impl<R: Rank, T> DerefMut for WriteGuard<'_, R, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.guard
    }
}

/// Held for as long as a small copy takes, never while calling out or waiting.
pub struct Lock<R: Rank, T> {
    lock: SpinMutex<T, Patience>,
    _rank: PhantomData<fn(R)>,
}

/// A held `Lock`.
pub struct LockGuard<'a, R: Rank, T> {
    guard: SpinMutexGuard<'a, T, Patience>,
    _hold: Hold<R>,
}

impl<R: Rank, T> Lock<R, T> {
    /// A lock around `value`.
    pub const fn new(value: T) -> Lock<R, T> {
        Lock { lock: SpinMutex::new(value), _rank: PhantomData }
    }

    /// Waits until no other thread holds it.
    #[inline(always)]
    pub fn lock(&self) -> LockGuard<'_, R, T> {
        may_wait::<R>();
        LockGuard { guard: self.lock.lock(), _hold: Hold::taken() }
    }
}

impl<R: Rank, T: Default> Default for Lock<R, T> {
    fn default() -> Lock<R, T> {
        Lock::new(T::default())
    }
}

impl<R: Rank, T> Deref for LockGuard<'_, R, T> {
    type Target = T;

    #[inline(always)]
    fn deref(&self) -> &T {
        &self.guard
    }
}

impl<R: Rank, T> DerefMut for LockGuard<'_, R, T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut T {
        &mut self.guard
    }
}

/// Of so many looks at a lock that is held, the first few only spin, the last one sleeps.
const LOOKS: u32 = 128;
const SPINS: u32 = 32;
/// Long enough for a holder of a lower priority, which no yielding lets run, to get the processor.
const NAP: Duration = Duration::from_micros(50);

/// What who waits for a `Lock` does: spin, then yield, then sleep, in turns.
struct Patience;

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
    static BED: (Mutex<rank::Bed, ()>, Condvar) = (Mutex::new(()), Condvar::new());
    BED.1.wait_for(&mut BED.0.lock(), NAP);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    // Two of the list, in its order.
    type Lower = Mutex<rank::Staged, u32>;
    type Higher = Mutex<rank::Inbox, u32>;

    /// Whether the check finds something wrong in `work`; release builds check nothing.
    fn is_refused(work: impl FnOnce()) -> bool {
        catch_unwind(AssertUnwindSafe(work)).is_err()
    }

    #[test]
    fn ranks_may_rise() {
        let (lower, higher) = (Lower::default(), Higher::default());
        let _lower = lower.lock();
        let mut held = higher.lock();
        *held += 1;
        assert_eq!(*held, 1);
    }

    #[test]
    #[cfg_attr(debug_assertions, should_panic = "waits for Staged while it holds Inbox")]
    fn a_lower_rank_is_not_taken_while_a_higher_is_held() {
        let (lower, higher) = (Lower::default(), Higher::default());
        let _higher = higher.lock();
        drop(lower.lock());
    }

    #[test]
    #[cfg_attr(debug_assertions, should_panic = "waits for Inbox while it holds Inbox")]
    fn two_of_one_rank_are_not_held() {
        let (one, other) = (Higher::default(), Higher::default());
        let _one = one.lock();
        drop(other.lock());
    }

    #[test]
    #[cfg_attr(debug_assertions, should_panic = "calls the host while it holds Inbox")]
    fn the_host_is_not_called_with_a_lock_held() {
        let lock = Higher::default();
        let _held = lock.lock();
        rank::may_call_out();
    }

    #[test]
    fn a_lock_that_is_down_is_not_held() {
        let (lower, higher) = (Lower::default(), Higher::default());
        let mut held = higher.lock();
        MutexGuard::unlocked(&mut held, || {
            rank::may_call_out();
            drop(lower.lock());
        });
        assert_eq!(is_refused(rank::may_call_out), cfg!(debug_assertions));
        drop(held);
        rank::may_call_out();
        MutexGuard::forget(higher.lock());
        rank::may_call_out();
        assert!(higher.try_lock().is_none());
    }

    #[test]
    fn a_lock_is_held_again_after_a_panic_with_it_down() {
        let lock = Higher::default();
        let mut held = lock.lock();
        assert!(is_refused(|| MutexGuard::unlocked(&mut held, || panic!("as it happens"))));
        assert_eq!(is_refused(rank::may_call_out), cfg!(debug_assertions));
        drop(held);
        rank::may_call_out();
    }

    #[test]
    fn trying_goes_against_the_order_and_counts_as_held() {
        let (lower, higher) = (Lower::default(), Higher::default());
        let held = higher.lock();
        let tried = lower.try_lock();
        assert!(tried.is_some());
        drop(held);
        assert_eq!(is_refused(rank::may_call_out), cfg!(debug_assertions));
        drop(tried);
        rank::may_call_out();
    }

    #[test]
    fn a_wait_takes_its_lock_again_in_order() {
        let (lower, higher, told) = (Lower::default(), Higher::default(), Condvar::new());
        let moment = Duration::from_millis(1);
        let mut held = lower.lock();
        assert!(told.wait_for(&mut held, moment));
        let _higher = higher.lock();
        let refused = is_refused(|| assert!(told.wait_until(&mut held, Instant::now() + moment)));
        assert_eq!(refused, cfg!(debug_assertions));
    }

    #[test]
    fn every_kind_of_lock_is_counted() {
        let shared = RwLock::<rank::ExtraBell, u32>::default();
        let short = Lock::<rank::Arena, u32>::default();
        let refused = |held: &dyn Fn() -> bool| assert_eq!(held(), cfg!(debug_assertions));
        let reading = shared.read();
        refused(&|| is_refused(rank::may_call_out));
        refused(&|| is_refused(|| drop(short.lock())));
        drop(reading);
        *shared.write() += 1;
        let writing = shared.write();
        refused(&|| is_refused(rank::may_call_out));
        drop(writing);
        let held = short.lock();
        refused(&|| is_refused(rank::may_call_out));
        drop(held);
        rank::may_call_out();
    }

    #[test]
    fn a_rank_costs_no_memory() {
        assert_eq!(size_of::<Higher>(), size_of::<parking_lot::Mutex<u32>>());
        assert_eq!(size_of::<Lock<rank::Slot, u32>>(), size_of::<SpinMutex<u32, Patience>>());
        let plain = size_of::<parking_lot::MutexGuard<'_, u32>>();
        assert_eq!(size_of::<MutexGuard<'_, rank::Inbox, u32>>(), plain);
    }
}

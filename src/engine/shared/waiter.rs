//! Who waits for a queue, and who may turn a worker: each in one atomic number, seen as an enum.

use std::num::NonZeroU64;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::*};

/// Who waits for a queue's events.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Waiting {
    /// No thread.
    Nobody,
    /// A poller sleeps; it is to be unparked.
    Parked,
    /// A poller turns the worker of this home, whose bell is to be rung.
    Turning(usize),
    /// A callback takes them; its worker calls it.
    Called,
    /// A poller looks at the queue again and again.
    Looking,
}

/// A `Waiting` that any thread may change.
#[derive(Default)]
pub struct Waiter(AtomicUsize);

const PARKED: usize = 1;
const TURNING: usize = 2;
const CALLED: usize = usize::MAX - 1;
const LOOKING: usize = usize::MAX;

impl Waiting {
    #[inline]
    fn number(self) -> usize {
        match self {
            Waiting::Nobody => 0,
            Waiting::Parked => PARKED,
            Waiting::Turning(home) => TURNING + home,
            Waiting::Called => CALLED,
            Waiting::Looking => LOOKING,
        }
    }
}

impl Waiter {
    /// Who waits now.
    #[inline]
    pub fn get(&self) -> Waiting {
        match self.0.load(SeqCst) {
            0 => Waiting::Nobody,
            PARKED => Waiting::Parked,
            CALLED => Waiting::Called,
            LOOKING => Waiting::Looking,
            turning => Waiting::Turning(turning - TURNING),
        }
    }

    /// From now on this one waits.
    #[inline]
    pub fn set(&self, waiting: Waiting) {
        self.0.store(waiting.number(), SeqCst);
    }

    /// A callback takes no more events, if one did.
    pub fn end_called(&self) {
        let _ = self.0.compare_exchange(CALLED, 0, SeqCst, SeqCst);
    }
}

/// Who may turn a worker whose baton is down.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Owner {
    /// Any thread that takes the baton, or one that has it.
    Anyone,
    /// The thread that left with a live lease, by its number.
    Thread(NonZeroU64),
    /// A host that asked: the lease has no thread as yet.
    Offered,
    /// No thread until there is a call: the worker rests.
    Resting,
}

/// An `Owner` that any thread may change.
#[derive(Default)]
pub struct Ownership(AtomicU64);

const OFFERED: u64 = u64::MAX - 1;
const RESTING: u64 = u64::MAX;

impl Owner {
    /// The calling thread, by its number.
    pub fn thread(number: u64) -> Owner {
        NonZeroU64::new(number).map_or(Owner::Anyone, Owner::Thread)
    }

    fn of(number: u64) -> Owner {
        match number {
            OFFERED => Owner::Offered,
            RESTING => Owner::Resting,
            number => Owner::thread(number),
        }
    }

    fn number(self) -> u64 {
        match self {
            Owner::Anyone => 0,
            Owner::Thread(number) => number.get(),
            Owner::Offered => OFFERED,
            Owner::Resting => RESTING,
        }
    }
}

impl Ownership {
    /// Who it is now.
    #[inline]
    pub fn get(&self) -> Owner {
        Owner::of(self.0.load(SeqCst))
    }

    /// From now on it is this one.
    pub fn set(&self, owner: Owner) {
        self.0.store(owner.number(), SeqCst);
    }

    /// Ends the ownership. Whose it was.
    pub fn take(&self) -> Owner {
        Owner::of(self.0.swap(0, SeqCst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_read_as_it_was_written() {
        let waiter = Waiter::default();
        for waiting in [
            Waiting::Parked,
            Waiting::Turning(0),
            Waiting::Turning(63),
            Waiting::Called,
            Waiting::Looking,
            Waiting::Nobody,
        ] {
            waiter.set(waiting);
            assert_eq!(waiter.get(), waiting);
        }
        waiter.set(Waiting::Parked);
        waiter.end_called();
        assert_eq!(waiter.get(), Waiting::Parked, "no callback's");
        let ownership = Ownership::default();
        for owner in [Owner::thread(1), Owner::Offered, Owner::Resting, Owner::Anyone] {
            ownership.set(owner);
            assert_eq!((ownership.get(), ownership.take()), (owner, owner));
            assert_eq!(ownership.get(), Owner::Anyone);
        }
    }
}

//! A function of the host's that may be changed while it runs.

use crate::buf::Mutex;
use crate::buf::rank::{self, Rank};
use crate::engine::shared::error::Error;
use crate::engine::shared::home::me;
use crate::engine::shared::hook::{Hook, waiting};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::*};

/// The place of a function `F`. No lock is held while it runs, so several threads may run it.
pub struct HostFn<R: Rank, F: ?Sized> {
    place: Mutex<R, Option<Arc<F>>>,
    /// True exactly when there is one, to be read without the lock.
    set: AtomicBool,
    hook: Arc<Hook>,
    /// The thread that changed the function from inside, until it has left; 0: none.
    changer: AtomicU64,
}

impl<R: Rank, F: ?Sized> Default for HostFn<R, F> {
    fn default() -> HostFn<R, F> {
        HostFn {
            place: Mutex::default(),
            set: AtomicBool::new(false),
            hook: Arc::default(),
            changer: AtomicU64::new(0),
        }
    }
}

impl<R: Rank, F: ?Sized> HostFn<R, F> {
    /// Whether there is one.
    #[inline]
    pub fn is_set(&self) -> bool {
        self.set.load(Relaxed)
    }

    /// Has `run` call the function, if there is one. The caller holds no lock.
    pub fn call<T>(&self, run: impl FnOnce(&F) -> T) -> Option<T> {
        let (function, inside) = {
            let place = self.place.lock();
            (place.clone()?, self.hook.enter())
        };
        rank::may_call_out();
        let answer = run(&function);
        drop(inside);
        if self.changer.compare_exchange(me(), 0, SeqCst, SeqCst).is_ok() {
            // Others that are inside may wait for this thread; then it does not wait for them.
            let _ = self.hook.wait();
        }
        Some(answer)
    }

    /// Whether this thread is inside it.
    pub fn is_inside(&self) -> bool {
        self.hook.is_inside()
    }

    /// Who is inside it.
    pub fn hook(&self) -> &Arc<Hook> {
        &self.hook
    }

    /// Changes the function, and runs `also` at the same instant. When it returns, the one that was
    /// there does not run and is never called again; from inside it that is so when it returns.
    /// Refused if that one waits for this thread: then nothing is changed.
    pub fn set(&self, function: Option<Arc<F>>, also: impl FnOnce()) -> Result<(), Error> {
        let inside = self.is_inside();
        let waiting = if inside { Vec::new() } else { waiting([&self.hook])? };
        {
            let mut place = self.place.lock();
            self.set.store(function.is_some(), SeqCst);
            also();
            *place = function;
            self.hook.change();
        }
        if inside {
            self.changer.store(me(), SeqCst);
        } else {
            self.hook.wait_for_old(&waiting);
        }
        Ok(())
    }
}

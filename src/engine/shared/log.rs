//! The log hook: words for the host's own log. There is no logger of ours, and no lock of ours is
//! held while the host's function runs: what is found under one waits until it is down.

use crate::buf::{Mutex, rank};
use crate::engine::shared::error::Error;
use crate::engine::shared::hook::Hook;
use crate::engine::shared::host_fn::HostFn;
use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::*};

/// How much a line matters. The numbers are those of the C ABI.
#[repr(u32)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the C ABI's `sockeye_log_level` documents each")]
pub enum Level {
    Error = 1,
    Warning = 2,
    Info = 3,
}

/// Where lines go.
pub type Sink = dyn Fn(Level, String) + Send + Sync;

/// Lines that wait at most; more are lost.
const LATER_MAX: usize = 64;

/// The hook of one net.
#[derive(Default)]
pub struct Log {
    /// Lines above it are not even written.
    level: AtomicU32,
    sink: HostFn<rank::Sink, Sink>,
    /// Lines that wait until no lock is held.
    later: Mutex<rank::Later, Vec<(Level, String)>>,
    /// True exactly when there are some.
    waits: AtomicBool,
}

impl Log {
    /// Passes a line on, if the host wants it. The caller holds no lock. From inside the host's
    /// function nothing is reported.
    pub fn tell(&self, level: Level, words: impl FnOnce() -> String) {
        if self.wants(level) && !self.sink.is_inside() {
            self.sink.call(|sink| sink(level, words()));
        }
    }

    /// Notes a line, which the next call of `tell_later` passes on, when no lock is held.
    pub fn note(&self, level: Level, words: impl FnOnce() -> String) {
        if self.wants(level) {
            let mut later = self.later.lock();
            if later.len() < LATER_MAX {
                later.push((level, words()));
                self.waits.store(true, SeqCst);
            }
        }
    }

    /// Whether lines wait to be reported.
    #[inline]
    pub fn waits(&self) -> bool {
        self.waits.load(Relaxed)
    }

    /// Passes on what was noted. The caller holds no lock.
    #[inline]
    pub fn tell_later(&self) {
        if self.waits() {
            self.tell_all();
        }
    }

    #[cold]
    fn tell_all(&self) {
        let lines = {
            let mut later = self.later.lock();
            self.waits.store(false, SeqCst);
            mem::take(&mut *later)
        };
        for (level, words) in lines {
            self.tell(level, || words);
        }
    }

    fn wants(&self, level: Level) -> bool {
        level as u32 <= self.level.load(Relaxed)
    }

    /// Whether this thread is inside the host's function.
    pub fn is_inside(&self) -> bool {
        self.sink.is_inside()
    }

    /// Who is inside the host's function.
    pub fn hook(&self) -> &Arc<Hook> {
        self.sink.hook()
    }

    /// Changes the function, as `HostFn::set`.
    pub fn set(&self, sink: Option<Arc<Sink>>, level: u32) -> Result<(), Error> {
        let level = if sink.is_some() { level } else { 0 };
        self.sink.set(sink, || self.level.store(level, Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg_attr(debug_assertions, should_panic = "calls the host while it holds Slot")]
    fn no_lock_is_held_while_the_function_runs() {
        let log = Log::default();
        assert!(log.set(Some(Arc::new(|_, _| {})), Level::Info as u32).is_ok());
        log.tell(Level::Info, || "with nothing held".into());
        let lock = Mutex::<rank::Slot, ()>::default();
        let _held = lock.lock();
        log.tell(Level::Info, || "with a lock held".into());
    }
}

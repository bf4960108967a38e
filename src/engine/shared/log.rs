//! The log hook: words for the host's own log. There is no logger of ours, and no lock of ours is
//! held while the host's function runs: what is found under one waits until it is down.

use crate::buf::{Mutex, rank};
use crate::engine::shared::home::me;
use crate::engine::shared::hook::Hook;
use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::*};

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
pub type Sink = Arc<dyn Fn(Level, String) + Send + Sync>;

/// Lines that wait at most; more are lost.
const LATER_MAX: usize = 64;

/// The hook of one net.
#[derive(Default)]
pub struct Log {
    /// Lines above it are not even written.
    level: AtomicU32,
    sink: Mutex<rank::Sink, Option<Sink>>,
    hook: Arc<Hook>,
    /// The thread that changed the function from inside, until it has left; 0: none.
    changer: AtomicU64,
    /// Lines that wait until no lock is held.
    later: Mutex<rank::Later, Vec<(Level, String)>>,
    /// True exactly when there are some.
    waits: AtomicBool,
}

impl Log {
    /// Passes a line on, if the host wants it. The caller holds no lock. From inside the host's
    /// function nothing is reported.
    pub fn tell(&self, level: Level, words: impl FnOnce() -> String) {
        if !self.wants(level) || self.hook.is_inside() {
            return;
        }
        let (sink, inside) = {
            let sink = self.sink.lock();
            let Some(sink) = sink.clone() else { return };
            (sink, self.hook.enter())
        };
        let words = words();
        rank::may_call_out();
        sink(level, words);
        drop(inside);
        if self.changer.compare_exchange(me(), 0, SeqCst, SeqCst).is_ok() {
            // Others that are inside may wait for this thread; then it does not wait for them.
            let _ = self.hook.wait();
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

    /// Who is inside the host's function.
    pub fn hook(&self) -> &Arc<Hook> {
        &self.hook
    }

    /// Changes the function. When it returns, the one that was there does not run and is never
    /// called again; from inside it that is so when it returns. Refused if that one waits for this
    /// thread: then nothing is changed.
    pub fn set(
        &self,
        sink: Option<Sink>,
        level: u32,
    ) -> Result<(), crate::engine::shared::error::Error> {
        let inside = self.hook.is_inside();
        let waiting =
            if inside { Vec::new() } else { crate::engine::shared::hook::waiting([&self.hook])? };
        {
            let mut place = self.sink.lock();
            self.level.store(if sink.is_some() { level } else { 0 }, Relaxed);
            *place = sink;
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

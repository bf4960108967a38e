//! The log hook: words for the host's own log. There is no logger of ours, and nothing is told
//! while a lock of a connection, a queue or an inbox is held.

use parking_lot::{Mutex, RwLock};
use std::cell::Cell;
use std::sync::atomic::{AtomicU32, Ordering::*};

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
pub type Sink = Box<dyn Fn(Level, String) + Send + Sync>;

/// The hook of one net.
#[derive(Default)]
pub struct Log {
    /// Lines above it are not even written.
    level: AtomicU32,
    /// Read while the host's function runs, so that whoever takes it away waits for its end.
    sink: RwLock<Option<Sink>>,
    /// Set from inside the host's function: takes its place when that returns.
    next: Mutex<Option<Option<Sink>>>,
}

thread_local! {
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread is inside a host's log function.
pub fn inside() -> bool {
    INSIDE.get()
}

impl Log {
    /// Tells a line, if the host wants it. From inside its function nothing is told.
    pub fn tell(&self, level: Level, words: impl FnOnce() -> String) {
        if level as u32 > self.level.load(Relaxed) || inside() {
            return;
        }
        {
            let sink = self.sink.read();
            if let Some(sink) = &*sink {
                INSIDE.set(true);
                sink(level, words());
                INSIDE.set(false);
            }
        }
        let next = self.next.lock().take();
        if let Some(next) = next {
            *self.sink.write() = next;
        }
    }

    /// Changes the hook. When it returns, the function that was there does not run and is never
    /// called again; from inside it that is so when it returns.
    pub fn set(&self, sink: Option<Sink>, level: u32) {
        self.level.store(if sink.is_some() { level } else { 0 }, Relaxed);
        if inside() {
            *self.next.lock() = Some(sink);
        } else {
            *self.sink.write() = sink;
        }
    }
}

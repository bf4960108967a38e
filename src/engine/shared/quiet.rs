//! Faults that are caught are not written to the host's stderr.

use crate::io::os::sys;
use std::cell::{Cell, RefCell};
use std::panic;
use std::sync::Once;

thread_local! {
    static OURS: Cell<bool> = const { Cell::new(false) };
    static WORDS: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Keeps panics of ours quiet from now on. In a shared library the Rust runtime is our own, and
/// so is every panic of it; else others use it too, and the hook that was there is asked for all
/// that do not come out of `caught`.
pub fn hush() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let (all, before) = (sys::is_shared_library(), panic::take_hook());
        panic::set_hook(Box::new(move |info| {
            if OURS.try_with(Cell::get).unwrap_or(false) {
                let _ = WORDS.try_with(|words| *words.borrow_mut() = info.to_string());
            } else if !all {
                before(info);
            }
        }));
    });
}

/// Runs code of ours alone. An error: it panicked, with these words.
pub fn caught<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    let before = OURS.replace(true);
    let answer = panic::catch_unwind(panic::AssertUnwindSafe(work));
    OURS.set(before);
    answer.map_err(|_| WORDS.take().replace('\n', " "))
}

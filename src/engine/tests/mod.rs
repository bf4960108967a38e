//! The engine over a simulated network.

use crate::session::Millis;
use std::cell::Cell;

thread_local! {
    static NOW: Cell<Option<Millis>> = const { Cell::new(None) };
}

/// The time that the test of this thread gave the nets that it turns; None: the system's.
pub fn now() -> Option<Millis> {
    NOW.get()
}

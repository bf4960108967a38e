//! What a try of an operation leaves.

use crate::io::op::{Op, Outcome};
use std::time::Duration;

/// When the system was short of buffers, the next try.
pub const LATER: Duration = Duration::from_millis(10);

/// What a try left.
pub(in crate::io) enum Tried {
    Done(Outcome),
    Blocked(Op),
    /// No memory to receive into.
    Starved(Op),
    /// The system is short of memory for a moment; no report says when that is over.
    Later(Op),
}

//! A worker's walk over the members of groups.

use crate::engine::shared::groups::deliver::Delivery;
use crate::io::Token;

/// How far this worker is with what was sent to groups.
#[derive(Default)]
pub struct FanOut {
    /// There may be more for this worker.
    pub wanted: bool,
    /// In the middle of the members of one.
    pub now: Option<Delivery>,
    /// The number of the last one that it has given.
    pub last: u64,
    /// Members that were given something in this turn.
    pub given: Vec<Token>,
}

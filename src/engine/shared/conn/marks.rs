//! Where a connection stands: on which lists, and what was asked of it.

/// True exactly when it stands there, or that was asked.
#[derive(Default)]
pub struct Marks {
    /// A command to look at it is on its way.
    pub dirty: bool,
    /// The host does not want to receive from it.
    pub paused: bool,
    /// On its worker's list of those that wait for the queue to be drained.
    pub stalled: bool,
    /// On a list of those to be parsed later: its budget of a turn is used up, or memory.
    pub hungry: bool,
    /// Its worker is in the middle of a turn with it: no other takes it over.
    pub claimed: bool,
    /// It was accepted by another worker, whose listener counts it until it is reported.
    pub handed: bool,
    /// The next address is tried when the model has given this one's socket back.
    pub redial: bool,
}

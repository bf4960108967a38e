//! How far a connection is on its way to another queue; `worker/moves.rs` has the steps.

/// Where a connection lives while it is between two queues.
#[derive(Default)]
pub struct Move {
    pub stage: Moving,
    /// The queue that it goes to, and while it arrives the one that it came from.
    pub other_queue: u8,
    /// True exactly when its worker serves another queue than its own.
    pub abroad: bool,
}

/// How far a move is; see the module.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Debug, Default)]
pub enum Moving {
    /// There is none.
    #[default]
    No,
    /// The host asked; its worker is still to report MOVED on the old queue.
    Asked,
    /// MOVED was emitted on the old queue, and its batch is not over.
    Left,
    /// That batch has ended: the worker is to have the model give the socket back.
    Due,
    /// The model was asked to let go.
    Leaving,
    /// A worker of the new queue is to report MOVED there.
    Arriving,
    /// It goes nowhere: the host takes the socket back, and its worker is to have the model let go.
    Parting,
}

impl Moving {
    /// Between the two MOVED: nothing may be reported.
    #[inline]
    pub fn is_quiet(self) -> bool {
        self > Moving::Asked
    }
}

//! How far a connection is on its way to another queue; `worker/moves.rs` has the steps.

/// How far a move is; see the module.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Debug, Default)]
pub enum Moving {
    #[default]
    No,
    Asked,
    Left,
    Due,
    Leaving,
    Arriving,
}

impl Moving {
    /// Between the two MOVED: nothing may be told.
    #[inline]
    pub fn is_quiet(self) -> bool {
        self > Moving::Asked
    }
}

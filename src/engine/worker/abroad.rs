//! Connections that live with a worker of another queue than their own; see `moves.rs`.

/// Connections of a worker whose events go to another queue than its own.
#[derive(Default)]
pub struct Abroad {
    /// Those whose socket lives here.
    pub count: usize,
    /// The turn's events may have some of theirs among them.
    pub told: bool,
}

//! What a wait that failed means.

/// What an error of a turn means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wait {
    /// Nothing: a signal came, or the time was over.
    Again,
    /// The system is short of something. The worker tries again after a while.
    Passing,
    /// The model cannot wait any more.
    Fatal,
}

//! What all Unix systems share.

pub mod doorbell;
pub mod local;
pub mod poll;
pub mod sys;

//! What only Windows has.

pub mod datagrams;
pub mod doorbell;
pub mod event_select;
pub mod local;
pub mod poll;
pub mod reactor;
pub mod select;
pub mod sys;

//! What all Unix systems share.

pub mod datagrams;
pub mod descriptor;
pub mod doorbell;
pub mod errors;
mod futex;
pub mod host;
pub mod local;
mod mapper;
pub mod options;
mod pktinfo;
pub mod poll;
pub mod reactor;
pub mod select;
pub mod sys;
pub mod tcp;
#[cfg(test)]
mod tests;

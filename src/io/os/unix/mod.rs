//! What all Unix systems share.

pub mod datagrams;
pub mod doorbell;
pub mod host;
pub mod local;
mod mapper;
mod pktinfo;
pub mod poll;
pub mod reactor;
pub mod select;
pub mod sys;
#[cfg(test)]
mod tests;

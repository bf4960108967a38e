//! What only Windows has.

pub mod datagrams;
pub mod descriptor;
pub mod doorbell;
pub mod errors;
pub mod event_select;
mod futex;
pub mod host;
pub mod iocp;
pub mod local;
pub mod options;
pub mod overlapped;
pub mod overlapped_event;
pub mod overlapped_routine;
pub mod pktinfo;
pub mod poll;
pub mod reactor;
pub mod select;
pub mod sys;
pub mod tcp;

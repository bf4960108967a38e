//! The system: sockets and the models that watch them. The only room that may say `libc`,
//! `windows_sys` or `io_uring`; platform cfg lives in `os/` and `model.rs` alone.

pub mod bell;
pub mod blocking;
mod common;
pub mod datagram;
pub mod emulated;
pub mod gate;
pub mod http;
pub mod model;
pub mod op;
pub mod os;
pub mod pages;
pub mod proactor;
pub mod readiness;
#[cfg(test)]
pub mod sim;
pub mod tap;
pub mod threads;
pub mod tokio;

pub use bell::Bell;
pub use common::wait::Wait;
pub use datagram::{ADDRESS_BYTES, Arrival, DATAGRAM_MAX_BYTES, DATAGRAMS_MAX, Datagram};
pub use datagram::{as_v6, canonical};
pub use gate::Gate;
pub use model::{Model, Probe, Visit};
pub use op::{Accepted, Completion, LANES, Lane, Look, Op, Outcome, Role, Token};
pub use pages::Pages;
pub use proactor::{Affinity, LetGo, Proactor, Setup};
pub use tap::weather::{Way, Weather};

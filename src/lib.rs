//! Sockeye: a socket core for C and C++ hosts.
//!
//! The map of the house. A room may name only those to its right:
//!
//! ```text
//! capi → engine → { session , io } → buf
//! ```
//!
//! * [`capi`]: every type and function that C sees, and no logic; `include/sockeye.h` is made of
//!   it.
//! * [`engine`]: nets, workers, queues: the one place where a completion meets a session. Read
//!   `engine/worker/turn.rs` first: one turn of a worker is one page.
//! * [`session`]: a byte stream cut into messages; no input, output, clock or thread.
//! * [`io`]: the models of the operating systems behind one contract, `io/proactor.rs`.
//! * [`buf`]: memory between the socket and the host.

pub mod buf;
pub mod capi;
pub mod engine;
pub mod io;
pub mod session;

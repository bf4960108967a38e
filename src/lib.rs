//! Sockeye: a socket core for C and C++ hosts.
//!
//! The map of the house. A room may name only those to its right:
//!
//! ```text
//! capi → engine → { transport , session , io } → buf
//! ```
//!
//! * [`capi`]: every type and function that C sees, and no logic; `include/sockeye.h` is made of
//!   it.
//! * [`engine`]: nets, workers, queues: the one place where a completion meets a session. Inside of
//!   it the doors are `host → shared ← worker`. Read `engine/worker/turn.rs` first: one turn of a
//!   worker is one page.
//! * [`transport`]: many connections behind one datagram socket; no input, output, clock or thread.
//! * [`session`]: a byte stream cut into messages; no input, output, clock or thread.
//! * [`io`]: the models of the operating systems behind one contract, `io/proactor.rs`.
//! * [`buf`]: memory between the socket and the host.
//!
//! The words of the house:
//!
//! * **net**: everything between one `sockeye_init` and `sockeye_free`.
//! * **listener**, **conn**: what accepts; one connection. A handle names either, with a
//!   generation.
//! * **worker**: a model and its decisions, turned by one thread at a time; a *home* is what others
//!   see of it.
//! * **turn**: take commands, send, wait once, apply, publish.
//! * **baton**: the right to turn a worker. A *lease* is how long its thread leaves it to the host.
//! * **lane**: one direction of a socket, with at most one operation in flight.
//! * **layer**: what stands between a stream's bytes and its messages, such as an encryption.
//! * **model**: one of the operating system's ways to do input and output.
//! * **queue**: events on their way to the host.
//! * **bell**: what ends a worker's wait.
//! * **outbox**: what was accepted to be sent and is not sent. A *train* is what one call takes of
//!   it.
//! * **carrier**: a transport with its datagram socket. A connection that is *carried* has a stream
//!   of it in place of a socket.
//! * **chunk**: a block of memory that is filled once and read by many slices.

// What the crate's tests share with those that link it names it as they do.
#[cfg(test)]
extern crate self as sockeye;

pub mod buf;
pub mod capi;
pub mod engine;
pub mod io;
pub mod session;
pub mod transport;

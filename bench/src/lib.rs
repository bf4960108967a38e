//! Measures a server by what an echo costs it.
//!
//! - `pattern`: the messages, and the verifier that every byte of an echo passes.
//! - `load`: a load generator, a process of its own: closed loop, one thread.
//! - `hold`: a process that only holds connections.
//! - `process`: child processes on one processor, their CPU clocks, stopping and going on.
//! - `peers`: the servers that are compared.
//! - `messages`, `memory`, `idle`: what is measured.
//! - `stats`, `table`: what is made of it.
//!
//! Slices: all servers of a workload live at once, each with its own load generator, and only one
//! of these runs at a time, for 50 ms, in random order. A machine that drifts then drifts under
//! all of them, and the ratio is formed inside one round.

pub mod pattern;
pub mod stats;
pub mod table;

#[cfg(target_os = "linux")]
pub mod counter;
#[cfg(target_os = "linux")]
pub mod hold;
#[cfg(target_os = "linux")]
pub mod idle;
#[cfg(target_os = "linux")]
pub mod load;
#[cfg(target_os = "linux")]
pub mod memory;
#[cfg(target_os = "linux")]
pub mod messages;
#[cfg(target_os = "linux")]
pub mod net;
#[cfg(target_os = "linux")]
pub mod peers;
#[cfg(target_os = "linux")]
pub mod process;

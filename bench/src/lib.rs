//! Measures servers by what their work costs, side by side.
//!
//! - `pattern`: the messages, and the verifier that every byte of an echo passes.
//! - `load`: a load generator, a process of its own, one thread; `hold`: one that only holds
//!   connections, `crowd`: strangers that hold unfinished frames, `knocks`: peers that are refused.
//! - `wire`: TLS and WebSocket on the side of the load generator.
//! - `process`, `procfs`: child processes on one processor, their clocks, stopping and going on.
//! - `peers`, `workloads`: the servers that are compared, and what they are loaded with.
//! - `lanes`: what needs no connections: lanes of datagrams beside libenet.
//! - `slices`: the servers of a workload in turns; `memory`, `idle`, `clocks`, `strangers`,
//!   `guard`: what needs no turns.
//! - `figures`, `stats`: what is made of it; `report`, `table`, `charts`, `docs`: how it is
//!   reported.
//! - `run`: all of this in one go; `sanitize`: the servers under the sanitizers.
//!
//! Slices: all servers of a workload live at once, each with its own load generator, and only one
//! of these runs at a time, in random order. A machine that drifts then drifts under all of them,
//! and a ratio is formed inside one round.

// The servers need epoll, and the harness /proc and processors to pin to.
#![cfg(target_os = "linux")]

pub mod charts;
pub mod clocks;
pub mod counter;
pub mod crowd;
pub mod docs;
pub mod figures;
pub mod guard;
pub mod hold;
pub mod idle;
pub mod knocks;
pub mod lanes;
pub mod load;
pub mod machine;
pub mod memory;
pub mod net;
pub mod pattern;
pub mod peers;
pub mod process;
pub mod procfs;
pub mod report;
pub mod run;
pub mod sanitize;
pub mod slices;
pub mod stats;
pub mod strangers;
pub mod table;
pub mod wire;
pub mod workloads;

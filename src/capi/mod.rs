//! The C ABI: every type and function that C sees, and no logic. One file per C noun; `build.rs`
//! names them in the order of the header.
#![allow(non_camel_case_types)]
#![allow(clippy::missing_safety_doc, reason = "the NULL and Ownership lines of the header are it")]

pub mod address;
pub mod admit;
pub mod allocator;
pub mod boundary;
pub mod buffer;
pub mod callback;
pub mod config;
pub mod conn;
pub mod datagram;
pub mod descriptor;
pub mod endpoint;
pub mod event;
pub mod fault;
pub mod group;
pub mod guard;
pub mod http;
pub mod lanes;
pub mod listener;
pub mod log;
pub mod message;
pub mod metrics;
pub mod model;
pub mod net;
pub mod queue;
pub mod resolve;
pub mod stats;
pub mod status;
pub mod tcp;
pub mod thread;
pub mod timer;
pub mod tls;
pub mod token;
pub mod words;

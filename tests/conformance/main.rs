//! One behaviour on every model and in every driving mode, over the C ABI.
//!
//! The names say what runs: `lifecycle::epoll::host0::closed_once` is the theme, the model, the
//! driving mode and the rule. A model is added by one line in `for_models`.

#[path = "../common/mod.rs"]
mod common;

mod batch;
mod bounds;
mod buffers;
mod callbacks;
mod close;
mod connect;
mod drive;
mod facts;
mod fair;
mod framing;
mod gather;
mod handles;
mod hosts;
mod keys;
mod lifecycle;
mod local;
mod log;
mod message;
mod moves;
mod overflow;
mod parity;
mod pause;
mod queues;
mod quiet;
mod rest;
mod send;
mod shutdown;
mod spin;
mod storm;
mod timeouts;
mod trouble;
mod waiting;

//! One behaviour on every model and in every driving mode, over the C ABI.
//!
//! The names say what runs: `lifecycle::epoll::host0::closed_once` is the theme, the model, the
//! driving mode and the rule. A model is added by one line in `for_models`.

#[path = "../common/mod.rs"]
mod common;

mod any;
mod batch;
mod bounds;
mod buffers;
mod bulk;
mod callbacks;
mod carried;
mod carried_ends;
mod carried_trouble;
mod circles;
mod close;
mod connect;
mod datagram_ends;
// Networks and sandboxes of Linux.
#[cfg(unix)]
mod datagram_source;
// What Linux tells of datagrams: reports of the network, and what it dropped.
#[cfg(unix)]
mod datagram_trouble;
mod datagrams;
// What a descriptor is, is of Unix.
#[cfg(unix)]
mod descriptors;
mod drive;
mod ends;
#[cfg(unix)]
mod ends_unix;
mod eyeballs;
mod facts;
mod failed_connects;
mod fair;
mod families;
mod faults;
mod framing;
mod gather;
mod goodbyes;
mod groups;
mod guard;
mod half_open;
mod handles;
mod hosts;
mod io_uring;
mod keys;
mod lanes;
mod lanes_tokens;
// What stops a process is of Unix.
#[cfg(unix)]
mod lateness;
mod layers;
mod lifecycle;
mod lifetimes;
mod limits;
mod lines;
mod listen;
#[cfg(unix)]
mod local;
mod log;
mod memory;
mod message;
mod moves;
mod names;
mod overflow;
mod parity;
mod pause;
mod proxied;
mod queues;
mod quiet;
mod repeats;
mod rest;
mod send;
mod shutdown;
mod sources;
mod spin;
mod steps;
mod storm;
mod taps;
mod taps_datagrams;
mod timeouts;
mod timers;
mod tls;
#[cfg(unix)]
mod tls_openssl;
#[cfg(unix)]
mod trouble;
#[cfg(unix)]
mod unix_host;
mod waiting;
mod web;

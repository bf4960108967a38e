//! What the host's calls and the workers both touch.

pub mod callback;
pub mod config;
pub mod conn;
pub mod core;
pub mod datagrams;
pub mod error;
pub mod home;
pub mod hook;
pub mod kept;
pub mod log;
pub mod queue;
pub mod quiet;
pub mod resolve;
pub mod table;
pub mod tags;

//! What the host's calls and the workers both touch.

pub mod callback;
pub mod calling;
pub mod config;
pub mod conn;
pub mod core;
pub mod counters;
pub mod crew;
pub mod datagrams;
pub mod delivery;
pub mod ending;
pub mod error;
pub mod event;
pub mod home;
pub mod hook;
pub mod kept;
pub mod listener;
pub mod log;
pub mod placing;
pub mod pressure;
pub mod queue;
pub mod quiet;
pub mod reminder;
pub mod resolve;
pub mod table;
pub mod tags;
pub mod waiter;

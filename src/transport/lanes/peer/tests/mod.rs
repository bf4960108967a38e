//! The protocol, without keys and addresses.

mod cost;
mod network;
mod promises;
mod properties;

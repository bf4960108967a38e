//! The protocol, without keys and addresses.

mod network;
mod promises;
mod properties;

//! The protocol, without keys and addresses.

mod cost;
mod frames;
mod network;
mod path;
mod promises;
mod properties;
mod rules;
mod vectors;

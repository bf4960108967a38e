//! `game://`: encrypted reliable and unreliable lanes over datagrams.
//!
//! Read `docs/lanes.md` for the wire. `envelope` is the packet: tokens, handshake, encryption and
//! replay protection, which are netcode's. `peer` is what stands in a packet once a connection is
//! up: messages in lanes, acknowledgements. `recovery` decides what was lost and how fast to send.

pub mod envelope;
pub mod peer;
pub mod recovery;

/// Microseconds of a clock that only goes forward; its zero is the net's start.
pub type Micros = u64;

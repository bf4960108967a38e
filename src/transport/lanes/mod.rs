//! `game://`: encrypted reliable and unreliable lanes over datagrams.
//!
//! Read `docs/lanes.md` for the wire. `envelope` is the packet: tokens, handshake, encryption and
//! replay protection, which are netcode's. `peer` is what stands in a packet once a connection is
//! up: messages in lanes, acknowledgements. `recovery` decides what was lost and how fast to send.
//! `Lanes` puts them together: many connections behind one datagram socket.

mod endpoint;
pub mod envelope;
mod options;
mod peer;
mod recovery;
#[cfg(test)]
mod sim;

pub use endpoint::Lanes;
pub use options::{Key, LANES_MAX, LaneKind, LaneOptions, Options, Seed, control_from_number};
pub use recovery::Control;

use std::collections::VecDeque;

/// Adds to a queue that seldom has more than one: it has no more places than that at first, for
/// thousands of idle connections keep theirs.
fn push<T>(queue: &mut VecDeque<T>, item: T) {
    if queue.capacity() == 0 {
        queue.reserve_exact(1);
    }
    queue.push_back(item);
}

/// Microseconds of a clock that only goes forward; its zero is the net's start.
pub type Micros = u64;

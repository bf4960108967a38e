//! The keys of one connection, and what came over it.

use super::packet::{self, Kind, Opened};
use super::replay::Replay;
use super::{Keys, Reason};

/// Seals what one end of a connection sends, and opens what it receives.
pub struct Session {
    keys: Keys,
    protocol_id: u64,
    /// The number of the next packet that is sent.
    pub next: u64,
    replay: Replay,
}

impl Session {
    /// That of a connection over which nothing was sent.
    pub fn new(keys: Keys, protocol_id: u64) -> Session {
        Session { keys, protocol_id, next: 0, replay: Replay::default() }
    }

    /// Seals a packet into the front of `out`, which has `OVERHEAD_MAX` bytes more than `payload`,
    /// and answers its length. `id` is what a `Wide` packet has. No two packets have the same
    /// `sequence`, which is below 2^63; the caller counts with `next`.
    pub fn seal(
        &self,
        kind: Kind,
        id: Option<u64>,
        sequence: u64,
        payload: &[u8],
        out: &mut [u8],
    ) -> usize {
        packet::seal(&self.keys.send, self.protocol_id, (kind, id), sequence, payload, out)
    }

    /// Opens a packet in place. One that fails may have been written to, and is not remembered.
    pub fn open(&mut self, packet: &mut [u8]) -> Result<Opened, Reason> {
        packet::open(&self.keys.receive, self.protocol_id, &mut self.replay, packet)
    }
}

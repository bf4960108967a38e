//! Common memory for small sends: what many connections are sent in one tick lies side by side,
//! so that it costs no allocation and little cache.

use super::chunk::Chunk;
use super::lock::Lock;
use super::part::Part;
use super::pool::{ARENA_BYTES, Pool, Purpose};
use super::rank;

/// A chunk that is given away part by part.
pub struct Arena {
    pool: Pool,
    chunk: Lock<rank::Arena, Option<Chunk>>,
}

impl Arena {
    /// An arena that takes its chunks from `pool`.
    pub fn new(pool: Pool) -> Arena {
        Arena { pool, chunk: Lock::new(None) }
    }

    /// A part with `len` bytes of room, at most `ARENA_BYTES`. None: the pool is at its bound.
    pub fn part(&self, len: usize) -> Option<Part> {
        let mut place = self.chunk.lock();
        if let Some(chunk) = &mut *place {
            if chunk.room() < len {
                chunk.rewind();
            }
            if chunk.room() >= len {
                return Some(chunk.part(len));
            }
        }
        let chunk = place.insert(self.pool.take_for(ARENA_BYTES, Purpose::Send)?);
        Some(chunk.part(len))
    }
}

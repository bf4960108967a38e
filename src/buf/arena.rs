//! Common memory for small sends: what many connections are sent in one tick lies side by side,
//! so that it costs no allocation and little cache.

use super::chunk::{Chunk, Slice};
use super::pool::{ARENA_BYTES, Pool};
use parking_lot::Mutex;

/// A chunk that several threads fill one after the other.
pub struct Arena {
    pool: Pool,
    chunk: Mutex<Option<Chunk>>,
}

/// Where the bytes went.
pub enum Written {
    /// Behind the slice that was given, which grew.
    Behind,
    /// To a slice of their own.
    Apart(Slice),
    /// Nowhere: the pool is at its bound.
    Full,
}

impl Arena {
    /// An arena that takes its chunks from `pool`.
    pub fn new(pool: Pool) -> Arena {
        Arena { pool, chunk: Mutex::new(None) }
    }

    /// Copies `head` and `body`, which are together no larger than a chunk, behind `last` if that
    /// is the last thing written here.
    pub fn write(&self, last: Option<&mut Slice>, head: &[u8], body: &[u8]) -> Written {
        let wire = head.len() + body.len();
        let mut place = self.chunk.lock();
        if let Some(chunk) = &mut *place
            && chunk.room() >= wire
        {
            if let Some(last) = last
                && chunk.extend(last, head)
            {
                chunk.extend(last, body);
                return Written::Behind;
            }
            return Written::Apart(chunk.write_both(head, body));
        }
        let Some(chunk) = self.pool.take(ARENA_BYTES) else { return Written::Full };
        let chunk = place.insert(chunk);
        Written::Apart(chunk.write_both(head, body))
    }
}

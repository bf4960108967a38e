//! How much one turn of a worker receives, and the chunk that it receives to.

use crate::buf::{CHUNK_BYTES, Chunk};
use crate::io::op::{Completion, Outcome};
use crate::io::proactor::Setup;

/// A shared receive chunk with less room is given up. Large enough that a full one rarely cuts a
/// message, small enough that little is lost.
pub const SPARE_MIN: usize = 16 * 1024;
/// Received in one turn, or little more: what the host copies and the next turn sends is to be in
/// the processor's cache still.
pub const TURN_BYTES: usize = 4 * CHUNK_BYTES;
/// A receive into a frame's own memory with so much room is one of many of a long frame. It comes
/// behind all others, so that short messages do not wait for long ones.
pub const LONG_ROOM: usize = CHUNK_BYTES / 2;
/// Received in one turn of long frames, or little more; but one receive at least.
pub const LONG_BYTES: usize = CHUNK_BYTES;

/// Bytes that a completion brings.
pub(in crate::io) fn received(completion: &Completion) -> usize {
    match &completion.outcome {
        Outcome::Received(Ok(slice), _) => slice.len(),
        Outcome::ReceivedFrom(Ok(all)) => all.iter().map(|arrival| arrival.data.len()).sum(),
        _ => 0,
    }
}

/// The shared chunk, a new one when its room is small. None: no memory.
#[inline(always)]
pub fn with_room<'a>(shared: &'a mut Option<Chunk>, setup: &Setup) -> Option<&'a mut Chunk> {
    if shared.as_ref().is_none_or(|chunk| chunk.room() < SPARE_MIN) {
        *shared = None;
        *shared = setup.pool.take(CHUNK_BYTES);
    }
    shared.as_mut()
}

//! Part: where small sends are gathered, side by side with those of other connections.

use super::block::Block;
use super::chunk::Slice;
use std::mem;
use std::ptr::NonNull;

/// A run of bytes that grows at its end, until it is lent to be sent. Invariant: the `room` bytes
/// behind it are this part's alone; there is none without a block.
#[derive(Default)]
pub struct Part {
    /// One reference. None while it is lent, and for a part of nothing.
    block: Option<NonNull<Block>>,
    start: u32,
    len: u32,
    room: u32,
    /// Messages that end in it, as its owner counts them.
    pub messages: u32,
}

// A connection has one in place.
const _: () = assert!(size_of::<Part>() <= 24);

// SAFETY: the bytes behind it are reached through this value only, the others are frozen.
unsafe impl Send for Part {}
// SAFETY: a shared Part only gives its numbers.
unsafe impl Sync for Part {}

impl Part {
    /// Takes one reference of `block`, and `room` bytes from `start` that are not shared.
    #[inline(always)]
    pub(super) fn new(block: NonNull<Block>, start: u32, room: u32) -> Part {
        Part { block: Some(block), start, len: 0, room, messages: 0 }
    }

    /// A part whose bytes are elsewhere, as if they had been lent.
    pub fn elsewhere(len: u32) -> Part {
        Part { len, ..Part::default() }
    }

    /// Bytes written and not dropped.
    #[inline(always)]
    pub fn len(&self) -> u32 {
        self.len
    }

    /// Whether it has no bytes.
    #[inline(always)]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes that can still be written.
    #[inline(always)]
    pub fn room(&self) -> usize {
        self.room as usize
    }

    /// Copies `bytes` behind what is written. The caller has looked at `room`.
    #[inline(always)]
    pub fn write(&mut self, bytes: &[u8]) {
        assert!(bytes.len() <= self.room(), "the caller has looked at the room");
        let Some(block) = self.block else { return };
        let end = (self.start + self.len) as usize;
        // SAFETY: `room` bytes from `end` are within the block and this part's, `bytes` are others.
        unsafe {
            let (from, to) = (bytes.as_ptr(), Block::bytes(block).add(end));
            match bytes.len() {
                // A header; for so little a call costs more than the copy.
                4 => std::ptr::copy_nonoverlapping(from, to, 4),
                2 => std::ptr::copy_nonoverlapping(from, to, 2),
                len => std::ptr::copy_nonoverlapping(from, to, len),
            }
        };
        self.len += bytes.len() as u32;
        self.room -= bytes.len() as u32;
    }

    /// Gives the room up.
    pub fn seal(&mut self) {
        self.room = 0;
    }

    /// Whether its bytes are elsewhere.
    pub fn is_lent(&self) -> bool {
        self.block.is_none() && self.len > 0
    }

    /// What was written, to be sent; the room is given up. It comes back with `restore`.
    #[inline(always)]
    pub fn lend(&mut self) -> Slice {
        self.room = 0;
        Slice { block: self.block.take(), start: self.start, len: self.len }
    }

    /// Takes back what was lent.
    #[inline(always)]
    pub fn restore(&mut self, mut slice: Slice) {
        debug_assert!(self.block.is_none() && self.room == 0, "it was lent");
        debug_assert_eq!(self.len as usize, slice.len(), "as it was lent");
        (self.block, self.start, self.len) = (slice.block.take(), slice.start, slice.len);
    }

    /// Drops the first `count` bytes.
    #[inline(always)]
    pub fn advance(&mut self, count: u32) {
        assert!(count <= self.len, "only what is there can be dropped");
        self.start += count;
        self.len -= count;
    }

    /// Cuts it behind `len` bytes. The second half has the room and the messages.
    pub fn split(&mut self, len: u32) -> Part {
        assert!(len <= self.len, "only what is there can be cut");
        if let Some(block) = self.block {
            // SAFETY: this part's own reference.
            unsafe { Block::add_refs(block, 1) };
        }
        let rest = Part {
            block: self.block,
            start: self.start + len,
            len: self.len - len,
            room: mem::take(&mut self.room),
            messages: mem::take(&mut self.messages),
        };
        self.len = len;
        rest
    }
}

impl From<Slice> for Part {
    /// A part without room.
    fn from(mut slice: Slice) -> Part {
        let block = slice.block.take();
        Part { block, start: slice.start, len: slice.len, room: 0, messages: 0 }
    }
}

impl From<Part> for Slice {
    /// What was written; the room is given up.
    fn from(mut part: Part) -> Slice {
        part.lend()
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if let Some(block) = self.block {
            // SAFETY: the reference is this part's own.
            unsafe { Block::drop_refs(block, 1) };
        }
    }
}

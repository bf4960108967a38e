//! Chunk: the one writer of a block. Slice: one of its many readers.

use super::block::Block;
use super::part::Part;
use std::ptr::NonNull;
use std::sync::atomic::Ordering;
use std::{fmt, mem, ops::Deref, slice};

/// References a chunk takes with its block, to be given away one by one without an atomic.
pub(super) const CHUNK_REFS: u32 = 1 << 30;
/// References a reader takes at once when its input holds more than one message.
const READER_REFS: u32 = 64;

/// The writer's end of a block. Bytes from `end` to `limit` are this chunk's alone; those below
/// `end` are frozen and belong to slices, or to parts.
pub struct Chunk {
    block: NonNull<Block>,
    /// Where this chunk's own bytes begin: behind those of its parts.
    start: u32,
    end: u32,
    /// Where writing ends; at most the block's capacity.
    limit: u32,
    /// References owned and not yet given away, at least 1.
    refs: u32,
}

// SAFETY: the bytes above `end` are reached through this value only, those below are frozen.
unsafe impl Send for Chunk {}
// SAFETY: a shared Chunk only gives its room.
unsafe impl Sync for Chunk {}

impl Chunk {
    /// Takes a block with `CHUNK_REFS` references, all that there are.
    pub(super) fn new(block: NonNull<Block>) -> Chunk {
        // SAFETY: the caller's references keep the block alive.
        let limit = unsafe { block.as_ref() }.capacity;
        Chunk { block, start: 0, end: 0, limit, refs: CHUNK_REFS }
    }

    #[inline]
    pub(super) fn header(&self) -> &Block {
        // SAFETY: this chunk's references keep the block alive.
        unsafe { self.block.as_ref() }
    }

    /// Bytes of its block.
    pub fn capacity(&self) -> usize {
        self.header().capacity as usize
    }

    /// Gives a block that is this chunk's alone another capacity, at least as much; the room goes
    /// to its end. False: the system has no memory, or some of its bytes are shared.
    pub(super) fn resize(&mut self, capacity: u32) -> bool {
        // SAFETY: this chunk's references keep the block alive.
        let all = unsafe { self.block.as_ref() }.refs.load(Ordering::Acquire);
        if all != self.refs as usize {
            return false;
        }
        // SAFETY: all references are this chunk's, and it takes the new address.
        let Some(block) = (unsafe { Block::resize(self.block, capacity) }) else { return false };
        (self.block, self.limit) = (block, capacity);
        true
    }

    /// Bytes that can still be written.
    #[inline(always)]
    pub fn room(&self) -> usize {
        (self.limit - self.end) as usize
    }

    /// Parts with the next `len` bytes of room. The caller has looked at `room`.
    #[inline(always)]
    pub fn part(&mut self, len: usize) -> Part {
        assert!(len <= self.room(), "only what is there can be parted with");
        assert!(self.is_empty(), "what is written is not parted from");
        self.reserve(1);
        self.refs -= 1;
        let start = self.end;
        self.end += len as u32;
        self.start = self.end;
        Part::new(self.block, start, len as u32)
    }

    /// Sees to it that `count` references can be given away, and one kept.
    #[inline(always)]
    fn reserve(&mut self, count: u32) {
        if self.refs <= count {
            // SAFETY: this chunk's last reference keeps the block alive.
            unsafe { self.block.as_ref() }.refs.fetch_add(CHUNK_REFS as usize, Ordering::Relaxed);
            self.refs += CHUNK_REFS;
        }
    }

    /// Begins anew if none of its bytes are shared, so that what is written next is warm.
    pub fn rewind(&mut self) {
        // SAFETY: this chunk's references keep the block alive.
        let all = unsafe { self.block.as_ref() }.refs.load(Ordering::Acquire);
        if all == self.refs as usize {
            (self.start, self.end) = (0, 0);
        }
    }

    /// Ends the room so that no more than `len` bytes are ever written in all.
    #[inline(always)]
    pub fn limit_to(&mut self, len: usize) {
        self.limit = self.limit.min(self.start + len as u32).max(self.end);
    }

    /// Bytes written so far.
    #[inline(always)]
    pub fn len(&self) -> usize {
        (self.end - self.start) as usize
    }

    /// Whether nothing was written.
    pub fn is_empty(&self) -> bool {
        self.end == self.start
    }

    /// The room as a pointer for the system to write to, with its size.
    #[inline(always)]
    pub fn spare(&mut self) -> (*mut u8, usize) {
        // SAFETY: `end` is within the block.
        (unsafe { Block::bytes(self.block).add(self.end as usize) }, self.room())
    }

    /// Freezes the next `len` bytes, which the caller has written, and hands them out.
    #[inline(always)]
    pub fn take(&mut self, len: usize) -> Slice {
        assert!(len <= self.room(), "only what is there can be frozen");
        self.reserve(1);
        self.refs -= 1;
        let start = self.end;
        self.end += len as u32;
        Slice { block: Some(self.block), start, len: len as u32 }
    }

    /// Copies `bytes` behind what is written. The caller has looked at `room`.
    #[inline]
    pub fn put(&mut self, bytes: &[u8]) {
        self.copy(bytes);
        self.end += bytes.len() as u32;
    }

    /// As `put`, and gives the copy, which may be changed until some of the chunk is handed out.
    #[inline]
    pub fn put_mut(&mut self, bytes: &[u8]) -> &mut [u8] {
        let (spare, _) = self.spare();
        self.put(bytes);
        // SAFETY: `put` has written these bytes, and no slice has them before the chunk, which
        // stays borrowed, is used again.
        unsafe { slice::from_raw_parts_mut(spare, bytes.len()) }
    }

    /// As `put`, and hands them out.
    pub fn write(&mut self, bytes: &[u8]) -> Slice {
        self.copy(bytes);
        self.take(bytes.len())
    }

    /// Writes `len` zeros behind what is written. The caller has looked at `room`.
    pub fn write_zeros(&mut self, len: usize) -> Slice {
        let (spare, room) = self.spare();
        assert!(len <= room, "the caller has looked at the room");
        // SAFETY: `room` bytes from `spare` are this chunk's.
        unsafe { spare.write_bytes(0, len) };
        self.take(len)
    }

    #[inline(always)]
    fn copy(&mut self, bytes: &[u8]) {
        let (spare, room) = self.spare();
        assert!(bytes.len() <= room, "the caller has looked at the room");
        // SAFETY: `room` bytes from `spare` are this chunk's, and `bytes` are others.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), spare, bytes.len()) };
    }

    /// Everything written so far.
    pub fn written(&self) -> &[u8] {
        // SAFETY: bytes from `start` to `end` are this chunk's, initialised and frozen.
        unsafe {
            slice::from_raw_parts(Block::bytes(self.block).add(self.start as usize), self.len())
        }
    }

    /// Everything written so far as one of many slices: none of them costs an atomic.
    #[inline]
    pub fn share(&mut self) -> Slice {
        self.reserve(1);
        self.refs -= 1;
        Slice { block: Some(self.block), start: self.start, len: self.end - self.start }
    }

    /// Everything written so far as one slice; the room is given up.
    pub fn into_slice(self) -> Slice {
        let len = self.end - self.start;
        let slice = Slice { block: Some(self.block), start: self.start, len };
        let surplus = self.refs - 1;
        mem::forget(self);
        if surplus > 0 {
            // SAFETY: the surplus was the chunk's own; the slice keeps one.
            unsafe { Block::drop_refs(slice.block.expect("set above"), surplus as usize) };
        }
        slice
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        // SAFETY: these references are this chunk's own.
        unsafe { Block::drop_refs(self.block, self.refs as usize) };
    }
}

/// A reader's part of a block, frozen. Empty slices have no block.
#[derive(Default)]
pub struct Slice {
    pub(super) block: Option<NonNull<Block>>,
    pub(super) start: u32,
    pub(super) len: u32,
}

// SAFETY: the bytes are frozen, and the count is atomic.
unsafe impl Send for Slice {}
// SAFETY: as above.
unsafe impl Sync for Slice {}

impl Slice {
    /// Bytes of the block behind the slice; what holding it pins.
    pub fn pinned(&self) -> usize {
        // SAFETY: this slice's reference keeps the block alive.
        self.block.map_or(0, |block| unsafe { block.as_ref() }.capacity as usize)
    }

    /// Drops the first `count` bytes.
    #[inline(always)]
    pub fn advance(&mut self, count: usize) {
        assert!(count <= self.len as usize, "only what is there can be dropped");
        self.start += count as u32;
        self.len -= count as u32;
    }

    /// Drops all but the first `len` bytes.
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len as u32);
    }
}

impl Clone for Slice {
    fn clone(&self) -> Self {
        if let Some(block) = self.block {
            // SAFETY: this slice's own reference.
            unsafe { Block::add_refs(block, 1) };
        }
        Slice { block: self.block, start: self.start, len: self.len }
    }
}

impl Drop for Slice {
    fn drop(&mut self) {
        if let Some(block) = self.block {
            // SAFETY: the reference is this slice's own.
            unsafe { Block::drop_refs(block, 1) };
        }
    }
}

impl Deref for Slice {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self.block {
            // SAFETY: the range is within the block, initialised and frozen.
            Some(block) => unsafe {
                slice::from_raw_parts(
                    Block::bytes(block).add(self.start as usize),
                    self.len as usize,
                )
            },
            None => &[],
        }
    }
}

impl fmt::Debug for Slice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Slice({} bytes)", self.len)
    }
}

/// A slice that is taken piece by piece from the front; the pieces share its references, so that
/// many messages of one receive cost two atomics in all.
#[derive(Default)]
pub struct Reader {
    rest: Slice,
    /// References owned beside that of `rest`.
    spare: u32,
}

impl Reader {
    /// What is left.
    pub fn rest(&self) -> &[u8] {
        &self.rest
    }

    /// Takes the first `count` bytes.
    #[inline(always)]
    pub fn take(&mut self, count: usize) -> Slice {
        if count == self.rest.len() && self.spare == 0 {
            return mem::take(&mut self.rest);
        }
        let Some(block) = self.rest.block else { return Slice::default() };
        if self.spare == 0 {
            // SAFETY: the reference of `rest` keeps the block alive.
            unsafe { block.as_ref() }.refs.fetch_add(READER_REFS as usize, Ordering::Relaxed);
            self.spare = READER_REFS;
        }
        let piece = Slice { block: Some(block), start: self.rest.start, len: count as u32 };
        self.rest.advance(count);
        self.spare -= 1;
        if self.rest.is_empty() {
            self.clear();
        }
        piece
    }

    /// Drops the first `count` bytes.
    #[inline(always)]
    pub fn skip(&mut self, count: usize) {
        self.rest.advance(count);
        if self.rest.is_empty() {
            self.clear();
        }
    }

    /// Drops everything.
    pub fn clear(&mut self) {
        let spare = mem::take(&mut self.spare);
        if let Some(block) = mem::take(&mut self.rest).into_block() {
            // SAFETY: the spare references and that of `rest` were this reader's own.
            unsafe { Block::drop_refs(block, spare as usize + 1) };
        }
    }
}

impl Slice {
    /// The block with this slice's reference.
    #[inline(always)]
    fn into_block(self) -> Option<NonNull<Block>> {
        let block = self.block;
        mem::forget(self);
        block
    }
}

impl From<Slice> for Reader {
    fn from(rest: Slice) -> Self {
        Reader { rest, spare: 0 }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.clear();
    }
}

/// Gives many slices of the same bytes: as many as were foreseen cost one atomic in all.
pub struct Source {
    slice: Slice,
    /// References owned beside that of `slice`.
    spare: usize,
}

impl Source {
    /// A source of `slice` that is to be asked about `count` times.
    pub fn new(slice: Slice, count: usize) -> Source {
        if let Some(block) = slice.block {
            // SAFETY: the slice's own reference.
            unsafe { Block::add_refs(block, count) };
        }
        Source { slice, spare: count }
    }

    /// `len` bytes from `start` on.
    pub fn part(&mut self, start: usize, len: usize) -> Slice {
        assert!(start + len <= self.slice.len(), "only what is there can be given");
        let mut part = match self.spare.checked_sub(1) {
            Some(spare) => {
                self.spare = spare;
                let Slice { block, start, len } = self.slice;
                Slice { block, start, len }
            }
            None => self.slice.clone(),
        };
        part.advance(start);
        part.truncate(len);
        part
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        if let Some(block) = mem::take(&mut self.slice).into_block() {
            // SAFETY: the spare references and that of `slice` were this source's own.
            unsafe { Block::drop_refs(block, self.spare + 1) };
        }
    }
}

/// Drops many slices: neighbours of one block cost one atomic together.
#[derive(Default)]
pub struct Release {
    block: Option<NonNull<Block>>,
    count: usize,
}

impl Release {
    /// Drops `slice`, now or with its neighbours.
    #[inline]
    pub fn add(&mut self, slice: Slice) {
        let block = slice.into_block();
        if block != self.block {
            self.flush();
            self.block = block;
        }
        self.count += usize::from(block.is_some());
    }

    fn flush(&mut self) {
        let count = mem::take(&mut self.count);
        if let Some(block) = self.block.take()
            && count > 0
        {
            // SAFETY: `count` references of this block were given to `add`.
            unsafe { Block::drop_refs(block, count) };
        }
    }
}

impl Drop for Release {
    fn drop(&mut self) {
        self.flush();
    }
}

//! A bounded pool of blocks. Any thread takes, any thread gives back.

use super::block::{Block, HEADER, UNPOOLED};
use super::chunk::{CHUNK_REFS, Chunk};
use super::part::Part;
use parking_lot::Mutex;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

/// Capacity of a receive chunk.
pub const CHUNK_BYTES: usize = 64 * 1024;
/// Capacity of a chunk of an arena.
pub const ARENA_BYTES: usize = 16 * 1024 + SLACK;
/// What a block has beside a power of two, so that a message of such a size finds room in it with
/// the header of its framing.
const SLACK: usize = 64;
/// Capacities kept in free lists. The small ones carry sends, the last one receives.
const CLASSES: [usize; 5] =
    [512 - HEADER, 4096 + SLACK, 16 * 1024 + SLACK, 32 * 1024 + SLACK, CHUNK_BYTES];
/// Bytes that one free list may keep.
const KEEP_BYTES: usize = 4 * 1024 * 1024;

/// A bounded source of chunks. Clones share one bound.
#[derive(Clone)]
pub struct Pool(Arc<Shared>);

type Waker = Box<dyn Fn() + Send + Sync>;

pub struct Shared {
    bytes_max: u64,
    /// Bytes of blocks that are out, headers included. Invariant: at most `bytes_max`.
    bytes: AtomicU64,
    free: [Mutex<Vec<FreeBlock>>; CLASSES.len()],
    /// The net is gone: blocks that come back go to the system.
    closed: AtomicBool,
    /// Somebody was refused and waits for the next block to come back.
    thirsty: AtomicBool,
    wakers: Mutex<Vec<Waker>>,
}

/// A block in a free list: nobody has a reference.
struct FreeBlock(NonNull<Block>);

// SAFETY: a free block is reached by whoever takes it from the list, one thread.
unsafe impl Send for FreeBlock {}

impl Pool {
    /// A pool that never has more than `bytes_max` bytes out.
    pub fn new(bytes_max: u64) -> Pool {
        Pool(Arc::new(Shared {
            bytes_max,
            bytes: AtomicU64::new(0),
            free: Default::default(),
            closed: AtomicBool::new(false),
            thirsty: AtomicBool::new(false),
            wakers: Mutex::default(),
        }))
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.0
    }

    /// A chunk with at least `capacity` bytes of room. None: the bound is reached, or the system
    /// has no memory.
    pub fn take(&self, capacity: usize) -> Option<Chunk> {
        self.block(capacity, CHUNK_REFS as usize).map(|(block, _)| Chunk::new(block))
    }

    /// A part with at least `capacity` bytes of room and a block of its own. None: as for `take`.
    pub fn part(&self, capacity: usize) -> Option<Part> {
        self.block(capacity, 1).map(|(block, room)| Part::new(block, 0, room))
    }

    /// A block with so many references that nobody else has, and its capacity.
    fn block(&self, capacity: usize, references: usize) -> Option<(NonNull<Block>, u32)> {
        let class = CLASSES.iter().position(|&size| capacity <= size);
        let capacity = class.map_or(capacity, |class| CLASSES[class]);
        let bytes = (capacity.checked_add(HEADER)?) as u64;
        let capacity = u32::try_from(capacity).ok()?;
        // Not added and taken off again: others would be refused meanwhile, and not woken.
        let add = |out: u64| out.checked_add(bytes).filter(|sum| *sum <= self.0.bytes_max);
        self.0.bytes.fetch_update(Ordering::SeqCst, Ordering::SeqCst, add).ok()?;
        let kept = class.and_then(|class| self.0.free[class].lock().pop());
        let block = match kept {
            Some(FreeBlock(block)) => {
                // SAFETY: nobody has a reference; this thread took it from the list.
                let refs: &AtomicUsize = &unsafe { block.as_ref() }.refs;
                refs.store(references, Ordering::Relaxed);
                Some(block)
            }
            None => {
                let class = class.map_or(UNPOOLED, |class| class as u32);
                Block::new(self, capacity, class, references)
            }
        };
        if block.is_none() {
            self.0.bytes.fetch_sub(bytes, Ordering::SeqCst);
        }
        block.map(|block| (block, capacity))
    }

    /// Whether there is room under the bound now for a block of at least `capacity`.
    pub fn has_room(&self, capacity: usize) -> bool {
        let class = CLASSES.into_iter().find(|&size| capacity <= size);
        let capacity = class.unwrap_or(capacity);
        let bytes = self.0.bytes.load(Ordering::SeqCst);
        bytes + (capacity + HEADER) as u64 <= self.0.bytes_max
    }

    /// Bytes that may be out.
    pub fn bytes_max(&self) -> u64 {
        self.0.bytes_max
    }

    /// Bytes that are out now.
    pub fn bytes(&self) -> u64 {
        self.0.bytes.load(Ordering::Relaxed)
    }

    /// Calls `waker` when a block comes back after `thirst`, on the thread that gave it back.
    pub fn on_relief(&self, waker: impl Fn() + Send + Sync + 'static) {
        self.0.wakers.lock().push(Box::new(waker));
    }

    /// Asks for the wakers to be called at the next block that comes back. The caller looks at
    /// `has_room` once more afterwards: one may have come back in between.
    pub fn thirst(&self) {
        self.0.thirsty.store(true, Ordering::SeqCst);
    }

    /// Ends the pool: what comes back from now on goes to the system, and no waker is called.
    pub fn close(&self) {
        self.0.closed.store(true, Ordering::SeqCst);
        self.0.wakers.lock().clear();
        self.trim();
    }

    /// Gives the free blocks back to the system: there was nothing to do for a while.
    pub fn trim(&self) {
        for list in &self.0.free {
            for FreeBlock(block) in std::mem::take(&mut *list.lock()) {
                // SAFETY: it was in the list, so nobody has a reference.
                unsafe { Block::free(block) };
            }
        }
    }
}

impl Shared {
    /// Takes back a block that nobody has a reference to.
    ///
    /// # Safety
    /// `block` is of this pool and its count is 0.
    pub unsafe fn give_back(&self, block: NonNull<Block>) {
        // SAFETY: the caller's: the count is 0, so this thread alone reads the header.
        let (capacity, class) = unsafe { (block.as_ref().capacity, block.as_ref().class) };
        if !self.keep(block, capacity as usize, class) {
            // SAFETY: in no list, and nobody has a reference.
            unsafe { Block::free(block) };
        }
        self.bytes.fetch_sub((capacity as usize + HEADER) as u64, Ordering::SeqCst);
        if self.thirsty.load(Ordering::SeqCst) && self.thirsty.swap(false, Ordering::SeqCst) {
            self.wakers.lock().iter().for_each(|wake| wake());
        }
    }

    /// Puts the block in its free list, unless that is full or the net is gone.
    fn keep(&self, block: NonNull<Block>, capacity: usize, class: u32) -> bool {
        let Some(list) = self.free.get(class as usize) else { return false };
        let mut list = list.lock();
        // Looked at under the lock: `close` sets it first and empties the list afterwards.
        let keep = !self.closed.load(Ordering::SeqCst) && (list.len() + 1) * capacity <= KEEP_BYTES;
        if keep {
            list.push(FreeBlock(block));
        }
        keep
    }
}

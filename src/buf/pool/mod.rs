//! A bounded pool of blocks. Any thread takes, any thread gives back. `share.rs` has what frames
//! and sends may take of it.

mod share;

pub use share::Purpose;

use super::block::{Block, HEADER, UNPOOLED};
use super::chunk::{CHUNK_REFS, Chunk};
use super::lock::Mutex;
use super::mapper::{HEAP, Mapper};
use super::part::Part;
use super::rank;
use share::Share;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};

/// Capacity of a receive chunk.
pub const CHUNK_BYTES: usize = 64 * 1024;
/// Capacity of a chunk of an arena.
pub const ARENA_BYTES: usize = 16 * 1024 + SLACK;
/// What a block has beside a power of two, so that a message of such a size finds room in it with
/// the header of its framing.
const SLACK: usize = 64;
/// Capacities kept in free lists. The small ones carry sends, the last one receives. None is much
/// more than twice the one before, so that a frame's memory grows with what was received of it.
const CLASSES: [usize; 8] = [
    512 - HEADER,
    1024 - HEADER,
    2048 - HEADER,
    4096 + SLACK,
    8192 + SLACK,
    16 * 1024 + SLACK,
    32 * 1024 + SLACK,
    CHUNK_BYTES,
];
/// Classes for frames alone: a send takes the next larger one, which has room for those behind it.
const FINE: [bool; CLASSES.len()] = [false, true, true, false, true, false, false, false];
/// Bytes that one free list may keep; of blocks with sizes of their own, with what those that are
/// out have too much.
const KEEP_BYTES: usize = 4 * 1024 * 1024;

/// A bounded source of chunks. Clones share one bound.
#[derive(Clone)]
pub struct Pool(Arc<Shared>);

type Waker = Box<dyn Fn() + Send + Sync>;

pub struct Shared {
    pub mapper: Mapper,
    bytes_max: u64,
    /// Bytes of blocks that are out, headers included. Invariant: at most `bytes_max`.
    bytes: AtomicU64,
    /// The most that were out since `take_peak`.
    peak: AtomicU64,
    /// Of those that are out, those of frames and those of sends.
    shares: [Share; 2],
    free: [Mutex<rank::FreeBlocks, Vec<FreeBlock>>; CLASSES.len()],
    /// Free blocks with sizes of their own.
    large: Mutex<rank::FreeBlocks, Vec<FreeBlock>>,
    /// Bytes of pages that blocks with sizes of their own have and do not need. Invariant: at most
    /// `KEEP_BYTES`.
    spare: AtomicU64,
    /// The net is gone: blocks that come back go to the system.
    closed: AtomicBool,
    /// What those who were refused wait for: bits of `Thirst`.
    thirsty: AtomicU8,
    /// How often some of it came.
    reliefs: AtomicU64,
    wakers: Mutex<rank::Wakers, Vec<Waker>>,
}

/// A block in a free list: no reference is left.
struct FreeBlock(NonNull<Block>);

// SAFETY: a free block is reached by whoever takes it from the list, one thread.
unsafe impl Send for FreeBlock {}

impl Pool {
    /// A pool that never has more than `bytes_max` bytes out, all of the allocator's.
    pub fn new(bytes_max: u64) -> Pool {
        Pool::mapping(bytes_max, HEAP)
    }

    /// As `new`, with pages for large blocks.
    pub fn mapping(bytes_max: u64, mapper: Mapper) -> Pool {
        Pool(Arc::new(Shared {
            mapper,
            bytes_max,
            bytes: AtomicU64::new(0),
            peak: AtomicU64::new(0),
            shares: Default::default(),
            free: Default::default(),
            large: Mutex::default(),
            spare: AtomicU64::new(0),
            closed: AtomicBool::new(false),
            thirsty: AtomicU8::new(0),
            reliefs: AtomicU64::new(0),
            wakers: Mutex::default(),
        }))
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.0
    }

    /// A chunk with at least `capacity` bytes of room. None: the bound is reached, or the system
    /// has no memory.
    pub fn take(&self, capacity: usize) -> Option<Chunk> {
        self.block(capacity, CHUNK_REFS as usize, Purpose::Any).map(|(block, _)| Chunk::new(block))
    }

    /// As `take`, of the share of `purpose`.
    pub fn take_for(&self, capacity: usize, purpose: Purpose) -> Option<Chunk> {
        self.block(capacity, CHUNK_REFS as usize, purpose).map(|(block, _)| Chunk::new(block))
    }

    /// A part with at least `capacity` bytes of room and a block of its own, of the share of
    /// `purpose`. None: as for `take`.
    pub fn part(&self, capacity: usize, purpose: Purpose) -> Option<Part> {
        self.block(capacity, 1, purpose).map(|(block, room)| Part::new(block, 0, room))
    }

    /// A block with so many references, all of them the caller's, and its capacity.
    fn block(
        &self,
        capacity: usize,
        references: usize,
        purpose: Purpose,
    ) -> Option<(NonNull<Block>, u32)> {
        let fits = |class: usize| {
            capacity <= CLASSES[class] && (!FINE[class] || purpose == Purpose::Frame)
        };
        let class = (0..CLASSES.len()).find(|&class| fits(class));
        let capacity = class.map_or(capacity, |class| CLASSES[class]);
        let bytes = (capacity.checked_add(HEADER)?) as u64;
        let capacity = u32::try_from(capacity).ok()?;
        if !self.0.charge(bytes, bytes, purpose) {
            return None;
        }
        let kept = match class {
            Some(class) => self.0.free[class].lock().pop(),
            None => self.0.take_large(capacity),
        };
        let block = match kept {
            Some(FreeBlock(block)) => {
                // SAFETY: no reference is left; this thread took it from the list.
                let header: &Block = unsafe { block.as_ref() };
                header.refs.store(references, Ordering::Relaxed);
                header.set_purpose(purpose);
                Some(block)
            }
            None => {
                let class = class.map_or(UNPOOLED, |class| class as u32);
                Block::new(self, capacity, class, references, purpose)
            }
        };
        if block.is_none() {
            self.0.discharge(bytes, purpose);
        }
        block.map(|block| (block, capacity))
    }

    /// Memory for a frame of `need` bytes of which `have` are here, at most twice as much as
    /// those, but for the smallest block. None: as for `take`.
    pub fn frame(&self, have: usize, need: usize) -> Option<Chunk> {
        self.take_for(frame_room(have, need), Purpose::Frame)
    }

    /// Makes a frame's memory larger, as `frame` would; what is written stays. False: there is
    /// none.
    pub fn grow(&self, chunk: &mut Chunk, have: usize, need: usize) -> bool {
        let room = frame_room(have, need);
        if room > CHUNK_BYTES && chunk.capacity() > CHUNK_BYTES {
            // The system moves pages in place of bytes, where it can.
            let more = (room - chunk.capacity()) as u64;
            if !self.0.charge(more, (room + HEADER) as u64, Purpose::Frame) {
                return false;
            }
            let before = chunk.header().surplus();
            let grown = u32::try_from(room).is_ok_and(|room| chunk.resize(room));
            self.0.spare.fetch_sub(before - chunk.header().surplus(), Ordering::Relaxed);
            if !grown {
                self.0.discharge(more, Purpose::Frame);
            }
            return grown;
        }
        let Some(mut larger) = self.frame(have, need) else { return false };
        larger.put(chunk.written());
        *chunk = larger;
        true
    }

    /// A frame is whole: its memory is that of a message from now on.
    pub fn settle(&self, chunk: &Chunk) {
        self.0.change_purpose(chunk.header(), Purpose::Any);
    }

    /// Whether there is room under the bound now for a block of at least `capacity`.
    pub fn has_room(&self, capacity: usize) -> bool {
        let class = (0..CLASSES.len()).find(|&class| capacity <= CLASSES[class] && !FINE[class]);
        let capacity = class.map_or(capacity, |class| CLASSES[class]);
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

    /// The most bytes that were out at any time since `take_peak`, by whichever thread.
    pub fn peak(&self) -> u64 {
        self.0.peak.load(Ordering::Relaxed)
    }

    /// As `peak`, which from now on counts anew.
    pub fn take_peak(&self) -> u64 {
        self.0.peak.swap(self.bytes(), Ordering::Relaxed)
    }

    /// Calls `waker` when a block comes back after `thirst`, on the thread that gave it back.
    pub fn on_relief(&self, waker: impl Fn() + Send + Sync + 'static) {
        self.0.wakers.lock().push(Box::new(waker));
    }

    /// Ends the pool: what comes back from now on goes to the system, and no waker is called.
    pub fn close(&self) {
        self.0.closed.store(true, Ordering::SeqCst);
        self.0.wakers.lock().clear();
        self.trim();
    }

    /// Gives the free blocks back to the system: they were not needed for a while.
    pub fn trim(&self) {
        for list in self.0.free.iter().chain([&self.0.large]) {
            for FreeBlock(block) in std::mem::take(&mut *list.lock()) {
                // SAFETY: it was in the list, so no reference is left.
                unsafe { self.0.free(block) };
            }
        }
    }
}

impl Shared {
    /// Takes back a block without references.
    ///
    /// # Safety
    /// `block` is of this pool and its count is 0.
    pub unsafe fn give_back(&self, block: NonNull<Block>) {
        // SAFETY: the caller's: the count is 0, so this thread alone reads the header.
        let header = unsafe { block.as_ref() };
        let (capacity, class, purpose) = (header.capacity, header.class, header.purpose());
        if !self.keep(block, capacity as usize, class) {
            // SAFETY: in no list, and no reference is left.
            unsafe { self.free(block) };
        }
        self.discharge((capacity as usize + HEADER) as u64, purpose);
    }

    /// Puts the block in its free list, unless that is full or the net is gone.
    fn keep(&self, block: NonNull<Block>, capacity: usize, class: u32) -> bool {
        let Some(list) = self.free.get(class as usize) else { return self.keep_large(block) };
        let mut list = list.lock();
        // Looked at under the lock: `close` sets it first and empties the list afterwards.
        let keep = !self.closed.load(Ordering::SeqCst) && (list.len() + 1) * capacity <= KEEP_BYTES;
        if keep {
            list.push(FreeBlock(block));
        }
        keep
    }
}

/// Blocks with sizes of their own. A frame of a size that came before finds pages that are there
/// already, as many as it had then.
impl Shared {
    /// A free block, given this capacity. None: there is none, or it cannot have that.
    fn take_large(&self, capacity: u32) -> Option<FreeBlock> {
        let mut list = self.large.lock();
        // The smallest that is large enough, else the largest.
        let fit = |FreeBlock(block): &FreeBlock| {
            // SAFETY: it is in the list, so this thread alone reads the header.
            let room = unsafe { block.as_ref() }.surplus();
            let need = u64::from(capacity) + HEADER as u64;
            (room < need, room.abs_diff(need))
        };
        let (at, _) = list.iter().map(fit).enumerate().min_by_key(|&(_, fit)| fit)?;
        let FreeBlock(block) = list.swap_remove(at);
        drop(list);
        // SAFETY: no reference is left; this thread took it from the list.
        let before = unsafe { block.as_ref() }.surplus();
        // SAFETY: as above.
        let Some(resized) = (unsafe { Block::resize(block, capacity) }) else {
            // SAFETY: as above.
            unsafe { self.free(block) };
            return None;
        };
        // SAFETY: as above.
        let surplus = unsafe { resized.as_ref() }.surplus();
        self.spare.fetch_sub(before - surplus, Ordering::Relaxed);
        Some(FreeBlock(resized))
    }

    /// Puts a block among the free ones, unless they are full or the net is gone.
    fn keep_large(&self, mut block: NonNull<Block>) -> bool {
        let mut list = self.large.lock();
        if self.closed.load(Ordering::SeqCst) {
            return false;
        }
        // SAFETY: the count is 0, so this thread alone uses the header.
        let header = unsafe { block.as_mut() };
        let (capacity, before) = (header.capacity, header.surplus());
        header.capacity = 0;
        let more = header.surplus() - before;
        let under = |spare: u64| Some(spare + more).filter(|&sum| sum <= KEEP_BYTES as u64);
        let kept = self.spare.fetch_update(Ordering::Relaxed, Ordering::Relaxed, under).is_ok();
        if kept {
            list.push(FreeBlock(block));
        } else {
            header.capacity = capacity;
        }
        kept
    }

    /// Returns a block's memory to the system.
    ///
    /// # Safety
    /// As for `Block::free`.
    unsafe fn free(&self, block: NonNull<Block>) {
        // SAFETY: the caller's: no reference is left.
        self.spare.fetch_sub(unsafe { block.as_ref() }.surplus(), Ordering::Relaxed);
        // SAFETY: the caller's.
        unsafe { Block::free(block) };
    }
}

/// Capacity for a frame of `need` bytes of which `have` are here.
fn frame_room(have: usize, need: usize) -> usize {
    let most = need.min(2 * have);
    if most > CHUNK_BYTES {
        return most;
    }
    let whole = CLASSES.into_iter().find(|&size| size >= need && size <= 2 * have);
    let class =
        whole.or_else(|| CLASSES.into_iter().rev().find(|&size| have <= size && size <= most));
    class.or_else(|| CLASSES.into_iter().find(|&size| size >= have)).unwrap_or(most)
}

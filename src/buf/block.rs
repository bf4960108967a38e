//! The block behind every chunk and slice: a counted header and its bytes in one allocation.

use super::mapper::PAGE;
use super::pool::{Pool, Purpose, Shared};
use std::alloc::{Layout, alloc, dealloc};
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

/// Header of an allocation, or of pages; `capacity` bytes follow it.
#[repr(C, align(16))]
pub struct Block {
    /// References handed out. A chunk owns many at once and gives them away without an atomic.
    pub refs: AtomicUsize,
    /// Keeps the pool alive as long as a block of it is out, also beyond the net.
    shared: Arc<Shared>,
    pub capacity: u32,
    /// Index of the pool's free list it belongs to; `UNPOOLED` for a size of its own.
    pub class: u32,
    /// Pages that it has; 0: it is the allocator's.
    pages: u32,
    /// A `Purpose`, which a frame changes when it is whole.
    purpose: AtomicU8,
}

/// `class` of a block with a size of its own, which has pages.
pub const UNPOOLED: u32 = u32::MAX;
/// Bytes of the header, counted against the pool's bound with the capacity.
pub const HEADER: usize = size_of::<Block>();

/// From this size on a block has pages, header included. Less would waste too much of them.
const MAPPED_MIN: usize = 32 * 1024;

/// Pages for a block of this capacity; 0: none.
fn pages(capacity: u32) -> u32 {
    let size = HEADER + capacity as usize;
    if size < MAPPED_MIN { 0 } else { size.div_ceil(PAGE) as u32 }
}

fn layout(capacity: usize) -> Option<Layout> {
    Layout::from_size_align(HEADER.checked_add(capacity)?, align_of::<Block>()).ok()
}

impl Block {
    /// A new block with `refs` references, or None when the system has no memory.
    pub fn new(
        pool: &Pool,
        capacity: u32,
        class: u32,
        refs: usize,
        purpose: Purpose,
    ) -> Option<NonNull<Block>> {
        let (pages, shared) = (pages(capacity), pool.shared());
        let memory = if pages > 0 {
            (shared.mapper.map)(pages as usize * PAGE)
        } else {
            // SAFETY: the layout is not empty.
            NonNull::new(unsafe { alloc(layout(capacity as usize)?) })
        };
        let block = memory?.cast::<Block>();
        let header = Block {
            refs: AtomicUsize::new(refs),
            shared: shared.clone(),
            capacity,
            class,
            pages,
            purpose: AtomicU8::new(purpose as u8),
        };
        // SAFETY: fresh memory, with room and alignment for the header.
        unsafe { block.write(header) };
        Some(block)
    }

    /// What it is for.
    #[inline]
    pub fn purpose(&self) -> Purpose {
        Purpose::from_number(self.purpose.load(Ordering::Relaxed))
    }

    /// It is for something else from now on.
    pub fn set_purpose(&self, purpose: Purpose) {
        self.purpose.store(purpose as u8, Ordering::Relaxed);
    }

    /// Bytes of the pages that it has beyond those it needs.
    pub fn surplus(&self) -> u64 {
        u64::from(self.pages - pages(self.capacity).min(self.pages)) * PAGE as u64
    }

    /// Changes the capacity of a block that has a size of its own; its bytes stay, the block may
    /// not. None: the system has no memory, and the block is as it was.
    ///
    /// # Safety
    /// The caller has all references, and uses the old address no more.
    pub unsafe fn resize(mut block: NonNull<Block>, capacity: u32) -> Option<NonNull<Block>> {
        // SAFETY: the caller's references keep it alive.
        let header = unsafe { block.as_mut() };
        assert!(header.class == UNPOOLED, "a free list knows its blocks by their capacity");
        let (old, new) = (header.pages, pages(capacity));
        if new > old {
            let remap = header.shared.mapper.remap;
            // SAFETY: it has these pages, and no other thread uses it.
            let moved = unsafe { remap(block.cast(), old as usize * PAGE, new as usize * PAGE) };
            block = moved?.cast();
        }
        // SAFETY: no other reference is left.
        let header = unsafe { block.as_mut() };
        (header.capacity, header.pages) = (capacity, new.max(old));
        Some(block)
    }

    /// First of the block's bytes.
    pub fn bytes(block: NonNull<Block>) -> *mut u8 {
        // SAFETY: `capacity` bytes follow the header at the same place.
        unsafe { block.as_ptr().cast::<u8>().add(HEADER) }
    }

    /// So many references more.
    ///
    /// # Safety
    /// The caller has one.
    #[inline]
    pub unsafe fn add_refs(block: NonNull<Block>, count: usize) {
        // SAFETY: the caller's reference keeps it alive.
        unsafe { block.as_ref() }.refs.fetch_add(count, Ordering::Relaxed);
    }

    /// Gives `count` references back; the last one returns the block to its pool.
    ///
    /// # Safety
    /// The caller owned `count` references and uses none of them again.
    #[inline]
    pub unsafe fn drop_refs(block: NonNull<Block>, count: usize) {
        // SAFETY: the caller's references keep it alive up to here.
        let header = unsafe { block.as_ref() };
        if header.refs.fetch_sub(count, Ordering::Release) == count {
            // In place of a fence, which ThreadSanitizer does not follow.
            header.refs.load(Ordering::Acquire);
            let pool = Arc::clone(&header.shared);
            // SAFETY: no other reference is left.
            unsafe { pool.give_back(block) };
        }
    }

    /// Returns the memory to the system.
    ///
    /// # Safety
    /// No reference is left, and the block is in no free list.
    pub unsafe fn free(block: NonNull<Block>) {
        // SAFETY: made by `new`, with what the header says; that is dropped once, here.
        unsafe {
            let header = block.read();
            if header.pages > 0 {
                (header.shared.mapper.unmap)(block.cast(), header.pages as usize * PAGE);
            } else {
                let layout = layout(header.capacity as usize).expect("it was allocated with this");
                dealloc(block.as_ptr().cast(), layout);
            }
            drop(header);
        }
    }
}

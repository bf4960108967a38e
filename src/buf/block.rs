//! The block behind every chunk and slice: a counted header and its bytes in one allocation.

use super::pool::{Pool, Purpose, Shared};
use std::alloc::{Layout, alloc, dealloc, realloc};
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

/// Header of an allocation; `capacity` bytes follow it.
#[repr(C, align(16))]
pub struct Block {
    /// References handed out. A chunk owns many at once and gives them away without an atomic.
    pub refs: AtomicUsize,
    /// Keeps the pool alive as long as a block of it is out, also beyond the net.
    shared: Arc<Shared>,
    pub capacity: u32,
    /// Index of the pool's free list it belongs to; `UNPOOLED` for a size of its own.
    pub class: u32,
    /// A `Purpose`, which a frame changes when it is whole.
    purpose: AtomicU8,
}

/// `class` of a block that goes back to the system.
pub const UNPOOLED: u32 = u32::MAX;
/// Bytes of the header, counted against the pool's bound with the capacity.
pub const HEADER: usize = size_of::<Block>();

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
        let layout = layout(capacity as usize)?;
        // SAFETY: the layout is not empty.
        let block = NonNull::new(unsafe { alloc(layout) })?.cast::<Block>();
        let header = Block {
            refs: AtomicUsize::new(refs),
            shared: pool.shared().clone(),
            capacity,
            class,
            purpose: AtomicU8::new(purpose as u8),
        };
        // SAFETY: fresh memory of the header's layout.
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

    /// Changes the capacity of a block without a free list; its bytes stay, the block may not.
    /// None: the system has no memory, and the block is as it was.
    ///
    /// # Safety
    /// The caller has all references, and uses the old address no more.
    pub unsafe fn resize(block: NonNull<Block>, capacity: u32) -> Option<NonNull<Block>> {
        // SAFETY: the caller's references keep it alive.
        let (old, class) = unsafe { (block.as_ref().capacity, block.as_ref().class) };
        assert!(class == UNPOOLED, "a free list knows its blocks by their capacity");
        let (old, new) = (layout(old as usize)?, layout(capacity as usize)?);
        // SAFETY: allocated with the old layout; the new size is not 0 and was checked by `layout`.
        let mut block = NonNull::new(unsafe { realloc(block.as_ptr().cast(), old, new.size()) })?
            .cast::<Block>();
        // SAFETY: nobody else has a reference.
        unsafe { block.as_mut() }.capacity = capacity;
        Some(block)
    }

    /// First of the block's bytes.
    pub fn bytes(block: NonNull<Block>) -> *mut u8 {
        // SAFETY: `capacity` bytes follow the header in the same allocation.
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
            // SAFETY: nobody else has a reference.
            unsafe { pool.give_back(block) };
        }
    }

    /// Returns the memory to the system.
    ///
    /// # Safety
    /// Nobody has a reference, and the block is in no free list.
    pub unsafe fn free(block: NonNull<Block>) {
        // SAFETY: made by `new` with this layout; the header is dropped once, here.
        unsafe {
            let header = block.read();
            let layout = layout(header.capacity as usize).expect("it was allocated with this");
            dealloc(block.as_ptr().cast(), layout);
            drop(header);
        }
    }
}

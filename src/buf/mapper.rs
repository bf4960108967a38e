//! Where large blocks come from: pages of the system's, without the allocator in between.
//!
//! An allocator keeps what is given back until it is asked to look for it, which takes long where
//! much is free, or lies between what is not. Pages go back at once, and move in place of bytes.

use std::alloc::{Layout, alloc, dealloc, realloc};
use std::ptr::NonNull;

/// Lengths are multiples of this, and not 0.
pub const PAGE: usize = 4096;

/// How a pool gets pages.
#[derive(Clone, Copy)]
pub struct Mapper {
    /// So many bytes. None: the system has no memory.
    pub map: fn(usize) -> Option<NonNull<u8>>,
    /// Makes what has the first length have the second one, perhaps at another place. None: the
    /// system has no memory, and all is as before.
    ///
    /// # Safety
    /// It is of `map` or `remap`, with this length, and no other code uses it meanwhile.
    pub remap: unsafe fn(NonNull<u8>, usize, usize) -> Option<NonNull<u8>>,
    /// Gives it back.
    ///
    /// # Safety
    /// As for `remap`.
    pub unmap: unsafe fn(NonNull<u8>, usize),
}

/// The allocator as one, for systems where that is as good.
pub const HEAP: Mapper = Mapper { map: take, remap: change, unmap: give };

fn layout(len: usize) -> Layout {
    Layout::from_size_align(len, 16).expect("lengths are far below the largest")
}

fn take(len: usize) -> Option<NonNull<u8>> {
    // SAFETY: the length is not 0.
    NonNull::new(unsafe { alloc(layout(len)) })
}

/// # Safety
/// As for `Mapper::remap`.
unsafe fn change(at: NonNull<u8>, old: usize, new: usize) -> Option<NonNull<u8>> {
    // SAFETY: the caller's; the new length is not 0.
    NonNull::new(unsafe { realloc(at.as_ptr(), layout(old), new) })
}

/// # Safety
/// As for `Mapper::unmap`.
unsafe fn give(at: NonNull<u8>, len: usize) {
    // SAFETY: the caller's.
    unsafe { dealloc(at.as_ptr(), layout(len)) };
}

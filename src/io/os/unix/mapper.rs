//! Pages for large blocks: mmap(2).

use crate::buf::Mapper;
use std::ptr::{self, NonNull};

/// Pages of their own, which go back at once.
pub const MAPPER: Mapper = Mapper { map, remap, unmap };

fn map(len: usize) -> Option<NonNull<u8>> {
    let access = libc::PROT_READ | libc::PROT_WRITE;
    let kind = libc::MAP_PRIVATE | libc::MAP_ANON;
    // SAFETY: a new place, chosen by the system.
    let at = unsafe { libc::mmap(ptr::null_mut(), len, access, kind, -1, 0) };
    if at == libc::MAP_FAILED { None } else { NonNull::new(at.cast()) }
}

/// # Safety
/// As for `Mapper::remap`.
#[cfg(target_os = "linux")]
unsafe fn remap(at: NonNull<u8>, old: usize, new: usize) -> Option<NonNull<u8>> {
    // SAFETY: the caller's.
    let at = unsafe { libc::mremap(at.as_ptr().cast(), old, new, libc::MREMAP_MAYMOVE) };
    if at == libc::MAP_FAILED { None } else { NonNull::new(at.cast()) }
}

/// # Safety
/// As for `Mapper::remap`.
#[cfg(not(target_os = "linux"))]
unsafe fn remap(at: NonNull<u8>, old: usize, new: usize) -> Option<NonNull<u8>> {
    let place = map(new)?;
    // SAFETY: both have so many bytes, and the new one is not shared.
    unsafe {
        ptr::copy_nonoverlapping(at.as_ptr(), place.as_ptr(), old.min(new));
        unmap(at, old);
    }
    Some(place)
}

/// # Safety
/// As for `Mapper::unmap`.
unsafe fn unmap(at: NonNull<u8>, len: usize) {
    // SAFETY: the caller's.
    let failed = unsafe { libc::munmap(at.as_ptr().cast(), len) } != 0;
    if failed {
        // The process has as many mappings as it may have, and this would make one more: at least
        // the memory goes back.
        // SAFETY: as above.
        unsafe { libc::madvise(at.as_ptr().cast(), len, libc::MADV_DONTNEED) };
    }
}

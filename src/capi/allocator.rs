//! Allocator: where the library's memory comes from.

use super::boundary::{fail_plainly, guard};
use super::status::sockeye_status;
use crate::engine::{Error, heap};
use std::ffi::c_void;

/// Gives `bytes` bytes, at least 1, at a multiple of `alignment`, a power of two up to 4,096 bytes;
/// or NULL if there are none. It must not throw, and must not call the library.
///
/// Ownership: the block is the library's until `sockeye_release_fn`.
/// NULL:      `user` is as it was given.
/// Threads:   called on any thread, several at a time.
/// Returns:   the block, or NULL.
/// Since:     0.1
pub type sockeye_allocate_fn =
    Option<unsafe extern "C" fn(user: *mut c_void, bytes: usize, alignment: usize) -> *mut c_void>;

/// Makes a block of `old_bytes` one of `new_bytes`, perhaps at another place, with what was in it
/// and the same alignment; or answers NULL if there is no memory, and the block stays as it was. It
/// must not throw, and must not call the library.
///
/// Ownership: as of `sockeye_allocate_fn`.
/// NULL:      `user` is as it was given; `block` is never NULL.
/// Threads:   called on any thread, several at a time.
/// Returns:   the block, or NULL.
/// Since:     0.1
pub type sockeye_reallocate_fn = Option<
    unsafe extern "C" fn(
        user: *mut c_void,
        block: *mut c_void,
        old_bytes: usize,
        new_bytes: usize,
        alignment: usize,
    ) -> *mut c_void,
>;

/// Takes back a block, with the size that it has and the alignment that it was asked for with. It
/// must not throw, and must not call the library.
///
/// Ownership: moves to the host.
/// NULL:      `user` is as it was given; `block` is never NULL.
/// Threads:   called on any thread, several at a time.
/// Since:     0.1
pub type sockeye_release_fn = Option<
    unsafe extern "C" fn(user: *mut c_void, block: *mut c_void, bytes: usize, alignment: usize),
>;

/// Has the library take all of its memory from the host, chunks and tables included, in place of
/// the system's allocator and of mmap(2). To be called before every other call, once in a process:
/// blocks go back to where they came from, so the choice stays. What the system takes by itself for
/// a thread's stack, a socket or a ring is not of it.
///
/// A chunk, an outbox or a table that gets no memory makes its operation fail as `memory_max_bytes`
/// does. Some small blocks cannot fail in this way: where one of them gets NULL, Rust's standard
/// library ends the process. Functions that are meant to refuse leave a reserve for blocks under
/// 4 KiB.
///
/// Ownership: `user` is borrowed for ever: blocks may come back when all nets are freed.
/// NULL:      `reallocate` may be NULL: it is done with the other two. `user` may be NULL.
/// Threads:   any thread.
/// Returns:   OK; ERR_INVALID (NULL); ERR_BUSY (the library has memory already, of the system or
///            by an earlier call).
/// Since:     0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sockeye_set_allocator(
    allocate: sockeye_allocate_fn,
    reallocate: sockeye_reallocate_fn,
    release: sockeye_release_fn,
    user: *mut c_void,
) -> sockeye_status {
    guard(|| {
        let (Some(allocate), Some(release)) = (allocate, release) else {
            // Words of their own would be the first memory.
            return Err(fail_plainly(Error::Invalid, c"allocate or release is NULL"));
        };
        let functions = heap::Functions { allocate, reallocate, release, user };
        if heap::take_from(functions) {
            return Ok(());
        }
        Err(fail_plainly(Error::Busy, c"the library has memory already: this call comes first"))
    })
}

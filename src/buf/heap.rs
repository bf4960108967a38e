//! Where all memory that is not of the system's pages comes from: the system's allocator, or the
//! host's.
//!
//! A block goes back to where it came from. So the choice is made before the first block is taken,
//! and stays.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::UnsafeCell;
use std::ffi::c_void;
use std::hint::spin_loop;
use std::ptr;
use std::sync::atomic::{AtomicU8, Ordering::*};

/// The host's functions.
#[derive(Clone, Copy)]
pub struct Functions {
    /// Gives so many bytes at a multiple of the alignment, a power of two; NULL if there are none.
    pub allocate: unsafe extern "C" fn(*mut c_void, usize, usize) -> *mut c_void,
    /// Moves a block of so many bytes to one of so many bytes, of the same alignment; NULL if there
    /// are none, and all is as before. None: done with the other two.
    pub reallocate:
        Option<unsafe extern "C" fn(*mut c_void, *mut c_void, usize, usize, usize) -> *mut c_void>,
    /// Takes back a block of so many bytes and this alignment.
    pub release: unsafe extern "C" fn(*mut c_void, *mut c_void, usize, usize),
    /// Given to each of them as it is.
    pub user: *mut c_void,
}

/// All of Rust's allocations.
struct Heap {
    source: AtomicU8,
    /// Written once, before `source` is `HOST`.
    host: UnsafeCell<Option<Functions>>,
}

/// Nothing was taken as yet.
const NEITHER: u8 = 0;
/// A thread writes the host's functions.
const CHOOSING: u8 = 1;
const SYSTEM: u8 = 2;
const HOST: u8 = 3;

// SAFETY: `host` is written by the thread that made `source` CHOOSING, and read behind HOST. The
// host says in `sockeye_set_allocator` that its functions may be called on any thread.
unsafe impl Sync for Heap {}

#[global_allocator]
static HEAP: Heap = Heap { source: AtomicU8::new(NEITHER), host: UnsafeCell::new(None) };

/// Has all memory come from the host. False: some was taken before.
pub fn take_from(host: Functions) -> bool {
    HEAP.choose(host)
}

/// Whether it comes from the host.
pub fn is_of_host() -> bool {
    HEAP.host().is_some()
}

impl Heap {
    fn choose(&self, host: Functions) -> bool {
        if self.source.compare_exchange(NEITHER, CHOOSING, Acquire, Acquire).is_err() {
            return false;
        }
        // SAFETY: one thread gets here, and none reads it before HOST.
        unsafe { *self.host.get() = Some(host) };
        self.source.store(HOST, Release);
        true
    }

    /// The host's functions. None: the system's.
    #[inline]
    fn host(&self) -> Option<&Functions> {
        match self.source.load(Acquire) {
            SYSTEM => None,
            HOST => self.functions(),
            _ => self.first(),
        }
    }

    /// Behind HOST.
    fn functions(&self) -> Option<&Functions> {
        // SAFETY: it is not written any more.
        unsafe { (*self.host.get()).as_ref() }
    }

    #[cold]
    fn first(&self) -> Option<&Functions> {
        loop {
            match self.source.compare_exchange(NEITHER, SYSTEM, Acquire, Acquire) {
                Ok(_) | Err(SYSTEM) => return None,
                Err(HOST) => return self.functions(),
                Err(_) => spin_loop(),
            }
        }
    }
}

// SAFETY: each block is of one of two allocators, and goes back to that one: `source` never changes
// once a block is taken. Both keep the layout, the host's by its word in `sockeye_set_allocator`.
unsafe impl GlobalAlloc for Heap {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        match self.host() {
            // SAFETY: the caller's.
            None => unsafe { System.alloc(layout) },
            // SAFETY: the host's functions, as it gave them.
            Some(host) => unsafe {
                (host.allocate)(host.user, layout.size(), layout.align()).cast()
            },
        }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if self.host().is_none() {
            // SAFETY: the caller's.
            return unsafe { System.alloc_zeroed(layout) };
        }
        // SAFETY: the caller's, and where there is a block it has so many bytes.
        unsafe {
            let block = self.alloc(layout);
            if !block.is_null() {
                block.write_bytes(0, layout.size());
            }
            block
        }
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        match self.host() {
            // SAFETY: the caller's.
            None => unsafe { System.dealloc(block, layout) },
            // SAFETY: the host's functions, as it gave them, and a block of theirs.
            Some(host) => unsafe {
                (host.release)(host.user, block.cast(), layout.size(), layout.align());
            },
        }
    }

    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        let Some(host) = self.host() else {
            // SAFETY: the caller's.
            return unsafe { System.realloc(block, layout, bytes) };
        };
        let (before, align) = (layout.size(), layout.align());
        if let Some(reallocate) = host.reallocate {
            // SAFETY: the host's functions, as it gave them, and a block of theirs.
            return unsafe { reallocate(host.user, block.cast(), before, bytes, align).cast() };
        }
        // SAFETY: as above; the two blocks have at least so many bytes, and are not one.
        unsafe {
            let other: *mut u8 = (host.allocate)(host.user, bytes, align).cast();
            if !other.is_null() {
                ptr::copy_nonoverlapping(block, other, before.min(bytes));
                (host.release)(host.user, block.cast(), before, align);
            }
            other
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    /// What was called, and the sizes.
    type Calls = Mutex<Vec<(char, usize, usize)>>;

    fn note(user: *mut c_void, call: (char, usize, usize)) {
        // SAFETY: each test gives its own list.
        unsafe { &*user.cast::<Calls>() }.lock().unwrap().push(call);
    }

    /// # Safety
    /// As of `Functions`.
    unsafe extern "C" fn allocate(user: *mut c_void, bytes: usize, align: usize) -> *mut c_void {
        note(user, ('a', bytes, align));
        // SAFETY: a layout as it was asked for.
        unsafe { System.alloc(Layout::from_size_align(bytes, align).unwrap()) }.cast()
    }

    /// # Safety
    /// As of `Functions`.
    unsafe extern "C" fn reallocate(
        user: *mut c_void,
        block: *mut c_void,
        before: usize,
        bytes: usize,
        align: usize,
    ) -> *mut c_void {
        note(user, ('r', before, bytes));
        // SAFETY: a block of `allocate`, with its layout.
        unsafe {
            let layout = Layout::from_size_align(before, align).unwrap();
            System.realloc(block.cast(), layout, bytes).cast()
        }
    }

    /// # Safety
    /// As of `Functions`.
    unsafe extern "C" fn release(user: *mut c_void, block: *mut c_void, bytes: usize, at: usize) {
        note(user, ('f', bytes, at));
        // SAFETY: a block of `allocate`, with its layout.
        unsafe { System.dealloc(block.cast(), Layout::from_size_align(bytes, at).unwrap()) };
    }

    fn heap() -> Heap {
        Heap { source: AtomicU8::new(NEITHER), host: UnsafeCell::new(None) }
    }

    fn functions(calls: &Calls, moves: bool) -> Functions {
        Functions {
            allocate,
            reallocate: if moves { Some(reallocate) } else { None },
            release,
            user: ptr::from_ref(calls).cast_mut().cast(),
        }
    }

    #[test]
    fn blocks_come_from_the_host_and_go_back_to_it() {
        for moves in [false, true] {
            let (heap, calls) = (heap(), Calls::default());
            assert!(heap.choose(functions(&calls, moves)) && heap.host().is_some());
            assert!(!heap.choose(functions(&calls, moves)), "the choice stays");
            let layout = Layout::from_size_align(24, 8).unwrap();
            // SAFETY: as a collection would.
            unsafe {
                let block = heap.alloc_zeroed(layout);
                assert!((0..24).all(|at| *block.add(at) == 0));
                block.write_bytes(7, 24);
                let block = heap.realloc(block, layout, 100);
                assert!((0..24).all(|at| *block.add(at) == 7));
                heap.dealloc(block, Layout::from_size_align(100, 8).unwrap());
            }
            let moved: &[_] =
                if moves { &[('r', 24, 100)] } else { &[('a', 100, 8), ('f', 24, 8)] };
            let all = [&[('a', 24, 8)], moved, &[('f', 100, 8)]].concat();
            assert_eq!(*calls.lock().unwrap(), all);
        }
    }

    #[test]
    fn the_first_block_decides() {
        let (heap, calls) = (heap(), Calls::default());
        let layout = Layout::from_size_align(24, 8).unwrap();
        // SAFETY: as a collection would.
        unsafe { heap.dealloc(heap.alloc(layout), layout) };
        assert!(!heap.choose(functions(&calls, true)) && heap.host().is_none());
        assert!(calls.lock().unwrap().is_empty());
        assert!(!take_from(functions(&calls, true)), "a test has taken memory");
    }
}

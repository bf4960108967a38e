//! Buffers that lie ready for the kernel to receive into, in a ring that it takes them from:
//! io_uring_register(2), IORING_REGISTER_PBUF_RING. Sockets share them, so that an idle one has
//! none.

use crate::buf::{ARENA_BYTES, Chunk, Slice};
use crate::io::common::receiving::with_room;
use crate::io::proactor::Setup;
use io_uring::types::BufRingEntry;
use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::mem;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU16, Ordering};

/// Places in the ring, a power of two.
pub const PLACES: u16 = 256;
/// Buffers at first; more when they did not suffice, and fewer again after so many turns in which
/// they did.
const FIRST: u16 = 16;
const CALM: u32 = 4096;
/// The part of the pool's bound that may lie ready.
const SHARE: u64 = 32;
/// Room in each: for a message of 16 KiB with its header.
pub const BUFFER_BYTES: usize = ARENA_BYTES;
/// Less is copied, so that it does not pin a whole buffer.
pub const SMALL: usize = BUFFER_BYTES / 4;

/// See the module.
pub struct Stock {
    setup: Setup,
    /// The ring's memory: `PLACES` entries. The kernel reads it up to its tail.
    entries: NonNull<BufRingEntry>,
    tail: u16,
    /// By number. None: taken, or never filled.
    buffers: [Option<Chunk>; PLACES as usize],
    /// Buffers there are; at most `wanted`.
    filled: u16,
    wanted: u16,
    /// The most that `wanted` becomes.
    most: u16,
    /// The kernel found none in this turn.
    short: bool,
    /// Turns since the last time that it did.
    calm: u32,
    /// The chunk that small receives of all sockets go to.
    shared: Option<Chunk>,
}

// SAFETY: the entries are this value's own memory.
unsafe impl Send for Stock {}

fn layout() -> Layout {
    Layout::array::<BufRingEntry>(PLACES.into())
        .and_then(|layout| layout.align_to(4096))
        .expect("a page")
}

impl Stock {
    /// A ring without buffers.
    pub fn new(setup: &Setup) -> Stock {
        // SAFETY: the layout is not empty.
        let memory = unsafe { alloc_zeroed(layout()) };
        let Some(entries) = NonNull::new(memory.cast()) else { handle_alloc_error(layout()) };
        let share = setup.pool.bytes_max() / SHARE / BUFFER_BYTES as u64;
        let most = share.clamp(1, PLACES.into()) as u16;
        Stock {
            setup: setup.clone(),
            entries,
            tail: 0,
            buffers: [const { None }; PLACES as usize],
            filled: 0,
            wanted: FIRST.min(most),
            most,
            short: false,
            calm: 0,
            shared: None,
        }
    }

    /// Where the kernel finds it.
    pub fn address(&self) -> u64 {
        self.entries.as_ptr() as u64
    }

    /// Whether no buffer lies ready.
    pub fn is_dry(&self) -> bool {
        self.filled == 0
    }

    /// The kernel found none: there are more from the next turn on.
    pub fn grow(&mut self) {
        self.short = true;
    }

    /// Lays buffers ready, as far as the pool has memory. What is received next is warm where the
    /// last of it is not used any more.
    pub fn fill(&mut self) {
        if let Some(chunk) = &mut self.shared {
            chunk.rewind();
        }
        self.calm += 1;
        if mem::take(&mut self.short) {
            (self.wanted, self.calm) = ((self.wanted * 2).min(self.most), 0);
        } else if self.calm >= CALM {
            (self.wanted, self.calm) = ((self.wanted / 2).max(FIRST.min(self.most)), 0);
        }
        let mut number = 0;
        while self.filled < self.wanted && number < PLACES {
            if self.buffers[usize::from(number)].is_none() {
                let Some(chunk) = self.setup.pool.take(BUFFER_BYTES) else { return };
                self.buffers[usize::from(number)] = Some(chunk);
                self.filled += 1;
                self.offer(number);
            }
            number += 1;
        }
    }

    /// A burst is over: no more are to lie ready than at first. Whether more do.
    pub fn calm_down(&mut self) -> bool {
        (self.wanted, self.calm) = (FIRST.min(self.most), 0);
        self.shared = None;
        self.filled > self.wanted
    }

    /// Begins anew with no more buffers than are wanted: the kernel does not know the ring now, and
    /// nothing is on its way.
    pub fn renew(&mut self) {
        (self.filled, self.tail) = (0, 0);
        // SAFETY: the ring's own memory; no other thread reads or writes it.
        unsafe {
            let tail = BufRingEntry::tail(self.entries.as_ptr()).cast_mut();
            AtomicU16::from_ptr(tail).store(0, Ordering::Release);
        }
        for number in 0..PLACES {
            let place = &mut self.buffers[usize::from(number)];
            if self.filled == self.wanted {
                *place = None;
            } else if place.is_some() {
                self.filled += 1;
                self.offer(number);
            }
        }
    }

    /// Gives a buffer to the kernel.
    fn offer(&mut self, number: u16) {
        let Some(chunk) = &mut self.buffers[usize::from(number)] else { return };
        let (spare, room) = chunk.spare();
        let place = usize::from(self.tail % PLACES);
        // SAFETY: within the ring; no more than PLACES are out, so the kernel is done with it. Its
        // tail shares memory with the first entry's last field, which is not written here.
        unsafe {
            let entry = &mut *self.entries.as_ptr().add(place);
            entry.set_addr(spare as u64);
            entry.set_len(room.min(self.setup.recv_max) as u32);
            entry.set_bid(number);
            self.tail = self.tail.wrapping_add(1);
            let tail = BufRingEntry::tail(self.entries.as_ptr()).cast_mut();
            // What was written before is seen by whoever sees this.
            AtomicU16::from_ptr(tail).store(self.tail, Ordering::Release);
        }
    }

    /// A buffer that the kernel took is free again.
    #[inline]
    pub fn hand_back(&mut self, number: u16) {
        if self.filled > self.wanted {
            self.buffers[usize::from(number)] = None;
            self.filled -= 1;
        } else {
            self.offer(number);
        }
    }

    /// The `len` bytes that the kernel received in a buffer. `alone`: they may stay for long, so
    /// they must not pin what they share with others.
    #[inline]
    pub fn land(&mut self, number: u16, len: usize, alone: bool) -> Slice {
        if len < SMALL {
            let place = &mut self.buffers[usize::from(number)];
            let buffer = place.as_mut().expect("the kernel had it");
            // SAFETY: the kernel wrote `len` bytes at the buffer's room.
            let bytes = unsafe { std::slice::from_raw_parts(buffer.spare().0, len) };
            let copy = if alone {
                self.setup.pool.take(len).map(|mut chunk| chunk.write(bytes))
            } else {
                with_room(&mut self.shared, &self.setup).map(|chunk| chunk.write(bytes))
            };
            if let Some(slice) = copy {
                self.hand_back(number);
                return slice;
            }
        }
        self.filled -= 1;
        let mut buffer = self.buffers[usize::from(number)].take().expect("the kernel had it");
        buffer.take(len)
    }

    /// What it was made with.
    pub fn setup(&self) -> &Setup {
        &self.setup
    }

    /// Bytes that one receive may bring.
    pub fn recv_max(&self) -> usize {
        self.setup.recv_max
    }

    /// Leaves everything to the kernel, for ever.
    pub fn forsake(&mut self) {
        self.entries = NonNull::dangling();
        self.buffers.iter_mut().for_each(|place| mem::forget(place.take()));
    }
}

impl Drop for Stock {
    fn drop(&mut self) {
        if self.entries != NonNull::dangling() {
            // SAFETY: allocated with this layout, and the kernel's ring is gone.
            unsafe { dealloc(self.entries.as_ptr().cast(), layout()) };
        }
    }
}

//! Where operations live while the system has them: a slot for each socket, in pages that never
//! move and are freed when nothing is in flight any more.

use super::doors::Doors;
use super::outward::Outward;
use crate::buf::{Chunk, Mutex, MutexGuard, rank};
use crate::io::op::{Lane, Op, Token};
use crate::io::os::windows::pktinfo::Incoming;
use crate::io::os::windows::sys;
use socket2::Socket;
use std::cell::UnsafeCell;
use std::io;
use std::mem::{self, ManuallyDrop};
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use windows_sys::Win32::Foundation::{HANDLE, STATUS_PENDING};
use windows_sys::Win32::Networking::WinSock as winsock;
use windows_sys::Win32::System::IO::{CancelIoEx, OVERLAPPED};

/// Slots of a page, as a power of two.
const PAGE_BITS: u32 = 6;
/// Shelves: the first has one page, and each further one as many as all before it.
const SHELVES: usize = (Token::INDEX_BITS - PAGE_BITS + 1) as usize;

/// Which operation of a socket it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// That of a lane.
    Lane(Lane),
    /// One of a listener's accepts, in a box of its own.
    Accept,
}

/// An operation as the system knows it: by the place of its OVERLAPPED.
#[repr(C)]
pub struct Operation {
    /// First, so that the one's place is the other's. The system's alone from `begin` until the
    /// operation is reaped.
    overlapped: UnsafeCell<OVERLAPPED>,
    /// Of its socket's token.
    pub index: u32,
    /// Which of its operations.
    pub kind: Kind,
}

// SAFETY: only its address is used while the system has it, and its fields never change.
unsafe impl Send for Operation {}
// SAFETY: as above; `begin` and `result` are called under the lock of its slot.
unsafe impl Sync for Operation {}

impl Operation {
    /// One that was never begun.
    pub fn new(index: u32, kind: Kind) -> Operation {
        Operation { overlapped: UnsafeCell::default(), index, kind }
    }

    /// How the system names it.
    pub fn overlapped(&self) -> *mut OVERLAPPED {
        self.overlapped.get()
    }

    /// Lays it out for a call. It is not in flight.
    pub fn begin(&self, event: HANDLE) {
        // SAFETY: not in flight, so nobody else looks at it.
        unsafe { *self.overlapped.get() = OVERLAPPED { hEvent: event, ..Default::default() } };
    }

    /// Whether the system is done with it.
    pub fn is_over(&self) -> bool {
        // SAFETY: its own memory, written by the system at any time.
        let status = unsafe { (&raw const (*self.overlapped.get()).Internal).read_volatile() };
        status != STATUS_PENDING as usize
    }

    /// The bytes it moved, or its error as Winsock names it. It is over.
    pub fn result(&self, socket: &Socket) -> io::Result<usize> {
        let (mut count, mut flags) = (0, 0);
        let (socket, overlapped) = (sys::raw(socket), self.overlapped.get());
        // SAFETY: an open socket, an operation that is over, and room for the answers.
        let answer = unsafe {
            winsock::WSAGetOverlappedResult(socket, overlapped, &mut count, 0, &mut flags)
        };
        if answer == 0 { Err(sys::last_error()) } else { Ok(count as usize) }
    }

    /// Has the system end it; it is reaped all the same.
    pub fn cancel(&self, socket: &Socket) {
        // SAFETY: no other operation has this name. It fails when it has just completed.
        unsafe { CancelIoEx(sys::raw(socket) as HANDLE, self.overlapped.get()) };
    }
}

/// What the engine waits for on lane In.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Inward {
    Nothing,
    Accept,
    Recv,
    RecvFrom,
}

/// What few sockets have on lane In at any time.
#[derive(Default)]
pub struct Behind {
    /// What the engine gave to receive into.
    pub chunk: Option<Chunk>,
    /// What broke the connection, behind the bytes that are still there.
    pub broken: Option<io::Error>,
    /// Where a datagram goes to.
    pub datagram: Option<Box<Landing>>,
    /// Of a listener.
    pub doors: Option<Doors>,
}

/// Memory that the system writes a datagram to.
pub struct Landing {
    pub chunk: Chunk,
    pub incoming: Incoming,
}

/// A socket that the engine lent.
pub struct Entry {
    pub token: Token,
    /// The worker that adopted it.
    pub owner: u32,
    /// Borrowed: the engine keeps it open until `release`, and closes it.
    pub socket: ManuallyDrop<Socket>,
    pub inward: Inward,
    /// The lane's operation is the system's now.
    pub flying: [bool; 2],
    /// The engine closes it.
    pub closing: bool,
    /// What completes at once is not reaped.
    pub skips: bool,
    /// More is there, most likely: it is received without asking the system to tell.
    pub bulk: bool,
    /// What the engine asked for on lane Out, where the system did not do it at once.
    pub outward: Option<Box<Outward>>,
    /// In a box: an idle socket has none.
    pub behind: Option<Box<Behind>>,
}

impl Entry {
    /// What is on the way in, to be written.
    pub fn behind(&mut self) -> &mut Behind {
        self.behind.get_or_insert_default()
    }

    /// The operation that the engine waits for on lane In, given back.
    pub fn take_inward(&mut self) -> Option<Op> {
        match mem::replace(&mut self.inward, Inward::Nothing) {
            Inward::Nothing => None,
            Inward::Accept => Some(Op::Accept),
            Inward::RecvFrom => Some(Op::RecvFrom),
            Inward::Recv => Some(Op::Recv(self.behind.as_mut().and_then(|it| it.chunk.take()))),
        }
    }
}

/// The place of one socket. Its operations may be reaped by any worker that shares the slots.
pub struct Slot {
    pub operations: [Operation; 2],
    entry: Mutex<rank::OverlappedSlot, Option<Entry>>,
}

/// A slot with the entry in it.
pub struct Held<'a> {
    pub slot: &'a Slot,
    entry: MutexGuard<'a, rank::OverlappedSlot, Option<Entry>>,
}

impl Held<'_> {
    /// Takes the socket out of its place.
    pub fn take(mut self) -> Option<Entry> {
        self.entry.take()
    }
}

impl std::ops::Deref for Held<'_> {
    type Target = Entry;

    fn deref(&self) -> &Entry {
        self.entry.as_ref().expect("looked at when it was held")
    }
}

impl std::ops::DerefMut for Held<'_> {
    fn deref_mut(&mut self) -> &mut Entry {
        self.entry.as_mut().expect("looked at when it was held")
    }
}

/// See the module.
#[derive(Default)]
pub struct Slots {
    shelves: [OnceLock<Box<[Page]>>; SHELVES],
    owners: AtomicU32,
    /// The system may still write somewhere: nothing of it is ever freed.
    forsaken: AtomicBool,
}

/// Made with the first of its sockets.
type Page = OnceLock<Box<[Slot]>>;

/// A page's shelf, and its place there.
fn place(page: usize) -> (usize, usize) {
    page.checked_ilog2().map_or((0, 0), |bits| (bits as usize + 1, page - (1 << bits)))
}

/// The pages of a shelf.
fn shelf(number: usize) -> Box<[Page]> {
    let count = 1 << number.saturating_sub(1);
    (0..count).map(|_| Page::new()).collect()
}

/// The slots of a page.
fn page(number: usize) -> Box<[Slot]> {
    let operation = |index, lane| Operation::new(index, Kind::Lane(lane));
    let slot = |index: usize| Slot {
        operations: [Lane::In, Lane::Out].map(|lane| operation(index as u32, lane)),
        entry: Mutex::new(None),
    };
    (number << PAGE_BITS..(number + 1) << PAGE_BITS).map(slot).collect()
}

impl Slots {
    /// Names one of those that share the slots.
    pub fn owner(&self) -> u32 {
        self.owners.fetch_add(1, Relaxed)
    }

    /// Puts a socket in its place.
    pub fn put(&self, entry: Entry) {
        let index = entry.token.index();
        let (number, at) = place(index >> PAGE_BITS);
        let pages = self.shelves[number].get_or_init(|| shelf(number));
        let slots = pages[at].get_or_init(|| page(index >> PAGE_BITS));
        let before = slots[index % (1 << PAGE_BITS)].entry.lock().replace(entry);
        debug_assert!(before.is_none(), "released before its slot is used again");
    }

    /// The socket of a token.
    pub fn hold(&self, token: Token) -> Option<Held<'_>> {
        self.hold_index(token.index()).filter(|held| held.token == token)
    }

    /// The socket that is in a place now.
    pub fn hold_index(&self, index: usize) -> Option<Held<'_>> {
        let (number, at) = place(index >> PAGE_BITS);
        let slots = self.shelves.get(number)?.get()?.get(at)?.get()?;
        let slot = &slots[index % (1 << PAGE_BITS)];
        let entry = slot.entry.lock();
        entry.is_some().then_some(Held { slot, entry })
    }

    /// Everyone who is there.
    pub fn all(&self) -> impl Iterator<Item = Held<'_>> {
        let pages = self.shelves.iter().filter_map(OnceLock::get).flatten();
        pages.filter_map(OnceLock::get).flatten().filter_map(|slot| {
            let entry = slot.entry.lock();
            entry.is_some().then_some(Held { slot, entry })
        })
    }

    /// Whether everything was left to the system.
    pub fn is_forsaken(&self) -> bool {
        self.forsaken.load(Relaxed)
    }

    /// Leaves everything to the system, for ever.
    pub fn forsake(&self) {
        self.forsaken.store(true, Relaxed);
    }
}

impl Drop for Slots {
    fn drop(&mut self) {
        if *self.forsaken.get_mut() {
            mem::forget(mem::take(&mut self.shelves));
        }
    }
}

/// The operation that the system names so.
///
/// # Safety
/// It is one of ours, in a slot or a box that was not freed.
pub unsafe fn named<'a>(overlapped: *mut OVERLAPPED) -> &'a Operation {
    debug_assert!(!ptr::eq(overlapped, ptr::null()));
    // SAFETY: the caller's: the OVERLAPPED is the first field of one.
    unsafe { &*overlapped.cast::<Operation>() }
}

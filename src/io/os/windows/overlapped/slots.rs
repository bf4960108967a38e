//! Where operations live while the system has them: a slot for each socket, in pages that never
//! move and are freed when nothing is in flight any more.

use super::accepts::Doors;
use super::operation::{Kind, Operation};
use super::outgoing::Outward;
use crate::buf::{Chunk, Mutex, MutexGuard, rank};
use crate::io::op::{Lane, Op, Token};
use crate::io::os::windows::pktinfo::Incoming;
use socket2::Socket;
use std::io;
use std::mem::{self, ManuallyDrop};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};

/// Slots of a page, as a power of two.
const PAGE_BITS: u32 = 6;
/// Shelves: the first has one page, and each further one as many as all before it.
const SHELVES: usize = (Token::INDEX_BITS - PAGE_BITS + 1) as usize;

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
    /// More is there, most likely: it is received without asking the system for a report.
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

//! The table of a net: one slot for each connection and listener, named by index and generation.

use crate::buf::{Lock, LockGuard, Mutex, rank};
use crate::engine::shared::config::Endpoint;
use crate::engine::shared::conn::{Conn, Origin};
use crate::engine::shared::datagrams::DatagramSocket;
use crate::engine::shared::listener::Listener;
use crate::engine::shared::tags::Tag;
use crate::io::Token;
use std::mem;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::*};
use std::sync::{Arc, OnceLock};

const PAGE_SLOTS: usize = 256;
const GENERATION_MAX: u32 = Token::GENERATION_MAX;

/// What a slot holds, in place: most are connections, and none is to cost an allocation.
#[allow(clippy::large_enum_variant, reason = "as said above")]
pub enum Resident {
    Free,
    Conn(Conn),
    Listener(Listener),
    /// Boxed: there are few, and each serves many peers.
    Datagram(Box<DatagramSocket>),
}

impl Resident {
    /// Whether the host has it as a connection.
    fn is_conn(&self) -> u64 {
        u64::from(match self {
            Resident::Conn(conn) => conn.main().is_none(),
            Resident::Datagram(udp) => udp.connected,
            Resident::Free | Resident::Listener(_) => false,
        })
    }
}

/// A slot. The numbers beside the lock are read by polls, which take no lock. Aligned to the lines
/// of the processor's cache, so that it lies in no more of them than it must.
#[repr(align(64))]
pub struct Slot {
    /// The generation of what is in it, or of what will be next. Changed under the lock.
    generation: AtomicU32,
    /// Its OPENED is in the batch that the host has: a poll ends its array before another event
    /// of it.
    pub opened: AtomicBool,
    /// The host's number, stamped on events.
    pub user_data: AtomicU64,
    /// What its worker's model calls its socket; 0: the model does not have it. The worker's own.
    lent: AtomicU64,
    /// The host closed it: of the queued events only CLOSED is still delivered.
    pub muted: AtomicBool,
    /// A command to look at it is in the inbox of its worker. Changed under the lock.
    summoned: AtomicBool,
    /// The slot stands on a list of those that wait for memory, whoever is in it by now.
    thirsty: AtomicBool,
    entry: Lock<rank::Slot, Resident>,
}

// Every connection has one, idle or not.
const _: () = assert!(size_of::<Slot>() <= (size_of::<Conn>() + 32).next_multiple_of(64));

/// A locked slot that holds what its token names.
pub struct Held<'a> {
    entry: LockGuard<'a, rank::Slot, Resident>,
    slot: &'a Slot,
}

/// A locked slot that holds a connection.
pub struct HeldConn<'a>(Held<'a>);

impl<'a> HeldConn<'a> {
    /// The numbers beside the lock.
    pub fn slot(&self) -> &'a Slot {
        self.0.slot
    }
}

impl Deref for HeldConn<'_> {
    type Target = Conn;

    #[inline]
    fn deref(&self) -> &Conn {
        let Resident::Conn(conn) = &*self.0.entry else { unreachable!("it was one when held") };
        conn
    }
}

impl DerefMut for HeldConn<'_> {
    #[inline]
    fn deref_mut(&mut self) -> &mut Conn {
        let Resident::Conn(conn) = &mut *self.0.entry else { unreachable!("it was one when held") };
        conn
    }
}

impl<'a> From<HeldConn<'a>> for Held<'a> {
    fn from(held: HeldConn<'a>) -> Held<'a> {
        held.0
    }
}

/// Slots in pages that never move; a page is made when its first slot is.
pub struct Table {
    /// In every handle, so that one of another net is recognised.
    tag: Tag,
    pages: Box<[OnceLock<Box<[Slot]>>]>,
    free: Mutex<rank::FreeSlots, Free>,
    /// Of the last connection that was made by connect: the next one is mostly made alike.
    origin: Mutex<rank::Origin, Arc<Origin>>,
    slots_max: u32,
    /// Slots beside those, for as many connections as linger.
    lingering_max: u32,
    /// Connections that linger, those past the maximum included.
    lingering: AtomicU32,
    conns: AtomicU64,
    /// As `Free::used`, for who only wants to know whether there is room.
    used: AtomicU32,
}

struct Free {
    /// Slots used before, of the first `slots_max` and of those beside. Last in, first out: their
    /// memory is warm.
    again: [Vec<u32>; 2],
    /// The first slot never used.
    fresh: u32,
    /// Slots in use.
    used: u32,
    /// The highest generation of any slot.
    highest: u32,
}

impl Slot {
    fn new(first: u32) -> Slot {
        Slot {
            generation: AtomicU32::new(first),
            opened: AtomicBool::new(false),
            user_data: AtomicU64::new(0),
            lent: AtomicU64::new(0),
            muted: AtomicBool::new(false),
            summoned: AtomicBool::new(false),
            thirsty: AtomicBool::new(false),
            entry: Lock::new(Resident::Free),
        }
    }
}

impl Free {
    fn take_fresh(&mut self) -> u32 {
        self.fresh += 1;
        self.fresh - 1
    }
}

impl<'a> Held<'a> {
    /// What is in it. Never `Free`.
    #[inline]
    pub fn resident(&mut self) -> &mut Resident {
        &mut self.entry
    }

    /// As one of a connection, if it is.
    #[inline]
    pub fn into_conn(self) -> Option<HeldConn<'a>> {
        matches!(*self.entry, Resident::Conn(_)).then(|| HeldConn(self))
    }

    /// The connection in it, if it is one.
    #[inline]
    pub fn conn(&mut self) -> Option<&mut Conn> {
        if let Resident::Conn(conn) = &mut *self.entry { Some(conn) } else { None }
    }

    /// The listener in it, if it is one.
    pub fn listener(&mut self) -> Option<&mut Listener> {
        if let Resident::Listener(listener) = &mut *self.entry { Some(listener) } else { None }
    }

    /// The datagram socket in it, if it is one.
    pub fn datagram(&mut self) -> Option<&mut DatagramSocket> {
        if let Resident::Datagram(udp) = &mut *self.entry { Some(udp) } else { None }
    }

    /// Whether a command to look at it is needed: none is on its way. From then on one is.
    pub fn summon(&self) -> bool {
        let summoned = self.slot.summoned.load(Relaxed);
        self.slot.summoned.store(true, Relaxed);
        !summoned
    }

    /// The command has come.
    pub fn came(&self) {
        self.slot.summoned.store(false, Relaxed);
    }

    /// The numbers beside the lock.
    pub fn slot(&self) -> &'a Slot {
        self.slot
    }
}

impl Table {
    /// A table of at most `slots_max` slots, and as many more as connections linger, up to
    /// `lingering_max`.
    pub fn new(slots_max: u32, lingering_max: u32, tag: Tag) -> Table {
        let all = (slots_max + lingering_max).min((1 << Token::INDEX_BITS) - 1);
        let lingering_max = all - slots_max;
        let pages = (all as usize).div_ceil(PAGE_SLOTS);
        Table {
            pages: (0..pages).map(|_| OnceLock::new()).collect(),
            free: Mutex::new(Free {
                again: Default::default(),
                fresh: 0,
                used: 0,
                highest: tag.first,
            }),
            origin: Mutex::default(),
            slots_max,
            lingering_max,
            lingering: AtomicU32::new(0),
            conns: AtomicU64::new(0),
            used: AtomicU32::new(0),
            tag,
        }
    }

    /// The net's, in every handle.
    #[inline]
    pub fn tag(&self) -> u16 {
        self.tag.number
    }

    /// Connections in it.
    pub fn conns(&self) -> u64 {
        self.conns.load(Relaxed)
    }

    /// What a connection that is made by connect begins with, shared with the one before if that
    /// was made alike.
    pub fn origin(&self, endpoint: Endpoint) -> Arc<Origin> {
        let mut last = self.origin.lock();
        if !last.serves(&endpoint) {
            *last = Arc::new(Origin::new(endpoint));
        }
        last.clone()
    }

    /// A slot that is free. Those of the first `slots_max` go first: the others are for a time of
    /// many goodbyes.
    fn take_index(&self) -> Option<u32> {
        let mut free = self.free.lock();
        let beside = self.lingering.load(Relaxed).min(self.lingering_max);
        if free.used >= self.slots_max + beside {
            return None;
        }
        let all = self.slots_max + self.lingering_max;
        let index = match free.again[0].pop() {
            Some(index) => index,
            None if free.fresh < self.slots_max => free.take_fresh(),
            None => match free.again[1].pop() {
                Some(index) => index,
                None if free.fresh < all => free.take_fresh(),
                None => return None,
            },
        };
        free.used += 1;
        self.used.store(free.used, Relaxed);
        Some(index)
    }

    /// Whether there is room for one more, as far as nobody else takes it.
    pub fn has_room(&self) -> bool {
        let (used, lingering) = (self.used.load(Relaxed), self.lingering.load(Relaxed));
        used.saturating_sub(lingering.min(self.lingering_max)) < self.slots_max
    }

    /// The host closed a connection in order: until it is gone it takes the place of no other, as
    /// long as not too many do so.
    pub fn linger(&self, conn: &mut Conn) {
        if !conn.begin_linger() {
            self.lingering.fetch_add(1, Relaxed);
        }
    }

    /// Puts `entry` in a free slot. None: all are in use.
    pub fn insert(&self, entry: Resident, user_data: u64) -> Option<Token> {
        let index = self.take_index()?;
        let page = self.pages[index as usize / PAGE_SLOTS]
            .get_or_init(|| (0..PAGE_SLOTS).map(|_| Slot::new(self.tag.first)).collect());
        let slot = &page[index as usize % PAGE_SLOTS];
        let mut place = slot.entry.lock();
        slot.user_data.store(user_data, Relaxed);
        slot.opened.store(false, Relaxed);
        slot.muted.store(false, Relaxed);
        slot.summoned.store(false, Relaxed);
        slot.lent.store(0, Relaxed);
        self.conns.fetch_add(entry.is_conn(), Relaxed);
        *place = entry;
        Some(Token::new(index, slot.generation.load(Relaxed)))
    }

    /// The slot of a token, if its generation is the current one.
    #[inline]
    pub fn slot(&self, token: Token) -> Option<&Slot> {
        let page = self.pages.get(token.index() / PAGE_SLOTS)?.get()?;
        let slot = &page[token.index() % PAGE_SLOTS];
        (slot.generation.load(Acquire) == token.generation()).then_some(slot)
    }

    /// What the model of its worker calls it, if that has it.
    #[inline]
    pub fn lent(&self, token: Token) -> Option<Token> {
        let lent = self.slot(token)?.lent.load(Relaxed);
        (lent != 0).then_some(Token(lent))
    }

    /// What the model of its worker calls it from now on.
    pub fn lend(&self, token: Token, lent: Option<Token>) {
        if let Some(slot) = self.slot(token) {
            slot.lent.store(lent.map_or(0, |lent| lent.0), Relaxed);
        }
    }

    /// Locks the slot of a token, if it holds what the token names.
    #[inline]
    pub fn hold(&self, token: Token) -> Option<Held<'_>> {
        let slot = self.slot(token)?;
        let entry = slot.entry.lock();
        let same = slot.generation.load(Relaxed) == token.generation();
        (same && !matches!(*entry, Resident::Free)).then_some(Held { entry, slot })
    }

    /// Locks the slot of an index, if there is something in it.
    pub fn hold_at(&self, index: u32) -> Option<(Token, Held<'_>)> {
        let page = self.pages.get(index as usize / PAGE_SLOTS)?.get()?;
        let slot = &page[index as usize % PAGE_SLOTS];
        let entry = slot.entry.lock();
        let token = Token::new(index, slot.generation.load(Relaxed));
        (!matches!(*entry, Resident::Free)).then_some((token, Held { entry, slot }))
    }

    /// Whether a slot is to be put on a list of those that wait for memory: it is on none. From
    /// then on it is.
    pub fn thirst(&self, token: Token) -> bool {
        self.slot(token).is_some_and(|slot| !slot.thirsty.swap(true, SeqCst))
    }

    /// A slot was taken from such a list. Who is in it now, and may have thirsted meanwhile.
    pub fn quench(&self, index: u32) -> Option<Token> {
        let slot = &self.pages[index as usize / PAGE_SLOTS].get()?[index as usize % PAGE_SLOTS];
        slot.thirsty.store(false, SeqCst);
        Some(Token::new(index, slot.generation.load(Acquire)))
    }

    /// Empties a slot for the next generation. A slot whose generations are used up is retired.
    pub fn free(&self, token: Token, mut held: Held<'_>) {
        let entry = mem::replace(&mut *held.entry, Resident::Free);
        let next = token.generation() + 1;
        held.slot.generation.store(next.min(GENERATION_MAX), Release);
        drop(held);
        self.conns.fetch_sub(entry.is_conn(), Relaxed);
        let lingered = matches!(&entry, Resident::Conn(conn) if conn.lingers());
        drop(entry);
        let mut free = self.free.lock();
        // With the lock: who counts sees both or neither.
        free.used -= 1;
        self.used.store(free.used, Relaxed);
        self.lingering.fetch_sub(u32::from(lingered), Relaxed);
        free.highest = free.highest.max(next);
        if next < GENERATION_MAX {
            let index = token.index() as u32;
            free.again[usize::from(index >= self.slots_max)].push(index);
        }
    }

    /// Other handles of this net had generations up to `highest`.
    pub fn used_up_to(&self, highest: u32) {
        let mut free = self.free.lock();
        free.highest = free.highest.max(highest);
    }

    /// Calls `look` with every connection, its slot locked. What comes or goes meanwhile may be
    /// missed.
    pub fn each_conn(&self, mut look: impl FnMut(Token, &Conn)) {
        let used = self.free.lock().fresh as usize;
        for index in 0..used {
            let Some(page) = self.pages[index / PAGE_SLOTS].get() else { continue };
            let slot = &page[index % PAGE_SLOTS];
            if let Resident::Conn(conn) = &*slot.entry.lock() {
                look(Token::new(index as u32, slot.generation.load(Relaxed)), conn);
            }
        }
    }

    /// Every slot in use, as tokens. What comes or goes meanwhile may be missed.
    pub fn tokens(&self) -> Vec<Token> {
        let used = self.free.lock().fresh as usize;
        let token = |index: usize| {
            let slot = &self.pages[index / PAGE_SLOTS].get()?[index % PAGE_SLOTS];
            let free = matches!(*slot.entry.lock(), Resident::Free);
            (!free).then(|| Token::new(index as u32, slot.generation.load(Relaxed)))
        };
        (0..used).filter_map(token).collect()
    }
}

impl Drop for Table {
    fn drop(&mut self) {
        self.tag.give_back(self.free.get_mut().highest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::shared::listener::Listener;
    use crate::session::Stack;

    fn table() -> Table {
        Table::new(1, 0, Tag::take().expect("few nets live"))
    }

    fn entry() -> Resident {
        Resident::Listener(Listener::for_tests())
    }

    #[test]
    fn a_token_of_a_former_generation_finds_nothing() {
        let table = table();
        let first = table.insert(entry(), 7).expect("one slot");
        assert!(table.insert(entry(), 0).is_none(), "no second slot");
        assert_eq!(table.slot(first).map(|slot| slot.user_data.load(Relaxed)), Some(7));
        table.free(first, table.hold(first).expect("live"));
        assert!(table.slot(first).is_none() && table.hold(first).is_none());
        let second = table.insert(entry(), 0).expect("free again");
        assert_eq!((second.index(), second.generation()), (first.index(), first.generation() + 1));
        assert_eq!(table.tokens(), [second]);
    }

    /// Two slots, and two beside for those that linger.
    #[test]
    fn who_lingers_takes_the_place_of_no_other() {
        let table = Table::new(2, 2, Tag::take().expect("few nets live"));
        let insert = || {
            let conn = Conn::new(Arc::default(), Stack::new(0, false), 0, 0);
            table.insert(Resident::Conn(conn), 0)
        };
        let linger = |token| {
            let mut held = table.hold(token).expect("live");
            table.linger(held.conn().expect("it is one"));
        };
        let free = |token| table.free(token, table.hold(token).expect("live"));
        let first = insert().expect("one");
        let second = insert().expect("two");
        assert!(insert().is_none(), "no third");
        linger(first);
        linger(first);
        let third = insert().expect("the first one lingers");
        assert_eq!((third.index(), insert()), (2, None), "once");
        linger(third);
        let fourth = insert().expect("the third one, too");
        linger(fourth);
        assert!(insert().is_none(), "two linger beside, no three");
        free(second);
        free(first);
        let low = insert().expect("one of four is free, and two linger");
        assert!(low.index() < 2, "the first ones go first");
        assert!(insert().is_some_and(|token| token.index() < 2) && insert().is_none());
        free(fourth);
        assert!(insert().is_none(), "that one only lingered");
        free(third);
        assert!(insert().is_none(), "as did that one");
        free(low);
        assert!(insert().is_some());
    }

    #[test]
    fn those_that_are_made_alike_share_their_origin() {
        let table = table();
        let slow = || {
            let mut endpoint = Endpoint::default();
            endpoint.limits.connect_timeout_ms = 1;
            endpoint
        };
        let first = table.origin(slow());
        assert!(Arc::ptr_eq(&first, &table.origin(slow())));
        assert!(!Arc::ptr_eq(&first, &table.origin(Endpoint::default())));
        assert_eq!(table.origin(slow()).limits, first.limits, "made anew");
    }

    #[test]
    fn a_slot_whose_generations_are_used_up_is_retired() {
        let table = table();
        let first = table.insert(entry(), 0).expect("one slot");
        table.slot(first).expect("live").generation.store(GENERATION_MAX - 1, Relaxed);
        let last = Token::new(first.index() as u32, GENERATION_MAX - 1);
        table.free(last, table.hold(last).expect("live"));
        assert!(table.insert(entry(), 0).is_none(), "retired");
        assert!(table.slot(last).is_none());
    }
}

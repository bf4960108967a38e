//! Groups of connections: who is in which, and what was sent to them and is still to be given to
//! their members.
//!
//! A send to a group is one entry of a log (`log.rs`), however many members there are. Each worker
//! gives it to the members on its list. Whoever does something to a member whose order with that
//! matters (a send of its own, a close, a move, another group) *settles* it before: gives it what
//! is still to come of the log, on the spot (`deliver.rs`). A number with each connection, the last
//! entry that it was given, keeps an entry from being given twice.
//!
//! Everything of one connection here is changed with its slot locked. All of its memberships are on
//! the lists of one worker, and change them with it, so that one worker gives it all entries in
//! their order.

pub mod deliver;
pub mod log;
mod members;
#[cfg(test)]
mod tests;

use crate::buf::{Mutex, rank};
use crate::engine::shared::error::Error;
use crate::io::Token;
use log::Log;
use members::{Members, NONE};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::*};

/// Slots of groups, and places of connections, on one page.
const PAGE: usize = 256;

/// See the module.
pub struct Groups {
    most: usize,
    of_conn_max: u32,
    /// Workers that have lists: those that stay.
    homes: usize,
    /// The generation that slots begin with.
    first: u32,
    pages: Box<[OnceLock<Box<[Group]>>]>,
    /// By the index of the connection.
    places: Box<[OnceLock<Box<[Place]>>]>,
    inside: Mutex<rank::Groups, Inside>,
    pub log: Log,
}

/// A group. What is read without the lock.
pub struct Group {
    generation: AtomicU32,
    lives: AtomicBool,
    /// Members on the list of each worker.
    counts: Box<[AtomicU32]>,
    /// Members that had no room when they were last given something.
    pub full: AtomicU32,
    pub sends: AtomicU64,
    pub delivered: AtomicU64,
    pub skipped: AtomicU64,
}

/// What a connection has here. Read and changed with its slot locked.
struct Place {
    /// The first of its memberships.
    first: AtomicU32,
    /// The last entry of the log that it was given, in two halves: aligned to four bytes it is
    /// smaller.
    given: [AtomicU32; 2],
}

struct Inside {
    members: Members,
    /// The first member on the list of each worker, by group.
    lists: Vec<Box<[u32]>>,
    /// Groups whose slot is free.
    free: Vec<u32>,
    used: usize,
    /// The highest generation of any slot.
    highest: u32,
    /// The next member to be given the entry that a worker gives to its members.
    walks: Box<[u32]>,
}

/// A member in a worker's hand: the index of its connection, and whether it had no room before.
#[derive(Clone, Copy, Default)]
pub struct Visit {
    pub conn: u32,
    pub full: bool,
}

impl Groups {
    /// At most `most` groups, `of_conn_max` for a connection, of a net with so many slots for
    /// connections and so many workers. `first`: the generation that handles begin with.
    pub fn new(most: u32, of_conn_max: u32, slots: u32, homes: usize, first: u32) -> Groups {
        let pages = |count: u32| (count as usize).div_ceil(PAGE);
        Groups {
            most: most as usize,
            of_conn_max,
            homes,
            first,
            pages: (0..pages(most)).map(|_| OnceLock::new()).collect(),
            places: (0..pages(slots)).map(|_| OnceLock::new()).collect(),
            inside: Mutex::new(Inside {
                members: Members::default(),
                lists: Vec::new(),
                free: Vec::new(),
                used: 0,
                highest: first,
                walks: (0..homes).map(|_| NONE).collect(),
            }),
            log: Log::new(homes),
        }
    }

    /// The highest generation that any handle had.
    pub fn highest(&self) -> u32 {
        self.inside.lock().highest
    }

    /// A group without members. None: there are as many as there may be.
    pub fn insert(&self) -> Option<Token> {
        let mut inside = self.inside.lock();
        if inside.used >= self.most {
            return None;
        }
        let index = inside.free.pop().or_else(|| {
            // A slot whose generations are used up is not used again.
            let fresh = inside.lists.len();
            (fresh < self.pages.len() * PAGE).then(|| {
                inside.lists.push((0..self.homes).map(|_| NONE).collect());
                fresh as u32
            })
        })?;
        inside.used += 1;
        let group = self.at(index);
        for count in [&group.sends, &group.delivered, &group.skipped] {
            count.store(0, Relaxed);
        }
        group.lives.store(true, Release);
        Some(Token::new(index, group.generation.load(Relaxed)))
    }

    fn at(&self, index: u32) -> &Group {
        let page = self.pages[index as usize / PAGE].get_or_init(|| {
            let group = |_| Group {
                generation: AtomicU32::new(self.first),
                lives: AtomicBool::new(false),
                counts: (0..self.homes).map(|_| AtomicU32::new(0)).collect(),
                full: AtomicU32::new(0),
                sends: AtomicU64::new(0),
                delivered: AtomicU64::new(0),
                skipped: AtomicU64::new(0),
            };
            (0..PAGE).map(group).collect()
        });
        &page[index as usize % PAGE]
    }

    /// The group that a token names.
    #[inline]
    pub fn get(&self, token: Token) -> Result<&Group, Error> {
        let page = self.pages.get(token.index() / PAGE).and_then(OnceLock::get);
        let group = page.map(|page| &page[token.index() % PAGE]).ok_or(Error::Stale)?;
        let same = group.generation.load(Acquire) == token.generation();
        if same && group.lives.load(Acquire) { Ok(group) } else { Err(Error::Stale) }
    }

    /// The group in a slot, to count what became of an entry of it.
    pub fn counters(&self, index: u32) -> &Group {
        self.at(index)
    }

    /// Ends a group: nothing is sent to it any more. Its members are still to be taken out.
    pub fn end(&self, token: Token) -> Result<(), Error> {
        let _inside = self.inside.lock();
        self.get(token)?.lives.store(false, Release);
        Ok(())
    }

    /// The connection of some member of a group that has ended. None: there is none any more, and
    /// the slot is free.
    pub fn any_of(&self, token: Token) -> Option<u32> {
        let mut inside = self.inside.lock();
        let index = token.index();
        if let Some(first) = inside.lists[index].iter().copied().find(|&first| first != NONE) {
            return Some(inside.members.get(first).conn());
        }
        let next = token.generation() + 1;
        self.at(index as u32).generation.store(next.min(Token::GENERATION_MAX), Release);
        inside.highest = inside.highest.max(next);
        inside.used -= 1;
        if next < Token::GENERATION_MAX {
            inside.free.push(index as u32);
        }
        None
    }

    /// The place of a connection, if it ever was in a group.
    #[inline]
    fn place(&self, conn: usize) -> Option<&Place> {
        self.places.get(conn / PAGE)?.get().map(|page| &page[conn % PAGE])
    }

    /// Whether a connection is in a group.
    #[inline]
    pub fn has(&self, conn: usize) -> bool {
        self.place(conn).is_some_and(|place| place.first.load(Relaxed) != NONE)
    }

    /// The last entry of the log that a connection was given.
    #[inline]
    pub fn given(&self, conn: usize) -> u64 {
        self.place(conn).map_or(0, Place::given)
    }

    /// It was given all up to this one.
    #[inline]
    pub fn give(&self, conn: usize, number: u64) {
        if let Some(place) = self.place(conn) {
            place.give(number);
        }
    }

    /// Whether a connection is in the group of a slot.
    pub fn is_in(&self, group: u32, conn: usize) -> bool {
        let Some(place) = self.place(conn) else { return false };
        let first = place.first.load(Relaxed);
        self.inside.lock().members.find(first, group).is_some()
    }

    /// Puts a connection into a group, on the list of a worker. It was settled.
    pub fn add(&self, token: Token, conn: usize, home: usize) -> Result<(), Error> {
        let mut inside = self.inside.lock();
        let group = self.get(token)?;
        let page =
            self.places[conn / PAGE].get_or_init(|| (0..PAGE).map(|_| Place::new()).collect());
        let place = &page[conn % PAGE];
        let (first, index) = (place.first.load(Relaxed), token.index());
        if inside.members.find(first, index as u32).is_some() {
            return Ok(());
        }
        if inside.members.count(first) >= self.of_conn_max {
            return Err(Error::Limit);
        }
        if first == NONE {
            place.give(self.log.head());
        }
        let Inside { members, lists, .. } = &mut *inside;
        let list = &mut lists[index][home];
        let member = members.insert(conn as u32, home, index as u32, first, list);
        place.first.store(member, Relaxed);
        group.counts[home].fetch_add(1, Relaxed);
        Ok(())
    }

    /// Takes a connection out of a group. It was settled. Stale: it is not in it.
    pub fn remove(&self, index: u32, conn: usize) -> Result<(), Error> {
        let mut inside = self.inside.lock();
        let place = self.place(conn).ok_or(Error::Stale)?;
        let first = place.first.load(Relaxed);
        let (member, before) = inside.members.find(first, index).ok_or(Error::Stale)?;
        let next = inside.members.get(member).next_of_conn;
        match before {
            NONE => place.first.store(next, Relaxed),
            before => inside.members.get_mut(before).next_of_conn = next,
        }
        self.unlink(&mut inside, member);
        inside.members.free(member);
        Ok(())
    }

    /// A connection leaves all of its groups.
    pub fn leave(&self, conn: usize) {
        let Some(place) = self.place(conn).filter(|place| place.first.load(Relaxed) != NONE) else {
            return;
        };
        let mut inside = self.inside.lock();
        let mut member = place.first.swap(NONE, Relaxed);
        while member != NONE {
            let next = inside.members.get(member).next_of_conn;
            self.unlink(&mut inside, member);
            inside.members.free(member);
            member = next;
        }
    }

    /// All memberships of a connection go to the lists of another worker. It was settled.
    pub fn relist(&self, conn: usize, home: usize) {
        if !self.has(conn) {
            return;
        }
        let mut inside = self.inside.lock();
        let mut member = self.place(conn).map_or(NONE, |place| place.first.load(Relaxed));
        while member != NONE {
            self.unlink(&mut inside, member);
            let Inside { members, lists, .. } = &mut *inside;
            let group = members.get(member).group();
            members.link(member, home, &mut lists[group as usize][home]);
            let group = self.at(group);
            group.counts[home].fetch_add(1, Relaxed);
            group.full.fetch_add(u32::from(members.get(member).is_full()), Relaxed);
            member = members.get(member).next_of_conn;
        }
    }

    /// Takes a member from its worker's list.
    fn unlink(&self, inside: &mut Inside, member: u32) {
        let Inside { members, lists, walks, .. } = inside;
        let (group, home) = (members.get(member).group(), members.get(member).home());
        if walks[home] == member {
            walks[home] = members.get(member).next;
        }
        members.unlink(member, &mut lists[group as usize][home]);
        let full = u32::from(members.get(member).is_full());
        let group = self.at(group);
        group.counts[home].fetch_sub(1, Relaxed);
        group.full.fetch_sub(full, Relaxed);
    }

    /// A worker begins to visit the members of a group that are on its list.
    pub fn walk(&self, group: u32, home: usize) {
        let mut inside = self.inside.lock();
        inside.walks[home] = inside.lists[group as usize][home];
    }

    /// The next of them; how many, 0 at the end.
    pub fn step(&self, home: usize, visits: &mut [Visit]) -> usize {
        let mut inside = self.inside.lock();
        let mut next = inside.walks[home];
        let mut count = 0;
        for visit in visits {
            if next == NONE {
                break;
            }
            let member = inside.members.get(next);
            *visit = Visit { conn: member.conn(), full: member.is_full() };
            (next, count) = (member.next, count + 1);
        }
        inside.walks[home] = next;
        count
    }

    /// A member had room, or none. The slot of its connection is locked.
    #[cold]
    pub fn note_full(&self, group: u32, conn: usize, full: bool) {
        let mut inside = self.inside.lock();
        let first = self.place(conn).map_or(NONE, |place| place.first.load(Relaxed));
        let Some((member, _)) = inside.members.find(first, group) else { return };
        if inside.members.get_mut(member).set_full(full) {
            let count = &self.at(group).full;
            if full {
                count.fetch_add(1, Relaxed)
            } else {
                count.fetch_sub(1, Relaxed)
            };
        }
    }
}

impl Group {
    /// Its members.
    pub fn count(&self) -> u32 {
        self.counts.iter().map(|count| count.load(Relaxed)).sum()
    }

    /// Workers that have members of it on their lists, a bit each.
    pub fn homes(&self) -> u64 {
        let bits = self.counts.iter().enumerate();
        bits.fold(0, |all, (home, count)| all | u64::from(count.load(Relaxed) > 0) << home)
    }
}

impl Place {
    fn new() -> Place {
        Place { first: AtomicU32::new(NONE), given: Default::default() }
    }

    fn given(&self) -> u64 {
        u64::from(self.given[0].load(Relaxed)) | u64::from(self.given[1].load(Relaxed)) << 32
    }

    fn give(&self, number: u64) {
        self.given[0].store(number as u32, Relaxed);
        self.given[1].store((number >> 32) as u32, Relaxed);
    }
}

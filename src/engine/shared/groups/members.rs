//! Memberships: each on two lists, that of its connection and that of its group with one worker.

/// The end of a list.
pub const NONE: u32 = u32::MAX;
const INDEX_BITS: u32 = 24;
const INDEX: u32 = (1 << INDEX_BITS) - 1;
const FULL: u32 = 1 << 31;
/// Memberships on one page: pages stay where they are, and none is much too large.
const PAGE: usize = 256;

/// A connection is in a group.
#[derive(Clone, Copy, Default)]
pub struct Member {
    /// The index of the connection, and the worker whose list it is on.
    conn: u32,
    /// The index of the group, and whether the connection had no room for its last message.
    group: u32,
    pub next_of_conn: u32,
    pub next: u32,
    prev: u32,
}

// With the place of its connection a member has 32 bytes.
const _: () = assert!(size_of::<Member>() <= 20);

impl Member {
    /// The index of the connection.
    pub fn conn(&self) -> u32 {
        self.conn & INDEX
    }

    pub fn home(&self) -> usize {
        (self.conn >> INDEX_BITS) as usize
    }

    /// The index of the group.
    pub fn group(&self) -> u32 {
        self.group & INDEX
    }

    /// Whether it had no room when it was last given something.
    pub fn is_full(&self) -> bool {
        self.group & FULL != 0
    }

    /// Notes that. True: it was not so before.
    pub fn set_full(&mut self, full: bool) -> bool {
        let changed = self.is_full() != full;
        self.group = self.group & INDEX | if full { FULL } else { 0 };
        changed
    }
}

/// All of them.
#[derive(Default)]
pub struct Members {
    pages: Vec<Box<[Member; PAGE]>>,
    free: Vec<u32>,
    fresh: u32,
}

impl Members {
    pub fn get(&self, at: u32) -> &Member {
        &self.pages[at as usize / PAGE][at as usize % PAGE]
    }

    pub fn get_mut(&mut self, at: u32) -> &mut Member {
        &mut self.pages[at as usize / PAGE][at as usize % PAGE]
    }

    /// A new one in front of the memberships of its connection and of the list.
    pub fn insert(
        &mut self,
        conn: u32,
        home: usize,
        group: u32,
        next_of_conn: u32,
        list: &mut u32,
    ) -> u32 {
        let at = self.free.pop().unwrap_or_else(|| {
            if self.fresh as usize == self.pages.len() * PAGE {
                self.pages.push(Box::new([Member::default(); PAGE]));
            }
            self.fresh += 1;
            self.fresh - 1
        });
        *self.get_mut(at) = Member { conn, group, next_of_conn, next: NONE, prev: NONE };
        self.link(at, home, list);
        at
    }

    /// Puts one in front of a list.
    pub fn link(&mut self, at: u32, home: usize, list: &mut u32) {
        let next = std::mem::replace(list, at);
        if next != NONE {
            self.get_mut(next).prev = at;
        }
        let member = self.get_mut(at);
        member.conn = member.conn() | (home as u32) << INDEX_BITS;
        (member.next, member.prev) = (next, NONE);
    }

    /// Takes one from its list.
    pub fn unlink(&mut self, at: u32, list: &mut u32) {
        let Member { next, prev, .. } = *self.get(at);
        match prev {
            NONE => *list = next,
            prev => self.get_mut(prev).next = next,
        }
        if next != NONE {
            self.get_mut(next).prev = prev;
        }
    }

    /// It is on no list any more.
    pub fn free(&mut self, at: u32) {
        self.free.push(at);
    }

    /// In the memberships of a connection, from the first on, that in a group, and the one before.
    pub fn find(&self, first: u32, group: u32) -> Option<(u32, u32)> {
        let (mut at, mut before) = (first, NONE);
        while at != NONE {
            let member = self.get(at);
            if member.group() == group {
                return Some((at, before));
            }
            (before, at) = (at, member.next_of_conn);
        }
        None
    }

    /// How many memberships there are from this one on.
    pub fn count(&self, first: u32) -> u32 {
        let (mut at, mut count) = (first, 0);
        while at != NONE {
            (at, count) = (self.get(at).next_of_conn, count + 1);
        }
        count
    }
}

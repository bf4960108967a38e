//! Where the entries of a wheel live: pages that never move and are freed when nothing is in them.

use crate::engine::shared::reminder::{Due, Timer};
use crate::io::Token;
use crate::session::Moment;
use std::ops::{Index, IndexMut};

/// Entries of a page.
const PAGE: usize = 64;
/// Bits of a node's place that say in which slot of which level it is. Above them: its kind.
const LIST_BITS: u16 = 9;

/// The page of an entry, and where it lies there.
fn place(timer: Timer) -> (usize, usize) {
    let at = timer.name() as usize - 1;
    (at / PAGE, at % PAGE)
}

/// An entry, or room for one.
#[derive(Clone, Copy, Default)]
pub struct Node {
    pub prev: u32,
    /// Of a free node: the next free one of its page, one more than its place; 0: none.
    pub next: u32,
    pub at: Moment,
    /// Slot and level, and above them the kind of `due`; 0: free.
    place: u16,
    key: u64,
}

// Every connection with a deadline has one.
const _: () = assert!(size_of::<Node>() == 24);

impl Node {
    /// Its slot, counted through all levels.
    pub fn list(&self) -> usize {
        usize::from(self.place & ((1 << LIST_BITS) - 1))
    }

    pub fn set_list(&mut self, list: usize) {
        self.place = self.place >> LIST_BITS << LIST_BITS | list as u16;
    }

    fn due(&self) -> Option<Due> {
        match self.place >> LIST_BITS {
            1 => Some(Due::Conn(Token(self.key))),
            2 => Some(Due::Host(self.key)),
            3 => Some(Due::Transport(self.key)),
            _ => None,
        }
    }

    fn set_due(&mut self, due: Due) {
        let (kind, key) = match due {
            Due::Conn(token) => (1, token.0),
            Due::Host(timer) => (2, timer),
            Due::Transport(endpoint) => (3, endpoint),
        };
        (self.place, self.key) = (kind << LIST_BITS, key);
    }
}

struct Page {
    nodes: [Node; PAGE],
    used: usize,
    /// The first free one, one more than its place; 0: none.
    free: u32,
}

impl Page {
    fn new() -> Box<Page> {
        let mut page = Page { nodes: [Node::default(); PAGE], used: 0, free: 1 };
        for (at, node) in page.nodes.iter_mut().enumerate().take(PAGE - 1) {
            node.next = at as u32 + 2;
        }
        Box::new(page)
    }
}

/// See the module.
#[derive(Default)]
pub struct Nodes {
    pages: Vec<Option<Box<Page>>>,
    /// No page before this one has room.
    roomy: usize,
}

impl Nodes {
    /// Whether an entry is there, and this one's.
    pub fn has(&self, timer: Timer, due: Due) -> bool {
        let (page, at) = place(timer);
        let page = self.pages.get(page).and_then(Option::as_ref);
        page.is_some_and(|page| page.nodes[at].due() == Some(due))
    }

    /// A new entry, in the first page that has room, so that the last ones become empty.
    pub fn take(&mut self, due: Due) -> Timer {
        let roomy = |page: &Option<Box<Page>>| page.as_ref().is_none_or(|it| it.used < PAGE);
        let ahead = self.pages[self.roomy..].iter().position(roomy);
        let number = ahead.map_or(self.pages.len(), |ahead| self.roomy + ahead);
        if number == self.pages.len() {
            self.pages.push(None);
        }
        self.roomy = number;
        let page = self.pages[number].get_or_insert_with(Page::new);
        let at = page.free as usize - 1;
        page.used += 1;
        page.free = page.nodes[at].next;
        page.nodes[at].set_due(due);
        Timer::named((number * PAGE + at) as u32 + 1).expect("one more than a place")
    }

    /// Ends an entry. Whose it was.
    pub fn give_back(&mut self, timer: Timer) -> Due {
        let (number, at) = place(timer);
        let page = self.pages[number].as_mut().expect("it has the entry");
        let due = page.nodes[at].due().expect("it is in use");
        page.nodes[at] = Node { next: page.free, ..Node::default() };
        page.free = at as u32 + 1;
        page.used -= 1;
        self.roomy = self.roomy.min(number);
        // The first one stays: a worker with one connection makes it again and again.
        if page.used == 0 && number > 0 {
            self.pages[number] = None;
            while let Some(None) = self.pages.last() {
                self.pages.pop();
            }
            if self.pages.len() < self.pages.capacity() / 4 {
                self.pages.shrink_to(self.pages.capacity() / 2);
            }
            self.roomy = self.roomy.min(self.pages.len());
        }
        due
    }

    /// Pages that there are.
    #[cfg(test)]
    pub fn pages(&self) -> usize {
        self.pages.iter().flatten().count()
    }
}

impl Index<Timer> for Nodes {
    type Output = Node;

    #[inline]
    fn index(&self, timer: Timer) -> &Node {
        let (page, at) = place(timer);
        &self.pages[page].as_ref().expect("it has the entry").nodes[at]
    }
}

impl IndexMut<Timer> for Nodes {
    #[inline]
    fn index_mut(&mut self, timer: Timer) -> &mut Node {
        let (page, at) = place(timer);
        &mut self.pages[page].as_mut().expect("it has the entry").nodes[at]
    }
}

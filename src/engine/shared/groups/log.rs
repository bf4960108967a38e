//! What was sent to groups and is still to be given to members: one entry a send, in order. An
//! entry goes when each worker that had members of its group has given it to them.

use crate::buf::{Mutex, Slice, rank};
use crate::io::Token;
use crate::session::Tag;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::*};
use std::time::Duration;

/// Entries at the same time. Payloads are bounded by the pool, but an empty one is of no pool, nor
/// is one that is shared with a buffer of the host's.
pub const BACKLOG_MAX: usize = 1 << 16;

/// A message to a group.
#[derive(Clone)]
pub struct Sent {
    /// Counts from 1.
    pub number: u64,
    /// The index of the group.
    pub group: u32,
    /// A connection that is not given it.
    pub except: Option<Token>,
    pub tag: Tag,
    /// To WebSockets it is text.
    pub text: bool,
    pub payload: Slice,
    /// When it was sent, by the net's clock; only where latencies are counted.
    pub at: Option<Duration>,
}

struct Entry {
    sent: Sent,
    /// Workers that have not given it to their members, a bit each.
    left: u64,
}

/// See the module.
pub struct Log {
    entries: Mutex<rank::GroupLog, VecDeque<Entry>>,
    /// How many there are, to be read without the lock.
    count: AtomicUsize,
    /// The number of the last one.
    head: AtomicU64,
    /// By worker: it was called and has not looked yet.
    called: Box<[AtomicBool]>,
    /// By worker: the last entry that was there when a flush came (MANUAL).
    flushed: Box<[AtomicU64]>,
}

impl Log {
    pub fn new(homes: usize) -> Log {
        Log {
            entries: Mutex::default(),
            count: AtomicUsize::new(0),
            head: AtomicU64::new(0),
            called: (0..homes).map(|_| AtomicBool::new(false)).collect(),
            flushed: (0..homes).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    /// The number of the last entry.
    pub fn head(&self) -> u64 {
        self.head.load(SeqCst)
    }

    /// Entries that some worker has not given to its members.
    #[inline]
    pub fn count(&self) -> usize {
        self.count.load(SeqCst)
    }

    /// Adds an entry for some workers, a bit each; none is needed where that is no worker. False:
    /// there are as many as there may be.
    pub fn append(&self, mut sent: Sent, homes: u64) -> bool {
        if homes == 0 {
            return true;
        }
        let mut entries = self.entries.lock();
        if entries.len() >= BACKLOG_MAX {
            return false;
        }
        sent.number = self.head() + 1;
        self.head.store(sent.number, SeqCst);
        entries.push_back(Entry { sent, left: homes });
        self.count.store(entries.len(), SeqCst);
        true
    }

    /// Has a worker look. False: it was called before, and has not looked yet.
    pub fn call(&self, home: usize) -> bool {
        !self.called[home].swap(true, SeqCst)
    }

    /// A worker is about to look.
    pub fn answer(&self, home: usize) {
        self.called[home].store(false, SeqCst);
    }

    /// A flush lets everything go that is in it now. True: there is something for this worker.
    pub fn flush(&self, home: usize) -> bool {
        let entries = self.entries.lock();
        self.flushed[home].store(self.head(), SeqCst);
        entries.iter().any(|entry| entry.left >> home & 1 != 0)
    }

    /// The last entry that was there when a flush of this worker's queue came.
    pub fn flushed(&self, home: usize) -> u64 {
        self.flushed[home].load(SeqCst)
    }

    /// The first entry of a worker behind `after`, up to `most`.
    pub fn next(&self, home: usize, after: u64, most: u64) -> Option<Sent> {
        let entries = self.entries.lock();
        let from = behind(&entries, after);
        let entry = entries.range(from..).find(|entry| entry.left >> home & 1 != 0)?;
        (entry.sent.number <= most).then(|| entry.sent.clone())
    }

    /// A worker has given an entry to its members.
    pub fn done(&self, home: usize, number: u64) {
        let mut entries = self.entries.lock();
        let at = behind(&entries, number - 1);
        entries[at].left &= !(1 << home);
        let mut gone = Vec::new();
        while entries.front().is_some_and(|entry| entry.left == 0) {
            gone.extend(entries.pop_front());
        }
        if entries.len() * 4 < entries.capacity() && entries.capacity() > 1024 {
            entries.shrink_to(1024);
        }
        self.count.store(entries.len(), SeqCst);
        drop(entries);
        // Payloads go back to their pool without the lock.
        drop(gone);
    }

    /// Everything behind `after`, and the number of the last one.
    pub fn since(&self, after: u64) -> (Vec<Sent>, u64) {
        let entries = self.entries.lock();
        let from = behind(&entries, after);
        (entries.range(from..).map(|entry| entry.sent.clone()).collect(), self.head())
    }
}

/// Where the first entry behind a number is. Their numbers follow each other.
fn behind(entries: &VecDeque<Entry>, after: u64) -> usize {
    let first = entries.front().map_or(0, |entry| entry.sent.number);
    ((after + 1).saturating_sub(first) as usize).min(entries.len())
}

//! The pieces of an outbox: a queue whose first element is in place. Most outboxes have one piece
//! and most of the time none, so that a connection that is idle has no memory elsewhere.

use super::keyed::{Keyed, Waiting};
use super::message::Framed;
use crate::buf::{Part, Slice};
use std::collections::VecDeque;

/// Room for so many pieces is kept when they are gone; more was a burst.
const KEEP: usize = 16;

/// Some whole messages, a part of one, or what is left of them, in one run of bytes. Its bytes are
/// never 0; while the model has them, it knows only how many they are. So it does where it is the
/// place of a message with a key.
pub type Piece = Part;

/// Invariant: `first` is empty exactly when there is no piece at all.
#[derive(Default)]
pub struct Pieces {
    first: Piece,
    /// In a box, made when the peer is behind for the first time.
    behind: Option<Box<Behind>>,
}

/// What only an outbox has whose peer is behind.
#[derive(Default)]
struct Behind {
    rest: VecDeque<Piece>,
    /// Sums over `rest`.
    bytes: u32,
    messages: u32,
    counts: Counts,
    /// None exactly when no piece is the place of a message with a key.
    keyed: Option<Box<Keyed>>,
}

/// Sends refused since the last WRITABLE.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Refused {
    count: u32,
    /// The room that the smallest of them asked for.
    least: u32,
}

impl Refused {
    /// Counts one that asked for so much room.
    pub fn add(&mut self, room: usize) {
        let room = u32::try_from(room).unwrap_or(u32::MAX);
        self.least = if self.count == 0 { room } else { self.least.min(room) };
        self.count = self.count.saturating_add(1);
    }

    /// The room with which the next send is taken, if a WRITABLE is owed.
    #[inline]
    pub fn least(&self) -> Option<usize> {
        (self.count > 0).then_some(self.least as usize)
    }

    /// How many, which a WRITABLE reports.
    pub fn take(&mut self) -> u32 {
        std::mem::take(self).count
    }
}

/// What became of messages that there was no room for.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    pub refused: Refused,
    /// Messages dropped by DROP_OLDEST.
    pub dropped: u32,
}

impl Pieces {
    /// Bytes in all.
    #[inline(always)]
    pub fn bytes(&self) -> u32 {
        self.first.len() + self.behind.as_ref().map_or(0, |behind| behind.bytes)
    }

    /// Messages in all.
    #[inline(always)]
    pub fn messages(&self) -> u32 {
        self.first.messages + self.behind.as_ref().map_or(0, |behind| behind.messages)
    }

    #[inline(always)]
    pub fn is_empty(&self) -> bool {
        self.first.is_empty()
    }

    #[inline(always)]
    pub fn push_back(&mut self, piece: Piece) {
        debug_assert!(!piece.is_empty(), "an empty piece says nothing");
        if self.is_empty() {
            self.first = piece;
        } else {
            self.behind.get_or_insert_default().push(piece);
        }
    }

    /// Adds a message to the last piece. False: it has no room for it.
    #[inline(always)]
    pub fn grow(&mut self, head: &[u8], body: &[u8]) -> bool {
        let Some(last) = self.last_for(head.len() + body.len()) else { return false };
        last.write(head);
        last.write(body);
        true
    }

    /// As `grow`, for a message of any number of runs of bytes; `wire` is their sum.
    pub fn grow_by<'a>(&mut self, wire: usize, runs: impl Iterator<Item = &'a [u8]>) -> bool {
        let Some(last) = self.last_for(wire) else { return false };
        runs.for_each(|run| last.write(run));
        true
    }

    /// The last piece, if it has room for a message of `wire` bytes, which is counted.
    #[inline(always)]
    fn last_for(&mut self, wire: usize) -> Option<&mut Piece> {
        let behind = self.behind.as_deref_mut().filter(|behind| !behind.rest.is_empty());
        let last = match behind {
            None => &mut self.first,
            Some(behind) => {
                let last = behind.rest.back_mut().filter(|last| last.room() >= wire)?;
                behind.bytes += wire as u32;
                behind.messages += 1;
                last
            }
        };
        if last.room() < wire {
            return None;
        }
        last.messages += 1;
        Some(last)
    }

    /// Bytes and messages of the piece at `at`.
    #[inline(always)]
    pub fn size(&self, at: usize) -> Option<(u32, u32)> {
        let piece = match at.checked_sub(1) {
            None => (!self.first.is_empty()).then_some(&self.first),
            Some(at) => self.behind.as_ref()?.rest.get(at),
        };
        piece.map(|piece| (piece.len(), piece.messages))
    }

    /// The bytes of the piece at `at`, to be sent.
    #[inline(always)]
    pub fn lend(&mut self, at: usize) -> Slice {
        self.get(at).lend()
    }

    /// Whether the piece at `at`, which the model does not have, is the place of a message with a
    /// key.
    pub fn is_place(&mut self, at: usize) -> bool {
        self.get(at).is_lent()
    }

    /// Takes back the bytes of the piece at `at`.
    #[inline(always)]
    pub fn restore(&mut self, at: usize, slice: Slice) {
        self.get(at).restore(slice);
    }

    /// Drops the first `count` bytes of the first piece, which has more.
    pub fn advance(&mut self, count: u32) {
        self.first.advance(count);
        debug_assert!(!self.first.is_empty(), "an empty piece says nothing");
    }

    #[inline(always)]
    fn get(&mut self, at: usize) -> &mut Piece {
        let piece = match at.checked_sub(1) {
            None => Some(&mut self.first),
            Some(at) => self.behind.as_mut().and_then(|behind| behind.rest.get_mut(at)),
        };
        piece.expect("the caller counts")
    }

    /// Takes out the first piece.
    #[inline(always)]
    pub fn pop_front(&mut self) -> Piece {
        let next = self.behind.as_mut().and_then(|behind| behind.remove(0));
        std::mem::replace(&mut self.first, next.unwrap_or_default())
    }

    /// Takes out the piece at `at`, which the model does not have, and what waits there.
    pub fn remove(&mut self, at: usize) -> Option<Piece> {
        let piece = match at.checked_sub(1) {
            None => (!self.is_empty()).then(|| self.pop_front()),
            Some(at) => self.behind.as_mut()?.remove(at),
        };
        if piece.as_ref().is_some_and(Part::is_lent) {
            self.pop_keyed();
        }
        piece
    }

    /// Cuts the piece at `at` in two, the first of `len` bytes.
    pub fn split(&mut self, at: usize, len: u32) {
        let rest = self.get(at).split(len);
        let behind = self.behind.get_or_insert_default();
        if at > 0 {
            behind.bytes -= rest.len();
            behind.messages -= rest.messages;
        }
        behind.insert(at, rest);
    }

    /// Bytes that wait under `key`.
    pub fn waiting(&self, key: u64) -> Option<u32> {
        self.size(self.place(key)?).map(|(bytes, _)| bytes)
    }

    /// Which piece is the place of `key`.
    fn place(&self, key: u64) -> Option<usize> {
        let behind = self.behind.as_ref()?;
        Some(behind.rest.len() - behind.keyed.as_ref()?.behind(key)?)
    }

    /// Puts a message under `key`, in the place of the older one or behind all others. Answers
    /// whether there was no flush since that place was taken.
    pub fn put(&mut self, key: u64, message: &mut Framed) -> bool {
        let bytes = message.bytes() as u32;
        let mut fresh = Part::elsewhere(bytes);
        fresh.messages = 1;
        match self.place(key) {
            Some(at) => {
                let older = std::mem::replace(self.get(at), fresh);
                if let Some(behind) = self.behind.as_mut().filter(|_| at > 0) {
                    behind.bytes = behind.bytes - older.len() + bytes;
                }
            }
            None => {
                self.behind.get_or_insert_default().keyed.get_or_insert_default();
                self.push_back(fresh);
            }
        }
        let keyed = self.behind.get_or_insert_default().keyed.get_or_insert_default();
        keyed.put(key, message)
    }

    /// Takes out what waits under `key`, if something does. Its bytes, and whether there was no
    /// flush since its place was taken.
    #[cold]
    pub fn withdraw(&mut self, key: u64) -> Option<(u32, bool)> {
        let at = self.place(key)?;
        let piece = match at.checked_sub(1) {
            None => self.pop_front(),
            Some(at) => self.behind.as_mut()?.remove(at)?,
        };
        let keyed = &mut self.behind.as_mut()?.keyed;
        let unflushed = keyed.as_mut()?.remove(key);
        keyed.take_if(|keyed| keyed.is_empty());
        Some((piece.len(), unflushed))
    }

    /// Puts the message at its place, which is the first one: the piece at `at`.
    #[cold]
    pub fn open(&mut self, at: usize) {
        let Waiting { first, rest, .. } = self.pop_keyed();
        let part = |slice: Slice, ends: bool| {
            let mut part = Part::from(slice);
            part.messages = u32::from(ends);
            part
        };
        let first = part(first, rest.is_empty());
        let (bytes, messages) = (first.len(), first.messages);
        let place = std::mem::replace(self.get(at), first);
        let behind = self.behind.get_or_insert_default();
        if at > 0 {
            behind.bytes -= place.len() - bytes;
            behind.messages -= place.messages - messages;
        }
        let count = rest.len();
        for (more, slice) in rest.into_iter().enumerate() {
            behind.insert(at + more, part(slice, more + 1 == count));
        }
    }

    /// Takes out what waits at the first place.
    fn pop_keyed(&mut self) -> Waiting {
        let behind = self.behind.as_mut().expect("they are kept there");
        let keyed = behind.keyed.as_mut().expect("there is a place");
        let waiting = keyed.pop().expect("something waits at each place");
        behind.keyed.take_if(|keyed| keyed.is_empty());
        waiting
    }

    /// Everything may leave.
    pub fn flush(&mut self) {
        if let Some(keyed) = self.behind.as_mut().and_then(|behind| behind.keyed.as_mut()) {
            keyed.flush();
        }
    }

    /// What was refused and dropped.
    pub fn counts(&self) -> Counts {
        self.behind.as_ref().map_or_else(Counts::default, |behind| behind.counts)
    }

    /// The same, to be changed.
    pub fn counts_mut(&mut self) -> &mut Counts {
        &mut self.behind.get_or_insert_default().counts
    }

    /// Gives up memory that nothing is in.
    pub fn relax(&mut self) {
        self.behind.take_if(|behind| {
            let none = behind.rest.is_empty() && behind.keyed.is_none();
            none && behind.counts == Counts::default()
        });
    }
}

impl Behind {
    fn push(&mut self, piece: Piece) {
        if let Some(keyed) = &mut self.keyed {
            keyed.push();
        }
        self.insert(self.rest.len(), piece);
    }

    fn insert(&mut self, at: usize, piece: Piece) {
        self.bytes += piece.len();
        self.messages += piece.messages;
        self.rest.insert(at, piece);
    }

    fn remove(&mut self, at: usize) -> Option<Piece> {
        let piece = self.rest.remove(at)?;
        self.bytes -= piece.len();
        self.messages -= piece.messages;
        if self.rest.is_empty() && self.rest.capacity() > KEEP {
            self.rest = VecDeque::new();
        }
        Some(piece)
    }
}

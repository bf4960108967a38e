//! The pieces of an outbox: a queue whose first element is in place. Most outboxes have one piece
//! and most of the time none, so that a connection that is idle has no memory elsewhere.

use crate::buf::{Part, Slice};
use std::collections::VecDeque;

/// Room for so many pieces is kept when they are gone; more was a burst.
const KEEP: usize = 16;

/// Some whole messages, or what is left of them, in one run of bytes. Its bytes are never 0; while
/// the model has them, it knows only how many they are.
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
}

/// What became of messages that there was no room for.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Sends refused since the last WRITABLE.
    pub refused: u32,
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
        let wire = head.len() + body.len();
        let behind = self.behind.as_deref_mut().filter(|behind| !behind.rest.is_empty());
        let last = match behind {
            None => &mut self.first,
            Some(behind) => {
                let Some(last) = behind.rest.back_mut().filter(|last| last.room() >= wire) else {
                    return false;
                };
                behind.bytes += wire as u32;
                behind.messages += 1;
                last
            }
        };
        if last.room() < wire {
            return false;
        }
        last.write(head);
        last.write(body);
        last.messages += 1;
        true
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

    /// Takes out the piece at `at`.
    pub fn remove(&mut self, at: usize) -> Option<Piece> {
        match at.checked_sub(1) {
            None => (!self.is_empty()).then(|| self.pop_front()),
            Some(at) => self.behind.as_mut()?.remove(at),
        }
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
        let bare =
            |behind: &mut Box<Behind>| behind.rest.is_empty() && behind.counts == Counts::default();
        self.behind.take_if(bare);
    }
}

impl Behind {
    fn push(&mut self, piece: Piece) {
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

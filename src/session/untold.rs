//! What a session keeps of the bytes that it received and has not reported.

use super::framer::DELIMITER_MAX;
use super::limits::Millis;
use crate::buf::{Chunk, Pool, Reader};

/// What was received and is not reported. Invariant: one of the three is here.
#[derive(Default)]
pub(super) struct Untold {
    /// Received and not parsed: the host paused, or the budget of a turn was used up. Empty
    /// whenever a receive is asked for.
    pub(super) input: Reader,
    pub(super) partial: Option<Partial>,
    /// The rest of a message that was cut is dropped.
    pub(super) dropped: Option<Tail>,
}

/// A frame that did not come whole in one receive.
pub(super) struct Partial {
    /// None exactly while the model receives into it.
    pub(super) chunk: Option<Chunk>,
    pub(super) header: u32,
    /// Bytes of the whole frame; 0 while the header is not complete.
    pub(super) total: u32,
    /// Bytes of its memory, also while the model has that.
    pub(super) held: u32,
    /// Since when it is incomplete.
    pub(super) since: Millis,
}

impl Partial {
    /// A frame of unknown size, of which `chunk` came.
    pub(super) fn begun(chunk: Chunk, now: Millis) -> Partial {
        let held = chunk.capacity() as u32;
        Partial { chunk: Some(chunk), header: 0, total: 0, held, since: now }
    }

    /// Adds bytes to a frame that has `need` at most. False: there is no memory for them.
    pub(super) fn extend(&mut self, pool: &Pool, bytes: &[u8], need: usize) -> bool {
        let Some(chunk) = self.chunk.as_mut() else { return false };
        if chunk.room() < bytes.len() {
            if !pool.grow(chunk, chunk.len() + bytes.len(), need) {
                return false;
            }
            chunk.limit_to(need);
            self.held = chunk.capacity() as u32;
        }
        chunk.put(bytes);
        true
    }
}

/// The end of an overlong message that is being dropped, in which its delimiter may have begun.
#[derive(Clone, Copy, Default)]
pub struct Tail {
    bytes: [u8; DELIMITER_MAX],
    len: u8,
}

/// What may be left of a line's end whose CR came, and is no part of what follows.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub enum LineEnd {
    /// Nothing.
    #[default]
    Whole,
    /// LF or NUL.
    Open,
    /// LF alone: no lines follow, so that a NUL is of what does.
    Feed,
}

impl LineEnd {
    pub(super) fn after(open: bool) -> LineEnd {
        if open { LineEnd::Open } else { LineEnd::Whole }
    }

    /// What follows is cut another way.
    pub(super) fn reframe(&mut self, lines: bool) {
        *self = match *self {
            LineEnd::Whole => LineEnd::Whole,
            _ if lines => LineEnd::Open,
            _ => LineEnd::Feed,
        };
    }
}

impl Tail {
    /// What is left of `before` and `more` in a row, of which at most `most` bytes are kept.
    pub(super) fn of(before: &[u8], more: &[u8], most: usize) -> Tail {
        let mut tail = Tail::default();
        let skipped = (before.len() + more.len()).saturating_sub(most);
        for &byte in before.iter().chain(more).skip(skipped) {
            tail.bytes[usize::from(tail.len)] = byte;
            tail.len += 1;
        }
        tail
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

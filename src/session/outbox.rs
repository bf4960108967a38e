//! The outbox: messages that were taken and not yet written, with their bounds.

use super::event::SendError;
use super::limits::{Limits, Overflow};
use crate::buf::{Chunk, Pool, Slice, Train};
use std::collections::VecDeque;

/// Messages up to this size are gathered in common memory; larger ones keep their own.
pub const GATHER_MAX: usize = 4000;
/// Common memory grows with what waits, up to this much at a time.
const CHUNK_MAX: usize = 16 * 1024;

/// Some whole messages, or what is left of them, in one run of bytes.
struct Piece {
    slice: Slice,
    /// Messages that end in it.
    messages: u32,
}

/// Invariants: `bytes` and `messages` are the sums over `pieces`; `held <= bytes`;
/// `flying <= pieces.len()`.
#[derive(Default)]
pub struct Outbox {
    pieces: VecDeque<Piece>,
    /// Room behind the last piece. None when the last piece has memory of its own.
    tail: Option<Chunk>,
    bytes: u32,
    messages: u32,
    /// Bytes at the end that wait for a flush.
    held: u32,
    /// Pieces at the front that the model has a copy of.
    flying: u32,
    /// True exactly when the first piece is the rest of one that was partly written.
    started: bool,
    /// Sends refused since the last WRITABLE.
    refused: u32,
    /// Messages dropped by DROP_OLDEST.
    dropped: u32,
}

impl Outbox {
    /// Bytes that wait, those with the model included.
    pub fn bytes(&self) -> u32 {
        self.bytes
    }

    /// Messages that wait, counted until their last byte is written.
    pub fn messages(&self) -> u32 {
        self.messages
    }

    /// Messages dropped so far.
    pub fn dropped(&self) -> u32 {
        self.dropped
    }

    /// Makes room for a message of `wire` bytes, or says why not.
    pub fn admit(&mut self, limits: &Limits, wire: usize) -> Result<(), SendError> {
        if wire > limits.outbox_max_bytes as usize {
            return Err(SendError::TooBig);
        }
        if self.fits(limits, wire) {
            return Ok(());
        }
        match limits.overflow {
            Overflow::Close => return Err(SendError::Overflow),
            Overflow::DropOldest => self.drop_oldest(limits, wire),
            Overflow::Reject => {}
        }
        if self.fits(limits, wire) { Ok(()) } else { Err(self.refuse(SendError::Again)) }
    }

    fn fits(&self, limits: &Limits, wire: usize) -> bool {
        self.bytes as usize + wire <= limits.outbox_max_bytes as usize
            && self.messages < limits.outbox_max_messages
    }

    /// Counts a refusal; a WRITABLE is owed for it.
    pub fn refuse(&mut self, error: SendError) -> SendError {
        self.refused = self.refused.saturating_add(1);
        error
    }

    /// Drops whole messages of which nothing was written, oldest first. Each has a piece of its
    /// own under this policy.
    fn drop_oldest(&mut self, limits: &Limits, wire: usize) {
        let first = (self.flying as usize).max(usize::from(self.started));
        while self.pieces.len() > first && !self.fits(limits, wire) {
            let piece = self.pieces.remove(first).expect("there are more than `first`");
            self.bytes -= piece.slice.len() as u32;
            self.messages -= piece.messages;
            self.dropped = self.dropped.saturating_add(piece.messages);
            self.held = self.held.min(self.bytes);
        }
    }

    /// Adds a message given as two runs of bytes, gathered with its neighbours where `gather`.
    pub fn append(
        &mut self,
        pool: &Pool,
        head: &[u8],
        body: &[u8],
        gather: bool,
    ) -> Result<(), SendError> {
        let wire = head.len() + body.len();
        if let (Some(tail), Some(last)) = (&mut self.tail, self.pieces.back_mut())
            && gather
            && tail.room() >= wire
            && tail.extend(&mut last.slice, head)
        {
            let grown = tail.extend(&mut last.slice, body);
            debug_assert!(grown, "the room was looked at");
            last.messages += 1;
            self.count(wire);
            return Ok(());
        }
        let room = wire.max((self.bytes as usize).min(CHUNK_MAX));
        let Some(mut chunk) = pool.take(room) else { return Err(self.refuse(SendError::Memory)) };
        let mut slice = chunk.write(head);
        chunk.extend(&mut slice, body);
        self.push(slice, wire);
        self.tail = gather.then_some(chunk);
        Ok(())
    }

    /// Adds a message that has memory of its own.
    pub fn append_slice(&mut self, slice: Slice) {
        let wire = slice.len();
        self.tail = None;
        self.push(slice, wire);
    }

    fn push(&mut self, slice: Slice, wire: usize) {
        if wire > 0 {
            self.pieces.push_back(Piece { slice, messages: 1 });
            self.count(wire);
        }
    }

    fn count(&mut self, wire: usize) {
        self.bytes += wire as u32;
        self.messages += 1;
    }

    /// The last `wire` bytes wait for a flush.
    pub fn hold(&mut self, wire: usize) {
        self.held += wire as u32;
    }

    /// Everything may leave.
    pub fn flush(&mut self) {
        self.held = 0;
    }

    /// Whether something may leave and the model has nothing.
    pub fn is_sendable(&self) -> bool {
        self.bytes > self.held && self.flying == 0
    }

    /// What the model is to write next. It stays here until `sent` tells how much was written.
    pub fn transmit(&mut self) -> Option<Train> {
        if !self.is_sendable() {
            return None;
        }
        let mut free = (self.bytes - self.held) as usize;
        let mut train = Train::default();
        for piece in &self.pieces {
            if free == 0 || train.is_full() {
                break;
            }
            let mut slice = piece.slice.clone();
            slice.truncate(free);
            free -= slice.len();
            train.push(slice);
            self.flying += 1;
        }
        Some(train)
    }

    /// The model wrote the first `count` bytes and has nothing any more.
    pub fn sent(&mut self, mut count: usize) {
        self.flying = 0;
        self.bytes -= count as u32;
        while count > 0 {
            let front = self.pieces.front_mut().expect("no more is written than waits");
            if front.slice.len() > count {
                front.slice.advance(count);
                self.started = true;
                return;
            }
            count -= front.slice.len();
            self.messages -= front.messages;
            self.pieces.pop_front();
            self.started = false;
        }
        if self.pieces.is_empty() {
            self.tail = None;
        }
    }

    /// Refusals to be told by a WRITABLE now, if the low mark is reached and any are owed.
    pub fn relieved(&mut self, limits: &Limits) -> Option<u32> {
        let low = self.bytes <= limits.outbox_low_bytes
            && self.messages <= limits.outbox_max_messages / 2;
        (low && self.refused > 0).then(|| std::mem::take(&mut self.refused))
    }

    /// Drops everything; tells how many bytes that were.
    pub fn clear(&mut self) -> u32 {
        let bytes = self.bytes;
        *self = Outbox { dropped: self.dropped, ..Outbox::default() };
        bytes
    }
}

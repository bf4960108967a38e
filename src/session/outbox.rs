//! The outbox: messages that were taken and not yet written, with their bounds.

use super::event::SendError;
use super::limits::{Limits, Overflow};
use super::pieces::{Piece, Pieces};
use crate::buf::{ARENA_BYTES, Arena, Chunk, Pool, Release, Slice, Train};

/// Messages up to this size are gathered in common memory; larger ones keep their own.
pub const GATHER_MAX: usize = 4000;
/// Common memory grows with what waits, up to this much at a time.
const CHUNK_MAX: usize = ARENA_BYTES;

/// Where sends get their memory.
#[derive(Clone, Copy)]
pub struct Memory<'a> {
    /// For small messages of connections whose peer reads.
    pub arena: &'a Arena,
    /// For the others: what waits long must not pin what lies beside it.
    pub pool: &'a Pool,
}

/// Invariants: `bytes` and `messages` are the sums over `pieces`; `held <= bytes`;
/// `flying <= pieces.len()`.
#[derive(Default)]
pub struct Outbox {
    pieces: Pieces,
    /// Room behind the last piece.
    tail: Option<Chunk>,
    bytes: u32,
    messages: u32,
    /// Bytes at the end that wait for a flush.
    held: u32,
    /// Pieces at the front that the model has.
    flying: u32,
    /// Bytes of the last train, up to `GATHER_MAX`.
    usual: u16,
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

    /// Messages that wait. Those that are gathered in one piece of memory are counted until its
    /// last byte is written.
    pub fn messages(&self) -> u32 {
        self.messages
    }

    /// Messages dropped so far.
    pub fn dropped(&self) -> u32 {
        self.dropped
    }

    /// Makes room for a message of `wire` bytes, or says why not.
    #[inline]
    pub fn admit(&mut self, limits: &Limits, wire: usize) -> Result<(), SendError> {
        if wire > limits.outbox_max_bytes as usize {
            return Err(SendError::TooBig);
        }
        if fits(limits, self.bytes, self.messages, wire) {
            return Ok(());
        }
        match limits.overflow {
            Overflow::Close => return Err(SendError::Overflow),
            Overflow::DropOldest if self.drop_oldest(limits, wire) => return Ok(()),
            Overflow::DropOldest | Overflow::Reject => {}
        }
        Err(self.refuse(SendError::Again))
    }

    /// Counts a refusal; a WRITABLE is owed for it.
    pub fn refuse(&mut self, error: SendError) -> SendError {
        self.refused = self.refused.saturating_add(1);
        error
    }

    /// Drops whole messages of which nothing was written, oldest first. Each has a piece of its
    /// own under this policy. False, and nothing dropped: there would not be room even so.
    fn drop_oldest(&mut self, limits: &Limits, wire: usize) -> bool {
        let first = (self.flying as usize).max(usize::from(self.started));
        let (mut bytes, mut messages) = (0, 0);
        for at in 0..first {
            let piece = self.pieces.get_mut(at).expect("what was begun is here");
            bytes += piece.len;
            messages += piece.messages;
        }
        if !fits(limits, bytes, messages, wire) {
            return false;
        }
        // Of what may leave, that which may be dropped: it comes before what is held.
        let mut free = (self.bytes - self.held).saturating_sub(bytes);
        while !fits(limits, self.bytes, self.messages, wire) {
            let piece = self.pieces.remove(first).expect("those that stay leave room");
            self.bytes -= piece.len;
            self.messages -= piece.messages;
            self.dropped = self.dropped.saturating_add(piece.messages);
            self.held -= piece.len - piece.len.min(free);
            free -= piece.len.min(free);
        }
        true
    }

    /// Adds a message given as two runs of bytes, gathered with its neighbours where `gather`.
    #[inline(always)]
    pub fn append(
        &mut self,
        memory: Memory<'_>,
        head: &[u8],
        body: &[u8],
        gather: bool,
    ) -> Result<(), SendError> {
        let wire = head.len() + body.len();
        if wire == 0 {
            return Ok(());
        }
        let last = self.pieces.back_mut();
        if let (Some(tail), Some(last)) = (&mut self.tail, last)
            && gather
            && tail.room() >= wire
            && tail.extend(&mut last.slice, head)
        {
            tail.extend(&mut last.slice, body);
            self.grow(wire);
            return Ok(());
        }
        // As much as waits already, so that a burst of any size is few pieces, and as much as the
        // last train had: a connection is sent much the same each tick.
        let more = usize::from(self.usual).max(self.bytes as usize).min(CHUNK_MAX);
        let room = wire.max(if gather { more } else { 0 });
        let chunk = if gather && self.flying == 0 && room <= GATHER_MAX {
            memory.arena.part(room)
        } else {
            memory.pool.take(room)
        };
        let Some(mut chunk) = chunk else { return Err(SendError::Memory) };
        self.append_slice(chunk.write_both(head, body));
        self.tail = gather.then_some(chunk);
        Ok(())
    }

    /// Adds a message in memory of its own, or of others too.
    #[inline(always)]
    pub fn append_slice(&mut self, slice: Slice) {
        self.tail = None;
        let len = slice.len() as u32;
        if len > 0 {
            self.pieces.push_back(Piece { slice, len, messages: 1 });
            self.bytes += len;
            self.messages += 1;
        }
    }

    /// The last piece grew by a message.
    #[inline(always)]
    fn grow(&mut self, wire: usize) {
        let last = self.pieces.back_mut().expect("it grew");
        last.len += wire as u32;
        last.messages += 1;
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
    #[inline(always)]
    pub fn is_sendable(&self) -> bool {
        self.bytes > self.held && self.flying == 0
    }

    /// What the model is to write next. It comes back with `sent`.
    #[inline(always)]
    pub fn transmit(&mut self) -> Option<Train> {
        if !self.is_sendable() {
            return None;
        }
        let mut free = self.bytes - self.held;
        let mut train = Train::default();
        while free > 0
            && !train.is_full()
            && let Some(piece) = self.pieces.get_mut(self.flying as usize)
        {
            if piece.len > free {
                let rest = split(piece, free);
                self.pieces.insert_behind(self.flying as usize, rest);
                continue;
            }
            free -= piece.len;
            train.push(std::mem::take(&mut piece.slice));
            self.flying += 1;
        }
        self.usual = train.len().min(GATHER_MAX) as u16;
        Some(train)
    }

    /// The model wrote the first `count` bytes of the train and gives it back.
    #[inline(always)]
    pub fn sent(&mut self, mut count: usize, train: Train, release: &mut Release) {
        let flying = std::mem::take(&mut self.flying) as usize;
        for (at, slice) in train.into_slices().take(flying).enumerate() {
            self.pieces.get_mut(at).expect("it flew").slice = slice;
        }
        self.bytes -= count as u32;
        while count > 0 {
            let front = self.pieces.get_mut(0).expect("no more is written than waits");
            if front.len as usize > count {
                front.slice.advance(count);
                front.len -= count as u32;
                self.started = true;
                return;
            }
            count -= front.len as usize;
            self.messages -= front.messages;
            if let Some(piece) = self.pieces.remove(0) {
                release.add(piece.slice);
            }
            self.started = false;
        }
        if self.pieces.is_empty()
            && let Some(tail) = self.tail.take()
        {
            release.add_chunk(tail);
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

/// Whether there is room for `wire` bytes beside those that wait.
#[inline(always)]
fn fits(limits: &Limits, bytes: u32, messages: u32, wire: usize) -> bool {
    bytes as usize + wire <= limits.outbox_max_bytes as usize
        && messages < limits.outbox_max_messages
}

/// Cuts a piece in two behind `len` bytes: a flush came in the middle of it.
fn split(piece: &mut Piece, len: u32) -> Piece {
    let mut rest = piece.slice.clone();
    rest.advance(len as usize);
    piece.slice.truncate(len as usize);
    let rest = Piece { slice: rest, len: piece.len - len, messages: piece.messages };
    (piece.len, piece.messages) = (len, 0);
    rest
}

//! The outbox: messages that were taken and not yet written, with their bounds.

use super::event::SendError;
use super::limits::{Limits, Overflow};
use super::message::Framed;
use super::pieces::Pieces;
use crate::buf::{ARENA_BYTES, Arena, Part, Pool, Purpose, Release, Slice, TRAIN_MAX, Train};

/// Messages up to this size are gathered in common memory; larger ones keep their own.
pub const GATHER_MAX: usize = 4000;
/// Common memory grows with what waits, up to this much at a time.
const PART_MAX: usize = ARENA_BYTES;
/// The key of a message that has none.
const NO_KEY: u64 = 0;

/// Where sends get their memory.
#[derive(Clone, Copy)]
pub struct Memory<'a> {
    /// For small messages of connections whose peer reads.
    pub arena: &'a Arena,
    /// For the others: what waits long must not pin what lies beside it.
    pub pool: &'a Pool,
}

/// What a message is about, for which only the newest one counts.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Key {
    /// 0: of nothing.
    pub key: u64,
    /// It goes behind all others, not into the place of the older one.
    pub at_end: bool,
}

impl From<u64> for Key {
    /// In the place of the older one.
    fn from(key: u64) -> Key {
        Key { key, at_end: false }
    }
}

/// Invariants: `held` is at most what waits; `flying` is at most the count of pieces; no place of a
/// message with a key is with the model or begun. An outbox in which nothing waits has no memory
/// of the pool.
#[derive(Default)]
pub struct Outbox {
    pieces: Pieces,
    /// Bytes at the end that wait for a flush.
    held: u32,
    /// Bytes of the last train, up to `GATHER_MAX`.
    usual: u16,
    /// Pieces at the front that the model has, up to `TRAIN_MAX`.
    flying: u8,
    /// True where the first piece is the rest of a message that was partly written.
    started: bool,
}

const _: () = assert!(size_of::<Outbox>() <= 40);
const _: () = assert!(GATHER_MAX <= u16::MAX as usize && TRAIN_MAX <= u8::MAX as usize);

impl Outbox {
    /// Bytes that wait, those with the model included.
    #[inline(always)]
    pub fn bytes(&self) -> u32 {
        self.pieces.bytes()
    }

    /// Messages that wait. Those that are gathered in one piece of memory are counted until its
    /// last byte is written.
    pub fn messages(&self) -> u32 {
        self.pieces.messages()
    }

    /// Messages dropped so far.
    pub fn dropped(&self) -> u32 {
        self.pieces.counts().dropped
    }

    /// Whether there is room for a message of `wire` bytes, where that of its key goes.
    pub fn has_room(&self, limits: &Limits, wire: usize, Key { key, .. }: Key) -> bool {
        let (bytes, messages) =
            if key == NO_KEY { (self.bytes(), self.messages()) } else { self.without(key) };
        fits(limits, bytes, messages, wire)
    }

    /// Makes room for a message of `wire` bytes, or says why not.
    #[inline]
    pub fn admit(&mut self, limits: &Limits, wire: usize) -> Result<(), SendError> {
        if wire > limits.outbox_max_bytes as usize {
            return Err(SendError::TooBig);
        }
        if self.fits(limits, wire) {
            return Ok(());
        }
        self.overflow(limits, wire, NO_KEY)
    }

    /// What becomes of a message that there is no room for, also where the older one of its key
    /// goes.
    fn overflow(&mut self, limits: &Limits, wire: usize, key: u64) -> Result<(), SendError> {
        match limits.overflow {
            Overflow::Close => return Err(SendError::Overflow),
            Overflow::DropOldest if self.drop_oldest(limits, wire, key) => return Ok(()),
            Overflow::DropOldest | Overflow::Reject => {}
        }
        Err(self.refuse(SendError::Again, wire))
    }

    /// Counts the refusal of a message of `wire` bytes; a WRITABLE is owed for it. What found no
    /// memory may have asked for more than its own: for those behind it, and for an arena.
    pub fn refuse(&mut self, error: SendError, wire: usize) -> SendError {
        let room = if error == SendError::Memory { wire.max(PART_MAX) } else { wire };
        self.pieces.counts_mut().refused.add(room);
        error
    }

    /// Bytes and messages that wait, without what waits under `key`.
    fn without(&self, key: u64) -> (u32, u32) {
        match self.pieces.waiting(key) {
            Some(bytes) => (self.bytes() - bytes, self.messages() - 1),
            None => (self.bytes(), self.messages()),
        }
    }

    /// Drops whole messages of which nothing was written, oldest first, until there is room for
    /// one of `key`. Each has pieces of its own under this policy. False, and nothing dropped:
    /// there would not be room even so.
    fn drop_oldest(&mut self, limits: &Limits, wire: usize, key: u64) -> bool {
        let (mut begun, mut bytes, mut messages) = (0, 0, 0);
        let mut whole = !self.started;
        // A message of which the model has a piece, or had, stays with all its pieces.
        while begun < usize::from(self.flying) || !whole {
            let piece = self.pieces.size(begun).expect("what was begun is here");
            (bytes, messages) = (bytes + piece.0, messages + piece.1);
            whole = piece.1 > 0;
            begun += 1;
        }
        if !fits(limits, bytes, messages, wire) {
            return false;
        }
        // Of what may leave, that which may be dropped: it comes before what is held.
        let mut free = (self.bytes() - self.held).saturating_sub(bytes);
        loop {
            let (bytes, messages) = self.without(key);
            if fits(limits, bytes, messages, wire) {
                return true;
            }
            let len = self.drop_message(begun);
            self.held -= len - len.min(free);
            free -= len.min(free);
        }
    }

    /// Drops the message that begins at a piece; answers how many bytes that were.
    fn drop_message(&mut self, at: usize) -> u32 {
        let mut bytes = 0;
        loop {
            let piece = self.pieces.remove(at).expect("those that stay leave room");
            bytes += piece.len();
            if piece.messages > 0 {
                let counts = self.pieces.counts_mut();
                counts.dropped = counts.dropped.saturating_add(piece.messages);
                return bytes;
            }
        }
    }

    /// Takes a message under `key`, whole or not at all: in the place of the older one of that
    /// key if that was not yet given to the model, else behind all others. In that place it leaves
    /// when the older one would have. `at_end`: behind all others always. `manual`: others wait for
    /// a flush.
    pub fn put(
        &mut self,
        limits: &Limits,
        Key { key, at_end }: Key,
        message: &mut Framed,
        manual: bool,
    ) -> Result<(), SendError> {
        let wire = message.bytes();
        if wire > limits.outbox_max_bytes as usize {
            return Err(SendError::TooBig);
        }
        let (bytes, messages) = self.without(key);
        if !fits(limits, bytes, messages, wire) {
            self.overflow(limits, wire, key)?;
        }
        if at_end && let Some((older, unflushed)) = self.pieces.withdraw(key) {
            self.held -= if manual && unflushed { older } else { 0 };
        }
        let older = self.pieces.waiting(key).unwrap_or(0);
        let unflushed = self.pieces.put(key, message);
        if manual && unflushed {
            self.held = self.held - older + wire as u32;
        }
        Ok(())
    }

    #[inline(always)]
    fn fits(&self, limits: &Limits, wire: usize) -> bool {
        fits(limits, self.bytes(), self.messages(), wire)
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
        if gather && self.pieces.grow(head, body) {
            return Ok(());
        }
        let mut part = self.part(memory, wire, gather)?;
        part.write(head);
        part.write(body);
        part.messages = 1;
        if !gather {
            part.seal();
        }
        self.pieces.push_back(part);
        Ok(())
    }

    /// Adds a message given as any number of runs of bytes, gathered with its neighbours; `wire`
    /// is their sum.
    pub fn append_runs<'a>(
        &mut self,
        memory: Memory<'_>,
        wire: usize,
        runs: impl Iterator<Item = &'a [u8]> + Clone,
    ) -> Result<(), SendError> {
        if wire == 0 || self.pieces.grow_by(wire, runs.clone()) {
            return Ok(());
        }
        let mut part = self.part(memory, wire, true)?;
        runs.for_each(|run| part.write(run));
        part.messages = 1;
        self.pieces.push_back(part);
        Ok(())
    }

    /// Memory for a message of `wire` bytes and, where they are gathered, for those behind it.
    #[inline(always)]
    fn part(&self, memory: Memory<'_>, wire: usize, gather: bool) -> Result<Part, SendError> {
        // As much as waits already, so that a burst of any size is few pieces, and as much as the
        // last train had: a connection is sent much the same each tick.
        let more = usize::from(self.usual).max(self.bytes() as usize).min(PART_MAX);
        let room = wire.max(if gather { more } else { 0 });
        let part = if gather && self.flying == 0 && room <= GATHER_MAX {
            memory.arena.part(room)
        } else {
            memory.pool.part(room, self.purpose(wire))
        };
        part.ok_or(SendError::Memory)
    }

    /// What memory for `wire` bytes more is for. Who is behind leaves the last of the share to
    /// those who read.
    #[inline(always)]
    pub fn purpose(&self, wire: usize) -> Purpose {
        let behind = self.bytes() > 0 && self.bytes() as usize + wire > PART_MAX;
        if behind { Purpose::SendMore } else { Purpose::Send }
    }

    /// Adds a message in memory of its own, or of others too.
    #[inline(always)]
    pub fn append_slice(&mut self, slice: Slice) {
        self.push(slice, 1);
    }

    /// Adds a message in memory of its own and of others.
    pub fn append_framed(&mut self, message: &mut Framed) {
        let count = message.count();
        for at in 0..count {
            self.push(message.slice(at), u32::from(at + 1 == count));
        }
    }

    #[inline(always)]
    fn push(&mut self, slice: Slice, messages: u32) {
        if !slice.is_empty() {
            let mut part = Part::from(slice);
            part.messages = messages;
            self.pieces.push_back(part);
        }
    }

    /// The last `wire` bytes wait for a flush.
    pub fn hold(&mut self, wire: usize) {
        self.held += wire as u32;
    }

    /// Everything may leave.
    pub fn flush(&mut self) {
        if std::mem::take(&mut self.held) > 0 {
            self.pieces.flush();
        }
    }

    /// Whether something may leave and the model has nothing.
    #[inline(always)]
    pub fn is_sendable(&self) -> bool {
        self.flying == 0 && self.bytes() > self.held
    }

    /// What the model is to write next, `most` bytes at most, which are not 0. It comes back with
    /// `sent`.
    #[inline(always)]
    pub fn transmit(&mut self, most: u32) -> Option<Train> {
        if !self.is_sendable() {
            return None;
        }
        let mut free = (self.bytes() - self.held).min(most);
        let mut train = Train::default();
        while free > 0
            && !train.is_full()
            && let Some((len, _)) = self.pieces.size(self.flying.into())
        {
            if len > free && !self.pieces.is_place(self.flying.into()) {
                // A flush came in the middle of it, or no more may leave.
                self.pieces.split(self.flying.into(), free);
                continue;
            }
            let slice = self.pieces.lend(self.flying.into());
            if slice.is_empty() {
                // The place of a message with a key: it is replaced no more.
                self.pieces.open(self.flying.into());
                continue;
            }
            free -= len;
            train.push(slice);
            self.flying += 1;
        }
        self.usual = train.len().min(GATHER_MAX) as u16;
        Some(train)
    }

    /// The model wrote the first `count` bytes of the train and gives it back.
    #[inline(always)]
    pub fn sent(&mut self, mut count: usize, train: Train, release: &mut Release) {
        let flying = usize::from(std::mem::take(&mut self.flying));
        let mut kept = 0;
        for slice in train.into_slices().take(flying) {
            if kept == 0 && slice.len() <= count {
                count -= slice.len();
                release.add(slice);
                self.started = self.pieces.pop_front().messages == 0;
                continue;
            }
            self.pieces.restore(kept, slice);
            kept += 1;
            if count > 0 {
                self.pieces.advance(std::mem::take(&mut count) as u32);
                self.started = true;
            }
        }
        debug_assert_eq!(count, 0, "no more is written than waits");
    }

    /// The memory with which the smallest message that was refused is taken, if a WRITABLE is owed
    /// and, but for memory, due: the low mark is reached, and the message fits.
    #[inline]
    pub fn owed(&self, limits: &Limits) -> Option<usize> {
        let room = self.pieces.counts().refused.least()?;
        let low = self.bytes() <= limits.outbox_low_bytes
            && self.messages() <= limits.outbox_max_messages / 2;
        let most = limits.outbox_max_bytes as usize;
        (low && fits(limits, self.bytes(), self.messages(), room.min(most))).then_some(room)
    }

    /// Refusals to be reported by a WRITABLE now; then none is owed.
    pub fn relieved(&mut self, limits: &Limits) -> Option<u32> {
        self.owed(limits).map(|_| self.pieces.counts_mut().refused.take())
    }

    /// Drops everything; answers how many bytes that were.
    pub fn clear(&mut self) -> u32 {
        let (bytes, dropped) = (self.bytes(), self.dropped());
        *self = Outbox::default();
        if dropped > 0 {
            self.pieces.counts_mut().dropped = dropped;
        }
        bytes
    }

    /// Gives up memory that nothing is in.
    pub fn relax(&mut self) {
        self.pieces.relax();
    }
}

/// Whether there is room for `wire` bytes beside those that wait.
fn fits(limits: &Limits, bytes: u32, messages: u32, wire: usize) -> bool {
    bytes as usize + wire <= limits.outbox_max_bytes as usize
        && messages < limits.outbox_max_messages
}

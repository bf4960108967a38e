//! One connection's state between bytes and messages.

use super::event::{Cause, SendError};
use super::framer::{Framing, HEADER_MAX};
use super::limits::{Limits, Millis, Moment, Overflow};
use super::message::{Framed, Parts};
use super::outbox::{GATHER_MAX, Key, Memory, Outbox};
use super::untold::{LineEnd, Partial, Tail, Untold};
use crate::buf::{Chunk, Pool, Purpose, Release, Slice, Train};
use std::mem;

/// Missing bytes of a frame from which on they are received into its own memory.
const INTO_MIN: usize = 4096;
/// The slowest pace that a frame's deadline allows for: 8 KiB a second for all that it claims.
const FRAME_BYTES_PER_S: Millis = 8 << 10;

/// Whether and where to receive.
pub enum Want {
    /// There is input still to be parsed.
    No,
    /// Anywhere.
    Fresh,
    /// Behind what this chunk has: it is a frame's own memory, and has room for no more.
    Into(Chunk),
}

/// A message on its way in, as the host gave it or already with its header.
pub enum Outgoing<'a> {
    /// Payload to be copied behind a header.
    Copy(&'a [u8]),
    /// Header and payload in memory of their own.
    Framed(Slice),
}

impl Outgoing<'_> {
    /// Bytes, as given.
    pub fn bytes(&self) -> usize {
        match self {
            Outgoing::Copy(message) => message.len(),
            Outgoing::Framed(slice) => slice.len(),
        }
    }
}

/// The deterministic half of a connection. Four kinds of methods: getters; `handle_*`, what
/// happened; `send`, `flush`, `discard`, what the host wants; `poll_*`, what is to be done. After
/// any of the first three, ask the `Input` for events until None, then `poll_transmit` and
/// `poll_recv`.
///
/// Framing and limits are arguments: they belong to the endpoint, and an idle session is small.
#[derive(Default)]
pub struct Session {
    outbox: Outbox,
    /// In a box: most of what is received is reported at once.
    pub(super) untold: Option<Box<Untold>>,
    /// Since when the peer could have sent something: the last receive, or the asking for it.
    quiet_since: Moment,
    /// Since when what is with the model waits for the peer.
    send_since: Moment,
    /// True exactly when at least one byte was received.
    pub(super) received: bool,
    /// True exactly when the stream is broken; nothing is parsed any more.
    pub(super) broken: bool,
    /// Sends wait for a flush.
    manual: bool,
    /// What the next byte may be, and is dropped then.
    pub(super) line_end: LineEnd,
}

// Every connection has one, idle or not.
const _: () = assert!(size_of::<Session>() <= 64);

impl Session {
    /// A session without input or output. `manual`: sends wait for a flush.
    pub fn new(now: Millis, manual: bool) -> Session {
        Session { quiet_since: now.into(), manual, ..Session::default() }
    }

    /// What waits to be written.
    pub fn outbox(&self) -> &Outbox {
        &self.outbox
    }

    /// Whether received bytes wait to be parsed, or a frame that is whole to be reported.
    #[inline]
    pub fn has_input(&self) -> bool {
        let whole = |partial: &Partial| {
            partial.chunk.as_ref().is_some_and(|chunk| chunk.len() == partial.total as usize)
        };
        self.untold.as_ref().is_some_and(|untold| {
            !untold.input.rest().is_empty() || untold.partial.as_ref().is_some_and(whole)
        })
    }

    /// Bytes of a frame that did not come whole. None of it is with the model.
    pub fn partial_bytes(&self) -> u32 {
        let partial = self.untold.as_ref().and_then(|untold| untold.partial.as_ref());
        partial.and_then(|partial| partial.chunk.as_ref()).map_or(0, |chunk| chunk.len() as u32)
    }

    #[inline]
    pub(super) fn partial(&mut self) -> Option<&mut Partial> {
        self.untold.as_mut()?.partial.as_mut()
    }

    /// Whether a frame did not come whole.
    pub fn has_partial(&self) -> bool {
        self.untold.as_ref().is_some_and(|untold| untold.partial.is_some())
    }

    /// A frame did not come whole.
    pub(super) fn begin_partial(&mut self, partial: Partial) {
        self.untold.get_or_insert_default().partial = Some(partial);
    }

    /// The first `len` bytes of the frame, which is whole.
    pub(super) fn end_partial(&mut self, pool: &Pool, len: usize) -> Option<Slice> {
        let partial = self.untold.as_mut()?.partial.take();
        self.tidy();
        let chunk = partial?.chunk?;
        pool.settle(&chunk);
        let mut message = chunk.into_slice();
        message.truncate(len);
        Some(message)
    }

    /// The end of what was dropped of a message that was cut, if more of that is to be.
    pub(super) fn dropped(&self) -> Option<Tail> {
        self.untold.as_ref()?.dropped
    }

    /// More of a message that was cut is to be dropped, or no more of it.
    pub(super) fn set_dropped(&mut self, tail: Option<Tail>) {
        self.untold.get_or_insert_default().dropped = tail;
        self.tidy();
    }

    /// Keeps no memory for nothing.
    pub(super) fn tidy(&mut self) {
        self.untold.take_if(|untold| {
            let none = untold.partial.is_none() && untold.dropped.is_none();
            none && untold.input.rest().is_empty()
        });
    }

    /// Bytes of memory that an unfinished frame has here, and of input that waits to be parsed.
    pub fn held_bytes(&self) -> usize {
        self.untold.as_ref().map_or(0, |untold| {
            let frame = untold.partial.as_ref().map_or(0, |partial| partial.held as usize);
            frame + untold.input.rest().len()
        })
    }

    /// Since when the peer has sent nothing, as far as it was listened to.
    pub fn quiet_since(&self) -> Millis {
        self.quiet_since.into()
    }

    /// Since when the system has taken nothing of what the model has to send.
    pub fn send_since(&self) -> Millis {
        self.send_since.into()
    }

    /// Bytes of the peer arrived, whatever they will turn out to be.
    pub fn hear(&mut self, now: Millis) {
        self.quiet_since = now.into();
    }

    /// A message arrived whole, past the framer.
    pub fn handle_message(&mut self, now: Millis) {
        self.quiet_since = now.into();
        self.received = true;
    }

    /// The chunk of `Want::Into` came back.
    pub fn handle_returned(&mut self, chunk: Chunk) {
        if let Some(partial) = self.partial() {
            partial.chunk = Some(chunk);
        }
    }

    /// Whether and where to receive next. Asking starts the clocks that wait for the peer.
    #[inline]
    pub fn poll_recv(&mut self, now: Millis) -> Want {
        if self.has_input() {
            return Want::No;
        }
        let quiet_since = Millis::from(mem::replace(&mut self.quiet_since, now.into()));
        let Some(partial) = self.partial() else { return Want::Fresh };
        // A frame's clock stands between a receive and the next asking: the host paused.
        let stood = now.saturating_sub(quiet_since);
        partial.since = (partial.since + stood).min(now);
        let total = partial.total as usize;
        let large = |chunk: &Chunk| {
            let missing = total.saturating_sub(chunk.len());
            missing >= INTO_MIN && chunk.room() >= INTO_MIN
        };
        if !partial.chunk.as_ref().is_some_and(large) {
            return Want::Fresh;
        }
        match partial.chunk.take() {
            Some(mut chunk) => {
                chunk.limit_to(total);
                Want::Into(chunk)
            }
            None => Want::Fresh,
        }
    }

    /// Takes a message, whole or not at all. Over the cap with `force`, for a last one.
    #[inline]
    pub fn send(
        &mut self,
        framing: &Framing,
        limits: &Limits,
        memory: Memory<'_>,
        message: Outgoing<'_>,
        force: bool,
    ) -> Result<(), SendError> {
        let message = match message {
            // Memory first: nothing is dropped for a message that finds none.
            Outgoing::Copy(message) if limits.overflow == Overflow::DropOldest => {
                let wire = Self::wire_bytes(framing, message)?;
                if !force && wire > limits.outbox_max_bytes as usize {
                    return Err(SendError::TooBig);
                }
                match Self::frame(framing, memory.pool, message, self.outbox.purpose(wire)) {
                    Ok(framed) => Outgoing::Framed(framed.into_slice()),
                    Err(SendError::Memory) if !force => return Err(self.refuse_for_memory(wire)),
                    Err(error) => return Err(error),
                }
            }
            message => message,
        };
        let wire = match message {
            Outgoing::Framed(slice) => {
                let wire = slice.len();
                self.admit(limits, wire, force)?;
                // Behind others a small one is copied: a train of many pieces costs more.
                let gather = wire <= GATHER_MAX
                    && self.outbox.bytes() > 0
                    && limits.overflow != Overflow::DropOldest;
                if !gather || self.outbox.append(memory, &slice, &[], true).is_err() {
                    self.outbox.append_slice(slice);
                }
                wire
            }
            Outgoing::Copy(message) => {
                let mut space = [0; HEADER_MAX];
                let (head, body) = parts(framing, message, &mut space)?;
                let wire = head.len() + body.len();
                self.admit(limits, wire, force)?;
                let taken = self.outbox.append(memory, head, body, wire <= GATHER_MAX);
                taken
                    .map_err(|error| if force { error } else { self.outbox.refuse(error, wire) })?;
                wire
            }
        };
        if self.manual {
            self.outbox.hold(wire);
        }
        Ok(())
    }

    /// Takes a message that is copied among its neighbours, whole or not at all. Not where the
    /// oldest are dropped: there each has memory of its own.
    pub fn send_parts(
        &mut self,
        framing: &Framing,
        limits: &Limits,
        memory: Memory<'_>,
        message: &Parts<'_>,
    ) -> Result<(), SendError> {
        debug_assert!(limits.overflow != Overflow::DropOldest, "these would be dropped together");
        let head = message.head(framing)?;
        let wire = head.wire;
        self.outbox.admit(limits, wire)?;
        let body = message.body(framing, &head);
        let runs = std::iter::once(&head.bytes[..head.len]).chain(body);
        let taken = self.outbox.append_runs(memory, wire, runs);
        taken.map_err(|error| self.outbox.refuse(error, wire))?;
        if self.manual {
            self.outbox.hold(wire);
        }
        Ok(())
    }

    /// Takes a framed message, whole or not at all. Under a key (0: none) it takes the place of
    /// an older one of the same, unless that was given to the model already.
    pub fn send_framed(
        &mut self,
        framing: &Framing,
        limits: &Limits,
        memory: Memory<'_>,
        message: &mut Framed,
        key: Key,
    ) -> Result<(), SendError> {
        if key.key != 0 {
            debug_assert!(message.count() > 0, "with framing no message is nothing");
            return self.outbox.put(limits, key, message, self.manual);
        }
        if message.count() == 1 {
            let message = Outgoing::Framed(message.slice(0));
            return self.send(framing, limits, memory, message, false);
        }
        let wire = message.bytes();
        self.outbox.admit(limits, wire)?;
        self.outbox.append_framed(message);
        if self.manual {
            self.outbox.hold(wire);
        }
        Ok(())
    }

    fn admit(&mut self, limits: &Limits, wire: usize, force: bool) -> Result<(), SendError> {
        if !force {
            return self.outbox.admit(limits, wire);
        }
        // Past the cap, and still within what the outbox can count.
        let room = (u32::MAX - self.outbox.bytes()) as usize;
        if wire <= room { Ok(()) } else { Err(SendError::TooBig) }
    }

    /// Bytes of a message on the wire, header included.
    pub fn wire_bytes(framing: &Framing, message: &[u8]) -> Result<usize, SendError> {
        let mut space = [0; HEADER_MAX];
        parts(framing, message, &mut space).map(|(head, body)| head.len() + body.len())
    }

    /// A message with its header, in memory of its own: slices of it are what `Outgoing::Framed`
    /// takes.
    pub fn frame(
        framing: &Framing,
        pool: &Pool,
        message: &[u8],
        purpose: Purpose,
    ) -> Result<Chunk, SendError> {
        let mut space = [0; HEADER_MAX];
        let (head, body) = parts(framing, message, &mut space)?;
        let wire = head.len() + body.len();
        let mut chunk = pool.take_for(wire, purpose).ok_or(SendError::Memory)?;
        chunk.put(head);
        chunk.put(body);
        Ok(chunk)
    }

    /// Owes a WRITABLE for a message of `wire` bytes that was refused for want of memory.
    pub fn refuse_for_memory(&mut self, wire: usize) -> SendError {
        self.outbox.refuse(SendError::Memory, wire)
    }

    /// What was sent so far may leave.
    #[inline]
    pub fn flush(&mut self) {
        self.outbox.flush();
    }

    /// What the model is to write next, `most` bytes at most.
    #[inline]
    pub fn poll_transmit(&mut self, most: u32, now: Millis) -> Option<Train> {
        let train = self.outbox.transmit(most);
        if train.is_some() {
            self.send_since = now.into();
        }
        train
    }

    /// The model has something to write, whatever it was made of.
    pub fn begin_send(&mut self, now: Millis) {
        self.send_since = now.into();
    }

    /// The model wrote `count` bytes of the train, 0 when it gave up, and gives it back.
    #[inline]
    pub fn handle_sent(&mut self, count: usize, train: Train, release: &mut Release) {
        self.outbox.sent(count, train, release);
    }

    /// The memory that there has to be for a WRITABLE which is owed and otherwise due.
    #[inline]
    pub fn owed(&self, limits: &Limits) -> Option<usize> {
        self.outbox.owed(limits)
    }

    /// Refusals to be reported by a WRITABLE now.
    #[inline]
    pub fn poll_writable(&mut self, limits: &Limits) -> Option<u32> {
        self.outbox.relieved(limits)
    }

    /// Drops what is pending; answers how many bytes that were.
    pub fn abandon(&mut self) -> u32 {
        self.outbox.clear()
    }

    /// Drops what was received and not reported.
    pub fn discard(&mut self) {
        self.untold = None;
    }

    /// From here on the stream is cut another way; it stands behind a message. `lines`: into lines.
    pub fn reframe(&mut self, lines: bool) {
        debug_assert!(!self.has_partial(), "it stands behind a message");
        self.line_end.reframe(lines);
        if self.dropped().is_some() {
            self.set_dropped(None);
        }
    }

    /// Puts bytes in front of what is still to be parsed. False: there is no memory for them.
    pub fn unread(&mut self, pool: &Pool, bytes: &[u8]) -> bool {
        if bytes.is_empty() {
            return true;
        }
        let rest = self.untold.as_ref().map_or(&[][..], |untold| untold.input.rest());
        let Some(mut chunk) = pool.take(bytes.len() + rest.len()) else { return false };
        chunk.put(bytes);
        chunk.put(rest);
        self.untold.get_or_insert_default().input = chunk.into_slice().into();
        // What the host gives is where the stream goes on.
        self.line_end = LineEnd::Whole;
        true
    }

    /// What was received and not reported, as it came, in runs.
    pub fn unread_runs(&self) -> impl Iterator<Item = &[u8]> + Clone {
        let untold = self.untold.as_deref();
        let partial = untold.and_then(|untold| untold.partial.as_ref()?.chunk.as_ref());
        let begun = partial.map_or(&[][..], Chunk::written);
        [begun, untold.map_or(&[][..], |untold| untold.input.rest())].into_iter()
    }

    /// Whether the rest of a message that was cut is still to be dropped: what was received is not
    /// all that is needed to go on.
    pub fn is_dropping(&self) -> bool {
        self.dropped().is_some()
    }

    /// Takes what waits to be written, flushed or not, as it would have left. The model has none
    /// of it.
    pub fn take_unsent(&mut self) -> Vec<Slice> {
        self.outbox.flush();
        let (mut all, mut release) = (Vec::new(), Release::default());
        while let Some(train) = self.outbox.transmit(u32::MAX) {
            all.extend(train.slices().cloned());
            self.outbox.sent(train.len(), train, &mut release);
        }
        all
    }

    /// Gives up memory that nothing is in.
    pub fn relax(&mut self) {
        self.outbox.relax();
    }

    /// When a peer has been silent for too long while its bytes were not asked for.
    #[inline]
    pub fn poll_idle(&self, limits: &Limits) -> Option<(Millis, Cause)> {
        let at = Millis::from(self.quiet_since) + Millis::from(limits.idle_timeout_ms);
        (limits.idle_timeout_ms > 0).then_some((at, Cause::TimeoutIdle))
    }

    /// When the peer is late, and for what. `reading`: a receive is asked for; `sending`: the
    /// model has a train.
    #[inline]
    pub fn poll_timeout(
        &self,
        limits: &Limits,
        accepted: bool,
        reading: bool,
        sending: bool,
    ) -> Option<(Millis, Cause)> {
        let mut next = None;
        let mut consider = |since: Millis, limit: u32, cause: Cause| {
            let at = since + Millis::from(limit);
            if limit > 0 && next.is_none_or(|(earliest, _)| at < earliest) {
                next = Some((at, cause));
            }
        };
        if reading && limits.times_receives() {
            let quiet = self.quiet_since.into();
            if accepted && !self.received {
                consider(quiet, limits.first_byte_timeout_ms, Cause::TimeoutFirstByte);
            }
            consider(quiet, limits.idle_timeout_ms, Cause::TimeoutIdle);
            if let Some(begun) = self.untold.as_ref().and_then(|untold| untold.partial.as_ref()) {
                let allowed = Millis::from(begun.total) * 1000 / FRAME_BYTES_PER_S;
                consider(begun.since + allowed, limits.frame_timeout_ms, Cause::TimeoutFrame);
            }
        }
        if sending {
            consider(self.send_since.into(), limits.send_timeout_ms, Cause::TimeoutSend);
        }
        next
    }
}

/// The two runs of bytes that a message is on the wire.
#[inline]
fn parts<'a>(
    framing: &'a Framing,
    message: &'a [u8],
    space: &'a mut [u8; HEADER_MAX],
) -> Result<(&'a [u8], &'a [u8]), SendError> {
    let header = framing.header(message, space)?;
    if framing.append_delimiter {
        return Ok((message, framing.trailer()));
    }
    let body = if framing.keep_header { &message[header..] } else { message };
    Ok((&space[..header], body))
}

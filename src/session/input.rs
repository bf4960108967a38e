//! Received bytes on their way to become messages.

use super::event::{Cause, Event};
use super::framer::{Framing, FramingKind, Step, is_behind_cr};
use super::limits::Millis;
use super::session::Session;
use super::untold::{LineEnd, Partial};
use crate::buf::{Chunk, Pool, Reader, Slice};
use std::mem;

/// Received bytes, to be parsed now. What is left of them is kept for the next time.
pub struct Input<'a> {
    pub(super) session: &'a mut Session,
    pub(super) rest: Reader,
}

impl Session {
    /// Bytes arrived, with the chunk of `Want::Into` if that was asked for.
    #[inline]
    pub fn handle_received(&mut self, slice: Slice, into: Option<Chunk>, now: Millis) -> Input<'_> {
        debug_assert!(!self.has_input(), "nothing was asked for");
        self.hear(now);
        self.received = true;
        let rest = match into {
            Some(chunk) => {
                self.handle_returned(chunk);
                Reader::default()
            }
            None if self.broken => Reader::default(),
            None => self.end_line(slice.into()),
        };
        Input { session: self, rest }
    }

    /// What was received before and is still to be parsed.
    pub fn input(&mut self) -> Input<'_> {
        let rest = self.untold.as_mut().map(|untold| mem::take(&mut untold.input));
        self.tidy();
        Input { session: self, rest: rest.unwrap_or_default() }
    }

    /// What arrived, without the byte that belongs to the line before.
    #[inline]
    fn end_line(&mut self, mut input: Reader) -> Reader {
        if self.line_end != LineEnd::Whole
            && let Some(&first) = input.rest().first()
        {
            let end = std::mem::take(&mut self.line_end);
            if is_behind_cr(first) && (end == LineEnd::Open || first != 0) {
                input.skip(1);
            }
        }
        input
    }
}

impl Input<'_> {
    /// Whether nothing is left to be parsed.
    pub fn is_empty(&self) -> bool {
        self.rest.rest().is_empty()
    }

    /// More plaintext, once nothing is left.
    pub fn feed(&mut self, slice: Slice) {
        debug_assert!(self.is_empty(), "the former is parsed");
        self.session.received = true;
        if !self.session.broken {
            self.rest = self.session.end_line(slice.into());
        }
    }

    /// The next message, or the end of what can be parsed.
    #[inline(always)]
    pub fn poll_event(&mut self, framing: &Framing, pool: &Pool, now: Millis) -> Option<Event> {
        if self.session.broken {
            return None;
        }
        if self.session.untold.is_some() {
            return match framing.kind {
                FramingKind::Delimiter => self.poll_delimited(framing, pool, now),
                _ => self.complete(framing, pool),
            };
        }
        let step = framing.step(self.rest.rest());
        match step {
            Step::Delimited => self.poll_delimited(framing, pool, now),
            Step::Frame { header, payload } if self.rest.rest().len() >= header + payload => {
                if framing.keep_header {
                    return Some(Event::Message(self.rest.take(header + payload)));
                }
                self.rest.skip(header);
                Some(Event::Message(self.rest.take(payload)))
            }
            Step::Broken(cause) => Some(self.break_off(cause)),
            _ if self.is_empty() => None,
            _ => {
                let need = match step {
                    Step::Header(bytes) => bytes,
                    Step::Frame { header, payload } => header + payload,
                    Step::Broken(_) | Step::Delimited => 0,
                };
                let have = self.rest.rest().len().min(need);
                let Some(chunk) = pool.frame(have, need) else { return Some(Event::Starved(have)) };
                self.session.begin_partial(Partial::begun(chunk, now));
                self.complete(framing, pool)
            }
        }
    }

    pub(super) fn break_off(&mut self, cause: Cause) -> Event {
        self.session.broken = true;
        self.session.discard();
        self.rest.clear();
        Event::Broken(cause)
    }

    /// Moves input to the frame that began, until that is whole or the input is used up.
    fn complete(&mut self, framing: &Framing, pool: &Pool) -> Option<Event> {
        loop {
            let partial = self.session.partial()?;
            let chunk = partial.chunk.as_mut()?;
            let mut need = partial.total as usize;
            if need == 0 {
                match framing.step(chunk.written()) {
                    Step::Broken(cause) => return Some(self.break_off(cause)),
                    Step::Delimited => return None,
                    Step::Header(bytes) => need = bytes,
                    Step::Frame { header, payload } => {
                        need = header + payload;
                        if need as u64 > pool.share_max() {
                            return Some(self.break_off(Cause::LimitMemory));
                        }
                        partial.header = header as u32;
                        partial.total = need as u32;
                    }
                }
            }
            if chunk.len() == need {
                let header = if framing.keep_header { 0 } else { partial.header as usize };
                pool.settle(chunk);
                let mut message = partial.chunk.take()?.into_slice();
                self.session.untold = None;
                message.advance(header);
                return Some(Event::Message(message));
            }
            let step = (need - chunk.len()).min(self.rest.rest().len());
            if step == 0 {
                return None;
            }
            let have = chunk.len() + step;
            if !partial.extend(pool, &self.rest.rest()[..step], need) {
                return Some(Event::Starved(have));
            }
            self.rest.skip(step);
        }
    }
}

impl Drop for Input<'_> {
    fn drop(&mut self) {
        if !self.is_empty() {
            let untold = self.session.untold.get_or_insert_default();
            untold.input = mem::take(&mut self.rest);
        }
    }
}

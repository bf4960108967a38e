//! Messages that end with a delimiter. No byte is looked at twice, however the stream is cut: what
//! waits for its delimiter has none, so only the few bytes are joined with what follows in which
//! one may have begun.

use super::event::{Cause, Event};
use super::framer::{Framing, Overlong};
use super::input::Input;
use super::limits::Millis;
use super::untold::{LineEnd, Partial, Tail};
use crate::buf::{Pool, Slice};

impl Input<'_> {
    /// The next message, or the end of what can be parsed.
    pub(super) fn poll_delimited(
        &mut self,
        framing: &Framing,
        pool: &Pool,
        now: Millis,
    ) -> Option<Event> {
        if self.is_empty() {
            return None;
        }
        self.drop_overlong(framing);
        if self.is_empty() {
            return None;
        }
        match self.session.has_partial() {
            true => self.poll_begun(framing, pool),
            false => self.poll_fresh(framing, pool, now),
        }
    }

    /// Drops the rest of a message that was cut.
    fn drop_overlong(&mut self, framing: &Framing) {
        let Some(tail) = self.session.dropped() else { return };
        let rest = self.rest.rest();
        let end = match framing.find_across(tail.bytes(), rest) {
            Some((_, bytes)) => Some((bytes, false)),
            None => framing.find(rest).map(|mark| (mark.at + mark.len, mark.open)),
        };
        if let Some((bytes, open)) = end {
            self.session.set_dropped(None);
            self.session.line_end = LineEnd::after(open);
            self.rest.skip(bytes);
        } else {
            let tail = Tail::of(tail.bytes(), rest, framing.delimiter_size() - 1);
            self.session.set_dropped(Some(tail));
            self.rest.clear();
        }
    }

    /// Nothing of the message came before.
    fn poll_fresh(&mut self, framing: &Framing, pool: &Pool, now: Millis) -> Option<Event> {
        let (rest, most) = (self.rest.rest(), framing.frame_max_bytes as usize);
        let have = rest.len();
        if let Some(mark) = framing.find(rest) {
            if mark.at > most && framing.overlong == Overlong::Close {
                return Some(self.break_off(Cause::LimitFrame));
            }
            let message = match mark.at.min(most) {
                0 => Slice::default(),
                bytes => self.rest.take(bytes),
            };
            self.rest.skip(mark.at - message.len() + mark.len);
            self.session.line_end = LineEnd::after(mark.open);
            return Some(event(message, mark.at > most));
        }
        if have >= most + framing.delimiter_size() {
            if framing.overlong == Overlong::Close {
                return Some(self.break_off(Cause::LimitFrame));
            }
            let tail = Tail::of(&[], rest, framing.delimiter_size() - 1);
            let message = self.rest.take(most);
            self.rest.clear();
            self.session.set_dropped(Some(tail));
            return Some(event(message, true));
        }
        let Some(mut chunk) = pool.frame(have, most + framing.delimiter_size()) else {
            return Some(Event::Starved(have));
        };
        chunk.put(rest);
        self.rest.clear();
        self.session.begin_partial(Partial::begun(chunk, now));
        None
    }

    /// The message began before.
    fn poll_begun(&mut self, framing: &Framing, pool: &Pool) -> Option<Event> {
        let most = framing.frame_max_bytes as usize;
        let partial = self.session.partial()?;
        let chunk = partial.chunk.as_mut()?;
        let (before, rest) = (chunk.len(), self.rest.rest());
        // Bytes of the message in `rest`, bytes to be passed over behind them, and whether the
        // delimiter may go on.
        let (whole, passed, open) = match framing.find_across(chunk.written(), rest) {
            Some((at, bytes)) => (at, bytes, false),
            None => match framing.find(rest) {
                Some(mark) => (before + mark.at, mark.at + mark.len, mark.open),
                None if before + rest.len() < most + framing.delimiter_size() => {
                    if !partial.extend(pool, rest, most + framing.delimiter_size()) {
                        return Some(Event::Starved(before + rest.len()));
                    }
                    self.rest.clear();
                    return None;
                }
                None => {
                    if framing.overlong == Overlong::Close {
                        return Some(self.break_off(Cause::LimitFrame));
                    }
                    let more = &rest[..most.saturating_sub(before)];
                    let tail = Tail::of(chunk.written(), rest, framing.delimiter_size() - 1);
                    if !partial.extend(pool, more, most) {
                        return Some(Event::Starved(most));
                    }
                    self.rest.clear();
                    let message = self.session.end_partial(pool, most)?;
                    self.session.set_dropped(Some(tail));
                    return Some(event(message, true));
                }
            },
        };
        if whole > most && framing.overlong == Overlong::Close {
            return Some(self.break_off(Cause::LimitFrame));
        }
        let more = &rest[..whole.min(most).saturating_sub(before)];
        if !partial.extend(pool, more, most) {
            return Some(Event::Starved(before + more.len()));
        }
        self.rest.skip(passed);
        self.session.line_end = LineEnd::after(open);
        let message = self.session.end_partial(pool, whole.min(most))?;
        Some(event(message, whole > most))
    }
}

fn event(message: Slice, cut: bool) -> Event {
    if cut { Event::Cut(message) } else { Event::Message(message) }
}

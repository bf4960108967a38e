//! One layer over another: a WebSocket in TLS.

use super::{Layer, Plain, Starved, State, TlsFacts, WebFacts};
use crate::buf::{Pool, Slice, Train};
use crate::session::event::Cause;
use crate::session::limits::Millis;

/// Two layers as one. The upper one's bytes are the lower one's plaintext.
pub struct Over {
    upper: Box<dyn Layer>,
    lower: Box<dyn Layer>,
    /// Of the upper one, and not sealed as yet: what the lower one takes at a time may be less.
    between: Train,
    /// The lower one's peer has said that nothing follows.
    ended: bool,
}

impl Over {
    /// Of two that have said nothing as yet.
    pub fn new(upper: Box<dyn Layer>, lower: Box<dyn Layer>) -> Over {
        Over { upper, lower, between: Train::default(), ended: false }
    }

    fn fill(&mut self, plain: &Train, pool: &Pool, now: Millis) -> Result<usize, Starved> {
        let speaks = matches!(self.lower.state(), State::Open);
        if !speaks || !self.between.is_empty() {
            return Ok(0);
        }
        self.upper.poll_wire(plain, &mut self.between, pool, now)
    }

    /// Drops from the front what the lower one has taken.
    fn drop_taken(&mut self, mut count: usize) {
        if count == 0 {
            return;
        }
        let mut rest = Train::default();
        for mut slice in std::mem::take(&mut self.between).into_slices() {
            let gone = count.min(slice.len());
            count -= gone;
            slice.advance(gone);
            if !slice.is_empty() {
                rest.push(slice);
            }
        }
        self.between = rest;
    }
}

impl Layer for Over {
    fn state(&self) -> State {
        match (self.lower.state(), self.upper.state()) {
            (State::Done(cause), _) if cause != Cause::Host => State::Done(cause),
            (State::Opening, State::Done(cause)) => State::Done(cause),
            (State::Opening, _) => State::Opening,
            // All that the upper one said is to be sealed, and the lower one says goodbye.
            (State::Done(_), State::Done(cause)) if self.between.is_empty() => State::Done(cause),
            (_, State::Done(cause)) if cause != Cause::Host => State::Done(cause),
            (_, State::Done(_)) => State::Ending,
            (_, upper) => upper,
        }
    }

    fn handle_received(&mut self, wire: Slice, now: Millis) {
        self.lower.handle_received(wire, now);
    }

    fn poll_plain(&mut self, pool: &Pool, now: Millis) -> Plain {
        loop {
            match self.upper.poll_plain(pool, now) {
                Plain::Nothing if !self.ended => {}
                Plain::Nothing if self.upper.ends_with_stream() => return Plain::End,
                Plain::Nothing => return Plain::Broken(Cause::Truncated),
                plain => return plain,
            }
            match self.lower.poll_plain(pool, now) {
                Plain::Bytes(slice) => self.upper.handle_received(slice, now),
                Plain::End => self.ended = true,
                plain => return plain,
            }
        }
    }

    fn poll_wire(
        &mut self,
        plain: &Train,
        wire: &mut Train,
        pool: &Pool,
        now: Millis,
    ) -> Result<usize, Starved> {
        let taken = self.fill(plain, pool, now)?;
        if self.between.is_empty() && matches!(self.upper.state(), State::Done(_)) {
            self.lower.end();
        }
        let open = self.lower.state() == State::Open;
        let none = Train::default();
        let between = if open { &self.between } else { &none };
        match self.lower.poll_wire(between, wire, pool, now) {
            Ok(count) => self.drop_taken(count),
            // What the upper one took is remembered: see `owed_bytes`.
            Err(_) if taken > 0 => {}
            Err(starved) => return Err(starved),
        }
        Ok(taken)
    }

    fn end(&mut self) {
        self.upper.end();
        if self.lower.state() == State::Opening {
            self.lower.end();
        }
    }

    fn set_code(&mut self, code: u16) -> bool {
        self.upper.set_code(code)
    }

    fn poll_timeout(&self) -> Option<Millis> {
        [self.upper.poll_timeout(), self.lower.poll_timeout()].into_iter().flatten().min()
    }

    fn handle_timeout(&mut self, now: Millis) {
        for layer in [&mut self.upper, &mut self.lower] {
            if layer.poll_timeout().is_some_and(|at| at <= now) {
                layer.handle_timeout(now);
            }
        }
    }

    fn is_costly(&self) -> bool {
        self.lower.is_costly()
    }

    fn handle_unread(&mut self, now: Millis) {
        for layer in [&mut self.upper, &mut self.lower] {
            if layer.poll_timeout().is_some_and(|at| at <= now) {
                layer.handle_unread(now);
            }
        }
    }

    fn held_bytes(&self) -> usize {
        self.upper.held_bytes() + self.lower.held_bytes()
    }

    fn has_last_word(&self) -> bool {
        let lower = self.lower.state();
        let speaks = matches!(lower, State::Open | State::Ending);
        self.lower.has_last_word()
            || speaks && (self.upper.has_last_word() || !self.between.is_empty())
    }

    fn owed_bytes(&self) -> usize {
        self.between.len()
    }

    fn ends_with_stream(&self) -> bool {
        false
    }

    fn code(&self) -> u16 {
        match self.upper.code() {
            0 => self.lower.code(),
            code => code,
        }
    }

    fn tls(&self) -> Option<TlsFacts> {
        self.lower.tls()
    }

    fn compression(&self) -> Option<u8> {
        self.upper.compression()
    }

    fn web(&self) -> Option<WebFacts> {
        self.upper.web()
    }
}

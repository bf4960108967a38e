//! A layer for tests, which wants all that a layer may want: it needs two round trips to open,
//! changes the length of everything, speaks by itself now and then, and ends with a goodbye.
//!
//! A record is a kind, a length of two bytes, and so many bytes: how many bytes of padding, the
//! plaintext, the padding, all of it XORed with numbers that go on from record to record.

use sockeye::buf::{Chunk, Pool, Slice, Train};
use sockeye::session::{Cause, Layer, Layering, Maker, Millis, Plain, Side, Starved, State};

const HEADER: usize = 3;
/// The most plaintext of one record.
const RECORD_MAX: usize = 3000;
/// The most plaintext that is sealed at once.
const SEAL_MAX: usize = 32 << 10;
/// The most padding of one record.
const PADDING_MAX: usize = 6;
/// A silence as long as this is ended by a record that says nothing.
pub const ALIVE_MS: Millis = 200;

/// Kinds of records. The first four open the layer, in this order from alternate ends.
const OPENING: u8 = 0x41;
const OPENINGS: u8 = 4;
const DATA: u8 = 0x61;
const ALIVE: u8 = 0x62;
const GOODBYE: u8 = 0x63;

/// The layer of a test's endpoints.
pub const PAD: Layering =
    Layering { maker: Maker::Test(|side| Box::new(Pad::new(side))), handshake_timeout_ms: 10_000 };
/// As `PAD`, and speaks only when it is spoken to.
pub const QUIET_PAD: Layering = Layering {
    maker: Maker::Test(|side| Box::new(Pad { quiet: true, ..Pad::new(side) })),
    handshake_timeout_ms: 10_000,
};

/// One direction of the stream.
#[derive(Default)]
struct Way {
    /// Records so far.
    records: usize,
    /// Of the next byte.
    key: u8,
}

pub struct Pad {
    side: Side,
    state: State,
    /// Openings seen, of either end.
    openings: u8,
    outward: Way,
    inward: Way,
    /// Kinds of records of its own that are to be sent.
    own: Vec<u8>,
    /// Received and not understood.
    held: Vec<u8>,
    alive_at: Option<Millis>,
    quiet: bool,
    /// The peer has said goodbye.
    ended: bool,
}

impl Way {
    fn turn(&mut self, byte: u8) -> u8 {
        self.key = self.key.wrapping_mul(5).wrapping_add(17);
        byte ^ self.key
    }

    /// Puts a record of some plaintext behind what is written.
    fn seal<'a>(&mut self, kind: u8, plain: impl Iterator<Item = &'a u8>, chunk: &mut Chunk) {
        let padding = self.records % (PADDING_MAX + 1);
        self.records += 1;
        let mut body = vec![self.turn(padding as u8)];
        body.extend(plain.map(|byte| self.turn(*byte)));
        body.extend((0..padding).map(|_| self.turn(0)));
        let [high, low] = (body.len() as u16).to_be_bytes();
        chunk.put(&[kind, high, low]);
        chunk.put(&body);
    }

    /// The plaintext of a record.
    fn open(&mut self, body: &[u8]) -> Option<Vec<u8>> {
        self.records += 1;
        let mut body: Vec<u8> = body.iter().map(|byte| self.turn(*byte)).collect();
        let padding = usize::from(*body.first()?);
        body.truncate(body.len().checked_sub(padding)?);
        Some(body.split_off(1))
    }
}

impl Pad {
    pub fn new(side: Side) -> Pad {
        let own = if side == Side::Connected { vec![OPENING] } else { Vec::new() };
        Pad {
            side,
            state: State::Opening,
            openings: 0,
            outward: Way::default(),
            inward: Way::default(),
            own,
            held: Vec::new(),
            alive_at: None,
            quiet: false,
            ended: false,
        }
    }

    fn broken(&mut self) -> Plain {
        self.state = State::Done(Cause::Protocol);
        self.held.clear();
        Plain::Broken(Cause::Protocol)
    }

    /// An opening came: the next one is ours, if there is one.
    fn opening(&mut self, kind: u8) -> bool {
        let ours = u8::from(self.side == Side::Accepted);
        let expected = self.openings + (1 - ours);
        if self.state != State::Opening || kind != OPENING + expected {
            return false;
        }
        self.openings += 2;
        let next = expected + 1;
        if next < OPENINGS {
            self.own.push(OPENING + next);
        }
        if next + 1 >= OPENINGS {
            self.state = State::Open;
        }
        true
    }
}

impl Layer for Pad {
    fn state(&self) -> State {
        self.state
    }

    fn handle_received(&mut self, wire: Slice, now: Millis) {
        self.held.extend_from_slice(&wire);
        self.alive_at.get_or_insert(now + ALIVE_MS);
    }

    fn poll_plain(&mut self, pool: &Pool, _now: Millis) -> Plain {
        if self.ended {
            self.held.clear();
        }
        loop {
            let Some((&[kind, high, low], rest)) = self.held.split_first_chunk() else {
                return Plain::Nothing;
            };
            let known = [DATA, ALIVE, GOODBYE].contains(&kind);
            if !known && !(OPENING..OPENING + OPENINGS).contains(&kind) {
                return self.broken();
            }
            let len = usize::from(u16::from_be_bytes([high, low]));
            let Some(body) = rest.get(..len) else { return Plain::Nothing };
            let opened = self.state != State::Opening;
            // Memory first: nothing is used up that is not answered.
            let chunk = if kind == DATA && opened { pool.take(len) } else { None };
            if kind == DATA && opened && chunk.is_none() {
                return Plain::Starved(len);
            }
            let Some(plain) = self.inward.open(body) else { return self.broken() };
            self.held.drain(..HEADER + len);
            match (kind, chunk) {
                (DATA, Some(mut chunk)) if !plain.is_empty() => {
                    return Plain::Bytes(chunk.write(&plain));
                }
                (ALIVE, _) if opened => {}
                (GOODBYE, _) if opened => {
                    self.ended = true;
                    return Plain::End;
                }
                (kind, _) => {
                    if !self.opening(kind) {
                        return self.broken();
                    }
                }
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
        let taken = plain.len().min(SEAL_MAX);
        let records = self.own.len() + taken.div_ceil(RECORD_MAX);
        if records == 0 {
            return Ok(0);
        }
        let bytes = taken + records * (HEADER + 1 + PADDING_MAX);
        let mut chunk = pool.take(bytes).ok_or(Starved(bytes))?;
        for kind in self.own.drain(..) {
            self.outward.seal(kind, [].iter(), &mut chunk);
            if kind == GOODBYE {
                self.state = State::Done(Cause::Host);
            }
        }
        let mut bytes = plain.slices().flat_map(|slice| slice.iter()).take(taken).peekable();
        while bytes.peek().is_some() {
            self.outward.seal(DATA, bytes.by_ref().take(RECORD_MAX), &mut chunk);
        }
        wire.push(chunk.into_slice());
        self.alive_at = Some(now + ALIVE_MS);
        Ok(taken)
    }

    fn end(&mut self) {
        match self.state {
            State::Opening => self.state = State::Done(Cause::Host),
            State::Open => {
                self.state = State::Ending;
                self.own.push(GOODBYE);
            }
            State::Ending | State::Done(_) => {}
        }
    }

    fn poll_timeout(&self) -> Option<Millis> {
        self.alive_at.filter(|_| self.state == State::Open && !self.quiet)
    }

    fn handle_timeout(&mut self, now: Millis) {
        self.own.push(ALIVE);
        self.alive_at = Some(now + ALIVE_MS);
    }

    fn held_bytes(&self) -> usize {
        self.held.len()
    }
}

//! What leaves: messages that are frames already, and control frames of the layer between them.

use super::frames::{CLOSE, CONTROL_MAX, FIN, MASKED, PONG, Walk};
use super::mask;
use crate::buf::{Chunk, Pool, Train};
use crate::session::layer::Starved;
use std::mem;

/// Pongs that wait to leave. Past that only the newest ping is answered: RFC 6455, section 5.5.3.
const WAITING_MAX: usize = 8 << 10;
/// The most bytes that are masked at once: the rest stays messages.
const MASK_MAX: usize = 32 << 10;
/// A header with its key, and more.
const ROOM_MIN: usize = 16;

/// What leaves, and where in it the frames end.
#[derive(Default)]
pub struct Writing {
    /// To be sent as it is, before the next message.
    own: Vec<u8>,
    /// Where in `own` the last frame begins.
    last: u32,
    /// The frames have masks: ours is the client's end.
    masks: bool,
    /// The key of the frame that is leaving, as it stands for the next byte.
    key: [u8; 4],
    walk: Walk,
}

/// The system has no random numbers.
pub struct NoKeys;

/// Why nothing could be written.
pub enum Stuck {
    Starved(Starved),
    NoKeys,
}

impl From<NoKeys> for Stuck {
    fn from(_: NoKeys) -> Stuck {
        Stuck::NoKeys
    }
}

impl Writing {
    /// Begins with a handshake.
    pub fn start(masks: bool, handshake: Vec<u8>) -> Writing {
        Writing { own: handshake, masks, ..Writing::default() }
    }

    /// Puts bytes behind those that wait.
    pub fn say(&mut self, bytes: &[u8]) {
        self.own.extend_from_slice(bytes);
    }

    /// Bytes that wait.
    pub fn waiting(&self) -> usize {
        self.own.len()
    }

    /// Puts a control frame behind what waits.
    pub fn control(&mut self, opcode: u8, payload: &[u8]) -> Result<(), NoKeys> {
        debug_assert!(payload.len() <= CONTROL_MAX, "section 5.5");
        if opcode == PONG && self.own.len() + payload.len() > WAITING_MAX {
            self.own.truncate(self.last as usize);
        }
        self.last = self.own.len() as u32;
        let (lead, len) = (FIN | opcode, payload.len() as u8);
        if !self.masks {
            self.own.extend_from_slice(&[lead, len]);
            self.own.extend_from_slice(payload);
            return Ok(());
        }
        let key = mask::key().ok_or(NoKeys)?;
        self.own.extend_from_slice(&[lead, MASKED | len]);
        self.own.extend_from_slice(&key);
        let at = self.own.len();
        self.own.extend_from_slice(payload);
        mask::apply(key, &mut self.own[at..]);
        Ok(())
    }

    /// Puts a Close behind what waits, the last that is said. In the middle of a frame nothing can
    /// be: the peer would take it for the rest of that.
    pub fn close(&mut self, payload: &[u8]) -> Result<(), NoKeys> {
        if !self.walk.at_border() {
            self.own = Vec::new();
            return Ok(());
        }
        self.control(CLOSE, payload)
    }

    /// Hands over what waits, with nothing of a message.
    pub fn hand_over(&mut self, wire: &mut Train, pool: &Pool) -> Result<(), Starved> {
        if !self.own.is_empty() {
            let bytes = self.own.len();
            let mut chunk = pool.take(bytes).ok_or(Starved(bytes))?;
            chunk.put(&mem::take(&mut self.own));
            wire.push(chunk.into_slice());
        }
        Ok(())
    }

    /// Hands over what waits and the first frames of `plain`. Answers how much it took of these.
    pub fn write(&mut self, plain: &Train, wire: &mut Train, pool: &Pool) -> Result<usize, Stuck> {
        if plain.is_empty() {
            self.put_between(wire, pool).map_err(Stuck::Starved)?;
            return Ok(0);
        }
        match self.masks {
            true => self.mask(plain, wire, pool),
            false => self.pass(plain, wire, pool).map_err(Stuck::Starved),
        }
    }

    /// As `write` for a server: its frames leave as they are.
    fn pass(&mut self, plain: &Train, wire: &mut Train, pool: &Pool) -> Result<usize, Starved> {
        let mut taken = 0;
        for slice in plain.slices() {
            let mut rest = slice.clone();
            while !rest.is_empty() {
                match self.put_between(wire, pool) {
                    Err(starved) if taken == 0 => return Err(starved),
                    Err(_) => return Ok(taken),
                    Ok(()) if wire.is_full() => return Ok(taken),
                    Ok(()) => {}
                }
                let count = self.walk.go(&rest, !self.own.is_empty());
                taken += count;
                if count == rest.len() {
                    wire.push(mem::take(&mut rest));
                } else {
                    let mut piece = rest.clone();
                    piece.truncate(count);
                    wire.push(piece);
                    rest.advance(count);
                }
            }
        }
        // What there is no memory for now is asked for again.
        let _ = self.put_between(wire, pool);
        Ok(taken)
    }

    /// Hands over what waits, if a frame may begin here.
    fn put_between(&mut self, wire: &mut Train, pool: &Pool) -> Result<(), Starved> {
        if self.walk.at_border() && !wire.is_full() { self.hand_over(wire, pool) } else { Ok(()) }
    }

    /// As `write` for a client: its frames are copied, each with a key of its own.
    fn mask(&mut self, plain: &Train, wire: &mut Train, pool: &Pool) -> Result<usize, Stuck> {
        let most = plain.len().min(MASK_MAX);
        let bytes = self.own.len() + most + most / 8 + 4 * ROOM_MIN;
        let mut chunk = pool.take(bytes).ok_or(Stuck::Starved(Starved(bytes)))?;
        let mut taken = 0;
        for slice in plain.slices() {
            let mut rest = &slice[..];
            while !rest.is_empty() {
                self.put_own(&mut chunk);
                if chunk.room() < ROOM_MIN {
                    wire.push(chunk.into_slice());
                    return Ok(taken);
                }
                let count = self.mask_some(rest, &mut chunk)?;
                rest = &rest[count..];
                taken += count;
            }
        }
        self.put_own(&mut chunk);
        wire.push(chunk.into_slice());
        Ok(taken)
    }

    /// Puts what waits in the chunk, which has room for it, if a frame may begin here.
    fn put_own(&mut self, chunk: &mut Chunk) {
        if self.walk.at_border() && !self.own.is_empty() {
            chunk.put(&mem::take(&mut self.own));
        }
    }

    /// Masks what comes first: bytes of a header, or of a payload.
    fn mask_some(&mut self, rest: &[u8], chunk: &mut Chunk) -> Result<usize, NoKeys> {
        if self.walk.left() > 0 {
            let count = self.walk.left().min(rest.len()).min(chunk.room());
            mask::apply(self.key, chunk.put_mut(&rest[..count]));
            self.key = mask::turn(self.key, count);
            self.walk.pass(count);
            return Ok(count);
        }
        let before = self.walk.header_at();
        let (count, whole) = self.walk.header(rest);
        let copy = chunk.put_mut(&rest[..count]);
        // The second byte says that a key follows.
        if let Some(second) = 1usize.checked_sub(before).and_then(|at| copy.get_mut(at)) {
            *second |= MASKED;
        }
        if whole {
            self.key = mask::key().ok_or(NoKeys)?;
            chunk.put(&self.key);
        }
        Ok(count)
    }
}

//! A message that did not come as one plain frame: in pieces, or deflated.

use super::Fault;
use super::deflate::{Inflater, TAIL};
use super::mask;
use super::utf8::Utf8;
use crate::buf::{Chunk, Pool, Slice};

/// A message that is not whole. Its memory grows with what came.
pub struct Message {
    text: bool,
    deflated: bool,
    utf8: Utf8,
    /// What came of it, unmasked.
    chunk: Option<Chunk>,
    inflating: Option<Inflating>,
}

/// How far a message is inflated.
struct Inflating {
    /// None: it is that of the connection.
    borrowed: Option<Box<Inflater>>,
    done: Done,
}

#[derive(Default)]
struct Done {
    /// Bytes that are used up, of the message and `TAIL`.
    used: usize,
    out: Option<Chunk>,
}

/// Whether a message could grow.
pub enum Grown {
    Yes,
    /// There is no memory for so many bytes; nothing was taken.
    Starved(usize),
    Wrong(Fault),
}

impl Message {
    pub fn new(text: bool, deflated: bool) -> Message {
        Message { text, deflated, utf8: Utf8::default(), chunk: None, inflating: None }
    }

    pub fn is_text(&self) -> bool {
        self.text
    }

    pub fn is_deflated(&self) -> bool {
        self.deflated
    }

    /// Bytes of it that came.
    pub fn len(&self) -> usize {
        self.chunk.as_ref().map_or(0, Chunk::len)
    }

    pub fn held_bytes(&self) -> usize {
        let out = self.inflating.as_ref().and_then(|inflating| inflating.done.out.as_ref());
        [self.chunk.as_ref(), out].into_iter().flatten().map(Chunk::capacity).sum()
    }

    /// Adds bytes of a frame that has `left` more, masked with `key`.
    pub fn extend(&mut self, pool: &Pool, bytes: &[u8], key: [u8; 4], left: usize) -> Grown {
        if bytes.is_empty() {
            return Grown::Yes;
        }
        let (have, need) = (self.len() + bytes.len(), self.len() + left);
        let Some(chunk) = room(&mut self.chunk, pool, have, need) else {
            return Grown::Starved(have);
        };
        let copy = chunk.put_mut(bytes);
        mask::apply(key, copy);
        if self.text && !self.deflated && !self.utf8.feed(copy) {
            return Grown::Wrong(Fault::TEXT);
        }
        Grown::Yes
    }

    /// All of it came. Fails where it is not what it claims to be.
    pub fn finish(
        &mut self,
        pool: &Pool,
        most: usize,
        own: &mut Option<Box<Inflater>>,
    ) -> Result<Slice, Grown> {
        if self.deflated {
            self.inflate(pool, most, own)?;
        }
        if !self.utf8.is_whole() {
            return Err(Grown::Wrong(Fault::TEXT));
        }
        let Some(chunk) = self.chunk.take() else { return Ok(Slice::default()) };
        pool.settle(&chunk);
        Ok(chunk.into_slice())
    }

    /// Puts what the message inflates to in its place. What is done of that is kept where there is
    /// no memory for the rest.
    fn inflate(
        &mut self,
        pool: &Pool,
        most: usize,
        own: &mut Option<Box<Inflater>>,
    ) -> Result<(), Grown> {
        let inflating = self.inflating.get_or_insert_with(|| {
            let borrowed = own.is_none().then(Inflater::borrow);
            Inflating { borrowed, done: Done::default() }
        });
        let Inflating { borrowed, done } = inflating;
        let Some(inflater) = borrowed.as_mut().or(own.as_mut()) else { return Ok(()) };
        let deflated = self.chunk.as_ref().map_or(&[][..], Chunk::written);
        let check = self.text.then_some(&mut self.utf8);
        done.run(inflater, deflated, pool, most, check)?;
        if let Some(Inflating { borrowed, done }) = self.inflating.take() {
            self.chunk = done.out;
            if let Some(inflater) = borrowed {
                Inflater::give_back(inflater);
            }
        }
        Ok(())
    }
}

impl Done {
    fn run(
        &mut self,
        inflater: &mut Inflater,
        deflated: &[u8],
        pool: &Pool,
        most: usize,
        mut check: Option<&mut Utf8>,
    ) -> Result<(), Grown> {
        loop {
            let input = match self.used.checked_sub(deflated.len()) {
                None => &deflated[self.used..],
                Some(used) => &TAIL[used..],
            };
            let len = self.out.as_ref().map_or(0, Chunk::len);
            // The room is there before it is needed. A byte too much is not kept.
            let step = if len == most {
                1
            } else {
                let have =
                    if len == 0 { deflated.len().saturating_mul(2).max(64) } else { len + 1 };
                let have = have.min(most);
                if have as u64 > pool.share_max() {
                    return Err(Grown::Wrong(Fault::MEMORY));
                }
                let chunk = room(&mut self.out, pool, have, most).ok_or(Grown::Starved(have))?;
                chunk.room().min(most - len)
            };
            let fault = Grown::Wrong(Fault::DEFLATE);
            let Some(inflated) = inflater.step(input, step) else { return Err(fault) };
            let made = inflated.made;
            if !made.is_empty() && len == most {
                return Err(Grown::Wrong(Fault::TOO_BIG));
            }
            if let Some(chunk) = self.out.as_mut().filter(|_| !made.is_empty()) {
                chunk.put(made);
            }
            if check.as_mut().is_some_and(|check| !check.feed(made)) {
                return Err(Grown::Wrong(Fault::TEXT));
            }
            self.used += inflated.used;
            if self.used == deflated.len() + TAIL.len() && made.is_empty() {
                return Ok(());
            }
        }
    }
}

/// The chunk, with room for `have` bytes in all, of `need` that it may get. None: there is no
/// memory for them.
fn room<'a>(
    chunk: &'a mut Option<Chunk>,
    pool: &Pool,
    have: usize,
    need: usize,
) -> Option<&'a mut Chunk> {
    match chunk {
        None => *chunk = Some(pool.frame(have, need)?),
        Some(chunk) if chunk.capacity() < have => {
            if !pool.grow(chunk, have, need) {
                return None;
            }
        }
        Some(_) => {}
    }
    chunk.as_mut()
}

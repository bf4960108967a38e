//! Deflated messages: RFC 7692, section 7.2. Ours never refer to those before, so what deflates is
//! shared by all connections of a thread, and so is what inflates theirs where they do the same.

use crate::buf::{Pool, Slice};
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};
use std::cell::{Cell, RefCell};

/// What a deflated message ends with, and what is cut from it.
pub const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];
/// More work than this makes messages only a few percent smaller.
const LEVEL: Compression = Compression::new(3);
/// Windows that deflate can have, as exponents of 2.
pub const WINDOWS: std::ops::RangeInclusive<u8> = 9..=15;
/// The most bytes that are inflated in one step.
const STEP_MAX: usize = 16 << 10;
/// The largest memory that is kept for the next message.
const KEEP_MAX: usize = 64 << 10;

#[derive(Default)]
struct Deflaters {
    by_window: [Option<Compress>; 7],
    out: Vec<u8>,
}

thread_local! {
    static DEFLATERS: RefCell<Deflaters> = RefCell::default();
    static INFLATER: Cell<Option<Box<Inflater>>> = const { Cell::new(None) };
}

/// Deflates a message, given in parts, for peers that can refer so far back. None: it does not get
/// smaller, or there is no memory for it.
pub fn deflate(parts: &[&[u8]], window_bits: u8, pool: &Pool) -> Option<Slice> {
    debug_assert!(WINDOWS.contains(&window_bits), "such windows alone are agreed on");
    DEFLATERS.with_borrow_mut(|deflaters| {
        let at = usize::from(window_bits - WINDOWS.start());
        let deflater = deflaters.by_window[at]
            .get_or_insert_with(|| Compress::new_with_window_bits(LEVEL, false, window_bits));
        deflater.reset();
        let out = &mut deflaters.out;
        out.clear();
        let message =
            squeeze(parts, deflater, out).and_then(|len| Some(pool.take(len)?.write(&out[..len])));
        if out.capacity() > KEEP_MAX {
            *out = Vec::new();
        }
        message
    })
}

/// Answers how many bytes the message has in `out`.
fn squeeze(parts: &[&[u8]], deflater: &mut Compress, out: &mut Vec<u8>) -> Option<usize> {
    let all: usize = parts.iter().map(|part| part.len()).sum();
    out.reserve_exact(all + TAIL.len());
    for part in parts {
        let end = deflater.total_in() + part.len() as u64;
        while deflater.total_in() < end {
            let rest = &part[part.len() - (end - deflater.total_in()) as usize..];
            deflater.compress_vec(rest, out, FlushCompress::None).ok()?;
            if out.len() == out.capacity() {
                return None;
            }
        }
    }
    deflater.compress_vec(&[], out, FlushCompress::Sync).ok()?;
    // With no room left it may have more to say.
    let fits = out.len() < out.capacity() && out.ends_with(&TAIL);
    Some(out.len() - TAIL.len()).filter(|&len| fits && len < all)
}

/// What inflates one message after the other.
pub struct Inflater {
    inner: Decompress,
    step: Box<[u8]>,
}

/// One step of inflating.
pub struct Inflated<'a> {
    /// Bytes of the input that it used up.
    pub used: usize,
    pub made: &'a [u8],
}

impl Inflater {
    /// One that has seen nothing.
    pub fn new() -> Box<Inflater> {
        let step = vec![0; STEP_MAX].into_boxed_slice();
        Box::new(Inflater { inner: Decompress::new(false), step })
    }

    /// One of this thread, for a message that refers to none before.
    pub fn borrow() -> Box<Inflater> {
        let mut inflater = INFLATER.take().unwrap_or_else(Inflater::new);
        inflater.inner.reset(false);
        inflater
    }

    /// Gives back what was borrowed.
    pub fn give_back(inflater: Box<Inflater>) {
        INFLATER.set(Some(inflater));
    }

    /// Inflates the next of `input` to at most `most` bytes. None: that cannot be.
    pub fn step(&mut self, input: &[u8], most: usize) -> Option<Inflated<'_>> {
        let out = &mut self.step[..most.min(STEP_MAX)];
        let (before_in, before_out) = (self.inner.total_in(), self.inner.total_out());
        let status = self.inner.decompress(input, out, FlushDecompress::Sync).ok()?;
        let used = (self.inner.total_in() - before_in) as usize;
        let made = (self.inner.total_out() - before_out) as usize;
        if status == Status::StreamEnd {
            // A message may have several streams: section 7.2.3.5.
            self.inner.reset(false);
        } else if used == 0 && made == 0 && !input.is_empty() {
            return None;
        }
        Some(Inflated { used, made: &self.step[..made] })
    }
}

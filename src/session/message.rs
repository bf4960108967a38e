//! A message in parts: what of it is copied, what is sent from where it is, and what it is on the
//! wire of a framing.

use super::event::SendError;
use super::framer::{Framing, HEADER_MAX, HeaderError};
use crate::buf::{Chunk, Pool, Purpose, Slice, Source};

/// A run of the buffer's bytes is sent from there from this size on; less is cheaper copied.
const SHARED_MIN: usize = 4096;

/// A message as the host gave it: parts in order, some of them perhaps in a buffer of ours.
pub struct Parts<'a> {
    parts: &'a [&'a [u8]],
    buffer: Option<&'a Slice>,
    /// Bytes in all, or more than can be counted.
    len: usize,
}

impl<'a> Parts<'a> {
    /// None: a part is half in the buffer and half outside.
    pub fn new(parts: &'a [&'a [u8]], buffer: Option<&'a Slice>) -> Option<Parts<'a>> {
        let well = |part: &&[u8]| buffer.is_none_or(|buffer| !is_half_in(part, buffer));
        if !parts.iter().all(well) {
            return None;
        }
        let len = parts.iter().fold(0_usize, |len, part| len.saturating_add(part.len()));
        Some(Parts { parts, buffer, len })
    }

    /// Whether all of it is to be copied and that is at most `most` bytes.
    pub fn is_small(&self, most: usize) -> bool {
        self.len <= most && self.parts.iter().all(|part| self.place(part).is_none())
    }

    /// Bytes in all, or more than can be counted.
    pub fn bytes(&self) -> usize {
        self.len
    }

    /// The parts in order.
    pub fn runs(&self) -> &'a [&'a [u8]] {
        self.parts
    }

    /// Bytes on the wire, header included.
    pub fn wire_bytes(&self, framing: &Framing) -> Result<usize, SendError> {
        self.head(framing).map(|head| head.wire)
    }

    /// The header for it. No part is read where the message is too big.
    pub(super) fn head(&self, framing: &Framing) -> Result<Head, SendError> {
        let (mut bytes, mut first) = ([0; HEADER_MAX], [0; HEADER_MAX]);
        if framing.keep_header {
            if self.len > framing.frame_max_bytes as usize + HEADER_MAX {
                return Err(SendError::TooBig);
            }
            let all = self.parts.iter().flat_map(|part| part.iter());
            first.iter_mut().zip(all).for_each(|(to, from)| *to = *from);
        }
        let first = &first[..self.len.min(HEADER_MAX)];
        let len = framing.header_of(first, self.len, &mut bytes)?;
        let wire = if framing.keep_header { self.len } else { len + self.len };
        let wire = wire + framing.trailer().len();
        Ok(Head { bytes, len, wire })
    }

    /// What follows the header, run by run; none is empty. With `keep_header` the message brings
    /// the header's bytes, and this is what comes behind them.
    pub(super) fn body<'b>(
        &self,
        framing: &'b Framing,
        head: &Head,
    ) -> impl Iterator<Item = &'b [u8]> + Clone
    where
        'a: 'b,
    {
        let mut skip = if framing.keep_header { head.len } else { 0 };
        let parts = self.parts.iter().copied().chain([framing.trailer()]);
        parts.filter_map(move |part| {
            let begin = skip.min(part.len());
            skip -= begin;
            (begin < part.len()).then_some(&part[begin..])
        })
    }

    /// Where in the buffer a run is that is sent from there.
    fn place(&self, run: &[u8]) -> Option<usize> {
        let buffer = self.buffer.filter(|_| run.len() >= SHARED_MIN)?;
        let at = (run.as_ptr() as usize).checked_sub(buffer.as_ptr() as usize)?;
        (at < buffer.len()).then_some(at)
    }

    /// All of it as one run of bytes: shared where it is one part that lies in the buffer and need
    /// not be copied. None: there is no memory.
    pub fn gather(&self, pool: &Pool) -> Option<Slice> {
        if let &[part] = self.parts
            && let Some((at, buffer)) = self.place(part).zip(self.buffer)
        {
            let mut payload = buffer.clone();
            payload.advance(at);
            payload.truncate(part.len());
            return Some(payload);
        }
        if self.len == 0 {
            return Some(Slice::default());
        }
        let mut chunk = pool.take_for(self.len, Purpose::Send)?;
        self.parts.iter().for_each(|part| chunk.put(part));
        Some(chunk.into_slice())
    }

    /// The message on the wire of one framing, to be given to about `count` outboxes.
    pub fn frame(
        &self,
        framing: &Framing,
        pool: &Pool,
        count: usize,
        purpose: Purpose,
    ) -> Result<Framed, SendError> {
        let head = self.head(framing)?;
        let (mut copied, mut shared) = (head.len, 0);
        for run in self.body(framing, &head) {
            match self.place(run) {
                Some(_) => shared += 1,
                None => copied += run.len(),
            }
        }
        let chunk = match copied {
            0 => None,
            bytes => Some(pool.take_for(bytes, purpose).ok_or(SendError::Memory)?),
        };
        let source = self.buffer.filter(|_| shared > 0).cloned().unwrap_or_default();
        let source = Source::new(source, shared * count);
        let mut framed = Framed { chunk, source, runs: Vec::new(), bytes: 0 };
        framed.copy(&head.bytes[..head.len]);
        for run in self.body(framing, &head) {
            match self.place(run) {
                Some(at) => framed.add(Run::Shared(at, run.len())),
                None => framed.copy(run),
            }
        }
        Ok(framed)
    }
}

/// Whether a part has bytes in the buffer and bytes outside.
fn is_half_in(part: &[u8], buffer: &[u8]) -> bool {
    let (part, buffer) = (part.as_ptr_range(), buffer.as_ptr_range());
    let touches = part.start < buffer.end && buffer.start < part.end;
    touches && (part.start < buffer.start || buffer.end < part.end)
}

/// A header.
pub(super) struct Head {
    pub bytes: [u8; HEADER_MAX],
    pub len: usize,
    /// Bytes of the message with it.
    pub wire: usize,
}

/// Bytes of a framed message, by place and size.
enum Run {
    /// In the chunk.
    Copied(usize, usize),
    /// In the buffer.
    Shared(usize, usize),
}

/// A message as it is on the wire, to be given to one outbox after the other. Invariant: no run is
/// empty, and no two that are copied are neighbours.
pub struct Framed {
    chunk: Option<Chunk>,
    source: Source,
    runs: Vec<Run>,
    bytes: usize,
}

impl Framed {
    /// Bytes in all.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many slices it is.
    pub fn count(&self) -> usize {
        self.runs.len()
    }

    /// One of its slices.
    pub fn slice(&mut self, at: usize) -> Slice {
        match self.runs[at] {
            Run::Shared(start, len) => self.source.part(start, len),
            Run::Copied(start, len) => {
                let mut slice = self.chunk.as_mut().expect("something was copied").share();
                slice.advance(start);
                slice.truncate(len);
                slice
            }
        }
    }

    fn add(&mut self, run: Run) {
        let (Run::Copied(_, len) | Run::Shared(_, len)) = run;
        self.bytes += len;
        self.runs.push(run);
    }

    fn copy(&mut self, bytes: &[u8]) {
        let Some(chunk) = self.chunk.as_mut().filter(|_| !bytes.is_empty()) else { return };
        let start = chunk.len();
        chunk.put(bytes);
        if let Some(Run::Copied(_, len)) = self.runs.last_mut() {
            *len += bytes.len();
            self.bytes += bytes.len();
        } else {
            self.add(Run::Copied(start, bytes.len()));
        }
    }
}

impl From<HeaderError> for SendError {
    fn from(error: HeaderError) -> Self {
        match error {
            HeaderError::TooBig => SendError::TooBig,
            HeaderError::Malformed => SendError::Malformed,
        }
    }
}

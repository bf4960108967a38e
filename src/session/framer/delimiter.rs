//! A delimiter behind each message: 1 to 8 bytes, or the end of a line.
//!
//! Lines end as in telnet (RFC 854) and as people send them: with LF, CR LF, CR or CR NUL.

use super::{DELIMITER_MAX, Framing, HeaderError};
use memchr::{memchr, memchr2, memmem};

/// What ends a line that is sent.
const LINE_END: &[u8] = b"\r\n";

/// Where a delimiter is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Mark {
    /// Bytes before it.
    pub at: usize,
    /// Bytes of it.
    pub len: usize,
    /// It is a CR, and the LF or NUL behind it may still come.
    pub open: bool,
}

impl Framing {
    /// The delimiter's bytes; of lines the longest is meant by its size alone.
    fn delimiter(&self) -> &[u8] {
        &self.delimiter[..self.delimiter_len as usize]
    }

    /// Bytes of a delimiter, at least: so many less one may be the beginning of one.
    pub fn delimiter_size(&self) -> usize {
        self.delimiter().len().max(1)
    }

    /// What follows a sent message.
    pub fn trailer(&self) -> &[u8] {
        match self.append_delimiter {
            true if self.is_line() => LINE_END,
            true => self.delimiter(),
            false => &[],
        }
    }

    /// The first delimiter in `input`.
    pub fn find(&self, input: &[u8]) -> Option<Mark> {
        if self.is_line() {
            let at = memchr2(b'\r', b'\n', input)?;
            let (cr, next) = (input[at] == b'\r', input.get(at + 1));
            let two = cr && next.is_some_and(|&next| is_behind_cr(next));
            return Some(Mark { at, len: 1 + usize::from(two), open: cr && next.is_none() });
        }
        let at = match self.delimiter() {
            &[byte] => memchr(byte, input),
            delimiter => memmem::find(input, delimiter),
        };
        at.map(|at| Mark { at, len: self.delimiter_size(), open: false })
    }

    /// A delimiter that begins in `before`, which has none, and ends in `input`: how much of
    /// `before` is no part of it, and how much of `input` is.
    pub fn find_across(&self, before: &[u8], input: &[u8]) -> Option<(usize, usize)> {
        let most = self.delimiter_size() - 1;
        let tail = &before[before.len().saturating_sub(most)..];
        let head = &input[..input.len().min(most)];
        if tail.is_empty() || head.is_empty() {
            return None;
        }
        let mut window = [0; 2 * DELIMITER_MAX];
        window[..tail.len()].copy_from_slice(tail);
        window[tail.len()..tail.len() + head.len()].copy_from_slice(head);
        let at = memmem::find(&window[..tail.len() + head.len()], self.delimiter())?;
        let begins = tail.len() - at;
        Some((before.len() - begins, self.delimiter_size() - begins))
    }
}

/// Whether a byte belongs to the CR before it.
pub fn is_behind_cr(byte: u8) -> bool {
    matches!(byte, b'\n' | 0)
}

/// No header; the message may be too long to be read by the like of us.
pub fn header(framing: &Framing, payload: usize) -> Result<usize, HeaderError> {
    let too_big = framing.append_delimiter && payload > framing.frame_max_bytes as usize;
    if too_big { Err(HeaderError::TooBig) } else { Ok(0) }
}

#[cfg(test)]
mod tests {
    use super::super::FramingKind;
    use super::*;

    fn framing(delimiter: &[u8]) -> Framing {
        let mut framing = Framing { kind: FramingKind::Delimiter, ..Framing::default() };
        framing.delimiter[..delimiter.len()].copy_from_slice(delimiter);
        framing.delimiter_len = delimiter.len() as u32;
        framing
    }

    #[test]
    fn lines_end_in_four_ways() {
        let mark = |at, len, open| Some(Mark { at, len, open });
        let lines = framing(b"");
        assert_eq!(lines.find(b"ab\ncd"), mark(2, 1, false));
        assert_eq!(lines.find(b"ab\r\ncd"), mark(2, 2, false));
        assert_eq!(lines.find(b"ab\r\0cd"), mark(2, 2, false));
        assert_eq!(lines.find(b"ab\rcd"), mark(2, 1, false));
        assert_eq!(lines.find(b"ab\r"), mark(2, 1, true));
        assert_eq!(lines.find(b"\n\r"), mark(0, 1, false));
        assert_eq!(lines.find(b"abc"), None);
    }

    #[test]
    fn a_delimiter_is_found_across_a_cut() {
        let text = b"xabaabacy";
        let framing = framing(b"abac");
        let whole = framing.find(text).expect("it is there");
        assert_eq!((whole.at, whole.len), (4, 4));
        for cut in 1..text.len() {
            let (before, input) = text.split_at(cut);
            let across = framing.find_across(before, input);
            let expected = (5..8).contains(&cut).then_some((4, 8_usize.saturating_sub(cut)));
            assert_eq!(across, expected, "cut at {cut}");
        }
    }
}

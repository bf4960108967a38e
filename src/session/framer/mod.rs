//! Framing: where a message begins and ends in a stream, and the header before a sent one.

mod delimiter;
mod fixed;
mod kind;
mod lane;
mod length;
mod raw;
mod web;

pub use delimiter::is_behind_cr;
pub use kind::{DELIMITER_MAX, Framing, FramingKind, HEADER_MAX, HeaderError, Overlong, Step};
pub use lane::{TAG_BYTES, Tag};

impl Framing {
    /// Looks at the first bytes of the stream.
    #[inline(always)]
    pub fn step(&self, input: &[u8]) -> Step {
        match self.kind {
            FramingKind::Length => length::step_field(self, input),
            FramingKind::Varint => length::step_varint(self, input),
            FramingKind::Raw => raw::step(input),
            FramingKind::Delimiter => Step::Delimited,
            FramingKind::Fixed => fixed::step(self, input),
            FramingKind::Web | FramingKind::Lane => web::step(),
        }
    }

    /// Writes the header for a message, and answers its size. With `keep_header` the message
    /// contains it, and this is what goes over its first bytes.
    #[inline]
    pub fn header(&self, message: &[u8], out: &mut [u8; HEADER_MAX]) -> Result<usize, HeaderError> {
        self.header_of(message, message.len(), out)
    }

    /// As `header`, for a message of `len` bytes that begins with `first`: all of it, or at least
    /// `HEADER_MAX` bytes.
    #[inline(always)]
    pub fn header_of(
        &self,
        first: &[u8],
        len: usize,
        out: &mut [u8; HEADER_MAX],
    ) -> Result<usize, HeaderError> {
        match self.kind {
            FramingKind::Length => length::header_field(self, first, len, out),
            FramingKind::Varint => length::header_varint(self, len, out),
            FramingKind::Raw => Ok(0),
            FramingKind::Delimiter => delimiter::header(self, len),
            FramingKind::Fixed => fixed::header(self, len),
            FramingKind::Web => web::header(self, len, out),
            FramingKind::Lane => lane::header(self, len, out),
        }
    }
}

//! The kinds of framing, and what each says of a stream's first bytes or of a message.

use super::lane::Tag;
use crate::session::event::Cause;

/// How a stream is cut into messages.
#[repr(u32)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the C ABI's `sockeye_framing_kind` documents each")]
pub enum FramingKind {
    Raw = 0,
    Length = 1,
    Varint = 2,
    Delimiter = 3,
    Fixed = 4,
    /// Of `ws://`; no endpoint of the host's has it.
    Web = 5,
    /// Of `game://`, in the outbox; no endpoint of the host's has it.
    Lane = 6,
}

impl FramingKind {
    /// The kind with this number.
    pub fn from_number(number: u32) -> Option<FramingKind> {
        use FramingKind::*;
        [Raw, Length, Varint, Delimiter, Fixed].get(number as usize).copied()
    }
}

/// One endpoint's framing. A frame is header, then payload.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the C ABI's `sockeye_framing` documents each")]
pub struct Framing {
    pub kind: FramingKind,
    pub length_bytes: u32,
    pub length_offset: u32,
    pub little_endian: bool,
    pub length_adjustment: i32,
    pub keep_header: bool,
    pub frame_max_bytes: u32,
    pub delimiter: [u8; DELIMITER_MAX],
    /// 0: a line's end, as `Framing::is_line` has it.
    pub delimiter_len: u32,
    pub append_delimiter: bool,
    pub overlong: Overlong,
    /// Of a WebSocket's message: it is text.
    pub text: bool,
    /// Of a WebSocket's message: it is deflated.
    pub deflated: bool,
    /// Of a message in a lane: where it goes.
    pub tag: Tag,
}

/// What becomes of a message that is over the maximum before its delimiter comes.
#[repr(u32)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Overlong {
    /// The connection closes.
    Close = 0,
    /// The message is reported without the rest of it.
    Cut = 1,
}

impl Overlong {
    /// The choice with this number.
    pub fn from_number(number: u32) -> Option<Overlong> {
        [Overlong::Close, Overlong::Cut].get(number as usize).copied()
    }
}

/// Bytes of the longest delimiter.
pub const DELIMITER_MAX: usize = 8;

/// Bytes of a header before its length field, at most.
const OFFSET_MAX: u32 = 12;
/// Bytes of the longest header.
pub const HEADER_MAX: usize = 16;

impl Default for Framing {
    fn default() -> Self {
        Framing {
            kind: FramingKind::Raw,
            length_bytes: 4,
            length_offset: 0,
            little_endian: false,
            length_adjustment: 0,
            keep_header: false,
            frame_max_bytes: FRAME_MAX_BYTES.1,
            delimiter: [0; DELIMITER_MAX],
            delimiter_len: 0,
            append_delimiter: false,
            overlong: Overlong::Close,
            text: false,
            deflated: false,
            tag: Tag::default(),
        }
    }
}

/// The largest payload where the endpoint names none: of lines and the like, and of others.
const FRAME_MAX_BYTES: (u32, u32) = (4 << 10, 1 << 20);

/// What the first bytes of a stream are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// The header is not complete: at least so many bytes are needed in all.
    Header(usize),
    /// A frame of `header` and `payload` bytes begins here.
    Frame { header: usize, payload: usize },
    /// A frame ends with a delimiter, which has to be looked for.
    Delimited,
    /// No frame can begin like this.
    Broken(Cause),
}

/// Why a message gets no header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HeaderError {
    /// Over the frame's maximum or what the length field can say.
    TooBig,
    /// Too short for the header it has to contain, for the length adjustment, or for a record.
    Malformed,
}

impl Framing {
    /// That of a WebSocket whose messages are as large at most.
    pub fn web(&self) -> Framing {
        Framing {
            kind: FramingKind::Web,
            frame_max_bytes: self.frame_max_bytes,
            ..Framing::default()
        }
    }

    /// Whether a stream of such frames may begin with these bytes, and others behind them.
    pub fn may_begin(&self, first: &[u8]) -> bool {
        match self.kind {
            FramingKind::Length => {
                // The least length that the field may have then.
                let mut least = [0; HEADER_MAX];
                least[..first.len()].copy_from_slice(first);
                match self.step(&least) {
                    Step::Broken(cause) => cause != Cause::LimitFrame,
                    _ => true,
                }
            }
            FramingKind::Varint => !matches!(self.step(first), Step::Broken(_)),
            FramingKind::Web | FramingKind::Lane => false,
            FramingKind::Raw | FramingKind::Delimiter | FramingKind::Fixed => true,
        }
    }

    /// Whether the numbers go together; the message names the field.
    pub fn check(&self) -> Result<(), String> {
        if self.kind == FramingKind::Fixed && self.frame_max_bytes == 0 {
            return Err("endpoint.framing.frame_max_bytes is the size of a FIXED record".into());
        }
        if self.frame_max_bytes == 0 || self.frame_max_bytes > i32::MAX as u32 {
            return Err("endpoint.framing.frame_max_bytes must be 1 to 2147483647".into());
        }
        let length = self.kind == FramingKind::Length;
        if length && !(1..=4).contains(&self.length_bytes) {
            return Err("endpoint.framing.length_bytes must be 1 to 4".into());
        }
        if length && self.length_offset > OFFSET_MAX {
            return Err("endpoint.framing.length_offset must be at most 12".into());
        }
        if self.keep_header && !length {
            return Err("endpoint.framing.keep_header is for kind LENGTH".into());
        }
        if self.delimiter_len as usize > DELIMITER_MAX {
            return Err("endpoint.framing.delimiter_len must be at most 8".into());
        }
        let delimits = self.delimiter_len > 0 || self.append_delimiter;
        if self.kind != FramingKind::Delimiter && (delimits || self.overlong != Overlong::Close) {
            return Err("endpoint.framing: delimiter_len, append_delimiter and overlong are for \
                        kind DELIMITER"
                .into());
        }
        Ok(())
    }

    /// Puts the default of its kind in the place of a maximum of 0, where it has one.
    pub fn resolve(&mut self) {
        if self.frame_max_bytes == 0 {
            self.frame_max_bytes = match self.kind {
                FramingKind::Delimiter => FRAME_MAX_BYTES.0,
                FramingKind::Fixed => 0,
                _ => FRAME_MAX_BYTES.1,
            };
        }
    }

    /// Whether the delimiter is a line's end: LF, CR LF, CR or CR NUL.
    pub fn is_line(&self) -> bool {
        self.kind == FramingKind::Delimiter && self.delimiter_len == 0
    }
}

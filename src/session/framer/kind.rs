//! The kinds of framing, and what each says of a stream's first bytes or of a message.

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
}

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
            frame_max_bytes: 1 << 20,
        }
    }
}

/// What the first bytes of a stream are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// The header is not complete: at least so many bytes are needed in all.
    Header(usize),
    /// A frame of `header` and `payload` bytes begins here.
    Frame { header: usize, payload: usize },
    /// No frame can begin like this.
    Broken(Cause),
}

/// Why a message gets no header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HeaderError {
    /// Over the frame's maximum or what the length field can say.
    TooBig,
    /// Too short for the header it has to contain, or for the length adjustment.
    Malformed,
}

impl Framing {
    /// Whether the numbers go together; the message names the field.
    pub fn check(&self) -> Result<(), String> {
        if self.frame_max_bytes == 0 || self.frame_max_bytes > i32::MAX as u32 {
            return Err("endpoint.framing.frame_max_bytes must be 1 to 2147483647".into());
        }
        match self.kind {
            FramingKind::Length => {
                if !(1..=4).contains(&self.length_bytes) {
                    return Err("endpoint.framing.length_bytes must be 1 to 4".into());
                }
                if self.length_offset > OFFSET_MAX {
                    return Err("endpoint.framing.length_offset must be at most 12".into());
                }
                Ok(())
            }
            FramingKind::Raw | FramingKind::Varint if self.keep_header => {
                Err("endpoint.framing.keep_header is for kind LENGTH".into())
            }
            _ => Ok(()),
        }
    }
}

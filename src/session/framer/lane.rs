//! The header of a message that waits in the outbox of a connection with lanes: its length, and
//! where it goes. No peer ever sees it.

use super::kind::{Framing, HEADER_MAX, HeaderError};
use crate::session::outbox::Key;

/// Bytes of the header: length and lane, deadline, key.
pub const TAG_BYTES: usize = 16;

/// Bits of a length; those above it are the lane and `AT_END`.
const LENGTH_BITS: u32 = 27;
/// The largest length.
pub const LANE_MESSAGE_MAX: u32 = (1 << LENGTH_BITS) - 1;
const AT_END: u32 = 1 << 31;

/// Where a message of a connection with lanes goes.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Tag {
    /// 0 to 15.
    pub lane: u8,
    /// When it is of no use any more, in milliseconds of the net's clock, without the bits above
    /// 32; 0: never.
    pub deadline: u32,
    /// What it is about.
    pub key: Key,
}

impl Tag {
    /// A message's length, and where it goes.
    pub fn read(header: &[u8; TAG_BYTES]) -> (usize, Tag) {
        let word = |at: usize| {
            u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
        };
        let first = word(0);
        let key = u64::from(word(8)) << 32 | u64::from(word(12));
        let key = Key { key, at_end: first & AT_END != 0 };
        let lane = (first >> LENGTH_BITS & 15) as u8;
        ((first & LANE_MESSAGE_MAX) as usize, Tag { lane, deadline: word(4), key })
    }
}

pub fn header(
    framing: &Framing,
    len: usize,
    out: &mut [u8; HEADER_MAX],
) -> Result<usize, HeaderError> {
    if len > framing.frame_max_bytes.min(LANE_MESSAGE_MAX) as usize {
        return Err(HeaderError::TooBig);
    }
    let Tag { lane, deadline, key: Key { key, at_end } } = framing.tag;
    let first = len as u32 | u32::from(lane) << LENGTH_BITS | if at_end { AT_END } else { 0 };
    out[..4].copy_from_slice(&first.to_be_bytes());
    out[4..8].copy_from_slice(&deadline.to_be_bytes());
    out[8..16].copy_from_slice(&key.to_be_bytes());
    Ok(TAG_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_read_back() {
        for (len, lane, deadline, key, at_end) in [
            (0, 0, 0, 0, false),
            (512 << 10, 15, u32::MAX, u64::MAX, true),
            (LANE_MESSAGE_MAX as usize, 3, 1, 2, false),
        ] {
            let tag = Tag { lane, deadline, key: Key { key, at_end } };
            let framing = Framing { tag, frame_max_bytes: u32::MAX, ..Framing::default() };
            let mut out = [0; HEADER_MAX];
            assert_eq!(header(&framing, len, &mut out), Ok(TAG_BYTES));
            assert_eq!(Tag::read(&out), (len, tag));
            assert_eq!(
                header(&framing, LANE_MESSAGE_MAX as usize + 1, &mut out),
                Err(HeaderError::TooBig)
            );
        }
    }
}

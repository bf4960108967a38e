//! The frames of a WebSocket as we send them: RFC 6455, section 5.2. One for each message, and
//! without a mask, which a client's layer puts on. What is received is cut by the layer.

use super::kind::{Framing, HEADER_MAX, HeaderError, Step};

/// The last frame of a message, in its first byte.
const LAST: u8 = 0x80;
/// Its payload is deflated: RFC 7692, section 6.
const DEFLATED: u8 = 0x40;
/// Text, in place of bytes.
const TEXT: u8 = 1;
const BINARY: u8 = 2;

/// Its messages come from its layer: here is never a byte.
pub fn step() -> Step {
    Step::Header(1)
}

pub fn header(
    framing: &Framing,
    len: usize,
    out: &mut [u8; HEADER_MAX],
) -> Result<usize, HeaderError> {
    if len > framing.frame_max_bytes as usize {
        return Err(HeaderError::TooBig);
    }
    let opcode = if framing.text { TEXT } else { BINARY };
    out[0] = LAST | opcode | if framing.deflated { DEFLATED } else { 0 };
    Ok(match len {
        0..=125 => {
            out[1] = len as u8;
            2
        }
        126..=0xffff => {
            out[1] = 126;
            out[2..4].copy_from_slice(&(len as u16).to_be_bytes());
            4
        }
        _ => {
            out[1] = 127;
            out[2..10].copy_from_slice(&(len as u64).to_be_bytes());
            10
        }
    })
}

//! A length before each message: a field of 1 to 4 bytes, or a varint (LEB128, as in
//! <https://protobuf.dev/programming-guides/encoding/#varints>).

use super::kind::{Framing, HEADER_MAX, HeaderError, Step};
use crate::session::event::Cause;

/// Bytes of the longest varint: 32 bits in groups of 7.
const VARINT_MAX: usize = 5;

#[inline(always)]
pub fn step_field(framing: &Framing, input: &[u8]) -> Step {
    let (offset, bytes) = (framing.length_offset as usize, framing.length_bytes as usize);
    let header = offset + bytes;
    let Some(field) = input.get(offset..header) else { return Step::Header(header) };
    let fold = |length: u32, &byte: &u8| length << 8 | u32::from(byte);
    let length = match (<[u8; 4]>::try_from(field), framing.little_endian) {
        // By far the most frequent size, and one instruction.
        (Ok(field), false) => u32::from_be_bytes(field),
        (Ok(field), true) => u32::from_le_bytes(field),
        (Err(_), false) => field.iter().fold(0, fold),
        (Err(_), true) => field.iter().rev().fold(0, fold),
    };
    frame(framing, header, length)
}

pub fn step_varint(framing: &Framing, input: &[u8]) -> Step {
    let mut length = 0_u64;
    for (at, &byte) in input.iter().take(VARINT_MAX).enumerate() {
        length |= u64::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return match u32::try_from(length) {
                Ok(length) => frame(framing, at + 1, length),
                Err(_) => Step::Broken(Cause::Protocol),
            };
        }
    }
    if input.len() >= VARINT_MAX {
        Step::Broken(Cause::Protocol)
    } else {
        Step::Header(input.len() + 1)
    }
}

/// A frame whose length field says `length`, if that is within the limits.
#[inline(always)]
fn frame(framing: &Framing, header: usize, length: u32) -> Step {
    let payload = i64::from(length) + i64::from(framing.length_adjustment);
    if payload < 0 {
        return Step::Broken(Cause::Protocol);
    }
    if payload > i64::from(framing.frame_max_bytes) {
        return Step::Broken(Cause::LimitFrame);
    }
    Step::Frame { header, payload: payload as usize }
}

/// What the length field has to say for a payload, if the frame may have it.
fn length_for(framing: &Framing, payload: usize) -> Result<u32, HeaderError> {
    if payload > framing.frame_max_bytes as usize {
        return Err(HeaderError::TooBig);
    }
    let length = payload as i64 - i64::from(framing.length_adjustment);
    if length < 0 {
        return Err(HeaderError::Malformed);
    }
    u32::try_from(length).map_err(|_| HeaderError::TooBig)
}

/// `first` is how the message of `len` bytes begins. `out` comes zeroed: so are the bytes before
/// the field, where the message does not give them.
#[inline]
pub fn header_field(
    framing: &Framing,
    first: &[u8],
    len: usize,
    out: &mut [u8; HEADER_MAX],
) -> Result<usize, HeaderError> {
    let (offset, bytes) = (framing.length_offset as usize, framing.length_bytes as usize);
    let header = offset + bytes;
    let payload = if framing.keep_header {
        let payload = len.checked_sub(header).ok_or(HeaderError::Malformed)?;
        out[..offset].copy_from_slice(&first[..offset]);
        payload
    } else {
        len
    };
    let length = length_for(framing, payload)?;
    if bytes < 4 && length >> (8 * bytes) != 0 {
        return Err(HeaderError::TooBig);
    }
    let field = if framing.little_endian {
        length.to_le_bytes()
    } else {
        (length << (32 - 8 * bytes)).to_be_bytes()
    };
    // Four bytes always: those behind a shorter field are not used.
    out[offset..offset + 4].copy_from_slice(&field);
    Ok(header)
}

pub fn header_varint(
    framing: &Framing,
    payload: usize,
    out: &mut [u8; HEADER_MAX],
) -> Result<usize, HeaderError> {
    let mut length = length_for(framing, payload)?;
    let mut len = 0;
    loop {
        out[len] = (length & 0x7f) as u8 | if length > 0x7f { 0x80 } else { 0 };
        len += 1;
        length >>= 7;
        if length == 0 {
            return Ok(len);
        }
    }
}

//! Records of one size, without a header.

use super::{Framing, HeaderError, Step};

pub fn step(framing: &Framing, input: &[u8]) -> Step {
    match input.is_empty() {
        true => Step::Header(1),
        false => Step::Frame { header: 0, payload: framing.frame_max_bytes as usize },
    }
}

/// No header; another size would shift all that follows.
pub fn header(framing: &Framing, payload: usize) -> Result<usize, HeaderError> {
    match payload.cmp(&(framing.frame_max_bytes as usize)) {
        std::cmp::Ordering::Less => Err(HeaderError::Malformed),
        std::cmp::Ordering::Equal => Ok(0),
        std::cmp::Ordering::Greater => Err(HeaderError::TooBig),
    }
}

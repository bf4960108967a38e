//! What the ends agree on about deflated messages: RFC 7692, section 7.1.

use super::deflate::WINDOWS;
use std::fmt::Write;

const NAME: &str = "permessage-deflate";

/// What a client asks for.
pub const OFFER: &str = "permessage-deflate; client_no_context_takeover; \
                         server_no_context_takeover; client_max_window_bits";

/// What the ends agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deflating {
    /// How far back our messages may refer, as an exponent of 2. None: the peer asks for what we
    /// cannot do, so we never deflate.
    pub window_bits: Option<u8>,
    /// Messages of the peer refer to those before.
    pub takes_over: bool,
}

/// The parameters of one offer, or of a response.
#[derive(Default)]
struct Parameters {
    server_alone: bool,
    client_alone: bool,
    server_bits: Option<u8>,
    /// Some(None): without a value.
    client_bits: Option<Option<u8>>,
}

/// The parts of a header between `separator`s that are not quoted, without what is around them.
pub fn split(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    text.split(move |character| {
        quoted ^= character == '"';
        !quoted && character == separator
    })
    .map(str::trim)
}

impl Parameters {
    /// Those of permessage-deflate. None: it is another extension, or not as it has to be.
    fn read(extension: &str) -> Option<Parameters> {
        let mut parts = split(extension, ';');
        if !parts.next()?.eq_ignore_ascii_case(NAME) {
            return None;
        }
        let mut all = Parameters::default();
        for part in parts {
            let (name, value) = match part.split_once('=') {
                Some((name, value)) => (name.trim_end(), Some(bits(value.trim_start())?)),
                None => (part, None),
            };
            let name = name.to_ascii_lowercase();
            let again = match (name.as_str(), value) {
                ("server_no_context_takeover", None) => {
                    std::mem::replace(&mut all.server_alone, true)
                }
                ("client_no_context_takeover", None) => {
                    std::mem::replace(&mut all.client_alone, true)
                }
                ("server_max_window_bits", Some(bits)) => all.server_bits.replace(bits).is_some(),
                ("client_max_window_bits", bits) => all.client_bits.replace(bits).is_some(),
                _ => return None,
            };
            if again {
                return None;
            }
        }
        Some(all)
    }
}

/// A number of bits as it has to be written: section 7.1.2.
fn bits(value: &str) -> Option<u8> {
    let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value);
    let plain = value.bytes().all(|byte| byte.is_ascii_digit()) && !value.starts_with('0');
    value.parse().ok().filter(|bits| plain && (8..=15).contains(bits))
}

/// Takes the first of a client's offers that it can, and writes what is answered to it.
pub fn accept<'a>(headers: impl Iterator<Item = &'a str>) -> Option<(Deflating, String)> {
    let mut offers = headers.flat_map(|header| split(header, ','));
    offers.find_map(|offer| {
        let asked = Parameters::read(offer)?;
        let window_bits = asked.server_bits.unwrap_or(*WINDOWS.end());
        // Such a window deflate cannot have.
        if !WINDOWS.contains(&window_bits) {
            return None;
        }
        let mut answer = format!("{NAME}; server_no_context_takeover; client_no_context_takeover");
        if let Some(bits) = asked.server_bits {
            let _ = write!(answer, "; server_max_window_bits={bits}");
        }
        if let Some(bits) = asked.client_bits {
            let bits = bits.unwrap_or(*WINDOWS.end());
            let _ = write!(answer, "; client_max_window_bits={bits}");
        }
        Some((Deflating { window_bits: Some(window_bits), takes_over: false }, answer))
    })
}

/// The server did not answer what it may.
#[derive(Debug, PartialEq, Eq)]
pub struct Unasked;

/// Reads what a server answered. `offered`: what it may answer is our offer.
pub fn confirm<'a>(
    headers: impl Iterator<Item = &'a str>,
    offered: bool,
) -> Result<Option<Deflating>, Unasked> {
    let mut answers = headers.flat_map(|header| split(header, ','));
    let Some(answer) = answers.next() else { return Ok(None) };
    let agreed = Parameters::read(answer).filter(|_| offered && answers.next().is_none());
    let agreed = agreed.ok_or(Unasked)?;
    let window_bits = match agreed.client_bits {
        None => Some(*WINDOWS.end()),
        Some(None) => return Err(Unasked),
        Some(Some(bits)) => Some(bits).filter(|bits| WINDOWS.contains(bits)),
    };
    Ok(Some(Deflating { window_bits, takes_over: !agreed.server_alone }))
}

//! Version 1: one line of text (2.1).

use super::{Read, Source, Wrong};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

/// What a header begins with.
pub const SIGNATURE: &[u8] = b"PROXY ";
/// The longest line, its end included.
const MAX: usize = 107;
const BROKEN: Wrong = "of version 1 is not as it should be";

pub fn parse(bytes: &[u8]) -> Read {
    let line = &bytes[..bytes.len().min(MAX)];
    let Some(end) = line.iter().position(|&byte| byte == b'\r') else {
        let long = line.len() == MAX;
        return if long { Err("of version 1 has over 107 bytes") } else { Ok(None) };
    };
    match line.get(end + 1) {
        Some(b'\n') => {}
        Some(_) => return Err(BROKEN),
        None if end + 1 == MAX => return Err("of version 1 has over 107 bytes"),
        None => return Ok(None),
    }
    let said = &line[SIGNATURE.len()..end];
    let source = match said.strip_prefix(b"UNKNOWN") {
        // What follows is not to be looked at.
        Some([] | [b' ', ..]) => Some(Source::Own),
        _ => std::str::from_utf8(said).ok().and_then(relayed),
    };
    Ok(Some((source.ok_or(BROKEN)?, end + 2)))
}

fn relayed(said: &str) -> Option<Source> {
    match said.split_once(' ')? {
        ("TCP4", of) => addresses::<Ipv4Addr>(of.split(' ')),
        ("TCP6", of) => addresses::<Ipv6Addr>(of.split(' ')),
        _ => None,
    }
}

/// Source and destination, then the ports of both.
fn addresses<'a, T: FromStr + Into<IpAddr>>(
    mut words: impl Iterator<Item = &'a str>,
) -> Option<Source> {
    let mut address = || words.next()?.parse::<T>().ok();
    let (source, _) = (address()?, address()?);
    let (from, _) = (port(words.next()?)?, port(words.next()?)?);
    words.next().is_none().then(|| Source::Peer(SocketAddr::new(source.into(), from)))
}

/// A port in digits, without a zero in front.
fn port(text: &str) -> Option<u16> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit());
    let padded = text.len() > 1 && text.starts_with('0');
    text.parse().ok().filter(|_| plain && !padded)
}

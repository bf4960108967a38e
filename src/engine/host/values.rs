//! The values of a URL's query.

use crate::engine::host::zone;
use crate::engine::shared::config::FRAME_TIMEOUT_AUTO;
use data_encoding::HEXLOWER_PERMISSIVE;
use std::net::SocketAddr;

/// What a value should be, to complete "… is not …".
pub type Wrong = &'static str;

/// A key of tokens, in hexadecimal digits.
pub fn token_key(value: &[u8]) -> Result<[u8; 32], Wrong> {
    let bytes = HEXLOWER_PERMISSIVE.decode(value).ok();
    bytes.and_then(|bytes| bytes.try_into().ok()).ok_or("a key (64 hexadecimal digits)")
}

/// Addresses with ports, and commas between them.
pub fn addresses(value: &[u8]) -> Result<Vec<SocketAddr>, Wrong> {
    let text = std::str::from_utf8(value).unwrap_or_default();
    let all = text.split(',').map(|one| one.parse().map_err(|_| ADDRESSES));
    all.collect()
}

const ADDRESSES: Wrong = "addresses with ports (203.0.113.7:7777,[2001:db8::7]:7777)";

pub fn whole(value: &[u8]) -> Result<u64, Wrong> {
    let text = std::str::from_utf8(value).unwrap_or_default();
    let number = match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    };
    number.ok_or("a number of 64 bits (decimal, or hexadecimal behind 0x)")
}

pub fn micros(value: &[u8]) -> Result<u64, Wrong> {
    duration(value).map(|ms| u64::from(ms) * 1000)
}

pub fn one_of<T: Copy>(value: &[u8], named: &[(&str, T)], right: Wrong) -> Result<T, Wrong> {
    named.iter().find(|(name, _)| name.as_bytes() == value).map(|(_, it)| *it).ok_or(right)
}

pub fn flag(value: &[u8]) -> Result<bool, Wrong> {
    one_of(value, &[("0", false), ("1", true)], "0 or 1")
}

/// A number of digits alone, with a unit behind it.
fn measure(value: &[u8]) -> Option<(u32, &[u8])> {
    let digits = value.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, unit) = value.split_at(digits);
    Some((std::str::from_utf8(digits).ok()?.parse().ok()?, unit))
}

pub fn number(value: &[u8]) -> Result<u32, Wrong> {
    let whole = measure(value).filter(|(_, unit)| unit.is_empty());
    whole.map(|(number, _)| number).ok_or("a number from 0 to 4294967295")
}

pub fn size(value: &[u8]) -> Result<u32, Wrong> {
    let bytes = measure(value).and_then(|(number, unit)| match unit {
        b"" => Some(number),
        b"K" => number.checked_mul(1 << 10),
        b"M" => number.checked_mul(1 << 20),
        _ => None,
    });
    bytes.ok_or("a size (bytes, or with K or M: 65536, 64K, 4M; at most 4294967295 bytes)")
}

/// A size that is not 0.
pub fn some(value: &[u8]) -> Result<u32, Wrong> {
    size(value).and_then(|bytes| if bytes > 0 { Ok(bytes) } else { Err("1 byte or more") })
}

pub fn duration(value: &[u8]) -> Result<u32, Wrong> {
    let ms = measure(value).and_then(|(number, unit)| match (number, unit) {
        (0, b"") => Some(0),
        (_, b"ms") => Some(number),
        (_, b"s") => number.checked_mul(1000),
        (_, b"m") => number.checked_mul(60_000),
        _ => None,
    });
    // The largest number has a meaning of its own.
    let ms = ms.filter(|ms| *ms != FRAME_TIMEOUT_AUTO);
    ms.ok_or("a duration (500ms, 30s, 2m; 0 for none; below 50 days)")
}

pub fn seconds(value: &[u8]) -> Result<u32, Wrong> {
    let whole = duration(value).ok().filter(|ms| ms.is_multiple_of(1000));
    whole.map(|ms| ms / 1000).ok_or("a duration of whole seconds (30s, 2m; 0 for none)")
}

pub fn queue(value: &[u8]) -> Result<Option<u32>, Wrong> {
    match value {
        b"spread" => Ok(None),
        _ => number(value).map(Some).map_err(|_| "the number of a queue, or spread"),
    }
}

pub fn address(value: &[u8]) -> Result<SocketAddr, Wrong> {
    let right = "an address of this machine (10.0.0.5, 10.0.0.5:7000, [fd00::5]:7000)";
    std::str::from_utf8(value).ok().and_then(|text| zone::parse_address(text).ok()).ok_or(right)
}

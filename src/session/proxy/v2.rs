//! Version 2: bytes (2.2).

use super::{Read, Source, Wrong};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

/// What a header begins with.
pub const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// The longest header that is read. The protocol has room for 65,551 bytes.
pub const MAX: usize = 4096;
/// The bytes before the addresses.
const FIXED: usize = 16;
/// The type of a checksum.
const CRC32C: u8 = 3;
const BROKEN: Wrong = "of version 2 is not as it should be";

pub fn parse(bytes: &[u8]) -> Read {
    match bytes.get(12) {
        None | Some(0x20 | 0x21) => {}
        Some(_) => return Err(BROKEN),
    }
    let Some(&[.., command, family, high, low]) = bytes.first_chunk::<FIXED>() else {
        return Ok(None);
    };
    let len = FIXED + usize::from(u16::from_be_bytes([high, low]));
    if len > MAX {
        return Err("of version 2 has over 4096 bytes");
    }
    let Some(header) = bytes.get(..len) else { return Ok(None) };
    // LOCAL: the proxy speaks for itself, and the rest of the header is not to be looked at.
    let source = if command == 0x20 { Source::Own } else { relayed(header, family)? };
    Ok(Some((source, len)))
}

fn relayed(header: &[u8], family: u8) -> Result<Source, Wrong> {
    let (family, protocol) = (family >> 4, family & 15);
    let block = match family {
        // What follows has no known form.
        0 if protocol <= 2 => return Ok(Source::Own),
        1 => 2 * (4 + 2),
        2 => 2 * (16 + 2),
        3 => 2 * 108,
        _ => return Err(BROKEN),
    };
    let addresses = header[FIXED..].get(..block).filter(|_| protocol <= 2).ok_or(BROKEN)?;
    check_sum(header, FIXED + block)?;
    // Another protocol than that of a stream is not what came here.
    let source = match family {
        1 if protocol == 1 => source::<4, Ipv4Addr>(addresses),
        2 if protocol == 1 => source::<16, Ipv6Addr>(addresses),
        _ => None,
    };
    Ok(source.map_or(Source::Own, Source::Peer))
}

/// Two addresses of `N` bytes and then two ports, of which the first are the source's.
fn source<const N: usize, T: From<[u8; N]> + Into<std::net::IpAddr>>(
    addresses: &[u8],
) -> Option<SocketAddr> {
    let ip = T::from(*addresses.first_chunk()?);
    let port = u16::from_be_bytes(*addresses.get(2 * N..)?.first_chunk()?);
    Some(SocketAddr::new(ip.into(), port))
}

/// Looks for a checksum among what stands behind the addresses, each with a type and a length, and
/// checks it. All else there is skipped.
fn check_sum(header: &[u8], mut at: usize) -> Result<(), Wrong> {
    while at < header.len() {
        let Some(&[kind, high, low]) = header[at..].first_chunk() else { return Err(BROKEN) };
        let len = usize::from(u16::from_be_bytes([high, low]));
        let value = header.get(at + 3..at + 3 + len).ok_or(BROKEN)?;
        if kind == CRC32C {
            let given = u32::from_be_bytes(value.try_into().map_err(|_| BROKEN)?);
            let (front, back) = (&header[..at + 3], &header[at + 3 + len..]);
            let sum = front.iter().chain(&[0; 4]).chain(back).copied();
            if crc32c(sum) != given {
                return Err("of version 2 has a wrong checksum");
            }
        }
        at += 3 + len;
    }
    Ok(())
}

/// CRC-32C (RFC 4960, appendix B), bit by bit: a header is short, and few have one.
pub fn crc32c(bytes: impl Iterator<Item = u8>) -> u32 {
    const REVERSED: u32 = 0x82F6_3B78;
    let byte = |sum: u32, byte| {
        (0..8).fold(sum ^ u32::from(byte), |sum, _| {
            (sum >> 1) ^ (REVERSED & (sum & 1).wrapping_neg())
        })
    };
    !bytes.fold(!0, byte)
}

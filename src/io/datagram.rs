//! Datagrams on their way between the engine and a model.

use crate::buf::Slice;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

/// Datagrams of one receive, and of one send.
pub const DATAGRAMS_MAX: usize = 32;
/// The largest payload: an IPv4 packet without its headers.
pub const DATAGRAM_MAX_BYTES: usize = 65_507;
/// Room for the sender's address in front of a payload.
pub const ADDRESS_BYTES: usize = 40;
/// A payload begins at a multiple of it, as its address does.
pub const ALIGN: usize = 8;

/// A datagram to be sent.
pub struct Datagram {
    /// Where to; None where the socket is connected.
    pub address: Option<SocketAddr>,
    /// The address of this machine that it leaves from, of the same family; None: the system
    /// chooses.
    pub local: Option<IpAddr>,
    /// The payload, 0 to 65,507 bytes.
    pub data: Slice,
}

/// A datagram that came.
pub struct Arrival {
    /// `ADDRESS_BYTES` of its sender's address, in the layout of the C ABI's `sockeye_address`,
    /// then the payload: `sockeye_event_address` finds the one in front of the other. Without any
    /// byte: a datagram that there was no memory for.
    pub data: Slice,
    /// Datagrams that the system dropped before this one for want of room in the socket's buffer,
    /// since the last report (SO_RXQ_OVFL); 0 where it does not say.
    pub dropped: u32,
}

/// An IPv4 address as such, also where a socket of IPv6 has it as `::ffff:1.2.3.4` (RFC 4291).
#[inline]
pub fn canonical(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V6(v6) => match v6.ip().to_ipv4_mapped() {
            Some(v4) => SocketAddr::new(v4.into(), v6.port()),
            None => address,
        },
        SocketAddr::V4(_) => address,
    }
}

/// A sender and the address of this machine that it asked, in the layout of the C ABI's
/// `sockeye_address`: family 4 or 6, port, scope, bytes, local. One of IPv4 is so on every socket.
#[inline]
pub fn address_bytes(sender: SocketAddr, local: Option<IpAddr>) -> [u8; ADDRESS_BYTES] {
    let (sender, local) = (canonical(sender), local.map(|local| local.to_canonical()));
    let mut out = [0; ADDRESS_BYTES];
    out[2..4].copy_from_slice(&sender.port().to_ne_bytes());
    match sender {
        SocketAddr::V4(v4) => {
            out[..2].copy_from_slice(&4_u16.to_ne_bytes());
            out[8..12].copy_from_slice(&v4.ip().octets());
            if let Some(IpAddr::V4(local)) = local {
                out[24..28].copy_from_slice(&local.octets());
            }
        }
        SocketAddr::V6(v6) => {
            out[..2].copy_from_slice(&6_u16.to_ne_bytes());
            out[4..8].copy_from_slice(&v6.scope_id().to_ne_bytes());
            out[8..24].copy_from_slice(&v6.ip().octets());
            if let Some(local) = local {
                out[24..].copy_from_slice(&as_v6(local).octets());
            }
        }
    }
    out
}

/// The sender of an arrival, and the address of this machine that it came to where that is known:
/// `address_bytes` read back. None: there is no sender.
pub fn sender_of(data: &[u8]) -> Option<(SocketAddr, Option<IpAddr>)> {
    let bytes = data.first_chunk::<ADDRESS_BYTES>()?;
    let half = |at: usize| [bytes[at], bytes[at + 1]];
    let port = u16::from_ne_bytes(half(2));
    let word = |at: usize| [bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]];
    let long = |at: usize| <[u8; 16]>::try_from(&bytes[at..at + 16]).expect("it is so long");
    match u16::from_ne_bytes(half(0)) {
        4 => {
            let local = Ipv4Addr::from(word(24));
            let known = !local.is_unspecified();
            let sender = SocketAddr::from((Ipv4Addr::from(word(8)), port));
            Some((sender, known.then_some(local.into())))
        }
        6 => {
            let local = Ipv6Addr::from(long(24));
            let known = !local.is_unspecified();
            let scope = u32::from_ne_bytes(word(4));
            let sender = SocketAddrV6::new(long(8).into(), port, 0, scope);
            Some((sender.into(), known.then_some(local.into())))
        }
        _ => None,
    }
}

/// An address as a socket of IPv6 has it.
pub fn as_v6(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped(),
        IpAddr::V6(v6) => v6,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_back() {
        let ip = |text: &str| text.parse::<IpAddr>().expect("an address");
        let link = SocketAddrV6::new([0xfe80, 0, 0, 0, 1, 2, 3, 0xffff].into(), 65_535, 0, 3);
        for (sender, local) in [
            ("127.0.0.1:1".parse().expect("one"), None),
            ("255.254.0.1:65535".parse().expect("one"), Some(ip("10.0.0.1"))),
            ("[::1]:9".parse().expect("one"), Some(ip("2001:db8::1"))),
            (link.into(), None),
        ] {
            let bytes = address_bytes(sender, local);
            assert_eq!(sender_of(&bytes), Some((sender, local)));
            assert_eq!(sender_of(&bytes[1..]), None, "too short");
        }
        assert_eq!(sender_of(&[0; ADDRESS_BYTES]), None, "nobody");
    }
}

//! The address of a peer, in what every connection has room for.

use crate::io::canonical;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV6};

/// Flow and scope of an address, which are 0 but for neighbours on a link.
pub type Scope = (u32, u32);

/// An address without its `Scope`.
#[derive(Clone, Copy)]
pub struct Peer {
    ip: [u8; 16],
    /// In two bytes, so that it is nowhere aligned.
    port: [u8; 2],
    family: Family,
}

#[derive(Clone, Copy)]
enum Family {
    Unknown,
    V4,
    V6,
}

impl Peer {
    /// No address as yet.
    pub const UNKNOWN: Peer = Peer { ip: [0; 16], port: [0; 2], family: Family::Unknown };

    /// An address in its two parts. One of IPv4 is so whatever socket it came by.
    pub fn new(address: SocketAddr) -> (Peer, Scope) {
        let (address, port) = (canonical(address), address.port().to_ne_bytes());
        match address {
            SocketAddr::V4(address) => {
                let mut ip = [0; 16];
                ip[..4].copy_from_slice(&address.ip().octets());
                (Peer { ip, port, family: Family::V4 }, (0, 0))
            }
            SocketAddr::V6(address) => {
                let link = (address.flowinfo(), address.scope_id());
                (Peer { ip: address.ip().octets(), port, family: Family::V6 }, link)
            }
        }
    }

    /// The whole address, if it is known.
    pub fn address(self, (flow, scope): Scope) -> Option<SocketAddr> {
        let ([a, b, c, d, ..], port) = (self.ip, u16::from_ne_bytes(self.port));
        match self.family {
            Family::Unknown => None,
            Family::V4 => Some((Ipv4Addr::new(a, b, c, d), port).into()),
            Family::V6 => Some(SocketAddrV6::new(self.ip.into(), port, flow, scope).into()),
        }
    }
}

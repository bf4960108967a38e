//! Numbers and addresses as netcode writes them: little-endian.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Most addresses of a token.
pub const ADDRESSES_MAX: usize = 32;
const IPV4: u8 = 1;
const IPV6: u8 = 2;

/// Takes what stands one behind the other.
pub struct Reader<'a>(pub &'a [u8]);

impl Reader<'_> {
    pub fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (front, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*front)
    }

    pub fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_le_bytes)
    }

    pub fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    /// A count of 1 to 32, and so many addresses.
    pub fn addresses(&mut self) -> Option<Vec<SocketAddr>> {
        let count = self.u32()? as usize;
        if !(1..=ADDRESSES_MAX).contains(&count) {
            return None;
        }
        (0..count).map(|_| self.address()).collect()
    }

    fn address(&mut self) -> Option<SocketAddr> {
        let ip: IpAddr = match self.u8()? {
            IPV4 => Ipv4Addr::from(self.array::<4>()?).into(),
            IPV6 => {
                let mut segments = [0; 8];
                for segment in &mut segments {
                    *segment = self.u16()?;
                }
                Ipv6Addr::from(segments).into()
            }
            _ => return None,
        };
        Some(SocketAddr::new(ip, self.u16()?))
    }
}

/// Appends addresses with their count.
pub fn put_addresses(out: &mut Vec<u8>, addresses: &[SocketAddr]) {
    out.extend((addresses.len() as u32).to_le_bytes());
    for address in addresses {
        match address.ip() {
            IpAddr::V4(ip) => {
                out.push(IPV4);
                out.extend(ip.octets());
            }
            IpAddr::V6(ip) => {
                out.push(IPV6);
                out.extend(ip.segments().map(u16::to_le_bytes).as_flattened());
            }
        }
        out.extend(address.port().to_le_bytes());
    }
}

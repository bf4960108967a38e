//! What the system reports with a datagram, and is given with an answer: the address of this
//! machine that the datagram was sent to, and that the answer leaves from. IP_PKTINFO in ip(7) and
//! IPV6_PKTINFO in ipv6(7); IP_RECVDSTADDR and IP_SENDSRCADDR on BSD.

use super::options::switch_on;
use libc::{c_int, cmsghdr, in6_pktinfo, msghdr};
use socket2::Socket;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use v4::Info;

/// Room for all that the system reports: two addresses and a count, each with its header.
pub type Told = [u64; 16];
/// Room for the address that an answer leaves from, with its header.
pub type Source = [u64; 6];

/// Has the system report for each datagram which address of this machine it was sent to. A socket
/// for both families reports it of IPv4 in the manner of IPv4, too, where it can: of a broadcast
/// only that has the address which answers.
pub fn ask_local(socket: &Socket, v6: bool) -> io::Result<()> {
    let of_v4 = switch_on(socket, libc::IPPROTO_IP, v4::ASK);
    if v6 { switch_on(socket, libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO) } else { of_v4 }
}

/// What the system reported with a datagram: which address it was sent to, if an answer can leave
/// from that one, and how many datagrams the socket has lost so far.
#[inline]
pub fn read(header: &msghdr) -> (Option<IpAddr>, Option<u32>) {
    let (mut local, mut drops) = (None, None);
    if header.msg_controllen == 0 {
        return (local, drops);
    }
    // SAFETY: the system wrote `msg_controllen` bytes of control messages, each with as many bytes
    // as its kind has.
    unsafe {
        let mut next = libc::CMSG_FIRSTHDR(header);
        while let Some(control) = next.as_ref() {
            let data = libc::CMSG_DATA(control);
            match (control.cmsg_level, control.cmsg_type) {
                (libc::IPPROTO_IP, v4::TOLD) => {
                    local = v4::address(&data.cast::<Info>().read_unaligned()).map(IpAddr::V4);
                }
                (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) if local.is_none() => {
                    let info = data.cast::<in6_pktinfo>().read_unaligned();
                    let address = Ipv6Addr::from(info.ipi6_addr.s6_addr);
                    local = (!address.is_multicast()).then_some(IpAddr::V6(address));
                }
                (level, kind) if is_drops(level, kind) => {
                    drops = Some(data.cast::<u32>().read_unaligned());
                }
                _ => {}
            }
            next = libc::CMSG_NXTHDR(header, control);
        }
    }
    (local, drops)
}

/// Has a message to `peer` leave from `local`. The message points at `source` afterwards.
pub fn write(header: &mut msghdr, source: &mut Source, local: IpAddr, peer: SocketAddr) {
    header.msg_control = source.as_mut_ptr().cast();
    match (local, peer) {
        (IpAddr::V4(local), _) => put(header, libc::IPPROTO_IP, v4::SOURCE, v4::info(local)),
        (IpAddr::V6(local), peer) => {
            // The interface of a link-local address is that of the peer.
            let scope = match peer {
                SocketAddr::V6(peer) if local.is_unicast_link_local() => peer.scope_id(),
                _ => 0,
            };
            let address = libc::in6_addr { s6_addr: local.octets() };
            let info = in6_pktinfo { ipi6_addr: address, ipi6_ifindex: scope as _ };
            put(header, libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, info);
        }
    }
}

/// One control message. The header's control memory is a whole `Source`.
fn put<T: Copy>(header: &mut msghdr, level: c_int, kind: c_int, value: T) {
    // SAFETY: no pointers.
    let (space, len) =
        unsafe { (libc::CMSG_SPACE(size_of::<T>() as u32), libc::CMSG_LEN(size_of::<T>() as u32)) };
    assert!(space as usize <= size_of::<Source>(), "room for every kind");
    header.msg_controllen = space as _;
    // SAFETY: zeros are a control message of nothing; the memory has room for the header and the
    // value behind it.
    unsafe {
        header.msg_control.cast::<u8>().write_bytes(0, space as usize);
        let control: *mut cmsghdr = libc::CMSG_FIRSTHDR(header);
        (*control).cmsg_level = level;
        (*control).cmsg_type = kind;
        (*control).cmsg_len = len as _;
        libc::CMSG_DATA(control).cast::<T>().write_unaligned(value);
    }
}

/// The address that a datagram was to leave from is none of this machine's, or none to send from.
pub fn is_no_source(error: &io::Error) -> bool {
    let told = error.raw_os_error();
    matches!(told, Some(libc::EINVAL | libc::EADDRNOTAVAIL | libc::ENETUNREACH))
}

/// SO_RXQ_OVFL, socket(7).
#[cfg(target_os = "linux")]
fn is_drops(level: c_int, kind: c_int) -> bool {
    level == libc::SOL_SOCKET && kind == libc::SO_RXQ_OVFL
}

#[cfg(not(target_os = "linux"))]
fn is_drops(_: c_int, _: c_int) -> bool {
    false
}

#[cfg(any(target_os = "linux", target_vendor = "apple"))]
mod v4 {
    use super::*;

    pub use libc::in_pktinfo as Info;
    pub const ASK: c_int = libc::IP_PKTINFO;
    pub const TOLD: c_int = libc::IP_PKTINFO;
    pub const SOURCE: c_int = libc::IP_PKTINFO;

    /// The address that answers: for a broadcast or a group the one of the interface it came on.
    pub fn address(info: &Info) -> Option<Ipv4Addr> {
        let address = Ipv4Addr::from(info.ipi_spec_dst.s_addr.to_ne_bytes());
        (!address.is_unspecified()).then_some(address)
    }

    pub fn info(local: Ipv4Addr) -> Info {
        // SAFETY: all zeros are an info of nothing.
        let mut info: Info = unsafe { std::mem::zeroed() };
        info.ipi_spec_dst.s_addr = u32::from_ne_bytes(local.octets());
        info
    }
}

#[cfg(not(any(target_os = "linux", target_vendor = "apple")))]
mod v4 {
    use super::*;

    pub use libc::in_addr as Info;
    pub const ASK: c_int = libc::IP_RECVDSTADDR;
    pub const TOLD: c_int = libc::IP_RECVDSTADDR;
    pub const SOURCE: c_int = libc::IP_SENDSRCADDR;

    /// Where it was sent to. The broadcast address of a network looks like any other.
    pub fn address(info: &Info) -> Option<Ipv4Addr> {
        let address = Ipv4Addr::from(info.s_addr.to_ne_bytes());
        (!address.is_multicast() && !address.is_broadcast()).then_some(address)
    }

    pub fn info(local: Ipv4Addr) -> Info {
        Info { s_addr: u32::from_ne_bytes(local.octets()) }
    }
}

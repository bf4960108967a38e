//! Which address of this machine a datagram was sent to, and which one an answer leaves from:
//! IP_PKTINFO and IPV6_PKTINFO, by WSARecvMsg and WSASendMsg.

use super::options::switch_on;
use super::sys;
use crate::io::datagram::Datagram;
use once_cell::sync::OnceCell;
use socket2::{Domain, SockAddr, SockAddrStorage, Socket, Type};
use std::io;
use std::mem;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ptr;
use windows_sys::Win32::Networking::WinSock as winsock;
use windows_sys::Win32::System::IO::OVERLAPPED;
use winsock::{
    CMSGHDR, IN_PKTINFO, IN6_PKTINFO, LPWSAOVERLAPPED_COMPLETION_ROUTINE, WSABUF, WSAMSG,
};

/// Room for an address in each manner, with its header.
type Control = [u64; 12];
/// Where a control message's value begins.
const VALUE_AT: usize = size_of::<CMSGHDR>().next_multiple_of(size_of::<usize>());

type RecvMsg = unsafe extern "system" fn(
    winsock::SOCKET,
    *mut WSAMSG,
    *mut u32,
    *mut OVERLAPPED,
    LPWSAOVERLAPPED_COMPLETION_ROUTINE,
) -> i32;

/// WSARecvMsg, which is asked for by name once.
pub fn recv_msg() -> io::Result<RecvMsg> {
    static FUNCTION: OnceCell<RecvMsg> = OnceCell::new();
    let function = FUNCTION.get_or_try_init(|| {
        let socket = sys::socket(Domain::IPV4, Type::DGRAM)?;
        let address = sys::ask(&socket, &winsock::WSAID_WSARECVMSG)?;
        // SAFETY: the type of the function with that name.
        io::Result::Ok(unsafe { mem::transmute::<usize, RecvMsg>(address) })
    });
    function.copied()
}

/// Has the system report for each datagram which address of this machine it was sent to.
pub fn ask_local(socket: &Socket, v6: bool) -> io::Result<()> {
    let of_v4 = switch_on(socket, winsock::IPPROTO_IP, winsock::IP_PKTINFO);
    if v6 { switch_on(socket, winsock::IPPROTO_IPV6, winsock::IPV6_PKTINFO) } else { of_v4 }
}

/// The address that a received message says it was sent to. None for a broadcast or a group: no
/// answer can leave from those.
///
/// # Safety
/// The system wrote the message, and its control memory, a `Control`, is there.
unsafe fn read(message: &WSAMSG) -> Option<IpAddr> {
    if message.dwFlags & (winsock::MSG_BCAST | winsock::MSG_MCAST) != 0 {
        return None;
    }
    let (first, len) = (message.Control.buf, message.Control.len as usize);
    let (mut at, mut local) = (0, None);
    while at + VALUE_AT <= len.min(size_of::<Control>()) {
        // SAFETY: a header of the system's lies there, and behind it as much as its kind has.
        unsafe {
            let header = first.add(at).cast::<CMSGHDR>().read_unaligned();
            let value = first.add(at + VALUE_AT);
            match (header.cmsg_level, header.cmsg_type) {
                (winsock::IPPROTO_IP, winsock::IP_PKTINFO) => {
                    let info = value.cast::<IN_PKTINFO>().read_unaligned();
                    local = Some(Ipv4Addr::from(info.ipi_addr.S_un.S_addr.to_ne_bytes()).into());
                }
                (winsock::IPPROTO_IPV6, winsock::IPV6_PKTINFO) if local.is_none() => {
                    let info = value.cast::<IN6_PKTINFO>().read_unaligned();
                    local = Some(Ipv6Addr::from(info.ipi6_addr.u.Byte).into());
                }
                _ => {}
            }
            at += header.cmsg_len.max(VALUE_AT).next_multiple_of(size_of::<usize>());
        }
    }
    local.filter(|local: &IpAddr| !local.is_multicast() && !local.is_unspecified())
}

/// All that WSARecvMsg writes of one datagram but its payload. It stays where it is until the
/// receive is over.
pub struct Incoming {
    name: SockAddrStorage,
    control: Control,
    pieces: [WSABUF; 2],
    message: WSAMSG,
}

// SAFETY: its pointers are to itself and to memory that one call has.
unsafe impl Send for Incoming {}

impl Incoming {
    /// Of nothing as yet.
    pub fn new() -> Incoming {
        let piece = WSABUF { len: 0, buf: ptr::null_mut() };
        // SAFETY: all zeros are a message of nothing.
        let message = unsafe { mem::zeroed() };
        Incoming { name: SockAddrStorage::zeroed(), control: [0; _], pieces: [piece; 2], message }
    }

    /// Receives one to these places. True: it succeeded; if not, `sys::last_error` says why.
    ///
    /// # Safety
    /// It, the places and the operation are the system's until that is over.
    pub unsafe fn receive(
        &mut self,
        socket: winsock::SOCKET,
        places: [WSABUF; 2],
        count: *mut u32,
        overlapped: *mut OVERLAPPED,
        routine: LPWSAOVERLAPPED_COMPLETION_ROUTINE,
    ) -> io::Result<bool> {
        let receive = recv_msg()?;
        self.pieces = places;
        self.message = WSAMSG {
            name: (&raw mut self.name).cast(),
            namelen: size_of::<SockAddrStorage>() as i32,
            lpBuffers: self.pieces.as_mut_ptr(),
            dwBufferCount: 2,
            Control: WSABUF {
                len: size_of::<Control>() as u32,
                buf: self.control.as_mut_ptr().cast(),
            },
            dwFlags: 0,
        };
        // SAFETY: the message points at what is in the same place, and at the caller's.
        Ok(unsafe { receive(socket, &mut self.message, count, overlapped, routine) } == 0)
    }

    /// Who sent what was received, and which address of this machine it was sent to.
    pub fn told(&mut self) -> (Option<SocketAddr>, Option<IpAddr>) {
        let name = mem::replace(&mut self.name, SockAddrStorage::zeroed());
        // SAFETY: the system wrote an address of this length, and the message.
        unsafe { (SockAddr::new(name, self.message.namelen).as_socket(), read(&self.message)) }
    }
}

/// All that WSASendMsg reads for one datagram. It stays where it is until the send is over.
pub struct Outgoing {
    to: Option<SockAddr>,
    piece: WSABUF,
    control: Control,
    message: WSAMSG,
}

// SAFETY: its pointers are to itself and to the payload of a datagram, which stays.
unsafe impl Send for Outgoing {}

impl Outgoing {
    /// For this datagram, whose payload stays where it is, too.
    pub fn new(datagram: &Datagram) -> Outgoing {
        let data = &datagram.data;
        // A slice lies in a chunk, and none of those has 4 GiB.
        let piece = WSABUF { len: data.len() as u32, buf: data.as_ptr().cast_mut() };
        // SAFETY: all zeros are a message of nothing.
        let message = unsafe { mem::zeroed() };
        let to = datagram.address.map(SockAddr::from);
        let mut outgoing = Outgoing { to, piece, control: [0; _], message };
        if let (Some(to), Some(local)) = (datagram.address, datagram.local) {
            outgoing.message.Control.len = outgoing.leave_from(local, to);
        }
        outgoing
    }

    /// The control message for that; its length.
    fn leave_from(&mut self, local: IpAddr, to: SocketAddr) -> u32 {
        match local {
            IpAddr::V4(local) => {
                // SAFETY: all zeros are an info of nothing.
                let mut info: IN_PKTINFO = unsafe { mem::zeroed() };
                info.ipi_addr.S_un.S_addr = u32::from_ne_bytes(local.octets());
                self.put(winsock::IPPROTO_IP, winsock::IP_PKTINFO, info)
            }
            IpAddr::V6(local) => {
                // SAFETY: all zeros are an info of nothing.
                let mut info: IN6_PKTINFO = unsafe { mem::zeroed() };
                info.ipi6_addr.u.Byte = local.octets();
                if let (SocketAddr::V6(to), true) = (to, local.is_unicast_link_local()) {
                    info.ipi6_ifindex = to.scope_id();
                }
                self.put(winsock::IPPROTO_IPV6, winsock::IPV6_PKTINFO, info)
            }
        }
    }

    fn put<T>(&mut self, level: i32, kind: i32, value: T) -> u32 {
        const { assert!(VALUE_AT + size_of::<T>() <= size_of::<Control>()) };
        let len = VALUE_AT + size_of::<T>();
        let header = CMSGHDR { cmsg_len: len, cmsg_level: level, cmsg_type: kind };
        let control = self.control.as_mut_ptr().cast::<u8>();
        // SAFETY: there is room for both.
        unsafe {
            control.cast::<CMSGHDR>().write_unaligned(header);
            control.add(VALUE_AT).cast::<T>().write_unaligned(value);
        }
        len.next_multiple_of(size_of::<usize>()) as u32
    }

    /// Sends it. True: it succeeded; if not, `sys::last_error` says why.
    ///
    /// # Safety
    /// It, its datagram and the operation are the system's until that is over.
    pub unsafe fn send(
        &mut self,
        socket: winsock::SOCKET,
        overlapped: *mut OVERLAPPED,
        routine: LPWSAOVERLAPPED_COMPLETION_ROUTINE,
    ) -> bool {
        let (to, len) = match &self.to {
            Some(to) => (to.as_ptr().cast::<winsock::SOCKADDR>(), to.len()),
            None => (ptr::null(), 0),
        };
        if self.message.Control.len == 0 {
            // SAFETY: the caller's.
            let answer = unsafe {
                let mut sent = 0;
                let count = if overlapped.is_null() { &raw mut sent } else { ptr::null_mut() };
                winsock::WSASendTo(socket, &self.piece, 1, count, 0, to, len, overlapped, routine)
            };
            return answer == 0;
        }
        (self.message.name, self.message.namelen) = (to.cast_mut(), len);
        (self.message.lpBuffers, self.message.dwBufferCount) = (&raw mut self.piece, 1);
        self.message.Control.buf = self.control.as_mut_ptr().cast();
        // SAFETY: the message points at what is in the same place, and at the caller's.
        let answer = unsafe {
            let mut sent = 0;
            let count = if overlapped.is_null() { &raw mut sent } else { ptr::null_mut() };
            winsock::WSASendMsg(socket, &self.message, 0, count, overlapped, routine)
        };
        answer == 0
    }
}

/// The address that a datagram was to leave from is none of this machine's, or none to send from.
pub fn is_no_source(error: &io::Error) -> bool {
    let told = error.raw_os_error();
    matches!(told, Some(winsock::WSAEINVAL | winsock::WSAEADDRNOTAVAIL | winsock::WSAENETUNREACH))
}

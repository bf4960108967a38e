//! Winsock's functions that are asked for by name, and what their answers mean.

use super::super::sys;
use crate::io::os::windows::options::switch_on;
use once_cell::sync::OnceCell;
use socket2::{Domain, SockAddr, SockAddrStorage, Socket, Type};
use std::io;
use std::mem;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ptr;
use windows_sys::Win32::Networking::WinSock as winsock;
use windows_sys::Win32::System::IO::OVERLAPPED;
use winsock::{LPFN_ACCEPTEX, LPFN_CONNECTEX, LPFN_GETACCEPTEXSOCKADDRS, SOCKADDR};

/// Room for one address as AcceptEx writes it.
const ADDRESS_ROOM: usize = size_of::<SockAddrStorage>() + 16;
/// Room for both.
pub const ADDRESSES_BYTES: usize = 2 * ADDRESS_ROOM;

/// See the module.
pub struct Calls {
    accept: LPFN_ACCEPTEX,
    addresses: LPFN_GETACCEPTEXSOCKADDRS,
    connect: LPFN_CONNECTEX,
    /// What completes at once may be left out of the completion port: no foreign layer stands
    /// between a socket and the system.
    pub skips: bool,
}

/// Whether a call was over when it returned; if not, it is in flight. An error: it never began.
pub fn begun(succeeded: bool) -> io::Result<bool> {
    if succeeded {
        return Ok(true);
    }
    let error = sys::last_error();
    if error.raw_os_error() == Some(winsock::WSA_IO_PENDING) { Ok(false) } else { Err(error) }
}

/// The system has no room for one more operation for a moment.
pub fn for_later(error: &io::Error) -> bool {
    sys::no_buffers(error) || sys::would_block(error)
}

/// It was ended by a cancel, or by the end of the thread that began it.
pub fn is_aborted(error: &io::Error) -> bool {
    error.raw_os_error() == Some(winsock::WSA_OPERATION_ABORTED)
}

impl Calls {
    /// The functions, asked for once.
    pub fn get() -> io::Result<&'static Calls> {
        static CALLS: OnceCell<Calls> = OnceCell::new();
        CALLS.get_or_try_init(Calls::ask)
    }

    fn ask() -> io::Result<Calls> {
        let socket = sys::socket(Domain::IPV4, Type::STREAM)?;
        // SAFETY: each is the type of the function with that name.
        let calls = unsafe {
            Calls {
                accept: mem::transmute::<usize, LPFN_ACCEPTEX>(sys::ask(
                    &socket,
                    &winsock::WSAID_ACCEPTEX,
                )?),
                addresses: mem::transmute::<usize, LPFN_GETACCEPTEXSOCKADDRS>(sys::ask(
                    &socket,
                    &winsock::WSAID_GETACCEPTEXSOCKADDRS,
                )?),
                connect: mem::transmute::<usize, LPFN_CONNECTEX>(sys::ask(
                    &socket,
                    &winsock::WSAID_CONNECTEX,
                )?),
                // A layer may be there for one family alone.
                skips: is_bare(&socket)
                    && sys::socket(Domain::IPV6, Type::STREAM).map_or(true, |it| is_bare(&it)),
            }
        };
        Ok(calls)
    }

    /// AcceptEx without a receive.
    ///
    /// # Safety
    /// `addresses` and the operation are the system's until it is reaped.
    pub unsafe fn accept(
        &self,
        listener: &Socket,
        socket: &Socket,
        addresses: *mut [u8; ADDRESSES_BYTES],
        overlapped: *mut OVERLAPPED,
    ) -> io::Result<bool> {
        let Some(accept) = self.accept else { return Err(io::ErrorKind::Unsupported.into()) };
        let (room, mut count) = (ADDRESS_ROOM as u32, 0);
        let (listener, socket) = (sys::raw(listener), sys::raw(socket));
        // SAFETY: two open sockets, room for two addresses, and the caller's.
        begun(
            unsafe {
                accept(listener, socket, addresses.cast(), 0, room, room, &mut count, overlapped)
            } != 0,
        )
    }

    /// The peer's address, of those that AcceptEx wrote.
    pub fn peer(&self, addresses: &[u8; ADDRESSES_BYTES]) -> Option<SockAddr> {
        let (mut local, mut peer): (*mut SOCKADDR, *mut SOCKADDR) =
            (ptr::null_mut(), ptr::null_mut());
        let (mut local_len, mut len) = (0, 0);
        let (from, room) = (addresses.as_ptr().cast(), ADDRESS_ROOM as u32);
        // SAFETY: what AcceptEx wrote, with the same lengths, and room for the answers.
        unsafe {
            self.addresses?(from, 0, room, room, &mut local, &mut local_len, &mut peer, &mut len)
        };
        let mut storage = SockAddrStorage::zeroed();
        let len = usize::try_from(len).ok()?.min(size_of::<SockAddrStorage>());
        if peer.is_null() || len == 0 {
            return None;
        }
        // SAFETY: `len` bytes of an address lie at `peer`, in `addresses`.
        Some(unsafe {
            ptr::copy_nonoverlapping(peer.cast::<u8>(), (&raw mut storage).cast(), len);
            SockAddr::new(storage, len as i32)
        })
    }

    /// ConnectEx, of a socket that is bound here if it is not.
    ///
    /// # Safety
    /// `address` and the operation are the system's until it is reaped.
    pub unsafe fn connect(
        &self,
        socket: &Socket,
        address: &SockAddr,
        overlapped: *mut OVERLAPPED,
    ) -> io::Result<bool> {
        let Some(connect) = self.connect else { return Err(io::ErrorKind::Unsupported.into()) };
        bind(socket, address)?;
        let (name, len) = (address.as_ptr().cast(), address.len());
        let (nothing, mut count) = (ptr::null(), 0);
        // SAFETY: an open socket, an address, nothing to send, and the caller's.
        begun(
            unsafe { connect(sys::raw(socket), name, len, nothing, 0, &mut count, overlapped) }
                != 0,
        )
    }
}

/// To any address of this machine, which ConnectEx demands.
fn bind(socket: &Socket, peer: &SockAddr) -> io::Result<()> {
    // Has the port chosen when the peer is known, so that one port serves for many peers; an older
    // system does not know it.
    let _ = switch_on(socket, winsock::SOL_SOCKET, winsock::SO_REUSE_UNICASTPORT);
    let any: SocketAddr = if peer.is_ipv6() {
        (Ipv6Addr::UNSPECIFIED, 0).into()
    } else {
        (Ipv4Addr::UNSPECIFIED, 0).into()
    };
    match socket.bind(&any.into()) {
        // It was bound before.
        Err(error) if error.raw_os_error() == Some(winsock::WSAEINVAL) => Ok(()),
        answer => answer,
    }
}

/// Whether a socket's handle is the system's own.
fn is_bare(socket: &Socket) -> bool {
    // SAFETY: all zeros are a valid answer.
    let mut info: winsock::WSAPROTOCOL_INFOW = unsafe { mem::zeroed() };
    let mut len = size_of_val(&info) as i32;
    let (level, name) = (winsock::SOL_SOCKET, winsock::SO_PROTOCOL_INFOW);
    // SAFETY: room for the answer.
    let answer = unsafe {
        winsock::getsockopt(sys::raw(socket), level, name, (&raw mut info).cast(), &mut len)
    };
    answer == 0 && info.dwServiceFlags1 & winsock::XP1_IFS_HANDLES != 0
}

/// An accepted socket becomes one like any other, and does not block.
pub fn finish_accept(socket: &Socket, listener: &Socket) -> io::Result<()> {
    let listener = sys::raw(listener);
    let (level, name) = (winsock::SOL_SOCKET, winsock::SO_UPDATE_ACCEPT_CONTEXT);
    let (value, len) = ((&raw const listener).cast(), size_of_val(&listener) as i32);
    // SAFETY: the listener's number is readable.
    sys::check(unsafe { winsock::setsockopt(sys::raw(socket), level, name, value, len) })?;
    socket.set_nonblocking(true)
}

/// A connected socket becomes one like any other.
pub fn finish_connect(socket: &Socket) -> io::Result<()> {
    let (level, name) = (winsock::SOL_SOCKET, winsock::SO_UPDATE_CONNECT_CONTEXT);
    // SAFETY: there is no value.
    sys::check(unsafe { winsock::setsockopt(sys::raw(socket), level, name, ptr::null(), 0) })?;
    Ok(())
}

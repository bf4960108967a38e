//! Sockets that the host gives by their handle, and is given.

use super::errors::check;
use super::sys::raw as number;
use socket2::{SockAddr, Socket};
use std::io;
use std::mem::{self, ManuallyDrop};
use std::os::windows::io::{FromRawSocket, IntoRawSocket, RawSocket};
use windows_sys::Win32::Networking::WinSock as winsock;

/// A socket of the host's, to be looked at. It is closed by nobody.
pub fn lend(handle: isize) -> io::Result<ManuallyDrop<Socket>> {
    if handle as winsock::SOCKET == winsock::INVALID_SOCKET {
        return Err(io::Error::from_raw_os_error(winsock::WSAENOTSOCK));
    }
    // SAFETY: a number that is no socket is an error of every call, and `ManuallyDrop` leaves it.
    let socket = ManuallyDrop::new(unsafe { Socket::from_raw_socket(handle as RawSocket) });
    socket.r#type()?;
    Ok(socket)
}

/// The handle of a socket, which stays the socket's.
pub fn raw(socket: &Socket) -> isize {
    number(socket) as isize
}

/// The handle of a socket, which is the host's from here on.
pub fn give(socket: Socket) -> isize {
    socket.into_raw_socket() as isize
}

/// Whether it is a stream socket that listens.
pub fn listens(socket: &Socket) -> io::Result<bool> {
    let mut value = 0i32;
    let mut len = mem::size_of_val(&value) as i32;
    let (level, name) = (winsock::SOL_SOCKET, winsock::SO_ACCEPTCONN);
    let out = (&raw mut value).cast();
    // SAFETY: `len` writable bytes at `value`.
    check(unsafe { winsock::getsockopt(number(socket), level, name, out, &mut len) })?;
    Ok(value != 0)
}

/// Sets what every socket of ours has: no child inherits it, and its calls do not block.
pub fn prepare(socket: &Socket) -> io::Result<()> {
    socket.set_no_inherit(true)?;
    socket.set_nonblocking(true)
}

/// Whether it is a local socket: none is in this version.
pub fn is_local(_: &SockAddr) -> bool {
    false
}

/// There is no service manager here that passes sockets.
pub fn named(name: &str) -> Result<isize, String> {
    Err(format!("fd://{name}: this system passes no descriptors by name"))
}

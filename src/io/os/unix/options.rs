//! Options of sockets that the systems have each in its own way.

use super::errors::check;
use libc::c_int;
use socket2::{SockAddr, Socket, TcpKeepalive};
use std::io;
use std::os::fd::AsRawFd;
use std::time::Duration;

/// Sets an option of a socket to 1.
pub fn switch_on(socket: &Socket, level: c_int, option: c_int) -> io::Result<()> {
    let on: c_int = 1;
    let len = size_of_val(&on) as libc::socklen_t;
    // SAFETY: a readable number and its size.
    let answer =
        unsafe { libc::setsockopt(socket.as_raw_fd(), level, option, (&raw const on).cast(), len) };
    check(answer).map(drop)
}

/// Before bind: a server that was ended can start again while old connections are in TIME_WAIT.
pub fn claim_address(socket: &Socket) -> io::Result<()> {
    socket.set_reuse_address(true)
}

/// Before a connect: nothing is to be set.
pub fn prepare_connect(_socket: &Socket, _address: &SockAddr) {}

/// Keep-alive after so long a silence; the system has an interval of its own.
pub fn keepalive(time: Duration) -> TcpKeepalive {
    TcpKeepalive::new().with_time(time)
}

/// Sets what every datagram socket is to have, where the system knows it: it may send to all of a
/// network, has only those of the groups that it joined itself, and tells how many datagrams it had
/// no room for.
#[cfg(target_os = "linux")]
pub fn prepare_datagrams(socket: &Socket) {
    let _ = socket.set_broadcast(true);
    let _ = socket.set_multicast_all_v4(false);
    let _ = socket.set_multicast_all_v6(false);
    let _ = switch_on(socket, libc::SOL_SOCKET, libc::SO_RXQ_OVFL);
}

/// Has a socket send to broadcast addresses. What the system drops it does not tell.
#[cfg(not(target_os = "linux"))]
pub fn prepare_datagrams(socket: &Socket) {
    let _ = socket.set_broadcast(true);
}

/// Has other sockets of this machine share the address that the socket is about to be bound to.
pub fn share_address(socket: &Socket) -> io::Result<()> {
    // Elsewhere two sockets that receive the same group need this one, too.
    #[cfg(not(target_os = "linux"))]
    socket.set_reuse_port(true)?;
    socket.set_reuse_address(true)
}

/// Before bind: an address is one datagram socket's, which is so without a word here.
pub fn claim_datagrams(_: &Socket) -> io::Result<()> {
    Ok(())
}

/// A peer that goes on sending hears that the connection is gone within seconds. Its window may be
/// closed, and then the system would answer its probes for a minute: tcp(7), TCP_LINGER2.
pub fn forget_soon(socket: &Socket) {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        // One second. It fails where the socket is none of TCP's, and then nothing is to be done.
        let _ = switch_on(socket, libc::IPPROTO_TCP, libc::TCP_LINGER2);
    }
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let _ = socket;
}

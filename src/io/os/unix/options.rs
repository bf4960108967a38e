//! Options of sockets that the systems have each in its own way.

use super::errors::check;
use libc::c_int;
use socket2::{SockAddr, Socket, TcpKeepalive};
use std::io;
use std::os::fd::AsRawFd;
use std::time::Duration;

/// Probes that stay without an answer before the peer is taken for dead.
const KEEPALIVE_PROBES: u64 = 4;
/// Linux refuses a longer silence.
const KEEPALIVE_MAX_S: u64 = 32_767;

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

/// Before a stream is bound to the address that its connect leaves from. A port of the system's
/// choice is chosen when the peer is known, so that one port serves for many peers: ip(7),
/// IP_BIND_ADDRESS_NO_PORT. One of the host's choice may still be in TIME_WAIT, or in use towards
/// another peer.
pub fn claim_source(socket: &Socket, port: u16) -> io::Result<()> {
    if port != 0 {
        return socket.set_reuse_address(true);
    }
    // Without it the port is chosen at once.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    let _ = switch_on(socket, libc::IPPROTO_IP, libc::IP_BIND_ADDRESS_NO_PORT);
    Ok(())
}

/// Before a connect: nothing is to be set.
pub fn prepare_connect(_socket: &Socket, _address: &SockAddr) {}

/// Keep-alive after so long a silence, with probes that find a dead peer after as long again and up
/// to 3 seconds: tcp(7), TCP_KEEPIDLE, TCP_KEEPINTVL and TCP_KEEPCNT.
pub fn keepalive(time: Duration) -> TcpKeepalive {
    let seconds = time.as_secs().clamp(1, KEEPALIVE_MAX_S);
    let count = seconds.min(KEEPALIVE_PROBES);
    let interval = Duration::from_secs(seconds.div_ceil(count));
    let probes = TcpKeepalive::new().with_time(Duration::from_secs(seconds));
    probes.with_interval(interval).with_retries(count as u32)
}

/// Has datagrams that are longer than the path takes dropped, in place of cut up, whatever the
/// system knows of the path: ip(7) and ipv6(7), IP_MTU_DISCOVER. A system that refuses has a socket
/// that works, and on which the search for the path's size finds too much.
pub fn forbid_fragments(socket: &Socket, v6: bool) {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        let set = |level, option, value: c_int| {
            let len = size_of_val(&value) as libc::socklen_t;
            let fd = socket.as_raw_fd();
            // SAFETY: a readable number and its size.
            unsafe { libc::setsockopt(fd, level, option, (&raw const value).cast(), len) }
        };
        if v6 {
            set(libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER, libc::IPV6_PMTUDISC_PROBE);
        }
        set(libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, libc::IP_PMTUDISC_PROBE);
    }
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    {
        if v6 {
            let _ = switch_on(socket, libc::IPPROTO_IPV6, libc::IPV6_DONTFRAG);
        } else {
            let _ = switch_on(socket, libc::IPPROTO_IP, libc::IP_DONTFRAG);
        }
    }
}

/// How long the peer's system may leave what was sent unacknowledged: tcp(7), TCP_USER_TIMEOUT.
pub fn set_user_timeout(socket: &Socket, ms: u32) {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        // It fails where the socket is none of TCP's, which has no such time.
        let _ = socket.set_tcp_user_timeout(Some(Duration::from_millis(ms.into())));
    }
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let _ = (socket, ms);
}

/// Sets what every datagram socket is to have, where the system knows it: it may send to all of a
/// network, has only those of the groups that it joined itself, and reports how many datagrams it
/// had no room for.
#[cfg(target_os = "linux")]
pub fn prepare_datagrams(socket: &Socket) {
    let _ = socket.set_broadcast(true);
    let _ = socket.set_multicast_all_v4(false);
    let _ = socket.set_multicast_all_v6(false);
    let _ = switch_on(socket, libc::SOL_SOCKET, libc::SO_RXQ_OVFL);
}

/// Has a socket send to broadcast addresses. The system does not report what it drops.
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

/// A peer that goes on sending sees within seconds that the connection is gone. Its window may be
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

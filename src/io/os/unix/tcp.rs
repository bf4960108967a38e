//! What the system knows of a TCP connection.

use crate::io::os::tcp::TcpInfo;
use socket2::Socket;
use std::io;

/// tcp(7), TCP_INFO. An error: this is no socket of TCP.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub fn info(socket: &Socket) -> io::Result<TcpInfo> {
    // SAFETY: plain numbers. A kernel that knows fewer of them leaves the others 0.
    let mut found = unsafe { std::mem::zeroed::<libc::tcp_info>() };
    read(socket, libc::TCP_INFO, &mut found)?;
    Ok(TcpInfo {
        rtt_us: found.tcpi_rtt,
        rtt_var_us: found.tcpi_rttvar,
        retransmits: found.tcpi_total_retrans,
        unacked: found.tcpi_unacked,
    })
}

/// TCP_CONNECTION_INFO of <netinet/tcp.h>, which has milliseconds and, for what was sent again,
/// bytes in place of segments.
#[cfg(target_vendor = "apple")]
pub fn info(socket: &Socket) -> io::Result<TcpInfo> {
    // SAFETY: plain numbers.
    let mut found = unsafe { std::mem::zeroed::<libc::tcp_connection_info>() };
    read(socket, libc::TCP_CONNECTION_INFO, &mut found)?;
    Ok(TcpInfo {
        rtt_us: found.tcpi_srtt.saturating_mul(1000),
        rtt_var_us: found.tcpi_rttvar.saturating_mul(1000),
        retransmits: 0,
        unacked: 0,
    })
}

/// Reads an option of TCP's, whose bytes are plain numbers.
#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
fn read<T>(socket: &Socket, name: libc::c_int, found: &mut T) -> io::Result<()> {
    use std::os::fd::AsRawFd;
    let mut len = size_of::<T>() as libc::socklen_t;
    let (fd, level) = (socket.as_raw_fd(), libc::IPPROTO_TCP);
    // SAFETY: `len` writable bytes at `found`.
    let answer =
        unsafe { libc::getsockopt(fd, level, name, std::ptr::from_mut(found).cast(), &mut len) };
    super::errors::check(answer).map(drop)
}

/// This system is not asked.
#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
pub fn info(_: &Socket) -> io::Result<TcpInfo> {
    Err(io::ErrorKind::Unsupported.into())
}

//! What the system knows of a TCP connection.

use super::errors::check;
use super::sys::raw;
use crate::io::os::tcp::TcpInfo;
use socket2::Socket;
use std::io;
use std::mem;
use std::ptr;
use windows_sys::Win32::Networking::WinSock as winsock;

/// SIO_TCP_INFO, of Windows 10 1703. An error: this is no socket of TCP, or the system is older.
/// It counts bytes where others count segments, and no variance.
pub fn info(socket: &Socket) -> io::Result<TcpInfo> {
    let version = 0_u32;
    // SAFETY: plain numbers.
    let mut found = unsafe { mem::zeroed::<winsock::TCP_INFO_v0>() };
    let mut answered = 0;
    // SAFETY: a readable number, and room for the answer of that version.
    check(unsafe {
        winsock::WSAIoctl(
            raw(socket),
            winsock::SIO_TCP_INFO,
            (&raw const version).cast(),
            size_of_val(&version) as u32,
            (&raw mut found).cast(),
            size_of_val(&found) as u32,
            &mut answered,
            ptr::null_mut(),
            None,
        )
    })?;
    let segments = |bytes: u32| bytes.div_ceil(found.Mss.max(1));
    Ok(TcpInfo {
        rtt_us: found.RttUs,
        rtt_var_us: 0,
        retransmits: segments(found.BytesRetrans),
        unacked: segments(found.BytesInFlight),
    })
}

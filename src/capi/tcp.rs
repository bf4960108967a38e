//! TCP: what the system has measured of a connection.

use super::boundary::{guard, same_fields, write_sized};
use super::conn::sockeye_conn;
use super::net::{enter, sockeye_net};
use super::status::sockeye_status;
use crate::engine::Kind;

/// What the system has measured of a TCP connection: TCP_INFO of tcp(7) on Linux,
/// TCP_CONNECTION_INFO on macOS, SIO_TCP_INFO on Windows. What a system does not measure is 0.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct sockeye_tcp_info {
    /// `sizeof(sockeye_tcp_info)` of the library, at most that of the caller.
    pub struct_size: u32,
    /// The smoothed time from a segment to its acknowledgement, in microseconds; 0 before the
    /// first.
    pub rtt_us: u32,
    /// How much that varies, in microseconds; 0 on Windows.
    pub rtt_var_us: u32,
    /// Segments sent again since the connection began; Windows counts bytes, here in segments.
    pub retransmits: u32,
    /// Segments sent and not acknowledged; on Windows as above, 0 on macOS.
    pub unacked: u32,
    /// Must be ignored.
    pub reserved: u32,
}

/// What the system has measured of a TCP connection, asked of it by this call: one system call.
///
/// Ownership: `out_info` is written before return, up to `size` bytes.
/// NULL:      not allowed.
/// Threads:   any thread.
/// Returns:   OK; ERR_UNSUPPORTED (no TCP, or the system does not measure); ERR_CLOSED (it has no
///            socket any more, or none yet); ERR_STALE; ERR_INVALID (NULL, size below 16).
/// Since:     0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sockeye_conn_get_tcp_info(
    net: *mut sockeye_net,
    conn: sockeye_conn,
    out_info: *mut sockeye_tcp_info,
    size: usize,
) -> sockeye_status {
    guard(|| {
        // SAFETY: the caller gives NULL or a live net.
        let net = unsafe { enter(net) }?;
        let facts = net.tcp_info(net.token(conn.id, Kind::Conn)?)?;
        let info = same_fields!(facts => sockeye_tcp_info {
            rtt_us,
            rtt_var_us,
            retransmits,
            unacked,
        } and {
            struct_size: size.min(size_of::<sockeye_tcp_info>()) as u32,
            reserved: 0,
        });
        // SAFETY: the caller gives `size` writable bytes.
        unsafe { write_sized(out_info, size, &info) }
    })
}

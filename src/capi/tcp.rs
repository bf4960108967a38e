//! TCP: what the system has measured of a connection.

use super::boundary::{guard, is_answer_size, same_fields, write_sized};
use super::conn::sockeye_conn;
use super::net::{enter, sockeye_net};
use super::status::sockeye_status;
use crate::engine::{Error, Kind, TcpInfo};

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

impl From<TcpInfo> for sockeye_tcp_info {
    fn from(facts: TcpInfo) -> Self {
        same_fields!(facts => sockeye_tcp_info {
            rtt_us,
            rtt_var_us,
            retransmits,
            unacked,
        } and {
            struct_size: size_of::<Self>() as u32,
            reserved: 0,
        })
    }
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
        let mut info = sockeye_tcp_info::from(facts);
        info.struct_size = info.struct_size.min(size as u32);
        // SAFETY: the caller gives `size` writable bytes.
        unsafe { write_sized(out_info, size, &info) }
    })
}

/// What the system has measured of many connections: one system call each, about 1 us. One of
/// which it has no answer (stale, no TCP, no socket now) gets `struct_size` 0, and zeros.
///
/// Ownership: `conns` is borrowed until return; `out_infos` has room for `count` structs of `size`:
///            each is written up to `size` bytes, and begins `size` bytes after the one before.
/// NULL:      not allowed, unless `count` is 0.
/// Threads:   any thread.
/// Returns:   of how many there is an answer; ERR_INVALID (NULL, size below 16).
/// Since:     0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sockeye_conns_get_tcp_info(
    net: *mut sockeye_net,
    conns: *const sockeye_conn,
    count: usize,
    out_infos: *mut sockeye_tcp_info,
    size: usize,
) -> sockeye_status {
    guard(|| {
        // SAFETY: the caller gives NULL or a live net.
        let net = unsafe { enter(net) }?;
        let missing = count > 0 && (conns.is_null() || out_infos.is_null());
        if missing || count > i32::MAX as usize || !is_answer_size(size) {
            return Err(Error::Invalid);
        }
        let mut known = 0;
        for at in 0..count {
            // SAFETY: the caller gives `count` handles.
            let conn = unsafe { conns.add(at).read() };
            let info = net.token(conn.id, Kind::Conn).and_then(|token| net.tcp_info(token));
            known += i32::from(info.is_ok());
            let mut info = info.map(sockeye_tcp_info::from).unwrap_or_default();
            info.struct_size = info.struct_size.min(size as u32);
            // SAFETY: the caller gives room for `count` structs of this size.
            unsafe { write_sized(out_infos.byte_add(at * size), size, &info) }?;
        }
        Ok(known)
    })
}

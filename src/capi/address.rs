//! Addresses: an IP address and a port, their text, and the system's form of them.

use super::boundary::{fail, guard, text_arg};
use super::status::sockeye_status;
use crate::engine::{self, Error, Target, sockaddr};
use std::ffi::{c_char, c_void};
use std::net::{IpAddr, SocketAddr};

/// More than a `sockaddr_storage` has on any system.
const SOCKADDR_MAX: usize = 256;

/// An internet address.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct sockeye_address {
    /// 0: none, 4: IPv4 in the first 4 bytes, 6: IPv6.
    pub family: u16,
    /// The port.
    pub port: u16,
    /// The scope of a link-local IPv6 address.
    pub scope_id: u32,
    /// The address in network order.
    pub bytes: [u8; 16],
    /// Set by `sockeye_event_address` for a `udp://` listener on all addresses: the address of this
    /// machine that the datagram was sent to, in the form of `bytes`. A datagram that is sent to
    /// this `sockeye_address` leaves from there. Zeros: the system chooses. It does not identify
    /// the peer, and `sockeye_address_equal` does not compare it.
    pub local: [u8; 16],
}

impl From<Option<SocketAddr>> for sockeye_address {
    fn from(address: Option<SocketAddr>) -> Self {
        let mut out = sockeye_address::default();
        let Some(address) = address else { return out };
        out.port = address.port();
        match address {
            SocketAddr::V4(v4) => {
                out.family = 4;
                out.bytes[..4].copy_from_slice(&v4.ip().octets());
            }
            SocketAddr::V6(v6) => {
                out.family = 6;
                out.scope_id = v6.scope_id();
                out.bytes = v6.ip().octets();
            }
        }
        out
    }
}

impl sockeye_address {
    /// The address, if its family is known.
    pub(super) fn parse(&self) -> Option<SocketAddr> {
        let v4 = || <[u8; 4]>::try_from(&self.bytes[..4]).ok();
        match self.family {
            4 => Some(SocketAddr::new(IpAddr::from(v4()?), self.port)),
            6 => Some(SocketAddr::V6(std::net::SocketAddrV6::new(
                self.bytes.into(),
                self.port,
                0,
                self.scope_id,
            ))),
            _ => None,
        }
    }

    /// The address, or words for the caller.
    pub(super) fn read(&self) -> Result<SocketAddr, Error> {
        self.parse().ok_or_else(|| {
            fail(Error::Invalid, format!("address.family is {}, must be 4 or 6", self.family))
        })
    }

    /// What two addresses of the same peer have in common: a v4-mapped one is its IPv4.
    fn identity(&self) -> Option<(IpAddr, u16, u32)> {
        let address = self.parse()?;
        let scope = match address {
            SocketAddr::V6(v6) if v6.ip().to_ipv4_mapped().is_none() => v6.scope_id(),
            _ => 0,
        };
        Some((address.ip().to_canonical(), address.port(), scope))
    }

    /// Where to, and where from.
    pub(super) fn target(&self) -> Option<Target> {
        let address = self.parse()?;
        let [a, b, c, d, ..] = self.local;
        let local = match address {
            _ if self.local == [0; 16] => None,
            SocketAddr::V4(_) => Some(IpAddr::from([a, b, c, d])),
            SocketAddr::V6(_) => Some(IpAddr::from(self.local)),
        };
        Some(Target { address, local })
    }
}

/// Reads an address from text: "127.0.0.1:7777", "[::1]:7777". The zone of a link-local address is
/// an interface's number or, on Unix, its name: "[fe80::1%2]:7777", "[fe80::1%eth0]:7777", also
/// with "%25" in place of "%" before a name. Without a port, "127.0.0.1", "::1", "[::1]",
/// "fe80::1%2", the port is 0.
///
/// Ownership: `text` is borrowed until return.
/// NULL:      not allowed.
/// Threads:   any thread.
/// Returns:   OK; ERR_INVALID (NULL, not an address, no such interface: in words; names of hosts
///            are not looked up: `sockeye_resolve`).
/// Since:     0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sockeye_address_parse(
    text: *const c_char,
    out_address: *mut sockeye_address,
) -> sockeye_status {
    guard(|| {
        // SAFETY: the caller gives a NUL-terminated text or NULL.
        let text = unsafe { text_arg(text, "text") }?;
        if out_address.is_null() {
            return Err(fail(Error::Invalid, "out_address is NULL"));
        }
        let address = engine::parse_address(text).map_err(|words| fail(Error::Invalid, words))?;
        // SAFETY: not NULL, and the caller's to be written.
        unsafe { out_address.write(Some(address).into()) };
        Ok(())
    })
}

/// Writes an address as text to `buffer`: "127.0.0.1:7777", "[fe80::1%2]:7777" (a zone as its
/// number). 64 bytes are always enough.
///
/// Ownership: `address` and `buffer` are borrowed until return.
/// NULL:      not allowed.
/// Threads:   any thread.
/// Returns:   the text's length in bytes without the NUL; ERR_INVALID (NULL, family unknown, or
///            `cap` too small).
/// Since:     0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sockeye_address_format(
    address: *const sockeye_address,
    buffer: *mut c_char,
    cap: usize,
) -> sockeye_status {
    // SAFETY: as this function's own.
    unsafe { format(address, buffer, cap, |address| address.to_string()) }
}

/// Writes an address as text to `buffer`, without its port: "127.0.0.1", "::1", "fe80::1%2" (a zone
/// as its number). 64 bytes are always enough.
///
/// Ownership: `address` and `buffer` are borrowed until return.
/// NULL:      not allowed.
/// Threads:   any thread.
/// Returns:   the text's length in bytes without the NUL; ERR_INVALID (NULL, family unknown, or
///            `cap` too small).
/// Since:     0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sockeye_address_format_ip(
    address: *const sockeye_address,
    buffer: *mut c_char,
    cap: usize,
) -> sockeye_status {
    let text = |address: SocketAddr| match address {
        SocketAddr::V6(v6) if v6.scope_id() != 0 => format!("{}%{}", v6.ip(), v6.scope_id()),
        _ => address.ip().to_string(),
    };
    // SAFETY: as this function's own.
    unsafe { format(address, buffer, cap, text) }
}

/// # Safety
/// `address` is NULL or an address, `buffer` NULL or `cap` writable bytes.
unsafe fn format(
    address: *const sockeye_address,
    buffer: *mut c_char,
    cap: usize,
    text: impl FnOnce(SocketAddr) -> String,
) -> sockeye_status {
    guard(|| {
        if address.is_null() || buffer.is_null() {
            return Err(fail(Error::Invalid, "address or buffer is NULL"));
        }
        // SAFETY: not NULL, so an address.
        let text = text(unsafe { address.read() }.read()?);
        if text.len() >= cap {
            let words = format!("cap is {cap}, this address needs {}", text.len() + 1);
            return Err(fail(Error::Invalid, words));
        }
        // SAFETY: the caller gives `cap` writable bytes, and the text with its NUL fits.
        unsafe {
            std::ptr::copy_nonoverlapping(text.as_ptr(), buffer.cast::<u8>(), text.len());
            buffer.add(text.len()).write(0);
        }
        Ok(text.len() as sockeye_status)
    })
}

/// Writes an address in the system's form: a `struct sockaddr_in`, or a `sockaddr_in6` with the
/// scope. A `sockaddr_storage` always has room. `local` is not part of it.
///
/// Ownership: `address` and `out_sockaddr` are borrowed until return.
/// NULL:      `out_len` may be NULL; the others not.
/// Threads:   any thread.
/// Returns:   OK, with the bytes written in `out_len`; ERR_INVALID (NULL, family unknown, or `cap`
///            too small).
/// Since:     0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sockeye_address_to_sockaddr(
    address: *const sockeye_address,
    out_sockaddr: *mut c_void,
    cap: usize,
    out_len: *mut usize,
) -> sockeye_status {
    guard(|| {
        if address.is_null() || out_sockaddr.is_null() {
            return Err(fail(Error::Invalid, "address or out_sockaddr is NULL"));
        }
        // SAFETY: not NULL, so an address.
        let raw = sockaddr::to_system(unsafe { address.read() }.read()?);
        let len = raw.len() as usize;
        if len > cap {
            let words = format!("cap is {cap}, a sockaddr of this family needs {len}");
            return Err(fail(Error::Invalid, words));
        }
        // SAFETY: the caller gives `cap` writable bytes, and `raw` has `len` of them.
        unsafe { out_sockaddr.cast::<u8>().copy_from_nonoverlapping(raw.as_ptr().cast(), len) };
        if !out_len.is_null() {
            // SAFETY: not NULL, and the caller's to be written.
            unsafe { out_len.write(len) };
        }
        Ok(())
    })
}

/// Reads an address in the system's form: `len` bytes of a `struct sockaddr_in` or `sockaddr_in6`,
/// or of a `sockaddr_storage` with one in it. It need not be aligned.
///
/// Ownership: `sockaddr` is borrowed until return.
/// NULL:      not allowed.
/// Threads:   any thread.
/// Returns:   OK; ERR_INVALID (NULL, neither AF_INET nor AF_INET6, or `len` below the size of such
///            a struct: in words).
/// Since:     0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sockeye_address_from_sockaddr(
    sockaddr: *const c_void,
    len: usize,
    out_address: *mut sockeye_address,
) -> sockeye_status {
    guard(|| {
        if sockaddr.is_null() || out_address.is_null() {
            return Err(fail(Error::Invalid, "sockaddr or out_address is NULL"));
        }
        // No sockaddr is longer, and a length that no memory has is not followed.
        let len = len.min(SOCKADDR_MAX);
        // SAFETY: not NULL, and the caller gives `len` readable bytes.
        let given = unsafe { std::slice::from_raw_parts(sockaddr.cast::<u8>(), len) };
        let address = sockaddr::from_system(given).map_err(|words| fail(Error::Invalid, words))?;
        // SAFETY: not NULL, and the caller's to be written.
        unsafe { out_address.write(Some(address).into()) };
        Ok(())
    })
}

/// Whether two addresses are those of the same peer: the same IP address, port and scope. A
/// v4-mapped IPv6 address (RFC 4291) equals its IPv4 address; `local` does not count. Two
/// of family 0 are equal.
///
/// Ownership: both are borrowed until return.
/// NULL:      equals nothing.
/// Threads:   any thread.
/// Returns:   1, or 0.
/// Since:     0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sockeye_address_equal(
    a: *const sockeye_address,
    b: *const sockeye_address,
) -> i32 {
    if a.is_null() || b.is_null() {
        return 0;
    }
    // SAFETY: not NULL, so addresses.
    let (a, b) = unsafe { (a.read(), b.read()) };
    let both_none = a.family == 0 && b.family == 0;
    let same = a.identity().is_some() && a.identity() == b.identity();
    i32::from(both_none || same)
}

/// Whether an address is a v4-mapped IPv6 address (RFC 4291, 2.5.5.2): that of an IPv4 peer on a
/// socket for both families.
///
/// Ownership: `address` is borrowed until return.
/// NULL:      is none.
/// Threads:   any thread.
/// Returns:   1, or 0.
/// Since:     0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sockeye_address_is_v4mapped(address: *const sockeye_address) -> i32 {
    if address.is_null() {
        return 0;
    }
    // SAFETY: not NULL, so an address.
    let mapped = match unsafe { address.read() }.parse() {
        Some(SocketAddr::V6(v6)) => v6.ip().to_ipv4_mapped().is_some(),
        _ => false,
    };
    i32::from(mapped)
}

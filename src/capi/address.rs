//! Addresses: an IP address and a port, and their text.

use super::boundary::{fail, guard, text_arg};
use super::status::sockeye_status;
use crate::engine::{self, Error, Target};
use std::ffi::c_char;
use std::net::{IpAddr, SocketAddr};

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
    /// the peer: do not compare it.
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
/// with "%25" in place of "%" before a name.
///
/// Ownership: `text` is borrowed until return.
/// NULL:      not allowed.
/// Threads:   any thread.
/// Returns:   OK; ERR_INVALID (NULL, not an address with a port, no such interface: in words;
///            names of hosts are not looked up).
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
    guard(|| {
        if address.is_null() || buffer.is_null() {
            return Err(fail(Error::Invalid, "address or buffer is NULL"));
        }
        // SAFETY: not NULL, so an address.
        let address = unsafe { address.read() };
        let family = address.family;
        let Some(address) = address.parse() else {
            let words = format!("address.family is {family}, must be 4 or 6");
            return Err(fail(Error::Invalid, words));
        };
        let text = address.to_string();
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

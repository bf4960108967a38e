//! Names, asked of the system: getaddrinfo(3), getnameinfo(3), and the same of Windows. They block.

use dns_lookup::{AddrInfoHints, LookupError, LookupErrorKind, SockType};
use std::io;
use std::net::SocketAddr;

/// What a resolver answers where there is no memory, and where nothing has that name.
#[cfg(unix)]
pub use libc::{EAI_MEMORY as NO_MEMORY, EAI_NONAME as NO_NAME};
#[cfg(windows)]
pub use windows_sys::Win32::Networking::WinSock::{
    WSA_NOT_ENOUGH_MEMORY as NO_MEMORY, WSAHOST_NOT_FOUND as NO_NAME,
};

/// Nothing was found.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Unfound {
    /// The resolver's number: EAI_ of getaddrinfo(3), WSA of Windows.
    pub code: i32,
    /// The system's error; 0 where the resolver has its own.
    pub os_error: i32,
}

impl From<LookupError> for Unfound {
    fn from(error: LookupError) -> Unfound {
        let code = error.error_num();
        let error = io::Error::from(error);
        Unfound { code, os_error: error.raw_os_error().unwrap_or(0) }
    }
}

/// The addresses of a host, with the port of a service that has a name, or 0.
pub fn addresses(host: &str, service: Option<&str>) -> Result<Vec<SocketAddr>, Unfound> {
    let ask = |kind: SockType| {
        let hints = AddrInfoHints { socktype: kind.into(), ..AddrInfoHints::default() };
        dns_lookup::getaddrinfo(Some(host), service, Some(hints))
    };
    let found = match ask(SockType::Stream) {
        // A service that only datagrams have.
        Err(error) if service.is_some() && matches!(error.kind(), LookupErrorKind::Service) => {
            ask(SockType::DGram)?
        }
        found => found?,
    };
    let mut addresses: Vec<SocketAddr> = Vec::new();
    // One of another family is none that a connection can have.
    for found in found.flatten() {
        if !addresses.contains(&found.sockaddr) {
            addresses.push(found.sockaddr);
        }
    }
    if addresses.is_empty() {
        return Err(Unfound { code: NO_NAME, os_error: 0 });
    }
    Ok(addresses)
}

/// The name of a host and of its service; what has no name is answered as its number.
pub fn name(address: &SocketAddr) -> Result<(String, String), Unfound> {
    Ok(dns_lookup::getnameinfo(address, 0)?)
}

//! Addresses in the form of the system's calls: `struct sockaddr_in` and `sockaddr_in6`.

use socket2::SockAddr;
use std::net::SocketAddr;

/// An address as the system has it.
pub fn to_system(address: SocketAddr) -> SockAddr {
    address.into()
}

/// Reads what the system has. Bytes behind the struct of its family do not count. The words say
/// what is wrong.
pub fn from_system(given: &[u8]) -> Result<SocketAddr, String> {
    let read = |storage: *mut socket2::SockAddrStorage, len: *mut _| {
        let most = given.len().min(size_of::<socket2::SockAddrStorage>());
        // SAFETY: both have `most` bytes, and the storage is zeros so far, which is an address.
        unsafe { storage.cast::<u8>().copy_from_nonoverlapping(given.as_ptr(), most) };
        // SAFETY: the caller's to be written.
        unsafe { *len = most as _ };
        Ok(())
    };
    // SAFETY: what is left of the storage stays zeros.
    let read = unsafe { SockAddr::try_init(read) };
    let ((), raw) = read.map_err(|error| error.to_string())?;
    let other = || format!("sa_family is {}, neither AF_INET nor AF_INET6", raw.family());
    let address = raw.as_socket().ok_or_else(other)?;
    let needed = SockAddr::from(address).len() as usize;
    if given.len() < needed {
        return Err(format!("len is {}, a sockaddr of this family has {needed}", given.len()));
    }
    Ok(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(raw: &SockAddr) -> Vec<u8> {
        // SAFETY: it has as many bytes as it says.
        unsafe { std::slice::from_raw_parts(raw.as_ptr().cast(), raw.len() as usize) }.to_vec()
    }

    #[test]
    fn there_and_back() {
        for text in ["1.2.3.4:5", "0.0.0.0:65535", "[::1]:80", "[fe80::1%3]:1"] {
            let address: SocketAddr = text.parse().expect("an address");
            let mut raw = bytes(&to_system(address));
            let len = raw.len();
            assert_eq!(from_system(&raw), Ok(address));
            raw.resize(4096, 0xaa);
            assert_eq!(from_system(&raw), Ok(address), "what is behind it does not count");
            for short in 0..len {
                assert!(from_system(&raw[..short]).is_err(), "{text}: {short} bytes");
            }
        }
        assert!(from_system(&[0xff; 28]).is_err_and(|words| words.contains("sa_family")));
    }
}

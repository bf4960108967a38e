//! The sockets of an endpoint, and what they are set to. What the systems have each in its own way
//! is in `io/os/*/options.rs`.

use crate::io::os::local::{self, SocketFile};
use crate::io::os::sys;
use socket2::{Domain, SockAddr, Socket, Type};
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

/// What the sockets of an endpoint are set to.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs, reason = "the C ABI's `sockeye_endpoint` documents each")]
pub struct SocketOptions {
    pub backlog: u32,
    pub nodelay: bool,
    pub keepalive_s: u32,
    pub recv_buffer_bytes: u32,
    pub send_buffer_bytes: u32,
    pub share: bool,
    pub v6only: bool,
    pub user_timeout_ms: u32,
    /// Of datagram sockets: the path drops what is too long for it, and cuts nothing up.
    pub unfragmented: bool,
    /// The address of this machine that a connect leaves from; its port may be 0.
    pub bind: Option<SocketAddr>,
}

impl Default for SocketOptions {
    fn default() -> Self {
        SocketOptions {
            backlog: 1024,
            nodelay: true,
            keepalive_s: 0,
            recv_buffer_bytes: 0,
            send_buffer_bytes: 0,
            share: false,
            v6only: true,
            user_timeout_ms: 0,
            unfragmented: false,
            bind: None,
        }
    }
}

impl SocketOptions {
    /// Sets what can be set of a stream; a system that refuses one of them still has a socket that
    /// works.
    pub fn set(&self, socket: &Socket) {
        if self.nodelay {
            let _ = socket.set_tcp_nodelay(true);
        }
        if self.keepalive_s > 0 {
            let time = Duration::from_secs(u64::from(self.keepalive_s));
            let _ = socket.set_tcp_keepalive(&sys::keepalive(time));
        }
        if self.user_timeout_ms > 0 {
            sys::set_user_timeout(socket, self.user_timeout_ms);
        }
        self.set_receive_buffer(socket);
        self.set_send_buffer(socket);
    }

    fn set_receive_buffer(&self, socket: &Socket) {
        if self.recv_buffer_bytes > 0 {
            let _ = socket.set_recv_buffer_size(self.recv_buffer_bytes as usize);
        }
    }

    fn set_send_buffer(&self, socket: &Socket) {
        if self.send_buffer_bytes > 0 {
            let _ = socket.set_send_buffer_size(self.send_buffer_bytes as usize);
        }
    }

    /// A socket to connect with.
    pub fn stream(&self, address: &SockAddr) -> io::Result<Socket> {
        let socket = sys::socket(address.domain(), Type::STREAM)?;
        self.set(&socket);
        if let Some(from) = self.bind {
            sys::claim_source(&socket, from.port())?;
            socket.bind(&from.into())?;
        }
        sys::prepare_connect(&socket, address);
        Ok(socket)
    }

    /// Whether a socket that leaves from where it is to can be connected to an address: both are of
    /// one family.
    pub fn reaches(&self, address: SocketAddr) -> bool {
        self.bind.is_none_or(|from| from.is_ipv4() == address.is_ipv4())
    }

    /// A socket that listens at the first of these addresses whose family this machine has, and
    /// the file of a local one.
    pub fn listener(&self, all: &[SockAddr]) -> io::Result<(Socket, Option<SocketFile>)> {
        first(all, |address| self.listener_at(address))
    }

    fn listener_at(&self, address: &SockAddr) -> io::Result<(Socket, Option<SocketFile>)> {
        let socket = sys::socket(address.domain(), Type::STREAM)?;
        // Before listen, so that the window of its connections can be scaled to it: tcp(7).
        self.set_receive_buffer(&socket);
        let backlog = i32::try_from(self.backlog).unwrap_or(i32::MAX);
        let Some(internet) = address.as_socket() else {
            let file = local::listen(&socket, address, backlog)?;
            return Ok((socket, file));
        };
        sys::claim_address(&socket)?;
        if internet.is_ipv6() {
            socket.set_only_v6(self.v6only)?;
        }
        socket.bind(address)?;
        sys::listen(&socket, backlog)?;
        Ok((socket, None))
    }

    /// A socket for datagrams of the family of `address`, neither bound nor connected.
    fn datagrams(&self, address: SocketAddr) -> io::Result<Socket> {
        let socket = sys::socket(Domain::for_address(address), Type::DGRAM)?;
        sys::prepare_datagrams(&socket);
        self.set_receive_buffer(&socket);
        self.set_send_buffer(&socket);
        Ok(socket)
    }

    /// A socket for datagrams that is connected to `address`, which the system only notes down.
    pub fn connected_datagrams(&self, address: SocketAddr) -> io::Result<Socket> {
        let socket = self.datagrams(address)?;
        if let Some(from) = self.bind {
            socket.bind(&from.into())?;
        }
        socket.connect(&address.into())?;
        Ok(socket)
    }

    /// A socket for datagrams that is bound to the first of these addresses whose family this
    /// machine has.
    pub fn bound_datagrams(&self, all: &[SocketAddr]) -> io::Result<Socket> {
        first(all, |address| self.datagrams_at(*address))
    }

    fn datagrams_at(&self, address: SocketAddr) -> io::Result<Socket> {
        let socket = self.datagrams(address)?;
        let any = address.ip().is_unspecified();
        if address.is_ipv6() {
            socket.set_only_v6(self.v6only)?;
        }
        if any {
            sys::ask_local(&socket, address.is_ipv6())?;
        }
        if self.share || address.ip().is_multicast() {
            sys::share_address(&socket)?;
        } else {
            sys::claim_datagrams(&socket)?;
        }
        if self.unfragmented {
            sys::forbid_fragments(&socket, address.is_ipv6());
        }
        socket.bind(&address.into())?;
        Ok(socket)
    }
}

/// What is made of the first address whose family this machine has.
fn first<A, T>(all: &[A], make: impl Fn(&A) -> io::Result<T>) -> io::Result<T> {
    let mut made = Err(io::ErrorKind::AddrNotAvailable.into());
    for address in all {
        made = make(address);
        if !made.as_ref().err().is_some_and(sys::has_no_family) {
            break;
        }
    }
    made
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_that_is_not_there_is_passed_over() {
        let none = || io::Error::from_raw_os_error(sys::NO_FAMILY);
        let make = |at: &u8| match at {
            0 => Err(none()),
            1 => Err(io::Error::from(io::ErrorKind::AddrInUse)),
            _ => Ok(*at),
        };
        assert_eq!(first(&[0, 4], make).ok(), Some(4));
        assert_eq!(first(&[5, 0], make).ok(), Some(5));
        let words = |all: &[u8]| first(all, make).expect_err("none is made").kind();
        assert_eq!(words(&[1, 4]), io::ErrorKind::AddrInUse);
        assert_eq!(words(&[0]), none().kind());
        assert_eq!(words(&[0, 1]), io::ErrorKind::AddrInUse);
    }
}

//! The client's side of the sockets: connecting, and waiting for many.

use anyhow::{Context, Result};
use libc::c_int;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

/// Addresses to connect from: one has only some 28,000 ports.
const SOURCES: u32 = 8;

/// Connects to a server of this machine; connection `n` comes from one of several addresses.
pub fn connect(port: u16, n: u32) -> Result<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
    let last = u8::try_from(1 + n % SOURCES).expect("a small number");
    let source = SocketAddrV4::new(Ipv4Addr::new(127, 0, 0, last), 0);
    socket.bind(&SockAddr::from(source)).context("cannot bind")?;
    let server = SocketAddrV4::new(Ipv4Addr::LOCALHOST, port);
    socket.connect(&SockAddr::from(server)).with_context(|| format!("connection {n}"))?;
    socket.set_tcp_nodelay(true)?;
    Ok(socket.into())
}

/// An epoll instance whose sockets are known by number.
pub struct Poller {
    epoll: OwnedFd,
}

impl Poller {
    pub fn new() -> Result<Self> {
        // SAFETY: no pointers.
        let fd = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
        if fd < 0 {
            return Err(io::Error::last_os_error()).context("epoll_create1");
        }
        // SAFETY: just made, and ours alone.
        Ok(Self { epoll: unsafe { OwnedFd::from_raw_fd(fd) } })
    }

    pub fn add(&self, fd: RawFd, number: u32, interest: c_int) -> Result<()> {
        self.control(libc::EPOLL_CTL_ADD, fd, number, interest)
    }

    pub fn change(&self, fd: RawFd, number: u32, interest: c_int) -> Result<()> {
        self.control(libc::EPOLL_CTL_MOD, fd, number, interest)
    }

    fn control(&self, operation: c_int, fd: RawFd, number: u32, interest: c_int) -> Result<()> {
        let mut event = libc::epoll_event { events: interest as u32, u64: u64::from(number) };
        // SAFETY: `event` lives through the call.
        let done = unsafe { libc::epoll_ctl(self.epoll.as_raw_fd(), operation, fd, &mut event) };
        if done < 0 {
            return Err(io::Error::last_os_error()).context("epoll_ctl");
        }
        Ok(())
    }

    /// Waits; gives the ready part of `events`. A signal (that of going on) is nobody ready.
    pub fn wait<'a>(
        &self,
        events: &'a mut [libc::epoll_event],
        timeout_ms: c_int,
    ) -> Result<&'a [libc::epoll_event]> {
        let room = c_int::try_from(events.len()).context("too many events")?;
        let epoll = self.epoll.as_raw_fd();
        // SAFETY: `events` has `room` places and lives through the call.
        let count = unsafe { libc::epoll_wait(epoll, events.as_mut_ptr(), room, timeout_ms) };
        match usize::try_from(count) {
            Ok(count) => Ok(&events[..count]),
            Err(_) => match io::Error::last_os_error() {
                error if error.kind() == io::ErrorKind::Interrupted => Ok(&[]),
                error => Err(error).context("epoll_wait"),
            },
        }
    }
}

//! The client's side of the sockets: connecting, and waiting for many.

use anyhow::{Context, Result};
use libc::c_int;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;
use std::{io, ptr};

/// Addresses to connect from: one has only some 28,000 ports.
const SOURCES: u32 = 8;
/// The same where connections follow each other: each keeps its port for a minute after its end.
const SOURCES_BRIEF: u64 = 4000;
const SOURCES_BLOCK: u64 = 250;

/// Bytes of a segment over Ethernet.
const SEGMENT: u32 = 1448;
/// Bytes that wait for a reader that never comes; the kernel takes twice that.
const RECEIVED: usize = 4096;

/// Connects to a server of this machine; connection `n` comes from one of several addresses.
pub fn connect(port: u16, n: u32) -> Result<TcpStream> {
    connect_by(Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?, port, n)
}

/// The same for a peer that is not going to read, of which the kernels are to hold little: segments
/// as over Ethernet (the loopback interface has such of 64 KiB, and the sender's kernel would hold
/// some dozens, megabytes) and no more to receive than must be.
pub fn connect_idle(port: u16, n: u32) -> Result<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
    socket.set_tcp_mss(SEGMENT).context("segments")?;
    socket.set_recv_buffer_size(RECEIVED).context("receive buffer")?;
    connect_by(socket, port, n)
}

fn connect_by(socket: Socket, port: u16, n: u32) -> Result<TcpStream> {
    defer_port(&socket)?;
    let last = u8::try_from(1 + n % SOURCES).expect("a small number");
    let source = SocketAddrV4::new(Ipv4Addr::new(127, 0, 0, last), 0);
    socket.bind(&SockAddr::from(source)).context("cannot bind")?;
    let server = SocketAddrV4::new(Ipv4Addr::LOCALHOST, port);
    socket.connect(&SockAddr::from(server)).with_context(|| format!("connection {n}"))?;
    socket.set_tcp_nodelay(true)?;
    // Every system has this one. Others may hold messages back to pace them, and set timers for it.
    socket.set_tcp_congestion(b"reno").context("reno")?;
    Ok(socket.into())
}

/// Begins to connect, and does not wait; brief connection `n` comes from one of many addresses.
pub fn begin(port: u16, n: u64) -> Result<TcpStream> {
    let n = n % SOURCES_BRIEF;
    let part = |number: u64| u8::try_from(number).expect("a small number");
    let (block, last) = (part(1 + n / SOURCES_BLOCK), part(1 + n % SOURCES_BLOCK));
    begin_from(Ipv4Addr::new(127, 0, block, last), port)
}

/// The same from an address of the caller's choice.
pub fn begin_from(source: Ipv4Addr, port: u16) -> Result<TcpStream> {
    let kind = Type::STREAM.nonblocking();
    let socket = Socket::new(Domain::IPV4, kind, Some(Protocol::TCP)).context("no socket")?;
    defer_port(&socket)?;
    let source = SocketAddrV4::new(source, 0);
    socket.bind(&SockAddr::from(source)).context("cannot bind")?;
    let server = SocketAddrV4::new(Ipv4Addr::LOCALHOST, port);
    match socket.connect(&SockAddr::from(server)) {
        Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => {
            Err(error).context("cannot connect")
        }
        _ => Ok(socket.into()),
    }
}

/// Lets the port be chosen when both ends are known: those of other servers are then no hindrance,
/// however many there are.
fn defer_port(socket: &Socket) -> Result<()> {
    set(socket, libc::IPPROTO_IP, libc::IP_BIND_ADDRESS_NO_PORT).context("cannot defer the port")
}

/// Sets an option to 1.
fn set(socket: &Socket, level: c_int, name: c_int) -> io::Result<()> {
    let one: c_int = 1;
    let size = libc::socklen_t::try_from(size_of_val(&one)).expect("it is small");
    let value = ptr::from_ref(&one).cast();
    // SAFETY: `value` is that of `one`, which has this size and lives through the call.
    if unsafe { libc::setsockopt(socket.as_raw_fd(), level, name, value, size) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
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

    pub fn remove(&self, fd: RawFd) -> Result<()> {
        self.control(libc::EPOLL_CTL_DEL, fd, 0, 0)
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
        most: Duration,
    ) -> Result<&'a [libc::epoll_event]> {
        let room = c_int::try_from(events.len()).context("too many events")?;
        let epoll = self.epoll.as_raw_fd();
        let most = libc::timespec {
            tv_sec: libc::time_t::try_from(most.as_secs()).context("too long")?,
            tv_nsec: libc::c_long::from(most.subsec_nanos()),
        };
        let mask = ptr::null::<libc::sigset_t>();
        // SAFETY: `events` has `room` places and lives through the call, as `most` does.
        let count = unsafe {
            let events = events.as_mut_ptr();
            libc::syscall(libc::SYS_epoll_pwait2, epoll, events, room, &raw const most, mask, 0)
        };
        match usize::try_from(count) {
            Ok(count) => Ok(&events[..count]),
            Err(_) => match io::Error::last_os_error() {
                error if error.kind() == io::ErrorKind::Interrupted => Ok(&[]),
                error => Err(error).context("epoll_pwait2"),
            },
        }
    }
}

//! Many datagrams a call: recvmmsg(2) and sendmmsg(2), loops of one where there is neither.

use super::pktinfo::{self, Source, Told};
use super::sys::retry;
use crate::io::datagram::{ADDRESS_BYTES, DATAGRAMS_MAX, Datagram};
use libc::{c_void, iovec, sockaddr_in, sockaddr_in6};
use raw::Message;
use socket2::Socket;
use std::io;
use std::mem::{self, MaybeUninit};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::AsRawFd;
use std::ptr;

/// Bytes of memory for one datagram, its address included; what is longer goes to the overhang.
pub const SLOT_BYTES: usize = 2048;
/// The payload that a slot has room for.
const SLOT_ROOM: usize = SLOT_BYTES - ADDRESS_BYTES;
/// What the largest datagram has beyond a slot, and one byte more.
const OVERHANG_BYTES: usize = 64 * 1024 - SLOT_ROOM;

/// A socket's address in either family.
#[derive(Clone, Copy)]
#[repr(C)]
union Name {
    v4: sockaddr_in,
    v6: sockaddr_in6,
}

const NAME_BYTES: u32 = size_of::<Name>() as u32;

impl Name {
    /// The address and how many bytes of it count.
    #[inline]
    fn of(address: SocketAddr) -> (Name, u32) {
        // SAFETY: all zeros are an address of no family.
        let mut name: Name = unsafe { mem::zeroed() };
        match address {
            SocketAddr::V4(it) => {
                // SAFETY: zeros are a value of it.
                let v4 = unsafe { &mut name.v4 };
                v4.sin_family = libc::AF_INET as _;
                v4.sin_port = it.port().to_be();
                v4.sin_addr.s_addr = u32::from_ne_bytes(it.ip().octets());
                (name, size_of::<sockaddr_in>() as u32)
            }
            SocketAddr::V6(it) => {
                // SAFETY: zeros are a value of it.
                let v6 = unsafe { &mut name.v6 };
                v6.sin6_family = libc::AF_INET6 as _;
                v6.sin6_port = it.port().to_be();
                v6.sin6_addr.s6_addr = it.ip().octets();
                v6.sin6_scope_id = it.scope_id();
                (name, size_of::<sockaddr_in6>() as u32)
            }
        }
    }

    #[inline]
    fn address(&self) -> SocketAddr {
        // SAFETY: any bytes are a value of either, and the family stands in the same place.
        let (v4, v6) = unsafe { (&self.v4, &self.v6) };
        if i32::from(v4.sin_family) == libc::AF_INET6 {
            let ip = Ipv6Addr::from(v6.sin6_addr.s6_addr);
            let port = u16::from_be(v6.sin6_port);
            return SocketAddr::V6(SocketAddrV6::new(ip, port, 0, v6.sin6_scope_id));
        }
        let ip = Ipv4Addr::from(v4.sin_addr.s_addr.to_ne_bytes());
        SocketAddr::V4(SocketAddrV4::new(ip, u16::from_be(v4.sin_port)))
    }
}

/// What one message of a receive needs beside its slot.
struct Place {
    name: Name,
    control: Told,
    pieces: [iovec; 2],
}

/// What receives need, made once for all sockets of a worker. The messages point at the places,
/// the places at the overhang; a page of that which no datagram reached costs nothing.
pub struct Receiver {
    messages: Box<[Message]>,
    places: Box<[Place]>,
    overhang: Box<[MaybeUninit<u8>]>,
}

// SAFETY: its pointers are to memory of its own, and to slots that one call has.
unsafe impl Send for Receiver {}

/// A datagram that was received.
pub struct Received<'a> {
    /// Whose it is.
    pub sender: SocketAddr,
    /// The address of this machine that it was sent to, where the socket has several.
    pub local: Option<IpAddr>,
    /// Bytes of it in its slot, behind the room for the address.
    pub len: usize,
    /// The bytes behind those.
    pub overhang: &'a [u8],
    /// Datagrams that this socket has lost so far, if the system says.
    pub drops: Option<u32>,
}

impl Default for Receiver {
    fn default() -> Receiver {
        let mut receiver = Receiver {
            messages: (0..DATAGRAMS_MAX).map(|_| raw::nothing()).collect(),
            // SAFETY: all zeros are a place for nothing.
            places: (0..DATAGRAMS_MAX).map(|_| unsafe { mem::zeroed() }).collect(),
            overhang: Box::new_uninit_slice(DATAGRAMS_MAX * OVERHANG_BYTES),
        };
        let overhangs = receiver.overhang.chunks_exact_mut(OVERHANG_BYTES);
        let places = receiver.places.iter_mut().zip(overhangs);
        for (message, (place, overhang)) in receiver.messages.iter_mut().zip(places) {
            let overhang = overhang.as_mut_ptr().cast::<c_void>();
            place.pieces[0].iov_len = SLOT_ROOM;
            place.pieces[1] = iovec { iov_base: overhang, iov_len: OVERHANG_BYTES };
            let header = &mut message.msg_hdr;
            header.msg_name = (&raw mut place.name).cast();
            header.msg_control = place.control.as_mut_ptr().cast();
            header.msg_iov = place.pieces.as_mut_ptr();
            header.msg_iovlen = 2;
        }
        receiver
    }
}

impl Receiver {
    /// Receives up to `count` datagrams to the slots from `slots` on, each behind the room for an
    /// address. It never blocks, whatever the socket does.
    ///
    /// # Safety
    /// `count` slots are the caller's to be written.
    pub unsafe fn receive(
        &mut self,
        socket: &Socket,
        slots: *mut u8,
        count: usize,
    ) -> io::Result<usize> {
        let count = count.min(DATAGRAMS_MAX);
        for at in 0..count {
            // SAFETY: within the caller's slots.
            let payload = unsafe { slots.add(at * SLOT_BYTES + ADDRESS_BYTES) };
            self.places[at].pieces[0].iov_base = payload.cast();
            let header = &mut self.messages[at].msg_hdr;
            header.msg_namelen = NAME_BYTES;
            header.msg_controllen = size_of::<Told>() as _;
        }
        // SAFETY: each message points at memory that is this value's or the caller's.
        retry(|| unsafe { raw::recvmmsg(socket.as_raw_fd(), &mut self.messages[..count]) })
    }

    /// The datagram `at` of the last receive.
    pub fn received(&self, at: usize) -> Received<'_> {
        let (message, place) = (&self.messages[at], &self.places[at]);
        let len = message.msg_len as usize;
        let beyond = len.saturating_sub(SLOT_ROOM).min(OVERHANG_BYTES);
        let from = place.pieces[1].iov_base.cast::<u8>();
        // SAFETY: the system wrote `beyond` bytes there, and they stay until the next receive.
        let overhang = unsafe { std::slice::from_raw_parts(from, beyond) };
        let (local, drops) = pktinfo::read(&message.msg_hdr);
        let (sender, len) = (place.name.address(), len.min(SLOT_ROOM));
        Received { sender, local, len, overhang, drops }
    }
}

/// Sends as many datagrams as the system takes, from the first on; on a socket that blocks, all but
/// those behind an error. An error is the first one's.
pub fn send_batch(socket: &Socket, datagrams: &[Datagram]) -> io::Result<usize> {
    let count = datagrams.len().min(DATAGRAMS_MAX);
    let mut names = [const { MaybeUninit::<Name>::uninit() }; DATAGRAMS_MAX];
    let mut pieces = [const { MaybeUninit::<iovec>::uninit() }; DATAGRAMS_MAX];
    let mut sources = [const { MaybeUninit::<Source>::uninit() }; DATAGRAMS_MAX];
    let mut messages = [const { MaybeUninit::<Message>::uninit() }; DATAGRAMS_MAX];
    for (at, datagram) in datagrams[..count].iter().enumerate() {
        let data = &datagram.data;
        let base = data.as_ptr().cast_mut().cast();
        let piece = pieces[at].write(iovec { iov_base: base, iov_len: data.len() });
        let message = messages[at].write(raw::nothing());
        message.msg_hdr.msg_iov = piece;
        message.msg_hdr.msg_iovlen = 1;
        if let Some(address) = datagram.address {
            let (name, len) = Name::of(address);
            message.msg_hdr.msg_name = ptr::from_mut(names[at].write(name)).cast();
            message.msg_hdr.msg_namelen = len;
            if let Some(local) = datagram.local {
                let source = sources[at].write([0; _]);
                pktinfo::write(&mut message.msg_hdr, source, local, address);
            }
        }
    }
    let fd = socket.as_raw_fd();
    let messages = messages.as_mut_ptr().cast::<Message>();
    // SAFETY: `count` messages were written, which point at what was written beside them and at
    // readable payloads.
    match retry(|| unsafe { raw::sendmmsg(fd, messages, count) }) {
        Err(error) if pktinfo::is_no_source(&error) && datagrams[0].local.is_some() => {
            // This machine had the address when it was asked, or it was one of a broadcast: now
            // the system chooses.
            // SAFETY: as above; the first is written, as one was tried.
            retry(|| unsafe {
                (*messages).msg_hdr.msg_control = ptr::null_mut();
                (*messages).msg_hdr.msg_controllen = 0;
                raw::sendmmsg(fd, messages, 1)
            })
        }
        answer => answer,
    }
}

#[cfg(target_os = "linux")]
mod raw {
    use super::one_by_one;
    use libc::c_int;
    use std::io;
    use std::ptr;
    use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

    pub use libc::mmsghdr as Message;

    /// The calls for many are refused to this process.
    static REFUSED: AtomicBool = AtomicBool::new(false);

    /// Whether the call that just failed is refused, whatever it is given: by a sandbox
    /// (seccomp(2)) or a system that does not know it. A firewall refuses single datagrams with the
    /// same error, so what is asked is a call that cannot do anything.
    fn is_refused(idle: impl FnOnce() -> c_int) -> bool {
        let error = io::Error::last_os_error().raw_os_error().unwrap_or(0);
        if !matches!(error, libc::ENOSYS | libc::EPERM | libc::EACCES) {
            return false;
        }
        idle();
        let refused = io::Error::last_os_error().raw_os_error() != Some(libc::EBADF);
        if refused {
            REFUSED.store(true, Relaxed);
        }
        // SAFETY: this thread's own.
        unsafe { *libc::__errno_location() = error };
        refused
    }

    pub fn nothing() -> Message {
        // SAFETY: all zeros are a message of nothing.
        unsafe { std::mem::zeroed() }
    }

    /// # Safety
    /// As recvmmsg(2).
    pub unsafe fn recvmmsg(fd: c_int, messages: &mut [Message]) -> isize {
        let (first, count) = (messages.as_mut_ptr(), messages.len() as _);
        let (flags, no_limit) = (libc::MSG_DONTWAIT as _, ptr::null_mut());
        if !REFUSED.load(Relaxed) {
            // SAFETY: the caller's; and no messages.
            let answer = unsafe { libc::recvmmsg(fd, first, count, flags, no_limit) };
            // SAFETY: no messages, and no socket.
            let idle = || unsafe { libc::recvmmsg(-1, ptr::null_mut(), 0, flags, no_limit) };
            if answer >= 0 || !is_refused(idle) {
                return answer as isize;
            }
        }
        // SAFETY: the caller's.
        unsafe { one_by_one::receive(fd, messages) }
    }

    /// # Safety
    /// As sendmmsg(2).
    pub unsafe fn sendmmsg(fd: c_int, messages: *mut Message, count: usize) -> isize {
        let flags = libc::MSG_NOSIGNAL as _;
        if !REFUSED.load(Relaxed) {
            // SAFETY: the caller's; and no messages.
            let answer = unsafe { libc::sendmmsg(fd, messages, count as _, flags) };
            // SAFETY: no messages, and no socket.
            let idle = || unsafe { libc::sendmmsg(-1, ptr::null_mut(), 0, flags) };
            if answer >= 0 || !is_refused(idle) {
                return answer as isize;
            }
        }
        // SAFETY: the caller's.
        unsafe { one_by_one::send(fd, messages, count) }
    }
}

#[cfg(not(target_os = "linux"))]
mod raw {
    use libc::msghdr;

    pub use super::one_by_one::{receive as recvmmsg, send as sendmmsg};

    #[repr(C)]
    pub struct Message {
        pub msg_hdr: msghdr,
        pub msg_len: u32,
    }

    pub fn nothing() -> Message {
        // SAFETY: all zeros are a message of nothing.
        unsafe { std::mem::zeroed() }
    }
}

mod one_by_one {
    use super::raw::Message;
    use libc::c_int;

    /// On Apple's systems it is an option of the socket.
    const FLAGS: c_int = if cfg!(target_vendor = "apple") { 0 } else { libc::MSG_NOSIGNAL };

    /// # Safety
    /// As recvmsg(2), for each message.
    pub unsafe fn receive(fd: c_int, messages: &mut [Message]) -> isize {
        let mut count = 0;
        for message in messages {
            // SAFETY: the caller's.
            let len = unsafe { libc::recvmsg(fd, &mut message.msg_hdr, libc::MSG_DONTWAIT) };
            let Ok(len) = u32::try_from(len) else {
                return if count > 0 { count } else { -1 };
            };
            message.msg_len = len;
            count += 1;
        }
        count
    }

    /// # Safety
    /// As sendmsg(2), for each message.
    pub unsafe fn send(fd: c_int, messages: *mut Message, count: usize) -> isize {
        for at in 0..count {
            // SAFETY: the caller's.
            if unsafe { libc::sendmsg(fd, &(*messages.add(at)).msg_hdr, FLAGS) } < 0 {
                return if at > 0 { at as isize } else { -1 };
            }
        }
        count as isize
    }
}

/// Waits for a datagram on a socket that blocks, and leaves it there. There may be none: the call
/// was interrupted.
pub fn await_datagram(socket: &Socket) -> io::Result<()> {
    socket.peek(&mut [MaybeUninit::uninit()]).map(|_| ())
}

/// A receive on a socket that blocks which is not to block: none here does.
pub fn without_blocking<T>(_: &Socket, receive: impl FnOnce() -> T) -> T {
    receive()
}

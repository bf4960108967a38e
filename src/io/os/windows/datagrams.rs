//! Many datagrams a turn: loops of one, as the system takes no more in a call.

use super::pktinfo::{self, Incoming, Outgoing};
use super::sys;
use crate::io::datagram::{ADDRESS_BYTES, DATAGRAMS_MAX, Datagram};
use socket2::Socket;
use std::io;
use std::mem::MaybeUninit;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ptr;
use windows_sys::Win32::Networking::WinSock as winsock;
use winsock::WSABUF;

/// Bytes of memory for one datagram, its address included; what is longer goes to the overhang.
pub const SLOT_BYTES: usize = 2048;
/// The payload that a slot has room for.
const SLOT_ROOM: usize = SLOT_BYTES - ADDRESS_BYTES;
/// What the largest datagram has beyond a slot, and one byte more.
const OVERHANG_BYTES: usize = 64 * 1024 - SLOT_ROOM;
const NOBODY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

/// What receives need, made once for all sockets of a worker.
pub struct Receiver {
    /// Senders, addresses asked and lengths of the last receive.
    all: [(SocketAddr, Option<IpAddr>, usize); DATAGRAMS_MAX],
    incoming: Box<Incoming>,
    /// A page of it which no datagram reached costs nothing.
    overhang: Box<[MaybeUninit<u8>]>,
}

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
        let overhang = Box::new_uninit_slice(DATAGRAMS_MAX * OVERHANG_BYTES);
        let incoming = Box::new(Incoming::new());
        Receiver { all: [(NOBODY, None, 0); DATAGRAMS_MAX], incoming, overhang }
    }
}

/// An error of an earlier datagram of ours, reported here; it says nothing of what is to be
/// received.
pub fn is_of_another(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(winsock::WSAECONNRESET | winsock::WSAENETRESET))
}

impl Receiver {
    /// Receives up to `count` datagrams to the slots from `slots` on, each behind the room for an
    /// address.
    ///
    /// # Safety
    /// `count` slots are the caller's to be written.
    pub unsafe fn receive(
        &mut self,
        socket: &Socket,
        slots: *mut u8,
        count: usize,
    ) -> io::Result<usize> {
        let (mut at, mut told) = (0, 0);
        while at < count.min(DATAGRAMS_MAX) {
            // SAFETY: within the caller's slots.
            let payload = unsafe { slots.add(at * SLOT_BYTES + ADDRESS_BYTES) };
            let beyond = &mut self.overhang[at * OVERHANG_BYTES..][..OVERHANG_BYTES];
            let places = [
                WSABUF { len: SLOT_ROOM as u32, buf: payload },
                WSABUF { len: OVERHANG_BYTES as u32, buf: beyond.as_mut_ptr().cast() },
            ];
            let (socket, mut len) = (sys::raw(socket), 0);
            // SAFETY: without an operation it is over when the call returns.
            let received =
                unsafe { self.incoming.receive(socket, places, &mut len, ptr::null_mut(), None) };
            let received = received.and_then(|did| did.then_some(()).ok_or_else(sys::last_error));
            match received {
                Ok(()) => {
                    let (sender, local) = self.incoming.told();
                    self.all[at] = (sender.unwrap_or(NOBODY), local, len as usize);
                    at += 1;
                }
                Err(error) if is_of_another(&error) && told < DATAGRAMS_MAX => told += 1,
                Err(_) if at > 0 => break,
                Err(error) => return Err(error),
            }
        }
        Ok(at)
    }

    /// The datagram `at` of the last receive.
    pub fn received(&self, at: usize) -> Received<'_> {
        let (sender, local, len) = self.all[at];
        let beyond = len.saturating_sub(SLOT_ROOM).min(OVERHANG_BYTES);
        let from = self.overhang[at * OVERHANG_BYTES..].as_ptr().cast::<u8>();
        // SAFETY: the system wrote `beyond` bytes there, and they stay until the next receive.
        let overhang = unsafe { std::slice::from_raw_parts(from, beyond) };
        Received { sender, local, len: len.min(SLOT_ROOM), overhang, drops: None }
    }
}

/// Sends as many datagrams as the system takes, from the first on. An error is the first one's.
pub fn send_batch(socket: &Socket, datagrams: &[Datagram]) -> io::Result<usize> {
    for (at, datagram) in datagrams.iter().take(DATAGRAMS_MAX).enumerate() {
        let send = |datagram: &Datagram| {
            let mut outgoing = Outgoing::new(datagram);
            // SAFETY: without an operation it is over when the call returns.
            let sent = unsafe { outgoing.send(sys::raw(socket), ptr::null_mut(), None) };
            if sent { Ok(()) } else { Err(sys::last_error()) }
        };
        let sent = match send(datagram) {
            // This machine had the address when it was asked: now the system chooses.
            Err(error) if pktinfo::is_no_source(&error) && datagram.local.is_some() => {
                let (address, data) = (datagram.address, datagram.data.clone());
                send(&Datagram { address, local: None, data })
            }
            answer => answer,
        };
        match sent {
            Ok(()) => {}
            Err(_) if at > 0 => return Ok(at),
            Err(error) => return Err(error),
        }
    }
    Ok(datagrams.len().min(DATAGRAMS_MAX))
}

/// Waits for a datagram on a socket that blocks, and leaves it there.
pub fn await_datagram(socket: &Socket) -> io::Result<()> {
    loop {
        match socket.peek(&mut [MaybeUninit::uninit()]) {
            Err(error) if is_of_another(&error) => {}
            // It has more than a byte.
            Err(error) if error.raw_os_error() == Some(winsock::WSAEMSGSIZE) => return Ok(()),
            answer => return answer.map(|_| ()),
        }
    }
}

/// A receive on a socket that blocks which is not to block. No call can say so for itself: the
/// socket does not block meanwhile. A send by another thread may find that out, and is repeated.
pub fn without_blocking<T>(socket: &Socket, receive: impl FnOnce() -> T) -> T {
    // Neither fails for an open socket.
    let _ = socket.set_nonblocking(true);
    let answer = receive();
    let _ = socket.set_nonblocking(false);
    answer
}

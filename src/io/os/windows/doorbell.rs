//! What wakes: event objects, and a socket for who can only wait for sockets.

use super::sys;
use socket2::{Domain, Socket, Type};
use std::io;
use std::mem::MaybeUninit;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::ptr;
use windows_sys::Win32::Foundation::HANDLE;
use windows_sys::Win32::Networking::WinSock::SOCKET;
use windows_sys::Win32::System::Threading::{CreateEventW, ResetEvent, SetEvent};

/// An event object that stays signalled from `set` to `clear`.
pub struct Event(OwnedHandle);

impl Event {
    /// An event that is not signalled and is not inherited.
    pub fn new() -> io::Result<Event> {
        const MANUAL: i32 = 1;
        // SAFETY: no name, and no attributes, so that it is not inherited.
        let handle = unsafe { CreateEventW(ptr::null(), MANUAL, 0, ptr::null()) };
        if handle.is_null() {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: fresh and nobody else's.
        Ok(Event(unsafe { OwnedHandle::from_raw_handle(handle) }))
    }

    /// Signals it. It fails for no handle of ours.
    pub fn set(&self) {
        // SAFETY: an open event.
        unsafe { SetEvent(self.raw()) };
    }

    /// Ends the signal. It fails for no handle of ours.
    pub fn clear(&self) {
        // SAFETY: an open event.
        unsafe { ResetEvent(self.raw()) };
    }

    /// The handle.
    pub fn raw(&self) -> HANDLE {
        self.0.as_raw_handle()
    }
}

/// What a host waits on in its own loop: signalled from `set` to `clear`.
pub struct WaitObject(Event);

impl WaitObject {
    /// An object that is not signalled.
    pub fn new() -> io::Result<WaitObject> {
        Event::new().map(WaitObject)
    }

    /// Signals it.
    pub fn set(&self) {
        self.0.set();
    }

    /// Ends the signal.
    pub fn clear(&self) {
        self.0.clear();
    }

    /// The number the host is given.
    pub fn raw(&self) -> isize {
        self.0.raw() as isize
    }
}

/// A datagram socket that talks to itself over loopback: readable from `set` to `clear`.
pub struct Echo(Socket);

impl Echo {
    /// A socket to which only it can write.
    pub fn new() -> io::Result<Echo> {
        let socket = sys::socket(Domain::IPV4, Type::DGRAM)?;
        sys::claim_address(&socket)?;
        socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
        socket.connect(&socket.local_addr()?)?;
        Ok(Echo(socket))
    }

    /// Sends a byte. Fails only when there is no room, and then it is readable anyway.
    pub fn set(&self) {
        let _ = self.0.send(&[1]);
    }

    /// Takes all there is. Fails only when there is nothing.
    pub fn clear(&self) {
        let mut byte = [MaybeUninit::uninit(); 1];
        while self.0.recv(&mut byte).is_ok() {}
    }

    /// The number by which the system knows it.
    pub fn raw(&self) -> SOCKET {
        sys::raw(&self.0)
    }
}

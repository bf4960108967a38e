//! What wakes: event objects, and a socket for who can only wait for sockets.

use super::sys;
use socket2::{Domain, Socket, Type};
use std::io;
use std::mem::MaybeUninit;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::ptr;
use windows_sys::Win32::Foundation::{DUPLICATE_SAME_ACCESS, DuplicateHandle, HANDLE};
use windows_sys::Win32::Networking::WinSock::SOCKET;
use windows_sys::Win32::System::IO::PostQueuedCompletionStatus;
use windows_sys::Win32::System::Threading::{
    CreateEventW, GetCurrentProcess, ResetEvent, SetEvent,
};

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
        // SAFETY: fresh and not shared.
        Ok(Event(unsafe { OwnedHandle::from_raw_handle(handle) }))
    }

    /// Signals it. False: it could not, which is for no handle of ours.
    pub fn set(&self) -> bool {
        // SAFETY: an open event.
        unsafe { SetEvent(self.raw()) != 0 }
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

/// A completion port of the host's own, which is notified once from `set` to `clear`.
pub struct WaitPort {
    /// A handle of ours: the host may close its own at any time.
    port: OwnedHandle,
    key: usize,
    told: bool,
}

impl WaitPort {
    /// The port with this handle, and the key of its packets. It fails for no handle.
    pub fn new(port: isize, key: u64) -> io::Result<WaitPort> {
        let mut own = ptr::null_mut();
        // SAFETY: room for the answer; the system answers for any number.
        let copied = unsafe {
            let process = GetCurrentProcess();
            let access = DUPLICATE_SAME_ACCESS;
            DuplicateHandle(process, port as HANDLE, process, &mut own, 0, 0, access)
        };
        if copied == 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: fresh and not shared.
        let port = unsafe { OwnedHandle::from_raw_handle(own) };
        Ok(WaitPort { port, key: key as usize, told: false })
    }

    /// Posts a packet, if none was since `clear`. It fails when the system has no memory for one,
    /// and is then tried again with the next events and by the next poll that leaves some.
    pub fn set(&mut self) {
        if !self.told {
            let port = self.port.as_raw_handle();
            // SAFETY: an open handle, and no OVERLAPPED.
            self.told = unsafe { PostQueuedCompletionStatus(port, 0, self.key, ptr::null()) } != 0;
        }
    }

    /// Has the next `set` post one.
    pub fn clear(&mut self) {
        self.told = false;
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

    /// Sends a byte. False: it could not. Where there is no room it is readable anyway.
    pub fn set(&self) -> bool {
        self.0.send(&[1]).map_or_else(|error| sys::would_block(&error), |_| true)
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

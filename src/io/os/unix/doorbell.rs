//! Descriptors that wake: eventfd(2), and what stands in for it where there is none.

use super::sys::would_block;
use std::io;
use std::os::fd::{AsRawFd, RawFd};

#[cfg(target_os = "linux")]
use {
    super::sys::{check, retry},
    std::os::fd::FromRawFd,
    std::os::fd::OwnedFd,
};
#[cfg(not(target_os = "linux"))]
use {std::io::Read, std::io::Write, std::os::unix::net::UnixStream};

/// A counter in the kernel: readable while it is not 0.
#[cfg(target_os = "linux")]
pub struct EventFd(OwnedFd);

#[cfg(target_os = "linux")]
impl EventFd {
    /// A counter at 0 that does not block and does not survive exec.
    pub fn new() -> io::Result<EventFd> {
        // SAFETY: no pointers.
        let fd = check(unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) })?;
        // SAFETY: fresh and not shared.
        Ok(EventFd(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Adds 1. False: it could not. A counter at its maximum is readable anyway.
    pub fn set(&self) -> bool {
        let one = 1_u64;
        // SAFETY: eight readable bytes.
        let wrote =
            retry(|| unsafe { libc::write(self.0.as_raw_fd(), (&raw const one).cast(), 8) });
        wrote.map_or_else(|error| would_block(&error), |count| count == 8)
    }

    /// Back to 0. Fails only when it is there already.
    pub fn clear(&self) {
        let mut count = 0_u64;
        // SAFETY: eight writable bytes.
        unsafe { libc::read(self.0.as_raw_fd(), (&raw mut count).cast(), 8) };
    }

    /// The descriptor.
    pub fn fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

/// Two ends of a line: the first is readable while what was written to the second is there.
#[cfg(not(target_os = "linux"))]
pub struct EventFd(UnixStream, UnixStream);

#[cfg(not(target_os = "linux"))]
impl EventFd {
    /// An empty line that does not block and does not survive exec.
    pub fn new() -> io::Result<EventFd> {
        let (near, far) = UnixStream::pair()?;
        near.set_nonblocking(true)?;
        far.set_nonblocking(true)?;
        Ok(EventFd(near, far))
    }

    /// Writes a byte. False: it could not. A line that is full is readable anyway.
    pub fn set(&self) -> bool {
        (&self.1).write(&[1]).map_or_else(|error| would_block(&error), |count| count == 1)
    }

    /// Empties the line. Fails only when it is empty already.
    pub fn clear(&self) {
        let mut bytes = [0; 256];
        while (&self.0).read(&mut bytes).is_ok_and(|count| count == bytes.len()) {}
    }

    /// The descriptor.
    pub fn fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

/// What a host waits on in its own loop: signalled from `set` to `clear`.
pub struct WaitObject(EventFd);

impl WaitObject {
    /// An object that is not signalled.
    pub fn new() -> io::Result<WaitObject> {
        EventFd::new().map(WaitObject)
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
        self.0.fd() as isize
    }
}

/// A completion port of the host's: there is no such thing.
pub enum WaitPort {}

impl WaitPort {
    /// The port with this number.
    pub fn new(_port: isize, _key: u64) -> io::Result<WaitPort> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Posts a packet, if none was since `clear`.
    pub fn set(&mut self) {}

    /// Has the next `set` post one.
    pub fn clear(&mut self) {}
}

//! A number that a thread waits for to change: futex(2), and what stands in for it where there is
//! none. `wake` is async-signal-safe; see signal-safety(7).

use std::sync::atomic::AtomicU32;
use std::time::Duration;

#[cfg(not(any(target_os = "linux", target_os = "android")))]
use {
    super::doorbell::EventFd,
    crate::io::readiness::millis,
    std::sync::OnceLock,
    std::sync::atomic::Ordering::SeqCst,
    std::{io, thread},
};

/// A number in the kernel's eyes.
#[cfg(any(target_os = "linux", target_os = "android"))]
#[derive(Default)]
pub struct Futex(AtomicU32);

#[cfg(any(target_os = "linux", target_os = "android"))]
impl Futex {
    /// The number.
    #[inline]
    pub fn word(&self) -> &AtomicU32 {
        &self.0
    }

    /// The thread that is about to wait, before it says so in the number.
    #[inline]
    pub fn prepare(&self) {}

    /// Sleeps while the number is `value`, at most for so long. It may return early.
    pub fn wait(&self, value: u32, most: Option<Duration>) {
        // SAFETY: all zeros are a value.
        let mut limit: libc::timespec = unsafe { std::mem::zeroed() };
        if let Some(most) = most {
            limit.tv_sec = libc::time_t::try_from(most.as_secs()).unwrap_or(libc::time_t::MAX);
            limit.tv_nsec = most.subsec_nanos() as _;
        }
        let limit = if most.is_some() { &raw const limit } else { std::ptr::null() };
        let how = libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG;
        // SAFETY: the number and the limit stay for the call.
        unsafe { libc::syscall(libc::SYS_futex, self.0.as_ptr(), how, value, limit) };
    }

    /// Wakes the thread that sleeps, if one does.
    pub fn wake(&self) {
        let how = libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG;
        // SAFETY: the kernel uses the address alone.
        unsafe { libc::syscall(libc::SYS_futex, self.0.as_ptr(), how, 1) };
    }
}

/// A number, and a line that the thread which waits for it sleeps at.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
#[derive(Default)]
pub struct Futex(AtomicU32, OnceLock<EventFd>);

/// Between two looks at the number while the system has no descriptor for the line.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const PAUSE: Duration = Duration::from_millis(10);

#[cfg(not(any(target_os = "linux", target_os = "android")))]
impl Futex {
    /// The number.
    pub fn word(&self) -> &AtomicU32 {
        &self.0
    }

    /// Makes the line. The waiting thread calls this before it announces itself in the number, so
    /// that a thread which wakes it finds the line there.
    pub fn prepare(&self) {
        if self.1.get().is_none()
            && let Ok(line) = EventFd::new()
        {
            let _ = self.1.set(line);
        }
    }

    /// Sleeps while the number is `value`, at most for so long. It may return early.
    pub fn wait(&self, value: u32, most: Option<Duration>) {
        let Some(line) = self.1.get() else {
            return thread::sleep(most.map_or(PAUSE, |most| most.min(PAUSE)));
        };
        let mut watched = libc::pollfd { fd: line.fd(), events: libc::POLLIN, revents: 0 };
        if self.0.load(SeqCst) == value {
            // SAFETY: one pollfd.
            let told = unsafe { libc::poll(&mut watched, 1, millis(most)) };
            if told < 0 && io::Error::last_os_error().kind() != io::ErrorKind::Interrupted {
                thread::sleep(PAUSE);
            }
        }
        line.clear();
    }

    /// Wakes the thread that sleeps, if one does.
    pub fn wake(&self) {
        if let Some(line) = self.1.get() {
            line.set();
        }
    }
}

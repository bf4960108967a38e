//! What a host waits for that has no thread to fill its queue: an epoll(7) instance, which is
//! readable while one of its descriptors is. Nothing is ever taken from it here.

use crate::io::os::unix::sys::check;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;
use std::time::Duration;

/// The descriptors of a worker and its queue, and a timer: timerfd_create(2).
pub struct WaitSet {
    set: OwnedFd,
    timer: OwnedFd,
}

impl WaitSet {
    /// The set of these descriptors. It is readable until `due` was called.
    pub fn new(members: &[isize]) -> io::Result<WaitSet> {
        // SAFETY: no pointers.
        let set = check(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
        // SAFETY: fresh and not shared.
        let set = unsafe { OwnedFd::from_raw_fd(set) };
        let how = libc::TFD_CLOEXEC | libc::TFD_NONBLOCK;
        // SAFETY: no pointers.
        let timer = check(unsafe { libc::timerfd_create(libc::CLOCK_MONOTONIC, how) })?;
        // SAFETY: fresh and not shared.
        let timer = unsafe { OwnedFd::from_raw_fd(timer) };
        for fd in members.iter().map(|&it| it as RawFd).chain([timer.as_raw_fd()]) {
            let mut event = libc::epoll_event { events: libc::EPOLLIN as u32, u64: 0 };
            // SAFETY: the event is readable; the kernel checks the descriptors.
            check(unsafe {
                libc::epoll_ctl(set.as_raw_fd(), libc::EPOLL_CTL_ADD, fd, &mut event)
            })?;
        }
        let set = WaitSet { set, timer };
        set.due(Some(Duration::ZERO));
        Ok(set)
    }

    /// From now on it is readable when so much time has passed, at once or not for that reason.
    pub fn due(&self, after: Option<Duration>) {
        // SAFETY: all zeros are a value: no time.
        let mut time: libc::itimerspec = unsafe { std::mem::zeroed() };
        if let Some(after) = after {
            time.it_value.tv_sec = libc::time_t::try_from(after.as_secs()).unwrap_or(i64::MAX);
            // A time of zero would end it.
            time.it_value.tv_nsec = after.subsec_nanos().max(1).into();
        }
        // SAFETY: the time is readable. It fails for no time of ours.
        unsafe { libc::timerfd_settime(self.timer.as_raw_fd(), 0, &time, ptr::null_mut()) };
    }

    /// The number the host is given.
    pub fn raw(&self) -> isize {
        self.set.as_raw_fd() as isize
    }
}

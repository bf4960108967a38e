//! epoll(7), edge-triggered: a socket is registered once, for everything.

use crate::io::bell::Bell;
use crate::io::op::{Lane, Token};
use crate::io::os::unix::doorbell::EventFd;
use crate::io::os::unix::sys::check;
use crate::io::readiness::{Readiness, Ready, millis};
use socket2::Socket;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

/// Reports taken by one wait at first, and at most; more stay in the kernel for the next. Each wait
/// that brings as many as it can has the next one take twice as many: most of many workers never
/// need the memory.
const REPORTS: (usize, usize) = (32, 256);
/// The data of the doorbell; no token has all bits set.
const BELL: u64 = u64::MAX;
/// Urgent data (PRI) is among them: a receive stops at its mark with more behind it.
const ENDED: i32 = libc::EPOLLRDHUP | libc::EPOLLHUP | libc::EPOLLERR | libc::EPOLLPRI;
const EVERYTHING: i32 =
    libc::EPOLLIN | libc::EPOLLPRI | libc::EPOLLOUT | libc::EPOLLRDHUP | libc::EPOLLET;

/// One epoll instance.
pub struct Epoll {
    fd: OwnedFd,
    reports: Vec<libc::epoll_event>,
}

impl Epoll {
    fn control(&self, operation: i32, fd: RawFd, events: i32, data: u64) -> io::Result<()> {
        let mut event = libc::epoll_event { events: events as u32, u64: data };
        // SAFETY: the event is readable; the kernel checks the descriptors.
        check(unsafe { libc::epoll_ctl(self.fd.as_raw_fd(), operation, fd, &mut event) })?;
        Ok(())
    }
}

impl Readiness for Epoll {
    const CLOSE_REMOVES: bool = true;

    fn open() -> io::Result<(Self, Bell)> {
        // SAFETY: no pointers.
        let fd = check(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
        // SAFETY: fresh and not shared.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        let epoll = Epoll { fd, reports: Vec::with_capacity(REPORTS.0) };
        let door = EventFd::new()?;
        // Edge-triggered, so its counter is never read: each write is a new edge.
        epoll.control(libc::EPOLL_CTL_ADD, door.fd(), libc::EPOLLIN | libc::EPOLLET, BELL)?;
        Ok((epoll, Bell::new(move || door.set())))
    }

    fn descriptor(&self) -> io::Result<isize> {
        Ok(self.fd.as_raw_fd() as isize)
    }

    fn add(&mut self, token: Token, socket: &Socket) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_ADD, socket.as_raw_fd(), EVERYTHING, token.0)
    }

    fn remove(&mut self, _token: Token, socket: &Socket) {
        // The socket is closed next, which would do the same; it fails for no reason of ours.
        let _ = self.control(libc::EPOLL_CTL_DEL, socket.as_raw_fd(), 0, 0);
    }

    fn blocked(&mut self, _token: Token, _lane: Lane) {}

    fn arm(&mut self, _token: Token, _lane: Lane) -> io::Result<()> {
        Ok(())
    }

    fn wait(
        &mut self,
        ready: &mut Vec<Ready>,
        timeout: Option<Duration>,
        bell: &Bell,
    ) -> io::Result<()> {
        let look = timeout == Some(Duration::ZERO);
        let timeout = if look || !bell.doze() { 0 } else { millis(timeout) };
        let most = self.reports.capacity().min(REPORTS.1);
        let (fd, reports) = (self.fd.as_raw_fd(), self.reports.as_mut_ptr());
        // SAFETY: room for `most` events.
        let told = check(unsafe { libc::epoll_wait(fd, reports, most as i32, timeout) });
        if !look {
            bell.rouse();
        }
        let told = match told {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => 0,
            told => told? as usize,
        };
        // SAFETY: the kernel wrote `told` events.
        unsafe { self.reports.set_len(told) };
        for event in &self.reports {
            let (data, flags) = (event.u64, event.events as i32);
            if data == BELL {
                continue;
            }
            let (token, ended) = (Token(data), flags & ENDED != 0);
            if flags & libc::EPOLLIN != 0 || ended {
                ready.push(Ready { token, lane: Lane::In, ended });
            }
            if flags & libc::EPOLLOUT != 0 || ended {
                ready.push(Ready { token, lane: Lane::Out, ended });
            }
        }
        if told == most && most < REPORTS.1 {
            self.reports.clear();
            self.reports.reserve_exact(2 * most);
        }
        Ok(())
    }
}

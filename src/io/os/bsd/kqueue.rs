//! kqueue(2), edge-triggered: each lane of a socket is an event of its own.
//!
//! Reading is watched as soon as the socket is, writing from the first send that blocks: a filter
//! for writing reports whatever the peer acknowledges. What is added is looked at at once, so what
//! was there before is reported too.

#[cfg(target_os = "linux")]
use super::shim as system;
use crate::io::bell::Bell;
use crate::io::op::{LANES, Lane, Token};
use crate::io::os::unix::sys::check;
use crate::io::pages::Pages;
use crate::io::readiness::{Readiness, Ready};
#[cfg(not(target_os = "linux"))]
use libc as system;
use socket2::Socket;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;
use std::sync::Arc;
use std::time::Duration;
use system::kevent as Event;

/// Reports taken by one wait at most; more stay in the kernel for the next.
const REPORTS_MAX: usize = 512;
/// The longest wait: some systems refuse more seconds than they can count. Who waits for longer
/// looks once in a while.
const WAIT_MAX: Duration = Duration::from_secs(24 * 3600);
/// libkqueue takes as many descriptors from the kernel as there is room for reports, and a
/// descriptor may need two: those that find none are lost.
const LOSES: bool = cfg!(target_os = "linux");

/// One kqueue.
pub struct Kqueue {
    queue: Arc<Queue>,
    /// By token index, which is also the data of both events.
    watched: Pages<Watched>,
    count: usize,
    reports: Reports,
}

/// What a wait brought.
#[derive(Default)]
struct Reports(Vec<Event>);

// SAFETY: the pointers in them are numbers.
unsafe impl Send for Reports {}

struct Watched {
    token: Token,
    fd: RawFd,
    /// Writing is watched, too.
    writes: bool,
    /// The error of the socket that was reported with its end, or 0.
    error: i32,
}

/// The descriptor, which its bell has too. No other process ever has it.
struct Queue(OwnedFd);

fn event(fd: RawFd, lane: Lane, index: usize) -> Event {
    // SAFETY: plain numbers and a pointer, for which all zeros are valid.
    let mut event: Event = unsafe { std::mem::zeroed() };
    event.ident = fd as usize;
    event.filter = match lane {
        Lane::In => system::EVFILT_READ,
        Lane::Out => system::EVFILT_WRITE,
    };
    event.udata = ptr::without_provenance_mut(index);
    event
}

/// What wakes, with its flags.
fn doorbell() -> Event {
    Event { filter: system::EVFILT_USER, ..event(0, Lane::In, 0) }
}

impl Queue {
    fn new() -> io::Result<Queue> {
        // SAFETY: no pointers.
        let fd = check(unsafe { system::kqueue() })?;
        // SAFETY: fresh and not shared.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        // SAFETY: no pointers.
        check(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETFD, libc::FD_CLOEXEC) })?;
        Ok(Queue(fd))
    }

    /// One change. There is no room for reports, so none is taken, and an error is the call's own.
    fn change(&self, event: &Event) -> io::Result<()> {
        let (fd, none) = (self.0.as_raw_fd(), ptr::null_mut());
        // SAFETY: one readable event, and nothing is written.
        check(unsafe { system::kevent(fd, event, 1, none, 0, ptr::null()) })?;
        Ok(())
    }

    fn add(&self, mut event: Event) -> io::Result<()> {
        event.flags = system::EV_ADD | system::EV_CLEAR;
        match self.change(&event) {
            // The peer has gone: some systems say so here, and report it nevertheless.
            Err(error) if error.raw_os_error() == Some(libc::EPIPE) => Ok(()),
            answer => answer,
        }
    }

    fn delete(&self, mut event: Event) {
        event.flags = system::EV_DELETE;
        // It fails where other code closed the descriptor, which deletes it too.
        let _ = self.change(&event);
    }

    /// Ends a wait, this one or the next.
    fn trigger(&self) -> bool {
        let mut event = doorbell();
        event.fflags = system::NOTE_TRIGGER;
        self.change(&event).is_ok()
    }

    /// Fills `reports` with what has come, `room` at most.
    fn wait(
        &self,
        reports: &mut Vec<Event>,
        room: usize,
        timeout: Option<Duration>,
    ) -> io::Result<()> {
        reports.clear();
        reports.reserve_exact(room);
        let timeout = timeout.map(|timeout| timeout.min(WAIT_MAX)).map(|timeout| libc::timespec {
            tv_sec: timeout.as_secs() as _,
            tv_nsec: timeout.subsec_nanos() as _,
        });
        let timeout = timeout.as_ref().map_or(ptr::null(), ptr::from_ref);
        let (fd, spare) = (self.0.as_raw_fd(), reports.as_mut_ptr());
        // SAFETY: no changes, room for so many reports, and a time or none.
        let told = check(unsafe { system::kevent(fd, ptr::null(), 0, spare, room as _, timeout) });
        let told = match told {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => 0,
            told => told? as usize,
        };
        // SAFETY: the system wrote `told` events.
        unsafe { reports.set_len(told) };
        Ok(())
    }
}

impl Kqueue {
    fn report(&mut self, event: &Event, ready: &mut Vec<Ready>) {
        let Some(it) = self.watched.get_mut(event.udata.addr()) else { return };
        let lane = if event.filter == system::EVFILT_WRITE { Lane::Out } else { Lane::In };
        if event.flags & system::EV_EOF != 0 && event.fflags != 0 {
            it.error = event.fflags as i32;
        }
        // Urgent data is not reported, and a receive stops at its mark: a short one never means
        // that nothing is left.
        ready.push(Ready { token: it.token, lane, ended: true });
    }

    /// Reports everything, as some report may be lost.
    #[cold]
    fn report_all(&mut self, ready: &mut Vec<Ready>) {
        for it in self.watched.values_mut() {
            ready.extend(LANES.map(|lane| Ready { token: it.token, lane, ended: true }));
        }
    }
}

impl Readiness for Kqueue {
    fn open() -> io::Result<(Self, Bell)> {
        let queue = Arc::new(Queue::new()?);
        queue.add(doorbell())?;
        let rung = queue.clone();
        let kqueue =
            Kqueue { queue, watched: Pages::default(), count: 0, reports: Reports::default() };
        Ok((kqueue, Bell::new(move || rung.trigger())))
    }

    fn add(&mut self, token: Token, socket: &Socket) -> io::Result<()> {
        let fd = socket.as_raw_fd();
        self.queue.add(event(fd, Lane::In, token.index()))?;
        let watched = Watched { token, fd, writes: false, error: 0 };
        self.watched.insert(token.index(), watched);
        self.count += 1;
        Ok(())
    }

    fn remove(&mut self, token: Token, _socket: &Socket) {
        let Some(it) = self.watched.remove(token.index()) else { return };
        self.count -= 1;
        if it.writes {
            self.queue.delete(event(it.fd, Lane::Out, token.index()));
        }
        self.queue.delete(event(it.fd, Lane::In, token.index()));
    }

    fn blocked(&mut self, _token: Token, _lane: Lane) {}

    fn arm(&mut self, token: Token, lane: Lane) -> io::Result<()> {
        let Some(it) = self.watched.get_mut(token.index()) else { return Ok(()) };
        if lane == Lane::Out && !it.writes {
            self.queue.add(event(it.fd, Lane::Out, token.index()))?;
            it.writes = true;
        }
        Ok(())
    }

    fn error(&mut self, token: Token) -> Option<io::Error> {
        let error = std::mem::take(&mut self.watched.get_mut(token.index())?.error);
        (error != 0).then(|| io::Error::from_raw_os_error(error))
    }

    fn has_error(&self, token: Token) -> bool {
        self.watched.get(token.index()).is_some_and(|it| it.error != 0)
    }

    fn wait(
        &mut self,
        ready: &mut Vec<Ready>,
        timeout: Option<Duration>,
        bell: &Bell,
    ) -> io::Result<()> {
        let look = timeout == Some(Duration::ZERO);
        let timeout = if look || !bell.doze() { Some(Duration::ZERO) } else { timeout };
        // Two for each socket, and one for the bell.
        let room = (2 * self.count + 1).min(REPORTS_MAX);
        let mut reports = std::mem::take(&mut self.reports);
        let waited = self.queue.wait(&mut reports.0, room, timeout);
        if !look {
            bell.rouse();
        }
        if LOSES && reports.0.len() == REPORTS_MAX {
            self.report_all(ready);
        }
        for event in reports.0.iter().filter(|it| it.filter != system::EVFILT_USER) {
            self.report(event, ready);
        }
        self.reports = reports;
        waited
    }
}

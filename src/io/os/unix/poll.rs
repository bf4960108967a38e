//! poll(2): the whole set goes to the kernel at each wait.

use super::doorbell::EventFd;
use super::sys::check;
use crate::io::bell::Bell;
use crate::io::op::{Lane, Token};
use crate::io::pages::Pages;
use crate::io::readiness::{Readiness, Ready, millis};
use socket2::Socket;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// One that is not open any more (NVAL) ends: the next try reports it.
const ENDED: i16 = libc::POLLHUP | libc::POLLERR | libc::POLLNVAL | RDHUP;
#[cfg(target_os = "linux")]
const RDHUP: i16 = libc::POLLRDHUP;
#[cfg(not(target_os = "linux"))]
const RDHUP: i16 = 0;

/// Between two looks at a set that the kernel takes in slices only, at first and at most.
const PAUSES: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(10));

/// The set. `fds[0]` is the bell; `fds[at]` belongs to `tokens[at]`, and `places` finds it again.
pub struct Poll {
    fds: Vec<libc::pollfd>,
    tokens: Vec<Token>,
    /// By token index.
    places: Pages<u32>,
    bell: Arc<EventFd>,
}

/// A socket that no operation waits for is hidden, as a negative number: poll reports a broken one
/// whether asked or not.
fn watched(fd: RawFd, events: i16) -> libc::pollfd {
    libc::pollfd { fd: if events == 0 { !fd } else { fd }, events, revents: 0 }
}

/// poll(2). How many are reported; none when a signal came. EMFILE where it answers EINVAL: they
/// are more than the limit of descriptors, which may change at any time.
fn poll(fds: &mut [libc::pollfd], timeout: i32) -> io::Result<usize> {
    // SAFETY: the array and its length.
    match check(unsafe { libc::poll(fds.as_mut_ptr(), fds.len() as _, timeout) }) {
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(0),
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
            Err(io::Error::from_raw_os_error(libc::EMFILE))
        }
        told => told.map(|told| told as usize),
    }
}

/// Descriptors that this process may have now.
fn limit() -> io::Result<usize> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: room for the answer.
    check(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) })?;
    Ok(usize::try_from(limit.rlim_cur).unwrap_or(usize::MAX))
}

fn real(fd: RawFd) -> RawFd {
    if fd < 0 { !fd } else { fd }
}

fn interest(lane: Lane) -> i16 {
    match lane {
        Lane::In => libc::POLLIN | RDHUP,
        Lane::Out => libc::POLLOUT,
    }
}

impl Poll {
    fn place(&mut self, token: Token) -> Option<&mut libc::pollfd> {
        let place = *self.places.get(token.index())? as usize;
        (self.tokens[place] == token).then(|| &mut self.fds[place])
    }

    /// Waits for the whole set.
    fn wait_for_all(&mut self, timeout: i32) -> io::Result<()> {
        match poll(&mut self.fds, timeout) {
            Err(error) if error.raw_os_error() == Some(libc::EMFILE) => {
                let most = limit()?.min(self.fds.len());
                self.wait_in_slices(most, timeout)
            }
            answer => answer.map(drop),
        }
    }

    /// The limit of descriptors was lowered below what is watched, and poll(2) takes no more than
    /// it at once. The set is looked at in slices, with a wait for the bell in between.
    #[cold]
    fn wait_in_slices(&mut self, most: usize, timeout: i32) -> io::Result<()> {
        if most == 0 {
            // Not even the bell can be waited for.
            return Err(io::Error::from_raw_os_error(libc::EMFILE));
        }
        let begun = Instant::now();
        let until = u64::try_from(timeout).ok().map(|ms| begun + Duration::from_millis(ms));
        let mut pause = PAUSES.0;
        loop {
            let begun = Instant::now();
            let mut told = 0;
            for slice in self.fds.chunks_mut(most) {
                told += poll(slice, 0)?;
            }
            let now = Instant::now();
            let left = until.map(|until| until.saturating_duration_since(now));
            if told > 0 || left.is_some_and(|left| left.is_zero()) {
                return Ok(());
            }
            // A large set in small slices is not to keep a processor busy.
            let rest = pause.max(10 * (now - begun));
            let rest = left.map_or(rest, |left| left.min(rest));
            if poll(&mut self.fds[..1], millis(Some(rest)))? > 0 {
                return Ok(());
            }
            pause = (2 * pause).min(PAUSES.1);
        }
    }

    fn report(&mut self, at: usize, ready: &mut Vec<Ready>) {
        let entry = &mut self.fds[at];
        let told = std::mem::take(&mut entry.revents);
        if told == 0 {
            return;
        }
        let ended = told & ENDED != 0;
        let mut events = entry.events;
        for lane in [Lane::In, Lane::Out] {
            if events & interest(lane) != 0 && (told & interest(lane) != 0 || ended) {
                ready.push(Ready { token: self.tokens[at], lane, ended });
                events &= !interest(lane);
            }
        }
        *entry = watched(real(entry.fd), events);
    }
}

impl Readiness for Poll {
    fn open() -> io::Result<(Self, Bell)> {
        let bell = Arc::new(EventFd::new()?);
        let fds = vec![watched(bell.fd(), libc::POLLIN)];
        let poll =
            Poll { fds, tokens: vec![Token(0)], places: Pages::default(), bell: bell.clone() };
        Ok((poll, Bell::new(move || bell.set())))
    }

    fn add(&mut self, token: Token, socket: &Socket) -> io::Result<()> {
        self.places.insert(token.index(), self.fds.len() as u32);
        self.fds.push(watched(socket.as_raw_fd(), 0));
        self.tokens.push(token);
        Ok(())
    }

    fn remove(&mut self, token: Token, _socket: &Socket) {
        if self.place(token).is_none() {
            return;
        }
        let Some(place) = self.places.remove(token.index()) else { return };
        let place = place as usize;
        self.fds.swap_remove(place);
        self.tokens.swap_remove(place);
        if let Some(moved) = self.tokens.get(place)
            && let Some(its) = self.places.get_mut(moved.index())
        {
            *its = place as u32;
        }
        let room = self.fds.capacity();
        if self.fds.len() < room / 4 {
            self.fds.shrink_to(room / 2);
            self.tokens.shrink_to(room / 2);
        }
    }

    fn blocked(&mut self, _token: Token, _lane: Lane) {}

    fn arm(&mut self, token: Token, lane: Lane) -> io::Result<()> {
        if let Some(entry) = self.place(token) {
            *entry = watched(real(entry.fd), entry.events | interest(lane));
        }
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
        let waited = self.wait_for_all(timeout);
        if !look {
            bell.rouse();
        }
        waited?;
        match std::mem::take(&mut self.fds[0].revents) {
            0 => {}
            told if told & libc::POLLNVAL != 0 => {
                // Nothing could wake this thread any more: the bell was closed.
                return Err(io::Error::from_raw_os_error(libc::EBADF));
            }
            _ => self.bell.clear(),
        }
        for at in 1..self.fds.len() {
            self.report(at, ready);
        }
        Ok(())
    }
}

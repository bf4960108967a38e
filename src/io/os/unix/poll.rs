//! poll(2): the whole set goes to the kernel at each wait.

use super::doorbell::EventFd;
use crate::io::bell::Bell;
use crate::io::op::{Lane, Token};
use crate::io::readiness::{Readiness, Ready, millis};
use socket2::Socket;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;
use std::time::Duration;

const ENDED: i16 = libc::POLLHUP | libc::POLLERR | RDHUP;
#[cfg(target_os = "linux")]
const RDHUP: i16 = libc::POLLRDHUP;
#[cfg(not(target_os = "linux"))]
const RDHUP: i16 = 0;

/// The set. `fds[0]` is the bell; `fds[at]` belongs to `tokens[at]`, and `places` finds it again.
pub struct Poll {
    fds: Vec<libc::pollfd>,
    tokens: Vec<Token>,
    /// By token index; 0 is nowhere.
    places: Vec<u32>,
    bell: Arc<EventFd>,
}

/// A socket that nobody wants anything of is hidden, as a negative number: poll reports a broken
/// one whether asked or not.
fn watched(fd: RawFd, events: i16) -> libc::pollfd {
    libc::pollfd { fd: if events == 0 { !fd } else { fd }, events, revents: 0 }
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
        (place > 0 && self.tokens[place] == token).then(|| &mut self.fds[place])
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
        let poll = Poll { fds, tokens: vec![Token(0)], places: Vec::new(), bell: bell.clone() };
        Ok((poll, Bell::new(move || bell.set())))
    }

    fn add(&mut self, token: Token, socket: &Socket) -> io::Result<()> {
        if self.places.len() <= token.index() {
            self.places.resize(token.index() + 1, 0);
        }
        self.places[token.index()] = self.fds.len() as u32;
        self.fds.push(watched(socket.as_raw_fd(), 0));
        self.tokens.push(token);
        Ok(())
    }

    fn remove(&mut self, token: Token, _socket: &Socket) {
        if self.place(token).is_none() {
            return;
        }
        let place = std::mem::take(&mut self.places[token.index()]) as usize;
        self.fds.swap_remove(place);
        self.tokens.swap_remove(place);
        if let Some(moved) = self.tokens.get(place) {
            self.places[moved.index()] = place as u32;
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
        let timeout = if bell.doze() { millis(timeout) } else { 0 };
        // SAFETY: the array and its length.
        let told = unsafe { libc::poll(self.fds.as_mut_ptr(), self.fds.len() as _, timeout) };
        let error = io::Error::last_os_error();
        bell.rouse();
        if told < 0 {
            let again = error.kind() == io::ErrorKind::Interrupted;
            return if again { Ok(()) } else { Err(error) };
        }
        if std::mem::take(&mut self.fds[0].revents) != 0 {
            self.bell.clear();
        }
        for at in 1..self.fds.len() {
            self.report(at, ready);
        }
        Ok(())
    }
}

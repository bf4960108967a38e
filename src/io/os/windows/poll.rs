//! WSAPoll(): the whole set goes to the system at each wait.
//!
//! It differs from poll(2) in two ways. Before Windows 10 version 2004 it never reported a connect
//! that failed. And it reports a peer that has ended whether asked or not, again at each wait,
//! which would be a spin where only sending is wanted. In both cases sending is tried by the clock.

use super::doorbell::Echo;
use super::sys;
use crate::io::bell::Bell;
use crate::io::op::{LANES, Lane, Token};
use crate::io::readiness::{Readiness, Ready, millis};
use socket2::Socket;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};
use windows_sys::Win32::Networking::WinSock as winsock;
use winsock::{INVALID_SOCKET, SOCKET, WSAPOLLFD, WSAPoll};

/// Between two tries by the clock.
const GLANCE: Duration = Duration::from_millis(50);
const ENDED: i16 = winsock::POLLHUP | winsock::POLLERR | winsock::POLLNVAL;

/// A socket that is watched.
struct Entry {
    token: Token,
    socket: SOCKET,
    /// A connect goes on.
    connecting: bool,
    /// The peer has ended, which the system reports at each wait.
    ended: bool,
}

/// The set. `fds[0]` is the bell; `fds[at]` belongs to `entries[at - 1]`, and `places` finds it
/// again. `events` of an entry that is not watched are kept nevertheless.
pub struct Poll {
    fds: Vec<WSAPOLLFD>,
    entries: Vec<Entry>,
    /// By token index; 0 is none.
    places: Vec<u32>,
    /// Sockets whose sending is tried by the clock, while it is armed.
    glances: Vec<Token>,
    glanced: Instant,
    bell: Arc<Echo>,
}

fn interest(lane: Lane) -> i16 {
    match lane {
        Lane::In => winsock::POLLRDNORM,
        Lane::Out => winsock::POLLWRNORM,
    }
}

impl Entry {
    /// Whether the system reports everything, and nothing again and again.
    fn is_plain(&self) -> bool {
        !self.connecting && !self.ended
    }

    /// The socket, unless there is nothing to ask the system of it.
    fn watched(&self, events: i16) -> WSAPOLLFD {
        let asked = events != 0 && (!self.ended || events & interest(Lane::In) != 0);
        WSAPOLLFD { fd: if asked { self.socket } else { INVALID_SOCKET }, events, revents: 0 }
    }
}

impl Poll {
    fn place(&self, token: Token) -> Option<usize> {
        let place = *self.places.get(token.index())? as usize;
        (place > 0 && self.entries[place - 1].token == token).then_some(place)
    }

    fn report(&mut self, at: usize, ready: &mut Vec<Ready>) {
        let (fd, entry) = (&mut self.fds[at], &mut self.entries[at - 1]);
        let told = std::mem::take(&mut fd.revents);
        if told == 0 || fd.fd == INVALID_SOCKET {
            return;
        }
        let ended = told & ENDED != 0;
        let mut events = fd.events;
        for lane in LANES {
            // A peer that has ended may yet read, and only then is there room to send.
            let broken =
                ended && (lane == Lane::In || entry.connecting || told & !winsock::POLLHUP != 0);
            if events & interest(lane) != 0 && (told & interest(lane) != 0 || broken) {
                ready.push(Ready { token: entry.token, lane, ended });
                events &= !interest(lane);
            }
        }
        if ended && !entry.connecting && events != 0 {
            entry.ended = true;
            self.glances.push(entry.token);
        }
        entry.connecting &= events & interest(Lane::Out) != 0;
        *fd = entry.watched(events);
    }

    /// Reports what is tried by the clock, when it is time.
    fn glance(&mut self, ready: &mut Vec<Ready>) {
        if self.glances.is_empty() || self.glanced.elapsed() < GLANCE {
            return;
        }
        self.glanced = Instant::now();
        let (lane, ended) = (Lane::Out, false);
        for token in std::mem::take(&mut self.glances) {
            let Some(at) = self.place(token) else { continue };
            let events = self.fds[at].events;
            if events & interest(lane) != 0 {
                ready.push(Ready { token, lane, ended });
                self.fds[at] = self.entries[at - 1].watched(events & !interest(lane));
            }
        }
    }
}

impl Readiness for Poll {
    fn open() -> io::Result<(Self, Bell)> {
        let bell = Arc::new(Echo::new()?);
        let door = WSAPOLLFD { fd: bell.raw(), events: interest(Lane::In), revents: 0 };
        let poll = Poll {
            fds: vec![door],
            entries: Vec::new(),
            places: Vec::new(),
            glances: Vec::new(),
            glanced: Instant::now(),
            bell: bell.clone(),
        };
        Ok((poll, Bell::fallible(move || bell.set())))
    }

    fn add(&mut self, token: Token, socket: &Socket) -> io::Result<()> {
        if self.places.len() <= token.index() {
            self.places.resize(token.index() + 1, 0);
        }
        self.places[token.index()] = self.fds.len() as u32;
        let connecting = socket.peer_addr().is_err();
        let entry = Entry { token, socket: sys::raw(socket), connecting, ended: false };
        self.fds.push(entry.watched(0));
        self.entries.push(entry);
        Ok(())
    }

    fn remove(&mut self, token: Token, _socket: &Socket) {
        let Some(place) = self.place(token) else { return };
        self.places[token.index()] = 0;
        self.fds.swap_remove(place);
        self.entries.swap_remove(place - 1);
        if let Some(moved) = self.entries.get(place - 1) {
            self.places[moved.token.index()] = place as u32;
        }
    }

    fn blocked(&mut self, _token: Token, _lane: Lane) {}

    fn arm(&mut self, token: Token, lane: Lane) -> io::Result<()> {
        let Some(at) = self.place(token) else { return Ok(()) };
        let entry = &self.entries[at - 1];
        self.fds[at] = entry.watched(self.fds[at].events | interest(lane));
        if lane == Lane::Out && !entry.is_plain() {
            self.glances.push(token);
        }
        Ok(())
    }

    fn wait(
        &mut self,
        ready: &mut Vec<Ready>,
        mut timeout: Option<Duration>,
        bell: &Bell,
    ) -> io::Result<()> {
        if !self.glances.is_empty() {
            timeout = Some(timeout.map_or(GLANCE, |timeout| timeout.min(GLANCE)));
        }
        let look = timeout == Some(Duration::ZERO);
        let timeout = if look || !bell.doze() { 0 } else { millis(timeout) };
        let (fds, count) = (self.fds.as_mut_ptr(), self.fds.len() as u32);
        // SAFETY: the array and its length.
        let told = sys::check(unsafe { WSAPoll(fds, count, timeout) });
        if !look {
            bell.rouse();
        }
        if told? > 0 {
            if std::mem::take(&mut self.fds[0].revents) != 0 {
                self.bell.clear();
            }
            for at in 1..self.fds.len() {
                self.report(at, ready);
            }
        }
        self.glance(ready);
        Ok(())
    }
}

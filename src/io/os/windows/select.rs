//! select(): lists of sockets go to the system at each wait, and come back with what is ready.
//!
//! A list is as long as it must be: FD_SETSIZE is how much of one a program declares, not how much
//! the system reads. Level-triggered: what a try leaves behind, an end included, is reported again
//! once the lane is armed, so `Ready::ended` is never needed.

use super::doorbell::Echo;
use super::sys;
use crate::io::bell::Bell;
use crate::io::op::{Lane, Token};
use crate::io::readiness::{Readiness, Ready, millis};
use socket2::Socket;
use std::collections::HashMap;
use std::io;
use std::ptr;
use std::sync::Arc;
use std::time::Duration;
use windows_sys::Win32::Networking::WinSock::{FD_SET, SOCKET, TIMEVAL, select};

/// A wait costs time with every armed socket: past so many every other model is cheaper.
const SOCKETS_MAX: u32 = 1024;

/// An `fd_set`: how many, then the sockets. The count is as wide as a socket here, which on a
/// 64-bit system takes in the gap behind it.
type Set = Vec<SOCKET>;

// So the first socket lies behind one word.
const _: () = assert!(std::mem::offset_of!(FD_SET, fd_array) == size_of::<SOCKET>());

/// A socket that is watched.
struct Entry {
    token: Token,
    armed: [bool; 2],
    /// A connect goes on. Its failure is reported by the third list, which also reports urgent
    /// data, and no operation waits for that.
    connecting: bool,
}

/// What is watched, and the lists of the last wait.
pub struct Select {
    entries: HashMap<SOCKET, Entry>,
    /// By token index; 0 is none, as no socket is.
    sockets: Vec<SOCKET>,
    read: Set,
    write: Set,
    broken: Set,
    bell: Arc<Echo>,
}

/// The sockets that the system left in a list.
fn left(set: &Set) -> &[SOCKET] {
    // Only the lower half of the word is the system's.
    &set[1..=set[0] as u32 as usize]
}

fn begin(set: &mut Set) {
    set.clear();
    set.push(0);
}

fn seal(set: &mut Set) -> *mut FD_SET {
    set[0] = set.len() - 1;
    set.as_mut_ptr().cast()
}

impl Select {
    fn entry(&mut self, token: Token) -> Option<&mut Entry> {
        let socket = self.sockets.get(token.index())?;
        self.entries.get_mut(socket).filter(|entry| entry.token == token)
    }

    /// Writes the lists anew from what is armed.
    fn fill(&mut self) {
        [&mut self.read, &mut self.write, &mut self.broken].into_iter().for_each(begin);
        self.read.push(self.bell.raw());
        for (&socket, entry) in &self.entries {
            if entry.armed[Lane::In as usize] {
                self.read.push(socket);
            }
            if entry.armed[Lane::Out as usize] {
                self.write.push(socket);
                if entry.connecting {
                    self.broken.push(socket);
                }
            }
        }
    }
}

/// Reports and disarms the sockets that the system left in a list.
fn report(set: &Set, lane: Lane, entries: &mut HashMap<SOCKET, Entry>, ready: &mut Vec<Ready>) {
    for socket in left(set) {
        let Some(entry) = entries.get_mut(socket) else { continue };
        if std::mem::take(&mut entry.armed[lane as usize]) {
            entry.connecting &= lane == Lane::In;
            ready.push(Ready { token: entry.token, lane, ended: false });
        }
    }
}

impl Readiness for Select {
    const SOCKETS_MAX: Option<u32> = Some(SOCKETS_MAX);

    fn open() -> io::Result<(Self, Bell)> {
        let bell = Arc::new(Echo::new()?);
        let select = Select {
            entries: HashMap::new(),
            sockets: Vec::new(),
            read: Vec::new(),
            write: Vec::new(),
            broken: Vec::new(),
            bell: bell.clone(),
        };
        Ok((select, Bell::fallible(move || bell.set())))
    }

    fn add(&mut self, token: Token, socket: &Socket) -> io::Result<()> {
        let connecting = socket.peer_addr().is_err();
        let socket = sys::raw(socket);
        if self.sockets.len() <= token.index() {
            self.sockets.resize(token.index() + 1, 0);
        }
        self.sockets[token.index()] = socket;
        self.entries.insert(socket, Entry { token, armed: [false; 2], connecting });
        Ok(())
    }

    fn remove(&mut self, token: Token, socket: &Socket) {
        if self.entry(token).is_some() {
            self.entries.remove(&sys::raw(socket));
            self.sockets[token.index()] = 0;
        }
    }

    fn blocked(&mut self, _token: Token, _lane: Lane) {}

    fn arm(&mut self, token: Token, lane: Lane) -> io::Result<()> {
        if let Some(entry) = self.entry(token) {
            entry.armed[lane as usize] = true;
        }
        Ok(())
    }

    fn wait(
        &mut self,
        ready: &mut Vec<Ready>,
        timeout: Option<Duration>,
        bell: &Bell,
    ) -> io::Result<()> {
        self.fill();
        let look = timeout == Some(Duration::ZERO);
        let timeout = if look || !bell.doze() { 0 } else { millis(timeout) };
        let span = TIMEVAL { tv_sec: timeout / 1000, tv_usec: timeout % 1000 * 1000 };
        let span = if timeout < 0 { ptr::null() } else { &raw const span };
        let [read, write, broken] =
            [seal(&mut self.read), seal(&mut self.write), seal(&mut self.broken)];
        // SAFETY: each list begins with its length, and only becomes shorter.
        let told = sys::check(unsafe { select(0, read, write, broken, span) });
        if !look {
            bell.rouse();
        }
        if told? == 0 {
            return Ok(());
        }
        if left(&self.read).contains(&self.bell.raw()) {
            self.bell.clear();
        }
        report(&self.read, Lane::In, &mut self.entries, ready);
        report(&self.write, Lane::Out, &mut self.entries, ready);
        report(&self.broken, Lane::Out, &mut self.entries, ready);
        Ok(())
    }
}

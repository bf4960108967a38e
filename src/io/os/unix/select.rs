//! select(2): two sets of bits go to the kernel at each wait, and come back with what is ready.
//!
//! A set is as long as the highest descriptor needs, so numbers past FD_SETSIZE do where the
//! system takes them. Level-triggered: what a try leaves behind, an end included, is reported again
//! once the lane is armed, so `Ready::ended` is never needed.

use super::doorbell::EventFd;
use crate::io::bell::Bell;
use crate::io::op::{LANES, Lane, Token};
use crate::io::readiness::{Readiness, Ready, millis};
use socket2::Socket;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::ptr;
use std::sync::Arc;
use std::time::Duration;

/// A wait costs time with the highest descriptor, armed or not, and past FD_SETSIZE every other
/// model is cheaper: so many for one worker, as one `fd_set` would hold.
const SOCKETS_MAX: u32 = libc::FD_SETSIZE as u32;
/// Descriptors from here on are refused: Apple's select takes no longer set.
const DESCRIPTORS_MAX: Option<RawFd> =
    if cfg!(target_vendor = "apple") { Some(libc::FD_SETSIZE as RawFd) } else { None };
const WORD_BITS: usize = usize::BITS as usize;

/// Bits by descriptor, laid out as in an `fd_set`: there too the words are longs.
type Set = Vec<usize>;

/// The sets.
pub struct Select {
    /// What is asked for, by lane.
    wanted: [Set; 2],
    /// A copy for the kernel to write to.
    told: [Set; 2],
    /// By descriptor, up to the highest.
    tokens: Vec<Option<Token>>,
    /// Descriptors by token index; -1 is none.
    fds: Vec<RawFd>,
    bell: Arc<EventFd>,
}

fn place(fd: usize) -> (usize, usize) {
    (fd / WORD_BITS, 1 << (fd % WORD_BITS))
}

/// Whether a descriptor has a place in a set.
fn reach(fd: RawFd) -> io::Result<()> {
    let fits = DESCRIPTORS_MAX.is_none_or(|max| fd < max);
    if fits { Ok(()) } else { Err(io::ErrorKind::QuotaExceeded.into()) }
}

impl Select {
    /// Makes the sets as long as the highest descriptor needs.
    fn fit(&mut self) {
        let words = self.tokens.len().div_ceil(WORD_BITS);
        for set in self.wanted.iter_mut().chain(&mut self.told) {
            set.resize(words, 0);
        }
    }

    fn insert(&mut self, fd: RawFd, token: Option<Token>) {
        let fd = fd as usize;
        if self.tokens.len() <= fd {
            self.tokens.resize(fd + 1, None);
            self.fit();
        }
        self.tokens[fd] = token;
    }

    /// The socket's descriptor.
    fn fd(&self, token: Token) -> Option<usize> {
        let fd = usize::try_from(*self.fds.get(token.index())?).ok()?;
        (self.tokens[fd] == Some(token)).then_some(fd)
    }

    fn want(&mut self, fd: usize, lane: Lane) {
        let (word, bit) = place(fd);
        self.wanted[lane as usize][word] |= bit;
    }

    /// Some descriptor is not open any more, which other code closed: it is reported, and its next
    /// try fails. Without the bell nothing could wake this thread any more.
    #[cold]
    fn report_closed(&mut self, ready: &mut Vec<Ready>) -> io::Result<()> {
        for (fd, token) in self.tokens.iter().enumerate() {
            let (word, bit) = place(fd);
            let is_wanted = self.wanted.iter().any(|set| set[word] & bit != 0);
            // SAFETY: asking for flags changes nothing.
            if !is_wanted || unsafe { libc::fcntl(fd as RawFd, libc::F_GETFD) } >= 0 {
                continue;
            }
            let Some(token) = *token else {
                return Err(io::Error::from_raw_os_error(libc::EBADF));
            };
            for lane in LANES {
                if self.wanted[lane as usize][word] & bit != 0 {
                    self.wanted[lane as usize][word] &= !bit;
                    ready.push(Ready { token, lane, ended: false });
                }
            }
        }
        Ok(())
    }

    /// Reports and disarms what the kernel left in a lane's set.
    fn report(&mut self, lane: Lane, ready: &mut Vec<Ready>) {
        let (told, wanted) = (&self.told[lane as usize], &mut self.wanted[lane as usize]);
        for (at, (&told, wanted)) in told.iter().zip(wanted).enumerate() {
            let mut left = told;
            while left != 0 {
                let fd = at * WORD_BITS + left.trailing_zeros() as usize;
                left &= left - 1;
                if let Some(token) = self.tokens[fd] {
                    ready.push(Ready { token, lane, ended: false });
                    *wanted &= !place(fd).1;
                } else {
                    self.bell.clear();
                }
            }
        }
    }
}

impl Readiness for Select {
    const SOCKETS_MAX: Option<u32> = Some(SOCKETS_MAX);

    fn open() -> io::Result<(Self, Bell)> {
        let bell = Arc::new(EventFd::new()?);
        reach(bell.fd())?;
        let mut select = Select {
            wanted: Default::default(),
            told: Default::default(),
            tokens: Vec::new(),
            fds: Vec::new(),
            bell: bell.clone(),
        };
        select.insert(bell.fd(), None);
        select.want(bell.fd() as usize, Lane::In);
        Ok((select, Bell::new(move || bell.set())))
    }

    fn admit(&self, socket: &Socket) -> io::Result<()> {
        reach(socket.as_raw_fd())
    }

    fn add(&mut self, token: Token, socket: &Socket) -> io::Result<()> {
        let fd = socket.as_raw_fd();
        self.insert(fd, Some(token));
        if self.fds.len() <= token.index() {
            self.fds.resize(token.index() + 1, -1);
        }
        self.fds[token.index()] = fd;
        Ok(())
    }

    fn remove(&mut self, token: Token, _socket: &Socket) {
        let Some(fd) = self.fd(token) else { return };
        self.fds[token.index()] = -1;
        self.tokens[fd] = None;
        let (word, bit) = place(fd);
        self.wanted.iter_mut().for_each(|set| set[word] &= !bit);
        let floor = self.bell.fd() as usize;
        while self.tokens.len() > floor + 1 && self.tokens.last() == Some(&None) {
            self.tokens.pop();
        }
        self.fit();
    }

    fn blocked(&mut self, _token: Token, _lane: Lane) {}

    fn arm(&mut self, token: Token, lane: Lane) -> io::Result<()> {
        if let Some(fd) = self.fd(token) {
            self.want(fd, lane);
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
        let mut span = libc::timeval {
            tv_sec: (timeout / 1000).into(),
            tv_usec: (timeout % 1000 * 1000).into(),
        };
        let span = if timeout < 0 { ptr::null_mut() } else { &raw mut span };
        for (told, wanted) in self.told.iter_mut().zip(&self.wanted) {
            told.copy_from_slice(wanted);
        }
        let [read, write] = self.told.each_mut().map(|set| set.as_mut_ptr().cast());
        let count = self.tokens.len() as libc::c_int;
        // SAFETY: both sets have a bit for each descriptor below `count`, which is all it writes.
        let told = unsafe { libc::select(count, read, write, ptr::null_mut(), span) };
        let error = io::Error::last_os_error();
        if !look {
            bell.rouse();
        }
        if told < 0 {
            return match error.raw_os_error() {
                Some(libc::EINTR) => Ok(()),
                Some(libc::EBADF) => self.report_closed(ready),
                _ => Err(error),
            };
        }
        if told > 0 {
            LANES.into_iter().for_each(|lane| self.report(lane, ready));
        }
        Ok(())
    }
}

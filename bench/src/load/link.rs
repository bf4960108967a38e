//! A connection on which messages go out and come back.

use super::{BUFFER, Common};
use crate::net;
use crate::pattern::{Pattern, Verifier};
use crate::wire::Wire;
use anyhow::{Context, Result, bail};
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::fd::AsRawFd;

/// Edges only: they save the kernel a look at each socket that was just emptied. Room is watched
/// from the beginning, which costs nothing until there was none.
pub const BOTH: i32 = libc::EPOLLIN | libc::EPOLLOUT | libc::EPOLLRDHUP | libc::EPOLLET;
pub const INPUT: i32 = libc::EPOLLIN | libc::EPOLLRDHUP | libc::EPOLLET;
/// With one of these reading goes on to the end, which no further edge would tell.
const ENDING: u32 = (libc::EPOLLRDHUP | libc::EPOLLHUP | libc::EPOLLERR) as u32;

pub struct Link {
    n: u32,
    stream: TcpStream,
    wire: Wire,
    pub verifier: Verifier,
    /// Messages sent so far.
    pub sent: u64,
    /// What the socket had no room for, and how much of it went out since.
    rest: Vec<u8>,
    rest_sent: usize,
}

impl Link {
    /// Connects all.
    pub fn connect(common: &Common) -> Result<Vec<Self>> {
        let link = |n| {
            let mut stream = net::connect(common.port, n)?;
            let mut wire = common.wires.make(n)?;
            wire.open(&mut stream)?;
            stream.set_nonblocking(true)?;
            common.poller.add(stream.as_raw_fd(), n, BOTH)?;
            let verifier = Verifier::new(n, 0);
            Ok(Self { n, stream, wire, verifier, sent: 0, rest: Vec::new(), rest_sent: 0 })
        };
        (0..common.conns).map(link).collect()
    }

    /// Sends the next `count` messages, together; `out` is memory to make them in.
    pub fn send(&mut self, pattern: &Pattern, count: u64, out: &mut Vec<u8>) -> Result<()> {
        let size = pattern.size() * usize::try_from(count)?;
        if out.len() < size {
            out.resize(size, 0);
        }
        let out = &mut out[..size];
        for message in out.chunks_exact_mut(pattern.size()) {
            pattern.write(self.n, self.sent, message);
            self.sent += 1;
        }
        if let Wire::Tcp = self.wire {
            let taken = if self.rest.is_empty() { write(&mut self.stream, out)? } else { 0 };
            self.rest.extend_from_slice(&out[taken..]);
            return Ok(());
        }
        self.wire.wrap(out, pattern.size(), &mut self.rest)?;
        self.send_rest()
    }

    /// Sends what there was no room for, if there is some.
    pub fn send_rest(&mut self) -> Result<()> {
        while !self.rest.is_empty() {
            let taken = write(&mut self.stream, &self.rest[self.rest_sent..])?;
            self.rest_sent += taken;
            if taken == 0 {
                break;
            }
            if self.rest_sent == self.rest.len() {
                self.rest.clear();
                self.rest_sent = 0;
            }
        }
        Ok(())
    }

    /// Receives and verifies what there is, but one piece at most; gives how many messages it
    /// completed, and whether there may be more.
    pub fn receive(
        &mut self,
        pattern: &Pattern,
        ready: u32,
        received: &mut [u8],
    ) -> Result<(u64, bool)> {
        let count = receive(&mut self.stream, received)?;
        let (verifier, mut verified) = (&mut self.verifier, 0);
        self.wire.unwrap(&received[..count], |bytes| {
            verified += verifier.feed(pattern, bytes)?;
            Ok(())
        })?;
        Ok((verified, more(count, ready)))
    }
}

/// Receives at most a buffer full; 0: there is nothing now. The end is a failure: no server has a
/// reason to close.
pub fn receive(stream: &mut TcpStream, received: &mut [u8]) -> Result<usize> {
    match stream.read(received) {
        Ok(0) => bail!("the server closed it"),
        Ok(count) => Ok(count),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(0),
        Err(error) => Err(error).context("receive"),
    }
}

/// Whether there may be more after so many bytes. A short read has emptied the socket: what comes
/// later has an edge of its own.
pub fn more(count: usize, ready: u32) -> bool {
    count == BUFFER || (count > 0 && ready & ENDING != 0)
}

/// How much the socket had room for.
pub fn write(stream: &mut TcpStream, bytes: &[u8]) -> Result<usize> {
    match stream.write(bytes) {
        Ok(count) => Ok(count),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(0),
        Err(error) => Err(error).context("send"),
    }
}

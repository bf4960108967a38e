//! The load generator: so many connections, so many messages in flight on each, closed loop. Every
//! byte that comes back is verified, and only verified messages count.

use crate::counter::Counter;
use crate::net::{self, Poller};
use crate::pattern::{self, Verifier};
use anyhow::{Context, Result, bail};
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::time::{Duration, Instant};

const EVENTS: usize = 1024;
const BUFFER: usize = 65_536;
/// How often the clock is looked at when nothing happens.
const WAIT_MS: i32 = 1000;

/// What to load a server with.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    pub port: u16,
    pub conns: u32,
    pub in_flight: u32,
    pub size: usize,
    pub counter: PathBuf,
    /// It ends by itself after so long, whatever became of the harness.
    pub limit: Duration,
}

struct Conn {
    stream: TcpStream,
    verifier: Verifier,
    /// Messages written to `out` so far.
    sent: u64,
    /// What the socket had no room for; while there is some, it is also watched for room.
    rest: Vec<u8>,
}

struct Load {
    options: Options,
    poller: Poller,
    conns: Vec<Conn>,
    counter: Counter,
    received: Box<[u8]>,
    out: Vec<u8>,
}

/// Connects, says "ready", and loads until it is ended or the limit is over.
pub fn run(options: Options) -> Result<()> {
    let mut load = Load::connect(options)?;
    println!("ready");
    load.start()?;
    let deadline = Instant::now() + load.options.limit;
    let mut events = vec![libc::epoll_event { events: 0, u64: 0 }; EVENTS];
    while Instant::now() < deadline {
        let poller = &load.poller;
        let ready: Vec<_> =
            poller.wait(&mut events, WAIT_MS)?.iter().map(|e| (e.u64 as usize, e.events)).collect();
        for (n, bits) in ready {
            load.turn(n, bits as i32).with_context(|| format!("connection {n}"))?;
        }
    }
    Ok(())
}

impl Load {
    fn connect(options: Options) -> Result<Self> {
        let counter = Counter::open(&options.counter)?;
        let poller = Poller::new()?;
        let mut conns = Vec::with_capacity(options.conns as usize);
        for n in 0..options.conns {
            let stream = net::connect(options.port, n)?;
            stream.set_nonblocking(true)?;
            poller.add(stream.as_raw_fd(), n, libc::EPOLLIN)?;
            let verifier = Verifier::new(n, options.size);
            conns.push(Conn { stream, verifier, sent: 0, rest: Vec::new() });
        }
        let received = vec![0; BUFFER].into_boxed_slice();
        Ok(Self { options, poller, conns, counter, received, out: Vec::new() })
    }

    fn start(&mut self) -> Result<()> {
        (0..self.conns.len()).try_for_each(|n| self.send(n, u64::from(self.options.in_flight)))
    }

    fn turn(&mut self, n: usize, ready: i32) -> Result<()> {
        if ready & libc::EPOLLOUT != 0 {
            self.send_rest(n)?;
        }
        if ready & !libc::EPOLLOUT == 0 {
            return Ok(());
        }
        let conn = &mut self.conns[n];
        let count = match conn.stream.read(&mut self.received) {
            Ok(0) => bail!("the server closed it"),
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error).context("receive"),
        };
        let verified = conn.verifier.feed(&self.received[..count]);
        let verified = verified.map_err(|mismatch| anyhow::anyhow!("{mismatch}"))?;
        self.counter.add(verified);
        self.send(n, verified)
    }

    /// Sends the next `count` messages of a connection, together.
    fn send(&mut self, n: usize, count: u64) -> Result<()> {
        if count == 0 {
            return Ok(());
        }
        let conn = &mut self.conns[n];
        self.out.resize(self.options.size * usize::try_from(count)?, 0);
        for message in self.out.chunks_exact_mut(self.options.size) {
            pattern::write(n as u32, conn.sent, message);
            conn.sent += 1;
        }
        if !conn.rest.is_empty() {
            conn.rest.extend_from_slice(&self.out);
            return Ok(());
        }
        let taken = write(&mut conn.stream, &self.out)?;
        if taken < self.out.len() {
            conn.rest.extend_from_slice(&self.out[taken..]);
            let both = libc::EPOLLIN | libc::EPOLLOUT;
            self.poller.change(conn.stream.as_raw_fd(), n as u32, both)?;
        }
        Ok(())
    }

    fn send_rest(&mut self, n: usize) -> Result<()> {
        let conn = &mut self.conns[n];
        let taken = write(&mut conn.stream, &conn.rest)?;
        conn.rest.drain(..taken);
        if conn.rest.is_empty() {
            self.poller.change(conn.stream.as_raw_fd(), n as u32, libc::EPOLLIN)?;
        }
        Ok(())
    }
}

/// How much the socket had room for.
fn write(stream: &mut TcpStream, bytes: &[u8]) -> Result<usize> {
    match stream.write(bytes) {
        Ok(count) => Ok(count),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(0),
        Err(error) => Err(error).context("send"),
    }
}

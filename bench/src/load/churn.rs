//! Connections that come and go: each has one echo, and the client closes first.

use super::link::{self, BOTH, INPUT};
use super::{Common, Work, clock};
use crate::net;
use crate::pattern::{Pattern, Verifier};
use anyhow::{Context, Result, bail};
use std::io::{ErrorKind, Write};
use std::net::TcpStream;
use std::os::fd::AsRawFd;

pub struct Churn {
    pattern: Pattern,
    /// So many at once.
    conns: Vec<Option<Conn>>,
    /// Connections begun so far.
    begun: u64,
    message: Vec<u8>,
}

struct Conn {
    stream: TcpStream,
    verifier: Verifier,
    /// Bytes of the message that are sent.
    sent: usize,
    /// When connecting began.
    began: u64,
}

impl Churn {
    pub fn new(common: &Common, pattern: Pattern) -> Self {
        let conns = (0..common.conns).map(|_| None).collect();
        let message = vec![0; pattern.size()];
        Self { pattern, conns, begun: 0, message }
    }

    /// Begins the next connection in place `n`.
    fn begin(&mut self, common: &Common, n: u32) -> Result<()> {
        let (began, number) = (clock::now(), self.begun);
        let stream = net::begin(common.port, number)?;
        self.begun += 1;
        let mut conn = Conn { stream, verifier: Verifier::new(n, number), sent: 0, began };
        self.pattern.write(n, number, &mut self.message);
        // On one machine it is mostly connected by now.
        conn.send(&self.message)?;
        let interest = if conn.sent < self.message.len() { BOTH } else { INPUT };
        common.poller.add(conn.stream.as_raw_fd(), n, interest)?;
        self.conns[n as usize] = Some(conn);
        Ok(())
    }
}

impl Conn {
    /// Sends what is left of the message; if it is not connected yet, nothing.
    fn send(&mut self, message: &[u8]) -> Result<()> {
        match self.stream.write(&message[self.sent..]) {
            Ok(count) => self.sent += count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error).context("cannot connect or send"),
        }
        Ok(())
    }
}

impl Work for Churn {
    fn start(&mut self, common: &mut Common) -> Result<()> {
        (0..common.conns).try_for_each(|n| self.begin(common, n))
    }

    fn turn(&mut self, common: &mut Common, n: u32, ready: u32) -> Result<()> {
        let conn = self.conns[n as usize].as_mut().context("an event of nobody")?;
        if conn.sent < self.message.len() {
            self.pattern.write(n, conn.verifier.sequence(), &mut self.message);
            conn.send(&self.message)?;
        }
        let (mut verified, mut more) = (0, ready & !libc::EPOLLOUT as u32 != 0);
        while more && verified == 0 {
            let count = link::receive(&mut conn.stream, &mut common.received)?;
            verified += conn.verifier.feed(&self.pattern, &common.received[..count])?;
            more = link::more(count, ready);
        }
        if verified == 0 {
            return Ok(());
        }
        if verified > 1 || !conn.verifier.between_messages() {
            bail!("more came back than was sent");
        }
        common.latencies.record(conn.began, clock::now());
        // Its end is the ordinary one, and the client's.
        self.conns[n as usize] = None;
        common.counter.add(1);
        self.begin(common, n)
    }
}

//! Connections that come and go: each has one echo, and the client closes first.

use super::link::{self, BOTH, INPUT};
use super::{Common, Work, clock};
use crate::net;
use crate::pattern::{Pattern, Verifier};
use crate::wire::Wire;
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
    wire: Wire,
    verifier: Verifier,
    /// What is to be sent, and how much of it was.
    out: Vec<u8>,
    sent: usize,
    /// The message is in there or was.
    asked: bool,
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
        let (wire, verifier) = (common.wires.make(n)?, Verifier::new(n, number));
        let out = Vec::new();
        let mut conn = Conn { stream, wire, verifier, out, sent: 0, asked: false, began };
        self.pattern.write(n, number, &mut self.message);
        // On one machine it is mostly connected by now.
        conn.send(&self.message)?;
        let interest = if conn.is_sent() { INPUT } else { BOTH };
        common.poller.add(conn.stream.as_raw_fd(), n, interest)?;
        self.conns[n as usize] = Some(conn);
        Ok(())
    }
}

impl Conn {
    fn is_sent(&self) -> bool {
        // An open wire is needed for the message, and comes with input.
        self.sent == self.out.len()
    }

    /// Sends what there is to send, the message too if it may pass; if it is not connected yet,
    /// nothing.
    fn send(&mut self, message: &[u8]) -> Result<()> {
        self.wire.speak(&mut self.out)?;
        if self.wire.is_open() && !self.asked {
            self.wire.wrap(message, message.len(), &mut self.out)?;
            self.asked = true;
        }
        if self.is_sent() {
            return Ok(());
        }
        match self.stream.write(&self.out[self.sent..]) {
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
        self.pattern.write(n, conn.verifier.sequence(), &mut self.message);
        conn.send(&self.message)?;
        let (mut verified, mut more) = (0, ready & !libc::EPOLLOUT as u32 != 0);
        while more && verified == 0 {
            let count = link::receive(&mut conn.stream, &mut common.received)?;
            let (verifier, pattern) = (&mut conn.verifier, &self.pattern);
            conn.wire.unwrap(&common.received[..count], |bytes| {
                verified += verifier.feed(pattern, bytes)?;
                Ok(())
            })?;
            more = link::more(count, ready);
            if verified == 0 {
                conn.send(&self.message)?;
            }
        }
        if verified == 0 {
            return Ok(());
        }
        if verified > 1 || !conn.verifier.between_messages() {
            bail!("more came back than was sent");
        }
        common.latencies.record(conn.began, clock::now());
        // Its end is the ordinary one, and the client's.
        conn.out.clear();
        conn.wire.end(&mut conn.out)?;
        // There is room: all that was sent has come back.
        link::write(&mut conn.stream, &conn.out)?;
        self.conns[n as usize] = None;
        common.counter.add(1);
        self.begin(common, n)
    }
}

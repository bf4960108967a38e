//! The closed loop: each message that comes back is followed by the next one.

use super::link::Link;
use super::{Common, Work, clock};
use crate::pattern::Pattern;
use anyhow::Result;

pub struct Closed {
    pattern: Pattern,
    links: Vec<Link>,
    in_flight: u32,
    /// Only the first so many carry load.
    active: u32,
    /// When messages began: `in_flight` places for each active connection.
    began: Vec<u64>,
    out: Vec<u8>,
}

impl Closed {
    pub fn connect(common: &Common, pattern: Pattern, in_flight: u32, active: u32) -> Result<Self> {
        let links = Link::connect(common)?;
        let began = vec![0; active as usize * in_flight as usize];
        Ok(Self { pattern, links, in_flight, active, began, out: Vec::new() })
    }

    /// Sends the next `count` messages of a connection.
    fn send(&mut self, n: u32, count: u64) -> Result<()> {
        let link = &mut self.links[n as usize];
        let now = clock::now();
        for sequence in link.sent..link.sent + count {
            self.began[place(n, self.in_flight, sequence)] = now;
        }
        link.send(&self.pattern, count, &mut self.out)
    }
}

/// Where the beginning of a message is kept.
fn place(n: u32, in_flight: u32, sequence: u64) -> usize {
    (u64::from(n) * u64::from(in_flight) + sequence % u64::from(in_flight)) as usize
}

impl Work for Closed {
    fn start(&mut self, _common: &mut Common) -> Result<()> {
        (0..self.active).try_for_each(|n| self.send(n, u64::from(self.in_flight)))
    }

    fn turn(&mut self, common: &mut Common, n: u32, ready: u32) -> Result<()> {
        let mut more = true;
        self.links[n as usize].send_rest()?;
        while more && ready & !libc::EPOLLOUT as u32 != 0 {
            let link = &mut self.links[n as usize];
            let first = link.verifier.sequence();
            let verified;
            (verified, more) = link.receive(&self.pattern, ready, &mut common.received)?;
            if verified > 0 {
                let now = clock::now();
                for sequence in first..first + verified {
                    let began = self.began[place(n, self.in_flight, sequence)];
                    common.latencies.record(began, now);
                }
                common.counter.add(verified);
                self.send(n, verified)?;
            }
        }
        Ok(())
    }
}

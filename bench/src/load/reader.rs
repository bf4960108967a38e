//! Takes what a server sends to all its connections, and verifies that each gets all of it.

use super::link::{self, INPUT};
use super::{Common, Work, clock};
use crate::net;
use crate::pattern::broadcast::{Messages, Verifier};
use crate::wire::Wire;
use anyhow::{Result, bail};
use std::net::TcpStream;
use std::os::fd::AsRawFd;

pub struct Reader {
    conns: Vec<Conn>,
    messages: Messages,
    times: Vec<u64>,
}

struct Conn {
    stream: TcpStream,
    wire: Wire,
    verifier: Verifier,
}

impl Reader {
    /// Connects all; of a thousand of them, `slow` never read.
    pub fn connect(common: &Common, slow: u32) -> Result<Self> {
        let conn = |n| {
            let is_slow = is_slow(n, slow);
            // What a slow one does not take is to wait in the server soon.
            let connect = if is_slow { net::connect_idle } else { net::connect };
            let mut stream = connect(common.port, n)?;
            let mut wire = common.wires.make(n)?;
            wire.greet(&mut stream)?;
            Ok(Conn { stream, wire, verifier: Verifier::default() })
        };
        let mut conns = (0..common.conns).map(conn).collect::<Result<Vec<_>>>()?;
        for (n, Conn { stream, wire, .. }) in (0..).zip(&mut conns) {
            wire.open(stream)?;
            stream.set_nonblocking(true)?;
            // That a slow one is closed is seen too.
            let interest = if is_slow(n, slow) { libc::EPOLLRDHUP } else { INPUT };
            common.poller.add(stream.as_raw_fd(), n, interest)?;
        }
        Ok(Self { conns, messages: Messages::default(), times: Vec::new() })
    }
}

/// Whether connection `n` is one of `slow` in a thousand, which are spread evenly.
fn is_slow(n: u32, slow: u32) -> bool {
    let before = |n: u64| n * u64::from(slow) / 1000;
    before(u64::from(n) + 1) > before(u64::from(n))
}

impl Work for Reader {
    fn turn(&mut self, common: &mut Common, n: u32, ready: u32) -> Result<()> {
        let Conn { stream, wire, verifier } = &mut self.conns[n as usize];
        let mut more = true;
        while more {
            let count = link::receive(stream, &mut common.received)?;
            more = link::more(count, ready);
            let now = clock::now();
            self.times.clear();
            wire.unwrap(&common.received[..count], |bytes| {
                Ok(verifier.feed(&mut self.messages, bytes, |time| self.times.push(time))?)
            })?;
            for time in &self.times {
                if *time > now {
                    bail!("a message of {} ns later", time - now);
                }
                common.latencies.record(*time, now);
            }
            common.counter.add(self.times.len() as u64);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slow_ones_are_a_part_of_all() {
        let count = |conns, slow| (0..conns).filter(|n| is_slow(*n, slow)).count();
        assert_eq!((count(1000, 10), count(100, 10), count(5000, 3)), (10, 1, 15));
        assert_eq!((count(1000, 0), count(1000, 1000), count(4, 500)), (0, 1000, 2));
    }
}

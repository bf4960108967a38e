//! The closed loop in datagrams: each that comes back is followed by the next one. One may be lost
//! where a buffer is full, so each has a deadline, after which it is sent again; its latency counts
//! from the first time. They may come back in any order, and one that was late comes back twice.

use super::{Common, Work, clock};
use crate::pattern::{Pattern, Verifier};
use anyhow::{Context, Result, bail, ensure};
use std::io::ErrorKind;
use std::net::{Ipv4Addr, UdpSocket};
use std::os::fd::AsRawFd;

/// Who has not come back by then is taken for lost: long beside any way through a server.
const LOST_NS: u64 = 100_000_000;
/// How often the deadlines are looked at.
const LOOK_NS: u64 = LOST_NS / 4;

pub struct Udp {
    pattern: Pattern,
    clients: Vec<Client>,
    /// When the deadlines are looked at next.
    look: u64,
    out: Vec<u8>,
}

struct Client {
    n: u32,
    socket: UdpSocket,
    /// The datagrams in flight.
    under_way: Vec<Sent>,
    /// The number of the next one.
    next: u64,
}

struct Sent {
    sequence: u64,
    /// When it left first, and when last.
    began: u64,
    left: u64,
}

impl Udp {
    pub fn connect(common: &Common, pattern: Pattern, in_flight: u32) -> Result<Self> {
        let client = |n| {
            let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).context("cannot bind")?;
            socket.connect((Ipv4Addr::LOCALHOST, common.port)).context("cannot connect")?;
            socket.set_nonblocking(true)?;
            // Level-triggered: a turn leaves what came later to the next.
            common.poller.add(socket.as_raw_fd(), n, libc::EPOLLIN)?;
            let fresh = |sequence| Sent { sequence, began: 0, left: 0 };
            let under_way = (0..u64::from(in_flight)).map(fresh).collect();
            Ok(Client { n, socket, under_way, next: in_flight.into() })
        };
        let clients = (0..common.conns).map(client).collect::<Result<_>>()?;
        let out = vec![0; pattern.size()];
        Ok(Self { pattern, clients, look: 0, out })
    }
}

impl Client {
    /// Sends the datagram in this place.
    fn send(&mut self, place: usize, pattern: &Pattern, out: &mut [u8]) -> Result<()> {
        let sent = &mut self.under_way[place];
        sent.left = clock::now();
        if sent.began == 0 {
            sent.began = sent.left;
        }
        pattern.write(self.n, sent.sequence, out);
        match self.socket.send(out) {
            // There was no room: it is lost at once.
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(()),
            other => other.map(drop).context("send"),
        }
    }

    /// Verifies a datagram; gives the place of what it answers, `None` if that came before.
    fn verify(&self, pattern: &Pattern, datagram: &[u8]) -> Result<Option<usize>> {
        let (count, size) = (datagram.len(), pattern.size());
        ensure!(count == size, "a datagram of {count} bytes, not {size}");
        let number = datagram[8..16].try_into().context("the number of a message")?;
        let sequence = u64::from_be_bytes(number);
        ensure!(sequence < self.next, "message {sequence} came, which was never sent");
        Verifier::new(self.n, sequence).feed(pattern, datagram)?;
        Ok(self.under_way.iter().position(|sent| sent.sequence == sequence))
    }
}

impl Work for Udp {
    fn start(&mut self, _common: &mut Common) -> Result<()> {
        for client in &mut self.clients {
            for place in 0..client.under_way.len() {
                client.send(place, &self.pattern, &mut self.out)?;
            }
        }
        Ok(())
    }

    /// Sends again what is lost. A stop of this process does not count: what came meanwhile waits.
    fn due(&mut self, _common: &mut Common) -> Result<u64> {
        let now = clock::now();
        if now < self.look {
            return Ok(self.look - now);
        }
        self.look = now + LOOK_NS;
        for client in &mut self.clients {
            for place in 0..client.under_way.len() {
                let left = client.under_way[place].left.max(clock::went_on());
                if now.saturating_sub(left) > LOST_NS {
                    client.send(place, &self.pattern, &mut self.out)?;
                }
            }
        }
        Ok(LOOK_NS)
    }

    /// Takes as many as may be in flight.
    fn turn(&mut self, common: &mut Common, n: u32, _ready: u32) -> Result<()> {
        let client = &mut self.clients[n as usize];
        for _ in 0..client.under_way.len() {
            let count = match client.socket.recv(&mut common.received) {
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => bail!("receive: {error}"),
            };
            let found = client.verify(&self.pattern, &common.received[..count])?;
            let Some(place) = found else { continue };
            common.latencies.record(client.under_way[place].began, clock::now());
            common.counter.add(1);
            client.under_way[place] = Sent { sequence: client.next, began: 0, left: 0 };
            client.next += 1;
            client.send(place, &self.pattern, &mut self.out)?;
        }
        Ok(())
    }
}

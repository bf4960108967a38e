//! A line between players and a server, as a process: delay, jitter, loss, and a bottleneck with a
//! queue that drops what no longer fits. A line `report` on its standard input asks what was done
//! since the line before.

use crate::net::Poller;
use crate::pattern;
use anyhow::{Context, Result, bail};
use lexopt::{Parser, ValueExt, prelude::*};
use socket2::SockRef;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::io::{self, BufRead, ErrorKind};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::sync::mpsc::{self, Receiver, TryRecvError};
use std::thread;
use std::time::{Duration, Instant};

/// Players that it takes, and packets under way.
const CLIENTS_MOST: usize = 256;
const PACKETS_MOST: usize = 65_536;
const LARGEST: usize = 65_507;
const BUFFER: usize = 4 << 20;
/// What IP and UDP add to a packet on the line.
const HEADERS: usize = 28;
const EVENTS: usize = 64;
/// How long an order waits.
const WAIT_MOST: Duration = Duration::from_millis(5);

/// What the line does, each way.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Weather {
    pub delay_us: u64,
    /// At most so much more, equally often each; packets may then overtake.
    pub jitter_us: u64,
    /// The part that is lost.
    pub loss: f64,
    /// Bits in a second, with all headers; 0: no bottleneck.
    pub rate_bits: u64,
    pub queue_ms: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Options {
    /// The server's port.
    pub to: u16,
    pub weather: Weather,
    pub seed: u64,
}

/// Takes all arguments that are left.
pub fn options(parser: &mut Parser) -> Result<Options> {
    let mut options = Options::default();
    let weather = &mut options.weather;
    while let Some(arg) = parser.next()? {
        match arg {
            Long("to") => options.to = parser.value()?.parse()?,
            Long("delay-us") => weather.delay_us = parser.value()?.parse()?,
            Long("jitter-us") => weather.jitter_us = parser.value()?.parse()?,
            Long("loss") => weather.loss = parser.value()?.parse()?,
            Long("rate-bits") => weather.rate_bits = parser.value()?.parse()?,
            Long("queue-ms") => weather.queue_ms = parser.value()?.parse()?,
            Long("seed") => options.seed = parser.value()?.parse()?,
            other => return Err(other.unexpected().into()),
        }
    }
    if options.to == 0 {
        bail!("--to PORT is missing");
    }
    Ok(options)
}

/// The arguments that `options` reads.
pub fn arguments(to: u16, weather: Weather, seed: u64) -> Vec<String> {
    let Weather { delay_us, jitter_us, loss, rate_bits, queue_ms } = weather;
    let line = format!(
        "--to {to} --delay-us {delay_us} --jitter-us {jitter_us} --loss {loss} \
         --rate-bits {rate_bits} --queue-ms {queue_ms} --seed {seed}"
    );
    line.split(' ').map(str::to_owned).collect()
}

/// One way of the line.
struct Way {
    weather: Weather,
    seed: u64,
    /// When the bottleneck has sent all that it has, in microseconds.
    free_at: f64,
    count: u64,
    lost: u64,
    dropped: u64,
    bytes: u64,
}

impl Way {
    fn new(weather: Weather, seed: u64) -> Self {
        Self { weather, seed, free_at: 0.0, count: 0, lost: 0, dropped: 0, bytes: 0 }
    }

    /// Between 0 and 1.
    fn chance(&mut self) -> f64 {
        (pattern::next(&mut self.seed) >> 11) as f64 / (1u64 << 53) as f64
    }

    /// When a packet of this size comes out at the other end.
    fn arrival(&mut self, size: usize, now: u64) -> Option<u64> {
        let size = size + HEADERS;
        self.count += 1;
        self.bytes += size as u64;
        if self.chance() < self.weather.loss {
            self.lost += 1;
            return None;
        }
        let mut leaves = now as f64;
        if self.weather.rate_bits > 0 {
            let begins = self.free_at.max(leaves);
            if begins - leaves > self.weather.queue_ms as f64 * 1e3 {
                self.dropped += 1;
                return None;
            }
            leaves = begins + size as f64 * 8e6 / self.weather.rate_bits as f64;
            self.free_at = leaves;
        }
        let jitter = self.chance() * self.weather.jitter_us as f64;
        Some((leaves + jitter) as u64 + self.weather.delay_us)
    }

    fn report(&mut self, name: &str) -> String {
        let Self { count, lost, dropped, bytes, .. } = *self;
        (self.count, self.lost, self.dropped, self.bytes) = (0, 0, 0, 0);
        format!(" {name}={count} {name}_lost={lost} {name}_dropped={dropped} {name}_bytes={bytes}")
    }
}

/// A packet under way: when it arrives, which it is, to which client or from it, and its bytes.
type Packet = (u64, u64, usize, bool, Vec<u8>);

struct Relay {
    to: SocketAddr,
    front: UdpSocket,
    poller: Poller,
    /// Each with the socket that stands for it on the server's side.
    clients: Vec<(SocketAddr, UdpSocket)>,
    known: HashMap<SocketAddr, usize>,
    up: Way,
    down: Way,
    under_way: BinaryHeap<Reverse<Packet>>,
    number: u64,
    begun: Instant,
}

/// The number of the players' side with the poller; clients follow.
const FRONT: u32 = 0;

pub fn run(options: Options) -> Result<()> {
    let front = socket()?;
    println!("listening {}", front.local_addr()?.port());
    let (sender, orders) = mpsc::channel();
    thread::spawn(move || {
        let orders = io::stdin().lock().lines().map_while(Result::ok);
        orders.map(|order| sender.send(order)).find(Result::is_err);
    });
    let mut seed = options.seed;
    let seeds = [pattern::next(&mut seed), pattern::next(&mut seed)];
    let poller = Poller::new()?;
    poller.add(front.as_raw_fd(), FRONT, libc::EPOLLIN)?;
    let mut relay = Relay {
        to: SocketAddr::from((Ipv4Addr::LOCALHOST, options.to)),
        front,
        poller,
        clients: Vec::new(),
        known: HashMap::new(),
        up: Way::new(options.weather, seeds[0]),
        down: Way::new(options.weather, seeds[1]),
        under_way: BinaryHeap::new(),
        number: 0,
        begun: Instant::now(),
    };
    relay.turns(&orders)
}

fn socket() -> Result<UdpSocket> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).context("cannot bind")?;
    socket.set_nonblocking(true)?;
    SockRef::from(&socket).set_recv_buffer_size(BUFFER)?;
    SockRef::from(&socket).set_send_buffer_size(BUFFER)?;
    Ok(socket)
}

impl Relay {
    fn now(&self) -> u64 {
        self.begun.elapsed().as_micros() as u64
    }

    /// Until its input ends.
    fn turns(&mut self, orders: &Receiver<String>) -> Result<()> {
        let mut events = vec![libc::epoll_event { events: 0, u64: 0 }; EVENTS];
        let mut buffer = vec![0; LARGEST];
        loop {
            match orders.try_recv() {
                Ok(_) => {
                    println!("report{}{}", self.up.report("up"), self.down.report("down"));
                }
                Err(TryRecvError::Empty) => {}
                Err(TryRecvError::Disconnected) => return Ok(()),
            }
            let next = self.under_way.peek().map(|Reverse(packet)| packet.0);
            let wait = next.map_or(WAIT_MOST, |at| {
                Duration::from_micros(at.saturating_sub(self.now())).min(WAIT_MOST)
            });
            let ready: Vec<u32> =
                self.poller.wait(&mut events, wait)?.iter().map(|event| event.u64 as u32).collect();
            for number in ready {
                self.take(number, &mut buffer)?;
            }
            self.give();
        }
    }

    /// Takes what waits on one socket.
    fn take(&mut self, number: u32, buffer: &mut [u8]) -> Result<()> {
        loop {
            let received = match number {
                FRONT => self.front.recv_from(buffer),
                _ => self.clients[number as usize - 1].1.recv(buffer).map(|size| (size, self.to)),
            };
            let (size, from) = match received {
                Ok(received) => received,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                // A server that is gone: what was sent to it is lost.
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => continue,
                Err(error) => return Err(error).context("cannot receive"),
            };
            let (client, up) = match number {
                FRONT => match self.client(from)? {
                    Some(client) => (client, true),
                    None => continue,
                },
                _ => (number as usize - 1, false),
            };
            let now = self.now();
            let way = if up { &mut self.up } else { &mut self.down };
            let Some(at) = way.arrival(size, now) else { continue };
            if self.under_way.len() < PACKETS_MOST {
                self.number += 1;
                let packet = (at, self.number, client, up, buffer[..size].to_vec());
                self.under_way.push(Reverse(packet));
            } else {
                way.dropped += 1;
            }
        }
    }

    /// The client of this address, who may be new; none where there are too many.
    fn client(&mut self, from: SocketAddr) -> Result<Option<usize>> {
        if let Some(client) = self.known.get(&from) {
            return Ok(Some(*client));
        }
        let client = self.clients.len();
        if client == CLIENTS_MOST {
            return Ok(None);
        }
        let socket = socket()?;
        socket.connect(self.to).context("cannot connect")?;
        self.poller.add(socket.as_raw_fd(), client as u32 + 1, libc::EPOLLIN)?;
        self.clients.push((from, socket));
        self.known.insert(from, client);
        Ok(Some(client))
    }

    /// Lets out what has arrived. What no socket takes is lost.
    fn give(&mut self) {
        let now = self.now();
        while self.under_way.peek().is_some_and(|Reverse(packet)| packet.0 <= now) {
            let Some(Reverse((_, _, client, up, bytes))) = self.under_way.pop() else { return };
            let (address, socket) = &self.clients[client];
            let sent = if up { socket.send(&bytes) } else { self.front.send_to(&bytes, address) };
            if sent.is_err() {
                let way = if up { &mut self.up } else { &mut self.down };
                way.dropped += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: Weather =
        Weather { delay_us: 50_000, jitter_us: 0, loss: 0.0, rate_bits: 0, queue_ms: 100 };

    #[test]
    fn arguments_are_read_back() {
        let weather = Weather { loss: 0.01, rate_bits: 10_000_000, ..LINE };
        let mut parser = Parser::from_args(arguments(7, weather, 3));
        assert_eq!(options(&mut parser).unwrap(), Options { to: 7, weather, seed: 3 });
    }

    #[test]
    fn a_clear_line_delays_and_no_more() {
        let mut way = Way::new(LINE, 1);
        assert_eq!(way.arrival(100, 7), Some(50_007));
        assert_eq!((way.lost, way.dropped, way.bytes), (0, 0, 128));
    }

    #[test]
    fn the_part_that_is_lost_is_that_asked_for() {
        let mut way = Way::new(Weather { loss: 0.01, ..LINE }, 1);
        let came = (0..100_000).filter_map(|now| way.arrival(100, now)).count() as u64;
        assert!((900..1100).contains(&way.lost) && came + way.lost == 100_000, "{}", way.lost);
    }

    #[test]
    fn a_bottleneck_takes_its_rate_and_drops_what_does_not_fit_its_queue() {
        // 1,250 B a millisecond.
        let mut way = Way::new(Weather { rate_bits: 10_000_000, ..LINE }, 1);
        let came: Vec<u64> = (0..200).filter_map(|_| way.arrival(1250 - HEADERS, 0)).collect();
        assert_eq!((came[0], came[1]), (51_000, 52_000));
        assert_eq!((came.len(), way.dropped), (101, 99));
    }

    #[test]
    fn jitter_lets_packets_overtake() {
        let mut way = Way::new(Weather { jitter_us: 10_000, ..LINE }, 1);
        let came: Vec<u64> = (0..100).filter_map(|now| way.arrival(100, now)).collect();
        assert!(!came.is_sorted());
        assert!(came.iter().all(|at| (50_000..60_200).contains(at)));
    }
}

//! The load generator, a process of its own with one thread. Every byte that comes is verified, and
//! only what was verified counts.
//!
//! - `closed`: so many messages in flight on each connection.
//! - `open`: so many messages a second, whether the server keeps up or not.
//! - `reader`: takes what the server sends to all.
//! - `churn`: connects, has one echo, closes, and again.
//! - `udp`: the closed loop with a datagram for each message; a lost one is sent again.
//!
//! It says "ready" when it is connected and loads at once. A line `report` on its standard input
//! asks for the latencies since the line before. It may be stopped by SIGSTOP: what was in flight
//! then is verified and counted, but tells nothing of the server and is no latency.

mod churn;
pub mod clock;
mod closed;
mod latency;
mod link;
mod open;
mod options;
mod orders;
mod reader;
mod udp;

pub use options::{Mode, Options, options};

use crate::counter::Counter;
use crate::net::Poller;
use crate::pattern::Pattern;
use crate::process;
use crate::wire::Wires;
use anyhow::{Context, Result};
use latency::Latencies;
use orders::Orders;
use std::time::Duration;

const EVENTS: usize = 1024;
/// Bytes that are received at a time.
const BUFFER: usize = 65_536;
/// How often the end is looked for when nothing happens.
const WAIT_NS: u64 = 1_000_000_000;
/// What the poller calls the standard input; connections are called by their numbers.
const ORDERS: u32 = u32::MAX;

/// What all modes use.
struct Common {
    port: u16,
    conns: u32,
    wires: Wires,
    poller: Poller,
    counter: Counter,
    latencies: Latencies,
    received: Box<[u8]>,
}

/// What a mode does.
trait Work {
    /// Once, at the beginning.
    fn start(&mut self, _common: &mut Common) -> Result<()> {
        Ok(())
    }

    /// Before each wait: does what is due, and gives how many ns the wait may take.
    fn due(&mut self, _common: &mut Common) -> Result<u64> {
        Ok(WAIT_NS)
    }

    /// Connection `n` is `ready`, in epoll's bits.
    fn turn(&mut self, common: &mut Common, n: u32, ready: u32) -> Result<()>;
}

/// Connects, says "ready", and loads until it is ended or the limit is over.
pub fn run(options: Options) -> Result<()> {
    process::raise_descriptors()?;
    let Options { port, conns, counter, wire, ca, limit, mode } = options;
    let wires = Wires::new(wire, ca.as_deref())?;
    let received = vec![0; BUFFER].into_boxed_slice();
    let (counter, poller) = (Counter::open(&counter)?, Poller::new()?);
    let latencies = Latencies::new()?;
    let mut common = Common { port, conns, wires, poller, counter, latencies, received };
    match mode {
        Mode::Closed { in_flight, size, active } => {
            let work = closed::Closed::connect(&common, Pattern::new(size), in_flight, active)?;
            drive(&mut common, work, limit)
        }
        Mode::Open { rate, size, asleep } => {
            let work = open::Open::connect(&common, Pattern::new(size), rate, asleep)?;
            drive(&mut common, work, limit)
        }
        Mode::Reader { slow } => {
            let work = reader::Reader::connect(&common, slow)?;
            drive(&mut common, work, limit)
        }
        Mode::Churn { size } => {
            let work = churn::Churn::new(&common, Pattern::new(size));
            drive(&mut common, work, limit)
        }
        Mode::Udp { in_flight, size } => {
            let work = udp::Udp::connect(&common, Pattern::new(size), in_flight)?;
            drive(&mut common, work, limit)
        }
    }
}

fn drive(common: &mut Common, mut work: impl Work, limit: Duration) -> Result<()> {
    let mut events = vec![libc::epoll_event { events: 0, u64: 0 }; EVENTS];
    let mut orders = Orders::watch(&common.poller)?;
    clock::watch_going_on()?;
    println!("ready");
    let end = clock::now() + u64::try_from(limit.as_nanos()).context("a long limit")?;
    work.start(common)?;
    while clock::now() < end {
        let most = Duration::from_nanos(work.due(common)?.min(WAIT_NS));
        for event in common.poller.wait(&mut events, most)? {
            match event.u64 as u32 {
                ORDERS => orders.take(&common.poller, &mut common.latencies)?,
                n => {
                    work.turn(common, n, event.events).with_context(|| format!("connection {n}"))?
                }
            }
        }
    }
    Ok(())
}

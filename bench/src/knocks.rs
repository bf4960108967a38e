//! A process of peers that no server lets in: each comes from another address of a /16, is reset,
//! and the next one comes. A line `report` on its standard input asks how many were refused since
//! the line before.

use crate::net::{self, Poller};
use crate::process;
use anyhow::{Result, bail};
use lexopt::{Parser, ValueExt, prelude::*};
use std::io::{self, BufRead};
use std::net::{Ipv4Addr, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

/// The first address of the /16 that all come from.
pub const NETWORK: Ipv4Addr = Ipv4Addr::new(127, 1, 0, 0);

/// So many may wait to be refused.
const WAITING: u32 = 8192;
const EVENTS: usize = 1024;
const WAIT: Duration = Duration::from_millis(1);
/// Who is late by more does not make up for it.
const LATE: Duration = Duration::from_millis(50);

/// Where to, and how many begin in a second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Options {
    pub port: u16,
    pub rate: u32,
}

/// Takes all arguments that are left.
pub fn options(parser: &mut Parser) -> Result<Options> {
    let mut options = Options { port: 0, rate: 0 };
    while let Some(arg) = parser.next()? {
        match arg {
            Long("port") => options.port = parser.value()?.parse()?,
            Long("rate") => options.rate = parser.value()?.parse()?,
            other => return Err(other.unexpected().into()),
        }
    }
    if options.rate == 0 {
        bail!("--rate has to be at least 1");
    }
    Ok(options)
}

/// Peer `n` comes from here.
fn source(n: u64) -> Ipv4Addr {
    Ipv4Addr::from_bits(NETWORK.to_bits() | (n & 0xFFFF) as u32)
}

/// They come until the process is ended.
pub fn run(options: Options) -> Result<()> {
    process::raise_descriptors()?;
    process::give_way()?;
    let refused = Arc::new(AtomicU64::new(0));
    let told = refused.clone();
    thread::spawn(move || {
        for order in io::stdin().lock().lines().map_while(Result::ok) {
            if order == "report" {
                println!("report refused={}", told.swap(0, SeqCst));
            }
        }
    });
    let poller = Poller::new()?;
    let mut waiting: Vec<Option<TcpStream>> = (0..WAITING).map(|_| None).collect();
    let mut free: Vec<u32> = (0..WAITING).collect();
    let mut events = vec![libc::epoll_event { events: 0, u64: 0 }; EVENTS];
    let (start, most) = (Instant::now(), LATE.as_secs_f64() * f64::from(options.rate));
    let mut begun = 0;
    println!("ready");
    loop {
        let due = (start.elapsed().as_secs_f64() * f64::from(options.rate)) as u64;
        begun = begun.max(due.saturating_sub(most as u64));
        while begun < due
            && let Some(at) = free.pop()
        {
            let stream = net::begin_from(source(begun), options.port)?;
            poller.add(stream.as_raw_fd(), at, libc::EPOLLRDHUP)?;
            waiting[at as usize] = Some(stream);
            begun += 1;
        }
        for event in poller.wait(&mut events, WAIT)? {
            let at = event.u64 as u32;
            // Its end takes it from the poller.
            if waiting[at as usize].take().is_some() {
                free.push(at);
                refused.fetch_add(1, SeqCst);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_come_from_all_of_the_network() {
        assert_eq!(source(0), NETWORK);
        assert_eq!(source(0x1_0203), Ipv4Addr::new(127, 1, 2, 3));
    }
}

//! A process of strangers: each claims a long frame, sends as much of it as the server takes, but
//! never its last byte. With `again` it comes back when it is closed.
//!
//! It says "ready" when each has sent all that it was going to, or as much as was taken. A line
//! `report` on its standard input asks what they did since the line before.

use crate::net::{self, Poller};
use crate::process;
use anyhow::{Context, Result, bail};
use lexopt::{Parser, ValueExt, prelude::*};
use std::io::{self, BufRead, ErrorKind, Write};
use std::net::TcpStream;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

/// Bytes of one write, and writes of a stranger before another one has its turn.
const PIECE: usize = 65_536;
const PIECES: usize = 4;
const EVENTS: usize = 1024;
const WAIT: Duration = Duration::from_secs(1);
/// While it has more to send, and when it has not.
const SENDING: i32 = libc::EPOLLOUT | libc::EPOLLRDHUP;
const STANDING: i32 = libc::EPOLLRDHUP;

/// What strangers there are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Options {
    pub port: u16,
    pub conns: u32,
    /// Bytes that a frame claims to have, without its length.
    pub claim: u32,
    /// A stranger that is closed connects again.
    pub again: bool,
}

/// Takes all arguments that are left.
pub fn options(parser: &mut Parser) -> Result<Options> {
    let mut options = Options { port: 0, conns: 0, claim: 1 << 20, again: false };
    while let Some(arg) = parser.next()? {
        match arg {
            Long("port") => options.port = parser.value()?.parse()?,
            Long("conns") => options.conns = parser.value()?.parse()?,
            Long("claim") => options.claim = parser.value()?.parse()?,
            Long("again") => options.again = true,
            other => return Err(other.unexpected().into()),
        }
    }
    if options.claim == 0 {
        bail!("--claim has to be at least 1");
    }
    Ok(options)
}

/// What they did since the last report.
#[derive(Default)]
struct Deeds {
    closed: AtomicU64,
    sent: AtomicU64,
}

struct Stranger {
    stream: TcpStream,
    /// Bytes of its frame that are sent, the length's included.
    sent: usize,
    /// It was seen to have sent what it could, once.
    stood: bool,
}

struct Crowd {
    options: Options,
    poller: Poller,
    all: Vec<Stranger>,
    /// How often one began, and how many never stood yet.
    begun: u64,
    moving: u32,
    deeds: Arc<Deeds>,
    /// The length, and filler behind it.
    frame: Box<[u8]>,
}

/// They come, say "ready" once they stand, and go on until the process is ended.
pub fn run(options: Options) -> Result<()> {
    process::raise_descriptors()?;
    process::give_way()?;
    let deeds = Arc::new(Deeds::default());
    let told = deeds.clone();
    thread::spawn(move || {
        for order in io::stdin().lock().lines().map_while(Result::ok) {
            if order == "report" {
                let [closed, sent] = [&told.closed, &told.sent].map(|sum| sum.swap(0, SeqCst));
                println!("report closed={closed} sent={sent}");
            }
        }
    });
    let mut frame = vec![7; PIECE].into_boxed_slice();
    frame[..4].copy_from_slice(&options.claim.to_be_bytes());
    let (poller, all) = (Poller::new()?, Vec::with_capacity(options.conns as usize));
    let moving = options.conns;
    let mut crowd = Crowd { options, poller, all, begun: 0, moving, deeds, frame };
    for n in 0..options.conns {
        let stream = crowd.come(n)?;
        crowd.all.push(Stranger { stream, sent: 0, stood: false });
    }
    let mut events = vec![libc::epoll_event { events: 0, u64: 0 }; EVENTS];
    let mut ready = false;
    loop {
        let mut lulled = true;
        for n in 0..crowd.poller.wait(&mut events, WAIT)?.len() {
            let libc::epoll_event { events, u64: n } = events[n];
            lulled = false;
            crowd.turn(n as u32, events)?;
        }
        if !ready && (crowd.moving == 0 || lulled) {
            ready = true;
            println!("ready");
        }
    }
}

impl Crowd {
    /// Begins a connection.
    fn come(&mut self, n: u32) -> Result<TcpStream> {
        let stream = net::begin(self.options.port, self.begun)?;
        self.begun += 1;
        self.poller.add(stream.as_raw_fd(), n, SENDING)?;
        Ok(stream)
    }

    fn turn(&mut self, n: u32, ready: u32) -> Result<()> {
        let gone = (libc::EPOLLRDHUP | libc::EPOLLHUP | libc::EPOLLERR) as u32;
        if ready & gone != 0 || !self.send(n)? {
            self.deeds.closed.fetch_add(1, SeqCst);
            if !self.options.again {
                self.poller.remove(self.all[n as usize].stream.as_raw_fd())?;
                self.moving -= u32::from(!std::mem::replace(&mut self.all[n as usize].stood, true));
                return Ok(());
            }
            let stream = self.come(n)?;
            let stranger = &mut self.all[n as usize];
            (stranger.stream, stranger.sent) = (stream, 0);
        }
        Ok(())
    }

    /// Sends some. False: the server has closed it.
    fn send(&mut self, n: u32) -> Result<bool> {
        let Crowd { options, poller, all, moving, deeds, frame, .. } = self;
        let stranger = &mut all[n as usize];
        // All but the last byte.
        let most = options.claim as usize + 3;
        let mut stands = false;
        for _ in 0..PIECES {
            let start = if stranger.sent < 4 { stranger.sent } else { 4 };
            let piece = &frame[start..frame.len().min(start + most - stranger.sent)];
            match (&stranger.stream).write(piece) {
                Ok(count) => {
                    stranger.sent += count;
                    deeds.sent.fetch_add(count as u64, SeqCst);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    stands = stranger.sent > 0;
                    break;
                }
                Err(_) => return Ok(false),
            }
            if stranger.sent == most {
                stands = true;
                poller.change(stranger.stream.as_raw_fd(), n, STANDING).context("a stranger")?;
                break;
            }
        }
        if stands && !std::mem::replace(&mut stranger.stood, true) {
            *moving -= 1;
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_have_options() {
        let all = "--port 7 --conns 3 --claim 5 --again".split_whitespace();
        let found = options(&mut Parser::from_args(all)).unwrap();
        assert_eq!(found, Options { port: 7, conns: 3, claim: 5, again: true });
        assert!(options(&mut Parser::from_args(["--claim", "0"])).is_err());
    }
}

//! A process that holds connections and does with them what its standard input says: `echo` sends
//! one message on each and verifies what comes back, the end of the input closes them all.

use crate::net;
use crate::pattern::{self, Pattern, Verifier};
use crate::process;
use anyhow::{Context, Result, bail};
use lexopt::{Parser, ValueExt, prelude::*};
use std::io::{self, BufRead, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// What a server and a connection's buffers take in one piece: it is sent before it is read.
const SIZE_MAX: usize = 65_536;
const PATIENCE: Duration = Duration::from_secs(20);

/// What to hold.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Options {
    pub port: u16,
    pub conns: u32,
    /// Bytes of one echo.
    pub size: usize,
}

/// Takes all arguments that are left.
pub fn options(parser: &mut Parser) -> Result<Options> {
    let mut options = Options { port: 0, conns: 0, size: 64 };
    while let Some(arg) = parser.next()? {
        match arg {
            Long("port") => options.port = parser.value()?.parse()?,
            Long("conns") => options.conns = parser.value()?.parse()?,
            Long("size") => options.size = parser.value()?.parse()?,
            other => return Err(other.unexpected().into()),
        }
    }
    let least = *pattern::SIZES.start();
    if !(least..=SIZE_MAX).contains(&options.size) {
        bail!("--size has to be between {least} and {SIZE_MAX}");
    }
    Ok(options)
}

/// Connects so many times, says "ready", then takes orders and answers each with "done".
pub fn run(options: Options) -> Result<()> {
    let Options { port, conns, size } = options;
    process::raise_descriptors()?;
    let (pattern, mut message) = (Pattern::new(size), vec![0; size]);
    let mut streams = Vec::with_capacity(conns as usize);
    for n in 0..conns {
        let stream = net::connect(port, n)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        streams.push((n, stream, 0));
    }
    println!("ready");
    for order in io::stdin().lock().lines() {
        match order.context("no orders")?.trim() {
            "echo" => {
                for (n, stream, sent) in &mut streams {
                    pattern.write(*n, *sent, &mut message);
                    let done = echo(stream, &mut message)
                        .and_then(|()| Ok(Verifier::new(*n, *sent).feed(&pattern, &message)?));
                    done.with_context(|| format!("connection {n}"))?;
                    *sent += 1;
                }
            }
            "close" => streams.clear(),
            other => bail!("no order '{other}'"),
        }
        println!("done");
    }
    Ok(())
}

/// Sends the message, and gets as many bytes back in its place.
fn echo(stream: &mut TcpStream, message: &mut [u8]) -> Result<()> {
    stream.write_all(message).context("send")?;
    stream.read_exact(message).context("receive")
}

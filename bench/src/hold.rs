//! A process that holds connections and does with them what its standard input says: `echo` sends
//! one message on each and verifies what comes back, the end of the input closes them all.

use crate::net;
use crate::pattern::{self, Pattern, Verifier};
use crate::process;
use crate::wire::{Kind, Wire, Wires};
use anyhow::{Context, Result, bail};
use lexopt::{Parser, ValueExt, prelude::*};
use std::io::{self, BufRead, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::time::Duration;

/// What a server and a connection's buffers take in one piece: it is sent before it is read.
const SIZE_MAX: usize = 65_536;
const PATIENCE: Duration = Duration::from_secs(20);

/// What to hold.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    pub port: u16,
    pub conns: u32,
    /// Bytes of one echo.
    pub size: usize,
    pub wire: Kind,
    /// The certificate of a server with TLS.
    pub ca: Option<PathBuf>,
}

/// A connection.
struct Held {
    n: u32,
    stream: TcpStream,
    wire: Wire,
    sent: u64,
}

/// Takes all arguments that are left.
pub fn options(parser: &mut Parser) -> Result<Options> {
    let mut options = Options { port: 0, conns: 0, size: 64, wire: Kind::Tcp, ca: None };
    while let Some(arg) = parser.next()? {
        match arg {
            Long("wire") => options.wire = Kind::of(&parser.value()?.string()?)?,
            Long("ca") => options.ca = Some(parser.value()?.into()),
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
    let Options { port, conns, size, wire, ca } = options;
    process::raise_descriptors()?;
    let wires = Wires::new(wire, ca.as_deref())?;
    let (pattern, mut message) = (Pattern::new(size), vec![0; size]);
    let mut all = Vec::with_capacity(conns as usize);
    for n in 0..conns {
        let mut stream = net::connect(port, n)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut wire = wires.make(n)?;
        wire.open(&mut stream).with_context(|| format!("connection {n}"))?;
        all.push(Held { n, stream, wire, sent: 0 });
    }
    println!("ready");
    for order in io::stdin().lock().lines() {
        match order.context("no orders")?.trim() {
            "echo" => {
                for held in &mut all {
                    let done = held.echo(&pattern, &mut message);
                    done.with_context(|| format!("connection {}", held.n))?;
                }
            }
            "close" => {
                all.iter_mut().try_for_each(Held::end)?;
                all.clear();
            }
            other => bail!("no order '{other}'"),
        }
        println!("done");
    }
    Ok(())
}

impl Held {
    /// Sends a message, and verifies what comes back.
    fn echo(&mut self, pattern: &Pattern, message: &mut [u8]) -> Result<()> {
        let (mut out, mut received) = (Vec::new(), [0; 4096]);
        let mut verifier = Verifier::new(self.n, self.sent);
        pattern.write(self.n, self.sent, message);
        self.sent += 1;
        self.wire.wrap(message, message.len(), &mut out)?;
        self.stream.write_all(&out).context("send")?;
        while verifier.sequence() < self.sent {
            let count = self.stream.read(&mut received).context("receive")?;
            anyhow::ensure!(count > 0, "the server closed it");
            self.wire.unwrap(&received[..count], |bytes| {
                verifier.feed(pattern, bytes)?;
                Ok(())
            })?;
        }
        Ok(())
    }

    fn end(&mut self) -> Result<()> {
        let mut out = Vec::new();
        self.wire.end(&mut out)?;
        self.stream.write_all(&out).context("the last words")
    }
}

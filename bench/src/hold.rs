//! A process that holds connections and does with them what its standard input says: `echo` sends
//! one message on each and verifies what comes back, the end of the input closes them all.

use crate::net;
use crate::pattern::{self, Verifier};
use anyhow::{Context, Result, bail};
use std::io::{self, BufRead, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

const SIZE: usize = 64;
const PATIENCE: Duration = Duration::from_secs(20);

/// Connects `conns` times, says "ready", then takes orders and answers each with "done".
pub fn run(port: u16, conns: u32) -> Result<()> {
    let mut streams = Vec::with_capacity(conns as usize);
    for n in 0..conns {
        let stream = net::connect(port, n)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let verifier = Verifier::new(n, SIZE);
        streams.push((n, stream, verifier, 0));
    }
    println!("ready");
    for order in io::stdin().lock().lines() {
        match order.context("no orders")?.trim() {
            "echo" => {
                for (n, stream, verifier, sent) in &mut streams {
                    echo(stream, verifier, *n, *sent).with_context(|| format!("connection {n}"))?;
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

fn echo(stream: &mut TcpStream, verifier: &mut Verifier, n: u32, sequence: u64) -> Result<()> {
    let mut message = [0; SIZE];
    pattern::write(n, sequence, &mut message);
    stream.write_all(&message).context("send")?;
    stream.read_exact(&mut message).context("receive")?;
    match verifier.feed(&message) {
        Ok(_) => Ok(()),
        Err(mismatch) => bail!("{mismatch}"),
    }
}

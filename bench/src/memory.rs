//! User-space memory of a server per idle connection.

use crate::peers::{self, Peer};
use crate::process::{LOAD_CPU, Process};
use crate::table::Table;
use anyhow::{Context, Result};
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use std::{env, fs};

const CONNS: u32 = 10_000;
const PATIENCE: Duration = Duration::from_secs(120);
const PEERS: [Peer; 4] = [peers::EPOLL, peers::POOL, peers::HOST, peers::POOL_RAW];

/// Measures each server at rest: before, with its connections, after one echo on each, and when
/// all are closed again.
pub fn run(folder: &Path, only: &str) -> Result<()> {
    let head =
        ["server", "start, KiB", "connected, B each", "after an echo, B each", "closed, KiB"];
    let mut table = Table::new(head);
    for peer in peers::chosen(&PEERS, only) {
        eprintln!("{}: {CONNS} connections", peer.name);
        table.row(measure(folder, &peer).with_context(|| peer.name)?);
    }
    println!("{}", table.text());
    println!(
        "Anonymous memory of the server (PSS), {CONNS} connections; before the start one of them \
         had its echo. Sockets in the kernel are not counted."
    );
    Ok(())
}

fn measure(folder: &Path, peer: &Peer) -> Result<Vec<String>> {
    let mut server = peer.start(folder)?;
    // One connection stays: what is made on first use is there before.
    let mut first = hold(server.port, 1)?;
    first.order("echo", PATIENCE)?;
    let process = &mut server.process;
    let start = memory(process)?;
    let mut many = hold(server.port, CONNS)?;
    let connected = memory(process)?;
    many.order("echo", PATIENCE)?;
    let echoed = memory(process)?;
    many.order("close", PATIENCE)?;
    let closed = memory(process)?;
    process.demand_alive()?;
    let each = |now: u64| format!("{}", (now as i64 - start as i64) / i64::from(CONNS));
    let kib = |now: u64| (now / 1024).to_string();
    Ok(vec![peer.name.into(), kib(start), each(connected), each(echoed), kib(closed)])
}

/// A process that holds connections.
pub fn hold(port: u16, conns: u32) -> Result<Process> {
    let mut command = Command::new(env::current_exe().context("who am I")?);
    command.arg("hold").args(["--port", &port.to_string(), "--conns", &conns.to_string()]);
    let mut process = Process::start("the holder", &mut command, LOAD_CPU)?;
    process.line(PATIENCE)?;
    Ok(process)
}

/// Anonymous memory in bytes, when the server rests.
fn memory(process: &Process) -> Result<u64> {
    process.rest()?;
    let path = format!("/proc/{}/smaps_rollup", process.id());
    let text = fs::read_to_string(&path).with_context(|| path.clone())?;
    anonymous(&text).with_context(|| format!("nothing anonymous in {path}"))
}

/// `Pss_Anon` of a `smaps_rollup`, or what older kernels have instead.
fn anonymous(text: &str) -> Option<u64> {
    let field = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()
    };
    Some(field("Pss_Anon:").or_else(|| field("Anonymous:"))? * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_anonymous_part_is_read() {
        let text = "Rss:   5000 kB\nPss:  4000 kB\nPss_Anon:   1234 kB\nAnonymous: 1300 kB\n";
        assert_eq!(anonymous(text), Some(1234 * 1024));
        assert_eq!(anonymous("Rss: 5 kB\nAnonymous:   1300 kB\n"), Some(1300 * 1024));
        assert_eq!(anonymous("Rss: 5 kB\n"), None);
    }
}

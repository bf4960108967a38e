//! User-space memory of a server for each idle connection.

use crate::figures::Failure;
use crate::peers::{Peer, Server};
use crate::process::{LOAD_CPU, Process};
use crate::table::Table;
use anyhow::{Context, Result};
use std::env;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

pub const CONNS: u32 = 10_000;
pub const CONNS_LAYERED: u32 = 2000;
pub const CONNS_QUICK: u32 = 1000;
const PATIENCE: Duration = Duration::from_secs(120);
const SMALL: u32 = 64;
const LARGE: u32 = 16_384;

/// What is seen, each in bytes for a connection.
pub const PHASES: [&str; 4] =
    ["connected", "after an echo of 64 B", "after an echo of 16 KiB", "all closed again"];

/// Memory of one server.
pub struct Row {
    pub peer: Peer,
    /// Bytes before the many came.
    pub start: u64,
    /// By phase; less than nothing is possible when memory is given back.
    pub each: [i64; PHASES.len()],
}

/// Measures each at rest, by itself.
pub fn measure(folder: &Path, peers: &[Peer], conns: u32, failures: &mut Vec<Failure>) -> Vec<Row> {
    let mut rows = Vec::new();
    for peer in peers {
        eprintln!("  {}: {conns} connections", peer.name);
        match one(folder, peer, conns) {
            Ok(row) => rows.push(row),
            Err(error) => {
                let place = format!("idle memory: {}", peer.name);
                failures.push(Failure { place, why: format!("{error:#}") });
            }
        }
    }
    rows
}

/// The large echo gets a server of its own: what the small one left behind would hide its need.
fn one(folder: &Path, peer: &Peer, conns: u32) -> Result<Row> {
    let (start, small) = phases(folder, peer, conns, SMALL)?;
    let (_, large) = phases(folder, peer, conns, LARGE)?;
    let each = [small[0], small[1], large[1], large[2]];
    Ok(Row { peer: peer.clone(), start, each })
}

/// Memory before, and more of it for each connection: connected, after an echo, and when all are
/// closed again.
fn phases(folder: &Path, peer: &Peer, conns: u32, size: u32) -> Result<(u64, [i64; 3])> {
    let server = peer.start(folder, &[])?;
    // One connection stays: what is made on first use is there before.
    let mut first = hold(&server, peer, 1, SMALL)?;
    first.order("echo", PATIENCE)?;
    let start = at_rest(&server)?;
    let each = |now: u64| (now as i64 - start as i64) / i64::from(conns);
    let mut many = hold(&server, peer, conns, size)?;
    let connected = each(at_rest(&server)?);
    many.order("echo", PATIENCE)?;
    let echoed = each(at_rest(&server)?);
    many.order("close", PATIENCE)?;
    Ok((start, [connected, echoed, each(at_rest(&server)?)]))
}

fn at_rest(server: &Server) -> Result<u64> {
    server.process.rest()?;
    server.process.anonymous()
}

/// A process that holds connections, and exchanges messages of this size on them when told.
pub fn hold(server: &Server, peer: &Peer, conns: u32, size: u32) -> Result<Process> {
    let mut command = Command::new(env::current_exe().context("who am I")?);
    command.arg("hold").args(["--port", &server.port.to_string(), "--conns", &conns.to_string()]);
    command.args(["--size", &size.to_string()]).args(peer.wire.load_args()?);
    let mut process = Process::start("the holder", &mut command, LOAD_CPU)?;
    process.line(PATIENCE)?;
    Ok(process)
}

pub fn table(rows: &[Row]) -> Table {
    let head = ["server", "at the start, KiB"].into_iter().chain(PHASES);
    let mut table = Table::new(head);
    for row in rows {
        let cells = [row.peer.name.clone(), (row.start / 1024).to_string()];
        let each = row.each.iter().map(i64::to_string);
        table.row(cells.into_iter().chain(each).collect());
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peers;

    #[test]
    fn the_table_has_all_phases() {
        let row = Row { peer: peers::epoll(), start: 2048, each: [455, 480, 480, -3] };
        let text = table(&[row]).text();
        let cells: Vec<&str> = text.lines().nth(2).unwrap().split('|').map(str::trim).collect();
        assert_eq!(cells, ["", "epoll", "2", "455", "480", "480", "-3", ""]);
    }
}

//! How often an idle server's threads wake.

use crate::figures::Failure;
use crate::memory::hold;
use crate::peers::Peer;
use crate::process::Process;
use crate::procfs;
use crate::table::Table;
use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::path::Path;
use std::thread;
use std::time::Duration;

pub const CONNS: u32 = 1000;
pub const WATCHED: Duration = Duration::from_secs(5);

/// A thread's name and how often it went to sleep.
type Threads = BTreeMap<u32, (String, u64)>;

/// A thread of a server, and how often a second it woke.
pub struct Row {
    pub server: String,
    pub thread: String,
    pub rate: f64,
}

struct Watched {
    name: String,
    server: Process,
    /// It holds the connections.
    _holder: Process,
    before: Threads,
}

/// Watches them all at once, with connections on which nothing happens: who does nothing is in
/// nobody's way.
pub fn measure(folder: &Path, peers: &[Peer], failures: &mut Vec<Failure>) -> Vec<Row> {
    let mut fail = |name: &str, error: anyhow::Error| {
        let place = format!("idle wake-ups: {name}");
        failures.push(Failure { place, why: format!("{error:#}") });
    };
    let mut all = Vec::new();
    for peer in peers {
        match start(folder, peer) {
            Ok(watched) => all.push(watched),
            Err(error) => fail(&peer.name, error),
        }
    }
    eprintln!("  {} servers, {} s", all.len(), WATCHED.as_secs());
    for watched in &mut all {
        // Who ends meanwhile is found afterwards.
        watched.before = threads(&watched.server).unwrap_or_default();
    }
    thread::sleep(WATCHED);
    let mut rows = Vec::new();
    for mut watched in all {
        let ended = watched.server.demand_alive();
        match ended.and_then(|()| threads(&watched.server)) {
            Ok(after) => rows.extend(rates(&watched.name, &watched.before, after)),
            Err(error) => fail(&watched.name, error),
        }
    }
    rows
}

fn start(folder: &Path, peer: &Peer) -> Result<Watched> {
    let server = peer.start(folder, &[])?;
    let holder = hold(&server, peer, CONNS, 64)?;
    server.process.rest()?;
    let name = peer.name.clone();
    Ok(Watched { name, server: server.process, _holder: holder, before: Threads::new() })
}

fn rates(server: &str, before: &Threads, after: Threads) -> Vec<Row> {
    let rate = |(number, (thread, now)): (u32, (String, u64))| {
        let start = before.get(&number).map_or(0, |(_, count)| *count);
        let rate = now.saturating_sub(start) as f64 / WATCHED.as_secs_f64();
        Row { server: server.to_owned(), thread, rate }
    };
    after.into_iter().map(rate).collect()
}

fn threads(process: &Process) -> Result<Threads> {
    let read = |text: &str| Some((procfs::name(text)?.to_owned(), procfs::switches(text)?));
    let texts = process.of_threads("status")?;
    let threads = texts.iter().map(|(number, text)| Some((*number, read(text)?)));
    threads.collect::<Option<_>>().context("a strange status file")
}

pub fn table(rows: &[Row]) -> Table {
    let mut table = Table::new(["server", "thread", "wakes a second"]);
    for Row { server, thread, rate } in rows {
        table.row(vec![server.clone(), thread.clone(), format!("{rate:.1}")]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_over_the_time_watched() {
        let before = Threads::from([(7, ("loop".to_owned(), 10))]);
        let after = Threads::from([(7, ("loop".to_owned(), 20)), (8, ("game".to_owned(), 5))]);
        let rows = rates("x", &before, after);
        assert_eq!((rows[0].rate, rows[1].rate), (2.0, 1.0));
        assert!(table(&rows).text().contains("| x      | loop   | 2.0 "));
    }
}

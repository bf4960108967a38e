//! How often an idle server's threads wake.

use crate::memory::hold;
use crate::peers::{self, Peer};
use crate::process::Process;
use crate::table::Table;
use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::path::Path;
use std::thread;
use std::time::Duration;

const CONNS: u32 = 1000;
const WATCHED: Duration = Duration::from_secs(5);
const PEERS: [Peer; 5] = [peers::EPOLL, peers::POOL, peers::LEND, peers::HOST, peers::HOST_ALONE];

/// A thread's name and how often it went to sleep.
type Threads = BTreeMap<u32, (String, u64)>;

/// Watches each server for five seconds with connections on which nothing happens.
pub fn run(folder: &Path, only: &str) -> Result<()> {
    let mut table = Table::new(["server", "thread", "switches a second"]);
    for peer in peers::chosen(&PEERS, only) {
        eprintln!("{}: {CONNS} connections, {} s", peer.name, WATCHED.as_secs());
        let server = peer.start(folder).with_context(|| peer.name)?;
        let _held = hold(server.port, CONNS)?;
        server.process.rest()?;
        let before = threads(&server.process)?;
        thread::sleep(WATCHED);
        for (number, (name, after)) in threads(&server.process)? {
            let start = before.get(&number).map_or(0, |(_, count)| *count);
            let rate = (after - start) as f64 / WATCHED.as_secs_f64();
            table.row(vec![peer.name.into(), name, format!("{rate:.1}")]);
        }
    }
    println!("{}", table.text());
    println!("Voluntary context switches over {} s, {CONNS} connections.", WATCHED.as_secs());
    Ok(())
}

fn threads(process: &Process) -> Result<Threads> {
    let texts = process.of_threads("status")?;
    let threads = texts.into_iter();
    threads.map(|(n, text)| Some((n, switches(&text)?))).collect::<Option<_>>().context("no status")
}

/// Name and voluntary switches in `/proc/*/task/*/status`.
fn switches(text: &str) -> Option<(String, u64)> {
    let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    Some((field("Name:")?.to_owned(), field("voluntary_ctxt_switches:")?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_and_switches_are_read() {
        let text = "Name:\tsockeye-0\nState:\tS (sleeping)\n\
                    voluntary_ctxt_switches:\t42\nnonvoluntary_ctxt_switches:\t7\n";
        assert_eq!(switches(text), Some(("sockeye-0".into(), 42)));
        assert_eq!(switches("Name:\tx\n"), None);
    }
}

//! Memory of a server for each peer that is connected and says nothing.

use super::{Part, each, load_all, run, server};
use crate::figures::Failure;
use crate::peers::Peer;
use crate::table::Table;
use crate::workloads::grouped;
use anyhow::Result;
use std::path::Path;
use std::thread;
use std::time::Duration;

const PEERS: u32 = 1000;
/// What came with the connects is given back.
const SETTLES: Duration = Duration::from_secs(2);

pub fn measure(folder: &Path, peers: &[Peer], failures: &mut Vec<Failure>) -> Part {
    let heads = ["server", "with one, KiB", "connected, bytes each", "after an echo, bytes each"];
    let mut table = Table::new(heads);
    for (peer, (first, each)) in each("lanes, memory", peers, failures, |peer| one(folder, peer)) {
        let each = each.map(|bytes| bytes.to_string());
        table.row([vec![peer, (first / 1024).to_string()], each.to_vec()].concat());
    }
    Part {
        title: "Memory of idle peers",
        about: format!(
            "Anonymous memory of a server with {} peers over that of one with place for a single \
             peer, which has had its echo: connected, and after an unreliable and a reliable echo \
             on each. libenet makes the places for all when it starts.",
            grouped(PEERS.into())
        ),
        table,
    }
}

/// Of one with a single peer, and for each of many more.
fn one(folder: &Path, peer: &Peer) -> Result<(u64, [i64; 2])> {
    let first = of(folder, peer, 1)?[1];
    let many = of(folder, peer, PEERS + 1)?;
    Ok((first, many.map(|bytes| (bytes as i64 - first as i64) / i64::from(PEERS))))
}

fn of(folder: &Path, peer: &Peer, count: u32) -> Result<[u64; 2]> {
    let server = server(folder, peer, count)?;
    let mut load = load_all(folder, peer, server.port, count, &["--rate", "5"])?;
    thread::sleep(SETTLES);
    let connected = server.process.anonymous()?;
    for kind in ["unreliable", "reliable"] {
        run(&mut load, Duration::from_millis(500), kind)?;
    }
    thread::sleep(SETTLES);
    Ok([connected, server.process.anonymous()?])
}

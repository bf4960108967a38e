//! How many peers one port takes, up to 10,000, and whether they are heard.

use super::{Part, each, load, reported, run, server};
use crate::figures::Failure;
use crate::peers::Peer;
use crate::table::Table;
use crate::workloads::grouped;
use anyhow::Result;
use std::path::Path;
use std::time::{Duration, Instant};

const PEERS: u32 = 10_000;
const WATCHED: Duration = Duration::from_secs(4);

pub fn measure(folder: &Path, peers: &[Peer], failures: &mut Vec<Failure>) -> Part {
    let heads = ["server", "connected", "in seconds", "echoes that came, %", "CPU a message, µs"];
    let mut table = Table::new(heads.into_iter().chain(["p50, µs", "p99, µs", "memory, MiB"]));
    for (peer, cells) in each("crowd", peers, failures, |peer| one(folder, peer)) {
        table.row([vec![peer], cells].concat());
    }
    Part {
        title: "As many peers as one port takes",
        about: format!(
            "{} peers connect, and then each of those that got in sends an unreliable message of \
             64 B every second, for {} s.",
            grouped(PEERS.into()),
            WATCHED.as_secs()
        ),
        table,
    }
}

fn one(folder: &Path, peer: &Peer) -> Result<Vec<String>> {
    let server = server(folder, peer, PEERS)?;
    let begun = Instant::now();
    let mut load = load(folder, peer, server.port, PEERS, &["--rate", "1"])?;
    let seconds = begun.elapsed().as_secs_f64();
    let before = server.process.cpu_ns()?;
    let report = run(&mut load, WATCHED, "unreliable")?;
    let spent = server.process.cpu_ns()? - before;
    let (sent, count) = (reported(&report, "sent")?, reported(&report, "count")?);
    let time = |name| Ok::<_, anyhow::Error>(grouped(reported(&report, name)? / 1000));
    Ok(vec![
        grouped(load.connected.into()),
        format!("{seconds:.1}"),
        format!("{:.1}", count as f64 * 100.0 / sent.max(1) as f64),
        format!("{:.2}", spent as f64 / 1e3 / count.max(1) as f64),
        time("p50")?,
        time("p99")?,
        format!("{:.1}", server.process.anonymous()? as f64 / 1_048_576.0),
    ])
}

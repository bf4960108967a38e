//! Four mebibytes in reliable messages of 64 KiB over lines of different weather. Each round has a
//! connection of its own, which knows nothing of the line when it begins.

use super::relay::Weather;
use super::{Part, each, load_all, ratios, relay, reported, server, spread};
use crate::figures::Failure;
use crate::peers::Peer;
use crate::process::{LOAD_CPU, Process};
use crate::table::Table;
use anyhow::{Context, Result, ensure};
use std::env;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const BYTES: u64 = 4 << 20;
const ROUNDS: usize = 5;
const PATIENCE: Duration = Duration::from_secs(150);

const LINE: Weather =
    Weather { delay_us: 50_000, jitter_us: 0, loss: 0.0, rate_bits: 0, queue_ms: 100 };

fn weathers() -> [(&'static str, Weather); 3] {
    let bad = Weather { loss: 0.01, ..LINE };
    [
        ("clear", LINE),
        ("1 % lost each way", bad),
        ("the same and 10 Mbit/s", Weather { rate_bits: 10_000_000, ..bad }),
    ]
}

/// Seconds, and of the packets to the client: the parts lost by chance and in the queue, and bytes
/// on the line for each byte of the messages.
#[derive(Clone, Copy)]
struct Round {
    seconds: f64,
    lost: f64,
    dropped: f64,
    bytes: f64,
}

pub fn measure(folder: &Path, peers: &[Peer], failures: &mut Vec<Failure>) -> Part {
    let heads = ["line", "server", "seconds", "ratio to the first", "Mbit/s"];
    let more = ["lost by chance, %", "lost in the queue, %", "bytes on the line for one"];
    let mut table = Table::new(heads.into_iter().chain(more));
    for (name, weather) in weathers() {
        let rows = each(&format!("transfer, {name}"), peers, failures, |peer| {
            (0..ROUNDS).map(|seed| round(folder, peer, weather, seed as u64)).collect()
        });
        let rows: Vec<(String, Vec<Round>)> = rows;
        let of = |rounds: &[Round], figure: fn(&Round) -> f64| -> Vec<f64> {
            rounds.iter().map(figure).collect()
        };
        for (peer, rounds) in &rows {
            let seconds = of(rounds, |round| round.seconds);
            let first = of(&rows[0].1, |round| round.seconds);
            let rates = of(rounds, |round| BYTES as f64 * 8.0 / round.seconds / 1e6);
            table.row(vec![
                name.into(),
                peer.clone(),
                spread(&seconds),
                spread(&ratios(&seconds, &first)),
                spread(&rates),
                spread(&of(rounds, |round| round.lost * 100.0)),
                spread(&of(rounds, |round| round.dropped * 100.0)),
                spread(&of(rounds, |round| round.bytes)),
            ]);
        }
    }
    Part {
        title: "Four mebibytes over a line",
        about: format!(
            "4 MiB in reliable messages of 64 KiB, asked for by the client: from the request to \
             the last byte. The line is a relay with {} ms each way; a bottleneck has a queue of \
             {} ms. {ROUNDS} rounds, each with a new connection.",
            LINE.delay_us / 1000,
            LINE.queue_ms
        ),
        table,
    }
}

fn round(folder: &Path, peer: &Peer, weather: Weather, seed: u64) -> Result<Round> {
    let server = server(folder, peer, 16)?;
    let mut command = Command::new(env::current_exe().context("who am I")?);
    command.arg("relay").args(relay::arguments(server.port, weather, seed));
    let mut line = Process::start("the relay", &mut command, LOAD_CPU)?;
    let (port, _) = crate::procfs::listening(&line.line(PATIENCE)?)?;
    let mut load = load_all(folder, peer, port, 1, &[])?;
    line.ask("report", PATIENCE)?;
    let report = load.process.ask(&format!("fetch {BYTES}"), PATIENCE)?;
    let missing = reported(&report, "missing")?;
    ensure!(missing == 0, "{missing} bytes never came");
    let seconds = reported(&report, "ns")? as f64 / 1e9;
    let report = line.ask("report", PATIENCE)?;
    let of = |name: &str| Ok::<f64, anyhow::Error>(reported(&report, name)? as f64);
    let packets = of("down")?;
    let round = Round {
        seconds,
        lost: of("down_lost")? / packets,
        dropped: of("down_dropped")? / packets,
        bytes: of("down_bytes")? / BYTES as f64,
    };
    eprintln!("    {seconds:.2} s, {:.2} % lost in the queue", round.dropped * 100.0);
    Ok(round)
}

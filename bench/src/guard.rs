//! What those cost whom a rule keeps out: the latency of players and the memory of the server,
//! without and with many that connect and are refused.

use crate::figures::Failure;
use crate::knocks;
use crate::peers::Peer;
use crate::process::{LOAD_CPU, Process};
use crate::procfs::{self, Latency};
use crate::stats::Quartiles;
use crate::strangers::{self, PATIENCE, SETTLES, WATCHED};
use crate::table::Table;
use crate::workloads::grouped;
use anyhow::{Context, Result};
use std::path::Path;
use std::process::Command;
use std::{env, thread};

/// Connects in a second that are asked for.
pub const KNOCKS: u32 = 20_000;
const KIBIBYTE: f64 = 1024.0;

/// What was seen of one model.
pub struct Row {
    pub server: String,
    rounds: Vec<Round>,
}

/// Latencies without and with them, how many were refused in a second, and the server's memory
/// before they came and when they were gone.
struct Round {
    without: Latency,
    with: Latency,
    refused: f64,
    before: u64,
    after: u64,
}

/// Measures each by itself.
pub fn measure(
    folder: &Path,
    peers: &[Peer],
    rounds: usize,
    failures: &mut Vec<Failure>,
) -> Vec<Row> {
    let mut rows = Vec::new();
    for peer in peers {
        eprintln!("  {}: {rounds} rounds", peer.name);
        match (0..rounds).map(|_| round(folder, peer)).collect() {
            Ok(rounds) => rows.push(Row { server: peer.name.clone(), rounds }),
            Err(error) => {
                let place = format!("guard: {}", peer.name);
                failures.push(Failure { place, why: format!("{error:#}") });
            }
        }
    }
    rows
}

fn round(folder: &Path, peer: &Peer) -> Result<Round> {
    let peer = peer.clone().with("", &["--deny", &knocks::NETWORK.to_string()]);
    let mut server = peer.start(folder, &[])?;
    let (mut players, _counter) = strangers::players(server.port, "guard")?;
    let found = (|| {
        thread::sleep(SETTLES);
        let without = strangers::watch(&mut players)?;
        let before = server.process.anonymous()?;
        let mut command = Command::new(env::current_exe().context("who am I")?);
        let (port, rate) = (server.port.to_string(), KNOCKS.to_string());
        command.arg("knocks").args(["--port", &port, "--rate", &rate]);
        let mut knocks = Process::start("those who knock", &mut command, LOAD_CPU)?;
        knocks.line(PATIENCE)?;
        thread::sleep(SETTLES);
        knocks.ask("report", PATIENCE)?;
        let with = strangers::watch(&mut players)?;
        let report = knocks.ask("report", PATIENCE)?;
        let refused = procfs::number(&report, "refused").context("a strange report")?;
        drop(knocks);
        let after = server.process.anonymous()?;
        let refused = refused as f64 / WATCHED.as_secs_f64();
        Ok(Round { without, with, refused, before, after })
    })();
    let found: Round = found.map_err(|error| server.process.or_ended(players.or_ended(error)))?;
    let [without, with] = [found.without, found.with].map(|it| it.p99 / 1e3);
    eprintln!(
        "    p99 {without:.0} µs without, {with:.0} µs with {:.0} refused a second",
        found.refused
    );
    Ok(found)
}

pub fn table(rows: &[Row]) -> Table {
    let heads = ["p50", "p99", "p50 with them", "p99 with them", "ratio of p99"];
    let more = ["refused a second", "KiB before", "KiB after"];
    let mut table = Table::new(["server"].into_iter().chain(heads).chain(more));
    for Row { server, rounds } in rows {
        let of = |figure: fn(&Round) -> f64| {
            let values: Vec<f64> = rounds.iter().map(figure).collect();
            Quartiles::of(&values)
        };
        let told = |figure: fn(&Round) -> f64, unit: f64| {
            let whole = |found: Quartiles| grouped((found.median / unit).round() as u64);
            of(figure).map_or("–".into(), whole)
        };
        let ratio = of(|round| round.with.p99 / round.without.p99);
        let ratio = ratio.map_or("–".into(), |Quartiles { low, median, high }| {
            format!("{median:.2} [{low:.2}–{high:.2}]")
        });
        let time = |figure| format!("{} µs", told(figure, 1e3));
        table.row(vec![
            server.clone(),
            time(|round| round.without.p50),
            time(|round| round.without.p99),
            time(|round| round.with.p50),
            time(|round| round.with.p99),
            ratio,
            told(|round| round.refused, 1.0),
            told(|round| round.before as f64, KIBIBYTE),
            told(|round| round.after as f64, KIBIBYTE),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_its_ratio_its_rate_and_its_memory() {
        let latency = |p99| Latency { count: 9, p50: 2e5, p99, p999: 9e6 };
        let round = |without, with| {
            let (without, with) = (latency(without), latency(with));
            Round { without, with, refused: 19_999.6, before: 2 << 20, after: 3 << 20 }
        };
        let rounds = vec![round(1e6, 2e6), round(3e6, 6e6)];
        let text = table(&[Row { server: "x".into(), rounds }]).text();
        let cells: Vec<&str> = text.lines().nth(2).unwrap().split('|').map(str::trim).collect();
        assert_eq!(cells[2..6], ["200 µs", "2,000 µs", "200 µs", "4,000 µs"]);
        assert_eq!(cells[6..10], ["2.00 [2.00–2.00]", "20,000", "2,048", "3,072"]);
    }
}

//! What forged requests cost the players: their latency, and the server's memory, without them and
//! beside them, and whether somebody new still gets in.

use super::forge::{self, Kind};
use super::{Part, each, load, load_all, ratios, reported, run, server, spread};
use crate::figures::Failure;
use crate::peers::{Family, Peer};
use crate::process::{LOAD_CPU, Process};
use crate::table::Table;
use crate::workloads::grouped;
use anyhow::{Context, Result};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};
use std::{env, thread};

const RATE: u32 = 100_000;
const PLAYERS: u32 = 100;
/// More than the players: forged ones may fill the rest.
const PLACES: u32 = 4000;
const ROUNDS: usize = 3;
const WATCHED: Duration = Duration::from_secs(2);
const SETTLES: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(60);

struct Round {
    without_us: f64,
    with_us: f64,
    /// Of the players' messages, those whose echo came beside the flood.
    came: f64,
    rate: f64,
    grown_kib: f64,
    newcomers: u32,
}

pub fn measure(folder: &Path, peers: &[Peer], failures: &mut Vec<Failure>) -> Part {
    let heads = ["server", "p99 without, µs", "p99 with, µs", "ratio", "echoes that came, %"];
    let more = ["requests a second", "memory grown, KiB", "newcomers let in"];
    let mut table = Table::new(heads.into_iter().chain(more));
    let rows = each("flood", peers, failures, |peer| {
        (0..ROUNDS).map(|_| round(folder, peer)).collect::<Result<Vec<Round>>>()
    });
    for (peer, rounds) in rows {
        let of = |figure: fn(&Round) -> f64| rounds.iter().map(figure).collect::<Vec<f64>>();
        let newcomers: u32 = rounds.iter().map(|round| round.newcomers).sum();
        let [without, with] = [of(|round| round.without_us), of(|round| round.with_us)];
        table.row(vec![
            peer,
            spread(&without),
            spread(&with),
            spread(&ratios(&with, &without)),
            spread(&of(|round| round.came * 100.0)),
            spread(&of(|round| round.rate)),
            spread(&of(|round| round.grown_kib)),
            format!("{newcomers} of {ROUNDS}"),
        ]);
    }
    Part {
        title: "Forged requests",
        about: format!(
            "{PLAYERS} players with 30 unreliable echoes of 64 B a second each, {} s without and \
             {} s beside {} requests a second (as many as the rest of a processor makes of them) \
             from {} addresses, each with a token of noise; libenet, which has none, gets \
             its own requests. The server has {PLACES} places. {ROUNDS} rounds, each with a \
             server of its own.",
            WATCHED.as_secs(),
            WATCHED.as_secs(),
            grouped(RATE.into()),
            grouped(forge::ADDRESSES.into())
        ),
        table,
    }
}

fn round(folder: &Path, peer: &Peer) -> Result<Round> {
    let mut server = server(folder, peer, PLACES)?;
    let mut players = load_all(folder, peer, server.port, PLAYERS, &[])?;
    let p99 = |report: &str| Ok::<f64, anyhow::Error>(reported(report, "p99")? as f64 / 1e3);
    let without_us = p99(&run(&mut players, WATCHED, "unreliable")?)?;
    let before = server.process.anonymous()?;
    let kind = if peer.family == Family::Enet { Kind::Enet } else { Kind::Netcode };
    let mut command = Command::new(env::current_exe().context("who am I")?);
    command.arg("forge").args(["--port", &server.port.to_string(), "--rate", &RATE.to_string()]);
    command.args(["--kind", kind.name()]);
    let mut forged = Process::start("those who forge", &mut command, LOAD_CPU)?;
    forged.line(PATIENCE)?;
    thread::sleep(SETTLES);
    forged.ask("report", PATIENCE)?;
    let begun = Instant::now();
    let report = run(&mut players, WATCHED, "unreliable")?;
    let seconds = begun.elapsed().as_secs_f64();
    let sent = forged.ask("report", PATIENCE)?;
    let after = server.process.anonymous()?;
    let newcomers = load(folder, peer, server.port, 1, &["--patience", "3"])?.connected;
    drop(forged);
    server.process.demand_alive()?;
    let round = Round {
        without_us,
        with_us: p99(&report)?,
        came: reported(&report, "count")? as f64 / reported(&report, "sent")?.max(1) as f64,
        rate: reported(&sent, "sent")? as f64 / seconds,
        grown_kib: (after as f64 - before as f64) / 1024.0,
        newcomers,
    };
    eprintln!(
        "    p99 {:.0} µs without, {:.0} µs with {:.0} a second",
        round.without_us, round.with_us, round.rate
    );
    Ok(round)
}

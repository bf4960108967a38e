//! What strangers cost those who behave: the latency of players on a net that is as the library
//! makes it, without strangers and with a crowd that holds unfinished frames, in turns.

use crate::counter::Counter;
use crate::figures::Failure;
use crate::peers::Peer;
use crate::process::{LOAD_CPU, Process};
use crate::procfs::{self, Latency};
use crate::slices;
use crate::stats::Quartiles;
use crate::table::Table;
use anyhow::{Context, Result, bail};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};
use std::{env, thread};

pub const STRANGERS: u32 = 1100;
pub const PLAYERS: u32 = 50;
/// Messages of all players in a second.
pub const RATE: u32 = 1000;
pub const ROUNDS: usize = 3;
/// How long the latencies of one kind are watched in a round.
pub const WATCHED: Duration = Duration::from_secs(2);
/// From when the strangers stand, or are gone.
pub const SETTLES: Duration = Duration::from_secs(1);
pub const PATIENCE: Duration = Duration::from_secs(60);
/// After this a load generator that was forgotten ends by itself.
const LIMIT_S: u64 = 600;
const MEBIBYTE: f64 = 1_048_576.0;

/// When the players are watched, and what strangers do that are closed.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    /// While the net closes those that it has no memory for; they stay away.
    Closed,
    /// When the net has stopped closing any.
    Stand,
    /// All the time; a stranger that is closed connects again at once.
    Again,
}

/// What was seen of one model.
pub struct Row {
    pub server: String,
    kind: Kind,
    rounds: Vec<Round>,
}

/// Latencies before there are strangers, with them, and when they have left, and what the strangers
/// did in a second.
struct Round {
    without: Latency,
    with: Latency,
    after: Latency,
    closed: f64,
    taken: f64,
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
        for kind in [Kind::Closed, Kind::Stand, Kind::Again] {
            eprintln!("  {}: {rounds} rounds, {}", peer.name, kind.name());
            match one(folder, peer, rounds, kind) {
                Ok(rounds) => rows.push(Row { server: peer.name.clone(), kind, rounds }),
                Err(error) => {
                    let place = format!("strangers: {}", peer.name);
                    failures.push(Failure { place, why: format!("{error:#}") });
                }
            }
        }
    }
    rows
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Closed => "are closed",
            Kind::Stand => "stand",
            Kind::Again => "come again",
        }
    }
}

/// A server of its own for each round: what strangers left would be charged to the next one's
/// quiet part.
fn one(folder: &Path, peer: &Peer, rounds: usize, kind: Kind) -> Result<Vec<Round>> {
    let mut all = Vec::new();
    for _ in 0..rounds {
        let mut server = peer.start(folder, &[])?;
        let (mut players, _counter) = players(server.port, "strangers")?;
        let round = round(server.port, &mut players, kind);
        let round = round.map_err(|error| server.process.or_ended(players.or_ended(error)))?;
        let times = [round.without, round.with, round.after].map(|found| found.p99 / 1e3);
        let [without, with, after] = times;
        eprintln!(
            "    p99 {without:.0} µs without, {with:.0} µs with strangers, {after:.0} µs after"
        );
        all.push(round);
    }
    Ok(all)
}

/// Players that are connected, and what they count in.
pub fn players(port: u16, name: &str) -> Result<(Process, Counter)> {
    let path = env::temp_dir().join(format!("sockeye-bench-{}-{name}", std::process::id()));
    let counter = Counter::make(&path)?;
    let mut command = slices::load(port, PLAYERS, &path, LIMIT_S)?;
    command.args(["--mode", "open", "--asleep", "--size", "64", "--rate", &RATE.to_string()]);
    let mut players = Process::start("the players", &mut command, LOAD_CPU)?;
    players.line(PATIENCE)?;
    Ok((players, counter))
}

fn round(port: u16, players: &mut Process, kind: Kind) -> Result<Round> {
    thread::sleep(SETTLES);
    let without = watch(players)?;
    let mut command = Command::new(env::current_exe().context("who am I")?);
    command.arg("crowd").args(["--port", &port.to_string(), "--conns", &STRANGERS.to_string()]);
    if kind == Kind::Again {
        command.arg("--again");
    }
    let mut strangers = Process::start("the strangers", &mut command, LOAD_CPU)?;
    strangers.line(PATIENCE)?;
    thread::sleep(SETTLES);
    let mut closed = deed(&strangers.ask("report", PATIENCE)?, "closed")?;
    let begun = Instant::now();
    // The first are closed a second after they stood still.
    let mut rests = false;
    while kind == Kind::Stand && !rests {
        if begun.elapsed() > PATIENCE {
            bail!("the strangers do not come to rest");
        }
        thread::sleep(SETTLES);
        let more = deed(&strangers.ask("report", PATIENCE)?, "closed")?;
        rests = more == 0 && closed > 0;
        closed += more;
    }
    let with = watch(players)?;
    let deeds = strangers.ask("report", PATIENCE)?;
    let [closed, taken] = ["closed", "sent"].map(|name| deed(&deeds, name));
    let seconds = WATCHED.as_secs_f64();
    let (closed, taken) = (closed? as f64 / seconds, taken? as f64 / MEBIBYTE / seconds);
    drop(strangers);
    let after = watch(players)?;
    Ok(Round { without, with, after, closed, taken })
}

/// What the strangers did since the report before.
fn deed(report: &str, name: &str) -> Result<u64> {
    procfs::number(report, name).context("a strange report")
}

/// The players' latencies from now on.
pub fn watch(players: &mut Process) -> Result<Latency> {
    players.ask("report", PATIENCE)?;
    thread::sleep(WATCHED);
    procfs::latency(&players.ask("report", PATIENCE)?)?.context("no message came back")
}

pub fn table(rows: &[Row]) -> Table {
    let heads = ["p50", "p99", "p50 with strangers", "p99 with strangers"];
    let more = ["ratio of p99", "p99 after them", "closed a second", "MiB a second"];
    let mut table = Table::new(["server", "strangers"].into_iter().chain(heads).chain(more));
    for Row { server, kind, rounds } in rows {
        let of = |figure: fn(&Round) -> f64| {
            let values: Vec<f64> = rounds.iter().map(figure).collect();
            Quartiles::of(&values)
        };
        let told = |found: Option<Quartiles>, unit: f64, digits: usize| {
            found.map_or("–".into(), |found| format!("{:.digits$}", found.median / unit))
        };
        let ratio = of(|round| round.with.p99 / round.without.p99);
        let ratio = ratio.map_or("–".into(), |Quartiles { low, median, high }| {
            format!("{median:.2} [{low:.2}–{high:.2}]")
        });
        let time = |figure| format!("{} µs", told(of(figure), 1e3, 0));
        table.row(vec![
            server.clone(),
            kind.name().into(),
            time(|round| round.without.p50),
            time(|round| round.without.p99),
            time(|round| round.with.p50),
            time(|round| round.with.p99),
            ratio,
            time(|round| round.after.p99),
            told(of(|round| round.closed), 1.0, 0),
            told(of(|round| round.taken), 1.0, 0),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ratio_is_formed_inside_a_round() {
        let latency = |p99| Latency { count: 9, p50: 2e5, p99, p999: 9e6 };
        let round = |without, with| {
            let (without, with, after) = (latency(without), latency(with), latency(5e5));
            Round { without, with, after, closed: 200.0, taken: 190.4 }
        };
        let rounds = vec![round(1e6, 2e6), round(3e6, 6e6)];
        let text = table(&[Row { server: "x".into(), kind: Kind::Again, rounds }]).text();
        let cells: Vec<&str> = text.lines().nth(2).unwrap().split('|').map(str::trim).collect();
        let times = ["200 µs", "2000 µs", "200 µs", "4000 µs"];
        assert_eq!(cells[3..7], times);
        assert_eq!(cells[7..11], ["2.00 [2.00–2.00]", "500 µs", "200", "190"]);
    }
}

//! Server CPU per message, as a ratio to the epoll loop in C in the same round.

use crate::counter::Counter;
use crate::pattern;
use crate::peers::{self, Peer, Server};
use crate::process::{LOAD_CPU, Process};
use crate::stats::Quartiles;
use crate::table::Table;
use anyhow::{Context, Result, bail};
use std::env;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const SIZE: usize = 64;
const SLICE: Duration = Duration::from_millis(50);
const ROUNDS: usize = 24;
const ROUNDS_QUICK: usize = 6;
const PATIENCE: Duration = Duration::from_secs(60);
/// After this a load generator that was forgotten ends by itself.
const LIMIT_S: u32 = 600;

/// The first is what the others are measured against.
const PEERS: [Peer; 9] = [
    peers::EPOLL,
    peers::EPOLL_EDGE,
    peers::POOL,
    peers::POOL_AUTO,
    peers::POOL_RAW,
    peers::HOST,
    peers::HOST_AUTO,
    peers::HOST_RAW,
    peers::HOST_ALONE,
];

#[derive(Clone, Copy)]
struct Workload {
    conns: u32,
    in_flight: u32,
}

const WORKLOADS: [Workload; 3] = [
    Workload { conns: 64, in_flight: 1 },
    Workload { conns: 1000, in_flight: 1 },
    Workload { conns: 1000, in_flight: 8 },
];

impl Workload {
    fn name(self) -> String {
        format!("{} × {SIZE} B, {} in flight", self.conns, self.in_flight)
    }
}

/// A server with its load generator.
struct Contender {
    server: Server,
    load: Process,
    counter: Counter,
    /// Nanoseconds of the server's CPU per message, round by round.
    costs: Vec<f64>,
}

/// Measures all workloads and prints one table.
pub fn run(folder: &Path, only: &str, quick: bool) -> Result<()> {
    let peers = peers::chosen(&PEERS, only);
    let rounds = if quick { ROUNDS_QUICK } else { ROUNDS };
    let mut columns = Vec::new();
    for workload in WORKLOADS {
        eprintln!("{}: {} servers, {rounds} rounds", workload.name(), peers.len());
        columns.push(measure(folder, &peers, workload, rounds)?);
    }
    let names: Vec<String> = WORKLOADS.iter().map(|workload| workload.name()).collect();
    let mut table = Table::new(std::iter::once("server").chain(names.iter().map(String::as_str)));
    for (n, peer) in peers.iter().enumerate() {
        let cells = columns.iter().map(|column| column[n].clone());
        table.row(std::iter::once(peer.name.to_owned()).chain(cells).collect());
    }
    println!("{}", table.text());
    println!(
        "Server CPU per message, ratio to the first row in the same round: median [quartiles] of \
         {rounds} rounds (median µs)."
    );
    Ok(())
}

/// One cell for each peer.
fn measure(
    folder: &Path,
    peers: &[Peer],
    workload: Workload,
    rounds: usize,
) -> Result<Vec<String>> {
    let mut contenders = Vec::new();
    for (n, peer) in peers.iter().enumerate() {
        let contender = Contender::start(folder, peer, workload, n);
        contenders.push(contender.with_context(|| peer.name)?);
    }
    // A round that is not counted: the first slice also pays for what is made on first use.
    let mut order: Vec<usize> = (0..contenders.len()).collect();
    let mut seed = SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos() as u64;
    for round in 0..=rounds {
        shuffle(&mut order, &mut seed);
        for n in &order {
            let cost = contenders[*n].slice().with_context(|| peers[*n].name)?;
            if round > 0 {
                contenders[*n].costs.push(cost);
            }
        }
    }
    let base = contenders[0].costs.clone();
    contenders.iter().map(|contender| cell(&contender.costs, &base)).collect()
}

impl Contender {
    fn start(folder: &Path, peer: &Peer, workload: Workload, n: usize) -> Result<Self> {
        let mut server = peer.start(folder)?;
        if !server.facts.is_empty() {
            eprintln!("  {}: {}", peer.name, server.facts);
        }
        let path = env::temp_dir().join(format!("sockeye-bench-{}-{n}", std::process::id()));
        let counter = Counter::make(&path)?;
        let mut command = Command::new(env::current_exe().context("who am I")?);
        command.arg("load").args(["--port", &server.port.to_string()]);
        command.args(["--conns", &workload.conns.to_string()]);
        command.args(["--in-flight", &workload.in_flight.to_string()]);
        command.args(["--size", &SIZE.to_string(), "--limit", &LIMIT_S.to_string()]);
        command.arg("--counter").arg(&path);
        let mut load = Process::start("the load generator", &mut command, LOAD_CPU)?;
        load.line(PATIENCE)?;
        // Until every connection has done some rounds.
        let enough = u64::from(workload.conns * workload.in_flight) * 4;
        let deadline = std::time::Instant::now() + PATIENCE;
        while counter.get() < enough {
            load.demand_alive()?;
            if std::time::Instant::now() > deadline {
                bail!("{} of {enough} messages came back", counter.get());
            }
            thread::sleep(Duration::from_millis(1));
        }
        load.stop()?;
        server.process.rest()?;
        server.process.demand_alive()?;
        Ok(Self { server, load, counter, costs: Vec::new() })
    }

    /// Lets the load run for one slice; gives nanoseconds per message. The server rests at both
    /// ends, with the same number of answers waiting for the load generator.
    fn slice(&mut self) -> Result<f64> {
        let (before, counted) = (self.server.process.cpu_ns()?, self.counter.get());
        self.load.go_on()?;
        thread::sleep(SLICE);
        self.load.stop()?;
        self.server.process.rest()?;
        self.server.process.demand_alive()?;
        self.load.demand_alive()?;
        let used = self.server.process.cpu_ns()? - before;
        match self.counter.get() - counted {
            0 => bail!("no message came back in a slice"),
            count => Ok(used as f64 / count as f64),
        }
    }
}

/// Fisher and Yates.
fn shuffle(order: &mut [usize], seed: &mut u64) {
    for end in (1..order.len()).rev() {
        let other = pattern::next(seed) % (end as u64 + 1);
        order.swap(end, other as usize);
    }
}

/// "1.03 [1.01–1.05] (5.90 µs)"
fn cell(costs: &[f64], base: &[f64]) -> Result<String> {
    let ratios: Vec<f64> = costs.iter().zip(base).map(|(cost, base)| cost / base).collect();
    let ratio = Quartiles::of(&ratios).context("no rounds")?;
    let cost = Quartiles::of(costs).context("no rounds")?;
    let Quartiles { low, median, high } = ratio;
    Ok(format!("{median:.2} [{low:.2}–{high:.2}] ({:.2} µs)", cost.median / 1000.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shuffled_order_has_each_once() {
        let mut order: Vec<usize> = (0..9).collect();
        let mut seed = 1;
        shuffle(&mut order, &mut seed);
        assert_ne!(order, (0..9).collect::<Vec<_>>());
        order.sort_unstable();
        assert_eq!(order, (0..9).collect::<Vec<_>>());
    }

    #[test]
    fn ratios_are_formed_inside_a_round() {
        // The machine got twice as slow in the second round: both did.
        let text = cell(&[1100.0, 2200.0], &[1000.0, 2000.0]).unwrap();
        assert_eq!(text, "1.10 [1.10–1.10] (1.65 µs)");
    }
}

//! V1 to V9: the paths that the control was designed on, and the bands that it has to keep.

use std::io::Write;

use super::link::Path;
use super::measure::Record;
use super::peers::peers;
use super::receiver::Receiver;
use super::rival::Rival;
use super::sender::Sender;
use super::{Kind, MS, Micros, Node, S, Sim, Source};
use crate::transport::lanes::recovery::{Control, RateConfig, Recovery};

const MIB: u64 = 1 << 20;
/// More than any of these flows can send.
pub const ENDLESS: u64 = 1 << 40;
/// How many seeds a table is printed from.
const SEEDS: &str = "SOCKEYE_LANES_SEEDS";
/// The timer wheel's grain.
const TICK: Micros = MS;

/// One figure: what was asked of it, and what came of each seed.
pub struct Row {
    pub name: &'static str,
    pub least: f64,
    pub most: f64,
    pub values: Vec<f64>,
}

pub type Rows = Vec<Row>;

pub fn row(name: &'static str, least: f64, most: f64, value: f64) -> Row {
    Row { name, least, most, values: vec![value] }
}

impl Row {
    fn holds(&self) -> bool {
        self.values.iter().all(|value| (self.least..=self.most).contains(value))
    }
}

impl std::fmt::Display for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut values = self.values.clone();
        values.sort_by(f64::total_cmp);
        let [first, median, last] = [0, values.len() / 2, values.len() - 1].map(|at| values[at]);
        let Row { name, least, most, .. } = self;
        write!(f, "{name:44} {first:8.2} {median:8.2} {last:8.2}   asked {least} to {most}")
    }
}

/// The rows of several seeds, one beside the other.
fn gather(seeds: u64, vector: impl Fn(u64) -> Rows) -> Rows {
    let mut all = Rows::new();
    for seed in 0..seeds {
        for (index, row) in vector(seed).into_iter().enumerate() {
            match all.get_mut(index) {
                Some(same) => same.values.extend(row.values),
                None => all.push(row),
            }
        }
    }
    all
}

/// Holds a vector to its bands, from as many seeds as the variable says, or from `seeds`.
pub fn check(seeds: u64, vector: impl Fn(u64) -> Rows) {
    let asked = std::env::var(SEEDS).ok().and_then(|seeds| seeds.parse().ok());
    let rows = gather(asked.unwrap_or(seeds), vector);
    for row in &rows {
        if asked.is_some() {
            // Straight to the terminal, past what a test captures.
            let _ = writeln!(std::io::stderr(), "{row}");
        }
    }
    for row in &rows {
        assert!(row.holds(), "outside of its band:\n{row}");
    }
}

pub fn game() -> RateConfig {
    RateConfig { control: Control::Game, ..RateConfig::default() }
}

pub fn input() -> Source {
    Source { kind: Kind::Unreliable, bytes: 64, period: 33 * MS, from: 0, until: Micros::MAX }
}

impl Sim {
    /// Adds a flow of ours, with an unreliable message every 33 ms.
    pub fn add_game(&mut self, bulk: &[(Micros, u64)]) {
        let seed = self.random.next();
        self.add(peers(game(), None, seed), vec![input()], bulk, TICK);
    }

    /// Adds a TCP.
    pub fn add_rival(&mut self, bulk: &[(Micros, u64)]) {
        let seed = self.random.next();
        let mut recovery = Recovery::new(game(), None, seed, 0);
        recovery.set_control(Box::new(Rival::new()));
        let sender = Sender::new(recovery);
        let nodes: [Box<dyn Node>; 2] = [Box::new(sender), Box::new(Receiver::new())];
        self.add(nodes, Vec::new(), bulk, 1);
    }
}

/// One flow of ours over a path, until `until`.
pub fn run(path: &Path, back: &Path, seed: u64, bulk: &[(Micros, u64)], until: Micros) -> Record {
    let mut sim = Sim::new(path.clone(), back.clone(), seed);
    sim.add_game(bulk);
    sim.run(until);
    sim.flows.remove(0).record
}

/// Both ways of a path: what is the same both ways, and a bottleneck forward.
fn paths(mbit: f64, rtt: Micros, queue_ms: f64) -> (Path, Path) {
    (Path::new(mbit, rtt / 2, queue_ms), Path::wide(rtt / 2))
}

/// 4 MiB from 0.5 s on: seconds, excess, and what it took on the wire, in percent.
fn download(path: &Path, back: &Path, seed: u64, rtt: Micros) -> (f64, f64, f64) {
    let start = S / 2;
    let record = run(path, back, seed, &[(start, 4 * MIB)], 30 * S);
    let end = record.bulk_at(4 * MIB).unwrap_or(Micros::MAX / 2);
    let wire = record.wire as f64 * 100.0 / (4 * MIB) as f64;
    ((end - start) as f64 / 1e6, record.excess(start, end, rtt / 2), wire)
}

fn v1(seed: u64) -> Rows {
    let (mut path, mut back) = paths(100.0, 100 * MS, 100.0);
    path.loss = 0.01;
    back.loss = 0.01;
    let (seconds, excess, wire) = download(&path, &back, seed, 100 * MS);
    let long = run(&path, &back, seed, &[(0, ENDLESS)], 25 * S);
    vec![
        row("V1 fat-1pct: 4 MiB, s", 0.85, 1.20, seconds),
        row("V1 fat-1pct: p99 excess, ms", 0.0, 5.0, excess),
        row("V1 fat-1pct: wire, % of 4 MiB", 100.0, 116.0, wire),
        row("V1 fat-1pct: long flow, Mbit/s", 85.0, 100.0, long.goodput(5 * S, 25 * S)),
    ]
}

fn v2(seed: u64) -> Rows {
    let (path, back) = paths(10.0, 40 * MS, 100.0);
    let (seconds, excess, _) = download(&path, &back, seed, 40 * MS);
    let long = run(&path, &back, seed, &[(0, ENDLESS)], 65 * S);
    vec![
        row("V2 home-10: 4 MiB, s", 3.50, 4.10, seconds),
        row("V2 home-10: p99 excess cold, ms", 0.0, 7.0, excess),
        row("V2 home-10: p99 excess steady, ms", 0.0, 5.0, long.excess(5 * S, 65 * S, 20 * MS)),
        row("V2 home-10: long flow, Mbit/s", 8.6, 10.0, long.goodput(5 * S, 65 * S)),
    ]
}

/// Two flows over 10 Mbit/s, the second some seconds later: the share of the first from 20 s on,
/// and its excess.
pub fn share(rtt: Micros, queue_ms: f64, rival: bool, seed: u64) -> (f64, f64) {
    let (path, back) = paths(10.0, rtt, queue_ms);
    let mut sim = Sim::new(path, back, seed);
    sim.add_game(&[(0, ENDLESS)]);
    let second = [((1 + seed % 7) * S + seed * 37 * MS, ENDLESS)];
    if rival {
        sim.add_rival(&second);
    } else {
        sim.add_game(&second);
    }
    sim.run(60 * S);
    let [first, second] = [0, 1].map(|flow| sim.flows[flow].record.goodput(20 * S, 60 * S));
    (first / (first + second), sim.flows[0].record.excess(20 * S, 60 * S, rtt / 2))
}

fn v3(seed: u64) -> Rows {
    let (own, excess) = share(100 * MS, 100.0, false, seed);
    let (beside, _) = share(100 * MS, 100.0, true, seed);
    vec![
        row("V3 share-10: share with its kind", 0.42, 0.58, own),
        row("V3 share-10: p99 excess with its kind, ms", 0.0, 12.0, excess),
        row("V3 share-10: share beside CUBIC", 0.30, 0.67, beside),
    ]
}

pub fn v4(seed: u64) -> Rows {
    let (path, back) = paths(0.256, 60 * MS, 1_000.0);
    let record = run(&path, &back, seed, &[(S, ENDLESS)], 40 * S);
    let kbit = record.goodput(10 * S, 40 * S) * 1_000.0;
    vec![
        row("V4 uplink-256: goodput, kbit/s", 140.0, 256.0, kbit),
        row("V4 uplink-256: p99 excess, ms", 0.0, 90.0, record.excess(10 * S, 40 * S, 30 * MS)),
    ]
}

fn v5(seed: u64) -> Rows {
    let (mut path, mut back) = paths(10.0, 100 * MS, 100.0);
    path.loss = 0.2;
    back.loss = 0.2;
    let (seconds, excess, _) = download(&path, &back, seed, 100 * MS);
    vec![
        row("V5 lossy-20: 4 MiB, s", 4.9, 7.5, seconds),
        row("V5 lossy-20: p99 excess, ms", 0.0, 50.0, excess),
    ]
}

pub fn v6(seed: u64) -> Rows {
    let (mut path, mut back) = paths(10.0, 100 * MS, 100.0);
    path.outage = Some((10 * S, 12 * S));
    back.outage = path.outage;
    let record = run(&path, &back, seed, &[(0, ENDLESS)], 20 * S);
    let mut back_at = 12 * S;
    while back_at < 20 * S && record.goodput(back_at, back_at + 300 * MS) < 7.0 {
        back_at += 50 * MS;
    }
    let arrivals = record.unreliable.iter().filter(|(at, _)| *at >= 12 * S);
    let first = arrivals.map(|(at, took)| at + took).min().unwrap_or(Micros::MAX);
    vec![
        row("V6 outage-2s: 7 Mbit/s again, s", 0.0, 1.2, (back_at - 12 * S) as f64 / 1e6),
        row("V6 outage-2s: first unreliable, ms", 0.0, 90.0, (first - 12 * S) as f64 / 1e3),
    ]
}

fn v7(seed: u64) -> Rows {
    let (mut path, back) = paths(100.0, 60 * MS, 100.0);
    path.policer = Some((5.0 * 125_000.0, 20e3));
    let mut sim = Sim::new(path, back, seed);
    sim.add_game(&[(0, ENDLESS)]);
    sim.run(30 * S);
    let record = &sim.flows[0].record;
    let lost = sim.links[0].drops as f64 * 100.0 / record.packets as f64;
    vec![
        row("V7 policer-5: goodput, Mbit/s", 4.4, 5.0, record.goodput(5 * S, 30 * S)),
        row("V7 policer-5: lost, %", 0.0, 6.0, lost),
    ]
}

fn v8(seed: u64) -> Rows {
    let (mut path, mut back) = paths(10.0, 60 * MS, 100.0);
    path.jitter = 5 * MS;
    back.jitter = 5 * MS;
    let record = run(&path, &back, seed, &[(0, ENDLESS)], 25 * S);
    vec![
        row("V8 jitter-5: goodput, Mbit/s", 8.3, 10.0, record.goodput(5 * S, 25 * S)),
        row("V8 jitter-5: p99 excess, ms", 0.0, 22.0, record.excess(5 * S, 25 * S, 30 * MS)),
    ]
}

fn v9(seed: u64) -> Rows {
    let (mut path, back) = paths(10.0, 100 * MS, 1_000.0);
    path.rates.push((15 * S, 2.0 * 125_000.0));
    let bulk = [(0, 4 * MIB), (30 * S, MIB / 2)];
    let record = run(&path, &back, seed, &bulk, 45 * S);
    let end = record.bulk_at(4 * MIB + MIB / 2).unwrap_or(Micros::MAX / 2);
    vec![
        row("V9 resume-10-to-2: 512 KiB, s", 0.0, 2.8, (end - 30 * S) as f64 / 1e6),
        row(
            "V9 resume-10-to-2: p99 excess, ms",
            0.0,
            180.0,
            record.excess(30 * S, 33 * S, 50 * MS),
        ),
    ]
}

macro_rules! holds {
    ($($name:ident: $vector:ident over $seeds:expr,)*) => {$(
        #[test]
        fn $name() {
            check($seeds, $vector);
        }
    )*};
}

holds! {
    holds_v1: v1 over 1,
    holds_v2: v2 over 2,
    holds_v3: v3 over 1,
    holds_v4: v4 over 2,
    holds_v5: v5 over 3,
    holds_v6: v6 over 3,
    holds_v7: v7 over 2,
    holds_v8: v8 over 2,
    holds_v9: v9 over 2,
}

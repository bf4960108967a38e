//! Whatever happens on the way, the lanes keep their promises and the accounts hold.

use super::link::Path;
use super::measure::Record;
use super::peers::peers;
use super::vectors::{game, input};
use super::{Kind, MS, Micros, Random, S, Sim, Source};

const BULK: u64 = 1 << 18;
/// Until when there is bad weather and something is written, and when all of it has arrived.
const STORM: Micros = 10 * S;
const END: Micros = 300 * S;

/// One of `values`.
fn any<T: Copy>(random: &mut Random, values: &[T]) -> T {
    values[(random.next() % values.len() as u64) as usize]
}

fn path(mbit: f64, delay: Micros, random: &mut Random) -> Path {
    let mut path = Path::new(mbit, delay, any(random, &[5.0, 50.0, 300.0]));
    path.loss = any(random, &[0.0, 0.01, 0.1, 0.3]);
    path.bursts = any(random, &[None, None, Some((0.005, 0.1, 0.9))]);
    path.jitter = any(random, &[0, 5 * MS, 30 * MS]);
    path.reorder = any(random, &[(0.0, 0), (0.1, 50 * MS), (0.5, 10 * MS)]);
    path.duplicate = any(random, &[0.0, 0.1]);
    path.outage = any(random, &[None, None, Some((2 * S, 4 * S)), Some((3 * S, 7 * S))]);
    path.rates.push((5 * S, any(random, &[0.25, 1.0, 4.0]) * mbit * 125_000.0));
    path
}

fn run(seed: u64) -> Record {
    let mut random = Random(seed);
    let mbit = any(&mut random, &[0.5, 2.0, 10.0, 50.0]);
    let delay = any(&mut random, &[MS, 20 * MS, 100 * MS]);
    let (forward, back) = (path(mbit, delay, &mut random), path(mbit, delay, &mut random));
    let mut sim = Sim::new(forward, back, seed);
    let ordered =
        Source { kind: Kind::Reliable, bytes: 100, period: 50 * MS, from: 0, until: STORM };
    let sources = vec![input(), ordered];
    sim.add(peers(game(), None, seed), sources, &[(0, BULK), (STORM, BULK)], MS);
    sim.run(END);
    sim.flows.remove(0).record
}

#[test]
fn keeps_its_promises() {
    for seed in 0..24 {
        // That nothing comes twice, and what is ordered in order, the record asserts.
        let record = run(seed);
        let done = record.bulk_at(2 * BULK);
        assert!(done.is_some(), "seed {seed}: bulk is missing");
        let ordered = record.reliable.len() as u64;
        assert!((STORM / (50 * MS)).abs_diff(ordered) <= 1, "seed {seed}: {ordered}");
        assert!(record.unreliable.len() > 2_000, "seed {seed}: {}", record.unreliable.len());
    }
}

//! Many seeds. `SOCKEYE_SIM_SEEDS=N` runs that many and `SOCKEYE_SIM_SEED=K` begins with that one:
//! alone, it repeats one. `cargo xtask sim` sets both.

use super::Under;
use super::run::Run;
use std::env;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// Each quarter is a test of its own, so that they run side by side.
const QUARTER: u64 = 150;

fn number(variable: &str) -> Option<u64> {
    let text = env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is a number, not {text}")))
}

/// Runs one seed, under a tap or not; what goes wrong is reported with it. What workers call their
/// sockets makes no difference: with dense numbers and without the run is the same.
fn play(seed: u64, taps: bool) -> u64 {
    let all = || {
        if taps {
            return Run::new(seed, Under::Tap).play();
        }
        let [plain, dense] = [Under::Sim, Under::Dense].map(|under| Run::new(seed, under).play());
        assert_eq!(plain, dense, "dense numbers make another run");
        plain
    };
    catch_unwind(AssertUnwindSafe(all)).unwrap_or_else(|fault| {
        let words = fault.downcast_ref::<String>().cloned();
        let words = words.or_else(|| fault.downcast_ref::<&str>().map(|words| (*words).into()));
        match words {
            Some(words) => panic!("`cargo xtask sim --seed {seed}` repeats this: {words}"),
            None => resume_unwind(fault),
        }
    })
}

/// As the others, with a tap between the engine and the network, which cuts what passes.
#[test]
fn the_rules_hold_under_a_tap() {
    let (first, count) = (number("SOCKEYE_SIM_SEED"), number("SOCKEYE_SIM_SEEDS"));
    let most = if first.is_some() { 1 } else { QUARTER };
    let first = first.unwrap_or(0);
    for seed in first..first + count.unwrap_or(most) {
        play(seed, true);
    }
}

fn play_all(seeds: Range<u64>) {
    for seed in seeds {
        play(seed, false);
    }
}

/// The seeds that were asked for, else the first quarter.
#[test]
fn the_rules_hold_for_every_seed() {
    let (first, count) = (number("SOCKEYE_SIM_SEED"), number("SOCKEYE_SIM_SEEDS"));
    let most = if first.is_some() { 1 } else { QUARTER };
    let first = first.unwrap_or(0);
    play_all(first..first + count.unwrap_or(most));
}

#[test]
fn the_rules_hold_for_the_second_quarter() {
    play_all(QUARTER..2 * QUARTER);
}

#[test]
fn the_rules_hold_for_the_third_quarter() {
    play_all(2 * QUARTER..3 * QUARTER);
}

#[test]
fn the_rules_hold_for_the_fourth_quarter() {
    play_all(3 * QUARTER..4 * QUARTER);
}

/// Also what is not one of the events: who read how much when, and what each call answered.
#[test]
fn a_seed_repeats_exactly() {
    let trace = |seed| play(seed, false);
    let traces: Vec<u64> = (0..10).map(trace).collect();
    assert_eq!(traces, (0..10).map(trace).collect::<Vec<u64>>());
    let mut others = traces.clone();
    others.sort_unstable();
    others.dedup();
    assert_eq!(others.len(), traces.len(), "each seed is a run of its own");
}

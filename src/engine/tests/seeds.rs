//! Many seeds. `SOCKEYE_SIM_SEEDS=N` runs that many, `SOCKEYE_SIM_SEED=K` repeats one.

use super::run::Run;
use std::env;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

const SEEDS: u64 = 400;

fn number(variable: &str) -> Option<u64> {
    let text = env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is a number, not {text}")))
}

/// Runs one seed; what goes wrong is told with it.
fn play(seed: u64) -> u64 {
    catch_unwind(AssertUnwindSafe(|| Run::new(seed).play())).unwrap_or_else(|fault| {
        let words = fault.downcast_ref::<String>().cloned();
        let words = words.or_else(|| fault.downcast_ref::<&str>().map(|words| (*words).into()));
        match words {
            Some(words) => panic!("SOCKEYE_SIM_SEED={seed} repeats this: {words}"),
            None => resume_unwind(fault),
        }
    })
}

#[test]
fn the_rules_hold_for_every_seed() {
    if let Some(seed) = number("SOCKEYE_SIM_SEED") {
        play(seed);
        return;
    }
    for seed in 0..number("SOCKEYE_SIM_SEEDS").unwrap_or(SEEDS) {
        play(seed);
    }
}

#[test]
fn a_seed_repeats_exactly() {
    for seed in 0..5 {
        assert_eq!(play(seed), play(seed), "seed {seed}");
    }
}

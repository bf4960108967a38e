//! The engine over a simulated network: `seeds.rs` has hosts and peers do what a seed says while
//! `ledger.rs` watches the rules of behaviour, `cases.rs` are single stories, `panics.rs` what a
//! fault leaves behind, `baton.rs` whose thread turns, `moves.rs` a change of queues,
//! `late.rs` deadlines, `host_timers.rs` timers of the host, `memory.rs` who is closed for memory,
//! `rates.rs` how fast, `hellos.rs` how connections with a layer open, `layered.rs` what layers do
//! over the simulated network.

mod baton;
mod cases;
mod conn_log;
mod elastic;
mod hellos;
mod host_timers;
mod late;
mod layered;
mod ledger;
mod memory;
mod moves;
mod panics;
mod peer_log;
mod plan;
mod rates;
mod roam;
mod run;
mod seeds;
mod stage;
mod told;
mod wire;

use super::shared::reminder::Due;
use super::timers::Wheel;
use super::{Config, Drive, Net};
use crate::io::Visit;
use crate::io::sim::{Dense, Sim, World};
use crate::io::tap::Tap;
use crate::session::Millis;
use std::cell::{Cell, RefCell};
use std::sync::Arc;

thread_local! {
    static NOW: Cell<Option<Millis>> = const { Cell::new(None) };
    /// Microseconds beside it.
    static MICROS: Cell<u64> = const { Cell::new(0) };
    /// Timers that the next turn of this thread sets, and the steps that its turns spent on any.
    static TIMERS: RefCell<Vec<(Due, Millis)>> = const { RefCell::new(Vec::new()) };
    static STEPS: RefCell<Vec<u32>> = const { RefCell::new(Vec::new()) };
}

/// Sets what a test asked for.
pub fn set_timers(wheel: &mut Wheel) {
    for (due, at) in TIMERS.take() {
        wheel.set(None, due, at);
    }
}

/// A turn spent so many steps on timers.
pub fn note_steps(steps: u32) {
    STEPS.with_borrow_mut(|all| all.push(steps));
}

/// The time that the test of this thread gave the nets that it turns; None: the system's.
pub fn now() -> Option<Millis> {
    NOW.get()
}

/// What of a millisecond has passed beside `now`.
pub fn micros() -> u64 {
    MICROS.get()
}

/// Sets what of the millisecond has passed.
fn set_micros(micros: u64) {
    MICROS.set(micros);
}

/// Gives this thread a time of its own.
fn set_now(now: Millis) {
    NOW.set(Some(now));
}

/// A net in a simulated network.
pub fn open(world: &World, config: Config) -> Arc<Net> {
    let under = if config.taps { Under::Tap } else { Under::Sim };
    open_as(world, config, under)
}

/// What a net's workers watch their sockets by.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Under {
    Sim,
    /// With dense numbers for the sockets.
    Dense,
    /// Behind a tap.
    Tap,
}

/// As `open`, by one of them.
pub fn open_as(world: &World, config: Config, under: Under) -> Arc<Net> {
    world.enter();
    let opened = Net::open_with(config, |_, open| match under {
        Under::Sim => open.visit::<Sim>(),
        Under::Dense => open.visit::<Dense>(),
        Under::Tap => open.visit::<Tap<Sim>>(),
    });
    opened.expect("SIM opens anywhere")
}

/// Without a thread: the test turns the worker, and every run is the same.
pub fn threadless() -> Config {
    Config { workers: Some(0), drive: Drive::Host, ..Config::default() }
}

//! `sim`: the engine over the simulated network, for many seeds. The tests of the library hold the
//! rules and take the seeds from the environment; here they are built and started.

use crate::args::Sim;
use crate::shell;
use crate::workspace::Workspace;
use anyhow::{Context, Result, bail};
use std::process::Stdio;
use std::time::{Duration, Instant};

const SEEDS: u32 = 10_000;
const TEST: &str = "engine::tests::seeds::the_rules_hold_for_every_seed";
/// Some hundred seeds a second pass on one processor; this is for a run that hangs.
const LIMIT: Duration = Duration::from_secs(24 * 3600);

pub fn run(workspace: &Workspace, options: &Sim) -> Result<()> {
    let first = options.seed.unwrap_or(0);
    let count = options.seeds.unwrap_or(if options.seed.is_some() { 1 } else { SEEDS });
    let args = ["test", "--package", "sockeye", "--lib", "--", "--exact", TEST, "--nocapture"];
    let mut command = workspace.cargo(args);
    command.env("SOCKEYE_SIM_SEED", first.to_string());
    command.env("SOCKEYE_SIM_SEEDS", count.to_string());
    let begun = Instant::now();
    let mut child = command.stdin(Stdio::null()).spawn().context("cannot run cargo")?;
    match shell::wait(&mut child, LIMIT)? {
        Some(status) if status.success() => {
            let seconds = begun.elapsed().as_secs_f32();
            println!("{count} seeds from {first} on, all well, in {seconds:.0} s");
            Ok(())
        }
        Some(status) => bail!("a seed broke a rule: {status}"),
        None => bail!("ended after {LIMIT:?}"),
    }
}

//! `measure`: builds the peers and the harness of `bench/`, and starts the harness.

use crate::args::{Measure, Subject};
use crate::workspace::Workspace;
use crate::{builds, install, programs, shell};
use anyhow::{Context, Result, bail};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(900);
/// The peers, and what each is linked with.
const PEERS: [(&str, &[&str]); 2] =
    [("epoll_echo", &[]), ("sockeye_echo", &["-lsockeye", "-lpthread", "-ldl", "-lm"])];

pub fn run(workspace: &Workspace, options: &Measure) -> Result<()> {
    if !cfg!(target_os = "linux") {
        bail!("the measurement pins processes and reads /proc: it needs Linux");
    }
    install::ensure(workspace, install::MEASURE)?;
    builds::library(workspace)?;
    let logs = workspace.scratch("logs")?;
    let mut build = workspace.cargo(["build", "--release", "--package", "bench"]);
    shell::demand(&mut build, &logs.join("bench.log"), LIMIT)?;
    let folder = workspace.scratch("peers")?;
    for (name, libraries) in PEERS {
        let mut compile = compile(workspace, &folder, name, libraries);
        shell::demand(&mut compile, &logs.join("peers.log"), LIMIT)?;
    }
    let mut harness = Command::new(workspace.release().join("bench"));
    harness.arg(match options.subject {
        Subject::Messages => "messages",
        Subject::Memory => "memory",
        Subject::Idle => "idle",
    });
    harness.arg("--peers").arg(&folder).env("LD_LIBRARY_PATH", workspace.release());
    harness.arg("--only").arg(&options.only);
    if options.quick {
        harness.arg("--quick");
    }
    // It has deadlines of its own, and its rows are read as they come.
    let status = harness.status().context("cannot run the harness")?;
    if !status.success() {
        bail!("the harness failed: {status}");
    }
    Ok(())
}

fn compile(workspace: &Workspace, folder: &Path, name: &str, libraries: &[&str]) -> Command {
    let mut command = Command::new("gcc");
    command.args(["-O2", "-std=c99"]).args(programs::WARNINGS);
    command.arg("-I").arg(workspace.root.join("include"));
    command.arg(workspace.root.join("bench/peers").join(format!("{name}.c")));
    command.arg("-o").arg(folder.join(name));
    command.arg("-L").arg(workspace.release()).args(libraries);
    command
}

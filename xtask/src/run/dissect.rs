//! `dissect`: what tshark shows of packets of `game://` with `tools/sockeye.lua`.

use crate::run::programs;
use crate::workspace::Workspace;
use crate::{builds, shell, tools};
use anyhow::Result;
use std::process::Command;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(120);

/// Prints a line for each case.
pub fn run(workspace: &Workspace) -> Result<()> {
    tools::ensure(workspace, tools::DISSECT)?;
    builds::library(workspace)?;
    let (folder, tests) = (workspace.scratch("dissect")?, workspace.root.join("tests/dissect"));
    let talk = folder.join("talk");
    let mut compile = Command::new("gcc");
    compile.args(["-std=c99", "-O1", "-g"]).args(programs::WARNINGS);
    compile.arg("-I").arg(workspace.root.join("include")).arg(tests.join("talk.c"));
    compile.arg("-o").arg(&talk).arg("-L").arg(workspace.release()).args(programs::LIBRARIES);
    shell::demand(&mut compile, &folder.join("talk-build.log"), LIMIT)?;
    let mut script = workspace.command("python3");
    script.env("LD_LIBRARY_PATH", workspace.release()).arg(tests.join("dissect.py"));
    script.arg("--script").arg(workspace.root.join("tools/sockeye.lua"));
    script.arg("--work").arg(&folder).arg("--talk").arg(&talk);
    print!("{}", shell::demand(&mut script, &folder.join("dissect.log"), LIMIT)?);
    Ok(())
}

//! `dissect`: what tshark shows of packets of `game://` with `tools/sockeye.lua`.

use crate::workspace::Workspace;
use crate::{shell, tools};
use anyhow::Result;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(120);

/// Prints a line for each case.
pub fn run(workspace: &Workspace) -> Result<()> {
    tools::ensure(workspace, tools::DISSECT)?;
    let folder = workspace.scratch("dissect")?;
    let mut script = workspace.command("python3");
    script.arg(workspace.root.join("tests/dissect/dissect.py"));
    script.arg("--script").arg(workspace.root.join("tools/sockeye.lua"));
    script.arg("--work").arg(&folder);
    print!("{}", shell::demand(&mut script, &folder.join("dissect.log"), LIMIT)?);
    Ok(())
}

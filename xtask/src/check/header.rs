//! `include/sockeye.h`: written by the library's build script, here looked after.

use crate::shell;
use crate::workspace::Workspace;
use anyhow::{Context, Result, bail};
use std::process::Command;
use std::time::Duration;

const HEADER: &str = "include/sockeye.h";
const LIMIT: Duration = Duration::from_secs(600);

/// Writes the header anew. With `check`, fails when it is not the committed one. Says what was.
pub fn run(workspace: &Workspace, check: bool) -> Result<String> {
    let path = workspace.root.join(HEADER);
    let before = std::fs::read(&path).ok();
    generate(workspace)?;
    let after = std::fs::read(&path).with_context(|| format!("{HEADER} was not written"))?;
    if check {
        if workspace.root.join(".git").exists() {
            committed(workspace)?;
        } else if before.as_deref() != Some(&after) {
            bail!("{HEADER} was not what src/capi says; it is now");
        }
        Ok(format!("{HEADER} is what src/capi says"))
    } else if before.as_deref() == Some(&after) {
        Ok(format!("{HEADER} did not change"))
    } else {
        Ok(format!("{HEADER} written"))
    }
}

fn generate(workspace: &Workspace) -> Result<()> {
    let log = workspace.scratch("logs")?.join("header.log");
    let mut command = workspace.cargo(["check", "--package", "sockeye"]);
    let text = shell::demand(&mut command, &log, LIMIT)?;
    // The build script leaves a fault in src/capi to the compiler; if that is content, we are not.
    if let Some(line) = text.lines().find(|line| line.contains("header not generated")) {
        bail!("{line}");
    }
    Ok(())
}

fn committed(workspace: &Workspace) -> Result<()> {
    let log = workspace.scratch("logs")?.join("header-diff.log");
    let mut git = Command::new("git");
    git.args(["diff", "--exit-code", HEADER]).current_dir(&workspace.root);
    let outcome = shell::run(&mut git, &log, LIMIT)?;
    if !outcome.ok() {
        let text = outcome.text.trim_end();
        bail!("{text}\n{HEADER} is not the committed one: look at it and commit it");
    }
    Ok(())
}

//! `kqueue`: the tests of the model KQUEUE on Linux, over the library libkqueue of the system.
//!
//! That library is not the kqueue of macOS or of a BSD. What passes here is the model's own logic.

use crate::check::matrix::{self, Page, Spared};
use crate::workspace::Workspace;
use crate::{shell, tools};
use anyhow::{Context, Result};
use std::env;
use std::process::Command;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(3600);
/// The model's own, and those of programs that no model changes, of which some behaviours are.
const TESTS: &str = "test(/(^|::)(bsd|kqueue)::/) | binary(bad_input)";
const SOURCE: &str = "a system without a package of it needs it built from its source \
                      (https://github.com/mheily/libkqueue, 2.7 or newer), and PKG_CONFIG_PATH";

/// Runs them, and shows each behaviour; `write` puts the model's row in docs/models.md.
pub fn run(workspace: &Workspace, write: bool) -> Result<()> {
    tools::ensure(workspace, tools::KQUEUE).context(SOURCE)?;
    matrix::forget(workspace, &matrix::KQUEUE)?;
    let mut command = workspace.cargo(["nextest", "run", "--profile", "kqueue"]);
    command.args(["--package", "sockeye", "--features", "kqueue-shim", "-E", TESTS]);
    command.env("LD_LIBRARY_PATH", libraries()?);
    let log = workspace.scratch("logs")?.join("kqueue.log");
    let ran = shell::demand(&mut command, &log, LIMIT);
    let page = Page::read(workspace, &matrix::KQUEUE, Spared::default());
    if let Ok(page) = &page {
        page.show();
        if write {
            // What fails is in it, too.
            page.write(workspace)?;
        }
    }
    let text = ran?;
    page?;
    println!("{}", text.lines().rfind(|line| line.contains("Summary")).unwrap_or_default().trim());
    Ok(())
}

/// Where the library is, in front of where libraries are looked for already.
fn libraries() -> Result<String> {
    let mut ask = Command::new("pkg-config");
    let found = shell::stdout(ask.args(["--variable=libdir", "libkqueue"]))?;
    let before = env::var("LD_LIBRARY_PATH").unwrap_or_default();
    Ok(format!("{}:{before}", found.trim()).trim_end_matches(':').to_owned())
}

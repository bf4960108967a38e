//! `web`: WebSockets as others speak them: Autobahn's cases (Python's `kosoku`), Python's
//! `websockets`, curl, and the arena's page in headless Chromium, all on this machine.

use crate::run::programs;
use crate::workspace::Workspace;
use crate::{builds, shell, tools};
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use std::{env, fs};

const LIMIT: Duration = Duration::from_secs(120);
/// The cases of compression take minutes.
const DEFLATED_LIMIT: Duration = Duration::from_secs(900);
/// Where the page of documentation has the table.
const PAGE: &str = "docs/websocket.md";
const MARKS: (&str, &str) = ("<!-- cases -->\n", "<!-- end of cases -->\n");

/// What is asked of `web`.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Options {
    /// The cases of compression too.
    pub deflated: bool,
    /// The table of cases goes to the page of documentation.
    pub write: bool,
}

/// Runs them one behind the other.
pub fn run(workspace: &Workspace, options: Options) -> Result<()> {
    tools::ensure(workspace, tools::WEB)?;
    builds::library(workspace)?;
    let sample = builds::sample(workspace)?;
    let folder = workspace.scratch("web")?;
    let echo = echo(workspace, &folder)?;
    let page = workspace.root.join("cpp-sample/arena/page.html");
    let mut rows =
        String::from("| end | group | cases | OK | non-strict | informational | failed |\n");
    rows.push_str("|---|---|---|---|---|---|---|\n");
    for end in ["server", "client"] {
        for deflated in [false, true] {
            if deflated && !options.deflated {
                continue;
            }
            let mut script = script(workspace, "cases.py");
            script.arg("--echo").arg(&echo).args(["--cases", end]);
            script.args(deflated.then_some("--deflated"));
            let limit = if deflated { DEFLATED_LIMIT } else { LIMIT };
            let log = folder.join(format!("cases-{end}.log"));
            rows.push_str(&table(end, &shell::demand(&mut script, &log, limit)?));
        }
    }
    print!("{rows}");
    if options.write {
        write(workspace, &rows)?;
    }
    let mut script_of_others = script(workspace, "interop.py");
    script_of_others.arg("--echo").arg(&echo).arg("--arena").arg(sample.join("arena_server"));
    script_of_others.arg("--page").arg(&page);
    print!("{}", shell::demand(&mut script_of_others, &folder.join("interop.log"), LIMIT)?);
    let mut browser = script(workspace, "browser.py");
    browser.arg("--programs").arg(&sample).args(["--chromium", "chromium"]);
    browser.arg("--work").arg(&folder).arg("--screenshot").arg(folder.join("arena.png"));
    print!("{}", shell::demand(&mut browser, &folder.join("browser.log"), LIMIT)?);
    Ok(())
}

/// A script of `tests/web`, with the packages of Python that it needs.
fn script(workspace: &Workspace, name: &str) -> Command {
    let mut command = workspace.command("python3");
    command.env("PYTHONPATH", workspace.wheels(tools::WEB_WHEELS));
    command.env("LD_LIBRARY_PATH", workspace.release());
    command.arg(workspace.root.join("tests/web").join(name));
    command
}

/// The echo that the cases are played with.
fn echo(workspace: &Workspace, folder: &Path) -> Result<PathBuf> {
    let program = folder.join("echo");
    let mut compile = Command::new(env::var_os("CC").unwrap_or_else(|| "gcc".into()));
    compile.args(["-std=c99", "-O1", "-g"]).args(programs::WARNINGS);
    compile.arg("-I").arg(workspace.root.join("include"));
    compile.arg(workspace.root.join("tests/web/echo.c")).arg("-o").arg(&program);
    compile.arg("-L").arg(workspace.release()).args(programs::LIBRARIES);
    shell::demand(&mut compile, &folder.join("echo-build.log"), LIMIT)?;
    Ok(program)
}

/// The rows of one end: "row GROUP CASES OK NON-STRICT INFORMATIONAL FAILED TITLE".
fn table(end: &str, said: &str) -> String {
    let mut rows = String::new();
    for line in said.lines().filter_map(|line| line.strip_prefix("row ")) {
        let words: Vec<&str> = line.splitn(7, ' ').collect();
        if let [group, cases, ok, lax, told, failed, title] = words[..] {
            rows += &format!(
                "| {end} | {group}: {title} | {cases} | {ok} | {lax} | {told} | {failed} |\n"
            );
        }
    }
    rows
}

fn write(workspace: &Workspace, rows: &str) -> Result<()> {
    let path = workspace.root.join(PAGE);
    let page = fs::read_to_string(&path)?;
    let (front, rest) = page.split_once(MARKS.0).context("the page has no place for the cases")?;
    let (_, behind) = rest.split_once(MARKS.1).context("the place for the cases has no end")?;
    fs::write(path, format!("{front}{}{rows}{}{behind}", MARKS.0, MARKS.1))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_read() {
        let said = "noise\nrow 6 145 144 1 0 0 UTF-8\nrow 7 37 34 0 3 0 closing\n";
        assert_eq!(
            table("server", said),
            "| server | 6: UTF-8 | 145 | 144 | 1 | 0 | 0 |\n\
             | server | 7: closing | 37 | 34 | 0 | 3 | 0 |\n"
        );
    }
}

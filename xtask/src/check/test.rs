//! Every check, in the order in which a failure is cheapest; the first failure ends it.

use crate::args::Demo;
use crate::check::{abi, docs, header, matrix, symbols, tidy, unix};
use crate::run::{demo, programs, storm, tour, windows};
use crate::ship::{bindings, dotnet, install, unreal};
use crate::workspace::Workspace;
use crate::{builds, shell, tools};
use anyhow::{Context, Result, bail};
use std::time::{Duration, Instant};

type Check = fn(&Workspace) -> Result<String>;

const STEPS: [(&str, Check); 22] = [
    ("tools", |w| tools::ensure(w, tools::TEST).map(|()| String::new())),
    ("rustfmt", |w| cargo(w, &["fmt", "--all", "--check", "--", "--color", "never"])),
    ("tidy", tidy::run),
    ("header", |w| header::run(w, true)),
    ("bindings", bindings::check),
    ("clippy", clippy),
    ("unix", unix::check),
    ("build", |w| builds::library(w).map(|()| String::new())),
    ("rust", nextest),
    ("doc", |w| cargo(w, &["test", "--doc", "--workspace"]).map(|_| String::new())),
    ("c", programs::check),
    ("symbols", symbols::check),
    ("abi", abi::check),
    ("install", install::check),
    ("storm", storm::check),
    ("docs", docs::check),
    ("sample", |w| builds::sample(w).map(|_| String::new())),
    ("demo", smoke),
    ("unreal", unreal::check),
    ("dotnet", dotnet::check),
    ("tour", tour::check),
    ("windows", windows::check),
];
/// A step that takes longer than this hangs.
const LIMIT: Duration = Duration::from_secs(1200);

/// All steps, or those of the given names.
pub fn run(workspace: &Workspace, only: &[String]) -> Result<()> {
    if let Some(unknown) = only.iter().find(|name| !STEPS.iter().any(|(step, _)| step == name)) {
        bail!("no step '{unknown}'");
    }
    let start = Instant::now();
    let chosen = |name: &str| only.is_empty() || only.iter().any(|other| other == name);
    let steps: Vec<_> = STEPS.into_iter().filter(|(name, _)| chosen(name)).collect();
    for (name, check) in &steps {
        let begun = Instant::now();
        let done = check(workspace);
        let seconds = begun.elapsed().as_secs_f32();
        match done {
            Ok(note) => println!("{}", format!("{name:<8} ok {seconds:7.1} s  {note}").trim_end()),
            Err(error) => {
                println!("{name:<8} FAILED after {seconds:.1} s");
                return Err(error.context(format!("{name} failed")));
            }
        }
    }
    println!("{} steps, all well, in {:.0} s", steps.len(), start.elapsed().as_secs_f32());
    Ok(())
}

fn cargo(workspace: &Workspace, args: &[&str]) -> Result<String> {
    let log = workspace.scratch("logs")?.join(format!("{}.log", args[0]));
    shell::demand(&mut workspace.cargo(args.iter().copied()), &log, LIMIT)
}

fn clippy(workspace: &Workspace) -> Result<String> {
    let args = ["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"];
    cargo(workspace, &args).map(|_| String::new())
}

/// The whole workspace; the answer is nextest's own summary, and what it says of the models.
fn nextest(workspace: &Workspace) -> Result<String> {
    matrix::forget(workspace, &matrix::HERE)?;
    let args = ["nextest", "run", "--profile", "all", "--workspace", "--no-tests", "fail"];
    let text = cargo(workspace, &[&args[..], &["--color", "never"]].concat())?;
    let summary = text.lines().rev().find(|line| line.contains("Summary"));
    let summary = summary.context("nextest gave no summary")?;
    let summary = summary.split(']').next_back().unwrap_or_default().trim();
    Ok(format!("{summary}; {}{}", matrix::check(workspace)?, flaky(&text)))
}

/// The tests that failed once and then passed, to be mended.
fn flaky(text: &str) -> String {
    let name = |line: &str| line.rsplit(' ').next().unwrap_or_default().to_owned();
    let named = text.lines().filter(|line| line.trim_start().starts_with("FLAKY"));
    let mut names: Vec<String> = named.map(name).collect();
    names.sort();
    names.dedup();
    if names.is_empty() { String::new() } else { format!("; to be mended: {}", names.join(", ")) }
}

/// A short demo: the sample, the library and all between them, end to end.
fn smoke(workspace: &Workspace) -> Result<String> {
    let options = Demo { seconds: 3, bots: 50, ..Demo::default() };
    let folder = builds::sample(workspace)?;
    let played = demo::play(&demo::launcher(workspace, &folder), &options, false)?;
    Ok(played.told()?.lines().next().unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_failed_once_is_named() {
        let text = "        PASS [ 0.1s] (1/2) sockeye::conformance send::epoll::pool::whole\n   \
                    FLAKY 2/2 [   0.489s] (2/2) sockeye::conformance rest::poll::host::ends\n";
        assert_eq!(flaky(text), "; to be mended: rest::poll::host::ends");
        assert_eq!(flaky("Summary"), "");
    }
}

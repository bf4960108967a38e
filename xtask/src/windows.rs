//! The Windows half: built here, run under Wine.
//!
//! Wine is not Windows. What passes here is the library's own logic on another system's calls;
//! what Windows itself does differently is not seen.

use crate::args::Windows;
use crate::workspace::Workspace;
use crate::{install, shell, symbols, unix};
use anyhow::{Context, Result, bail};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

const TARGET: &str = "x86_64-pc-windows-gnu";
const CC: &str = "x86_64-w64-mingw32-gcc-posix";
/// The standard library is built, too, the first time.
const BUILD_LIMIT: Duration = Duration::from_secs(1800);
const RUN_LIMIT: Duration = Duration::from_secs(5400);
const PROGRAM_LIMIT: Duration = Duration::from_secs(120);
/// The programs of `tests/c` that ask for nothing that only Unix has.
const PROGRAMS: [&str; 7] =
    ["buffers", "layout", "log", "message", "send_many", "symbols", "values"];

/// Builds everything for Windows, runs the suite and the C programs.
pub fn run(workspace: &Workspace, options: &Windows) -> Result<()> {
    let windows = Build::new(workspace)?;
    windows.library()?;
    println!("sockeye.dll exports {}", windows.exports()?);
    println!("{}", windows.programs()?);
    let filter = if options.only.is_empty() { "all()".into() } else { named(&options.only) };
    println!("{}", windows.conformance(&filter)?);
    Ok(())
}

/// A filter for the tests whose name has this text in it.
fn named(text: &str) -> String {
    format!("test({text})")
}

/// Where things are built, and with what.
struct Build<'a> {
    workspace: &'a Workspace,
    target: PathBuf,
    logs: PathBuf,
    /// The toolchain in use has no standard library for Windows: another compiler builds it.
    builds_std: bool,
}

impl<'a> Build<'a> {
    fn new(workspace: &'a Workspace) -> Result<Build<'a>> {
        install::ensure(workspace, install::WINDOWS)?;
        let builds_std = !unix::installed(TARGET);
        if builds_std {
            install::ensure(workspace, install::UNIX)?;
        }
        let (target, logs) = (workspace.scratch("windows")?, workspace.scratch("logs")?);
        Ok(Build { workspace, target, logs, builds_std })
    }

    /// A cargo command for the target, with Wine to run what it builds.
    fn cargo(&self, args: &[&str]) -> Command {
        let mut cargo = self.workspace.cargo(args.iter().copied());
        cargo.args(["--target", TARGET]).env("CARGO_TARGET_DIR", &self.target);
        cargo.env("CARGO_TARGET_X86_64_PC_WINDOWS_GNU_LINKER", CC);
        cargo.env("CARGO_TARGET_X86_64_PC_WINDOWS_GNU_RUNNER", "wine");
        if self.builds_std {
            cargo.args(["-Z", "build-std=std,panic_unwind"]);
            cargo.env("RUSTC", install::OTHER_RUSTC).env("RUSTC_BOOTSTRAP", "1");
        }
        self.under_wine(&mut cargo);
        cargo
    }

    /// The environment of programs under Wine: a Windows of their own, without its chatter.
    fn under_wine(&self, command: &mut Command) {
        command.env("WINEPREFIX", self.target.join("wine")).env("WINEDEBUG", "-all");
        // No desktop files, no browser, no .NET: nothing that a first start would ask about.
        command.env("WINEDLLOVERRIDES", "winemenubuilder.exe,mscoree,mshtml=d");
        command.env("WINEPATH", format!("Z:{}", self.dlls().display()));
    }

    /// Where cargo puts what it builds.
    fn dlls(&self) -> PathBuf {
        self.target.join(TARGET).join("debug")
    }

    fn library(&self) -> Result<()> {
        let mut command = self.cargo(&["build", "--package", "sockeye", "--lib"]);
        shell::demand(&mut command, &self.logs.join("windows-build.log"), BUILD_LIMIT)?;
        let source = self.workspace.root.join("tests/windows/process_prng.c");
        let mut stand_in = Command::new(CC);
        stand_in.args(["-shared", "-O1", "-Wall", "-Wextra", "-Werror"]).arg(source);
        stand_in.arg("-o").arg(self.dlls().join("bcryptprimitives.dll")).arg("-ladvapi32");
        shell::demand(&mut stand_in, &self.logs.join("windows-cc.log"), PROGRAM_LIMIT)?;
        Ok(())
    }

    /// The library exports what the header declares.
    fn exports(&self) -> Result<String> {
        let library = self.dlls().join("libsockeye.dll.a");
        let mut nm = Command::new("x86_64-w64-mingw32-nm");
        symbols::check_imports(self.workspace, &shell::stdout(nm.arg(library))?)
    }

    /// Compiles and runs the C programs.
    fn programs(&self) -> Result<String> {
        let (root, folder) = (&self.workspace.root, self.workspace.scratch("windows-programs")?);
        for name in PROGRAMS {
            let binary = folder.join(format!("{name}.exe"));
            let mut command = Command::new(CC);
            command.args(["-std=c99", "-D__USE_MINGW_ANSI_STDIO=1"]);
            command.args(crate::programs::WARNINGS).arg("-static");
            command.arg("-I").arg(root.join("include")).arg("-I").arg(root.join("tests/c"));
            command.arg(root.join(format!("tests/c/{name}.c"))).arg("-o").arg(&binary);
            command.arg(self.dlls().join("libsockeye.dll.a"));
            let log = self.logs.join(format!("windows-{name}.log"));
            shell::demand(&mut command, &log, PROGRAM_LIMIT)?;
            let mut program = Command::new("wine");
            self.under_wine(program.arg(&binary).arg(self.dlls().join("sockeye.dll")));
            shell::demand(&mut program, &log, PROGRAM_LIMIT).with_context(|| name)?;
        }
        Ok(format!("{} C programs run", PROGRAMS.len()))
    }

    /// Runs the suite, each test in a process of its own; says how many passed on each model.
    fn conformance(&self, filter: &str) -> Result<String> {
        let args =
            ["nextest", "run", "--package", "sockeye", "--test", "conformance", "--no-fail-fast"];
        let mut command = self.cargo(&args);
        command.args(["--color", "never", "--status-level", "pass", "-E", filter]);
        let outcome = shell::run(&mut command, &self.logs.join("windows-tests.log"), RUN_LIMIT)?;
        let told = told(&outcome.text);
        if !outcome.ok() {
            let last: Vec<&str> = outcome.text.lines().rev().take(80).collect();
            let last: Vec<&str> = last.into_iter().rev().collect();
            bail!("{}\n{told}\nthe suite under Wine: {}", last.join("\n"), outcome.ending());
        }
        Ok(told)
    }
}

/// "passed under Wine: poll 430, select 430", from what nextest says of each test.
fn told(text: &str) -> String {
    let mut passed: BTreeMap<&str, u32> = BTreeMap::new();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        if words.next() == Some("PASS")
            && let Some(model) = words.last().and_then(|name| name.split("::").nth(1))
        {
            *passed.entry(model).or_default() += 1;
        }
    }
    let each: Vec<String> =
        passed.iter().map(|(model, count)| format!("{model} {count}")).collect();
    format!("passed under Wine: {}", each.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passed_tests_are_counted_by_model() {
        let text = "\
        PASS [   0.512s] (1/3) sockeye::conformance close::poll::lend::a
        FAIL [   0.512s] (2/3) sockeye::conformance close::poll::lend::b
        PASS [   0.512s] (3/3) sockeye::conformance close::select::lend::a
     Summary [   1.2s] 3 tests run: 2 passed, 1 failed";
        assert_eq!(told(text), "passed under Wine: poll 1, select 1");
    }
}

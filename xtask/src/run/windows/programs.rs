//! C and C++ hosts of the DLL, under Wine: test programs and the storm.

use super::build::{Build, PROGRAM_LIMIT};
use crate::run::storm;
use crate::shell;
use anyhow::{Context, Result};
use std::path::PathBuf;
use std::time::Duration;

/// The programs that ask for nothing that only Unix has: of `tests/c` all but those that fork, send
/// signals or load by dlopen(3), of `tests/cpp` all but the one with an epoll of its own.
const PROGRAMS: [&str; 24] = [
    "tests/c/buffers.c",
    "tests/c/callback.c",
    "tests/c/datagram.c",
    "tests/c/errors.c",
    "tests/c/header_c99.c",
    "tests/c/layout.c",
    "tests/c/lifecycle.c",
    "tests/c/log.c",
    "tests/c/message.c",
    "tests/c/move.c",
    "tests/c/one_port.c",
    "tests/c/outbox.c",
    "tests/c/send_many.c",
    "tests/c/symbols.c",
    "tests/c/timer.c",
    "tests/c/values.c",
    "tests/cpp/arena_simulation.cpp",
    "tests/cpp/header_cpp17.cpp",
    "tests/cpp/user_data.cpp",
    "tests/windows/exit.c",
    HOOKS,
    "tests/windows/version.c",
    "tests/windows/wait_handle.c",
    "tests/windows/wait_port.c",
];
/// Each of its rows on each model, some of which wait for what nobody may tell.
const HOOKS: &str = "tests/windows/hooks.c";
const HOOKS_LIMIT: Duration = Duration::from_secs(600);
/// Loaded by the program `exit.c`.
const PLUGIN: &str = "tests/windows/exit_plugin.c";
const STORM_SECONDS: u32 = 3;
/// Beyond its seconds; the program has a watchdog of its own.
const STORM_GRACE: Duration = Duration::from_secs(120);

/// Compiles and runs the test programs.
pub fn tests(build: &Build<'_>) -> Result<String> {
    let folder = build.workspace.scratch("windows-programs")?;
    let root = &build.workspace.root;
    build.compile(&[root.join(PLUGIN)], &folder.join("exit_plugin.dll"), &["-shared"])?;
    for source in PROGRAMS {
        let program = folder.join(source.replace(['/', '.'], "-")).with_extension("exe");
        build.compile(&[root.join(source)], &program, &["-lversion", "-lws2_32"])?;
        let log = build.logs.join("windows-program.log");
        let mut run = build.wine(&program);
        let limit = if source == HOOKS { HOOKS_LIMIT } else { PROGRAM_LIMIT };
        shell::demand(run.arg(build.dll()), &log, limit).context(source)?;
    }
    Ok(format!("{} programs in C and C++", PROGRAMS.len()))
}

/// Some seconds of the storm on each model.
pub fn storm(build: &Build<'_>) -> Result<String> {
    let program = build.workspace.scratch("windows-programs")?.join("storm.exe");
    let sources: Vec<PathBuf> = storm::sources(build.workspace)?;
    build.compile(&sources, &program, &["-lws2_32"])?;
    let models = shell::stdout(build.wine(&program).arg("--models"))?;
    let mut told = Vec::new();
    for model in models.lines() {
        let mut run = build.wine(&program);
        run.args(["--model", model, "--seconds", &STORM_SECONDS.to_string(), "--patience", "60"]);
        let limit = Duration::from_secs(STORM_SECONDS.into()) + STORM_GRACE;
        let text = shell::demand(&mut run, &build.logs.join("windows-storm.log"), limit)?;
        told.push(text.trim().to_owned());
    }
    Ok(told.join("; "))
}

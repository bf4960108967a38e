//! `engines/dotnet`: compiled as plain .NET and as Unity would, and run by Mono against servers and
//! clients in C and in C#.

mod table;

use crate::run::programs;
use crate::shell;
use crate::workspace::Workspace;
use crate::{builds, tools};
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const COMPILE_LIMIT: Duration = Duration::from_secs(120);
const RUN_LIMIT: Duration = Duration::from_secs(240);
/// What Unity 2021 and this compiler both take.
const LANGUAGE: [&str; 4] = ["-langversion:7.2", "-unsafe", "-warnaserror", "-warn:4"];
/// Spans are part of this Mono; other platforms have the symbols that the sources ask for.
const SPAN: &str = "-d:SOCKEYE_SPAN";
const UNITY: [&str; 3] = ["-d:UNITY_5_3_OR_NEWER", "-d:UNITY_2021_2_OR_NEWER", "-d:UNITY_IOS"];
/// Small, so that whatever is allocated for each event shows soon as a collection.
const COLLECTOR: (&str, &str) = ("MONO_GC_PARAMS", "nursery-size=512k");
const UNITY_STUB: &str = "UnityStub.cs";

/// The step of `test`.
pub fn check(workspace: &Workspace) -> Result<String> {
    tools::ensure(workspace, tools::HOSTS)?;
    builds::library(workspace)?;
    let folder = workspace.scratch("dotnet")?;
    let stub = workspace.root.join("tests/dotnet").join(UNITY_STUB);
    compile(workspace, &[], &[], "-target:library", &folder.join("plain.dll"))?;
    compile(workspace, &UNITY, &[stub], "-target:library", &folder.join("unity.dll"))?;
    let mut tests = programs::sources(&workspace.root.join("tests/dotnet"), "cs")?;
    tests.retain(|path| !path.ends_with(UNITY_STUB));
    let program = folder.join("tests.exe");
    compile(workspace, &[SPAN], &tests, "-target:exe", &program)?;
    let table = table::write(workspace, &folder)?;
    let echo = c_program(workspace, &workspace.root.join("tour/echo.c"), &folder)?;
    let client = workspace.root.join("tests/dotnet/client.c");
    let client = c_program(workspace, &client, &folder)?;
    let mut run = mono(workspace, &program);
    run.env(COLLECTOR.0, COLLECTOR.1).arg(table).arg(echo).arg(client);
    let log = workspace.scratch("logs")?.join("dotnet.log");
    let text = shell::demand(&mut run, &log, RUN_LIMIT)?;
    Ok(text.lines().last().context("the tests said nothing")?.to_owned())
}

/// A program as Mono runs it, with the library to be found.
pub fn mono(workspace: &Workspace, program: &Path) -> Command {
    let mut command = Command::new("mono");
    command.arg("--debug").arg(program).env("LD_LIBRARY_PATH", workspace.release());
    command
}

/// Compiles the sources of the engine, and `more`, with every warning an error.
pub fn compile(
    workspace: &Workspace,
    flags: &[&str],
    more: &[PathBuf],
    kind: &str,
    out: &Path,
) -> Result<()> {
    let mut command = Command::new("mcs");
    command.args(LANGUAGE).args(flags).args(["-debug", kind]);
    command.arg(format!("-out:{}", out.display()));
    command.args(programs::sources(&workspace.root.join("engines/dotnet"), "cs")?).args(more);
    let log = workspace.scratch("logs")?.join("mcs.log");
    shell::demand(&mut command, &log, COMPILE_LIMIT).map(|_| ())
}

/// Compiles one C program as a host would, beside the library.
pub fn c_program(workspace: &Workspace, source: &Path, folder: &Path) -> Result<PathBuf> {
    let out = folder.join(source.file_stem().context("a source has a name")?);
    let mut command = Command::new("gcc");
    command.arg("-std=c99").args(programs::WARNINGS).args(["-O1", "-g"]);
    command.arg("-I").arg(workspace.root.join("include"));
    command.arg("-I").arg(workspace.root.join("tests/c"));
    command.arg(source).arg("-o").arg(&out);
    command.arg("-L").arg(workspace.release()).args(programs::LIBRARIES);
    let log = workspace.scratch("logs")?.join("dotnet-c.log");
    shell::demand(&mut command, &log, COMPILE_LIMIT)?;
    Ok(out)
}

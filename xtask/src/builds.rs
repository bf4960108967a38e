//! What is built besides the tests: the release library and the sample on top of it.

use crate::shell;
use crate::workspace::Workspace;
use anyhow::Result;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(900);

/// Builds the shared library as it is shipped, with the command of CMakeLists.txt.
pub fn library(workspace: &Workspace) -> Result<()> {
    let log = workspace.scratch("logs")?.join("build.log");
    let mut command = workspace.cargo(["rustc", "--locked", "--package", "sockeye", "--lib"]);
    command.args(["--release", "--crate-type", "cdylib"]);
    shell::demand(&mut command, &log, LIMIT).map(drop)
}

/// Builds `cpp-sample` as a user would, with CMake; gives the folder of its programs.
pub fn sample(workspace: &Workspace) -> Result<PathBuf> {
    let source = workspace.root.join("cpp-sample");
    let build = workspace.target.join("cpp-sample");
    let logs = workspace.scratch("logs")?;
    let mut configure = Command::new("cmake");
    configure.arg("-S").arg(source).arg("-B").arg(&build).arg("-DCMAKE_BUILD_TYPE=Release");
    configure.arg(format!("-DSOCKEYE_LIBRARY={}", workspace.library().display()));
    let include = workspace.root.join("include");
    configure.arg(format!("-DSOCKEYE_INCLUDE_DIR={}", include.display()));
    shell::demand(&mut configure, &logs.join("cmake-configure.log"), LIMIT)?;
    let mut compile = Command::new("cmake");
    compile.arg("--build").arg(&build).args(["--parallel", "2"]);
    shell::demand(&mut compile, &logs.join("cmake-build.log"), LIMIT)?;
    Ok(build)
}

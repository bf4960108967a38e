//! The library for the Unix systems that are not here, type-checked: nothing of it is run.

use crate::shell;
use crate::tools;
use crate::workspace::Workspace;
use anyhow::Result;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// One for each of the two families: kqueue without Linux's conveniences, and with some of them.
const TARGETS: [&str; 2] = ["aarch64-apple-darwin", "x86_64-unknown-freebsd"];
/// The same, as zig names them.
const ZIG_TARGETS: [&str; 2] = ["aarch64-macos", "x86_64-freebsd"];
/// It builds the standard library of both the first time.
const LIMIT: Duration = Duration::from_secs(900);

/// `cargo check` of the library for each target. A warning is an error.
pub fn check(workspace: &Workspace) -> Result<String> {
    let mut command = workspace.cargo(["check", "--package", "sockeye", "--lib"]);
    command.args(TARGETS.iter().flat_map(|target| ["--target", target]));
    // Of its own: it is another compiler, with other flags.
    command.env("CARGO_TARGET_DIR", workspace.scratch("unix")?).env("RUSTFLAGS", "-D warnings");
    compile_c(workspace, &mut command)?;
    if !TARGETS.iter().all(|target| installed(target)) {
        tools::ensure(workspace, tools::UNIX)?;
        command.args(["-Zbuild-std=std,panic_unwind"]);
        command.env("RUSTC", tools::OTHER_RUSTC).env("RUSTC_BOOTSTRAP", "1");
        // What is built of it is never run.
        command.env("CARGO_PROFILE_DEV_OPT_LEVEL", "0").env("CARGO_PROFILE_DEV_DEBUG", "false");
    }
    shell::demand(&mut command, &workspace.scratch("logs")?.join("unix.log"), LIMIT)?;
    Ok(TARGETS.join(", "))
}

/// Has zig compile what crates have in C, ring above all. Its objects are never linked.
fn compile_c(workspace: &Workspace, command: &mut Command) -> Result<()> {
    tools::ensure(workspace, tools::CLANG)?;
    let zig = workspace.wheels(tools::ZIG).join("ziglang/zig");
    let zig = zig.display();
    for (target, name) in TARGETS.iter().zip(ZIG_TARGETS) {
        let target = target.replace('-', "_");
        command.env(format!("CC_{target}"), format!("{zig} cc -target {name}"));
        command.env(format!("AR_{target}"), format!("{zig} ar"));
    }
    // They are of other compilers.
    command.env("CRATE_CC_NO_DEFAULTS", "1");
    command.env("ZIG_GLOBAL_CACHE_DIR", workspace.scratch("zig-cache")?);
    Ok(())
}

/// Whether the toolchain in use has the target's standard library.
pub fn installed(target: &str) -> bool {
    let mut command = Command::new("rustc");
    command.args(["--print", "target-libdir", "--target", target]);
    shell::stdout(&mut command).is_ok_and(|folder| Path::new(folder.trim()).is_dir())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_that_is_not_there_is_seen() {
        assert!(!installed("sockeye-no-such-target"));
    }

    #[test]
    fn the_target_that_runs_this_is_there() {
        let version = shell::stdout(Command::new("rustc").arg("-vV")).unwrap();
        let host = version.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
        assert!(installed(host));
    }
}

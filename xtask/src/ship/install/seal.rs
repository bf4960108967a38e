//! Seals the static library: one object, which shows the header's functions and nothing else.
//!
//! Each static library of Rust brings a standard library. Two of them in one program share what has
//! the same name, and collide where the compilers differ, or how much they optimised; names that
//! nobody else sees do neither.

use crate::check::symbols;
use crate::shell;
use crate::workspace::Workspace;
use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// By which the unwinder learns of Rust's functions; it is meant to be merged.
const MERGED: &str = "DW.ref.rust_eh_personality";

/// Seals `libsockeye.a` of a folder; gives the sealed one.
pub fn seal(workspace: &Workspace, folder: &Path) -> Result<PathBuf> {
    let from = folder.join("libsockeye.a");
    let work = folder.join("sealed");
    fs::create_dir_all(&work).with_context(|| format!("cannot make {}", work.display()))?;
    let functions = symbols::names(workspace)?;

    // Only what the functions reach.
    let mut link = Command::new("ld");
    link.args(["-r", "--gc-sections", "-o", "sockeye.o"]);
    link.args(functions.iter().flat_map(|name| ["-u", name])).arg(&from);
    shell::stdout(link.current_dir(&work))?;

    // The linker forgets of some that the system may lack them.
    let listed = shell::stdout(nm().arg(&from))?;
    let weak = listed.lines().filter_map(|line| line.trim().strip_prefix("w "));
    fs::write(work.join("weak"), weak.collect::<Vec<_>>().join("\n"))?;
    let mut kept: Vec<&str> = functions.iter().map(String::as_str).collect();
    kept.push(MERGED);
    fs::write(work.join("kept"), kept.join("\n"))?;
    let mut hide = Command::new("objcopy");
    hide.args(["--keep-global-symbols=kept", "--weaken-symbols=weak", "--strip-debug"]);
    shell::stdout(hide.arg("sockeye.o").current_dir(&work))?;

    let archive = work.join("libsockeye.a");
    if archive.exists() {
        fs::remove_file(&archive).context("cannot replace the sealed library")?;
    }
    let mut pack = Command::new("ar");
    pack.args([NO_PLUGIN[0], NO_PLUGIN[1], "rcsD", "libsockeye.a", "sockeye.o"]);
    shell::stdout(pack.current_dir(&work))?;
    symbols::check_archive(workspace, &shell::stdout(nm().arg("-g").arg(&archive))?, MERGED)?;
    Ok(archive)
}

/// A plugin for link-time optimisation, where there is one, stumbles over what Rust leaves.
const NO_PLUGIN: [&str; 2] = ["--plugin", "/dev/null"];

fn nm() -> Command {
    let mut nm = Command::new("nm");
    nm.args(NO_PLUGIN).arg("--quiet");
    nm
}

//! Sockeye as others install it: `cargo xtask install` lays it out below a prefix, and the step
//! `install` builds and runs hosts against that, and against the sources.

pub mod build;
pub mod consumers;
pub mod layout;
mod notices;
mod seal;

use crate::args::Install;
use crate::workspace::Workspace;
use anyhow::{Context, Result, bail};
use build::{FLOOR, System};
use layout::Tree;
use std::fs;
use std::path::Path;

/// The task.
pub fn run(workspace: &Workspace, options: &Install) -> Result<()> {
    fs::create_dir_all(&options.prefix)
        .with_context(|| format!("cannot make {}", options.prefix.display()))?;
    let libraries = match (options.windows, options.portable) {
        (true, _) => build::windows(workspace)?,
        (false, true) => build::portable(workspace)?,
        (false, false) if cfg!(target_os = "linux") => build::here(workspace)?,
        (false, false) => bail!("it installs for Linux on Linux, and for Windows: --windows"),
    };
    Tree { workspace, prefix: &options.prefix, libdir: &options.libdir }.lay(&libraries)?;
    let needs = match libraries.system {
        System::Linux => format!(", for glibc {} and newer", build::floor(&libraries.shared)?),
        System::Windows => String::new(),
    };
    println!("installed in {}{needs}", options.prefix.display());
    if libraries.system == System::Linux && !options.portable {
        println!("(--portable builds it for glibc {FLOOR} and newer)");
    }
    Ok(())
}

/// Lays it out below `prefix` for hosts that are built here.
pub fn for_this_machine(workspace: &Workspace, prefix: &Path) -> Result<()> {
    Tree { workspace, prefix, libdir: "lib" }.lay(&build::here(workspace)?)
}

/// Everything that installs and finds the library, as others do.
pub fn check(workspace: &Workspace) -> Result<String> {
    consumers::check(workspace)
}

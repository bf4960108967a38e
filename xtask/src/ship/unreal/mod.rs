//! The plugin for the Unreal Engine. There is no engine here: its classes are compiled against
//! headers that stand in for it, in `tests/unreal/stubs`, and run against real sockets; its build
//! rules are made by Mono.

mod plugin;
mod programs;
mod rules;
mod stage;

use crate::tools;
use crate::workspace::Workspace;
use anyhow::Result;
use plugin::Plugin;
use rules::Rules;
use std::fs;
use std::path::Path;

/// The task: a copy of the plugin in `folder`, with this machine's library in it.
pub fn run(workspace: &Workspace, folder: &Path) -> Result<()> {
    let library = stage::library(workspace)?;
    let copy = stage::stage(workspace, &library, folder)?;
    println!("{} has {}", copy.display(), library.name());
    Ok(())
}

/// The step of the tests.
pub fn check(workspace: &Workspace) -> Result<String> {
    tools::ensure(workspace, tools::UNREAL)?;
    let plugin = Plugin::read(workspace)?;
    let library = stage::library(workspace)?;
    let folder = workspace.scratch("unreal")?;
    let _ = fs::remove_dir_all(&folder); // of the run before
    let staged = stage::stage(workspace, &library, &folder)?;
    let rules = Rules::compile(workspace, &plugin)?;
    let linked = rules.check(&plugin, &staged, &library)?;
    let programs = programs::check(workspace, &plugin, &linked)?;
    Ok(format!("{} modules, {programs}", plugin.modules.len()))
}

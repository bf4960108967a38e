//! The plugin with its library in it, as the engine's build wants them.

use super::plugin;
use crate::builds;
use crate::ship::install::build::{self, System};
use crate::workspace::Workspace;
use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use walkdir::WalkDir;

/// What goes beside the plugin's own files, and where.
const EXTRAS: [(&str, &str); 3] = [
    ("include/sockeye.h", "include/sockeye.h"),
    ("LICENSE-MIT", "LICENSE-MIT"),
    ("LICENSE-APACHE", "LICENSE-APACHE"),
];

/// This machine's library.
pub struct Library {
    /// The engine's name for the platform.
    pub platform: &'static str,
    pub files: Vec<PathBuf>,
    /// What has to be linked beside it, without the `-l`; of a DLL nothing.
    pub natives: Vec<String>,
}

impl Library {
    pub fn name(&self) -> String {
        let names = self.files.iter().filter_map(|file| file.file_name());
        names.map(|name| name.to_string_lossy()).collect::<Vec<_>>().join(", ")
    }
}

/// Builds it: static for Linux; on Windows, whose compiler has to be the engine's, a DLL.
pub fn library(workspace: &Workspace) -> Result<Library> {
    if cfg!(windows) {
        builds::library(workspace)?;
        let file = |name| workspace.release().join(name);
        let files = vec![file("sockeye.dll"), file("sockeye.dll.lib")];
        return Ok(Library { platform: "Win64", files, natives: Vec::new() });
    }
    let natives = build::natives(workspace, System::Linux)?;
    let natives = natives.split_whitespace().map(|name| name.trim_start_matches("-l").to_owned());
    let (files, natives) = (vec![build::archive(workspace)?], natives.collect());
    Ok(Library { platform: "Linux", files, natives })
}

/// Copies the plugin into `folder` and the library into that; gives the copy.
pub fn stage(workspace: &Workspace, library: &Library, folder: &Path) -> Result<PathBuf> {
    let source = workspace.root.join(plugin::FOLDER);
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let folder = fs::canonicalize(folder).context("no folder to stage into")?;
    let engines = workspace.root.join("engines");
    ensure!(!folder.starts_with(engines), "a copy inside of the plugin's own folder");
    let copy = folder.join("Sockeye");
    for entry in WalkDir::new(&source) {
        let entry = entry.context("cannot walk the plugin")?;
        if entry.file_type().is_file() {
            let inside = entry.path().strip_prefix(&source).context("outside of the plugin")?;
            put(entry.path(), &copy.join(inside))?;
        }
    }
    let module = plugin::library(&copy);
    for (from, to) in EXTRAS {
        put(&workspace.root.join(from), &module.join(to))?;
    }
    for file in &library.files {
        let name = file.file_name().context("a library without a name")?;
        put(file, &module.join("lib").join(library.platform).join(name))?;
    }
    Ok(copy)
}

fn put(from: &Path, to: &Path) -> Result<()> {
    let told = || format!("cannot copy {} to {}", from.display(), to.display());
    fs::create_dir_all(to.parent().context("no folder")?).with_context(told)?;
    fs::copy(from, to).map(|_| ()).with_context(told)
}

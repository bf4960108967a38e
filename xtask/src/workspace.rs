//! Where things are.

use anyhow::{Context, Result};
use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The checkout and the folder that is built into.
pub struct Workspace {
    pub root: PathBuf,
    pub target: PathBuf,
}

impl Workspace {
    pub fn find() -> Result<Self> {
        // cargo sets it for `cargo run`; a binary started by hand knows where it was built.
        let manifest = env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        let root = manifest.parent().context("xtask has no folder above it")?.to_path_buf();
        let target = match env::var_os("CARGO_TARGET_DIR") {
            Some(folder) => env::current_dir().context("no current folder")?.join(folder),
            None => root.join("target"),
        };
        Ok(Self { root, target })
    }

    /// The version of the package.
    pub fn version(&self) -> Result<String> {
        let text =
            std::fs::read_to_string(self.root.join("Cargo.toml")).context("no Cargo.toml")?;
        let manifest: toml::Table = text.parse().context("Cargo.toml")?;
        let version = manifest.get("package").and_then(|package| package.get("version")?.as_str());
        Ok(version.context("Cargo.toml: no version")?.to_owned())
    }

    /// A cargo command on this workspace.
    pub fn cargo<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Command {
        let mut cargo = self.command(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.args(args);
        cargo
    }

    /// A program that works on this workspace as cargo does.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut cargo = Command::new(program);
        cargo.current_dir(&self.root);
        // Set for xtask itself; a build script or test below must not see them.
        cargo.env_remove("CARGO_MANIFEST_DIR").env_remove("CARGO_PKG_NAME");
        cargo
    }

    /// Where cargo puts the release library.
    pub fn release(&self) -> PathBuf {
        self.target.join("release")
    }

    /// The shared library as the release build leaves it.
    pub fn library(&self) -> PathBuf {
        self.release().join("libsockeye.so")
    }

    /// Where the wheels of Python of this name are.
    pub fn wheels(&self, name: &str) -> PathBuf {
        self.target.join("xtask").join(name)
    }

    /// `path` as a message shows it: from the root, with `/`.
    pub fn shown(&self, path: &Path) -> String {
        let path = path.strip_prefix(&self.root).unwrap_or(path);
        path.to_string_lossy().replace('\\', "/")
    }

    /// A folder for what xtask itself writes, made on the way.
    pub fn scratch(&self, name: &str) -> Result<PathBuf> {
        let folder = self.target.join("xtask").join(name);
        std::fs::create_dir_all(&folder)
            .with_context(|| format!("cannot make {}", folder.display()))?;
        Ok(folder)
    }
}

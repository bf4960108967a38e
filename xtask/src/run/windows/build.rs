//! The library for Windows, and how programs for Windows are compiled and run.

use crate::check::{symbols, unix};
use crate::run::programs;
use crate::workspace::Workspace;
use crate::{shell, tools};
use anyhow::Result;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

pub const TARGET: &str = "x86_64-pc-windows-gnu";
pub const CC: &str = "x86_64-w64-mingw32-gcc-posix";
pub const CXX: &str = "x86_64-w64-mingw32-g++-posix";
/// The standard library is built, too, the first time.
const BUILD_LIMIT: Duration = Duration::from_secs(1800);
pub const PROGRAM_LIMIT: Duration = Duration::from_secs(120);

/// Where things are built, and with what.
pub struct Build<'a> {
    pub workspace: &'a Workspace,
    target: PathBuf,
    pub logs: PathBuf,
    /// The toolchain in use has no standard library for Windows: another compiler builds it.
    builds_std: bool,
}

impl<'a> Build<'a> {
    pub fn new(workspace: &'a Workspace) -> Result<Build<'a>> {
        tools::ensure(workspace, tools::WINDOWS)?;
        let builds_std = !unix::installed(TARGET);
        if builds_std {
            tools::ensure(workspace, tools::UNIX)?;
        }
        let (target, logs) = (workspace.scratch("windows")?, workspace.scratch("logs")?);
        Ok(Build { workspace, target, logs, builds_std })
    }

    /// A cargo command for the target, with Wine to run what it builds.
    pub fn cargo(&self, args: &[&str]) -> Command {
        let mut cargo = self.workspace.cargo(args.iter().copied());
        cargo.args(["--target", TARGET]).env("CARGO_TARGET_DIR", &self.target);
        cargo.env("CARGO_TARGET_X86_64_PC_WINDOWS_GNU_LINKER", CC);
        cargo.env("CARGO_TARGET_X86_64_PC_WINDOWS_GNU_RUNNER", "wine");
        // Nobody debugs these: less to build and to link.
        cargo.env("CARGO_PROFILE_DEV_DEBUG", "line-tables-only");
        if self.builds_std {
            cargo.args(["-Z", "build-std=std,panic_unwind"]);
            cargo.env("RUSTC", tools::OTHER_RUSTC).env("RUSTC_BOOTSTRAP", "1");
        }
        self.under_wine(&mut cargo);
        cargo
    }

    /// A program for Windows, run under Wine.
    pub fn wine(&self, program: &Path) -> Command {
        let mut wine = Command::new("wine");
        self.under_wine(wine.arg(program));
        wine
    }

    /// The environment of programs under Wine: a Windows of their own, without its chatter.
    fn under_wine(&self, command: &mut Command) {
        command.env("WINEPREFIX", self.target.join("wine")).env("WINEDEBUG", "-all");
        // No desktop files, no browser, no .NET: nothing that a first start would ask about.
        command.env("WINEDLLOVERRIDES", "winemenubuilder.exe,mscoree,mshtml=d");
        command.env("WINEPATH", format!("Z:{}", self.dlls().display()));
    }

    /// Where cargo puts what it builds for the tests.
    fn dlls(&self) -> PathBuf {
        self.folder("debug")
    }

    /// Where cargo puts what it builds with a profile.
    pub fn folder(&self, profile: &str) -> PathBuf {
        self.target.join(TARGET).join(profile)
    }

    /// The compiler that builds it.
    pub fn rustc(&self) -> PathBuf {
        if self.builds_std { tools::OTHER_RUSTC } else { "rustc" }.into()
    }

    pub fn dll(&self) -> PathBuf {
        self.dlls().join("sockeye.dll")
    }

    fn import_library(&self) -> PathBuf {
        self.dlls().join("libsockeye.dll.a")
    }

    pub fn library(&self) -> Result<()> {
        let mut command = self.cargo(&["build", "--package", "sockeye", "--lib"]);
        shell::demand(&mut command, &self.logs.join("windows-build.log"), BUILD_LIMIT)?;
        self.stand_in(&self.dlls())
    }

    /// A DLL that Wine lacks and Rust's standard library needs.
    pub fn stand_in(&self, folder: &Path) -> Result<()> {
        let source = self.workspace.root.join("tests/windows/process_prng.c");
        let mut stand_in = Command::new(CC);
        stand_in.args(["-shared", "-O1", "-Wall", "-Wextra", "-Werror"]).arg(source);
        stand_in.arg("-o").arg(folder.join("bcryptprimitives.dll")).arg("-ladvapi32");
        shell::demand(&mut stand_in, &self.logs.join("windows-cc.log"), PROGRAM_LIMIT)?;
        Ok(())
    }

    /// The library exports what the header declares.
    pub fn exports(&self) -> Result<String> {
        let mut nm = Command::new("x86_64-w64-mingw32-nm");
        let listed = shell::stdout(nm.arg(self.import_library()))?;
        symbols::check_imports(self.workspace, &listed)
    }

    /// Compiles C or C++ sources, all of one language, to a program that needs the DLL and nothing
    /// else that Windows has not.
    pub fn compile(&self, sources: &[PathBuf], program: &Path, libraries: &[&str]) -> Result<()> {
        let is_c = sources.iter().all(|source| source.extension().is_some_and(|end| end == "c"));
        let mut command = Command::new(if is_c { CC } else { CXX });
        if is_c {
            command.arg("-std=c99");
        } else {
            command.args(["-std=c++17", "-fno-exceptions", "-fno-rtti"]);
        }
        command.args(["-O1", "-D__USE_MINGW_ANSI_STDIO=1"]).args(programs::WARNINGS);
        command.arg("-static").arg("-I").arg(self.workspace.root.join("include"));
        command.args(sources).arg("-o").arg(program).arg(self.import_library()).args(libraries);
        let name = program.file_stem().unwrap_or_default().to_string_lossy();
        let log = self.logs.join(format!("windows-{name}-cc.log"));
        shell::demand(&mut command, &log, PROGRAM_LIMIT)?;
        Ok(())
    }
}

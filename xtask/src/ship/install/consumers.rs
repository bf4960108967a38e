//! Hosts of an installed Sockeye, in `tests/install`: found, compiled, linked and run.

use super::build::{self, Libraries, System};
use super::layout::{Facts, SONAME, Tree};
use crate::run::programs;
use crate::workspace::Workspace;
use crate::{shell, tools};
use anyhow::{Context, Result, bail, ensure};
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use walkdir::WalkDir;

/// From source, where nothing is built yet, it is all of the library.
const LIMIT: Duration = Duration::from_secs(900);
const RUN_LIMIT: Duration = Duration::from_secs(60);

/// Where hosts are built.
pub struct Ground<'a> {
    pub workspace: &'a Workspace,
    pub folder: PathBuf,
    logs: PathBuf,
}

/// What a host is linked with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    Shared,
    Static,
}
use Kind::{Shared, Static};

/// The step: the portable build, installed, moved, and from source.
pub fn check(workspace: &Workspace) -> Result<String> {
    tools::ensure(workspace, tools::INSTALL)?;
    let libraries = build::portable(workspace)?;
    let told = build::check_portable(workspace, &libraries.shared)?;
    let ground = Ground::new(workspace, "install")?;
    ground.refusals(&libraries)?;
    let (first, moved) = (ground.folder.join("first"), ground.folder.join("then/moved"));
    // A second time over the first: everything is replaced.
    ground.lay(&first, &libraries)?;
    ground.lay(&first, &libraries)?;
    ground.complete(&first)?;
    let mut hosts = ground.found(&first, "found", &[], Shared)?;
    hosts += ground.asked(&first, "sockeye", Shared)?;
    ground.looks("versions", &first, &[])?;
    fs::create_dir_all(ground.folder.join("then"))?;
    fs::rename(&first, &moved).context("cannot move the tree")?;
    hosts += ground.found(&moved, "moved", &["-DBUILD_SHARED_LIBS=OFF"], Static)?;
    hosts += ground.asked(&moved, "sockeye", Shared)?;
    hosts += ground.asked(&moved, "sockeye-static", Static)?;
    // Sealed, beside any other library of Rust; as cargo leaves it, beside one like it.
    let sealed = moved.join("lib/libsockeye.a");
    hosts += ground.neighbours(&sealed, "plain", &[])?;
    hosts += ground.neighbours(&sealed, "fat", &["-Clto=fat", "-Ccodegen-units=1"])?;
    hosts += ground.sources()?;
    hosts += ground.neighbours(&workspace.target.join("static/libsockeye.a"), "plain", &[])?;
    Ok(format!("{told}; {hosts} hosts"))
}

impl<'a> Ground<'a> {
    /// An empty folder.
    pub fn new(workspace: &'a Workspace, name: &str) -> Result<Ground<'a>> {
        let folder = workspace.scratch(name)?;
        fs::remove_dir_all(&folder).context("cannot empty a folder")?;
        let (folder, logs) = (workspace.scratch(name)?, workspace.scratch("logs")?);
        Ok(Ground { workspace, folder, logs })
    }

    fn lay(&self, prefix: &Path, libraries: &Libraries) -> Result<()> {
        Tree { workspace: self.workspace, prefix, libdir: "lib" }.lay(libraries)
    }

    /// What is refused is refused in words.
    fn refusals(&self, libraries: &Libraries) -> Result<()> {
        let file = self.folder.join("file");
        fs::write(&file, "")?;
        let refused = self.lay(&file.join("prefix"), libraries);
        let said = format!("{:#}", refused.err().context("installed below a file")?);
        ensure!(said.starts_with("cannot make ") && said.contains("/file/prefix/"), "{said}");
        // From source without cargo.
        let mut configure = self.configure("cargoless", "");
        configure.arg(format!("-DSOCKEYE_SOURCES={}", self.workspace.root.display()));
        configure.arg("-DSOCKEYE_CARGO=/no/such/cargo");
        let done = shell::run(&mut configure, &self.logs.join("install-cargoless.log"), LIMIT)?;
        ensure!(!done.ok() && done.text.contains("https://rustup.rs"), "{}", done.text);
        Ok(())
    }

    /// All that is installed, nothing beside it, and no word of where.
    fn complete(&self, prefix: &Path) -> Result<()> {
        let version = Facts::read(self.workspace)?.version;
        let library = format!("lib/libsockeye.so.{version}");
        let mut wanted = vec![
            "include/sockeye.h",
            "include/sockeye.hpp",
            "include/sockeye_events.hpp",
            "include/sockeye_values.hpp",
            "lib/cmake/sockeye/sockeyeConfig.cmake",
            "lib/cmake/sockeye/sockeyeConfigVersion.cmake",
            "lib/cmake/sockeye/sockeyeTargets.cmake",
            "lib/libsockeye.a",
            "lib/libsockeye.so",
            "lib/libsockeye.so.0",
            &library,
            "lib/pkgconfig/sockeye-static.pc",
            "lib/pkgconfig/sockeye.pc",
            "share/doc/sockeye/LICENSE-APACHE",
            "share/doc/sockeye/LICENSE-MIT",
            "share/doc/sockeye/THIRD-PARTY-LICENSES.txt",
        ];
        let notices = "share/doc/sockeye/rust-standard-library.html";
        if prefix.join(notices).exists() {
            wanted.push(notices);
        }
        let mut there = Vec::new();
        for entry in WalkDir::new(prefix).sort_by_file_name() {
            let path = entry?.into_path();
            if path.is_dir() {
                continue;
            }
            let text = String::from_utf8(fs::read(&path)?).unwrap_or_default();
            let named = text.contains(&*prefix.to_string_lossy());
            ensure!(!named, "{} says where it was installed", path.display());
            there.push(path.strip_prefix(prefix)?.to_string_lossy().into_owned());
        }
        ensure!(there == wanted, "installed is {there:#?}, not {wanted:#?}");
        Ok(())
    }

    /// CMake and its first arguments.
    fn configure(&self, name: &str, project: &str) -> Command {
        let mut command = self.workspace.command("cmake");
        command.arg("-S").arg(self.workspace.root.join("tests/install").join(project));
        command.arg("-B").arg(self.folder.join(name)).arg("-DCMAKE_BUILD_TYPE=Debug");
        command
    }

    /// Configures and builds the hosts with CMake; gives the folder of the programs.
    pub fn build(&self, name: &str, options: &[String]) -> Result<PathBuf> {
        let log = self.logs.join(format!("install-{name}.log"));
        shell::demand(self.configure(name, "").args(options), &log, LIMIT)?;
        let folder = self.folder.join(name);
        let mut compile = self.workspace.command("cmake");
        compile.arg("--build").arg(&folder).args(["--parallel", "2"]);
        shell::demand(&mut compile, &log, LIMIT)?;
        Ok(folder)
    }

    /// The hosts against a tree that find_package finds; `any` is what sockeye::sockeye has to be.
    pub fn found(&self, prefix: &Path, name: &str, options: &[&str], any: Kind) -> Result<usize> {
        let mut all = vec![format!("-DCMAKE_PREFIX_PATH={}", prefix.display())];
        all.extend(options.iter().map(|it| (*it).to_owned()));
        let folder = self.build(name, &all).with_context(|| format!("find_package, {name}"))?;
        self.run_all(&folder, any)
    }

    /// Runs what CMake has built, after a look at what it is linked with.
    fn run_all(&self, folder: &Path, any: Kind) -> Result<usize> {
        let programs = [
            ("shared_c", Shared),
            ("shared_cpp", Shared),
            ("static_c", Static),
            ("static_cpp", Static),
            ("any_c", any),
        ];
        for (name, kind) in programs {
            linked(&folder.join(name), kind)?;
        }
        let mut ctest = Command::new("ctest");
        ctest.args(["--output-on-failure", "--no-tests=error"]).current_dir(folder);
        shell::demand(&mut ctest, &self.logs.join("install-ctest.log"), LIMIT)?;
        Ok(programs.len())
    }

    /// A project that looks at what it finds, and builds nothing.
    pub fn looks(&self, project: &str, prefix: &Path, options: &[&str]) -> Result<()> {
        let mut configure = self.configure(project, project);
        configure.arg(format!("-DCMAKE_PREFIX_PATH={}", prefix.display())).args(options);
        let log = self.logs.join(format!("install-{project}.log"));
        shell::demand(&mut configure, &log, LIMIT)?;
        Ok(())
    }

    /// A host in C and one in C++ by what pkg-config says.
    pub fn asked(&self, prefix: &Path, package: &str, kind: Kind) -> Result<usize> {
        let lib = lib_of(prefix)?;
        let ask = |what: &str| {
            let mut command = Command::new("pkg-config");
            command.env("PKG_CONFIG_PATH", lib.join("pkgconfig"));
            shell::stdout(command.args([what, package]))
        };
        let version = Facts::read(self.workspace)?.version;
        ensure!(ask("--modversion")?.trim() == version, "pkg-config has another version");
        let (cflags, libs) = (ask("--cflags")?, ask("--libs")?);
        if kind == Static {
            let natives = build::natives(self.workspace, System::Linux)?;
            let all = format!("-l:libsockeye.a {natives}");
            ensure!(libs.trim().ends_with(&all), "pkg-config says {libs}, not {all}");
        }
        for (compiler, standard, source) in
            [("gcc", "-std=c99", "echo.c"), ("g++", "-std=c++17", "echo.cpp")]
        {
            let program = self.folder.join(format!("{package}-{compiler}"));
            let mut compile = Command::new(compiler);
            compile.arg(standard).args(programs::WARNINGS).args(cflags.split_whitespace());
            compile.arg(self.workspace.root.join("tests/install").join(source));
            compile.arg("-o").arg(&program).args(libs.split_whitespace());
            self.compiled(&mut compile, &program, kind, &lib)?;
        }
        Ok(2)
    }

    /// Compiles one program, and runs it.
    fn compiled(
        &self,
        compile: &mut Command,
        program: &Path,
        kind: Kind,
        lib: &Path,
    ) -> Result<()> {
        shell::demand(compile, &self.logs.join("install-cc.log"), LIMIT)?;
        linked(program, kind)?;
        let mut run = Command::new(program);
        run.env("LD_LIBRARY_PATH", lib);
        shell::demand(&mut run, &self.logs.join("install-run.log"), RUN_LIMIT)?;
        Ok(())
    }

    /// Two static libraries of Rust, each with its standard library, in one program.
    fn neighbours(&self, library: &Path, name: &str, flags: &[&str]) -> Result<usize> {
        let sources = self.workspace.root.join("tests/install");
        let other = self.folder.join(format!("lib{name}.a"));
        let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        let mut rustc = self.workspace.command(rustc);
        rustc.args(["--crate-type", "staticlib", "--edition", "2024", "-O"]).args(flags);
        rustc.arg("-o").arg(&other).arg(sources.join("neighbour.rs"));
        shell::demand(&mut rustc, &self.logs.join("install-neighbour.log"), LIMIT)?;
        let program = self.folder.join(format!("neighbours-{name}"));
        let mut compile = Command::new("gcc");
        compile.arg("-std=c99").args(programs::WARNINGS);
        compile.arg("-I").arg(self.workspace.root.join("include"));
        compile.arg(sources.join("neighbours.c")).arg("-o").arg(&program);
        compile.arg(library).arg(&other);
        compile.args(build::natives(self.workspace, System::Linux)?.split_whitespace());
        let done = self.compiled(&mut compile, &program, Static, &self.folder);
        done.with_context(|| format!("beside a library of Rust ({name})"))?;
        Ok(1)
    }

    /// The hosts with Sockeye as a part of their own project. What cargo has built is built.
    fn sources(&self) -> Result<usize> {
        let options = [
            format!("-DSOCKEYE_SOURCES={}", self.workspace.root.display()),
            format!("-DSOCKEYE_CARGO_DIR={}", self.workspace.target.display()),
        ];
        let folder = self.build("sources", &options).context("add_subdirectory")?;
        self.run_all(&folder, Shared)
    }
}

/// Whether a program needs the shared library, or has it in itself.
fn linked(program: &Path, kind: Kind) -> Result<()> {
    let dynamic = shell::stdout(Command::new("readelf").arg("-dW").arg(program))?;
    let needs = dynamic.lines().any(|line| line.contains("(NEEDED)") && line.contains(SONAME));
    if needs != (kind == Shared) {
        bail!("{} is not linked with the {kind:?} library\n{dynamic}", program.display());
    }
    Ok(())
}

/// The folder of the libraries below a prefix.
fn lib_of(prefix: &Path) -> Result<PathBuf> {
    let folders = [prefix.join("lib"), prefix.join("lib/x86_64-linux-gnu")];
    let found = folders.into_iter().find(|lib| lib.join("pkgconfig/sockeye.pc").exists());
    found.with_context(|| format!("no sockeye.pc below {}", prefix.display()))
}

//! A release: `cargo xtask package` builds the libraries, packs them for each way they are handed
//! out, and uses each pack as its users do.

mod archive;
mod debian;
mod ports;

use crate::args::Package;
use crate::run::programs;
use crate::run::windows::{self, CC, CXX};
use crate::ship::install::build::{self, Libraries, System};
use crate::ship::install::consumers::{Ground, Kind};
use crate::ship::install::layout::{Facts, SONAME, Tree};
use crate::workspace::Workspace;
use crate::{builds, shell, tools};
use anyhow::{Context, Result, ensure};
use archive::Packer;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// A program under Wine, its first start included.
const WINE_LIMIT: Duration = Duration::from_secs(180);

/// What has been packed for one system.
struct Packed {
    name: String,
    /// With the ending.
    file: PathBuf,
}

/// The task.
pub fn run(workspace: &Workspace, options: &Package) -> Result<()> {
    tools::ensure(workspace, tools::INSTALL)?;
    tools::ensure(workspace, tools::PACKAGE)?;
    let out = options.out.clone().unwrap_or_else(|| workspace.target.join("package"));
    fs::create_dir_all(&out).with_context(|| format!("cannot make {}", out.display()))?;
    let out = fs::canonicalize(&out)?;
    let facts = Facts::read(workspace)?;
    let ground = Ground::new(workspace, "package")?;
    let packer = Packer::new(workspace, &out)?;

    println!("building for Linux");
    let linux = build::released(workspace)?;
    println!("libsockeye.so: {}", build::check_portable(workspace, &linux.shared)?);
    println!("building for Windows");
    let windows = build::windows(workspace)?;
    let archives =
        [pack(&ground, &packer, &facts, &linux)?, pack(&ground, &packer, &facts, &windows)?];
    let debs = debian::build(&ground, &packer, &facts, &linux)?;
    let ports = ports::write(workspace, &facts, &out, &archives)?;
    packer.sums()?;

    used(&ground, &archives[0])?;
    under_wine(&ground, &archives[1])?;
    debian::check(&ground, &debs)?;
    ports::check(&ground, &ports, &facts, &out)?;
    println!("{}", packer.told()?);
    Ok(())
}

/// The archive of one system, and one of its symbols.
fn pack(
    ground: &Ground<'_>,
    packer: &Packer<'_>,
    facts: &Facts,
    libraries: &Libraries,
) -> Result<Packed> {
    let system = libraries.system.name().to_lowercase();
    let name = format!("sockeye-{}-{system}-x86_64", facts.version);
    let prefix = ground.folder.join("packed").join(&name);
    Tree { workspace: ground.workspace, prefix: &prefix, libdir: "lib" }.lay(libraries)?;
    let file = packer.pack(&prefix, libraries.system)?;
    if let Some(symbols) = &libraries.symbols {
        let folder = ground.folder.join("packed").join(format!("{name}-debug"));
        let below = if libraries.system == System::Windows { "bin" } else { "lib" };
        fs::create_dir_all(folder.join(below))?;
        let file = symbols.file_name().context("no name")?;
        fs::copy(symbols, folder.join(below).join(file)).context("cannot copy the symbols")?;
        packer.pack(&folder, libraries.system)?;
    }
    Ok(Packed { name, file })
}

/// Unpacks an archive; gives the prefix.
fn unpacked(ground: &Ground<'_>, packed: &Packed) -> Result<PathBuf> {
    let folder = ground.folder.join("unpacked");
    fs::create_dir_all(&folder)?;
    let mut unpack = Command::new("cmake");
    unpack.args(["-E", "tar", "xf"]).arg(&packed.file).current_dir(&folder);
    shell::stdout(&mut unpack)?;
    Ok(folder.join(&packed.name))
}

/// Hosts on Linux, of the archive.
fn used(ground: &Ground<'_>, packed: &Packed) -> Result<()> {
    let prefix = unpacked(ground, packed)?;
    builds::library(ground.workspace)?; // by which the programs of the tests are linked
    let library = prefix.join("lib").join(SONAME);
    let tests = programs::check_with(ground.workspace, &library).context("the tests")?;
    let mut hosts = ground.found(&prefix, "linux", &[], Kind::Shared)?;
    hosts += ground.asked(&prefix, "sockeye", Kind::Shared)?;
    hosts += ground.asked(&prefix, "sockeye-static", Kind::Static)?;
    println!("{}: {hosts} hosts and the {tests} of the tests run", packed.name);
    Ok(())
}

/// Hosts for Windows, built with mingw and run under Wine.
fn under_wine(ground: &Ground<'_>, packed: &Packed) -> Result<()> {
    let prefix = unpacked(ground, packed)?;
    ground.looks("msvc", &prefix, &["-DCMAKE_SYSTEM_NAME=Windows"])?;
    let options = [
        format!("-DCMAKE_PREFIX_PATH={}", prefix.display()),
        "-DCMAKE_SYSTEM_NAME=Windows".into(),
        format!("-DCMAKE_C_COMPILER={CC}"),
        format!("-DCMAKE_CXX_COMPILER={CXX}"),
    ];
    let folder = ground.build("windows", &options).context("find_package for Windows")?;
    let build = windows::Build::new(ground.workspace)?;
    let lacking = ground.folder.join("lacking");
    fs::create_dir_all(&lacking)?;
    build.stand_in(&lacking)?;
    let path = format!("Z:{};Z:{}", prefix.join("bin").display(), lacking.display());
    let programs = ["shared_c", "shared_cpp", "static_c", "static_cpp", "any_c"];
    for name in programs {
        let program = folder.join(name).with_extension("exe");
        let wants = dlls(&program)?.contains(&"sockeye.dll".to_owned());
        ensure!(wants != name.starts_with("static"), "{name} is linked with the wrong library");
        let mut run = build.wine(&program);
        run.env("WINEPATH", &path);
        let log = ground.workspace.scratch("logs")?.join("package-wine.log");
        shell::demand(&mut run, &log, WINE_LIMIT).with_context(|| name.to_owned())?;
    }
    println!("{}: {} hosts run under Wine", packed.name, programs.len());
    Ok(())
}

/// The DLLs that a program for Windows is linked with.
fn dlls(program: &Path) -> Result<Vec<String>> {
    let told = shell::stdout(Command::new("x86_64-w64-mingw32-objdump").arg("-p").arg(program))?;
    let names = told.lines().filter_map(|line| line.split_once("DLL Name: "));
    Ok(names.map(|(_, name)| name.trim().to_owned()).collect())
}

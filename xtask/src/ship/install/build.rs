//! The two libraries that are installed, as they are for each purpose.

use super::seal;
use crate::builds;
use crate::check::symbols;
use crate::run::windows;
use crate::run::windows::msvc::{self, Msvc};
use crate::shell;
use crate::tools;
use crate::workspace::Workspace;
use anyhow::{Context, Result, bail, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(1800);
/// The oldest glibc that a portable library runs on.
pub const FLOOR: &str = "2.17";
const LINUX: &str = "x86_64-unknown-linux-gnu";
/// Asks for what has to be linked beside a static library. CMakeLists.txt asks the same: with
/// another command cargo would build it twice.
const NATIVES: [&str; 3] = ["--", "--print", "native-static-libs"];

/// What the libraries are for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum System {
    Linux,
    Windows,
}

/// What is there to be installed.
pub struct Libraries {
    pub system: System,
    pub shared: PathBuf,
    /// By which programs for Windows are linked with the DLL.
    pub import: Option<PathBuf>,
    pub msvc: Option<Msvc>,
    pub archive: PathBuf,
    /// The shared library's symbols for a debugger.
    pub symbols: Option<PathBuf>,
    /// The rustc that built them, whose standard library is in them.
    pub rustc: PathBuf,
    /// Licences of what the linker added: whose, and where.
    pub notices: Vec<(&'static str, PathBuf)>,
}

impl System {
    /// The system's name in CMake.
    pub fn name(self) -> &'static str {
        match self {
            Self::Linux => "Linux",
            Self::Windows => "Windows",
        }
    }

    pub fn triple(self) -> &'static str {
        match self {
            Self::Linux => LINUX,
            Self::Windows => windows::TARGET,
        }
    }
}

/// For this machine: its glibc, no tools but cargo.
pub fn here(workspace: &Workspace) -> Result<Libraries> {
    builds::library(workspace)?;
    Ok(linux(workspace.library(), archive(workspace)?))
}

/// The static library, sealed, for programs that are linked where they like.
pub fn archive(workspace: &Workspace) -> Result<PathBuf> {
    archive_in(workspace, &workspace.target, "")
}

/// For every Linux from glibc [`FLOOR`] on.
pub fn portable(workspace: &Workspace) -> Result<Libraries> {
    both(workspace, &workspace.target, "")
}

/// Portable, for a release: no path of this machine is in it, and its symbols lie beside it.
pub fn released(workspace: &Workspace) -> Result<Libraries> {
    let folder = workspace.scratch("release")?;
    let mut libraries = both(workspace, &folder, &anonymous(workspace)?)?;
    let symbols = split("", &libraries.shared, &folder.join("libsockeye.so"))?;
    libraries.shared = folder.join("libsockeye.so");
    libraries.symbols = Some(symbols);
    Ok(libraries)
}

/// For Windows, with mingw, as a release.
pub fn windows(workspace: &Workspace) -> Result<Libraries> {
    let build = windows::Build::new(workspace)?;
    let logs = workspace.scratch("logs")?;
    // Without the time at which it was linked.
    let flags = anonymous(workspace)? + "\u{1f}-Clink-arg=-Wl,--no-insert-timestamp";
    let of = |options: [&str; 3], natives: &[&str]| {
        let [profile, kind, debug] = options;
        let mut cargo = build.cargo(&["rustc", "--package", "sockeye", "--lib"]);
        cargo.args(["--profile", profile, "--crate-type", kind]).args(natives);
        cargo.env("CARGO_ENCODED_RUSTFLAGS", &flags).env("CARGO_PROFILE_RELEASE_DEBUG", debug);
        shell::demand(&mut cargo, &logs.join("windows-release.log"), LIMIT)
    };
    of(["release", "cdylib", "line-tables-only"], &[])?;
    same_natives(workspace, System::Windows, &of(["static", "staticlib", "0"], &NATIVES)?)?;
    let release = build.folder("release");
    let shared = workspace.scratch("release")?.join("sockeye.dll");
    let symbols = split("x86_64-w64-mingw32-", &release.join("sockeye.dll"), &shared)?;
    let import = release.join("libsockeye.dll.a");
    let listed = shell::stdout(Command::new("x86_64-w64-mingw32-nm").arg(&import))?;
    symbols::check_imports(workspace, &listed)?;
    let msvc = msvc::make(&build, &workspace.scratch("release")?)?;
    Ok(Libraries {
        system: System::Windows,
        shared,
        import: Some(import),
        msvc: Some(msvc),
        archive: build.folder("static").join("libsockeye.a"),
        symbols: Some(symbols),
        rustc: build.rustc(),
        notices: vec![
            ("mingw-w64", "/usr/share/doc/mingw-w64-x86-64-dev/copyright".into()),
            ("libgcc of GCC", "/usr/share/doc/gcc-mingw-w64-base/copyright".into()),
        ],
    })
}

fn linux(shared: PathBuf, archive: PathBuf) -> Libraries {
    let (rustc, notices) = ("rustc".into(), Vec::new());
    let system = System::Linux;
    Libraries { system, shared, import: None, msvc: None, archive, symbols: None, rustc, notices }
}

/// Both portable libraries, at the same time: the end of each build is the work of one processor.
fn both(workspace: &Workspace, folder: &Path, flags: &str) -> Result<Libraries> {
    tools::ensure(workspace, tools::PORTABLE)?;
    let (shared, archive) = thread::scope(|scope| {
        let archive = scope.spawn(|| archive_in(workspace, folder, flags));
        (portable_shared(workspace, folder, flags), archive.join().expect("no build panics"))
    });
    let mut libraries = linux(shared?, archive?);
    let zig = workspace.wheels(tools::ZIG).join("ziglang");
    libraries.notices = vec![
        ("compiler_rt of Zig", zig.join("LICENSE")),
        ("libunwind of LLVM", zig.join("lib/libunwind/LICENSE.TXT")),
    ];
    Ok(libraries)
}

/// Zig knows every version of glibc, and links for the one that it is given.
fn portable_shared(workspace: &Workspace, folder: &Path, flags: &str) -> Result<PathBuf> {
    let zig = workspace.wheels(tools::ZIG);
    let target = format!("{LINUX}.{FLOOR}");
    // As a cargo of ours but for the program.
    let mut command = workspace.command(zig.join("bin/cargo-zigbuild"));
    command.args(["rustc", "--release", "--package", "sockeye", "--lib"]);
    command.args(["--crate-type", "cdylib", "--target", &target]).arg("--target-dir").arg(folder);
    command.env("CARGO_ZIGBUILD_ZIG_PATH", zig.join("ziglang/zig"));
    command.env("ZIG_GLOBAL_CACHE_DIR", workspace.scratch("zig-cache")?);
    if !flags.is_empty() {
        command.env("CARGO_ENCODED_RUSTFLAGS", flags);
        command.env("CARGO_PROFILE_RELEASE_DEBUG", "line-tables-only");
        command.env("CARGO_PROFILE_RELEASE_STRIP", "none");
    }
    shell::demand(&mut command, &workspace.scratch("logs")?.join("portable.log"), LIMIT)?;
    Ok(folder.join(LINUX).join("release/libsockeye.so"))
}

/// Builds it; what has to be linked beside it is what we say.
fn archive_in(workspace: &Workspace, folder: &Path, flags: &str) -> Result<PathBuf> {
    let mut command = workspace.cargo(["rustc", "--locked", "--package", "sockeye", "--lib"]);
    command.arg("--target-dir").arg(folder);
    command.args(["--profile", "static", "--crate-type", "staticlib"]).args(NATIVES);
    if !flags.is_empty() {
        command.env("CARGO_ENCODED_RUSTFLAGS", flags);
    }
    let log = workspace.scratch("logs")?.join("static.log");
    same_natives(workspace, System::Linux, &shell::demand(&mut command, &log, LIMIT)?)?;
    seal::seal(workspace, &folder.join("static"))
}

/// Compiler flags that leave the folders of this machine out of what is built.
fn anonymous(workspace: &Workspace) -> Result<String> {
    let home = std::env::home_dir().context("no home folder")?;
    let cargo = std::env::var_os("CARGO_HOME").map_or_else(|| home.join(".cargo"), PathBuf::from);
    let remap = |from: &Path, to| format!("--remap-path-prefix={}={to}", from.display());
    let registry = remap(&cargo.join("registry/src"), "/cargo");
    Ok([registry, remap(&workspace.root, "/sockeye")].join("\u{1f}"))
}

/// Splits a library into what is run and what a debugger reads, which lies beside it.
fn split(tools: &str, from: &Path, to: &Path) -> Result<PathBuf> {
    let symbols = to.with_extension(match to.extension() {
        Some(ending) => format!("{}.debug", ending.to_string_lossy()),
        None => "debug".into(),
    });
    let objcopy = || {
        let mut command = Command::new(format!("{tools}objcopy"));
        // It would write the time of day into a DLL.
        command.env("SOURCE_DATE_EPOCH", "0");
        command
    };
    let run = |command: &mut Command| shell::stdout(command).map(|_| ());
    run(objcopy().arg("--only-keep-debug").arg(from).arg(&symbols))?;
    run(objcopy().arg("--strip-all").arg(from).arg(to))?;
    let mut link = objcopy();
    let folder = symbols.parent().context("no folder")?;
    link.arg("--add-gnu-debuglink").arg(symbols.file_name().context("no name")?);
    run(link.arg(fs::canonicalize(to)?).current_dir(folder))?;
    Ok(symbols)
}

/// What has to be linked beside a static library, as our CMake files have it.
pub fn natives(workspace: &Workspace, system: System) -> Result<String> {
    let path = workspace.root.join("packaging/cmake/sockeyeTargets.cmake");
    let text = fs::read_to_string(&path).with_context(|| format!("no {}", path.display()))?;
    let start = format!("set(_sockeye_natives_{} ", system.name());
    let found = text.lines().find_map(|line| line.strip_prefix(&start)?.strip_suffix(')'));
    Ok(found.with_context(|| format!("no '{start}' in {}", path.display()))?.to_owned())
}

fn same_natives(workspace: &Workspace, system: System, told: &str) -> Result<()> {
    let ours = natives(workspace, system)?;
    let theirs = told.lines().find_map(|line| line.split("native-static-libs: ").nth(1));
    match theirs.map(str::trim).context("rustc told no native libraries")? {
        theirs if theirs == ours => Ok(()),
        theirs => bail!(
            "beside libsockeye.a for {} has to be linked\n  {theirs}\nand \
             packaging/cmake/sockeyeTargets.cmake has\n  {ours}",
            system.name()
        ),
    }
}

/// Holds a portable library to what it has to be: its name, that it stays loaded, its functions,
/// and a glibc no newer than the floor, which is the answer.
pub fn check_portable(workspace: &Workspace, library: &Path) -> Result<String> {
    let dynamic = shell::stdout(Command::new("readelf").arg("-dW").arg(library))?;
    for wanted in ["soname: [libsockeye.so.0]", "NODELETE"] {
        ensure!(dynamic.contains(wanted), "no {wanted} in {}\n{dynamic}", library.display());
    }
    let functions = symbols::check_library(workspace, library)?;
    let floor = floor(library)?;
    let newer = version(&floor) > version(FLOOR);
    ensure!(!newer, "{} needs glibc {floor}, not {FLOOR}", library.display());
    Ok(format!("{functions}, glibc {floor}"))
}

/// The newest glibc whose symbols a library asks for.
pub fn floor(library: &Path) -> Result<String> {
    let listed = shell::stdout(Command::new("objdump").arg("-T").arg(library))?;
    newest(&listed).context("it asks for no version of glibc")
}

fn newest(listed: &str) -> Option<String> {
    let words = listed.split(|c: char| c.is_whitespace() || "()".contains(c));
    let versions = words.filter_map(|word| word.strip_prefix("GLIBC_"));
    versions.max_by_key(|text| version(text)).map(str::to_owned)
}

fn version(text: &str) -> Vec<u32> {
    text.split('.').map(|part| part.parse().unwrap_or(u32::MAX)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_version_is_by_number() {
        let listed = "0000 DF *UND* 0000 (GLIBC_2.9) epoll_create1\n\
                      0000 DF *UND* 0000 (GLIBC_2.17) clock_gettime\n\
                      0000 DF *UND* 0000 (GCC_4.2.0) _Unwind\n";
        assert_eq!(newest(listed).as_deref(), Some("2.17"));
        assert_eq!(newest("0000 DF *UND* 0000 GLIBC_2.2.5 read").as_deref(), Some("2.2.5"));
        assert_eq!(newest("0000 DF *UND* 0000 statx"), None);
        assert!(version("2.28") > version("2.17") && version("2.2.5") < version("2.17"));
    }
}

//! What the tasks need of the machine, and how it comes there.

use crate::shell;
use crate::workspace::Workspace;
use anyhow::{Context, Result, bail};
use std::process::Command;
use std::time::Duration;

/// Something a task needs.
#[derive(Clone, Copy, PartialEq)]
pub enum Need {
    Cc,
    Cxx,
    Make,
    Cmake,
    Nm,
    Libuv,
    Asio,
    Libevent,
    LibSsl,
    Boost,
    Libwebsockets,
    Libenet,
    Doxygen,
    Python,
    Rustfmt,
    Clippy,
    Nextest,
    Openssl,
    MingwCc,
    MingwCxx,
    Wine,
    /// libabigail's abidw and abidiff.
    Abidiff,
    /// A C# compiler, and what runs its programs.
    Mono,
    PkgConfig,
    Libkqueue,
    Haproxy,
    Nginx,
    Curl,
    Chromium,
    Tshark,
    /// Packages of Python for `web`.
    WebWheels,
    Pip,
    Zig,
    Zip,
    DpkgDeb,
    Conan,
    /// The system's own compiler, and the source of its standard library.
    OtherRustc,
}

/// How to see whether it is there, and where it comes from.
struct Tool {
    probe: &'static [&'static str],
    source: Source,
}

enum Source {
    Apt(&'static [&'static str]),
    Rustup(&'static str),
    Cargo(&'static str),
    /// Wheels of Python, in a folder of this name.
    Wheels(&'static str, &'static [&'static str]),
}

/// For `demo`.
pub const DEMO: &[Need] = &[Need::Cc, Need::Cxx, Need::Make, Need::Cmake];
/// For `bench`.
pub const BENCH: &[Need] = &[
    Need::Cc,
    Need::Cxx,
    Need::Libuv,
    Need::Asio,
    Need::Libevent,
    Need::LibSsl,
    Need::Boost,
    Need::Libwebsockets,
    Need::Libenet,
];
/// For `test`.
pub const TEST: &[Need] = &[
    Need::Cc,
    Need::Cxx,
    Need::Make,
    Need::Cmake,
    Need::Nm,
    Need::Rustfmt,
    Need::Clippy,
    Need::Nextest,
    Need::Openssl,
];

/// For `test`, where rustup has not the targets of `unix`.
pub const UNIX: &[Need] = &[Need::OtherRustc];
/// For `docs`.
pub const DOCS: &[Need] = &[
    Need::Cc,
    Need::Cxx,
    Need::Make,
    Need::Cmake,
    Need::Libuv,
    Need::Asio,
    Need::Doxygen,
    Need::Python,
    Need::PkgConfig,
    Need::Mono,
];
/// For `kqueue`.
pub const KQUEUE: &[Need] = &[Need::PkgConfig, Need::Libkqueue, Need::Nextest];
/// For `dissect`.
pub const DISSECT: &[Need] = &[Need::Cc, Need::Tshark, Need::Python];
/// For `proxy`.
pub const PROXY: &[Need] = &[Need::Cc, Need::Haproxy, Need::Nginx, Need::Curl];
/// For `web`.
pub const WEB: &[Need] = &[
    Need::Cc,
    Need::Cxx,
    Need::Make,
    Need::Cmake,
    Need::Curl,
    Need::Chromium,
    Need::Pip,
    Need::WebWheels,
];
/// The folder of its wheels.
pub const WEB_WHEELS: &str = "web";
/// For `windows`.
pub const WINDOWS: &[Need] =
    &[Need::MingwCc, Need::MingwCxx, Need::Make, Need::Cmake, Need::Wine, Need::Nextest];
/// For what clang compiles for Windows, and what MSVC links with.
pub const CLANG: &[Need] = &[Need::Pip, Need::Zig];
/// For `abi`.
pub const ABI: &[Need] = &[Need::Cc, Need::Abidiff];
/// For `unreal` of the tests.
pub const UNREAL: &[Need] = &[Need::Cc, Need::Cxx, Need::Mono];
/// For the hosts in other languages.
pub const HOSTS: &[Need] = &[Need::Cc, Need::Cxx, Need::Mono, Need::Python];
/// For `install`, where the library is to run on other machines.
pub const PORTABLE: &[Need] = &[Need::Pip, Need::Zig, Need::Nm];
/// For the step `install`.
pub const INSTALL: &[Need] = &[Need::Cc, Need::Cxx, Need::Make, Need::Cmake, Need::PkgConfig];
/// For `package`.
pub const PACKAGE: &[Need] = &[Need::Zip, Need::DpkgDeb];
/// For `package`, to try the recipe for Conan.
pub const CONAN_RECIPE: &[Need] = &[Need::Pip, Need::Conan];
/// The folders of the wheels with zig and with Conan; another version has another.
pub const ZIG: &str = "zig-0.17.1";
pub const CONAN: &str = "conan-2.34.0";
/// It brings the source of its standard library, from which any target's can be built.
pub const OTHER_RUSTC: &str = "/usr/bin/rustc";

const APT_LIMIT: Duration = Duration::from_secs(600);
const NEXTEST_LIMIT: Duration = Duration::from_secs(900);

/// What shows that the compiler finds a header.
macro_rules! has_header {
    ($language:literal, $header:literal) => {
        ["gcc", "-E", "-x", $language, "-include", $header, "/dev/null"]
    };
}

impl Source {
    /// What the packages or components are called.
    fn told(&self) -> String {
        match self {
            Self::Apt(names) => names.join(", "),
            Self::Rustup(name) | Self::Cargo(name) => (*name).to_owned(),
            Self::Wheels(_, names) => names.join(", "),
        }
    }
}

impl Need {
    fn tool(self) -> Tool {
        let (probe, source): (&[&str], _) = match self {
            Self::Cc => (&["gcc", "--version"], Source::Apt(&["gcc", "libc6-dev"])),
            Self::Cxx => (&["g++", "--version"], Source::Apt(&["g++"])),
            Self::Make => (&["make", "--version"], Source::Apt(&["make"])),
            Self::Cmake => (&["cmake", "--version"], Source::Apt(&["cmake"])),
            Self::Nm => (&["nm", "--version"], Source::Apt(&["binutils"])),
            Self::Libuv => (&has_header!("c", "uv.h"), Source::Apt(&["libuv1-dev"])),
            Self::Asio => (&has_header!("c++", "asio/version.hpp"), Source::Apt(&["libasio-dev"])),
            Self::Libevent => {
                (&has_header!("c", "event2/thread.h"), Source::Apt(&["libevent-dev"]))
            }
            Self::LibSsl => (&has_header!("c", "openssl/ssl.h"), Source::Apt(&["libssl-dev"])),
            Self::Boost => {
                (&has_header!("c++", "boost/beast/version.hpp"), Source::Apt(&["libboost-dev"]))
            }
            Self::Libwebsockets => {
                (&has_header!("c", "libwebsockets.h"), Source::Apt(&["libwebsockets-dev"]))
            }
            Self::Libenet => (&has_header!("c", "enet/enet.h"), Source::Apt(&["libenet-dev"])),
            Self::Doxygen => (&["doxygen", "--version"], Source::Apt(&["doxygen"])),
            Self::Python => (&["python3", "--version"], Source::Apt(&["python3"])),
            Self::Rustfmt => (&["cargo", "fmt", "--version"], Source::Rustup("rustfmt")),
            Self::Clippy => (&["cargo", "clippy", "--version"], Source::Rustup("clippy")),
            Self::MingwCc => (
                &["x86_64-w64-mingw32-gcc-posix", "--version"],
                Source::Apt(&["gcc-mingw-w64-x86-64-posix"]),
            ),
            Self::MingwCxx => (
                &["x86_64-w64-mingw32-g++-posix", "--version"],
                Source::Apt(&["g++-mingw-w64-x86-64-posix"]),
            ),
            Self::Wine => (&["wine", "--version"], Source::Apt(&["wine", "wine64"])),
            Self::Abidiff => (&["abidiff", "--version"], Source::Apt(&["abigail-tools"])),
            Self::Mono => (&["mcs", "--version"], Source::Apt(&["mono-mcs", "mono-runtime"])),
            Self::OtherRustc => (
                &["ls", OTHER_RUSTC, "/usr/lib/rustlib/src/rust/library/std/src/lib.rs"],
                Source::Apt(&["rustc-web", "rust-web-src"]),
            ),
            Self::PkgConfig => (&["pkg-config", "--version"], Source::Apt(&["pkg-config"])),
            Self::Libkqueue => {
                (&["pkg-config", "--exists", "libkqueue"], Source::Apt(&["libkqueue-dev"]))
            }
            Self::Haproxy => (&["haproxy", "-v"], Source::Apt(&["haproxy"])),
            Self::Nginx => (&["nginx", "-v"], Source::Apt(&["nginx-light", "libnginx-mod-stream"])),
            Self::Curl => (&["curl", "--version"], Source::Apt(&["curl"])),
            Self::Chromium => (&["chromium", "--version"], Source::Apt(&["chromium"])),
            Self::Tshark => (&["tshark", "--version"], Source::Apt(&["tshark"])),
            Self::WebWheels => (
                &["kosoku/__init__.py"],
                Source::Wheels(WEB_WHEELS, &["kosoku==0.1.0", "websockets==17.4"]),
            ),
            Self::Pip => (&["python3", "-m", "pip", "--version"], Source::Apt(&["python3-pip"])),
            Self::Zig => (
                &["bin/cargo-zigbuild"],
                Source::Wheels(ZIG, &["ziglang==0.17.1", "cargo-zigbuild==0.24.0"]),
            ),
            Self::Openssl => (&["openssl", "version"], Source::Apt(&["openssl"])),
            Self::Zip => (&["zip", "--version"], Source::Apt(&["zip"])),
            Self::DpkgDeb => (&["dpkg-deb", "--version"], Source::Apt(&["dpkg"])),
            Self::Conan => (&["bin/conan"], Source::Wheels(CONAN, &["conan==2.34.0"])),
            Self::Nextest => (&["cargo", "nextest", "--version"], Source::Cargo("cargo-nextest")),
        };
        Tool { probe, source }
    }

    fn missing(self, workspace: &Workspace) -> bool {
        let Tool { probe, source } = self.tool();
        match source {
            // Some run only when Python knows their folder.
            Source::Wheels(folder, _) => !workspace.wheels(folder).join(probe[0]).is_file(),
            _ => !shell::answers(probe[0], &probe[1..]),
        }
    }
}

/// The task `tools`.
pub fn run(workspace: &Workspace) -> Result<()> {
    ensure(workspace, TEST)?;
    ensure(workspace, BENCH)?;
    ensure(workspace, UNIX)?;
    ensure(workspace, WINDOWS)?;
    ensure(workspace, CLANG)?;
    ensure(workspace, ABI)?;
    ensure(workspace, UNREAL)?;
    ensure(workspace, HOSTS)?;
    ensure(workspace, DOCS)?;
    println!("everything the tasks need is there");
    Ok(())
}

/// Installs what of `needs` is missing. Without the right to, says what to type and fails.
pub fn ensure(workspace: &Workspace, needs: &[Need]) -> Result<()> {
    let missing: Vec<Need> = needs.iter().copied().filter(|it| it.missing(workspace)).collect();
    let mut packages = Vec::new();
    for need in &missing {
        if let Source::Apt(names) = need.tool().source {
            packages.extend(names);
        }
    }
    if !packages.is_empty() {
        apt(workspace, &packages)?;
    }
    for need in &missing {
        match need.tool().source {
            Source::Apt(_) => {}
            Source::Rustup(name) => rustup(workspace, name)?,
            Source::Cargo(name) => cargo_install(workspace, name)?,
            Source::Wheels(folder, names) => wheels(workspace, folder, names)?,
        }
    }
    let still = missing.iter().filter(|need| need.missing(workspace));
    let still: Vec<String> = still.map(|need| need.tool().source.told()).collect();
    if !still.is_empty() {
        bail!("installed, and yet not found: {}", still.join(", "));
    }
    Ok(())
}

fn apt(workspace: &Workspace, packages: &[&str]) -> Result<()> {
    let names = packages.join(" ");
    if !shell::answers("apt-get", &["--version"]) {
        bail!("missing, to be installed with this system's package manager: {names}");
    }
    if shell::stdout(Command::new("id").arg("-u"))?.trim() != "0" {
        bail!(
            "missing; type this and try again:\n  \
             sudo apt-get update && sudo apt-get install -y --no-install-recommends {names}"
        );
    }
    println!("installing {names}");
    let logs = workspace.scratch("logs")?;
    let mut update = Command::new("apt-get");
    update.arg("update").env("DEBIAN_FRONTEND", "noninteractive");
    shell::demand(&mut update, &logs.join("apt-update.log"), APT_LIMIT)?;
    let mut install = Command::new("apt-get");
    install.args(["install", "-y", "--no-install-recommends"]).args(packages);
    install.env("DEBIAN_FRONTEND", "noninteractive");
    shell::demand(&mut install, &logs.join("apt-install.log"), APT_LIMIT)?;
    Ok(())
}

fn rustup(workspace: &Workspace, component: &str) -> Result<()> {
    println!("installing the Rust component {component}");
    let log = workspace.scratch("logs")?.join("rustup.log");
    let mut command = Command::new("rustup");
    command.args(["component", "add", component]);
    shell::demand(&mut command, &log, APT_LIMIT)
        .with_context(|| format!("type `rustup component add {component}` and try again"))?;
    Ok(())
}

/// Into a folder of their own: what else runs Python here is left alone.
fn wheels(workspace: &Workspace, folder: &str, names: &[&str]) -> Result<()> {
    println!("installing {} from PyPI", names.join(", "));
    let log = workspace.scratch("logs")?.join("pip.log");
    let mut command = Command::new("python3");
    command.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--upgrade"]);
    command.arg("--target").arg(workspace.wheels(folder)).args(names);
    let typed = shell::told(&command);
    shell::demand(&mut command, &log, APT_LIMIT)
        .with_context(|| format!("type `{typed}` and try again"))?;
    Ok(())
}

fn cargo_install(workspace: &Workspace, name: &str) -> Result<()> {
    println!("installing {name} (once; takes some minutes)");
    let log = workspace.scratch("logs")?.join("cargo-install.log");
    let mut command = workspace.cargo(["install", name, "--locked"]);
    // Its build belongs to no workspace of ours.
    command.env_remove("CARGO_TARGET_DIR");
    shell::demand(&mut command, &log, NEXTEST_LIMIT)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_compiled_this_is_found_and_nonsense_is_not() {
        assert!(shell::answers("cargo", &["--version"]));
        assert!(!shell::answers("sockeye-no-such-program", &["--version"]));
    }

    #[test]
    fn the_demo_needs_nothing_the_tests_do_not() {
        assert!(DEMO.iter().all(|need| TEST.contains(need)));
    }
}

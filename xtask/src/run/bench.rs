//! `bench`: builds the servers and the harness of `bench/`, and starts the harness.

use crate::args::Bench;
use crate::run::programs;
use crate::workspace::Workspace;
use crate::{builds, shell, tools};
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const BUILD_LIMIT: Duration = Duration::from_secs(900);
/// The harness has deadlines of its own; this one is for the harness.
const RUN_LIMIT: Duration = Duration::from_secs(3600);

/// A server: its source, and what it is linked with.
struct Program {
    source: &'static str,
    /// The settings that its library needs.
    defines: &'static [&'static str],
    libraries: &'static [&'static str],
}

const OPENSSL: &[&str] = &["-lssl", "-lcrypto"];

const PROGRAMS: [Program; 14] = [
    Program { source: "epoll_peer.c", defines: &[], libraries: &["-lpthread"] },
    Program {
        source: "sockeye_peer.c",
        defines: &[],
        libraries: &["-lsockeye", "-lpthread", "-ldl", "-lm"],
    },
    Program { source: "libuv_peer.c", defines: &[], libraries: &["-luv", "-lpthread"] },
    Program { source: "asio_peer.cpp", defines: &["-DASIO_STANDALONE"], libraries: &["-lpthread"] },
    Program {
        source: "libevent_peer.c",
        defines: &[],
        libraries: &["-levent", "-levent_pthreads", "-lpthread"],
    },
    Program { source: "udp_peer.c", defines: &[], libraries: &[] },
    Program { source: "openssl_peer.c", defines: &[], libraries: OPENSSL },
    Program {
        source: "asio_ssl_peer.cpp",
        defines: &["-DASIO_STANDALONE"],
        libraries: &["-lssl", "-lcrypto", "-lpthread"],
    },
    Program {
        source: "libevent_ssl_peer.c",
        defines: &[],
        libraries: &["-levent", "-levent_openssl", "-lssl", "-lcrypto"],
    },
    Program { source: "web_peer.c", defines: &[], libraries: OPENSSL },
    Program { source: "beast_peer.cpp", defines: &[], libraries: &["-lpthread"] },
    Program { source: "lws_peer.c", defines: &[], libraries: &["-lwebsockets"] },
    Program { source: "enet_peer.c", defines: &[], libraries: &["-lenet"] },
    Program {
        source: "lanes_peer.c",
        defines: &[],
        libraries: &["-lsockeye", "-lpthread", "-ldl", "-lm"],
    },
];

/// How the servers are built: a folder, and flags.
struct Build {
    folder: &'static str,
    flags: &'static [&'static str],
}

const MEASURED: Build = Build { folder: "peers", flags: &["-O2"] };

const SANITIZED: [Build; 2] = [
    Build {
        folder: "peers-address",
        flags: &[
            "-O1",
            "-g",
            "-fno-omit-frame-pointer",
            "-fsanitize=address,undefined",
            "-fno-sanitize-recover=all",
        ],
    },
    // asio has fences, which this sanitizer does not know; there are locks around them too.
    Build { folder: "peers-thread", flags: &["-O1", "-g", "-fsanitize=thread", "-Wno-tsan"] },
];

/// The library is not built with the thread sanitizer, which therefore does not see the locks in it
/// and takes every hand-over of a buffer for a race.
const SUPPRESSIONS: &str = "called_from_lib:libsockeye.so\n";

pub fn run(workspace: &Workspace, options: &Bench) -> Result<()> {
    if !cfg!(target_os = "linux") {
        bail!("the measurement pins processes and reads /proc: it needs Linux");
    }
    tools::ensure(workspace, tools::BENCH)?;
    builds::library(workspace)?;
    let log = workspace.scratch("logs")?.join("bench.log");
    let mut build = workspace.cargo(["build", "--release", "--package", "bench"]);
    shell::demand(&mut build, &log, BUILD_LIMIT)?;
    if options.sanitize {
        return sanitize(workspace);
    }
    let mut harness = harness(workspace, "run", &servers(workspace, &MEASURED)?);
    harness.arg("--only").arg(&options.only).arg("--workload").arg(&options.workload);
    if options.quick {
        harness.arg("--quick");
    }
    if let Some(root) = &options.before {
        let root = root.canonicalize().with_context(|| root.display().to_string())?;
        let before = Workspace { target: root.join("target"), root };
        builds::library(&before)?;
        // Programs look for the soname; the builds of older checkouts make no link to it.
        #[cfg(unix)]
        let _ =
            std::os::unix::fs::symlink("libsockeye.so", before.release().join("libsockeye.so.0"));
        harness.arg("--before").arg(servers(&before, &MEASURED)?);
    }
    if options.write {
        harness.arg("--write").arg(workspace.root.join("docs/bench"));
    }
    demand(&mut harness)
}

/// Drives the servers under both kinds of sanitizers; both are heard before one fails.
fn sanitize(workspace: &Workspace) -> Result<()> {
    let suppressions = workspace.scratch("peers-thread")?.join("suppressions");
    fs::write(&suppressions, SUPPRESSIONS).context("cannot write the suppressions")?;
    let thread = format!("halt_on_error=1:suppressions={}", suppressions.display());
    let mut failed = Vec::new();
    for build in &SANITIZED {
        println!("{}", build.flags.join(" "));
        let mut harness = harness(workspace, "sanitize", &servers(workspace, build)?);
        harness.env("ASAN_OPTIONS", "halt_on_error=1:detect_stack_use_after_return=1");
        harness.env("UBSAN_OPTIONS", "halt_on_error=1:print_stacktrace=1");
        harness.env("TSAN_OPTIONS", &thread);
        if let Err(error) = demand(&mut harness) {
            failed.push(format!("{}: {error:#}", build.folder));
        }
    }
    match failed.is_empty() {
        true => Ok(()),
        false => bail!("{}", failed.join("\n")),
    }
}

fn harness(workspace: &Workspace, command: &str, servers: &Path) -> Command {
    let mut harness = Command::new(workspace.release().join("bench"));
    harness.arg(command).arg("--peers").arg(servers);
    harness
}

/// Runs it with its output seen as it comes.
fn demand(harness: &mut Command) -> Result<()> {
    let mut child = harness.spawn().context("cannot run the harness")?;
    match shell::wait(&mut child, RUN_LIMIT)? {
        Some(status) if status.success() => Ok(()),
        Some(status) => bail!("the harness failed: {status}"),
        None => bail!("the harness was ended after {RUN_LIMIT:?}"),
    }
}

/// Compiles all servers; gives their folder.
fn servers(workspace: &Workspace, build: &Build) -> Result<PathBuf> {
    let folder = workspace.scratch(build.folder)?;
    let log = workspace.scratch("logs")?.join("peers.log");
    for program in &PROGRAMS {
        let mut compile = program.compile(workspace, &folder, build.flags);
        shell::demand(&mut compile, &log, BUILD_LIMIT)?;
    }
    Ok(folder)
}

impl Program {
    fn compile(&self, workspace: &Workspace, folder: &Path, flags: &[&str]) -> Command {
        let (name, ending) = self.source.split_once('.').unwrap_or((self.source, ""));
        // What the C servers need beyond the language: atomics and the system's own headers.
        let (compiler, standard) =
            if ending == "cpp" { ("g++", "-std=c++17") } else { ("gcc", "-std=gnu99") };
        let mut command = Command::new(compiler);
        command.arg(standard).args(flags).args(self.defines).args(programs::WARNINGS);
        command.arg("-I").arg(workspace.root.join("include"));
        command.arg(workspace.root.join("bench/peers").join(self.source));
        command.arg("-o").arg(folder.join(name));
        let release = workspace.release();
        command.arg(format!("-Wl,-rpath,{}", release.display()));
        command.arg("-L").arg(release).args(self.libraries);
        command
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_language_has_its_compiler() {
        let workspace = Workspace { root: "/r".into(), target: "/t".into() };
        let told = |program: &Program| {
            shell::told(&program.compile(&workspace, Path::new("/o"), MEASURED.flags))
        };
        let (c, cpp) = (told(&PROGRAMS[1]), told(&PROGRAMS[3]));
        assert!(c.starts_with("gcc -std=gnu99 -O2 -Wall") && cpp.starts_with("g++ -std=c++17"));
        assert!(c.contains(
            "/r/bench/peers/sockeye_peer.c -o /o/sockeye_peer -Wl,-rpath,/t/release -L /t/release "
        ));
        assert!(c.ends_with("-lsockeye -lpthread -ldl -lm"));
    }
}

//! The binary interface against its snapshot in `abi/<number>/`: what a host was compiled with
//! stays as it was.
//!
//! The header is compiled as C into a library of empty functions; what libabigail reads from that
//! is compared by abidiff, and, as text, by the rules of [`layout`]. `sockeye.h` there is the
//! header of the first release with this number: a program compiled against it runs here.

mod layout;

use crate::workspace::Workspace;
use crate::{c_text, programs, shell, tools};
use anyhow::{Context, Result, bail};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use std::{env, fs};

const HEADER: &str = "include/sockeye.h";
/// What stands before every function.
const EXPORT: &str = "SOCKEYE_API";
const NUMBER: &str = "#define SOCKEYE_ABI_VERSION ";
/// A host that knows nothing of what came after its header.
const HOST: &str = "tests/abi/host.c";
const LIMIT: Duration = Duration::from_secs(120);
/// Of the bits of abidiff's status: something cannot be compared, and: a host would break.
const FAILED: i32 = 1 | 2;
const BREAKS: i32 = 8;

/// What is kept of an interface.
struct Snapshot {
    folder: PathBuf,
    /// Each function's declaration, a line.
    functions: String,
    layout: String,
}

impl Snapshot {
    fn described(&self) -> PathBuf {
        self.folder.join("sockeye.abi")
    }

    fn read(folder: PathBuf) -> Result<Self> {
        let text = |name| {
            let path = folder.join(name);
            fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
        };
        Ok(Self { functions: text("functions.txt")?, layout: text("layout.txt")?, folder })
    }
}

/// The task: compares, or takes a snapshot that hosts of the last one can live with.
pub fn run(workspace: &Workspace, write: bool) -> Result<String> {
    if !write {
        return check(workspace);
    }
    tools::ensure(workspace, tools::ABI)?;
    let now = now(workspace)?;
    let folder = kept(workspace)?;
    if folder.join("layout.txt").exists() {
        let old = Snapshot::read(folder.clone())?;
        compatible(&old, &now)?;
        let (status, report) = abidiff(workspace, &old, &now)?;
        if status & BREAKS != 0 {
            bail!("{report}\nthis breaks hosts: raise SOCKEYE_ABI_VERSION first");
        }
    }
    fs::create_dir_all(&folder).context("cannot make a folder for the snapshot")?;
    for name in ["functions.txt", "layout.txt", "sockeye.abi"] {
        fs::copy(now.folder.join(name), folder.join(name)).context("cannot write the snapshot")?;
    }
    if !folder.join("sockeye.h").exists() {
        fs::copy(workspace.root.join(HEADER), folder.join("sockeye.h"))
            .context("cannot write the snapshot's header")?;
    }
    Ok(format!("{} written: look at it and commit it", workspace.shown(&folder)))
}

/// The step of the tests. Functions may be added; all else is as in the snapshot.
pub fn check(workspace: &Workspace) -> Result<String> {
    tools::ensure(workspace, tools::ABI)?;
    let (old, now) = (Snapshot::read(kept(workspace)?)?, now(workspace)?);
    compatible(&old, &now)?;
    let (status, report) = abidiff(workspace, &old, &now)?;
    if status != 0 {
        bail!("{report}\nif hosts can live with it: cargo xtask abi --write");
    }
    if old.layout != now.layout {
        bail!(
            "{} is not what the header says: cargo xtask abi --write",
            workspace.shown(&old.folder.join("layout.txt"))
        );
    }
    old_host(workspace, &old.folder)?;
    let added = now.functions.lines().count() - old.functions.lines().count();
    let name = workspace.shown(&old.folder);
    Ok(format!("as {name}, {added} functions added since; a host of its header runs"))
}

/// What the host of an older header relies on, by our own rules.
fn compatible(old: &Snapshot, now: &Snapshot) -> Result<()> {
    let mut faults = layout::faults(&old.layout, &now.layout);
    let kept = |function: &&str| !now.functions.lines().any(|other| other == *function);
    faults.extend(old.functions.lines().filter(kept).map(|f| format!("gone, or changed: {f}")));
    if !faults.is_empty() {
        bail!("{}\nthis breaks hosts: raise SOCKEYE_ABI_VERSION first", faults.join("\n"));
    }
    Ok(())
}

/// `abi/<number>`, by the number in the header.
fn kept(workspace: &Workspace) -> Result<PathBuf> {
    let header = header(workspace)?;
    let number = header.lines().find_map(|line| line.strip_prefix(NUMBER));
    let number: u32 = number.context("no SOCKEYE_ABI_VERSION")?.trim().parse()?;
    Ok(workspace.root.join("abi").join(number.to_string()))
}

fn header(workspace: &Workspace) -> Result<String> {
    fs::read_to_string(workspace.root.join(HEADER)).with_context(|| format!("cannot read {HEADER}"))
}

/// The interface as it is now, written to a folder for the moment.
fn now(workspace: &Workspace) -> Result<Snapshot> {
    let folder = workspace.scratch("abi")?;
    let logs = workspace.scratch("logs")?;
    let header = header(workspace)?;
    let (source, library) = (folder.join("sockeye.c"), folder.join("sockeye.so"));
    fs::write(&source, empty_library(&header)).context("cannot write the empty library")?;
    let mut compile = Command::new(env::var_os("CC").unwrap_or_else(|| "gcc".into()));
    compile.args(["-std=c99", "-g", "-O0", "-shared", "-fPIC", "-Wl,-soname,libsockeye.so.0"]);
    shell::demand(compile.arg(&source).arg("-o").arg(&library), &logs.join("abi-cc.log"), LIMIT)?;
    let mut describe = Command::new("abidw");
    describe.args(["--no-corpus-path", "--no-show-locs", "--no-comp-dir-path"]);
    describe.args(["--no-elf-needed", "--out-file"]).arg(folder.join("sockeye.abi"));
    shell::demand(describe.arg(&library), &logs.join("abidw.log"), LIMIT)?;
    let described = fs::read_to_string(folder.join("sockeye.abi")).context("abidw wrote none")?;
    let layout = layout::structs(&described)? + &layout::constants(&header);
    let snapshot = Snapshot { functions: functions(&header), layout, folder };
    fs::write(snapshot.folder.join("functions.txt"), &snapshot.functions)
        .context("cannot write")?;
    fs::write(snapshot.folder.join("layout.txt"), &snapshot.layout).context("cannot write")?;
    Ok(snapshot)
}

/// The header as a C source in which every function that is declared is there, and does nothing.
fn empty_library(header: &str) -> String {
    let code = c_text::code(header);
    let mut text = String::new();
    for part in code.split_inclusive(EXPORT) {
        let times = usize::from(is_function(&text));
        text.push_str(&part.replacen(");", ") { __builtin_trap(); }", times));
    }
    text
}

/// The functions that a header declares, a line each, sorted.
fn functions(header: &str) -> String {
    let code = c_text::code(header);
    let mut lines = BTreeSet::new();
    for (at, _) in code.match_indices(EXPORT) {
        let (before, rest) = code.split_at(at + EXPORT.len());
        if let Some((text, _)) = rest.split_once(");").filter(|_| is_function(before)) {
            let words: Vec<_> = text.split_whitespace().collect();
            lines.insert(words.join(" ") + ");\n");
        }
    }
    lines.into_iter().collect()
}

/// Whether a function comes behind this text: its mark, and not the mark's own definition.
fn is_function(before: &str) -> bool {
    before.ends_with(EXPORT) && !before.ends_with("#define SOCKEYE_API")
}

/// The status of abidiff, and what it says.
fn abidiff(workspace: &Workspace, old: &Snapshot, now: &Snapshot) -> Result<(i32, String)> {
    let log = workspace.scratch("logs")?.join("abidiff.log");
    let mut command = Command::new("abidiff");
    command.arg("--no-added-syms").arg(old.described()).arg(now.described());
    let outcome = shell::run(&mut command, &log, LIMIT)?;
    let code = outcome.status.and_then(|status| status.code()).unwrap_or(FAILED);
    if code & FAILED != 0 {
        bail!("{}\nabidiff: {}", outcome.text.trim_end(), outcome.ending());
    }
    Ok((code, outcome.text.trim_end().to_owned()))
}

/// A program that was compiled with the snapshot's header runs with the library of today.
fn old_host(workspace: &Workspace, header: &Path) -> Result<()> {
    let logs = workspace.scratch("logs")?;
    let program = workspace.scratch("abi")?.join("host");
    let mut compile = Command::new(env::var_os("CC").unwrap_or_else(|| "gcc".into()));
    compile.arg("-std=c99").args(programs::WARNINGS).arg("-I").arg(header);
    compile.arg("-I").arg(workspace.root.join("tests/c")).arg(workspace.root.join(HOST));
    compile.arg("-o").arg(&program).arg("-L").arg(workspace.release()).args(programs::LIBRARIES);
    shell::demand(&mut compile, &logs.join("abi-host-cc.log"), LIMIT)?;
    let mut run = Command::new(&program);
    run.env("LD_LIBRARY_PATH", workspace.release());
    shell::demand(&mut run, &logs.join("abi-host.log"), LIMIT)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_declared_function_is_there_and_empty() {
        let header = "#define SOCKEYE_API\ntypedef void (*f)(int);\nSOCKEYE_API int a(void);\n\
                      /// b(x);\nSOCKEYE_API\nint b(void (*f)(int),\n int c);\n\
                      static inline int d(void) { return e(1); }\n";
        let found = "int a(void);\nint b(void (*f)(int), int c);\n";
        assert_eq!(functions(header), found);
        let text = empty_library(header);
        assert_eq!(text.matches("__builtin_trap").count(), 2);
        assert!(text.contains("int c) { __builtin_trap(); }"), "{text}");
        assert!(text.contains("(int);\n") && text.contains("return e(1); }"));
    }
}

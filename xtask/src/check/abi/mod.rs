//! The binary interface against its snapshots in `abi/<number>/`: what a host was compiled with
//! stays as it was. Of its own number the interface is exactly the snapshot; of each smaller one
//! it has all that a host relies on.
//!
//! The header is compiled as C into a library of empty functions; what libabigail reads from that
//! is compared by abidiff, and, as text, by the rules of [`layout`]. A program that was compiled
//! with the header of a snapshot runs with the library of today.

mod layout;

use crate::check::c_text;
use crate::run::programs;
use crate::workspace::Workspace;
use crate::{shell, tools};
use anyhow::{Context, Result, bail, ensure};
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

/// The task: compares, or takes the snapshot of the header's number.
pub fn run(workspace: &Workspace, write: bool) -> Result<String> {
    if !write {
        return check(workspace);
    }
    tools::ensure(workspace, tools::ABI)?;
    let (number, now) = (number(workspace)?, now(workspace)?);
    let folder = folder(workspace, number);
    if folder.exists() && !unreleased(workspace, number)? {
        bail!("binary interface {number} is released: raise SOCKEYE_ABI_VERSION first");
    }
    for older in 1..number {
        compatible(workspace, &Snapshot::read(self::folder(workspace, older))?, &now)?;
    }
    fs::create_dir_all(&folder).context("cannot make a folder for the snapshot")?;
    for name in ["functions.txt", "layout.txt", "sockeye.abi"] {
        fs::copy(now.folder.join(name), folder.join(name)).context("cannot write the snapshot")?;
    }
    let header = folder.join("sockeye.h");
    fs::copy(workspace.root.join(HEADER), header).context("cannot write the snapshot's header")?;
    Ok(format!("{} written: look at it and commit it", workspace.shown(&folder)))
}

/// The step of the tests.
pub fn check(workspace: &Workspace) -> Result<String> {
    tools::ensure(workspace, tools::ABI)?;
    let (number, now) = (number(workspace)?, now(workspace)?);
    let own = Snapshot::read(folder(workspace, number))?;
    let changed = [(&own.functions, &now.functions), (&own.layout, &now.layout)];
    let changed = changed.map(|(old, now)| difference(old, now)).concat();
    let (status, report) = abidiff(workspace, &own, &now)?;
    if !changed.is_empty() || status != 0 {
        bail!(
            "{changed}{report}\nnot binary interface {number} any more: docs/abi.md says what may \
             change when; then SOCKEYE_ABI_VERSION grows, and `cargo xtask abi --write`"
        );
    }
    for older in 1..=number {
        let older = Snapshot::read(folder(workspace, older))?;
        compatible(workspace, &older, &now)?;
        old_host(workspace, &older.folder)?;
    }
    Ok(format!("binary interface {number}; hosts of 1 to {number} run"))
}

/// Lines that are only in one of two texts.
fn difference(old: &str, now: &str) -> String {
    let only = |mark: char, one: &str, other: &str| -> String {
        let lines = one.lines().filter(|line| !other.lines().any(|same| same == *line));
        lines.map(|line| format!("{mark} {line}\n")).collect()
    };
    only('-', old, now) + &only('+', now, old)
}

/// Whether the host of an older header finds all that it relies on.
fn compatible(workspace: &Workspace, old: &Snapshot, now: &Snapshot) -> Result<()> {
    let mut faults = layout::faults(&old.layout, &now.layout);
    let kept = |function: &&str| !now.functions.lines().any(|other| other == *function);
    faults.extend(old.functions.lines().filter(kept).map(|f| format!("gone, or changed: {f}")));
    let (status, report) = abidiff(workspace, old, now)?;
    if status & BREAKS != 0 {
        faults.push(report);
    }
    if !faults.is_empty() {
        let folder = workspace.shown(&old.folder);
        bail!("{}\nthis breaks hosts of {folder}", faults.join("\n"));
    }
    Ok(())
}

fn folder(workspace: &Workspace, number: u32) -> PathBuf {
    workspace.root.join("abi").join(number.to_string())
}

/// The number in the header.
fn number(workspace: &Workspace) -> Result<u32> {
    let header = header(workspace)?;
    let number = header.lines().find_map(|line| line.strip_prefix(NUMBER));
    number.context("no SOCKEYE_ABI_VERSION")?.trim().parse().context("no number")
}

/// Whether the changelog's part of what is not released yet speaks of this interface.
fn unreleased(workspace: &Workspace, number: u32) -> Result<bool> {
    let path = workspace.root.join("CHANGELOG.md");
    let text = fs::read_to_string(path).context("cannot read CHANGELOG.md")?;
    let mut heads = text.lines().filter(|line| line.starts_with("## Unreleased"));
    Ok(heads.any(|line| line.contains(&format!("binary interface {number})"))))
}

fn header(workspace: &Workspace) -> Result<String> {
    fs::read_to_string(workspace.root.join(HEADER)).with_context(|| format!("cannot read {HEADER}"))
}

/// The interface as it is now, written to a folder for the moment.
fn now(workspace: &Workspace) -> Result<Snapshot> {
    let folder = workspace.scratch("abi")?;
    let logs = workspace.scratch("logs")?;
    let header = header(workspace)?;
    let (source, library) = ("sockeye.c", folder.join("sockeye.so"));
    fs::write(folder.join(source), empty_library(&header))
        .context("cannot write the empty library")?;
    let mut compile = Command::new(env::var_os("CC").unwrap_or_else(|| "gcc".into()));
    compile.args(["-std=c99", "-g", "-O0", "-shared", "-fPIC", "-Wl,-soname,libsockeye.so.0"]);
    // In its folder: what it is called is in the description.
    compile.arg(source).arg("-o").arg(&library).current_dir(&folder);
    shell::demand(&mut compile, &logs.join("abi-cc.log"), LIMIT)?;
    let mut describe = Command::new("abidw");
    describe.args(["--no-corpus-path", "--no-show-locs", "--no-comp-dir-path"]);
    describe.args(["--no-elf-needed", "--out-file"]).arg(folder.join("sockeye.abi"));
    shell::demand(describe.arg(&library), &logs.join("abidw.log"), LIMIT)?;
    let described = fs::read_to_string(folder.join("sockeye.abi")).context("abidw wrote none")?;
    let root = workspace.root.to_string_lossy();
    ensure!(!described.contains(&*root), "the description names this machine's folder {root}");
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
    command.arg(old.described()).arg(now.described());
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

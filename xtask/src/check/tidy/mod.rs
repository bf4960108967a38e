//! The house rules that no other tool checks. Each finding says where and what; one is a failure.

mod c_code;
mod c_docs;
mod graph;
mod locks;
mod rooms;
mod safety;
mod shape;
mod source;
mod words;

use crate::workspace::Workspace;
use anyhow::{Context, Result, anyhow, bail};
use graph::Graph;
use source::Source;
use std::fs;
use walkdir::{DirEntry, WalkDir};

/// Rooms in which no files know each other in a ring.
const STRAIGHT: [&str; 4] = ["engine", "host", "shared", "worker"];

/// A broken rule, as `path:line: text`.
#[derive(Debug, PartialEq)]
pub struct Finding {
    pub path: String,
    pub line: usize,
    pub text: String,
}

/// The task `tidy --graph`: the rooms, their files, and who names whom.
pub fn graph(workspace: &Workspace) -> Result<String> {
    Ok(read_graph(workspace)?.text())
}

fn read_graph(workspace: &Workspace) -> Result<Graph> {
    let mut graph = Graph::default();
    for entry in WalkDir::new(workspace.root.join("src")).sort_by_file_name() {
        let entry = entry.context("cannot walk the sources")?;
        let path = workspace.shown(entry.path());
        if path.ends_with(".rs") {
            let text = fs::read_to_string(entry.path()).with_context(|| path.clone())?;
            let source = Source::read(&path, &text);
            graph.add(&source.map_err(|(line, error)| anyhow!("{path}:{line}: {error}"))?);
        }
    }
    Ok(graph)
}

/// The task `tidy`: says how much it looked at.
pub fn run(workspace: &Workspace) -> Result<String> {
    let mut findings = Vec::new();
    let mut files = 0;
    for entry in WalkDir::new(&workspace.root).sort_by_file_name().into_iter().filter_entry(ours) {
        let entry = entry.context("cannot walk the checkout")?;
        let path = workspace.shown(entry.path());
        if entry.file_type().is_file() && checked(&path) {
            let text = fs::read_to_string(entry.path()).with_context(|| path.clone())?;
            check(&path, &text, &mut findings);
            files += 1;
        }
    }
    for path in safety::WITHOUT.iter().filter(|path| !workspace.root.join(path).exists()) {
        let text = "missing: it has to say `#![forbid(unsafe_code)]`".into();
        findings.push(Finding { path: (*path).into(), line: 1, text });
    }
    for (room, ring) in read_graph(workspace)?.circles() {
        if STRAIGHT.contains(&room) {
            let text = format!("files of `{room}` know each other: {}", ring.join(", "));
            findings.push(Finding { path: "src/engine".into(), line: 1, text });
        }
    }
    for Finding { path, line, text } in &findings {
        println!("{path}:{line}: {text}");
    }
    match findings.len() {
        0 => Ok(format!("{files} files are tidy")),
        count => bail!("{count} findings in {files} files"),
    }
}

/// Neither what was built nor what belongs to other tools.
fn ours(entry: &DirEntry) -> bool {
    let name = entry.file_name().to_string_lossy();
    let built = ["target", "build"].contains(&&*name) || name.starts_with('.');
    entry.depth() == 0 || !entry.file_type().is_dir() || !built
}

fn checked(path: &str) -> bool {
    [".rs", ".c", ".h", ".cpp", ".hpp", ".cs", ".py"].iter().any(|ending| path.ends_with(ending))
}

/// Checks one file; `path` is relative to the root, with `/`.
fn check(path: &str, text: &str, findings: &mut Vec<Finding>) {
    let mut tell = |line: usize, text: String| {
        findings.push(Finding { path: path.to_owned(), line, text });
    };
    shape::lines(path, text, &mut tell);
    words::comments(text, &mut tell);
    if !path.ends_with(".rs") {
        c_code::check(path, text, &mut tell);
        c_docs::check_header(path, text, &mut tell);
        return;
    }
    let source = match Source::read(path, text) {
        Ok(source) => source,
        Err((line, error)) => return tell(line, format!("not Rust: {error}")),
    };
    shape::functions(&source, &mut tell);
    locks::check(&source, &mut tell);
    rooms::check(&source, &mut tell);
    words::check(&source, &mut tell);
    safety::check(&source, &mut tell);
    c_docs::check(&source, &mut tell);
}

/// What the unit tests of the rules share: the texts of the findings with their lines.
#[cfg(test)]
fn found(path: &str, text: &str) -> Vec<(usize, String)> {
    let mut findings = Vec::new();
    check(path, text, &mut findings);
    findings.into_iter().map(|finding| (finding.line, finding.text)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_names_file_and_line() {
        let mut findings = Vec::new();
        check("src/engine/x.rs", "fn f() {\n    dbg!(1);\n}\n", &mut findings);
        assert_eq!(findings.len(), 1);
        assert_eq!((&*findings[0].path, findings[0].line), ("src/engine/x.rs", 2));
    }

    #[test]
    fn text_that_is_not_rust_is_told() {
        assert!(found("src/engine/x.rs", "fn f() { ( }\n")[0].1.starts_with("not Rust"));
    }

    #[test]
    fn only_sources_are_checked() {
        assert!(checked("src/lib.rs") && checked("include/sockeye.hpp"));
        assert!(!checked("README.md") && !checked("Cargo.lock"));
    }
}

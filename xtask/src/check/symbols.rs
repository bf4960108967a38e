//! The shared library exports what the header declares: nothing less, nothing more; and from the
//! C++ wrapper each of it is reached.

use crate::check::c_text;
use crate::shell;
use crate::workspace::Workspace;
use anyhow::{Context, Result, bail};
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

pub fn check(workspace: &Workspace) -> Result<String> {
    let path = workspace.root.join("include/sockeye.h");
    let header = std::fs::read_to_string(&path).context("cannot read include/sockeye.h")?;
    reached(workspace, &declared(&header))?;
    check_library(workspace, &workspace.library())
}

/// The same of another build of the library, without the wrapper.
pub fn check_library(workspace: &Workspace, library: &Path) -> Result<String> {
    let path = workspace.root.join("include/sockeye.h");
    let header = std::fs::read_to_string(&path).context("cannot read include/sockeye.h")?;
    let listed = shell::stdout(Command::new("nm").args(["-D", "--defined-only"]).arg(library))?;
    let declared = declared(&header);
    compare(&declared, &exported(&listed))?;
    Ok(format!("{} functions", declared.len()))
}

/// Whether the C++ wrapper calls each function.
fn reached(workspace: &Workspace, declared: &BTreeSet<String>) -> Result<()> {
    let mut code = String::new();
    for name in ["sockeye.hpp", "sockeye_events.hpp", "sockeye_values.hpp"] {
        let path = format!("include/{name}");
        let text = std::fs::read_to_string(workspace.root.join(&path));
        code.push_str(&c_text::code(&text.with_context(|| format!("cannot read {path}"))?));
    }
    let words: BTreeSet<&str> = c_text::words(&code).collect();
    match declared.iter().find(|name| !words.contains(name.as_str())) {
        Some(name) => bail!("{name} is not reached from the C++ wrapper"),
        None => Ok(()),
    }
}

/// The same of a static library that shows nothing else but `merged`, as nm has listed it.
pub fn check_archive(workspace: &Workspace, listed: &str, merged: &str) -> Result<()> {
    let undefined = [" U ", " w "];
    let kept = listed.lines().filter(|line| !undefined.iter().any(|kind| line.contains(kind)));
    let mut shown = exported(&kept.collect::<Vec<_>>().join("\n"));
    shown.remove(merged);
    compare(&names(workspace)?, &shown)
}

/// The same of a library for Windows, whose import library nm has listed.
pub fn check_imports(workspace: &Workspace, listed: &str) -> Result<String> {
    let path = workspace.root.join("include/sockeye.h");
    let header = std::fs::read_to_string(&path).context("cannot read include/sockeye.h")?;
    let declared = declared(&header);
    // Beside its functions an import library has parts that bind it to the library's name.
    let functions: String =
        listed.lines().filter(|line| line.contains(" T ")).collect::<Vec<_>>().join("\n");
    compare(&declared, &exported(&functions))?;
    Ok(format!("{} functions", declared.len()))
}

/// The functions of the header.
pub fn names(workspace: &Workspace) -> Result<BTreeSet<String>> {
    let path = workspace.root.join("include/sockeye.h");
    Ok(declared(&std::fs::read_to_string(&path).context("cannot read include/sockeye.h")?))
}

/// The functions of a header: the name before the first `(` behind each `SOCKEYE_API`.
pub fn declared(header: &str) -> BTreeSet<String> {
    let code = c_text::code(header);
    let kept = code.lines().filter(|line| !line.trim_start().starts_with('#'));
    let text = kept.collect::<Vec<_>>().join("\n");
    let parts = text.split("SOCKEYE_API").skip(1);
    parts
        .filter_map(|part| c_text::words(part.split('(').next()?).last())
        .map(str::to_owned)
        .collect()
}

/// What a host can call, and what it gives to be called: the functions, the inline ones and the
/// types of functions.
pub fn callable(header: &str) -> BTreeSet<String> {
    let code = c_text::code(header);
    let mut names = declared(header);
    for line in code.lines() {
        let name = if line.starts_with("static inline ") {
            line.split('(').next().and_then(|head| c_text::words(head).last())
        } else if line.starts_with("typedef ") {
            line.split_once("(*").and_then(|(_, rest)| c_text::words(rest).next())
        } else {
            None
        };
        names.extend(name.map(str::to_owned));
    }
    names
}

/// The names of `nm -D --defined-only`: address, kind, name.
fn exported(listed: &str) -> BTreeSet<String> {
    let names = listed.lines().filter_map(|line| line.split_whitespace().nth(2));
    names.map(|name| name.split('@').next().unwrap_or(name).to_owned()).collect()
}

fn compare(declared: &BTreeSet<String>, exported: &BTreeSet<String>) -> Result<()> {
    let list = |names: Vec<&String>| names.into_iter().cloned().collect::<Vec<_>>().join(", ");
    let missing = list(declared.difference(exported).collect());
    let surplus = list(exported.difference(declared).collect());
    if declared.is_empty() {
        bail!("the header declares no function");
    }
    if !missing.is_empty() {
        bail!("declared but not exported: {missing}");
    }
    if !surplus.is_empty() {
        bail!("exported but not declared: {surplus}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn declarations_are_found_over_lines_and_not_in_comments() {
        let header = "\
            #define SOCKEYE_API __declspec(dllimport)\n\
            /// SOCKEYE_API not this(int);\n\
            SOCKEYE_API const char *sockeye_a(int32_t b);\n\
            SOCKEYE_API\nSOCKEYE_MUST_USE\nsockeye_status sockeye_b(void\n  *p);\n\
            static inline uint32_t sockeye_c(int d) { return e(d); }\n";
        assert_eq!(declared(header), set(&["sockeye_a", "sockeye_b"]));
    }

    #[test]
    fn the_list_of_nm_is_read() {
        let listed = "0000000000012340 T sockeye_a\n0000000000012350 T sockeye_b@@V1\n";
        assert_eq!(exported(listed), set(&["sockeye_a", "sockeye_b"]));
    }

    #[test]
    fn less_and_more_are_both_wrong() {
        assert!(compare(&set(&["a"]), &set(&["a"])).is_ok());
        assert!(compare(&set(&["a", "b"]), &set(&["a"])).is_err());
        assert!(compare(&set(&["a"]), &set(&["a", "b"])).is_err());
        assert!(compare(&set(&[]), &set(&[])).is_err());
    }
}

//! Names of the interface on the pages: none that is not there, on the page of errors every status
//! and cause, and on that of the headers every function.

use super::page::Page;
use crate::check::c_text;
use crate::check::symbols;
use crate::workspace::Workspace;
use anyhow::{Context, Result};
use std::collections::BTreeSet;

const ERRORS: &str = "docs/errors.md";
const REFERENCE: &str = "docs/reference.md";
const HEADER: &str = "include/sockeye.h";
/// Where a name may come from.
const SOURCES: [&str; 5] = [
    HEADER,
    "include/sockeye.hpp",
    "include/sockeye_events.hpp",
    "include/sockeye_values.hpp",
    "cpp-sample/CMakeLists.txt",
];
/// Where the metrics have their names.
const METRICS: [&str; 2] = ["src/engine/host/metrics.rs", "src/engine/shared/counters.rs"];
/// Names of the repository that are no part of the interface.
const OTHERS: [&str; 2] = ["sockeye_peer", "sockeye_samples"];
/// What the page of errors has a row for, each.
const ROWS: [&str; 2] = ["SOCKEYE_ERR_", "SOCKEYE_CAUSE_"];

pub fn check(workspace: &Workspace, pages: &[&Page]) -> Result<Vec<String>> {
    let read = |path: &&str| {
        let text = std::fs::read_to_string(workspace.root.join(path));
        text.with_context(|| (*path).to_owned())
    };
    let mut known = SOURCES.iter().map(read).collect::<Result<String>>()?;
    let metrics = METRICS.iter().map(read).collect::<Result<String>>()?;
    known.extend(c_text::words(&metrics).map(metric));
    let header = std::fs::read_to_string(workspace.root.join(HEADER)).context(HEADER)?;
    let known: BTreeSet<&str> = c_text::words(&known).chain(OTHERS).collect();
    let mut wrong: Vec<String> = pages.iter().flat_map(|page| strangers(page, &known)).collect();
    let text = |path: &str| pages.iter().find(|page| page.path == path).map_or("", |it| &it.text);
    wrong.extend(missing(&header, text(ERRORS)));
    wrong.extend(unlisted(&header, text(REFERENCE)));
    Ok(wrong)
}

/// What a metric of this name is called, and its other names, apart from each other.
fn metric(name: &str) -> String {
    let stem = name.strip_suffix("_ns").map_or(name.to_owned(), |stem| format!("{stem}_seconds"));
    format!(" sockeye_{stem} sockeye_{stem}_total sockeye_{stem}_bucket ")
}

/// Names on a page that look like the interface's and are not.
fn strangers(page: &Page, known: &BTreeSet<&str>) -> Vec<String> {
    let mut found = Vec::new();
    for (n, line) in page.text.lines().enumerate() {
        let ours = c_text::words(line).filter(|word| {
            ["sockeye_", "SOCKEYE_"].iter().any(|head| word.starts_with(head))
                && !word.ends_with('_')
        });
        for word in ours.filter(|word| !known.contains(word)) {
            found.push(format!("{}:{}: there is no {word}", page.path, n + 1));
        }
    }
    found
}

/// Statuses and causes of the header that the page of errors has no row for.
fn missing(header: &str, page: &str) -> Vec<String> {
    let code = c_text::code(header);
    let ours = c_text::words(&code).filter(|word| ROWS.iter().any(|head| word.starts_with(head)));
    let names: BTreeSet<&str> = ours.collect();
    let row = |name: &str| page.lines().any(|line| line.starts_with(&format!("| `{name}` |")));
    let mut wrong: Vec<String> = names
        .iter()
        .filter(|name| !row(name))
        .map(|name| format!("{ERRORS}: no row for {name}"))
        .collect();
    if names.is_empty() {
        wrong.push(format!("{HEADER} has no status and no cause"));
    }
    wrong
}

/// Functions of the header that the page of the headers does not list.
fn unlisted(header: &str, page: &str) -> Vec<String> {
    let listed: BTreeSet<&str> = page.split('`').collect();
    let names = symbols::callable(header).into_iter().filter(|name| !name.ends_with("_fn"));
    let names = names.filter(|name| !listed.contains(&**name));
    names.map(|name| format!("{REFERENCE}: {name} is not listed")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_has_the_name_of_its_number() {
        assert_eq!(metric("turns"), " sockeye_turns sockeye_turns_total sockeye_turns_bucket ");
        let time = metric("waited_ns");
        assert!(
            time.starts_with(" sockeye_waited_seconds sockeye_waited_seconds_total "),
            "{time}"
        );
    }

    #[test]
    fn names_that_are_not_there_are_told() {
        let text = "`sockeye_send`, `sockeye_sned` and SOCKEYE_ERR_*\n";
        let page = Page::parse("docs/a.md".into(), text.into());
        let found = strangers(&page, &["sockeye_send"].into());
        assert_eq!(found, ["docs/a.md:1: there is no sockeye_sned"]);
    }

    #[test]
    fn every_status_and_cause_has_a_row() {
        let header = "SOCKEYE_ERR_A = -1,\n/// SOCKEYE_ERR_C\nSOCKEYE_CAUSE_B = 1,\n";
        let page = "| `SOCKEYE_ERR_A` | -1 |\nas in `SOCKEYE_CAUSE_B` |\n";
        assert_eq!(missing(header, page), ["docs/errors.md: no row for SOCKEYE_CAUSE_B"]);
        assert_eq!(missing("", page).len(), 1);
    }

    #[test]
    fn every_function_is_listed() {
        let header = "SOCKEYE_API int sockeye_a(void);\nstatic inline int sockeye_b(int c)\n";
        let found = unlisted(header, "| `sockeye_a` | sockeye_b |\n");
        assert_eq!(found, ["docs/reference.md: sockeye_b is not listed"]);
    }
}

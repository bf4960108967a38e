//! The conformance matrix: which behaviours hold on which model. `behaviours.toml` in
//! `tests/conformance` says what there is, the last run of the tests says what came out.

mod results;
mod table;

use crate::workspace::Workspace;
use anyhow::{Context, Result, bail};
use results::{Results, Verdict};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

const BEHAVIOURS: &str = "tests/conformance/behaviours.toml";
/// Where nextest leaves its report: the store and the profile's `junit` in .config/nextest.toml.
const REPORT: &str = "target/nextest/all/junit.xml";

/// What there is.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Book {
    #[serde(rename = "model")]
    pub models: Vec<Model>,
    #[serde(rename = "behaviour")]
    pub behaviours: Vec<Behaviour>,
}

/// A model as README.md shows it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    pub name: String,
    pub place: String,
    #[serde(default)]
    pub words: String,
}

/// What a model has to do.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Behaviour {
    pub number: String,
    /// The test of libuv's that holds it there.
    #[serde(default)]
    pub from: String,
    pub words: String,
    pub tests: Vec<String>,
}

/// The task `matrix`: every behaviour on every model, from the last run; `write` puts the table of
/// models in README.md.
pub fn run(workspace: &Workspace, write: bool) -> Result<()> {
    let (book, results) = (read(workspace)?, last_run(workspace)?);
    let width = book.behaviours.iter().map(|one| one.words.len()).max().unwrap_or(0);
    let models = results.models();
    println!("{:>3}  {:width$}  {}", "", "", models.join("  "));
    for behaviour in &book.behaviours {
        let cells = models.iter().map(|model| {
            let words = results.verdict(behaviour, model).words();
            format!("{words:width$}", width = model.len())
        });
        let cells = cells.collect::<Vec<_>>().join("  ");
        let Behaviour { number, words, from, .. } = behaviour;
        println!("{}", format!("{number:>3}  {words:width$}  {cells}  {from}").trim_end());
    }
    println!("{}", table::sum(&book, &results));
    if write {
        let path = readme(workspace);
        let text = fs::read_to_string(&path).context("cannot read README.md")?;
        fs::write(&path, table::put(&text, &book, &results)?).context("cannot write README.md")?;
    }
    Ok(())
}

/// After a run of all tests: the sum, which fails unless README.md says the same.
pub fn check(workspace: &Workspace) -> Result<String> {
    let (book, results) = (read(workspace)?, last_run(workspace)?);
    let text = fs::read_to_string(readme(workspace)).context("cannot read README.md")?;
    if table::put(&text, &book, &results)? != text {
        bail!("README.md shows another table than this run: `cargo xtask matrix --write`");
    }
    Ok(table::sum(&book, &results))
}

/// Takes the last run's report away, so that none is read that is not of the next run.
pub fn forget(workspace: &Workspace) -> Result<()> {
    let path = workspace.root.join(REPORT);
    match fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

fn readme(workspace: &Workspace) -> std::path::PathBuf {
    workspace.root.join("README.md")
}

fn last_run(workspace: &Workspace) -> Result<Results> {
    let path = workspace.root.join(REPORT);
    let text = fs::read_to_string(&path).with_context(|| {
        format!("no report at {}: `cargo xtask test rust` makes one", path.display())
    })?;
    Results::read(&text)
}

/// Reads the behaviours, and demands that each test they name is there.
fn read(workspace: &Workspace) -> Result<Book> {
    let text = fs::read_to_string(workspace.root.join(BEHAVIOURS));
    let book: Book = toml::from_str(&text.context(BEHAVIOURS)?).context(BEHAVIOURS)?;
    let mut numbers = BTreeSet::new();
    for behaviour in &book.behaviours {
        if !numbers.insert(&behaviour.number) || behaviour.tests.is_empty() {
            bail!("{BEHAVIOURS}: {} is there twice, or has no tests", behaviour.number);
        }
        for test in &behaviour.tests {
            let tests = workspace.root.join("tests");
            if let Some(wrong) = missing(&tests, test) {
                bail!("{BEHAVIOURS}: {} names {test}: {wrong}", behaviour.number);
            }
        }
    }
    Ok(book)
}

/// Why there is no such test, though its theme is there; one whose theme is not there yet is fine.
fn missing(tests: &Path, test: &str) -> Option<String> {
    let (program, path) = test.split_once('/').unwrap_or(("conformance", test));
    let Some((theme, name)) = path.split_once("::") else {
        return Some("a test is theme::test".into());
    };
    let text = fs::read_to_string(tests.join(program).join(theme).with_extension("rs")).ok()?;
    let defined = name == "*" || text.contains(&format!("fn {name}("));
    (!defined).then(|| format!("no such test in {theme}.rs"))
}

impl Verdict {
    /// As the matrix shows it.
    fn words(self) -> &'static str {
        match self {
            Verdict::Held => "held",
            Verdict::Failed => "FAILS",
            Verdict::Skipped => "skip",
            Verdict::Absent => "-",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_behaviours_are_whole() {
        let workspace = Workspace::find().unwrap();
        let book = read(&workspace).unwrap();
        let numbers: Vec<&str> = book.behaviours.iter().map(|one| &*one.number).collect();
        let libuv = (1..=56).map(|number| number.to_string());
        let rules = (1..=11).map(|number| format!("R{number}"));
        assert_eq!(numbers, libuv.chain(rules).collect::<Vec<_>>());
        assert!(book.models.iter().any(|model| model.name == "EPOLL"));
    }

    #[test]
    fn a_test_that_is_not_there_is_found() {
        let tests = Workspace::find().unwrap().root.join("tests");
        assert_eq!(missing(&tests, "lifecycle::closed_by_peer"), None);
        assert_eq!(missing(&tests, "bad_input/urls::that_are_none"), None);
        assert_eq!(missing(&tests, "no_such_theme::at_all"), None, "not yet");
        assert!(missing(&tests, "lifecycle::closed_by_magic").is_some());
        assert!(missing(&tests, "lifecycle").is_some());
    }
}

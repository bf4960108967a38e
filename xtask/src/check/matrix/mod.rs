//! The conformance matrix: which behaviours hold on which model. `behaviours.toml` in
//! `tests/conformance` says what there is, the last run of the tests says what came out.

mod results;
mod table;

use crate::workspace::Workspace;
use anyhow::{Context, Result, bail};
pub use results::Spared;
use results::{Results, Verdict};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use table::Table;
pub use table::{HERE, KQUEUE, WINE};

const BEHAVIOURS: &str = "tests/conformance/behaviours.toml";

/// What there is.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Book {
    #[serde(rename = "model")]
    pub models: Vec<Model>,
    #[serde(rename = "behaviour")]
    pub behaviours: Vec<Behaviour>,
}

/// A model as the page shows it.
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
/// models in docs/models.md.
pub fn run(workspace: &Workspace, write: bool) -> Result<()> {
    let page = Page::read(workspace, &table::HERE, Spared::default())?;
    page.show();
    if write { page.write(workspace) } else { Ok(()) }
}

/// After a run of all tests: the sum, which fails unless docs/models.md says the same.
pub fn check(workspace: &Workspace) -> Result<String> {
    let page = Page::read(workspace, &table::HERE, Spared::default())?;
    let text = fs::read_to_string(page_path(workspace)).context("cannot read docs/models.md")?;
    if page.put(&text)? != text {
        bail!("docs/models.md shows another table than this run: `cargo xtask matrix --write`");
    }
    Ok(page.sum())
}

/// A run of the tests, and the table of docs/models.md that shows it.
pub struct Page {
    book: Book,
    results: Results,
    table: &'static Table,
}

impl Page {
    /// The last run, of which some tests were not asked.
    pub fn read(workspace: &Workspace, table: &'static Table, spared: Spared) -> Result<Page> {
        let path = workspace.root.join(table.report);
        let text = fs::read_to_string(&path).with_context(|| {
            format!("no report at {}: `{}` makes one", path.display(), table.made_by)
        })?;
        Ok(Page { book: read(workspace)?, results: Results::read(&text, spared)?, table })
    }

    /// Prints each behaviour on each model.
    pub fn show(&self) {
        let (book, results) = (&self.book, &self.results);
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
        println!("{}", self.sum());
    }

    /// One line: how much holds.
    pub fn sum(&self) -> String {
        table::sum(&self.book, &self.results)
    }

    /// Puts the table of models in docs/models.md.
    pub fn write(&self, workspace: &Workspace) -> Result<()> {
        let path = page_path(workspace);
        let text = fs::read_to_string(&path).context("cannot read docs/models.md")?;
        fs::write(&path, self.put(&text)?).context("cannot write docs/models.md")
    }

    fn put(&self, page: &str) -> Result<String> {
        table::put(page, &self.book, &self.results, self.table)
    }
}

/// Takes the last run's report away, so that none is read that is not of the next run.
pub fn forget(workspace: &Workspace, table: &Table) -> Result<()> {
    let path = workspace.root.join(table.report);
    match fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

/// Where the tables of models are.
const PAGE: &str = "docs/models.md";

fn page_path(workspace: &Workspace) -> std::path::PathBuf {
    workspace.root.join(PAGE)
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
pub fn missing(tests: &Path, test: &str) -> Option<String> {
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
            Verdict::Elsewhere => "n/a",
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
        let rules = (1..=23).map(|number| format!("R{number}"));
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

//! The tables of models in docs/models.md, each between two markers.

use super::results::{Results, Verdict};
use super::{Book, Model};
use anyhow::{Context, Result};

/// A table of docs/models.md.
pub struct Table {
    /// Where nextest leaves its report: the store and the profile's `junit` in
    /// .config/nextest.toml.
    pub report: &'static str,
    /// The task whose run it is.
    pub made_by: &'static str,
    begin: &'static str,
    held: &'static str,
    /// Whether a model has a row in it.
    shows: fn(&Model) -> bool,
    /// A row of which something could not run here stays as it was: it was written where all of
    /// it ran.
    keeps_rows: bool,
}

/// This system's models.
pub const HERE: Table = Table {
    report: "target/nextest/all/junit.xml",
    made_by: "cargo xtask test rust",
    begin: "<!-- matrix: written by `cargo xtask matrix --write` -->\n",
    held: "held",
    shows: |model| !["Windows", BSD].contains(&&*model.place),
    keeps_rows: true,
};
/// Those of Windows, under Wine.
pub const WINE: Table = Table {
    report: "target/nextest/windows/junit.xml",
    made_by: "cargo xtask windows",
    begin: "<!-- matrix: written by `cargo xtask windows --write` -->\n",
    held: "held under Wine 8",
    shows: |model| ["Windows", "everywhere"].contains(&&*model.place),
    keeps_rows: false,
};
/// KQUEUE, on Linux over libkqueue.
pub const KQUEUE: Table = Table {
    report: "target/nextest/kqueue/junit.xml",
    made_by: "cargo xtask kqueue",
    begin: "<!-- matrix: written by `cargo xtask kqueue --write` -->\n",
    held: "held over libkqueue",
    shows: |model| model.place == BSD,
    keeps_rows: false,
};
const BSD: &str = "macOS, BSD";
const END: &str = "<!-- matrix: end -->";
const NOT_BUILT: &str = "not yet: `sockeye_init` answers `ERR_UNSUPPORTED` and says so";

/// One line: how much holds.
pub fn sum(book: &Book, results: &Results) -> String {
    let models = results.models();
    let held = |model: &&str| numbers(book, results, model, Verdict::Held).len();
    let all = asked(book, results);
    let cells = models.iter().map(|model| format!("{model} {} of {all}", held(model)));
    let total: usize = models.iter().map(held).sum();
    let of = all * models.len();
    let cells = cells.collect::<Vec<_>>().join(", ");
    format!("{total} of {of} behaviours x models hold: {cells}")
}

/// How many behaviours this system has at all, whatever the model.
fn asked(book: &Book, results: &Results) -> usize {
    book.behaviours.len() - numbers(book, results, "", Verdict::Elsewhere).len()
}

/// The page with the table of this run.
pub fn put(page: &str, book: &Book, results: &Results, table: &Table) -> Result<String> {
    let (head, rest) = page.split_once(table.begin).context("docs/models.md has no begin of it")?;
    let (before, tail) = rest.split_once(END).context("docs/models.md has no end of its matrix")?;
    let rows = book.models.iter().filter(|model| (table.shows)(model)).map(|model| {
        let begin = format!("| `{}` |", model.name);
        let old = before.lines().find(|line| line.starts_with(&begin));
        match old {
            Some(old) if table.keeps_rows && !is_whole(book, results, model) => format!("{old}\n"),
            _ => row(book, results, model),
        }
    });
    let rows: String = rows.collect();
    let (begin, held, of) = (table.begin, table.held, asked(book, results));
    let names = format!("| model | where | {held}, of {of} | driven as | remarks |");
    Ok(format!("{head}{begin}{names}\n|---|---|---|---|---|\n{rows}{END}{tail}"))
}

fn module(model: &Model) -> String {
    model.name.to_lowercase()
}

fn is_built(results: &Results, model: &Model) -> bool {
    results.models().contains(&&*module(model))
}

/// Whether all that there is of a model ran in this run.
fn is_whole(book: &Book, results: &Results, model: &Model) -> bool {
    let skipped = numbers(book, results, &module(model), Verdict::Skipped);
    !is_built(results, model) || skipped.is_empty()
}

fn row(book: &Book, results: &Results, model: &Model) -> String {
    let Model { name, place, words } = model;
    let module = module(model);
    if !is_built(results, model) {
        // Not on this system; what its entry says of it comes from another.
        let words = if words.is_empty() { NOT_BUILT } else { words };
        return format!("| `{name}` | {place} | – | – | {words} |\n");
    }
    if let Some(reason) = results.refusal(&module) {
        return format!("| `{name}` | {place} | – | – | cannot run here: {reason} |\n");
    }
    let mut remarks: Vec<String> = Vec::new();
    if !words.is_empty() {
        remarks.push(words.clone());
    }
    for (verdict, what) in [
        (Verdict::Failed, "fails"),
        (Verdict::Skipped, "did not run"),
        (Verdict::Absent, "not yet"),
    ] {
        let numbers = numbers(book, results, &module, verdict);
        if !numbers.is_empty() {
            remarks.push(format!("{what}: {}", ranges(&numbers)));
        }
    }
    let held = numbers(book, results, &module, Verdict::Held).len();
    // A layer below the messages is a test's, and no way to drive a model.
    let drives = results.drives(&module).into_iter().filter(|drive| !drive.starts_with("layered"));
    let drives: Vec<String> = drives.map(|drive| format!("`{drive}`")).collect();
    let (drives, remarks) = (drives.join(" "), remarks.join("; "));
    format!("| `{name}` | {place} | {held} | {drives} | {remarks} |\n")
}

/// The behaviours with this verdict, by their places in the book.
fn numbers<'a>(
    book: &'a Book,
    results: &Results,
    model: &str,
    wanted: Verdict,
) -> Vec<(usize, &'a str)> {
    let all = book.behaviours.iter().enumerate();
    let with = all.filter(|(_, behaviour)| results.verdict(behaviour, model) == wanted);
    with.map(|(at, behaviour)| (at, &*behaviour.number)).collect()
}

/// "1, 4 to 7": neighbours together.
fn ranges(numbers: &[(usize, &str)]) -> String {
    let together = numbers.chunk_by(|(before, _), (at, _)| at - before == 1);
    let told = together.map(|chunk| match chunk {
        [] => String::new(),
        [(_, only)] => (*only).to_owned(),
        [(_, first), .., (_, last)] => format!("{first} to {last}"),
    });
    told.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::super::results::Spared;
    use super::super::results::tests::REPORT;
    use super::*;

    fn book() -> Book {
        let text = r#"
            [[model]]
            name = "EPOLL"
            place = "Linux"
            words = "the default"
            [[model]]
            name = "POLL"
            place = "Unix"
            [[model]]
            name = "RING"
            place = "Linux"
            [[model]]
            name = "IOCP"
            place = "Windows"
            [[behaviour]]
            number = "1"
            words = "sends are whole"
            tests = ["send::whole"]
            [[behaviour]]
            number = "2"
            words = "later"
            tests = ["later::*"]
        "#;
        toml::from_str(text).unwrap()
    }

    fn readme(rows: &str) -> String {
        format!("# Head\n{}{rows}{END}\ntail\n", HERE.begin)
    }

    #[test]
    fn a_row_says_what_holds_and_what_not() {
        let results = Results::read(REPORT, Spared::default()).unwrap();
        let text = put(&readme(""), &book(), &results, &HERE).unwrap();
        let has = |row: &str| assert!(text.contains(row), "{row} is not in {text}");
        has("| model | where | held, of 2 | driven as | remarks |\n|---|");
        has("| `EPOLL` | Linux | 1 | `host0` `pool` | the default; not yet: 2 |\n");
        has("| `POLL` | Unix | 0 | `host0` `pool` | fails: 1; not yet: 2 |\n");
        has("| `RING` | Linux | – | – | cannot run here: the system forbids it |\n");
        assert!(!text.contains("IOCP"), "it has a table of its own");
        assert!(text.starts_with("# Head\n") && text.ends_with("-->\ntail\n"));
        assert_eq!(put(&text, &book(), &results, &HERE).unwrap(), text, "fresh");
    }

    #[test]
    fn what_could_not_run_here_keeps_its_row() {
        let results = Results::read(REPORT, Spared::default()).unwrap();
        let old = "| `RING` | Linux | 1 | `pool` | as it was elsewhere |\n";
        let text = put(&readme(old), &book(), &results, &HERE).unwrap();
        assert!(text.contains(old));
        let stale = "| `EPOLL` | Linux | 2 | `pool` | all is well |\n";
        assert!(!put(&readme(stale), &book(), &results, &HERE).unwrap().contains(stale));
    }

    #[test]
    fn windows_has_a_table_of_its_own() {
        let elsewhere = ["later".to_owned()].into();
        let spared = Spared { elsewhere, ..Spared::default() };
        let results = Results::read(REPORT, spared).unwrap();
        let both = format!("{}{}{END}", readme(""), WINE.begin);
        let text = put(&both, &book(), &results, &WINE).unwrap();
        let has = |row: &str| assert!(text.contains(row), "{row} is not in {text}");
        has("| model | where | held under Wine 8, of 1 | driven as | remarks |\n|---|");
        has("| `IOCP` | Windows | – | – | not yet: ");
        assert!(!text.contains("EPOLL"));
        assert!(text.starts_with(&readme("")), "the other one is as it was");
    }

    #[test]
    fn a_readme_without_the_markers_is_told() {
        let results = Results::read(REPORT, Spared::default()).unwrap();
        assert!(put("# Head\n", &book(), &results, &HERE).is_err());
        assert!(put(&format!("# Head\n{}", HERE.begin), &book(), &results, &HERE).is_err());
    }

    #[test]
    fn the_sum_counts_each_model() {
        let results = Results::read(REPORT, Spared::default()).unwrap();
        let sum = sum(&book(), &results);
        assert!(sum.starts_with("1 of 6 behaviours x models hold: epoll 1 of 2, "), "{sum}");
    }

    #[test]
    fn neighbours_stand_together() {
        let numbers = [(0, "1"), (3, "4"), (4, "5"), (5, "6"), (9, "R1"), (10, "R2")];
        assert_eq!(ranges(&numbers), "1, 4 to 6, R1 to R2");
        assert_eq!(ranges(&[]), "");
    }
}

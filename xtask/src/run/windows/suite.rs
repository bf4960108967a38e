//! The conformance suite under Wine, model by model.

use super::build::Build;
use crate::check::matrix::{self, Page, Spared};
use crate::shell;
use anyhow::{Context, Result, bail};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

/// What is not asked, and why.
const LIST: &str = "tests/windows/wine.toml";
const LIMIT: Duration = Duration::from_secs(7200);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    elsewhere: Vec<Elsewhere>,
    #[serde(default)]
    left_out: Vec<LeftOut>,
    brief: Brief,
}

/// A theme that is not built for Windows.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Elsewhere {
    theme: String,
    why: String,
}

/// A test, `theme::test`, that Wine cannot pass on some models; none are all.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LeftOut {
    test: String,
    #[serde(default)]
    models: Vec<String>,
    why: String,
}

/// What stands for the suite in a run that must be short.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Brief {
    themes: Vec<String>,
    drives: Vec<String>,
}

/// How much of the suite runs.
pub enum Part<'a> {
    All,
    /// Tests whose name has this text in it.
    Named(&'a str),
    Brief,
}

impl Part<'_> {
    /// The filter of nextest for it.
    fn filter(&self, list: &List) -> String {
        let asked = match self {
            Part::All => "all()".into(),
            Part::Named(text) => return format!("test({text})"),
            Part::Brief => {
                let (themes, drives) = (list.brief.themes.join("|"), list.brief.drives.join("|"));
                format!("test(/^({themes})::[a-z_]+::({drives})::/)")
            }
        };
        let left_out = list.left_out.iter().map(|one| format!(" - {}", one.filter()));
        asked + &left_out.collect::<String>()
    }
}

impl LeftOut {
    fn filter(&self) -> String {
        let (theme, name) = self.test.split_once("::").unwrap_or((&self.test, ""));
        let models = match &*self.models.join("|") {
            "" => "[a-z_]+".into(),
            models => format!("({models})"),
        };
        format!("test(/^{theme}::{models}::[a-z0-9]+::{name}$/)")
    }
}

/// Reads what is not asked. Each needs a reason, and has to be there.
fn read(build: &Build<'_>) -> Result<List> {
    let root = &build.workspace.root;
    let text = fs::read_to_string(root.join(LIST)).context(LIST)?;
    let list: List = toml::from_str(&text).context(LIST)?;
    let reasons = list.left_out.iter().map(|one| (&one.test, &one.why));
    let reasons = reasons.chain(list.elsewhere.iter().map(|one| (&one.theme, &one.why)));
    for (what, why) in reasons {
        if why.trim().is_empty() {
            bail!("{LIST}: why is {what} not asked?");
        }
    }
    let themes = list.elsewhere.iter().map(|one| &one.theme).chain(&list.brief.themes);
    let themes = themes.map(|theme| format!("{theme}::*"));
    for test in themes.chain(list.left_out.iter().map(|one| one.test.clone())) {
        let theme = test.split("::").next().unwrap_or_default();
        let source = root.join("tests/conformance").join(theme).with_extension("rs");
        if !source.is_file() || matrix::missing(&root.join("tests"), &test).is_some() {
            bail!("{LIST}: there is no {test}");
        }
    }
    Ok(list)
}

/// Runs a part of the suite, each test in a process of its own; says how many passed on each
/// model.
pub fn run(build: &Build<'_>, part: &Part<'_>) -> Result<String> {
    let list = read(build)?;
    matrix::forget(build.workspace, &matrix::WINE)?;
    let mut command = build.cargo(&["nextest", "run", "--profile", "windows"]);
    command.args(["--package", "sockeye", "--test", "conformance", "--test", "bad_input"]);
    command.args(["--color", "never", "--status-level", "pass", "-E", &part.filter(&list)]);
    let outcome = shell::run(&mut command, &build.logs.join("windows-tests.log"), LIMIT)?;
    let told = told(&outcome.text);
    for one in &list.left_out {
        println!("left out: {} {}: {}", one.test, one.models.join(" "), one.why);
    }
    if !outcome.ok() {
        let failed = outcome.text.rsplit("Summary").next().unwrap_or_default();
        bail!("Summary{failed}\n{told}\nthe suite under Wine: {}", outcome.ending());
    }
    Ok(told)
}

/// The matrix of the last run of all.
pub fn page<'a>(build: &Build<'a>) -> Result<Page> {
    let list = read(build)?;
    let elsewhere = list.elsewhere.into_iter().map(|one| one.theme).collect();
    let left_out = list.left_out.into_iter().map(|one| (one.test, one.models)).collect();
    Page::read(build.workspace, &matrix::WINE, Spared { elsewhere, left_out })
}

/// "passed under Wine: poll 430, select 430", from what nextest says of each test.
fn told(text: &str) -> String {
    let mut passed: BTreeMap<&str, u32> = BTreeMap::new();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        if words.next() == Some("PASS")
            && let Some(model) = words.last().and_then(model_of)
        {
            *passed.entry(model).or_default() += 1;
        }
    }
    let each: Vec<String> =
        passed.iter().map(|(model, count)| format!("{model} {count}")).collect();
    format!("passed under Wine: {}", each.join(", "))
}

/// `theme::model::drive::test`; what has other parts is of no model.
fn model_of(name: &str) -> Option<&str> {
    let parts: Vec<&str> = name.split("::").collect();
    (parts.len() == 4).then(|| parts[1])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Workspace;

    #[test]
    fn passed_tests_are_counted_by_model() {
        let text = "\
        PASS [   0.512s] (1/4) sockeye::conformance close::poll::lend::a
        FAIL [   0.512s] (2/4) sockeye::conformance close::poll::lend::b
        PASS [   0.512s] (3/4) sockeye::conformance close::select::lend::a
        PASS [   0.512s] (4/4) sockeye::bad_input urls::that_are_none
     Summary [   1.2s] 4 tests run: 3 passed, 1 failed";
        assert_eq!(told(text), "passed under Wine: poll 1, select 1");
    }

    #[test]
    fn what_is_left_out_is_no_part_of_all() {
        let text = r#"
            elsewhere = []
            [[left_out]]
            test = "fair::both"
            models = ["poll", "select"]
            why = "so"
            [[left_out]]
            test = "fair::none"
            why = "so"
            [brief]
            themes = ["close", "send"]
            drives = ["pool", "lend"]
        "#;
        let list: List = toml::from_str(text).unwrap();
        let left = " - test(/^fair::(poll|select)::[a-z0-9]+::both$/) \
                    - test(/^fair::[a-z_]+::[a-z0-9]+::none$/)";
        assert_eq!(Part::All.filter(&list), format!("all(){left}"));
        let brief = "test(/^(close|send)::[a-z_]+::(pool|lend)::/)";
        assert_eq!(Part::Brief.filter(&list), format!("{brief}{left}"));
        assert_eq!(Part::Named("fair").filter(&list), "test(fair)", "asked for by name");
    }

    #[test]
    fn themes_of_other_systems_are_those_that_are_not_built() {
        let root = Workspace::find().unwrap().root;
        let main = fs::read_to_string(root.join("tests/conformance/main.rs")).unwrap();
        let built: Vec<&str> = main.split("#[cfg(unix)]\nmod ").skip(1).collect();
        let mut built: Vec<&str> = built.iter().filter_map(|rest| rest.split(';').next()).collect();
        let list: List = toml::from_str(&fs::read_to_string(root.join(LIST)).unwrap()).unwrap();
        let mut named: Vec<&str> = list.elsewhere.iter().map(|one| &*one.theme).collect();
        built.sort_unstable();
        named.sort_unstable();
        assert_eq!(named, built);
    }
}

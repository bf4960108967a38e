//! The documentation: the groups of the header's pages, the table of calls, and a row for each
//! status and cause.

use super::MARK;
use super::model::{Interface, Kind};
use crate::check::symbols;
use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::fmt::Write;

const BEGIN: &str = "<!-- calls: written by `cargo xtask bindings --write` -->\n";
const END: &str = "<!-- calls: end -->";
/// The tables that have a row for each value of an enum, and how their heads begin.
const ROWS: [(&str, &str); 2] =
    [("sockeye_status_code", "| status | number |"), ("sockeye_cause", "| cause | number |")];
/// It stands above the table, not in it.
const DONE: &str = "SOCKEYE_OK";

/// `docs/groups.dox`: a group for each file of `src/capi`.
pub fn groups(interface: &Interface) -> String {
    let mut text = format!("/* {MARK} */\n");
    for room in &interface.rooms {
        let words = capital(&room.words);
        let _ = writeln!(text, "/** @defgroup {} {}\n    {words} */", room.name, room.title);
    }
    text
}

fn capital(words: &str) -> String {
    let first = words.chars().next().map_or(0, char::len_utf8);
    words[..first].to_uppercase() + &words[first..]
}

/// `docs/groups.awk`: which group each name is in.
pub fn places(interface: &Interface, header: &str) -> Result<String> {
    let mut text = format!("# {MARK}\nBEGIN {{\n");
    for (name, room) in interface.places(symbols::callable(header).into_iter())? {
        let _ = writeln!(text, "    place[\"{name}\"] = \"{room}\"");
    }
    Ok(text + "}\n")
}

/// `docs/reference.md` with the calls of each file.
pub fn calls(interface: &Interface, header: &str, page: &str) -> Result<String> {
    let callable = symbols::callable(header).into_iter().filter(|name| !name.ends_with("_fn"));
    let mut calls: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (item, _) in interface.functions() {
        let room = interface.rooms.iter().find(|room| room.has(&item.name));
        calls.entry(&room.context("a function of no file")?.name).or_default().push(&item.name);
    }
    let places = interface.places(callable)?;
    for (name, room) in &places {
        if interface.find(name).is_none() {
            calls.entry(room).or_default().push(name);
        }
    }
    let (head, rest) = page.split_once(BEGIN).context("no begin of the calls")?;
    let (_, tail) = rest.split_once(END).context("no end of the calls")?;
    let mut text = format!("{head}{BEGIN}| theme | calls |\n|---|---|\n");
    for room in &interface.rooms {
        if let Some(names) = calls.get(&*room.name) {
            let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
            let _ = writeln!(text, "| {} | {} |", room.title.to_lowercase(), names.join(" "));
        }
    }
    Ok(text + END + tail)
}

/// `docs/errors.md`: what a row says is for people to write; one that is missing begins with what
/// the header says, and a number is what it is.
pub fn errors(interface: &Interface, page: &str) -> Result<String> {
    let mut lines: Vec<String> = page.lines().map(str::to_owned).collect();
    for (of, head) in ROWS {
        let item = interface.find(of).with_context(|| format!("no {of}"))?;
        let Kind::Enum(values) = &item.kind else { anyhow::bail!("{of} is no enum") };
        let head = lines.iter().position(|line| line.starts_with(head));
        let first = head.with_context(|| format!("no table of {of}"))? + 2;
        let count = lines[first..].iter().take_while(|line| line.starts_with('|')).count();
        let mut rows: Vec<String> = lines.splice(first..first + count, []).collect();
        let mut fresh = Vec::new();
        for value in values.iter().filter(|value| value.name != DONE) {
            let begin = format!("| `{}` |", value.name);
            let old = rows.iter().position(|row| row.starts_with(&begin)).map(|at| rows.remove(at));
            let rest = old.as_deref().and_then(|row| row[begin.len()..].split_once(" |"));
            let rest = rest.map_or_else(
                || format!(" {} | |", value.words.trim_end_matches('.')),
                |(_, rest)| rest.to_owned(),
            );
            fresh.push(format!("{begin} {} |{rest}", value.value));
        }
        lines.splice(first..first, fresh);
    }
    Ok(lines.join("\n") + "\n")
}

#[cfg(test)]
mod tests {
    use super::super::read::of_text;
    use super::*;

    #[test]
    fn a_row_keeps_its_words_and_has_the_number() {
        let interface = of_text(
            "#[repr(C)] pub enum sockeye_status_code { SOCKEYE_OK = 0, SOCKEYE_ERR_A = -1 }\n\
             #[repr(C)] pub enum sockeye_cause {\n  SOCKEYE_CAUSE_B = 1,\n  /// It is `c`.\n  \
             SOCKEYE_CAUSE_C = 2,\n}",
        );
        let head = |what: &str| format!("| {what} | number | a | b |\n|---|---|---|---|\n");
        let (one, other) = (head("status"), head("cause"));
        let page = format!("{one}| `SOCKEYE_ERR_A` | -7 | x | y |\n\nz\n{other}| `OLD` | 3 | |\n");
        let fresh = errors(&interface, &page).unwrap();
        let rows = "| `SOCKEYE_CAUSE_B` | 1 |  | |\n| `SOCKEYE_CAUSE_C` | 2 | It is `c` | |\n";
        let want = format!("{one}| `SOCKEYE_ERR_A` | -1 | x | y |\n\nz\n{other}{rows}");
        assert_eq!(fresh, want);
        assert_eq!(errors(&interface, &fresh).unwrap(), fresh);
    }

    #[test]
    fn what_the_header_adds_is_of_the_noun_in_its_name() {
        let interface = of_text("pub extern \"C\" fn sockeye_f() {}");
        let page = format!("x\n{BEGIN}old\n{END}y\n");
        let added = "static inline int sockeye_a_index(int a)\n";
        let fresh = calls(&interface, added, &page).unwrap();
        let row = "| a | `sockeye_f` `sockeye_a_index` |\n";
        assert_eq!(fresh, format!("x\n{BEGIN}| theme | calls |\n|---|---|\n{row}{END}y\n"));
        assert!(calls(&interface, &added.replace("a_index", "b_index"), &page).is_err());
    }
}

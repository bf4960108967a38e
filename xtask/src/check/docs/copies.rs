//! Tables and paragraphs that a page shows as another page has them, figures above all.
//! `<!-- part of README.md -->` stands in front of one; how it begins says which.

use super::page::Page;
use crate::workspace::Workspace;
use anyhow::{Context, Result, bail};
use std::fs;

const MARK: &str = "<!-- part of ";
/// So many letters of its first line name a part.
const NAME_LETTERS: usize = 24;

/// Parts that differ from what they are a copy of, each with its place. With `write` they are
/// written anew instead.
pub fn check(workspace: &Workspace, pages: &[Page], write: bool) -> Result<Vec<String>> {
    let mut wrong = Vec::new();
    for page in pages.iter().filter(|page| page.text.contains(MARK)) {
        let original = |path: &str| {
            fs::read_to_string(workspace.root.join(path)).with_context(|| path.to_owned())
        };
        let (fresh, stale) = renewed(&page.text, original).context(page.path.clone())?;
        if write && fresh != page.text {
            fs::write(workspace.root.join(&page.path), fresh).context(page.path.clone())?;
        } else {
            let place = |line| format!("{}:{line}: stale, `cargo xtask docs` renews it", page.path);
            wrong.extend(stale.into_iter().map(place));
        }
    }
    Ok(wrong)
}

/// The text with every copy as its original is, and the lines of those that were not.
fn renewed(
    text: &str,
    mut original: impl FnMut(&str) -> Result<String>,
) -> Result<(String, Vec<usize>)> {
    let (mut fresh, mut stale) = (String::new(), Vec::new());
    let mut lines = text.lines().enumerate().peekable();
    while let Some((n, line)) = lines.next() {
        fresh.push_str(line);
        fresh.push('\n');
        let path = line.strip_prefix(MARK).and_then(|rest| rest.strip_suffix(" -->"));
        let Some(path) = path else { continue };
        let mut copy = Vec::new();
        while let Some((_, line)) = lines.next_if(|(_, line)| !line.is_empty()) {
            copy.push(line);
        }
        let Some(name) = copy.first().map(|line| name(line)) else {
            bail!("nothing behind line {}", n + 1);
        };
        let source = original(path)?;
        let part: Vec<&str> = source
            .lines()
            .skip_while(|line| self::name(line) != name)
            .take_while(|line| !line.is_empty() && !line.starts_with("<!--"))
            .collect();
        if part.is_empty() {
            bail!("{path} has nothing that begins as line {} does", n + 2);
        }
        if part != copy {
            stale.push(n + 2);
        }
        part.iter().for_each(|line| fresh.extend([line, "\n"]));
    }
    Ok((fresh, stale))
}

fn name(line: &str) -> String {
    line.chars().take(NAME_LETTERS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stale_table_is_renewed() {
        let source = "x\n| a | b |\n|---|---|\n| 1 | 2 |\n<!-- end -->\n\nend\n";
        let page = "<!-- part of X -->\n| a | b |\n|---|---|\n| 1 | 3 |\n\nmore\n";
        let (fresh, stale) = renewed(page, |_| Ok(source.into())).unwrap();
        assert_eq!(stale, [2]);
        assert_eq!(fresh, page.replace('3', "2"));
        assert_eq!(renewed(&fresh, |_| Ok(source.into())).unwrap(), (fresh.clone(), vec![]));
        assert!(renewed(page, |_| Ok("none".into())).is_err());
    }

    #[test]
    fn a_stale_paragraph_is_renewed() {
        let source = "An idle connection has 230 bytes\nof memory.\n\nMore.\n";
        let page = "<!-- part of X -->\nAn idle connection has 220 bytes.\n\nmore\n";
        let (fresh, stale) = renewed(page, |_| Ok(source.into())).unwrap();
        assert_eq!(stale, [2]);
        assert!(fresh.contains("230 bytes\nof memory.\n\nmore"));
    }
}

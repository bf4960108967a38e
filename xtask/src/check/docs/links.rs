//! Links of the pages: each leads to a place that there is. And the book's list of pages: it has
//! each page once, and no other.

use super::page::Page;
use crate::workspace::Workspace;
use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

const BOOK: &str = "docs/";
const SUMMARY: &str = "docs/SUMMARY.md";
/// What the built book has and the checkout has not: the pages of Doxygen.
const BUILT: &str = "docs/api/index.html";

/// What is wrong with links, each with its place.
pub fn check(workspace: &Workspace, pages: &[Page]) -> Vec<String> {
    let mut wrong = Vec::new();
    for page in pages {
        for link in &page.links {
            if let Err(why) = leads(workspace, pages, page, &link.target) {
                wrong.push(format!("{}:{}: {}: {why}", page.path, link.line, link.target));
            }
        }
    }
    wrong.extend(summary(pages));
    wrong
}

fn leads(
    workspace: &Workspace,
    pages: &[Page],
    from: &Page,
    target: &str,
) -> Result<(), &'static str> {
    if let Some(rest) = target.strip_prefix("https://") {
        return if rest.contains('.') { Ok(()) } else { Err("no host") };
    }
    if target.contains(':') {
        return Err("neither https nor a file");
    }
    let (file, anchor) = match target.split_once('#') {
        Some((file, anchor)) => (file, Some(anchor)),
        None => (target, None),
    };
    let path = resolve(&from.path, file);
    if path == BUILT {
        return Ok(());
    }
    if from.path.starts_with(BOOK) && !path.starts_with(BOOK) && path.ends_with(".md") {
        return Err("the book has no such page: quote it");
    }
    let page = pages.iter().find(|page| page.path == path);
    if page.is_none() && !workspace.root.join(&path).exists() {
        return Err("no such file");
    }
    match (anchor, page) {
        (None, _) => Ok(()),
        (Some(anchor), Some(page)) if page.anchors.iter().any(|name| name == anchor) => Ok(()),
        (Some(_), Some(_)) => Err("no such heading"),
        (Some(_), None) => Err("a heading of something that is no page"),
    }
}

/// A link's file, from the root. An empty one is the page itself.
fn resolve(page: &str, file: &str) -> String {
    if file.is_empty() {
        return page.to_owned();
    }
    let folder = Path::new(page).parent().unwrap_or(Path::new(""));
    let mut path = PathBuf::new();
    for part in folder.join(file).components() {
        match part {
            Component::ParentDir => {
                path.pop();
            }
            part => path.push(part),
        }
    }
    path.to_string_lossy().into_owned()
}

/// Files outside of the book that its pages lead to.
pub fn outside(pages: &[Page]) -> BTreeSet<String> {
    let mut files = BTreeSet::new();
    for page in pages.iter().filter(|page| page.path.starts_with(BOOK)) {
        for link in page.links.iter().filter(|link| !link.target.contains(':')) {
            let path = resolve(&page.path, link.target.split('#').next().unwrap_or_default());
            if !path.starts_with(BOOK) {
                files.insert(path);
            }
        }
    }
    files
}

fn summary(pages: &[Page]) -> Vec<String> {
    let Some(summary) = pages.iter().find(|page| page.path == SUMMARY) else {
        return vec![format!("there is no {SUMMARY}")];
    };
    let mut listed = BTreeSet::new();
    let mut wrong = Vec::new();
    for link in &summary.links {
        let path = resolve(SUMMARY, &link.target);
        if !listed.insert(path.clone()) {
            wrong.push(format!("{SUMMARY}:{}: {path} for the second time", link.line));
        }
    }
    let of_book = |page: &&Page| page.path.starts_with(BOOK) && page.path != SUMMARY;
    for page in pages.iter().filter(of_book).filter(|page| !listed.contains(&page.path)) {
        wrong.push(format!("{}: not in {SUMMARY}", page.path));
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(path: &str, text: &str) -> Page {
        Page::parse(path.into(), text.into())
    }

    fn here() -> Workspace {
        Workspace::find().unwrap()
    }

    #[test]
    fn links_lead_somewhere() {
        let text =
            "# Top\n[a](#top) [b](../LICENSE-MIT) [c](b.md#the-end) [d](https://a.example/)\n";
        let pages = [
            page("docs/a.md", text),
            page("README.md", ""),
            page("docs/errors.md", "## The end\n"),
        ];
        let from = &pages[0];
        let errors = "errors.md#the-end";
        for good in ["#top", "../LICENSE-MIT", errors, "https://a.example/", "api/index.html"] {
            assert_eq!(leads(&here(), &pages, from, good), Ok(()), "{good}");
        }
        let (file, scheme) = ("../LICENCE", "http://a.example/");
        for bad in ["#tip", file, "errors.md#the-start", scheme, "../LICENSE-MIT#x", "../README.md"]
        {
            assert!(leads(&here(), &pages, from, bad).is_err(), "{bad}");
        }
        assert_eq!(outside(&pages), ["LICENSE-MIT".to_owned()].into());
    }

    #[test]
    fn the_summary_has_each_page_once() {
        let summary = page(SUMMARY, "- [a](a.md)\n- [b](b/c.md)\n");
        let (a, c) = (page("docs/a.md", ""), page("docs/b/c.md", ""));
        assert!(super::summary(&[summary, a, c]).is_empty());
        let summary = page(SUMMARY, "- [a](a.md)\n- [a](a.md)\n");
        let pages = [summary, page("docs/a.md", ""), page("docs/b.md", "")];
        assert_eq!(super::summary(&pages).len(), 2);
    }
}

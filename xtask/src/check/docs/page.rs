//! A page of Markdown: its code, its links and the places that links may name.

use super::block::Block;
use crate::workspace::Workspace;
use anyhow::{Context, Result};
use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};
use std::path::Path;
use walkdir::WalkDir;

/// Where pages are, beside the README.
const FOLDERS: [&str; 4] = ["docs", "tour", "engines", "packaging"];

/// A page, by its path from the root.
#[derive(Default)]
pub struct Page {
    pub path: String,
    pub text: String,
    pub blocks: Vec<Block>,
    pub links: Vec<Link>,
    /// What `#` may name in it.
    pub anchors: Vec<String>,
}

/// Where a page points, and in which line.
pub struct Link {
    pub line: usize,
    pub target: String,
}

/// Every page there is.
pub fn all(workspace: &Workspace) -> Result<Vec<Page>> {
    let mut pages = vec![read(workspace, &workspace.root.join("README.md"))?];
    for folder in FOLDERS.map(|folder| workspace.root.join(folder)) {
        let entries = WalkDir::new(&folder).sort_by_file_name().into_iter();
        for entry in entries.filter(|_| folder.exists()) {
            let entry = entry.context("cannot walk the pages")?;
            if entry.path().extension().is_some_and(|ending| ending == "md") {
                pages.push(read(workspace, entry.path())?);
            }
        }
    }
    Ok(pages)
}

fn read(workspace: &Workspace, path: &Path) -> Result<Page> {
    let text = std::fs::read_to_string(path).with_context(|| workspace.shown(path))?;
    Ok(Page::parse(workspace.shown(path), text))
}

impl Page {
    pub fn parse(path: String, text: String) -> Page {
        let mut page = Page { path, ..Page::default() };
        let mut heading: Option<String> = None;
        let mut code: Option<Block> = None;
        let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH;
        for (event, range) in Parser::new_ext(&text, options).into_offset_iter() {
            let line = text[..range.start].matches('\n').count() + 1;
            match event {
                Event::Start(Tag::CodeBlock(kind)) => {
                    code = Some(match &kind {
                        CodeBlockKind::Fenced(info) => Block::new(&page.path, line + 1, info),
                        CodeBlockKind::Indented => Block::new(&page.path, line, ""),
                    });
                }
                Event::End(TagEnd::CodeBlock) => page.blocks.extend(code.take()),
                Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
                Event::End(TagEnd::Heading(_)) => {
                    let anchor = anchor(&heading.take().unwrap_or_default(), &page.anchors);
                    page.anchors.push(anchor);
                }
                Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                    page.links.push(Link { line, target: dest_url.into_string() });
                }
                Event::Text(words) | Event::Code(words) => match (&mut code, &mut heading) {
                    (Some(block), _) => block.text.push_str(&words),
                    (None, Some(heading)) => heading.push_str(&words),
                    (None, None) => {}
                },
                _ => {}
            }
        }
        page.text = text;
        page
    }
}

/// What a heading is called in a link, on GitHub and in mdBook alike.
fn anchor(heading: &str, others: &[String]) -> String {
    let letter = |letter: char| match letter {
        ' ' => Some('-'),
        _ => (letter.is_alphanumeric() || "-_".contains(letter)).then_some(letter),
    };
    let name: String = heading.to_lowercase().chars().filter_map(letter).collect();
    let again = (1..).map(|n| format!("{name}-{n}"));
    let mut names = std::iter::once(name.clone()).chain(again);
    names.find(|name| !others.contains(name)).expect("there is always one more")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_links_and_headings_are_found() {
        let text = "# A `b_c`: d\n\n[x](y.md#z)\n\n```c,run\nint a;\n\nint b;\n```\n\n## A b_c d\n";
        let page = Page::parse("docs/a.md".into(), text.into());
        assert_eq!(page.anchors, ["a-b_c-d", "a-b_c-d-1"]);
        assert_eq!((page.links[0].line, &*page.links[0].target), (3, "y.md#z"));
        assert_eq!((page.blocks[0].line, &*page.blocks[0].text), (6, "int a;\n\nint b;\n"));
    }
}

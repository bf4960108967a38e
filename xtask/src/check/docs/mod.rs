//! The documentation: every block of code in it is compiled and run as far as that goes, every
//! link leads somewhere, every name is one, and Doxygen has nothing to say against the headers.
//! `block.rs` says what a page may write and what is done with it.

mod block;
mod book;
mod code;
mod copies;
mod data;
mod doxygen;
mod echo;
mod links;
mod names;
mod page;
mod workshop;

use crate::builds;
use crate::ship::install;
use crate::tools;
use crate::workspace::Workspace;
use anyhow::{Context, Result, bail};
use block::Block;
use page::Page;
use std::path::Path;
use workshop::Workshop;

/// Pages whose names are looked at: those of others speak of their own things too.
const NAMED: [&str; 2] = ["docs/", "README.md"];
const NOT_NAMED: &str = "docs/bench/";

/// The task `docs`: renews what pages copy from others, and builds the book.
pub fn run(workspace: &Workspace) -> Result<()> {
    tools::ensure(workspace, tools::DOCS)?;
    copies::check(workspace, &page::all(workspace)?, true)?;
    builds::library(workspace)?;
    println!("{}", check(workspace)?);
    let first = book::build(workspace, &page::all(workspace)?)?;
    println!("the book: {}", first.display());
    println!("the headers: {}", first.with_file_name("api/index.html").display());
    Ok(())
}

/// The step `docs`: all but the book itself. Says how much it looked at.
pub fn check(workspace: &Workspace) -> Result<String> {
    tools::ensure(workspace, tools::DOCS)?;
    let pages = page::all(workspace)?;
    let named: Vec<&Page> = pages.iter().filter(|page| named(page)).collect();
    let mut wrong = links::check(workspace, &pages);
    wrong.extend(names::check(workspace, &named)?);
    wrong.extend(copies::check(workspace, &pages, false)?);
    let blocks: Vec<&Block> = pages.iter().flat_map(|page| &page.blocks).collect();
    wrong.extend(blocks.iter().filter_map(|block| Some(block.known().err()?.to_string())));
    if !wrong.is_empty() {
        wrong.iter().for_each(|line| println!("{line}"));
        bail!("{} findings in the documentation", wrong.len());
    }
    let functions = doxygen::build(workspace, &workspace.scratch("docs")?.join("api"))?;
    let installed = workspace.scratch("docs/installed")?;
    install::for_this_machine(workspace, &installed)?;
    for page in &pages {
        scripts(workspace, page, &installed)?;
    }
    let compiled: Vec<&Block> = blocks.iter().copied().filter(|block| is_code(block)).collect();
    let (programs, ran) = code::check(workspace, &compiled)?;
    Ok(format!(
        "{} pages, {} blocks, {programs} of C and C++, {ran} run, {functions} functions",
        pages.len(),
        blocks.len()
    ))
}

fn named(page: &Page) -> bool {
    let ours = NAMED.iter().any(|head| page.path.starts_with(head));
    ours && !page.path.starts_with(NOT_NAMED)
}

fn is_code(block: &Block) -> bool {
    ["c", "cpp"].contains(&block.language())
}

/// All blocks of a page but those of C and C++.
fn scripts(workspace: &Workspace, page: &Page, installed: &Path) -> Result<()> {
    let files: Vec<&Block> = page.blocks.iter().collect();
    let workshop = Workshop::new(workspace, &page.path, &files, installed)?;
    for block in page.blocks.iter().filter(|block| !is_code(block)) {
        let done = match block.language() {
            "sh" | "" => workshop.commands(block),
            "cmake" => workshop.cmake(block),
            "python" => data::python(workspace, block),
            "csharp" => data::csharp(workspace, block),
            "text" => Ok(()),
            _ => data::parse(block),
        };
        done.with_context(|| block.place())?;
    }
    Ok(())
}

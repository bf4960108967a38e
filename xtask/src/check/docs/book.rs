//! The book: what mdBook makes of `docs`, with the pages of Doxygen in it and the files that it
//! leads to beside it.

use super::{doxygen, links, page::Page};
use crate::shell;
use crate::workspace::Workspace;
use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const BUILD_LIMIT: Duration = Duration::from_secs(120);
/// `name@version`, as cargo takes it.
const MDBOOK: &str = "mdbook@0.5.4";
const INSTALL_LIMIT: Duration = Duration::from_secs(1800);

/// Builds it; gives its first page.
pub fn build(workspace: &Workspace, pages: &[Page]) -> Result<PathBuf> {
    let mdbook = mdbook(workspace)?;
    let site = workspace.target.join("docs");
    let book = site.join("book");
    let mut command = Command::new(mdbook);
    command.args(["build", "docs", "--dest-dir"]).arg(&book).current_dir(&workspace.root);
    let log = workspace.scratch("logs")?.join("mdbook.log");
    shell::demand(&mut command, &log, BUILD_LIMIT)?;
    doxygen::build(workspace, &book.join("api"))?;
    for file in links::outside(pages) {
        copy(&workspace.root.join(&file), &site.join(&file)).context(file)?;
    }
    Ok(book.join("index.html"))
}

/// A file or a folder, next to the book as it is next to `docs`.
fn copy(from: &Path, to: &Path) -> Result<()> {
    if from.is_dir() {
        return fs::create_dir_all(to).context("cannot make a folder");
    }
    fs::create_dir_all(to.with_file_name("")).context("cannot make a folder")?;
    fs::copy(from, to).map(drop).context("cannot copy")
}

/// Where mdBook is; installed on the way.
fn mdbook(workspace: &Workspace) -> Result<PathBuf> {
    if shell::answers("mdbook", &["--version"]) {
        return Ok("mdbook".into());
    }
    let root = workspace.scratch("mdbook")?;
    let program = root.join("bin/mdbook");
    if !program.exists() {
        println!("installing mdbook (once; takes some minutes)");
        let mut install = workspace.cargo(["install", MDBOOK, "--locked", "--root"]);
        // Its build belongs to no workspace of ours.
        install.arg(&root).env_remove("CARGO_TARGET_DIR");
        let log = workspace.scratch("logs")?.join("mdbook-install.log");
        shell::demand(&mut install, &log, INSTALL_LIMIT)?;
    }
    Ok(program)
}

//! The licences of what is linked into the libraries, collected from where it came from.

use super::build::Libraries;
use super::layout;
use crate::shell;
use crate::workspace::Workspace;
use anyhow::{Context, Result, bail};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const FILE: &str = "THIRD-PARTY-LICENSES.txt";
/// What rustc's own distribution says of its standard library, and what it is called here.
const RUST: (&str, &str) = ("share/doc/rust/COPYRIGHT-library.html", "rust-standard-library.html");
const HEAD: &str = "\
Beside the code of Sockeye these are linked into its libraries, each under its own licence. Where
there is a choice of licences, Sockeye uses either as they allow it.
";

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    license: Option<String>,
    license_file: Option<PathBuf>,
    manifest_path: PathBuf,
}

/// A text, and all those whose it is.
struct Text {
    of: Vec<String>,
    words: String,
}

/// Writes the notices to `folder`.
pub fn write(workspace: &Workspace, libraries: &Libraries, folder: &Path) -> Result<()> {
    let (mut list, mut texts) = (String::from(HEAD), Vec::new());
    list.push('\n');
    for package in linked(workspace, libraries.system.triple())? {
        let name = format!("{} {}", package.name, package.version);
        let licence = package.license.as_deref().unwrap_or("see its text");
        list.push_str(&format!("  {name}: {licence}\n"));
        for file in package.texts()? {
            add(&mut texts, &name, &file)?;
        }
    }
    for (name, file) in &libraries.notices {
        list.push_str(&format!("  {name}: see its text\n"));
        add(&mut texts, name, file)?;
    }
    list.push_str(&standard_library(libraries, folder)?);
    for text in texts {
        let rule = "-".repeat(80);
        list.push_str(&format!("\n{rule}\n{}\n{rule}\n\n{}\n", text.of.join(", "), text.words));
    }
    layout::write(&folder.join(FILE), &list)
}

/// The crates that are linked in for a target: no tools of the build, nothing of the tests.
fn linked(workspace: &Workspace, triple: &str) -> Result<Vec<Package>> {
    let mut tree = workspace.cargo(["tree", "--package", "sockeye", "--target", triple]);
    tree.args(["--locked", "--edges", "normal,no-proc-macro", "--prefix", "none"]);
    let tree = shell::stdout(tree.args(["--no-dedupe", "--format", "{p}"]))?;
    let names: BTreeSet<(&str, &str)> = tree
        .lines()
        .filter_map(|line| line.split_once(" v"))
        .map(|(name, rest)| (name, rest.split(' ').next().unwrap_or_default()))
        .filter(|(name, _)| *name != "sockeye")
        .collect();
    let mut metadata = workspace.cargo(["metadata", "--format-version", "1", "--locked"]);
    let metadata = shell::stdout(metadata.args(["--filter-platform", triple]))?;
    let metadata: Metadata = serde_json::from_str(&metadata).context("cargo metadata")?;
    let mut packages = metadata.packages;
    packages.retain(|it| names.contains(&(it.name.as_str(), it.version.as_str())));
    packages.sort_by(|a, b| (&a.name, &a.version).cmp(&(&b.name, &b.version)));
    if packages.len() != names.len() || packages.is_empty() {
        bail!("of {} crates that are linked cargo knows {}", names.len(), packages.len());
    }
    Ok(packages)
}

impl Package {
    /// The files with its licences.
    fn texts(&self) -> Result<Vec<PathBuf>> {
        let folder = self.manifest_path.parent().context("no folder")?;
        let mut files = Vec::from_iter(self.license_file.iter().map(|file| folder.join(file)));
        for entry in fs::read_dir(folder).with_context(|| format!("no {}", folder.display()))? {
            let path = entry.context("cannot read a folder")?.path();
            if path.is_file() && is_licence(&path) && !files.contains(&path) {
                files.push(path);
            }
        }
        if files.is_empty() {
            bail!("{} {} comes without the text of its licence", self.name, self.version);
        }
        files.sort();
        Ok(files)
    }
}

fn is_licence(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_uppercase();
    ["LICENSE", "LICENCE", "COPYING", "COPYRIGHT", "NOTICE"].iter().any(|it| name.starts_with(it))
}

/// Adds a text once, whoever else has the same.
fn add(texts: &mut Vec<Text>, name: &str, file: &Path) -> Result<()> {
    let text = fs::read_to_string(file).with_context(|| format!("no {}", file.display()))?;
    let lines: Vec<&str> = text.trim().lines().map(str::trim_end).collect();
    let words = lines.join("\n");
    match texts.iter_mut().find(|text| text.words == words) {
        Some(text) => text.of.push(name.to_owned()),
        None => texts.push(Text { of: vec![name.to_owned()], words }),
    }
    Ok(())
}

/// What is said of Rust's standard library; its own notices are copied where rustc brings them.
fn standard_library(libraries: &Libraries, folder: &Path) -> Result<String> {
    let version = shell::stdout(Command::new(&libraries.rustc).arg("--version"))?;
    let root = shell::stdout(Command::new(&libraries.rustc).args(["--print", "sysroot"]))?;
    let from = Path::new(root.trim()).join(RUST.0);
    let told = if from.is_file() {
        layout::copy(&from, &folder.join(RUST.1))?;
        format!("its notices are in {}", RUST.1)
    } else {
        "its notices are at https://github.com/rust-lang/rust/blob/main/COPYRIGHT".into()
    };
    let version = version.trim();
    Ok(format!("  the standard library of {version}: MIT OR Apache-2.0; {told}\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn licences_are_known_by_their_names() {
        for name in ["LICENSE", "license-mit", "COPYING.txt", "LICENCE.md", "NOTICE"] {
            assert!(is_licence(Path::new(name)), "{name}");
        }
        assert!(!is_licence(Path::new("README.md")));
    }
}

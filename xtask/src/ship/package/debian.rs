//! Debian packages: `libsockeye0`, which programs need, and `libsockeye-dev`, by which they are
//! built.

use super::archive::{Packer, sum};
use crate::shell;
use crate::ship::install::build::{self, Libraries};
use crate::ship::install::consumers::{Ground, Kind};
use crate::ship::install::layout::{Facts, Tree, copy, fill, write};
use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use walkdir::WalkDir;

const LIBRARY: &str = "libsockeye0";
const DEVELOPMENT: &str = "libsockeye-dev";
const LIBDIR: &str = "lib/x86_64-linux-gnu";

/// Makes both; gives their files.
pub fn build(
    ground: &Ground<'_>,
    packer: &Packer<'_>,
    facts: &Facts,
    libraries: &Libraries,
) -> Result<Vec<PathBuf>> {
    let folder = ground.folder.join("debian");
    let laid = folder.join("laid");
    Tree { workspace: ground.workspace, prefix: &laid, libdir: LIBDIR }.lay(libraries)?;
    let floor = build::floor(&libraries.shared)?;
    let mut debs = Vec::new();
    for package in [LIBRARY, DEVELOPMENT] {
        let root = folder.join(package);
        files(&laid, &root, package)?;
        documents(ground, &laid, &root, packer, facts)?;
        let size: u64 = sizes(&root)?;
        let words = [
            ("@VERSION@", facts.version.as_str()),
            ("@DESCRIPTION@", &facts.description),
            ("@URL@", &facts.repository),
            ("@FLOOR@", &floor),
            ("@SIZE@", &size.to_string()),
        ];
        let templates = ground.workspace.root.join("packaging/debian");
        for name in ["control", "triggers", "shlibs"] {
            let template = templates.join(format!("{package}.{name}.in"));
            if template.exists() {
                let text = fill(&fs::read_to_string(&template)?, &words)?;
                write(&root.join("DEBIAN").join(name), &text)?;
            }
        }
        md5sums(&root)?;
        packer.settle(&root)?;
        let deb = packer.out.join(format!("{package}_{}-1_amd64.deb", facts.version));
        let mut command = Command::new("dpkg-deb");
        command.env("SOURCE_DATE_EPOCH", packer.date.to_string());
        command.args(["--root-owner-group", "-Zxz", "--build"]).arg(&root).arg(&deb);
        shell::stdout(&mut command)?;
        debs.push(deb);
    }
    Ok(debs)
}

/// Links its part of the files to where they belong.
fn files(laid: &Path, root: &Path, package: &str) -> Result<()> {
    let lib = laid.join(LIBDIR);
    for entry in WalkDir::new(laid) {
        let path = entry?.into_path();
        let name = path.file_name().context("no name")?.to_string_lossy().into_owned();
        let runs = path.parent() == Some(&lib) && name.starts_with("libsockeye.so.");
        if path.is_dir() || path.starts_with(laid.join("share")) || runs != (package == LIBRARY) {
            continue;
        }
        let to = root.join("usr").join(path.strip_prefix(laid)?);
        fs::create_dir_all(to.parent().context("no folder")?)?;
        // A link is moved as a link.
        fs::rename(&path, &to).with_context(|| format!("cannot move {name}"))?;
    }
    Ok(())
}

/// Licences and lists of changes, which Debian wants in places of its own.
fn documents(
    ground: &Ground<'_>,
    laid: &Path,
    root: &Path,
    packer: &Packer<'_>,
    facts: &Facts,
) -> Result<()> {
    let docs = root.join("usr/share/doc").join(root.file_name().context("no name")?);
    let from = laid.join("share/doc/sockeye");
    let mit = fs::read_to_string(from.join("LICENSE-MIT")).context("no licence")?;
    let text = format!(
        "Sockeye is under either of two licences, as you choose: the Apache License 2.0, which\n\
         is in /usr/share/common-licenses/Apache-2.0, and the one below. What is linked into it\n\
         has licences of its own, which lie beside this file.\n\n{mit}"
    );
    write(&docs.join("copyright"), &text)?;
    for entry in fs::read_dir(&from).context("no licences")? {
        let path = entry?.path();
        let name = path.file_name().context("no name")?;
        if !name.to_string_lossy().starts_with("LICENSE-") {
            copy(&path, &docs.join(name))?;
        }
    }
    let date = format!("@{}", packer.date);
    let date = shell::stdout(Command::new("date").args(["--utc", "-R", "-d", &date]))?;
    let words = [("@VERSION@", facts.version.as_str()), ("@DATE@", date.trim())];
    let template = ground.workspace.root.join("packaging/debian/changelog.in");
    let ours = fill(&fs::read_to_string(template).context("no changelog.in")?, &words)?;
    write(&docs.join("changelog.Debian"), &ours)?;
    copy(&ground.workspace.root.join("CHANGELOG.md"), &docs.join("changelog"))?;
    let mut gzip = Command::new("gzip");
    gzip.args(["-n", "-9", "--force", "changelog", "changelog.Debian"]).current_dir(&docs);
    shell::stdout(&mut gzip)?;
    Ok(())
}

/// What it takes when installed, in KiB.
fn sizes(root: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in WalkDir::new(root) {
        bytes += entry?.metadata()?.len();
    }
    Ok(bytes.div_ceil(1024))
}

/// The checksums by which dpkg verifies what is installed.
fn md5sums(root: &Path) -> Result<()> {
    let mut text = String::new();
    for entry in WalkDir::new(root.join("usr")).sort_by_file_name() {
        let entry = entry?;
        if entry.file_type().is_file() {
            let name = entry.path().strip_prefix(root)?.display();
            text.push_str(&format!("{}  {name}\n", sum("md5", entry.path())?));
        }
    }
    write(&root.join("DEBIAN/md5sums"), &text)
}

/// Unpacks both, as dpkg does, and builds hosts of what is there.
pub fn check(ground: &Ground<'_>, debs: &[PathBuf]) -> Result<()> {
    let root = ground.folder.join("debian/root");
    for deb in debs {
        shell::stdout(Command::new("dpkg-deb").arg("--extract").arg(deb).arg(&root))?;
    }
    let told = |deb: &PathBuf| {
        shell::stdout(Command::new("dpkg-deb").arg("--field").arg(deb).arg("Depends"))
    };
    let (library, development) = (told(&debs[0])?, told(&debs[1])?);
    let floor = build::floor(&root.join("usr").join(LIBDIR).join("libsockeye.so"))?;
    ensure!(library.trim() == format!("libc6 (>= {floor})"), "{LIBRARY} depends on {library}");
    ensure!(development.contains(&format!("{LIBRARY} (= ")), "it depends on {development}");
    let prefix = root.join("usr");
    let mut hosts = ground.asked(&prefix, "sockeye", Kind::Shared)?;
    hosts += ground.asked(&prefix, "sockeye-static", Kind::Static)?;
    hosts += ground.found(&prefix, "debian-cmake", &[], Kind::Shared)?;
    println!("{LIBRARY}, {DEVELOPMENT}: {hosts} hosts run; needs {}", library.trim());
    Ok(())
}

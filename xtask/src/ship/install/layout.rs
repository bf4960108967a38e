//! What lies where in an installed tree.

use super::build::{self, Libraries, System};
use super::notices;
use crate::workspace::Workspace;
use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use std::fs;
use std::path::{Component, Path, PathBuf};

const HEADERS: [&str; 4] = ["sockeye.h", "sockeye.hpp", "sockeye_events.hpp", "sockeye_values.hpp"];
pub const SONAME: &str = "libsockeye.so.0";

/// What Cargo.toml says of the library.
#[derive(Deserialize)]
pub struct Facts {
    pub version: String,
    pub description: String,
    pub repository: String,
}

impl Facts {
    pub fn read(workspace: &Workspace) -> Result<Facts> {
        #[derive(Deserialize)]
        struct Manifest {
            package: Facts,
        }
        let text =
            fs::read_to_string(workspace.root.join("Cargo.toml")).context("no Cargo.toml")?;
        Ok(toml::from_str::<Manifest>(&text).context("Cargo.toml")?.package)
    }
}

/// Where to install, and where the libraries are below it.
pub struct Tree<'a> {
    pub workspace: &'a Workspace,
    pub prefix: &'a Path,
    /// `lib`, or what a distribution has instead.
    pub libdir: &'a str,
}

impl Tree<'_> {
    pub fn lib(&self) -> PathBuf {
        self.prefix.join(self.libdir)
    }

    /// Writes everything; what is there already is replaced, file by file.
    pub fn lay(&self, libraries: &Libraries) -> Result<()> {
        let steps = Path::new(self.libdir).components();
        ensure!(
            !self.libdir.is_empty() && steps.clone().all(|it| matches!(it, Component::Normal(_))),
            "--libdir is a folder below the prefix, not '{}'",
            self.libdir
        );
        let up = vec![".."; steps.count()].join("/");
        let facts = Facts::read(self.workspace)?;
        self.libraries(libraries, &facts.version)?;
        let from = self.workspace.root.join("include");
        for name in HEADERS {
            copy(&from.join(name), &self.prefix.join("include").join(name))?;
        }
        self.descriptions(libraries.system, &facts, &up)?;
        let docs = self.prefix.join("share/doc/sockeye");
        for name in ["LICENSE-MIT", "LICENSE-APACHE"] {
            copy(&self.workspace.root.join(name), &docs.join(name))?;
        }
        notices::write(self.workspace, libraries, &docs)
    }

    fn libraries(&self, libraries: &Libraries, version: &str) -> Result<()> {
        let lib = self.lib();
        copy(&libraries.archive, &lib.join("libsockeye.a"))?;
        match libraries.system {
            System::Linux => {
                let name = format!("libsockeye.so.{version}");
                copy(&libraries.shared, &lib.join(&name))?;
                link(&name, &lib.join(SONAME))?;
                link(SONAME, &lib.join("libsockeye.so"))
            }
            System::Windows => {
                copy(&libraries.shared, &self.prefix.join("bin/sockeye.dll"))?;
                let import = libraries.import.as_ref().context("no import library")?;
                copy(import, &lib.join("libsockeye.dll.a"))?;
                let msvc = libraries.msvc.as_ref().context("no import library for MSVC")?;
                copy(&msvc.import, &lib.join("sockeye.lib"))?;
                copy(&msvc.list, &lib.join("sockeye.def"))
            }
        }
    }

    /// For CMake and pkg-config.
    fn descriptions(&self, system: System, facts: &Facts, up: &str) -> Result<()> {
        let natives = build::natives(self.workspace, system)?;
        let version = facts.version.as_str();
        let (major, rest) = version.split_once('.').context("no version")?;
        let (minor, _) = rest.split_once('.').context("no version")?;
        let (shared, define) = match system {
            System::Linux => (format!("${{_sockeye_lib}}/libsockeye.so.{version}"), ""),
            System::Windows => {
                ("${_sockeye_prefix}/bin/sockeye.dll".to_owned(), " -DSOCKEYE_STATIC")
            }
        };
        let words = [
            ("@VERSION@", version),
            ("@MAJOR@", major),
            ("@MINOR@", minor),
            ("@SYSTEM@", system.name()),
            ("@SHARED@", &shared),
            ("@DEFINE@", define),
            ("@NATIVES@", &natives),
            ("@UP@", up),
            ("@DESCRIPTION@", &facts.description),
            ("@URL@", &facts.repository),
        ];
        for (from, to) in [
            ("cmake/sockeyeConfig.cmake.in", "cmake/sockeye/sockeyeConfig.cmake"),
            ("cmake/sockeyeConfigVersion.cmake.in", "cmake/sockeye/sockeyeConfigVersion.cmake"),
            ("cmake/sockeyeTargets.cmake", "cmake/sockeye/sockeyeTargets.cmake"),
            ("pkgconfig/sockeye.pc.in", "pkgconfig/sockeye.pc"),
            ("pkgconfig/sockeye-static.pc.in", "pkgconfig/sockeye-static.pc"),
        ] {
            let from = self.workspace.root.join("packaging").join(from);
            let text = fs::read_to_string(&from);
            let text = text.with_context(|| format!("cannot read {}", from.display()))?;
            let text = fill(&text, &words).with_context(|| format!("{}", from.display()))?;
            write(&self.lib().join(to), &text)?;
        }
        Ok(())
    }
}

/// A template with its words filled in.
pub fn fill(template: &str, words: &[(&str, &str)]) -> Result<String> {
    let mut text = template.to_owned();
    for (name, value) in words {
        text = text.replace(name, value);
    }
    let left =
        text.split('@').skip(1).step_by(2).find(|word| {
            !word.is_empty() && word.chars().all(|c| c.is_ascii_uppercase() || c == '_')
        });
    match left {
        Some(word) => bail!("nobody said what @{word}@ is"),
        None => Ok(text),
    }
}

/// A program that runs keeps the file that it has: a new one takes the name.
pub fn copy(from: &Path, to: &Path) -> Result<()> {
    place(to, |fresh| {
        fs::copy(from, fresh).with_context(|| format!("cannot copy {}", from.display()))?;
        Ok(())
    })
}

pub fn write(to: &Path, text: &str) -> Result<()> {
    place(to, |fresh| Ok(fs::write(fresh, text)?))
}

#[cfg(unix)]
fn link(target: &str, to: &Path) -> Result<()> {
    place(to, |fresh| Ok(std::os::unix::fs::symlink(target, fresh)?))
}

#[cfg(not(unix))]
fn link(_: &str, _: &Path) -> Result<()> {
    bail!("the library for Linux is installed on Linux")
}

/// Makes a file beside `to`, then renames it.
fn place(to: &Path, make: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let folder = to.parent().context("no folder")?;
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let name = to.file_name().context("no name")?.to_string_lossy();
    let fresh = folder.join(format!(".{name}.new"));
    if fresh.symlink_metadata().is_ok() {
        fs::remove_file(&fresh).with_context(|| format!("cannot replace {}", fresh.display()))?;
    }
    make(&fresh).with_context(|| format!("cannot write {}", to.display()))?;
    fs::rename(&fresh, to).with_context(|| format!("cannot write {}", to.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_is_filled_or_refused() {
        let words = [("@A@", "one"), ("@B_C@", "two")];
        assert_eq!(fill("@A@ and @B_C@, me@home", &words).unwrap(), "one and two, me@home");
        assert!(fill("@A@ @D@", &words).is_err());
    }

    #[test]
    fn what_is_there_is_replaced_and_a_file_is_no_folder() {
        let folder = std::env::temp_dir().join(format!("sockeye-layout-{}", std::process::id()));
        let path = folder.join("a/b");
        write(&path, "one").unwrap();
        write(&path, "two").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "two");
        let error = format!("{:#}", write(&path.join("c"), "three").unwrap_err());
        assert!(error.starts_with(&format!("cannot make {}: ", path.display())), "{error}");
        fs::remove_dir_all(folder).unwrap();
    }
}

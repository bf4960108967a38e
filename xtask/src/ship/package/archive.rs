//! Archives that are the same, byte for byte, whoever packs the same files.

use crate::shell;
use crate::ship::install::build::System;
use crate::workspace::Workspace;
use anyhow::{Context, Result, bail};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};
use walkdir::WalkDir;

const SUMS: &str = "SHA256SUMS";

pub struct Packer<'a> {
    pub out: &'a Path,
    /// Seconds since 1970, of every file in every archive.
    pub date: u64,
}

impl<'a> Packer<'a> {
    /// The date is SOURCE_DATE_EPOCH, or that of the last commit.
    pub fn new(workspace: &Workspace, out: &'a Path) -> Result<Packer<'a>> {
        let date = match std::env::var("SOURCE_DATE_EPOCH") {
            Ok(date) => date,
            Err(_) => shell::stdout(workspace.command("git").args(["log", "-1", "--format=%ct"]))
                .context("no date: set SOURCE_DATE_EPOCH")?,
        };
        let date = date.trim().parse().context("SOURCE_DATE_EPOCH is no number of seconds")?;
        Ok(Packer { out, date })
    }

    /// Gives all files below a folder the same date and the modes that they shall have.
    pub fn settle(&self, folder: &Path) -> Result<()> {
        let date = SystemTime::UNIX_EPOCH + Duration::from_secs(self.date);
        // A folder's date changes with what is in it: the innermost first.
        for entry in WalkDir::new(folder).contents_first(true) {
            let entry = entry?;
            if entry.file_type().is_symlink() {
                continue;
            }
            set_mode(entry.path(), if entry.file_type().is_dir() { 0o755 } else { 0o644 })?;
            File::open(entry.path())?.set_modified(date)?;
        }
        Ok(())
    }

    /// Packs a folder under its own name, as its system is used to; gives the archive.
    pub fn pack(&self, folder: &Path, system: System) -> Result<PathBuf> {
        self.settle(folder)?;
        let name = folder.file_name().context("no name")?;
        let parent = folder.parent().context("no folder")?;
        let ending = if system == System::Windows { "zip" } else { "tar.gz" };
        let file = self.out.join(format!("{}.{ending}", name.to_string_lossy()));
        if file.exists() {
            fs::remove_file(&file).context("cannot replace an archive")?;
        }
        let mut pack = match system {
            System::Linux => {
                let mut tar = Command::new("tar");
                tar.args(["--sort=name", "--format=gnu", "--owner=0", "--group=0"]);
                tar.args(["--numeric-owner", &format!("--mtime=@{}", self.date)]);
                tar.args(["--use-compress-program", "gzip -n -9", "-cf"]).arg(&file).arg(name);
                tar
            }
            System::Windows => {
                // Dates in a zip are of no time zone, and fields beyond them tell who packed.
                let mut zip = Command::new("zip");
                zip.env("TZ", "UTC").args(["-q", "-X", "-D", "-9"]).arg(&file);
                for entry in WalkDir::new(folder).sort_by_file_name() {
                    let entry = entry?;
                    if entry.file_type().is_file() {
                        zip.arg(entry.path().strip_prefix(parent)?);
                    }
                }
                zip
            }
        };
        shell::stdout(pack.current_dir(parent))?;
        Ok(file)
    }

    /// What is in the folder of the release, but the sums.
    fn files(&self) -> Result<Vec<PathBuf>> {
        let mut files = Vec::new();
        for entry in fs::read_dir(self.out)? {
            let path = entry?.path();
            if path.is_file() && path.file_name().is_some_and(|name| name != SUMS) {
                files.push(path);
            }
        }
        files.sort();
        Ok(files)
    }

    /// Writes the checksums, and has sha256sum read them.
    pub fn sums(&self) -> Result<()> {
        let mut text = String::new();
        for file in self.files()? {
            let name = file.file_name().context("no name")?.to_string_lossy();
            text.push_str(&format!("{}  {name}\n", sum("sha256", &file)?));
        }
        fs::write(self.out.join(SUMS), text).context("cannot write the checksums")?;
        let mut check = Command::new("sha256sum");
        shell::stdout(check.args(["--check", "--strict", "--quiet", SUMS]).current_dir(self.out))?;
        Ok(())
    }

    /// The files with their sizes.
    pub fn told(&self) -> Result<String> {
        let mut text = format!("{}:", self.out.display());
        for file in self.files()? {
            let name = file.file_name().context("no name")?.to_string_lossy();
            text.push_str(&format!("\n  {:>10}  {name}", fs::metadata(&file)?.len()));
        }
        Ok(text)
    }
}

/// The checksum of a file, `sha256` or `sha512`.
pub fn sum(kind: &str, file: &Path) -> Result<String> {
    let told = shell::stdout(Command::new(format!("{kind}sum")).arg(file))?;
    match told.trim_start_matches('\\').split(' ').next() {
        Some(sum) if !sum.is_empty() => Ok(sum.to_owned()),
        _ => bail!("no checksum of {}", file.display()),
    }
}

#[cfg(unix)]
fn set_mode(path: &Path, mode: u32) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    Ok(fs::set_permissions(path, fs::Permissions::from_mode(mode))?)
}

#[cfg(not(unix))]
fn set_mode(_: &Path, _: u32) -> Result<()> {
    Ok(())
}

//! A page's own folder: its named blocks as files, and the checkout as `sockeye`, with the library
//! where a build leaves it. And an installed Sockeye, where pages say `/opt/sockeye`.

use super::block::Block;
use super::code;
use crate::args;
use crate::shell;
use crate::workspace::Workspace;
use anyhow::{Context, Result};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(60);
/// Before the part of a `CMakeLists.txt` that a page shows.
const CMAKE_HEAD: &str = "cmake_minimum_required(VERSION 3.16)\nproject(page C CXX)\n";
const CMAKE_GAME: &str = "add_executable(game main.c)\n";
/// Where pages say that it is installed.
const INSTALLED: &str = "/opt/sockeye";
const MAIN: &str = "#include <sockeye.h>\nint main(void) { return sockeye_abi_version() < 1; }\n";

pub struct Workshop {
    pub folder: PathBuf,
    installed: PathBuf,
    log: PathBuf,
}

impl Workshop {
    /// An empty folder for one page, with its named blocks; and where Sockeye is installed.
    pub fn new(
        workspace: &Workspace,
        page: &str,
        blocks: &[&Block],
        installed: &Path,
    ) -> Result<Workshop> {
        let name = page.replace(|letter: char| !letter.is_ascii_alphanumeric(), "-");
        let folder = workspace.scratch("docs")?.join(name);
        if folder.exists() {
            fs::remove_dir_all(&folder).context("cannot clear a page's folder")?;
        }
        fs::create_dir_all(folder.join("sockeye/target")).context("cannot make a folder")?;
        let links = [
            (workspace.root.join("include"), folder.join("sockeye/include")),
            (workspace.release(), folder.join("sockeye/target/release")),
        ];
        for (from, to) in links {
            symlink(from, to).context("cannot link to the checkout")?;
        }
        let log = workspace.scratch("logs")?.join("docs-page.log");
        let workshop = Workshop { installed: installed.to_owned(), folder, log };
        code::lay_out(&workshop, blocks)?;
        Ok(workshop)
    }

    /// Looks at commands, and runs them where the fence says so.
    pub fn commands(&self, block: &Block) -> Result<()> {
        understood(&block.text)?;
        let script = self.folder.join(format!("{}.sh", block.slug()));
        let commands = block.text.replace(INSTALLED, &self.installed.to_string_lossy());
        fs::write(&script, commands).context("cannot write the commands")?;
        let mut bash = Command::new("bash");
        if !block.says("run") {
            bash.arg("-n");
        }
        bash.args(["-e", "-u", "-o", "pipefail"]).arg(&script).current_dir(&self.folder);
        shell::demand(&mut bash, &self.log, LIMIT).map(drop)
    }

    /// Configures and builds.
    pub fn cmake(&self, block: &Block) -> Result<()> {
        let source = self.folder.join(block.slug());
        fs::create_dir_all(&source).context("cannot make a folder")?;
        for entry in fs::read_dir(&self.folder).context("cannot read a page's folder")? {
            let path = entry.context("cannot read a page's folder")?.path();
            if path.extension().is_some_and(|ending| ending == "c" || ending == "cpp") {
                let name = path.file_name().expect("it has an ending");
                fs::copy(&path, source.join(name)).context("cannot copy a file")?;
            }
        }
        fs::write(source.join("main.c"), MAIN).context("cannot write main.c")?;
        let whole = block.text.contains("cmake_minimum_required");
        let own = whole || block.text.contains("add_executable");
        let head = if whole { "" } else { CMAKE_HEAD };
        let text = format!("{head}{}{}", if own { "" } else { CMAKE_GAME }, block.text);
        fs::write(source.join("CMakeLists.txt"), text).context("cannot write CMakeLists.txt")?;
        let build = source.join("build");
        let mut configure = Command::new("cmake");
        configure.arg("-S").arg(&source).arg("-B").arg(&build);
        configure.arg(format!("-DCMAKE_PREFIX_PATH={}", self.installed.display()));
        shell::demand(&mut configure, &self.log, LIMIT)?;
        let mut compile = Command::new("cmake");
        compile.arg("--build").arg(&build);
        shell::demand(&mut compile, &self.log, LIMIT).map(drop)
    }
}

/// Every `cargo xtask …` in it is one that there is.
fn understood(script: &str) -> Result<()> {
    let script = script.replace("\\\n", " ");
    let lines = script.lines().map(|line| line.split(" #").next().unwrap_or_default());
    for command in lines.flat_map(|line| line.split("&&").flat_map(|part| part.split(';'))) {
        let command = plain(command);
        let Some(rest) = command.trim().strip_prefix("cargo xtask") else { continue };
        let words = lexopt::Parser::from_args(rest.split_whitespace());
        args::parse(words).with_context(|| format!("`{}`", command.trim()))?;
    }
    Ok(())
}

/// A command with what may be left out, `[--out there]`, and with a word for each `<place>`.
fn plain(command: &str) -> String {
    let mut text = command.replace(['[', ']'], "");
    while let Some(open) = text.find('<')
        && let Some(len) = text[open..].find('>')
    {
        text.replace_range(open..=open + len, "X");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tasks_that_are_not_there_are_found() {
        assert!(understood("cargo xtask demo --bots 3   # many\nls; cargo xtask tidy\n").is_ok());
        assert!(understood("cargo xtask bench \\\n  --quick\n").is_ok());
        assert!(understood("cargo xtask demo [--bots 3] --model <a name>\n").is_ok());
        assert!(understood("cd a && cargo xtask dance\n").is_err());
        assert!(understood("cargo xtask demo --quick\n").is_err());
    }

    #[test]
    fn workflows_ask_for_tasks_that_there_are() {
        let folder = Workspace::find().unwrap().root.join(".github/workflows");
        let mut asked = 0;
        for entry in fs::read_dir(folder).unwrap() {
            let script = fs::read_to_string(entry.unwrap().path()).unwrap().replace("run: ", "\n");
            asked += script.matches("\ncargo xtask ").count();
            understood(&script).unwrap();
        }
        assert!(asked > 0);
    }
}

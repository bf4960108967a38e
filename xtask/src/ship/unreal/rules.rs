//! The plugin's Build.cs files, compiled and made by Mono with a stand-in for the build tool.

use super::plugin::{self, LIBRARY, Plugin};
use super::stage::Library;
use crate::run::programs::sources;
use crate::shell;
use crate::workspace::Workspace;
use anyhow::{Context, Result, bail, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(60);
/// Modules of the engine's that ours may depend on.
const ENGINE: [&str; 4] = ["Core", "CoreUObject", "Engine", "Projects"];
const COMMAND: &str = "cargo xtask unreal --stage";
/// Given by every link, or by the C++ runtime that every program of the engine's is linked with.
const ALWAYS: [&str; 2] = ["c", "gcc_s"];

pub struct Rules {
    program: PathBuf,
    log: PathBuf,
}

/// What the rules of a module came to: list and entry.
struct Made(Vec<(String, String)>);

/// What programs of the tests are linked with, as the rules say.
pub struct Linked {
    pub include: PathBuf,
    pub library: PathBuf,
    pub system: Vec<String>,
    pub definition: String,
    /// From the plugin's folder: where the DLL is loaded from.
    pub dll: String,
}

impl Rules {
    pub fn compile(workspace: &Workspace, plugin: &Plugin) -> Result<Self> {
        let program = workspace.scratch("unreal-rules")?.join("rules.exe");
        let log = workspace.scratch("logs")?.join("unreal-rules.log");
        let mut mcs = Command::new("mcs");
        mcs.args(["-warn:4", "-warnaserror"]).arg(format!("-out:{}", program.display()));
        mcs.args(sources(&workspace.root.join("tests/unreal/build"), "cs")?).args(plugin.rules()?);
        shell::demand(&mut mcs, &log, LIMIT)?;
        Ok(Self { program, log })
    }

    /// The rules of a module in this folder, or the words with which they refuse.
    fn make(&self, module: &str, folder: &Path, platform: &str) -> Result<Result<Made, String>> {
        let mut mono = Command::new("mono");
        mono.arg(&self.program).arg(module).arg(folder).arg(platform);
        let outcome = shell::run(&mut mono, &self.log, LIMIT)?;
        match outcome.status.and_then(|status| status.code()) {
            Some(0) => Ok(Ok(Made(outcome.text.lines().filter_map(entry).collect()))),
            Some(2) => Ok(Err(outcome.text.trim().to_owned())),
            _ => bail!("{}\nthe rules of {module}: {}", outcome.text, outcome.ending()),
        }
    }

    /// `staged` is the plugin with this machine's library. Gives what programs link with.
    pub fn check(&self, plugin: &Plugin, staged: &Path, library: &Library) -> Result<Linked> {
        for module in &plugin.modules {
            let made = self.make(&module.name, &module.folder, library.platform)?;
            made.map_err(anyhow::Error::msg)?.depends_on(plugin)?;
        }
        let bare = plugin.library();
        for platform in ["Linux", "Win64"] {
            let first = if platform == "Win64" { "sockeye.dll.lib" } else { "libsockeye.a" };
            self.refused(&bare, platform, &bare.join("lib").join(platform).join(first))?;
        }
        let Err(words) = self.make(LIBRARY, &bare, "Mac")? else { bail!("a library for Mac?") };
        ensure!(words.contains("no library for Mac"), "of a platform without a library: {words}");

        let folder = plugin::library(staged);
        let win64 = folder.join("lib/Win64");
        let made = self.make(LIBRARY, &folder, "Linux")?.map_err(anyhow::Error::msg)?;
        let mut linked = made.linux(library)?;
        // What is in them does not matter: the rules look whether they are there.
        fs::create_dir_all(&win64).context("cannot make a folder")?;
        for name in ["sockeye.dll.lib", "sockeye.dll"] {
            self.refused(&folder, "Win64", &win64.join(name))?;
            fs::write(win64.join(name), "").context("cannot write a file")?;
        }
        let made = self.make(LIBRARY, &folder, "Win64")?.map_err(anyhow::Error::msg)?;
        linked.dll = made.win64(&win64)?;
        Ok(linked)
    }

    /// They refuse, and say which file is missing and what makes it.
    fn refused(&self, folder: &Path, platform: &str, missing: &Path) -> Result<()> {
        let Err(words) = self.make(LIBRARY, folder, platform)? else {
            bail!("{} is missing, and {LIBRARY} does not say so", missing.display());
        };
        let named = words.contains(&*missing.to_string_lossy()) && words.contains(COMMAND);
        ensure!(named, "of {} for {platform}: {words}", missing.display());
        Ok(())
    }
}

fn entry(line: &str) -> Option<(String, String)> {
    line.split_once('\t').map(|(list, entry)| (list.to_owned(), entry.to_owned()))
}

impl Made {
    fn all(&self, list: &str) -> Vec<&str> {
        self.0.iter().filter(|(name, _)| name == list).map(|(_, entry)| &**entry).collect()
    }

    fn one(&self, list: &str) -> Result<&str> {
        match *self.all(list) {
            [entry] => Ok(entry),
            ref entries => bail!("{list} is {entries:?}"),
        }
    }

    /// On nothing but what there is; on the library nobody beyond the module itself.
    fn depends_on(&self, plugin: &Plugin) -> Result<()> {
        let (public, private) =
            (self.all("PublicDependencyModuleNames"), self.all("PrivateDependencyModuleNames"));
        ensure!(!public.contains(&LIBRARY), "a public dependency links the library twice");
        let ours: Vec<&str> = plugin.modules.iter().map(|module| &*module.name).collect();
        for name in public.iter().chain(&private) {
            let there = ENGINE.contains(name) || ours.contains(name) || *name == LIBRARY;
            ensure!(there, "no module {name}");
        }
        Ok(())
    }

    fn common(&self) -> Result<(PathBuf, String)> {
        ensure!(self.one("Type")? == "External", "{LIBRARY} is not External");
        let include = PathBuf::from(self.one("PublicSystemIncludePaths")?);
        ensure!(include.join("sockeye.h").is_file(), "no header in {}", include.display());
        Ok((include, self.one("PublicDefinitions")?.to_owned()))
    }

    fn linux(&self, library: &Library) -> Result<Linked> {
        let (include, definition) = self.common()?;
        ensure!(definition == "WITH_SOCKEYE_DLL=0", "{definition} on Linux");
        ensure!(self.all("RuntimeDependencies").is_empty(), "nothing is loaded on Linux");
        let system = self.all("PublicSystemLibraries");
        let told = library.natives.iter().map(String::as_str);
        let told: Vec<&str> = told.filter(|name| !ALWAYS.contains(name)).collect();
        ensure!(system == told, "libsockeye.a needs {told:?}, not {system:?}");
        Ok(Linked {
            include,
            library: self.one("PublicAdditionalLibraries")?.into(),
            system: system.into_iter().map(str::to_owned).collect(),
            definition,
            dll: String::new(),
        })
    }

    /// Where the DLL is loaded from, from the plugin's folder.
    fn win64(&self, folder: &Path) -> Result<String> {
        let (_, definition) = self.common()?;
        ensure!(definition == "WITH_SOCKEYE_DLL=1", "{definition} on Windows");
        let import = folder.join("sockeye.dll.lib");
        ensure!(Path::new(self.one("PublicAdditionalLibraries")?) == import, "not {import:?}");
        ensure!(self.one("PublicDelayLoadDLLs")? == "sockeye.dll", "the DLL is not loaded late");
        let (to, from) = self.one("RuntimeDependencies")?.split_once('\t').context("no copy")?;
        ensure!(Path::new(from) == folder.join("sockeye.dll"), "{from} is copied");
        Ok(to.strip_prefix("$(PluginDir)/").context("not into the plugin")?.to_owned())
    }
}

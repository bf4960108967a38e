//! The plugin's sources, compiled as the engine compiles, and the programs of `tests/unreal`.

use super::plugin::Plugin;
use super::rules::Linked;
use crate::run::programs::{Program, compile};
use crate::shell;
use crate::workspace::Workspace;
use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(60);
/// As strict as the engine, and a little more.
const FLAGS: [&str; 7] =
    ["-fno-exceptions", "-fno-rtti", "-Wall", "-Wextra", "-Wundef", "-Wshadow", "-Werror"];
/// Other compilers, and the C++ of later engines: for the look of it, where they are installed.
const LOOKS: [(&str, &str); 3] = [
    ("g++", "-std=c++20"),
    ("clang++", "-std=c++20"),
    ("x86_64-w64-mingw32-g++-posix", "-std=c++17"),
];
/// What there is to be found in place of the DLL.
const FOUND: [&str; 3] = ["ours", "other", "none"];

struct Build<'a> {
    workspace: &'a Workspace,
    plugin: &'a Plugin,
    linked: &'a Linked,
    folder: PathBuf,
    tests: PathBuf,
}

/// Compiles and runs them; says how many, and what else had a look.
pub fn check(workspace: &Workspace, plugin: &Plugin, linked: &Linked) -> Result<String> {
    let folder = workspace.scratch("unreal-programs")?;
    let tests = workspace.root.join("tests/unreal");
    let build = Build { workspace, plugin, linked, folder, tests };
    let mut programs =
        vec![build.pump(), build.program("subsystem")?, build.program("arena")?, build.late()?];
    let count = programs.len();
    let looked = build.looks(&mut programs)?;
    let logs = workspace.scratch("logs")?;
    compile(programs, &logs)?;
    let log = logs.join("unreal-program.log");
    for name in ["pump", "subsystem", "arena"] {
        let mut run = Command::new(build.folder.join(name));
        shell::demand(&mut run, &log, LIMIT).with_context(|| format!("tests/unreal/{name}.cpp"))?;
    }
    build.run_late(&log)?;
    Ok(format!("{count} programs, also seen by {}", looked.join(", ")))
}

impl Build<'_> {
    /// As the build tool would: the module's own folders, each module's export macro, the library.
    fn compiler(&self, name: &str, standard: &str, definition: &str) -> Command {
        let mut command = Command::new(name);
        command.arg(standard).args(FLAGS).arg(format!("-D{definition}"));
        command.arg("-I").arg(self.tests.join("stubs")).arg("-I").arg(&self.plugin.generated);
        for module in &self.plugin.modules {
            let exports = "__attribute__((visibility(\"default\")))";
            command.arg(format!("-D{}_API={exports}", module.name.to_uppercase()));
            for part in ["Public", "Private"] {
                command.arg("-I").arg(module.folder.join(part));
            }
        }
        command.arg("-isystem").arg(&self.linked.include);
        command
    }

    /// Links with what the rules say, and nothing else.
    fn link(&self, command: &mut Command) {
        command.arg(&self.linked.library);
        command.args(self.linked.system.iter().map(|name| format!("-l{name}")));
    }

    fn sources(&self) -> Result<Vec<PathBuf>> {
        let each: Result<Vec<_>> = self.plugin.modules.iter().map(|each| each.sources()).collect();
        Ok(each?.concat())
    }

    /// The part without an engine: no stand-ins, and the library's header is looked at as closely.
    fn pump(&self) -> Program {
        let mut compile = Command::new("g++");
        compile.arg("-std=c++17").args(FLAGS).args(["-Wpedantic", "-Wconversion", "-O1", "-g"]);
        compile.arg("-I").arg(&self.linked.include);
        for module in &self.plugin.modules {
            compile.arg("-I").arg(module.folder.join("Private"));
        }
        let binary = self.folder.join("pump");
        compile.arg(self.tests.join("pump.cpp")).arg("-o").arg(&binary);
        self.link(&mut compile);
        Program { name: "tests/unreal/pump.cpp".into(), binary, compile }
    }

    fn program(&self, name: &str) -> Result<Program> {
        let mut compile = self.compiler("g++", "-std=c++17", &self.linked.definition);
        let binary = self.folder.join(name);
        compile.args(["-O1", "-g"]).arg(self.tests.join(name).with_extension("cpp"));
        compile.args(self.sources()?).arg("-o").arg(&binary);
        self.link(&mut compile);
        Ok(Program { name: format!("tests/unreal/{name}.cpp"), binary, compile })
    }

    /// A program whose functions of the library are looked up when they are called.
    fn late(&self) -> Result<Program> {
        let mut compile = self.compiler("g++", "-std=c++17", "WITH_SOCKEYE_DLL=1");
        let binary = self.folder.join("liblate.so");
        compile.args(["-O1", "-g", "-shared", "-fPIC"]).arg(self.tests.join("library.cpp"));
        compile.args(self.sources()?).args(["-Wl,-z,lazy", "-o"]).arg(&binary);
        Ok(Program { name: "tests/unreal/library.cpp".into(), binary, compile })
    }

    /// All sources in one, as the engine's unity builds are.
    fn looks(&self, programs: &mut Vec<Program>) -> Result<Vec<&'static str>> {
        let all = self.folder.join("all.cpp");
        let text: String =
            self.sources()?.iter().map(|path| format!("#include {path:?}\n")).collect();
        fs::write(&all, text).context("cannot write a source")?;
        let there = LOOKS.iter().filter(|(name, _)| shell::answers(name, &["--version"]));
        let mut looked = Vec::new();
        for &(name, standard) in there {
            let definition = if name.contains("mingw") { "1" } else { "0" };
            let definition = format!("WITH_SOCKEYE_DLL={definition}");
            let mut compile = self.compiler(name, standard, &definition);
            compile.arg("-fsyntax-only").arg(&all);
            programs.push(Program {
                name: format!("the plugin, by {name}"),
                binary: all.clone(),
                compile,
            });
            looked.push(name);
        }
        Ok(looked)
    }

    fn run_late(&self, log: &Path) -> Result<()> {
        let binary = self.folder.join("late");
        let mut link = Command::new("g++");
        link.arg("-o").arg(&binary).arg(self.folder.join("liblate.so"));
        link.arg("-Wl,--allow-shlib-undefined,-z,lazy,-rpath,$ORIGIN");
        shell::demand(&mut link, log, LIMIT)?;
        for found in FOUND {
            let plugin = self.folder.join(found);
            let _ = fs::remove_dir_all(&plugin); // of the run before
            let dll = plugin.join(&self.linked.dll);
            fs::create_dir_all(dll.parent().context("no folder")?)
                .context("cannot make a folder")?;
            match found {
                "ours" => {
                    fs::copy(self.workspace.library(), &dll).context("no library: `build`")?;
                }
                "other" => {
                    let mut cc = Command::new("gcc");
                    cc.args(["-std=c99", "-shared", "-fPIC", "-Wall", "-Wextra", "-Werror", "-o"]);
                    cc.arg(&dll).arg(self.tests.join("other_library.c"));
                    shell::demand(&mut cc, log, LIMIT)?;
                }
                _ => {}
            }
            let mut run = Command::new(&binary);
            run.arg(found).arg(&plugin).env_remove("LD_BIND_NOW");
            let told = || format!("tests/unreal/library.cpp {found}");
            shell::demand(&mut run, log, LIMIT).with_context(told)?;
        }
        Ok(())
    }
}

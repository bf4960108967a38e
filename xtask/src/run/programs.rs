//! The C and C++ programs of `tests/`: each is compiled as a host would be and run. Those of the
//! C++ wrapper are compiled as every kind of C++ host would be.

use crate::shell;
use crate::workspace::Workspace;
use anyhow::{Context, Result, bail};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::time::Duration;
use std::{env, fs, thread};

const JOBS: usize = 2;
const COMPILE_LIMIT: Duration = Duration::from_secs(120);
const RUN_LIMIT: Duration = Duration::from_secs(60);
/// What a host's own build may be as strict as.
pub const WARNINGS: [&str; 6] =
    ["-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Wundef", "-Werror"];
pub const LIBRARIES: [&str; 4] = ["-lsockeye", "-lpthread", "-ldl", "-lm"];

/// The C++ wrapper: its head has an example, which is compiled like the programs.
const WRAPPER: &str = "include/sockeye.hpp";
const EXAMPLE: &str = "example.inc";
/// Compilers that have a look at the example where they are installed.
const OTHERS: [&str; 2] = ["clang++", "x86_64-w64-mingw32-g++-posix"];

/// A language of the tests.
struct Language {
    folder: &'static str,
    ending: &'static str,
    compiler: &'static str,
    variable: &'static str,
    flags: &'static [&'static str],
}

const LANGUAGES: [Language; 7] = [
    Language {
        folder: "tests/c",
        ending: "c",
        compiler: "gcc",
        variable: "CC",
        flags: &["-std=c99"],
    },
    cpp("tests/cpp", &["-std=c++17", "-fno-exceptions", "-fno-rtti"]),
    wrapper(&["-std=c++17", "-Wconversion", "-fno-exceptions", "-fno-rtti"]),
    wrapper(&["-std=c++17", "-Wconversion"]),
    wrapper(&["-std=c++20", "-Wconversion", "-fno-exceptions", "-fno-rtti"]),
    wrapper(&["-std=c++20", "-Wconversion"]),
    // What is inline in the host is looked at for uses after free, and leaks of the whole program.
    wrapper(&["-std=c++17", "-Wconversion", "-fsanitize=address", "-fno-omit-frame-pointer"]),
];

const fn cpp(folder: &'static str, flags: &'static [&'static str]) -> Language {
    Language { folder, ending: "cpp", compiler: "g++", variable: "CXX", flags }
}

const fn wrapper(flags: &'static [&'static str]) -> Language {
    cpp("tests/cpp/wrapper", flags)
}

/// A program: its source and what it becomes.
pub struct Program {
    pub name: String,
    pub binary: PathBuf,
    pub compile: Command,
}

/// Compiles and runs them all; says how many there are.
pub fn check(workspace: &Workspace) -> Result<String> {
    check_with(workspace, &workspace.library())
}

/// The same with another build of the library, whose folder has it by its soname, too.
pub fn check_with(workspace: &Workspace, library: &Path) -> Result<String> {
    let folder = library.parent().context("the library is in no folder")?;
    let logs = workspace.scratch("logs")?;
    example(workspace, &logs)?;
    let programs = collect(workspace)?;
    let count = programs.len();
    let binaries = compile(programs, &logs)?;
    for (name, binary) in &binaries {
        let mut command = Command::new(binary);
        command.arg(library).env("LD_LIBRARY_PATH", folder);
        command.current_dir(&workspace.root);
        let log = logs.join("program.log");
        shell::demand(&mut command, &log, RUN_LIMIT).with_context(|| name.clone())?;
    }
    Ok(format!("{count} programs"))
}

fn collect(workspace: &Workspace) -> Result<Vec<Program>> {
    let folder = workspace.scratch("programs")?;
    let mut programs = Vec::new();
    for language in &LANGUAGES {
        let mut sources = sources(&workspace.root.join(language.folder), language.ending)?;
        sources.sort();
        for source in sources {
            let name = format!("{} {}", workspace.shown(&source), language.flags.join(" "));
            let binary = folder.join(name.replace(|c: char| !c.is_ascii_alphanumeric(), "-"));
            let compile = language.compile(workspace, &source, &binary);
            programs.push(Program { name, binary, compile });
        }
    }
    if programs.is_empty() {
        bail!("no programs in tests/c and tests/cpp");
    }
    Ok(programs)
}

/// The files of a folder with this ending.
pub fn sources(folder: &Path, ending: &str) -> Result<Vec<PathBuf>> {
    let mut sources = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("no {}", folder.display()))? {
        let path = entry.context("cannot read a folder")?.path();
        if path.extension() == Some(OsStr::new(ending)) {
            sources.push(path);
        }
    }
    Ok(sources)
}

impl Language {
    fn compile(&self, workspace: &Workspace, source: &Path, binary: &Path) -> Command {
        let compiler = env::var_os(self.variable).unwrap_or_else(|| self.compiler.into());
        let mut command = Command::new(compiler);
        command.args(self.flags).args(WARNINGS).args(["-O1", "-g"]);
        command.arg("-I").arg(workspace.root.join("include"));
        command.arg("-I").arg(workspace.root.join(self.folder));
        command.arg("-I").arg(binary.with_file_name("")); // the example
        command.arg(source).arg("-o").arg(binary);
        command.arg("-L").arg(workspace.release()).args(LIBRARIES);
        command
    }
}

/// Writes the wrapper's example to where the programs find it.
pub fn write_example(workspace: &Workspace) -> Result<PathBuf> {
    let header = fs::read_to_string(workspace.root.join(WRAPPER)).context("no C++ wrapper")?;
    let path = workspace.scratch("programs")?.join(EXAMPLE);
    fs::write(&path, example_of(&header)?).context("cannot write the example")?;
    Ok(path)
}

/// Shows it to other compilers.
fn example(workspace: &Workspace, logs: &Path) -> Result<()> {
    let path = write_example(workspace)?;
    for compiler in OTHERS.iter().filter(|name| shell::answers(name, &["--version"])) {
        let mut command = Command::new(compiler);
        command.args(["-std=c++17", "-fsyntax-only", "-Wconversion"]).args(WARNINGS);
        command.arg("-I").arg(workspace.root.join("include"));
        command.args(["-x", "c++"]).arg(&path);
        shell::demand(&mut command, &logs.join("compile-example.log"), COMPILE_LIMIT)?;
    }
    Ok(())
}

/// The example in a header's first comment: from its first include to the end of its `main`.
fn example_of(header: &str) -> Result<String> {
    let lines = header.lines().map(|line| line.strip_prefix(" *").unwrap_or(line));
    let mut lines = lines.skip_while(|line| !line.starts_with("     #include"));
    let mut code = String::new();
    loop {
        let line = lines.next().context("no example in the C++ wrapper")?;
        code.push_str(line.strip_prefix("     ").unwrap_or(line));
        code.push('\n');
        if line == "     }" {
            return Ok(code);
        }
    }
}

/// Compiles `JOBS` at a time; the first failure is the answer.
pub fn compile(programs: Vec<Program>, logs: &Path) -> Result<Vec<(String, PathBuf)>> {
    let binaries = programs.iter().map(|p| (p.name.clone(), p.binary.clone())).collect();
    let waiting = Mutex::new(programs.into_iter());
    let failed = Mutex::new(None);
    thread::scope(|scope| {
        for job in 0..JOBS {
            let (waiting, failed) = (&waiting, &failed);
            let log = logs.join(format!("compile-{job}.log"));
            scope.spawn(move || {
                while let Some(mut program) = next(waiting) {
                    let done = shell::demand(&mut program.compile, &log, COMPILE_LIMIT);
                    if let Err(error) = done.context(program.name) {
                        failed.lock().expect("no job panics").get_or_insert(error);
                        return;
                    }
                }
            });
        }
    });
    match failed.into_inner().expect("no job panics") {
        Some(error) => Err(error),
        None => Ok(binaries),
    }
}

fn next(waiting: &Mutex<std::vec::IntoIter<Program>>) -> Option<Program> {
    waiting.lock().expect("no job panics").next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_example_is_cut_out() {
        let header = "/*\n * Words.\n *\n *     #include <a>\n *\n *     int main()\n *     {\n \
                      *         if (a) {\n *         }\n *     }\n *\n * More.\n */\nint b();\n";
        let code = "#include <a>\n\nint main()\n{\n    if (a) {\n    }\n}\n";
        assert_eq!(example_of(header).unwrap(), code);
        assert!(example_of("int b();\n").is_err());
    }
}

//! What MSVC's linker takes for the DLL: the list of its functions, and an import library made of
//! that. Where it links with mingw's, it cannot have the DLL loaded late (`/DELAYLOAD`).

use crate::check::symbols;
use crate::run::windows::{Build, CC, PROGRAM_LIMIT};
use crate::{shell, tools};
use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A program that loads the DLL late.
const PROGRAM: &str = "tests/install/late.c";

/// The two files, by the names they are installed with.
pub struct Msvc {
    pub list: PathBuf,
    pub import: PathBuf,
}

/// Makes them in `folder`, where the DLL is, and tries them.
pub fn make(build: &Build<'_>, folder: &Path) -> Result<Msvc> {
    tools::ensure(build.workspace, tools::MSVC)?;
    let (list, import) = (folder.join("sockeye.def"), folder.join("sockeye.lib"));
    let names = symbols::names(build.workspace)?;
    let lines: String = names.iter().map(|name| format!("    {name}\n")).collect();
    fs::write(&list, format!("LIBRARY sockeye.dll\nEXPORTS\n{lines}"))?;
    let mut tool = Command::new("llvm-dlltool");
    tool.args(["-m", "i386:x86-64", "-d"]).arg(&list).arg("-l").arg(&import);
    shell::demand(&mut tool, &build.logs.join("windows-msvc.log"), PROGRAM_LIMIT)?;
    loads_late(build, folder, &import).context("/DELAYLOAD")?;
    Ok(Msvc { list, import })
}

/// Links the program with the linker that takes the options of MSVC's, and runs it.
fn loads_late(build: &Build<'_>, folder: &Path, import: &Path) -> Result<()> {
    let log = build.logs.join("windows-msvc.log");
    let root = &build.workspace.root;
    let (object, program) = (folder.join("late.obj"), folder.join("late.exe"));
    let mut compile = Command::new(CC);
    compile.args(["-std=c99", "-O1", "-Wall", "-Wextra", "-Werror", "-c", "-I"]);
    compile.arg(root.join("include")).arg(root.join(PROGRAM)).arg("-o").arg(&object);
    shell::demand(&mut compile, &log, PROGRAM_LIMIT)?;
    let system = shell::stdout(Command::new(CC).arg("-print-file-name=libkernel32.a"))?;
    let mut link = Command::new("lld-link");
    link.args(["/nologo", "/entry:start", "/subsystem:console", "/nodefaultlib"]);
    link.arg("/delayload:sockeye.dll").arg(format!("/out:{}", program.display()));
    link.arg(&object).arg(import).arg(system.trim());
    shell::demand(&mut link, &log, PROGRAM_LIMIT)?;
    let told = shell::stdout(Command::new("x86_64-w64-mingw32-objdump").arg("-p").arg(&program))?;
    ensure!(!told.contains("DLL Name: sockeye.dll"), "the DLL is loaded when the program begins");
    build.stand_in(folder)?;
    shell::demand(&mut build.wine(&program), &log, PROGRAM_LIMIT)?;
    Ok(())
}

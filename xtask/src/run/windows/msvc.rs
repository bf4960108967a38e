//! What MSVC's linker takes for the DLL: the list of its functions, and an import library made of
//! that. Where it links with mingw's, it cannot have the DLL loaded late (`/DELAYLOAD`).

use super::build::{Build, CC, PROGRAM_LIMIT};
use super::clang;
use crate::shell;
use crate::ship::bindings;
use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A program that is compiled and linked as with MSVC.
const PROGRAM: &str = "tests/windows/msvc.c";

/// The two files, by the names they are installed with.
pub struct Msvc {
    pub list: PathBuf,
    pub import: PathBuf,
}

/// The step of the tests: both files for the DLL that the tests are built with.
pub fn check(build: &Build<'_>) -> Result<String> {
    make(build, &build.workspace.scratch("windows-msvc")?)?;
    Ok("sockeye.lib links".into())
}

/// Makes them in `folder`, and tries them: with the DLL of that folder, or that of the tests.
pub fn make(build: &Build<'_>, folder: &Path) -> Result<Msvc> {
    let (list, import) = (folder.join("sockeye.def"), folder.join("sockeye.lib"));
    fs::write(&list, definition(&bindings::functions(build.workspace)?))?;
    let mut tool = clang::tool(build.workspace, "dlltool")?;
    tool.args(["-m", "i386:x86-64", "-d"]).arg(&list).arg("-l").arg(&import);
    shell::demand(&mut tool, &build.logs.join("windows-msvc.log"), PROGRAM_LIMIT)?;
    tried(build, folder, &import)?;
    Ok(Msvc { list, import })
}

/// A module definition file.
/// <https://learn.microsoft.com/en-us/cpp/build/reference/module-definition-dot-def-files>
fn definition(functions: &[String]) -> String {
    let lines: String = functions.iter().map(|name| format!("    {name}\n")).collect();
    format!("LIBRARY sockeye.dll\nEXPORTS\n{lines}")
}

/// Links the program both ways with the linker that takes the options of MSVC's, and runs it.
fn tried(build: &Build<'_>, folder: &Path, import: &Path) -> Result<()> {
    let log = build.logs.join("windows-msvc.log");
    let object = folder.join("msvc.obj");
    let mut compile = clang::cl(build.workspace)?;
    compile.args(["/GS-".into(), format!("/Fo{}", object.display()), "--".into()]);
    compile.arg(build.workspace.root.join(PROGRAM));
    shell::demand(&mut compile, &log, PROGRAM_LIMIT)?;
    build.stand_in(folder)?;
    let system = shell::stdout(Command::new(CC).arg("-print-file-name=libkernel32.a"))?;
    for (entry, late) in [("start", false), ("start_late", true)] {
        let program = folder.join(entry).with_extension("exe");
        let mut link = clang::tool(build.workspace, "lld-link")?;
        link.args(["/nologo", "/subsystem:console", "/nodefaultlib"]);
        link.arg(format!("/entry:{entry}")).arg(format!("/out:{}", program.display()));
        if late {
            link.arg("/delayload:sockeye.dll");
        }
        link.arg(&object).arg(import).arg(system.trim());
        shell::demand(&mut link, &log, PROGRAM_LIMIT)?;
        let mut dump = Command::new("x86_64-w64-mingw32-objdump");
        let told = shell::stdout(dump.arg("-p").arg(&program))?;
        let at_once = told.contains("DLL Name: sockeye.dll");
        ensure!(at_once != late, "{entry}: whether the DLL is loaded late is not as asked for");
        shell::demand(&mut build.wine(&program), &log, PROGRAM_LIMIT)
            .with_context(|| format!("{PROGRAM}, which begins at {entry}"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::symbols;
    use crate::workspace::Workspace;

    #[test]
    fn a_definition_names_the_library_and_each_function() {
        let text = definition(&["sockeye_a".into(), "sockeye_b".into()]);
        assert_eq!(text, "LIBRARY sockeye.dll\nEXPORTS\n    sockeye_a\n    sockeye_b\n");
    }

    #[test]
    fn what_is_listed_is_what_the_header_declares() {
        let workspace = Workspace::find().unwrap();
        let listed = bindings::functions(&workspace).unwrap();
        let declared: Vec<String> = symbols::names(&workspace).unwrap().into_iter().collect();
        assert_eq!(listed, declared);
    }
}

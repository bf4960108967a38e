//! Clang for Windows, as zig brings it: over mingw with libc++, and as clang-cl and lld-link, which
//! take the options of MSVC's tools. These have no headers of Windows here and no C library.

use super::build::Build;
use crate::run::programs::{self, Program, WARNINGS};
use crate::tools;
use crate::workspace::Workspace;
use anyhow::Result;
use std::process::Command;

/// The C header alone, twice, in a host that has macros of common names.
const HEADER: &str = "tests/c/header_c99.c";
const HEADER_CPP: &str = "tests/cpp/header_cpp17.cpp";
const STRICT: &str = "-std=c++17 -fno-exceptions -fno-rtti";
/// Names that engines and test frameworks have macros of.
const MACROS: [&str; 4] =
    ["-Dcheck(x)=this is not C++", "-Dverify(x)=this is not C++", "-DTEXT=7 is not", "-DPI=3 is"];
/// And those of Windows itself, among them min, max, small and ERROR.
const WINDOWS: [&str; 2] = ["-include", "windows.h"];

/// A tool of zig's, which has them all in one program.
pub fn tool(workspace: &Workspace, name: &str) -> Result<Command> {
    tools::ensure(workspace, tools::CLANG)?;
    let mut tool = workspace.command(workspace.wheels(tools::ZIG).join("ziglang/zig"));
    tool.arg(name).env("ZIG_GLOBAL_CACHE_DIR", workspace.scratch("zig-cache")?);
    Ok(tool)
}

/// As MSVC's compiler, with as many warnings as a host's own build may have. The source follows a
/// `--`: a path that begins with `/` is taken for an option.
pub fn cl(workspace: &Workspace) -> Result<Command> {
    let mut cl = tool(workspace, "clang")?;
    let own = workspace.wheels(tools::ZIG).join("ziglang/lib/include");
    cl.args(["--driver-mode=cl", "--target=x86_64-pc-windows-msvc", "/nologo", "/c"]);
    // There /W4 is -Wall and -Wextra, and -Wall is every warning that there is.
    cl.args(["/W4", "/WX", "-Wpedantic", "-Wshadow", "-Wundef"]);
    cl.args(["-Xclang", "-ffreestanding", "/imsvc"]).arg(own);
    cl.arg("/I").arg(workspace.root.join("include"));
    Ok(cl)
}

/// Compiles the headers as hosts for Windows do that are built with clang.
pub fn headers(build: &Build<'_>) -> Result<String> {
    let workspace = build.workspace;
    let folder = workspace.scratch("windows-clang")?;
    let (header, header_cpp) = (workspace.root.join(HEADER), workspace.root.join(HEADER_CPP));
    let wrapper = programs::write_example(workspace)?;
    let mut all = Vec::new();
    let gnu: [(&str, &str, &[&str], _); 5] = [
        ("cc", "-std=c99", &[], &header),
        ("c++", STRICT, &[], &header_cpp),
        ("c++", STRICT, &MACROS, &wrapper),
        ("c++", STRICT, &WINDOWS, &wrapper),
        ("c++", "-std=c++20", &WINDOWS, &wrapper),
    ];
    for (at, (language, flags, more, source)) in gnu.into_iter().enumerate() {
        let binary = folder.join(format!("{at}.o"));
        let mut compile = tool(workspace, language)?;
        compile.args(["-target", "x86_64-windows-gnu"]).args(flags.split(' ')).args(WARNINGS);
        compile.args(more).arg("-I").arg(workspace.root.join("include"));
        // Its name does not say the language.
        compile.args(if language == "cc" { ["-x", "c"] } else { ["-x", "c++"] });
        compile.arg("-c").arg(source).arg("-o").arg(&binary);
        all.push(Program { name: format!("clang {flags}"), binary, compile });
    }
    for (at, language) in ["/TC", "/TP /std:c++17", "/TP /std:c++20"].into_iter().enumerate() {
        let binary = folder.join(format!("{at}.obj"));
        let mut compile = cl(workspace)?;
        compile.args(language.split(' ')).arg(format!("/Fo{}", binary.display()));
        compile.arg("--").arg(&header);
        all.push(Program { name: format!("clang-cl {language}"), binary, compile });
    }
    let count = programs::compile(all, &build.logs)?.len();
    Ok(format!("headers by clang in {count} ways"))
}

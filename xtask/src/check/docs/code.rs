//! Blocks of C and C++: compiled, linked where they have a `main`, and run where they say so.

use super::block::Block;
use super::echo;
use super::workshop::Workshop;
use crate::run::programs::{self, LIBRARIES, Program, WARNINGS};
use crate::shell;
use crate::workspace::Workspace;
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const RUN_LIMIT: Duration = Duration::from_secs(20);
const PRELUDES: [(&str, &str); 5] = [
    ("prelude.h", include_str!("prelude.h")),
    ("prelude.hpp", include_str!("prelude.hpp")),
    ("prelude_uv.h", include_str!("prelude_uv.h")),
    ("prelude_asio.hpp", include_str!("prelude_asio.hpp")),
    ("prelude_unreal.hpp", include_str!("prelude_unreal.hpp")),
];

/// Pages of the plugin: their C++ is the engine's.
const UNREAL: &str = "engines/unreal/";
/// The plugin's headers, and what stands in for the engine.
const UNREAL_HEADERS: [&str; 2] =
    ["engines/unreal/Sockeye/Source/SockeyeRuntime/Public", "tests/unreal/stubs"];

/// A block on its way to the compiler.
struct Source<'a> {
    block: &'a Block,
    whole: bool,
    cpp: bool,
    foreign: bool,
    unreal: bool,
    binary: PathBuf,
}

/// Compiles all of them, and runs those that are to be run. How many of each.
pub fn check(workspace: &Workspace, blocks: &[&Block]) -> Result<(usize, usize)> {
    let folder = workspace.scratch("docs/code")?;
    let logs = workspace.scratch("logs")?;
    for (name, text) in PRELUDES {
        fs::write(folder.join(name), text).context("cannot write a prelude")?;
    }
    let sources: Vec<Source> = blocks.iter().map(|block| Source::new(&folder, block)).collect();
    let programs: Result<Vec<Program>> =
        sources.iter().map(|source| source.program(workspace, &folder)).collect();
    programs::compile(programs?, &logs)?;
    let mut ran = 0;
    for source in &sources {
        ran += usize::from(run(workspace, source, &sources).context(source.block.place())?);
    }
    Ok((sources.len(), ran))
}

impl Source<'_> {
    fn new<'a>(folder: &Path, block: &'a Block) -> Source<'a> {
        Source {
            block,
            whole: block.text.contains("int main("),
            cpp: block.language() == "cpp",
            foreign: block.says("uv") || block.says("asio"),
            unreal: block.page.starts_with(UNREAL),
            binary: folder.join(block.slug()),
        }
    }

    /// Writes the source and says how it is compiled.
    fn program(&self, workspace: &Workspace, folder: &Path) -> Result<Program> {
        let ending = if self.cpp { "cpp" } else { "c" };
        let path = folder.join(format!("{}.{ending}", self.block.slug()));
        fs::write(&path, self.text()).context("cannot write a block")?;
        let mut compile = Command::new(if self.cpp { "g++" } else { "gcc" });
        compile.arg(if self.cpp { "-std=c++17" } else { "-std=c99" }).args(WARNINGS);
        if self.foreign {
            // Their headers are their own affair, and want what POSIX has.
            compile.args(["-D_GNU_SOURCE", "-DASIO_STANDALONE"]);
        } else if self.cpp {
            compile.args(["-fno-exceptions", "-fno-rtti"]);
        }
        if self.unreal {
            engine(workspace, folder, &mut compile)?;
        }
        compile.arg("-I").arg(workspace.root.join("include")).arg("-I").arg(folder);
        if self.whole {
            compile.arg("-O1").arg(&path).arg("-o").arg(&self.binary);
            compile.arg("-L").arg(workspace.release());
            if self.block.says("uv") {
                compile.arg("-luv");
            }
            compile.args(if self.foreign { &["-lpthread"][..] } else { &LIBRARIES[..] });
        } else {
            // The prelude is more than any one fragment uses. All of the compiler: a syntax check
            // does not see an answer that is not looked at.
            compile.args([
                "-Wno-unused",
                "-Wunused-result",
                "-Wno-shadow",
                "-c",
                "-o",
                "/dev/null",
            ]);
            compile.arg(&path);
        }
        Ok(Program { name: self.block.place(), binary: self.binary.clone(), compile })
    }

    /// The block as a file; what a compiler says of it names the page.
    fn text(&self) -> String {
        let Block { page, line, text, .. } = self.block;
        let code = format!("#line {line} \"{page}\"\n{text}");
        if self.whole {
            return code;
        }
        let prelude = match () {
            _ if self.block.says("uv") => "prelude_uv.h",
            _ if self.block.says("asio") => "prelude_asio.hpp",
            _ if self.unreal => "prelude_unreal.hpp",
            _ if self.cpp => "prelude.hpp",
            _ => "prelude.h",
        };
        let head = format!("#include \"{prelude}\"\n");
        if self.block.says("top") {
            return head + &code;
        }
        let (before, after) = if text.trim_start().starts_with("case ") {
            ("switch (events[i].kind) {\ndefault: break;\n", "}\n")
        } else {
            ("", "")
        };
        let body = format!("{before}{code}{after}return 0;\n");
        let (declared, function) = match () {
            _ if self.unreal => ("", "int AMyActor::Fragment()"),
            _ if self.cpp => ("int fragment();", "int fragment()"),
            _ => ("int fragment(void);", "int fragment(void)"),
        };
        format!("{head}{declared}\n{function}\n{{\n{body}}}\n")
    }
}

/// Has a compiler find the plugin's headers, with the empty ones that the engine would write.
fn engine(workspace: &Workspace, folder: &Path, compile: &mut Command) -> Result<()> {
    for header in programs::sources(&workspace.root.join(UNREAL_HEADERS[0]), "h")? {
        let stem = header.file_stem().unwrap_or_default().to_string_lossy();
        let generated = folder.join(format!("{stem}.generated.h"));
        fs::write(generated, "").context("cannot write a header")?;
    }
    compile.args(["-DSOCKEYERUNTIME_API=", "-std=c++20"]);
    for headers in UNREAL_HEADERS {
        compile.arg("-I").arg(workspace.root.join(headers));
    }
    Ok(())
}

/// Runs a program as its fence says; whether it does.
fn run(workspace: &Workspace, source: &Source, all: &[Source]) -> Result<bool> {
    let block = source.block;
    let wanted = ["run", "serve", "client"].iter().any(|word| block.says(word));
    if wanted && !source.whole {
        bail!("only a program with a `main` can be run");
    }
    if block.says("run") {
        let mut command = command(workspace, &source.binary);
        let log = workspace.scratch("logs")?.join("docs-run.log");
        shell::demand(&mut command, &log, RUN_LIMIT)?;
    }
    if let Some(framing) = block.value("serve") {
        let framed = match framing {
            "raw" => false,
            "u32be" => true,
            _ => bail!("serve={framing} is neither raw nor u32be"),
        };
        let url = if framed { "tcp://127.0.0.1:0?frame=u32be" } else { "tcp://127.0.0.1:0" };
        let mut command = command(workspace, &source.binary);
        command.arg(if source.foreign { "0" } else { url });
        let log = workspace.scratch("logs")?.join(format!("docs-{}.log", block.slug()));
        let server = echo::Server::start(command, log)?;
        server.echo(framed)?;
        let clients = all.iter().filter(|other| {
            other.block.page == block.page && other.block.says("client") && !source.foreign
        });
        for client in clients {
            let url = url.replace(":0", &format!(":{}", server.port));
            let mut command = self::command(workspace, &client.binary);
            let log = workspace.scratch("logs")?.join("docs-client.log");
            shell::demand(command.arg(url), &log, RUN_LIMIT).context(client.block.place())?;
        }
        server.end()?;
    }
    Ok(wanted)
}

fn command(workspace: &Workspace, binary: &Path) -> Command {
    let mut command = Command::new(binary);
    command.env("LD_LIBRARY_PATH", workspace.release());
    command
}

/// Puts the blocks that have a name into their page's folder.
pub fn lay_out(workshop: &Workshop, blocks: &[&Block]) -> Result<()> {
    for block in blocks {
        if let Some(name) = block.value("file") {
            fs::write(workshop.folder.join(name), &block.text).context("cannot write a file")?;
        }
    }
    Ok(())
}

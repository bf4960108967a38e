//! Blocks that are no programs, parsed: TOML, JSON, the files of systemd and sysctl, Dockerfiles.
//! And scripts of languages that bring their own compiler.

use super::block::Block;
use crate::shell;
use crate::workspace::Workspace;
use anyhow::{Context, Result, bail};
use std::process::Command;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(60);
/// docs.docker.com/reference/dockerfile, those that are not deprecated.
const INSTRUCTIONS: [&str; 17] = [
    "ADD",
    "ARG",
    "CMD",
    "COPY",
    "ENTRYPOINT",
    "ENV",
    "EXPOSE",
    "FROM",
    "HEALTHCHECK",
    "LABEL",
    "ONBUILD",
    "RUN",
    "SHELL",
    "STOPSIGNAL",
    "USER",
    "VOLUME",
    "WORKDIR",
];

pub fn parse(block: &Block) -> Result<()> {
    let text = &block.text;
    match block.language() {
        "toml" => toml::from_str::<toml::Table>(text).map(drop).context("not TOML"),
        "json" => serde_json::from_str::<serde_json::Value>(text).map(drop).context("not JSON"),
        "ini" => settings(text),
        "dockerfile" => dockerfile(text),
        other => bail!("{other} is not parsed here"),
    }
}

/// `[Section]`, `name = value`, comments: systemd.syntax(7), sysctl.d(5), limits.conf(5) apart.
fn settings(text: &str) -> Result<()> {
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let section = line.starts_with('[') && line.ends_with(']');
        let pair = line.split_once('=').is_some_and(|(name, _)| {
            let name = name.trim();
            let letter = |letter: char| letter.is_ascii_alphanumeric() || "._-/".contains(letter);
            !name.is_empty() && name.chars().all(letter)
        });
        if !(section || pair || line.starts_with('#')) {
            bail!("neither a section nor a setting: {line}");
        }
    }
    Ok(())
}

fn dockerfile(text: &str) -> Result<()> {
    let text = text.replace("\\\n", " ");
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let word = |line: &str| line.split_whitespace().next().unwrap_or_default().to_owned();
    if let Some(line) =
        lines.clone().find(|line| !line.starts_with('#') && !INSTRUCTIONS.contains(&&*word(line)))
    {
        bail!("no instruction of a Dockerfile: {line}");
    }
    match lines.find(|line| !line.starts_with('#')).map(word).as_deref() {
        Some("FROM" | "ARG") => Ok(()),
        _ => bail!("a Dockerfile begins with FROM"),
    }
}

/// Compiled to nothing, and run with the library at hand where the fence says so.
pub fn python(workspace: &Workspace, block: &Block) -> Result<()> {
    let path = workspace.scratch("docs/code")?.join(format!("{}.py", block.slug()));
    std::fs::write(&path, &block.text).context("cannot write a block")?;
    let mut python = Command::new("python3");
    if !block.says("run") {
        python.args(["-m", "py_compile"]);
    }
    python.arg(&path).env("LD_LIBRARY_PATH", workspace.release());
    let log = workspace.scratch("logs")?.join("docs-python.log");
    shell::demand(&mut python, &log, LIMIT).map(drop)
}

/// Compiled together with what `engines/dotnet` has; statements inside of a method.
pub fn csharp(workspace: &Workspace, block: &Block) -> Result<()> {
    let folder = workspace.scratch("docs/code")?;
    let path = folder.join(format!("{}.cs", block.slug()));
    let prelude = folder.join("prelude.cs");
    std::fs::write(&prelude, include_str!("prelude.cs")).context("cannot write a prelude")?;
    let text = csharp_file(&block.text);
    std::fs::write(&path, text).context("cannot write a block")?;
    let mut mcs = Command::new("mcs");
    mcs.args(["-nologo", "-target:library", "-unsafe", "-define:SOCKEYE_SPAN"]);
    mcs.arg(format!("-out:{}", path.with_extension("dll").display()));
    let sources = crate::run::programs::sources(&workspace.root.join("engines/dotnet"), "cs")?;
    let log = workspace.scratch("logs")?.join("docs-csharp.log");
    shell::demand(mcs.args(sources).arg(&prelude).arg(&path), &log, LIMIT).map(drop)
}

/// A block as a file: statements go into a function, behind what they use.
fn csharp_file(text: &str) -> String {
    const USED: &str = "using System;\nusing Sockeye;\n";
    if text.contains("class ") {
        return format!("{USED}{text}");
    }
    let names = |line: &&str| line.starts_with("using ") && !line.contains('(');
    let statements = text.lines().map(|line| if names(&line) { "" } else { line });
    let statements = statements.collect::<Vec<_>>().join("\n");
    format!("{USED}static class Page {{ static void At() {{\n{statements}\n}} }}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_of_csharp_get_a_function() {
        let text = csharp_file("using Sockeye;\nusing (a) b();\n");
        assert!(text.contains("At() {\n\nusing (a) b();\n"), "{text}");
        assert!(csharp_file("class A { }").ends_with("class A { }"));
    }

    #[test]
    fn settings_are_sections_and_pairs() {
        assert!(settings("[Service]\n# a\nLimitNOFILE=65536\nnet.core.somaxconn = 4096\n").is_ok());
        assert!(settings("[Service]\nLimitNOFILE 65536\n").is_err());
        assert!(settings("= 3\n").is_err());
    }

    #[test]
    fn a_dockerfile_has_instructions_only() {
        assert!(dockerfile("# a\nFROM debian:12\nRUN a && \\\n    b\nCMD [\"x\"]\n").is_ok());
        assert!(dockerfile("RUN a\n").is_err());
        assert!(dockerfile("FROM a\nWALK b\n").is_err());
    }
}

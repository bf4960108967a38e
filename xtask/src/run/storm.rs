//! `storm`: the program of `tests/storm`, on each model, also with library and program under a
//! sanitizer.

use crate::args::{Sanitizer, Storm};
use crate::run::programs;
use crate::workspace::Workspace;
use crate::{builds, shell};
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

const BUILD_LIMIT: Duration = Duration::from_secs(900);
/// Beyond the seconds asked for; the program has a watchdog of its own.
const GRACE: Duration = Duration::from_secs(120);
/// What the thread sanitizer cannot see, for it is in the standard library, which is not built
/// anew, or behind a fence, which it does not know: the last drop of an `Arc` or of a block, and
/// cells that are written once, as the pages of the table are.
const SUPPRESSIONS: &str = "race:alloc/src/sync.rs\nrace:sync/once\nrace:src/buf/block.rs\n\
                            race:src/engine/table.rs\n";
/// What the check of all tests spends, on all models together.
const CHECK_SECONDS: u32 = 16;
const CHECK_SECONDS_MIN: u32 = 3;

impl Sanitizer {
    fn name(self) -> &'static str {
        match self {
            Sanitizer::Address => "address",
            Sanitizer::Thread => "thread",
        }
    }

    /// For rustc. The standard library is not built anew: of the thread sanitizer it has to be
    /// told that this is meant.
    fn rust_flags(self) -> &'static str {
        match self {
            Sanitizer::Address => "-Zsanitizer=address",
            Sanitizer::Thread => "-Zsanitizer=thread -Cunsafe-allow-abi-mismatch=sanitizer",
        }
    }

    /// For the host, which brings the sanitizer's runtime for both.
    fn host_flags(self) -> [String; 3] {
        let kind = format!("-fsanitize={}", self.name());
        [kind, "-fno-omit-frame-pointer".into(), "-fno-sanitize-recover=all".into()]
    }
}

/// The task.
pub fn run(workspace: &Workspace, options: &Storm) -> Result<()> {
    let storm = Built::new(workspace, options.sanitize)?;
    let models = match &*options.model {
        "" => storm.models()?,
        one => vec![one.to_owned()],
    };
    for model in &models {
        println!("{}", storm.play(workspace, options, model)?);
    }
    Ok(())
}

/// A short one of each model, as a step of `test`.
pub fn check(workspace: &Workspace) -> Result<String> {
    let storm = Built::new(workspace, None)?;
    let models = storm.models()?;
    let seconds = (CHECK_SECONDS / models.len().max(1) as u32).max(CHECK_SECONDS_MIN);
    let options = Storm { seconds, ..Storm::default() };
    let told: Result<Vec<_>> =
        models.iter().map(|model| storm.play(workspace, &options, model)).collect();
    Ok(told?.join("; "))
}

/// The program, and the folder of the library that it runs with.
struct Built {
    program: PathBuf,
    library: PathBuf,
    sanitizer: Option<Sanitizer>,
}

impl Built {
    fn new(workspace: &Workspace, sanitizer: Option<Sanitizer>) -> Result<Built> {
        let library = match sanitizer {
            None => {
                builds::library(workspace)?;
                workspace.release()
            }
            Some(sanitizer) => sanitized_library(workspace, sanitizer)?,
        };
        let program = workspace.scratch("storm")?.join(sanitizer.map_or("storm", Sanitizer::name));
        let log = workspace.scratch("logs")?.join("storm-build.log");
        let mut compile = compile(workspace, sanitizer, &library, &program)?;
        shell::demand(&mut compile, &log, BUILD_LIMIT)?;
        fs::write(program.with_extension("suppressions"), SUPPRESSIONS)
            .context("cannot write the suppressions")?;
        Ok(Built { program, library, sanitizer })
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.env("LD_LIBRARY_PATH", &self.library);
        command.env("ASAN_OPTIONS", "detect_stack_use_after_return=1:abort_on_error=1");
        let suppressions = self.program.with_extension("suppressions");
        let thread = format!("halt_on_error=1:suppressions={}", suppressions.display());
        command.env("TSAN_OPTIONS", thread);
        command
    }

    /// The models that can run here, by their names.
    fn models(&self) -> Result<Vec<String>> {
        let text = shell::stdout(self.command().arg("--models"))?;
        Ok(text.lines().map(str::to_owned).collect())
    }

    fn play(&self, workspace: &Workspace, options: &Storm, model: &str) -> Result<String> {
        let log = workspace.scratch("logs")?.join("storm.log");
        let mut command = self.command();
        command.args(["--model", model, "--seconds", &options.seconds.to_string()]);
        command.args(["--seed", &options.seed.to_string()]);
        if !options.drive.is_empty() {
            command.args(["--drive", &options.drive]);
        }
        // What watches itself is slower by ten.
        let patience = if self.sanitizer.is_some() { 90 } else { 20 };
        command.args(["--patience", &patience.to_string()]);
        let limit = Duration::from_secs(options.seconds.into()) + GRACE;
        let begun = Instant::now();
        let text = shell::demand(&mut command, &log, limit)?;
        let told = text.lines().last().context("it said nothing")?;
        Ok(format!("{told} in {:.0} s", begun.elapsed().as_secs_f32()))
    }
}

/// The library with a sanitizer, in a folder of its own. Sanitizers are not of the stable compiler
/// yet, which has them all the same.
fn sanitized_library(workspace: &Workspace, sanitizer: Sanitizer) -> Result<PathBuf> {
    let host = shell::stdout(Command::new("rustc").arg("-vV"))?;
    let host = host.lines().find_map(|line| line.strip_prefix("host: "));
    let host = host.context("rustc does not say its host")?;
    let target = workspace.scratch(&format!("storm-{}", sanitizer.name()))?;
    let log = workspace.scratch("logs")?.join("storm-library.log");
    let mut build = workspace.cargo(["build", "--package", "sockeye", "--lib", "--target", host]);
    build.env("RUSTC_BOOTSTRAP", "1").env("RUSTFLAGS", sanitizer.rust_flags());
    build.env("CARGO_TARGET_DIR", &target);
    shell::demand(&mut build, &log, BUILD_LIMIT)?;
    Ok(target.join(host).join("debug"))
}

fn compile(
    workspace: &Workspace,
    sanitizer: Option<Sanitizer>,
    library: &Path,
    program: &Path,
) -> Result<Command> {
    let mut command = Command::new("g++");
    command.args(["-std=c++17", "-fno-exceptions", "-fno-rtti", "-O1", "-g"]);
    command.args(programs::WARNINGS);
    if let Some(sanitizer) = sanitizer {
        command.args(sanitizer.host_flags());
    }
    command.arg("-I").arg(workspace.root.join("include"));
    command.args(sources(workspace)?);
    command.arg("-o").arg(program).arg("-L").arg(library).args(programs::LIBRARIES);
    Ok(command)
}

/// The program's sources.
pub fn sources(workspace: &Workspace) -> Result<Vec<PathBuf>> {
    let mut sources = programs::sources(&workspace.root.join("tests/storm"), "cpp")?;
    if sources.is_empty() {
        bail!("no sources in tests/storm");
    }
    sources.sort();
    Ok(sources)
}

//! Running other programs: their output kept, and never longer than a limit.

use anyhow::{Context, Result, bail};
use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// How a program ended.
pub struct Outcome {
    /// `None`: it was still running at the limit and was ended.
    pub status: Option<ExitStatus>,
    /// Both its outputs, in the order written.
    pub text: String,
}

impl Outcome {
    pub fn ok(&self) -> bool {
        self.status.is_some_and(|status| status.success())
    }

    /// "exit status: 1", or what else ended it.
    pub fn ending(&self) -> String {
        self.status.map_or_else(|| "ended at its time limit".into(), |status| status.to_string())
    }
}

/// Runs `command` with its output in `log`.
pub fn run(command: &mut Command, log: &Path, limit: Duration) -> Result<Outcome> {
    let file = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
    let copy = file.try_clone().context("cannot share the log")?;
    command.stdin(Stdio::null()).stdout(file).stderr(copy);
    let mut child = command.spawn().with_context(|| format!("cannot run {}", told(command)))?;
    let status = wait(&mut child, limit)?;
    let text = std::fs::read(log).with_context(|| format!("cannot read {}", log.display()))?;
    Ok(Outcome { status, text: String::from_utf8_lossy(&text).into_owned() })
}

/// Runs `command` and fails, with its output, unless it succeeds. Gives the output.
pub fn demand(command: &mut Command, log: &Path, limit: Duration) -> Result<String> {
    let outcome = run(command, log, limit)?;
    if !outcome.ok() {
        bail!("{}\n{}: {}", outcome.text.trim_end(), told(command), outcome.ending());
    }
    Ok(outcome.text)
}

/// What a program prints to its standard output; fails unless it succeeds.
pub fn stdout(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("cannot run {}", told(command)))?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        bail!("{}\n{}: {}", text.trim_end(), told(command), output.status);
    }
    String::from_utf8(output.stdout).context("not text")
}

/// Whether `program --version` runs.
pub fn answers(program: &str, args: &[&str]) -> bool {
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Waits for the end of `child`; ends it at the limit, with `None`.
pub fn wait(child: &mut Child, limit: Duration) -> Result<Option<ExitStatus>> {
    let start = Instant::now();
    let mut pause = Duration::from_millis(1);
    loop {
        if let Some(status) = child.try_wait().context("cannot wait for a program")? {
            return Ok(Some(status));
        }
        if start.elapsed() >= limit {
            child.kill().context("cannot end a program")?;
            child.wait().context("cannot wait for a program")?;
            return Ok(None);
        }
        thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(50));
    }
}

/// The command as one would type it.
pub fn told(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    fn log(name: &str) -> std::path::PathBuf {
        std::env::temp_dir().join(format!("sockeye-xtask-{name}-{}", std::process::id()))
    }

    #[test]
    fn both_outputs_are_kept() {
        let log = log("both");
        let outcome = run(&mut sh("echo one; echo two >&2"), &log, Duration::from_secs(20));
        let outcome = outcome.unwrap();
        assert!(outcome.ok());
        assert_eq!(outcome.text, "one\ntwo\n");
        std::fs::remove_file(log).unwrap();
    }

    #[test]
    fn a_program_that_overruns_is_ended() {
        let log = log("limit");
        let outcome = run(&mut sh("exec sleep 60"), &log, Duration::from_millis(30)).unwrap();
        assert!(outcome.status.is_none() && !outcome.ok());
        std::fs::remove_file(log).unwrap();
    }

    #[test]
    fn a_failure_shows_what_was_said() {
        let log = log("failure");
        let error = demand(&mut sh("echo why; exit 3"), &log, Duration::from_secs(20));
        let error = error.unwrap_err().to_string();
        assert!(error.contains("why") && error.contains("exit status: 3"), "{error}");
        std::fs::remove_file(log).unwrap();
    }
}

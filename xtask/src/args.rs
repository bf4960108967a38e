//! What the command line asks for.

use anyhow::{Result, bail};
use lexopt::{Parser, ValueExt, prelude::*};

pub const USAGE: &str = "\
Usage: cargo xtask <task> [options]

  demo      build everything, run the arena server and its bots, show a row a second
              --seconds N     how long (default 10)
              --bots N        how many players (default 200)
              --model NAME    input/output model (default auto)
              --workers N     workers of the server (default auto)
              --drive NAME    pool, lend or host (default lend)
  test      every check: format, tidy, header, lints, build, Rust, C and C++ tests, demo
              STEP...         only these, by the names that it shows
  tidy      the house rules: rooms, platform code, lengths, SAFETY comments, C documentation
  header    write include/sockeye.h anew
              --check         fail when that differs from the committed one
  bench     what Sockeye costs beside libuv, asio, libevent and plain epoll, in one run
              --quick         fewer rounds, contenders and workloads (2 minutes instead of 20)
              --only TEXT     the reference, and contenders whose name has TEXT in it
              --workload TEXT workloads whose name has TEXT in it
              --write         write the report and its charts to docs/bench
              --sanitize      instead: every form of every server under the sanitizers
  install   install what the tasks above need and this machine lacks
  help      this text
";

/// A task with its options.
#[derive(Debug, PartialEq)]
pub enum Task {
    Demo(Demo),
    Test { steps: Vec<String> },
    Tidy,
    Header { check: bool },
    Bench(Bench),
    Install,
    Help,
}

/// Options of `demo`. Names are handed to the sample, which knows what they may be.
#[derive(Clone, Debug, PartialEq)]
pub struct Demo {
    pub seconds: u32,
    pub bots: u32,
    pub model: String,
    pub workers: String,
    pub drive: String,
}

impl Default for Demo {
    fn default() -> Self {
        let (model, workers, drive) = ("auto".into(), "auto".into(), "lend".into());
        Self { seconds: 10, bots: 200, model, workers, drive }
    }
}

/// Options of `bench`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Bench {
    pub quick: bool,
    pub only: String,
    pub workload: String,
    pub write: bool,
    pub sanitize: bool,
}

impl Bench {
    /// What is written is a report of everything, and the sanitizers measure nothing.
    fn checked(&self) -> Result<()> {
        let part = !self.only.is_empty() || !self.workload.is_empty();
        if self.write && part {
            bail!("--write takes no part of a run");
        }
        if self.sanitize && (self.write || self.quick || part) {
            bail!("--sanitize stands alone");
        }
        Ok(())
    }
}

/// Reads a command line, without the program's name.
pub fn parse(mut parser: Parser) -> Result<Task> {
    let mut task = match parser.next()? {
        None | Some(Short('h') | Long("help")) => return Ok(Task::Help),
        Some(Value(name)) => named(&name.string()?)?,
        Some(other) => return Err(other.unexpected().into()),
    };
    while let Some(arg) = parser.next()? {
        match (&mut task, arg) {
            (_, Short('h') | Long("help")) => return Ok(Task::Help),
            (Task::Demo(demo), Long("seconds")) => demo.seconds = count(&mut parser)?,
            (Task::Demo(demo), Long("bots")) => demo.bots = count(&mut parser)?,
            (Task::Demo(demo), Long("model")) => demo.model = parser.value()?.string()?,
            (Task::Demo(demo), Long("workers")) => demo.workers = parser.value()?.string()?,
            (Task::Demo(demo), Long("drive")) => demo.drive = parser.value()?.string()?,
            (Task::Test { steps }, Value(step)) => steps.push(step.string()?),
            (Task::Header { check }, Long("check")) => *check = true,
            (Task::Bench(bench), Long("quick")) => bench.quick = true,
            (Task::Bench(bench), Long("only")) => bench.only = parser.value()?.string()?,
            (Task::Bench(bench), Long("workload")) => bench.workload = parser.value()?.string()?,
            (Task::Bench(bench), Long("write")) => bench.write = true,
            (Task::Bench(bench), Long("sanitize")) => bench.sanitize = true,
            (_, other) => return Err(other.unexpected().into()),
        }
    }
    if let Task::Bench(bench) = &task {
        bench.checked()?;
    }
    Ok(task)
}

fn named(name: &str) -> Result<Task> {
    Ok(match name {
        "demo" => Task::Demo(Demo::default()),
        "test" => Task::Test { steps: Vec::new() },
        "tidy" => Task::Tidy,
        "header" => Task::Header { check: false },
        "bench" => Task::Bench(Bench::default()),
        "install" => Task::Install,
        "help" => Task::Help,
        _ => bail!("no task '{name}'; `cargo xtask help` lists them"),
    })
}

fn count(parser: &mut Parser) -> Result<u32> {
    let count = parser.value()?.parse()?;
    if count == 0 {
        bail!("a count has to be 1 or more");
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> Result<Task> {
        parse(Parser::from_args(text.split_whitespace()))
    }

    #[test]
    fn nothing_asked_is_help() {
        assert_eq!(line("").unwrap(), Task::Help);
        assert_eq!(line("demo --help").unwrap(), Task::Help);
    }

    #[test]
    fn demo_has_its_options() {
        assert_eq!(line("demo").unwrap(), Task::Demo(Demo::default()));
        let asked = line("demo --seconds 3 --bots=50 --model poll --workers 0 --drive host");
        let Task::Demo(demo) = asked.unwrap() else { panic!("not a demo") };
        assert_eq!((demo.seconds, demo.bots), (3, 50));
        assert_eq!((&*demo.model, &*demo.workers, &*demo.drive), ("poll", "0", "host"));
    }

    #[test]
    fn an_option_belongs_to_its_task() {
        assert!(line("test --bots 3").is_err());
        assert!(line("header --quick").is_err());
        assert_eq!(line("header --check").unwrap(), Task::Header { check: true });
    }

    #[test]
    fn test_takes_the_names_of_steps() {
        assert_eq!(line("test").unwrap(), Task::Test { steps: vec![] });
        let steps = vec!["tidy".to_owned(), "demo".to_owned()];
        assert_eq!(line("test tidy demo").unwrap(), Task::Test { steps });
    }

    #[test]
    fn unknown_words_and_zero_counts_are_refused() {
        assert!(line("dance").is_err());
        assert!(line("demo --bots 0").is_err());
        assert!(line("demo --bots many").is_err());
    }

    #[test]
    fn bench_measures_a_part_or_writes_all() {
        let asked = line("bench --quick --only HOST --workload echo").unwrap();
        let (only, workload) = ("HOST".into(), "echo".into());
        let want = Bench { quick: true, only, workload, ..Bench::default() };
        assert_eq!(asked, Task::Bench(want));
        assert!(line("bench --write --quick").is_ok());
        assert!(line("bench --write --only HOST").is_err());
        assert!(line("bench --sanitize").is_ok());
        assert!(line("bench --sanitize --quick").is_err());
    }
}

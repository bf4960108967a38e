//! What the command line asks for.

use crate::run::web;
use anyhow::{Result, bail};
use lexopt::{Parser, ValueExt, prelude::*};
use std::path::PathBuf;

pub const USAGE: &str = "\
Usage: cargo xtask <task> [options]

  demo      build everything, run the arena server and its bots, show a row a second
              --browser       with a page for browsers; says where, and runs until it is stopped
              --seconds N     how long (default 10)
              --bots N        how many players (default 200)
              --model NAME    input/output model (default auto)
              --workers N     workers of the server (default auto)
              --drive NAME    pool, lend or host (default lend)
              --transport NAME  tcp or game, lanes over UDP (default tcp)
              --delay MS --jitter MS --loss PERCENT --rate BYTES|K|M
                              a bad line for every player, each way (default none); a game over
                              lanes is played over TCP as well then
              --write         write the picture of both to docs/lanes-arena.svg
  test      every check: format, tidy, header, lints, build, Rust, C and C++ tests, demo
              STEP...         only these, by the names that it shows
  matrix    every behaviour on every model, as the last run of the tests had it
              --write         write the table of models to docs/models.md
  sim       hosts and peers in a simulated network, each run from a seed
              --seeds N       how many (default 10000)
              --seed N        only this one, or from it on with --seeds
  storm     C++ hosts whose threads call everything at random, watched
              --seconds N     how long on each model (default 60)
              --seed N        what is random (default 1)
              --model NAME    only this one (default each that runs here)
              --drive NAME    pool, lend or host (default any)
              --sanitize NAME library and host under the address or thread sanitizer
  kqueue    the tests of the model KQUEUE, on Linux over libkqueue
              --write         write its row to docs/models.md
  proxy     the PROXY protocol as haproxy, nginx and curl speak it
  web       WebSockets as Autobahn's cases, Python, curl and Chromium speak them
              --deflated      the cases of compression too (minutes)
              --write         write the table of cases to docs/websocket.md
  dissect   packets of game:// as tshark shows them with tools/sockeye.lua
  tidy      the house rules: rooms, platform code, lengths, SAFETY comments, C documentation
              --graph         instead: the rooms, who names whom, and the circles in each
  header    write include/sockeye.h anew
              --check         fail when that differs from the committed one
  bindings  whether C#, Unreal, the tests and the pages have what src/capi says
              --write         write what they have of it
  abi       the binary interface against its snapshots in abi/
              --write         take that of the header's SOCKEYE_ABI_VERSION
  bench     what Sockeye costs beside libuv, asio, libevent and plain epoll, in one run
              --quick         fewer rounds, contenders and workloads (2 minutes instead of 20)
              --only TEXT     the reference, and contenders whose name has TEXT in it
              --workload TEXT workloads whose name has TEXT in it
              --write         write the report and its charts to docs/bench
              --before DIR    Sockeye of that checkout too, each form beside today's
              --sanitize      instead: every form of every server under the sanitizers
  windows   build the DLL, the samples and the tests for Windows, run all under Wine,
            show every behaviour on every model
              --only TEXT     tests whose name has TEXT in it, and nothing else
              --write         write the table of models to docs/models.md
              --demo          instead: the arena, with the options of `demo`
              --rates         instead: how fast each model echoes, as ratios
  unreal    the plugin for the Unreal Engine with this machine's library in it
              --stage DIR     where to: a project's Plugins folder
  install   lay the library out for others: libraries, headers, CMake and pkg-config files
              --prefix DIR    where to
              --libdir DIR    where the libraries are below it (default lib)
              --portable      run on every Linux with glibc 2.17 or newer
              --windows       for Windows, with mingw
  package   the release: archives for Linux and Windows, Debian packages, ports, checksums
              --out DIR       where to (default target/package)
  docs      check the documentation, build the book and the pages of the headers
  tools     install what the tasks above need and this machine lacks
  help      this text
";

/// A task with its options.
#[derive(Debug, PartialEq)]
pub enum Task {
    Demo(Demo),
    Test { steps: Vec<String> },
    Matrix { write: bool },
    Sim(Sim),
    Storm(Storm),
    Kqueue { write: bool },
    Proxy,
    Web(web::Options),
    Dissect,
    Tidy { graph: bool },
    Header { check: bool },
    Bindings { write: bool },
    Abi { write: bool },
    Bench(Bench),
    Windows(Windows),
    Unreal { stage: PathBuf },
    Install(Install),
    Package(Package),
    Docs,
    Tools,
    Help,
}

/// Options of `demo`. Names are handed to the sample, which knows what they may be.
#[derive(Clone, Debug, PartialEq)]
pub struct Demo {
    /// The port is for browsers too.
    pub browser: bool,
    pub seconds: u32,
    pub bots: u32,
    pub model: String,
    pub workers: String,
    pub drive: String,
    pub transport: Transport,
    pub write: bool,
    /// A bad line for every player: `delay`, `jitter`, `loss` and `rate`, as the bots take them.
    pub line: Vec<(String, String)>,
}

/// What the players of `demo` come over.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Transport {
    #[default]
    Tcp,
    /// `game://`: inputs and snapshots may be lost.
    Game,
}

/// A game that nobody waits for the end of: a day.
const FOR_EVER_S: u32 = 86_400;

impl Default for Demo {
    fn default() -> Self {
        let (model, workers, drive) = ("auto".into(), "auto".into(), "lend".into());
        let (browser, write, seconds, bots) = (false, false, 10, 200);
        let (transport, line) = (Transport::Tcp, Vec::new());
        Self { browser, seconds, bots, model, workers, drive, transport, write, line }
    }
}

impl Demo {
    fn take(&mut self, name: String, parser: &mut Parser) -> Result<()> {
        match &*name {
            "browser" => (self.browser, self.seconds) = (true, FOR_EVER_S),
            "seconds" => self.seconds = count(parser)?,
            "bots" => self.bots = count(parser)?,
            "model" => self.model = parser.value()?.string()?,
            "workers" => self.workers = parser.value()?.string()?,
            "drive" => self.drive = parser.value()?.string()?,
            "write" => self.write = true,
            "transport" => {
                self.transport = match &*parser.value()?.string()? {
                    "tcp" => Transport::Tcp,
                    "game" => Transport::Game,
                    other => bail!("--transport is tcp or game, not '{other}'"),
                };
            }
            "delay" | "jitter" | "loss" | "rate" => {
                let value = parser.value()?.string()?;
                self.line.push((name, value));
            }
            _ => return Err(Long(&name).unexpected().into()),
        }
        Ok(())
    }
}

impl Demo {
    fn checked(&self) -> Result<()> {
        let lanes = self.transport == Transport::Game;
        if lanes && self.browser {
            bail!("browsers have no lanes");
        }
        if self.write && (!lanes || self.line.is_empty()) {
            bail!("--write is of --transport game and a bad line");
        }
        Ok(())
    }
}

/// Options of `sim`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sim {
    pub seeds: Option<u32>,
    pub seed: Option<u64>,
}

/// Options of `storm`. An empty name is any.
#[derive(Clone, Debug, PartialEq)]
pub struct Storm {
    pub seconds: u32,
    pub seed: u64,
    pub model: String,
    pub drive: String,
    pub sanitize: Option<Sanitizer>,
}

impl Default for Storm {
    fn default() -> Self {
        let (model, drive) = (String::new(), String::new());
        Self { seconds: 60, seed: 1, model, drive, sanitize: None }
    }
}

/// What a build watches itself for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Sanitizer {
    Address,
    Thread,
}

/// Options of `bench`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Bench {
    pub quick: bool,
    pub only: String,
    pub workload: String,
    pub write: bool,
    pub sanitize: bool,
    /// The checkout of an earlier version.
    pub before: Option<PathBuf>,
}

/// Options of `windows`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Windows {
    pub only: String,
    pub write: bool,
    /// The arena in place of the tests.
    pub demo: Option<Demo>,
    /// How fast the models are in place of the tests.
    pub rates: bool,
}

/// Options of `install`.
#[derive(Clone, Debug, PartialEq)]
pub struct Install {
    pub prefix: PathBuf,
    pub libdir: String,
    pub portable: bool,
    pub windows: bool,
}

impl Default for Install {
    fn default() -> Self {
        let (prefix, libdir) = (PathBuf::new(), "lib".into());
        Self { prefix, libdir, portable: false, windows: false }
    }
}

impl Install {
    fn take(&mut self, name: String, parser: &mut Parser) -> Result<()> {
        match &*name {
            "prefix" => self.prefix = parser.value()?.into(),
            "libdir" => self.libdir = parser.value()?.string()?,
            "portable" => self.portable = true,
            "windows" => self.windows = true,
            _ => return Err(Long(&name).unexpected().into()),
        }
        Ok(())
    }

    fn checked(&self) -> Result<()> {
        if self.prefix.as_os_str().is_empty() {
            bail!("where to: --prefix DIR");
        }
        if self.portable && self.windows {
            bail!("--portable is of Linux");
        }
        Ok(())
    }
}

/// Options of `package`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Package {
    pub out: Option<PathBuf>,
}

impl Demo {
    /// Of a size for Wine, where one process stands behind every call of all the others.
    pub fn under_wine() -> Demo {
        Demo { seconds: 8, bots: 60, ..Demo::default() }
    }
}

impl Windows {
    /// What is written is of all tests.
    fn checked(&self) -> Result<()> {
        let (part, arena) = (!self.only.is_empty(), self.demo.is_some());
        if [part, self.write, arena, self.rates].iter().filter(|&&it| it).count() > 1 {
            bail!("--only, --write, --demo and --rates stand alone");
        }
        Ok(())
    }
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
            (Task::Windows(windows), Long("only")) => windows.only = parser.value()?.string()?,
            (Task::Windows(windows), Long("write")) => windows.write = true,
            (Task::Windows(windows), Long("rates")) => windows.rates = true,
            (Task::Windows(windows), Long("demo")) => windows.demo = Some(Demo::under_wine()),
            (Task::Demo(demo) | Task::Windows(Windows { demo: Some(demo), .. }), Long(name)) => {
                demo.take(name.to_owned(), &mut parser)?;
            }
            (Task::Test { steps }, Value(step)) => steps.push(step.string()?),
            (Task::Matrix { write }, Long("write")) => *write = true,
            (Task::Sim(sim), Long("seeds")) => sim.seeds = Some(count(&mut parser)?),
            (Task::Sim(sim), Long("seed")) => sim.seed = Some(parser.value()?.parse()?),
            (Task::Storm(storm), Long("seconds")) => storm.seconds = count(&mut parser)?,
            (Task::Storm(storm), Long("seed")) => storm.seed = parser.value()?.parse()?,
            (Task::Storm(storm), Long("model")) => storm.model = parser.value()?.string()?,
            (Task::Storm(storm), Long("drive")) => storm.drive = parser.value()?.string()?,
            (Task::Storm(storm), Long("sanitize")) => {
                storm.sanitize = Some(sanitizer(&parser.value()?.string()?)?);
            }
            (Task::Install(install), Long(name)) => {
                install.take(name.to_owned(), &mut parser)?;
            }
            (Task::Package(package), Long("out")) => package.out = Some(parser.value()?.into()),
            (Task::Web(web), Long("deflated")) => web.deflated = true,
            (Task::Web(web), Long("write")) => web.write = true,
            (Task::Kqueue { write }, Long("write")) => *write = true,
            (Task::Header { check }, Long("check")) => *check = true,
            (Task::Abi { write } | Task::Bindings { write }, Long("write")) => *write = true,
            (Task::Bench(bench), Long("quick")) => bench.quick = true,
            (Task::Bench(bench), Long("only")) => bench.only = parser.value()?.string()?,
            (Task::Bench(bench), Long("workload")) => bench.workload = parser.value()?.string()?,
            (Task::Bench(bench), Long("write")) => bench.write = true,
            (Task::Bench(bench), Long("sanitize")) => bench.sanitize = true,
            (Task::Bench(bench), Long("before")) => bench.before = Some(parser.value()?.into()),
            (Task::Tidy { graph }, Long("graph")) => *graph = true,
            (Task::Unreal { stage }, Long("stage")) => *stage = parser.value()?.into(),
            (_, other) => return Err(other.unexpected().into()),
        }
    }
    match &task {
        Task::Bench(bench) => bench.checked()?,
        Task::Windows(windows) => windows.checked()?,
        Task::Unreal { stage } if stage.as_os_str().is_empty() => bail!("unreal: --stage where?"),
        Task::Install(install) => install.checked()?,
        Task::Demo(demo) => demo.checked()?,
        _ => {}
    }
    Ok(task)
}

fn named(name: &str) -> Result<Task> {
    Ok(match name {
        "demo" => Task::Demo(Demo::default()),
        "test" => Task::Test { steps: Vec::new() },
        "matrix" => Task::Matrix { write: false },
        "sim" => Task::Sim(Sim::default()),
        "storm" => Task::Storm(Storm::default()),
        "kqueue" => Task::Kqueue { write: false },
        "proxy" => Task::Proxy,
        "web" => Task::Web(web::Options::default()),
        "dissect" => Task::Dissect,
        "tidy" => Task::Tidy { graph: false },
        "header" => Task::Header { check: false },
        "bindings" => Task::Bindings { write: false },
        "abi" => Task::Abi { write: false },
        "bench" => Task::Bench(Bench::default()),
        "windows" => Task::Windows(Windows::default()),
        "unreal" => Task::Unreal { stage: PathBuf::new() },
        "install" => Task::Install(Install::default()),
        "package" => Task::Package(Package::default()),
        "docs" => Task::Docs,
        "tools" => Task::Tools,
        "help" => Task::Help,
        _ => bail!("no task '{name}'; `cargo xtask help` lists them"),
    })
}

fn sanitizer(name: &str) -> Result<Sanitizer> {
    Ok(match name {
        "address" => Sanitizer::Address,
        "thread" => Sanitizer::Thread,
        _ => bail!("--sanitize is address or thread, not '{name}'"),
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
        let Task::Demo(demo) = line("demo --delay 80 --loss 2 --rate 1M").unwrap() else {
            panic!("not a demo")
        };
        let Task::Demo(game) = line("demo --transport game").unwrap() else { panic!("not a demo") };
        assert_eq!((demo.transport, game.transport), (Transport::Tcp, Transport::Game));
        for wrong in ["--transport pigeon", "--transport game --browser", "--write --loss 5"] {
            assert!(line(&format!("demo {wrong}")).is_err(), "{wrong}");
        }
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(demo.line, [pair("delay", "80"), pair("loss", "2"), pair("rate", "1M")]);
    }

    #[test]
    fn an_option_belongs_to_its_task() {
        assert!(line("test --bots 3").is_err());
        assert!(line("header --quick").is_err());
        assert_eq!(line("header --check").unwrap(), Task::Header { check: true });
        assert_eq!(line("abi --write").unwrap(), Task::Abi { write: true });
        assert_eq!(line("bindings --write").unwrap(), Task::Bindings { write: true });
    }

    #[test]
    fn sim_and_storm_have_their_options() {
        let sim = Sim { seeds: Some(20), seed: Some(7) };
        assert_eq!(line("sim --seeds 20 --seed 7").unwrap(), Task::Sim(sim));
        assert_eq!(line("matrix --write").unwrap(), Task::Matrix { write: true });
        let asked = line("storm --seconds 9 --seed 3 --model poll --sanitize thread").unwrap();
        let sanitize = Some(Sanitizer::Thread);
        let want =
            Storm { seconds: 9, seed: 3, model: "poll".into(), sanitize, ..Storm::default() };
        assert_eq!(asked, Task::Storm(want));
        assert!(line("storm --sanitize lightly").is_err());
    }

    #[test]
    fn test_takes_the_names_of_steps() {
        assert_eq!(line("test").unwrap(), Task::Test { steps: vec![] });
        let steps = vec!["tidy".to_owned(), "demo".to_owned()];
        assert_eq!(line("test tidy demo").unwrap(), Task::Test { steps });
    }

    #[test]
    fn the_plugin_is_staged_somewhere() {
        let stage = PathBuf::from("Game/Plugins");
        assert_eq!(line("unreal --stage Game/Plugins").unwrap(), Task::Unreal { stage });
        assert!(line("unreal").is_err());
    }

    #[test]
    fn unknown_words_and_zero_counts_are_refused() {
        assert!(line("dance").is_err());
        assert!(line("demo --bots 0").is_err());
        assert!(line("demo --bots many").is_err());
    }

    #[test]
    fn windows_has_its_tests_or_the_arena() {
        let Task::Windows(asked) = line("windows --write").unwrap() else { panic!("not it") };
        assert!(asked.write && asked.demo.is_none());
        let asked = line("windows --demo --bots 7 --model poll").unwrap();
        let demo = Demo { bots: 7, model: "poll".into(), ..Demo::under_wine() };
        assert_eq!(asked, Task::Windows(Windows { demo: Some(demo), ..Windows::default() }));
        for wrong in ["--bots 7", "--demo --write", "--only send --write", "--demo --secs 3"] {
            assert!(line(&format!("windows {wrong}")).is_err(), "{wrong}");
        }
    }

    #[test]
    fn install_needs_a_prefix() {
        let asked = line("install --prefix /opt/it --libdir lib64 --portable").unwrap();
        let (prefix, libdir) = ("/opt/it".into(), "lib64".into());
        let want = Install { prefix, libdir, portable: true, windows: false };
        assert_eq!(asked, Task::Install(want));
        assert!(line("install").is_err() && line("install --prefix a --out b").is_err());
        assert!(line("install --prefix a --portable --windows").is_err());
        let out = Some("there".into());
        assert_eq!(line("package --out there").unwrap(), Task::Package(Package { out }));
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

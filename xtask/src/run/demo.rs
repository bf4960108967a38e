//! `demo`: the arena's server and its bots as two processes, and a row of numbers each second.

use crate::args::{Demo, Transport};
use crate::run::arena::{self, Fields, Said};
use crate::run::beside;
use crate::run::table::{self, milliseconds};
use crate::workspace::Workspace;
use crate::{builds, shell, tools};
use anyhow::{Context, Result, bail, ensure};
use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

const START_LIMIT: Duration = Duration::from_secs(10);
/// How much longer than asked for the two may take in all.
const GRACE: Duration = Duration::from_secs(25);
/// The server ends when the bots have been gone for so long; longer than one of them is away.
const EMPTY_MS: u32 = 2000;

/// The task: installs, builds, plays, and says how it was.
pub fn run(workspace: &Workspace, options: &Demo) -> Result<()> {
    tools::ensure(workspace, tools::DEMO)?;
    println!("building the library");
    builds::library(workspace)?;
    println!("building the sample");
    let folder = builds::sample(workspace)?;
    let launch = launcher(workspace, &folder);
    let played = play(&launch, options, true)?;
    println!("\n{}", played.told()?);
    if options.line.is_empty() {
        return Ok(());
    }
    let words = line_words(&options.line);
    println!("over a bad line, each way: {words}");
    if options.transport == Transport::Game {
        println!("\nthe same over TCP");
        let tcp = Demo { transport: Transport::Tcp, ..options.clone() };
        let tcp = play(&launch, &tcp, true)?;
        println!("\n{}", tcp.told()?);
        let both = [beside::Answers::read(&played.bots)?, beside::Answers::read(&tcp.bots)?];
        println!("\n{}", beside::table(&both));
        if options.write {
            let picture = beside::picture(&both, &format!("each way: {words}"));
            fs::write(workspace.root.join("docs/lanes-arena.svg"), picture)?;
        }
    }
    Ok(())
}

fn line_words(line: &[(String, String)]) -> String {
    let part = |(name, value): &(String, String)| match &**name {
        "loss" => format!("{name} {value} %"),
        "rate" => format!("{name} {value}B/s"),
        _ => format!("{name} {value} ms"),
    };
    line.iter().map(part).collect::<Vec<_>>().join(", ")
}

/// What a game left behind; both sides agree on it.
pub struct Played {
    server: Fields,
    bots: Fields,
    transport: Transport,
}

impl Played {
    /// The closing words.
    pub fn told(&self) -> Result<String> {
        let Self { server, bots, transport } = self;
        let ms = |fields: &Fields, key: &str| fields.number(key).map(milliseconds);
        let inputs = server.number("inputs_received")?;
        let gave_way = arena::replaced(server, bots)?;
        let lost = match transport {
            Transport::Tcp => format!("{gave_way} snapshots gave way to a newer one"),
            Transport::Game => format!(
                "{} inputs and {gave_way} snapshots were lost or gave way to newer ones",
                bots.number("inputs_sent")? - inputs
            ),
        };
        Ok(format!(
            "{} bots, {} ticks, {inputs} inputs and {} snapshots: none out of order, all counts \
             agree\n{lost}, {} had no room\n\
             tick p50 {} ms, p99 {} ms; input to snapshot p50 {} ms, p99 {} ms",
            bots.number("bots")?,
            server.number("ticks")?,
            bots.number("snapshots_received")?,
            server.number("snapshots_skipped")?,
            ms(server, "tick_p50_us")?,
            ms(server, "tick_p99_us")?,
            ms(bots, "latency_p50_us")?,
            ms(bots, "latency_p99_us")?,
        ))
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Side {
    Server,
    Bots,
}

/// A line of one side, or the end of its output.
type Heard = (Side, Option<String>);

/// A program that does not outlive us.
struct Running {
    child: Child,
    name: &'static str,
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing left to end.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Runs the programs of a folder by their names.
pub fn launcher<'a>(workspace: &'a Workspace, folder: &'a Path) -> impl Fn(&str) -> Command + 'a {
    move |name| {
        let mut command = Command::new(folder.join(name));
        command.current_dir(&workspace.root);
        command
    }
}

/// Runs both to their end and compares what they counted. `show`: a row for each second.
pub fn play(launch: &dyn Fn(&str) -> Command, options: &Demo, show: bool) -> Result<Played> {
    let deadline = Instant::now() + Duration::from_secs(options.seconds.into()) + GRACE;
    let (sender, heard) = mpsc::channel();
    let mut command = program(launch, "arena_server", options);
    let url = |scheme: &str, port: u16, query: &str| format!("{scheme}://127.0.0.1:{port}?{query}");
    let (door, scheme, query) = match options.transport {
        Transport::Game => ("game", "game", "token=open"),
        Transport::Tcp if options.browser => ("any", "tcp", "frame=u32le"),
        Transport::Tcp => ("tcp", "tcp", "frame=u16le"),
    };
    command.args(["--url", &url(door, 0, query)]);
    command.args(["--empty-ms", &EMPTY_MS.to_string()]);
    command.args(["--players-max", &(2 * options.bots).max(64).to_string()]);
    // More come from this address in all, since some of them leave and come back.
    command.args(["--per-address", &(options.bots + options.bots / 4 + 8).to_string()]);
    command.args(["--rules", "cpp-sample/arena/rules.txt"]);
    command.args(["--admin", "tcp://127.0.0.1:0?frame=line"]);
    command.args(["--workers", &options.workers]);
    let mut server = start("arena_server", command, Side::Server, show, &sender)?;
    let (port, admin) = listening(&heard)?;
    if options.browser {
        println!("open http://127.0.0.1:{port}/ in a browser; Ctrl-C ends the game");
    }
    let mut command = program(launch, "arena_bots", options);
    command.args(["--url", &url(scheme, port, query)]);
    command.args(["--bots", &options.bots.to_string()]);
    command.args(["--seconds", &options.seconds.to_string()]);
    for (name, value) in &options.line {
        command.args([&format!("--{name}"), value]);
    }
    let mut bots = start("arena_bots", command, Side::Bots, show, &sender)?;
    drop(sender);
    let mut score = Score { show, admin, ..Score::default() };
    score.follow(&heard, deadline)?;
    for running in [&mut bots, &mut server] {
        let left = deadline.saturating_duration_since(Instant::now());
        let status = shell::wait(&mut running.child, left)?;
        let status = status.with_context(|| format!("{} overran its time", running.name))?;
        if !status.success() && score.summary_of(running.name).is_none() {
            bail!("{} failed: {status}", running.name);
        }
    }
    let server = score.server_summary.context("the server gave no summary")?;
    let bots = score.bots_summary.context("the bots gave no summary")?;
    arena::agree(&server, &bots, options.transport)?;
    Ok(Played { server, bots, transport: options.transport })
}

fn program(launch: &dyn Fn(&str) -> Command, name: &str, options: &Demo) -> Command {
    let mut command = launch(name);
    command.args(["--model", &options.model, "--drive", &options.drive]);
    command
}

fn start(
    name: &'static str,
    mut command: Command,
    side: Side,
    show: bool,
    sender: &Sender<Heard>,
) -> Result<Running> {
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    command.stderr(if show { Stdio::inherit() } else { Stdio::null() });
    let child = command.spawn().with_context(|| format!("cannot start {name}"))?;
    let mut running = Running { child, name };
    let stdout = running.child.stdout.take().context("no output")?;
    let sender = sender.clone();
    thread::spawn(move || listen(stdout, side, &sender));
    Ok(running)
}

fn listen(stdout: ChildStdout, side: Side, sender: &Sender<Heard>) {
    let lines = BufReader::new(stdout).lines().map_while(Result::ok).map(Some);
    for line in lines.chain([None]) {
        if sender.send((side, line)).is_err() {
            return;
        }
    }
}

/// The ports of the game and of its administrators.
fn listening(heard: &Receiver<Heard>) -> Result<(u16, u16)> {
    let (_, line) = heard.recv_timeout(START_LIMIT).context("the server does not start")?;
    match Said::read(&line.context("the server ended at its start")?)? {
        Said::Listening { game, admin } => Ok((game, admin)),
        other => bail!("the server began with {other:?}"),
    }
}

/// The server gives its metrics while it plays.
fn check_metrics(port: u16) -> Result<()> {
    let mut server = TcpStream::connect(("127.0.0.1", port))?;
    server.set_read_timeout(Some(START_LIMIT))?;
    server.write_all(b"GET /metrics HTTP/1.1\r\n\r\n")?;
    let mut page = String::new();
    server.read_to_string(&mut page)?;
    let good = page.starts_with("HTTP/1.1 200 ") && page.contains("\nsockeye_connections ");
    ensure!(good, "{page}");
    Ok(())
}

/// What was heard of both, second by second.
#[derive(Default)]
struct Score {
    show: bool,
    admin: u16,
    server: BTreeMap<u64, Fields>,
    bots: BTreeMap<u64, Fields>,
    server_summary: Option<Fields>,
    bots_summary: Option<Fields>,
    shown: u64,
}

impl Score {
    /// Listens until both have ended.
    fn follow(&mut self, heard: &Receiver<Heard>, deadline: Instant) -> Result<()> {
        let mut running = vec![Side::Server, Side::Bots];
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match heard.recv_timeout(left) {
                Ok((side, Some(line))) => self.take(side, &line)?,
                Ok((side, None)) => running.retain(|other| *other != side),
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
                Err(RecvTimeoutError::Timeout) => bail!("overran the time: {running:?}"),
            }
        }
    }

    fn take(&mut self, side: Side, line: &str) -> Result<()> {
        match (Said::read(line)?, side) {
            (Said::Second(fields), Side::Server) => {
                self.server.insert(fields.number("second")?, fields);
            }
            (Said::Second(fields), Side::Bots) => {
                self.bots.insert(fields.number("second")?, fields);
            }
            (Said::Summary(fields), Side::Server) => self.server_summary = Some(fields),
            (Said::Summary(fields), Side::Bots) => self.bots_summary = Some(fields),
            (Said::Listening { .. }, _) => bail!("unexpected: '{line}'"),
        }
        self.show_rows()
    }

    /// Shows each second that both have reported.
    fn show_rows(&mut self) -> Result<()> {
        loop {
            let second = self.shown + 1;
            let (Some(server), Some(bots)) = (self.server.get(&second), self.bots.get(&second))
            else {
                return Ok(());
            };
            if self.shown == 0 && self.admin != 0 {
                check_metrics(self.admin).context("GET /metrics")?;
            }
            if self.show {
                if self.shown == 0 {
                    println!("\n{}", table::HEAD);
                }
                println!("{}", table::row(server, bots)?);
            }
            self.shown = second;
        }
    }

    fn summary_of(&self, name: &str) -> Option<&Fields> {
        let of_server = name == "arena_server";
        if of_server { self.server_summary.as_ref() } else { self.bots_summary.as_ref() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::table::tests::{BOTS, SERVER};

    #[test]
    fn a_second_is_shown_when_both_have_told_it() {
        let mut score = Score::default();
        score.take(Side::Server, SERVER).unwrap();
        assert_eq!(score.shown, 0);
        score.take(Side::Bots, BOTS).unwrap();
        assert_eq!(score.shown, 1);
        assert!(score.take(Side::Bots, "what?").is_err());
    }

    #[test]
    fn silence_ends_at_the_deadline() {
        let (_sender, heard) = mpsc::channel();
        let error = Score::default().follow(&heard, Instant::now()).unwrap_err().to_string();
        assert!(error.contains("overran"), "{error}");
    }
}

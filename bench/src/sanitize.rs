//! Drives every form of every server in every job, for a second each: for builds with sanitizers,
//! which end a server at what they find.

use crate::counter::Counter;
use crate::figures::Failure;
use crate::peers::{self, Family, Peer, Server};
use crate::process::{self, LOAD_CPU, Process};
use crate::{run, slices};
use anyhow::{Context, Result};
use std::path::Path;
use std::time::{Duration, Instant};
use std::{env, thread};

const LENGTH: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(60);
const LIMIT_S: u64 = 120;

const FORMS: [(Family, &[&str]); 4] = [
    (Family::Epoll, &["edge", "loop"]),
    (Family::Libuv, &["loop", "typical", "expert", "eventfd", "inline"]),
    (Family::Asio, &["loop", "typical", "expert"]),
    (Family::Libevent, &["loop", "raw", "typical", "expert"]),
];

const DRIVES: [(&str, &str); 4] = [("pool", "1"), ("lend", "1"), ("host", "1"), ("host", "0")];

/// A load: connections, and the arguments of the generator.
type Load = (u32, &'static str);

const ECHOES: [Load; 4] = [
    (64, "--mode closed --in-flight 8 --size 64"),
    (8, "--mode closed --in-flight 4 --size 262144"),
    (16, "--mode churn --size 64"),
    (100, "--mode open --rate 2000 --size 1000"),
];
const READERS: [Load; 2] = [(100, "--mode reader"), (100, "--mode reader --slow 100")];
/// Of large messages: half of the second never read, and soon miss some.
const FEW: [Load; 2] = [(4, "--mode reader"), (10, "--mode reader --slow 500")];

const DATAGRAMS: [Load; 2] =
    [(64, "--mode udp --in-flight 8 --size 64"), (4, "--mode udp --in-flight 2 --size 65507")];

/// Each job with what loads it. The last of broadcasts fills what a connection may owe.
const JOBS: [(&str, &[Load]); 5] = [
    ("--job echo", &ECHOES),
    ("--job tick --period-ms 10", &ECHOES),
    ("--job broadcast --period-ms 10 --size 200 --burst 3", &READERS),
    ("--job broadcast --period-ms 30 --size 32768", &FEW),
    ("--job udp", &DATAGRAMS),
];

/// Drives them all; fails at the end if any ended or gave a wrong answer.
pub fn run(folder: &Path) -> Result<()> {
    process::raise_descriptors()?;
    process::fix_addresses()?;
    let mut failures = Vec::new();
    let mut count = 0;
    for peer in &all() {
        for (job, loads) in JOBS {
            if !takes(peer, job) {
                continue;
            }
            count += 1;
            let place = format!("{} {job}", peer.told());
            let begun = Instant::now();
            let done = drive(folder, peer, job, loads);
            let seconds = begun.elapsed().as_secs_f32();
            match done {
                Ok(messages) => println!("ok {seconds:4.1} s  {place}: {messages}"),
                Err(error) => {
                    println!("FAILED   {place}: {error:#}");
                    failures.push(Failure { place, why: format!("{error:#}") });
                }
            }
        }
    }
    println!("{count} servers driven, {} failed", failures.len());
    run::told(&failures)
}

fn takes(peer: &Peer, job: &str) -> bool {
    let datagrams = job == "--job udp";
    match peer.family {
        Family::Sockeye => true,
        Family::Udp => datagrams,
        // The edge form is for echoes alone.
        _ if peer.name == "edge" => job == JOBS[0].0,
        _ => !datagrams,
    }
}

fn all() -> Vec<Peer> {
    let mut peers = vec![peers::mmsg()];
    let mut add = |family, name: &str, args: &[&str]| {
        let peer = Peer { name: name.into(), family, args: Vec::new(), ..Peer::default() };
        peers.push(peer.with("", args));
    };
    for (family, forms) in FORMS {
        forms.iter().for_each(|form| add(family, form, &["--form", form]));
    }
    for (drive, workers) in DRIVES {
        for flush in ["manual", "auto"] {
            let args = ["--drive", drive, "--workers", workers, "--flush", flush];
            add(Family::Sockeye, drive, &args);
        }
    }
    peers
}

/// A load generator at work.
struct Running {
    load: Process,
    counter: Counter,
    mode: &'static str,
}

impl Running {
    fn start(port: u16, (conns, mode): Load, n: usize) -> Result<Self> {
        let path = env::temp_dir().join(format!("sockeye-sanitize-{}-{n}", std::process::id()));
        let counter = Counter::make(&path)?;
        let mut command = slices::load(port, conns, &path, LIMIT_S)?;
        command.args(mode.split_whitespace());
        let mut load = Process::start("the load generator", &mut command, LOAD_CPU)?;
        load.line(PATIENCE).context(mode)?;
        Ok(Self { load, counter, mode })
    }

    /// Waits for a first message: under a sanitizer some are slow, but each has to get through.
    fn demand_served(&mut self, server: &mut Process) -> Result<u64> {
        let deadline = Instant::now() + PATIENCE;
        while self.counter.get() == 0 {
            server.demand_alive()?;
            self.load.demand_alive().context(self.mode)?;
            anyhow::ensure!(Instant::now() < deadline, "{}: nothing came", self.mode);
            thread::sleep(Duration::from_millis(5));
        }
        Ok(self.counter.get())
    }
}

/// One server with all its loads; gives how many messages were verified.
fn drive(folder: &Path, peer: &Peer, job: &str, loads: &[Load]) -> Result<u64> {
    let job: Vec<String> = job.split_whitespace().map(str::to_owned).collect();
    let Server { mut process, port, .. } = peer.start(folder, &job)?;
    serve(&mut process, port, loads).map_err(|error| process.or_ended(error))
}

/// All loads at once; then they leave in the middle of it, and the server serves the next.
fn serve(process: &mut Process, port: u16, loads: &[Load]) -> Result<u64> {
    let started = loads.iter().enumerate().map(|(n, load)| Running::start(port, *load, n));
    let mut running = started.collect::<Result<Vec<Running>>>()?;
    thread::sleep(LENGTH);
    let mut total = 0;
    for one in &mut running {
        total += one.demand_served(process)?;
        one.load.demand_alive().context(one.mode)?;
    }
    drop(running);
    total += Running::start(port, loads[0], 0)?.demand_served(process)?;
    process.demand_alive()?;
    Ok(total)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_form_is_driven() {
        let told: BTreeSet<String> = all().iter().map(Peer::told).collect();
        assert_eq!(told.len(), 1 + 2 + 5 + 3 + 4 + 8);
        for peer in peers::loops().into_iter().chain(peers::hosts()) {
            assert!(told.contains(&peer.told()), "{}", peer.told());
        }
    }
}

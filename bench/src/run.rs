//! A run: every workload that was asked for, then the report.

use crate::figures::Failure;
use crate::peers::{self, Family, Peer};
use crate::report::Report;
use crate::workloads::{self, Group, Models, Workload};
use crate::{clocks, docs, guard, idle, lanes, machine, memory, process, slices, strangers, wire};
use anyhow::{Context, Result, bail};
use std::mem;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// What to run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Options {
    /// Where the programs are.
    pub peers: PathBuf,
    pub quick: bool,
    /// Contenders whose name has this in it, beside the reference.
    pub only: String,
    /// Workloads whose name has this in it.
    pub workload: String,
    /// Where the programs of an earlier version are, to be measured beside today's.
    pub before: Option<PathBuf>,
    /// Where the files of the report go.
    pub write: Option<PathBuf>,
}

const MEMORY: &str = "idle memory";
const LAYERED: &str = "tls and web, idle memory";
const WAKES: &str = "idle wake-ups";
const CALLS: &str = "host costs";
const STRANGERS: &str = "strangers";
const GUARD: &str = "guard";

/// Measures, prints the report, writes it if asked to, and fails if anything did.
pub fn run(options: &Options) -> Result<()> {
    process::raise_descriptors()?;
    process::pin(process::LOAD_CPU).context("it takes two processors to measure")?;
    let begun = Instant::now();
    let models = peers::models(&options.peers);
    let workloads = chosen(options, &models);
    let mut report = Report {
        machine: machine::facts(),
        quick: options.quick,
        measured: Vec::new(),
        memory: (0, Vec::new()),
        layered: (0, Vec::new()),
        idle: Vec::new(),
        clocks: Vec::new(),
        strangers: Vec::new(),
        guard: Vec::new(),
        lanes: Vec::new(),
        failures: Vec::new(),
    };
    for workload in &workloads {
        let (count, rounds) = (workload.peers.len(), workload.rounds);
        let seconds = begun.elapsed().as_secs();
        eprintln!("{seconds:4} s  {}: {count} servers, {rounds} rounds", workload.name);
        report.measured.push(slices::measure(&options.peers, workload, &mut report.failures));
    }
    unpaired(options, &models, &mut report);
    of_lanes(options, &mut report);
    let nothing = report.measured.is_empty() && report.lanes.is_empty();
    if nothing && !UNPAIRED.iter().any(|name| wanted(options, name)) {
        bail!("no workload has '{}' in its name", options.workload);
    }
    println!("{}", report.text(false));
    if let Some(folder) = &options.write {
        docs::write(&report, &workloads, folder)?;
    }
    wire::certificate::remove();
    eprintln!("{:4} s  done", begun.elapsed().as_secs());
    told(&report.failures)
}

const UNPAIRED: [&str; 6] = [MEMORY, LAYERED, WAKES, CALLS, STRANGERS, GUARD];

type OfLanes = fn(&Path, &[Peer], &mut Vec<Failure>) -> lanes::Part;

/// Beside the echoes.
const LANES: [(&str, OfLanes); 4] = [
    ("lanes, transfer", lanes::transfer::measure),
    ("lanes, memory", lanes::idle::measure),
    ("lanes, flood", lanes::flood::measure),
    ("lanes, crowd", lanes::crowd::measure),
];

/// Everything about lanes: only where it is asked for by name, as it takes half an hour.
fn of_lanes(options: &Options, report: &mut Report) {
    let (folder, mut all) = (&*options.peers, peers::with_lanes());
    all.retain(|peer| peer.name == peers::ENET || has(&peer.name, &options.only));
    let named = |name: &str| !options.workload.is_empty() && wanted(options, name);
    for mut workload in lanes::echo::workloads(&all) {
        if named(&workload.name) {
            eprintln!("{}", workload.name);
            workload.rounds = if options.quick { 3 } else { workload.rounds };
            let measured = lanes::echo::measure(folder, &workload, &mut report.failures);
            report.measured.push(measured);
        }
    }
    for (name, measure) in LANES {
        if named(name) {
            eprintln!("{name}");
            report.lanes.push(measure(folder, &all, &mut report.failures));
        }
    }
}

/// What is measured without turns.
fn unpaired(options: &Options, models: &Models, report: &mut Report) {
    let (folder, failures) = (&*options.peers, &mut report.failures);
    let mut all = vec![peers::epoll()];
    all.extend(peers::drives().into_iter().chain(peers::loops()).chain(peers::hosts()));
    all.retain(|peer| peer.name == peers::EPOLL || contends(options, peer));
    let all = with_before(options, all);
    if wanted(options, MEMORY) {
        eprintln!("{MEMORY}");
        let conns = if options.quick { memory::CONNS_QUICK } else { memory::CONNS };
        report.memory = (conns, memory::measure(folder, &all, conns, failures));
    }
    if wanted(options, LAYERED) && !options.quick {
        eprintln!("{LAYERED}");
        let mut all = peers::with_tls();
        all.extend(peers::with_web());
        all.retain(|peer| contends(options, peer));
        let rows = memory::measure(folder, &all, memory::CONNS_LAYERED, failures);
        report.layered = (memory::CONNS_LAYERED, rows);
    }
    if wanted(options, WAKES) {
        eprintln!("{WAKES}");
        report.idle = idle::measure(folder, &all, failures);
    }
    if wanted(options, CALLS) {
        eprintln!("{CALLS}");
        report.clocks = clocks::measure(folder, failures);
    }
    let mut all = peers::plain(models);
    all.retain(|peer| has(&peer.name, &options.only));
    let all = with_before(options, all);
    if wanted(options, STRANGERS) && !options.quick {
        eprintln!("{STRANGERS}");
        report.strangers = strangers::measure(folder, &all, strangers::ROUNDS, failures);
    }
    if wanted(options, GUARD) && !options.quick {
        eprintln!("{GUARD}");
        report.guard = guard::measure(folder, &all, strangers::ROUNDS, failures);
    }
}

/// The workloads that are asked for, with their contenders.
fn chosen(options: &Options, models: &Models) -> Vec<Workload> {
    let mut workloads = workloads::all(models);
    workloads.retain_mut(|workload| {
        let (reference, name) = (workload.peers[0].name.clone(), &workload.name);
        let of_quick = !options.quick || workloads::quick(name);
        let wanted = of_quick && wanted(options, name);
        // These compare Sockeye with itself and are short of contenders as they are.
        let few = matches!(
            workload.group,
            Group::RoundTrip | Group::Models | Group::Timeouts | Group::Scaling
        );
        let contends = |peer: &Peer| match few {
            true => has(&peer.name, &options.only),
            false => contends(options, peer),
        };
        workload.peers.retain(|peer| peer.name == reference || contends(peer));
        workload.peers = with_before(options, mem::take(&mut workload.peers));
        if options.quick {
            workload.rounds = (workload.rounds / 4).clamp(3, 5);
        }
        wanted
    });
    workloads
}

/// Each form of Sockeye, with the same of an earlier version behind it.
fn with_before(options: &Options, peers: Vec<Peer>) -> Vec<Peer> {
    let Some(folder) = &options.before else { return peers };
    let before = |peer: &Peer| (peer.family == Family::Sockeye).then(|| peer.clone().of(folder));
    peers.into_iter().flat_map(|peer| [before(&peer), Some(peer)]).flatten().collect()
}

fn contends(options: &Options, peer: &Peer) -> bool {
    let named = has(&peer.name, &options.only);
    // Who is asked for by name is wanted in a quick run too.
    named && (!options.quick || !options.only.is_empty() || peers::quick(peer))
}

fn wanted(options: &Options, name: &str) -> bool {
    has(name, &options.workload)
}

/// Whether a name has this in it, in whatever case.
fn has(name: &str, text: &str) -> bool {
    name.to_lowercase().contains(&text.to_lowercase())
}

/// A run with failures is one.
pub fn told(failures: &[Failure]) -> Result<()> {
    for Failure { place, why } in failures {
        eprintln!("failed: {place}: {why}");
    }
    match failures.len() {
        0 => Ok(()),
        count => bail!("{count} failed"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(quick: bool, only: &str, workload: &str) -> Options {
        Options { quick, only: only.into(), workload: workload.into(), ..Options::default() }
    }

    #[test]
    fn the_reference_is_always_there() {
        for workload in chosen(&options(false, "sockeye host", "echo"), &[]) {
            let names: Vec<&str> = workload.peers.iter().map(|peer| &*peer.name).collect();
            assert_eq!(names, [peers::EPOLL, peers::HOST, peers::HOST_ALONE], "{}", workload.name);
        }
        for workload in chosen(&options(false, "sockeye pool", "udp"), &[]) {
            let names: Vec<&str> = workload.peers.iter().map(|peer| &*peer.name).collect();
            assert_eq!(names, [peers::MMSG, peers::POOL], "{}", workload.name);
        }
        assert_eq!(chosen(&options(false, "", "game loop"), &[]).len(), 1);
        assert!(chosen(&options(false, "", "dance"), &[]).is_empty());
    }

    #[test]
    fn a_quick_run_has_less_of_everything() {
        let (all, few) =
            (chosen(&options(false, "", ""), &[]), chosen(&options(true, "", ""), &[]));
        assert!(few.len() < all.len() && !few.is_empty());
        let slices = |workloads: &[Workload]| -> usize {
            workloads.iter().map(|workload| workload.peers.len() * workload.rounds).sum()
        };
        assert!(slices(&few) * 8 < slices(&all));
    }

    #[test]
    fn a_failure_fails_the_run() {
        assert!(told(&[]).is_ok());
        let failure = Failure { place: "churn".into(), why: "it ended".into() };
        assert!(told(&[failure]).is_err());
    }
}

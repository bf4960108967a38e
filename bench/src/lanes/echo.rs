//! A message of 64 B and its echo at the pace of a game, all contenders in turns. Peers that have
//! no turn stay connected: their libraries go on asking whether the other side is there.

use super::{Load, load_all, reported, run, server};
use crate::figures::{Failure, Measured, Row, Sample};
use crate::peers::{Peer, Server};
use crate::procfs;
use crate::slices;
use crate::workloads::{Extra, Group, Workload, grouped};
use anyhow::{Result, ensure};
use std::path::Path;
use std::time::{Duration, Instant};

const RATE: u32 = 30;
const SLICE: Duration = Duration::from_millis(1000);
const ROUNDS: usize = 8;
/// Of what was sent; a server that loses more is not measured at this rate. libenet drops
/// unreliable messages by itself where round trips get longer.
const LOST_MOST: f64 = 0.5;

/// All of them; `peers` begins with the reference.
pub fn workloads(peers: &[Peer]) -> Vec<Workload> {
    let mut all = Vec::new();
    for (way, burst) in [("evenly", false), ("at the same time", true)] {
        for conns in [100, 1000] {
            for kind in ["unreliable", "reliable"] {
                all.push(workload(peers, conns, kind, way, burst));
            }
        }
    }
    all
}

fn workload(peers: &[Peer], conns: u32, kind: &str, way: &str, burst: bool) -> Workload {
    let each = grouped(conns.into());
    let mut load = vec![kind.to_owned()];
    load.extend(burst.then(|| "--burst".to_owned()));
    Workload {
        name: format!("lanes, {each} × 64 B, {kind}, {way}"),
        group: Group::Lanes,
        about: format!(
            "{each} peers, each sending a {kind} message of 64 B {RATE} times a second, all of \
             them {way}; a latency is from the send to the echo."
        ),
        unit: "message",
        conns,
        job: Vec::new(),
        load,
        paced: false,
        slice: SLICE,
        rounds: ROUNDS,
        warm: 0,
        extra: Extra::None,
        peers: peers.to_vec(),
    }
}

struct Live {
    peer: Peer,
    server: Server,
    load: Load,
    game: Option<u32>,
    samples: Vec<Sample>,
}

/// Measures one; a contender that fails is left out from there on.
pub fn measure(folder: &Path, workload: &Workload, failures: &mut Vec<Failure>) -> Measured {
    let mut fail = |peer: &Peer, error: anyhow::Error| {
        let place = format!("{}: {}", workload.name, peer.name);
        eprintln!("  {place} failed: {error:#}");
        failures.push(Failure { place, why: format!("{error:#}") });
    };
    let mut lives: Vec<Option<Live>> = Vec::new();
    for peer in &workload.peers {
        let live = Live::start(folder, peer, workload);
        lives.push(live.map_err(|error| fail(peer, error)).ok());
    }
    let mut order: Vec<usize> = (0..lives.len()).collect();
    let mut seed = slices::seed();
    for round in 0..=workload.rounds {
        slices::shuffle(&mut order, &mut seed);
        for n in &order {
            let Some(live) = &mut lives[*n] else { continue };
            match live.slice(workload) {
                Ok(sample) if round > 0 => live.samples.push(sample),
                Ok(_) => {}
                Err(error) => {
                    fail(&live.peer, live.server.process.or_ended(error));
                    lives[*n] = None;
                }
            }
        }
    }
    let rows = match lives.first() {
        Some(Some(_)) => lives.into_iter().flatten().map(Live::end).collect(),
        _ => Vec::new(),
    };
    Measured { workload: workload.clone(), rows }
}

impl Live {
    fn start(folder: &Path, peer: &Peer, workload: &Workload) -> Result<Self> {
        let server = server(folder, peer, workload.conns)?;
        let rate = RATE.to_string();
        let mut more = vec!["--rate", &*rate, "--size", "64"];
        more.extend(workload.load[1..].iter().map(String::as_str));
        let load = load_all(folder, peer, server.port, workload.conns, &more)?;
        let game = server.process.game_thread()?;
        Ok(Self { peer: peer.clone(), server, load, game, samples: Vec::new() })
    }

    fn slice(&mut self, workload: &Workload) -> Result<Sample> {
        let before = self.server.process.usage(self.game)?;
        let start = Instant::now();
        let report = run(&mut self.load, workload.slice, &workload.load[0])?;
        let span = start.elapsed();
        let after = self.server.process.usage(self.game)?;
        let (sent, count) = (reported(&report, "sent")?, reported(&report, "count")?);
        let closed = reported(&report, "closed")?;
        ensure!(closed == 0, "{closed} connections closed");
        let least = sent as f64 * (1.0 - LOST_MOST);
        ensure!(count as f64 >= least, "{count} of {sent} came back");
        let game = after.game_ns.zip(before.game_ns);
        Ok(Sample {
            count,
            span_ns: u64::try_from(span.as_nanos())?,
            cpu_ns: after.cpu_ns - before.cpu_ns,
            game_ns: game.map(|(after, before)| after - before),
            switches: after.switches - before.switches,
            latency: procfs::latency(&report)?,
        })
    }

    fn end(self) -> Row {
        Row { peer: self.peer, facts: self.server.facts, samples: self.samples, memory: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peers;
    use std::collections::BTreeSet;

    #[test]
    fn each_has_a_name_of_its_own_and_its_kind_first() {
        let all = workloads(&peers::with_lanes());
        let names: BTreeSet<&str> = all.iter().map(|workload| &*workload.name).collect();
        assert_eq!((all.len(), names.len()), (8, 8));
        assert!(all.iter().all(|it| ["reliable", "unreliable"].contains(&&*it.load[0])));
        assert_eq!(all.iter().filter(|it| it.load.len() == 2).count(), 4);
    }
}

//! Pairs the servers of a workload. All live at once, each with its own load generator, and only
//! one runs at a time, for a short slice, in random order: a machine that drifts then drifts under
//! all of them.

use crate::counter::Counter;
use crate::figures::{Failure, Measured, Row, Sample};
use crate::pattern;
use crate::peers::{Peer, Server};
use crate::process::{LOAD_CPU, Process};
use crate::procfs;
use crate::workloads::Workload;
use anyhow::{Context, Result};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use std::{env, thread};

const PATIENCE: Duration = Duration::from_secs(60);
const PATIENCE_REPORT: Duration = Duration::from_secs(10);
/// After this a load generator that was forgotten ends by itself.
const LIMIT_S: u64 = 900;
/// Two looks at a counter this far apart that show the same: all that was sent has come.
const STILL: Duration = Duration::from_millis(3);

/// A server with its load generator.
struct Live {
    /// Of the server that is stopped outside of its slices.
    paced: bool,
    peer: Peer,
    server: Server,
    load: Process,
    counter: Counter,
    game: Option<u32>,
    samples: Vec<Sample>,
}

/// Measures one workload. A contender that fails is left out from there on.
pub fn measure(folder: &Path, workload: &Workload, failures: &mut Vec<Failure>) -> Measured {
    let mut fail = |peer: &Peer, error: anyhow::Error| {
        let place = format!("{}: {}", workload.name, peer.name);
        eprintln!("  {place} failed: {error:#}");
        failures.push(Failure { place, why: format!("{error:#}") });
    };
    let mut lives: Vec<Option<Live>> = Vec::new();
    for (n, peer) in workload.peers.iter().enumerate() {
        let live = Live::start(folder, peer, workload, n);
        lives.push(live.map_err(|error| fail(peer, error)).ok());
    }
    let mut order: Vec<usize> = (0..lives.len()).collect();
    let mut seed = seed();
    // One round more, not counted: the first slice also pays for what is made on first use.
    for round in 0..=workload.rounds {
        shuffle(&mut order, &mut seed);
        for n in &order {
            let Some(live) = &mut lives[*n] else { continue };
            let sample = live.slice(workload.slice);
            match sample.map_err(|error| live.or_ended(error)) {
                Ok(sample) if round > 0 => live.samples.push(sample),
                Ok(_) => {}
                Err(error) => {
                    fail(&live.peer, error);
                    lives[*n] = None;
                }
            }
        }
    }
    // Without the reference there is nothing to compare with.
    let rows = match lives.first() {
        Some(Some(_)) => lives.into_iter().flatten().map(Live::end).collect(),
        _ => Vec::new(),
    };
    Measured { workload: workload.clone(), rows }
}

impl Live {
    fn start(folder: &Path, peer: &Peer, workload: &Workload, n: usize) -> Result<Self> {
        let mut server = peer.start(folder, &workload.job)?;
        match Self::start_load(&server, peer, workload, n) {
            Ok((load, counter)) => {
                let (peer, samples, game) = (peer.clone(), Vec::new(), None);
                let paced = workload.paced;
                let mut live = Self { paced, peer, server, load, counter, game, samples };
                live.begin(workload).map_err(|error| live.or_ended(error))?;
                Ok(live)
            }
            Err(error) => Err(server.process.or_ended(error)),
        }
    }

    /// The load generator, at work, and what it counts.
    fn start_load(
        server: &Server,
        peer: &Peer,
        workload: &Workload,
        n: usize,
    ) -> Result<(Process, Counter)> {
        let path = env::temp_dir().join(format!("sockeye-bench-{}-{n}", std::process::id()));
        let counter = Counter::make(&path)?;
        let mut command = load(server.port, workload.conns, &path, LIMIT_S)?;
        command.args(&workload.load).args(peer.wire.load_args()?);
        let mut load = Process::start("the load generator", &mut command, LOAD_CPU)?;
        load.line(PATIENCE)?;
        Ok((load, counter))
    }

    /// Warms both up and stops them.
    fn begin(&mut self, workload: &Workload) -> Result<()> {
        self.warm(workload.warm)?;
        // It may get its name after the first line was printed.
        self.game = self.server.process.game_thread()?;
        self.stop()?;
        Ok(())
    }

    /// Waits until enough was counted.
    fn warm(&mut self, enough: u64) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while self.counter.get() < enough {
            self.demand_alive()?;
            let counted = self.counter.get();
            anyhow::ensure!(Instant::now() < deadline, "{counted} of {enough} came");
            thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    fn demand_alive(&mut self) -> Result<()> {
        self.server.process.demand_alive()?;
        self.load.demand_alive()
    }

    /// Why it failed: because one of them ended, and if both did, then the server.
    fn or_ended(&mut self, error: anyhow::Error) -> anyhow::Error {
        let error = self.load.or_ended(error);
        self.server.process.or_ended(error)
    }

    fn go_on(&self) -> Result<()> {
        self.load.go_on()?;
        if self.paced {
            self.server.process.go_on()?;
        }
        Ok(())
    }

    /// Ends a slice: asks for its latencies, and leaves both at rest. A server that acts by the
    /// clock is stopped first, and the load generator when it has read all that was sent; any
    /// other comes to rest when no more load comes.
    fn stop(&mut self) -> Result<(Instant, String)> {
        let mut end = Instant::now();
        if self.paced {
            self.server.process.stop()?;
            end = Instant::now();
            let mut before = self.counter.get();
            self.load.until("has read all", PATIENCE_REPORT, STILL, || {
                let now = self.counter.get();
                Ok(std::mem::replace(&mut before, now) == now)
            })?;
        }
        let report = self.load.ask("report", PATIENCE_REPORT)?;
        if !self.paced {
            end = Instant::now();
        }
        self.load.stop()?;
        if !self.paced {
            self.server.process.rest()?;
        }
        self.demand_alive()?;
        Ok((end, report))
    }

    /// Lets both run for one slice.
    fn slice(&mut self, length: Duration) -> Result<Sample> {
        let before = self.server.process.usage(self.game)?;
        let counted = self.counter.get();
        let start = Instant::now();
        self.go_on()?;
        thread::sleep(length);
        let (end, report) = self.stop()?;
        let after = self.server.process.usage(self.game)?;
        let count = self.counter.get() - counted;
        anyhow::ensure!(count > 0, "nothing came in a slice");
        let game = after.game_ns.zip(before.game_ns);
        Ok(Sample {
            count,
            span_ns: u64::try_from((end - start).as_nanos())?,
            cpu_ns: after.cpu_ns - before.cpu_ns,
            game_ns: game.map(|(after, before)| after - before),
            switches: after.switches - before.switches,
            latency: procfs::latency(&report)?,
        })
    }

    fn end(self) -> Row {
        // It was alive a moment ago; if the kernel does not tell, the cell stays empty.
        let memory = self.server.process.anonymous().ok();
        Row { peer: self.peer, facts: self.server.facts, samples: self.samples, memory }
    }
}

/// The command of a load generator, without its mode.
pub fn load(port: u16, conns: u32, counter: &Path, limit_s: u64) -> Result<Command> {
    let mut command = Command::new(env::current_exe().context("who am I")?);
    command.arg("load").args(["--port", &port.to_string(), "--conns", &conns.to_string()]);
    command.args(["--limit", &limit_s.to_string()]).arg("--counter").arg(counter);
    Ok(command)
}

/// Another one each time.
pub fn seed() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos() as u64
}

/// Fisher and Yates.
pub fn shuffle(order: &mut [usize], seed: &mut u64) {
    for end in (1..order.len()).rev() {
        let other = pattern::next(seed) % (end as u64 + 1);
        order.swap(end, other as usize);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shuffled_order_has_each_once() {
        let mut order: Vec<usize> = (0..9).collect();
        let mut seed = 1;
        shuffle(&mut order, &mut seed);
        assert_ne!(order, (0..9).collect::<Vec<_>>());
        order.sort_unstable();
        assert_eq!(order, (0..9).collect::<Vec<_>>());
    }
}

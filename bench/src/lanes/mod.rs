//! Lanes of datagrams, reliable and not: Sockeye, encrypted, beside libenet, plain.
//!
//! - `echo`: a small message and back, in turns; `transfer`: four mebibytes over a bad line.
//! - `idle`: memory of peers that say nothing; `crowd`: as many peers as one port takes.
//! - `flood`: players beside forged requests, which `forge` makes.
//! - `relay`: the bad line, a process of its own.
//!
//! The load generator is the same program as the server: it speaks the library's protocol.

pub mod crowd;
pub mod echo;
pub mod flood;
pub mod forge;
pub mod idle;
pub mod relay;
pub mod transfer;

use crate::figures::Failure;
use crate::peers::{Family, Peer, Server};
use crate::process::{LOAD_CPU, Process};
use crate::procfs;
use crate::stats::Quartiles;
use crate::table::Table;
use anyhow::{Context, Result, ensure};
use std::path::Path;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(150);

/// A table of the report.
pub struct Part {
    pub title: &'static str,
    pub about: String,
    pub table: Table,
}

/// A load generator whose peers are connected.
pub struct Load {
    pub process: Process,
    pub connected: u32,
}

fn server(folder: &Path, peer: &Peer, peers: u32) -> Result<Server> {
    let job = ["--role", "server", "--peers", &peers.to_string()].map(str::to_owned);
    peer.start(folder, &job)
}

/// Whatever form the server has, its load generator has one thread.
fn load(folder: &Path, peer: &Peer, port: u16, peers: u32, more: &[&str]) -> Result<Load> {
    let (port, count) = (port.to_string(), peers.to_string());
    let mut command = peer.command(folder, &[]);
    command.args(["--role", "load", "--port", &port, "--peers", &count]).args(more);
    if peer.family == Family::Lanes {
        command.args(["--drive", "host", "--workers", "0"]);
    }
    let mut process = Process::start("the load generator", &mut command, LOAD_CPU)?;
    let line = process.line(PATIENCE)?;
    let connected = procfs::number(&line, "connected").context("a strange first line")?;
    Ok(Load { process, connected: u32::try_from(connected)? })
}

/// The same with nobody missing.
fn load_all(folder: &Path, peer: &Peer, port: u16, peers: u32, more: &[&str]) -> Result<Load> {
    let load = load(folder, peer, port, peers, more)?;
    ensure!(load.connected == peers, "{} of {peers} connected", load.connected);
    Ok(load)
}

/// Has the peers of a load generator send, and gives what it reports.
fn run(load: &mut Load, length: Duration, kind: &str) -> Result<String> {
    load.process.ask(&format!("run {} {kind}", length.as_millis()), PATIENCE)
}

fn reported(report: &str, name: &str) -> Result<u64> {
    procfs::number(report, name).with_context(|| format!("no {name} in '{report}'"))
}

/// Measures each contender by itself; who fails is left out.
fn each<T>(
    what: &str,
    peers: &[Peer],
    failures: &mut Vec<Failure>,
    mut measure: impl FnMut(&Peer) -> Result<T>,
) -> Vec<(String, T)> {
    let mut found = Vec::new();
    for peer in peers {
        eprintln!("  {what}: {}", peer.name);
        match measure(peer) {
            Ok(row) => found.push((peer.name.clone(), row)),
            Err(error) => {
                eprintln!("  {} failed: {error:#}", peer.name);
                let place = format!("{what}: {}", peer.name);
                failures.push(Failure { place, why: format!("{error:#}") });
            }
        }
    }
    found
}

/// The median of some values with its quartiles, as exact as their size makes sense of.
fn spread(values: &[f64]) -> String {
    Quartiles::of(values).map_or("–".into(), |Quartiles { low, median, high }| {
        let digits = if median < 100.0 { 2 } else { 0 };
        format!("{median:.digits$} [{low:.digits$}–{high:.digits$}]")
    })
}

/// Of what is compared round by round; no ratio to nothing.
fn ratios(values: &[f64], to: &[f64]) -> Vec<f64> {
    values.iter().zip(to).filter(|(_, to)| **to > 0.0).map(|(value, to)| value / to).collect()
}

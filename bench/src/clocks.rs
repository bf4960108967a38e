//! What the calls of the library cost the host, as a server that reads its own clock around them
//! tells it.

use crate::counter::Counter;
use crate::figures::Failure;
use crate::peers;
use crate::process::{LOAD_CPU, Process};
use crate::procfs::number;
use crate::slices;
use crate::stats::Quartiles;
use crate::table::Table;
use anyhow::{Context, Result};
use std::path::Path;
use std::time::Duration;
use std::{env, thread};

const CONNS: u32 = 1000;
const ROUNDS: usize = 8;
const LENGTH: Duration = Duration::from_millis(300);
const PATIENCE: Duration = Duration::from_secs(30);
const LIMIT_S: u64 = 120;

/// A call: how it is reported, and the sums of a report that give its cost.
struct Call {
    name: &'static str,
    job: &'static str,
    total: &'static str,
    count: &'static str,
}

const CALLS: [Call; 5] = [
    Call { name: "`sockeye_poll_events`, an event", job: ECHO, total: "poll_ns", count: "events" },
    Call { name: "`sockeye_send`, a message", job: ECHO, total: "send_ns", count: "sends" },
    Call { name: "`sockeye_poll_events`, an event", job: TICK, total: "poll_ns", count: "events" },
    Call { name: "`sockeye_send`, a message", job: TICK, total: "send_ns", count: "sends" },
    Call {
        name: "`sockeye_send_many`, a connection",
        job: BROADCAST,
        total: "many_ns",
        count: "targets",
    },
];

const ECHO: &str = "echo, 1,000 × 64 B, 8 in flight";
const TICK: &str = "game loop, 30,000 a second";
const BROADCAST: &str = "broadcast of 200 B to 1,000";

/// Each job with the arguments of the server and of the load generator.
const JOBS: [(&str, &[&str], &[&str]); 3] = [
    (ECHO, &["--job", "echo"], &["--mode", "closed", "--in-flight", "8", "--size", "64"]),
    (TICK, &["--job", "tick"], &["--mode", "open", "--rate", "30000", "--size", "64"]),
    (BROADCAST, &["--job", "broadcast", "--size", "200"], &["--mode", "reader"]),
];

/// A call in a job, in nanoseconds.
pub struct Row {
    pub call: &'static str,
    pub job: &'static str,
    pub cost: Quartiles,
}

pub fn measure(folder: &Path, failures: &mut Vec<Failure>) -> Vec<Row> {
    let mut rows = Vec::new();
    for (job, server, load) in JOBS {
        eprintln!("  {job}");
        match reports(folder, server, load).and_then(|reports| costs(job, &reports)) {
            Ok(found) => rows.extend(found),
            Err(error) => {
                let place = format!("host costs: {job}");
                failures.push(Failure { place, why: format!("{error:#}") });
            }
        }
    }
    rows
}

/// The reports of a server at work, one for each stretch of time.
fn reports(folder: &Path, job: &[&str], mode: &[&str]) -> Result<Vec<String>> {
    let peer = peers::pool().with("", &["--clocks"]);
    let job: Vec<String> = job.iter().map(|word| (*word).to_owned()).collect();
    let mut server = peer.start(folder, &job)?;
    let path = env::temp_dir().join(format!("sockeye-bench-{}-clocks", std::process::id()));
    let _counter = Counter::make(&path)?;
    let mut command = slices::load(server.port, CONNS, &path, LIMIT_S)?;
    command.args(mode);
    let mut load = Process::start("the load generator", &mut command, LOAD_CPU)?;
    load.line(PATIENCE)?;
    let mut reports = Vec::new();
    // The first is of connecting.
    for _ in 0..=ROUNDS {
        thread::sleep(LENGTH);
        reports.push(server.process.ask("report", PATIENCE)?);
        load.demand_alive()?;
    }
    reports.remove(0);
    Ok(reports)
}

/// The calls of a job.
fn costs(job: &str, reports: &[String]) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for call in CALLS.iter().filter(|call| call.job == job) {
        let each = |line: &String| {
            let (total, count) = (number(line, call.total)?, number(line, call.count)?);
            (count > 0).then(|| total as f64 / count as f64)
        };
        let costs: Vec<f64> = reports.iter().filter_map(each).collect();
        let cost = Quartiles::of(&costs).with_context(|| format!("no {} told", call.count))?;
        rows.push(Row { call: call.name, job: call.job, cost });
    }
    Ok(rows)
}

pub fn table(rows: &[Row]) -> Table {
    let mut table = Table::new(["call", "in", "ns [quartiles]"]);
    for Row { call, job, cost: Quartiles { low, median, high } } in rows {
        let cost = format!("{median:.0} [{low:.0}–{high:.0}]");
        table.row(vec![(*call).into(), (*job).into(), cost]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn costs_are_formed_in_each_stretch() {
        let report = |poll: u32, events: u32| {
            format!("report poll_ns={poll} events={events} send_ns=300 sends=3 many_ns=0 targets=0")
        };
        let rows = costs(ECHO, &[report(1000, 10), report(4000, 20), report(0, 0)]).unwrap();
        assert_eq!((rows[0].cost.median, rows[1].cost.median), (150.0, 100.0));
        let text = table(&rows).text();
        assert!(text.contains("150 [125–175]"), "{text}");
        assert!(costs(BROADCAST, &[report(1, 1)]).is_err());
    }
}

//! The report of a run, in Markdown.

use crate::figures::{Failure, KEY, Measured, Row};
use crate::peers::{self, Peer};
use crate::stats::Quartiles;
use crate::table::Table;
use crate::workloads::{Extra, Group, grouped};
use crate::{clocks, guard, idle, lanes, memory, strangers};

/// All that a run found.
pub struct Report {
    pub machine: Vec<(&'static str, String)>,
    pub quick: bool,
    pub measured: Vec<Measured>,
    /// With how many connections.
    pub memory: (u32, Vec<memory::Row>),
    /// The same of servers with TLS and WebSocket.
    pub layered: (u32, Vec<memory::Row>),
    pub idle: Vec<idle::Row>,
    pub clocks: Vec<clocks::Row>,
    pub strangers: Vec<strangers::Row>,
    pub guard: Vec<guard::Row>,
    pub lanes: Vec<lanes::Part>,
    pub failures: Vec<Failure>,
}

const SECTIONS: [(Group, &str, Option<&str>); 9] = [
    (Group::Echo, "Echo", Some("echo")),
    (Group::Ticks, "Games, and comings and goings", Some("games")),
    (Group::RoundTrip, "Round trip", None),
    (Group::Datagrams, "Datagrams", None),
    (Group::Lanes, "Lanes", None),
    (Group::Tls, "TLS", None),
    (Group::Web, "WebSocket", None),
    (Group::Models, "Models", Some("models")),
    (Group::Timeouts, "Timeouts", None),
];

impl Report {
    /// The whole of it; `charts` are shown when they lie beside it.
    pub fn text(&self, charts: bool) -> String {
        let mut out = String::from("# Results\n\n");
        for (name, fact) in &self.machine {
            out.push_str(&format!("* {name}: {fact}\n"));
        }
        if self.quick {
            out.push_str("* a quick run: few rounds, few contenders\n");
        }
        self.key(&mut out);
        let show = |out: &mut String, name: &str, what: &str| {
            if charts {
                out.push_str(&format!("![{what}]({name}.svg)\n\n"));
            }
        };
        for (group, title, chart) in SECTIONS {
            let of: Vec<&Measured> = self.of(group).collect();
            if of.is_empty() {
                continue;
            }
            out.push_str(&format!("## {title}\n\n"));
            if let Some(chart) = chart {
                show(&mut out, chart, "Server CPU for a message, as ratios");
            }
            of.iter().for_each(|measured| workload(&mut out, measured));
        }
        if self.of(Group::Scaling).next().is_some() {
            out.push_str("## Many connections, a tenth of them active\n\n");
            show(&mut out, "scaling", "Server CPU for a message against the number of connections");
            self.scaling(&mut out);
        }
        if !self.memory.1.is_empty() {
            out.push_str("## Memory of idle connections\n\n");
            show(&mut out, "memory", "Memory of the server for each connection");
            idle_memory(&mut out, &self.memory);
        }
        if !self.layered.1.is_empty() {
            out.push_str("## Memory of idle connections with TLS and WebSocket\n\n");
            idle_memory(&mut out, &self.layered);
        }
        self.rest(&mut out);
        out.truncate(out.trim_end().len());
        out + "\n"
    }

    fn of(&self, group: Group) -> impl Iterator<Item = &Measured> {
        let filled = self.measured.iter().filter(|measured| !measured.rows.is_empty());
        filled.filter(move |measured| measured.workload.group == group)
    }

    /// The ratios that decide.
    fn key(&self, out: &mut String) {
        let mut table = Table::new(std::iter::once("workload").chain(KEY));
        let mut empty = true;
        for measured in self.of(Group::Echo).chain(self.of(Group::Ticks)) {
            let ratios = measured.key();
            if ratios.iter().all(Option::is_none) {
                continue;
            }
            empty = false;
            let mut cells: Vec<String> = ratios.into_iter().map(ratio).collect();
            if let Some(best) = measured.best_expert().filter(|_| cells[3] != NONE) {
                cells[3] += &format!(" ({})", best.peer.name);
            }
            cells.insert(0, measured.workload.name.clone());
            table.row(cells);
        }
        if !empty {
            out.push_str("\n## The ratios that decide\n\n");
            out.push_str(
                "Server CPU for a message, one contender to the other; below 1 the first ",
            );
            out.push_str(
                "costs less. Each ratio is formed inside a round: the median of all rounds ",
            );
            out.push_str(
                "[quartiles]. The best expert is that of libuv (two ways to wake), asio and ",
            );
            out.push_str("libevent which costs least in this workload.\n\n");
            out.push_str(&table.text());
        }
        out.push('\n');
    }

    fn scaling(&self, out: &mut String) {
        let all: Vec<&Measured> = self.of(Group::Scaling).collect();
        let heads =
            all.iter().map(|measured| format!("{}, µs", grouped(measured.workload.conns.into())));
        let heads: Vec<String> = std::iter::once("connections".into()).chain(heads).collect();
        let mut table = Table::new(heads.iter().map(String::as_str));
        for name in names(&all) {
            let cell = |measured: &&Measured| {
                let Some(row) = measured.row(name) else { return NONE.into() };
                cost_and_ratio(row, &measured.rows[0])
            };
            table.row(std::iter::once(name.to_owned()).chain(all.iter().map(cell)).collect());
        }
        out.push_str("Server CPU for a message, and the ratio to the epoll loop.\n\n");
        out.push_str(&format!("{}\n", table.text()));
    }

    /// Wake-ups, the host's costs, the programs, and what failed.
    fn rest(&self, out: &mut String) {
        if !self.idle.is_empty() {
            let (conns, seconds) = (grouped(idle::CONNS.into()), idle::WATCHED.as_secs());
            out.push_str("## Wake-ups of an idle server\n\n");
            out.push_str(&format!(
                "{conns} connections on which nothing happens, for {seconds} s.\n\n"
            ));
            out.push_str(&format!("{}\n", idle::table(&self.idle).text()));
        }
        if !self.clocks.is_empty() {
            out.push_str("## What the calls cost the host\n\n");
            out.push_str("CPU of the game's thread in `POOL`, by its own clock.\n\n");
            out.push_str(&format!("{}\n", clocks::table(&self.clocks).text()));
        }
        if !self.strangers.is_empty() {
            let (crowd, players) = (grouped(strangers::STRANGERS.into()), strangers::PLAYERS);
            let (rate, seconds) = (grouped(strangers::RATE.into()), strangers::WATCHED.as_secs());
            out.push_str("## Strangers\n\n");
            out.push_str(&format!(
                "{players} players with {rate} echoes of 64 B a second, on a net with all \
                 defaults, {seconds} s without and {seconds} s with {crowd} strangers, each of \
                 which claims a frame of 1 MiB, sends as much of it as is taken but never its \
                 end. They *are closed* while the net wants their memory, *stand* when it has \
                 enough, or *come again* at once when they are closed. Each round has a server of \
                 its own. *After them* is the time right after they have left. The last columns \
                 are what the strangers had closed and taken.\n\n"
            ));
            out.push_str(&format!("{}\n", strangers::table(&self.strangers).text()));
        }
        if !self.guard.is_empty() {
            let (knocks, players) = (grouped(guard::KNOCKS.into()), strangers::PLAYERS);
            let (rate, seconds) = (grouped(strangers::RATE.into()), strangers::WATCHED.as_secs());
            out.push_str("## The guard\n\n");
            out.push_str(&format!(
                "{players} players with {rate} echoes of 64 B a second, {seconds} s without and \
                 {seconds} s with peers that a rule denies: {knocks} connects a second are tried, \
                 from all addresses of a /16; how many were refused is in the table. Memory is the \
                 server's.\n\n"
            ));
            out.push_str(&format!("{}\n", guard::table(&self.guard).text()));
        }
        for lanes::Part { title, about, table } in &self.lanes {
            out.push_str(&format!("## {title}\n\n{about}\n\n{}\n", table.text()));
        }
        let programs = programs(&self.measured);
        if !programs.is_empty() {
            out.push_str("## The programs\n\n");
            let mut table = Table::new(["server", "started as", "says of itself"]);
            for (peer, facts) in programs {
                table.row(vec![peer.name.clone(), format!("`{}`", peer.told()), facts.to_owned()]);
            }
            out.push_str(&format!("{}\n", table.text()));
        }
        if !self.failures.is_empty() {
            out.push_str("## What failed\n\n");
            for Failure { place, why } in &self.failures {
                out.push_str(&format!("* {place}: {}\n", why.replace('\n', " ")));
            }
        }
    }
}

fn idle_memory(out: &mut String, (conns, rows): &(u32, Vec<memory::Row>)) {
    out.push_str(&format!(
        "Anonymous memory of the server, bytes for each of {} ",
        grouped((*conns).into())
    ));
    out.push_str("connections more than at the start (one connection had its echo by then). ");
    out.push_str("Sockets in the kernel are not counted.\n\n");
    out.push_str(&format!("{}\n", memory::table(rows).text()));
}

const NONE: &str = "–";

/// Each contender once, in the order of appearance.
fn names<'a>(all: &[&'a Measured]) -> Vec<&'a str> {
    let mut names: Vec<&str> = Vec::new();
    for row in all.iter().flat_map(|measured| &measured.rows) {
        if !names.contains(&&*row.peer.name) {
            names.push(&row.peer.name);
        }
    }
    names
}

fn programs(measured: &[Measured]) -> Vec<(&Peer, &str)> {
    let mut programs: Vec<(&Peer, &str)> = Vec::new();
    for row in measured.iter().flat_map(|measured| &measured.rows) {
        if !programs.iter().any(|(peer, _)| peer.name == row.peer.name) {
            programs.push((&row.peer, &row.facts));
        }
    }
    programs
}

/// One workload: what it is, and its table.
fn workload(out: &mut String, measured: &Measured) {
    let workload = &measured.workload;
    out.push_str(&format!("### {}\n\n{}\n", workload.name, workload.about));
    let (rounds, length) = (workload.rounds, workload.slice.as_millis());
    out.push_str(&format!("{rounds} rounds, slices of {length} ms.\n\n"));
    let base = &measured.rows[0];
    let game = measured.rows.iter().any(|row| row.of(|sample| sample.game()).is_some());
    let latency = measured.rows.iter().any(|row| row.of(|s| Some(s.latency?.p50)).is_some());
    let mut heads = vec!["server".into(), "CPU, µs".into(), format!("ratio to {}", base.peer.name)];
    if game {
        heads.push("game thread, µs".into());
    }
    heads.extend([format!("{}s a second", workload.unit), "busy".into()]);
    if latency {
        heads.extend(["p50", "p99", "p99.9"].map(str::to_owned));
    }
    heads.push(format!("switches a {}", workload.unit));
    match workload.extra {
        Extra::None => {}
        Extra::RatioTo(name) => heads.push(format!("ratio to {name}")),
        Extra::Ratios(names) => heads.extend(names.iter().map(|name| format!("ratio to {name}"))),
        Extra::RoundTrip => heads.push(format!("p50, ratio to {}", base.peer.name)),
        Extra::Memory => heads.push("memory at the end, MiB".into()),
    }
    let mut table = Table::new(heads.iter().map(String::as_str));
    for row in &measured.rows {
        let mut cells = vec![row.peer.name.clone(), cost(row), ratio(row.cost_ratio(base))];
        if game {
            cells.push(or_none(row.of(|sample| sample.game()), |ns| format!("{:.2}", ns / 1e3)));
        }
        cells.push(or_none(row.of(|s| Some(s.rate())), |rate| grouped(rate.round() as u64)));
        cells.push(or_none(row.of(|s| Some(s.busy())), |part| format!("{:.0} %", part * 100.0)));
        if latency {
            cells.push(or_none(row.of(|s| Some(s.latency?.p50)), time));
            cells.push(or_none(row.of(|s| Some(s.latency?.p99)), time));
            cells.push(or_none(row.of(|s| Some(s.latency?.p999)), time));
        }
        cells.push(or_none(row.of(|s| Some(s.switches())), |each| format!("{each:.3}")));
        let to = |name: &str| ratio(measured.row(name).and_then(|other| row.cost_ratio(other)));
        match workload.extra {
            Extra::None => {}
            Extra::RatioTo(name) => cells.push(to(name)),
            Extra::Ratios(names) => cells.extend(names.iter().map(|name| to(name))),
            Extra::RoundTrip => cells.push(ratio(row.ratio(base, |s| Some(s.latency?.p50)))),
            Extra::Memory => cells.push(row.memory.map_or(NONE.into(), mebibytes)),
        }
        table.row(cells);
    }
    out.push_str(&format!("{}\n", table.text()));
}

fn or_none(found: Option<Quartiles>, told: impl Fn(f64) -> String) -> String {
    found.map_or(NONE.into(), |quartiles| told(quartiles.median))
}

/// "1.03 [1.01–1.05]"
fn ratio(found: Option<Quartiles>) -> String {
    found.map_or(NONE.into(), |Quartiles { low, median, high }| {
        format!("{median:.2} [{low:.2}–{high:.2}]")
    })
}

fn cost(row: &Row) -> String {
    or_none(row.of(|sample| Some(sample.cost())), |ns| format!("{:.2}", ns / 1e3))
}

/// "5.91 (1.07)"
fn cost_and_ratio(row: &Row, base: &Row) -> String {
    let ratio = or_none(row.cost_ratio(base), |ratio| format!("{ratio:.2}"));
    format!("{} ({ratio})", cost(row))
}

fn mebibytes(bytes: u64) -> String {
    format!("{:.1}", bytes as f64 / 1_048_576.0)
}

/// Nanoseconds in the unit that fits.
fn time(ns: f64) -> String {
    match ns {
        ..1e6 => format!("{:.0} µs", ns / 1e3),
        1e6..1e7 => format!("{:.1} ms", ns / 1e6),
        _ => format!("{:.0} ms", ns / 1e6),
    }
}

/// All that a contender is, for who reads of it first.
pub fn contenders() -> String {
    let mut table = Table::new(["server", "started as"]);
    let of = [peers::epoll(), peers::epoll_edge(), peers::mmsg()].into_iter();
    let of = of.chain(peers::drives()).chain(peers::loops()).chain(peers::hosts());
    for peer in of.chain(peers::with_tls()).chain(peers::with_web()) {
        table.row(vec![peer.name.clone(), format!("`{}`", peer.told())]);
    }
    table.text()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::tests::measured;

    fn report() -> Report {
        let (memory, layered) = ((10, Vec::new()), (10, Vec::new()));
        let (idle, clocks) = (Vec::new(), Vec::new());
        let machine = vec![("kernel", "Linux 6".to_owned())];
        let failures = vec![Failure { place: "churn: x".into(), why: "it\nended".into() }];
        let measured = vec![measured()];
        let (strangers, guard) = (Vec::new(), Vec::new());
        Report {
            machine,
            quick: false,
            measured,
            memory,
            layered,
            idle,
            clocks,
            strangers,
            guard,
            lanes: Vec::new(),
            failures,
        }
    }

    #[test]
    fn a_report_has_ratios_figures_and_failures() {
        let text = report().text(true);
        assert!(text.contains("* kernel: Linux 6\n"));
        assert!(text.contains("| 0.80 [0.80–0.80] (asio expert) |"), "{text}");
        let row = text.lines().find(|line| line.starts_with("| Sockeye LEND ")).unwrap();
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let want =
            ["1.65", "1.10 [1.10–1.10]", "0.66", "10,000", "2 %", "90 µs", "200 µs", "3.0 ms"];
        assert_eq!(cells[2..10], want);
        assert!(text.contains("![Server CPU for a message, as ratios](echo.svg)"));
        assert!(text.ends_with("* churn: x: it ended\n"));
    }

    #[test]
    fn without_charts_none_is_shown_and_what_is_empty_is_left_out() {
        let text = report().text(false);
        assert!(!text.contains(".svg") && !text.contains("## Memory"));
        assert!(!text.contains("## Games"));
    }

    #[test]
    fn times_have_units() {
        let text = [85_000.0, 999_000.0, 1_234_000.0, 33_000_000.0].map(time);
        assert_eq!(text, ["85 µs", "999 µs", "1.2 ms", "33 ms"]);
    }

    #[test]
    fn every_contender_is_told_of() {
        assert_eq!(contenders().lines().count(), 2 + 3 + 4 + 4 + 8 + 8 + 7);
    }
}

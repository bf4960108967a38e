//! The files of `docs/bench`: how it is measured, what came out, and the charts.

use crate::charts::{self, Bar, Bars, Line, Panel};
use crate::figures::Measured;
use crate::memory;
use crate::peers::{EPOLL, Family, POOL};
use crate::report::{self, Report};
use crate::stats::Quartiles;
use crate::table::Table;
use crate::workloads::{Group, Workload, grouped};
use anyhow::{Context, Result};
use std::fs;
use std::path::Path;

/// The text with places for what the program knows best.
const METHOD: &str = include_str!("method.md");

/// Writes all of them; a chart of nothing is left out.
pub fn write(report: &Report, workloads: &[Workload], folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).context("cannot make the folder for the results")?;
    let mut files = vec![("README.md", method(workloads)), ("results.md", report.text(true))];
    files.extend(drawings(report)?);
    for (name, text) in files {
        fs::write(folder.join(name), text).with_context(|| format!("cannot write {name}"))?;
    }
    Ok(())
}

fn method(workloads: &[Workload]) -> String {
    let mut table = Table::new(["workload", "what happens", "slices"]);
    for Workload { name, about, slice, rounds, .. } in workloads {
        let slices = format!("{rounds} × {} ms", slice.as_millis());
        table.row(vec![name.clone(), about.clone(), slices]);
    }
    METHOD.replace("{contenders}\n", &report::contenders()).replace("{workloads}\n", &table.text())
}

/// The charts by name.
fn drawings(report: &Report) -> Result<Vec<(&'static str, String)>> {
    let mut drawn = Vec::new();
    let ratios = |title: &str| Bars {
        title: title.into(),
        axis: "server CPU, ratio to the epoll loop (median, quartiles)".into(),
        line: Some(1.0),
        most: 3.0,
        digits: 2,
    };
    let charts = [
        (Group::Echo, "echo.svg", "Echo: server CPU for a message, ratio to the epoll loop"),
        (Group::Ticks, "games.svg", "Games: server CPU for a message, ratio to the epoll loop"),
    ];
    for (group, name, title) in charts {
        let panels: Vec<Panel> = of(report, group).map(|measured| panel(measured, EPOLL)).collect();
        if !panels.is_empty() {
            drawn.push((name, charts::bars(&ratios(title), &panels)?));
        }
    }
    let panels: Vec<Panel> =
        of(report, Group::Models).map(|measured| panel(measured, POOL)).collect();
    if !panels.is_empty() {
        let title = "Every model: server CPU for a message, ratio to the model EPOLL in POOL";
        let how = Bars {
            axis: "server CPU, ratio to EPOLL in POOL (median, quartiles)".into(),
            ..ratios(title)
        };
        drawn.push(("models.svg", charts::bars(&how, &panels)?));
    }
    let lines = scaling(&of(report, Group::Scaling).collect::<Vec<_>>());
    if !lines.is_empty() {
        let axes = ("connections, a tenth of them active", "server CPU for a message, µs");
        let title = "What a message costs when there are many connections";
        drawn.push(("scaling.svg", charts::lines(title, axes, &lines)?));
    }
    let (conns, rows) = &report.memory;
    if !rows.is_empty() {
        let how = Bars {
            title: format!(
                "Memory of the server for each of {} connections",
                grouped((*conns).into())
            ),
            axis: "bytes".into(),
            line: None,
            most: f64::MAX,
            digits: 0,
        };
        drawn.push(("memory.svg", charts::bars(&how, &phases(rows))?));
    }
    Ok(drawn)
}

fn of(report: &Report, group: Group) -> impl Iterator<Item = &Measured> {
    let filled = report.measured.iter().filter(|measured| !measured.rows.is_empty());
    filled.filter(move |measured| measured.workload.group == group)
}

/// The costs of a workload as ratios to those of one contender.
fn panel(measured: &Measured, reference: &str) -> Panel {
    let base = measured.row(reference).unwrap_or(&measured.rows[0]);
    let cost = base.of(|sample| Some(sample.cost() / 1000.0)).map_or(0.0, |found| found.median);
    let bars = measured.rows.iter().filter_map(|row| {
        let (label, family) = (row.peer.name.clone(), row.peer.family);
        Some(Bar { label, family, value: row.cost_ratio(base)? })
    });
    let title = format!("{} ({}: {cost:.2} µs)", measured.workload.name, base.peer.name);
    Panel { title, bars: bars.collect() }
}

/// A line for each contender of the scaling workloads.
fn scaling(all: &[&Measured]) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    for row in all.iter().flat_map(|measured| &measured.rows) {
        let (label, family) = (row.peer.name.clone(), row.peer.family);
        if lines.iter().any(|line| line.label == label) {
            continue;
        }
        let points = all.iter().filter_map(|measured| {
            let cost = measured.row(&label)?.of(|sample| Some(sample.cost()))?;
            Some((f64::from(measured.workload.conns), cost.median / 1000.0))
        });
        lines.push(Line { points: points.collect(), label, family });
    }
    lines
}

/// A panel for each phase of the memory of idle connections.
fn phases(rows: &[memory::Row]) -> Vec<Panel> {
    let phases = memory::PHASES.iter().enumerate();
    let panel = |(n, phase): (usize, &&str)| {
        let bar = |row: &memory::Row| {
            let (label, family): (_, Family) = (row.peer.name.clone(), row.peer.family);
            let bytes = row.each[n].max(0) as f64;
            Bar { label, family, value: Quartiles { low: bytes, median: bytes, high: bytes } }
        };
        Panel { title: (*phase).into(), bars: rows.iter().map(bar).collect() }
    };
    phases.map(panel).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::tests::measured;
    use crate::{peers, workloads};

    fn report() -> Report {
        let row = memory::Row { peer: peers::epoll(), start: 1, each: [455, 480, 480, -3] };
        let mut scaling = measured();
        scaling.workload.group = Group::Scaling;
        Report {
            machine: Vec::new(),
            quick: false,
            measured: vec![measured(), scaling],
            memory: (10_000, vec![row]),
            layered: (0, Vec::new()),
            idle: Vec::new(),
            clocks: Vec::new(),
            strangers: Vec::new(),
            guard: Vec::new(),
            lanes: Vec::new(),
            failures: Vec::new(),
        }
    }

    #[test]
    fn the_method_names_every_contender_and_workload() {
        let workloads = workloads::all(&[]);
        let text = method(&workloads);
        assert!(!text.contains("{contenders}") && !text.contains("{workloads}"));
        assert!(workloads.iter().all(|workload| text.contains(&workload.name)));
        assert!(text.contains("libuv_peer --form inline"));
    }

    #[test]
    fn charts_are_valid_xml_and_those_of_nothing_are_left_out() {
        let drawn = drawings(&report()).unwrap();
        let names: Vec<&str> = drawn.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, ["echo.svg", "scaling.svg", "memory.svg"]);
        for (name, svg) in &drawn {
            assert!(roxmltree::Document::parse(svg).is_ok(), "{name}");
        }
    }

    #[test]
    fn all_files_are_written() {
        let folder = std::env::temp_dir().join(format!("sockeye-docs-{}", std::process::id()));
        write(&report(), &workloads::all(&[]), &folder).unwrap();
        let results = fs::read_to_string(folder.join("results.md")).unwrap();
        let links = results.lines().filter_map(|line| line.split_once("](")?.1.strip_suffix(')'));
        assert!(links.filter(|name| name.ends_with(".svg")).all(|name| folder.join(name).exists()));
        fs::remove_dir_all(folder).unwrap();
    }
}

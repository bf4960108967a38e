//! The numbers of a net as text for a monitoring system. Nothing is locked or allocated: each
//! number is a load of an atomic.

use crate::engine::host::facts::stats;
use crate::engine::host::net::Net;
use crate::engine::shared::core::Core;
use crate::engine::shared::counters::MetricKind;
use crate::engine::shared::guard::reason::Reason;
use crate::engine::shared::histogram::{Latencies, Measure, upper_ns};
use crate::engine::shared::home::Home;
use crate::engine::shared::queue::Queue;
use std::fmt::{Result, Write};
use std::sync::atomic::Ordering::Relaxed;

/// A metric with a sample for each of several: its name, what it is, its words, where it is found.
type Family<T> = (&'static str, MetricKind, &'static str, fn(&Core, &T) -> u64);

/// What the guard has refused.
const REFUSED: [(&str, &str, Reason); 6] = [
    ("guard_rule", "Connections and datagrams that a rule denied.", Reason::Rule),
    ("guard_ban", "Connections and datagrams of banned addresses.", Reason::Ban),
    ("guard_per_address", "Connections over per_address_max.", Reason::PerAddress),
    ("guard_rate", "Connections over accepts_per_s.", Reason::Rate),
    (
        "guard_address_rate",
        "Connections and datagrams over an address's rate.",
        Reason::AddressRate,
    ),
    ("guard_admit", "Connections that the host did not admit.", Reason::Admit),
];

const OF_QUEUES: [Family<Queue>; 3] = [
    ("queue_events", MetricKind::Gauge, "Events that wait in a queue now.", |_, queue| {
        queue.depth() as u64
    }),
    ("queue_bytes", MetricKind::Gauge, "Bytes of pending events in a queue now.", |_, queue| {
        queue.bytes()
    }),
    (
        "queue_oldest_ns",
        MetricKind::Gauge,
        "How long the oldest event of a queue waits; 0 without one.",
        |core, queue| core.age_of(queue).as_nanos() as u64,
    ),
];

const OF_WORKERS: [Family<Home>; 5] = [
    (
        "worker_sockets",
        MetricKind::Gauge,
        "Connections and listeners of a worker now.",
        |_, home| home.population() as u64,
    ),
    ("worker_turns", MetricKind::Counter, "Turns of a worker.", |_, home| {
        home.counters.turns.load(Relaxed)
    }),
    (
        "worker_waits",
        MetricKind::Counter,
        "Turns in which a worker waited in the system.",
        |_, home| home.counters.waits.load(Relaxed),
    ),
    (
        "worker_waited_ns",
        MetricKind::Counter,
        "Time that a worker waited in the system; it was busy for the rest.",
        |_, home| home.waited_ns(),
    ),
    ("worker_wakes", MetricKind::Counter, "System calls made only to wake a worker.", |_, home| {
        home.strikes()
    }),
];

const LATENCIES: [(&str, Measure, &str); 2] = [
    (
        "poll_latency_seconds",
        Measure::Poll,
        "Time from when a worker received a message until a poll handed it out.",
    ),
    (
        "send_latency_seconds",
        Measure::Send,
        "Time from the send of the oldest message of a write until the system took the write.",
    ),
];

/// How the numbers are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// The text exposition format 0.0.4 of Prometheus.
    Text,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

/// The text, into `out`.
struct Page<'a, W: Write> {
    out: &'a mut W,
    format: Format,
}

impl<W: Write> Page<'_, W> {
    /// What stands before the samples of a metric. Counters end in `_total`, which OpenMetrics does
    /// not count to the name of the family; times are in seconds.
    fn head(&mut self, name: &str, kind: MetricKind, words: &str) -> Result {
        let of_family = if self.format == Format::Text { kind } else { MetricKind::Gauge };
        write!(self.out, "# HELP ")?;
        self.name(name, of_family)?;
        write!(self.out, " {words}\n# TYPE ")?;
        self.name(name, of_family)?;
        let kind = match kind {
            MetricKind::Counter => "counter",
            MetricKind::Gauge => "gauge",
        };
        writeln!(self.out, " {kind}")
    }

    fn name(&mut self, name: &str, kind: MetricKind) -> Result {
        let (stem, unit) = name.strip_suffix("_ns").map_or((name, ""), |stem| (stem, "_seconds"));
        let end = if kind == MetricKind::Counter { "_total" } else { "" };
        write!(self.out, "sockeye_{stem}{unit}{end}")
    }

    /// One sample, of the one with this label if there are several.
    fn sample(
        &mut self,
        name: &str,
        kind: MetricKind,
        label: Option<(&str, usize)>,
        value: u64,
    ) -> Result {
        self.name(name, kind)?;
        if let Some((label, number)) = label {
            write!(self.out, "{{{label}=\"{number}\"}}")?;
        }
        if name.ends_with("_ns") {
            return self.seconds(value);
        }
        writeln!(self.out, " {value}")
    }

    /// Nanoseconds, as the value of a sample.
    fn seconds(&mut self, ns: u64) -> Result {
        writeln!(self.out, " {}.{:09}", ns / 1_000_000_000, ns % 1_000_000_000)
    }

    fn histogram(&mut self, name: &str, words: &str, counted: &Latencies) -> Result {
        writeln!(self.out, "# HELP sockeye_{name} {words}\n# TYPE sockeye_{name} histogram")?;
        let mut sum = 0;
        for (at, count) in counted.buckets.iter().enumerate() {
            sum += count;
            write!(self.out, "sockeye_{name}_bucket{{le=\"")?;
            match upper_ns(at) {
                Some(ns) => write!(self.out, "{}", ns as f64 / 1e9)?,
                None => write!(self.out, "+Inf")?,
            }
            writeln!(self.out, "\"}} {sum}")?;
        }
        write!(self.out, "sockeye_{name}_sum")?;
        self.seconds(counted.sum_ns)?;
        writeln!(self.out, "sockeye_{name}_count {sum}")
    }

    fn one(&mut self, name: &str, kind: MetricKind, words: &str, value: u64) -> Result {
        self.head(name, kind, words)?;
        self.sample(name, kind, None, value)
    }

    fn families<'t, T: 't>(
        &mut self,
        core: &Core,
        label: &str,
        families: &[Family<T>],
        members: impl Iterator<Item = (usize, &'t T)> + Clone,
    ) -> Result {
        for &(name, kind, words, value) in families {
            self.head(name, kind, words)?;
            for (number, member) in members.clone() {
                self.sample(name, kind, Some((label, number)), value(core, member))?;
            }
        }
        Ok(())
    }
}

/// Writes every number of a net, and of each queue and worker.
pub fn write_metrics(core: &Core, out: &mut impl Write, format: Format) -> Result {
    let mut page = Page { out, format };
    let mut written = Ok(());
    stats(core).each(|name, kind, words, value| {
        written = written.and_then(|()| page.one(name, kind, words, value));
    });
    written?;
    for (name, words, reason) in REFUSED {
        page.one(name, MetricKind::Counter, words, core.guard.refused(reason))?;
    }
    let words = "Addresses in the tables of all listeners now.";
    page.one("guard_addresses", MetricKind::Gauge, words, core.guard.addresses())?;
    let config = &core.config;
    for (name, words, most) in [
        ("connections_max", "Connections that may exist.", config.connections_max.into()),
        ("memory_max_bytes", "Bytes of memory that buffers may have.", config.memory_max_bytes),
        ("queue_max_bytes", "Bytes of events from which a queue is full.", config.queue_max_bytes),
    ] {
        page.one(name, MetricKind::Gauge, words, most)?;
    }
    page.families(core, "queue", &OF_QUEUES, core.queues.iter().enumerate())?;
    let there = core.homes.iter().enumerate().filter(|(_, home)| home.is_open());
    page.families(core, "worker", &OF_WORKERS, there)?;
    for (name, measure, words) in LATENCIES {
        if let Some(counted) = latencies(core, measure) {
            page.histogram(name, words, &counted)?;
        }
    }
    if format == Format::OpenMetrics { writeln!(page.out, "# EOF") } else { Ok(()) }
}

fn latencies(core: &Core, measure: Measure) -> Option<Latencies> {
    core.histograms.as_ref().map(|histograms| histograms.sum(measure))
}

impl Net {
    /// Writes the text exposition format 0.0.4 of Prometheus.
    pub fn write_metrics(&self, out: &mut impl Write) -> Result {
        write_metrics(&self.core, out, Format::Text)
    }

    /// What was counted of a latency. None: nothing is (`config.histograms`).
    pub fn latencies(&self, measure: Measure) -> Option<Latencies> {
        latencies(&self.core, measure)
    }
}

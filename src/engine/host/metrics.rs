//! The numbers of a net as text for a monitoring system: the text exposition format 0.0.4 of
//! Prometheus. Nothing is locked or allocated: each number is a load of an atomic.

use crate::engine::host::net::Net;
use crate::engine::shared::counters::MetricKind;
use crate::engine::shared::guard::reason::Reason;
use crate::engine::shared::home::Home;
use crate::engine::shared::queue::Queue;
use std::fmt::{Result, Write};
use std::sync::atomic::Ordering::Relaxed;

/// A metric with a sample for each of several: its name, what it is, its words, where it is found.
type Family<T> = (&'static str, MetricKind, &'static str, fn(&T) -> u64);

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

const OF_QUEUES: [Family<Queue>; 2] = [
    ("queue_events", MetricKind::Gauge, "Events that wait in a queue now.", |queue| {
        queue.depth() as u64
    }),
    ("queue_bytes", MetricKind::Gauge, "Bytes of pending events in a queue now.", Queue::bytes),
];

const OF_WORKERS: [Family<Home>; 5] = [
    ("worker_sockets", MetricKind::Gauge, "Connections and listeners of a worker now.", |home| {
        home.population() as u64
    }),
    ("worker_turns", MetricKind::Counter, "Turns of a worker.", |home| {
        home.counters.turns.load(Relaxed)
    }),
    (
        "worker_waits",
        MetricKind::Counter,
        "Turns in which a worker waited in the system.",
        |home| home.counters.waits.load(Relaxed),
    ),
    (
        "worker_waited_ns",
        MetricKind::Counter,
        "Time that a worker waited in the system; it was busy for the rest.",
        Home::waited_ns,
    ),
    (
        "worker_wakes",
        MetricKind::Counter,
        "System calls made only to wake a worker.",
        Home::strikes,
    ),
];

/// The text, into `out`.
struct Page<'a, W: Write> {
    out: &'a mut W,
}

impl<W: Write> Page<'_, W> {
    /// What stands before the samples of a metric. Counters end in `_total`, times in seconds.
    fn head(&mut self, name: &str, kind: MetricKind, words: &str) -> Result {
        write!(self.out, "# HELP ")?;
        self.name(name, kind)?;
        write!(self.out, " {words}\n# TYPE ")?;
        self.name(name, kind)?;
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
            return writeln!(self.out, " {}.{:09}", value / 1_000_000_000, value % 1_000_000_000);
        }
        writeln!(self.out, " {value}")
    }

    fn one(&mut self, name: &str, kind: MetricKind, words: &str, value: u64) -> Result {
        self.head(name, kind, words)?;
        self.sample(name, kind, None, value)
    }

    fn families<'t, T: 't>(
        &mut self,
        label: &str,
        families: &[Family<T>],
        members: impl Iterator<Item = (usize, &'t T)> + Clone,
    ) -> Result {
        for &(name, kind, words, value) in families {
            self.head(name, kind, words)?;
            for (number, member) in members.clone() {
                self.sample(name, kind, Some((label, number)), value(member))?;
            }
        }
        Ok(())
    }
}

impl Net {
    /// Writes every number of the net, and of each queue and worker.
    pub fn write_metrics(&self, out: &mut impl Write) -> Result {
        let core = &*self.core;
        let mut page = Page { out };
        let mut written = Ok(());
        self.stats().each(|name, kind, words, value| {
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
            (
                "queue_max_bytes",
                "Bytes of events from which a queue is full.",
                config.queue_max_bytes,
            ),
        ] {
            page.one(name, MetricKind::Gauge, words, most)?;
        }
        page.families("queue", &OF_QUEUES, core.queues.iter().enumerate())?;
        let there = core.homes.iter().enumerate().filter(|(_, home)| home.is_open());
        page.families("worker", &OF_WORKERS, there)
    }
}

//! What is made of the slices. A ratio is formed between two slices of one round, and then the
//! median of these is taken: a machine that got slower meanwhile did so for both.

use crate::peers::{self, Peer};
use crate::procfs::Latency;
use crate::stats::Quartiles;
use crate::workloads::Workload;

/// What was seen in one slice.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// How many were counted.
    pub count: u64,
    pub span_ns: u64,
    pub cpu_ns: u64,
    pub game_ns: Option<u64>,
    pub switches: u64,
    pub latency: Option<Latency>,
}

impl Sample {
    fn each(&self, total: u64) -> f64 {
        total as f64 / self.count as f64
    }

    /// Nanoseconds of the server's CPU for each message.
    pub fn cost(&self) -> f64 {
        self.each(self.cpu_ns)
    }

    /// Of which the game's own thread used so many.
    pub fn game(&self) -> Option<f64> {
        self.game_ns.map(|ns| self.each(ns))
    }

    /// Messages a second.
    pub fn rate(&self) -> f64 {
        self.count as f64 * 1e9 / self.span_ns as f64
    }

    /// The part of the slice in which the server was busy. At 1 it sets the pace of a closed loop,
    /// below it the load generator does.
    pub fn busy(&self) -> f64 {
        self.cpu_ns as f64 / self.span_ns as f64
    }

    pub fn switches(&self) -> f64 {
        self.each(self.switches)
    }
}

/// A contender in a workload, with its slices round by round.
pub struct Row {
    pub peer: Peer,
    pub facts: String,
    pub samples: Vec<Sample>,
    /// Anonymous memory at the end, in bytes, where that was asked for.
    pub memory: Option<u64>,
}

impl Row {
    /// Over those rounds in which there is such a figure.
    pub fn of(&self, figure: impl Fn(&Sample) -> Option<f64>) -> Option<Quartiles> {
        let values: Vec<f64> = self.samples.iter().filter_map(figure).collect();
        Quartiles::of(&values)
    }

    /// Of a figure to that of another row, formed inside the rounds.
    pub fn ratio(&self, base: &Self, figure: impl Fn(&Sample) -> Option<f64>) -> Option<Quartiles> {
        let rounds = self.samples.iter().zip(&base.samples);
        let ratios = rounds.filter_map(|(mine, other)| Some(figure(mine)? / figure(other)?));
        Quartiles::of(&ratios.collect::<Vec<f64>>())
    }

    /// Of CPU for each message.
    pub fn cost_ratio(&self, base: &Self) -> Option<Quartiles> {
        self.ratio(base, |sample| Some(sample.cost()))
    }
}

/// A workload with what it gave.
pub struct Measured {
    pub workload: Workload,
    /// The first is the reference; empty when that failed.
    pub rows: Vec<Row>,
}

impl Measured {
    pub fn row(&self, name: &str) -> Option<&Row> {
        self.rows.iter().find(|row| row.peer.name == name)
    }

    /// The one of these that costs least, by its ratio to the reference.
    fn best(&self, names: &[&str]) -> Option<&Row> {
        let base = self.rows.first()?;
        let rows = names.iter().filter_map(|name| self.row(name));
        let costs = rows.filter_map(|row| Some((row, row.cost_ratio(base)?.median)));
        costs.min_by(|(_, one), (_, other)| one.total_cmp(other)).map(|(row, _)| row)
    }

    /// The ratios that decide, `None` where a contender is missing.
    pub fn key(&self) -> Vec<Option<Quartiles>> {
        let ratio = |one: &str, other: Option<&Row>| self.row(one)?.cost_ratio(other?);
        let epoll = self.rows.first();
        let best = self.best_expert();
        vec![
            ratio(peers::LEND, epoll),
            ratio(peers::POOL, epoll),
            ratio(peers::HOST, epoll),
            ratio(peers::LEND, best),
            ratio(peers::LEND, self.row(peers::LIBUV_TYPICAL)),
            ratio(peers::HOST, self.row(peers::LIBUV_INLINE)),
        ]
    }

    /// The strongest of the others that have a thread of their own.
    pub fn best_expert(&self) -> Option<&Row> {
        self.best(&peers::EXPERTS)
    }
}

/// The heads of `Measured::key`.
pub const KEY: [&str; 6] = [
    "LEND / epoll",
    "POOL / epoll",
    "HOST / epoll",
    "LEND / best expert",
    "LEND / libuv typical",
    "HOST / libuv inline",
];

/// Something that did not work: where, and why.
pub struct Failure {
    pub place: String,
    pub why: String,
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::workloads;

    /// A row with these costs, ten messages a slice.
    pub fn row(peer: Peer, costs: &[u64]) -> Row {
        let latency = Some(Latency { count: 10, p50: 9e4, p99: 2e5, p999: 3e6 });
        let sample = |cost: &u64| Sample {
            count: 10,
            span_ns: 1_000_000,
            cpu_ns: cost * 10,
            game_ns: Some(cost * 4),
            switches: 5,
            latency,
        };
        let samples = costs.iter().map(sample).collect();
        Row { peer, facts: String::new(), samples, memory: None }
    }

    /// The machine got twice as slow in the second round: all did.
    pub fn measured() -> Measured {
        let workload = workloads::all(&[]).swap_remove(1);
        let named = |name: &str| Peer { name: name.into(), ..peers::pool() };
        let rows = vec![
            row(peers::epoll(), &[1000, 2000]),
            row(peers::lend(), &[1100, 2200]),
            row(named(peers::EXPERTS[0]), &[1600, 3200]),
            row(named(peers::EXPERTS[2]), &[1375, 2750]),
            row(named(peers::LIBUV_TYPICAL), &[2200, 4400]),
        ];
        Measured { workload, rows }
    }

    #[test]
    fn a_sample_is_taken_apart() {
        let row = row(peers::epoll(), &[1000]);
        let sample = row.samples[0];
        assert_eq!((sample.cost(), sample.game()), (1000.0, Some(400.0)));
        assert_eq!((sample.rate(), sample.switches(), sample.busy()), (10_000.0, 0.5, 0.01));
    }

    #[test]
    fn ratios_are_formed_inside_a_round() {
        let measured = measured();
        let found = measured.rows[1].cost_ratio(&measured.rows[0]).unwrap();
        assert_eq!(found, Quartiles { low: 1.1, median: 1.1, high: 1.1 });
        let cost = measured.rows[1].of(|sample| Some(sample.cost())).unwrap();
        assert_eq!(cost.median, 1650.0);
    }

    #[test]
    fn the_best_expert_is_the_cheapest_and_who_is_missing_has_no_ratio() {
        let measured = measured();
        assert_eq!(measured.best_expert().unwrap().peer.name, peers::EXPERTS[2]);
        let medians: Vec<_> = measured.key().into_iter().map(|found| Some(found?.median)).collect();
        assert_eq!(medians, [Some(1.1), None, None, Some(0.8), Some(0.5), None]);
        assert_eq!(medians.len(), KEY.len());
    }

    #[test]
    fn without_slices_there_are_no_figures() {
        let none = row(peers::epoll(), &[]);
        assert_eq!(none.cost_ratio(&none), None);
        assert_eq!(none.of(|sample| sample.game()), None);
    }
}

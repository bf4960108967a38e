//! Histograms of latencies: how long events waited for a poll, and sends for the system
//! (`config.histograms`). Each is written by one thread at a time, so nothing is locked and no
//! addition is atomic; whoever reads sees every number as it was at some moment.

use crate::engine::shared::counters::count;
use std::sync::atomic::{AtomicU64, Ordering::*};
use std::time::Duration;

/// Buckets of a histogram. There are nine for each power of ten, so that their bounds are round: up
/// to 1, 2, 3 … 9, 10, 20, 30 … microseconds, then 9 seconds, and one for all that is longer.
pub const BUCKETS: usize = 64;

/// The longest time that the bucket at `at` counts, in nanoseconds. None: the last has no bound.
pub fn upper_ns(at: usize) -> Option<u64> {
    (at + 1 < BUCKETS).then(|| (at % 9 + 1) as u64 * 10_u64.pow((at / 9) as u32) * 1000)
}

/// The bucket that counts this time.
fn bucket_of(time: Duration) -> usize {
    let us = time.as_nanos().div_ceil(1000).clamp(1, u128::from(u64::MAX)) as u64;
    let decade = us.ilog10();
    let digit = us.div_ceil(10_u64.pow(decade)) as usize;
    (decade as usize * 9 + digit - 1).min(BUCKETS - 1)
}

/// What is measured. The numbers are those of the C ABI.
#[repr(u32)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the C ABI's `sockeye_histogram_kind` documents each")]
pub enum Measure {
    Poll = 0,
    Send = 1,
}

impl Measure {
    /// The measure with this number.
    pub fn from_number(number: u32) -> Option<Measure> {
        [Measure::Poll, Measure::Send].get(number as usize).copied()
    }
}

/// Times, as one thread at a time counts them.
pub struct Histogram {
    buckets: [AtomicU64; BUCKETS],
    sum_ns: AtomicU64,
}

impl Default for Histogram {
    fn default() -> Self {
        Histogram { buckets: [const { AtomicU64::new(0) }; BUCKETS], sum_ns: AtomicU64::new(0) }
    }
}

impl Histogram {
    /// Counts one time for so many.
    fn add(&self, time: Duration, many: u64) {
        count(&self.buckets[bucket_of(time)], many);
        let ns = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let sum = self.sum_ns.load(Relaxed).saturating_add(ns.saturating_mul(many));
        self.sum_ns.store(sum, Relaxed);
    }
}

/// What histograms have counted together.
#[derive(Clone, Copy)]
pub struct Latencies {
    /// All that was counted: the sum of the buckets.
    pub count: u64,
    /// The sum of the times, in nanoseconds.
    pub sum_ns: u64,
    /// How many times each bucket has.
    pub buckets: [u64; BUCKETS],
}

/// When the oldest message left the host that waits in an outbox, and of those on their way to the
/// system, by the net's clock; 0: none does. Who changes one has the lock of its slot.
#[derive(Default)]
struct Departure {
    waits: AtomicU64,
    leaves: AtomicU64,
}

/// The histograms of a net.
pub struct Histograms {
    /// By queue, written by its poller.
    polls: Box<[Histogram]>,
    /// By worker, written by its turner.
    sends: Box<[Histogram]>,
    /// By slot of the table.
    departures: Box<[Departure]>,
}

impl Histograms {
    /// Those of a net with so many queues, workers and slots.
    pub fn new(queues: usize, homes: usize, slots: usize) -> Histograms {
        let some = |count| (0..count).map(|_| Histogram::default()).collect();
        let departures = (0..slots).map(|_| Departure::default()).collect();
        Histograms { polls: some(queues), sends: some(homes), departures }
    }

    /// A poll of this queue hands out so many messages that waited so long.
    pub fn polled(&self, queue: usize, time: Duration, messages: u64) {
        self.polls[queue].add(time, messages);
    }

    /// A slot has a new resident.
    pub fn begin(&self, index: usize) {
        let Departure { waits, leaves } = &self.departures[index];
        waits.store(0, Relaxed);
        leaves.store(0, Relaxed);
    }

    /// A message is put into an outbox. `now` is asked for only where none waits already.
    pub fn sent(&self, index: usize, now: impl FnOnce() -> Duration) {
        let waits = &self.departures[index].waits;
        if waits.load(Relaxed) == 0 {
            waits.store(now().as_nanos().max(1) as u64, Relaxed);
        }
    }

    /// What waits is on its way to the system. `all`: nothing waits behind it.
    pub fn leaves(&self, index: usize, all: bool) {
        let Departure { waits, leaves } = &self.departures[index];
        if leaves.load(Relaxed) == 0 {
            leaves.store(waits.load(Relaxed), Relaxed);
        }
        if all {
            waits.store(0, Relaxed);
        }
    }

    /// A worker finds, at `now`, that the system took all that was on its way.
    pub fn left(&self, index: usize, home: usize, now: Duration) {
        let since = self.departures[index].leaves.load(Relaxed);
        if since > 0 {
            self.departures[index].leaves.store(0, Relaxed);
            self.sends[home].add(now.saturating_sub(Duration::from_nanos(since)), 1);
        }
    }

    /// What all of a measure have counted.
    pub fn sum(&self, measure: Measure) -> Latencies {
        let mut all = Latencies { count: 0, sum_ns: 0, buckets: [0; BUCKETS] };
        let of = match measure {
            Measure::Poll => &self.polls,
            Measure::Send => &self.sends,
        };
        for one in of {
            all.sum_ns = all.sum_ns.saturating_add(one.sum_ns.load(Relaxed));
            for (sum, bucket) in all.buckets.iter_mut().zip(&one.buckets) {
                *sum += bucket.load(Relaxed);
            }
        }
        all.count = all.buckets.iter().sum();
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_in_the_first_bucket_that_is_not_below_it() {
        let times = (0..70_u32).flat_map(|power| {
            let near = 2_u64.saturating_pow(power);
            [near.saturating_sub(1), near, near.saturating_add(1)]
        });
        let bounds = (0..BUCKETS).filter_map(upper_ns).flat_map(|ns| [ns - 1, ns, ns + 1]);
        for ns in times.chain(bounds) {
            let first = (0..BUCKETS).find(|&at| upper_ns(at).is_none_or(|upper| ns <= upper));
            assert_eq!(Some(bucket_of(Duration::from_nanos(ns))), first, "{ns}");
        }
        assert_eq!(bucket_of(Duration::MAX), BUCKETS - 1);
        assert_eq!(upper_ns(BUCKETS - 2), Some(9_000_000_000));
    }

    #[test]
    fn the_oldest_of_a_write_counts_once_it_is_all_taken() {
        let all = Histograms::new(1, 1, 2);
        let at = |us| Duration::from_micros(us);
        let counted = || {
            let sends = all.sum(Measure::Send);
            (sends.count, sends.sum_ns / 1000)
        };
        all.left(1, 0, at(5));
        assert_eq!(counted(), (0, 0), "nothing was sent");
        all.sent(1, || at(10));
        all.sent(1, || unreachable!("an older one waits"));
        all.leaves(1, true);
        all.sent(1, || at(20));
        // The rest of a write that the system took a part of.
        all.leaves(1, true);
        all.left(1, 0, at(30));
        assert_eq!(counted(), (1, 20));
        all.sent(1, || at(50));
        all.leaves(1, false);
        all.left(1, 0, at(60));
        all.leaves(1, true);
        all.left(1, 0, at(70));
        assert_eq!(counted(), (3, 20 + 10 + 20));
        all.sent(1, || at(80));
        all.begin(1);
        all.leaves(1, true);
        all.left(1, 0, at(90));
        assert_eq!(counted().0, 3, "of another resident");
    }

    #[test]
    fn a_sum_of_times_does_not_wrap() {
        let one = Histogram::default();
        one.sum_ns.store(u64::MAX - 10, Relaxed);
        one.add(Duration::from_micros(1), 1);
        one.add(Duration::MAX, u64::MAX / 2);
        assert_eq!(one.sum_ns.load(Relaxed), u64::MAX);
    }
}

//! Latencies, from one report to the next.

use super::clock;
use anyhow::{Context, Result};
use hdrhistogram::Histogram;

/// An hour in ns; what takes longer is taken for that.
const LONGEST: u64 = 3_600_000_000_000;
/// Significant digits.
const DIGITS: u8 = 3;

pub struct Latencies {
    histogram: Histogram<u64>,
}

impl Latencies {
    pub fn new() -> Result<Self> {
        let histogram = Histogram::new_with_bounds(1, LONGEST, DIGITS).context("histogram")?;
        Ok(Self { histogram })
    }

    /// One sample, in ns of the clock. What began before the process last went on is none: it may
    /// have waited for this process.
    pub fn record(&mut self, began: u64, ended: u64) {
        if began >= clock::went_on() {
            self.histogram.saturating_record(ended.saturating_sub(began));
        }
    }

    /// A line of what came since the line before.
    pub fn report(&mut self) -> String {
        let histogram = &self.histogram;
        let [p50, p99, p999] = [0.5, 0.99, 0.999].map(|share| histogram.value_at_quantile(share));
        let (count, max) = (histogram.len(), histogram.max());
        self.histogram.reset();
        format!("report count={count} p50={p50} p99={p99} p999={p999} max={max}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// After any stop of this process.
    const BEGAN: u64 = u64::MAX / 2;

    fn number(report: &str, name: &str) -> u64 {
        let mut words = report.split(' ');
        words.find_map(|word| word.strip_prefix(name)).unwrap().parse().unwrap()
    }

    #[test]
    fn a_report_has_what_came_since_the_last() {
        let mut latencies = Latencies::new().unwrap();
        (1..=1000).for_each(|n| latencies.record(BEGAN, BEGAN + n * 1000));
        let report = latencies.report();
        assert!(report.starts_with("report count=1000 p50="), "{report}");
        for (name, want) in
            [("p50=", 500_000), ("p99=", 990_000), ("p999=", 999_000), ("max=", 1_000_000)]
        {
            let found = number(&report, name);
            assert!(found.abs_diff(want) <= want / 1000, "{report}");
        }
        assert_eq!(latencies.report(), "report count=0 p50=0 p99=0 p999=0 max=0");
    }

    #[test]
    fn what_is_longer_than_an_hour_is_kept() {
        let mut latencies = Latencies::new().unwrap();
        latencies.record(BEGAN, BEGAN + 2 * LONGEST);
        assert!(number(&latencies.report(), "max=") >= LONGEST);
    }
}

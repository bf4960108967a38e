//! What the kernel tells about a process, and the lines that our own processes print: all of it
//! text, read here.

use anyhow::{Context, Result};

/// The letter behind the name in `/proc/*/stat`; a name may have brackets and spaces.
pub fn state(stat: &str) -> Option<u8> {
    stat.rsplit_once(") ")?.1.bytes().next()
}

/// A field of `/proc/*/status`.
fn field<'a>(status: &'a str, name: &str) -> Option<&'a str> {
    status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
}

/// A thread's name in its `status`.
pub fn name(status: &str) -> Option<&str> {
    field(status, "Name")
}

/// How often a thread went to sleep of itself, in its `status`.
pub fn switches(status: &str) -> Option<u64> {
    field(status, "voluntary_ctxt_switches")?.parse().ok()
}

/// Nanoseconds on a processor, the first number of `schedstat`.
pub fn busy_ns(schedstat: &str) -> Option<u64> {
    schedstat.split_whitespace().next()?.parse().ok()
}

/// `Pss_Anon` of a `smaps_rollup` in bytes, or what older kernels have instead.
pub fn anonymous(smaps: &str) -> Option<u64> {
    let kib = |name| field(smaps, name)?.strip_suffix("kB")?.trim().parse::<u64>().ok();
    Some(kib("Pss_Anon").or_else(|| kib("Anonymous"))? * 1024)
}

/// The number behind `name=` in a line of words.
pub fn number(line: &str, name: &str) -> Option<u64> {
    let mut found = line.split_whitespace().filter_map(|word| word.split_once('='));
    found.find(|(key, _)| *key == name)?.1.parse().ok()
}

/// Latencies of one slice in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Latency {
    pub count: u64,
    pub p50: f64,
    pub p99: f64,
    pub p999: f64,
}

/// Reads `report count=N p50=NS p99=NS p999=NS max=NS`; of no samples there are no latencies.
pub fn latency(line: &str) -> Result<Option<Latency>> {
    let words = line.strip_prefix("report ").unwrap_or_default();
    let read = || {
        let ns = |name| Some(number(words, name)? as f64);
        let count = number(words, "count")?;
        Some(Latency { count, p50: ns("p50")?, p99: ns("p99")?, p999: ns("p999")? })
    };
    let latency = read().with_context(|| format!("no report: '{line}'"))?;
    Ok(Some(latency).filter(|latency| latency.count > 0))
}

/// Reads a server's first line, `listening PORT facts…`.
pub fn listening(line: &str) -> Result<(u16, String)> {
    let read = || {
        let words = line.strip_prefix("listening ")?;
        let (port, facts) = words.split_once(' ').unwrap_or((words, ""));
        Some((port.parse().ok()?, facts.trim().to_owned()))
    };
    read().with_context(|| format!("no port: '{line}'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_is_behind_the_name() {
        assert_eq!(state("12 (a) b) S 1 2"), Some(b'S'));
        assert_eq!(state("12"), None);
    }

    #[test]
    fn name_and_switches_are_read() {
        let text = "Name:\tsockeye-0\nState:\tS (sleeping)\n\
                    voluntary_ctxt_switches:\t42\nnonvoluntary_ctxt_switches:\t7\n";
        assert_eq!((name(text), switches(text)), (Some("sockeye-0"), Some(42)));
        assert_eq!((name("State:\tS\n"), switches("Name:\tx\n")), (None, None));
    }

    #[test]
    fn time_on_a_processor_is_the_first_number() {
        assert_eq!(busy_ns("1204500 3000 17\n"), Some(1_204_500));
        assert_eq!(busy_ns(""), None);
    }

    #[test]
    fn the_anonymous_part_is_read() {
        let text = "Rss:   5000 kB\nPss:  4000 kB\nPss_Anon:   1234 kB\nAnonymous: 1300 kB\n";
        assert_eq!(anonymous(text), Some(1234 * 1024));
        assert_eq!(anonymous("Rss: 5 kB\nAnonymous:   1300 kB\n"), Some(1300 * 1024));
        assert_eq!(anonymous("Rss: 5 kB\n"), None);
    }

    #[test]
    fn a_report_has_its_latencies_or_none() {
        let found = latency("report count=3 p50=100 p99=200 p999=300 max=400").unwrap();
        assert_eq!(found, Some(Latency { count: 3, p50: 100.0, p99: 200.0, p999: 300.0 }));
        assert_eq!(latency("report count=0 p50=0 p99=0 p999=0 max=0").unwrap(), None);
        assert!(latency("report count=3 p50=100 p99=200").is_err());
        assert!(latency("ready").is_err());
    }

    #[test]
    fn the_first_line_has_the_port() {
        assert_eq!(listening("listening 4000").unwrap(), (4000, String::new()));
        let (port, facts) = listening("listening 4000 model=epoll drive=pool").unwrap();
        assert_eq!((port, &*facts), (4000, "model=epoll drive=pool"));
        assert!(listening("hello").is_err());
        assert!(listening("listening here").is_err());
    }
}

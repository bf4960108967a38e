//! Reads the text of `sockeye_metrics_write`, and checks that it is one: the text exposition format
//! 0.0.4 of Prometheus.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::process::{Command, Stdio};

/// Each sample, by its name and labels. Fails where the text is not of the format.
pub fn samples(text: &str) -> BTreeMap<String, f64> {
    assert!(text.ends_with('\n'));
    let (mut families, mut found) = (BTreeSet::new(), BTreeMap::new());
    let (mut helped, mut family) = ("", ("", ""));
    for line in text.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, words) = help.split_once(' ').expect("a name and words");
            assert!(is_name(name) && !words.is_empty() && !words.contains('\\'), "{line}");
            helped = name;
        } else if let Some(kind) = line.strip_prefix("# TYPE ") {
            family = kind.split_once(' ').expect("a name and a kind");
            assert_eq!(family.0, helped, "HELP comes right before: {line}");
            assert!(families.insert(family.0), "twice: {line}");
            let kind = match family.0 {
                counter if counter.ends_with("_total") => "counter",
                histogram if histogram.ends_with("_latency_seconds") => "histogram",
                _ => "gauge",
            };
            assert_eq!(family.1, kind, "{line}");
        } else {
            let (series, value) = line.rsplit_once(' ').expect("a series and a value");
            let (name, label) = series.split_once('{').unwrap_or((series, "of=\"1\"}"));
            let ends: &[&str] =
                if family.1 == "histogram" { &["_bucket", "_sum", "_count"] } else { &[""] };
            let stem = name.strip_prefix(family.0).expect("below its TYPE");
            assert!(ends.contains(&stem), "{line}");
            let (label, rest) = label.split_once("=\"").expect("a label and its value");
            let of = rest.trim_end_matches("\"}").parse::<f64>();
            assert!(is_name(label) && of.is_ok(), "{line}");
            let value: f64 = value.parse().expect("a number");
            assert!(found.insert(series.to_owned(), value).is_none(), "twice: {line}");
        }
    }
    found
}

fn is_name(name: &str) -> bool {
    let fits = |byte: u8| byte == b'_' || byte.is_ascii_lowercase();
    !name.is_empty() && name.bytes().all(fits)
}

/// What Prometheus's own tool says of the text, where it is installed.
pub fn check_with_promtool(text: &str) {
    let mut promtool = Command::new("promtool");
    promtool.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let Ok(mut child) = promtool.stderr(Stdio::piped()).spawn() else { return };
    child.stdin.take().expect("a pipe").write_all(text.as_bytes()).expect("it reads");
    let said = child.wait_with_output().expect("it ends");
    let words = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(said.status.success() && words.is_empty(), "{words}");
}

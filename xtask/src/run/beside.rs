//! The arena over lanes beside the arena over TCP, on the same bad line.

use crate::run::arena::Fields;
use crate::run::table::milliseconds;
use anyhow::Result;
use std::fmt::Write;

/// How long it took from an input to the first snapshot with it, in microseconds.
pub struct Answers {
    p50: u64,
    p99: u64,
    longest: u64,
}

const NAMES: [&str; 2] = ["game://", "tcp://"];

impl Answers {
    pub fn read(bots: &Fields) -> Result<Self> {
        Ok(Self {
            p50: bots.number("latency_p50_us")?,
            p99: bots.number("latency_p99_us")?,
            longest: bots.number("latency_max_us")?,
        })
    }

    fn named(&self) -> [(&'static str, u64); 3] {
        [("p50", self.p50), ("p99", self.p99), ("longest", self.longest)]
    }
}

/// Lanes first.
pub fn table(both: &[Answers; 2]) -> String {
    let mut out = "input to snapshot, ms |    p50 |    p99 | longest\n".to_owned();
    for (name, answers) in NAMES.iter().zip(both) {
        let [p50, p99, longest] = answers.named().map(|(_, us)| milliseconds(us));
        out += &format!("{name:<21} | {p50:>6} | {p99:>6} | {longest:>7}\n");
    }
    out.trim_end().to_owned()
}

const WIDTH: u64 = 760;
const LEFT: u64 = 130;
const BAR: u64 = 18;

/// The table as bars, in an SVG that is read on light and on dark pages.
pub fn picture(both: &[Answers; 2], line: &str) -> String {
    let top = both.iter().map(|answers| answers.longest).max().unwrap_or(0).max(1);
    let mut bars = String::new();
    let mut y = 52;
    for (at, (name, answers)) in NAMES.iter().zip(both).enumerate() {
        for (label, us) in answers.named() {
            let width = us * (WIDTH - LEFT - 80) / top;
            let (text, end, ms) = (y + 14, LEFT + width + 8, us / 1000);
            let who = if label == "p50" { *name } else { "" };
            // Writing to a String does not fail.
            let _ = writeln!(
                bars,
                "<text x=\"10\" y=\"{text}\">{who}</text>\
                 <text x=\"{}\" y=\"{text}\" text-anchor=\"end\">{label}</text>\
                 <rect class=\"b{at}\" x=\"{LEFT}\" y=\"{y}\" width=\"{width}\" height=\"{BAR}\"/>\
                 <text x=\"{end}\" y=\"{text}\">{ms} ms</text>",
                LEFT - 8
            );
            y += BAR + 4;
        }
        y += 12;
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {y}\" width=\"{WIDTH}\">\n\
         <style>text{{font:14px sans-serif;fill:#333}}.b0{{fill:#2a7f62}}.b1{{fill:#b5651d}}\
         .page{{fill:#fff}}@media(prefers-color-scheme:dark){{text{{fill:#ddd}}\
         .page{{fill:#111}}}}</style>\n\
         <rect class=\"page\" width=\"{WIDTH}\" height=\"{y}\"/>\n\
         <text x=\"10\" y=\"20\">The arena: from an input to the first snapshot with it</text>\n\
         <text x=\"10\" y=\"40\">{line}</text>\n{bars}</svg>\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOTH: [Answers; 2] = [
        Answers { p50: 143_359, p99: 188_415, longest: 249_271 },
        Answers { p50: 155_647, p99: 458_751, longest: 558_223 },
    ];

    #[test]
    fn each_row_lies_under_the_head() {
        let table = table(&BOTH);
        let bars = |row: &str| row.match_indices('|').map(|(at, _)| at).collect::<Vec<_>>();
        let rows: Vec<_> = table.lines().collect();
        assert_eq!(rows.len(), 3);
        assert!(rows.iter().all(|row| bars(row) == bars(rows[0])), "{table}");
        assert!(rows[2].starts_with("tcp://") && rows[2].contains("458.75"), "{table}");
    }

    #[test]
    fn the_longest_bar_has_all_the_room() {
        let picture = picture(&BOTH, "each way: loss 5 %");
        let widest = format!("width=\"{}\" height=\"{BAR}\"", WIDTH - LEFT - 80);
        assert_eq!(picture.matches(&widest).count(), 1, "{picture}");
        assert!(picture.contains(">458 ms<") && picture.contains("loss 5 %"), "{picture}");
    }
}

//! The table of the demo: a row for each second of the arena.

use crate::run::arena::Fields;
use anyhow::Result;

/// `rooms`: how many a player is in, and how many of their messages found no room at a member.
/// `answer`: from an input to the first snapshot with it. `busy`: of one processor.
pub const HEAD: &str = concat!(
    "            |  messages/s   |    KiB/s    |   rooms    |   tick, ms   ",
    "|  answer, ms   |  RTT  | busy\n",
    "sec players |     in    out |   in    out | each skips |   p50    p99 ",
    "|    p50    p99 |    ms |    %",
);

/// The numbers of one second, under `HEAD`.
pub fn row(server: &Fields, bots: &Fields) -> Result<String> {
    let ms = |fields: &Fields, key: &str| fields.number(key).map(milliseconds);
    let players = server.number("players")?;
    Ok(format!(
        "{:>3} {:>7} | {:>6} {:>6} | {:>4} {:>6} | {:>4.1} {:>5} | {:>5} {:>6} | {:>6} {:>6} | \
         {:>5} | {:>4}",
        server.number("second")?,
        players,
        server.number("msgs_in")?,
        server.number("msgs_out")?,
        server.number("bytes_in")? / 1024,
        server.number("bytes_out")? / 1024,
        server.number("members")? as f64 / players.max(1) as f64,
        server.number("skips")?,
        ms(server, "tick_p50_us")?,
        ms(server, "tick_p99_us")?,
        ms(bots, "latency_p50_us")?,
        ms(bots, "latency_p99_us")?,
        ms(server, "rtt_p50_us")?,
        server.number("busy_percent")?,
    ))
}

/// Microseconds as milliseconds.
pub fn milliseconds(us: u64) -> String {
    format!("{:.2}", us as f64 / 1000.0)
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::run::arena::Said;

    pub const SERVER: &str = "second=1 players=200 msgs_in=5940 msgs_out=13500 bytes_in=123290 \
                              bytes_out=19388416 tick_p50_us=412 tick_p99_us=771 joins=200 \
                              leaves=0 members=450 skips=3 rtt_p50_us=87 rtt_p99_us=400 \
                              busy_percent=34";
    pub const BOTS: &str = "second=1 bots=200 snaps=13500 inputs=5940 missed=0 \
                            latency_p50_us=18204 latency_p99_us=34113 errors=0";

    #[test]
    fn a_row_lies_under_its_head() {
        let (Said::Second(server), Said::Second(bots)) =
            (Said::read(SERVER).unwrap(), Said::read(BOTS).unwrap())
        else {
            panic!("seconds")
        };
        let row = row(&server, &bots).unwrap();
        let bars = |text: &str| text.match_indices('|').map(|(at, _)| at).collect::<Vec<_>>();
        let (above, head) = HEAD.split_once('\n').unwrap();
        assert_eq!(bars(&row), bars(above));
        assert_eq!(bars(&row), bars(head));
        assert_eq!(row.len(), head.len());
        for part in ["0.41", " 18934 ", "34.11", " 2.2 ", " 0.09 ", "34"] {
            assert!(row.contains(part), "{row}");
        }
    }
}

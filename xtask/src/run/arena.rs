//! What the arena's programs say on their output, and whether the two of them agree.

use crate::args::Transport;
use anyhow::{Context, Result, bail};
use std::collections::HashMap;

/// `key=value` pairs of one line.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Fields(HashMap<String, String>);

/// One line of output.
#[derive(Debug, PartialEq)]
pub enum Said {
    /// The ports of the game and of its administrators; 0 is none.
    Listening {
        game: u16,
        admin: u16,
    },
    Second(Fields),
    Summary(Fields),
}

impl Fields {
    fn read(line: &str) -> Option<Self> {
        let pairs = line.split_whitespace().map(|word| word.split_once('='));
        let owned = |(key, value): (&str, &str)| (key.to_owned(), value.to_owned());
        pairs.map(|pair| pair.map(owned)).collect::<Option<_>>().map(Self)
    }

    pub fn number(&self, key: &str) -> Result<u64> {
        let value = self.0.get(key).with_context(|| format!("no {key}="))?;
        value.parse().with_context(|| format!("{key}={value}"))
    }
}

impl Said {
    pub fn read(line: &str) -> Result<Self> {
        let said = if let Some(ports) = line.strip_prefix("listening ") {
            ports.split_once(" admin ").and_then(|(game, admin)| {
                Some(Self::Listening { game: game.parse().ok()?, admin: admin.parse().ok()? })
            })
        } else if let Some(rest) = line.strip_prefix("summary ") {
            Fields::read(rest).map(Self::Summary)
        } else if line.starts_with("second=") {
            Fields::read(line).map(Self::Second)
        } else {
            None
        };
        said.with_context(|| format!("not a line of the arena: '{line}'"))
    }
}

/// What must be zero for the bots, beside the sum of it all.
const FAULTS: [&str; 10] = [
    "out_of_order",
    "corrupt",
    "ack_errors",
    "area_errors",
    "count_errors",
    "connect_failed",
    "lost",
    "kicked",
    "refused",
    "errors",
];
/// What one side sent and the other received.
const PAIRS: [(&str, &str); 6] = [
    ("inputs_received", "inputs_sent"),
    ("snapshots_due", "snapshots_due"),
    ("bytes_in", "bytes_out"),
    ("bytes_out", "bytes_in"),
    ("joins", "joins"),
    ("leaves", "leaves"),
];

/// Of those, what may be less with datagrams. The bytes of a net are those of its datagrams.
const LOSSY: [&str; 3] = ["inputs_received", "bytes_in", "bytes_out"];

/// Fails, with all that is wrong, unless both summaries are good and agree.
pub fn agree(server: &Fields, bots: &Fields, transport: Transport) -> Result<()> {
    let mut wrong = Vec::new();
    for fault in FAULTS {
        match bots.number(fault)? {
            0 => {}
            count => wrong.push(format!("bots: {fault}={count}")),
        }
    }
    for (ours, theirs) in PAIRS {
        let (server, bots) = (server.number(ours)?, bots.number(theirs)?);
        let lossy = transport == Transport::Game && LOSSY.contains(&ours);
        let lost = lossy && (ours.starts_with("bytes") || server <= bots);
        if server != bots && !lost {
            wrong.push(format!("server {ours}={server}, bots {theirs}={bots}"));
        }
    }
    if let Err(error) = replaced(server, bots) {
        wrong.push(error.to_string());
    }
    for (who, fields) in [("server", server), ("bots", bots)] {
        if fields.number("ok")? != 1 {
            wrong.push(format!("{who}: ok=0"));
        }
    }
    if bots.number("snapshots_received")? == 0 || bots.number("inputs_sent")? == 0 {
        wrong.push("nothing was played".into());
    }
    if !wrong.is_empty() {
        bail!("{}", wrong.join("; "));
    }
    Ok(())
}

/// How many snapshots gave way to a newer one: outboxes took them, and they did not arrive. The
/// bots know of each of them, and of each for which there was no room.
pub fn replaced(server: &Fields, bots: &Fields) -> Result<u64> {
    let delivered = server.number("snapshots_delivered")?;
    let received = bots.number("snapshots_received")?;
    let replaced = delivered.checked_sub(received);
    let replaced = replaced.with_context(|| format!("{delivered} sent, {received} received"))?;
    let never = server.number("snapshots_skipped")? + server.number("snapshots_refused")?;
    let missed = bots.number("snapshots_missed")?;
    if missed != replaced + never {
        bail!("bots snapshots_missed={missed}, {replaced} were replaced and {never} never taken");
    }
    Ok(replaced)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(line: &str) -> Fields {
        match Said::read(line).unwrap() {
            Said::Summary(fields) => fields,
            other => panic!("{other:?}"),
        }
    }

    fn server() -> String {
        "summary ticks=30 inputs_received=7 snapshots_due=12 snapshots_delivered=11 \
         snapshots_skipped=1 snapshots_refused=0 bytes_in=70 bytes_out=90 joins=2 leaves=2 ok=1"
            .into()
    }

    fn bots() -> String {
        let faults: String = FAULTS.iter().map(|fault| format!(" {fault}=0")).collect();
        "summary inputs_sent=7 snapshots_due=12 snapshots_received=9 snapshots_missed=3 \
         bytes_in=90 bytes_out=70 joins=2 leaves=2 ok=1"
            .to_owned()
            + &faults
    }

    #[test]
    fn lines_are_read() {
        let ports = Said::Listening { game: 4000, admin: 0 };
        assert_eq!(Said::read("listening 4000 admin 0").unwrap(), ports);
        let Said::Second(fields) = Said::read("second=3 players=200").unwrap() else { panic!() };
        assert_eq!(fields.number("players").unwrap(), 200);
        assert!(fields.number("joins").is_err());
        for bad in
            ["", "listening 4000", "listening 1 admin me", "second=3 players", "hello", "summary"]
        {
            assert!(Said::read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn good_summaries_agree() {
        agree(&summary(&server()), &summary(&bots()), Transport::Tcp).unwrap();
        assert_eq!(replaced(&summary(&server()), &summary(&bots())).unwrap(), 2);
    }

    #[test]
    fn each_snapshot_that_did_not_come_is_accounted_for() {
        for (was, is) in [("missed=3", "missed=2"), ("received=9", "received=12")] {
            let bad = bots().replace(was, is);
            assert!(agree(&summary(&server()), &summary(&bad), Transport::Tcp).is_err(), "{is}");
        }
        let bad = server().replace("skipped=1", "skipped=2");
        assert!(agree(&summary(&bad), &summary(&bots()), Transport::Tcp).is_err());
    }

    #[test]
    fn each_fault_of_the_bots_is_told() {
        for fault in FAULTS {
            let bad = bots().replace(&format!(" {fault}=0"), &format!(" {fault}=3"));
            let error =
                agree(&summary(&server()), &summary(&bad), Transport::Tcp).unwrap_err().to_string();
            assert_eq!(error, format!("bots: {fault}=3"));
        }
    }

    #[test]
    fn each_count_that_does_not_add_up_is_told() {
        for (ours, _) in PAIRS {
            let before = server();
            let at = before.find(&format!(" {ours}=")).unwrap() + ours.len() + 2;
            let bad = format!("{}1{}", &before[..at], &before[at..]);
            let error =
                agree(&summary(&bad), &summary(&bots()), Transport::Tcp).unwrap_err().to_string();
            assert!(error.starts_with(&format!("server {ours}=1")), "{error}");
        }
    }

    #[test]
    fn a_summary_that_says_no_or_lacks_a_number_fails() {
        let bad = server().replace("ok=1", "ok=0");
        assert!(agree(&summary(&bad), &summary(&bots()), Transport::Tcp).is_err());
        let short = server().replace("joins=2 ", "");
        assert!(agree(&summary(&short), &summary(&bots()), Transport::Tcp).is_err());
    }
}

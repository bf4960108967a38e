//! The command line of the load generator.

use crate::pattern;
use crate::wire::Kind;
use anyhow::{Context, Result, bail};
use lexopt::{Parser, ValueExt, prelude::*};
use std::path::PathBuf;
use std::time::Duration;

/// Bytes of the largest datagram over IPv4.
const DATAGRAM_MOST: usize = 65_507;

/// What to load a server with.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    pub port: u16,
    /// Connections; in churn, how many at once.
    pub conns: u32,
    pub counter: PathBuf,
    pub wire: Kind,
    /// The certificate of a server with TLS.
    pub ca: Option<PathBuf>,
    /// It ends by itself after so long, whatever became of the harness.
    pub limit: Duration,
    pub mode: Mode,
}

/// How. Sizes are bytes of a message.
#[derive(Clone, Debug, PartialEq)]
pub enum Mode {
    /// So many messages in flight on each of the first `active` connections.
    Closed { in_flight: u32, size: usize, active: u32 },
    /// So many messages a second over all connections in turn.
    /// `asleep`: it sleeps until the next is due.
    Open { rate: u32, size: usize, asleep: bool },
    /// Takes broadcasts; of a thousand connections, `slow` never read.
    Reader { slow: u32 },
    /// Connects, has one echo, closes, and again.
    Churn { size: usize },
    /// So many datagrams in flight on each socket.
    Udp { in_flight: u32, size: usize },
}

/// What the command line has of the options that belong to modes.
#[derive(Default)]
struct Found {
    in_flight: Option<u32>,
    size: Option<usize>,
    active: Option<u32>,
    rate: Option<u32>,
    slow: Option<u32>,
    asleep: bool,
}

/// Takes all arguments that are left.
pub fn options(parser: &mut Parser) -> Result<Options> {
    let (mut port, mut conns, mut counter, mut limit) = (None, None, None, None);
    let (mut mode, mut wire, mut ca) = ("closed".to_owned(), Kind::Tcp, None);
    let mut found = Found::default();
    while let Some(arg) = parser.next()? {
        match arg {
            Long("mode") => mode = parser.value()?.string()?,
            Long("wire") => wire = Kind::of(&parser.value()?.string()?)?,
            Long("ca") => ca = Some(PathBuf::from(parser.value()?)),
            Long("port") => port = Some(parser.value()?.parse()?),
            Long("conns") => conns = Some(parser.value()?.parse()?),
            Long("counter") => counter = Some(PathBuf::from(parser.value()?)),
            Long("limit") => limit = Some(parser.value()?.parse()?),
            Long("in-flight") => found.in_flight = Some(parser.value()?.parse()?),
            Long("size") => found.size = Some(parser.value()?.parse()?),
            Long("active") => found.active = Some(parser.value()?.parse()?),
            Long("rate") => found.rate = Some(parser.value()?.parse()?),
            Long("asleep") => found.asleep = true,
            Long("slow") => found.slow = Some(parser.value()?.parse()?),
            other => return Err(other.unexpected().into()),
        }
    }
    let conns = conns.context("--conns N is missing")?;
    // One number names the standard input.
    if conns == 0 || conns == u32::MAX {
        bail!("--conns has to be at least 1");
    }
    let mode = found.mode(&mode, conns)?;
    if wire != Kind::Tcp && matches!(mode, Mode::Udp { .. }) {
        bail!("--wire is not for the mode udp");
    }
    Ok(Options {
        wire,
        ca,
        port: port.context("--port P is missing")?,
        conns,
        counter: counter.context("--counter FILE is missing")?,
        limit: Duration::from_secs(limit.context("--limit SECONDS is missing")?),
        mode,
    })
}

impl Found {
    /// The mode of this name, if it has the options that it needs and no others.
    fn mode(mut self, name: &str, conns: u32) -> Result<Mode> {
        let mode = match name {
            "closed" => {
                let in_flight = positive(self.in_flight.take(), "--in-flight")?;
                let active = positive(Some(self.active.take().unwrap_or(conns)), "--active")?;
                if active > conns {
                    bail!("--active has to be at most {conns}, as many as there are");
                }
                Mode::Closed { in_flight, size: self.size()?, active }
            }
            "open" => {
                let asleep = std::mem::take(&mut self.asleep);
                Mode::Open {
                    rate: positive(self.rate.take(), "--rate")?,
                    size: self.size()?,
                    asleep,
                }
            }
            "reader" => match self.slow.take().unwrap_or(0) {
                slow @ 0..=1000 => Mode::Reader { slow },
                _ => bail!("--slow has to be at most 1000"),
            },
            "churn" => Mode::Churn { size: self.size()? },
            "udp" => {
                let in_flight = positive(self.in_flight.take(), "--in-flight")?;
                match self.size()? {
                    size @ ..=DATAGRAM_MOST => Mode::Udp { in_flight, size },
                    _ => bail!("--size has to be at most {DATAGRAM_MOST} in datagrams"),
                }
            }
            other => bail!("no mode '{other}'"),
        };
        let left = [
            ("--in-flight", self.in_flight.is_some()),
            ("--size", self.size.is_some()),
            ("--active", self.active.is_some()),
            ("--rate", self.rate.is_some()),
            ("--slow", self.slow.is_some()),
            ("--asleep", self.asleep),
        ];
        match left.iter().find(|(_, given)| *given) {
            Some((option, _)) => bail!("{option} is not for the mode {name}"),
            None => Ok(mode),
        }
    }

    fn size(&mut self) -> Result<usize> {
        let size = self.size.take().context("--size is missing")?;
        let (least, most) = (pattern::SIZES.start(), pattern::SIZES.end());
        if !pattern::SIZES.contains(&size) {
            bail!("--size has to be between {least} and {most}");
        }
        Ok(size)
    }
}

fn positive(value: Option<u32>, name: &str) -> Result<u32> {
    match value.with_context(|| format!("{name} is missing"))? {
        0 => bail!("{name} has to be at least 1"),
        value => Ok(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(rest: &str) -> Result<Mode, String> {
        let all = format!("--port 1 --conns 8 --counter c --limit 2 {rest}");
        let found = options(&mut Parser::from_args(all.split_whitespace()));
        found.map(|options| options.mode).map_err(|error| format!("{error:#}"))
    }

    #[test]
    fn each_mode_has_its_options() {
        let closed = |in_flight, active| Ok(Mode::Closed { in_flight, size: 64, active });
        assert_eq!(mode("--in-flight 3 --size 64"), closed(3, 8));
        assert_eq!(mode("--mode closed --in-flight 1 --size 64 --active 2"), closed(1, 2));
        let open = |asleep| Ok(Mode::Open { rate: 5, size: 16, asleep });
        assert_eq!(mode("--mode open --rate 5 --size 16"), open(false));
        assert_eq!(mode("--mode open --asleep --rate 5 --size 16"), open(true));
        assert_eq!(mode("--mode reader"), Ok(Mode::Reader { slow: 0 }));
        assert_eq!(mode("--mode reader --slow 10"), Ok(Mode::Reader { slow: 10 }));
        assert_eq!(mode("--mode churn --size 64"), Ok(Mode::Churn { size: 64 }));
        let udp = Ok(Mode::Udp { in_flight: 8, size: 65_507 });
        assert_eq!(mode("--mode udp --in-flight 8 --size 65507"), udp);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for (rest, word) in [
            ("--mode closed --size 64", "--in-flight is missing"),
            ("--in-flight 0 --size 64", "--in-flight has to be"),
            ("--in-flight 1", "--size is missing"),
            ("--in-flight 1 --size 15", "--size has to be"),
            ("--in-flight 1 --size 1048581", "--size has to be"),
            ("--in-flight 1 --size 64 --active 9", "--active has to be at most 8"),
            ("--mode open --size 64", "--rate is missing"),
            ("--mode reader --size 64", "--size is not for the mode reader"),
            ("--mode reader --asleep", "--asleep is not for the mode reader"),
            ("--mode reader --slow 1001", "--slow has to be"),
            ("--mode churn --size 64 --in-flight 2", "--in-flight is not for"),
            ("--mode udp --size 64", "--in-flight is missing"),
            ("--mode udp --in-flight 1 --size 65508", "--size has to be at most 65507"),
            ("--mode udp --in-flight 1 --size 64 --active 1", "--active is not for"),
            ("--mode udp --in-flight 1 --size 64 --wire tls", "--wire is not for"),
            ("--mode reader --wire string", "no wire 'string'"),
            ("--mode sideways", "no mode 'sideways'"),
            ("--conns 0 --mode reader", "--conns has to be"),
            ("--loud", "invalid option"),
        ] {
            let error = mode(rest).unwrap_err();
            assert!(error.contains(word), "{rest}: {error}");
        }
    }
}

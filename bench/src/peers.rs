//! The servers that are compared.

use crate::process::{Process, SERVER_CPU};
use anyhow::{Context, Result, bail};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(20);

/// A program and how it is started.
#[derive(Clone, Copy)]
pub struct Peer {
    pub name: &'static str,
    pub program: &'static str,
    pub args: &'static [&'static str],
}

/// What all are measured against.
pub const EPOLL: Peer = Peer { name: "epoll, C", program: "epoll_echo", args: &[] };
/// The same with edges: how far two equals lie apart.
pub const EPOLL_EDGE: Peer =
    Peer { name: "epoll, C, edge", program: "epoll_echo", args: &["--trigger", "edge"] };

const fn sockeye(name: &'static str, args: &'static [&'static str]) -> Peer {
    Peer { name, program: "sockeye_echo", args }
}

pub const POOL: Peer = sockeye(
    "POOL, manual",
    &["--drive", "pool", "--workers", "1", "--flush", "manual", "--framing", "u32be"],
);
pub const POOL_AUTO: Peer = sockeye(
    "POOL, auto",
    &["--drive", "pool", "--workers", "1", "--flush", "auto", "--framing", "u32be"],
);
pub const POOL_RAW: Peer = sockeye(
    "POOL, manual, raw",
    &["--drive", "pool", "--workers", "1", "--flush", "manual", "--framing", "raw"],
);
pub const LEND: Peer = sockeye(
    "LEND, manual",
    &["--drive", "lend", "--workers", "1", "--flush", "manual", "--framing", "u32be"],
);
pub const HOST: Peer = sockeye(
    "HOST, manual",
    &["--drive", "host", "--workers", "1", "--flush", "manual", "--framing", "u32be"],
);
pub const HOST_AUTO: Peer = sockeye(
    "HOST, auto",
    &["--drive", "host", "--workers", "1", "--flush", "auto", "--framing", "u32be"],
);
pub const HOST_RAW: Peer = sockeye(
    "HOST, manual, raw",
    &["--drive", "host", "--workers", "1", "--flush", "manual", "--framing", "raw"],
);
pub const HOST_ALONE: Peer = sockeye(
    "HOST, no thread",
    &["--drive", "host", "--workers", "0", "--flush", "manual", "--framing", "u32be"],
);

/// A server that runs.
pub struct Server {
    pub process: Process,
    pub port: u16,
    /// What it says of itself, beside the port.
    pub facts: String,
}

/// The first of `peers`, and those whose name has `only` in it.
pub fn chosen(peers: &[Peer], only: &str) -> Vec<Peer> {
    let rest = peers.iter().skip(1).filter(|peer| peer.name.contains(only));
    peers.iter().take(1).chain(rest).copied().collect()
}

impl Peer {
    /// Starts it out of the folder with the programs.
    pub fn start(&self, folder: &Path) -> Result<Server> {
        let mut command = Command::new(folder.join(self.program));
        command.args(self.args);
        let mut process = Process::start(self.name, &mut command, SERVER_CPU)?;
        let line = process.line(PATIENCE)?;
        let (port, facts) =
            listening(&line).with_context(|| format!("{} says '{line}'", self.name))?;
        Ok(Server { process, port, facts })
    }
}

/// `listening PORT facts…`
fn listening(line: &str) -> Result<(u16, String)> {
    let mut words = line.splitn(3, ' ');
    match (words.next(), words.next()) {
        (Some("listening"), Some(port)) => {
            Ok((port.parse()?, words.next().unwrap_or_default().to_owned()))
        }
        _ => bail!("no port"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_always_chosen() {
        let names = |only| chosen(&[EPOLL, POOL, HOST], only).into_iter().map(|peer| peer.name);
        assert_eq!(names("").count(), 3);
        assert_eq!(names("HOST").collect::<Vec<_>>(), [EPOLL.name, HOST.name]);
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

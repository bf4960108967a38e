//! The servers that are compared: programs with their arguments.

use crate::process::{Process, SERVER_CPU};
use crate::procfs;
use crate::wire::Kind;
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(20);

/// What a server is built on.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Family {
    #[default]
    Epoll,
    /// The same for datagrams.
    Udp,
    Sockeye,
    Libuv,
    Asio,
    Libevent,
    /// With TLS.
    Openssl,
    AsioSsl,
    LibeventSsl,
    /// With WebSocket.
    WebEpoll,
    Beast,
    Lws,
    /// With lanes of datagrams.
    Enet,
    Lanes,
}

impl Family {
    fn program(self) -> &'static str {
        match self {
            Self::Epoll => "epoll_peer",
            Self::Udp => "udp_peer",
            Self::Sockeye => "sockeye_peer",
            Self::Libuv => "libuv_peer",
            Self::Asio => "asio_peer",
            Self::Libevent => "libevent_peer",
            Self::Openssl => "openssl_peer",
            Self::AsioSsl => "asio_ssl_peer",
            Self::LibeventSsl => "libevent_ssl_peer",
            Self::WebEpoll => "web_peer",
            Self::Beast => "beast_peer",
            Self::Lws => "lws_peer",
            Self::Enet => "enet_peer",
            Self::Lanes => "lanes_peer",
        }
    }
}

/// A server as it is started.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Peer {
    pub name: String,
    pub family: Family,
    pub args: Vec<String>,
    /// What its connections speak below the messages.
    pub wire: Kind,
    /// Where the programs of its version are, if that is an earlier one.
    pub folder: Option<PathBuf>,
}

/// The references of TLS and of WebSocket.
pub const OPENSSL: &str = "OpenSSL";
pub const WEB: &str = "epoll, web";
pub const ASIO_SSL: &str = "asio + OpenSSL";
pub const OPENSSL_EACH: &str = "OpenSSL, each";
pub const BEAST: &str = "Beast";
pub const LWS: &str = "libwebsockets";
/// And of lanes.
pub const ENET: &str = "libenet";
/// What all are measured against; and in workloads of datagrams.
pub const EPOLL: &str = "epoll";
pub const MMSG: &str = "recvmmsg";
pub const POOL: &str = "Sockeye POOL";
pub const LEND: &str = "Sockeye LEND";
pub const HOST: &str = "Sockeye HOST";
pub const HOST_ALONE: &str = "Sockeye HOST, no thread";
pub const LIBUV_TYPICAL: &str = "libuv typical";
pub const LIBUV_INLINE: &str = "libuv inline";
/// The strongest forms that have a thread of their own, as a library with workers has.
pub const EXPERTS: [&str; 4] =
    ["libuv expert", "libuv expert, eventfd", "asio expert", "libevent expert"];

/// Models of Sockeye beside the default, with the most connections each is tried with.
const MODELS: [(&str, u32); 5] = [
    ("poll", u32::MAX),
    ("select", u32::MAX),
    // A thread for each connection.
    ("blocking", 1000),
    ("tokio", u32::MAX),
    ("io_uring", u32::MAX),
];

/// Models whose work is bound to a thread: the host cannot turn them beside a thread of ours.
pub const BOUND: [&str; 1] = ["io_uring"];

fn form(name: &str, family: Family, form: &str) -> Peer {
    Peer { name: name.into(), family, args: vec!["--form".into(), form.into()], ..Peer::default() }
}

fn sockeye(name: &str, drive: &str, workers: &str) -> Peer {
    let common = ["--flush", "manual", "--framing", "u32be"];
    let args = ["--drive", drive, "--workers", workers].into_iter().chain(common);
    let args = args.map(str::to_owned).collect();
    Peer { name: name.into(), family: Family::Sockeye, args, ..Peer::default() }
}

pub fn epoll() -> Peer {
    form(EPOLL, Family::Epoll, "loop")
}

/// The same with edges: how far two equals lie apart.
pub fn epoll_edge() -> Peer {
    form("epoll, edge", Family::Epoll, "edge")
}

/// The least that a server of datagrams can do.
pub fn mmsg() -> Peer {
    Peer { name: MMSG.into(), family: Family::Udp, ..Peer::default() }
}

pub fn pool() -> Peer {
    sockeye(POOL, "pool", "1")
}

pub fn lend() -> Peer {
    sockeye(LEND, "lend", "1")
}

pub fn host() -> Peer {
    sockeye(HOST, "host", "1")
}

/// A net and an endpoint with all defaults, with each model.
pub fn plain(models: &[(&'static str, u32)]) -> Vec<Peer> {
    let names = std::iter::once("epoll").chain(models.iter().map(|(model, _)| *model));
    let plain = |model: &str| Peer {
        name: format!("Sockeye, {model}"),
        family: Family::Sockeye,
        args: ["--plain", "--model", model].map(str::to_owned).into(),
        ..Peer::default()
    };
    names.map(plain).collect()
}

pub fn host_alone() -> Peer {
    sockeye(HOST_ALONE, "host", "0")
}

pub fn drives() -> Vec<Peer> {
    vec![pool(), lend(), host(), host_alone()]
}

/// One thread, no messages: the floor of each library.
pub fn loops() -> Vec<Peer> {
    vec![
        form("libuv loop", Family::Libuv, "loop"),
        form("asio loop", Family::Asio, "loop"),
        form("libevent loop", Family::Libevent, "loop"),
        form("libevent raw", Family::Libevent, "raw"),
    ]
}

/// What hands messages to a game, as Sockeye does.
pub fn hosts() -> Vec<Peer> {
    vec![
        form(LIBUV_TYPICAL, Family::Libuv, "typical"),
        form("asio typical", Family::Asio, "typical"),
        form("libevent typical", Family::Libevent, "typical"),
        form(EXPERTS[0], Family::Libuv, "expert"),
        form(EXPERTS[1], Family::Libuv, "eventfd"),
        form(EXPERTS[2], Family::Asio, "expert"),
        form(EXPERTS[3], Family::Libevent, "expert"),
        form(LIBUV_INLINE, Family::Libuv, "inline"),
    ]
}

/// The strongest of them.
pub fn experts() -> Vec<Peer> {
    hosts().into_iter().filter(|peer| EXPERTS.contains(&&*peer.name)).collect()
}

/// Sockeye in one of its drives with a layer below the messages.
fn layered(peer: Peer, name: &str, wire: Kind, scheme: &str) -> Peer {
    Peer { wire, ..peer.with(name, &["--scheme", scheme]) }
}

/// With TLS, all to one certificate; the forms of OpenSSL first.
pub fn with_tls() -> Vec<Peer> {
    let of = |name: &str, family, kind: &str| Peer { wire: Kind::Tls, ..form(name, family, kind) };
    let mut peers = vec![
        of(OPENSSL, Family::Openssl, "loop"),
        of(OPENSSL_EACH, Family::Openssl, "each"),
        of(ASIO_SSL, Family::AsioSsl, "loop"),
        of("libevent + OpenSSL", Family::LibeventSsl, "loop"),
    ];
    peers.extend(drives().into_iter().map(|peer| layered(peer, ", TLS", Kind::Tls, "tls")));
    peers
}

/// With WebSocket.
pub fn with_web() -> Vec<Peer> {
    let of = |name: &str, family| Peer { wire: Kind::Web, ..form(name, family, "loop") };
    let mut peers = vec![of(WEB, Family::WebEpoll), of(BEAST, Family::Beast), of(LWS, Family::Lws)];
    peers.extend(drives().into_iter().map(|peer| layered(peer, ", web", Kind::Web, "ws")));
    peers
}

/// With lanes of datagrams.
pub fn with_lanes() -> Vec<Peer> {
    let enet = Peer { name: ENET.into(), family: Family::Enet, ..Peer::default() };
    let of = |name: &str, drive: &str, workers: &str| Peer {
        name: format!("{name}, lanes"),
        family: Family::Lanes,
        args: ["--drive", drive, "--workers", workers].map(str::to_owned).into(),
        ..Peer::default()
    };
    let (pool, lend) = (of(POOL, "pool", "1"), of(LEND, "lend", "1"));
    vec![enet, pool, lend, of(HOST, "host", "1"), of(HOST_ALONE, "host", "0")]
}

/// Whether it is one of those that a quick run is content with.
pub fn quick(peer: &Peer) -> bool {
    let few = [EPOLL, POOL, LEND, HOST, LIBUV_TYPICAL, EXPERTS[0], LIBUV_INLINE];
    few.contains(&&*peer.name)
}

/// The models beside the default that run on this machine, with the most connections of each.
pub fn models(folder: &Path) -> Vec<(&'static str, u32)> {
    let runs = |model: &str| {
        let peer = pool().with("", &["--model", model]);
        let mut command = peer.command(folder, &[]);
        // Why it does not run is no news.
        peer.run(command.stderr(Stdio::null())).is_ok()
    };
    MODELS.into_iter().filter(|(model, _)| runs(model)).collect()
}

/// A server that runs.
pub struct Server {
    pub process: Process,
    pub port: u16,
    /// What it says of itself, beside the port.
    pub facts: String,
}

impl Peer {
    /// The same with more arguments, and more of a name.
    pub fn with(mut self, name: &str, args: &[&str]) -> Self {
        self.name += name;
        self.args.extend(args.iter().map(|arg| (*arg).to_owned()));
        self
    }

    /// The same of an earlier version.
    pub fn of(self, folder: &Path) -> Self {
        Self { folder: Some(folder.into()), ..self.with(", before", &[]) }
    }

    /// The command as one would type it.
    pub fn told(&self) -> String {
        let words = std::iter::once(self.family.program());
        words.chain(self.args.iter().map(String::as_str)).collect::<Vec<_>>().join(" ")
    }

    /// Starts it out of the folder with the programs, for a job.
    pub fn start(&self, folder: &Path, job: &[String]) -> Result<Server> {
        self.run(self.command(folder, job).args(self.wire.server_args()?))
    }

    /// Its program with its arguments, and more of them.
    pub fn command(&self, folder: &Path, job: &[String]) -> Command {
        let mut command =
            Command::new(self.folder.as_deref().unwrap_or(folder).join(self.family.program()));
        command.args(&self.args).args(job);
        command
    }

    fn run(&self, command: &mut Command) -> Result<Server> {
        let mut process = Process::start(&self.name, command, SERVER_CPU)?;
        let line = process.line(PATIENCE)?;
        let (port, facts) = procfs::listening(&line).context("its first line")?;
        Ok(Server { process, port, facts })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_are_used_once() {
        let mut all = vec![epoll(), epoll_edge(), mmsg()];
        all.extend(drives());
        all.extend(loops());
        all.extend(hosts());
        all.extend(with_tls());
        all.extend(with_web());
        all.extend(with_lanes());
        let names: BTreeSet<&str> = all.iter().map(|peer| &*peer.name).collect();
        assert_eq!(names.len(), all.len());
        assert!(EXPERTS.iter().all(|name| names.contains(name)));
        assert_eq!(all.iter().filter(|peer| quick(peer)).count(), 7);
    }

    #[test]
    fn more_arguments_come_behind() {
        let peer = host().with(", spinning", &["--spin-us", "50"]);
        assert_eq!(peer.name, "Sockeye HOST, spinning");
        let told = "sockeye_peer --drive host --workers 1 --flush manual --framing u32be \
                    --spin-us 50";
        assert_eq!(peer.told(), told);
    }
}

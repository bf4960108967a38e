//! What the servers are loaded with, and which servers.

use crate::peers::{self, HOST, POOL, Peer};
use std::time::Duration;

/// Sockeye's own, beside `epoll`, that run on this machine, and the most connections of each.
pub type Models = [(&'static str, u32)];

/// Where a workload belongs in the report.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Group {
    Echo,
    Ticks,
    RoundTrip,
    Datagrams,
    Lanes,
    Tls,
    Web,
    Models,
    Timeouts,
    Scaling,
}

/// What a table has beside what all have.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Extra {
    None,
    /// The ratio of CPU to this contender.
    RatioTo(&'static str),
    /// The same to each of several.
    Ratios(&'static [&'static str]),
    /// The ratio of the median round trip to the reference.
    RoundTrip,
    /// Memory of the server at the end.
    Memory,
}

#[derive(Clone, Debug)]
pub struct Workload {
    pub name: String,
    pub group: Group,
    pub about: String,
    /// One of what the load generator counts.
    pub unit: &'static str,
    pub conns: u32,
    /// Arguments of the server, and of the load generator.
    pub job: Vec<String>,
    pub load: Vec<String>,
    /// The server acts by the clock: it is stopped outside of its slices.
    pub paced: bool,
    pub slice: Duration,
    pub rounds: usize,
    /// So many counted before the first slice.
    pub warm: u64,
    pub extra: Extra,
    /// The first is the reference.
    pub peers: Vec<Peer>,
}

const ROUNDS: usize = 24;
/// Of slices that take long.
const ROUNDS_LONG: usize = 12;
const TICK_MS: u32 = 33;
/// Where the costliest contenders have more to do than fits in a tick of the usual length: who
/// falls behind joins what several ticks sent, and is no longer comparable.
const TICK_LONG_MS: u32 = 66;
const CHATTY_MS: u32 = 80;
/// Of 10,000 members of rooms.
const ROOMS_MS: u32 = 330;
/// Slices of a tick job have so many ticks.
const TICKS: u32 = 10;
/// Microseconds that a host gathers in, half a tick.
const GATHER_US: &str = "16000";
const SPIN_US: &str = "50";

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

/// 12345 as "12,345".
pub fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn closed(conns: u32, size: u32, in_flight: u32) -> Workload {
    let each = grouped(conns.into());
    let connections = if conns == 1 { "connection" } else { "connections" };
    let what = match in_flight {
        1 => "one message".to_owned(),
        _ => format!("{in_flight} messages"),
    };
    Workload {
        name: format!("echo, {each} × {size} B, {in_flight} in flight"),
        group: Group::Echo,
        about: format!(
            "{each} {connections} with {what} of {size} B under way on each: the next leaves when \
             the last is back."
        ),
        unit: "message",
        conns,
        job: words("--job echo"),
        load: words(&format!("--mode closed --in-flight {in_flight} --size {size}")),
        paced: false,
        slice: Duration::from_millis(50),
        rounds: ROUNDS,
        warm: u64::from(conns * in_flight) * 4,
        extra: Extra::None,
        peers: Vec::new(),
    }
}

fn open(name: &str, rate: u32) -> Workload {
    Workload {
        name: name.into(),
        about: format!(
            "{} messages of 64 B a second over 1,000 connections in turn, whether answers come or \
             not; latencies from the moment a message was due.",
            grouped(rate.into())
        ),
        load: words(&format!("--mode open --rate {rate} --size 64")),
        slice: Duration::from_millis(100),
        warm: u64::from(rate / 4),
        ..closed(1000, 64, 1)
    }
}

fn game_loop() -> Workload {
    Workload {
        group: Group::Ticks,
        about: format!(
            "A game that looks at the network every {TICK_MS} ms and echoes all that came; 30,000 \
             messages of 64 B a second over 1,000 connections."
        ),
        job: words(&format!("--job tick --period-ms {TICK_MS}")),
        paced: true,
        slice: Duration::from_millis(u64::from(TICK_MS * TICKS)),
        rounds: ROUNDS_LONG,
        extra: Extra::RatioTo(HOST),
        ..open("game loop", 30_000)
    }
}

fn broadcast(name: String, conns: u32, size: u32, burst: u32, period_ms: u32) -> Workload {
    let each = grouped(conns.into());
    let what = match burst {
        1 => format!("one message of {size} B"),
        _ => format!("{burst} messages of {size} B"),
    };
    let job = format!("--job broadcast --period-ms {period_ms} --size {size} --burst {burst}");
    Workload {
        name,
        group: Group::Ticks,
        about: format!(
            "A game that sends {what} to each of {each} connections every {period_ms} ms; \
             latencies from the tick's time."
        ),
        conns,
        job: words(&job),
        load: words("--mode reader"),
        paced: true,
        slice: Duration::from_millis(u64::from(period_ms * TICKS)),
        rounds: ROUNDS_LONG,
        warm: u64::from(conns * burst) * 3,
        ..closed(conns, size, 1)
    }
}

/// Sockeye by a call for each room's members, and by a send to a group; the others write a loop.
fn rooms(rooms: u32, members: u32, period_ms: u32) -> Workload {
    let conns = rooms * members;
    let (what, each) = (grouped(rooms.into()), grouped(members.into()));
    let name = format!("rooms, {what} of {each}");
    let room = ["--room", &members.to_string()].map(str::to_owned);
    let in_rooms = |peer: Peer, name: &str, more: &[&str]| {
        let args: Vec<&str> = room.iter().map(String::as_str).chain(more.iter().copied()).collect();
        peer.with(name, &args)
    };
    let many = peers::drives().into_iter().map(|peer| in_rooms(peer, ", send_many", &[]));
    let groups = peers::drives().into_iter().map(|peer| in_rooms(peer, ", groups", &["--groups"]));
    let first = [peers::epoll()].into_iter();
    Workload {
        peers: first.chain(many).chain(groups).chain(peers::experts()).collect(),
        about: format!(
            "A game that sends one message of 200 B to each of {what} rooms of {each} every \
             {period_ms} ms; latencies from the tick's time."
        ),
        rounds: 6,
        ..broadcast(name, conns, 200, 1, period_ms)
    }
}

fn chatty() -> Workload {
    Workload { rounds: 8, ..broadcast("chatty tick, 1,000".into(), 1000, 40, 10, CHATTY_MS) }
}

fn slow_readers() -> Workload {
    let ticks = 120;
    let mut workload = broadcast("slow readers".into(), 1000, 4096, 1, TICK_MS);
    workload.load = words("--mode reader --slow 10");
    workload.about += " One in a hundred never reads; a message counts when one of the others has \
                       it. The slow ones have small segments and receive buffers, so that the \
                       kernel holds little for them; before the first slice there are ticks \
                       enough to fill that and the server's own outboxes.";
    workload.extra = Extra::Memory;
    Workload { rounds: 8, warm: 990 * ticks, ..workload }
}

fn churn() -> Workload {
    Workload {
        name: "churn".into(),
        group: Group::Ticks,
        about: "64 connections at once: connect, one echo of 64 B, close, and again.".into(),
        unit: "connection",
        load: words("--mode churn --size 64"),
        slice: Duration::from_millis(100),
        rounds: 16,
        warm: 256,
        ..closed(64, 64, 1)
    }
}

fn round_trip() -> Workload {
    Workload {
        name: "round trip, 1 connection".into(),
        group: Group::RoundTrip,
        about: format!(
            "One connection, one message of 64 B under way, to show what it buys to look again \
             for {SPIN_US} µs before sleeping."
        ),
        slice: Duration::from_millis(100),
        extra: Extra::RoundTrip,
        ..closed(1, 64, 1)
    }
}

/// Few enough in flight that none is lost for want of room in a receive buffer.
fn udp(conns: u32, in_flight: u32) -> Workload {
    Workload {
        name: format!("udp, {conns} × 64 B, {in_flight} in flight"),
        group: Group::Datagrams,
        about: format!(
            "{conns} clients, each with {in_flight} of 64 B under way in datagrams of their own: \
             the next leaves when one is back, and one that is lost leaves again."
        ),
        job: words("--job udp"),
        load: words(&format!("--mode udp --in-flight {in_flight} --size 64")),
        peers: std::iter::once(peers::mmsg()).chain(peers::drives()).collect(),
        ..closed(conns, 64, in_flight)
    }
}

/// What a deadline for each of many connections adds to a message.
fn timeouts() -> Workload {
    let (conns, idle) = (15_000, "600000");
    let limited = peers::pool().with(", idle timeouts", &["--idle-timeout-ms", idle]);
    Workload {
        name: "idle timeouts, 15,000".into(),
        group: Group::Timeouts,
        about: "15,000 connections, one message of 64 B under way on a tenth of them, with and \
                without an idle timeout of 10 minutes for each."
            .into(),
        rounds: 40,
        extra: Extra::RatioTo(POOL),
        peers: vec![peers::epoll(), peers::pool(), limited],
        ..scaling(conns)
    }
}

fn scaling(conns: u32) -> Workload {
    let each = grouped(conns.into());
    let active = conns / 10;
    Workload {
        name: format!("scaling, {each}"),
        group: Group::Scaling,
        about: format!("{each} connections, one message of 64 B under way on a tenth of them."),
        load: words(&format!("--mode closed --in-flight 1 --size 64 --active {active}")),
        slice: Duration::from_millis(100),
        rounds: 10,
        warm: u64::from(active) * 4,
        ..closed(conns, 64, 1)
    }
}

/// All of them, in the order of the report. `models` are Sockeye's beside `epoll`.
pub fn all(models: &Models) -> Vec<Workload> {
    let echoes = || {
        let both = [peers::epoll(), peers::epoll_edge()].into_iter().chain(peers::drives());
        both.chain(peers::loops()).chain(peers::hosts()).collect::<Vec<Peer>>()
    };
    let games = || {
        let first = [peers::epoll()].into_iter().chain(peers::drives());
        first.chain(peers::hosts()).collect::<Vec<Peer>>()
    };
    let mut workloads = vec![
        Workload { peers: echoes(), ..closed(1, 64, 1) },
        Workload { peers: echoes(), ..closed(64, 64, 1) },
        Workload { peers: echoes(), ..closed(1000, 64, 1) },
        Workload {
            peers: echoes(),
            slice: Duration::from_millis(200),
            rounds: ROUNDS_LONG,
            warm: 10_000,
            ..closed(10_000, 64, 1)
        },
        Workload { peers: echoes(), ..closed(1000, 64, 8) },
        Workload { peers: echoes(), ..closed(64, 16_384, 1) },
        Workload { peers: echoes(), ..open("open loop, 20,000 a second", 20_000) },
    ];
    let gather = |peer: Peer| peer.with(", gathering", &["--gather-us", GATHER_US]);
    let gathering = [gather(peers::pool()), gather(peers::lend())];
    let gathered = peers::epoll().with(", gathered", &["--gather"]);
    let name = |conns: &str| format!("broadcast, {conns}");
    workloads.extend([
        Workload { peers: games().into_iter().chain(gathering).collect(), ..game_loop() },
        Workload { peers: games(), ..broadcast(name("1,000"), 1000, 200, 1, TICK_MS) },
        Workload {
            peers: games(),
            rounds: 8,
            ..broadcast(name("5,000"), 5000, 200, 1, TICK_LONG_MS)
        },
        rooms(1, 1000, TICK_MS),
        rooms(1000, 10, ROOMS_MS),
        Workload { peers: games().into_iter().chain([gathered]).collect(), ..chatty() },
        Workload { peers: games(), ..slow_readers() },
        Workload { peers: echoes(), ..churn() },
    ]);
    let spin = |peer: Peer| peer.with(", spinning", &["--spin-us", SPIN_US]);
    let drives = [peers::lend(), peers::pool(), peers::host()];
    let spinning = drives.clone().map(spin);
    let all_drives = [peers::epoll()].into_iter().chain(drives).chain(spinning);
    workloads.push(Workload { peers: all_drives.collect(), ..round_trip() });
    workloads.extend([udp(64, 1), udp(16, 8)]);
    workloads.extend(tls());
    workloads.extend(web());
    workloads.extend(of_models(models));
    workloads.push(timeouts());
    for conns in [100, 1000, 10_000, 15_000] {
        workloads.push(Workload { peers: of_scaling(conns, models), ..scaling(conns) });
    }
    workloads
}

/// Sockeye with each of its models: what a model costs, all else alike.
fn of_models(models: &Models) -> [Workload; 3] {
    let peers = |conns: u32| -> Vec<Peer> {
        let mut peers = vec![peers::epoll(), peers::pool(), peers::lend()];
        for (model, _) in models.iter().filter(|(_, most)| conns <= *most) {
            let args = ["--model", model];
            peers.push(peers::pool().with(&format!(", {model}"), &args));
            if !peers::BOUND.contains(model) {
                peers.push(peers::lend().with(&format!(", {model}"), &args));
            }
        }
        peers
    };
    let models = |name: &str, workload: Workload| Workload {
        name: format!("models, {name}"),
        group: Group::Models,
        extra: Extra::RatioTo(POOL),
        peers: peers(workload.conns),
        ..workload
    };
    [
        models("64 × 64 B", closed(64, 64, 1)),
        models("1,000 × 64 B", closed(1000, 64, 1)),
        models("broadcast, 1,000", broadcast(String::new(), 1000, 200, 1, TICK_MS)),
    ]
}

/// The reference, and each model in two drives.
fn of_scaling(conns: u32, models: &Models) -> Vec<Peer> {
    let fits = models.iter().filter(|(_, most)| conns <= *most).map(|(model, _)| *model);
    let mut peers = vec![peers::epoll()];
    for model in std::iter::once("epoll").chain(fits) {
        let drives = [Some(peers::pool()), (!peers::BOUND.contains(&model)).then(peers::host)];
        for drive in drives.into_iter().flatten() {
            peers.push(drive.with(&format!(", {model}"), &["--model", model]));
        }
    }
    peers
}

/// Echoes over TLS, and full handshakes, each with one echo.
fn tls() -> Vec<Workload> {
    let of = |name: &str, workload: Workload| Workload {
        name: format!("tls, {name}"),
        group: Group::Tls,
        extra: Extra::Ratios(&[peers::OPENSSL_EACH, peers::ASIO_SSL]),
        peers: peers::with_tls(),
        rounds: ROUNDS_LONG,
        ..workload
    };
    let handshakes = Workload {
        about: "32 connections at once: connect, a full handshake (ECDSA on P-256, X25519), one \
                echo of 64 B, close, and again."
            .into(),
        conns: 32,
        warm: 64,
        ..churn()
    };
    vec![
        of("64 × 64 B", closed(64, 64, 1)),
        of("1,000 × 64 B", closed(1000, 64, 1)),
        of("1,000 × 64 B, 8 in flight", closed(1000, 64, 8)),
        of("64 × 16 KiB", closed(64, 16_384, 1)),
        of("handshakes", handshakes),
    ]
}

/// Echoes and broadcasts over WebSocket, beside Sockeye's own framing.
fn web() -> Vec<Workload> {
    let of = |name: &str, workload: Workload| Workload {
        name: format!("web, {name}"),
        group: Group::Web,
        extra: Extra::Ratios(&[peers::BEAST, peers::LWS, peers::HOST_ALONE, POOL]),
        peers: peers::with_web().into_iter().chain(peers::drives()).collect(),
        rounds: ROUNDS_LONG,
        ..workload
    };
    vec![
        of("64 × 64 B", closed(64, 64, 1)),
        of("1,000 × 64 B", closed(1000, 64, 1)),
        of("64 × 16 KiB", closed(64, 16_384, 1)),
        of("broadcast, 1,000", broadcast(String::new(), 1000, 200, 1, TICK_MS)),
    ]
}

/// Whether a quick run has it.
pub fn quick(name: &str) -> bool {
    let names = ["echo, 64 × 64 B, 1 ", "echo, 1,000 × 64 B, 8 ", "game loop", "broadcast, 1,000"];
    let more = ["chatty", "round trip", "udp", "models, 64", "scaling, 1,000"];
    names.iter().chain(&more).any(|start| name.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn thousands_are_set_apart() {
        let text = [7, 123, 1234, 123_456, 1_234_567].map(grouped);
        assert_eq!(text, ["7", "123", "1,234", "123,456", "1,234,567"]);
    }

    #[test]
    fn every_workload_starts_with_the_reference_and_names_are_used_once() {
        let workloads = all(&[("poll", u32::MAX)]);
        let names: BTreeSet<&str> = workloads.iter().map(|workload| &*workload.name).collect();
        assert_eq!(names.len(), workloads.len());
        for workload in &workloads {
            let reference = match workload.group {
                Group::Datagrams => peers::MMSG,
                Group::Tls => peers::OPENSSL,
                Group::Web => peers::WEB,
                _ => peers::EPOLL,
            };
            assert_eq!(workload.peers[0].name, reference, "{}", workload.name);
            let names: BTreeSet<&str> = workload.peers.iter().map(|peer| &*peer.name).collect();
            assert_eq!(names.len(), workload.peers.len(), "{}", workload.name);
        }
    }

    #[test]
    fn a_model_is_measured_as_far_as_it_goes() {
        let has = |conns| of_scaling(conns, &[("select", 1000), ("io_uring", u32::MAX)]).len();
        assert_eq!((has(1000), has(10_000)), (6, 4), "a bound one is not lent");
    }

    #[test]
    fn a_slice_of_a_tick_job_has_enough_ticks() {
        for workload in all(&[]).iter().filter(|workload| workload.paced) {
            let period = workload.job.iter().skip_while(|word| *word != "--period-ms").nth(1);
            let period: u128 = period.unwrap().parse().unwrap();
            assert!(workload.slice.as_millis() >= 10 * period, "{}", workload.name);
        }
    }
}

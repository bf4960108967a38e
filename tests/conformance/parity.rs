//! Rule 11: the same events on every model and in every driving mode for the same traffic: kinds,
//! bytes, order, causes, and the same end for the peer. What a connection has to be told follows
//! from its script alone, so that each run is compared with that, and all with each other.

use crate::common::event::{Event, Kind};
use crate::common::host::{Door, Host};
use crate::common::peer::{End, Peer};
use crate::common::process::RESET_BY_PEER;
use crate::common::random::{Random, digest};
use crate::common::words::*;
use crate::common::{Setup, frame, layered_suite};
use sockeye::capi::conn::sockeye_conn;

layered_suite! {
    each: seed_1, seed_2, seed_3;
    pool2: seed_1_on_two_queues;
}

/// Two connections for each ending.
const PEERS: usize = 2 * ENDINGS.len();
const FRAME_MAX: usize = 100_000;
const USER_DATA: u64 = 11;

/// How a connection of the traffic ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Ending {
    Fin,
    FinInAFrame,
    FinAndAReply,
    FinWhilePaused,
    Reset,
    ResetWhilePaused,
    GiantFrame,
    HostGraceful,
    HostReset,
    HostResetWhilePaused,
    NobodyLingers,
    NothingSaid,
    Idle,
    HalfAFrame,
    Shutdown,
}

use Ending::*;

const ENDINGS: [Ending; 15] = [
    Fin,
    FinInAFrame,
    FinAndAReply,
    FinWhilePaused,
    Reset,
    ResetWhilePaused,
    GiantFrame,
    HostGraceful,
    HostReset,
    HostResetWhilePaused,
    NobodyLingers,
    NothingSaid,
    Idle,
    HalfAFrame,
    Shutdown,
];

impl Ending {
    /// The cause that is reported to its host, and the system's error behind it.
    fn cause(self) -> (i32, i32) {
        match self {
            Fin | FinAndAReply | FinWhilePaused => (PEER, 0),
            FinInAFrame => (TRUNCATED, 0),
            Reset | ResetWhilePaused => (RESET, RESET_BY_PEER),
            GiantFrame => (LIMIT_FRAME, 0),
            HostGraceful | HostReset | HostResetWhilePaused => (HOST, 0),
            NobodyLingers => (TIMEOUT_LINGER, 0),
            NothingSaid => (TIMEOUT_FIRST_BYTE, 0),
            Idle => (TIMEOUT_IDLE, 0),
            HalfAFrame => (TIMEOUT_FRAME, 0),
            Shutdown => (SHUTDOWN, 0),
        }
    }

    /// What the peer receives behind the echoes, and how its side ends; `None` where it left.
    fn for_the_peer(self) -> Option<(&'static [u8], End)> {
        match self {
            Fin | FinInAFrame | FinWhilePaused | Reset | ResetWhilePaused => None,
            FinAndAReply => Some((b"reply", End::Fin)),
            HostGraceful | NobodyLingers => Some((b"bye", End::Fin)),
            GiantFrame | NothingSaid | Idle | HalfAFrame => Some((b"", End::Fin)),
            _ => Some((b"", End::Reset)),
        }
    }

    /// Whether it ends for want of traffic; then there is none.
    fn is_of_silence(self) -> bool {
        matches!(self, NothingSaid | Idle | HalfAFrame)
    }
}

/// What one peer does, all of it from the seed.
struct Script {
    frames: Vec<Vec<u8>>,
    /// Sizes of the writes.
    cuts: Vec<usize>,
    /// The write before which the host pauses it, until all is written.
    pause: usize,
    ending: Ending,
}

fn scripts(seed: u64) -> Vec<Script> {
    let mut random = Random::new(seed);
    let script = |at: usize| {
        let ending = ENDINGS[at % ENDINGS.len()];
        let count = if ending.is_of_silence() { 0 } else { 5 + random.below(40) };
        let largest = [10, 300, 5000][random.below(3)];
        let mut payload = |_| {
            let len = random.below(largest);
            random.bytes(len)
        };
        let frames = (0..count).map(&mut payload).collect();
        let cuts = (0..200).map(|_| 1 + random.below(2 * largest)).collect();
        Script { frames, cuts, pause: random.below(8), ending }
    };
    (0..PEERS).map(script).collect()
}

impl Script {
    fn stream(&self) -> Vec<u8> {
        self.frames.iter().flat_map(|payload| frame(payload)).collect()
    }

    /// The events that the connection must have, and what its peer must see.
    fn expected(&self) -> String {
        let mut words = vec![format!("{:?}:{USER_DATA}", Kind::Opened)];
        words.extend(self.frames.iter().map(|payload| told_of_message(payload)));
        let (cause, os_error) = self.ending.cause();
        words.push(format!("C{cause}:{os_error}:0"));
        if let Some((last, end)) = self.ending.for_the_peer() {
            let mut all = self.stream();
            if !last.is_empty() {
                all.extend(frame(last));
            }
            words.push(told_of_peer(&all, end));
        }
        words.join(" ")
    }
}

fn told_of_message(payload: &[u8]) -> String {
    format!("M{}:{:016x}", payload.len(), digest(payload))
}

fn told_of_peer(all: &[u8], end: End) -> String {
    format!("P{}:{:016x}:{end:?}", all.len(), digest(all))
}

/// One peer's traffic up to its last frame, and its echo; part of it with the reading paused.
fn talk(host: &mut Host, script: &Script, peer: &mut Peer, conn: sockeye_conn) -> Vec<u8> {
    let stream = script.stream();
    let mut rest = &stream[..];
    for (at, &cut) in script.cuts.iter().cycle().enumerate() {
        if rest.is_empty() {
            break;
        }
        if at == script.pause {
            assert_eq!(host.net.pause(conn), OK);
        }
        let (now, later) = rest.split_at(cut.min(rest.len()));
        host.write(peer, now);
        rest = later;
    }
    assert_eq!(host.net.resume(conn), OK);
    host.await_messages(conn, script.frames.len());
    host.read(peer, stream.len())
}

/// Brings the end about. The peer, where it is still there.
fn end(host: &mut Host, script: &Script, mut peer: Peer, conn: sockeye_conn) -> Option<Peer> {
    let net = host.net.clone();
    if matches!(script.ending, FinWhilePaused | ResetWhilePaused | HostResetWhilePaused) {
        assert_eq!(net.pause(conn), OK);
    }
    match script.ending {
        Fin | FinWhilePaused => drop(peer),
        FinInAFrame => {
            peer.put(&[0, 0, 1]);
            drop(peer);
        }
        Reset | ResetWhilePaused => peer.reset(),
        FinAndAReply => {
            peer.fin();
            // Taken while the batch with CLOSED lives.
            host.closed(conn);
            assert_eq!(net.send(conn, b"reply"), OK);
            return Some(peer);
        }
        _ => {
            match script.ending {
                GiantFrame => peer.put(&[0x7F; 8]),
                HostGraceful | NobodyLingers => {
                    assert_eq!(net.close_with(conn, GRACEFUL, b"bye"), OK);
                }
                HostReset | HostResetWhilePaused => {
                    host.sent(conn);
                    assert_eq!(net.close(conn, AT_ONCE), OK);
                }
                HalfAFrame => peer.put(&[0, 0, 0, 9, 1]),
                _ => {}
            }
            return Some(peer);
        }
    }
    if script.ending != Fin && script.ending != FinInAFrame && script.ending != Reset {
        let resumed = net.resume(conn);
        // A reset is reported though the connection is paused.
        let gone = script.ending == ResetWhilePaused && [ERR_CLOSED, ERR_STALE].contains(&resumed);
        assert!(resumed == OK || gone, "{resumed}");
    }
    None
}

/// A door for each way to end that is a matter of its endpoint.
fn door(host: &mut Host, ending: Ending) -> Door {
    host.door_with(&format!("?frame=u32be&max={FRAME_MAX}"), |endpoint| {
        endpoint.user_data = USER_DATA;
        endpoint.queue = QUEUE_SPREAD;
        endpoint.linger_ms = 60_000;
        match ending {
            NobodyLingers => endpoint.linger_ms = 50,
            NothingSaid => endpoint.first_byte_timeout_ms = 50,
            Idle => endpoint.idle_timeout_ms = 50,
            HalfAFrame => endpoint.frame_timeout_ms = 50,
            _ => {}
        }
    })
}

/// The sequence of each connection in words.
fn run(setup: Setup, scripts: &[Script]) -> Vec<String> {
    let mut host = setup.host();
    host.echo = true;
    let doors = ENDINGS.map(|ending| door(&mut host, ending));
    let mut lives = Vec::new();
    for (at, script) in scripts.iter().enumerate() {
        let (mut peer, conn) = host.meet(doors[at % doors.len()]);
        let mut all = talk_if_asked(&mut host, script, &mut peer, conn);
        let mut left = end(&mut host, script, peer, conn);
        let mut how = None;
        if script.ending != Shutdown
            && let Some(mut peer) = left.take()
        {
            let (last, end) = host.read_to_end(&mut peer);
            all.extend(last);
            how = Some(end);
            // A linger that nobody ends is waited out with the peer there.
            if script.ending == NobodyLingers {
                host.closed(conn);
            }
        }
        if script.ending != Shutdown {
            host.closed(conn);
        }
        lives.push((conn, all, how, left));
    }
    assert_eq!(host.net.shutdown(0), OK);
    host.drain();
    let told = lives.into_iter().map(|(conn, mut all, mut how, left)| {
        if let Some(mut peer) = left {
            let (last, end) = host.read_to_end(&mut peer);
            all.extend(last);
            how = Some(end);
        }
        let mut words: Vec<String> = host.events_of(conn).map(tell).collect();
        words.extend(how.map(|end| told_of_peer(&all, end)));
        words.join(" ")
    });
    let told = told.collect();
    host.finish();
    told
}

fn talk_if_asked(host: &mut Host, script: &Script, peer: &mut Peer, conn: sockeye_conn) -> Vec<u8> {
    if script.ending.is_of_silence() {
        return Vec::new();
    }
    talk(host, script, peer, conn)
}

fn tell(event: &Event) -> String {
    match event.kind {
        Kind::Message => told_of_message(&event.data),
        Kind::Closed => format!("C{}:{}:{}", event.cause, event.os_error, event.detail),
        kind => format!("{kind:?}:{}", event.user_data),
    }
}

/// Rule 11, for the traffic of one seed.
fn as_scripted(setup: Setup, seed: u64) {
    if !setup.resets() {
        return;
    }
    let scripts = scripts(seed);
    let told = run(setup, &scripts);
    assert_eq!(told.len(), PEERS);
    for (at, (told, script)) in told.iter().zip(&scripts).enumerate() {
        assert_eq!(told, &script.expected(), "seed {seed}, connection {at}: {:?}", script.ending);
    }
}

pub fn seed_1(setup: Setup) {
    as_scripted(setup, 1);
}

pub fn seed_2(setup: Setup) {
    as_scripted(setup, 2);
}

pub fn seed_3(setup: Setup) {
    as_scripted(setup, 3);
}

pub fn seed_1_on_two_queues(setup: Setup) {
    as_scripted(setup, 1);
}

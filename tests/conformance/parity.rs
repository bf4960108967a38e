//! Rule 11: the same events on every model and in every driving mode for the same traffic:
//! kinds, bytes, order, causes.

use crate::common::event::Kind;
use crate::common::host::Host;
use crate::common::peer::Peer;
use crate::common::random::{Random, digest};
use crate::common::words::*;
use crate::common::{Drive, Setup, for_models, frame};
use sockeye::capi::conn::sockeye_conn;
use sockeye::capi::model::sockeye_model;

const SEED: u64 = 0x5EED;
const PEERS: usize = 24;

/// How a connection of the traffic ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Ending {
    Fin,
    FinInAFrame,
    Reset,
    GiantFrame,
    HostGraceful,
    HostReset,
    Shutdown,
}

const ENDINGS: [Ending; 7] = [
    Ending::Fin,
    Ending::FinInAFrame,
    Ending::Reset,
    Ending::GiantFrame,
    Ending::HostGraceful,
    Ending::HostReset,
    Ending::Shutdown,
];

/// What one peer does, all of it from the seed.
struct Script {
    frames: Vec<Vec<u8>>,
    /// Sizes of the writes.
    cuts: Vec<usize>,
    ending: Ending,
}

fn scripts() -> Vec<Script> {
    let mut random = Random::new(SEED);
    (0..PEERS)
        .map(|at| {
            let count = 5 + random.below(40);
            let largest = [10, 300, 5000][random.below(3)];
            let mut frames = Vec::new();
            for _ in 0..count {
                let len = random.below(largest);
                frames.push(random.bytes(len));
            }
            let cuts = (0..200).map(|_| 1 + random.below(2 * largest)).collect();
            Script { frames, cuts, ending: ENDINGS[at % ENDINGS.len()] }
        })
        .collect()
}

/// One peer's traffic up to its last frame; the host has it all on return.
fn talk(host: &mut Host, script: &Script, peer: &mut Peer, conn: sockeye_conn) {
    let stream: Vec<u8> = script.frames.iter().flat_map(|payload| frame(payload)).collect();
    let mut rest = &stream[..];
    for &cut in script.cuts.iter().cycle() {
        let (now, later) = rest.split_at(cut.min(rest.len()));
        host.write(peer, now);
        rest = later;
        if rest.is_empty() {
            break;
        }
    }
    host.await_messages(conn, script.frames.len());
}

/// Ends it, and waits for CLOSED; a peer that is still there is returned.
fn end(host: &mut Host, script: &Script, mut peer: Peer, conn: sockeye_conn) -> Option<Peer> {
    match script.ending {
        Ending::Fin => drop(peer),
        Ending::FinInAFrame => {
            peer.put(&[0, 0, 1]);
            drop(peer);
        }
        Ending::Reset => peer.reset(),
        Ending::GiantFrame => peer.put(&[0x7F; 8]),
        Ending::HostGraceful => {
            assert_eq!(host.net.close_with(conn, GRACEFUL, b"bye"), OK);
            host.read_to_end(&mut peer);
            drop(peer);
        }
        Ending::HostReset => assert_eq!(host.net.close(conn, AT_ONCE), OK),
        Ending::Shutdown => return Some(peer),
    }
    host.closed(conn);
    None
}

/// The sequence of each connection in words.
fn run(setup: Setup) -> Vec<String> {
    let mut host = setup.host();
    let door = host.door_with("?frame=u32be&max=100000", |endpoint| {
        endpoint.user_data = 11;
        endpoint.queue = QUEUE_SPREAD;
    });
    let scripts = scripts();
    let (peers, conns): (Vec<Peer>, Vec<_>) = (0..PEERS).map(|_| host.meet(door)).unzip();
    let mut left = Vec::new();
    for ((script, mut peer), &conn) in scripts.iter().zip(peers).zip(&conns) {
        talk(&mut host, script, &mut peer, conn);
        left.extend(end(&mut host, script, peer, conn));
    }
    assert_eq!(host.net.shutdown(0), OK);
    host.drain();
    let told = conns.iter().map(|&conn| tell(&host, conn)).collect();
    host.finish();
    told
}

fn tell(host: &Host, conn: sockeye_conn) -> String {
    let events = host.events_of(conn).map(|event| match event.kind {
        Kind::Message => format!("M{}:{:016x}", event.data.len(), digest(&event.data)),
        Kind::Closed => format!("C{}:{}:{}", event.cause, event.os_error, event.detail),
        kind => format!("{kind:?}:{}", event.user_data),
    });
    events.collect::<Vec<_>>().join(" ")
}

/// Rule 11, over all models and driving modes in one test.
#[test]
fn same_events_everywhere() {
    let mut runs: Vec<(String, Vec<String>)> = Vec::new();
    macro_rules! run_all {
        (@model $name:ident $number:ident {}) => {
            for drive in [Drive::pool(), Drive::host(), Drive::host0(), Drive::pool2()] {
                let model = sockeye_model::$number as u32;
                let setup = Setup { name: module_path!(), model, drive };
                if setup.available() {
                    runs.push((format!("{} {drive:?}", stringify!($name)), run(setup)));
                }
            }
        };
    }
    for_models! { run_all! {} }
    let (first, expected) = &runs[0];
    assert_eq!(expected.len(), PEERS);
    for (name, told) in &runs[1..] {
        for (at, (told, expected)) in told.iter().zip(expected).enumerate() {
            assert_eq!(told, expected, "seed {SEED:#x}, connection {at}: {name} and {first}");
        }
    }
    // And they are the right ones: as many messages as frames, and the cause of each ending.
    for (script, told) in scripts().iter().zip(expected) {
        let cause = match script.ending {
            Ending::Fin | Ending::FinInAFrame => PEER,
            Ending::Reset => RESET,
            Ending::GiantFrame => LIMIT_FRAME,
            Ending::HostGraceful | Ending::HostReset => HOST,
            Ending::Shutdown => SHUTDOWN,
        };
        assert_eq!(told.matches('M').count(), script.frames.len());
        assert!(told.contains(&format!(" C{cause}:")), "{:?}: {told}", script.ending);
    }
}

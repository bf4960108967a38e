//! Many threads call everything at once, at random. `Rules` looks at each event, the shutdown at
//! the end finds every connection closed exactly once.

use crate::common::event::Kind;
use crate::common::host::Host;
use crate::common::net::Net;
use crate::common::peer::Peer;
use crate::common::random::Random;
use crate::common::words::*;
use crate::common::{Setup, suite};
use sockeye::capi::conn::sockeye_conn;
use sockeye::capi::listener::sockeye_listener;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

suite! {
    each: calls_of_four_threads, resets_beside_steady_ones, opened_beside_a_shutdown;
    threaded: accepted_beside_a_shutdown;
    pool2: calls_of_four_threads_on_two_queues;
}

const THREADS: u64 = 4;
/// Connections that are opened and closed while the callers call.
const LIVES: usize = 150;

/// Connections that the poller has seen opened, for the callers to pick from.
type Known = Mutex<Vec<sockeye_conn>>;

/// One call at random; only answers that its comment in the header names are right.
fn call(net: &Net, known: &Known, random: &mut Random, message: &[u8]) {
    let picked = {
        let known = known.lock().expect("no panic");
        let at = random.below(known.len().max(1));
        known.get(at).copied()
    };
    let conn = match (random.below(20), picked) {
        (0, _) | (_, None) => sockeye_conn { id: random.next() },
        (_, Some(conn)) => conn,
    };
    let message = &message[..random.below(message.len())];
    let (status, allowed) = match random.below(40) {
        0 => (net.close(conn, GRACEFUL), &[OK, ERR_CLOSED, ERR_STALE][..]),
        1 => (net.close(conn, AT_ONCE), &[OK, ERR_CLOSED, ERR_STALE][..]),
        2 => (net.close_with(conn, GRACEFUL, message), &[OK, ERR_CLOSED, ERR_STALE][..]),
        3..=5 => (net.pause(conn), &[OK, ERR_CLOSED, ERR_STALE][..]),
        6..=9 => (net.resume(conn), &[OK, ERR_CLOSED, ERR_STALE][..]),
        10..=12 => (net.set_user_data(conn, 1), &[OK, ERR_STALE][..]),
        13 => (net.flush(), &[OK][..]),
        14 => (net.post(0, 1, 1), &[OK, ERR_AGAIN][..]),
        15 => (net.conn_info(conn).map_or_else(|s| s, |_| OK), &[OK, ERR_STALE][..]),
        16 => (net.conn_stats(conn).map_or_else(|s| s, |_| OK), &[OK, ERR_STALE][..]),
        _ => (net.send(conn, message), &[OK, ERR_AGAIN, ERR_CLOSED, ERR_STALE][..]),
    };
    assert!(allowed.contains(&status), "{status} is none of {allowed:?}");
}

/// Ends the callers, also when a test fails beside them.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Callers at random, a poller here, and peers that come, talk and go all the while.
fn storm(setup: Setup, seed: u64) {
    let mut host: Host = setup.host();
    let door = host.door_with("?frame=u16be", |endpoint| {
        endpoint.queue = QUEUE_SPREAD;
        endpoint.outbox_max_bytes = 64 * 1024;
        endpoint.linger_ms = 50;
    });
    let known = Known::default();
    let mut random = Random::new(seed);
    let mut peers: Vec<Peer> = Vec::new();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let callers: Vec<_> = (1..=THREADS)
            .map(|caller| {
                let (net, known, stop) = (host.net.clone(), &known, &stop);
                scope.spawn(move || {
                    let mut random = Random::new(seed ^ caller << 32);
                    let message = random.bytes(3000);
                    while !stop.load(Ordering::Relaxed) {
                        (0..50).for_each(|_| call(&net, known, &mut random, &message));
                        // The poller and the peers need the processors too.
                        std::thread::park_timeout(Duration::from_micros(500));
                    }
                })
            })
            .collect();
        let ends = Ends(&stop);
        host.until("lives", |host| {
            crowd(host, door.port, &mut peers, &mut random, &known);
            host.count(Kind::Closed) >= LIVES
        });
        drop(ends);
        for caller in callers {
            caller.join().expect("a caller saw only right answers");
        }
    });
    host.finish();
}

/// Keeps some thirty peers: a new one, some bytes, some reading, an end of one kind or another.
fn crowd(host: &Host, port: u16, peers: &mut Vec<Peer>, random: &mut Random, known: &Known) {
    let opened = host.log.iter().filter(|event| event.kind == Kind::Opened);
    *known.lock().expect("no panic") = opened.map(|event| event.conn).collect();
    if peers.len() < 30 {
        peers.push(Peer::connect(port));
    }
    for peer in peers.iter_mut() {
        if random.below(4) == 0 {
            peer.try_offer(&[0, 3, 1, 2, 3]);
        }
        if random.below(3) == 0 {
            peer.has(usize::MAX);
            peer.got.clear();
        }
    }
    peers.retain(|peer| peer.end.is_none());
    if random.below(10) == 0 && !peers.is_empty() {
        let peer = peers.swap_remove(random.below(peers.len()));
        if random.below(2) == 0 {
            peer.reset();
        }
    }
}

pub fn calls_of_four_threads(setup: Setup) {
    for seed in [1, 2] {
        println!("seed {seed}");
        storm(setup, seed);
    }
}

pub fn calls_of_four_threads_on_two_queues(setup: Setup) {
    calls_of_four_threads(setup);
}

/// A thousand peers that connect and reset disturb none of the steady ones.
pub fn resets_beside_steady_ones(setup: Setup) {
    let mut host = setup.host();
    let door = host.door("");
    let mut steady: Vec<(Peer, sockeye_conn)> = (0..10).map(|_| host.meet(door)).collect();
    for round in 0..100 {
        for _ in 0..10 {
            Peer::connect(door.port).reset();
        }
        let (peer, conn) = &mut steady[round % 10];
        host.turn_over(peer, *conn);
    }
    host.until("the ends of the others", |host| {
        host.count(Kind::Closed) + 10 == host.count(Kind::Opened)
    });
    assert!(steady.iter().all(|(_, conn)| !host.is_closed(*conn)));
    host.step(0);
    host.until("free slots", |host| host.net.stats().connections == 10);
    host.finish();
}

/// Opens listeners and begins connects until the net ends; gives what was answered with a handle.
fn open_all(net: &Net, url: &str) -> (Vec<sockeye_conn>, Vec<sockeye_listener>) {
    let (mut conns, mut doors) = (Vec::new(), Vec::new());
    loop {
        match net.connect(url, None) {
            Ok(conn) => conns.push(conn),
            Err(status) => assert!(status == ERR_SHUTDOWN || status == ERR_LIMIT, "{status}"),
        }
        match net.listen("tcp://127.0.0.1:0", None) {
            Ok(door) => doors.push(door),
            Err(ERR_SHUTDOWN) => return (conns, doors),
            Err(status) => assert_eq!(status, ERR_LIMIT),
        }
    }
}

/// What is opened while the net is shut down is refused, or is told its end.
pub fn opened_beside_a_shutdown(setup: Setup) {
    let url = "tcp://127.0.0.1:1";
    for round in 0..40 {
        let mut host = setup.host_with(|config| config.connections_max = 200);
        let net = &host.net;
        let opened: Vec<_> = std::thread::scope(|scope| {
            let openers: Vec<_> = (0..4).map(|_| scope.spawn(|| open_all(net, url))).collect();
            std::thread::park_timeout(Duration::from_micros(100 * round));
            assert_eq!(net.shutdown(0), OK);
            openers.into_iter().map(|opener| opener.join().expect("no panic")).collect()
        });
        opened.iter().for_each(|(conns, doors)| host.got(conns, doors));
        host.finish();
    }
}

/// Connections that one worker accepts for another while the net is shut down: each listener is
/// told its end, though a worker may leave while the other still has some of them.
pub fn accepted_beside_a_shutdown(setup: Setup) {
    for round in 0..40 {
        let mut host = setup.host_with(|config| config.workers = 3);
        let doors: Vec<_> = (0..6).map(|_| host.door("")).collect();
        let peers: Vec<Peer> = (0..60).map(|at| Peer::connect(doors[at % 6].port)).collect();
        // None of them is waited for: they are on their way through the workers.
        std::thread::park_timeout(Duration::from_micros(20 * round));
        assert_eq!(host.net.shutdown(0), OK);
        host.drain();
        assert_eq!(host.count(Kind::ListenerClosed), doors.len());
        drop(peers);
        host.finish();
    }
}

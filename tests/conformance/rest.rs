//! `gather_us`: while events wait that no thread polls for, a worker's thread stays away from its
//! sockets. Whoever wants something ends that, and nothing is lost by it.

use crate::common::event::Kind;
use crate::common::host::{Door, Host};
use crate::common::peer::{End, Peer};
use crate::common::process::all_sleep;
use crate::common::words::*;
use crate::common::{DEADLINE, Setup, frame, stays, suite, wait_for};
use crate::drive::{SHORT_US, quiet};
use sockeye::capi::conn::sockeye_conn;
use std::io::Write;
use std::net::TcpListener;
use std::thread;
use std::time::{Duration, Instant};

suite! {
    threaded: a_worker_rests, a_waiting_poll_ends_it, every_worker_of_a_queue_comes_back,
        a_send_ends_it, a_flush_ends_it, a_close_ends_it, a_close_that_lingers_is_timed,
        a_resume_ends_it, a_connect_ends_it, doors_end_it, a_timeout_ends_it, a_shutdown_ends_it,
        ended_is_ended, a_ticking_host_gets_all;
}

/// Longer than any test waits.
const LONG_US: u32 = 60_000_000;

/// A host that is away while its worker rests: a byte of `peer` waits in the queue, a second one
/// in the kernel. Whoever takes it apart keeps both peers: one that goes leaves an event.
struct Scene {
    host: Host,
    door: Door,
    peer: Peer,
    conn: sockeye_conn,
    other: (Peer, sockeye_conn),
}

/// Bytes received so far.
fn received(host: &Host) -> u64 {
    host.net.stats().received_bytes
}

/// Has a peer send, and the bytes lie where a look of the worker finds them: with BLOCKING a thread
/// takes them there.
fn put(peer: &mut Peer, bytes: &[u8]) {
    peer.put(bytes);
    wait_for("threads asleep", || all_sleep("sockeye-recv"));
}

/// Has the worker of a peer rest beside an event.
fn put_to_rest(host: &Host, peer: &mut Peer) {
    let before = received(host);
    put(peer, b"1");
    wait_for("the first byte", || received(host) == before + 1);
    quiet(&host.net);
}

fn scene(setup: Setup, flush: u32) -> Scene {
    let mut host = setup.host_with(|config| {
        (config.gather_us, config.lease_us, config.flush) = (LONG_US, SHORT_US, flush);
    });
    let door = host.door("");
    let ((mut peer, conn), other) = (host.meet(door), host.meet(door));
    while host.step(20) > 0 {}
    put_to_rest(&host, &mut peer);
    put(&mut peer, b"2");
    Scene { host, door, peer, conn, other }
}

/// Polls that wait for some events, and none of them in vain.
pub fn get(host: &mut Host, count: usize) {
    let before = host.log.len();
    while host.log.len() < before + count {
        assert_ne!(host.step(10_000), 0, "the rest was not ended");
    }
}

/// The second byte is received although no thread polls.
fn is_awake(host: &Host) {
    wait_for("an end of the rest", || received(host) == 2);
}

/// One event that nobody has collected: nobody reads further.
pub fn a_worker_rests(setup: Setup) {
    let Scene { host, mut other, peer: _peer, .. } = scene(setup, 0);
    put(&mut other.0, b"x");
    stays("unread", Duration::from_millis(200), || received(&host) == 1);
    host.finish();
}

/// A poll that waits has the worker back, also several times.
pub fn a_waiting_poll_ends_it(setup: Setup) {
    let Scene { mut host, mut peer, conn, other: _other, .. } = scene(setup, 0);
    for round in 1..=5 {
        host.until("both bytes", |host| host.bytes(conn).len() == 2 * round);
        while host.step(5) > 0 {}
        put_to_rest(&host, &mut peer);
        put(&mut peer, b"2");
    }
    get(&mut host, 2);
    host.finish();
}

/// Not only the queue's home: each worker that feeds the queue.
pub fn every_worker_of_a_queue_comes_back(setup: Setup) {
    let mut host = setup.host_with(|config| {
        (config.gather_us, config.lease_us, config.workers) = (LONG_US, SHORT_US, 3);
    });
    let door = host.door("");
    let (mut peers, conns): (Vec<Peer>, Vec<_>) = (0..9).map(|_| host.meet(door)).unzip();
    for round in 1..=3 {
        while host.step(20) > 0 {}
        // What comes first to a worker that rests already waits; all get to rest.
        peers.iter_mut().for_each(|peer| peer.put(b"1"));
        wait_for("events", || host.net.stats().queued_bytes > 0);
        quiet(&host.net);
        peers.iter_mut().for_each(|peer| peer.put(b"2"));
        host.until("both bytes of all", |host| {
            conns.iter().all(|&conn| host.bytes(conn).len() == 2 * round)
        });
    }
    host.finish();
}

/// AUTO: a send leaves, by the host or by others.
pub fn a_send_ends_it(setup: Setup) {
    let Scene { host, mut peer, conn, other: (mut second, other), .. } = scene(setup, 0);
    assert_eq!(host.net.send(conn, b"x"), OK);
    wait_for("a send beside a rest", || peer.has(1));
    is_awake(&host);
    for round in 1..=20 {
        quiet_enough(round);
        thread::scope(|scope| {
            scope.spawn(|| assert_eq!(host.net.send(other, b"x"), OK));
        });
        wait_for("another's send beside a rest", || second.has(round));
    }
    host.finish();
}

/// Lets a worker get to rest, or hardly: each round a bit later.
fn quiet_enough(round: usize) {
    thread::park_timeout(Duration::from_micros(20 * round as u64));
}

/// MANUAL: at the flush, of which a send alone is none.
pub fn a_flush_ends_it(setup: Setup) {
    let Scene { host, mut peer, conn, other: _other, .. } = scene(setup, FLUSH_MANUAL);
    for round in 1..=5 {
        assert_eq!(host.net.send(conn, b"x"), OK);
        stays("not flushed", Duration::from_millis(10), || !peer.has(round));
        assert_eq!(host.net.flush(), OK);
        wait_for("a flush beside a rest", || peer.has(round));
    }
    host.finish();
}

pub fn a_close_ends_it(setup: Setup) {
    if !setup.resets() {
        return;
    }
    for (how, end) in [(GRACEFUL, End::Fin), (AT_ONCE, End::Reset)] {
        let Scene { host, other: (mut peer, conn), peer: _peer, .. } = scene(setup, 0);
        assert_eq!(host.net.close(conn, how), OK);
        wait_for("the end at the peer", || {
            peer.has(1);
            peer.end == Some(end)
        });
        is_awake(&host);
        host.finish();
    }
}

/// Deadlines that begin during a rest count.
pub fn a_close_that_lingers_is_timed(setup: Setup) {
    let mut host = setup.host_with(|config| {
        (config.gather_us, config.lease_us) = (LONG_US, SHORT_US);
    });
    let door = host.door_with("", |endpoint| endpoint.linger_ms = 100);
    let ((mut peer, _), (_silent, other)) = (host.meet(door), host.meet(door));
    while host.step(20) > 0 {}
    put_to_rest(&host, &mut peer);
    assert_eq!(host.net.close(other, GRACEFUL), OK);
    wait_for("a byte and CLOSED", || host.net.stats().queued_bytes == 2 * 64 + 1);
    while host.step(0) > 0 {}
    assert_eq!(host.events_of(other).last().expect("CLOSED").cause, TIMEOUT_LINGER);
    host.finish();
}

pub fn a_resume_ends_it(setup: Setup) {
    let Scene { host, mut other, peer: _peer, .. } = scene(setup, 0);
    assert_eq!(host.net.pause(other.1), OK);
    put(&mut other.0, b"x");
    assert_eq!(host.net.resume(other.1), OK);
    wait_for("all bytes", || received(&host) == 3);
    host.finish();
}

pub fn a_connect_ends_it(setup: Setup) {
    let Scene { mut host, peer: _peer, other: _other, .. } = scene(setup, 0);
    let far = TcpListener::bind("127.0.0.1:0").expect("a port");
    far.set_nonblocking(true).expect("it need not block");
    host.connect(&format!("tcp://{}", far.local_addr().expect("an address")));
    wait_for("a connect beside a rest", || far.accept().is_ok());
    is_awake(&host);
    host.finish();
}

/// A new door, and the end of one.
pub fn doors_end_it(setup: Setup) {
    let Scene { mut host, mut peer, door, other: _other, .. } = scene(setup, 0);
    host.door("");
    is_awake(&host);
    quiet(&host.net);
    put(&mut peer, b"3");
    assert_eq!(host.net.listener_close(door.listener), OK);
    wait_for("a free port", || TcpListener::bind(("127.0.0.1", door.port)).is_ok());
    wait_for("the third byte", || received(&host) == 3);
    host.finish();
}

/// Who is late is closed, though nobody waits; who is not late is read first.
pub fn a_timeout_ends_it(setup: Setup) {
    let mut host = setup.host_with(|config| {
        (config.gather_us, config.lease_us) = (LONG_US, SHORT_US);
    });
    let door = host.door_with("", |endpoint| endpoint.idle_timeout_ms = 400);
    let ((mut peer, conn), (mut silent, other)) = (host.meet(door), host.meet(door));
    while host.step(20) > 0 {}
    put_to_rest(&host, &mut peer);
    put(&mut peer, b"2");
    let begun = Instant::now();
    wait_for("the end at the silent peer", || {
        put(&mut peer, b"x");
        thread::park_timeout(Duration::from_millis(20));
        silent.has(1);
        silent.end.is_some()
    });
    assert!(begun.elapsed() < DEADLINE);
    while host.step(0) > 0 {}
    assert_eq!(host.events_of(other).last().expect("CLOSED").cause, TIMEOUT_IDLE);
    assert!(!host.is_closed(conn), "it was never silent");
    host.finish();
}

/// Bounded, with what was queued told before the end.
pub fn a_shutdown_ends_it(setup: Setup) {
    for timeout in [0, 5000] {
        let Scene { mut host, conn, peer, other, .. } = scene(setup, 0);
        drop((peer, other.0));
        let begun = Instant::now();
        assert_eq!(host.net.shutdown(timeout), OK);
        assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
        host.drain();
        assert!(host.bytes(conn).starts_with(b"1"));
        host.finish();
    }
}

/// A rest that is ended when nothing waits any more does not go on.
pub fn ended_is_ended(setup: Setup) {
    let mut host = setup.host_with(|config| {
        (config.gather_us, config.lease_us) = (LONG_US, SHORT_US);
    });
    let door = host.door("");
    let (mut peer, conn) = host.meet(door);
    while host.step(20) > 0 {}
    put_to_rest(&host, &mut peer);
    while host.step(0) > 0 {}
    assert_eq!(host.bytes(conn), b"1");
    assert_eq!(host.net.send(conn, b"x"), OK);
    wait_for("a send beside a rest", || peer.has(1));
    quiet(&host.net);
    put(&mut peer, b"2");
    wait_for("the second byte", || received(&host) == 2);
    host.finish();
}

/// A host that ticks and never waits gets every message once and in order.
pub fn a_ticking_host_gets_all(setup: Setup) {
    const PEERS: usize = 4;
    const EACH: u32 = 5000;
    let mut host = setup.host_with(|config| {
        (config.gather_us, config.lease_us) = (3000, SHORT_US);
    });
    let door = host.door("?frame=u32be");
    let (peers, conns): (Vec<Peer>, Vec<_>) = (0..PEERS).map(|_| host.meet(door)).unzip();
    thread::scope(|scope| {
        for peer in peers {
            scope.spawn(move || {
                let mut stream = peer.into_stream();
                for burst in 0..EACH / 50 {
                    let numbers = burst * 50..(burst + 1) * 50;
                    let bytes: Vec<u8> = numbers.flat_map(|n| frame(&n.to_be_bytes())).collect();
                    stream.write_all(&bytes).expect("a host that reads");
                    if burst.is_multiple_of(8) {
                        thread::park_timeout(Duration::from_millis(1));
                    }
                }
            });
        }
        let end = Instant::now() + DEADLINE;
        while host.count(Kind::Message) < PEERS * EACH as usize {
            assert!(Instant::now() < end, "not in time: all messages");
            thread::park_timeout(Duration::from_millis(2));
            while host.step(0) > 0 {}
        }
    });
    for conn in conns {
        let numbers = (0..EACH).map(|number| number.to_be_bytes().to_vec());
        assert!(host.messages(conn).into_iter().eq(numbers), "each once, in order");
    }
    host.finish();
}

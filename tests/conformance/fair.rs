//! Rule 7: fair. A flooding peer does not hold up the quiet ones. Counted, not timed.

use crate::common::event::Kind;
use crate::common::peer::Peer;
use crate::common::words::*;
use crate::common::{Setup, endpoint, frame, suite};
use sockeye::capi::conn::sockeye_conn;
use sockeye::capi::model::sockeye_model as models;
use std::collections::HashMap;
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

suite! {
    each: a_flood_does_not_drown_the_quiet, a_turn_has_a_budget, a_peer_is_read_at_its_rate,
        a_peer_is_sent_to_at_its_rate, a_rate_can_be_lifted;
}

const QUIET: usize = 20;
const TURN_MESSAGES: u32 = 64;
const QUEUE_BYTES: u64 = 64 * 1024;

/// Rule 7: between two messages of a quiet peer there are at most a few queues full of the
/// flood. The queue holds 64 KiB, 80 bytes for a message of 16: some 800 and a turn. With BLOCKING
/// the system's scheduler decides when the thread of a quiet peer runs, and only from then on does
/// the library: there the quiet peers are served while the flood goes on, in no counted order.
pub fn a_flood_does_not_drown_the_quiet(setup: Setup) {
    let mut host = setup.host_with(|config| {
        config.turn_messages = TURN_MESSAGES;
        config.queue_max_bytes = QUEUE_BYTES;
    });
    let door = host.door("?frame=u32be");
    let (flooder, flood) = host.meet(door);
    let (mut peers, conns): (Vec<Peer>, Vec<_>) = (0..QUIET).map(|_| host.meet(door)).unzip();
    let stop = AtomicBool::new(false);
    let counted = setup.model != models::SOCKEYE_MODEL_BLOCKING as u32;
    let bound = 4 * (QUEUE_BYTES as usize / 80 + TURN_MESSAGES as usize);
    std::thread::scope(|scope| {
        let mut stream = flooder.into_stream();
        let stop = &stop;
        scope.spawn(move || {
            let block = frame(&[1; 16]).repeat(500);
            while !stop.load(Ordering::Relaxed) && stream.write_all(&block).is_ok() {}
        });
        host.until("the flood", |host| host.messages(flood).len() > 1000);
        host.log.clear();
        peers.iter_mut().for_each(|peer| peer.put(&frame(b"ping")));
        let mut gaps: HashMap<u64, usize> = HashMap::new();
        let mut rounds: HashMap<u64, usize> = HashMap::new();
        host.until("ten rounds of each", |host| {
            for event in std::mem::take(&mut host.log) {
                assert_eq!(event.kind, Kind::Message);
                if event.conn == flood {
                    conns.iter().for_each(|conn| *gaps.entry(conn.id).or_default() += 1);
                    continue;
                }
                let gap = gaps.insert(event.conn.id, 0).unwrap_or(0);
                assert!(
                    !counted || gap <= bound,
                    "{gap} messages of the flood before one of a quiet peer"
                );
                *rounds.entry(event.conn.id).or_default() += 1;
                pong(host, &mut peers, &conns, event.conn);
            }
            rounds.len() == QUIET && rounds.values().all(|&count| count >= 10)
        });
        stop.store(true, Ordering::Relaxed);
        assert_eq!(host.net.close(flood, AT_ONCE), OK);
        host.closed(flood);
    });
    host.finish();
}

/// Answers a quiet peer, which asks again at once.
fn pong(
    host: &crate::common::host::Host,
    peers: &mut [Peer],
    conns: &[sockeye_conn],
    conn: sockeye_conn,
) {
    let at = conns.iter().position(|&known| known == conn).expect("a known one");
    assert_eq!(host.net.send(conn, b"pong"), OK);
    peers[at].put(&frame(b"ping"));
}

/// Rule 7: `turn_messages` bounds what one connection delivers in a turn: two peers that had
/// equally much waiting are served in turns of that size.
pub fn a_turn_has_a_budget(setup: Setup) {
    const EACH: usize = 2000;
    let mut host = setup.host_with(|config| {
        config.turn_messages = 50;
        config.queue_max_bytes = QUEUE_BYTES;
    });
    let door = host.door("?frame=u32be");
    let (mut peers, conns): (Vec<Peer>, Vec<_>) = (0..2).map(|_| host.meet(door)).unzip();
    for &conn in &conns {
        assert_eq!(host.net.pause(conn), OK);
    }
    host.step(0);
    for peer in &mut peers {
        peer.put(&frame(&[2; 8]).repeat(EACH));
    }
    let begun = host.log.len();
    for &conn in &conns {
        assert_eq!(host.net.resume(conn), OK);
    }
    for &conn in &conns {
        host.await_messages(conn, EACH);
    }
    // From the moment that both have begun neither runs ahead by more than a few turns.
    let (mut ahead, mut both, mut widest) = (0i64, None, 0);
    let mut counts = [0; 2];
    for event in &host.log[begun..] {
        let at = usize::from(event.conn == conns[1]);
        counts[at] += 1;
        ahead += 1 - 2 * at as i64;
        if counts[0] > 0 && counts[1] > 0 && counts.iter().all(|&count| count < EACH) {
            widest = widest.max((ahead - *both.get_or_insert(ahead)).abs());
        }
    }
    assert!(widest <= 500, "{widest} messages ahead");
    host.finish();
}

/// Bytes a second, which are there at first, and those that one receive may bring beyond.
const RATE: u32 = 32 << 10;
const RECEIVE: u32 = 4 << 10;
/// So many wait, and half a second for the last of them. The clock counts whole milliseconds.
const WAITING: usize = (RATE / 2) as usize;
const LEAST: Duration = Duration::from_millis(490);

/// What is too much for `receive_rate` waits, and comes.
pub fn a_peer_is_read_at_its_rate(setup: Setup) {
    let mut host = setup.host_with(|config| config.turn_bytes = RECEIVE);
    let door = host.door_with("", |endpoint| endpoint.receive_rate = RATE);
    let begun = Instant::now();
    let (mut peer, conn) = host.meet(door);
    let all: Vec<u8> = (0..(RATE + RECEIVE) as usize + WAITING).map(|at| (at / 7) as u8).collect();
    host.write(&mut peer, &all);
    host.until("the last byte", |host| host.bytes(conn).len() == all.len());
    assert!(begun.elapsed() >= LEAST, "early: {:?}", begun.elapsed());
    assert_eq!(host.bytes(conn), all);
    assert!(!host.is_closed(conn));
    host.finish();
}

/// What is too much for `send_rate` waits in the outbox, also of a message that is more than that
/// alone, and all that was sent arrives before a close.
pub fn a_peer_is_sent_to_at_its_rate(setup: Setup) {
    let mut host = setup.host();
    let door = host.door_with("", |endpoint| {
        (endpoint.send_rate, endpoint.linger_ms) = (RATE, 20_000);
    });
    let begun = Instant::now();
    let (mut peer, conn) = host.meet(door);
    let all: Vec<u8> = (0..RATE as usize + WAITING).map(|at| (at / 7) as u8).collect();
    let (large, small) = all.split_at(RATE as usize + 100);
    assert_eq!(host.net.send(conn, large), OK);
    for part in small.chunks(1000) {
        assert_eq!(host.net.send(conn, part), OK);
    }
    assert_eq!(host.net.close(conn, GRACEFUL), OK);
    let (got, _) = host.read_to_end(&mut peer);
    assert!(begun.elapsed() >= LEAST, "early: {:?}", begun.elapsed());
    assert!(got == all, "{} bytes of {}", got.len(), all.len());
    drop(peer);
    assert_eq!(host.closed(conn).detail, 0);
    host.finish();
}

/// Both rates are those of the last `sockeye_conn_configure`: with the first ones this would take
/// 40 seconds each way.
pub fn a_rate_can_be_lifted(setup: Setup) {
    const SLOW: u32 = 1024;
    let mut host = setup.host_with(|config| config.turn_bytes = SLOW);
    let door = host.door_with("", |endpoint| {
        (endpoint.receive_rate, endpoint.send_rate) = (SLOW, SLOW);
    });
    let (mut peer, conn) = host.meet(door);
    let all = vec![7; 40 << 10];
    host.write(&mut peer, &all);
    assert_eq!(host.net.send(conn, &all), OK);
    host.until("a beginning", |host| !host.bytes(conn).is_empty() && peer.has(1));
    assert!(host.bytes(conn).len() < all.len() && !peer.has(all.len()), "the rest waits");
    assert_eq!(host.net.configure(conn, &endpoint(|_| {}), b""), OK);
    host.until("all of it", |host| host.bytes(conn).len() == all.len() && peer.has(all.len()));
    host.finish();
}

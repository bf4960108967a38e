//! Taps: what was set happens to the bytes of a stream, and nothing else does.

use crate::common::event::Kind;
use crate::common::host::Host;
use crate::common::net::{fault, last_error};
use crate::common::peer::End;
use crate::common::random::Random;
use crate::common::words::*;
use crate::common::{Setup, stays, suite};
use sockeye::capi::fault::{sockeye_fault, sockeye_fault_way};
use std::time::{Duration, Instant};

suite! {
    each: an_echo_comes_whole_and_in_order, a_delay_is_seen_each_way, a_rate_is_seen_each_way,
        a_stall_ends, what_is_lost_is_sent_again, a_stream_is_cut_in_bytes,
        resets_what_is_received, resets_what_is_sent, closes_behind_what_was_sent,
        shuts_down_behind_what_was_sent,
        the_peers_end_comes_behind_its_bytes, a_reset_loses_and_counts, changes_at_any_time,
        the_nearest_one_rules, a_paused_peer_waits, frames_come_whole, refuses_in_words,
        ends_with_all_of_it_on_the_way;
    queues2: moves_with_all_of_it_on_the_way;
}

pub fn tapped(setup: Setup) -> Host {
    setup.host_with(|config| config.taps = 1)
}

fn way(change: impl FnOnce(&mut sockeye_fault_way)) -> sockeye_fault_way {
    let mut way = sockeye_fault_way::default();
    change(&mut way);
    way
}

/// Waits until the worker has heard what was set.
pub fn settle(host: &mut Host) {
    // Whose setting changes nothing, and has the worker turn.
    let nobody = host.door("").listener.id;
    for _ in 0..2 {
        let turns = host.net.stats().turns;
        assert_eq!(host.net.fault(nobody, None), OK);
        // The first turn that ends may have begun before.
        host.until("a turn", |host| host.net.stats().turns > turns);
    }
}

/// The same both ways.
fn both(change: impl FnOnce(&mut sockeye_fault_way)) -> sockeye_fault {
    let way = way(change);
    fault(|fault| (fault.inward, fault.outward) = (way, way))
}

/// Whatever is set, and while it changes: what is sent comes, once and in order.
pub fn an_echo_comes_whole_and_in_order(setup: Setup) {
    let mut host = tapped(setup);
    let door = host.door("");
    let (mut peer, conn) = host.meet(door);
    host.echo = true;
    let faults = [
        both(|_| {}),
        both(|way| way.delay_ms = 10),
        both(|way| (way.delay_ms, way.jitter_ms) = (10, 10)),
        both(|way| way.rate_bytes = 1_000_000),
        both(|way| way.stall_ms = 10),
        both(|way| way.split_bytes = 100),
        both(|way| (way.delay_ms, way.rate_bytes, way.split_bytes) = (5, 2_000_000, 1000)),
    ];
    let mut random = Random::new(12);
    for fault in &faults {
        assert_eq!(host.net.fault(conn.id, Some(fault)), OK);
        for len in [1, 3000, 50_000] {
            let bytes = random.bytes(len);
            host.write(&mut peer, &bytes);
            assert!(host.read(&mut peer, len) == bytes, "{len} bytes under {:?}", fault.inward);
        }
    }
    // The next one is set while bytes are on their way.
    let bytes = random.bytes(40_000);
    for (part, fault) in bytes.chunks(5000).zip(faults.iter().cycle()) {
        host.write(&mut peer, part);
        host.step(1);
        assert_eq!(host.net.fault(conn.id, Some(fault)), OK);
    }
    assert!(host.read(&mut peer, bytes.len()) == bytes);
    host.finish();
}

/// What is sent comes no sooner than `delay_ms` later, either way.
pub fn a_delay_is_seen_each_way(setup: Setup) {
    let mut host = tapped(setup);
    let door = host.door("");
    let (mut peer, conn) = host.meet(door);
    let delay = Duration::from_millis(60);
    assert_eq!(host.net.fault(conn.id, Some(&both(|way| way.delay_ms = 60))), OK);
    settle(&mut host);
    for round in 1..=3 {
        let begun = Instant::now();
        peer.put(b"there");
        host.until("bytes", |host| host.bytes(conn).len() == 5 * round);
        assert!(begun.elapsed() >= delay, "there in {:?}", begun.elapsed());
        let begun = Instant::now();
        assert_eq!(host.net.send(conn, b"back"), OK);
        host.read(&mut peer, 4);
        assert!(begun.elapsed() >= delay, "back in {:?}", begun.elapsed());
    }
    host.finish();
}

/// No more than `rate_bytes` a second pass.
pub fn a_rate_is_seen_each_way(setup: Setup) {
    let mut host = tapped(setup);
    let door = host.door("");
    let (mut peer, conn) = host.meet(door);
    assert_eq!(host.net.fault(conn.id, Some(&both(|way| way.rate_bytes = 100_000))), OK);
    settle(&mut host);
    // 20,000 bytes take 200 ms; what is made up for is 20 ms of them.
    let least = Duration::from_millis(170);
    let begun = Instant::now();
    peer.put(&[7; 20_000]);
    host.until("bytes", |host| host.bytes(conn).len() == 20_000);
    assert!(begun.elapsed() >= least, "there in {:?}", begun.elapsed());
    let begun = Instant::now();
    assert_eq!(host.net.send(conn, &[8; 20_000]), OK);
    assert_eq!(host.read(&mut peer, 20_000), [8; 20_000]);
    assert!(begun.elapsed() >= least, "back in {:?}", begun.elapsed());
    host.finish();
}

/// Nothing passes for `stall_ms`, then everything does.
pub fn a_stall_ends(setup: Setup) {
    let mut host = tapped(setup);
    let door = host.door("");
    let (mut peer, conn) = host.meet(door);
    let begun = Instant::now();
    assert_eq!(host.net.fault(conn.id, Some(&both(|way| way.stall_ms = 80))), OK);
    settle(&mut host);
    peer.put(b"there");
    assert_eq!(host.net.send(conn, b"back"), OK);
    assert_eq!(host.read(&mut peer, 4), b"back");
    assert!(begun.elapsed() >= Duration::from_millis(80), "{:?}", begun.elapsed());
    host.until("bytes", |host| host.bytes(conn) == b"there");
    host.finish();
}

/// `loss_ppm` of a million: each piece comes 200 ms late, and none is lost.
pub fn what_is_lost_is_sent_again(setup: Setup) {
    let mut host = tapped(setup);
    let door = host.door("");
    let (mut peer, conn) = host.meet(door);
    assert_eq!(host.net.fault(conn.id, Some(&both(|way| way.loss_ppm = 1_000_000))), OK);
    settle(&mut host);
    let begun = Instant::now();
    peer.put(b"there");
    assert_eq!(host.net.send(conn, b"back"), OK);
    host.until("bytes", |host| host.bytes(conn) == b"there");
    assert!(begun.elapsed() >= Duration::from_millis(200), "there in {:?}", begun.elapsed());
    assert_eq!(host.read(&mut peer, 4), b"back");
    assert!(begun.elapsed() >= Duration::from_millis(200), "back in {:?}", begun.elapsed());
    host.finish();
}

/// `split_bytes` 1: each byte is a receive of its own.
pub fn a_stream_is_cut_in_bytes(setup: Setup) {
    let mut host = tapped(setup);
    let door = host.door("");
    let (mut peer, conn) = host.meet(door);
    assert_eq!(host.net.fault(conn.id, Some(&both(|way| way.split_bytes = 1))), OK);
    settle(&mut host);
    let bytes = Random::new(1).bytes(500);
    peer.put(&bytes);
    host.await_messages(conn, 500);
    assert!(host.messages(conn).iter().all(|piece| piece.len() == 1));
    assert!(host.bytes(conn) == bytes);
    assert_eq!(host.net.send(conn, &bytes), OK);
    assert!(host.read(&mut peer, 500) == bytes);
    host.finish();
}

/// After exactly so many bytes received, CLOSED is RESET, and the peer is reset.
pub fn resets_what_is_received(setup: Setup) {
    let mut host = tapped(setup);
    let door = host.door("");
    let (mut peer, conn) = host.meet(door);
    let fault = fault(|fault| fault.inward.reset_after_bytes = 1000);
    assert_eq!(host.net.fault(conn.id, Some(&fault)), OK);
    settle(&mut host);
    peer.put(&[3; 5000]);
    assert_eq!(host.closed(conn).cause, RESET);
    assert_eq!(host.bytes(conn), [3; 1000]);
    if setup.resets() {
        assert_eq!(host.read_to_end(&mut peer).1, End::Reset);
    }
    host.finish();
}

/// After so many bytes sent, CLOSED is RESET and counts those that did not leave.
pub fn resets_what_is_sent(setup: Setup) {
    let mut host = tapped(setup);
    let door = host.door("");
    let (mut peer, conn) = host.meet(door);
    let fault = fault(|fault| fault.outward.reset_after_bytes = 1000);
    assert_eq!(host.net.fault(conn.id, Some(&fault)), OK);
    assert_eq!(host.net.send(conn, &[4; 5000]), OK);
    let closed = host.closed(conn);
    assert_eq!((closed.cause, closed.detail), (RESET, 4000));
    let (got, end) = host.read_to_end(&mut peer);
    assert!(got.len() <= 1000, "{} bytes passed", got.len());
    if setup.resets() {
        assert_eq!(end, End::Reset);
    }
    host.finish();
}

/// GRACEFUL: the end leaves behind all that was sent, however late that is.
pub fn closes_behind_what_was_sent(setup: Setup) {
    let mut host = tapped(setup);
    let door = host.door("");
    let slow = both(|way| (way.delay_ms, way.jitter_ms, way.rate_bytes) = (80, 20, 200_000));
    assert_eq!(host.net.fault(door.listener.id, Some(&slow)), OK);
    let (mut peer, conn) = host.meet(door);
    let bytes = Random::new(2).bytes(10_000);
    assert_eq!(host.net.send(conn, &bytes), OK);
    host.step(1);
    assert_eq!(host.net.close_with(conn, GRACEFUL, b"goodbye"), OK);
    let (got, end) = host.read_to_end(&mut peer);
    assert!(got == [&bytes, &b"goodbye"[..]].concat(), "{} bytes", got.len());
    assert_eq!(end, End::Fin);
    drop(peer);
    let closed = host.closed(conn);
    assert_eq!((closed.cause, closed.detail), (HOST, 0));
    host.finish();
}

/// A shutdown that may take its time, too.
pub fn shuts_down_behind_what_was_sent(setup: Setup) {
    let mut host = tapped(setup);
    let door = host.door("");
    let (mut peer, conn) = host.meet(door);
    assert_eq!(host.net.fault(0, Some(&both(|way| way.delay_ms = 80))), OK);
    let bytes = Random::new(3).bytes(10_000);
    assert_eq!(host.net.send(conn, &bytes), OK);
    assert_eq!(host.net.shutdown(10_000), OK);
    host.drain();
    let (got, end) = host.read_to_end(&mut peer);
    assert!(got == bytes, "{} bytes", got.len());
    assert_eq!(end, End::Fin);
    let closed = host.closed(conn);
    assert_eq!((closed.cause, closed.detail), (SHUTDOWN, 0));
    host.finish();
}

/// The peer's FIN is delayed as its bytes are, and the answer to them still arrives.
pub fn the_peers_end_comes_behind_its_bytes(setup: Setup) {
    let mut host = tapped(setup);
    let door = host.door_with("", |endpoint| endpoint.half_open = 1);
    let (mut peer, conn) = host.meet(door);
    assert_eq!(host.net.fault(conn.id, Some(&both(|way| way.delay_ms = 50))), OK);
    settle(&mut host);
    let begun = Instant::now();
    peer.put(b"all");
    peer.fin();
    host.until("the end", |host| host.kinds_of(conn).contains(&Kind::Ended));
    assert!(begun.elapsed() >= Duration::from_millis(50), "{:?}", begun.elapsed());
    assert_eq!(host.kinds_of(conn), [Kind::Opened, Kind::Message, Kind::Ended]);
    assert_eq!(host.bytes(conn), b"all");
    assert_eq!(host.net.close_with(conn, GRACEFUL, b"answer"), OK);
    assert_eq!(host.read_to_end(&mut peer), (b"answer".to_vec(), End::Fin));
    assert_eq!(host.closed(conn).cause, HOST);
    host.finish();
}

/// RESET under a delay: what did not leave is counted in CLOSED, and the peer is reset.
pub fn a_reset_loses_and_counts(setup: Setup) {
    let mut host = tapped(setup);
    let door = host.door("");
    let (mut peer, conn) = host.meet(door);
    assert_eq!(host.net.fault(conn.id, Some(&both(|way| way.delay_ms = 60_000))), OK);
    for round in 1..=3 {
        assert_eq!(host.net.send(conn, &[1; 400]), OK);
        // It is taken ahead: a delay does not wait for the one before.
        host.until("the send", |host| {
            let stats = host.net.conn_stats(conn).expect("it lives");
            (stats.outbox_bytes, stats.sent_bytes) == (0, 400 * round)
        });
    }
    assert!(!peer.has(1), "nothing left so soon");
    assert_eq!(host.net.close(conn, AT_ONCE), OK);
    let closed = host.closed(conn);
    assert_eq!((closed.cause, closed.detail), (HOST, 1200));
    if setup.resets() {
        assert_eq!(host.read_to_end(&mut peer), (vec![], End::Reset));
    }
    host.finish();
}

/// What is set anew counts for what comes then; without any, what waits passes at once.
pub fn changes_at_any_time(setup: Setup) {
    let mut host = tapped(setup);
    let door = host.door("");
    let (mut peer, conn) = host.meet(door);
    let far = both(|way| way.delay_ms = 60_000);
    assert_eq!(host.net.fault(conn.id, Some(&far)), OK);
    settle(&mut host);
    peer.put(b"there");
    assert_eq!(host.net.send(conn, b"back"), OK);
    stays("nothing passes", Duration::from_millis(100), || {
        host.step(1);
        host.bytes(conn).is_empty() && !peer.has(1)
    });
    assert_eq!(host.net.fault(conn.id, None), OK);
    host.until("bytes", |host| host.bytes(conn) == b"there");
    assert_eq!(host.read(&mut peer, 4), b"back");
    host.echo = true;
    peer.put(b"at once");
    assert_eq!(host.read(&mut peer, 7), b"at once");
    host.finish();
}

/// A connection's own rules it, else its listener's, else the net's; each can be taken back.
pub fn the_nearest_one_rules(setup: Setup) {
    let mut host = tapped(setup);
    let (one, other) = (host.door(""), host.door(""));
    let pieces = |size| fault(|fault| fault.inward.split_bytes = size);
    assert_eq!(host.net.fault(0, Some(&pieces(4))), OK);
    assert_eq!(host.net.fault(one.listener.id, Some(&pieces(3))), OK);
    let (mut first, mine) = host.meet(one);
    let (mut second, theirs) = host.meet(other);
    let sizes = |host: &mut Host, peer: &mut crate::common::peer::Peer, conn| {
        settle(host);
        let (before, bytes) = (host.messages(conn).len(), host.bytes(conn).len());
        peer.put(&[0; 12]);
        host.until("bytes", |host| host.bytes(conn).len() == bytes + 12);
        host.messages(conn)[before..].iter().map(|piece| piece.len()).max().expect("some")
    };
    assert_eq!(sizes(&mut host, &mut first, mine), 3, "its listener's");
    assert_eq!(sizes(&mut host, &mut second, theirs), 4, "the net's");
    assert_eq!(host.net.fault(mine.id, Some(&pieces(2))), OK);
    assert_eq!(sizes(&mut host, &mut first, mine), 2, "its own");
    assert_eq!(host.net.fault(mine.id, Some(&pieces(0))), OK);
    assert_eq!(sizes(&mut host, &mut first, mine), 12, "its own, which is none");
    assert_eq!(host.net.fault(mine.id, None), OK);
    assert_eq!(host.net.fault(one.listener.id, Some(&pieces(6))), OK);
    assert_eq!(sizes(&mut host, &mut first, mine), 6, "its listener's, set since");
    assert_eq!(host.net.fault(one.listener.id, None), OK);
    assert_eq!(sizes(&mut host, &mut first, mine), 4, "the net's");
    assert_eq!(host.net.fault(0, None), OK);
    assert_eq!(sizes(&mut host, &mut first, mine), 12, "none");
    host.finish();
}

/// What is read ahead ends: a paused connection has its peer wait, and gives all afterwards.
pub fn a_paused_peer_waits(setup: Setup) {
    let mut host = tapped(setup);
    let door = host.door_with("", |endpoint| endpoint.recv_buffer_bytes = 16 * 1024);
    let (mut peer, conn) = host.meet(door);
    assert_eq!(host.net.fault(conn.id, Some(&both(|way| way.delay_ms = 20))), OK);
    settle(&mut host);
    assert_eq!(host.net.pause(conn), OK);
    let bytes = Random::new(4).bytes(64 << 20);
    let mut at = 0;
    let mut since = Instant::now();
    host.until("the peer waits", |_| {
        let taken = peer.offer(&bytes[at..(at + 65_536).min(bytes.len())]);
        at += taken;
        if taken > 0 {
            since = Instant::now();
        }
        since.elapsed() > Duration::from_millis(200)
    });
    assert!(at < 32 << 20, "{at} bytes were taken of a peer that nobody reads");
    assert_eq!(host.messages(conn).len(), 0);
    assert_eq!(host.net.resume(conn), OK);
    host.until("all of it", |host| {
        let pieces = host.messages(conn);
        pieces.iter().map(|piece| piece.len()).sum::<usize>() == at
    });
    assert!(host.bytes(conn) == bytes[..at]);
    host.finish();
}

/// Frames that are received into memory of their own, in pieces of any size.
pub fn frames_come_whole(setup: Setup) {
    let mut host = tapped(setup);
    let door = host.door("?frame=u32be");
    let (mut peer, conn) = host.meet(door);
    let fault = both(|way| (way.delay_ms, way.jitter_ms, way.split_bytes) = (3, 3, 1700));
    assert_eq!(host.net.fault(conn.id, Some(&fault)), OK);
    settle(&mut host);
    let mut random = Random::new(6);
    let messages: Vec<Vec<u8>> = [5, 0, 40_000, 100, 20_000].map(|len| random.bytes(len)).into();
    let wire: Vec<u8> = messages.iter().flat_map(|it| crate::common::frame(it)).collect();
    host.write(&mut peer, &wire);
    host.await_messages(conn, messages.len());
    assert!(host.messages(conn) == messages, "the same messages");
    for message in &messages {
        assert_eq!(host.net.send(conn, message), OK);
    }
    assert!(host.read(&mut peer, wire.len()) == wire);
    host.finish();
}

/// Closed in any way while bytes are held both ways: CLOSED comes, and the net ends.
pub fn ends_with_all_of_it_on_the_way(setup: Setup) {
    let mut host = tapped(setup);
    let door = host.door("");
    assert_eq!(host.net.fault(0, Some(&both(|way| way.delay_ms = 60_000))), OK);
    let met: Vec<_> = (0..6).map(|_| host.meet(door)).collect();
    let mut met: Vec<_> = met.into_iter().map(|(peer, conn)| (Some(peer), conn)).collect();
    for (peer, conn) in &mut met {
        peer.as_mut().expect("not gone yet").put(&[1; 1000]);
        assert_eq!(host.net.send(*conn, &[2; 1000]), OK);
    }
    for _ in 0..5 {
        host.step(2);
    }
    assert_eq!(host.net.close(met[0].1, AT_ONCE), OK);
    assert_eq!(host.net.pause(met[1].1), OK);
    assert_eq!(host.net.close(met[1].1, AT_ONCE), OK);
    assert_eq!(host.net.close(met[2].1, GRACEFUL), OK);
    assert_eq!(host.net.close(met[2].1, AT_ONCE), OK);
    assert_eq!(host.net.listener_close(door.listener), OK);
    for (_, conn) in &met[..3] {
        let closed = host.closed(*conn);
        assert_eq!((closed.cause, closed.detail), (HOST, 1000));
    }
    // Its reset comes behind its bytes, which are far away; the others are ended by the net.
    met[3].0 = None;
    assert_eq!(host.net.close(met[4].1, GRACEFUL), OK);
    host.step(5);
    host.finish();
}

type Change = fn(&mut sockeye_fault_way);

/// Values that cannot be, nets without taps, and handles of nobody.
pub fn refuses_in_words(setup: Setup) {
    let refused = |status: i32, of: i32, words: &str| {
        assert_eq!(status, of, "{}", last_error());
        assert!(last_error().contains(words), "{} does not say {words}", last_error());
    };
    let mut host = setup.host();
    let door = host.door("");
    let (_peer, conn) = host.meet(door);
    for id in [0, conn.id, door.listener.id] {
        refused(host.net.fault(id, Some(&both(|_| {}))), ERR_UNSUPPORTED, "config.taps");
        refused(host.net.fault(id, None), ERR_UNSUPPORTED, "config.taps");
    }
    host.finish();
    let refusal = crate::common::net::Net::open(&setup.config(|config| config.taps = 2)).err();
    refused(refusal.unwrap_or(OK), ERR_INVALID, "config.taps is 2");
    let mut host = tapped(setup);
    let door = host.door("");
    let (_peer, conn) = host.meet(door);
    let wrong = |change: Change| {
        [fault(|fault| change(&mut fault.inward)), fault(|fault| change(&mut fault.outward))]
    };
    let all: [(&str, Change); 6] = [
        ("loss_ppm", |way| way.loss_ppm = 1_000_001),
        ("delay_ms", |way| way.delay_ms = 60_001),
        ("jitter_ms", |way| way.jitter_ms = 1),
        ("stall_ms", |way| way.stall_ms = u32::MAX),
        ("rate_bytes", |way| way.rate_bytes = u64::MAX),
        ("reserved", |way| *way.reserved.last_mut().unwrap() = 1),
    ];
    for (field, change) in all {
        let [inward, outward] = wrong(change);
        refused(host.net.fault(conn.id, Some(&inward)), ERR_INVALID, &format!("inward.{field}"));
        refused(host.net.fault(0, Some(&outward)), ERR_INVALID, &format!("outward.{field}"));
    }
    refused(host.net.fault(conn.id, Some(&fault(|it| it.reserved = 1))), ERR_INVALID, "reserved");
    refused(host.net.fault(conn.id, Some(&fault(|it| it.struct_size = 9))), ERR_INVALID, "size");
    assert_eq!(host.net.fault(conn.id ^ 1 << 24, Some(&both(|_| {}))), ERR_STALE);
    assert_eq!(host.net.fault(door.listener.id ^ 1 << 50, None), ERR_STALE);
    assert_eq!(host.net.close(conn, AT_ONCE), OK);
    host.closed(conn);
    host.step(5);
    assert_eq!(host.net.fault(conn.id, None), ERR_STALE);
    let net = host.net.clone();
    host.finish();
    assert_eq!(net.fault(0, None), ERR_SHUTDOWN);
}

/// A move while bytes are held: nothing is lost, doubled or out of order, on either way.
pub fn moves_with_all_of_it_on_the_way(setup: Setup) {
    let mut host = tapped(setup);
    let door = host.door_with("", |endpoint| endpoint.queue = 0);
    let (mut peer, conn) = host.meet(door);
    let mut random = Random::new(8);
    let (mut there, mut back) = (Vec::new(), Vec::new());
    for round in 0..6 {
        let slow = both(|way| way.delay_ms = [15, 0][round % 2]);
        assert_eq!(host.net.fault(conn.id, Some(&slow)), OK);
        for len in [1000, 1] {
            let (one, other) = (random.bytes(len), random.bytes(len));
            peer.put(&one);
            assert_eq!(host.net.send(conn, &other), OK);
            host.step(1);
            there.extend(one);
            back.extend(other);
        }
        host.moved_to(conn, 1 - round as u32 % 2);
    }
    host.until("all of it", |host| host.bytes(conn).len() >= there.len());
    assert!(host.bytes(conn) == there);
    assert!(host.read(&mut peer, back.len()) == back);
    assert_eq!(host.net.close(conn, GRACEFUL), OK);
    assert_eq!(host.read_to_end(&mut peer), (vec![], End::Fin));
    drop(peer);
    host.closed(conn);
    host.finish();
}

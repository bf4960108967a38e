//! Connections that a datagram socket carries, with strangers, floods and losses.

use crate::carried::{accepted, door, door_with, meet, meet_with, turn_over, url};
use crate::common::event::Kind;
use crate::common::freight::{self, CLOSE, DATA, OPEN, datagram};
use crate::common::host::{Door, Host};
use crate::common::net::fault;
use crate::common::udp::Raw;
use crate::common::words::*;
use crate::common::{Setup, suite, wait_for};
use sockeye::capi::conn::sockeye_conn;
use std::collections::HashSet;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

suite! {
    each: garbage_is_counted, opened_without_end, one_floods_and_another_is_served,
        others_have_no_say, losses_hang_nothing, all_is_lost, stuck_sends_time_out,
        a_beginning_twice, a_message_over_the_limit, memory_comes_back, the_worker_rests;
    threaded: a_full_queue_holds_back;
}

fn at(door: Door) -> SocketAddr {
    ([127, 0, 0, 1], door.port).into()
}

fn drops(host: &Host, door: Door) -> u64 {
    host.net.listener_stats(door.listener).expect("it lives").queue_drops
}

/// Whatever comes that is none of the transport's makes no event and harms no connection.
pub fn garbage_is_counted(setup: Setup) {
    let mut host = setup.host();
    let door = door(&mut host);
    let (conn, other) = meet(&mut host, door);
    let mut raw = Raw::new();
    let garbage: [&[u8]; 5] =
        [b"", b"1234", b"GET / HTTP/1.1\r\n\r\n", &[0xff; 1400], &datagram(77, CLOSE, b"")];
    let events = host.log.len();
    for (number, bytes) in garbage.iter().enumerate() {
        raw.send(at(door), bytes);
        host.until("it is counted", |host| drops(host, door) == number as u64 + 1);
    }
    raw.send(at(door), &datagram(78, DATA, b"whose?"));
    host.until("an answer", |_| raw.has(1));
    assert_eq!(raw.payloads(), [datagram(78, freight::RESET, b"")]);
    assert_eq!(host.log.len(), events, "no event");
    turn_over(&mut host, conn, other);
    let failures = host.net.stats();
    assert_eq!((failures.accept_failures, failures.connections), (0, 2));
    host.finish();
}

/// A peer that opens and opens gets what `connections_max` allows, and others are served.
pub fn opened_without_end(setup: Setup) {
    const MOST: usize = 40;
    let mut host = setup.host_with(|config| config.connections_max = MOST as u32);
    let door = door(&mut host);
    let (conn, other) = meet(&mut host, door);
    // The listener, the socket of this end, and the two.
    let room = MOST - 4;
    let mut raw = Raw::new();
    for number in 0..400u32 {
        raw.send(at(door), &datagram(number, OPEN, b""));
        host.until("an answer", |_| raw.has(number as usize + 1));
    }
    let answers: Vec<u8> =
        raw.payloads().iter().map(|it| freight::parse(it).expect("of it").1).collect();
    let accepts = answers.iter().filter(|kind| **kind == freight::ACCEPT).count();
    assert_eq!((accepts, answers.len()), (room, 400), "the others were refused");
    host.until("OPENED of those", |host| accepted(host, door).len() == room + 1);
    let stats = host.net.stats();
    assert_eq!(stats.connections, room as u64 + 2);
    assert_eq!(stats.accept_failures, 400 - room as u64);
    turn_over(&mut host, conn, other);
    // Their goodbyes make room.
    for number in 0..room as u32 {
        raw.send(at(door), &datagram(number, CLOSE, b""));
        host.step(0);
    }
    host.until("room", |host| host.net.stats().connections == 2);
    let pair = meet(&mut host, door);
    turn_over(&mut host, pair.0, pair.1);
    host.finish();
}

/// Messages without a pause on one stream: another one's are told beside them, and a paused one
/// holds no more than the transport keeps for it.
pub fn one_floods_and_another_is_served(setup: Setup) {
    let mut host = setup.host();
    let door = door(&mut host);
    let (conn, other) = meet(&mut host, door);
    let raw = Raw::new();
    raw.send(at(door), &datagram(1, OPEN, b""));
    host.until("OPENED", |host| accepted(host, door).len() == 2);
    let flooded = accepted(&host, door)[1];
    assert_eq!(host.net.pause(flooded), OK);
    for round in 0..100u8 {
        for _ in 0..20 {
            raw.send(at(door), &datagram(1, DATA, &[round; 400]));
        }
        // The system has room for few.
        host.step(1);
        if round % 20 == 19 {
            turn_over(&mut host, conn, other);
        }
    }
    assert!(host.messages(flooded).is_empty());
    assert_eq!(host.net.resume(flooded), OK);
    host.until("what was kept", |host| !host.messages(flooded).is_empty());
    turn_over(&mut host, conn, other);
    let told = host.messages(flooded).len();
    assert!(told <= freight::UNREAD_MAX, "{told}");
    host.finish();
}

/// A stream is its peer's: the same number from another address is another stream, and nothing that
/// others send ends it.
pub fn others_have_no_say(setup: Setup) {
    let mut host = setup.host();
    let door = door(&mut host);
    let raws = [Raw::new(), Raw::new()];
    for (number, raw) in raws.iter().enumerate() {
        raw.send(at(door), &datagram(5, OPEN, b""));
        host.until("OPENED", |host| accepted(host, door).len() == number + 1);
    }
    let conns = accepted(&host, door);
    for (raw, text) in raws.iter().zip([b"one", b"two"]) {
        raw.send(at(door), &datagram(5, DATA, text));
    }
    conns.iter().for_each(|conn| host.await_messages(*conn, 1));
    assert_eq!(
        (host.messages(conns[0]), host.messages(conns[1])),
        (vec![&b"one"[..]], vec![&b"two"[..]])
    );
    let stranger = Raw::new();
    let before = drops(&host, door);
    for kind in [CLOSE, freight::RESET] {
        stranger.send(at(door), &datagram(5, kind, b""));
    }
    host.until("both are counted", |host| drops(host, door) == before + 2);
    raws[1].send(at(door), &datagram(5, freight::RESET, b""));
    assert_eq!(host.closed(conns[1]).cause, RESET);
    raws[0].send(at(door), &datagram(5, DATA, b"still"));
    host.await_messages(conns[0], 2);
    assert!(!host.is_closed(conns[0]));
    host.finish();
}

/// A third of all is lost each way: those that connect do so in the end, messages come or do not,
/// and every one is closed by a word of the peer or for its silence.
pub fn losses_hang_nothing(setup: Setup) {
    const COUNT: usize = 60;
    let mut host = setup.host_with(|config| config.taps = 1);
    let lossy = fault(|fault| {
        fault.inward.loss_ppm = 180_000;
        fault.outward.loss_ppm = 180_000;
        fault.outward.reorder_ppm = 100_000;
        fault.outward.duplicate_ppm = 100_000;
    });
    assert_eq!(host.net.fault(0, Some(&lossy)), OK);
    let door = door_with(&mut host, |endpoint| endpoint.idle_timeout_ms = 1000);
    let conns: Vec<sockeye_conn> = (0..COUNT)
        .map(|_| host.connect_with(&url(door), |endpoint| endpoint.idle_timeout_ms = 1500))
        .collect();
    host.until("OPENED of all", |host| {
        conns.iter().all(|conn| host.kinds_of(*conn).first() == Some(&Kind::Opened))
    });
    for number in 0..20u8 {
        for conn in &conns {
            let sent = host.net.send(*conn, &[number]);
            assert!(sent == OK || host.is_closed(*conn), "{sent}");
        }
        host.step(1);
    }
    host.until("CLOSED of all", |host| {
        let closed: HashSet<u64> =
            host.log.iter().filter(|it| it.kind == Kind::Closed).map(|it| it.conn.id).collect();
        let opened = host.log.iter().filter(|it| it.kind == Kind::Opened);
        opened.clone().count() >= 2 * COUNT && opened.clone().all(|it| closed.contains(&it.conn.id))
    });
    let closes = host.log.iter().filter(|event| event.kind == Kind::Closed);
    assert!(closes.clone().all(|it| [PEER, RESET, TIMEOUT_IDLE].contains(&it.cause)));
    let messages = host.count(Kind::Message);
    assert!(messages > 20 * COUNT / 4, "{messages} of {}", 20 * COUNT);
    host.finish();
}

/// Nothing comes through: each end finds out by itself, and a graceful close is bounded.
pub fn all_is_lost(setup: Setup) {
    let mut host = setup.host_with(|config| config.taps = 1);
    let door = door_with(&mut host, |endpoint| endpoint.idle_timeout_ms = 300);
    let (conn, other) = meet(&mut host, door);
    let dead =
        fault(|fault| (fault.inward.loss_ppm, fault.outward.loss_ppm) = (1_000_000, 1_000_000));
    assert_eq!(host.net.fault(0, Some(&dead)), OK);
    assert_eq!(host.net.send(conn, b"lost"), OK);
    assert_eq!(host.closed(other).cause, TIMEOUT_IDLE);
    let begun = Instant::now();
    assert_eq!(host.net.close_with(conn, GRACEFUL, b"as well"), OK);
    assert_eq!(host.closed(conn).cause, HOST);
    assert!(begun.elapsed() < Duration::from_secs(10));
    assert!(host.messages(other).is_empty());
    assert_eq!(host.net.fault(0, None), OK);
    let pair = meet(&mut host, door);
    turn_over(&mut host, pair.0, pair.1);
    host.finish();
}

/// Its socket takes nothing any more, nor does the transport: what waits in the outbox has
/// `send_timeout_ms`.
pub fn stuck_sends_time_out(setup: Setup) {
    let mut host = setup.host_with(|config| config.taps = 1);
    let door = door(&mut host);
    let (conn, _) = meet_with(&mut host, door, |endpoint| {
        endpoint.outbox_max_bytes = 16 << 20;
        endpoint.send_timeout_ms = 300;
    });
    let slow = fault(|fault| fault.outward.rate_bytes = 1000);
    assert_eq!(host.net.fault(0, Some(&slow)), OK);
    let begun = Instant::now();
    for _ in 0..600 {
        assert_eq!(host.net.send(conn, &[0; 20_000]), OK);
    }
    let closed = host.closed(conn);
    assert_eq!(closed.cause, TIMEOUT_SEND);
    assert!(closed.detail > 1 << 20, "unsent: {}", closed.detail);
    assert!(begun.elapsed() >= Duration::from_millis(300), "{:?}", begun.elapsed());
    assert_eq!(host.net.fault(0, None), OK);
    host.finish();
}

/// A peer that did not hear the answer asks again: still one connection.
pub fn a_beginning_twice(setup: Setup) {
    let mut host = setup.host();
    let door = door(&mut host);
    let mut raw = Raw::new();
    for count in 1..=3 {
        raw.send(at(door), &datagram(1, OPEN, b""));
        host.until("an answer", |_| raw.has(count));
    }
    raw.send(at(door), &datagram(1, DATA, b"x"));
    host.until("its message", |host| host.count(Kind::Message) == 1);
    assert_eq!(accepted(&host, door).len(), 1);
    host.finish();
}

/// `frame_max_bytes` bounds what a peer sends and what is sent to it.
pub fn a_message_over_the_limit(setup: Setup) {
    let mut host = setup.host();
    let door = door_with(&mut host, |endpoint| endpoint.framing.frame_max_bytes = 100);
    let (conn, other) = meet(&mut host, door);
    assert_eq!(host.net.send(other, &[0; 101]), ERR_TOO_BIG);
    assert_eq!((host.net.send(other, &[0; 100]), host.net.send(conn, &[0; 100])), (OK, OK));
    host.await_messages(other, 1);
    assert_eq!(host.net.send(conn, &[0; 101]), OK);
    assert_eq!(host.closed(other).cause, LIMIT_FRAME);
    assert_eq!(host.messages(other).len(), 1);
    host.finish();
}

/// A message of a byte counts for what it keeps from being used again: many of them fill a queue,
/// and what it has no room for waits, in order.
pub fn a_full_queue_holds_back(setup: Setup) {
    const MOST: u64 = 64 << 10;
    let mut host = setup.host_with(|config| config.queue_max_bytes = MOST);
    let door = door(&mut host);
    let raw = Raw::new();
    raw.send(at(door), &datagram(1, OPEN, b""));
    host.until("OPENED", |host| accepted(host, door).len() == 1);
    let conn = accepted(&host, door)[0];
    for number in 0..100u8 {
        raw.send(at(door), &datagram(1, DATA, &[number]));
        wait_for("it is received", || {
            let stats = host.net.listener_stats(door.listener).expect("it lives");
            stats.received_messages == u64::from(number) + 2
        });
    }
    let queued = host.net.stats().queued_bytes;
    assert!((1..=MOST).contains(&queued), "{queued}");
    host.await_messages(conn, 100);
    assert!(host.messages(conn).iter().enumerate().all(|(at, it)| *it == [at as u8]));
    host.finish();
}

/// What was sent and received leaves nothing behind.
pub fn memory_comes_back(setup: Setup) {
    let mut host = setup.host();
    let door = door(&mut host);
    for round in 0..5 {
        let (conn, other) = meet(&mut host, door);
        for number in 1..=40 {
            assert_eq!(host.net.send(conn, &[number; 20_000]), OK);
            host.await_messages(other, number.into());
        }
        assert_eq!(host.net.close(conn, if round == 1 { AT_ONCE } else { GRACEFUL }), OK);
        host.closed(other);
        host.until("no connection", |host| host.net.stats().connections == 0);
    }
    // Of four that were sent.
    host.until("little memory", |host| host.net.stats().memory_bytes <= 1 << 20);
    host.finish();
}

/// Open connections without anything to say cost no turns.
pub fn the_worker_rests(setup: Setup) {
    let mut host = setup.host();
    let door = door(&mut host);
    let pairs: Vec<_> = (0..10).map(|_| meet(&mut host, door)).collect();
    assert_eq!(host.net.pause(pairs[0].1), OK);
    host.rests();
    turn_over(&mut host, pairs[1].0, pairs[1].1);
    host.finish();
}

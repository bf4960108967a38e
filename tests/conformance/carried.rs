//! Connections without a socket of their own, carried by a datagram socket: what is so with a
//! socket is so with these. The transport is one for tests (`freight.rs`). `carried_ends.rs` has
//! how they end, `carried_trouble.rs` what strangers and a bad network do.

use crate::common::event::{Kind, socket_address};
use crate::common::freight::{FREIGHT, LONE_FREIGHT, MESSAGE_MAX};
use crate::common::host::{Door, Host};
use crate::common::message::Message;
use crate::common::udp::Raw;
use crate::common::words::*;
use crate::common::{Setup, suite};
use sockeye::capi::conn::sockeye_conn;
use sockeye::capi::endpoint::sockeye_endpoint;
use sockeye::engine::carry_for_tests;
use std::collections::HashSet;
use std::net::SocketAddr;

suite! {
    each: there_and_back, a_thousand_over_one_socket, each_over_its_own_socket,
        sends_before_opened_wait, sends_of_every_kind, a_key_replaces_what_waits,
        full_and_writable, more_than_there_is_room_for, oldest_are_dropped, pause_keeps_back,
        a_budget_for_each_turn, by_name, facts_of_each, what_is_not_for_these;
    threaded: sends_from_other_threads;
    queues2: moves_change_the_queue_only, spread_over_the_queues;
}

/// A listener of connections that are carried. Those of this thread that connect are too.
pub fn door_with(host: &mut Host, change: impl FnOnce(&mut sockeye_endpoint)) -> Door {
    carry_for_tests(Some(FREIGHT));
    host.door_at("udp://127.0.0.1:0", change)
}

pub fn door(host: &mut Host) -> Door {
    door_with(host, |_| {})
}

/// The connections that a listener accepted, in the order in which they were told.
pub fn accepted(host: &Host, door: Door) -> Vec<sockeye_conn> {
    let of_it =
        host.log.iter().filter(|it| it.kind == Kind::Opened && it.listener == door.listener);
    of_it.map(|event| event.conn).collect()
}

/// Both ends of a new connection, the one that connected first.
pub fn meet_with(
    host: &mut Host,
    door: Door,
    change: impl FnOnce(&mut sockeye_endpoint),
) -> (sockeye_conn, sockeye_conn) {
    let before = accepted(host, door).len();
    let conn = host.connect_with(&url(door), change);
    host.until("OPENED at both ends", |host| {
        accepted(host, door).len() == before + 1 && !host.kinds_of(conn).is_empty()
    });
    assert_eq!(host.kinds_of(conn), [Kind::Opened]);
    (conn, accepted(host, door)[before])
}

pub fn meet(host: &mut Host, door: Door) -> (sockeye_conn, sockeye_conn) {
    meet_with(host, door, |_| {})
}

pub fn url(door: Door) -> String {
    format!("udp://127.0.0.1:{}", door.port)
}

/// A message there and back, so often that what should not come would have come.
pub fn turn_over(host: &mut Host, one: sockeye_conn, other: sockeye_conn) {
    for round in 0..5u8 {
        for (from, to) in [(one, other), (other, one)] {
            let before = host.messages(to).len();
            assert_eq!(host.net.send(from, &[round]), OK);
            host.await_messages(to, before + 1);
            assert_eq!(host.messages(to)[before..], [[round]]);
        }
    }
}

fn local(host: &Host, conn: sockeye_conn) -> SocketAddr {
    socket_address(&host.net.conn_info(conn).expect("it lives").local)
}

fn peer(host: &Host, conn: sockeye_conn) -> SocketAddr {
    socket_address(&host.net.conn_info(conn).expect("it lives").peer)
}

/// Messages of any size, each whole and in its place, and one CLOSED at each end.
pub fn there_and_back(setup: Setup) {
    let mut host = setup.host();
    let door = door(&mut host);
    let (conn, other) = meet(&mut host, door);
    let sizes = [0, 1, 64, 1200, 4096, 20_000, MESSAGE_MAX as usize];
    for (number, size) in sizes.into_iter().enumerate() {
        let message = vec![number as u8; size];
        for (from, to) in [(conn, other), (other, conn)] {
            assert_eq!(host.net.send(from, &message), OK);
            host.await_messages(to, number + 1);
            assert!(host.messages(to)[number] == message, "{size} bytes");
        }
    }
    assert_eq!(host.net.send(conn, &[0; MESSAGE_MAX as usize + 1]), ERR_TOO_BIG);
    let all = sizes.iter().sum::<usize>() as u64;
    for one in [conn, other] {
        let stats = host.net.conn_stats(one).expect("it lives");
        assert_eq!((stats.sent_bytes, stats.received_bytes), (all, all));
        assert_eq!((stats.received_messages, stats.outbox_bytes), (sizes.len() as u64, 0));
    }
    assert_eq!(host.net.close(conn, GRACEFUL), OK);
    assert_eq!((host.closed(conn).cause, host.closed(other).cause), (HOST, PEER));
    host.finish();
}

/// A message of each of a thousand, there and back over one socket at either end.
pub fn a_thousand_over_one_socket(setup: Setup) {
    const COUNT: usize = 1000;
    let mut host = setup.host();
    let door = door(&mut host);
    let conns: Vec<sockeye_conn> = (0..COUNT).map(|_| host.connect(&url(door))).collect();
    host.until("OPENED of all", |host| host.count(Kind::Opened) == 2 * COUNT);
    let ours: HashSet<SocketAddr> = conns.iter().map(|conn| local(&host, *conn)).collect();
    assert_eq!(ours.len(), 1, "one socket");
    let others = accepted(&host, door);
    assert!(others.iter().all(|it| peer(&host, *it).port() == local(&host, conns[0]).port()));
    assert_eq!(host.net.listener_info(door.listener).expect("it lives").accepted, COUNT as u64);
    assert_eq!(host.net.stats().connections, 2 * COUNT as u64);
    // Few at a time: what the system has no room for is lost.
    let mut echoed = host.log.len();
    for (number, some) in conns.chunks(50).enumerate() {
        for (at, conn) in some.iter().enumerate() {
            let text = (number * 50 + at).to_string();
            assert_eq!(host.net.send(*conn, text.as_bytes()), OK);
        }
        host.until("an answer to each", |host| {
            while let Some(event) = host.log.get(echoed) {
                if event.kind == Kind::Message && others.contains(&event.conn) {
                    assert_eq!(host.net.send(event.conn, &event.data), OK);
                }
                echoed += 1;
            }
            some.iter().all(|conn| !host.messages(*conn).is_empty())
        });
    }
    for (number, conn) in conns.iter().enumerate() {
        assert_eq!(host.messages(*conn), [number.to_string().as_bytes()], "each its own");
    }
    for some in conns.chunks(50) {
        let before = host.count(Kind::Closed);
        assert!(some.iter().all(|conn| host.net.close(*conn, GRACEFUL) == OK));
        host.until("CLOSED at both ends", |host| host.count(Kind::Closed) == before + 100);
    }
    let causes = |cause| host.log.iter().filter(|it| it.cause == cause).count();
    assert_eq!((causes(HOST), causes(PEER)), (COUNT, COUNT));
    host.until("their slots are free", |host| host.net.stats().connections == 0);
    host.finish();
}

/// Those that do not share have a port each, which is free again when they are gone.
pub fn each_over_its_own_socket(setup: Setup) {
    let mut host = setup.host();
    let door = door(&mut host);
    carry_for_tests(Some(LONE_FREIGHT));
    let pairs: Vec<_> = (0..10).map(|_| meet(&mut host, door)).collect();
    let ours: HashSet<u16> = pairs.iter().map(|(conn, _)| local(&host, *conn).port()).collect();
    assert_eq!(ours.len(), pairs.len());
    for (conn, other) in pairs {
        let port = local(&host, conn).port();
        turn_over(&mut host, conn, other);
        assert_eq!(host.net.close(conn, GRACEFUL), OK);
        host.closed(other);
        host.until("the port is free", |_| std::net::UdpSocket::bind(("0.0.0.0", port)).is_ok());
    }
    host.finish();
}

pub fn sends_before_opened_wait(setup: Setup) {
    let mut host = setup.host();
    let door = door(&mut host);
    let conn = host.connect(&url(door));
    assert_eq!(host.net.send(conn, b"first"), OK);
    assert_eq!(host.net.send_many(&[conn, conn], b"many"), (2, vec![OK, OK]));
    assert_eq!(host.net.close_with(conn, GRACEFUL, b"last"), OK);
    host.until("both ends", |host| host.count(Kind::Closed) == 2);
    let other = accepted(&host, door)[0];
    assert_eq!(host.messages(other), [&b"first"[..], b"many", b"many", b"last"]);
    assert_eq!((host.closed(conn).cause, host.closed(other).cause), (HOST, PEER));
    host.finish();
}

/// As one run of bytes, to many, in parts, in parts of which some are not copied.
pub fn sends_of_every_kind(setup: Setup) {
    let mut host = setup.host();
    let door = door(&mut host);
    let pairs: Vec<_> = (0..3).map(|_| meet(&mut host, door)).collect();
    let conns: Vec<sockeye_conn> = pairs.iter().map(|(conn, _)| *conn).collect();
    let mut expected: Vec<Vec<u8>> = Vec::new();
    assert_eq!(host.net.send_many(&conns, b"many"), (3, vec![OK; 3]));
    expected.push(b"many".to_vec());
    let parts = [&b"a"[..], b"", &[7; 3000], b"z"];
    assert_eq!(host.net.send_message(&conns, &Message::new(&parts)).0, 3);
    expected.push(parts.concat());
    // More pieces than leave in one train of the outbox.
    let mut buffer = host.net.acquire(60_000).expect("memory");
    buffer.room().fill(9);
    let (all, plus) = (buffer.written(), &b"+"[..]);
    let pieces: Vec<&[u8]> =
        (0..10).flat_map(|at| [&all[at * 6000..at * 6000 + 4200], plus]).collect();
    let message = Message::new(&pieces).buffer(&buffer);
    assert_eq!(host.net.send_message(&conns, &message), (3, vec![OK; 3]));
    expected.push(pieces.concat());
    for (_, other) in pairs {
        host.await_messages(other, expected.len());
        assert!(host.messages(other).iter().eq(&expected));
    }
    drop(buffer);
    host.finish();
}

/// Of what waits for a flush under one key the newest is delivered, in the oldest's place.
pub fn a_key_replaces_what_waits(setup: Setup) {
    let mut host = setup.host_with(|config| config.flush = FLUSH_MANUAL);
    let door = door(&mut host);
    let (conn, other) = meet(&mut host, door);
    for round in 0..20u8 {
        let parts = [&[round][..]];
        assert_eq!(host.net.send_parts(conn, &Message::new(&parts).key(1)), OK);
        if round == 5 {
            assert_eq!(host.net.send(conn, b"between"), OK);
        }
    }
    assert_eq!(host.net.conn_stats(conn).expect("it lives").outbox_messages, 2);
    assert_eq!(host.net.flush(), OK);
    host.await_messages(other, 2);
    assert_eq!(host.messages(other), [&[19][..], b"between"]);
    turn_over(&mut host, conn, other);
    host.finish();
}

/// The outbox has its bounds, and WRITABLE follows a refusal.
pub fn full_and_writable(setup: Setup) {
    let mut host = setup.host_with(|config| config.flush = FLUSH_MANUAL);
    let door = door(&mut host);
    let (conn, other) = meet_with(&mut host, door, |endpoint| endpoint.outbox_max_bytes = 16_384);
    let mut taken = 0;
    while host.net.send(conn, &[taken; 1000]) == OK {
        taken += 1;
    }
    assert!((14..=16).contains(&taken), "{taken}");
    assert_eq!(host.net.send(conn, &[0; 1000]), ERR_AGAIN);
    assert_eq!(host.net.flush(), OK);
    host.until("WRITABLE", |host| host.kinds_of(conn).contains(&Kind::Writable));
    let told = host.events_of(conn).find(|it| it.kind == Kind::Writable).expect("just told");
    assert_eq!(told.detail, 2, "refused since then");
    host.await_messages(other, taken.into());
    assert!(host.messages(other).iter().enumerate().all(|(at, it)| *it == [at as u8; 1000]));
    host.finish();
}

/// Far more than a transport takes at a time goes to the socket in the end, and counts as waiting
/// until it does.
pub fn more_than_there_is_room_for(setup: Setup) {
    const COUNT: u64 = 3000;
    let mut host = setup.host_with(|config| config.flush = FLUSH_MANUAL);
    let door = door(&mut host);
    let pairs: Vec<_> = (0..3).map(|_| meet(&mut host, door)).collect();
    for _ in 0..COUNT {
        assert!(pairs.iter().all(|(conn, _)| host.net.send(*conn, &[1; 20]) == OK));
    }
    let waits = |host: &Host, conn| host.net.conn_stats(conn).expect("it lives").outbox_bytes;
    assert!(pairs.iter().all(|(conn, _)| waits(&host, *conn) >= COUNT * 20));
    assert_eq!(host.net.flush(), OK);
    host.until("all of it", |host| pairs.iter().all(|(conn, _)| waits(host, *conn) == 0));
    for (conn, other) in &pairs {
        let stats = host.net.conn_stats(*conn).expect("it lives");
        assert_eq!((stats.sent_bytes, stats.dropped_messages), (COUNT * 20, 0));
        assert!(!host.messages(*other).is_empty(), "what the system had room for");
    }
    host.finish();
}

pub fn oldest_are_dropped(setup: Setup) {
    let mut host = setup.host_with(|config| config.flush = FLUSH_MANUAL);
    let door = door(&mut host);
    let (conn, other) = meet_with(&mut host, door, |endpoint| {
        endpoint.outbox_max_messages = 4;
        endpoint.overflow = OVERFLOW_DROP_OLDEST;
    });
    for number in 0..10u8 {
        assert_eq!(host.net.send(conn, &[number]), OK);
    }
    assert_eq!(host.net.conn_stats(conn).expect("it lives").dropped_messages, 6);
    assert_eq!(host.net.flush(), OK);
    host.await_messages(other, 4);
    assert_eq!(host.messages(other), [[6], [7], [8], [9]]);
    host.finish();
}

/// What comes during a pause is told after it, in order, also when the peer has closed meanwhile.
pub fn pause_keeps_back(setup: Setup) {
    let mut host = setup.host();
    let door = door(&mut host);
    let ((conn, other), (one, two)) = (meet(&mut host, door), meet(&mut host, door));
    assert_eq!(host.net.pause(other), OK);
    for number in 0..10u8 {
        assert_eq!(host.net.send(conn, &[number]), OK);
    }
    turn_over(&mut host, one, two);
    assert_eq!(host.kinds_of(other), [Kind::Opened], "nothing is told");
    assert_eq!(host.net.resume(other), OK);
    host.await_messages(other, 10);
    assert_eq!(host.net.pause(other), OK);
    assert_eq!(host.net.close_with(conn, GRACEFUL, b"last"), OK);
    assert_eq!(host.closed(conn).cause, HOST);
    turn_over(&mut host, one, two);
    assert_eq!(host.messages(other).len(), 10);
    assert!(!host.is_closed(other), "not before what it was sent");
    assert_eq!(host.net.resume(other), OK);
    assert_eq!(host.closed(other).cause, PEER);
    assert!(host.messages(other)[..10].iter().enumerate().all(|(at, it)| *it == [at as u8]));
    assert_eq!(host.messages(other)[10..], [b"last"]);
    host.finish();
}

/// One that was sent much is told of a few messages in a turn, and of all in the end.
pub fn a_budget_for_each_turn(setup: Setup) {
    let mut host = setup.host_with(|config| config.turn_messages = 3);
    let door = door(&mut host);
    let (conn, other) = meet(&mut host, door);
    assert_eq!(host.net.pause(other), OK);
    for number in 0..100u8 {
        assert_eq!(host.net.send(conn, &[number]), OK);
    }
    let (one, two) = meet(&mut host, door);
    turn_over(&mut host, one, two);
    assert_eq!(host.net.resume(other), OK);
    host.await_messages(other, 100);
    assert!(host.messages(other).iter().enumerate().all(|(at, it)| *it == [at as u8]));
    host.finish();
}

/// A name may have addresses on which nobody is.
pub fn by_name(setup: Setup) {
    let mut host = setup.host();
    let door = door(&mut host);
    let conn = host.connect(&format!("udp://localhost:{}", door.port));
    assert_eq!(host.net.send(conn, b"early"), OK);
    host.until("OPENED", |host| host.kinds_of(conn) == [Kind::Opened]);
    let other = accepted(&host, door)[0];
    host.await_messages(other, 1);
    turn_over(&mut host, conn, other);
    host.finish();
}

/// Addresses, the listener, the host's number: as of any connection.
pub fn facts_of_each(setup: Setup) {
    let mut host = setup.host();
    carry_for_tests(Some(FREIGHT));
    let door = host.door_at("udp://0.0.0.0:0", |endpoint| endpoint.user_data = 7);
    let (conn, other) = meet_with(&mut host, door, |endpoint| endpoint.user_data = 8);
    let [ours, theirs] = [conn, other].map(|it| host.net.conn_info(it).expect("it lives"));
    assert_eq!((ours.user_data, theirs.user_data), (8, 7));
    assert_eq!((ours.listener.id, theirs.listener), (0, door.listener));
    let there = SocketAddr::from(([127, 0, 0, 1], door.port));
    assert_eq!(
        (peer(&host, conn), local(&host, other)),
        (there, there),
        "the address that it asked"
    );
    assert_eq!(peer(&host, other).port(), local(&host, conn).port());
    assert_eq!(host.net.set_user_data(other, 9), OK);
    assert_eq!(host.net.send(conn, b"x"), OK);
    host.await_messages(other, 1);
    assert_eq!(host.events_of(other).last().map(|event| event.user_data), Some(9));
    let stats = host.net.listener_stats(door.listener).expect("a datagram socket has them");
    assert!(stats.received_messages >= 2 && stats.queue_drops == 0, "OPEN and DATA");
    assert_eq!(host.net.close(other, GRACEFUL), OK);
    host.closed(conn);
    // Until the batch with its CLOSED is over.
    host.finish();
}

/// A listener of connections sends no datagrams, and these have no weather of their own.
pub fn what_is_not_for_these(setup: Setup) {
    let mut host = setup.host_with(|config| config.taps = 1);
    let door = door(&mut host);
    let (conn, other) = meet(&mut host, door);
    let raw = Raw::new();
    assert_eq!(host.net.send_to(door.listener, raw.address(), b"x"), ERR_UNSUPPORTED);
    let fault = crate::common::net::fault(|fault| fault.outward.delay_ms = 1);
    for one in [conn, other] {
        assert_eq!(host.net.fault(one.id, Some(&fault)), ERR_UNSUPPORTED);
    }
    assert_eq!(host.net.fault(door.listener.id, Some(&fault)), OK, "that of the socket");
    turn_over(&mut host, conn, other);
    host.finish();
}

pub fn sends_from_other_threads(setup: Setup) {
    let mut host = setup.host();
    let door = door(&mut host);
    let (conn, other) = meet(&mut host, door);
    let senders: Vec<_> = (0..4u8)
        .map(|thread| {
            let net = host.net.clone();
            std::thread::spawn(move || (0..40u8).all(|at| net.send(conn, &[thread, at]) == OK))
        })
        .collect();
    host.await_messages(other, 160);
    assert!(senders.into_iter().all(|sender| sender.join().expect("it ends")));
    for thread in 0..4u8 {
        let of_it = host.messages(other).into_iter().filter(|it| it[0] == thread);
        assert!(of_it.map(|it| it[1]).eq(0..40), "in the order in which it sent");
    }
    host.finish();
}

/// MOVED on both queues, all messages in order, and the socket goes on serving the others.
pub fn moves_change_the_queue_only(setup: Setup) {
    let mut host = setup.host();
    let door = door_with(&mut host, |endpoint| endpoint.queue = 0);
    let on_0 = |endpoint: &mut sockeye_endpoint| endpoint.queue = 0;
    let (conn, other) = meet_with(&mut host, door, on_0);
    let (one, two) = meet_with(&mut host, door, on_0);
    let (at, from) = (local(&host, conn), local(&host, other));
    for round in 1..=4u32 {
        for moved in [other, conn] {
            host.moved_to(moved, round % 2);
            assert_eq!(host.net.conn_info(moved).expect("it lives").queue, round % 2);
        }
        turn_over(&mut host, conn, other);
        turn_over(&mut host, one, two);
        assert_eq!((local(&host, conn), local(&host, other)), (at, from));
    }
    host.move_to(other, 1);
    for number in 0..50u8 {
        assert_eq!(host.net.send(conn, &[1, number]), OK);
    }
    host.until("all of them", |host| {
        host.messages(other).iter().filter(|it| it.len() == 2).count() == 50
    });
    let numbers = host.messages(other).into_iter().filter(|it| it.len() == 2).map(|it| it[1]);
    assert!(numbers.eq(0..50), "in order");
    host.moved_to(conn, 1);
    assert_eq!(host.net.close(conn, GRACEFUL), OK);
    assert_eq!((host.closed(conn).queue, host.closed(other).queue), (1, 1));
    host.finish();
}

/// Without a queue of their own those of one listener are on all.
pub fn spread_over_the_queues(setup: Setup) {
    let mut host = setup.host();
    let door = door_with(&mut host, |endpoint| endpoint.queue = QUEUE_SPREAD);
    let pairs: Vec<_> = (0..10)
        .map(|_| meet_with(&mut host, door, |endpoint| endpoint.queue = QUEUE_SPREAD))
        .collect();
    let queue = |conn: sockeye_conn| host.net.conn_info(conn).expect("it lives").queue;
    for queue_of in [
        pairs.iter().map(|pair| queue(pair.0)).collect::<Vec<_>>(),
        pairs.iter().map(|pair| queue(pair.1)).collect(),
    ] {
        assert_eq!(queue_of.iter().filter(|queue| **queue == 0).count(), 5, "{queue_of:?}");
    }
    for (conn, other) in pairs {
        turn_over(&mut host, conn, other);
    }
    host.finish();
}

//! How connections end that a datagram socket carries, and the socket behind them.

use crate::carried::{accepted, door, door_with, meet, meet_with, turn_over, url};
use crate::common::event::Kind;
use crate::common::freight::{self, FREIGHT, LONE_FREIGHT, OPEN, datagram};
use crate::common::host::{Door, Host};
use crate::common::udp::{Raw, nobody};
use crate::common::words::*;
use crate::common::{DEADLINE, Setup, suite};
use sockeye::capi::conn::sockeye_conn;
use sockeye::engine::carry_for_tests;
use std::time::{Duration, Instant};

suite! {
    each: closed_from_either_end, answered_while_its_last_batch_lives, stale_handles,
        idle_ones_are_closed, a_paused_one_is_not_idle, first_byte_in_time,
        nobody_answers, refused_by_a_listener, the_listener_closes_first, a_port_is_free_again,
        closed_while_it_connects, shutdown_in_order, shutdown_at_once, closed_when_all_is_full,
        a_fault_of_the_transport;
}

/// A raw peer with a stream of its own, and the connection that the host has for it.
macro_rules! raw_peer {
    ($host:ident, $door:ident) => {{
        let mut raw = Raw::new();
        raw.send(([127, 0, 0, 1], $door.port).into(), &datagram(1, OPEN, b""));
        let before = accepted(&$host, $door).len();
        $host.until("OPENED", |host| accepted(host, $door).len() > before);
        $host.until("the answer", |_| raw.has(1));
        (raw, accepted(&$host, $door)[before])
    }};
}

/// The kinds of what a raw peer got.
fn kinds(raw: &Raw) -> Vec<u8> {
    raw.payloads().iter().map(|it| freight::parse(it).expect("of the transport").1).collect()
}

/// In order and at once, by those that connected and by those that were accepted; what was sent
/// before an orderly end arrives before it.
pub fn closed_from_either_end(setup: Setup) {
    let mut host = setup.host();
    let door = door(&mut host);
    for round in 0..4 {
        let (conn, other) = meet(&mut host, door);
        let (closer, closed) = if round % 2 == 0 { (conn, other) } else { (other, conn) };
        turn_over(&mut host, conn, other);
        assert_eq!(host.net.send(closer, b"some"), OK);
        let how = if round < 2 { GRACEFUL } else { AT_ONCE };
        assert_eq!(host.net.close_with(closer, how, b"last"), OK);
        assert_eq!(host.net.close(closer, GRACEFUL), ERR_CLOSED);
        assert_eq!(host.net.send(closer, b"x"), ERR_CLOSED);
        let cause = if round < 2 { PEER } else { RESET };
        assert_eq!((host.closed(closer).cause, host.closed(closed).cause), (HOST, cause));
        if round < 2 {
            let got = host.messages(closed);
            assert_eq!(got[got.len() - 2..], [b"some", b"last"]);
        }
    }
    host.finish();
}

/// A close by the peer is told with a handle that still answers, and then it does not.
pub fn answered_while_its_last_batch_lives(setup: Setup) {
    let mut host = setup.host();
    let door = door(&mut host);
    let (conn, other) = meet(&mut host, door);
    assert_eq!(host.net.close(conn, GRACEFUL), OK);
    host.until("CLOSED", |host| host.is_closed(other));
    let known = host.net.conn_info(other);
    assert!(known.is_ok() || host.step(0) == 0);
    host.until("its slot is free", |host| host.net.conn_info(other).is_err());
    for one in [conn, other] {
        host.until("stale", |host| host.net.send(one, b"x") == ERR_STALE);
        assert_eq!(host.net.close(one, AT_ONCE), ERR_STALE);
        assert_eq!(host.net.pause(one), ERR_STALE);
        assert_eq!(host.net.conn_stats(one).err(), Some(ERR_STALE));
    }
    host.finish();
}

/// Rule 4: what names none touches nothing, the sockets that the host does not know included.
pub fn stale_handles(setup: Setup) {
    let mut host = setup.host();
    let door = door(&mut host);
    let (conn, other) = meet(&mut host, door);
    let gone = meet(&mut host, door).0;
    assert_eq!(host.net.close(gone, AT_ONCE), OK);
    host.closed(gone);
    for slot in 0..16 {
        for kind in [door.listener.id, conn.id, gone.id] {
            let id = kind >> 24 << 24 | slot;
            if [conn.id, other.id, door.listener.id].contains(&id) {
                continue;
            }
            let (as_conn, as_door) = (
                sockeye::capi::conn::sockeye_conn { id },
                sockeye::capi::listener::sockeye_listener { id },
            );
            let alive = host.net.conn_info(as_conn).is_ok();
            assert!(!alive || host.log.iter().any(|it| it.conn == as_conn), "{id:#x}");
            if !alive {
                assert_eq!(host.net.send(as_conn, b"x"), ERR_STALE);
                assert_eq!(host.net.listener_close(as_door), ERR_STALE);
                assert_eq!(host.net.listener_info(as_door).err(), Some(ERR_STALE));
                assert_eq!(host.net.listener_stats(as_door).err(), Some(ERR_STALE));
            }
        }
    }
    turn_over(&mut host, conn, other);
    host.finish();
}

/// A peer that says nothing is closed in order; one that goes on talking is not.
pub fn idle_ones_are_closed(setup: Setup) {
    let mut host = setup.host();
    let door = door_with(&mut host, |endpoint| endpoint.idle_timeout_ms = 300);
    let (quiet, accepted) = meet(&mut host, door);
    let begun = Instant::now();
    let (conn, other) = meet(&mut host, door);
    let mut said = 0;
    host.until("CLOSED of the quiet one", |host| {
        if host.messages(other).len() == said {
            said += 1;
            assert_eq!(host.net.send(conn, b"here"), OK);
        }
        host.is_closed(accepted)
    });
    assert!(begun.elapsed() >= Duration::from_millis(290), "{:?}", begun.elapsed());
    assert_eq!((host.closed(accepted).cause, host.closed(quiet).cause), (TIMEOUT_IDLE, PEER));
    assert!(!host.is_closed(other));
    assert_eq!(host.closed(other).cause, TIMEOUT_IDLE, "in the end");
    host.finish();
}

/// Who sent something that the host does not take is not quiet.
pub fn a_paused_one_is_not_idle(setup: Setup) {
    let mut host = setup.host();
    let door = door_with(&mut host, |endpoint| endpoint.idle_timeout_ms = 100);
    let (conn, other) = meet(&mut host, door);
    assert_eq!(host.net.pause(other), OK);
    assert_eq!(host.net.send(conn, b"wait"), OK);
    let begun = Instant::now();
    host.until("time", |host| {
        assert!(!host.is_closed(other));
        begun.elapsed() >= Duration::from_millis(400)
    });
    assert_eq!(host.net.resume(other), OK);
    host.await_messages(other, 1);
    assert_eq!(host.closed(other).cause, TIMEOUT_IDLE);
    host.finish();
}

pub fn first_byte_in_time(setup: Setup) {
    let mut host = setup.host();
    let door = door_with(&mut host, |endpoint| endpoint.first_byte_timeout_ms = 200);
    let (conn, other) = meet(&mut host, door);
    let (one, two) = meet(&mut host, door);
    turn_over(&mut host, one, two);
    assert_eq!((host.closed(other).cause, host.closed(conn).cause), (TIMEOUT_FIRST_BYTE, PEER));
    turn_over(&mut host, one, two);
    host.finish();
}

/// CLOSED without OPENED, not before its time.
pub fn nobody_answers(setup: Setup) {
    for carrying in [FREIGHT, LONE_FREIGHT] {
        let mut host = setup.host();
        carry_for_tests(Some(carrying));
        let begun = Instant::now();
        let silent = Raw::new();
        let urls = [nobody(), silent.address()].map(|address| format!("udp://{address}"));
        let conns =
            urls.map(|url| host.connect_with(&url, |endpoint| endpoint.connect_timeout_ms = 300));
        for conn in conns {
            assert_eq!(host.closed(conn).cause, TIMEOUT_CONNECT);
            assert_eq!(host.kinds_of(conn), [Kind::Closed]);
        }
        assert!(begun.elapsed() >= Duration::from_millis(300), "{:?}", begun.elapsed());
        host.finish();
    }
}

/// By one that closes, and by one that has no room.
pub fn refused_by_a_listener(setup: Setup) {
    let mut host = setup.host_with(|config| config.connections_max = 6);
    let door = door(&mut host);
    let pairs: Vec<_> = (0..2).map(|_| meet(&mut host, door)).collect();
    let before = host.net.stats().accept_failures;
    // The listener, a socket and two pairs are all that there is room for.
    assert_eq!(host.net.connect(&url(door), None).err(), Some(ERR_LIMIT));
    let mut raw = Raw::new();
    raw.send(([127, 0, 0, 1], door.port).into(), &datagram(1, OPEN, b""));
    host.until("a refusal", |_| raw.has(1));
    assert_eq!(kinds(&raw), [freight::RESET]);
    host.until("it is counted", |host| host.net.stats().accept_failures == before + 1);
    assert_eq!(host.net.close(pairs[0].0, GRACEFUL), OK);
    host.closed(pairs[0].1);
    host.until("room", |host| host.net.stats().connections == 2);
    assert_eq!(host.net.listener_close(door.listener), OK);
    let conn = host.connect(&url(door));
    assert_eq!((host.closed(conn).cause, host.kinds_of(conn)), (REFUSED, vec![Kind::Closed]));
    host.finish();
}

/// Its connections live on, with the socket; its own end is told when the last one is gone.
pub fn the_listener_closes_first(setup: Setup) {
    let mut host = setup.host();
    let door = door(&mut host);
    let (conn, other) = meet(&mut host, door);
    let (one, two) = meet(&mut host, door);
    assert_eq!(host.net.listener_close(door.listener), OK);
    assert_eq!(host.net.listener_close(door.listener), ERR_CLOSED);
    let late = host.connect(&url(door));
    assert_eq!(host.closed(late).cause, REFUSED);
    turn_over(&mut host, conn, other);
    turn_over(&mut host, one, two);
    assert_eq!(host.net.close(other, GRACEFUL), OK);
    host.closed(conn);
    turn_over(&mut host, one, two);
    assert_eq!(host.count(Kind::ListenerClosed), 0, "not before the last");
    assert_eq!(host.net.close(one, GRACEFUL), OK);
    assert_eq!((host.closed(one).cause, host.closed(two).cause), (HOST, PEER));
    host.until("LISTENER_CLOSED", |host| host.count(Kind::ListenerClosed) == 1);
    assert_eq!(host.log.last().map(|event| event.cause), Some(HOST));
    host.finish();
}

pub fn a_port_is_free_again(setup: Setup) {
    let mut host = setup.host();
    for _ in 0..3 {
        let door = door(&mut host);
        let (conn, other) = meet(&mut host, door);
        assert_eq!(host.net.listener_close(door.listener), OK);
        assert_eq!(host.net.close(conn, AT_ONCE), OK);
        host.closed(other);
        host.until("LISTENER_CLOSED", |host| {
            host.log
                .iter()
                .any(|it| it.kind == Kind::ListenerClosed && it.listener == door.listener)
        });
        drop(Raw::at(&format!("127.0.0.1:{}", door.port)));
    }
    host.finish();
}

/// Both ends of a new connection where an earlier one may still be accepted: the other end is the
/// one that has its message.
fn meet_behind_others(host: &mut Host, door: Door) -> (sockeye_conn, sockeye_conn) {
    let conn = host.connect(&url(door));
    host.until("OPENED", |host| host.kinds_of(conn) == [Kind::Opened]);
    assert_eq!(host.net.send(conn, b"me"), OK);
    let other = |host: &Host| {
        let mut all = accepted(host, door).into_iter();
        all.find(|&other| host.messages(other) == [b"me"])
    };
    host.until("its message", |host| other(host).is_some());
    (conn, other(host).expect("just seen"))
}

/// Before anything was told of it: one CLOSED, and the other end hears nothing or an end.
pub fn closed_while_it_connects(setup: Setup) {
    let mut host = setup.host();
    let door = door(&mut host);
    let silent = Raw::new();
    for how in [GRACEFUL, AT_ONCE] {
        for steps in 0..3 {
            for url in [url(door), format!("udp://{}", silent.address())] {
                let conn = host.connect(&url);
                for _ in 0..steps {
                    host.step(0);
                }
                let closed = host.net.close(conn, how);
                assert!(closed == OK || host.is_closed(conn), "{closed}");
                assert_eq!(host.closed(conn).cause, HOST);
            }
        }
    }
    host.until("all are closed", |host| host.net.stats().connections == 0);
    let (conn, other) = meet_behind_others(&mut host, door);
    turn_over(&mut host, conn, other);
    host.finish();
}

/// What was sent arrives, then an end in order, and everything is closed with SHUTDOWN.
pub fn shutdown_in_order(setup: Setup) {
    let mut host = setup.host();
    let door = door(&mut host);
    let (mut raw, conn) = raw_peer!(host, door);
    let pairs: Vec<_> = (0..20).map(|_| meet(&mut host, door)).collect();
    let opening = host.connect(&format!("udp://{}", Raw::new().address()));
    assert_eq!(host.net.send(conn, b"last"), OK);
    assert_eq!(host.net.shutdown(5000), OK);
    host.drain();
    assert_eq!(host.closed(conn).cause, SHUTDOWN);
    assert_eq!(
        (host.closed(opening).cause, host.kinds_of(opening)),
        (SHUTDOWN, vec![Kind::Closed])
    );
    for (conn, other) in pairs {
        // Either end may hear of the other's first.
        for one in [conn, other] {
            assert!([SHUTDOWN, PEER].contains(&host.closed(one).cause));
        }
    }
    assert_eq!(host.count(Kind::ListenerClosed), 1);
    assert!(raw.has(3), "{:?}", kinds(&raw));
    assert_eq!(kinds(&raw), [freight::ACCEPT, freight::DATA, freight::CLOSE]);
    host.finish();
}

/// Without any time all is closed as well, and the peers are told.
pub fn shutdown_at_once(setup: Setup) {
    let mut host = setup.host();
    let door = door(&mut host);
    let mut peers: Vec<_> = (0..10).map(|_| raw_peer!(host, door)).collect();
    assert_eq!(host.net.shutdown(0), OK);
    host.drain();
    for (raw, conn) in &mut peers {
        assert_eq!(host.closed(*conn).cause, SHUTDOWN);
        assert!(raw.has(2));
        assert_eq!(kinds(raw), [freight::ACCEPT, freight::RESET]);
    }
    assert_eq!(host.count(Kind::ListenerClosed), 1);
    host.finish();
}

/// What was taken and does not leave in time is counted.
pub fn closed_when_all_is_full(setup: Setup) {
    let mut host = setup.host_with(|config| config.flush = FLUSH_MANUAL);
    let door = door(&mut host);
    let (conn, other) = meet_with(&mut host, door, |endpoint| endpoint.outbox_max_bytes = 16_384);
    assert_eq!(host.net.send(conn, &[1; 1000]), OK);
    assert_eq!(host.net.close(conn, AT_ONCE), OK);
    assert!(host.closed(conn).detail >= 1000, "unsent");
    assert_eq!(host.closed(other).cause, RESET);
    assert!(host.messages(other).is_empty());
    host.finish();
}

/// A transport that panics takes its net along, and nothing else: each connection and the listener
/// are closed once.
pub fn a_fault_of_the_transport(setup: Setup) {
    let mut host = setup.host();
    let door = door(&mut host);
    let pairs: Vec<_> = (0..5).map(|_| meet(&mut host, door)).collect();
    let opening = host.connect(&format!("udp://{}", nobody()));
    assert_eq!(host.net.send(pairs[0].0, freight::POISON), OK);
    let end = Instant::now() + DEADLINE;
    let last = loop {
        assert!(Instant::now() < end, "no end: {:?}", host.log.last());
        if let Err(status) = host.try_step(0, 256, 2) {
            break status;
        }
    };
    assert_eq!(last, ERR_PANIC);
    for conn in pairs.iter().flat_map(|(conn, other)| [*conn, *other]).chain([opening]) {
        assert_eq!(host.closed(conn).cause, INTERNAL);
    }
    assert_eq!((host.count(Kind::Closed), host.count(Kind::ListenerClosed)), (11, 1));
    assert_eq!(host.net.shutdown(0), ERR_PANIC);
}

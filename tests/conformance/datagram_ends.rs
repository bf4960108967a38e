//! Connected datagram sockets, and how datagram sockets end.

use super::datagrams::{at, await_datagrams, datagrams, port};
use crate::common::event::{Kind, socket_address};
use crate::common::host::Host;
use crate::common::udp::{Raw, nobody};
use crate::common::words::*;
use crate::common::{Setup, suite};
use sockeye::capi::conn::sockeye_conn;
use sockeye::capi::listener::sockeye_listener;
use std::time::Duration;

suite! {
    each: one_peer_and_no_other, sends_before_opened_wait, the_matrix_of_sends, pause_keeps_back,
        closed_once, a_last_datagram, sent_before_it_was_opened, reset_gives_up_what_waits,
        idle_is_closed, a_name_that_is_none, many_at_once, shutdown_closes_all,
        handles_never_lie, stale_when_its_batch_is_over;
}

/// A raw peer, and a connection to it that was reported.
fn pair(host: &mut Host) -> (Raw, sockeye_conn) {
    let raw = Raw::new();
    let conn = host.connect(&format!("udp://{}", raw.address()));
    host.until("OPENED", |host| host.kinds_of(conn) == [Kind::Opened]);
    (raw, conn)
}

/// The library's own address of a connection.
fn local(host: &Host, conn: sockeye_conn) -> std::net::SocketAddr {
    socket_address(&host.net.conn_info(conn).expect("it lives").local)
}

/// Behaviour 55: what comes from others is not reported.
pub fn one_peer_and_no_other(setup: Setup) {
    let mut host = setup.host();
    let (mut raw, conn) = pair(&mut host);
    let stranger = Raw::new();
    let info = host.net.conn_info(conn).expect("it lives");
    assert_eq!((socket_address(&info.peer), info.listener.id), (raw.address(), 0));
    for round in 0..20u8 {
        // It may be refused; nobody hears of it.
        let _ = stranger.socket.send_to(b"me too", local(&host, conn));
        assert_eq!(host.net.send(conn, &[round]), OK);
        host.until("a datagram there", |_| raw.has(usize::from(round) + 1));
        raw.send(local(&host, conn), &[round, round]);
        await_datagrams(&mut host, usize::from(round) + 1);
    }
    for (round, event) in datagrams(&host).into_iter().enumerate() {
        assert_eq!((event.conn, event.listener.id), (conn, 0));
        assert_eq!((event.sender, &event.data[..]), (Some(raw.address()), &[round as u8; 2][..]));
    }
    let stats = host.net.conn_stats(conn).expect("it lives");
    assert_eq!((stats.received_messages, stats.received_bytes, stats.sent_bytes), (20, 40, 20));
    host.finish();
}

pub fn sends_before_opened_wait(setup: Setup) {
    let mut host = setup.host();
    let mut raw = Raw::new();
    let conn = host.connect(&format!("udp://localhost:{}", raw.address().port()));
    assert_eq!(host.net.send(conn, b"early"), OK);
    let (taken, each) = host.net.send_many(&[conn, conn], b"many");
    assert_eq!((taken, each), (2, vec![OK, OK]));
    host.until("all of it", |_| raw.has(3));
    assert_eq!(raw.payloads(), [&b"early"[..], b"many", b"many"]);
    host.until("OPENED", |host| host.kinds_of(conn) == [Kind::Opened]);
    host.finish();
}

/// Behaviour 55: which send is for which socket.
pub fn the_matrix_of_sends(setup: Setup) {
    let mut host = setup.host();
    let (raw, conn) = pair(&mut host);
    let door = port(&mut host);
    let streams = host.door("");
    let (net, to) = (&host.net, raw.address());
    let as_door = sockeye_listener { id: conn.id };
    let as_conn = sockeye_conn { id: door.listener.id };
    assert_eq!(net.send_to(as_door, to, b"x"), ERR_STALE);
    assert_eq!(net.send(as_conn, b"x"), ERR_STALE);
    assert_eq!(net.send_to(streams.listener, to, b"x"), ERR_UNSUPPORTED);
    assert_eq!(net.listener_stats(streams.listener).err(), Some(ERR_UNSUPPORTED));
    assert_eq!(net.send_to(door.listener, "127.0.0.1:0".parse().expect("one"), b"x"), ERR_INVALID);
    assert_eq!(net.send_to(door.listener, "[::1]:9".parse().expect("one"), b"x"), ERR_INVALID);
    assert_eq!(net.send(conn, &[0; 65_508]), ERR_TOO_BIG);
    assert_eq!(net.send_many(&[conn], &[0; 65_508]).1, [ERR_TOO_BIG]);
    assert_eq!((net.send(conn, b"x"), net.send_to(door.listener, to, b"x")), (OK, OK));
    host.finish();
}

/// What comes during a pause is reported after it, or lost and counted: never reported meanwhile.
pub fn pause_keeps_back(setup: Setup) {
    let mut host = setup.host();
    let (raw, conn) = pair(&mut host);
    let door = port(&mut host);
    assert_eq!(host.net.pause(conn), OK);
    for number in 0..10u8 {
        raw.send(local(&host, conn), &[number]);
        // A datagram on another socket shows that the worker has turned.
        raw.send(at(door), b"turn");
        host.until("a turn", |host| host.count(Kind::Datagram) == usize::from(number) + 1);
    }
    assert_eq!(host.kinds_of(conn), [Kind::Opened], "nothing is told");
    assert_eq!(host.net.resume(conn), OK);
    await_datagrams(&mut host, 20);
    let told: Vec<u8> = host.events_of(conn).skip(1).map(|event| event.data[0]).collect();
    assert!(told.into_iter().eq(0..10), "all of it, in order");
    host.finish();
}

pub fn closed_once(setup: Setup) {
    for how in [GRACEFUL, AT_ONCE] {
        let mut host = setup.host();
        let (mut raw, conn) = pair(&mut host);
        assert_eq!(host.net.send(conn, b"last"), OK);
        host.until("it", |_| raw.has(1));
        host.sent(conn);
        raw.send(local(&host, conn), b"unheard");
        assert_eq!(host.net.close(conn, how), OK);
        assert_eq!(host.net.close(conn, GRACEFUL), ERR_CLOSED);
        assert_eq!(host.net.send(conn, b"x"), ERR_CLOSED);
        assert_eq!(host.net.pause(conn), ERR_CLOSED);
        let closed = host.closed(conn);
        assert_eq!((closed.cause, closed.detail), (HOST, 0));
        assert!(matches!(
            host.kinds_of(conn)[..],
            [Kind::Opened, Kind::Closed] | [Kind::Opened, Kind::Datagram, Kind::Closed]
        ));
        host.finish();
    }
}

/// Closed before it was reported: what was taken is still sent, and it is never OPENED.
pub fn sent_before_it_was_opened(setup: Setup) {
    let mut host = setup.host();
    let mut raw = Raw::new();
    let conn = host.connect(&format!("udp://localhost:{}", raw.address().port()));
    assert_eq!((host.net.send(conn, b"hello"), host.net.close(conn, GRACEFUL)), (OK, OK));
    host.until("it", |_| raw.has(1));
    assert_eq!(host.closed(conn).detail, 0);
    host.finish();
}

pub fn a_last_datagram(setup: Setup) {
    let mut host = setup.host_with(|config| config.flush = FLUSH_MANUAL);
    let (mut raw, conn) = pair(&mut host);
    assert_eq!(host.net.send(conn, b"first"), OK);
    assert_eq!(host.net.close_with(conn, GRACEFUL, &[0; 65_508]), ERR_TOO_BIG);
    assert_eq!(host.net.close_with(conn, GRACEFUL, b"last"), OK);
    host.until("both", |_| raw.has(2));
    assert_eq!(raw.payloads(), [&b"first"[..], b"last"]);
    assert_eq!(host.closed(conn).detail, 0);
    host.finish();
}

/// RESET, also behind GRACEFUL: what was not flushed is lost and counted.
pub fn reset_gives_up_what_waits(setup: Setup) {
    let mut host = setup.host_with(|config| config.flush = FLUSH_MANUAL);
    let (mut raw, conn) = pair(&mut host);
    assert_eq!(host.net.send(conn, b"seven b"), OK);
    assert_eq!(host.net.close(conn, AT_ONCE), OK);
    assert_eq!(host.net.close(conn, AT_ONCE), ERR_CLOSED);
    let closed = host.closed(conn);
    assert_eq!((closed.cause, closed.detail), (HOST, 7));
    assert!(!raw.has(1));
    host.finish();
}

/// `idle_timeout_ms` of a connected one: a datagram that comes keeps it, one that goes does not.
pub fn idle_is_closed(setup: Setup) {
    let mut host = setup.host();
    let raw = Raw::new();
    let url = format!("udp://{}", raw.address());
    let conn = host.connect_with(&url, |endpoint| endpoint.idle_timeout_ms = 600);
    let lasting = host.connect(&url);
    host.until("OPENED", |host| host.count(Kind::Opened) == 2);
    let begun = std::time::Instant::now();
    while begun.elapsed() < Duration::from_millis(1000) && !host.is_closed(conn) {
        raw.send(local(&host, conn), b"alive");
        host.step(20);
    }
    let heard = host.events_of(conn).filter(|event| event.kind == Kind::Datagram).count();
    assert!(heard >= 1, "it was heard");
    let closed = host.closed(conn);
    assert_eq!(closed.cause, TIMEOUT_IDLE);
    assert!(!host.is_closed(lasting));
    host.finish();
}

pub fn a_name_that_is_none(setup: Setup) {
    let mut host = setup.host();
    let conn = host.connect("udp://no-such-name.invalid:9");
    // The look-up may be over before the send.
    let sent = host.net.send(conn, b"waits");
    assert!([OK, ERR_CLOSED].contains(&sent), "{sent}");
    let closed = host.closed(conn);
    assert_eq!((closed.cause, closed.detail), (RESOLVE, if sent == OK { 5 } else { 0 }));
    assert_eq!(host.kinds_of(conn), [Kind::Closed], "never opened");
    host.finish();
}

/// Sockets come and go, listeners and connections, and each ends once.
pub fn many_at_once(setup: Setup) {
    let mut host = setup.host();
    let before = host.net.stats().connections;
    for _ in 0..5 {
        let doors: Vec<_> = (0..10).map(|_| port(&mut host)).collect();
        let url = |door: &crate::common::host::Door| format!("udp://{}", at(*door));
        let conns: Vec<_> = doors.iter().map(|door| host.connect(&url(door))).collect();
        assert_eq!(host.net.stats().connections - before, 10);
        let (taken, _) = host.net.send_many(&conns, b"hello");
        assert_eq!(taken, 10);
        let seen = host.count(Kind::Datagram);
        host.until("one at each", |host| host.count(Kind::Datagram) == seen + 10);
        for (door, conn) in doors.iter().zip(&conns) {
            assert_eq!(host.net.listener_close(door.listener), OK);
            assert_eq!(host.net.listener_close(door.listener), ERR_CLOSED);
            assert_eq!(host.net.close(*conn, GRACEFUL), OK);
        }
        let all = |host: &mut Host| conns.iter().all(|&conn| host.is_closed(conn));
        host.until("all closed", all);
        let ended = host.count(Kind::ListenerClosed) + 10;
        host.until("all listeners", |host| {
            host.count(Kind::ListenerClosed) % 10 == 0
                && host.count(Kind::ListenerClosed) + 10 >= ended
        });
        host.until("gone", |host| host.net.stats().connections == before);
    }
    assert_eq!(host.count(Kind::ListenerClosed), 50);
    host.finish();
}

/// Shutdown flushes what waits, and closes each with SHUTDOWN.
pub fn shutdown_closes_all(setup: Setup) {
    let mut host = setup.host_with(|config| config.flush = FLUSH_MANUAL);
    let (mut raw, conn) = pair(&mut host);
    let door = port(&mut host);
    assert_eq!(host.net.send(conn, b"one"), OK);
    assert_eq!(host.net.send_to(door.listener, raw.address(), b"two"), OK);
    assert_eq!(host.net.shutdown(2000), OK);
    host.drain();
    assert_eq!(host.closed(conn).cause, SHUTDOWN);
    let last = host.log.iter().find(|event| event.kind == Kind::ListenerClosed);
    assert_eq!(last.map(|event| event.cause), Some(SHUTDOWN));
    assert!(raw.has(2), "both were sent: {:?}", raw.payloads());
    assert_eq!(host.net.send_to(door.listener, raw.address(), b"x"), ERR_SHUTDOWN);
    host.finish();
}

pub fn handles_never_lie(setup: Setup) {
    let mut host = setup.host();
    let door = port(&mut host);
    let group = "239.1.2.3".parse().expect("one");
    for id in [0, 1, u64::MAX, door.listener.id ^ 1 << 24, door.listener.id ^ 1 << 52] {
        let made_up = sockeye_listener { id };
        assert_eq!(host.net.send_to(made_up, nobody(), b"x"), ERR_STALE, "{id:#x}");
        assert_eq!(host.net.listener_stats(made_up).err(), Some(ERR_STALE), "{id:#x}");
        assert_eq!(host.net.change_membership(made_up, group, 0, true), ERR_STALE, "{id:#x}");
    }
    // The listener's slot under a connection's name.
    let made_up = sockeye_conn { id: door.listener.id & !(0xF << 60) | 1 << 60 };
    assert_eq!(host.net.send(made_up, b"x"), ERR_STALE);
    assert_eq!(host.net.close(made_up, AT_ONCE), ERR_STALE);
    assert_eq!(host.net.pause(made_up), ERR_STALE);
    assert_eq!(host.net.set_user_data(made_up, 5), ERR_STALE);
    assert_eq!(host.net.conn_info(made_up).err(), Some(ERR_STALE));
    assert_eq!(host.net.conn_stats(made_up).err(), Some(ERR_STALE));
    assert_eq!(host.net.close(sockeye_conn { id: door.listener.id }, AT_ONCE), ERR_STALE);
    Raw::new().send(at(door), b"still here");
    await_datagrams(&mut host, 1);
    host.finish();
}

/// A handle answers until the batch with its end is over, and is stale afterwards.
pub fn stale_when_its_batch_is_over(setup: Setup) {
    let mut host = setup.host();
    let (raw, conn) = pair(&mut host);
    let door = port(&mut host);
    assert_eq!(host.net.close(conn, AT_ONCE), OK);
    host.closed(conn);
    assert_eq!(host.net.send(conn, b"x"), ERR_CLOSED);
    assert!(host.net.conn_stats(conn).is_ok() && host.net.conn_info(conn).is_ok());
    host.step(0);
    assert_eq!(host.net.send(conn, b"x"), ERR_STALE);
    assert_eq!(host.net.conn_stats(conn).err(), Some(ERR_STALE));
    assert_eq!(host.net.listener_close(door.listener), OK);
    host.until("LISTENER_CLOSED", |host| host.count(Kind::ListenerClosed) == 1);
    assert_eq!(host.net.send_to(door.listener, raw.address(), b"x"), ERR_CLOSED);
    assert!(host.net.listener_stats(door.listener).is_ok());
    host.step(0);
    assert_eq!(host.net.send_to(door.listener, raw.address(), b"x"), ERR_STALE);
    assert_eq!(host.net.listener_stats(door.listener).err(), Some(ERR_STALE));
    host.finish();
}

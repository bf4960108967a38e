//! Rule 1: exactly one CLOSED for every connection that the host knows, always last, with its
//! cause; OPENED exactly once before any MESSAGE. The same for listeners. (`Rules` looks at each
//! event of every test for the "once" and "last" of it.)

use crate::common::event::Kind;
use crate::common::host::Door;
use crate::common::peer::{End, Peer};
use crate::common::process::RESET_BY_PEER;
use crate::common::words::*;
use crate::common::{Setup, frame, suite};
use std::net::TcpListener;

suite! {
    each: closed_by_peer, closed_by_peers_reset, closed_by_host, closed_by_hosts_reset,
        opened_before_message, all_of_a_short_life, reset_before_accept, bytes_then_end,
        reset_mid_frame, end_mid_frame,
        listener_closed_once, listener_closes_under_load, urgent_data, two_doors;
}

/// Rule 1: a peer's FIN is reported once, as PEER, behind all that it sent.
pub fn closed_by_peer(setup: Setup) {
    let mut host = setup.host();
    let door = host.door("");
    let (peer, conn) = host.meet(door);
    drop(peer);
    let closed = host.closed(conn);
    assert_eq!((closed.cause, closed.os_error, closed.detail), (PEER, 0, 0));
    assert_eq!(host.kinds_of(conn), [Kind::Opened, Kind::Closed]);
    host.finish();
}

/// Rule 1: a peer's RST is reported once, as RESET, with the system's error.
pub fn closed_by_peers_reset(setup: Setup) {
    if !setup.resets() {
        return;
    }
    let mut host = setup.host();
    let door = host.door("");
    let (peer, conn) = host.meet(door);
    peer.reset();
    let closed = host.closed(conn);
    assert_eq!((closed.cause, closed.os_error), (RESET, RESET_BY_PEER));
    host.finish();
}

/// Rule 1: the host's own close is reported as HOST.
pub fn closed_by_host(setup: Setup) {
    let mut host = setup.host();
    let door = host.door("");
    let (mut peer, conn) = host.meet(door);
    assert_eq!(host.net.close(conn, GRACEFUL), OK);
    assert_eq!(host.read_to_end(&mut peer), (vec![], End::Fin));
    drop(peer);
    assert_eq!(host.closed(conn).cause, HOST);
    host.finish();
}

/// Rule 1: so is its reset.
pub fn closed_by_hosts_reset(setup: Setup) {
    if !setup.resets() {
        return;
    }
    let mut host = setup.host();
    let door = host.door("");
    let (mut peer, conn) = host.meet(door);
    assert_eq!(host.net.close(conn, AT_ONCE), OK);
    assert_eq!(host.closed(conn).cause, HOST);
    assert_eq!(host.read_to_end(&mut peer), (vec![], End::Reset));
    host.finish();
}

/// Rule 1: OPENED is reported before the MESSAGE that came with it, with the listener and the
/// endpoint's user_data.
pub fn opened_before_message(setup: Setup) {
    let mut host = setup.host();
    let door = host.door_with("?frame=u32be", |endpoint| endpoint.user_data = 7);
    let mut peer = Peer::connect(door.port);
    peer.put(&frame(b"first"));
    host.until("MESSAGE", |host| host.count(Kind::Message) == 1);
    let kinds: Vec<Kind> = host.log.iter().map(|event| event.kind).collect();
    assert_eq!(kinds, [Kind::Opened, Kind::Message]);
    assert_eq!(host.log[0].listener, door.listener);
    assert_eq!((host.log[0].user_data, host.log[1].user_data), (7, 7));
    assert_eq!(host.log[1].data, b"first");
    host.finish();
}

/// Rule 1: a peer that came, spoke and left before anybody polled is reported whole and in order.
pub fn all_of_a_short_life(setup: Setup) {
    let mut host = setup.host();
    let door = host.door("");
    let mut peer = Peer::connect(door.port);
    peer.put(b"x");
    drop(peer);
    host.until("CLOSED", |host| host.count(Kind::Closed) == 1);
    let kinds: Vec<Kind> = host.log.iter().map(|event| event.kind).collect();
    assert_eq!(kinds, [Kind::Opened, Kind::Message, Kind::Closed]);
    assert_eq!(host.log[2].cause, PEER);
    host.finish();
}

/// Rule 1: a peer that resets before it is accepted is reported whole or not at all, and the door
/// stays open.
pub fn reset_before_accept(setup: Setup) {
    let mut host = setup.host();
    let door = host.door("");
    for _ in 0..20 {
        Peer::connect(door.port).reset();
    }
    let (mut peer, conn) = host.meet(door);
    host.turn_over(&mut peer, conn);
    host.until("each life's end", |host| host.count(Kind::Closed) + 1 == host.count(Kind::Opened));
    host.finish();
}

/// Rule 1: what was sent before the end comes before CLOSED, however much it is.
pub fn bytes_then_end(setup: Setup) {
    let mut host = setup.host();
    let door = host.door("");
    let (mut peer, conn) = host.meet(door);
    let sent: Vec<u8> = (0..1_000_000u32).map(|at| (at % 251) as u8).collect();
    host.write(&mut peer, &sent);
    drop(peer);
    assert_eq!(host.closed(conn).cause, PEER);
    assert!(host.bytes(conn) == sent, "all bytes, in order");
    host.finish();
}

/// Rule 1: a peer that resets mid-frame: what was whole is reported, the rest is not, then RESET.
pub fn reset_mid_frame(setup: Setup) {
    if !setup.resets() {
        return;
    }
    mid_frame(setup, Peer::reset, RESET);
}

/// The same with FIN, which is TRUNCATED.
pub fn end_mid_frame(setup: Setup) {
    mid_frame(setup, drop, TRUNCATED);
}

fn mid_frame(setup: Setup, leave: fn(Peer), cause: i32) {
    let mut host = setup.host();
    let door = host.door("?frame=u32be");
    for part in [&b"\0"[..], b"\0\0\0\x09", b"\0\0\0\x09half a f"] {
        let (mut peer, conn) = host.meet(door);
        peer.put(&frame(b"whole"));
        peer.put(part);
        let all = 9 + part.len() as u64;
        host.until("all bytes", |host| {
            host.net.conn_stats(conn).is_ok_and(|stats| stats.received_bytes == all)
        });
        host.await_messages(conn, 1);
        leave(peer);
        assert_eq!(host.closed(conn).cause, cause);
        assert_eq!(host.messages(conn), [b"whole"]);
    }
    host.finish();
}

/// Rule 1 for listeners: LISTENER_CLOSED once with its cause, the port free, the connections
/// alive.
pub fn listener_closed_once(setup: Setup) {
    let mut host = setup.host();
    let door = host.door_with("", |endpoint| endpoint.user_data = 99);
    let (mut peer, conn) = host.meet(door);
    assert_eq!(host.net.listener_close(door.listener), OK);
    host.until("LISTENER_CLOSED", |host| host.count(Kind::ListenerClosed) == 1);
    let event = host.log.last().expect("the close").clone();
    assert_eq!((event.kind, event.cause), (Kind::ListenerClosed, HOST));
    assert_eq!((event.listener, event.user_data), (door.listener, 99));
    assert_eq!(host.net.listener_close(door.listener), ERR_CLOSED);
    host.step(0);
    assert_eq!(host.net.listener_close(door.listener), ERR_STALE);
    assert_eq!(host.net.listener_info(door.listener).err(), Some(ERR_STALE));

    TcpListener::bind(("127.0.0.1", door.port)).expect("the port is free again");
    let again = host.door_at(&format!("tcp://127.0.0.1:{}", door.port), |_| {});
    assert_eq!(again.port, door.port);
    host.turn_over(&mut peer, conn);
    let (mut second, other) = host.meet(again);
    host.turn_over(&mut second, other);
    host.finish();
}

/// Rule 1 for listeners: no OPENED of a listener behind its LISTENER_CLOSED, also when peers
/// keep coming (`Rules` looks for it), and each that was opened is closed once.
pub fn listener_closes_under_load(setup: Setup) {
    let mut host = setup.host();
    let door = host.door("");
    let peers: Vec<Peer> = (0..60).map(|_| Peer::connect(door.port)).collect();
    host.until("the first", |host| host.count(Kind::Opened) > 0);
    assert_eq!(host.net.listener_close(door.listener), OK);
    host.until("LISTENER_CLOSED", |host| host.count(Kind::ListenerClosed) == 1);
    drop(peers);
    host.until("all lives' ends", |host| host.count(Kind::Closed) == host.count(Kind::Opened));
    host.finish();
}

/// Two doors of one net keep their connections apart.
pub fn two_doors(setup: Setup) {
    let mut host = setup.host();
    let doors: Vec<Door> =
        (1..=2).map(|at| host.door_with("", |endpoint| endpoint.user_data = at)).collect();
    for (at, &door) in doors.iter().enumerate() {
        let (mut peer, conn) = host.meet(door);
        host.turn_over(&mut peer, conn);
        let info = host.net.conn_info(conn).expect("it lives");
        assert_eq!((info.listener, info.user_data), (door.listener, at as u64 + 1));
        assert_eq!(info.peer.port, peer.address().port());
        assert_eq!((info.local.port, info.local.family), (door.port, 4));
        assert_eq!(host.net.listener_info(door.listener).expect("it lives").accepted, 1);
    }
    host.finish();
}

/// A peer's urgent byte neither breaks the stream nor keeps a worker busy.
pub fn urgent_data(setup: Setup) {
    let mut host = setup.host();
    let door = host.door("");
    let (mut peer, conn) = host.meet(door);
    peer.put(b"be");
    peer.urgent(b'!');
    peer.put(b"hind");
    host.until("the stream around it", |host| host.bytes(conn) == b"behind");
    host.rests();
    host.turn_over(&mut peer, conn);
    host.finish();
}

//! Connections of which one side is over: what the other may still do, and that it ends once.

use crate::common::event::{Event, Kind};
use crate::common::peer::{End, Peer};
use crate::common::words::*;
use crate::common::{Setup, suite};
use sockeye::capi::conn::sockeye_conn;

suite! {
    each: nothing_behind_a_reset, a_byte_a_pause_and_the_end, both_ends_shut_down_at_once,
        nothing_is_sent_behind_a_close, many_messages_to_one_that_is_gone,
        ends_that_cross_in_one_batch;
}

/// After the error there is one CLOSED, then nothing: no event, no turn, no call that works.
pub fn nothing_behind_a_reset(setup: Setup) {
    if !setup.resets() {
        return;
    }
    let mut host = setup.host();
    let door = host.door("");
    let (peer, conn) = host.meet(door);
    peer.reset();
    assert_eq!(host.closed(conn).cause, RESET);
    assert_eq!(host.net.send(conn, b"x"), ERR_CLOSED, "in its batch");
    host.rests();
    assert_eq!(host.kinds_of(conn), [Kind::Opened, Kind::Closed]);
    assert_eq!(host.net.resume(conn), ERR_STALE);
    assert_eq!(host.net.send(conn, b"x"), ERR_STALE);
    host.finish();
}

/// Read a byte, pause, resume: the rest and the end come, once each.
pub fn a_byte_a_pause_and_the_end(setup: Setup) {
    let mut host = setup.host();
    let door = host.door("");
    let (mut peer, conn) = host.meet(door);
    let (mut witness, other) = host.meet(door);
    peer.put(b"1");
    host.until("a byte", |host| host.bytes(conn) == b"1");
    assert_eq!(host.net.pause(conn), OK);
    host.turn_over(&mut witness, other);
    peer.put(b"2");
    peer.fin();
    host.turn_over(&mut witness, other);
    assert_eq!(host.bytes(conn), b"1", "paused");
    assert_eq!(host.net.resume(conn), OK);
    assert_eq!(host.closed(conn).cause, PEER);
    assert_eq!(host.bytes(conn), b"12");
    assert_eq!(host.kinds_of(conn), [Kind::Opened, Kind::Message, Kind::Message, Kind::Closed]);
    host.finish();
}

/// Two connections of one net, the two ends of one line.
fn both_ends(host: &mut crate::common::host::Host) -> (sockeye_conn, sockeye_conn) {
    let door = host.door_with("", |endpoint| endpoint.linger_ms = 60_000);
    let url = format!("tcp://127.0.0.1:{}", door.port);
    let near = host.connect_with(&url, |endpoint| endpoint.linger_ms = 60_000);
    let before = host.log.len();
    let of_door = |event: &&Event| event.listener == door.listener && event.kind == Kind::Opened;
    host.until("OPENED of both", |host| {
        let count = host.log[before..].iter().filter(|event| event.kind == Kind::Opened).count();
        count == 2
    });
    (near, host.log.iter().find(of_door).expect("the accepted one").conn)
}

/// Both are closed at once, with last words on both ways: each ends as its own host asked, long
/// before the linger.
pub fn both_ends_shut_down_at_once(setup: Setup) {
    let mut host = setup.host();
    for round in 0..20 {
        let (near, far) = both_ends(&mut host);
        assert_eq!(host.net.close_with(near, GRACEFUL, b"good"), OK);
        let status = host.net.close_with(far, GRACEFUL, b"bye");
        // The peer's end may have been there first.
        assert!([OK, ERR_CLOSED].contains(&status), "{status}");
        assert_eq!(host.closed(near).cause, HOST, "round {round}");
        let cause = host.closed(far).cause;
        assert!(cause == HOST || cause == PEER, "round {round}: {cause}");
    }
    host.until("free slots", |host| host.net.stats().connections == 0);
    host.finish();
}

/// Behind a close every send says so, and the peer sees what came before it and the end.
pub fn nothing_is_sent_behind_a_close(setup: Setup) {
    let mut host = setup.host();
    let door = host.door_with("", |endpoint| endpoint.linger_ms = 60_000);
    let (mut peer, conn) = host.meet(door);
    assert_eq!(host.net.send(conn, b"before"), OK);
    assert_eq!(host.net.close(conn, GRACEFUL), OK);
    for _ in 0..3 {
        assert_eq!(host.net.send(conn, b"behind"), ERR_CLOSED);
        assert_eq!(host.net.send_many(&[conn], b"behind"), (0, vec![ERR_CLOSED]));
        assert_eq!(host.net.close_with(conn, GRACEFUL, b"behind"), ERR_CLOSED);
    }
    assert_eq!(host.read_to_end(&mut peer), (b"before".to_vec(), End::Fin));
    assert_eq!(host.net.send(conn, b"behind"), ERR_CLOSED, "while it lingers");
    drop(peer);
    assert_eq!(host.closed(conn).cause, HOST);
    host.finish();
}

/// A peer that is gone without a word read: writes are taken until its system answers, then it
/// is over, once.
pub fn many_messages_to_one_that_is_gone(setup: Setup) {
    let mut host = setup.host();
    let door = host.door("");
    for _ in 0..10 {
        let (peer, conn): (Peer, sockeye_conn) = host.meet(door);
        // Unread bytes turn the peer's close into a reset.
        assert_eq!(host.net.send(conn, b"unread"), OK);
        host.sent(conn);
        drop(peer);
        host.until("CLOSED", |host| {
            let status = host.net.send(conn, &[3; 5000]);
            assert!([OK, ERR_CLOSED, ERR_AGAIN].contains(&status), "{status}");
            host.is_closed(conn)
        });
        let cause = host.closed(conn).cause;
        assert!(cause == RESET || cause == PEER, "{cause}");
        assert_eq!(host.kinds_of(conn), [Kind::Opened, Kind::Closed]);
    }
    host.until("free slots", |host| host.net.stats().connections == 0);
    host.finish();
}

/// A host that closes other connections while it handles one's end: each of them ends once,
/// though their own ends wait in the queue already.
pub fn ends_that_cross_in_one_batch(setup: Setup) {
    let mut host = setup.host();
    let door = host.door("");
    let (peers, conns): (Vec<Peer>, Vec<sockeye_conn>) = (0..30).map(|_| host.meet(door)).unzip();
    peers.into_iter().enumerate().for_each(|(at, peer)| match at % 2 {
        0 => drop(peer),
        _ => peer.reset(),
    });
    let mut handled = false;
    host.until("all the ends", |host| {
        if !handled && host.count(Kind::Closed) > 0 {
            handled = true;
            for &conn in &conns {
                let status = host.net.close(conn, AT_ONCE);
                assert!([OK, ERR_CLOSED, ERR_STALE].contains(&status), "{status}");
            }
        }
        host.count(Kind::Closed) == conns.len()
    });
    for &conn in &conns {
        assert_eq!(host.kinds_of(conn), [Kind::Opened, Kind::Closed]);
    }
    host.finish();
}

//! Happy Eyeballs (RFC 8305): of a peer's addresses the first that answers is connected to, and a
//! silent one does not use up the time of the others.

use super::connect::{BlackHole, black_hole};
use crate::common::event::Kind;
use crate::common::peer::Peer;
use crate::common::words::*;
use crate::common::{Setup, frame, suite};
use std::net::TcpListener;

suite! {
    each: passes_a_silent_address, passes_one_without_room_for_another, none_answers,
        closed_between_attempts, shut_down_between_attempts;
}

/// `localhost` with a silent 127.0.0.1 and a [::1] that listens. None: no IPv6 here.
fn half_silent() -> Option<(BlackHole, TcpListener, String)> {
    let hole = black_hole();
    let port = hole.url.rsplit(':').next().expect("a port").to_owned();
    let listener = TcpListener::bind(format!("[::1]:{port}")).ok()?;
    Some((hole, listener, format!("tcp://localhost:{port}?frame=u32be")))
}

fn passes(setup: Setup, connections_max: u32) {
    let Some((_hole, listener, url)) = half_silent() else { return };
    let mut host = setup.host_with(|config| config.connections_max = connections_max);
    let conn = host.connect_with(&url, |endpoint| endpoint.connect_timeout_ms = 8000);
    assert_eq!(host.net.send(conn, b"early"), OK);
    host.until("OPENED", |host| host.count(Kind::Opened) == 1);
    assert_eq!(host.net.stats().connections, 1, "an attempt is no connection");
    listener.set_nonblocking(false).expect("a socket may block");
    let mut peer = Peer::from(listener.accept().expect("it is connected").0);
    let early = frame(b"early");
    assert_eq!(host.read(&mut peer, early.len()), early);
    host.turn_over_behind(&mut peer, conn, &[0, 0, 0, 1]);
    host.finish();
}

pub fn passes_a_silent_address(setup: Setup) {
    passes(setup, 16);
}

/// There is no slot for a second attempt: the first is given up in time.
pub fn passes_one_without_room_for_another(setup: Setup) {
    passes(setup, 1);
}

/// The time of all attempts is one; nothing of them is left.
pub fn none_answers(setup: Setup) {
    let Some((_hole, listener, url)) = half_silent() else { return };
    drop(listener);
    let mut host = setup.host();
    let conn = host.connect_with(&url, |endpoint| endpoint.connect_timeout_ms = 600);
    let closed = host.closed(conn);
    assert!([TIMEOUT_CONNECT, REFUSED].contains(&closed.cause), "{closed:?}");
    assert_eq!(host.kinds_of(conn), [Kind::Closed]);
    host.until("no connection", |host| host.net.stats().connections == 0);
    host.finish();
}

/// Closed while two attempts are made, or just before the second or after it.
pub fn closed_between_attempts(setup: Setup) {
    let Some((_hole, _listener, url)) = half_silent() else { return };
    let mut host = setup.host();
    for wait in [0, 200, 249, 250, 251, 260, 300] {
        let conn = host.connect_with(&url, |_| {});
        let until = std::time::Instant::now() + std::time::Duration::from_millis(wait);
        while std::time::Instant::now() < until {
            host.step(1);
        }
        assert_eq!(host.net.close(conn, AT_ONCE), OK);
        let closed = host.closed(conn);
        assert_eq!(closed.cause, HOST);
    }
    host.finish();
}

pub fn shut_down_between_attempts(setup: Setup) {
    let Some((_hole, listener, url)) = half_silent() else { return };
    drop(listener);
    let mut host = setup.host();
    let conn = host.connect(&url);
    let until = std::time::Instant::now() + std::time::Duration::from_millis(300);
    while std::time::Instant::now() < until {
        host.step(1);
    }
    assert_eq!(host.net.shutdown(0), OK);
    host.drain();
    assert_eq!(host.kinds_of(conn), [Kind::Closed]);
    host.finish();
}

//! A layer between bytes and messages: OPENED when it is open, CLOSED with a cause of its own, and
//! our end of the stream behind its goodbye. The themes of messages run below it as well
//! (`layered_suite`).

use crate::common::event::Kind;
use crate::common::pad::PAD;
use crate::common::peer::{End, Peer};
use crate::common::words::*;
use crate::common::{Setup, suite};
use sockeye::engine::layer_for_tests;
use sockeye::session::Layering;
use std::time::{Duration, Instant};

suite! {
    each: both_ends_are_ours, opening_has_an_end, a_stranger_is_refused, an_end_without_goodbye,
        goodbye_before_the_end, listener_closes_while_one_opens;
}

/// A peer that knows of no layer.
fn stranger(port: u16) -> Peer {
    layer_for_tests(None);
    let peer = Peer::connect(port);
    layer_for_tests(Some(PAD));
    peer
}

/// What is sent before the layer is open waits for it, and comes whole.
pub fn both_ends_are_ours(setup: Setup) {
    layer_for_tests(Some(PAD));
    let mut host = setup.host();
    let door = host.door("?frame=u32be");
    let conn = host.connect(&format!("tcp://127.0.0.1:{}/?frame=u32be", door.port));
    assert_eq!(host.net.send(conn, &[7; 50_000]), OK);
    assert_eq!(host.net.close_with(conn, GRACEFUL, b"early"), OK);
    host.until("both ends", |host| host.count(Kind::Closed) == 2);
    let accepted: Vec<_> = host.log.iter().filter(|event| event.conn != conn).cloned().collect();
    let kinds: Vec<Kind> = accepted.iter().map(|event| event.kind).collect();
    assert_eq!(kinds, [Kind::Opened, Kind::Message, Kind::Message, Kind::Closed]);
    assert!(accepted[1].data == [7; 50_000] && accepted[2].data == b"early");
    assert_eq!(accepted[3].cause, PEER);
    assert_eq!(host.closed(conn).cause, HOST);
    host.finish();
}

/// Who says nothing is not waited for longer than the endpoint allows; the host hears nothing of
/// one that it accepted, and CLOSED of one that it asked for.
pub fn opening_has_an_end(setup: Setup) {
    layer_for_tests(Some(Layering { handshake_timeout_ms: 200, ..PAD }));
    let mut host = setup.host();
    let door = host.door("");
    let begun = Instant::now();
    let mut peer = stranger(door.port);
    assert_eq!(host.read_to_end(&mut peer).0, b"");
    assert!(begun.elapsed() >= Duration::from_millis(200), "{:?}", begun.elapsed());
    assert_eq!((host.log.len(), host.net.stats().accept_failures), (0, 1));
    layer_for_tests(Some(Layering { handshake_timeout_ms: 200, ..PAD }));
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let conn = host.connect(&format!("tcp://127.0.0.1:{port}"));
    assert_eq!(host.closed(conn).cause, TIMEOUT_HANDSHAKE);
    assert_eq!(host.kinds_of(conn), [Kind::Closed]);
    host.finish();
}

/// What is not of the layer is no event, and is counted.
pub fn a_stranger_is_refused(setup: Setup) {
    layer_for_tests(Some(PAD));
    let mut host = setup.host();
    let door = host.door("");
    let mut peer = stranger(door.port);
    peer.put(b"GET / HTTP/1.1\r\n\r\n");
    host.until("a refusal", |host| host.net.stats().accept_failures == 1);
    host.read_to_end(&mut peer);
    let mut peer = stranger(door.port);
    peer.fin();
    host.until("another", |host| host.net.stats().accept_failures == 2);
    host.read_to_end(&mut peer);
    let (mut peer, conn) = host.meet(door);
    host.turn_over(&mut peer, conn);
    assert_eq!(host.count(Kind::Opened), 1);
    host.finish();
}

/// A FIN that no goodbye came before is a cut.
pub fn an_end_without_goodbye(setup: Setup) {
    layer_for_tests(Some(PAD));
    let mut host = setup.host();
    let door = host.door("");
    for (cut, cause) in [(true, TRUNCATED), (false, PEER)] {
        let (mut peer, conn) = host.meet(door);
        host.turn_over(&mut peer, conn);
        if cut {
            peer.cut();
        }
        drop(peer);
        assert_eq!(host.closed(conn).cause, cause);
    }
    host.finish();
}

/// The peer is told that nothing follows, behind all that was sent.
pub fn goodbye_before_the_end(setup: Setup) {
    layer_for_tests(Some(PAD));
    let mut host = setup.host();
    let door = host.door("");
    let (mut peer, conn) = host.meet(door);
    assert_eq!(host.net.send(conn, &[1; 100_000]), OK);
    assert_eq!(host.net.close_with(conn, GRACEFUL, b"."), OK);
    let (got, end) = host.read_to_end(&mut peer);
    assert_eq!((got.len(), end), (100_001, End::Fin));
    assert!(peer.was_left_in_order(), "a goodbye came");
    drop(peer);
    assert_eq!(host.closed(conn).cause, HOST);
    host.finish();
}

/// No OPENED comes after LISTENER_CLOSED, also of one that was opening.
pub fn listener_closes_while_one_opens(setup: Setup) {
    layer_for_tests(Some(Layering { handshake_timeout_ms: 200, ..PAD }));
    let mut host = setup.host();
    let door = host.door("");
    let mut peer = stranger(door.port);
    host.until("it is accepted", |host| {
        host.net.listener_info(door.listener).is_ok_and(|info| info.accepted == 1)
    });
    assert_eq!(host.net.listener_close(door.listener), OK);
    host.until("LISTENER_CLOSED", |host| host.count(Kind::ListenerClosed) == 1);
    host.read_to_end(&mut peer);
    assert_eq!(host.log.len(), 1);
    host.finish();
}

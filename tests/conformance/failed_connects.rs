//! Connects that fail or are ended: what was queued is accounted for, the failed handle is told
//! and stays readable, and addresses that mean nobody are defined.

use super::connect::black_hole;
use crate::common::event::Kind;
use crate::common::host::Host;
use crate::common::net::last_error;
use crate::common::peer::Peer;
use crate::common::words::*;
use crate::common::{DEADLINE, Setup, frame, suite};
use sockeye::capi::conn::sockeye_conn;
use std::net::TcpListener;
use std::time::Instant;

suite! {
    each: refused_with_sends_queued, closed_with_sends_queued, shut_down_with_sends_queued,
        a_failed_one_answers_in_its_batch, no_event_of_a_bad_address,
        the_unspecified_address, at_once_without_a_timeout;
}

/// A port that refuses.
fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    format!("tcp://{}", listener.local_addr().expect("bound"))
}

/// Three messages for a connection that never opens; how many bytes they are.
fn queue(host: &Host, conn: sockeye_conn) -> u64 {
    let sizes = [300, 1, 70_000];
    for size in sizes {
        assert_eq!(host.net.send(conn, &vec![7; size]), OK);
    }
    let stats = host.net.conn_stats(conn).expect("it connects");
    let bytes = sizes.iter().map(|&size| frame(&vec![7; size]).len() as u64).sum();
    assert_eq!((stats.outbox_messages, stats.outbox_bytes), (3, bytes));
    bytes
}

/// One CLOSED without OPENED, which counts all that was taken.
fn fails(host: &mut Host, conn: sockeye_conn, cause: i32, bytes: u64) {
    let closed = host.closed(conn);
    assert_eq!((closed.cause, closed.detail), (cause, bytes));
    assert_eq!(host.kinds_of(conn), [Kind::Closed]);
}

pub fn refused_with_sends_queued(setup: Setup) {
    let mut host = setup.host();
    // What is sent before the worker connects is queued; a refusal may come before a send.
    let hole = black_hole();
    let conn = host.connect_with(&format!("{}?frame=u32be", hole.url), |_| {});
    let bytes = queue(&host, conn);
    drop(hole);
    // Nobody is there any more: the system tells at its next try.
    let closed = host.closed(conn);
    assert!([REFUSED, RESET].contains(&closed.cause), "{closed:?}");
    assert_eq!((closed.detail, host.kinds_of(conn).len()), (bytes, 1));
    host.finish();
}

/// RESET ends it at once; GRACEFUL waits with what was taken, for the linger and no longer.
pub fn closed_with_sends_queued(setup: Setup) {
    let mut host = setup.host();
    let hole = black_hole();
    for (how, cause) in [(GRACEFUL, TIMEOUT_LINGER), (AT_ONCE, HOST)] {
        let url = format!("{}?frame=u32be", hole.url);
        let conn = host.connect_with(&url, |endpoint| endpoint.linger_ms = 100);
        let bytes = queue(&host, conn);
        assert_eq!(host.net.close(conn, how), OK);
        assert_eq!(host.net.send(conn, b"late"), ERR_CLOSED);
        fails(&mut host, conn, cause, bytes);
    }
    host.finish();
}

pub fn shut_down_with_sends_queued(setup: Setup) {
    let mut host = setup.host();
    let hole = black_hole();
    let conn = host.connect(&format!("{}?frame=u32be", hole.url));
    let bytes = queue(&host, conn);
    assert_eq!(host.net.shutdown(0), OK);
    fails(&mut host, conn, SHUTDOWN, bytes);
    host.finish();
}

/// A handle whose connect failed is the host's until the batch with its CLOSED ends.
pub fn a_failed_one_answers_in_its_batch(setup: Setup) {
    let mut host = setup.host();
    let conn = host.connect_with(&nobody(), |endpoint| endpoint.user_data = 31);
    let end = Instant::now() + DEADLINE;
    loop {
        assert!(Instant::now() < end, "not in time: CLOSED");
        let batch = host.batch(2);
        if (0..batch.raw.len()).any(|at| batch.kind(at) == Kind::Closed) {
            let info = batch.net.conn_info(conn).expect("facts of a failed one");
            assert_eq!((info.user_data, batch.raw[0].user_data), (31, 31));
            assert_eq!(batch.net.send(conn, b"x"), ERR_CLOSED);
            assert_eq!(batch.net.close(conn, AT_ONCE), ERR_CLOSED);
            break;
        }
    }
    host.step(0);
    assert_eq!(host.net.conn_info(conn).err(), Some(ERR_STALE));
    assert_eq!(host.net.close(conn, AT_ONCE), ERR_STALE);
    host.finish();
}

/// What is no address is refused by the call, and nothing is reported of it, ever.
pub fn no_event_of_a_bad_address(setup: Setup) {
    let mut host = setup.host();
    let door = host.door("");
    for url in ["nonsense", "tcp://127.0.0.1:0", "tcp://127.0.0.1:65536", "tcp://*:7", "tcp://:7"] {
        assert_eq!(host.net.connect(url, None).err(), Some(ERR_INVALID), "{url}");
        assert!(!last_error().is_empty(), "{url}: in words");
    }
    let (mut peer, conn) = host.meet(door);
    host.turn_over(&mut peer, conn);
    assert!(host.log.iter().all(|event| event.conn == conn), "{:?}", host.log);
    host.finish();
}

/// 0.0.0.0 and [::] as a target are this machine, as Linux has it (ip(7), ipv6(7)).
pub fn the_unspecified_address(setup: Setup) {
    let mut host = setup.host();
    for (bound, target) in [("127.0.0.1", "0.0.0.0"), ("[::1]", "[::]")] {
        let door = host.door_at(&format!("tcp://{bound}:0"), |_| {});
        let before = host.count(Kind::Opened);
        let conn = host.connect(&format!("tcp://{target}:{}", door.port));
        host.until("OPENED of both", |host| host.count(Kind::Opened) == before + 2);
        assert_eq!(host.net.send(conn, b"hello"), OK);
        let of_door = |event: &&crate::common::event::Event| event.listener == door.listener;
        let far = host.log.iter().find(of_door).expect("the accepted one").conn;
        host.until("a message", |host| host.bytes(far) == b"hello");
    }
    host.finish();
}

/// A refusal on this machine is reported though no timeout would ever end the connect.
pub fn at_once_without_a_timeout(setup: Setup) {
    let mut host = setup.host();
    let door = host.door("");
    let (mut peer, steady): (Peer, sockeye_conn) = host.meet(door);
    for _ in 0..20 {
        let conn = host.connect_with(&nobody(), |endpoint| {
            endpoint.connect_timeout_ms = 3_600_000;
        });
        fails(&mut host, conn, REFUSED, 0);
    }
    host.turn_over(&mut peer, steady);
    host.finish();
}

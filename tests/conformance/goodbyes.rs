//! A host that is full: it says so to who comes, and those goodbyes are in the way of nobody.

use crate::common::event::Kind;
use crate::common::host::{Door, Host};
use crate::common::peer::{End, Peer};
use crate::common::words::*;
use crate::common::{Setup, frame, suite};
use sockeye::capi::conn::sockeye_conn;

suite! {
    each: who_is_told_full_hears_it, goodbyes_are_bounded, none_beside_when_asked;
}

/// A listener, and two players; a third connection is what is left of `connections_max` 4.
fn full(setup: Setup, lingering_max: Option<u32>) -> (Host, Door, Vec<(Peer, sockeye_conn)>) {
    let mut host = setup.host_with(|config| {
        config.connections_max = 4;
        config.lingering_max = lingering_max.unwrap_or(config.lingering_max);
    });
    // Longer than any test: a goodbye ends when the peer leaves.
    let door = host.door_with("?frame=u32be&linger=2m", |endpoint| endpoint.linger_ms = 1);
    let players = (0..2).map(|_| host.meet(door)).collect();
    (host, door, players)
}

/// One more comes and is told; it stays on the line, with something that the host never reads.
fn is_told(host: &mut Host, door: Door) -> (Peer, sockeye_conn) {
    let (mut peer, conn) = host.meet(door);
    peer.put(&frame(b"let me in"));
    assert_eq!(host.net.close_with(conn, GRACEFUL, b"full"), OK);
    assert_eq!(host.read(&mut peer, 8), frame(b"full"));
    (peer, conn)
}

/// The places of all but so many connections are free.
fn has_left(host: &mut Host, conns: u64) {
    host.until("free places", |host| host.net.stats().connections == conns);
}

pub fn who_is_told_full_hears_it(setup: Setup) {
    if !setup.holds(20) {
        return;
    }
    let (mut host, door, mut players) = full(setup, None);
    let info = host.net.info();
    assert_eq!((info.connections_max, info.lingering_max), (4, 16));
    let told: Vec<_> = (0..16).map(|_| is_told(&mut host, door)).collect();
    assert_eq!(host.net.stats().accept_failures, 0);
    assert_eq!(host.count(Kind::Closed), 0, "they linger");
    let places = |id: u64| id & 0xFF_FFFF;
    assert!(told.iter().all(|(_, conn)| places(conn.id) < 20), "indices below both maxima");
    for (peer, conn) in &mut players {
        host.turn_over_behind(peer, *conn, &1u32.to_be_bytes());
    }
    for (mut peer, conn) in told {
        assert_eq!(host.read_to_end(&mut peer), (vec![], End::Fin));
        drop(peer);
        assert_eq!(host.closed(conn).cause, HOST);
    }
    // The places are as they were: one is left, and no two.
    has_left(&mut host, 2);
    let (mut peer, conn) = host.meet(door);
    assert!(places(conn.id) < 4, "the first ones go first");
    let surplus = Peer::connect(door.port);
    host.until("a refusal", |host| host.net.stats().accept_failures == 1);
    host.turn_over_behind(&mut peer, conn, &1u32.to_be_bytes());
    drop(surplus);
    host.finish();
}

/// Past the bound a goodbye takes a place, until one ends.
pub fn goodbyes_are_bounded(setup: Setup) {
    let (mut host, door, _players) = full(setup, Some(2));
    let mut told: Vec<_> = (0..3).map(|_| is_told(&mut host, door)).collect();
    let surplus = Peer::connect(door.port);
    host.until("a refusal", |host| host.net.stats().accept_failures == 1);
    let url = format!("tcp://127.0.0.1:{}", door.port);
    assert_eq!(host.net.connect(&url, None).err(), Some(ERR_LIMIT));
    let (peer, conn) = told.pop().expect("three of them");
    drop((peer, surplus));
    host.closed(conn);
    has_left(&mut host, 4);
    told.push(is_told(&mut host, door));
    // One that is reset ends at once, and so does its goodbye.
    assert_eq!(host.net.close(told[0].1, AT_ONCE), OK);
    host.closed(told[0].1);
    has_left(&mut host, 4);
    told.push(is_told(&mut host, door));
    assert_eq!(host.net.stats().accept_failures, 1);
    host.finish();
}

/// With 0 every index is below `connections_max`, and a goodbye takes a place.
pub fn none_beside_when_asked(setup: Setup) {
    let (mut host, door, _players) = full(setup, Some(0));
    assert_eq!(host.net.info().lingering_max, 0);
    let (peer, conn) = is_told(&mut host, door);
    let surplus = Peer::connect(door.port);
    host.until("a refusal", |host| host.net.stats().accept_failures == 1);
    drop((peer, surplus));
    host.closed(conn);
    has_left(&mut host, 2);
    is_told(&mut host, door);
    host.finish();
}

//! `any://`: one port for frames, TLS, WebSockets and both.

use crate::common::event::{Event, Kind};
use crate::common::host::{Door, Host};
use crate::common::net::last_error;
use crate::common::peer::{End, Peer};
use crate::common::tls::{Authority, client, server};
use crate::common::web::{BINARY, masked, plain, request};
use crate::common::words::*;
use crate::common::{Setup, endpoint, frame, suite};
use sockeye::capi::guard::{sockeye_guard, sockeye_prefix};
use sockeye::capi::stats::sockeye_arrival as arrival;
use std::net::SocketAddr;

suite! {
    each: every_way_in, a_byte_at_a_time, behind_a_proxy, what_is_none_of_these,
        frames_that_look_like_others, without_frames;
}

/// The connection that was accepted last, once it is open.
fn accepted(host: &mut Host, conns: &[sockeye::capi::conn::sockeye_conn]) -> Event {
    let is_other = |it: &&Event| it.kind == Kind::Opened && !conns.contains(&it.conn);
    host.until("an accepted one", |host| host.log.iter().any(|it| is_other(&it)));
    host.log.iter().rfind(is_other).expect("an event").clone()
}

pub fn every_way_in(setup: Setup) {
    let authority = Authority::new();
    let pair = authority.sign(&["127.0.0.1"], |_| {});
    let (serves, trusts) = (server(&pair), client(&authority));
    let mut host = setup.host();
    let door = host.door_at("any://127.0.0.1:0?frame=u32be", |end| end.tls = &serves);
    let port = door.port;
    for (url, secure, came_by) in [
        (format!("tcp://127.0.0.1:{port}?frame=u32be"), false, arrival::SOCKEYE_ARRIVAL_PLAIN),
        (format!("tls://127.0.0.1:{port}?frame=u32be"), true, arrival::SOCKEYE_ARRIVAL_TLS),
        (format!("ws://127.0.0.1:{port}/"), false, arrival::SOCKEYE_ARRIVAL_WS),
        (format!("wss://127.0.0.1:{port}/"), true, arrival::SOCKEYE_ARRIVAL_WSS),
    ] {
        host.log.clear();
        let conn = host.connect_with(&url, |end| {
            end.tls = if secure { &trusts } else { std::ptr::null() };
        });
        // The peer's first bytes open it.
        let long = vec![b'l'; 100_000];
        assert_eq!(host.net.send(conn, b"first"), OK);
        assert_eq!(host.net.send(conn, &long), OK);
        let other = accepted(&mut host, &[conn]).conn;
        host.await_messages(other, 2);
        assert!(host.messages(other) == [b"first", &long[..]], "{url}");
        assert_eq!(host.net.send(other, &long), OK);
        assert_eq!(host.net.send(other, b""), OK);
        host.await_messages(conn, 2);
        assert!(host.messages(conn) == [&long[..], b""], "{url}");
        assert_eq!(host.net.conn_info(other).expect("it lives").arrival, came_by as u32);
        assert_eq!(host.net.close_with(conn, GRACEFUL, b"bye"), OK);
        assert_eq!(host.closed(other).cause, PEER, "{url}");
        assert_eq!(host.messages(other).last(), Some(&&b"bye"[..]));
        assert_eq!(host.closed(conn).cause, HOST);
    }
    host.finish();
}

fn put_slowly(host: &mut Host, peer: &mut Peer, bytes: &[u8]) {
    for byte in bytes.chunks(1) {
        peer.put(byte);
        host.step(0);
    }
}

pub fn a_byte_at_a_time(setup: Setup) {
    let mut host = setup.host();
    let door = host.door_at("any://127.0.0.1:0?frame=u32be", |_| {});
    let mut peer = Peer::connect(door.port);
    put_slowly(&mut host, &mut peer, &frame(b"framed"));
    let conn = accepted(&mut host, &[]).conn;
    host.await_messages(conn, 1);
    assert_eq!(host.messages(conn), [b"framed"]);
    peer.fin();
    assert_eq!(host.closed(conn).cause, PEER, "its FIN is an end");
    host.log.clear();
    let mut peer = Peer::connect(door.port);
    put_slowly(&mut host, &mut peer, &request("/", ""));
    let head = host.http_head(&mut peer);
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    put_slowly(&mut host, &mut peer, &masked(BINARY, b"in a frame"));
    let conn = accepted(&mut host, &[]).conn;
    host.await_messages(conn, 1);
    assert_eq!(host.net.send(conn, b"back"), OK);
    assert_eq!(host.read(&mut peer, 6), plain(BINARY, b"back"));
    host.finish();
}

pub fn behind_a_proxy(setup: Setup) {
    let mut host = setup.host();
    let address = SocketAddr::from(([127, 0, 0, 1], 0));
    let from = sockeye_prefix { address: Some(address).into(), prefix_bits: 8, reserved: 0 };
    let believes = sockeye_guard { proxy_from: &from, proxy_from_count: 1, ..Default::default() };
    let door = host.door_at("any://127.0.0.1:0?frame=u32be", |end| end.guard = &believes);
    let header = b"PROXY TCP4 192.0.2.7 127.0.0.1 5555 7777\r\n";
    for first in [frame(b"framed"), request("/", "")] {
        host.log.clear();
        let mut peer = Peer::connect(door.port);
        put_slowly(&mut host, &mut peer, &[&header[..], &first].concat());
        let conn = accepted(&mut host, &[]).conn;
        let peer = host.net.conn_info(conn).expect("it lives").peer;
        assert_eq!((peer.bytes[..4].to_vec(), peer.port), (vec![192, 0, 2, 7], 5555));
    }
    host.finish();
}

/// They make no event, and are counted.
pub fn what_is_none_of_these(setup: Setup) {
    let mut host = setup.host();
    let door = host.door_at("any://127.0.0.1:0?frame=u32be", |_| {});
    // It has no certificate.
    let mut peer = Peer::connect(door.port);
    peer.put(b"\x16\x03\x01\x02\x00\x01");
    let (bytes, _) = host.read_to_end(&mut peer);
    assert_eq!(bytes, b"");
    let silent = Peer::connect(door.port);
    silent.fin();
    host.until("a count", |host| host.net.stats().accept_failures >= 1);
    let mut peer = Peer::connect(door.port);
    peer.put(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let head = host.http_head(&mut peer);
    assert!(head.starts_with("HTTP/1.1 426 "), "{head}");
    assert_eq!(host.read_to_end(&mut peer).1, End::Fin);
    host.finish();
}

fn refused(host: &Host, url: &str) -> String {
    let status = host.net.listen(url, Some(&endpoint(|_| {}))).err();
    assert_eq!(status, Some(ERR_INVALID), "{url}");
    last_error()
}

pub fn frames_that_look_like_others(setup: Setup) {
    let mut host = setup.host();
    for (query, like) in [
        ("", "TLS"),
        ("?frame=line", "TLS"),
        ("?frame=u16be", "TLS"),
        ("?frame=varint", "TLS"),
        ("?frame=u32le", "TLS"),
        ("?frame=u32be&max=400M", "TLS"),
    ] {
        let words = refused(&host, &format!("any://127.0.0.1:0{query}"));
        assert!(words.contains(like), "{query}: {words}");
    }
    for query in ["?frame=u16be&max=5000", "?frame=u32le&max=64K", "?frame=u32be&max=64M"] {
        host.door_at(&format!("any://127.0.0.1:0{query}"), |_| {});
    }
    let status = host.net.connect("any://127.0.0.1:1?frame=u32be", None).err();
    assert_eq!(status, Some(ERR_INVALID));
    host.finish();
}

pub fn without_frames(setup: Setup) {
    let mut host = setup.host();
    let door: Door = host.door_at("any://127.0.0.1:0?sniff=0", |_| {});
    let mut peer = host.web_peer(door, "");
    peer.put(&masked(BINARY, b"web"));
    let conn = accepted(&mut host, &[]).conn;
    host.await_messages(conn, 1);
    let mut peer = Peer::connect(door.port);
    peer.put(b"\0\0\0\x01x");
    assert_eq!(host.read_to_end(&mut peer).0, b"");
    host.until("a count", |host| host.net.stats().accept_failures == 1);
    host.finish();
}

//! The PROXY protocol: who comes by a proxy that the host believes is whom its header names, and
//! comes in as that one or not at all. Of nobody else a header is looked at.

use crate::common::event::{Event, Kind, socket_address};
use crate::common::host::{Door, Host};
use crate::common::net::last_error;
use crate::common::pad::PAD;
use crate::common::peer::{End, Peer};
use crate::common::words::*;
use crate::common::{Setup, endpoint, frame, suite};
use crate::log::{WARNING, keep, lines, listen_in, told};
use socket2::{Domain, SockAddr, Socket, Type};
use sockeye::capi::address::sockeye_address;
use sockeye::capi::conn::sockeye_conn;
use sockeye::capi::guard::{
    sockeye_guard, sockeye_guard_ban, sockeye_guard_get_stats, sockeye_guard_rule,
    sockeye_guard_set, sockeye_guard_stats, sockeye_prefix,
};
use sockeye::engine::layer_for_tests;
use std::mem::MaybeUninit;
use std::net::{SocketAddr, TcpStream};
use std::ptr;
use std::time::{Duration, Instant};

suite! {
    each: headers_in_one_piece, headers_byte_by_byte, wrong_headers, a_header_has_its_time,
        of_others_no_header_is_read, the_guard_meets_the_peer, a_layer_begins_behind_it,
        it_may_step, a_listener_waits_for_headers, what_cannot_be_proxied;
}

/// The address of the proxy, 127.0.0.9, and another one.
const PROXY: u8 = 9;
const OTHER: u8 = 2;
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
const REAL: &[u8] = b"PROXY TCP4 203.0.113.7 127.0.0.1 4711 80\r\n";

fn at(last: u8) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, last], 0))
}

fn real(text: &str) -> Option<SocketAddr> {
    Some(text.parse().expect("an address"))
}

fn v2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let len = (rest.len() as u16).to_be_bytes();
    [SIGNATURE, &[command, family], &len, rest].concat()
}

/// Headers, and the addresses that they name.
fn headers() -> Vec<(Vec<u8>, Option<SocketAddr>)> {
    let v4 = [[203, 0, 113, 7], [127, 0, 0, 1], [0x12, 0x67, 0, 80]].concat();
    let noted = [&v4[..], &[4, 0, 3, 1, 2, 3, 0xE0, 0, 0]].concat();
    let mut v6 = vec![0; 36];
    (v6[0], v6[1], v6[2], v6[3], v6[15]) = (0x20, 0x01, 0x0D, 0xB8, 1);
    (v6[32], v6[33]) = (0x12, 0x67);
    let mut mapped = vec![0; 36];
    mapped[10..16].copy_from_slice(&[0xFF, 0xFF, 203, 0, 113, 7]);
    vec![
        (REAL.to_vec(), real("203.0.113.7:4711")),
        (b"PROXY TCP6 2001:db8::1 ::1 4711 80\r\n".to_vec(), real("[2001:db8::1]:4711")),
        (b"PROXY UNKNOWN\r\n".to_vec(), None),
        (v2(0x21, 0x11, &v4), real("203.0.113.7:4711")),
        (v2(0x21, 0x11, &noted), real("203.0.113.7:4711")),
        (v2(0x21, 0x21, &v6), real("[2001:db8::1]:4711")),
        // An IPv4 address is one in whichever form it comes.
        (v2(0x21, 0x21, &mapped), real("203.0.113.7:0")),
        (v2(0x21, 0x31, &[7; 216]), None),
        (v2(0x20, 0, &[]), None),
    ]
}

/// A listener that believes 127.0.0.9.
fn believing(host: &mut Host, query: &str, guard: sockeye_guard) -> Door {
    let from = [sockeye_prefix { address: Some(at(PROXY)).into(), prefix_bits: 32, reserved: 0 }];
    let guard = sockeye_guard { proxy_from: from.as_ptr(), proxy_from_count: 1, ..guard };
    host.door_with(query, |endpoint| endpoint.guard = &guard)
}

fn stream(last: u8, door: Door) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.bind(&at(last).into()).expect("an address of this machine");
    let target = SockAddr::from(SocketAddr::from(([127, 0, 0, 1], door.port)));
    socket.connect(&target).expect("it is accepted by the system at least");
    socket.into()
}

fn knock(last: u8, door: Door) -> Peer {
    Peer::begun(stream(last, door))
}

/// The one connection that was reported since there were so many events.
fn opened(host: &mut Host, before: usize) -> sockeye_conn {
    let of_it = |event: &&Event| event.kind == Kind::Opened;
    host.until("OPENED", |host| host.log[before..].iter().any(|event| of_it(&event)));
    let mut all = host.log[before..].iter().filter(of_it);
    let conn = all.next().expect("just found").conn;
    assert_eq!(all.count(), 0);
    conn
}

/// The addresses of peer and proxy, as far as they are known.
fn addresses(host: &Host, conn: sockeye_conn) -> (SocketAddr, Option<SocketAddr>) {
    let info = host.net.conn_info(conn).expect("it lives");
    let proxy = (info.proxy.family != 0).then(|| socket_address(&info.proxy));
    (socket_address(&info.peer), proxy)
}

fn check_addresses(host: &Host, conn: sockeye_conn, peer: &Peer, named: Option<SocketAddr>) {
    let own = peer.address();
    let expected = named.map_or((own, None), |real| (real, Some(own)));
    assert_eq!(addresses(host, conn), expected);
}

fn guard_stats(host: &Host) -> sockeye_guard_stats {
    let mut out = MaybeUninit::<sockeye_guard_stats>::zeroed();
    let size = size_of::<sockeye_guard_stats>();
    // SAFETY: a live net and room for the answer, which is plain numbers.
    unsafe {
        assert_eq!(sockeye_guard_get_stats(host.net.raw(), out.as_mut_ptr(), size), OK);
        out.assume_init()
    }
}

/// Waits until a peer's connection ends, which is a reset where the system has those.
fn is_turned_away(setup: Setup, host: &mut Host, peer: &mut Peer) {
    host.until("an end", |_| {
        peer.has(1);
        peer.end.is_some()
    });
    assert_eq!(peer.got, b"");
    assert!(peer.end == Some(End::Reset) || !setup.resets(), "{:?}", peer.end);
}

pub fn headers_in_one_piece(setup: Setup) {
    let mut host = setup.host();
    let door = believing(&mut host, "?frame=u32be", sockeye_guard::default());
    for (header, named) in headers() {
        let before = host.log.len();
        let mut peer = knock(PROXY, door);
        peer.put(&[&header, &frame(b"PROXY first")[..], &frame(b"second")].concat());
        let conn = opened(&mut host, before);
        check_addresses(&host, conn, &peer, named);
        host.await_messages(conn, 2);
        assert_eq!(host.messages(conn), [&b"PROXY first"[..], b"second"]);
        assert_eq!(host.net.send(conn, b"back"), OK);
        assert_eq!(host.read(&mut peer, 8), frame(b"back"));
        drop(peer);
        let end = host.closed(conn);
        assert_eq!(end.cause, PEER);
    }
    assert_eq!(host.net.stats().accept_failures, 0);
    host.finish();
}

/// Nothing is reported before the last byte of the header, and no byte behind it is lost.
pub fn headers_byte_by_byte(setup: Setup) {
    let mut host = setup.host();
    let door = believing(&mut host, "?frame=u32be", sockeye_guard::default());
    for (number, (header, named)) in headers().into_iter().enumerate() {
        let before = host.log.len();
        let mut peer = knock(PROXY, door);
        let (last, front) = header.split_last().expect("a header is long");
        for byte in front {
            peer.put(&[*byte]);
            host.step(0);
        }
        assert_eq!(host.count(Kind::Opened), number, "nothing is known of it");
        peer.put(&[*last]);
        for byte in frame(b"message") {
            peer.put(&[byte]);
            host.step(0);
        }
        let conn = opened(&mut host, before);
        host.await_messages(conn, 1);
        assert_eq!(host.messages(conn), [b"message"]);
        check_addresses(&host, conn, &peer, named);
    }
    host.finish();
}

pub fn wrong_headers(setup: Setup) {
    let mut host = setup.host();
    let words = lines();
    listen_in(&host.net, words, WARNING, keep);
    let door = believing(&mut host, "", sockeye_guard::default());
    let long = [b"PROXY UNKNOWN ".to_vec(), vec![b'x'; 92], b"\r\n".to_vec()].concat();
    let summed = [&[203, 0, 113, 7, 127, 0, 0, 1, 0x12, 0x67, 0, 80][..], &[3, 0, 4, 1, 2, 3, 4]];
    let all: [&[u8]; 7] = [
        b"GET / HTTP/1.1\r\n\r\n",
        b"PROXY TCP4 203.0.113.7 127.0.0.1 4711\r\n",
        &long,
        &v2(0x22, 0x11, &[0; 12]),
        &v2(0x21, 0x11, &[0; 11]),
        &v2(0x21, 0x11, &summed.concat()),
        // Longer than it may be, by what it says itself.
        &[SIGNATURE, &[0x21, 0x11, 0x10, 0x00]].concat(),
    ];
    for (at, wrong) in all.into_iter().enumerate() {
        let mut peer = knock(PROXY, door);
        let proxy = peer.address();
        peer.put(wrong);
        is_turned_away(setup, &mut host, &mut peer);
        assert_eq!(host.net.stats().accept_failures, at as u64 + 1);
        if at == 0 {
            let first = format!("the header of the proxy {proxy} is not there");
            host.until("words", |_| told(words).iter().any(|(_, text)| text.contains(&first)));
        }
    }
    // An end before the header is whole.
    let mut peer = knock(PROXY, door);
    peer.put(b"PROXY TCP4 203.0.");
    peer.fin();
    host.until("a refusal", |host| host.net.stats().accept_failures == all.len() as u64 + 1);
    host.read_to_end(&mut peer);
    assert_eq!(host.log.len(), 0);
    host.finish();
}

pub fn a_header_has_its_time(setup: Setup) {
    let mut host = setup.host();
    let door =
        believing(&mut host, "", sockeye_guard { proxy_timeout_ms: 200, ..Default::default() });
    let begun = Instant::now();
    let mut silent = knock(PROXY, door);
    let mut slow = knock(PROXY, door);
    slow.put(b"PROXY TCP4 ");
    is_turned_away(setup, &mut host, &mut silent);
    is_turned_away(setup, &mut host, &mut slow);
    assert!(begun.elapsed() >= Duration::from_millis(200), "{:?}", begun.elapsed());
    assert_eq!((host.log.len(), host.net.stats().accept_failures), (0, 2));
    // Who is in has no such deadline, and its first byte has its own time from there on.
    let door = believing(
        &mut host,
        "?first_byte=200ms",
        sockeye_guard { proxy_timeout_ms: 0, ..Default::default() },
    );
    let mut peer = knock(PROXY, door);
    peer.put(REAL);
    let conn = opened(&mut host, 0);
    assert_eq!(host.closed(conn).cause, TIMEOUT_FIRST_BYTE);
    drop(peer);
    host.finish();
}

pub fn of_others_no_header_is_read(setup: Setup) {
    let mut host = setup.host();
    let door = believing(&mut host, "", sockeye_guard::default());
    let mut peer = knock(OTHER, door);
    let conn = opened(&mut host, 0);
    peer.put(REAL);
    host.until("its bytes", |host| host.bytes(conn).len() == REAL.len());
    assert_eq!(host.bytes(conn), REAL);
    check_addresses(&host, conn, &peer, None);
    // At a listener that believes nobody, the proxy is one of the others.
    let plain = host.door("");
    let before = host.log.len();
    let mut peer = knock(PROXY, plain);
    let conn = opened(&mut host, before);
    peer.put(REAL);
    host.until("its bytes", |host| host.bytes(conn).len() == REAL.len());
    check_addresses(&host, conn, &peer, None);
    host.finish();
}

fn header_of(real: &str) -> Vec<u8> {
    format!("PROXY TCP4 {real} 127.0.0.1 4711 80\r\n").into_bytes()
}

/// Whether one comes in whom the proxy names.
fn enters(
    setup: Setup,
    host: &mut Host,
    door: Door,
    header: &[u8],
) -> Option<(Peer, sockeye_conn)> {
    let before = host.log.len();
    let mut peer = knock(PROXY, door);
    peer.put(header);
    let opened = |host: &Host| {
        let new = host.log[before..].iter().find(|event| event.kind == Kind::Opened);
        new.map(|event| event.conn)
    };
    host.until("a decision about a peer", |host| {
        peer.has(1);
        opened(host).is_some() || peer.end.is_some()
    });
    let conn = opened(host);
    if conn.is_none() {
        is_turned_away(setup, host, &mut peer);
    }
    conn.map(|conn| (peer, conn))
}

pub fn the_guard_meets_the_peer(setup: Setup) {
    let mut host = setup.host();
    let door = believing(&mut host, "", sockeye_guard { per_address_max: 1, ..Default::default() });
    let (one, other) = (header_of("203.0.113.7"), header_of("203.0.113.8"));
    let address: sockeye_address = real("203.0.113.7:0").into();
    // SAFETY: a live net, an address, a rule.
    unsafe {
        assert_eq!(sockeye_guard_ban(host.net.raw(), &address, 32, 600_000), OK);
        let rule =
            sockeye_guard_rule { address: Some(at(PROXY)).into(), prefix_bits: 32, action: 1 };
        assert_eq!(sockeye_guard_set(host.net.raw(), &rule, 1), OK);
    }
    assert!(enters(setup, &mut host, door, &one).is_none(), "it is banned");
    assert!(enters(setup, &mut host, door, b"PROXY UNKNOWN\r\n").is_none(), "a rule denies it");
    let (first, conn) = enters(setup, &mut host, door, &other).expect("the proxy is not asked for");
    assert!(enters(setup, &mut host, door, &other).is_none(), "it has as many as it may");
    let stats = guard_stats(&host);
    assert_eq!((stats.ban, stats.rule, stats.per_address, stats.addresses), (1, 1, 1, 1));
    assert_eq!(host.net.stats().accept_failures, 0);
    // SAFETY: a live net, an address.
    assert_eq!(unsafe { sockeye_guard_ban(host.net.raw(), &address, 32, 0) }, OK);
    let _lifted = enters(setup, &mut host, door, &one).expect("the ban is lifted");
    drop(first);
    host.closed(conn);
    host.until("one fewer", |host| guard_stats(host).addresses == 1);
    let _again = enters(setup, &mut host, door, &other).expect("the former is gone");
    assert_eq!(host.net.listener_close(door.listener), OK);
    host.finish();
}

/// The header stands in front of what the layer says.
pub fn a_layer_begins_behind_it(setup: Setup) {
    layer_for_tests(Some(PAD));
    let mut host = setup.host();
    let door = believing(&mut host, "", sockeye_guard::default());
    let stream = stream(PROXY, door);
    std::io::Write::write_all(&mut &stream, REAL).expect("a header fits");
    let mut peer = Peer::begun(stream);
    let conn = opened(&mut host, 0);
    check_addresses(&host, conn, &peer, real("203.0.113.7:4711"));
    host.turn_over(&mut peer, conn);
    host.finish();
}

/// What came with the header waits for the host's word.
pub fn it_may_step(setup: Setup) {
    let mut host = setup.host();
    let door = believing(&mut host, "?frame=u32be&step=1", sockeye_guard::default());
    let mut peer = knock(PROXY, door);
    peer.put(&[REAL, &frame(b"one")[..], &frame(b"two")].concat());
    let conn = opened(&mut host, 0);
    assert_eq!(host.kinds_of(conn), [Kind::Opened]);
    for count in 1..=2 {
        assert_eq!(host.net.resume(conn), OK);
        host.await_messages(conn, count);
    }
    assert_eq!(host.messages(conn), [b"one", b"two"]);
    host.finish();
}

/// No OPENED comes after LISTENER_CLOSED, also of one whose header was awaited.
pub fn a_listener_waits_for_headers(setup: Setup) {
    let mut host = setup.host();
    let door = believing(&mut host, "", sockeye_guard::default());
    let mut late = knock(PROXY, door);
    let mut never = knock(PROXY, door);
    host.until("they are accepted", |host| {
        host.net.listener_info(door.listener).is_ok_and(|info| info.accepted == 2)
    });
    assert_eq!(host.net.listener_close(door.listener), OK);
    late.put(REAL);
    let conn = opened(&mut host, 0);
    assert_eq!(host.count(Kind::ListenerClosed), 0);
    never.put(b"x");
    host.until("LISTENER_CLOSED", |host| host.count(Kind::ListenerClosed) == 1);
    host.turn_over(&mut late, conn);
    host.finish();
}

pub fn what_cannot_be_proxied(setup: Setup) {
    let host = setup.host();
    let prefix = sockeye_prefix { address: Some(at(0)).into(), prefix_bits: 8, reserved: 0 };
    let listens = |url: &str, prefix: *const sockeye_prefix| {
        let guard = sockeye_guard { proxy_from: prefix, proxy_from_count: 1, ..Default::default() };
        let endpoint = endpoint(|endpoint| endpoint.guard = &guard);
        host.net.listen(url, Some(&endpoint)).err()
    };
    let long = sockeye_prefix { prefix_bits: 33, ..prefix };
    let reserved = sockeye_prefix { reserved: 1, ..prefix };
    let local = format!("unix:{}", std::env::temp_dir().join("sockeye-proxied").display());
    let mut cases = vec![
        ("tcp://127.0.0.1:0", ptr::null(), ERR_INVALID, "guard.proxy_from is NULL"),
        ("tcp://127.0.0.1:0", &raw const long, ERR_INVALID, "guard.proxy_from[0].prefix_bits"),
        ("tcp://127.0.0.1:0", &raw const reserved, ERR_INVALID, "guard.proxy_from[0].reserved"),
        ("udp://127.0.0.1:0", &raw const prefix, ERR_UNSUPPORTED, "guard.proxy_from is for tcp"),
    ];
    if cfg!(unix) {
        cases.push((&local, &raw const prefix, ERR_UNSUPPORTED, "guard.proxy_from is for tcp"));
    }
    for (url, prefix, status, words) in cases {
        assert_eq!(listens(url, prefix), Some(status));
        assert!(last_error().starts_with(words), "{}", last_error());
    }
    host.finish();
}

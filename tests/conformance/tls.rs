//! `tls://`: both ends are ours, or the peer is a socket that knows nothing of TLS.

use crate::common::event::{Event, Kind};
use crate::common::host::{Door, Host};
use crate::common::net::{Net, last_error};
use crate::common::peer::Peer;
use crate::common::tls::{Authority, Pair, client, server, tls};
use crate::common::words::*;
use crate::common::{Setup, suite};
use rcgen::date_time_ymd;
use sockeye::capi::conn::sockeye_conn;
use sockeye::capi::guard::{sockeye_guard, sockeye_prefix};
use sockeye::capi::tls::{
    SOCKEYE_TLS12, SOCKEYE_TLS13, sockeye_conn_get_tls, sockeye_conn_get_tls_certificate,
    sockeye_listener_set_tls, sockeye_tls, sockeye_tls_info,
};
use std::collections::HashSet;
use std::ffi::CString;
use std::mem::{MaybeUninit, size_of};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

suite! {
    each: messages_both_ways, who_is_trusted, certificates_of_clients, names_and_protocols,
        another_certificate, an_end_of_tcp_alone_is_a_cut, behind_a_proxy,
        strangers_make_no_event, a_handshake_has_an_end, many_at_once,
        strangers_have_their_share;
    pool: certificates_change_under_load;
}

const NAME: &str = "game.test";
/// Those who connect while certificates change, and how many at once.
const CROWD: usize = if cfg!(windows) { 200 } else { 1000 };
const WAVE: usize = 8;

fn pair(authority: &Authority) -> Pair {
    authority.sign(&[NAME, "127.0.0.1"], |_| {})
}

fn listen(host: &mut Host, tls: &sockeye_tls) -> Door {
    host.door_at("tls://127.0.0.1:0?frame=u32be", |endpoint| endpoint.tls = tls)
}

fn dial(host: &mut Host, door: Door, tls: &sockeye_tls) -> sockeye_conn {
    let url = format!("tls://127.0.0.1:{}?frame=u32be", door.port);
    host.connect_with(&url, |endpoint| endpoint.tls = tls)
}

/// The events of the other end of the one connection there is beside `conn`.
fn others(host: &Host, conn: sockeye_conn) -> Vec<Event> {
    host.log.iter().filter(|it| it.conn != conn && it.conn.id != 0).cloned().collect()
}

/// The accepted connection, once it is open.
fn accepted(host: &mut Host, conn: sockeye_conn) -> sockeye_conn {
    host.until("both ends", |host| {
        host.count(Kind::Opened) % 2 == 0 && !others(host, conn).is_empty()
    });
    others(host, conn).last().expect("an event").conn
}

fn info(host: &Host, conn: sockeye_conn) -> Result<sockeye_tls_info, i32> {
    let mut info = MaybeUninit::<sockeye_tls_info>::zeroed();
    let size = size_of::<sockeye_tls_info>();
    // SAFETY: the struct is plain numbers, writable, and its size is given.
    match unsafe { sockeye_conn_get_tls(host.net.raw(), conn, info.as_mut_ptr(), size) } {
        // SAFETY: any bytes are numbers.
        OK => Ok(unsafe { info.assume_init() }),
        status => Err(status),
    }
}

/// Ends a thread, also when a test fails beside it.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// What the peer has shown.
fn certificate(host: &Host, conn: sockeye_conn) -> Vec<u8> {
    let bytes = info(host, conn).expect("it is open").certificate_bytes as usize;
    let mut der = vec![0u8; bytes];
    let (at, mut len) = (der.as_mut_ptr().cast(), 0);
    // SAFETY: as many bytes as are said.
    let status =
        unsafe { sockeye_conn_get_tls_certificate(host.net.raw(), conn, at, bytes, &mut len) };
    assert_eq!((status, len), (OK, bytes));
    der
}

fn set(net: &Net, door: Door, tls: *const sockeye_tls) -> i32 {
    // SAFETY: a live net, and a TLS whose texts live.
    unsafe { sockeye_listener_set_tls(net.raw(), door.listener, tls) }
}

pub fn messages_both_ways(setup: Setup) {
    let authority = Authority::new();
    let pair = pair(&authority);
    let mut host = setup.host();
    let door = listen(&mut host, &server(&pair));
    for (version, number) in [(SOCKEYE_TLS12, 2), (SOCKEYE_TLS13, 2)] {
        host.log.clear();
        let mut trusts = client(&authority);
        trusts.min_version = version;
        let conn = dial(&mut host, door, &trusts);
        // Before it is open: it waits for that.
        assert_eq!(host.net.send(conn, b"early"), OK);
        let other = accepted(&mut host, conn);
        let long: Vec<u8> = (0..300_000u32).map(|at| at as u8).collect();
        assert_eq!(host.net.send(conn, &long), OK);
        assert_eq!(host.net.send(other, &long), OK);
        assert_eq!(host.net.send(other, b""), OK);
        host.await_messages(other, number);
        host.await_messages(conn, 2);
        assert!(host.messages(other) == [b"early", &long[..]]);
        assert!(host.messages(conn) == [&long[..], b""]);
        assert!(info(&host, conn).expect("it is open").version >= version);
        assert_eq!(host.net.close_with(conn, GRACEFUL, b"bye"), OK);
        assert_eq!(host.closed(other).cause, PEER);
        assert_eq!(host.messages(other).last(), Some(&&b"bye"[..]));
        assert_eq!(host.closed(conn).cause, HOST);
    }
    host.finish();
}

/// Each fault of a certificate is its own cause, and the server makes no event of it.
pub fn who_is_trusted(setup: Setup) {
    let (authority, other) = (Authority::new(), Authority::new());
    let mut host = setup.host();
    let good = pair(&authority);
    let old = authority.sign(&[NAME, "127.0.0.1"], |params| {
        (params.not_before, params.not_after) =
            (date_time_ymd(2001, 1, 1), date_time_ymd(2002, 1, 1));
    });
    let named = authority.sign(&["other.test"], |_| {});
    let cases = [
        (&good, &other, TLS_CERTIFICATE_UNTRUSTED),
        (&old, &authority, TLS_CERTIFICATE_EXPIRED),
        (&named, &authority, TLS_CERTIFICATE_NAME),
    ];
    for (at, (pair, trusted, cause)) in cases.into_iter().enumerate() {
        let door = listen(&mut host, &server(pair));
        let conn = dial(&mut host, door, &client(trusted));
        assert_eq!(host.closed(conn).cause, cause);
        assert_eq!(host.kinds_of(conn), [Kind::Closed]);
        host.until("a refusal", |host| host.net.stats().accept_failures == at as u64 + 1);
        // Whoever asks for no proof gets in.
        let careless = tls(|tls| tls.verify = 2);
        let conn = dial(&mut host, door, &careless);
        host.until("OPENED", |host| host.kinds_of(conn) == [Kind::Opened]);
    }
    host.finish();
}

pub fn certificates_of_clients(setup: Setup) {
    let authority = Authority::new();
    let (mine, stranger) = (pair(&authority), pair(&Authority::new()));
    for required in [false, true] {
        let mut host = setup.host();
        let mut asks = server(&mine);
        (asks.client_auth, asks.ca_pem) = (1 + u32::from(required), authority.cert.as_ptr());
        let door = listen(&mut host, &asks);
        let trusts = client(&authority);
        let show = |pair: &Pair| sockeye_tls {
            cert_pem: pair.cert.as_ptr(),
            key_pem: pair.key.as_ptr(),
            ..trusts
        };
        let conn = dial(&mut host, door, &show(&mine));
        let other = accepted(&mut host, conn);
        let der = certificate(&host, other);
        assert_eq!(der.first(), Some(&0x30), "a sequence of DER");
        // With TLS 1.3 a client is open before the server has looked at its certificate.
        for shown in [show(&stranger), trusts] {
            let may = !required && shown.cert_pem.is_null();
            let conn = dial(&mut host, door, &shown);
            if may {
                host.until("OPENED", |host| host.kinds_of(conn) == [Kind::Opened]);
            } else {
                let closed = host.closed(conn);
                assert_eq!(closed.cause, TLS_ALERT);
                assert!(closed.code > 0, "the alert");
            }
        }
        host.finish();
    }
}

pub fn names_and_protocols(setup: Setup) {
    let authority = Authority::new();
    let (first, second) = (pair(&authority), authority.sign(&["two.test"], |_| {}));
    let further = [sockeye::capi::tls::sockeye_tls_certificate {
        cert_pem: second.cert.as_ptr(),
        key_pem: second.key.as_ptr(),
    }];
    let (both, mine, none) = (c"game/2,game/1", c"game/1", c"chat");
    let mut host = setup.host();
    let mut serves = server(&first);
    (serves.certificates, serves.certificates_count) = (further.as_ptr(), 1);
    serves.alpn = both.as_ptr();
    let door = listen(&mut host, &serves);
    for name in [NAME, "two.test"] {
        host.log.clear();
        let asked = CString::new(name).expect("a name");
        let mut asks = client(&authority);
        (asks.server_name, asks.alpn) = (asked.as_ptr(), mine.as_ptr());
        let conn = dial(&mut host, door, &asks);
        let other = accepted(&mut host, conn);
        for end in [conn, other] {
            let info = info(&host, end).expect("it is open");
            assert_eq!(crate::common::text_of(&info.alpn), "game/1");
        }
        let told = info(&host, other).expect("it is open");
        assert_eq!(crate::common::text_of(&told.server_name), name);
    }
    let mut asks = client(&authority);
    asks.alpn = none.as_ptr();
    let conn = dial(&mut host, door, &asks);
    assert_eq!(host.closed(conn).cause, TLS_ALERT);
    let plain = host.door("");
    let (_peer, conn) = host.meet(plain);
    assert_eq!(info(&host, conn).err(), Some(ERR_UNSUPPORTED));
    host.finish();
}

/// New connections get the new certificate, those that are there stay, and a pair that does not
/// fit changes nothing.
pub fn another_certificate(setup: Setup) {
    let (before, after) = (Authority::new(), Authority::new());
    let (old, new) = (pair(&before), pair(&after));
    let mut host = setup.host();
    let door = listen(&mut host, &server(&old));
    let first = dial(&mut host, door, &client(&before));
    let other = accepted(&mut host, first);
    let mut torn = server(&old);
    torn.key_pem = new.key.as_ptr();
    assert_eq!(set(&host.net, door, &torn), ERR_INVALID);
    assert!(last_error().contains("cert_pem"), "{}", last_error());
    assert_eq!(set(&host.net, door, ptr::null()), ERR_INVALID);
    host.log.clear();
    let second = dial(&mut host, door, &client(&before));
    accepted(&mut host, second);
    assert_eq!(set(&host.net, door, &server(&new)), OK);
    host.log.clear();
    let third = dial(&mut host, door, &client(&after));
    accepted(&mut host, third);
    let late = dial(&mut host, door, &client(&before));
    assert_eq!(host.closed(late).cause, TLS_CERTIFICATE_UNTRUSTED);
    assert_eq!(host.net.send(first, b"still here"), OK);
    host.await_messages(other, 1);
    host.finish();
}

/// A thread changes the certificate all the while, and tries pairs that do not fit: everyone who
/// connects gets in, and is shown the one or the other.
pub fn certificates_change_under_load(setup: Setup) {
    let authority = Authority::new();
    let pairs = [pair(&authority), pair(&authority)];
    let mut host = setup.host();
    let door = listen(&mut host, &server(&pairs[0]));
    let trusts = client(&authority);
    let (mut seen, mut connected) = (HashSet::new(), 0);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (net, stop, pairs) = (host.net.clone(), &stop, &pairs);
        let changes = scope.spawn(move || {
            let mut torn = server(&pairs[0]);
            torn.key_pem = pairs[1].key.as_ptr();
            for round in 0.. {
                if stop.load(Ordering::Relaxed) {
                    return round;
                }
                assert_eq!(set(&net, door, &server(&pairs[round % 2])), OK);
                assert_eq!(set(&net, door, &torn), ERR_INVALID);
                assert!(last_error().contains("cert_pem"), "{}", last_error());
                std::thread::park_timeout(Duration::from_millis(1));
            }
            unreachable!("it is stopped")
        });
        let ends = Ends(stop);
        while connected < CROWD {
            host.log.clear();
            let conns: Vec<_> = (0..WAVE).map(|_| dial(&mut host, door, &trusts)).collect();
            host.until("a wave", |host| host.log.len() == 2 * WAVE);
            assert_eq!(host.count(Kind::Opened), 2 * WAVE, "{:?}", host.log);
            for conn in conns {
                seen.insert(certificate(&host, conn));
                assert_eq!(host.net.close(conn, GRACEFUL), OK);
            }
            host.until("its end", |host| host.count(Kind::Closed) == 2 * WAVE);
            connected += WAVE;
        }
        drop(ends);
        let changes = changes.join().expect("it saw only right answers");
        assert!(changes > 20, "{changes} changes");
    });
    assert_eq!(seen.len(), 2, "both certificates");
    assert_eq!(host.net.stats().accept_failures, 0);
    host.finish();
}

/// A cable between a client of ours and a listener of ours, which a test can cut: the two ends of
/// TCP, and the client's connection. `header` goes in front of what the client says.
fn cable(host: &mut Host, door: Door, header: &[u8]) -> (sockeye_conn, TcpStream, TcpStream) {
    let far = TcpListener::bind("127.0.0.1:0").expect("a port");
    far.set_nonblocking(true).expect("it need not block");
    let port = far.local_addr().expect("bound").port();
    let careless = tls(|tls| tls.verify = 2);
    let conn = host.connect_with(&format!("tls://127.0.0.1:{port}"), |end| end.tls = &careless);
    let mut peer = Peer::connect(door.port);
    peer.put(header);
    let mut right = peer.into_stream();
    let mut accepted = None;
    host.until("a connect", |_| {
        accepted = accepted.take().or_else(|| far.accept().ok());
        accepted.is_some()
    });
    let mut left = accepted.expect("it came").0;
    for stream in [&left, &right] {
        stream.set_nonblocking(true).expect("it need not block");
    }
    host.until("both ends", |host| {
        carry(&mut left, &mut right);
        carry(&mut right, &mut left);
        host.count(Kind::Opened) == 2
    });
    (conn, left, right)
}

/// Who ends TCP without a word of TLS may have been cut off by a stranger.
pub fn an_end_of_tcp_alone_is_a_cut(setup: Setup) {
    let pair = pair(&Authority::new());
    let mut host = setup.host();
    let door = listen(&mut host, &server(&pair));
    let (conn, left, right) = cable(&mut host, door, b"");
    // Not dropped: what is unread would make it a reset.
    for stream in [&left, &right] {
        stream.shutdown(Shutdown::Write).expect("it is connected");
    }
    assert_eq!(host.closed(conn).cause, TRUNCATED);
    host.until("the other end", |host| host.count(Kind::Closed) == 2);
    assert!(host.log.iter().all(|it| it.kind != Kind::Closed || it.cause == TRUNCATED));
    host.finish();
}

/// The proxy's header is in front of TLS.
pub fn behind_a_proxy(setup: Setup) {
    let pair = pair(&Authority::new());
    let mut host = setup.host();
    let address = SocketAddr::from(([127, 0, 0, 1], 0));
    let from = sockeye_prefix { address: Some(address).into(), prefix_bits: 8, reserved: 0 };
    let believes = sockeye_guard { proxy_from: &from, proxy_from_count: 1, ..Default::default() };
    let serves = server(&pair);
    let door = host.door_at("tls://127.0.0.1:0", |endpoint| {
        (endpoint.tls, endpoint.guard) = (&serves, &believes);
    });
    let header = b"PROXY TCP4 192.0.2.7 127.0.0.1 5555 7777\r\n";
    let (conn, _left, _right) = cable(&mut host, door, header);
    let other = others(&host, conn).last().expect("an event").conn;
    let peer = host.net.conn_info(other).expect("it lives").peer;
    assert_eq!((peer.bytes[..4].to_vec(), peer.port), (vec![192, 0, 2, 7], 5555));
    assert!(info(&host, other).is_ok(), "it has TLS");
    host.finish();
}

/// Carries what has come from one stream to the other.
fn carry(from: &mut TcpStream, to: &mut TcpStream) {
    use std::io::{Read, Write};
    let mut bytes = [0; 4096];
    while let Ok(count @ 1..) = from.read(&mut bytes) {
        to.write_all(&bytes[..count]).expect("the other end takes a handshake");
    }
}

pub fn strangers_make_no_event(setup: Setup) {
    let pair = pair(&Authority::new());
    let mut host = setup.host();
    let door = listen(&mut host, &server(&pair));
    let mut peer = Peer::connect(door.port);
    peer.put(b"GET / HTTP/1.1\r\n\r\n");
    let (alert, _) = host.read_to_end(&mut peer);
    assert_eq!(alert.first(), Some(&21), "it is told in TLS: {alert:?}");
    host.until("a refusal", |host| host.net.stats().accept_failures == 1);
    let silent = Peer::connect(door.port);
    silent.fin();
    host.until("another", |host| host.net.stats().accept_failures == 2);
    assert!(host.log.is_empty());
    host.finish();
}

pub fn a_handshake_has_an_end(setup: Setup) {
    let pair = pair(&Authority::new());
    let mut host = setup.host();
    let tls = server(&pair);
    let door = host.door_at("tls://127.0.0.1:0", |endpoint| {
        (endpoint.tls, endpoint.handshake_timeout_ms) = (&tls, 200);
    });
    let begun = Instant::now();
    let mut peer = Peer::connect(door.port);
    host.read_to_end(&mut peer);
    assert!(begun.elapsed() >= Duration::from_millis(200), "{:?}", begun.elapsed());
    let far = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("tls://{}", far.local_addr().expect("bound"));
    let conn = host.connect_with(&url, |endpoint| endpoint.handshake_timeout_ms = 200);
    assert_eq!(host.closed(conn).cause, TIMEOUT_HANDSHAKE);
    host.finish();
}

/// Their hellos stand in line, and none is lost.
pub fn many_at_once(setup: Setup) {
    const MANY: usize = 40;
    let authority = Authority::new();
    let pair = pair(&authority);
    let mut host = setup.host();
    let door = listen(&mut host, &server(&pair));
    let trusts = client(&authority);
    let conns: Vec<_> = (0..MANY).map(|_| dial(&mut host, door, &trusts)).collect();
    for conn in &conns {
        assert_eq!(host.net.send(*conn, b"early"), OK);
    }
    host.until("all of them", |host| {
        host.count(Kind::Opened) == 2 * MANY && host.count(Kind::Message) == MANY
    });
    assert_eq!(host.net.stats().accept_failures, 0);
    host.finish();
}

/// As many as may do a handshake say nothing: others come in when these are gone.
pub fn strangers_have_their_share(setup: Setup) {
    let authority = Authority::new();
    let pair = pair(&authority);
    let tls = server(&pair);
    let mut host = setup.host();
    let door = host.door_at("tls://127.0.0.1:0?frame=u32be&handshakes=1", |endpoint| {
        (endpoint.tls, endpoint.handshake_timeout_ms) = (&tls, 300);
    });
    let begun = Instant::now();
    let stranger = Peer::connect(door.port);
    host.until("it is accepted", |host| {
        host.net.listener_info(door.listener).is_ok_and(|info| info.accepted == 1)
    });
    let conn = dial(&mut host, door, &client(&authority));
    accepted(&mut host, conn);
    assert!(begun.elapsed() >= Duration::from_millis(300), "{:?}", begun.elapsed());
    assert_eq!(host.net.stats().accept_failures, 1);
    drop(stranger);
    host.finish();
}

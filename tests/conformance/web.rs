//! `ws://` and `wss://`: both ends are ours, or the peer writes its bytes by hand.

use crate::common::event::Kind;
use crate::common::host::{Door, Host};
use crate::common::message::Message;
use crate::common::net::last_error;
use crate::common::peer::{End, Peer};
use crate::common::tls::{Authority, client, server};
use crate::common::web::{BINARY, CLOSE, DEFLATED, PING, PONG, TEXT, http, masked, plain, request};
use crate::common::words::*;
use crate::common::{Setup, suite, text_of};
use sockeye::capi::conn::sockeye_conn;
use sockeye::capi::http::{
    sockeye_close_web, sockeye_conn_get_web, sockeye_http_page, sockeye_web_info,
};
use sockeye::capi::message::SOCKEYE_MESSAGE_TEXT;
use sockeye::capi::stats::sockeye_arrival;
use std::mem::{MaybeUninit, size_of};
use std::time::{Duration, Instant};

suite! {
    each: messages_both_ways, in_tls, rooms_of_all_kinds, what_http_is_answered,
        codes_of_both_ends, a_pause_is_no_silence, rude_frames, a_bomb, a_cut_end, pings,
        a_page_is_served;
}

const FLAG_TEXT: u32 = 2;

fn web_info(host: &Host, conn: sockeye_conn) -> Result<sockeye_web_info, i32> {
    let mut info = MaybeUninit::<sockeye_web_info>::zeroed();
    let size = size_of::<sockeye_web_info>();
    // SAFETY: the struct is plain numbers, writable, and its size is given.
    match unsafe { sockeye_conn_get_web(host.net.raw(), conn, info.as_mut_ptr(), size) } {
        // SAFETY: any bytes are numbers.
        OK => Ok(unsafe { info.assume_init() }),
        status => Err(status),
    }
}

fn accepted(host: &mut Host, conn: sockeye_conn) -> sockeye_conn {
    let is_other = |it: &&crate::common::event::Event| it.kind == Kind::Opened && it.conn != conn;
    host.until("both ends", |host| {
        host.kinds_of(conn).contains(&Kind::Opened) && host.log.iter().any(|it| is_other(&it))
    });
    host.log.iter().rfind(is_other).expect("an event").conn
}

fn text(host: &Host, conn: sockeye_conn, words: &str) -> i32 {
    let mut message = Message::new(&[words.as_bytes()]);
    message.raw.flags = SOCKEYE_MESSAGE_TEXT;
    host.net.send_parts(conn, &message)
}

/// Messages of every size, deflated and not, those that are sent early among them.
pub fn messages_both_ways(setup: Setup) {
    let mut host = setup.host();
    for compression in [0, 1] {
        let with = http(|http| http.compression = compression);
        let door = host.door_at("ws://127.0.0.1:0", |endpoint| endpoint.http = &with);
        host.log.clear();
        let conn = host.connect(&format!("ws://127.0.0.1:{}/play", door.port));
        assert_eq!(host.net.send(conn, b"early"), OK);
        let other = accepted(&mut host, conn);
        host.await_messages(other, 1);
        let info = web_info(&host, other).expect("it is open");
        assert_eq!((info.compression, text_of(&info.path)), (compression, "/play".to_owned()));
        let arrival = host.net.conn_info(conn).expect("it lives").arrival;
        assert_eq!(arrival, sockeye_arrival::SOCKEYE_ARRIVAL_WS as u32);
        let long: Vec<u8> = (0..300_000u32).map(|at| (at / 7) as u8).collect();
        let some = [&b""[..], &long[..125], &long[..126], &long[..65_535], &long[..65_536], &long];
        for (from, to) in [(conn, other), (other, conn)] {
            let before = host.messages(to).len();
            for data in some {
                assert_eq!(host.net.send(from, data), OK);
            }
            assert_eq!(text(&host, from, "größer"), OK);
            host.sent(from);
            host.await_messages(to, before + 7);
            let got = host.messages(to);
            let got = &got[got.len() - 7..];
            assert!(got[..6] == some && got[6] == "größer".as_bytes());
        }
        assert!(host.messages(other)[0] == b"early");
        let texts = |host: &Host| host.log.iter().filter(|it| it.flags == FLAG_TEXT).count();
        assert_eq!(texts(&host), 2, "text is text, and bytes are bytes");
        let mut wrong = Message::new(&[b"\xff"]);
        wrong.raw.flags = SOCKEYE_MESSAGE_TEXT;
        assert_eq!(host.net.send_parts(conn, &wrong), ERR_INVALID);
        assert_eq!(host.net.close_with(conn, GRACEFUL, b"bye"), OK);
        let closed = host.closed(other);
        assert_eq!((closed.cause, closed.code), (PEER, 1000));
        assert_eq!(host.messages(other).last(), Some(&&b"bye"[..]));
        assert_eq!(host.closed(conn).cause, HOST);
    }
    host.finish();
}

pub fn in_tls(setup: Setup) {
    let authority = Authority::new();
    let pair = authority.sign(&["127.0.0.1"], |_| {});
    let (serves, trusts) = (server(&pair), client(&authority));
    let mut host = setup.host();
    let door = host.door_at("wss://127.0.0.1:0", |endpoint| endpoint.tls = &serves);
    let url = format!("wss://127.0.0.1:{}/", door.port);
    let conn = host.connect_with(&url, |endpoint| endpoint.tls = &trusts);
    assert_eq!(host.net.send(conn, b"early"), OK);
    let other = accepted(&mut host, conn);
    let long: Vec<u8> = (0..300_000u32).map(|at| ((at * 31) >> 3) as u8).collect();
    assert_eq!(host.net.send(conn, &long), OK);
    assert_eq!(host.net.send(other, &long), OK);
    host.await_messages(other, 2);
    host.await_messages(conn, 1);
    assert!(host.messages(other) == [b"early", &long[..]] && host.messages(conn) == [&long[..]]);
    let arrival = host.net.conn_info(other).expect("it lives").arrival;
    assert_eq!(arrival, sockeye_arrival::SOCKEYE_ARRIVAL_WSS as u32);
    assert_eq!(host.net.close(other, GRACEFUL), OK);
    assert_eq!(host.closed(conn).cause, PEER);
    assert_eq!(host.closed(other).cause, HOST);
    host.finish();
}

/// One send to a room reaches members of every kind, each in its own form.
pub fn rooms_of_all_kinds(setup: Setup) {
    let mut host = setup.host();
    let bare = http(|http| http.compression = 0);
    let squeezed = host.door_at("ws://127.0.0.1:0", |_| {});
    let webs = host.door_at("ws://127.0.0.1:0", |endpoint| endpoint.http = &bare);
    let framed = host.door("?frame=u16le");
    let mut members = Vec::new();
    for url in [
        format!("ws://127.0.0.1:{}/", squeezed.port),
        format!("ws://127.0.0.1:{}/", webs.port),
        format!("tcp://127.0.0.1:{}?frame=u16le", framed.port),
        format!("ws://127.0.0.1:{}/", squeezed.port),
    ] {
        host.log.retain(|it| it.kind != Kind::Opened);
        let conn = host.connect(&url);
        members.push((conn, accepted(&mut host, conn)));
    }
    let group = host.net.group().expect("a group");
    for (_, member) in &members {
        assert_eq!(host.net.join(group, *member), OK);
    }
    let words = vec![b'w'; 500];
    assert_eq!(host.net.tell(group, &words), Ok(0));
    assert_eq!(host.net.tell(group, b"short"), Ok(0));
    let all: Vec<sockeye_conn> = members.iter().map(|(_, member)| *member).collect();
    assert_eq!(host.net.send_many(&all, &words).0, 4);
    for (conn, _) in &members {
        host.await_messages(*conn, 3);
        assert!(host.messages(*conn) == [&words[..], b"short", &words[..]]);
    }
    let sent =
        |host: &Host, at: usize| host.net.conn_stats(members[at].1).expect("it lives").sent_bytes;
    host.until("all is written", |host| sent(host, 2) >= 2 * 502 + 7);
    assert!(sent(&host, 0) < 300, "deflated: {}", sent(&host, 0));
    host.finish();
}

fn ask(host: &mut Host, door: Door, bytes: &[u8]) -> (String, String) {
    let mut peer = Peer::connect(door.port);
    peer.put(bytes);
    let head = host.http_head(&mut peer);
    let (body, end) = host.read_to_end(&mut peer);
    assert_eq!(end, End::Fin, "{head}");
    (head, String::from_utf8(body).expect("text"))
}

pub fn what_http_is_answered(setup: Setup) {
    let mut host = setup.host();
    let only = http(|http| http.origins = c"https://game.test, https://other.test".as_ptr());
    let door = host.door_at("ws://127.0.0.1:0/play", |endpoint| endpoint.http = &only);
    let cases: [(Vec<u8>, &str, &str); 7] = [
        (b"GET /play HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(), "426", "Sec-WebSocket-Version: 13"),
        (request("/other", ""), "404", ""),
        (request("/play", "Origin: https://evil.test\r\n"), "403", ""),
        (b"POST /play HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n".to_vec(), "405", "Allow"),
        (b"GET /play HTTP/1.1\r\nNo colon\r\n\r\n".to_vec(), "400", ""),
        (request("/play", &format!("Long: {}\r\n", "x".repeat(9000))), "431", ""),
        (b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(), "200", "Content-Length: 0"),
    ];
    for (at, (bytes, status, line)) in cases.iter().enumerate() {
        let (head, _) = ask(&mut host, door, bytes);
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{head}");
        assert!(head.contains(line), "{head}");
        let refused = at.min(5) as u64 + 1;
        host.until("a count", |host| host.net.stats().accept_failures == refused);
    }
    let mut peer = Peer::connect(door.port);
    peer.put(b"\x16\x03\x01 is not HTTP\r\n\r\n");
    assert_eq!(host.read_to_end(&mut peer).0, b"");
    host.until("a count", |host| host.net.stats().accept_failures == 7);
    assert!(host.log.is_empty(), "none of them makes an event");
    // A client that is not wanted hears why.
    let conn = host.connect(&format!("ws://127.0.0.1:{}/other", door.port));
    let closed = host.closed(conn);
    assert_eq!((closed.cause, closed.code), (PROTOCOL, 404));
    // A byte at a time.
    let mut peer = Peer::connect(door.port);
    for byte in request("/play", "Origin: https://other.test\r\n").chunks(1) {
        peer.put(byte);
        host.step(0);
    }
    let head = host.http_head(&mut peer);
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    host.finish();
}

pub fn codes_of_both_ends(setup: Setup) {
    let mut host = setup.host();
    let door = host.door_at("ws://127.0.0.1:0", |_| {});
    for (payload, code) in [(&b"\x0f\xa0over"[..], 4000), (b"", 1005), (b"\x03\xe9", 1001)] {
        host.log.clear();
        let mut peer = host.web_peer(door, "");
        peer.put(&masked(CLOSE, payload));
        host.until("CLOSED", |host| host.count(Kind::Closed) == 1);
        let closed = host.log.last().expect("an event");
        assert_eq!((closed.cause, closed.code), (PEER, code));
        let echo = &payload[..payload.len().min(2)];
        assert_eq!(host.read_to_end(&mut peer), (plain(CLOSE, echo), End::Fin));
    }
    host.log.clear();
    let mut peer = host.web_peer(door, "");
    host.until("OPENED", |host| host.count(Kind::Opened) == 1);
    let conn = host.log[0].conn;
    assert_eq!(host.net.send(conn, b"last"), OK);
    assert_eq!(host.net.close(conn, GRACEFUL), OK);
    let (bytes, end) = host.read_to_end(&mut peer);
    assert_eq!(
        (bytes, end),
        ([plain(BINARY, b"last"), plain(CLOSE, b"\x03\xe8")].concat(), End::Fin)
    );
    peer.put(&masked(CLOSE, b"\x03\xe8"));
    drop(peer);
    assert_eq!(host.closed(conn).cause, HOST);
    host.log.clear();
    let conn = host.connect(&format!("ws://127.0.0.1:{}/", door.port));
    let other = accepted(&mut host, conn);
    // SAFETY: a live net.
    let close = |host: &Host, code| unsafe { sockeye_close_web(host.net.raw(), other, code) };
    assert_eq!((close(&host, 1005), close(&host, 5000)), (ERR_INVALID, ERR_INVALID));
    assert_eq!(close(&host, 4321), OK);
    let closed = host.closed(conn);
    assert_eq!((closed.cause, closed.code), (PEER, 4321));
    assert_eq!(close(&host, 4321), ERR_CLOSED);
    host.finish();
}

/// Each of them ends its connection with the right code on the wire, behind what came before.
pub fn rude_frames(setup: Setup) {
    let mut host = setup.host();
    let door = host.door_at("ws://127.0.0.1:0?max=1000", |_| {});
    let long = vec![7; 1001];
    let cases: [(Vec<u8>, i32, u16); 10] = [
        (plain(BINARY, b"no mask"), PROTOCOL, 1002),
        (masked(BINARY | 0x20, b"reserved"), PROTOCOL, 1002),
        (masked(BINARY | DEFLATED, b"not agreed"), PROTOCOL, 1002),
        (masked(0x83, b"opcode"), PROTOCOL, 1002),
        (masked(PING, &long[..126]), PROTOCOL, 1002),
        (masked(0x09, b"a ping in parts"), PROTOCOL, 1002),
        (masked(0x80, b"nothing to go on with"), PROTOCOL, 1002),
        (masked(TEXT, b"caf\xe9"), PROTOCOL, 1007),
        (masked(BINARY, &long), LIMIT_FRAME, 1009),
        ([masked(0x02, &long[..600]), masked(0x80, &long[..600])].concat(), LIMIT_FRAME, 1009),
    ];
    for (bytes, cause, code) in cases {
        host.log.clear();
        let mut peer = host.web_peer(door, "");
        peer.put(&[masked(BINARY, b"before"), bytes.clone()].concat());
        host.until("CLOSED", |host| host.count(Kind::Closed) == 1);
        let conn = host.log[0].conn;
        assert_eq!(host.messages(conn), [b"before"], "{bytes:x?}");
        assert_eq!(host.log.last().expect("an event").cause, cause, "{bytes:x?}");
        assert_eq!(host.read_to_end(&mut peer).0, plain(CLOSE, &code.to_be_bytes()), "{bytes:x?}");
    }
    host.finish();
}

/// A kilobyte that grows to a gigabyte ends its connection when it is over the maximum.
pub fn a_bomb(setup: Setup) {
    let mut host = setup.host();
    let door = host.door_at("ws://127.0.0.1:0?max=100K", |_| {});
    let before = host.net.stats().memory_bytes;
    let mut peer = host.web_peer(door, "Sec-WebSocket-Extensions: permessage-deflate\r\n");
    // A block of zeros with fixed codes: a literal 0, then lengths of 258 at distance 1.
    let mut bits = Bits::default();
    bits.put(0b010, 3);
    bits.put_code(0x30, 8);
    for _ in 0..5_000 {
        bits.put_code(0b1100_0101, 8);
        bits.put_code(0, 5);
    }
    peer.put(&masked(BINARY | DEFLATED, &bits.bytes));
    host.until("CLOSED", |host| host.count(Kind::Closed) == 1);
    assert_eq!(host.log.last().expect("an event").cause, LIMIT_FRAME);
    assert_eq!(host.read_to_end(&mut peer).0, plain(CLOSE, &1009u16.to_be_bytes()));
    assert!(host.net.stats().memory_bytes < before + (1 << 20));
    host.finish();
}

/// Bits as DEFLATE has them: RFC 1951, section 3.1.1.
#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    used: u32,
}

impl Bits {
    fn put(&mut self, value: u32, count: u32) {
        for at in 0..count {
            if self.used.is_multiple_of(8) {
                self.bytes.push(0);
            }
            let last = self.bytes.last_mut().expect("one was pushed");
            *last |= ((value >> at & 1) as u8) << (self.used % 8);
            self.used += 1;
        }
    }

    /// A code of Huffman's: the first bit first.
    fn put_code(&mut self, code: u32, count: u32) {
        for at in (0..count).rev() {
            self.put(code >> at & 1, 1);
        }
    }
}

/// TCP that ends without a Close may have been cut by a stranger.
pub fn a_cut_end(setup: Setup) {
    let mut host = setup.host();
    let door = host.door_at("ws://127.0.0.1:0", |_| {});
    let mut peer = host.web_peer(door, "");
    peer.put(&masked(BINARY, b"whole")[..7]);
    peer.fin();
    host.until("CLOSED", |host| host.count(Kind::Closed) == 1);
    assert_eq!(host.log.last().expect("an event").cause, TRUNCATED);
    host.finish();
}

pub fn pings(setup: Setup) {
    let mut host = setup.host();
    let door = host.door_at("ws://127.0.0.1:0", |_| {});
    let mut peer = host.web_peer(door, "");
    peer.put(&[masked(0x01, b"in "), masked(PING, b"here?"), masked(0x80, b"parts")].concat());
    let pong = plain(PONG, b"here?");
    assert_eq!(host.read(&mut peer, pong.len()), pong);
    host.until("a message", |host| host.count(Kind::Message) == 1);
    assert_eq!(host.messages(host.log[0].conn), [b"in parts"]);
    // It is asked, and does not answer.
    host.log.clear();
    let asks = http(|http| http.ping_ms = 100);
    let door = host.door_at("ws://127.0.0.1:0", |endpoint| endpoint.http = &asks);
    let mut silent = host.web_peer(door, "");
    assert_eq!(host.read(&mut silent, 2), plain(PING, b""));
    let conn = host.log[0].conn;
    assert_eq!(host.closed(conn).cause, TIMEOUT_IDLE);
    host.finish();
}

/// While the host does not read, nobody is late. Its first message came with its request, and is
/// reported behind OPENED all the same.
pub fn a_pause_is_no_silence(setup: Setup) {
    let mut host = setup.host();
    let asks = http(|http| http.ping_ms = 50);
    // From OPENED on it is paused.
    let door = host.door_at("ws://127.0.0.1:0?step=1", |endpoint| endpoint.http = &asks);
    let mut peer = Peer::connect(door.port);
    peer.put(&[request("/", ""), masked(BINARY, b"it spoke")].concat());
    host.until("OPENED", |host| host.count(Kind::Opened) == 1);
    let conn = host.log[0].conn;
    let end = Instant::now() + Duration::from_millis(400);
    host.until("a while", |_| Instant::now() > end);
    assert!(!host.is_closed(conn));
    assert_eq!(host.net.resume(conn), OK);
    host.await_messages(conn, 1);
    assert_eq!(host.messages(conn), [b"it spoke"]);
    // Its limits may change, and its messages stay those of a WebSocket.
    let other = crate::common::endpoint(|endpoint| (endpoint.step, endpoint.linger_ms) = (1, 9));
    assert_eq!(host.net.configure(conn, &other, b"x"), ERR_UNSUPPORTED);
    let half = crate::common::endpoint(|endpoint| (endpoint.step, endpoint.half_open) = (1, 1));
    assert_eq!(host.net.configure(conn, &half, b""), ERR_INVALID);
    assert_eq!(host.net.configure(conn, &other, b""), OK, "{}", last_error());
    peer.put(&masked(BINARY, b"and again"));
    host.await_messages(conn, 2);
    assert_eq!(host.net.send(conn, b"an answer"), OK);
    let answer = plain(BINARY, b"an answer");
    host.until("the answer", |_| {
        peer.has(usize::MAX);
        peer.got.ends_with(&answer)
    });
    host.finish();
}

pub fn a_page_is_served(setup: Setup) {
    let mut host = setup.host();
    let body = vec![b'.'; 200_000];
    let page = sockeye_http_page {
        path: c"/".as_ptr(),
        content_type: c"text/html; charset=utf-8".as_ptr(),
        data: body.as_ptr().cast(),
        len: body.len(),
    };
    let serves = http(|http| (http.pages, http.pages_count) = (&page, 1));
    let door = host.door_at("ws://127.0.0.1:0/play", |endpoint| endpoint.http = &serves);
    let (head, got) = ask(&mut host, door, b"GET /?v=2 HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    assert!(head.contains("text/html") && head.contains("Content-Length: 200000"), "{head}");
    assert!(got.len() == body.len(), "{} of {}", got.len(), body.len());
    let (head, got) = ask(&mut host, door, b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(head.contains("Content-Length: 200000") && got.is_empty(), "{head}");
    assert_eq!(host.net.stats().accept_failures, 0, "who gets a page is no failure");
    assert!(host.log.is_empty());
    let mut endpoint = crate::common::endpoint(|endpoint| endpoint.http = &serves);
    endpoint.half_open = 1;
    assert_eq!(host.net.listen("ws://127.0.0.1:0/play", Some(&endpoint)).err(), Some(ERR_INVALID));
    assert!(last_error().contains("half_open"), "{}", last_error());
    host.finish();
}

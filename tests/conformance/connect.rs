//! Outgoing connections: success is OPENED, failure is CLOSED without OPENED, and what was sent
//! meanwhile is kept.

use crate::common::event::Kind;
use crate::common::host::Host;
use crate::common::peer::Peer;
use crate::common::process::{NO_ROUTE, NOBODY_LISTENS, leave_network};
use crate::common::words::*;
use crate::common::{Setup, frame, suite};
use socket2::{Domain, SockAddr, Socket, Type};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

suite! {
    each: opens_and_echoes, meets_its_own_net, by_name, by_ipv6, refused, unresolvable,
        unreachable, times_out, sends_before_opened_arrive, sends_before_refusal,
        closed_while_connecting, reset_while_connecting;
}

/// A listener of the system's, and its URL.
fn elsewhere() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("tcp://{}", listener.local_addr().expect("bound"));
    (listener, url)
}

/// A port at which a connect neither succeeds nor fails: its queue is full and nobody accepts.
pub struct BlackHole {
    pub url: String,
    _socket: Socket,
    _fillers: Vec<Socket>,
}

pub fn black_hole() -> BlackHole {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.bind(&SockAddr::from(SocketAddr::from(([127, 0, 0, 1], 0)))).expect("a port");
    socket.listen(0).expect("a queue of one");
    let address = socket.local_addr().expect("bound");
    let url = format!("tcp://{}", address.as_socket().expect("an internet address"));
    let fill = |_| {
        let filler = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        filler.set_nonblocking(true).expect("a socket need not block");
        // In progress at first, for ever once the queue is full.
        let _ = filler.connect(&address);
        filler
    };
    BlackHole { url, _fillers: (0..8).map(fill).collect(), _socket: socket }
}

fn accept(listener: &TcpListener) -> Peer {
    let (stream, _): (TcpStream, _) = listener.accept().expect("somebody connects");
    Peer::from(stream)
}

/// CLOSED without OPENED, once.
fn fails_with(host: &mut Host, conn: sockeye::capi::conn::sockeye_conn, cause: i32) -> i32 {
    let closed = host.closed(conn);
    assert_eq!(closed.cause, cause, "{closed:?}");
    assert_eq!(host.kinds_of(conn), [Kind::Closed], "no OPENED");
    closed.os_error
}

/// Rule 1: OPENED, with no listener, the endpoint's user_data and the right addresses.
pub fn opens_and_echoes(setup: Setup) {
    let mut host = setup.host();
    let (listener, url) = elsewhere();
    let conn = host.connect_with(&url, |endpoint| endpoint.user_data = 41);
    host.until("OPENED", |host| host.count(Kind::Opened) == 1);
    assert_eq!((host.log[0].listener.id, host.log[0].user_data), (0, 41));
    let mut peer = accept(&listener);
    host.turn_over(&mut peer, conn);
    let info = host.net.conn_info(conn).expect("it lives");
    assert_eq!(info.peer.port, listener.local_addr().expect("bound").port());
    assert_eq!((info.peer.family, &info.peer.bytes[..4]), (4, &[127, 0, 0, 1][..]));
    assert_eq!((info.listener.id, info.local.family), (0, 4));
    drop(peer);
    assert_eq!(host.closed(conn).cause, PEER);
    host.finish();
}

/// Both ends in one net.
pub fn meets_its_own_net(setup: Setup) {
    let mut host = setup.host();
    host.echo = false;
    let door = host.door("?frame=u32be");
    let near = host.connect(&format!("tcp://127.0.0.1:{}?frame=u32be", door.port));
    host.until("OPENED of both", |host| host.count(Kind::Opened) == 2);
    let opened = |event: &&crate::common::event::Event| event.listener == door.listener;
    let far = host.log.iter().find(opened).expect("the accepted one").conn;
    assert_eq!(host.net.send(near, b"there"), OK);
    host.await_messages(far, 1);
    assert_eq!(host.net.send(far, b"and back"), OK);
    host.await_messages(near, 1);
    assert_eq!((host.messages(far)[0], host.messages(near)[0]), (&b"there"[..], &b"and back"[..]));
    assert_eq!(host.net.close(near, GRACEFUL), OK);
    assert_eq!((host.closed(near).cause, host.closed(far).cause), (HOST, PEER));
    host.finish();
}

/// A name is looked up, and every address of it is tried: `localhost` may be `::1` first.
pub fn by_name(setup: Setup) {
    let mut host = setup.host();
    let (listener, _) = elsewhere();
    let port = listener.local_addr().expect("bound").port();
    let conn = host.connect(&format!("tcp://localhost:{port}"));
    host.until("OPENED", |host| host.count(Kind::Opened) == 1);
    let mut peer = accept(&listener);
    host.turn_over(&mut peer, conn);
    host.finish();
}

pub fn by_ipv6(setup: Setup) {
    let mut host = setup.host();
    let door = host.door_at("tcp://[::1]:0", |_| {});
    let near = host.connect(&format!("tcp://[::1]:{}", door.port));
    host.until("OPENED of both", |host| host.count(Kind::Opened) == 2);
    let info = host.net.conn_info(near).expect("it lives");
    let mut one = [0; 16];
    one[15] = 1;
    assert_eq!((info.peer.family, info.peer.bytes), (6, one));
    let mut peer = Peer::connect_to(SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], door.port)));
    host.until("a third OPENED", |host| host.count(Kind::Opened) == 3);
    let conn = host.log.last().expect("OPENED").conn;
    host.turn_over(&mut peer, conn);
    host.finish();
}

/// Rule 1: REFUSED, with the system's error.
pub fn refused(setup: Setup) {
    let mut host = setup.host();
    let (listener, url) = elsewhere();
    drop(listener);
    let conn = host.connect(&url);
    assert_eq!(fails_with(&mut host, conn, REFUSED), NOBODY_LISTENS);
    host.finish();
}

/// Rule 1: RESOLVE. A label of 64 letters is no name anywhere, so no question leaves the machine.
pub fn unresolvable(setup: Setup) {
    let mut host = setup.host();
    let conn = host.connect(&format!("tcp://{}.invalid:7777", "x".repeat(64)));
    fails_with(&mut host, conn, RESOLVE);
    host.finish();
}

/// Rule 1: UNREACHABLE, in a network of its own that has no routes. Skipped where the system
/// does not let us make one.
pub fn unreachable(setup: Setup) {
    // Before the net makes its threads.
    if !leave_network() {
        println!("skipped: no network of its own for this user");
        return;
    }
    let mut host = setup.host();
    let conn = host.connect("tcp://192.0.2.1:7777");
    assert_eq!(fails_with(&mut host, conn, UNREACHABLE), NO_ROUTE);
    host.finish();
}

/// Rule 1: TIMEOUT_CONNECT, and not before its time.
pub fn times_out(setup: Setup) {
    let mut host = setup.host();
    let hole = black_hole();
    let begun = Instant::now();
    let conn = host.connect_with(&hole.url, |endpoint| endpoint.connect_timeout_ms = 150);
    fails_with(&mut host, conn, TIMEOUT_CONNECT);
    assert!(begun.elapsed() >= Duration::from_millis(150), "{:?}", begun.elapsed());
    host.finish();
}

/// Rule 2: a send before OPENED waits for it, whole and in order.
pub fn sends_before_opened_arrive(setup: Setup) {
    let mut host = setup.host();
    let (listener, url) = elsewhere();
    let conn = host.connect(&format!("{url}?frame=u32be"));
    let messages: Vec<Vec<u8>> = (0..50u8).map(|at| vec![at; 100 * usize::from(at)]).collect();
    for message in &messages {
        assert_eq!(host.net.send(conn, message), OK);
    }
    host.until("OPENED", |host| host.count(Kind::Opened) == 1);
    let mut peer = accept(&listener);
    let expected: Vec<u8> = messages.iter().flat_map(|message| frame(message)).collect();
    assert!(host.read(&mut peer, expected.len()) == expected, "all messages, in order");
    host.finish();
}

/// What was sent to nobody is counted in CLOSED.
pub fn sends_before_refusal(setup: Setup) {
    let mut host = setup.host();
    let hole = black_hole();
    let conn = host.connect_with(&hole.url, |endpoint| endpoint.connect_timeout_ms = 100);
    assert_eq!(host.net.send(conn, &[7; 300]), OK);
    let closed = host.closed(conn);
    assert_eq!((closed.cause, closed.detail), (TIMEOUT_CONNECT, 300));
    host.finish();
}

/// Rule 1: closing a connecting one gives CLOSED (HOST) once, and no OPENED.
pub fn closed_while_connecting(setup: Setup) {
    close_while_connecting(setup, GRACEFUL);
}

pub fn reset_while_connecting(setup: Setup) {
    close_while_connecting(setup, AT_ONCE);
}

fn close_while_connecting(setup: Setup, how: u32) {
    let mut host = setup.host();
    let hole = black_hole();
    let early = host.connect(&hole.url);
    assert_eq!(host.net.close(early, how), OK);
    let late = host.connect(&hole.url);
    let door = host.door("");
    let (mut peer, conn) = host.meet(door);
    host.turn_over(&mut peer, conn);
    assert_eq!(host.net.close(late, how), OK);
    for conn in [early, late] {
        fails_with(&mut host, conn, HOST);
    }
    host.finish();
}

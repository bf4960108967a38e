//! Sockets that the host brings, and takes away with what is on their way: nothing lost, doubled
//! or out of order.

use crate::common::event::Kind;
use crate::common::host::Host;
use crate::common::net::last_error;
use crate::common::peer::Peer;
use crate::common::random::Random;
use crate::common::words::*;
use crate::common::{DEADLINE, Setup, endpoint, suite};
use sockeye::capi::conn::sockeye_conn;
use sockeye::capi::endpoint::sockeye_endpoint;
use sockeye::capi::listener::sockeye_listener;
use sockeye::capi::model::sockeye_model as models;
use std::fs::File;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::{FromRawFd, IntoRawFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::time::Instant;
use std::{env, fs, process};

suite! {
    each: a_listener_comes, a_listener_goes_and_comes, a_url_of_a_descriptor, a_file_stays,
        datagrams_come, not_listeners, a_connection_comes, not_connections, a_connection_goes,
        what_was_not_sent_goes_along, what_was_not_cut_goes_along, there_and_back_under_traffic,
        events_are_polled_before, who_cannot_go_goes_on, native, many_go_at_once,
        closed_beside, shut_down_with_one_in_the_hand;
    queues2: on_either_queue;
}

/// Whether the model can give a socket back.
fn lets_go(setup: Setup) -> bool {
    setup.model != models::SOCKEYE_MODEL_BLOCKING as u32
}

fn framed(endpoint: &mut sockeye_endpoint) {
    endpoint.framing.kind = 1;
    endpoint.framing.length_bytes = 2;
    endpoint.framing.little_endian = 0;
    endpoint.framing.frame_max_bytes = 1 << 20;
}

fn wire(payload: &[u8]) -> Vec<u8> {
    let len = u16::try_from(payload.len()).expect("a short one");
    [&len.to_be_bytes()[..], payload].concat()
}

fn stream(handle: isize) -> TcpStream {
    // SAFETY: the library has given it to this test.
    unsafe { TcpStream::from_raw_fd(i32::try_from(handle).expect("a descriptor")) }
}

fn handle(socket: impl IntoRawFd) -> isize {
    socket.into_raw_fd() as isize
}

/// A peer, and the other end of its connection.
fn pair() -> (Peer, TcpStream) {
    let door = TcpListener::bind("127.0.0.1:0").expect("a door");
    let peer = Peer::connect(door.local_addr().expect("bound").port());
    (peer, door.accept().expect("it has connected").0)
}

fn adopt(host: &mut Host, socket: TcpStream, unread: &[u8]) -> sockeye_conn {
    let conn = host.net.conn_adopt(handle(socket), Some(&endpoint(framed)), unread);
    let conn = conn.unwrap_or_else(|status| panic!("adopt: {status}, {}", last_error()));
    host.got(&[conn], &[]);
    conn
}

fn take_door(host: &mut Host, handle: isize) -> sockeye_listener {
    let door = host.net.listen_adopt(handle, None);
    let door = door.unwrap_or_else(|status| panic!("adopt: {status}, {}", last_error()));
    host.got(&[], &[door]);
    door
}

/// Polls until nothing is left of a paused connection, then takes it.
fn release(host: &mut Host, conn: sockeye_conn) -> (TcpStream, Vec<u8>, Vec<u8>) {
    assert_eq!(host.net.pause(conn), OK);
    let end = Instant::now() + DEADLINE;
    loop {
        while host.step(0) > 0 {}
        match host.net.conn_release(conn) {
            Ok((handle, unread, unsent)) => return (stream(handle), unread, unsent),
            Err(ERR_BUSY) if Instant::now() < end => {}
            Err(status) => panic!("release: {status}, {}", last_error()),
        }
    }
}

fn opened_of(host: &mut Host, door: sockeye_listener, count: usize) -> Vec<sockeye_conn> {
    let of_it = |host: &Host| {
        let opened = host.log.iter().filter(|it| it.kind == Kind::Opened && it.listener == door);
        opened.map(|it| it.conn).collect::<Vec<_>>()
    };
    host.until("OPENED of each", |host| of_it(host).len() == count);
    of_it(host)
}

pub fn a_listener_comes(setup: Setup) {
    let mut host = setup.host();
    let socket = TcpListener::bind("127.0.0.1:0").expect("a door");
    let port = socket.local_addr().expect("bound").port();
    let door = take_door(&mut host, handle(socket));
    assert_eq!(host.net.listener_info(door).expect("it lives").port, u32::from(port));
    let mut peer = Peer::connect(port);
    let conn = opened_of(&mut host, door, 1)[0];
    host.turn_over(&mut peer, conn);
    assert_eq!(host.net.listener_close(door), OK);
    host.until("LISTENER_CLOSED", |host| host.count(Kind::ListenerClosed) == 1);
    host.until("a free port", |_| TcpListener::bind(("127.0.0.1", port)).is_ok());
    host.finish();
}

/// None who connects meanwhile is refused or lost: the system has them.
pub fn a_listener_goes_and_comes(setup: Setup) {
    let mut host = setup.host();
    let mut door = host.door("").listener;
    let port = host.net.listener_info(door).expect("it lives").port as u16;
    if !lets_go(setup) {
        assert_eq!(host.net.listener_release(door), Err(ERR_UNSUPPORTED));
        assert!(last_error().contains("cannot give a socket back"), "{}", last_error());
        let (mut peer, conn) = host.meet(crate::common::host::Door { listener: door, port });
        host.turn_over(&mut peer, conn);
        return host.finish();
    }
    for round in 0..5 {
        let before: Vec<_> = (0..3).map(|_| Peer::connect(port)).collect();
        let raw = loop {
            match host.net.listener_release(door) {
                Ok(raw) => break raw,
                Err(ERR_BUSY) => drop(host.step(1)),
                Err(status) => panic!("release: {status}, {}", last_error()),
            }
        };
        let after: Vec<_> = (0..3).map(|_| Peer::connect(port)).collect();
        let closed = |host: &Host| {
            host.log.iter().any(|it| it.kind == Kind::ListenerClosed && it.listener == door)
        };
        host.until("LISTENER_CLOSED", |host| closed(host));
        let left = 6 * (round + 1) - host.count(Kind::Opened);
        let again = host.net.listener_release(door);
        assert!([Err(ERR_STALE), Err(ERR_CLOSED)].contains(&again), "{again:?}");
        door = take_door(&mut host, raw);
        opened_of(&mut host, door, left);
        assert_eq!(host.count(Kind::Opened), 6 * (round + 1), "each once");
        drop((before, after));
    }
    host.finish();
}

pub fn a_url_of_a_descriptor(setup: Setup) {
    let mut host = setup.host();
    let socket = TcpListener::bind("127.0.0.1:0").expect("a door");
    let port = socket.local_addr().expect("bound").port();
    let url = format!("fd://{}?frame=u16be", handle(socket));
    let door = host.net.listen(&url, None).expect("a door");
    host.got(&[], &[door]);
    let mut peer = Peer::connect(port);
    let conn = opened_of(&mut host, door, 1)[0];
    peer.put(&wire(b"framed"));
    host.await_messages(conn, 1);
    assert_eq!(host.messages(conn), [b"framed"]);
    for url in ["fd://", "fd://999999", "fd://nobody", "fd://3/x", "fd://3:4"] {
        assert_eq!(host.net.listen(url, None), Err(ERR_INVALID), "{url}");
        assert!(!last_error().is_empty());
    }
    assert_eq!(host.net.connect("fd://3", None), Err(ERR_INVALID));
    host.finish();
}

/// The file of a local listener outlives its release, and one that was adopted is not removed.
pub fn a_file_stays(setup: Setup) {
    if !lets_go(setup) {
        return;
    }
    let name = setup.name.replace("::", "-");
    let path: PathBuf = env::temp_dir().join(format!("{}-{}", process::id(), name.len()));
    let path = path.with_extension(format!("{}{}", setup.model, setup.runs()));
    let mut host = setup.host();
    let door = host.door_at(&format!("unix://{}", path.display()), |_| {}).listener;
    host.until("it can be released", |host| match host.net.listener_release(door) {
        Ok(raw) => {
            let again = take_door(host, raw);
            assert!(UnixStream::connect(&path).is_ok(), "it listens all the time");
            opened_of(host, again, 1);
            true
        }
        Err(status) => {
            assert_eq!(status, ERR_BUSY);
            false
        }
    });
    host.finish();
    assert!(path.exists(), "whoever made it has it");
    fs::remove_file(&path).expect("it was there");
    let socket = UnixListener::bind(&path).expect("a door");
    let mut host = setup.host();
    take_door(&mut host, handle(socket));
    host.finish();
    fs::remove_file(&path).expect("it was there");
}

pub fn datagrams_come(setup: Setup) {
    let mut host = setup.host();
    for any in ["127.0.0.1:0", "0.0.0.0:0"] {
        let socket = UdpSocket::bind(any).expect("a door");
        let port = socket.local_addr().expect("bound").port();
        let door = take_door(&mut host, handle(socket));
        let peer = UdpSocket::bind("127.0.0.1:0").expect("a peer");
        peer.set_read_timeout(Some(DEADLINE)).expect("a timeout");
        peer.send_to(b"there", ("127.0.0.1", port)).expect("sent");
        host.until("DATAGRAM", |host| host.log.iter().any(|it| it.listener == door));
        let asked = host.log.last().expect("just seen").clone();
        assert_eq!((asked.kind, &asked.data[..]), (Kind::Datagram, &b"there"[..]));
        assert_eq!(host.net.answer(&asked, b"back"), OK);
        host.step(1);
        let mut got = [0; 8];
        let (len, from) = peer.recv_from(&mut got).expect("an answer");
        assert_eq!((&got[..len], from.port()), (&b"back"[..], port));
        assert_eq!(host.net.listener_release(door), Err(ERR_UNSUPPORTED));
    }
    host.finish();
}

/// What is refused stays the host's, open.
pub fn not_listeners(setup: Setup) {
    let mut host = setup.host();
    let (_peer, connected) = pair();
    let file = File::open("/dev/null").expect("it is there");
    let connected_udp = UdpSocket::bind("127.0.0.1:0").expect("bound");
    connected_udp.connect("127.0.0.1:9").expect("connected");
    let (local, _other) = UnixStream::pair().expect("a pair");
    for (handle, words) in [
        (handle(connected), "does not listen"),
        (handle(file), "not a socket"),
        (handle(connected_udp), "connected"),
        (handle(local), "does not listen"),
    ] {
        assert_eq!(host.net.listen_adopt(handle, None), Err(ERR_INVALID), "{words}");
        assert!(last_error().contains(words), "{words}: {}", last_error());
        // SAFETY: it was this test's, and is still.
        drop(unsafe { File::from_raw_fd(handle as i32) });
    }
    for handle in [-1, 1 << 20, isize::MAX] {
        assert_eq!(host.net.listen_adopt(handle, None), Err(ERR_INVALID));
    }
    assert_eq!(host.step(0), 0);
    host.finish();
}

/// OPENED first, then what the bytes have, then what the socket has.
pub fn a_connection_comes(setup: Setup) {
    let mut host = setup.host();
    for cut in 0..=6 {
        let (mut peer, socket) = pair();
        let all = [wire(b"one"), wire(b"two"), wire(b"three")].concat();
        let at = cut * all.len() / 6;
        peer.put(&all[at..]);
        let conn = adopt(&mut host, socket, &all[..at]);
        host.await_messages(conn, 3);
        assert_eq!(host.messages(conn), [&b"one"[..], b"two", b"three"]);
        assert_eq!(host.kinds_of(conn)[0], Kind::Opened);
        assert_eq!(host.net.send(conn, b"back"), OK);
        assert_eq!(host.read(&mut peer, 6), wire(b"back"));
        let info = host.net.conn_info(conn).expect("it lives");
        assert_eq!(info.peer.port, peer.address().port());
        drop(peer);
        assert_eq!(host.closed(conn).cause, PEER);
    }
    let (local, other) = UnixStream::pair().expect("a pair");
    let conn = host.net.conn_adopt(handle(local), None, b"before").expect("adopted");
    host.got(&[conn], &[]);
    let mut other = other;
    other.write_all(b" behind").expect("sent");
    host.until("both", |host| host.bytes(conn) == b"before behind");
    host.finish();
}

pub fn not_connections(setup: Setup) {
    let mut host = setup.host();
    let listens = TcpListener::bind("127.0.0.1:0").expect("a door");
    let datagrams = UdpSocket::bind("127.0.0.1:0").expect("bound");
    for handle in [handle(listens), handle(datagrams)] {
        assert_eq!(host.net.conn_adopt(handle, None, b"x"), Err(ERR_INVALID));
        assert!(last_error().contains("handle"), "{}", last_error());
        // SAFETY: it was this test's, and is still.
        drop(unsafe { File::from_raw_fd(handle as i32) });
    }
    let unconnected = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None);
    let unconnected = unconnected.expect("a socket");
    let raw = handle(unconnected);
    assert_eq!(host.net.conn_adopt(raw, None, b""), Err(ERR_INVALID));
    assert!(last_error().contains("not connected"), "{}", last_error());
    // SAFETY: as above.
    drop(unsafe { File::from_raw_fd(raw as i32) });
    assert_eq!(host.step(0), 0);
    host.finish();
}

/// The peer notices nothing, and CLOSED is the last event.
pub fn a_connection_goes(setup: Setup) {
    if !lets_go(setup) {
        return;
    }
    let mut host = setup.host();
    let door = host.door_with("", framed);
    let (mut peer, conn) = host.meet(door);
    peer.put(&wire(b"a message"));
    host.await_messages(conn, 1);
    assert_eq!(host.net.send(conn, b"an answer"), OK);
    assert_eq!(host.read(&mut peer, 11), wire(b"an answer"));
    let (mut socket, unread, unsent) = release(&mut host, conn);
    assert!(unread.is_empty() && unsent.is_empty());
    let closed = host.closed(conn);
    assert_eq!((closed.cause, closed.os_error, closed.detail), (HOST, 0, 0));
    host.until("the slot is free", |host| host.net.stats().connections == 0);
    assert_eq!(host.net.conn_release(conn), Err(ERR_STALE));
    socket.set_nonblocking(false).expect("it can block");
    socket.set_read_timeout(Some(DEADLINE)).expect("a timeout");
    peer.put(b"raw");
    let mut got = [0; 3];
    socket.read_exact(&mut got).expect("it reads");
    socket.write_all(b"too").expect("it writes");
    assert_eq!((&got, host.read(&mut peer, 3)), (b"raw", b"too".to_vec()));
    host.finish();
    assert!(peer.is_open(), "the end of the net is not its end");
}

/// Every byte that was taken and not sent, from the middle of a message on, in order.
pub fn what_was_not_sent_goes_along(setup: Setup) {
    if !lets_go(setup) {
        return;
    }
    let mut host = setup.host();
    let door = host.door_with("", |endpoint| {
        framed(endpoint);
        endpoint.outbox_max_bytes = 32 << 20;
    });
    let (mut peer, conn) = host.meet(door);
    let mut all = Vec::new();
    for round in 0..400u32 {
        let payload = round.to_be_bytes().repeat(12_000);
        assert_eq!(host.net.send(conn, &payload[..48_000]), OK);
        all.extend(wire(&payload[..48_000]));
        host.step(0);
    }
    let (mut socket, unread, unsent) = release(&mut host, conn);
    assert!(unread.is_empty() && !unsent.is_empty(), "the system does not take all of 19 MB");
    assert_eq!(host.closed(conn).detail, 0);
    let mut at = 0;
    let mut got = Vec::new();
    let end = Instant::now() + DEADLINE;
    while got.len() < all.len() {
        assert!(Instant::now() < end, "{} of {}", got.len(), all.len());
        if at < unsent.len() {
            at += socket.write(&unsent[at..]).unwrap_or(0);
        }
        peer.has(1 << 20);
        got.append(&mut peer.got);
    }
    assert!(got == all, "nothing lost, doubled or out of order");
    host.finish();
}

/// The beginning of a frame, and frames that a pause has kept from being cut.
pub fn what_was_not_cut_goes_along(setup: Setup) {
    if !lets_go(setup) {
        return;
    }
    let mut host = setup.host();
    let door = host.door_with("", framed);
    for len in [1, 2, 5, 40_000] {
        let (mut peer, conn) = host.meet(door);
        let all = wire(&vec![7; 50_000]);
        let given = host.net.conn_stats(conn).expect("it lives").received_bytes;
        host.write(&mut peer, &all[..len]);
        host.until("the beginning", |host| {
            let stats = host.net.conn_stats(conn).expect("it lives");
            stats.received_bytes - given == len as u64
        });
        let (mut socket, mut unread, unsent) = release(&mut host, conn);
        assert!(unread == all[..len] && unsent.is_empty(), "{} of {len}", unread.len());
        peer.put(&all[len..len + 9]);
        socket.set_nonblocking(false).expect("it can block");
        let mut more = [0; 9];
        socket.read_exact(&mut more).expect("it reads");
        unread.extend(more);
        let again = adopt(&mut host, socket, &unread);
        host.write(&mut peer, &all[len + 9..]);
        host.await_messages(again, 1);
        assert!(host.messages(again)[0] == vec![7; 50_000]);
    }
    host.finish();
}

/// One stream through many connections, both ways, cut anywhere.
pub fn there_and_back_under_traffic(setup: Setup) {
    if !lets_go(setup) {
        return;
    }
    let mut host = setup.host();
    let mut random = Random::new(7);
    let (mut peer, socket) = pair();
    let mut conn = adopt(&mut host, socket, &[]);
    let (mut sent, mut queued) = (Vec::new(), Vec::new());
    let (mut got, mut back) = (Vec::new(), Vec::new());
    for round in 0..60u32 {
        for _ in 0..random.below(4) {
            let payload = round.to_be_bytes().repeat(1 + random.below(900));
            queued.extend(wire(&payload));
            sent.push(payload);
        }
        let some = random.below(queued.len() + 1);
        let taken = peer.offer(&queued[..some]);
        queued.drain(..taken);
        let answer = round.to_be_bytes().repeat(1 + random.below(500));
        assert_eq!(host.net.send(conn, &answer), OK);
        back.extend(wire(&answer));
        for _ in 0..random.below(3) {
            host.step(1);
        }
        if random.below(2) == 0 {
            continue;
        }
        let (mut socket, unread, unsent) = release(&mut host, conn);
        got.extend(host.messages(conn).into_iter().map(<[u8]>::to_vec));
        socket.set_nonblocking(false).expect("it can block");
        socket.write_all(&unsent).expect("the rest leaves");
        conn = adopt(&mut host, socket, &unread);
    }
    host.write(&mut peer, &queued);
    let before = got.len();
    host.await_messages(conn, sent.len() - before);
    got.extend(host.messages(conn).into_iter().map(<[u8]>::to_vec));
    assert!(got == sent, "{} of {}", got.len(), sent.len());
    let len = back.len();
    assert!(host.read(&mut peer, len) == back);
    host.finish();
}

/// A message that is cut already is polled first; until then the connection is as it was.
pub fn events_are_polled_before(setup: Setup) {
    if !lets_go(setup) {
        return;
    }
    let mut host = setup.host();
    let door = host.door_with("", framed);
    let (mut peer, conn) = host.meet(door);
    peer.put(&[wire(b"1"), wire(b"2"), wire(b"3")].concat());
    let end = Instant::now() + DEADLINE;
    while host.messages(conn).is_empty() {
        assert!(Instant::now() < end, "the first of three");
        host.step_queue(0, 1, 1);
    }
    // The others are behind it, in the queue or in what the poll took, or not cut yet.
    match host.net.conn_release(conn) {
        Err(status) => {
            assert_eq!(status, ERR_BUSY);
            assert!(last_error().contains("polled"), "{}", last_error());
            host.await_messages(conn, 3);
            assert_eq!(host.messages(conn), [b"1", b"2", b"3"]);
            assert_eq!(host.net.send(conn, b"as before"), OK);
            assert_eq!(host.read(&mut peer, 11), wire(b"as before"));
        }
        Ok(_) => panic!("two messages are on their way to the host"),
    }
    let (_socket, unread, _) = release(&mut host, conn);
    assert!(unread.is_empty());
    host.finish();
}

pub fn who_cannot_go_goes_on(setup: Setup) {
    let mut host = setup.host();
    let door = host.door("");
    let (mut peer, conn) = host.meet(door);
    if !lets_go(setup) {
        assert_eq!(host.net.conn_release(conn), Err(ERR_UNSUPPORTED));
        assert!(last_error().contains("cannot give a socket back"), "{}", last_error());
    }
    let port = host.connect("udp://127.0.0.1:9");
    assert!(host.net.conn_release(port).is_err(), "of datagrams");
    let mut tapped = setup.host_with(|config| config.taps = 1);
    let at = tapped.door("");
    let (mut its_peer, its_conn) = tapped.meet(at);
    for answer in [
        tapped.net.conn_release(its_conn).map(drop),
        tapped.net.listener_release(at.listener).map(drop),
    ] {
        assert_eq!(answer, Err(ERR_UNSUPPORTED), "bytes are in the tap");
    }
    tapped.turn_over(&mut its_peer, its_conn);
    tapped.finish();
    let other = sockeye_conn { id: conn.id + (1 << 24) };
    assert!(host.net.conn_release(other).is_err(), "made up");
    host.turn_over(&mut peer, conn);
    assert_eq!(host.net.close(conn, GRACEFUL), OK);
    let answer = host.net.conn_release(conn).unwrap_err();
    assert!(answer == ERR_CLOSED || !lets_go(setup), "{answer}");
    host.finish();
}

pub fn native(setup: Setup) {
    let mut host = setup.host();
    let door = host.door("");
    let (mut peer, conn) = host.meet(door);
    let raw = host.net.conn_native(conn).expect("it has one");
    let socket = std::mem::ManuallyDrop::new(stream(raw));
    assert_eq!(socket.peer_addr().expect("connected"), peer.address());
    socket.set_ttl(9).expect("an option");
    host.turn_over(&mut peer, conn);
    assert_eq!(host.net.close(conn, AT_ONCE), OK);
    host.closed(conn);
    assert!(host.net.conn_native(conn).is_err());
    host.finish();
}

pub fn many_go_at_once(setup: Setup) {
    if !lets_go(setup) {
        return;
    }
    let mut host = setup.host();
    let door = host.door("");
    let met: Vec<_> = (0..40).map(|_| host.meet(door)).collect();
    let mut sockets = Vec::new();
    for (peer, conn) in met {
        let (socket, _, _) = release(&mut host, conn);
        sockets.push((peer, socket));
    }
    host.until("CLOSED of each", |host| host.count(Kind::Closed) == 40);
    host.until("no slot in use", |host| host.net.stats().connections == 0);
    for (mut peer, socket) in sockets {
        let conn = host.net.conn_adopt(handle(socket), None, b"").expect("adopted");
        host.got(&[conn], &[]);
        host.turn_over(&mut peer, conn);
    }
    host.finish();
}

/// The host's own close, or the peer's end, before the release.
pub fn closed_beside(setup: Setup) {
    if !lets_go(setup) {
        return;
    }
    let mut host = setup.host();
    let door = host.door("");
    for round in 0..10 {
        let (peer, conn) = host.meet(door);
        if round % 2 == 0 {
            assert_eq!(host.net.close(conn, GRACEFUL), OK);
        }
        drop(peer);
        if let Ok((handle, _, _)) = host.net.conn_release(conn) {
            assert!(round % 2 == 1, "it was closed");
            drop(stream(handle));
        }
        host.closed(conn);
    }
    host.until("no slot in use", |host| host.net.stats().connections == 0);
    host.finish();
}

pub fn shut_down_with_one_in_the_hand(setup: Setup) {
    if !lets_go(setup) {
        return;
    }
    let mut host = setup.host();
    let door = host.door("");
    let (mut peer, conn) = host.meet(door);
    let (mut socket, _, _) = release(&mut host, conn);
    host.finish();
    socket.set_nonblocking(false).expect("it can block");
    socket.write_all(b"still here").expect("it writes");
    let end = Instant::now() + DEADLINE;
    while !peer.has(10) {
        assert!(Instant::now() < end, "not in time");
    }
    assert_eq!(peer.got, b"still here");
}

pub fn on_either_queue(setup: Setup) {
    if !lets_go(setup) {
        return;
    }
    let mut host = setup.host();
    for queue in [0, 1] {
        let door = host.door_with("", |endpoint| {
            framed(endpoint);
            endpoint.queue = queue;
        });
        let (mut peer, conn) = host.meet(door);
        peer.put(&wire(b"")[..1]);
        let _socket = release(&mut host, conn).0;
        assert_eq!(host.closed(conn).queue, queue);
    }
    host.finish();
}

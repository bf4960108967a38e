//! Ends that tell the truth (rule 2): what was taken and lost is a reset on the wire and counted,
//! all else ends in order; an end within a frame is reported as that; `half_open`.

use crate::common::event::Kind;
use crate::common::host::{Door, Host};
use crate::common::peer::{End, Peer};
use crate::common::words::*;
use crate::common::{Setup, frame, stays, suite};
use socket2::{Domain, SockAddr, Socket, Type};
use sockeye::capi::conn::sockeye_conn;
use sockeye::capi::endpoint::sockeye_endpoint;
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

suite! {
    each: a_cut_stream_never_looks_whole, what_was_sent_arrives_before_every_end,
        without_linger_what_the_system_took_arrives, a_slow_reader_gets_all_behind_the_linger,
        an_end_within_a_frame, an_end_within_a_frame_of_a_paused_one, half_open_tells_the_end_once,
        half_open_keeps_the_send_timeout, half_open_tells_of_a_reset, half_open_and_a_broken_frame,
        shutdown_waits_for_no_peers_end, shutdown_waits_for_what_is_acknowledged;
}

/// A peer whose system takes little at once.
fn narrow(host: &mut Host, door: Door) -> (Peer, sockeye_conn) {
    let before = host.log.len();
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.set_recv_buffer_size(16 * 1024).expect("an option");
    let address = SocketAddr::from(([127, 0, 0, 1], door.port));
    socket.connect(&SockAddr::from(address)).expect("a peer connects");
    let peer = Peer::from(TcpStream::from(socket));
    host.until("OPENED", |host| host.log[before..].iter().any(|it| it.kind == Kind::Opened));
    let opened = host.log[before..].iter().find(|it| it.kind == Kind::Opened);
    (peer, opened.expect("just seen").conn)
}

/// Sends until the system takes no more and something waits.
fn choke(host: &mut Host, conn: sockeye_conn) {
    host.until("a full outbox", |host| match host.net.send(conn, &[7; 60_000]) {
        OK => false,
        status => {
            assert_eq!(status, ERR_AGAIN);
            host.net.conn_stats(conn).is_ok_and(|stats| stats.outbox_bytes > 0)
        }
    });
}

/// One way for a connection to end while taken bytes wait.
struct Way {
    cause: i32,
    query: &'static str,
    change: fn(&mut sockeye_endpoint),
    /// What makes it end, if the change alone does not.
    act: fn(&mut Host, &mut Peer, sockeye_conn),
}

const WAYS: [Way; 6] = [
    Way {
        cause: LIMIT_OUTBOX,
        query: "?frame=u32be",
        change: |endpoint| endpoint.overflow = OVERFLOW_CLOSE,
        act: |host, _, conn| {
            host.until("CLOSED", |host| {
                assert!([OK, ERR_AGAIN, ERR_CLOSED].contains(&host.net.send(conn, &[7; 60_000])));
                host.is_closed(conn)
            })
        },
    },
    Way {
        cause: TIMEOUT_SEND,
        query: "",
        change: |endpoint| endpoint.send_timeout_ms = 100,
        act: |host, _, conn| choke(host, conn),
    },
    Way {
        cause: TIMEOUT_IDLE,
        query: "",
        change: |endpoint| endpoint.idle_timeout_ms = 400,
        act: |host, _, conn| {
            host.until("CLOSED", |host| {
                assert!([OK, ERR_AGAIN, ERR_CLOSED].contains(&host.net.send(conn, &[7; 60_000])));
                host.is_closed(conn)
            })
        },
    },
    Way {
        cause: LIMIT_FRAME,
        query: "?frame=u32be",
        change: |_| {},
        act: |host, peer, conn| {
            choke(host, conn);
            peer.put(&[0x7F, 0xFF, 0xFF, 0xFF]);
        },
    },
    Way {
        cause: PROTOCOL,
        query: "?frame=varint",
        change: |_| {},
        act: |host, peer, conn| {
            choke(host, conn);
            peer.put(&[0xFF; 11]);
        },
    },
    Way {
        cause: TIMEOUT_LINGER,
        query: "",
        change: |endpoint| endpoint.linger_ms = 100,
        act: |host, _, conn| {
            choke(host, conn);
            assert_eq!(host.net.close(conn, GRACEFUL), OK);
        },
    },
];

/// Whatever the cause: the peer of a connection with lost bytes sees a reset, not an orderly end,
/// though it reads all that is there.
pub fn a_cut_stream_never_looks_whole(setup: Setup) {
    if !setup.resets() {
        return;
    }
    let mut host = setup.host();
    for way in &WAYS {
        let door = host.door_with(way.query, |endpoint| {
            endpoint.outbox_max_bytes = 256 * 1024;
            endpoint.send_buffer_bytes = 32 * 1024;
            (way.change)(endpoint);
        });
        let (mut peer, conn) = narrow(&mut host, door);
        (way.act)(&mut host, &mut peer, conn);
        let closed = host.closed(conn);
        assert_eq!(closed.cause, way.cause, "{closed:?}");
        assert!(closed.detail > 0, "something was lost: {closed:?}");
        let (_, end) = host.read_to_end(&mut peer);
        assert_eq!(end, End::Reset, "cause {}", way.cause);
    }
    host.until("free slots", |host| host.net.stats().connections == 0);
    host.finish();
}

/// Nothing is lost: what was sent before the end arrives, with an orderly end behind it, also
/// where the peer's own bytes were not read.
pub fn what_was_sent_arrives_before_every_end(setup: Setup) {
    let mut host = setup.host();
    let door = host.door_with("?frame=u32be", |endpoint| endpoint.idle_timeout_ms = 300);
    for cause in [TIMEOUT_IDLE, LIMIT_FRAME] {
        let (mut peer, conn) = host.meet(door);
        assert_eq!(host.net.send(conn, b"last"), OK);
        host.until("it is sent", |host| {
            host.net.conn_stats(conn).is_ok_and(|stats| stats.sent_bytes == 8)
        });
        if cause == LIMIT_FRAME {
            let garbage = [&[0x7F, 0xFF, 0xFF, 0xFF][..], &[1; 50_000]].concat();
            peer.offer(&garbage);
        }
        let closed = host.closed(conn);
        assert_eq!((closed.cause, closed.detail), (cause, 0));
        // What comes later earns a reset, which is behind what was sent.
        let (got, _) = host.read_to_end(&mut peer);
        assert_eq!(got, frame(b"last"));
        if cause == TIMEOUT_IDLE {
            assert_eq!(peer.end, Some(End::Fin));
        }
    }
    host.finish();
}

/// `linger_ms` 0: nobody waits for the peer, and all that the system took arrives in order.
pub fn without_linger_what_the_system_took_arrives(setup: Setup) {
    let mut host = setup.host();
    let door = host.door_with("", |endpoint| {
        endpoint.linger_ms = 0;
        endpoint.send_buffer_bytes = 1 << 20;
    });
    for unread in [0, 3000] {
        let (mut peer, conn) = narrow(&mut host, door);
        assert_eq!(host.net.pause(conn), OK);
        host.step(0);
        let message: Vec<u8> = (0..200_000u32).map(|at| (at % 251) as u8).collect();
        assert_eq!(host.net.send(conn, &message), OK);
        host.sent(conn);
        peer.put(&vec![1; unread]);
        assert_eq!(host.net.close(conn, GRACEFUL), OK);
        let closed = host.closed(conn);
        assert_eq!((closed.cause, closed.detail), (HOST, 0));
        let (got, end) = host.read_to_end(&mut peer);
        assert!(got == message, "{} of {} bytes", got.len(), message.len());
        assert_eq!(end, End::Fin);
    }
    host.finish();
}

/// The linger is over, and the system has all: it arrives though the peer reads only then.
pub fn a_slow_reader_gets_all_behind_the_linger(setup: Setup) {
    let mut host = setup.host();
    let door = host.door_with("", |endpoint| {
        endpoint.linger_ms = 50;
        endpoint.send_buffer_bytes = 1 << 20;
    });
    let (mut peer, conn) = narrow(&mut host, door);
    assert_eq!(host.net.close_with(conn, GRACEFUL, &[5; 200_000]), OK);
    let closed = host.closed(conn);
    assert_eq!((closed.cause, closed.detail), (TIMEOUT_LINGER, 0));
    let (got, end) = host.read_to_end(&mut peer);
    assert_eq!((got.len(), end), (200_000, End::Fin));
    host.finish();
}

/// A FIN within a frame, its header included, is reported as TRUNCATED, with the bytes that came;
/// one between frames, and one without framing, as PEER. A reply still leaves.
pub fn an_end_within_a_frame(setup: Setup) {
    let mut host = setup.host();
    let framed = host.door("?frame=u32be");
    let raw = host.door("");
    let large = [&frame(b"whole")[..], &[0, 0, 0x40, 0], &[9; 9000]].concat();
    let cases: [(Door, &[u8], i32, u32); 7] = [
        (framed, b"", PEER, 0),
        (framed, &frame(b"whole"), PEER, 0),
        (framed, &[0, 0], TRUNCATED, 2),
        (framed, &[0, 0, 0, 9], TRUNCATED, 4),
        (framed, b"\0\0\0\x09abc", TRUNCATED, 7),
        (framed, &large, TRUNCATED, 9004),
        (raw, b"\0\0\0\x09abc", PEER, 0),
    ];
    for (door, bytes, cause, code) in cases {
        let (mut peer, conn) = host.meet(door);
        peer.put(bytes);
        peer.fin();
        let closed = host.closed(conn);
        assert_eq!((closed.cause, closed.code), (cause, code), "{} bytes", bytes.len());
        assert_eq!(host.net.send(conn, b"reply"), OK, "in its batch");
        let reply = if door.port == raw.port { b"reply".to_vec() } else { frame(b"reply") };
        assert_eq!(host.read_to_end(&mut peer), (reply, End::Fin));
    }
    host.finish();
}

/// The same behind a pause, and where a byte came at a time.
pub fn an_end_within_a_frame_of_a_paused_one(setup: Setup) {
    let mut host = setup.host();
    let door = host.door("?frame=u16be");
    let (mut peer, conn) = host.meet(door);
    for &byte in b"\0\x02ab\0\x05cd" {
        peer.put(&[byte]);
        host.step(1);
    }
    host.await_messages(conn, 1);
    assert_eq!(host.net.pause(conn), OK);
    peer.put(b"e");
    peer.fin();
    host.step(5);
    assert_eq!(host.net.resume(conn), OK);
    let closed = host.closed(conn);
    assert_eq!((closed.cause, closed.code, closed.detail), (TRUNCATED, 5, 0));
    assert_eq!(host.messages(conn), [b"ab"]);
    host.finish();
}

/// `half_open`: the end is an event, once, behind all that came; what waits for the peer's bytes
/// waits no longer, and an answer a while later arrives. The host's close is reported as the
/// host's.
pub fn half_open_tells_the_end_once(setup: Setup) {
    let mut host = setup.host();
    let door = host.door_with("?frame=u32be", |endpoint| {
        endpoint.half_open = 1;
        endpoint.idle_timeout_ms = 150;
        endpoint.frame_timeout_ms = 150;
        endpoint.first_byte_timeout_ms = 150;
    });
    for bytes in [frame(b"question"), Vec::new()] {
        let (mut peer, conn) = host.meet(door);
        peer.put(&bytes);
        peer.fin();
        host.until("ENDED", |host| host.events_of(conn).any(|it| it.kind == Kind::Ended));
        host.rests();
        let before: &[Kind] = match bytes.is_empty() {
            true => &[Kind::Opened, Kind::Ended],
            false => &[Kind::Opened, Kind::Message, Kind::Ended],
        };
        assert_eq!(host.kinds_of(conn), before, "and nothing else for two timeouts");
        assert_eq!(host.net.send(conn, b"answer"), OK);
        assert_eq!(host.read(&mut peer, 10), frame(b"answer"));
        assert_eq!(host.net.close_with(conn, GRACEFUL, b"bye"), OK);
        assert_eq!(host.read_to_end(&mut peer), (frame(b"bye"), End::Fin));
        let closed = host.closed(conn);
        assert_eq!((closed.cause, closed.detail), (HOST, 0));
        assert_eq!(host.kinds_of(conn), [before, &[Kind::Closed]].concat());
    }
    host.finish();
}

/// Who ended its side and reads nothing is late as ever, and what it loses is a reset.
pub fn half_open_keeps_the_send_timeout(setup: Setup) {
    let mut host = setup.host();
    let door = host.door_with("", |endpoint| {
        endpoint.half_open = 1;
        endpoint.send_timeout_ms = 100;
        endpoint.outbox_max_bytes = 256 * 1024;
        endpoint.send_buffer_bytes = 32 * 1024;
    });
    let (mut peer, conn) = narrow(&mut host, door);
    peer.fin();
    host.until("ENDED", |host| host.count(Kind::Ended) == 1);
    choke(&mut host, conn);
    let closed = host.closed(conn);
    assert_eq!(closed.cause, TIMEOUT_SEND);
    assert!(closed.detail > 0);
    if setup.resets() {
        assert_eq!(host.read_to_end(&mut peer).1, End::Reset);
    }
    host.finish();
}

/// A reset behind the end is reported by the next sends.
pub fn half_open_tells_of_a_reset(setup: Setup) {
    if !setup.resets() {
        return;
    }
    let mut host = setup.host();
    let door = host.door_with("", |endpoint| endpoint.half_open = 1);
    let (peer, conn) = host.meet(door);
    peer.fin();
    host.until("ENDED", |host| host.count(Kind::Ended) == 1);
    peer.reset();
    host.until("CLOSED", |host| {
        let status = host.net.send(conn, b"anybody?");
        assert!([OK, ERR_CLOSED].contains(&status), "{status}");
        host.is_closed(conn)
    });
    assert_eq!(host.closed(conn).cause, RESET);
    assert_eq!(host.kinds_of(conn), [Kind::Opened, Kind::Ended, Kind::Closed]);
    host.finish();
}

/// A frame that can never be whole ends the connection.
pub fn half_open_and_a_broken_frame(setup: Setup) {
    let mut host = setup.host();
    let door = host.door_with("?frame=u32be", |endpoint| endpoint.half_open = 1);
    let (mut peer, conn) = host.meet(door);
    peer.put(b"\0\0\0\x09abc");
    peer.fin();
    let closed = host.closed(conn);
    assert_eq!((closed.cause, closed.code), (TRUNCATED, 7));
    assert_eq!(host.kinds_of(conn), [Kind::Opened, Kind::Closed]);
    host.finish();
}

/// Peers that never end their side hold no shutdown up, whether the host has closed them or not.
/// They see an orderly end behind all that was sent.
pub fn shutdown_waits_for_no_peers_end(setup: Setup) {
    let mut host = setup.host();
    let door = host.door_with("", |endpoint| endpoint.linger_ms = 120_000);
    let (mut peers, conns): (Vec<Peer>, Vec<_>) = (0..8).map(|_| host.meet(door)).unzip();
    for (at, &conn) in conns.iter().enumerate() {
        assert_eq!(host.net.send(conn, b"good night"), OK);
        if at % 2 == 0 {
            assert_eq!(host.net.close(conn, GRACEFUL), OK);
        }
    }
    host.until("all is sent", |host| host.net.stats().sent_bytes == 80);
    peers[3].fin();
    let begun = Instant::now();
    assert_eq!(host.net.shutdown(120_000), OK);
    assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
    for (at, &conn) in conns.iter().enumerate() {
        let closed = host.closed(conn);
        let cause = if at % 2 == 0 { HOST } else { SHUTDOWN };
        assert!(closed.cause == cause || (at == 3 && closed.cause == PEER), "{closed:?}");
        assert_eq!(closed.detail, 0);
        assert_eq!(host.read_to_end(&mut peers[at]), (b"good night".to_vec(), End::Fin));
    }
    host.finish();
}

/// What the system took and the peer's system has not is waited for, where the system reports.
pub fn shutdown_waits_for_what_is_acknowledged(setup: Setup) {
    if cfg!(not(target_os = "linux")) || (setup.is_bound() && !setup.drive.has_threads()) {
        println!("left out: another thread's shutdown resets at once, or the system does not tell");
        return;
    }
    let mut host = setup.host();
    let door = host.door_with("", |endpoint| endpoint.send_buffer_bytes = 1 << 20);
    let (mut peer, conn) = narrow(&mut host, door);
    assert_eq!(host.net.send(conn, &[3; 300_000]), OK);
    host.sent(conn);
    let (mut got, mut ended) = (0, None);
    std::thread::scope(|scope| {
        let net = &host.net;
        let shutdown = scope.spawn(move || net.shutdown(60_000));
        stays("it waits", Duration::from_millis(100), || !shutdown.is_finished());
        let end = Instant::now() + crate::common::DEADLINE;
        while ended.is_none() {
            assert!(Instant::now() < end, "the end at the peer");
            peer.has(usize::MAX);
            got += std::mem::take(&mut peer.got).len();
            ended = peer.end;
        }
        assert_eq!(shutdown.join().expect("no panic"), OK);
    });
    assert_eq!((got, ended), (300_000, Some(End::Fin)));
    let closed = host.closed(conn);
    assert_eq!((closed.cause, closed.detail), (SHUTDOWN, 0));
    host.finish();
}

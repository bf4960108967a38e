//! Streams whose framing the host decides as they come, one message at a time, and what is skipped
//! behind a close in a batch.

use crate::common::event::Kind;
use crate::common::host::Host;
use crate::common::words::*;
use crate::common::{Setup, endpoint, layered_suite};
use sockeye::capi::conn::sockeye_conn;
use sockeye::capi::endpoint::sockeye_endpoint;

layered_suite! {
    each: lines_then_frames_then_bytes, one_port_for_two, one_message_at_a_time,
        framing_changes_between_messages_alone, limits_at_any_time, closed_inside_a_batch;
}

/// Lines, and what comes in front of the next message only when the host says so.
fn lines(step: u32) -> sockeye_endpoint {
    endpoint(|endpoint| {
        endpoint.framing.kind = FRAMING_DELIMITER;
        endpoint.framing.append_delimiter = 1;
        endpoint.step = step;
    })
}

/// Frames behind a length of two bytes, little-endian.
fn frames(step: u32) -> sockeye_endpoint {
    endpoint(|endpoint| {
        endpoint.framing.kind = FRAMING_LENGTH;
        endpoint.framing.length_bytes = 2;
        endpoint.framing.little_endian = 1;
        endpoint.step = step;
    })
}

/// The host goes on behind message `done` of the login below.
fn go_on(host: &mut Host, conn: sockeye_conn, done: usize) {
    match done {
        2 => host.reframe(conn, &frames(1), b""),
        5 => host.reframe(conn, &endpoint(|_| {}), b""),
        _ => assert_eq!(host.net.resume(conn), OK, "after message {done}"),
    }
}

/// A login by lines, then frames, then what is no message at all: however it is cut, no byte is
/// lost or comes twice.
pub fn lines_then_frames_then_bytes(setup: Setup) {
    let mut host = setup.host();
    let door = host.door_with("", |endpoint| *endpoint = lines(1));
    let text = [&b"name\r\npass\n"[..], b"\x03\0abc", b"\0\0", b"\x02\0\nx", b"rest\n"].concat();
    for size in [1, 2, 3, 5, text.len()] {
        let (mut peer, conn) = host.meet(door);
        let mut done = 0;
        assert_eq!(host.net.resume(conn), OK);
        for piece in text.chunks(size) {
            host.write(&mut peer, piece);
            host.step(0);
            while host.messages(conn).len() > done && done < 5 {
                done += 1;
                go_on(&mut host, conn, done);
                host.step(0);
            }
        }
        while done < 5 {
            host.await_messages(conn, done + 1);
            done += 1;
            go_on(&mut host, conn, done);
        }
        host.until("the rest", |host| host.messages(conn)[5..].concat() == b"rest\n");
        let expected: [&[u8]; 5] = [b"name", b"pass", b"abc", b"", b"\nx"];
        assert_eq!(host.messages(conn)[..5], expected, "pieces of {size}");
        assert_eq!(host.net.send(conn, b"raw"), OK);
        assert_eq!(host.read(&mut peer, 3), b"raw");
        peer.fin();
        assert_eq!(host.closed(conn).cause, PEER);
    }
    host.finish();
}

/// The first bytes, which are put back, decide what the stream is.
pub fn one_port_for_two(setup: Setup) {
    let mut host = setup.host();
    let door = host.door_with("", |endpoint| endpoint.step = 1);
    let of_lines = (&b"look\r\nquit\r\n"[..], lines(0), [&b"look"[..], b"quit"]);
    let of_frames = (&b"\x02\0hi\x01\0!"[..], frames(0), [&b"hi"[..], b"!"]);
    for (stream, chosen, expected) in [of_lines, of_frames] {
        let (mut peer, conn) = host.meet(door);
        assert_eq!(host.net.resume(conn), OK);
        peer.put(stream);
        host.until("the first bytes", |host| !host.bytes(conn).is_empty());
        let first = host.bytes(conn);
        host.reframe(conn, &chosen, &first);
        host.await_messages(conn, 3);
        assert_eq!(host.messages(conn)[1..], expected);
        drop(peer);
        assert_eq!(host.closed(conn).cause, PEER);
    }
    host.finish();
}

/// What stands behind a message is not cut before the host goes on.
pub fn one_message_at_a_time(setup: Setup) {
    let mut host = setup.host();
    let door = host.door_with("", |endpoint| *endpoint = frames(1));
    let (mut witness, watched) = host.meet(door);
    let (mut peer, conn) = host.meet(door);
    peer.put(&[&b"\x01\0a"[..], b"\x01\0b", b"\x01\0c"].concat());
    for count in 0..3 {
        one_there_and_back(&mut host, &mut witness, watched);
        assert_eq!(host.messages(conn).len(), count, "not before the host goes on");
        assert_eq!(host.net.resume(conn), OK);
        host.await_messages(conn, count + 1);
    }
    assert_eq!(host.messages(conn), [b"a", b"b", b"c"]);
    assert_eq!(host.net.resume(conn), OK);
    drop(peer);
    assert_eq!(host.closed(conn).cause, PEER);
    host.finish();
}

/// A message each way, of another connection that steps.
fn one_there_and_back(host: &mut Host, peer: &mut crate::common::peer::Peer, conn: sockeye_conn) {
    let before = host.messages(conn).len();
    assert_eq!(host.net.resume(conn), OK);
    peer.put(b"\x01\0x");
    host.await_messages(conn, before + 1);
    assert_eq!(host.net.send(conn, b"y"), OK);
    assert_eq!(host.read(peer, 3), b"\x01\0y");
}

pub fn framing_changes_between_messages_alone(setup: Setup) {
    let mut host = setup.host();
    let plain = host.door_with("", |endpoint| *endpoint = lines(0));
    let (mut peer, conn) = host.meet(plain);
    assert_eq!(host.net.configure(conn, &frames(0), b""), ERR_BUSY, "it does not step");
    assert_eq!(host.net.configure(conn, &lines(1), b""), ERR_BUSY);
    assert_eq!(host.net.configure(conn, &lines(0), b"x"), ERR_BUSY);
    assert_eq!(host.net.configure(conn, &lines(0), b""), OK, "the same framing");
    let wrong = endpoint(|endpoint| endpoint.framing.kind = 99);
    assert_eq!(host.net.configure(conn, &wrong, b""), ERR_INVALID);
    let stepping = host.door_with("", |endpoint| *endpoint = lines(1));
    let (mut other, half) = host.meet(stepping);
    assert_eq!(host.net.resume(half), OK);
    assert_eq!(host.net.configure(half, &frames(1), b""), ERR_BUSY, "it goes on");
    let received = |host: &Host| host.net.conn_stats(half).expect("it lives").received_bytes;
    let before = received(&host);
    host.write(&mut other, b"begun");
    host.until("the beginning of a line", |host| received(host) >= before + 5);
    assert_eq!(host.net.pause(half), OK);
    assert_eq!(host.net.configure(half, &frames(1), b""), ERR_BUSY, "within a message");
    host.write(&mut peer, b"line\n");
    host.await_messages(conn, 1);
    assert_eq!(host.net.close(half, GRACEFUL), OK);
    assert_eq!(host.net.configure(half, &lines(1), b""), ERR_CLOSED);
    other.fin();
    assert_eq!(host.closed(half).cause, HOST);
    host.step(0);
    assert_eq!(host.net.configure(half, &lines(1), b""), ERR_STALE);
    host.finish();
}

/// Limits and timeouts change on a connection that does not step.
pub fn limits_at_any_time(setup: Setup) {
    let mut host = setup.host();
    let door = host.door_with("", |endpoint| *endpoint = frames(0));
    let (mut peer, conn) = host.meet(door);
    let mut strict = frames(0);
    strict.outbox_max_bytes = 1024;
    assert_eq!(host.net.configure(conn, &strict, b""), OK);
    assert_eq!(host.net.send(conn, &[0; 2000]), ERR_TOO_BIG);
    strict.idle_timeout_ms = 50;
    peer.put(b"\x01\0a");
    host.await_messages(conn, 1);
    assert_eq!(host.net.configure(conn, &strict, b""), OK);
    assert_eq!(host.closed(conn).cause, TIMEOUT_IDLE);
    host.finish();
}

/// What a handler closed is known to be closed for the rest of the batch; what the peer ended is
/// not skipped by that.
pub fn closed_inside_a_batch(setup: Setup) {
    let mut host = setup.host();
    let door = host.door("?frame=u8");
    let (mut peer, conn) = host.meet(door);
    let (mut other, gone) = host.meet(door);
    assert_eq!(host.net.is_open(conn), 1);
    peer.put(b"\x01a\x01b");
    host.await_messages(conn, 2);
    assert_eq!(host.net.close(conn, GRACEFUL), OK);
    assert_eq!(host.net.is_open(conn), 0);
    other.put(b"\x01c");
    drop(other);
    while !host.is_closed(gone) {
        assert_eq!(host.net.is_open(gone), 1);
        host.step(2);
    }
    assert_eq!(host.messages(gone), [b"c"]);
    assert_eq!(host.net.is_open(gone), 1, "its last batch lives");
    drop(peer);
    host.closed(conn);
    host.until("the batches are over", |host| host.net.is_open(conn) == ERR_STALE);
    assert_eq!(host.net.is_open(gone), ERR_STALE);
    assert_eq!(host.events_of(gone).last().map(|event| event.kind), Some(Kind::Closed));
    host.finish();
}

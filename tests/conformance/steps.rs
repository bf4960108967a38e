//! Streams whose framing the host decides as they come: lines, records, one message at a time, and
//! what is skipped behind a close in a batch.

use crate::common::event::Kind;
use crate::common::host::Host;
use crate::common::words::*;
use crate::common::{Setup, endpoint, layered_suite};
use sockeye::capi::conn::sockeye_conn;
use sockeye::capi::endpoint::sockeye_endpoint;

layered_suite! {
    each: lines_both_ways, records_both_ways, a_login_by_lines_then_frames, one_port_for_two,
        one_message_at_a_time, framing_only_between_two_messages, limits_at_any_time,
        closed_inside_a_batch;
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

/// Every end of a line, in one write and byte by byte.
pub fn lines_both_ways(setup: Setup) {
    let mut host = setup.host();
    let door = host.door_with("", |endpoint| *endpoint = lines(0));
    let stream = b"look\r\nnorth\n\rsay hi\r\0quit\n";
    let expected = [&b"look"[..], b"north", b"", b"say hi", b"quit"];
    for size in [stream.len(), 1] {
        let (mut peer, conn) = host.meet(door);
        for piece in stream.chunks(size) {
            peer.put(piece);
            host.until("a piece", |host| {
                let stats = host.net.conn_stats(conn).expect("it lives");
                stats.received_bytes == peer.written()
            });
        }
        host.await_messages(conn, expected.len());
        assert_eq!(host.messages(conn), expected, "pieces of {size}");
        assert_eq!(host.net.send(conn, b"You see a door."), OK);
        assert_eq!(host.read(&mut peer, 17), b"You see a door.\r\n");
    }
    host.finish();
}

/// Records have one size; a send of another is refused.
pub fn records_both_ways(setup: Setup) {
    let mut host = setup.host();
    let door = host.door_with("", |endpoint| {
        endpoint.framing.kind = FRAMING_FIXED;
        endpoint.framing.frame_max_bytes = 5;
    });
    let (mut peer, conn) = host.meet(door);
    peer.put(b"12345abc");
    host.await_messages(conn, 1);
    peer.put(b"de");
    host.await_messages(conn, 2);
    assert_eq!(host.messages(conn), [b"12345", b"abcde"]);
    assert_eq!(host.net.send(conn, b"1234"), ERR_INVALID);
    assert_eq!(host.net.send(conn, b"123456"), ERR_TOO_BIG);
    assert_eq!(host.net.send(conn, b"54321"), OK);
    assert_eq!(host.read(&mut peer, 5), b"54321");
    host.finish();
}

/// The peer sends its login and its first frames at once: the lines are taken one by one, and what
/// stands behind the last is frames.
pub fn a_login_by_lines_then_frames(setup: Setup) {
    let mut host = setup.host();
    let door = host.door_with("", |endpoint| *endpoint = lines(1));
    let (mut peer, conn) = host.meet(door);
    assert_eq!(host.net.resume(conn), OK);
    peer.put(b"anna\r\nsecret\r\n\x02\0hi\x03\0\r\n!");
    host.await_messages(conn, 1);
    assert_eq!(host.messages(conn), [b"anna"]);
    assert_eq!(host.net.resume(conn), OK);
    host.await_messages(conn, 2);
    assert_eq!(host.messages(conn)[1], b"secret");
    host.reframe(conn, &frames(0), b"");
    host.await_messages(conn, 4);
    assert_eq!(host.messages(conn)[2..], [&b"hi"[..], b"\r\n!"]);
    assert_eq!(host.net.send(conn, b"on"), OK);
    assert_eq!(host.read(&mut peer, 4), b"\x02\0on");
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

/// Elsewhere another framing is refused, in words, and nothing changes.
pub fn framing_only_between_two_messages(setup: Setup) {
    let mut host = setup.host();
    let door = host.door_with("", |endpoint| *endpoint = frames(0));
    let (mut peer, conn) = host.meet(door);
    assert_eq!(host.net.configure(conn, &lines(0), b""), ERR_BUSY);
    assert_eq!(host.net.configure(conn, &frames(1), b""), ERR_BUSY);
    assert_eq!(host.net.configure(conn, &frames(0), b"x"), ERR_BUSY);
    peer.put(b"\x01\0a");
    host.await_messages(conn, 1);
    assert_eq!(host.messages(conn), [b"a"]);
    assert_eq!(host.net.close(conn, AT_ONCE), OK);
    assert_eq!(host.net.configure(conn, &frames(0), b""), ERR_CLOSED);
    host.closed(conn);
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

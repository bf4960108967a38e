//! Messages that end with a delimiter or have one size, and framing that changes on the way.

use crate::common::event::Kind;
use crate::common::host::{Door, Host};
use crate::common::peer::Peer;
use crate::common::words::*;
use crate::common::{Setup, suite};
use sockeye::capi::conn::sockeye_conn;
use sockeye::capi::endpoint::sockeye_framing_kind::*;
use sockeye::capi::endpoint::sockeye_overlong::SOCKEYE_OVERLONG_CUT;
use sockeye::capi::endpoint::{sockeye_endpoint, sockeye_framing};
use sockeye::capi::event::SOCKEYE_FLAG_TRUNCATED;

suite! {
    each: lines_end_in_four_ways, an_overlong_line_closes, an_overlong_line_is_cut,
        delimiters_go_both_ways, records_go_both_ways, an_end_within_a_line_is_told,
        lines_then_frames_then_bytes, nothing_is_cut_before_the_host_says_how,
        framing_changes_between_messages_alone, bytes_are_put_back, a_silent_line_has_no_deadline;
}

fn framing(change: impl FnOnce(&mut sockeye_framing)) -> sockeye_framing {
    let mut framing = sockeye_endpoint::default().framing;
    change(&mut framing);
    framing
}

fn lines() -> sockeye_framing {
    framing(|framing| framing.kind = SOCKEYE_FRAMING_DELIMITER as u32)
}

fn frames() -> sockeye_framing {
    framing(|framing| {
        (framing.kind, framing.length_bytes) = (SOCKEYE_FRAMING_LENGTH as u32, 2);
        framing.little_endian = 1;
    })
}

fn door(host: &mut Host, framing: sockeye_framing, step: bool) -> Door {
    host.door_with("", |endpoint| (endpoint.framing, endpoint.step) = (framing, step.into()))
}

fn endpoint(framing: sockeye_framing, step: bool) -> sockeye_endpoint {
    sockeye_endpoint { framing, step: step.into(), ..sockeye_endpoint::default() }
}

/// A change that is refused, or none.
fn configure(host: &Host, conn: sockeye_conn, to: sockeye_framing, step: bool, back: &[u8]) -> i32 {
    host.net.configure(conn, &endpoint(to, step), back)
}

/// The host goes on behind message `done` of the login below.
fn go_on(host: &mut Host, conn: sockeye_conn, done: usize) {
    match done {
        2 => host.reframe(conn, &endpoint(frames(), true), b""),
        5 => host.reframe(conn, &endpoint(sockeye_endpoint::default().framing, false), b""),
        _ => assert_eq!(host.net.resume(conn), OK, "after message {done}"),
    }
}

/// Sends it a byte at a time, each when the one before was taken.
fn drip(host: &mut Host, peer: &mut Peer, bytes: &[u8]) {
    for byte in bytes {
        host.write(peer, &[*byte]);
        host.step(0);
    }
}

pub fn lines_end_in_four_ways(setup: Setup) {
    let mut host = setup.host();
    let door = door(&mut host, lines(), false);
    let text = b"look\nsay hi\r\nnorth\rsouth\r\0\n\r\nlast\n";
    let expected: [&[u8]; 7] = [b"look", b"say hi", b"north", b"south", b"", b"", b"last"];
    let (mut peer, conn) = host.meet(door);
    peer.put(text);
    host.await_messages(conn, expected.len());
    assert_eq!(host.messages(conn), expected);
    let (mut peer, conn) = host.meet(door);
    drip(&mut host, &mut peer, text);
    host.await_messages(conn, expected.len());
    assert_eq!(host.messages(conn), expected, "a byte at a time");
    host.finish();
}

/// The default maximum is 4 KiB.
pub fn an_overlong_line_closes(setup: Setup) {
    let mut host = setup.host();
    let door = door(&mut host, lines(), false);
    let (mut peer, conn) = host.meet(door);
    peer.put(&[&[b'x'; 4096][..], b"\n"].concat());
    host.await_messages(conn, 1);
    peer.try_offer(&[b'y'; 4097]);
    assert_eq!(host.closed(conn).cause, LIMIT_FRAME);
    assert_eq!(host.messages(conn).len(), 1);
    host.finish();
}

pub fn an_overlong_line_is_cut(setup: Setup) {
    let mut host = setup.host();
    let cuts = framing(|framing| {
        framing.kind = SOCKEYE_FRAMING_DELIMITER as u32;
        (framing.frame_max_bytes, framing.overlong) = (8, SOCKEYE_OVERLONG_CUT as u32);
    });
    let door = door(&mut host, cuts, false);
    let (mut peer, conn) = host.meet(door);
    peer.put(b"12345678\n123456789\nshort\n");
    peer.put(&[b'z'; 100_000]);
    peer.put(b"\nend\n");
    host.await_messages(conn, 5);
    let expected: [&[u8]; 5] = [b"12345678", b"12345678", b"short", b"zzzzzzzz", b"end"];
    assert_eq!(host.messages(conn), expected);
    let cut = |event: &crate::common::event::Event| event.flags & SOCKEYE_FLAG_TRUNCATED != 0;
    let flags: Vec<bool> =
        host.events_of(conn).filter(|it| it.kind == Kind::Message).map(cut).collect();
    assert_eq!(flags, [false, true, false, true, false]);
    host.finish();
}

pub fn delimiters_go_both_ways(setup: Setup) {
    let mut host = setup.host();
    let ends = framing(|framing| {
        framing.kind = SOCKEYE_FRAMING_DELIMITER as u32;
        framing.delimiter[..3].copy_from_slice(b"|*|");
        (framing.delimiter_len, framing.append_delimiter) = (3, 1);
    });
    let door = door(&mut host, ends, false);
    let (mut peer, conn) = host.meet(door);
    drip(&mut host, &mut peer, b"a|b|*|*||*|");
    host.await_messages(conn, 2);
    assert_eq!(host.messages(conn), [&b"a|b"[..], b"*|"]);
    assert_eq!(host.net.send(conn, b"one"), OK);
    assert_eq!(host.net.send(conn, b""), OK);
    let parts = host.net.send_many(&[conn], b"two");
    assert_eq!(parts.0, 1);
    assert_eq!(host.net.send(conn, &[0; 4097]), ERR_TOO_BIG);
    assert_eq!(host.read(&mut peer, 15), b"one|*||*|two|*|");
    host.finish();
}

pub fn records_go_both_ways(setup: Setup) {
    let mut host = setup.host();
    let records = framing(|framing| {
        (framing.kind, framing.frame_max_bytes) = (SOCKEYE_FRAMING_FIXED as u32, 4);
    });
    let door = door(&mut host, records, false);
    let (mut peer, conn) = host.meet(door);
    drip(&mut host, &mut peer, b"abcdefgh12");
    host.await_messages(conn, 2);
    assert_eq!(host.messages(conn), [b"abcd", b"efgh"]);
    assert_eq!(host.net.send(conn, b"abc"), ERR_INVALID);
    assert_eq!(host.net.send(conn, b"abcde"), ERR_TOO_BIG);
    assert_eq!(host.net.send(conn, b"WXYZ"), OK);
    assert_eq!(host.read(&mut peer, 4), b"WXYZ");
    peer.fin();
    let closed = host.closed(conn);
    assert_eq!((closed.cause, closed.code), (TRUNCATED, 2));
    host.finish();
}

pub fn an_end_within_a_line_is_told(setup: Setup) {
    let mut host = setup.host();
    let door = door(&mut host, lines(), false);
    let (mut peer, conn) = host.meet(door);
    peer.put(b"whole\npart");
    peer.fin();
    let closed = host.closed(conn);
    assert_eq!((closed.cause, closed.code), (TRUNCATED, 4));
    let (mut peer, conn) = host.meet(door);
    peer.put(b"whole\r");
    peer.fin();
    assert_eq!(host.closed(conn).cause, PEER);
    assert_eq!(host.messages(conn), [b"whole"]);
    host.finish();
}

/// A login by lines, then frames, then what is no message at all: however it is cut, no byte is
/// lost or comes twice.
pub fn lines_then_frames_then_bytes(setup: Setup) {
    let mut host = setup.host();
    let door = door(&mut host, lines(), true);
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

/// What came behind OPENED or a message waits, also the peer's end.
pub fn nothing_is_cut_before_the_host_says_how(setup: Setup) {
    let mut host = setup.host();
    let stepping = door(&mut host, lines(), true);
    let plain = host.door("");
    let (mut peer, conn) = host.meet(stepping);
    let (mut witness, other) = host.meet(plain);
    peer.put(b"one\ntwo\n");
    peer.fin();
    host.turn_over(&mut witness, other);
    assert_eq!(host.kinds_of(conn), [Kind::Opened]);
    for count in 1..=2 {
        assert_eq!(host.net.resume(conn), OK);
        host.await_messages(conn, count);
        host.turn_over(&mut witness, other);
        assert_eq!(host.messages(conn).len(), count);
    }
    assert_eq!(host.net.resume(conn), OK);
    assert_eq!(host.closed(conn).cause, PEER);
    host.finish();
}

pub fn framing_changes_between_messages_alone(setup: Setup) {
    let mut host = setup.host();
    let plain = door(&mut host, lines(), false);
    let (mut peer, conn) = host.meet(plain);
    assert_eq!(configure(&host, conn, frames(), false, b""), ERR_BUSY, "it does not step");
    assert_eq!(configure(&host, conn, lines(), true, b""), ERR_BUSY);
    assert_eq!(configure(&host, conn, lines(), false, b"x"), ERR_BUSY);
    assert_eq!(configure(&host, conn, lines(), false, b""), OK, "the same framing");
    let wrong = framing(|framing| framing.kind = 99);
    assert_eq!(configure(&host, conn, wrong, false, b""), ERR_INVALID);
    let stepping = door(&mut host, lines(), true);
    let (mut other, half) = host.meet(stepping);
    assert_eq!(host.net.resume(half), OK);
    assert_eq!(configure(&host, half, frames(), true, b""), ERR_BUSY, "it goes on");
    host.write(&mut other, b"begun");
    host.write(&mut peer, b"line\n");
    host.await_messages(conn, 1);
    assert_eq!(host.net.pause(half), OK);
    let status = configure(&host, half, frames(), true, b"");
    // The bytes may not have been read as yet.
    let begun = host.net.conn_stats(half).expect("it lives").received_bytes > 0;
    assert!(status == ERR_BUSY || !begun, "within a message: {status}");
    assert_eq!(host.net.close(half, GRACEFUL), OK);
    assert_eq!(configure(&host, half, lines(), true, b""), ERR_CLOSED);
    other.fin();
    assert_eq!(host.closed(half).cause, HOST);
    host.step(0);
    assert_eq!(configure(&host, half, lines(), true, b""), ERR_STALE);
    host.finish();
}

/// A server that decides by the first bytes reads them raw, and puts them back.
pub fn bytes_are_put_back(setup: Setup) {
    let mut host = setup.host();
    let raw = sockeye_endpoint::default().framing;
    let door = door(&mut host, raw, true);
    for (first, framing, expected) in [
        (&b"hello\nworld\n"[..], lines(), [&b"hello"[..], b"world"]),
        (b"\x02\0hi\x01\0!", frames(), [b"hi", b"!"]),
    ] {
        let (mut peer, conn) = host.meet(door);
        assert_eq!(host.net.resume(conn), OK);
        let (head, rest) = first.split_at(4);
        peer.put(head);
        host.until("bytes", |host| !host.bytes(conn).is_empty());
        let came = host.bytes(conn);
        peer.put(rest);
        host.reframe(conn, &endpoint(framing, false), &came);
        let before = host.messages(conn).len();
        host.await_messages(conn, before + 2);
        assert_eq!(host.messages(conn)[before..], expected);
    }
    host.finish();
}

/// People type slowly: a line has no deadline of a frame, unless the host wants one.
pub fn a_silent_line_has_no_deadline(setup: Setup) {
    let mut host = setup.host();
    let patient = door(&mut host, lines(), false);
    let strict = host.door_with("", |endpoint| {
        (endpoint.framing, endpoint.frame_timeout_ms) = (lines(), 50);
    });
    let (mut peer, conn) = host.meet(patient);
    let (mut other, late) = host.meet(strict);
    peer.put(b"l");
    other.put(b"l");
    assert_eq!(host.closed(late).cause, TIMEOUT_FRAME);
    peer.put(b"ook\n");
    host.await_messages(conn, 1);
    assert_eq!(host.messages(conn), [b"look"]);
    host.finish();
}

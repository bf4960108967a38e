//! Messages that end with a delimiter, or have one size.

use crate::common::event::Kind;
use crate::common::host::{Door, Host};
use crate::common::peer::Peer;
use crate::common::words::*;
use crate::common::{Setup, layered_suite};
use sockeye::capi::endpoint::sockeye_overlong::SOCKEYE_OVERLONG_CUT;
use sockeye::capi::endpoint::{sockeye_endpoint, sockeye_framing};
use sockeye::capi::event::SOCKEYE_FLAG_TRUNCATED;

layered_suite! {
    each: lines_end_in_four_ways, an_overlong_line_closes, an_overlong_line_is_cut,
        delimiters_go_both_ways, records_go_both_ways, an_end_within_a_line_is_told,
        a_silent_line_has_no_deadline;
}

fn framing(change: impl FnOnce(&mut sockeye_framing)) -> sockeye_framing {
    let mut framing = sockeye_endpoint::default().framing;
    change(&mut framing);
    framing
}

fn lines() -> sockeye_framing {
    framing(|framing| framing.kind = FRAMING_DELIMITER)
}

fn door(host: &mut Host, framing: sockeye_framing) -> Door {
    host.door_with("", |endpoint| endpoint.framing = framing)
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
    let door = door(&mut host, lines());
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
    let door = door(&mut host, lines());
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
        framing.kind = FRAMING_DELIMITER;
        (framing.frame_max_bytes, framing.overlong) = (8, SOCKEYE_OVERLONG_CUT as u32);
    });
    let door = door(&mut host, cuts);
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
        framing.kind = FRAMING_DELIMITER;
        framing.delimiter[..3].copy_from_slice(b"|*|");
        (framing.delimiter_len, framing.append_delimiter) = (3, 1);
    });
    let door = door(&mut host, ends);
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
        (framing.kind, framing.frame_max_bytes) = (FRAMING_FIXED, 4);
    });
    let door = door(&mut host, records);
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
    let door = door(&mut host, lines());
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

/// People type slowly: a line has no deadline of a frame, unless the host wants one.
pub fn a_silent_line_has_no_deadline(setup: Setup) {
    let mut host = setup.host();
    let patient = door(&mut host, lines());
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

//! Framing over the wire: every preset of the URL and every field of the struct, both ways, in
//! every split.

use crate::common::event::Kind;
use crate::common::host::{Door, Host};
use crate::common::random::Random;
use crate::common::words::*;
use crate::common::{Setup, layered_suite};
use sockeye::capi::endpoint::sockeye_framing;

layered_suite! {
    each: presets_both_ways, structs_both_ways, kept_headers_both_ways, every_split,
        byte_by_byte, many_in_one_write, raw_is_what_arrived, varint_of_every_length,
        broken_varint, broken_length, largest_of_each, query_before_struct;
}

/// One way to write a frame.
struct Form {
    name: &'static str,
    query: &'static str,
    change: fn(&mut sockeye_framing),
    encode: fn(&[u8]) -> Vec<u8>,
    /// The largest payload that it can say.
    largest: usize,
}

fn varint(mut len: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while len > 0x7F {
        bytes.push(len as u8 | 0x80);
        len >>= 7;
    }
    bytes.push(len as u8);
    bytes
}

fn with(header: &[u8], payload: &[u8]) -> Vec<u8> {
    [header, payload].concat()
}

/// A form by its preset in the URL.
macro_rules! preset {
    ($name:literal, $largest:expr, |$payload:ident| $header:expr) => {
        Form {
            name: $name,
            query: concat!("?frame=", $name),
            change: |_| {},
            encode: |$payload| with($header.as_ref(), $payload),
            largest: $largest,
        }
    };
}

const PRESETS: [Form; 8] = [
    preset!("u8", 0xFF, |p| [p.len() as u8]),
    preset!("u16be", 0xFFFF, |p| (p.len() as u16).to_be_bytes()),
    preset!("u16le", 0xFFFF, |p| (p.len() as u16).to_le_bytes()),
    preset!("u24be", 0xFF_FFFF, |p| (p.len() as u32).to_be_bytes()[1..]),
    preset!("u24le", 0xFF_FFFF, |p| (p.len() as u32).to_le_bytes()[..3]),
    preset!("u32be", usize::MAX, |p| (p.len() as u32).to_be_bytes()),
    preset!("u32le", usize::MAX, |p| (p.len() as u32).to_le_bytes()),
    preset!("varint", usize::MAX, |p| varint(p.len())),
];

/// A form by the fields of the struct.
macro_rules! fields {
    (
        $name:literal, $largest:expr, { $($field:ident: $value:expr),+ },
        |$payload:ident| $header:expr
    ) => {
        Form {
            name: $name,
            query: "",
            change: |framing| {
                framing.kind = FRAMING_LENGTH;
                $(framing.$field = $value;)+
            },
            encode: |$payload| with($header.as_ref(), $payload),
            largest: $largest,
        }
    };
}

const STRUCTS: [Form; 6] = [
    fields!("default length", 1 << 20, { length_bytes: 4 }, |p| (p.len() as u32).to_be_bytes()),
    fields!("u8 behind two", 255, { length_bytes: 1, length_offset: 2 }, |p| [
        0, 0, p.len() as u8
    ]),
    fields!("u16le behind twelve", 65535, { length_bytes: 2, length_offset: 12, little_endian: 1 },
        |p| with(&[0; 12], &(p.len() as u16).to_le_bytes())),
    fields!("u32be counts itself", 1 << 20, { length_bytes: 4, length_adjustment: -4 },
        |p| (p.len() as u32 + 4).to_be_bytes()),
    fields!("u16be counts header", 65000,
        { length_bytes: 2, length_offset: 1, length_adjustment: -3 },
        |p| with(&[0], &(p.len() as u16 + 3).to_be_bytes())),
    fields!("u24le more", 1 << 20, { length_bytes: 3, little_endian: 1, length_adjustment: 0 },
        |p| (p.len() as u32).to_le_bytes()[..3]),
];

fn door(host: &mut Host, form: &Form) -> Door {
    host.door_with(form.query, |endpoint| (form.change)(&mut endpoint.framing))
}

fn payloads(form: &Form) -> Vec<Vec<u8>> {
    let mut random = Random::new(7);
    let sizes = [0, 1, 0, 2, 127, 128, 255, 256, 300, 16_383, 16_384, 65_535, 65_536, 200_000, 3];
    let sizes = sizes.into_iter().filter(|&size| size <= form.largest);
    sizes.map(|size| random.bytes(size)).collect()
}

/// The peer's frames become messages, the host's messages become frames.
fn both_ways(host: &mut Host, form: &Form) {
    let door = door(host, form);
    let (mut peer, conn) = host.meet(door);
    let payloads = payloads(form);
    let stream: Vec<u8> = payloads.iter().flat_map(|payload| (form.encode)(payload)).collect();
    host.write(&mut peer, &stream);
    host.await_messages(conn, payloads.len());
    assert!(host.messages(conn) == payloads, "{}: in", form.name);
    for payload in &payloads {
        assert_eq!(host.net.send(conn, payload), OK, "{}", form.name);
    }
    assert!(host.read(&mut peer, stream.len()) == stream, "{}: out", form.name);
}

pub fn presets_both_ways(setup: Setup) {
    let mut host = setup.host();
    PRESETS.iter().for_each(|form| both_ways(&mut host, form));
    host.finish();
}

pub fn structs_both_ways(setup: Setup) {
    let mut host = setup.host();
    STRUCTS.iter().for_each(|form| both_ways(&mut host, form));
    host.finish();
}

/// `keep_header`: the message is the whole frame; a send leaves room, and only the length field
/// is written over.
pub fn kept_headers_both_ways(setup: Setup) {
    let mut host = setup.host();
    let door = host.door_with("", |endpoint| {
        endpoint.framing.kind = FRAMING_LENGTH;
        endpoint.framing.length_bytes = 2;
        endpoint.framing.length_offset = 2;
        endpoint.framing.keep_header = 1;
    });
    let (mut peer, conn) = host.meet(door);
    let stream = b"ab\0\x05hellocd\0\0ef\0\x03you".to_vec();
    peer.put(&stream);
    host.await_messages(conn, 3);
    let expected = [&b"ab\0\x05hello"[..], b"cd\0\0", b"ef\0\x03you"];
    assert_eq!(host.messages(conn), expected);
    for message in [&b"ab??hello"[..], b"cd??", b"ef\xFF\xFFyou"] {
        assert_eq!(host.net.send(conn, message), OK);
    }
    assert_eq!(host.read(&mut peer, stream.len()), stream);
    for short in [&b""[..], b"abc"] {
        assert_eq!(host.net.send(conn, short), ERR_INVALID, "no room for the header");
    }
    host.finish();
}

/// Every way to cut a small stream in two gives the same messages. The second half leaves when
/// the first has been received.
pub fn every_split(setup: Setup) {
    let mut host = setup.host();
    for form in [&PRESETS[0], &PRESETS[1], &PRESETS[7], &STRUCTS[4]] {
        let door = door(&mut host, form);
        let payloads: [&[u8]; 4] = [b"ab", b"", b"c", b"defg"];
        let stream: Vec<u8> = payloads.iter().flat_map(|payload| (form.encode)(payload)).collect();
        for cut in 1..stream.len() {
            let (mut peer, conn) = host.meet(door);
            peer.put(&stream[..cut]);
            host.until("the first half", |host| received(host, conn) == peer.written());
            assert!(setup.layered || peer.written() == cut as u64);
            peer.put(&stream[cut..]);
            host.await_messages(conn, 4);
            assert_eq!(host.messages(conn), payloads, "{} cut at {cut}", form.name);
            drop(peer);
            host.closed(conn);
        }
    }
    host.finish();
}

fn received(host: &Host, conn: sockeye::capi::conn::sockeye_conn) -> u64 {
    host.net.conn_stats(conn).expect("it lives").received_bytes
}

/// A stream that comes one byte at a time, each received before the next leaves.
pub fn byte_by_byte(setup: Setup) {
    let mut host = setup.host();
    for form in [&PRESETS[5], &PRESETS[7]] {
        let door = door(&mut host, form);
        let (mut peer, conn) = host.meet(door);
        let payloads = [vec![1; 130], vec![], vec![2], vec![3; 40]];
        let stream: Vec<u8> = payloads.iter().flat_map(|payload| (form.encode)(payload)).collect();
        for &byte in &stream {
            peer.put(&[byte]);
            host.until("a byte", |host| received(host, conn) == peer.written());
        }
        host.await_messages(conn, 4);
        assert_eq!(host.messages(conn), payloads, "{}", form.name);
    }
    host.finish();
}

/// Thousands of small and empty frames in one write are as many messages, in order.
pub fn many_in_one_write(setup: Setup) {
    const COUNT: usize = 10_000;
    let mut host = setup.host();
    let door = host.door("?frame=u8");
    let (mut peer, conn) = host.meet(door);
    let payload = |at: usize| vec![at as u8; at % 4];
    let stream: Vec<u8> = (0..COUNT).flat_map(|at| (PRESETS[0].encode)(&payload(at))).collect();
    host.write(&mut peer, &stream);
    host.await_messages(conn, COUNT);
    let messages = host.messages(conn);
    assert!((0..COUNT).all(|at| messages[at] == payload(at)), "all, in order");
    host.finish();
}

/// RAW: the bytes as they are, both ways, and never an empty message.
pub fn raw_is_what_arrived(setup: Setup) {
    let mut host = setup.host();
    for query in ["", "?frame=raw"] {
        let door = host.door(query);
        let (mut peer, conn) = host.meet(door);
        let sent = Random::new(8).bytes(300_000);
        host.write(&mut peer, &sent);
        host.until("all bytes", |host| host.bytes(conn).len() == sent.len());
        assert!(host.bytes(conn) == sent);
        assert!(host.messages(conn).iter().all(|message| !message.is_empty()));
        for part in sent.chunks(7777) {
            assert_eq!(host.net.send(conn, part), OK);
        }
        assert!(host.read(&mut peer, sent.len()) == sent);
    }
    host.finish();
}

/// Varints of one to four bytes, at their edges.
pub fn varint_of_every_length(setup: Setup) {
    let mut host = setup.host();
    let door = host.door("?frame=varint&max=3000000");
    let (mut peer, conn) = host.meet(door);
    for (at, size) in [0, 1, 0x7F, 0x80, 0x3FFF, 0x4000, 0x1F_FFFF, 0x20_0000].iter().enumerate() {
        let payload = vec![at as u8; *size];
        host.write(&mut peer, &(PRESETS[7].encode)(&payload));
        host.await_messages(conn, at + 1);
        assert!(host.messages(conn)[at] == payload, "{size} bytes");
    }
    host.finish();
}

/// A varint that does not end within five bytes is no length: PROTOCOL. One that is only too
/// large is LIMIT_FRAME.
pub fn broken_varint(setup: Setup) {
    let mut host = setup.host();
    let door = host.door("?frame=varint");
    for (bytes, cause) in [
        (&b"\x80\x80\x80\x80\x80"[..], PROTOCOL),
        (b"\xFF\xFF\xFF\xFF\xFF\xFF", PROTOCOL),
        (b"\xFF\xFF\xFF\xFF\x07", LIMIT_FRAME),
    ] {
        let (mut peer, conn) = host.meet(door);
        peer.put(b"\x01a");
        peer.put(bytes);
        assert_eq!(host.closed(conn).cause, cause, "{bytes:x?}");
        assert_eq!(host.messages(conn), [b"a"], "what came before is told");
    }
    host.finish();
}

/// A length below what it has to count is no length: PROTOCOL.
pub fn broken_length(setup: Setup) {
    let mut host = setup.host();
    let door = door(&mut host, &STRUCTS[3]);
    let (mut peer, conn) = host.meet(door);
    peer.put(&[0, 0, 0, 5, b'a']);
    peer.put(&[0, 0, 0, 3]);
    assert_eq!(host.closed(conn).cause, PROTOCOL);
    assert_eq!(host.messages(conn), [b"a"]);
    host.finish();
}

/// The largest frame of each preset under its limit is a message, one byte more is LIMIT_FRAME.
pub fn largest_of_each(setup: Setup) {
    let mut host = setup.host();
    for form in &PRESETS {
        let max = form.largest.min(1000) - 1;
        let door = host.door(&format!("{}&max={max}", form.query));
        let (mut peer, conn) = host.meet(door);
        peer.put(&(form.encode)(&vec![1; max]));
        peer.put(&(form.encode)(&vec![2; max + 1]));
        assert_eq!(host.closed(conn).cause, LIMIT_FRAME, "{}", form.name);
        assert_eq!(host.messages(conn), [vec![1; max]], "{}", form.name);
        let kinds = host.kinds_of(conn);
        assert_eq!(kinds, [Kind::Opened, Kind::Message, Kind::Closed]);
    }
    host.finish();
}

/// What the URL says goes before the struct.
pub fn query_before_struct(setup: Setup) {
    let mut host = setup.host();
    let door = host.door_with("?frame=u8&max=10", |endpoint| {
        endpoint.framing.kind = FRAMING_LENGTH;
        endpoint.framing.length_bytes = 4;
        endpoint.framing.frame_max_bytes = 5;
    });
    let (mut peer, conn) = host.meet(door);
    peer.put(b"\x0A0123456789");
    host.await_messages(conn, 1);
    assert_eq!(host.messages(conn), [b"0123456789"]);
    peer.put(b"\x0B");
    assert_eq!(host.closed(conn).cause, LIMIT_FRAME);
    host.finish();
}

//! Messages in parts: framed as one, taken whole or not at all, and not copied where the parts are
//! in a buffer of the library's.

use crate::common::event::{Buffer, Kind};
use crate::common::host::{Door, Host};
use crate::common::message::Message;
use crate::common::peer::Peer;
use crate::common::random::Random;
use crate::common::words::*;
use crate::common::{Setup, frame, suite, unframe};
use sockeye::capi::conn::sockeye_conn;

suite! {
    each: in_order_with_other_sends, without_framing, not_copied, given_back_when_closed,
        given_back_when_replaced, held_messages_go_on, to_many_of_other_framings,
        to_many_when_one_is_full, refused_whole, too_big, dropped_whole, without_memory,
        before_it_is_connected;
}

/// What is sent from where it is, in messages of this test.
const LARGE: usize = 256 << 10;
/// What a peer is sent that does not read.
const FILLER: usize = 2 << 20;

/// A door for large messages, to whose connections the system gives small buffers.
fn door(host: &mut Host) -> Door {
    host.door_with("?frame=u32be&max=4194304", |endpoint| {
        endpoint.outbox_max_bytes = 8 << 20;
        endpoint.send_buffer_bytes = 128 * 1024;
    })
}

/// A buffer full of random bytes.
fn filled(host: &Host, len: usize) -> Buffer {
    let mut buffer = host.net.acquire(len).expect("there is room");
    buffer.room().copy_from_slice(&Random::new(len as u64).bytes(len));
    buffer
}

/// Sends more than the system takes, and waits until it takes no more. What is sent from here on
/// stays in the outbox until the peer reads: so much is before it that a little more at the
/// system, which may take it later, brings nothing of it there.
pub fn stuff(host: &mut Host, conn: sockeye_conn) -> Vec<u8> {
    let filler = vec![0xF1; FILLER / 64];
    for _ in 0..64 {
        assert_eq!(host.net.send(conn, &filler), OK);
    }
    let (mut quiet, mut last) = (0, 0);
    host.until("a stream that stands", |host| {
        let sent = host.net.conn_stats(conn).expect("it lives").sent_bytes;
        quiet = if sent > 0 && sent == last { quiet + 1 } else { 0 };
        last = sent;
        quiet > 10
    });
    assert!(last < FILLER as u64 / 2, "the system took {last} bytes");
    frame(&filler).repeat(64)
}

/// Memory in use once nothing more comes back.
fn memory(host: &mut Host) -> u64 {
    let (mut quiet, mut last) = (0, 0);
    host.until("memory that comes back", |host| {
        let now = host.net.stats().memory_bytes;
        quiet = if now == last { quiet + 1 } else { 0 };
        last = now;
        quiet > 10
    });
    last
}

/// Rule 2: order is kept among messages in parts and others, with and without a buffer, of every
/// size, with a key and without.
pub fn in_order_with_other_sends(setup: Setup) {
    let mut host = setup.host();
    let door = door(&mut host);
    let (mut peer, conn) = host.meet(door);
    let buffer = filled(&host, LARGE);
    let mut random = Random::new(12);
    let mut expected = Vec::new();
    for round in 0..300 {
        let mut parts: Vec<&[u8]> = Vec::new();
        for _ in 0..random.below(6) {
            let most = [3, 100, 5000, 20_000][random.below(4)];
            let len = random.below(most);
            let start = random.below(LARGE - len);
            parts.push(&buffer.written()[start..start + len]);
        }
        expected.extend(frame(&parts.concat()));
        let message = Message::new(&parts);
        let answer = match round % 4 {
            0 => host.net.send(conn, &parts.concat()),
            1 => host.net.send_parts(conn, &message),
            2 => host.net.send_parts(conn, &message.buffer(&buffer)),
            _ => host.net.send_parts(conn, &message.buffer(&buffer).key(round)),
        };
        assert_eq!(answer, OK);
        if random.below(3) == 0 {
            host.step(0);
        }
    }
    assert!(host.read(&mut peer, expected.len()) == expected);
    host.finish();
}

/// Without framing the parts are one stretch of bytes, and a message of none is nothing; a key has
/// nothing to say there.
pub fn without_framing(setup: Setup) {
    let mut host = setup.host();
    let door = host.door("");
    let (mut peer, conn) = host.meet(door);
    let buffer = filled(&host, 10_000);
    let message = Message::new(&[b"begin", buffer.written(), b"", b"end"]);
    assert_eq!(host.net.send_parts(conn, &message), OK);
    assert_eq!(host.net.send_parts(conn, &message.key(1)), ERR_INVALID);
    let message = Message::new(&[buffer.written()]).buffer(&buffer);
    assert_eq!(host.net.send_parts(conn, &message), OK);
    assert_eq!(host.net.send_parts(conn, &Message::new(&[])), OK);
    assert_eq!(host.net.send_parts(conn, &Message::new(&[b""])), OK);
    let expected = [b"begin", buffer.written(), b"end", buffer.written()].concat();
    assert!(host.read(&mut peer, expected.len()) == expected);
    host.turn_over(&mut peer, conn);
    host.finish();
}

/// Sends the buffer often, to a peer that does not read, and gives the host's own reference back.
/// Returns what the peer will have.
fn send_often(host: &mut Host, conn: sockeye_conn, buffer: Buffer) -> Vec<u8> {
    let mut expected = stuff(host, conn);
    let before = memory(host);
    for number in 0..20u8 {
        let parts = [&[number][..], buffer.written(), &buffer.written()[1..5000]];
        assert_eq!(host.net.send_parts(conn, &Message::new(&parts).buffer(&buffer)), OK);
        expected.extend(frame(&parts.concat()));
    }
    let waits = host.net.conn_stats(conn).expect("it lives").outbox_bytes;
    assert!(waits > 20 * LARGE as u64, "its bytes count fully: {waits}");
    drop(buffer);
    let after = memory(host);
    assert!(after < before + 100_000, "copied: {before} to {after} bytes");
    assert!(after + 100_000 > before, "the library has a reference of its own: {after}");
    expected
}

/// Parts of a buffer are not copied: memory in use does not grow by them while they wait, and goes
/// down when they have left.
pub fn not_copied(setup: Setup) {
    let mut host = setup.host();
    let door = door(&mut host);
    let (mut peer, conn) = host.meet(door);
    let idle = memory(&mut host);
    let buffer = filled(&host, LARGE);
    let expected = send_often(&mut host, conn, buffer);
    assert!(host.read(&mut peer, expected.len()) == expected);
    host.sent(conn);
    let after = memory(&mut host);
    assert!(after < idle + 100_000, "given back: {idle} to {after}");
    host.finish();
}

/// What waits when its connection is closed is given back too.
pub fn given_back_when_closed(setup: Setup) {
    let mut host = setup.host();
    let door = door(&mut host);
    for how in [Some(AT_ONCE), None] {
        let (peer, conn) = host.meet(door);
        let idle = memory(&mut host);
        let buffer = filled(&host, LARGE);
        let parts = [buffer.written()];
        let message = Message::new(&parts).buffer(&buffer).key(9);
        assert_eq!(host.net.send_parts(conn, &message), OK);
        send_often(&mut host, conn, buffer);
        match how {
            Some(how) => assert_eq!(host.net.close(conn, how), OK),
            None => peer.reset(),
        }
        host.closed(conn);
        host.step(0);
        let after = memory(&mut host);
        assert!(after < idle + 100_000, "{idle} to {after}");
    }
    host.finish();
}

/// The older one of a key gives back what it has when a newer one takes its place.
pub fn given_back_when_replaced(setup: Setup) {
    let mut host = setup.host();
    let door = door(&mut host);
    let (mut peer, conn) = host.meet(door);
    let mut expected = stuff(&mut host, conn);
    let before = memory(&mut host);
    for round in 0..30 {
        let mut buffer = filled(&host, LARGE);
        buffer.room()[0] = round;
        let parts = [buffer.written()];
        assert_eq!(host.net.send_parts(conn, &Message::new(&parts).buffer(&buffer).key(1)), OK);
        if round == 29 {
            expected.extend(frame(buffer.written()));
        }
    }
    let after = memory(&mut host);
    assert!(after < before + 2 * LARGE as u64, "one waits: {before} to {after}");
    assert!(host.read(&mut peer, expected.len()) == expected);
    host.finish();
}

/// A message that was received and held is sent on as it is, to many, and by then the host has
/// released it.
pub fn held_messages_go_on(setup: Setup) {
    let mut host = setup.host();
    let door = door(&mut host);
    let (from, _) = host.meet(door);
    let (mut peers, conns): (Vec<_>, Vec<_>) = (0..3).map(|_| host.meet(door)).unzip();
    let payload = Random::new(1).bytes(200_000);
    let sender = std::thread::spawn(move || {
        use std::io::Write;
        let mut stream = from.into_stream();
        stream.write_all(&frame(&payload)).expect("it is read");
        (stream, payload)
    });
    let mut held = None;
    let end = std::time::Instant::now() + crate::common::DEADLINE;
    while held.is_none() {
        assert!(std::time::Instant::now() < end, "not in time: the message");
        let batch = host.batch(2);
        let mut raw = 0..batch.raw.len();
        let at = raw.find(|&at| batch.kind(at) == Kind::Message);
        held = at.map(|at| batch.hold(at).expect("it lives"));
    }
    let held = held.expect("just held");
    let before = host.net.stats().memory_bytes;
    let parts = [b"from somebody: ", held.bytes()];
    let (taken, each) = host.net.send_message(&conns, &Message::new(&parts).buffer(&held));
    assert_eq!((taken, each), (3, vec![OK; 3]));
    let after = host.net.stats().memory_bytes;
    assert!(after < before + 100_000, "copied: {before} to {after}");
    drop(held);
    let (_stream, payload) = sender.join().expect("no panic");
    let expected = frame(&[b"from somebody: ", &payload[..]].concat());
    for peer in &mut peers {
        assert!(host.read(peer, expected.len()) == expected);
    }
    host.finish();
}

/// One message to connections of several framings, in turns: each has it by its own.
pub fn to_many_of_other_framings(setup: Setup) {
    let mut host = setup.host();
    let buffer = filled(&host, 5000);
    let message = [b"part by part", buffer.written(), b"."];
    let whole = message.concat();
    let len = whole.len() as u16;
    let heads: [(&str, Vec<u8>); 5] = [
        ("?frame=u32be", u32::from(len).to_be_bytes().to_vec()),
        ("?frame=u16le", len.to_le_bytes().to_vec()),
        ("?frame=varint", vec![len as u8 | 0x80, (len >> 7) as u8]),
        ("", vec![]),
        ("?frame=u8", vec![]),
    ];
    let mut all: Vec<(Peer, sockeye_conn, usize)> = Vec::new();
    for round in 0..15 {
        let framing = if round < 10 { round % 5 } else { round / 3 };
        let door = host.door(heads[framing].0);
        let (peer, conn) = host.meet(door);
        all.push((peer, conn, framing));
    }
    let conns: Vec<sockeye_conn> = all.iter().map(|(_, conn, _)| *conn).collect();
    let answer = |framing: usize, key: u64| match framing {
        3 if key != 0 => ERR_INVALID,
        4 => ERR_TOO_BIG,
        _ => OK,
    };
    for key in [0, 5] {
        let message = Message::new(&message).buffer(&buffer).key(key);
        let (taken, each) = host.net.send_message(&conns, &message);
        assert_eq!(taken as usize, each.iter().filter(|&&answer| answer == OK).count());
        let expected: Vec<i32> = all.iter().map(|(.., framing)| answer(*framing, key)).collect();
        assert_eq!(each, expected);
        // So that the second does not take the first one's place.
        for (peer, conn, framing) in &mut all {
            let head = &heads[*framing].1;
            if *framing < 3 || (*framing == 3 && key == 0) {
                let wire = [head, &whole[..]].concat();
                assert!(host.read(peer, wire.len()) == wire, "{}, key {key}", heads[*framing].0);
            } else {
                let header = if *framing == 4 { &[1][..] } else { &[] };
                host.turn_over_behind(peer, *conn, header);
            }
        }
    }
    assert_eq!(host.net.send_message(&[], &Message::new(&message)).0, 0, "to nobody");
    host.finish();
}

/// With a member that has no room: it is skipped, told, and gets its WRITABLE.
pub fn to_many_when_one_is_full(setup: Setup) {
    let mut host = setup.host();
    let door = door(&mut host);
    let (mut slow, full) = host.meet(door);
    let (mut quick, free) = host.meet(door);
    let mut expected = stuff(&mut host, full);
    let part = vec![3; 1 << 20];
    while host.net.send(full, &part) == OK {
        expected.extend(frame(&part));
    }
    let news = [&part[..], b"news"];
    let message = Message::new(&news);
    assert_eq!(host.net.send_message(&[full, free], &message), (1, vec![ERR_AGAIN, OK]));
    assert_eq!(host.net.send_message(&[full], &message), (0, vec![ERR_AGAIN]));
    let wire = frame(&news.concat());
    assert!(host.read(&mut quick, wire.len()) == wire, "the other one has it");
    assert!(host.read(&mut slow, expected.len()) == expected);
    host.until("WRITABLE", |host| host.count(Kind::Writable) == 1);
    let told = host.events_of(full).last().expect("WRITABLE");
    assert_eq!((told.kind, told.detail), (Kind::Writable, 3));
    host.finish();
}

/// Rule 2: ERR_AGAIN at the caps of bytes and of messages, small ones and large ones alike, and
/// nothing of what was refused arrives.
pub fn refused_whole(setup: Setup) {
    let mut host = setup.host_with(|config| config.flush = FLUSH_MANUAL);
    let door = host.door_with("?frame=u32be", |endpoint| {
        endpoint.outbox_max_messages = 4;
        endpoint.outbox_max_bytes = 30_000;
    });
    let (mut peer, conn) = host.meet(door);
    let buffer = filled(&host, 9000);
    let large = |number: &'static [u8]| Message::new(&[number, buffer.written()]).buffer(&buffer);
    assert_eq!(host.net.send_parts(conn, &large(b"0")), OK);
    assert_eq!(host.net.send_parts(conn, &Message::new(&[b"1", b"small"])), OK);
    assert_eq!(host.net.send_parts(conn, &large(b"2")), OK);
    assert_eq!(host.net.conn_stats(conn).expect("it lives").outbox_messages, 3, "each is one");
    let four = Message::new(&[b"3", &[b'x'; 4000], &[b'x'; 4000], &[b'x'; 4000], b"no"]);
    assert_eq!(host.net.send_parts(conn, &four), ERR_AGAIN, "of bytes");
    assert_eq!(host.net.send_parts(conn, &large(b"4")), OK);
    assert_eq!(host.net.send_parts(conn, &Message::new(&[b"5"])), ERR_AGAIN, "of messages");
    assert_eq!(host.net.send_parts(conn, &Message::new(&[b"6"]).key(1)), ERR_AGAIN);
    let stats = host.net.conn_stats(conn).expect("it lives");
    assert_eq!((stats.outbox_messages, stats.outbox_bytes), (4, 3 * 9005 + 10));
    host.until("WRITABLE", |host| host.count(Kind::Writable) == 1);
    assert_eq!(host.log.last().expect("WRITABLE").detail, 3);
    let stream = host.read(&mut peer, 3 * 9005 + 10);
    let firsts: Vec<u8> = unframe(&stream).iter().map(|message| message[0]).collect();
    assert_eq!(firsts, *b"0124");
    host.turn_over_behind(&mut peer, conn, &[0, 0, 0, 1]);
    host.finish();
}

/// Rule 2: what no outbox or frame could ever take is TOO_BIG, the parts together count.
pub fn too_big(setup: Setup) {
    let mut host = setup.host();
    let door = host.door_with("?frame=u32be&max=20000", |endpoint| {
        endpoint.outbox_max_bytes = 15_000;
    });
    let wide = host.door("?frame=u32be&max=20000");
    let (mut peer, tight) = host.meet(door);
    let (mut other, open) = host.meet(wide);
    let buffer = filled(&host, 20_000);
    let half = &buffer.written()[..10_000];
    for message in [Message::new(&[half, half]), Message::new(&[half, half]).buffer(&buffer)] {
        let (taken, each) = host.net.send_message(&[tight, open], &message);
        assert_eq!((taken, each), (1, vec![ERR_TOO_BIG, OK]), "over the outbox of one");
    }
    let over = Message::new(&[half, b"!", half]).buffer(&buffer);
    let (taken, each) = host.net.send_message(&[open, tight], &over);
    assert_eq!((taken, each), (0, vec![ERR_TOO_BIG; 2]), "over the frame");
    assert_eq!(host.net.send_parts(open, &over.key(4)), ERR_TOO_BIG);
    let many = vec![buffer.written(); 64];
    let (taken, each) = host.net.send_message(&[open, tight], &Message::new(&many));
    assert_eq!((taken, each), (0, vec![ERR_TOO_BIG; 2]));
    let wire = frame(&[half, half].concat());
    assert!(host.read(&mut other, 2 * wire.len()) == [&wire[..], &wire].concat());
    host.turn_over_behind(&mut other, open, &[0, 0, 0, 1]);
    host.turn_over_behind(&mut peer, tight, &[0, 0, 0, 1]);
    assert_eq!(host.count(Kind::Writable), 0, "no WRITABLE for TOO_BIG");
    host.finish();
}

/// DROP_OLDEST: whole messages vanish, whatever they are made of, never one that was begun.
pub fn dropped_whole(setup: Setup) {
    let mut host = setup.host();
    let door = host.door_with("?frame=u32be", |endpoint| {
        endpoint.overflow = OVERFLOW_DROP_OLDEST;
        endpoint.outbox_max_bytes = 64 * 1024;
        endpoint.send_buffer_bytes = 16 * 1024;
    });
    let (mut peer, conn) = host.meet(door);
    let buffer = filled(&host, 5000);
    let count = 3000u32;
    for number in 0..count {
        let head = number.to_be_bytes();
        let parts = [&head[..], buffer.written(), b"between", buffer.written(), &head];
        let message = Message::new(if number % 3 == 0 { &parts[..1] } else { &parts[..] });
        assert_eq!(host.net.send_parts(conn, &message.buffer(&buffer)), OK);
        if number % 16 == 0 {
            host.step(0);
        }
    }
    let last = [buffer.written(), &(count - 1).to_be_bytes()].concat();
    let mut stream = Vec::new();
    host.until("the newest", |_| {
        peer.has(usize::MAX);
        stream.append(&mut peer.got);
        stream.ends_with(&last)
    });
    let number = |message: &&[u8]| -> u32 {
        let (head, rest) = message.split_at(4);
        let number = u32::from_be_bytes(head.try_into().expect("four bytes"));
        let whole = [buffer.written(), b"between", buffer.written(), head].concat();
        assert!(rest == if number % 3 == 0 { &[][..] } else { &whole }, "whole");
        number
    };
    let numbers: Vec<u32> = unframe(&stream).iter().map(number).collect();
    assert!(numbers.is_sorted_by(|a, b| a < b), "in order, none twice");
    let dropped = host.net.conn_stats(conn).expect("it lives").dropped_messages;
    assert!(dropped > 0, "the peer did not read: something had to go");
    assert_eq!(numbers.len() as u64 + dropped, u64::from(count), "each arrived or was counted");
    host.finish();
}

/// Without memory: to one it is ERR_AGAIN and a WRITABLE follows, to many nobody took it; what is
/// not copied still goes where nothing else is needed.
pub fn without_memory(setup: Setup) {
    let mut host = setup.host_with(|config| config.memory_max_bytes = 2 << 20);
    let door = host.door("");
    let (mut peer, conn) = host.meet(door);
    let (_peer, second) = host.meet(door);
    let buffer = filled(&host, 10_000);
    let hog = hog(&host);
    let large = [buffer.written(), b"!"];
    for message in [Message::new(&large[1..]), Message::new(&large)] {
        assert_eq!(host.net.send_parts(conn, &message), ERR_AGAIN);
        let (taken, each) = host.net.send_message(&[conn, second], &message);
        assert_eq!((taken, each), (ERR_NO_MEMORY, vec![ERR_INVALID; 2]), "nothing is written");
    }
    let message = Message::new(&large[..1]).buffer(&buffer);
    assert_eq!(host.net.send_message(&[conn, second], &message), (2, vec![OK; 2]));
    drop(hog);
    host.until("WRITABLE", |host| host.count(Kind::Writable) == 1);
    assert_eq!(host.events_of(conn).last().expect("WRITABLE").detail, 2);
    assert!(host.read(&mut peer, buffer.written().len()) == buffer.written());
    host.finish();
}

/// All the memory that there is.
fn hog(host: &Host) -> Vec<Buffer> {
    let take = |size: usize| std::iter::from_fn(move || host.net.acquire(size).ok());
    [100_000, 60_000, 20_000, 8000, 1000, 1].into_iter().flat_map(take).collect()
}

/// What is sent before OPENED of a connecting one waits for it.
pub fn before_it_is_connected(setup: Setup) {
    let mut host = setup.host();
    let door = host.door("?frame=u32be");
    let conn = host.connect(&format!("tcp://127.0.0.1:{}?frame=u32be", door.port));
    let buffer = filled(&host, 5000);
    assert_eq!(host.net.send_parts(conn, &Message::new(&[b"early", buffer.written()])), OK);
    assert_eq!(host.net.send_parts(conn, &Message::new(&[buffer.written()]).buffer(&buffer)), OK);
    host.until("messages", |host| host.count(Kind::Message) == 2);
    let messages: Vec<&[u8]> = host
        .log
        .iter()
        .filter(|event| event.kind == Kind::Message)
        .map(|event| &event.data[..])
        .collect();
    assert!(messages == [&[b"early", buffer.written()].concat()[..], buffer.written()]);
    host.finish();
}

//! Rule 2: a send is taken whole or not at all, and says so; a taken message arrives whole and
//! in order.

use crate::common::event::Kind;
use crate::common::host::{Door, Host};
use crate::common::random::Random;
use crate::common::words::*;
use crate::common::{Setup, frame, suite, unframe};
use sockeye::capi::conn::sockeye_conn;
use std::io::Read;

suite! {
    each: refused_whole_and_writable_once, many_in_order, too_big_for_the_outbox,
        too_big_for_the_frame, too_big_for_the_length, messages_are_capped, empty_messages,
        to_many, to_many_when_one_is_full;
}

/// A door whose connections have room for 64 KiB and whose system buffers are small.
fn tight_door(host: &mut Host) -> Door {
    host.door_with("?frame=u32be", |endpoint| {
        endpoint.outbox_max_bytes = 64 * 1024;
        endpoint.outbox_low_bytes = 16 * 1024;
        endpoint.send_buffer_bytes = 16 * 1024;
    })
}

/// A numbered message of 1000 bytes.
fn numbered(number: u32) -> Vec<u8> {
    let mut message = vec![number as u8; 1000];
    message[..4].copy_from_slice(&number.to_be_bytes());
    message
}

/// Sends numbered messages until nothing more is taken and nothing leaves. Returns the numbers
/// that were taken and how many were refused since the last WRITABLE.
fn fill(host: &mut Host, conn: sockeye_conn) -> (Vec<u32>, u64) {
    let (mut taken, mut refused, mut quiet, mut told) = (Vec::new(), 0, 0, 0);
    let (mut number, mut left) = (0, 0);
    // The outbox is full and the system's buffers are when ten looks find nothing changed.
    while quiet < 10 {
        match host.net.send(conn, &numbered(number)) {
            OK => taken.push(number),
            status => {
                assert_eq!(status, ERR_AGAIN);
                refused += 1;
                host.step(2);
            }
        }
        number += 1;
        assert!(number < 100_000, "the peer does not read: this has an end");
        let writable = host.events_of(conn).filter(|event| event.kind == Kind::Writable);
        let writable: Vec<u64> = writable.map(|event| event.detail).collect();
        if writable.len() > told {
            refused -= writable[told..].iter().sum::<u64>();
            told = writable.len();
        }
        let stats = host.net.conn_stats(conn).expect("it lives");
        assert!(stats.outbox_bytes <= 64 * 1024, "the cap holds: {}", stats.outbox_bytes);
        let sum = stats.sent_bytes + taken.len() as u64;
        quiet = if sum == left { quiet + 1 } else { 0 };
        left = sum;
    }
    (taken, refused)
}

/// Rule 2: ERR_AGAIN at the cap, nothing of a refused message arrives, WRITABLE once, at the low
/// mark, with the count of the refused; order is kept.
pub fn refused_whole_and_writable_once(setup: Setup) {
    let mut host = setup.host();
    let door = tight_door(&mut host);
    let (mut peer, conn) = host.meet(door);
    let (taken, refused) = fill(&mut host, conn);
    let before = host.log.len();
    let mut arrived = Vec::new();
    host.until("WRITABLE", |host| {
        peer.has(usize::MAX);
        let told = host.log[before..].iter().find(|event| event.kind == Kind::Writable);
        if let Some(event) = told {
            assert_eq!((event.conn, event.detail), (conn, refused));
            let waiting = host.net.conn_stats(conn).expect("it lives").outbox_bytes;
            assert!(waiting <= 16 * 1024, "not before the low mark: {waiting}");
        }
        told.is_some()
    });
    assert_eq!(host.net.send(conn, &numbered(u32::MAX)), OK, "there is room again");
    let expected = (taken.len() + 1) * 1004;
    arrived.extend(host.read(&mut peer, expected));
    let numbers: Vec<u32> = unframe(&arrived)
        .into_iter()
        .map(|message| {
            let number = u32::from_be_bytes(message[..4].try_into().expect("four bytes"));
            assert!(message == numbered(number), "whole");
            number
        })
        .collect();
    assert!(numbers[..taken.len()] == taken, "the taken ones, in order, and no refused one");
    assert_eq!(numbers.last(), Some(&u32::MAX));
    let told = host.log[before..].iter().filter(|event| event.kind == Kind::Writable).count();
    assert_eq!(told, 1, "once");
    host.finish();
}

/// Rule 2: messages of every size arrive in order while the peer reads, with pauses for WRITABLE.
pub fn many_in_order(setup: Setup) {
    let mut host = setup.host();
    let door = tight_door(&mut host);
    let (peer, conn) = host.meet(door);
    let mut random = Random::new(2);
    let messages: Vec<Vec<u8>> = (0..3000u32)
        .map(|at| {
            let len = random.below(3000);
            let mut message = random.bytes(len);
            message.extend(at.to_be_bytes());
            message
        })
        .collect();
    let expected: Vec<u8> = messages.iter().flat_map(|message| frame(message)).collect();
    let mut stream = peer.into_stream();
    let reader = std::thread::spawn(move || {
        let mut arrived = Vec::new();
        stream.read_to_end(&mut arrived).map(|_| arrived)
    });
    for message in &messages {
        host.until("room", |host| match host.net.send(conn, message) {
            OK => true,
            status => {
                assert_eq!(status, ERR_AGAIN);
                false
            }
        });
    }
    assert_eq!(host.net.close(conn, GRACEFUL), OK);
    host.until("the peer's end", |_| reader.is_finished());
    let arrived = reader.join().expect("the reader is well").expect("no reset");
    assert!(arrived == expected, "{} of {} bytes", arrived.len(), expected.len());
    assert_eq!(host.closed(conn).detail, 0, "nothing was left");
    host.finish();
}

/// Rule 2: what the outbox could never take is TOO_BIG, never AGAIN, and harms nothing.
pub fn too_big_for_the_outbox(setup: Setup) {
    let mut host = setup.host();
    let door = tight_door(&mut host);
    let (mut peer, conn) = host.meet(door);
    let largest = vec![1; 64 * 1024 - 4];
    assert_eq!(host.net.send(conn, &vec![1; 64 * 1024 + 1]), ERR_TOO_BIG);
    assert_eq!(host.net.send(conn, &largest), OK);
    assert_eq!(host.net.send(conn, &vec![1; 64 * 1024 + 1]), ERR_TOO_BIG, "also when it is full");
    assert_eq!(host.read(&mut peer, largest.len() + 4), frame(&largest));
    assert_eq!(host.kinds_of(conn), [Kind::Opened], "no WRITABLE for TOO_BIG");
    host.finish();
}

/// Rule 2: TOO_BIG over frame_max_bytes.
pub fn too_big_for_the_frame(setup: Setup) {
    let mut host = setup.host();
    let door = host.door("?frame=u32be&max=1000");
    let (mut peer, conn) = host.meet(door);
    assert_eq!(host.net.send(conn, &[1; 1001]), ERR_TOO_BIG);
    assert_eq!(host.net.send(conn, &[2; 1000]), OK);
    assert_eq!(host.net.close_with(conn, GRACEFUL, &[1; 1001]), ERR_TOO_BIG, "it stays open");
    assert_eq!(host.net.send(conn, &[3; 1]), OK);
    let expected = [frame(&[2; 1000]), frame(&[3; 1])].concat();
    assert_eq!(host.read(&mut peer, expected.len()), expected);
    host.finish();
}

/// Rule 2: TOO_BIG for what a length field cannot say.
pub fn too_big_for_the_length(setup: Setup) {
    let mut host = setup.host();
    for (query, largest) in [("?frame=u8", 0xFF), ("?frame=u16le", 0xFFFF)] {
        let door = host.door(query);
        let (mut peer, conn) = host.meet(door);
        assert_eq!(host.net.send(conn, &vec![1; largest + 1]), ERR_TOO_BIG);
        assert_eq!(host.net.send(conn, &vec![2; largest]), OK);
        let header = if largest == 0xFF { 1 } else { 2 };
        let arrived = host.read(&mut peer, largest + header);
        assert!(arrived[..header].iter().all(|&byte| byte == 0xFF));
        assert!(arrived[header..].iter().all(|&byte| byte == 2));
    }
    host.finish();
}

/// Rule 2: `outbox_max_messages` is a cap of its own.
pub fn messages_are_capped(setup: Setup) {
    let mut host = setup.host_with(|config| config.flush = FLUSH_MANUAL);
    let door = host.door_with("?frame=u32be", |endpoint| endpoint.outbox_max_messages = 8);
    let (mut peer, conn) = host.meet(door);
    for at in 0..8u8 {
        assert_eq!(host.net.send(conn, &[at]), OK);
    }
    assert_eq!(host.net.conn_stats(conn).expect("it lives").outbox_messages, 8);
    assert_eq!(host.net.send(conn, &[8]), ERR_AGAIN);
    assert_eq!(host.net.send(conn, &[9]), ERR_AGAIN);
    host.until("WRITABLE", |host| host.count(Kind::Writable) == 1);
    assert_eq!(host.log.last().expect("WRITABLE").detail, 2);
    assert_eq!(host.net.send(conn, &[10]), OK);
    let arrived = host.read(&mut peer, 9 * 5);
    let firsts: Vec<u8> = unframe(&arrived).iter().map(|message| message[0]).collect();
    assert_eq!(firsts, [0, 1, 2, 3, 4, 5, 6, 7, 10]);
    host.finish();
}

/// An empty message is a frame of its own; without framing it is nothing.
pub fn empty_messages(setup: Setup) {
    let mut host = setup.host();
    let door = host.door("?frame=u32be");
    let (mut peer, conn) = host.meet(door);
    for message in [&b""[..], b"x", b""] {
        assert_eq!(host.net.send(conn, message), OK);
    }
    assert_eq!(host.read(&mut peer, 13), [0, 0, 0, 0, 0, 0, 0, 1, b'x', 0, 0, 0, 0]);
    let door = host.door("");
    let (mut peer, conn) = host.meet(door);
    assert_eq!(host.net.send(conn, b""), OK);
    host.turn_over(&mut peer, conn);
    host.finish();
}

/// `send_many`: each takes it or says why not.
pub fn to_many(setup: Setup) {
    let mut host = setup.host();
    let door = host.door("?frame=u32be");
    let (mut peers, mut conns): (Vec<_>, Vec<_>) = (0..10).map(|_| host.meet(door)).unzip();
    peers.remove(3).reset();
    host.closed(conns[3]);
    host.step(0);
    let message = vec![5; 5000];
    let (taken, each) = host.net.send_many(&conns, &message);
    assert_eq!(taken, 9);
    assert_eq!(each.iter().filter(|&&status| status == OK).count(), 9);
    assert_eq!(each[3], ERR_STALE);
    assert_eq!(host.net.send(conns[0], b"later"), OK);
    for (at, peer) in peers.iter_mut().enumerate() {
        let mut expected = frame(&message);
        if at == 0 {
            expected.extend(frame(b"later"));
        }
        assert!(host.read(peer, expected.len()) == expected, "peer {at}");
    }
    conns.clear();
    assert_eq!(host.net.send_many(&conns, &message).0, 0, "to nobody");
    host.finish();
}

/// `send_many` with a member that has no room: it is skipped, told, and gets its WRITABLE.
pub fn to_many_when_one_is_full(setup: Setup) {
    let mut host = setup.host();
    let door = tight_door(&mut host);
    let (mut slow, full) = host.meet(door);
    let (mut quick, free) = host.meet(door);
    let (taken, refused) = fill(&mut host, full);
    let before = host.log.len();
    let (count, each) = host.net.send_many(&[full, free], &numbered(7));
    assert_eq!((count, each), (1, vec![ERR_AGAIN, OK]));
    assert!(host.read(&mut quick, 1004) == frame(&numbered(7)), "the other one has it");
    host.read(&mut slow, taken.len() * 1004);
    host.until("WRITABLE", |host| {
        host.log[before..].iter().any(|event| event.kind == Kind::Writable)
    });
    let told = host.log[before..].iter().find(|event| event.kind == Kind::Writable);
    let told = told.expect("just seen");
    assert_eq!((told.conn, told.detail), (full, refused + 1));
    host.finish();
}

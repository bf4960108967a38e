//! Messages with a key: of those that wait under one key only the newest is delivered, where the
//! oldest stood.

use super::message::stuff;
use crate::common::event::Kind;
use crate::common::host::{Door, Host};
use crate::common::message::Message;
use crate::common::random::Random;
use crate::common::words::*;
use crate::common::{Setup, frame, layered_suite, unframe};
use std::collections::HashMap;

layered_suite! {
    each: newest_in_the_oldest_s_place, only_what_waits, many_keys, to_many_each_its_own,
        flushed_with_what_it_replaces, full_but_for_its_own_place, full_and_larger,
        oldest_are_dropped_for_it;
}

fn door(host: &mut Host) -> Door {
    host.door_with("?frame=u32be&max=4194304", |endpoint| {
        endpoint.outbox_max_bytes = 8 << 20;
        endpoint.send_buffer_bytes = 128 * 1024;
    })
}

/// A peer that does not read: whatever is sent under a key waits, and the last of each is reported
/// in the first one's place, among messages without a key.
pub fn newest_in_the_oldest_s_place(setup: Setup) {
    let mut host = setup.host();
    let door = door(&mut host);
    let (mut peer, conn) = host.meet(door);
    let mut expected = stuff(&mut host, conn);
    let mut random = Random::new(3);
    let mut order: Vec<Vec<u8>> = Vec::new();
    let mut places = HashMap::new();
    for round in 0..500u32 {
        let len = [10, 6000][random.below(2)];
        let (text, filler) = (round.to_be_bytes(), random.bytes(len));
        let parts = [&text[..], &filler];
        let key = random.below(20) as u64;
        assert_eq!(host.net.send_parts(conn, &Message::new(&parts).key(key)), OK);
        let place = if key == 0 { order.len() } else { *places.entry(key).or_insert(order.len()) };
        if place == order.len() {
            order.push(Vec::new());
        }
        order[place] = parts.concat();
        if round % 50 == 0 {
            host.step(0);
        }
    }
    let waits = host.net.conn_stats(conn).expect("it lives").outbox_messages;
    assert!(waits as usize <= order.len() + 64, "each place is one message: {waits}");
    order.iter().for_each(|message| expected.extend(frame(message)));
    assert!(host.read(&mut peer, expected.len()) == expected);
    host.turn_over_behind(&mut peer, conn, &[0, 0, 0, 1]);
    assert_eq!(host.net.conn_stats(conn).expect("it lives").dropped_messages, 0);
    host.finish();
}

/// What was given to the system is delivered as well.
pub fn only_what_waits(setup: Setup) {
    let mut host = setup.host();
    let door = door(&mut host);
    let (mut peer, conn) = host.meet(door);
    for round in 0..50u8 {
        assert_eq!(host.net.send_parts(conn, &Message::new(&[&[round]]).key(8)), OK);
        assert_eq!(host.read(&mut peer, 5), [0, 0, 0, 1, round]);
    }
    // Begun and not wholly written: it stays.
    let sent = |host: &Host| host.net.conn_stats(conn).expect("it lives").sent_bytes;
    let before = sent(&host);
    let large = vec![1; 3 << 20];
    assert_eq!(host.net.send_parts(conn, &Message::new(&[&large]).key(8)), OK);
    // More than the last of the small ones, which may not be counted yet.
    host.until("a part of it at the system", |host| sent(host) > before + 1000);
    assert_eq!(host.net.send_parts(conn, &Message::new(&[b"small"]).key(8)), OK);
    let expected = [frame(&large), frame(b"small")].concat();
    assert!(host.read(&mut peer, expected.len()) == expected);
    host.finish();
}

/// Thousands of keys, each sent again and again.
pub fn many_keys(setup: Setup) {
    const KEYS: u64 = 5000;
    let mut host = setup.host();
    let door = door(&mut host);
    let (mut peer, conn) = host.meet(door);
    let mut expected = stuff(&mut host, conn);
    for round in 0..4u64 {
        for key in 1..=KEYS {
            let text = (key * 10 + round).to_be_bytes();
            assert_eq!(host.net.send_parts(conn, &Message::new(&[&text]).key(key)), OK);
        }
    }
    (1..=KEYS).for_each(|key| expected.extend(frame(&(key * 10 + 3).to_be_bytes())));
    assert!(host.read(&mut peer, expected.len()) == expected);
    host.finish();
}

/// To many, of whom some read: each has what it has, and no other's.
pub fn to_many_each_its_own(setup: Setup) {
    let mut host = setup.host();
    let door = door(&mut host);
    let (mut slow, full) = host.meet(door);
    let (mut quick, free) = host.meet(door);
    let mut expected = stuff(&mut host, full);
    for round in 0..30u8 {
        let (taken, each) = host.net.send_message(&[full, free], &Message::new(&[&[round]]).key(2));
        assert_eq!((taken, each), (2, vec![OK; 2]));
        assert_eq!(host.read(&mut quick, 5), [0, 0, 0, 1, round]);
    }
    expected.extend(frame(&[29]));
    assert!(host.read(&mut slow, expected.len()) == expected);
    host.turn_over_behind(&mut slow, full, &[0, 0, 0, 1]);
    host.finish();
}

/// MANUAL: what takes the place of a flushed one leaves where that would have.
pub fn flushed_with_what_it_replaces(setup: Setup) {
    let mut host = setup.host_with(|config| config.flush = FLUSH_MANUAL);
    let door = door(&mut host);
    let (mut peer, conn) = host.meet(door);
    let send = |host: &Host, key: u64, text: &[u8]| {
        assert_eq!(host.net.send_parts(conn, &Message::new(&[text]).key(key)), OK);
    };
    send(&host, 1, b"one");
    send(&host, 2, b"two");
    send(&host, 1, b"first");
    assert_eq!(host.read(&mut peer, 9 + 7), [frame(b"first"), frame(b"two")].concat());
    let filler = stuff(&mut host, conn);
    send(&host, 1, b"flushed");
    assert_eq!(host.net.flush(), OK);
    send(&host, 2, b"also flushed by a poll");
    send(&host, 1, b"larger than what was flushed");
    let expected =
        [filler, frame(b"larger than what was flushed"), frame(b"also flushed by a poll")];
    assert!(host.read(&mut peer, expected.concat().len()) == expected.concat());
    host.finish();
}

/// The caps count without the older one: a newer one finds room where it stood.
pub fn full_but_for_its_own_place(setup: Setup) {
    let mut host = setup.host_with(|config| config.flush = FLUSH_MANUAL);
    let door = host.door_with("?frame=u32be", |endpoint| {
        endpoint.outbox_max_messages = 3;
        endpoint.outbox_max_bytes = 2000;
    });
    let (mut peer, conn) = host.meet(door);
    let send = |host: &Host, key: u64, text: &[u8]| {
        host.net.send_parts(conn, &Message::new(&[text]).key(key))
    };
    assert_eq!(send(&host, 1, &[1; 500]), OK);
    assert_eq!(send(&host, 2, &[2; 500]), OK);
    assert_eq!(send(&host, 0, &[0; 500]), OK);
    assert_eq!(send(&host, 3, b""), ERR_AGAIN);
    assert_eq!(send(&host, 1, &[3; 1988 - 1000]), OK);
    assert_eq!(host.net.conn_stats(conn).expect("it lives").outbox_bytes, 2000);
    assert_eq!(send(&host, 2, &[4; 400]), OK);
    assert_eq!(host.net.conn_stats(conn).expect("it lives").outbox_bytes, 1900);
    let stream = host.read(&mut peer, 1900);
    let firsts: Vec<u8> = unframe(&stream).iter().map(|message| message[0]).collect();
    assert_eq!(firsts, [3, 4, 0]);
    host.finish();
}

/// Rule 2: a newer one that finds no room is refused, and the older one is where it was.
pub fn full_and_larger(setup: Setup) {
    let mut host = setup.host_with(|config| config.flush = FLUSH_MANUAL);
    let tight = |endpoint: &mut sockeye::capi::endpoint::sockeye_endpoint| {
        endpoint.outbox_max_bytes = 2000;
    };
    let rejects = host.door_with("?frame=u32be", tight);
    let closes = host.door_with("?frame=u32be", |endpoint| {
        tight(endpoint);
        endpoint.overflow = OVERFLOW_CLOSE;
    });
    let (mut peer, conn) = host.meet(rejects);
    let (_peer, brief) = host.meet(closes);
    for text in [&[1; 900][..], &[2; 900]] {
        let message = Message::new(&[text]).key(u64::from(text[0]));
        assert_eq!(host.net.send_message(&[conn, brief], &message).0, 2);
    }
    let large = [3; 1200];
    let message = Message::new(&[&large]).key(1);
    let (taken, each) = host.net.send_message(&[conn, brief], &message);
    assert_eq!((taken, each), (0, vec![ERR_AGAIN, ERR_CLOSED]));
    let expected = [frame(&[1; 900]), frame(&[2; 900])].concat();
    assert_eq!(host.read(&mut peer, expected.len()), expected);
    host.until("WRITABLE", |host| host.count(Kind::Writable) == 1);
    assert_eq!(host.closed(brief).cause, LIMIT_OUTBOX);
    host.finish();
}

/// DROP_OLDEST makes room for it too; the older one of its key goes first where it is the oldest.
pub fn oldest_are_dropped_for_it(setup: Setup) {
    let mut host = setup.host_with(|config| config.flush = FLUSH_MANUAL);
    let door = host.door_with("?frame=u32be", |endpoint| {
        endpoint.overflow = OVERFLOW_DROP_OLDEST;
        endpoint.outbox_max_bytes = 2000;
    });
    let (mut peer, conn) = host.meet(door);
    let send = |host: &Host, key: u64, text: &[u8]| {
        assert_eq!(host.net.send_parts(conn, &Message::new(&[text]).key(key)), OK);
    };
    send(&host, 0, &[0; 500]);
    send(&host, 1, &[1; 500]);
    send(&host, 2, &[2; 500]);
    send(&host, 1, &[3; 1100]);
    assert_eq!(host.net.conn_stats(conn).expect("it lives").dropped_messages, 1);
    send(&host, 2, &[4; 1900]);
    assert_eq!(host.net.conn_stats(conn).expect("it lives").dropped_messages, 2);
    assert!(host.read(&mut peer, 1904) == frame(&[4; 1900]));
    host.turn_over_behind(&mut peer, conn, &[0, 0, 0, 1]);
    host.finish();
}

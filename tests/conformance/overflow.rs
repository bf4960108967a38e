//! Rule 2: what happens to a send that the outbox has no room for, as the endpoint says.

use crate::common::event::Kind;
use crate::common::host::{Door, Host};
use crate::common::words::*;
use crate::common::{Setup, layered_suite, unframe};

layered_suite! {
    each: oldest_are_dropped_whole, oldest_within_the_message_cap, dropping_is_no_way_for_giants,
        full_closes, full_closes_others_not;
}

fn door(host: &mut Host, overflow: u32) -> Door {
    host.door_with("?frame=u32be", |endpoint| {
        endpoint.overflow = overflow;
        endpoint.outbox_max_bytes = 64 * 1024;
        endpoint.send_buffer_bytes = 16 * 1024;
    })
}

fn numbered(number: u32) -> Vec<u8> {
    let mut message = vec![number as u8; 1000];
    message[..4].copy_from_slice(&number.to_be_bytes());
    message
}

/// Rule 2, DROP_OLDEST: every send is taken, whole messages vanish, never one that was partly
/// written, the newest is there, order is kept, and the count is reported.
pub fn oldest_are_dropped_whole(setup: Setup) {
    const COUNT: u32 = 6000;
    let mut host = setup.host();
    let door = door(&mut host, OVERFLOW_DROP_OLDEST);
    let (mut peer, conn) = host.meet(door);
    for number in 0..COUNT {
        assert_eq!(host.net.send(conn, &numbered(number)), OK);
        if number % 16 == 0 {
            host.step(0);
        }
    }
    let mut stream = Vec::new();
    let last = numbered(COUNT - 1);
    host.until("the newest", |_| {
        peer.has(usize::MAX);
        stream.append(&mut peer.got);
        stream.ends_with(&last)
    });
    let messages = unframe(&stream);
    let numbers: Vec<u32> = messages
        .iter()
        .map(|message| {
            let number = u32::from_be_bytes(message[..4].try_into().expect("four bytes"));
            assert!(**message == numbered(number), "whole");
            number
        })
        .collect();
    assert!(numbers.is_sorted_by(|a, b| a < b), "in order, none twice");
    let dropped = host.net.conn_stats(conn).expect("it lives").dropped_messages;
    assert!(dropped > 0, "the peer did not read: something had to go");
    assert_eq!(numbers.len() as u64 + dropped, u64::from(COUNT), "each arrived or was counted");
    assert_eq!(host.count(Kind::Writable), 0, "nothing was refused");
    host.finish();
}

/// DROP_OLDEST keeps to `outbox_max_messages` too.
pub fn oldest_within_the_message_cap(setup: Setup) {
    let mut host = setup.host_with(|config| config.flush = FLUSH_MANUAL);
    let door = host.door_with("?frame=u32be", |endpoint| {
        endpoint.overflow = OVERFLOW_DROP_OLDEST;
        endpoint.outbox_max_messages = 4;
    });
    let (mut peer, conn) = host.meet(door);
    for number in 0..10u8 {
        assert_eq!(host.net.send(conn, &[number]), OK);
    }
    let stats = host.net.conn_stats(conn).expect("it lives");
    assert_eq!((stats.outbox_messages, stats.dropped_messages), (4, 6));
    let stream = host.read(&mut peer, 20);
    let numbers: Vec<u8> = unframe(&stream).iter().map(|message| message[0]).collect();
    assert_eq!(numbers, [6, 7, 8, 9]);
    host.finish();
}

/// A message larger than the outbox is TOO_BIG also here, and drops nobody.
pub fn dropping_is_no_way_for_giants(setup: Setup) {
    let mut host = setup.host_with(|config| config.flush = FLUSH_MANUAL);
    let door = door(&mut host, OVERFLOW_DROP_OLDEST);
    let (mut peer, conn) = host.meet(door);
    assert_eq!(host.net.send(conn, b"small"), OK);
    assert_eq!(host.net.send(conn, &vec![0; 64 * 1024 + 1]), ERR_TOO_BIG);
    assert_eq!(host.net.conn_stats(conn).expect("it lives").dropped_messages, 0);
    assert_eq!(host.read(&mut peer, 9), b"\0\0\0\x05small");
    host.finish();
}

/// Rule 2, CLOSE: the send that finds no room closes the connection with LIMIT_OUTBOX, and says
/// that it was not taken.
pub fn full_closes(setup: Setup) {
    let mut host = setup.host();
    let door = door(&mut host, OVERFLOW_CLOSE);
    let (peer, conn) = host.meet(door);
    host.until("a full outbox", |host| match host.net.send(conn, &[1; 4000]) {
        OK => false,
        status => {
            assert_eq!(status, ERR_CLOSED);
            true
        }
    });
    assert_eq!(host.net.send(conn, b"x"), ERR_CLOSED);
    let closed = host.closed(conn);
    assert_eq!(closed.cause, LIMIT_OUTBOX);
    assert!(closed.detail > 60_000, "what was lost is counted: {}", closed.detail);
    drop(peer);
    host.finish();
}

/// CLOSE is between the host and one slow peer: the others notice nothing.
pub fn full_closes_others_not(setup: Setup) {
    let mut host = setup.host();
    let tight = door(&mut host, OVERFLOW_CLOSE);
    let open = host.door("");
    let (_slow, full) = host.meet(tight);
    let (mut peer, conn) = host.meet(open);
    host.until("a full outbox", |host| host.net.send(full, &[1; 4000]) != OK);
    assert_eq!(host.closed(full).cause, LIMIT_OUTBOX);
    host.turn_over(&mut peer, conn);
    host.finish();
}

//! Timeouts: each comes, with its cause, and not before its time.

use crate::common::host::{Door, Host};
use crate::common::peer::Peer;
use crate::common::words::*;
use crate::common::{Setup, layered_suite};
use sockeye::capi::conn::sockeye_conn;
use sockeye::capi::endpoint::sockeye_endpoint;
use std::time::{Duration, Instant};

layered_suite! {
    each: idle, idle_counts_from_the_last_byte, first_byte, first_byte_came, frame_begun,
        frames_that_end_are_fine, send_stuck, send_that_moves_is_fine, none_by_default,
        many_at_once, rest_too_slow;
}

/// The timeout in these tests.
const LIMIT_MS: u32 = 150;
const LIMIT: Duration = Duration::from_millis(LIMIT_MS as u64);

fn door(host: &mut Host, change: impl FnOnce(&mut sockeye_endpoint)) -> Door {
    host.door_with("?frame=u32be", change)
}

/// CLOSED with this cause, and not before the limit since `begun`.
fn closes(host: &mut Host, conn: sockeye_conn, cause: i32, begun: Instant) {
    let closed = host.closed(conn);
    assert_eq!(closed.cause, cause, "{closed:?}");
    assert!(begun.elapsed() >= LIMIT, "early: {:?}", begun.elapsed());
}

/// A connection that stays quiet from the moment its peer connects.
fn meet_quietly(host: &mut Host, door: Door) -> (Instant, Peer, sockeye_conn) {
    let begun = Instant::now();
    let (peer, conn) = host.meet(door);
    (begun, peer, conn)
}

pub fn idle(setup: Setup) {
    let mut host = setup.host();
    let door = door(&mut host, |endpoint| endpoint.idle_timeout_ms = LIMIT_MS);
    let (begun, _peer, conn) = meet_quietly(&mut host, door);
    closes(&mut host, conn, TIMEOUT_IDLE, begun);
    host.finish();
}

/// Each received byte begins the time anew. Sending does not.
pub fn idle_counts_from_the_last_byte(setup: Setup) {
    let mut host = setup.host();
    let door = host.door_with("", |endpoint| endpoint.idle_timeout_ms = LIMIT_MS);
    let (begun, mut peer, conn) = meet_quietly(&mut host, door);
    let mut last = begun;
    for round in 0..8 {
        let due = begun + LIMIT.mul_f64(0.3 * f64::from(round));
        host.until("the next byte's time", |_| Instant::now() >= due);
        if host.is_closed(conn) {
            // The machine held this thread up for too long; then the timeout was right.
            break;
        }
        last = Instant::now();
        peer.put(b"x");
    }
    // Refused where the timeout was right, whether its CLOSED was polled or not.
    let sent = host.net.send(conn, b"sent is not received");
    assert!([OK, ERR_CLOSED, ERR_STALE].contains(&sent), "{sent}");
    closes(&mut host, conn, TIMEOUT_IDLE, last);
    host.finish();
}

pub fn first_byte(setup: Setup) {
    let mut host = setup.host();
    let door = door(&mut host, |endpoint| endpoint.first_byte_timeout_ms = LIMIT_MS);
    let (begun, _peer, conn) = meet_quietly(&mut host, door);
    closes(&mut host, conn, TIMEOUT_FIRST_BYTE, begun);
    host.finish();
}

/// One byte is enough for it.
pub fn first_byte_came(setup: Setup) {
    let mut host = setup.host();
    let door = door(&mut host, |endpoint| endpoint.first_byte_timeout_ms = LIMIT_MS);
    let mut early = Peer::connect(door.port);
    early.put(b"\0");
    let (begun, _late, conn) = meet_quietly(&mut host, door);
    closes(&mut host, conn, TIMEOUT_FIRST_BYTE, begun);
    let after = Instant::now() + LIMIT;
    host.until("some time more", |_| Instant::now() >= after);
    assert_eq!(host.log.iter().filter(|event| event.cause != 0).count(), 1, "the early one lives");
    host.finish();
}

/// A frame that was begun has to end in time: from its first byte on.
pub fn frame_begun(setup: Setup) {
    let mut host = setup.host();
    let door = door(&mut host, |endpoint| endpoint.frame_timeout_ms = LIMIT_MS);
    for begin in [&b"\0"[..], b"\0\0\0\x05hell"] {
        let (mut peer, conn) = host.meet(door);
        peer.put(b"\0\0\0\x01a");
        host.await_messages(conn, 1);
        let begun = Instant::now();
        peer.put(begin);
        closes(&mut host, conn, TIMEOUT_FRAME, begun);
        assert_eq!(host.messages(conn), [b"a"]);
    }
    host.finish();
}

/// A message that was begun has to go on at `min_receive_rate`. Between messages there is no rate.
pub fn rest_too_slow(setup: Setup) {
    let mut host = setup.host();
    let door = door(&mut host, |endpoint| {
        (endpoint.min_receive_rate, endpoint.min_receive_window_ms) = (1 << 20, LIMIT_MS);
    });
    let (mut peer, conn) = host.meet(door);
    peer.put(b"\0\0\0\x01a");
    host.await_messages(conn, 1);
    let after = Instant::now() + LIMIT * 2;
    host.until("some time", |_| Instant::now() >= after);
    peer.put(b"\0\0\0\x01b");
    host.await_messages(conn, 2);
    let begun = Instant::now();
    peer.put(b"\0\0\0\x05hell");
    closes(&mut host, conn, TIMEOUT_RATE, begun);
    host.finish();
}

/// Between frames a peer may take its time.
pub fn frames_that_end_are_fine(setup: Setup) {
    let mut host = setup.host();
    let door = door(&mut host, |endpoint| endpoint.frame_timeout_ms = LIMIT_MS);
    let (mut peer, conn) = host.meet(door);
    peer.put(b"\0\0\0\x01a");
    host.await_messages(conn, 1);
    let after = Instant::now() + LIMIT * 2;
    host.until("some time", |_| Instant::now() >= after);
    peer.put(b"\0\0\0\x01b");
    host.await_messages(conn, 2);
    host.finish();
}

fn slow_door(host: &mut Host, limit_ms: u32) -> Door {
    host.door_with("", |endpoint| {
        endpoint.send_timeout_ms = limit_ms;
        endpoint.send_buffer_bytes = 16 * 1024;
        endpoint.outbox_max_bytes = 32 << 20;
    })
}

/// A peer that takes nothing of what waits.
pub fn send_stuck(setup: Setup) {
    let mut host = setup.host();
    let door = slow_door(&mut host, LIMIT_MS);
    let (_peer, conn) = host.meet(door);
    let begun = Instant::now();
    assert_eq!(host.net.send(conn, &vec![1; 20 << 20]), OK);
    closes(&mut host, conn, TIMEOUT_SEND, begun);
    let closed = host.closed(conn);
    assert!(closed.detail > 0, "what was lost is counted");
    host.finish();
}

/// A slow peer that takes a little each time is no stuck one.
pub fn send_that_moves_is_fine(setup: Setup) {
    let mut host = setup.host();
    let door = slow_door(&mut host, 4 * LIMIT_MS);
    let (mut peer, conn) = host.meet(door);
    assert_eq!(host.net.send(conn, &vec![1; 4 << 20]), OK);
    let (begun, limit) = (Instant::now(), 4 * LIMIT);
    let mut goal = 0;
    for round in 1..=8u32 {
        goal += 1 << 17;
        let late = || begun.elapsed() > limit.mul_f64(0.3 * f64::from(round) + 0.5);
        host.until("a little more", |_| peer.has(goal) || late());
        let due = begun + limit.mul_f64(0.3 * f64::from(round));
        host.until("the next read's time", |_| Instant::now() >= due);
        if late() {
            println!("skipped: the machine held this thread up");
            return host.finish();
        }
    }
    assert!(!host.is_closed(conn));
    host.finish();
}

/// The defaults close nobody who is only quiet.
pub fn none_by_default(setup: Setup) {
    let mut host = setup.host();
    let door = door(&mut host, |_| {});
    let (mut peer, conn) = host.meet(door);
    peer.put(b"\0");
    let after = Instant::now() + LIMIT * 3;
    host.until("some time", |_| Instant::now() >= after);
    assert!(!host.is_closed(conn));
    host.finish();
}

/// Two hundred timeouts, due at nearly one time, all come, none twice and none early.
pub fn many_at_once(setup: Setup) {
    if !setup.holds(201) {
        return;
    }
    let mut host = setup.host();
    let door = door(&mut host, |endpoint| endpoint.idle_timeout_ms = LIMIT_MS);
    let met: Vec<_> = (0..200).map(|_| meet_quietly(&mut host, door)).collect();
    for (begun, _, conn) in &met {
        closes(&mut host, *conn, TIMEOUT_IDLE, *begun);
    }
    host.finish();
}

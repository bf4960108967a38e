//! Taps: what was set happens to datagrams, and nothing else does.

use crate::common::host::Host;
use crate::common::net::fault;
use crate::common::udp::Raw;
use crate::common::words::*;
use crate::common::{Setup, suite};
use crate::datagrams::{at, await_datagrams, datagrams, port};
use crate::taps::{settle, tapped};
use sockeye::capi::fault::{sockeye_fault, sockeye_fault_way};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

suite! {
    each: a_loss_of_all_loses_all, a_loss_of_none_loses_none, each_comes_twice, one_bit_changes,
        a_delay_is_seen_each_way, some_are_overtaken_and_none_is_lost,
        the_same_seed_loses_the_same, closes_behind_what_was_sent, changes_at_any_time,
        a_datagram_connection_has_its_own;
}

const ALL: u32 = 1_000_000;

/// The same both ways.
fn both(change: impl Fn(&mut sockeye_fault_way)) -> sockeye_fault {
    fault(|fault| {
        change(&mut fault.inward);
        change(&mut fault.outward);
    })
}

/// Rounds of a listener that nothing is done to: what should not come would have come.
fn turn_over(host: &mut Host) {
    let door = port(host);
    assert_eq!(host.net.fault(door.listener.id, Some(&both(|_| {}))), OK);
    let mut raw = Raw::new();
    for round in 1..=5 {
        let before = host.log.len();
        raw.send(at(door), b"round");
        host.until("a datagram", |host| {
            host.log[before..].iter().any(|event| event.listener == door.listener)
        });
        assert_eq!(host.net.send_to(door.listener, raw.address(), b"round"), OK);
        host.until("its answer", |_| raw.has(round));
    }
    host.log.retain(|event| event.listener != door.listener);
}

/// Everything is lost, either way, and the sender hears of none.
pub fn a_loss_of_all_loses_all(setup: Setup) {
    let mut host = tapped(setup);
    let door = port(&mut host);
    assert_eq!(host.net.fault(door.listener.id, Some(&both(|way| way.loss_ppm = ALL))), OK);
    settle(&mut host);
    let mut raw = Raw::new();
    for number in 0..20 {
        raw.send(at(door), &[number]);
        assert_eq!(host.net.send_to(door.listener, raw.address(), &[number]), OK);
    }
    turn_over(&mut host);
    assert!(datagrams(&host).is_empty() && !raw.has(1), "all are lost");
    let stats = host.net.listener_stats(door.listener).expect("it lives");
    assert_eq!((stats.sent_bytes, stats.received_messages, stats.send_failures), (20, 0, 0));
    host.finish();
}

/// A loss of 0, with all else that keeps a datagram.
pub fn a_loss_of_none_loses_none(setup: Setup) {
    let mut host = tapped(setup);
    let door = port(&mut host);
    let fault = both(|way| (way.delay_ms, way.rate_bytes, way.stall_ms) = (5, 1_000_000, 10));
    assert_eq!(host.net.fault(door.listener.id, Some(&fault)), OK);
    settle(&mut host);
    let mut raw = Raw::new();
    for number in 0..100 {
        raw.send(at(door), &[number; 100]);
        assert_eq!(host.net.send_to(door.listener, raw.address(), &[number; 100]), OK);
    }
    await_datagrams(&mut host, 100);
    let in_order = |number: usize, bytes: &[u8]| bytes == [number as u8; 100];
    assert!(datagrams(&host).iter().enumerate().all(|(at, it)| in_order(at, &it.data)));
    host.until("all of them", |_| raw.has(100));
    assert!(raw.payloads().iter().enumerate().all(|(at, it)| in_order(at, it)));
    host.finish();
}

/// `duplicate_ppm` of a million: each comes twice, either way.
pub fn each_comes_twice(setup: Setup) {
    let mut host = tapped(setup);
    let door = port(&mut host);
    assert_eq!(host.net.fault(door.listener.id, Some(&both(|way| way.duplicate_ppm = ALL))), OK);
    settle(&mut host);
    let mut raw = Raw::new();
    for number in 0..10 {
        raw.send(at(door), &[number]);
        assert_eq!(host.net.send_to(door.listener, raw.address(), &[number]), OK);
    }
    await_datagrams(&mut host, 20);
    host.until("all of them", |_| raw.has(20));
    let twice: Vec<Vec<u8>> = (0..20).map(|at| vec![at / 2]).collect();
    let told: Vec<_> = datagrams(&host).iter().map(|event| event.data.clone()).collect();
    assert_eq!(told, twice);
    assert_eq!(raw.payloads(), twice);
    assert!(datagrams(&host).iter().all(|event| event.sender == Some(raw.address())));
    turn_over(&mut host);
    assert!(!raw.has(21), "no more than twice");
    host.finish();
}

/// `corrupt_ppm` of a million: one bit of each is another, and its sender the same.
pub fn one_bit_changes(setup: Setup) {
    let mut host = tapped(setup);
    let door = port(&mut host);
    assert_eq!(host.net.fault(door.listener.id, Some(&both(|way| way.corrupt_ppm = ALL))), OK);
    settle(&mut host);
    let mut raw = Raw::new();
    let bytes: Vec<u8> = (0..100).collect();
    for _ in 0..10 {
        raw.send(at(door), &bytes);
        assert_eq!(host.net.send_to(door.listener, raw.address(), &bytes), OK);
    }
    // Nothing can change in it.
    raw.send(at(door), b"");
    await_datagrams(&mut host, 11);
    host.until("all of them", |_| raw.has(10));
    let changed = |other: &[u8]| {
        assert_eq!(other.len(), bytes.len());
        bytes.iter().zip(other).map(|(one, other)| (one ^ other).count_ones()).sum::<u32>()
    };
    let told = datagrams(&host);
    assert!(told[10].data.is_empty());
    assert!(told[..10].iter().all(|it| changed(&it.data) == 1));
    assert!(told.iter().all(|it| it.sender == Some(raw.address())));
    assert!(raw.payloads().iter().all(|it| changed(it) == 1));
    host.finish();
}

/// What is sent comes no sooner than `delay_ms` later, either way.
pub fn a_delay_is_seen_each_way(setup: Setup) {
    let mut host = tapped(setup);
    let door = port(&mut host);
    assert_eq!(host.net.fault(0, Some(&both(|way| way.delay_ms = 60))), OK);
    settle(&mut host);
    let mut raw = Raw::new();
    for round in 1..=3 {
        let begun = Instant::now();
        raw.send(at(door), b"there");
        await_datagrams(&mut host, round);
        assert!(begun.elapsed() >= Duration::from_millis(60), "there in {:?}", begun.elapsed());
        let begun = Instant::now();
        assert_eq!(host.net.send_to(door.listener, raw.address(), b"back"), OK);
        host.until("the answer", |_| raw.has(round));
        assert!(begun.elapsed() >= Duration::from_millis(60), "back in {:?}", begun.elapsed());
    }
    host.finish();
}

/// `reorder_ppm`: others come in front of them, and all come.
pub fn some_are_overtaken_and_none_is_lost(setup: Setup) {
    let mut host = tapped(setup);
    let door = port(&mut host);
    let fault = fault(|fault| {
        fault.seed = 3;
        fault.inward.reorder_ppm = 300_000;
    });
    assert_eq!(host.net.fault(door.listener.id, Some(&fault)), OK);
    settle(&mut host);
    let raw = Raw::new();
    (0..50).for_each(|number| raw.send(at(door), &[number]));
    await_datagrams(&mut host, 50);
    let told: Vec<u8> = datagrams(&host).iter().map(|event| event.data[0]).collect();
    assert!(!told.is_sorted(), "some are overtaken: {told:?}");
    assert_eq!(told.iter().collect::<BTreeSet<_>>().len(), 50, "each came once");
    host.finish();
}

/// What is lost is drawn from the seed, the same for each listener that it is set for.
pub fn the_same_seed_loses_the_same(setup: Setup) {
    let mut host = tapped(setup);
    let raw = Raw::new();
    let mut runs = Vec::new();
    for seed in [9, 9, 10] {
        let door = port(&mut host);
        let fault = fault(|fault| {
            fault.seed = seed;
            (fault.inward.loss_ppm, fault.inward.burst) = (500_000, 3);
        });
        assert_eq!(host.net.fault(door.listener.id, Some(&fault)), OK);
        settle(&mut host);
        (0..100).for_each(|number| raw.send(at(door), &[number]));
        turn_over(&mut host);
        let own = datagrams(&host).into_iter().filter(|it| it.listener == door.listener);
        runs.push(own.map(|event| event.data[0]).collect::<Vec<u8>>());
    }
    assert!(runs[0].len() > 10 && runs[0].len() < 90, "{} came", runs[0].len());
    assert_eq!(runs[0], runs[1]);
    assert_ne!(runs[0], runs[2]);
    host.finish();
}

/// A close waits for what was sent before, and a connection tells that nothing was lost.
pub fn closes_behind_what_was_sent(setup: Setup) {
    let mut host = tapped(setup);
    assert_eq!(host.net.fault(0, Some(&both(|way| way.delay_ms = 60))), OK);
    let mut raw = Raw::new();
    let conn = host.connect(&format!("udp://{}", raw.address()));
    let door = port(&mut host);
    for number in 0..5 {
        assert_eq!(host.net.send(conn, &[number]), OK);
        assert_eq!(host.net.send_to(door.listener, raw.address(), &[number]), OK);
        host.step(1);
    }
    assert_eq!(host.net.close(conn, GRACEFUL), OK);
    assert_eq!(host.net.listener_close(door.listener), OK);
    let closed = host.closed(conn);
    assert_eq!((closed.cause, closed.detail), (HOST, 0));
    host.until("all of them", |_| raw.has(10));
    host.finish();
}

/// Without any, what waits passes at once.
pub fn changes_at_any_time(setup: Setup) {
    let mut host = tapped(setup);
    let door = port(&mut host);
    let far = both(|way| way.delay_ms = 60_000);
    assert_eq!(host.net.fault(door.listener.id, Some(&far)), OK);
    settle(&mut host);
    let mut raw = Raw::new();
    raw.send(at(door), b"there");
    assert_eq!(host.net.send_to(door.listener, raw.address(), b"back"), OK);
    turn_over(&mut host);
    assert!(datagrams(&host).is_empty() && !raw.has(1), "both are far away");
    assert_eq!(host.net.fault(door.listener.id, None), OK);
    await_datagrams(&mut host, 1);
    host.until("the answer", |_| raw.has(1));
    host.finish();
}

/// A connected one is ruled by its own, and is reset at once with all of it on the way.
pub fn a_datagram_connection_has_its_own(setup: Setup) {
    let mut host = tapped(setup);
    let mut raw = Raw::new();
    let conn = host.connect(&format!("udp://{}", raw.address()));
    assert_eq!(host.net.fault(conn.id, Some(&both(|way| way.duplicate_ppm = ALL))), OK);
    settle(&mut host);
    assert_eq!(host.net.send(conn, b"hello"), OK);
    host.until("two of it", |_| raw.has(2));
    raw.send(raw.got[0].1, b"answer");
    await_datagrams(&mut host, 2);
    assert_eq!(host.net.fault(conn.id, Some(&both(|way| way.delay_ms = 60_000))), OK);
    assert_eq!(host.net.send(conn, b"far away"), OK);
    host.step(5);
    assert_eq!(host.net.pause(conn), OK);
    assert_eq!(host.net.close(conn, AT_ONCE), OK);
    assert_eq!(host.closed(conn).cause, HOST);
    assert!(!raw.has(3));
    host.finish();
}

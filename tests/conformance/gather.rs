//! Rule 3: gathered sends. However many sends between two flushes, one system call for each
//! connection; MANUAL lets nothing leave by itself, AUTO lets all.

use crate::common::words::*;
use crate::common::{Setup, layered_suite, stays, wait_for};
use std::time::Duration;

layered_suite! {
    each: one_call_for_many_sends, one_call_for_each_connection, manual_leaves_at_a_flush,
        manual_leaves_at_a_poll, large_and_small_in_order;
    threaded: manual_stays, auto_leaves_by_itself, auto_gathers_under_load;
    pool2: flush_of_one_queue;
}

/// Rule 3: a hundred sends, one flush, one system call.
pub fn one_call_for_many_sends(setup: Setup) {
    let mut host = setup.host_with(|config| config.flush = FLUSH_MANUAL);
    let door = host.door("?frame=u16be");
    let (mut peer, conn) = host.meet(door);
    for round in 1..=10u64 {
        let before = host.net.stats();
        for at in 0..100u8 {
            assert_eq!(host.net.send(conn, &[at; 30]), OK);
        }
        assert_eq!(host.net.flush(), OK);
        let arrived = host.read(&mut peer, 3200);
        assert!((0..100).all(|at| arrived[at * 32 + 2..][..30] == [at as u8; 30]), "in order");
        // The peer may have them before the worker has counted them.
        host.until("the count", |host| host.net.stats().sent_bytes - before.sent_bytes >= 3200);
        let after = host.net.stats();
        assert_eq!(after.sent_batches - before.sent_batches, 1, "round {round}");
        let sent = after.sent_bytes - before.sent_bytes;
        assert!(sent == 3200 || (setup.layered && sent > 3200), "{sent} bytes");
    }
    host.finish();
}

/// Rule 3: the same for many connections at once: one call each.
pub fn one_call_for_each_connection(setup: Setup) {
    if !setup.holds(51) {
        return;
    }
    let mut host = setup.host_with(|config| config.flush = FLUSH_MANUAL);
    let door = host.door("?frame=u16be");
    let (mut peers, conns): (Vec<_>, Vec<_>) = (0..50).map(|_| host.meet(door)).unzip();
    let before = host.net.stats();
    for at in 0..20u8 {
        for &conn in &conns {
            assert_eq!(host.net.send(conn, &[at; 14]), OK);
        }
    }
    assert_eq!(host.net.flush(), OK);
    for peer in &mut peers {
        host.read(peer, 20 * 16);
    }
    let all = 50 * 20 * 16;
    host.until("the count", |host| host.net.stats().sent_bytes - before.sent_bytes >= all);
    assert_eq!(host.net.stats().sent_batches - before.sent_batches, 50);
    host.finish();
}

/// Rule 3, MANUAL: a flush alone lets it leave; nobody polls.
pub fn manual_leaves_at_a_flush(setup: Setup) {
    let mut host = setup.host_with(|config| config.flush = FLUSH_MANUAL);
    let door = host.door("");
    let (mut peer, conn) = host.meet(door);
    assert_eq!(host.net.send(conn, b"now"), OK);
    assert_eq!(host.net.flush(), OK);
    wait_for("bytes without a poll", || peer.has(3));
    host.finish();
}

/// Rule 3, MANUAL: so does a poll.
pub fn manual_leaves_at_a_poll(setup: Setup) {
    let mut host = setup.host_with(|config| config.flush = FLUSH_MANUAL);
    let door = host.door("");
    let (mut peer, conn) = host.meet(door);
    assert_eq!(host.net.send(conn, b"now"), OK);
    assert_eq!(host.read(&mut peer, 3), b"now");
    host.finish();
}

/// Messages that are copied together and messages that stand alone keep their order.
pub fn large_and_small_in_order(setup: Setup) {
    let mut host = setup.host_with(|config| config.flush = FLUSH_MANUAL);
    let door = host.door("");
    let (mut peer, conn) = host.meet(door);
    let sizes = [1, 70_000, 3, 20_000, 1, 1, 1, 130_000, 64, 65_536, 7];
    let mut expected = Vec::new();
    for (at, size) in sizes.into_iter().enumerate() {
        let message = vec![at as u8; size];
        assert_eq!(host.net.send(conn, &message), OK);
        expected.extend(message);
    }
    assert_eq!(host.net.flush(), OK);
    assert!(host.read(&mut peer, expected.len()) == expected, "in order");
    host.finish();
}

/// Rule 3, MANUAL: nothing leaves by itself, not even when the worker turns for other reasons.
pub fn manual_stays(setup: Setup) {
    let mut host = setup.host_with(|config| config.flush = FLUSH_MANUAL);
    let door = host.door("");
    let (mut peer, conn) = host.meet(door);
    let (mut other, _) = host.meet(door);
    assert_eq!(host.net.send(conn, b"wait"), OK);
    for round in 0..10 {
        let before = host.net.stats().received_bytes;
        // Also the connection itself is looked at.
        if round % 2 == 0 {
            other.put(b"turn")
        } else {
            peer.put(b"turn")
        }
        wait_for("a turn", || host.net.stats().received_bytes > before);
    }
    stays("nothing leaves", Duration::from_millis(60), || !peer.has(1));
    assert_eq!(host.net.conn_stats(conn).expect("it lives").outbox_bytes, 4);
    assert_eq!(host.net.flush(), OK);
    wait_for("bytes after the flush", || peer.has(4));
    host.finish();
}

/// Rule 3, AUTO: a send leaves though no thread polls or flushes again.
pub fn auto_leaves_by_itself(setup: Setup) {
    let mut host = setup.host();
    let door = host.door("");
    let (mut peer, conn) = host.meet(door);
    for round in 0..20u8 {
        assert_eq!(host.net.send(conn, &[round]), OK);
        wait_for("bytes without a poll", || peer.has(usize::from(round) + 1));
    }
    host.finish();
}

/// Rule 3, AUTO: what comes while the worker works leaves together. Far fewer calls than sends.
pub fn auto_gathers_under_load(setup: Setup) {
    const SENDS: u64 = 20_000;
    let mut host = setup.host();
    let door = host.door_with("", |endpoint| endpoint.outbox_max_messages = SENDS as u32);
    let (mut peer, conn) = host.meet(door);
    let before = host.net.stats().sent_batches;
    for _ in 0..SENDS {
        assert_eq!(host.net.send(conn, &[1; 16]), OK);
    }
    host.read(&mut peer, SENDS as usize * 16);
    let batches = host.net.stats().sent_batches - before;
    assert!(batches <= SENDS / 2, "{batches} calls for {SENDS} sends");
    host.finish();
}

/// Rule 3, MANUAL: `queue_flush` touches its queue only.
pub fn flush_of_one_queue(setup: Setup) {
    let mut host = setup.host_with(|config| config.flush = FLUSH_MANUAL);
    let doors = [0, 1].map(|queue| host.door_with("", |endpoint| endpoint.queue = queue));
    let (mut zero, conn0) = host.meet(doors[0]);
    let (mut one, conn1) = host.meet(doors[1]);
    assert_eq!(host.net.send(conn0, b"zero"), OK);
    assert_eq!(host.net.send(conn1, b"one"), OK);
    assert_eq!(host.net.queue_flush(1), OK);
    wait_for("queue 1's bytes", || one.has(3));
    stays("queue 0 waits", Duration::from_millis(60), || !zero.has(1));
    assert_eq!(host.net.flush(), OK);
    wait_for("queue 0's bytes", || zero.has(4));
    host.finish();
}

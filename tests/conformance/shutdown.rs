//! Rule 9: shutdown is idempotent, bounded, joins every thread and leaks nothing.

use crate::common::event::Kind;
use crate::common::host::Host;
use crate::common::message::Message;
use crate::common::net::Net;
use crate::common::peer::{End, Peer};
use crate::common::process::{descriptors, limit_descriptors, sleeps, thread_number, threads};
use crate::common::words::*;
use crate::common::{Setup, child, endpoint, frame, settle, suite, wait_for};
use sockeye::capi::conn::sockeye_conn;
use std::io::Read;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::{Duration, Instant};

suite! {
    each: at_once_with_a_thousand, again_and_from_four_threads, drains_what_was_sent,
        drains_no_longer_than_told, calls_afterwards, facts_afterwards, twenty_lives,
        wakes_a_sleeping_poller, free_waits_for_nobody, ends_connecting_ones,
        queued_events_are_told_first;
}

/// Rule 9: timeout 0 with 1,000 active connections ends at once: each is told CLOSED
/// (SHUTDOWN), the listener too, then ERR_SHUTDOWN; every thread and descriptor is gone.
pub fn at_once_with_a_thousand(setup: Setup) {
    if !setup.holds(1001) {
        return;
    }
    child::alone(setup, || {
        limit_descriptors(4096);
        // What is made once for the process is no leak.
        let mut first = setup.host();
        let door = first.door("");
        let (mut peer, conn) = first.meet(door);
        first.turn_over(&mut peer, conn);
        assert_eq!(first.net.shutdown(0), OK);
        // As long as there is a kqueue, libkqueue has threads of its own.
        let tasks = threads();
        first.drain();
        first.finish();
        drop(peer);
        settle();
        let files = descriptors();
        let mut host = setup.host();
        let door = host.door_with("?frame=u32be", |endpoint| endpoint.linger_ms = 60_000);
        let peers: Vec<Peer> = (0..1000)
            .map(|_| {
                let mut peer = Peer::connect(door.port);
                peer.put(&frame(b"hello"));
                peer
            })
            .collect();
        host.until("a message of each", |host| host.count(Kind::Message) == 1000);
        for event in &host.log {
            if event.kind == Kind::Message {
                assert_eq!(host.net.send(event.conn, &[1; 10_000]), OK);
            }
        }
        let begun = Instant::now();
        assert_eq!(host.net.shutdown(0), OK);
        // Promised are 50 ms of an idle machine; what is judged is that it waits for nobody.
        assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
        assert_eq!(host.net.info().threads, 0);
        wait_for("the threads' end", || threads() <= tasks);
        host.drain();
        let closed: Vec<i32> = host
            .log
            .iter()
            .filter(|event| event.kind == Kind::Closed)
            .map(|event| event.cause)
            .collect();
        assert_eq!(closed.len(), 1000, "each is told once");
        assert!(closed.iter().all(|&cause| cause == SHUTDOWN));
        let last = host.log.iter().find(|event| event.kind == Kind::ListenerClosed);
        assert_eq!(last.expect("told").cause, SHUTDOWN);
        host.finish();
        drop(peers);
        settle();
        assert_eq!(descriptors(), files);
    });
}

/// Rule 9: once more is fine, and callers at the same time all get the same answer.
pub fn again_and_from_four_threads(setup: Setup) {
    let mut host = setup.host();
    let door = host.door("");
    let (_peer, conn) = host.meet(door);
    let net = &host.net;
    std::thread::scope(|scope| {
        let callers: Vec<_> = (0..4).map(|_| scope.spawn(|| net.shutdown(200))).collect();
        for caller in callers {
            assert_eq!(caller.join().expect("no panic"), OK);
        }
    });
    assert_eq!(host.net.shutdown(0), OK);
    assert_eq!(host.net.shutdown(5000), OK);
    assert_eq!(host.net.shutdown(-1), OK);
    assert_eq!(host.closed(conn).cause, SHUTDOWN);
    host.finish();
}

/// Rule 9: within the timeout everything that was sent arrives, and the peer sees an orderly end.
pub fn drains_what_was_sent(setup: Setup) {
    let mut host = setup.host();
    let door = host.door_with("?frame=u32be", |endpoint| endpoint.send_buffer_bytes = 16 * 1024);
    let (peer, conn) = host.meet(door);
    let message: Vec<u8> = (0..900_000u32).map(|at| (at % 249) as u8).collect();
    assert_eq!(host.net.send(conn, &message), OK);
    let mut stream = peer.into_stream();
    let reader = std::thread::spawn(move || {
        let mut arrived = Vec::new();
        stream.read_to_end(&mut arrived).map(|_| arrived)
    });
    let begun = Instant::now();
    assert_eq!(host.net.shutdown(10_000), OK);
    assert!(begun.elapsed() < Duration::from_secs(8), "it ends when all is sent");
    let arrived = reader.join().expect("the reader is well").expect("no reset");
    assert!(arrived == frame(&message), "{} bytes", arrived.len());
    let closed = host.closed(conn);
    assert_eq!((closed.cause, closed.detail), (SHUTDOWN, 0));
    host.finish();
}

/// Rule 9: a peer that does not read holds it up for the timeout and no longer.
pub fn drains_no_longer_than_told(setup: Setup) {
    if !setup.resets() {
        return;
    }
    let mut host = setup.host();
    let door = host.door_with("", |endpoint| {
        endpoint.send_buffer_bytes = 16 * 1024;
        endpoint.outbox_max_bytes = 32 << 20;
    });
    let (mut peer, conn) = host.meet(door);
    // More than both systems' buffers can grow to take.
    assert_eq!(host.net.send(conn, &vec![1; 20 << 20]), OK);
    let begun = Instant::now();
    assert_eq!(host.net.shutdown(200), OK);
    let took = begun.elapsed();
    assert!(took >= Duration::from_millis(200) && took < Duration::from_secs(5), "{took:?}");
    let closed = host.closed(conn);
    assert_eq!(closed.cause, SHUTDOWN);
    assert!(closed.detail > 0, "what was lost is counted");
    let (_, end) = host.read_to_end(&mut peer);
    assert_eq!(end, End::Reset);
    host.finish();
}

/// Rule 9: afterwards each call says so.
pub fn calls_afterwards(setup: Setup) {
    let mut host = setup.host();
    let door = host.door("");
    let (_peer, conn) = host.meet(door);
    assert_eq!(host.net.shutdown(0), OK);
    let net = &host.net;
    let url = format!("tcp://127.0.0.1:{}", door.port);
    let answers = [
        net.send(conn, b"x"),
        net.send_many(&[conn], b"x").0,
        net.send_parts(conn, &Message::new(&[b"x"])),
        net.close(conn, GRACEFUL),
        net.close_with(conn, GRACEFUL, b"x"),
        net.pause(conn),
        net.resume(conn),
        net.set_user_data(conn, 1),
        net.listener_close(door.listener),
        net.flush(),
        net.queue_flush(0),
        net.post(0, 1, 1),
        net.listen(&url, None).map_or_else(|status| status, |_| OK),
        net.connect(&url, Some(&endpoint(|_| {}))).map_or_else(|status| status, |_| OK),
        net.acquire(10).map_or_else(|status| status, |_| OK),
    ];
    assert_eq!(answers, [ERR_SHUTDOWN; 15]);
    host.drain();
    assert_eq!(host.try_step(0, 1, -1), Err(ERR_SHUTDOWN), "does not wait");
    host.finish();
}

/// Facts and held messages are there until the net is freed.
pub fn facts_afterwards(setup: Setup) {
    let mut host = setup.host();
    let door = host.door("");
    let (mut peer, conn) = host.meet(door);
    peer.put(b"keep me");
    host.until("a byte received", |host| host.net.stats().received_bytes == 7);
    assert_eq!(host.net.shutdown(0), OK);
    assert_eq!(host.net.info().queues, 1);
    assert_eq!(host.net.stats().received_bytes, 7);
    let info = host.net.conn_info(conn).expect("its CLOSED is not told yet");
    assert_eq!(info.peer.port, peer.address().port());
    assert_eq!(host.net.conn_stats(conn).expect("nor this").received_bytes, 7);
    host.closed(conn);
    host.finish();
}

/// Rule 9: twenty nets one after another, used and freed, leave no thread and no descriptor.
pub fn twenty_lives(setup: Setup) {
    child::alone(setup, || {
        one_life(setup);
        settle();
        let (tasks, files) = (threads(), descriptors());
        for _ in 0..20 {
            one_life(setup);
        }
        wait_for("the threads' end", || threads() <= tasks);
        settle();
        assert_eq!(descriptors(), files);
    });
}

fn one_life(setup: Setup) {
    let mut host = setup.host();
    let door = host.door("");
    let (mut peer, conn) = host.meet(door);
    host.turn_over(&mut peer, conn);
    host.connect(&format!("tcp://localhost:{}", door.port));
    host.until("OPENED of both", |host| host.count(Kind::Opened) == 3);
    host.finish();
}

/// What a thread that sleeps in poll for ever comes back with.
fn sleeping_poller(net: &Net, thread: &AtomicI32) -> Result<usize, i32> {
    thread.store(thread_number(), Ordering::SeqCst);
    // SAFETY: no batch of this queue is alive.
    unsafe { net.poll(0, 8, -1) }.map(|batch| batch.raw.len())
}

fn wait_until_asleep(thread: &AtomicI32) {
    wait_for("a poller asleep", || {
        let number = thread.load(Ordering::SeqCst);
        number != 0 && sleeps(number)
    });
}

/// Rule 9: a poller asleep in poll(-1) returns at once.
pub fn wakes_a_sleeping_poller(setup: Setup) {
    for _ in 0..10 {
        let net = setup.net();
        let thread = AtomicI32::new(0);
        std::thread::scope(|scope| {
            let poller = scope.spawn(|| sleeping_poller(&net, &thread));
            wait_until_asleep(&thread);
            assert_eq!(net.shutdown(0), OK);
            wait_for("the poller's return", || poller.is_finished());
            assert!(came_back_empty(poller.join().expect("no panic")));
        });
    }
}

/// The net may still be ending when the poller leaves: 0 then, and ERR_SHUTDOWN afterwards.
fn came_back_empty(answer: Result<usize, i32>) -> bool {
    answer == Ok(0) || answer == Err(ERR_SHUTDOWN)
}

/// Rule 9: free with a poller inside either is refused as BUSY, with the net shut down and not
/// freed, or comes after the poller has left. It never frees under it, and never hangs.
pub fn free_waits_for_nobody(setup: Setup) {
    for _ in 0..30 {
        let net = Box::leak(Box::new(setup.net()));
        let thread = AtomicI32::new(0);
        let freed = std::thread::scope(|scope| {
            let net = &*net;
            let poller = scope.spawn(|| sleeping_poller(net, &thread));
            wait_until_asleep(&thread);
            // SAFETY: on OK the value stays leaked, and the poller does not come again.
            let status = unsafe { net.free() };
            assert!(status == OK || status == ERR_BUSY, "free answered {status}");
            wait_for("the poller's return", || poller.is_finished());
            assert!(came_back_empty(poller.join().expect("no panic")));
            status == OK
        });
        if !freed {
            assert_eq!(net.flush(), ERR_SHUTDOWN, "not freed, but shut down");
            // SAFETY: no thread is inside, and the value stays leaked.
            assert_eq!(unsafe { net.free() }, OK);
        }
    }
}

/// A connect on its way ends with CLOSED (SHUTDOWN) and without OPENED, and holds nothing up.
pub fn ends_connecting_ones(setup: Setup) {
    let mut host = setup.host();
    let hole = crate::connect::black_hole();
    let conns: Vec<sockeye_conn> = (0..5).map(|_| host.connect(&hole.url)).collect();
    assert_eq!(host.net.send(conns[0], b"never"), OK);
    host.step(5);
    let begun = Instant::now();
    assert_eq!(host.net.shutdown(0), OK);
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    for conn in conns {
        assert_eq!(host.closed(conn).cause, SHUTDOWN);
        assert_eq!(host.kinds_of(conn), [Kind::Closed]);
    }
    host.finish();
}

/// What was queued before the shutdown is reported before each CLOSED.
pub fn queued_events_are_told_first(setup: Setup) {
    let mut host = setup.host();
    let door = host.door("?frame=u32be");
    let (mut peers, conns): (Vec<Peer>, Vec<_>) = (0..5).map(|_| host.meet(door)).unzip();
    let goal = host.net.stats().received_messages + 5;
    for peer in &mut peers {
        peer.put(&frame(b"last words"));
    }
    // One event at a time: the rest of what the worker has received waits in the queue.
    let end = Instant::now() + crate::common::DEADLINE;
    while host.net.stats().received_messages < goal {
        host.step_queue(0, 1, 2);
        assert!(Instant::now() < end, "not in time: messages received");
    }
    for at in 0..3 {
        assert_eq!(host.net.post(0, at, at), OK);
    }
    assert_eq!(host.net.shutdown(0), OK);
    tells_all(&mut host, &conns);
    host.finish();
}

fn tells_all(host: &mut Host, conns: &[sockeye_conn]) {
    host.drain();
    for &conn in conns {
        assert_eq!(host.kinds_of(conn), [Kind::Opened, Kind::Message, Kind::Closed]);
        assert_eq!(host.messages(conn), [b"last words"]);
    }
    assert_eq!(host.count(Kind::Posted), 3);
}

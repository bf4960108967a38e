//! The host's own loop: the wait handle, wakes, reads behind a gate, a long backlog, and what an
//! idle net costs.

use crate::common::event::Kind;
use crate::common::host::Host;
use crate::common::net::last_error;
use crate::common::peer::Peer;
use crate::common::process::{limit_descriptors, signalled};
use crate::common::words::*;
use crate::common::{DEADLINE, Setup, child, stays, suite, wait_for};
use sockeye::capi::conn::sockeye_conn;
use sockeye::capi::model::sockeye_model as models;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::*};
use std::thread;
use std::time::{Duration, Instant};

suite! {
    each: gated_reads, a_full_backlog, a_thousand_idle, a_port_that_is_none,
        woken_from_another_thread, woken_before_a_poll, wakes_lose_nothing,
        served_at_the_handle, timed_at_the_handle;
    threaded: handle_is_a_level, handle_for_ever_the_same, woken_at_the_handle;
    pool2: a_handle_for_each_queue;
}

/// The wait handle is readable as long as the queue has events: partial drains leave it so, and
/// the poll that empties the queue ends it.
pub fn handle_is_a_level(setup: Setup) {
    let mut host = setup.host();
    let handle = host.net.wait_handle(0).expect("a wait handle");
    assert!(!signalled(handle, 0), "the queue is empty");
    let door = host.door("?frame=u8");
    let mut peer = Peer::connect(door.port);
    assert!(signalled(handle, 20_000), "OPENED waits");
    peer.put(b"\x01a\x01b\x01c");
    wait_for("the messages in the queue", || host.net.stats().received_messages == 3);
    for left in (0..4).rev() {
        assert!(signalled(handle, 0), "{} events wait", left + 1);
        assert_eq!(host.step_queue(0, 1, 0), 1);
    }
    assert_eq!(host.step_queue(0, 1, 0), 0);
    assert!(!signalled(handle, 0), "the queue is empty");
    assert_eq!(host.net.post(0, 1, 1), OK);
    assert!(signalled(handle, 0), "a post is an event");
    host.step(0);
    assert!(!signalled(handle, 0));
    drop(peer);
    assert!(signalled(handle, 20_000), "CLOSED waits");
    host.until("CLOSED", |host| host.count(Kind::Closed) == 1);
    host.finish();
}

/// Asked again it is the same, and events that were there before it was made count.
pub fn handle_for_ever_the_same(setup: Setup) {
    let mut host = setup.host();
    assert_eq!(host.net.post(0, 1, 1), OK);
    let handle = host.net.wait_handle(0).expect("a wait handle");
    assert!(signalled(handle, 0), "a post was there before");
    host.step(0);
    assert!(!signalled(handle, 0));
    for _ in 0..10 {
        assert_eq!(host.net.wait_handle(0), Ok(handle));
    }
    let door = host.door("");
    let (mut peer, conn) = host.meet(door);
    host.turn_over(&mut peer, conn);
    host.finish();
}

/// A completion port that is none is refused in words, and nothing changes by it.
pub fn a_port_that_is_none(setup: Setup) {
    let mut host = setup.host();
    let door = host.door("");
    let (mut peer, conn) = host.meet(door);
    let has_ports = cfg!(windows) && setup.drive.has_threads();
    let refusal = if has_ports { ERR_INVALID } else { ERR_UNSUPPORTED };
    assert_eq!(host.net.wait_port(0, 0x7FFF_FFF0, 1), refusal);
    assert!(!last_error().is_empty());
    host.turn_over(&mut peer, conn);
    host.finish();
}

pub fn a_handle_for_each_queue(setup: Setup) {
    let mut host = setup.host();
    let handles = [0, 1].map(|queue| host.net.wait_handle(queue).expect("a wait handle"));
    assert_ne!(handles[0], handles[1]);
    assert_eq!(host.net.post(1, 1, 1), OK);
    assert_eq!((signalled(handles[0], 0), signalled(handles[1], 0)), (false, true));
    host.step(0);
    assert!(!signalled(handles[1], 0));
    host.finish();
}

/// A poll without limit returns for each wake once, whether it waits already or comes to it.
pub fn woken_from_another_thread(setup: Setup) {
    const ROUNDS: usize = 500;
    let host = setup.host();
    let (asked, woken) = (AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|scope| {
        scope.spawn(|| {
            for round in 1..=ROUNDS {
                wait_for("the next poll", || asked.load(SeqCst) == round);
                // Some come before it, some while it begins to wait.
                for _ in 0..(round % 50) * 40 {
                    std::hint::spin_loop();
                }
                if round % 50 == 0 {
                    stays("waited", Duration::from_millis(5), || asked.load(SeqCst) == round);
                }
                woken.store(round, SeqCst);
                assert_eq!(host.net.wake(0), OK);
            }
        });
        for round in 1..=ROUNDS {
            asked.store(round, SeqCst);
            // SAFETY: no payload is read.
            let batch = unsafe { host.net.poll(0, 8, -1) }.expect("a poll");
            assert_eq!(batch.raw.len(), 0);
            assert_eq!(woken.load(SeqCst), round, "not before it was woken");
        }
    });
    host.finish();
}

/// The next poll answers 0, once, and leaves what waits where it is.
pub fn woken_before_a_poll(setup: Setup) {
    let mut host = setup.host();
    assert_eq!(host.net.post(0, 1, 1), OK);
    (0..3).for_each(|_| assert_eq!(host.net.wake(0), OK));
    assert_eq!(host.step(-1), 0);
    assert_eq!(host.step(-1), 1, "POSTED was left, and the wakes were one");
    assert_eq!(host.net.wake(0), OK);
    assert_eq!(host.step(0), 0);
    let begun = Instant::now();
    assert_eq!(host.step(50), 0);
    assert!(begun.elapsed() >= Duration::from_millis(49), "nothing is left of the wake");
    assert_eq!(host.net.wake(1), ERR_INVALID);
    assert_eq!(host.net.shutdown(0), OK);
    assert_eq!(host.net.wake(0), ERR_SHUTDOWN);
    assert_eq!(host.try_step(0, 8, -1), Err(ERR_SHUTDOWN), "it changes nothing");
}

/// Wakes without end take no event away and no order.
pub fn wakes_lose_nothing(setup: Setup) {
    let mut host = setup.host();
    let door = host.door("?frame=u8");
    let (mut peer, conn) = host.meet(door);
    let over = AtomicBool::new(false);
    let net = host.net.clone();
    thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(SeqCst) {
                assert_eq!(net.wake(0), OK);
                thread::yield_now();
            }
        });
        for round in 0..100u8 {
            peer.put(&[1, round, 2, round, round]);
            let before = host.messages(conn).len();
            host.await_messages(conn, before + 2);
        }
        over.store(true, SeqCst);
    });
    let expected: Vec<_> = (0..100u8).flat_map(|it| [vec![it], vec![it; 2]]).collect();
    assert_eq!(host.messages(conn), expected);
    host.finish();
}

/// A wake signals the wait handle, and the poll that answers it ends that, unless events wait.
pub fn woken_at_the_handle(setup: Setup) {
    let mut host = setup.host();
    assert_eq!(host.net.wake(0), OK);
    let handle = host.net.wait_handle(0).expect("a wait handle");
    for events in [0, 1] {
        assert!(events > 0 || signalled(handle, 0), "woken before it was made");
        assert_eq!(host.step(0), 0);
        assert!(!signalled(handle, 0));
        (0..2).for_each(|_| assert_eq!(host.net.wake(0), OK));
        assert!(signalled(handle, 0));
        (0..events).for_each(|_| assert_eq!(host.net.post(0, 1, 1), OK));
        assert_eq!(host.step(0), 0);
        assert_eq!(signalled(handle, 0), events > 0);
        assert_eq!(host.step(0), events);
        assert!(!signalled(handle, 0));
    }
    host.finish();
}

/// The wait handle. None where no thread fills the queue and the model has no object that covers
/// all that a host waits for: then it is refused in words.
fn handle_of(setup: Setup, host: &Host) -> Option<i32> {
    let models = [models::SOCKEYE_MODEL_EPOLL as u32, models::SOCKEYE_MODEL_IO_URING as u32];
    let expected = setup.drive.has_threads() || models.contains(&setup.model);
    match host.net.wait_handle(0) {
        Ok(handle) => {
            assert!(expected);
            assert_eq!(host.net.wait_handle(0), Ok(handle), "the same each time");
            Some(handle)
        }
        Err(status) => {
            assert_eq!((status, expected), (ERR_UNSUPPORTED, false));
            assert!(last_error().contains("workers 0"), "{}", last_error());
            None
        }
    }
}

/// Polls only when the handle is signalled, and then until there is nothing. How often that was.
fn attend(
    host: &mut Host,
    handle: i32,
    what: &str,
    mut done: impl FnMut(&mut Host) -> bool,
) -> u32 {
    let end = Instant::now() + DEADLINE;
    let mut times = 0;
    while !done(host) {
        let left = end.saturating_duration_since(Instant::now()).as_millis() as i32;
        assert!(left > 0 && signalled(handle, left), "not in time: {what}");
        times += 1;
        while host.step(0) > 0 {}
    }
    times
}

/// Polls until the handle is not signalled any more.
fn calm(host: &mut Host, handle: i32) {
    wait_for("a handle with nothing to say", || {
        while host.step(0) > 0 {}
        !signalled(handle, 0)
    });
}

/// A loop that waits for the handle alone serves: accepts, messages, sends of its own and of other
/// threads, closes.
pub fn served_at_the_handle(setup: Setup) {
    let mut host = setup.host();
    let Some(handle) = handle_of(setup, &host) else { return host.finish() };
    let door = host.door("?frame=u8");
    let mut peer = Peer::connect(door.port);
    attend(&mut host, handle, "OPENED", |host| host.count(Kind::Opened) == 1);
    let conn = host.log[0].conn;
    for round in 1..=100u8 {
        peer.put(&[1, round]);
        let count = usize::from(round);
        attend(&mut host, handle, "a message", |host| host.messages(conn).len() == count);
        assert_eq!(host.net.send(conn, &[round]), OK);
        wait_for("the answer", || {
            while signalled(handle, 0) && host.step(0) > 0 {}
            peer.has(2 * count)
        });
    }
    let (net, over) = (host.net.clone(), AtomicBool::new(false));
    thread::scope(|scope| {
        scope.spawn(|| {
            for round in 1..=100 {
                assert_eq!(net.send(conn, b"?"), OK);
                wait_for("what another thread sent", || peer.has(200 + 2 * round));
            }
            over.store(true, SeqCst);
            assert_eq!(net.wake(0), OK);
        });
        attend(&mut host, handle, "the thread's end", |_| over.load(SeqCst));
    });
    drop(peer);
    attend(&mut host, handle, "CLOSED", |host| host.is_closed(conn));
    host.finish();
}

/// While there is nothing to do the handle says nothing, but for the deadlines of the net's own;
/// and a timer of the host's is reported through it at its time.
pub fn timed_at_the_handle(setup: Setup) {
    const AFTER: u32 = 300;
    let mut host = setup.host();
    let Some(handle) = handle_of(setup, &host) else { return host.finish() };
    let door = host.door("?frame=u8");
    let peer = Peer::connect(door.port);
    attend(&mut host, handle, "OPENED", |host| host.count(Kind::Opened) == 1);
    host.net.start_timer(0, 3_600_000, 0, 1).expect("a timer far away");
    calm(&mut host, handle);
    let begun = Instant::now();
    host.net.start_timer(0, AFTER, 0, 2).expect("a timer");
    let times = attend(&mut host, handle, "TIMER", |host| host.count(Kind::Timer) == 1);
    assert!(begun.elapsed() >= Duration::from_millis(u64::from(AFTER) - 1), "early");
    assert!(times <= 6, "signalled {times} times for one timer");
    for woken in 1..=3 {
        assert_eq!(host.net.wake(0), OK);
        assert!(signalled(handle, 0), "wake {woken}");
        assert_eq!(host.step(-1), 0);
        calm(&mut host, handle);
    }
    drop(peer);
    attend(&mut host, handle, "CLOSED", |host| host.count(Kind::Closed) == 1);
    host.finish();
}

/// Sends back what came, in order; what finds no room waits for a later round.
fn echo(host: &mut Host, conn: sockeye_conn, waiting: &mut VecDeque<Vec<u8>>) {
    for event in std::mem::take(&mut host.log) {
        if event.kind == Kind::Message {
            waiting.push_back(event.data);
        }
    }
    while let Some(message) = waiting.front() {
        match host.net.send(conn, message) {
            OK => waiting.pop_front(),
            status => {
                assert_eq!(status, ERR_AGAIN);
                return;
            }
        };
    }
}

/// `gate_reads`: a connection is not read while more than the low mark waits to be sent: a peer
/// that sends without reading is made to wait, and nothing is lost.
pub fn gated_reads(setup: Setup) {
    let mut host = setup.host();
    let door = host.door_with("", |endpoint| {
        endpoint.gate_reads = 1;
        endpoint.outbox_low_bytes = 64 * 1024;
        endpoint.send_buffer_bytes = 16 * 1024;
        endpoint.recv_buffer_bytes = 64 * 1024;
    });
    let (mut peer, conn) = host.meet(door);
    let sent: Vec<u8> = (0..60_000_000u32).map(|at| (at % 239) as u8).collect();
    let (mut at, mut quiet, mut waiting) = (0, 0, VecDeque::new());
    host.until("the peer's wait", |host| {
        let taken = peer.offer(&sent[at..]);
        at += taken;
        echo(host, conn, &mut waiting);
        quiet = if taken == 0 { quiet + 1 } else { 0 };
        quiet == 200
    });
    assert!(at < sent.len(), "somebody took 60 MB");
    let received = host.net.stats().received_bytes;
    let outbox = host.net.conn_stats(conn).expect("it lives").outbox_bytes;
    assert!(outbox > 64 * 1024, "more than the low mark waits: {outbox}");
    stays("not read", Duration::from_millis(50), || host.net.stats().received_bytes == received);
    let mut seen = 0;
    host.until("all that was taken", |host| {
        echo(host, conn, &mut waiting);
        peer.has(usize::MAX);
        assert!(sent[seen..].starts_with(&peer.got), "in order");
        seen += peer.got.drain(..).len();
        seen == at
    });
    host.finish();
}

/// Peers that come all at once wait in the system's backlog and are all accepted.
pub fn a_full_backlog(setup: Setup) {
    if !setup.holds(301) {
        return;
    }
    let mut host = setup.host();
    let door = host.door_with("", |endpoint| endpoint.backlog = 300);
    let mut peers: Vec<Peer> = (0..300).map(|_| Peer::connect(door.port)).collect();
    peers.iter_mut().for_each(|peer| peer.put(b"x"));
    host.until("a byte of each", |host| host.count(Kind::Message) == 300);
    assert_eq!(host.net.listener_info(door.listener).expect("it lives").accepted, 300);
    assert_eq!(host.net.stats().accepted, 300);
    host.finish();
}

/// A thousand idle connections wake no worker: three seconds in one poll take at most a few
/// turns.
pub fn a_thousand_idle(setup: Setup) {
    if !setup.holds(1001) {
        return;
    }
    child::alone(setup, || {
        limit_descriptors(4096);
        let mut host = setup.host();
        let door = host.door("?frame=u32be");
        let peers: Vec<Peer> = (0..1000).map(|_| Peer::connect(door.port)).collect();
        host.until("OPENED of each", |host| host.count(Kind::Opened) == 1000);
        // What is left of the opening.
        while host.step(50) > 0 {}
        let (before, begun) = (host.net.stats(), Instant::now());
        assert_eq!(host.step(3000), 0, "nothing comes");
        assert!(begun.elapsed() >= Duration::from_secs(3));
        let after = host.net.stats();
        let (turns, wakes) = (after.turns - before.turns, after.wakes - before.wakes);
        assert!(turns <= 4, "{turns} turns in three seconds");
        assert!(wakes <= 4, "{wakes} wake-ups in three seconds");
        assert_eq!(after.connections, 1000);
        drop(peers);
        host.until("all ends", |host| host.count(Kind::Closed) == 1000);
        host.finish();
    });
}

//! Queues: who gets which events, user_data on them, posts, and one poller at a time.

use crate::common::event::Kind;
use crate::common::host::Host;
use crate::common::peer::Peer;
use crate::common::process::{sleeps, thread_number};
use crate::common::words::*;
use crate::common::{DEADLINE, Setup, endpoint, frame, suite, wait_for};
use sockeye::capi::conn::sockeye_conn;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Instant;

suite! {
    each: user_data_set_at_opened, user_data_of_the_endpoint, posts_in_order,
        posts_with_a_payload, post_wakes_a_poller, one_poller_at_a_time, timeouts_of_poll;
    pool2: spread_evenly, one_queue_for_one_connection, listener_events_of_a_spread,
        pollers_side_by_side, unknown_queues, posts_to_each;
}

/// What is set while handling OPENED is on every later event, though the message had come
/// before: the array ends behind an OPENED (`Rules` looks for it).
pub fn user_data_set_at_opened(setup: Setup) {
    let mut host = setup.host();
    let door = host.door_with("?frame=u32be", |endpoint| endpoint.user_data = 1);
    let mut peers: Vec<Peer> = (0..20).map(|_| Peer::connect(door.port)).collect();
    for peer in &mut peers {
        peer.put(&frame(b"at once"));
        peer.put(&frame(b"and again"));
        peer.fin();
    }
    let end = Instant::now() + DEADLINE;
    while host.count(Kind::Closed) < 20 {
        assert!(Instant::now() < end, "not in time: CLOSED of all");
        let before = host.log.len();
        host.step(2);
        for event in &host.log[before..] {
            if event.kind == Kind::Opened {
                assert_eq!(event.user_data, 1);
                assert_eq!(host.net.set_user_data(event.conn, event.conn.id ^ 77), OK);
            } else {
                assert_eq!(event.user_data, event.conn.id ^ 77, "{event:?}");
            }
        }
    }
    assert_eq!(host.count(Kind::Message), 40);
    host.finish();
}

/// A new connection starts with its endpoint's, and it can be set at any time.
pub fn user_data_of_the_endpoint(setup: Setup) {
    let mut host = setup.host();
    let door = host.door_with("", |endpoint| endpoint.user_data = u64::MAX);
    let (mut peer, conn) = host.meet(door);
    peer.put(b"a");
    host.until("a", |host| host.bytes(conn) == b"a");
    assert_eq!(host.net.set_user_data(conn, 3), OK);
    assert_eq!(host.net.conn_info(conn).expect("it lives").user_data, 3);
    peer.put(b"b");
    host.until("b", |host| host.bytes(conn) == b"ab");
    drop(peer);
    host.closed(conn);
    let stamps: Vec<u64> = host.events_of(conn).map(|event| event.user_data).collect();
    assert_eq!(stamps, [u64::MAX, u64::MAX, 3, 3]);
    host.finish();
}

/// Posts of one thread come in their order, from several threads all of them.
pub fn posts_in_order(setup: Setup) {
    const EACH: u64 = 500;
    let mut host = setup.host();
    let net = &host.net;
    std::thread::scope(|scope| {
        for poster in 0..4 {
            scope.spawn(move || {
                for at in 0..EACH {
                    assert_eq!(net.post(0, at, poster), OK);
                }
            });
        }
    });
    host.until("all posts", |host| host.count(Kind::Posted) as u64 == 4 * EACH);
    for poster in 0..4 {
        let of_one = host.log.iter().filter(|event| event.user_data == poster);
        let details: Vec<u64> = of_one.map(|event| event.detail).collect();
        assert!(details.iter().copied().eq(0..EACH), "in order");
    }
    host.finish();
}

/// A thread that sleeps in poll until its queue has an event; returns how many it got.
fn sleeper(net: &crate::common::net::Net, queue: u32, thread: &AtomicI32) -> usize {
    thread.store(thread_number(), Ordering::SeqCst);
    // SAFETY: no batch of this queue is alive.
    unsafe { net.poll(queue, 8, -1) }.expect("poll answers").raw.len()
}

fn wait_until_asleep(thread: &AtomicI32) {
    wait_for("a poller asleep", || {
        let number = thread.load(Ordering::SeqCst);
        number != 0 && sleeps(number)
    });
}

pub fn post_wakes_a_poller(setup: Setup) {
    if !setup.polls_anywhere() {
        return;
    }
    let host = setup.host();
    for round in 0..20 {
        let thread = AtomicI32::new(0);
        std::thread::scope(|scope| {
            let poller = scope.spawn(|| sleeper(&host.net, 0, &thread));
            wait_until_asleep(&thread);
            assert_eq!(host.net.post(0, round, 0), OK);
            wait_for("the poller's return", || poller.is_finished());
            assert_eq!(poller.join().expect("no panic"), 1);
        });
    }
    host.finish();
}

/// A second thread in the same queue is answered ERR_BUSY, and the first notices nothing.
pub fn one_poller_at_a_time(setup: Setup) {
    let host = setup.host();
    let thread = AtomicI32::new(0);
    std::thread::scope(|scope| {
        let poller = scope.spawn(|| sleeper(&host.net, 0, &thread));
        wait_until_asleep(&thread);
        for timeout in [0, 5, -1] {
            // SAFETY: no batch of this queue is alive.
            let answer = unsafe { host.net.poll(0, 8, timeout) };
            assert_eq!(answer.err(), Some(ERR_BUSY));
        }
        assert!(!poller.is_finished());
        assert_eq!(host.net.post(0, 1, 1), OK);
        wait_for("the poller's return", || poller.is_finished());
        assert_eq!(poller.join().expect("no panic"), 1);
    });
    host.finish();
}

/// Timeout 0 does not wait, others wait for their time when nothing comes.
pub fn timeouts_of_poll(setup: Setup) {
    let mut host = setup.host();
    for timeout in [0, 1, 60] {
        let begun = Instant::now();
        assert_eq!(host.step(timeout), 0);
        let took = begun.elapsed().as_millis() as i32;
        assert!(took >= timeout, "{took} ms of {timeout}");
    }
    host.finish();
}

/// SPREAD: each new connection goes to the queue with the fewest.
pub fn spread_evenly(setup: Setup) {
    let mut host = setup.host();
    let door = host.door_with("", |endpoint| endpoint.queue = QUEUE_SPREAD);
    let met: Vec<(Peer, sockeye_conn)> = (0..20).map(|_| host.meet(door)).collect();
    let of = |host: &Host, queue| host.log.iter().filter(|event| event.queue == queue).count();
    assert_eq!((of(&host, 0), of(&host, 1)), (10, 10));
    for (_, conn) in &met {
        let told = host.events_of(*conn).next().expect("OPENED").queue;
        assert_eq!(host.net.conn_info(*conn).expect("it lives").queue, told);
    }
    host.finish();
}

/// All events of a connection come on its queue (`Rules` looks), and a fixed queue is obeyed.
pub fn one_queue_for_one_connection(setup: Setup) {
    let mut host = setup.host();
    for queue in [0, 1] {
        let door = host.door_with("", |endpoint| endpoint.queue = queue);
        for _ in 0..10 {
            let (mut peer, conn) = host.meet(door);
            host.turn_over(&mut peer, conn);
            drop(peer);
            host.closed(conn);
            assert!(host.events_of(conn).all(|event| event.queue == queue));
        }
    }
    host.finish();
}

/// A spread listener's own events come on queue 0, another's on its queue.
pub fn listener_events_of_a_spread(setup: Setup) {
    let mut host = setup.host();
    let doors = [QUEUE_SPREAD, 1].map(|at| host.door_with("", |endpoint| endpoint.queue = at));
    for (door, queue) in doors.into_iter().zip([0, 1]) {
        assert_eq!(host.net.listener_close(door.listener), OK);
        host.until("LISTENER_CLOSED", |host| {
            let mut events = host.log.iter();
            events.any(|event| event.listener == door.listener && event.queue == queue)
        });
    }
    assert_eq!(host.count(Kind::ListenerClosed), 2);
    host.finish();
}

/// Two threads, each in its own queue, neither in the other's way.
pub fn pollers_side_by_side(setup: Setup) {
    let host = setup.host();
    let threads = [AtomicI32::new(0), AtomicI32::new(0)];
    std::thread::scope(|scope| {
        let net = &host.net;
        let pollers = [0, 1].map(|queue| {
            let thread = &threads[queue as usize];
            scope.spawn(move || sleeper(net, queue, thread))
        });
        threads.iter().for_each(wait_until_asleep);
        assert_eq!(net.post(1, 1, 1), OK);
        wait_for("queue 1's poller", || pollers[1].is_finished());
        assert!(!pollers[0].is_finished());
        assert_eq!(net.post(0, 1, 1), OK);
        wait_for("queue 0's poller", || pollers[0].is_finished());
    });
    host.finish();
}

pub fn unknown_queues(setup: Setup) {
    let mut host = setup.host();
    assert_eq!(host.net.post(2, 1, 1), ERR_INVALID);
    assert_eq!(host.net.queue_flush(2), ERR_INVALID);
    assert_eq!(host.net.wait_handle(2).err(), Some(ERR_INVALID));
    assert_eq!(host.try_step(2, 1, 0), Err(ERR_INVALID));
    let wrong = endpoint(|endpoint| endpoint.queue = 2);
    assert_eq!(host.net.listen("tcp://127.0.0.1:0", Some(&wrong)).err(), Some(ERR_INVALID));
    assert_eq!(host.net.connect("tcp://127.0.0.1:9", Some(&wrong)).err(), Some(ERR_INVALID));
    host.finish();
}

pub fn posts_to_each(setup: Setup) {
    let mut host = setup.host();
    for at in 0..10 {
        assert_eq!(host.net.post(at % 2, u64::from(at), 0), OK);
    }
    host.until("all posts", |host| host.count(Kind::Posted) == 10);
    assert!(host.log.iter().all(|event| event.detail % 2 == u64::from(event.queue)));
    host.finish();
}

/// In order with others, with a copy of the payload, up to half of the queue.
pub fn posts_with_a_payload(setup: Setup) {
    const KIND: u32 = 0x1234;
    let mut host = setup.host_with(|config| config.queue_max_bytes = 64 << 10);
    for number in 0..10_u8 {
        let payload = vec![number; usize::from(number) * 100];
        let numbers = (number.into(), 7);
        assert_eq!(host.net.post_message(0, KIND, numbers, &payload), OK);
        assert_eq!(host.net.post(0, number.into(), 8), OK);
    }
    host.until("all of them", |host| host.count(Kind::Host) == 10);
    for (at, event) in host.log.iter().enumerate() {
        let (number, mail) = (at as u64 / 2, at % 2 == 0);
        assert_eq!(event.kind, if mail { Kind::Host } else { Kind::Posted });
        assert_eq!((event.detail, event.user_data), (number, if mail { 7 } else { 8 }));
        let len = if mail { number as usize * 100 } else { 0 };
        assert_eq!(event.data, vec![number as u8; len]);
    }
    assert_eq!(host.net.post_message(0, KIND, (0, 0), &[0; 32 << 10]), OK);
    assert_eq!(host.net.post_message(0, KIND, (0, 0), b"x"), ERR_AGAIN);
    assert_eq!(host.net.post_message(0, KIND, (0, 0), &[0; (32 << 10) + 1]), ERR_TOO_BIG);
    assert_eq!(host.net.post_message(0, 0xFFF, (0, 0), b"x"), ERR_INVALID);
    assert_eq!(host.net.post_message(9, KIND, (0, 0), b"x"), ERR_INVALID);
    host.until("the long one", |host| host.count(Kind::Host) == 11);
    assert_eq!(host.net.post_message(0, KIND, (0, 0), b"x"), OK);
    host.until("room again", |host| host.count(Kind::Host) == 12);
    host.finish();
}

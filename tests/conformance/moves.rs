//! Moves: a connection changes its queue, with nothing lost, doubled or out of order (`Rules`
//! looks at the two MOVED and at every event's queue).

use crate::common::event::Kind;
use crate::common::host::{Door, Host};
use crate::common::peer::{End, Peer};
use crate::common::process;
use crate::common::words::*;
use crate::common::{Setup, frame, layered_suite, stays};
use sockeye::capi::conn::sockeye_conn;
use std::time::Duration;

layered_suite! {
    queues2: moves_and_goes_on, told_at_once, the_new_queue_waits_for_the_batch, refusals,
        sends_meanwhile, manual_sends_follow, closed_meanwhile, closed_before_it_is_told,
        ended_by_the_peer, deadlines_follow, behind_opened, shut_down_meanwhile, many_at_once,
        a_frame_in_pieces, a_full_queue_is_left_behind;
}

struct Scene {
    host: Host,
    door: Door,
    peer: Peer,
    conn: sockeye_conn,
}

/// A connection on queue 0.
fn scene_with(
    setup: Setup,
    query: &str,
    change: impl FnOnce(&mut sockeye::capi::config::sockeye_config),
) -> Scene {
    let mut host = setup.host_with(change);
    let door = host.door_with(query, |endpoint| endpoint.queue = 0);
    let (peer, conn) = host.meet(door);
    Scene { host, door, peer, conn }
}

fn scene(setup: Setup) -> Scene {
    scene_with(setup, "", |_| {})
}

impl Scene {
    /// Asks for a move to queue 1 and polls queue 0 alone, until it has told MOVED. The batch
    /// with that is alive.
    fn leave(&mut self) {
        self.host.move_to(self.conn, 1);
        let conn = self.conn;
        let left = |host: &Host| host.events_of(conn).any(|event| event.kind == Kind::Moved);
        while !left(&self.host) {
            self.host.step_queue(0, 256, 5);
        }
    }

    /// The kinds of the connection's events on queue 1.
    fn on_new(&self) -> Vec<Kind> {
        let events = self.host.events_of(self.conn).filter(|event| event.queue == 1);
        events.map(|event| event.kind).collect()
    }

    /// Queue 1 is told nothing, while queue 0 is not polled.
    fn nothing_comes(&mut self) {
        let host = &mut self.host;
        stays("nothing on the new queue", Duration::from_millis(60), || {
            host.step_queue(1, 256, 0) == 0
        });
    }
}

/// There and back, with traffic both ways all the time.
pub fn moves_and_goes_on(setup: Setup) {
    let Scene { mut host, mut peer, conn, .. } = scene(setup);
    let mut sent = Vec::new();
    for round in 0..20u8 {
        let queue = 1 - u32::from(round % 2);
        peer.put(&[round, 1]);
        host.moved_to(conn, queue);
        assert_eq!(host.net.conn_info(conn).expect("it lives").queue, queue);
        peer.put(&[round, 2]);
        sent.extend([round, 1, round, 2]);
        host.until("what was sent", |host| host.bytes(conn).len() == sent.len());
        assert_eq!(host.net.send(conn, &[round]), OK);
        assert_eq!(host.read(&mut peer, 1), [round]);
    }
    assert_eq!(host.bytes(conn), sent);
    assert_eq!(host.count(Kind::Moved), 40);
    drop(peer);
    let closed = host.closed(conn);
    assert_eq!((closed.cause, closed.queue), (PEER, 0));
    host.until("a free slot", |host| host.net.stats().connections == 0);
    host.finish();
}

/// The first poll of the new queue that has something gives it.
pub fn told_at_once(setup: Setup) {
    let mut scene = scene(setup);
    scene.leave();
    scene.host.step_queue(0, 256, 0);
    assert_eq!(scene.host.step_queue(1, 256, -1), 1, "MOVED, and no sleep beside it");
    assert_eq!(scene.on_new(), [Kind::Moved]);
    scene.host.finish();
}

/// Until the next poll of the old queue its batch is alive: payloads, `hold`, facts. Only then the
/// new queue is told anything.
pub fn the_new_queue_waits_for_the_batch(setup: Setup) {
    let mut scene = scene(setup);
    scene.peer.put(b"the last");
    let (conn, host) = (scene.conn, &mut scene.host);
    host.until("the last", |host| host.bytes(conn) == b"the last");
    // Its payload is of a batch that is over by now; another one comes with MOVED.
    scene.peer.put(b"of all");
    host.move_to(conn, 1);
    let mut got = Vec::new();
    while !got.contains(&Kind::Moved) {
        let batch = host.batch(5);
        got = (0..batch.raw.len()).map(|at| batch.kind(at)).collect();
        for at in 0..batch.raw.len() {
            if batch.kind(at) == Kind::Message {
                let held = batch.hold(at).expect("its batch is alive");
                assert_eq!((held.bytes(), batch.payload(at)), (&b"of all"[..], &b"of all"[..]));
            }
        }
    }
    scene.peer.put(b" of it");
    scene.nothing_comes();
    let host = &mut scene.host;
    assert_eq!(host.net.conn_info(conn).expect("it is readable").queue, 0);
    assert!(host.net.conn_stats(conn).is_ok());
    host.until("all", |host| host.bytes(conn) == b"the lastof all of it");
    assert_eq!(scene.on_new()[0], Kind::Moved);
    scene.host.finish();
}

pub fn refusals(setup: Setup) {
    let mut scene = scene(setup);
    let conn = scene.conn;
    assert_eq!(scene.host.net.set_queue(conn, 2), ERR_INVALID);
    assert_eq!(scene.host.net.set_queue(conn, u32::MAX), ERR_INVALID);
    assert_eq!(scene.host.net.set_queue(sockeye_conn { id: conn.id + 1 }, 1), ERR_STALE);
    assert_eq!(scene.host.net.set_queue(conn, 0), OK, "it is there");
    let (peer, host) = (&mut scene.peer, &mut scene.host);
    host.turn_over(peer, conn);
    assert_eq!(host.count(Kind::Moved), 0);
    scene.leave();
    for queue in [0, 1] {
        assert_eq!(scene.host.net.set_queue(conn, queue), ERR_BUSY);
    }
    scene.host.until("it is there", |host| host.count(Kind::Moved) == 2);
    scene.host.moved_to(conn, 0);
    assert_eq!(scene.host.net.close(conn, GRACEFUL), OK);
    assert_eq!(scene.host.net.set_queue(conn, 1), ERR_CLOSED);
    drop(scene.peer);
    scene.host.closed(conn);
    scene.host.step(0);
    assert_eq!(scene.host.net.set_queue(conn, 1), ERR_STALE);
    scene.host.finish();
}

/// More than the system takes at once, before, between and after: whole and in order.
pub fn sends_meanwhile(setup: Setup) {
    let mut scene = scene(setup);
    let conn = scene.conn;
    let piece = |at: u8| vec![at; 100_000];
    for at in 0..5 {
        assert_eq!(scene.host.net.send(conn, &piece(at)), OK);
    }
    scene.leave();
    for at in 5..8 {
        assert_eq!(scene.host.net.send(conn, &piece(at)), OK);
    }
    scene.host.until("it is there", |host| host.count(Kind::Moved) == 2);
    assert_eq!(scene.host.net.send(conn, &piece(8)), OK);
    let got = scene.host.read(&mut scene.peer, 900_000);
    assert!(got == (0..9).flat_map(piece).collect::<Vec<u8>>());
    scene.host.finish();
}

/// Flush MANUAL: what waits for a flush of the old queue waits for one of the new queue then.
pub fn manual_sends_follow(setup: Setup) {
    let mut scene = scene_with(setup, "", |config| {
        (config.flush, config.lease_us) = (FLUSH_MANUAL, 1000);
    });
    let conn = scene.conn;
    scene.leave();
    assert_eq!(scene.host.net.send(conn, b"a"), OK);
    // Ends the batch, and is a poll of its queue as yet: it lets go of what was sent before.
    scene.host.step_queue(0, 256, 0);
    let got = scene.host.read(&mut scene.peer, 1);
    assert_eq!(got, b"a");
    assert_eq!(scene.host.net.send(conn, b"b"), OK);
    let (host, peer) = (&scene.host, &mut scene.peer);
    stays("what was sent", Duration::from_millis(60), || {
        let there = host.net.conn_info(conn).expect("it lives").queue == 1;
        if there {
            assert_eq!(host.net.queue_flush(0), OK);
        }
        !peer.has(1)
    });
    assert_eq!(host.net.conn_info(conn).expect("it lives").queue, 1, "it is there by now");
    assert_eq!(host.net.queue_flush(1), OK);
    crate::common::wait_for("what was sent", || peer.has(1));
    assert_eq!(peer.got, b"b");
    scene.host.finish();
}

/// A close between the two MOVED: CLOSED alone comes, once, on the new queue.
pub fn closed_meanwhile(setup: Setup) {
    for how in [GRACEFUL, AT_ONCE] {
        let mut scene = scene(setup);
        let conn = scene.conn;
        scene.leave();
        assert_eq!(scene.host.net.send(conn, b"bye"), OK);
        assert_eq!(scene.host.net.close(conn, how), OK);
        if how == GRACEFUL {
            let (got, end) = scene.host.read_to_end(&mut scene.peer);
            assert_eq!((&got[..], end), (&b"bye"[..], End::Fin));
        }
        drop(scene.peer);
        let closed = scene.host.closed(conn);
        assert_eq!((closed.cause, closed.queue), (HOST, 1));
        assert_eq!(scene.host.kinds_of(conn), [Kind::Opened, Kind::Moved, Kind::Closed]);
        scene.host.until("a free slot", |host| host.net.stats().connections == 0);
        scene.host.finish();
    }
}

/// A close before the old queue was polled: neither MOVED is reported, and no event waits for it.
pub fn closed_before_it_is_told(setup: Setup) {
    let mut scene = scene(setup);
    let conn = scene.conn;
    for _ in 0..20 {
        let (peer, conn) = scene.host.meet(scene.door);
        scene.host.move_to(conn, 1);
        assert_eq!(scene.host.net.close(conn, AT_ONCE), OK);
        let closed = scene.host.closed(conn);
        assert_eq!(closed.cause, HOST);
        assert_eq!(scene.host.kinds_of(conn), [Kind::Opened, Kind::Closed]);
        drop(peer);
    }
    // The same with MOVED in the queue for sure: a post behind it shows that it was there.
    scene.host.move_to(conn, 1);
    let queued = |host: &Host| host.net.stats().queued_bytes > 0;
    crate::common::wait_for("MOVED in the queue", || queued(&scene.host));
    assert_eq!(scene.host.net.close(conn, AT_ONCE), OK);
    // One poll that waits for more must not keep the other queue waiting.
    let net = scene.host.net.clone();
    std::thread::scope(|scope| {
        // SAFETY: no batch of this queue is looked at any more.
        let poller = scope.spawn(move || unsafe { net.poll(0, 8, -1) }.map(|it| it.raw.len()));
        let host = &mut scene.host;
        crate::common::wait_for("CLOSED on the new queue", || {
            host.step_queue(1, 256, 1);
            host.is_closed(conn)
        });
        assert_eq!(host.net.post(0, 1, 1), OK);
        assert_eq!(poller.join().expect("no panic"), Ok(1));
    });
    assert_eq!(scene.host.kinds_of(conn), [Kind::Opened, Kind::Closed]);
    scene.host.finish();
}

/// The peer's end or reset between the two MOVED is reported behind the second.
pub fn ended_by_the_peer(setup: Setup) {
    for (resets, cause) in [(false, PEER), (true, RESET)] {
        if resets && !setup.resets() {
            return;
        }
        let mut scene = scene(setup);
        let conn = scene.conn;
        scene.leave();
        scene.peer.put(b"late");
        if resets {
            scene.peer.reset()
        } else {
            drop(scene.peer)
        }
        stays("nothing on the new queue", Duration::from_millis(60), || {
            scene.host.step_queue(1, 256, 0) == 0
        });
        let closed = scene.host.closed(conn);
        assert_eq!(closed.queue, 1);
        // A system that ends what it should reset may tell of either.
        let ended = resets && !process::resets() && closed.cause == PEER;
        assert!(closed.cause == cause || ended, "{closed:?}");
        let kinds = scene.host.kinds_of(conn);
        assert_eq!(kinds[..3], [Kind::Opened, Kind::Moved, Kind::Moved]);
        if !resets {
            assert_eq!(scene.host.bytes(conn), b"late");
        }
        scene.host.until("a free slot", |host| host.net.stats().connections == 0);
        scene.host.finish();
    }
}

/// The new worker keeps the deadlines, and the old one has forgotten them.
pub fn deadlines_follow(setup: Setup) {
    let mut host = setup.host();
    let door = host.door_with("", |endpoint| {
        (endpoint.queue, endpoint.idle_timeout_ms) = (0, 500);
    });
    let (mut peer, conn) = host.meet(door);
    host.moved_to(conn, 1);
    for at in 0..10 {
        // Longer in all than the deadline, none of the pauses is.
        stays("open", Duration::from_millis(60), || {
            host.step(1);
            !host.is_closed(conn)
        });
        peer.put(&[at]);
    }
    let closed = host.closed(conn);
    assert_eq!((closed.cause, closed.queue), (TIMEOUT_IDLE, 1));
    assert_eq!(host.bytes(conn).len(), 10);
    host.finish();
}

/// One that is still connecting: OPENED and MOVED on the old queue.
pub fn behind_opened(setup: Setup) {
    let Scene { mut host, door, .. } = scene(setup);
    let url = format!("tcp://127.0.0.1:{}", door.port);
    let conn = host.connect_with(&url, |endpoint| endpoint.queue = 0);
    host.move_to(conn, 1);
    host.until("it is there", |host| host.events_of(conn).count() == 3);
    assert_eq!(host.kinds_of(conn), [Kind::Opened, Kind::Moved, Kind::Moved]);
    let refused = Peer::connect(door.port).address().port();
    let conn = host.connect_with(&format!("tcp://127.0.0.1:{refused}"), |endpoint| {
        endpoint.queue = 0;
    });
    // It may be refused before it is asked to move.
    assert!([OK, ERR_CLOSED].contains(&host.net.set_queue(conn, 1)));
    let closed = host.closed(conn);
    assert_eq!((closed.cause, closed.queue), (REFUSED, 0), "never opened, never moved");
    host.finish();
}

/// A shutdown does not wait for a batch: MOVED and CLOSED come on the new queue.
pub fn shut_down_meanwhile(setup: Setup) {
    for timeout in [0, 2000] {
        let mut scene = scene(setup);
        let conn = scene.conn;
        scene.leave();
        let (_peer, asked) = scene.host.meet(scene.door);
        scene.host.move_to(asked, 1);
        assert_eq!(scene.host.net.shutdown(timeout), OK);
        scene.host.drain();
        let kinds = scene.host.kinds_of(conn);
        assert_eq!(kinds, [Kind::Opened, Kind::Moved, Kind::Moved, Kind::Closed]);
        assert_eq!(scene.host.closed(conn).cause, SHUTDOWN);
        assert_eq!(scene.host.closed(asked).cause, SHUTDOWN);
        scene.host.finish();
    }
}

/// Many, again and again, while their peers write numbers.
pub fn many_at_once(setup: Setup) {
    const ALL: usize = 24;
    let mut host = setup.host();
    let door = host.door_with("?frame=u32be", |endpoint| endpoint.queue = QUEUE_SPREAD);
    let mut met: Vec<(Peer, sockeye_conn)> = (0..ALL).map(|_| host.meet(door)).collect();
    host.echo = true;
    for round in 0..30u32 {
        for (at, (peer, conn)) in met.iter_mut().enumerate() {
            peer.put(&frame(&round.to_be_bytes()));
            let info = host.net.conn_info(*conn).expect("it lives");
            let to = 1 - info.queue;
            if !(at + round as usize).is_multiple_of(3) && host.net.set_queue(*conn, to) == OK {
                host.expect_move(*conn, to);
            }
        }
        host.step(1);
    }
    let numbers: Vec<u8> = (0..30u32).flat_map(|it| frame(&it.to_be_bytes())).collect();
    for (peer, conn) in &mut met {
        assert_eq!(host.read(peer, numbers.len()), numbers, "there and back, in order");
        assert_eq!(host.messages(*conn).len(), 30);
    }
    assert!(host.count(Kind::Moved) > ALL, "they moved");
    met.clear();
    host.until("all closed", |host| host.count(Kind::Closed) == ALL);
    host.until("free slots", |host| host.net.stats().connections == 0);
    host.finish();
}

/// A frame of which a part came before, a part meanwhile and a part after.
pub fn a_frame_in_pieces(setup: Setup) {
    for meanwhile in [60_000, 99_004] {
        let mut scene = scene_with(setup, "?frame=u32be", |_| {});
        let conn = scene.conn;
        let payload: Vec<u8> = (0..100_000u32).map(|at| (at % 251) as u8).collect();
        let bytes = frame(&payload);
        let received = |host: &Host| host.net.conn_stats(conn).expect("it lives").received_bytes;
        scene.host.write(&mut scene.peer, &bytes[..1000]);
        let written = scene.peer.written();
        scene.host.until("a part", |host| received(host) == written);
        scene.leave();
        let mut rest = &bytes[1000..1000 + meanwhile];
        crate::common::wait_for("room at the peer", || {
            rest = &rest[scene.peer.offer(rest)..];
            rest.is_empty()
        });
        scene.nothing_comes();
        scene.host.until("it is there", |host| host.count(Kind::Moved) == 2);
        scene.host.write(&mut scene.peer, &bytes[1000 + meanwhile..]);
        scene.host.await_messages(conn, 1);
        assert!(scene.host.messages(conn) == [&payload[..]]);
        assert_eq!(scene.host.events_of(conn).last().map(|event| event.queue), Some(1));
        scene.host.finish();
    }
}

/// One that is not read because its queue is full is read again on the new queue.
pub fn a_full_queue_is_left_behind(setup: Setup) {
    const FILL: usize = 2_000_000;
    if !setup.writes_beside() {
        return;
    }
    let mut scene = scene_with(setup, "", |config| config.queue_max_bytes = 256 * 1024);
    let conn = scene.conn;
    let net = scene.host.net.clone();
    let peer = scene.peer.into_stream();
    let bytes: Vec<u8> = (0..FILL).map(|at| (at % 241) as u8).collect();
    std::thread::scope(|scope| {
        use std::io::Write;
        let writer = scope.spawn(|| (&peer).write_all(&bytes).expect("it is read at last"));
        // An eighth of it is all that one connection may fill.
        crate::common::wait_for("its share", || net.stats().queued_bytes >= 32 * 1024);
        scene.host.move_to(conn, 1);
        scene.host.until("all of it", |host| host.bytes(conn).len() == FILL);
        writer.join().expect("no panic");
    });
    assert!(scene.host.bytes(conn) == bytes, "in order, none lost");
    let last = scene.host.events_of(conn).last().map(|event| event.queue);
    assert_eq!(last, Some(1), "it was not all there before");
    scene.host.finish();
}

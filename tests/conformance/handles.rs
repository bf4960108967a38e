//! Rule 4: handles never lie. A stale, foreign or made-up handle answers ERR_STALE and touches
//! nothing; any thread may close, any number of times.

use crate::common::event::Kind;
use crate::common::message::Message;
use crate::common::net::Net;
use crate::common::peer::Peer;
use crate::common::random::Random;
use crate::common::words::*;
use crate::common::{Setup, suite};
use sockeye::capi::conn::sockeye_conn;
use sockeye::capi::listener::sockeye_listener;
use std::collections::HashSet;
use std::sync::Barrier;

suite! {
    each: stale_after_its_batch, made_up, one_bit_wrong, of_another_net, of_many_nets,
        of_another_kind, closed_twice, closed_by_four_threads, reused_slots_never_reuse_handles;
}

/// What every call on a connection answers.
fn ask_all(net: &Net, conn: sockeye_conn) -> Vec<i32> {
    vec![
        net.send(conn, b"x"),
        net.send_many(&[conn], b"x").1[0],
        net.send_parts(conn, &Message::new(&[b"x"])),
        net.send_parts(conn, &Message::new(&[b"x", b"y"]).key(1)),
        net.close(conn, GRACEFUL),
        net.close(conn, AT_ONCE),
        net.close_with(conn, GRACEFUL, b"x"),
        net.pause(conn),
        net.resume(conn),
        net.set_user_data(conn, 1),
        net.conn_info(conn).map_or_else(|status| status, |_| OK),
        net.conn_stats(conn).map_or_else(|status| status, |_| OK),
    ]
}

fn assert_stale(net: &Net, conn: sockeye_conn) {
    let answers = ask_all(net, conn);
    assert!(answers.iter().all(|&status| status == ERR_STALE), "{conn:?} answers {answers:?}");
}

/// Rule 4: a handle is stale once the batch with its CLOSED has ended.
pub fn stale_after_its_batch(setup: Setup) {
    let mut host = setup.host();
    let door = host.door("");
    let (peer, conn) = host.meet(door);
    drop(peer);
    host.closed(conn);
    host.step(0);
    assert_stale(&host.net, conn);
    host.finish();
}

/// Rule 4: numbers out of the air touch nothing.
pub fn made_up(setup: Setup) {
    let mut host = setup.host();
    let door = host.door("");
    let (mut peer, conn) = host.meet(door);
    let mut random = Random::new(4);
    for _ in 0..10_000 {
        let id = random.next();
        assert_stale(&host.net, sockeye_conn { id });
        assert_eq!(host.net.listener_close(sockeye_listener { id }), ERR_STALE);
        let info = host.net.listener_info(sockeye_listener { id });
        assert_eq!(info.err(), Some(ERR_STALE));
    }
    for id in [0, 1, u64::MAX] {
        assert_stale(&host.net, sockeye_conn { id });
        assert_eq!(host.net.listener_close(sockeye_listener { id }), ERR_STALE);
    }
    host.turn_over(&mut peer, conn);
    host.meet(door);
    host.finish();
}

/// Rule 4: a live handle with any one bit turned is another handle.
pub fn one_bit_wrong(setup: Setup) {
    let mut host = setup.host();
    let door = host.door("");
    let (mut peer, conn) = host.meet(door);
    for bit in 0..64 {
        assert_stale(&host.net, sockeye_conn { id: conn.id ^ (1 << bit) });
        let wrong = sockeye_listener { id: door.listener.id ^ (1 << bit) };
        assert_eq!(host.net.listener_close(wrong), ERR_STALE, "bit {bit}");
    }
    host.turn_over(&mut peer, conn);
    host.meet(door);
    host.finish();
}

/// Rule 4: a handle of another net is stale here, and alive there.
pub fn of_another_net(setup: Setup) {
    let mut host = setup.host();
    let mut other = setup.host();
    let door = host.door("");
    let foreign_door = other.door("");
    let (mut peer, conn) = host.meet(door);
    let (mut far, foreign) = other.meet(foreign_door);
    assert_stale(&host.net, foreign);
    assert_stale(&other.net, conn);
    assert_eq!(host.net.listener_close(foreign_door.listener), ERR_STALE);
    host.turn_over(&mut peer, conn);
    other.turn_over(&mut far, foreign);
    other.finish();
    host.turn_over(&mut peer, conn);
    host.finish();
}

/// Rule 4: however many nets a process makes, one after the other, a handle is of one of them.
pub fn of_many_nets(setup: Setup) {
    let mut host = setup.host();
    let door = host.door("");
    let (mut peer, conn) = host.meet(door);
    let mut former = Vec::new();
    for _ in 0..260 {
        let mut other = setup.host_with(|config| config.connections_max = 16);
        let other_door = other.door("").listener;
        assert_stale(&other.net, conn);
        assert_eq!(other.net.listener_close(door.listener), ERR_STALE);
        assert_eq!(host.net.listener_close(other_door), ERR_STALE);
        for &listener in &former {
            assert_eq!(other.net.listener_info(listener).err(), Some(ERR_STALE));
        }
        former.push(other_door);
        other.finish();
    }
    host.turn_over(&mut peer, conn);
    host.meet(door);
    host.finish();
}

/// Rule 4: a listener is no connection and the other way round.
pub fn of_another_kind(setup: Setup) {
    let mut host = setup.host();
    let door = host.door("");
    let (mut peer, conn) = host.meet(door);
    assert_stale(&host.net, sockeye_conn { id: door.listener.id });
    let wrong = sockeye_listener { id: conn.id };
    assert_eq!(host.net.listener_close(wrong), ERR_STALE);
    assert_eq!(host.net.listener_info(wrong).err(), Some(ERR_STALE));
    host.turn_over(&mut peer, conn);
    host.meet(door);
    host.finish();
}

/// Rule 4: OK, then ERR_CLOSED, then ERR_STALE.
pub fn closed_twice(setup: Setup) {
    let mut host = setup.host();
    let door = host.door("");
    let (_peer, conn) = host.meet(door);
    assert_eq!(host.net.close(conn, AT_ONCE), OK);
    for how in [AT_ONCE, GRACEFUL] {
        let status = host.net.close(conn, how);
        assert_eq!(status, ERR_CLOSED);
    }
    assert_eq!(host.net.send(conn, b"x"), ERR_CLOSED);
    assert_eq!(host.closed(conn).cause, HOST);
    assert_eq!(host.net.close(conn, AT_ONCE), ERR_CLOSED, "while its batch lives");
    host.step(0);
    assert_stale(&host.net, conn);
    host.finish();
}

/// Rule 4: of four threads that close at once one is answered OK, and there is one CLOSED.
pub fn closed_by_four_threads(setup: Setup) {
    let mut host = setup.host();
    let door = host.door("");
    for round in 0..30 {
        let (_peer, conn) = host.meet(door);
        let how = [GRACEFUL, AT_ONCE][round % 2];
        let barrier = Barrier::new(4);
        let net = &host.net;
        let answers: Vec<i32> = std::thread::scope(|scope| {
            let close = || {
                barrier.wait();
                net.close(conn, how)
            };
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(close)).collect();
            threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
        });
        let count = |wanted| answers.iter().filter(|&&status| status == wanted).count();
        assert_eq!((count(OK), count(ERR_CLOSED)), (1, 3), "{answers:?}");
        drop(_peer);
        assert_eq!(host.closed(conn).cause, HOST);
    }
    assert_eq!(host.count(Kind::Closed), 30);
    host.finish();
}

/// Rule 4: 5,000 connections through 32 slots. No handle comes twice, old ones stay stale, and
/// what a peer says reaches its own connection.
pub fn reused_slots_never_reuse_handles(setup: Setup) {
    if !setup.resets() {
        return;
    }
    const ROUNDS: u32 = 250;
    let mut host = setup.host_with(|config| config.connections_max = 32);
    let door = host.door("");
    let mut handles = HashSet::new();
    for round in 0..ROUNDS {
        host.log.clear();
        let mut peers: Vec<Peer> = (0..20).map(|_| Peer::connect(door.port)).collect();
        let mut words = HashSet::new();
        for (at, peer) in peers.iter_mut().enumerate() {
            let word = [round.to_be_bytes(), (at as u32).to_be_bytes()].concat();
            peer.put(&word);
            words.insert(word);
        }
        host.until("each word", |host| host.count(Kind::Message) == 20);
        for event in &host.log {
            if event.kind == Kind::Message {
                assert!(words.remove(&event.data), "a word of this round, once: {event:?}");
                assert!(event.conn.id & 0xFF_FFFF < 32, "an index below connections_max");
                assert!(handles.insert(event.conn.id), "a handle comes once");
            }
        }
        peers.into_iter().for_each(Peer::reset);
        host.until("each end", |host| host.count(Kind::Closed) == 20);
        host.step(0);
    }
    assert_eq!(handles.len(), 20 * ROUNDS as usize);
    for &id in &handles {
        assert_stale(&host.net, sockeye_conn { id });
    }
    host.finish();
}

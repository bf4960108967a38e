//! Single cases, each turn by turn.

use super::conn_log::Style;
use super::stage::{Stage, plain};
use super::told::{Told, What, poll};
use super::wire::Wire;
use super::{open, threadless};
use crate::engine::{CloseHow, Config, Drive, Endpoint, Error, Kind};
use crate::io::Token;
use crate::io::sim::{ACCEPT_ERRORS, AcceptError, Answer, Ending, Faults, Peer, World};
use crate::session::{Cause, Limits, Overflow};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// More than any window.
const WIDE: usize = 1 << 20;

pub fn causes(told: &[Told]) -> Vec<(Token, Cause)> {
    let cause = |told: &Told| match told.what {
        What::Closed(cause, _) => Some((told.token, cause)),
        _ => None,
    };
    told.iter().filter_map(cause).collect()
}

pub fn messages(told: &[Told]) -> usize {
    told.iter().filter(|told| matches!(told.what, What::Message(..))).count()
}

fn opened(told: &[Told]) -> usize {
    told.iter().filter(|told| matches!(told.what, What::Opened(_))).count()
}

#[test]
fn no_error_of_accept_ends_a_listener() {
    for error in ACCEPT_ERRORS {
        let mut stage = Stage::plain();
        let listener = stage.listen(plain());
        stage.soon();
        stage.world.fail_accept(listener, error);
        stage.soon();
        stage.client(listener, WIDE);
        let goes_on = matches!(error, AcceptError::Aborted | AcceptError::Protocol);
        let turns = stage.net.stats().turns;
        assert_eq!(opened(&stage.soon()), usize::from(goes_on), "{error:?}");
        assert!(stage.net.stats().turns - turns < 100, "{error:?}: a turn for each poll");
        assert_eq!(stage.net.stats().accept_failures, 1, "{error:?}: it is asked once");
        stage.pass(99);
        assert_eq!(opened(&stage.soon()), 0, "{error:?}: too early");
        stage.pass(10);
        assert_eq!(opened(&stage.soon()), usize::from(!goes_on), "{error:?}");
    }
}

#[test]
fn a_shortage_is_asked_about_ever_more_rarely() {
    let mut stage = Stage::plain();
    let listener = stage.listen(plain());
    let mut tries = Vec::new();
    for at in 0..6000 {
        stage.world.fail_accept(listener, AcceptError::Process);
        let before = stage.net.stats().accept_failures;
        stage.polls(1, 1);
        if stage.net.stats().accept_failures > before {
            tries.push(at);
        }
        stage.pass(1);
    }
    let waits: Vec<u64> = tries.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(waits.iter().zip([100, 200, 400, 800, 1000]).all(|(wait, least)| *wait >= least));
    assert!(tries.len() <= 9, "{waits:?}");
}

#[test]
fn connections_of_an_accept_that_was_cancelled_open_before_the_listener_closes() {
    // Whether the cancelled accept happened is drawn: more than once is enough.
    let (mut brought, mut none) = (0, 0);
    for seed in 0..40 {
        let faults = Faults { delay: 4, ..Faults::default() };
        let mut stage = Stage::seeded(seed, threadless(), faults);
        let listener = stage.listen(plain());
        stage.polls(seed as usize % 4, 1);
        stage.client(listener, WIDE);
        assert_eq!(stage.net.listener_close(listener), Ok(()));
        stage.ledger.listeners.get_mut(&listener).expect("ours").shut = true;
        let told = stage.soon();
        assert!(stage.ledger.listeners[&listener].told);
        if opened(&told) > 0 {
            brought += 1;
        } else {
            none += 1;
        }
    }
    assert!(brought > 0 && none > 0, "{brought} brought a connection, {none} none");
}

#[test]
fn a_slot_waits_for_its_model_and_for_its_batch() {
    let late = Faults { delay: 30, late: 100, ..Faults::default() };
    let mut stage = Stage::plain();
    let (token, _) = stage.pair(plain(), WIDE);
    stage.world.set_faults(late);
    stage.ledger.close(&stage.net, token, CloseHow::Reset, None);
    let told = stage.polls(1, 1);
    assert_eq!(causes(&told), [(token, Cause::Host)], "told at once");
    assert!(stage.net.conn_info(token).is_ok(), "its batch lives");
    stage.polls(1, 1);
    stage.ledger.poke_stale(&stage.net, token);
    assert_eq!(stage.net.core.table.tokens().len(), 2, "the model still has the socket");
    stage.polls(100, 1);
    assert_eq!(stage.net.core.table.tokens().len(), 1, "only the listener is left");
}

#[test]
fn a_kicked_player_gets_the_last_message_with_unread_input() {
    let mut stage = Stage::plain();
    let (token, link) = stage.pair(plain(), 10);
    for _ in 0..50 {
        stage.ledger.peers[link].send(1000);
    }
    stage.ledger.close(&stage.net, token, CloseHow::Graceful, Some(b"you are out"));
    let mut told = Vec::new();
    for _ in 0..60 {
        told.extend(stage.polls(1, 64));
        stage.ledger.read(link, 1);
        if stage.ledger.peers[link].peer.ending() == Ending::Ended {
            stage.ledger.peers[link].end();
        }
    }
    assert_eq!(causes(&told), [(token, Cause::Host)]);
    assert!(stage.ledger.conns[&token].has_all_arrived());
    assert_eq!(stage.ledger.peers[link].peer.ending(), Ending::Ended, "in order, no reset");
}

#[test]
fn a_player_who_never_ends_loses_nothing_when_the_linger_is_over() {
    let mut stage = Stage::plain();
    let (token, link) = stage.pair(plain(), WIDE);
    stage.ledger.close(&stage.net, token, CloseHow::Graceful, None);
    stage.pass(1990);
    assert!(causes(&stage.soon()).is_empty(), "too early");
    stage.pass(200);
    assert_eq!(causes(&stage.soon()), [(token, Cause::TimeoutLinger)]);
    assert_eq!(stage.ledger.peers[link].peer.ending(), Ending::Ended, "all was sent");
}

#[test]
fn a_reply_behind_the_peers_end_arrives() {
    let mut stage = Stage::plain();
    let (token, link) = stage.pair(plain(), WIDE);
    stage.ledger.peers[link].send(20);
    stage.ledger.peers[link].end();
    let told = stage.polls(3, 64);
    assert_eq!((messages(&told), causes(&told)), (1, vec![(token, Cause::Peer)]));
    stage.send(token, b"a reply");
    stage.soon();
    stage.ledger.read(link, WIDE);
    assert!(stage.ledger.conns[&token].has_all_arrived());
    assert_eq!(stage.ledger.peers[link].peer.ending(), Ending::Ended);
    stage.ledger.poke_stale(&stage.net, token);
}

/// No thread polls while four peers send on: their windows close. Later all of it comes.
#[test]
fn a_host_that_stalls_is_not_flooded() {
    // One alone fills an eighth of the queue.
    let (queue_max_bytes, turn_bytes, clients) = (64 << 10, 4096, 10);
    let drive = Drive::Pool;
    let config = Config { queue_max_bytes, turn_bytes, drive, workers: Some(1), ..threadless() };
    let world = World::new(1, Faults::default());
    let net = open(&world, config);
    let mut id = 0;
    net.listen("tcp://127.0.0.1:0?frame=u32be", Endpoint::default(), |given| id = given).unwrap();
    let listener = net.token(id, Kind::Listener).unwrap();
    let frames = 100;
    let peers: Vec<Peer> =
        (0..clients).map(|_| world.connect(listener, WIDE).expect("it listens")).collect();
    for peer in &peers {
        for _ in 0..frames {
            peer.write(&Wire::U32.frame(&[1; 1000]));
        }
    }
    let bound = queue_max_bytes + clients * (u64::from(turn_bytes) + 1000 + 10 * 64);
    let until = Instant::now() + Duration::from_secs(10);
    while net.stats().queued_bytes < queue_max_bytes {
        assert!(Instant::now() < until, "the queue is never full");
    }
    let mut told = 0;
    while told < frames * clients {
        let queued = net.stats().queued_bytes;
        assert!(queued <= bound, "{queued} bytes queued, {bound} max");
        assert!(Instant::now() < until, "{told} messages, then none");
        told += messages(&poll(&net, 7, Duration::from_millis(1)).unwrap()) as u64;
    }
    assert_eq!(net.shutdown(Duration::ZERO), Ok(()));
}

#[test]
fn a_receive_without_memory_waits_for_some() {
    let config = Config { memory_max_bytes: 1 << 20, ..threadless() };
    let mut stage = Stage::new(config, Faults { lavish: true, ..Faults::default() });
    let (_, link) = stage.pair(plain(), WIDE);
    let hog = stage.net.acquire((1 << 20) - 60_000).expect("the pool is empty");
    stage.ledger.peers[link].send(500);
    assert_eq!(messages(&stage.soon()), 0, "there is no chunk to receive into");
    drop(hog);
    assert_eq!(messages(&stage.soon()), 1);
}

#[test]
fn a_refused_send_is_followed_by_one_writable() {
    let limits = Limits { outbox_max_bytes: 1024, outbox_low_bytes: 100, ..Limits::default() };
    let mut stage = Stage::plain();
    let (token, link) = stage.pair(Style { limits, ..plain() }, 10);
    for _ in 0..10 {
        stage.send(token, &[1; 300]);
        stage.polls(1, 64);
    }
    let refused = 7;
    let mut told = Vec::new();
    for _ in 0..200 {
        stage.ledger.read(link, 10);
        told.extend(stage.polls(1, 64));
    }
    let writable: Vec<u32> = told
        .iter()
        .filter_map(|told| match told.what {
            What::Writable(refused) => Some(refused),
            _ => None,
        })
        .collect();
    assert_eq!(writable, [refused]);
    assert!(stage.ledger.conns[&token].has_all_arrived());
}

/// What is queued of a closed connection is passed over, and what is behind it is reported at once.
#[test]
fn a_poll_passes_over_what_the_host_closed() {
    let mut stage = Stage::plain();
    let listener = stage.listen(plain());
    let links = [stage.client(listener, WIDE), stage.client(listener, WIDE)];
    stage.soon();
    let [closed, other] = links.map(|link| stage.world.token_of(link).expect("accepted"));
    for _ in 0..5 {
        stage.ledger.peers[links[0]].send(10);
    }
    assert_eq!(messages(&stage.polls(1, 1)), 1, "the others are pending");
    stage.ledger.close(&stage.net, closed, CloseHow::Graceful, None);
    stage.ledger.peers[links[1]].send(10);
    let told = stage.polls(1, 64);
    assert!(told.len() == 1 && told[0].token == other, "{told:?}");
}

#[test]
fn a_second_address_is_tried_and_a_timeout_ends_it_once() {
    let style = plain();
    let mut stage = Stage::plain();
    let second: SocketAddr = "[::1]:9".parse().expect("an address");
    stage.world.set_door(second, Answer::Accept);
    let token = stage.dial("tcp://localhost:9", style);
    assert_eq!(opened(&stage.soon()), 1, "the second address answers");
    let link = stage.meet(style);
    stage.send(token, b"hello");
    stage.soon();
    stage.ledger.read(link, WIDE);
    assert!(stage.ledger.conns[&token].has_all_arrived());
    // The first address fails in the turn in which the time is over.
    let late = stage.dial("tcp://localhost:9", style);
    stage.pass(20_000);
    let told = stage.soon();
    assert!(causes(&told).iter().all(|(token, _)| *token == late), "{told:?}");
    let _ = stage.world.incoming();
    let closed = stage.dial("tcp://127.0.0.1:10", style);
    assert_eq!(causes(&stage.soon()), [(closed, Cause::Refused)]);
}

#[test]
fn a_stream_that_is_no_stream_closes_with_its_cause() {
    for (wire, cause) in [(Wire::U32, Cause::LimitFrame), (Wire::Varint, Cause::Protocol)] {
        let mut stage = Stage::plain();
        let (token, link) = stage.pair(Style { wire, ..plain() }, WIDE);
        stage.ledger.peers[link].send(100);
        stage.ledger.peers[link].send_garbage();
        let told = stage.soon();
        assert_eq!((messages(&told), causes(&told)), (1, vec![(token, cause)]), "{wire:?}");
    }
}

#[test]
fn an_outbox_that_overflows_closes_where_that_is_asked_for() {
    let overflow = Overflow::Close;
    let limits =
        Limits { outbox_max_bytes: 1024, outbox_low_bytes: 1, overflow, ..Limits::default() };
    let mut stage = Stage::plain();
    let (token, _) = stage.pair(Style { limits, ..plain() }, 10);
    for _ in 0..5 {
        stage.send(token, &[1; 300]);
    }
    assert_eq!(causes(&stage.soon()), [(token, Cause::LimitOutbox)]);
}

#[test]
fn what_a_model_has_no_room_for_is_told() {
    let mut stage = Stage::new(threadless(), Faults { sockets: 1, ..Faults::default() });
    stage.listen(plain());
    stage.soon();
    let dialled = stage.dial("tcp://127.0.0.1:1", plain());
    assert_eq!(causes(&stage.soon()), [(dialled, Cause::LimitModel)]);
}

#[test]
fn shutdown_does_not_wait_for_nothing() {
    let long = Duration::from_secs(20);
    // With nothing at all; with a connection whose CLOSED was reported long ago; with a polite one.
    for story in 0..3 {
        let mut stage = Stage::new(threadless(), Faults { at_once: 100, ..Faults::default() });
        if story > 0 {
            let (token, link) = stage.pair(plain(), 10);
            if story == 1 {
                stage.ledger.peers[link].end();
                stage.polls(3, 64);
                stage.send(token, &[1; 100]);
                stage.polls(2, 64);
            }
        }
        stage.world.be_polite();
        stage.ledger.over = true;
        let began = Instant::now();
        assert_eq!(stage.net.shutdown(long), Ok(()));
        assert!(began.elapsed() < long / 2, "story {story}: {:?}", began.elapsed());
        let error = loop {
            match stage.ledger.poll(&stage.net, 64, Duration::ZERO) {
                Ok(_) => {}
                Err(error) => break error,
            }
        };
        assert_eq!(error, Error::Shutdown);
        stage.ledger.look_at_end();
    }
}

/// The connect succeeds while it is cancelled, and the net is shut down in order meanwhile.
#[test]
fn a_reset_stays_one_when_the_net_is_shut_down() {
    let mut resets = 0;
    for seed in 0..30 {
        let faults = Faults { delay: 8, ..Faults::default() };
        let mut stage = Stage::seeded(seed, threadless(), faults);
        stage.world.set_door(SocketAddr::from(([127, 0, 0, 1], 1)), Answer::Accept);
        let token = stage.dial("tcp://127.0.0.1:1", plain());
        stage.polls(1, 64);
        stage.ledger.close(&stage.net, token, CloseHow::Reset, None);
        stage.polls(1, 64);
        stage.world.be_polite();
        stage.ledger.over = true;
        assert_eq!(stage.net.shutdown(Duration::from_secs(20)), Ok(()));
        if let Some(peer) = stage.world.incoming() {
            assert_eq!(peer.ending(), Ending::Reset, "seed {seed}");
            resets += 1;
        }
    }
    assert!(resets > 0, "none was connected while it was cancelled");
}

#[test]
fn shutdown_ends_what_never_ends() {
    let mut stage = Stage::plain();
    let (token, link) = stage.pair(plain(), 10);
    stage.send(token, &[1; 100]);
    stage.ledger.over = true;
    let began = Instant::now();
    assert_eq!(stage.net.shutdown(Duration::from_millis(30)), Ok(()));
    let took = began.elapsed();
    assert!(took >= Duration::from_millis(30) && took < Duration::from_secs(5), "{took:?}");
    let told = stage.ledger.poll(&stage.net, 64, Duration::ZERO).expect("events are left");
    assert_eq!(causes(&told), [(token, Cause::Shutdown)]);
    assert_eq!(stage.ledger.peers[link].peer.ending(), Ending::Reset);
}

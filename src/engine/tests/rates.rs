//! Rates: what moves in a time, to the byte, and who is too slow.

use super::cases::{causes, messages};
use super::stage::{Stage, plain};
use super::threadless;
use crate::engine::{CloseHow, Config};
use crate::io::Token;
use crate::io::sim::Faults;
use crate::session::Cause;

/// More than any window.
const WIDE: usize = 1 << 20;
const RATE: u64 = 4096;
/// What one receive may bring, and so be too much.
const RECEIVE: u64 = 1024;
/// Of a time in which a connection is looked at.
const STEP_MS: u64 = 5;

fn stage() -> Stage {
    let config = Config { turn_bytes: RECEIVE as u32, ..threadless() };
    Stage::new(config, Faults::default())
}

/// Bytes received and sent so far.
fn moved(stage: &Stage, token: Token) -> [u64; 2] {
    let mut held = stage.net.core.table.hold(token).expect("it lives");
    let conn = held.conn().expect("a connection");
    [conn.received_bytes, conn.sent_bytes]
}

/// What may have moved after a time, and what must have, if there was always more.
fn check(moved: u64, ms: u64, more: u64) {
    let all = RATE + RATE * ms / 1000;
    assert!(moved <= all + more, "{moved} of {all} after {ms} ms");
    assert!(moved + RATE / 8 + more >= all, "only {moved} of {all} after {ms} ms");
}

#[test]
fn a_peer_is_read_at_its_rate() {
    let mut stage = stage();
    let mut style = plain();
    style.limits.receive_rate = RATE as u32;
    let (token, link) = stage.pair(style, WIDE);
    let (other, free) = stage.pair(plain(), WIDE);
    for _ in 0..50 {
        stage.ledger.peers[link].send(1000);
        stage.ledger.peers[free].send(1000);
    }
    let mut told = stage.soon();
    assert_eq!(moved(&stage, other)[0], 50 * 1004, "others are read as ever");
    for ms in (0..8000).step_by(STEP_MS as usize) {
        check(moved(&stage, token)[0], ms, RECEIVE);
        stage.pass(STEP_MS);
        told.extend(stage.polls(3, 64));
    }
    for _ in 0..100 {
        stage.pass(100);
        told.extend(stage.polls(3, 64));
    }
    assert_eq!(messages(&told), 100, "nothing is lost");
    assert_eq!(causes(&told), []);
}

#[test]
fn a_peer_is_sent_to_at_its_rate() {
    let mut stage = stage();
    let mut style = plain();
    style.limits.send_rate = RATE as u32;
    let (token, link) = stage.pair(style, WIDE);
    // Of this length they have no key.
    for _ in 0..40 {
        stage.send(token, &[7; 1001]);
    }
    stage.soon();
    for ms in (0..8000).step_by(STEP_MS as usize) {
        stage.polls(3, 64);
        stage.ledger.read(link, usize::MAX);
        check(moved(&stage, token)[1], ms, 0);
        stage.pass(STEP_MS);
    }
    // The last words go at the same rate.
    stage.ledger.close(&stage.net, token, CloseHow::Graceful, None);
    let mut told = Vec::new();
    for _ in 0..200 {
        stage.pass(STEP_MS);
        told.extend(stage.polls(3, 64));
        stage.ledger.read(link, usize::MAX);
        stage.ledger.peers[link].end();
    }
    told.extend(stage.soon());
    assert_eq!(causes(&told), [(token, Cause::Host)]);
    assert!(stage.ledger.conns[&token].has_all_arrived(), "the last message too");
}

/// The idle timeout counts for a peer that is not read only when nothing of it waits.
#[test]
fn a_peer_that_waits_for_its_rate_is_not_idle() {
    let mut stage = Stage::plain();
    let mut style = plain();
    (style.limits.receive_rate, style.limits.idle_timeout_ms) = (1024, 1000);
    let (token, link) = stage.pair(style, WIDE);
    for _ in 0..4 {
        stage.ledger.peers[link].send(40_000);
    }
    let mut got = messages(&stage.soon());
    for _ in 0..150 {
        stage.pass(700);
        let told = stage.soon();
        got += messages(&told);
        assert_eq!(causes(&told), [], "{got} of 4 were reported");
        if got == 3 {
            break;
        }
    }
    assert_eq!(got, 3, "64 KiB a minute");
    for _ in 0..300 {
        stage.pass(700);
        let told = stage.soon();
        got += messages(&told);
        if let [(closed, Cause::TimeoutIdle)] = causes(&told)[..] {
            return assert_eq!((closed, got), (token, 4), "idle behind the last byte");
        }
    }
    panic!("it is never idle");
}

/// A peer with a message of `len` bytes that writes ten bytes each time, with `gap_ms` between,
/// until it is closed or has written all. What was reported, and how long it took.
fn drip(stage: &mut Stage, link: usize, len: usize, gap_ms: u64) -> (usize, Option<Cause>, u64) {
    stage.ledger.peers[link].begin(len);
    let (mut got, mut ms) = (0, 0);
    loop {
        let told = stage.polls(8, 64);
        got += messages(&told);
        if let Some(&(_, cause)) = causes(&told).first() {
            return (got, Some(cause), ms);
        }
        if !stage.ledger.peers[link].drip(10) {
            return (got + messages(&stage.soon()), None, ms);
        }
        stage.pass(gap_ms);
        ms += gap_ms;
    }
}

#[test]
fn who_sends_a_message_too_slowly_is_closed() {
    for gap_ms in [1, 5, 20, 100] {
        let mut stage = Stage::plain();
        let mut style = plain();
        (style.limits.min_receive_rate, style.limits.min_receive_window_ms) = (1000, 500);
        style.limits.frame_timeout_ms = 0;
        let (_, link) = stage.pair(style, WIDE);
        stage.pass(10_000);
        assert_eq!(causes(&stage.soon()), [], "nothing is due of whom no message began");
        let (got, cause, ms) = drip(&mut stage, link, 5000, gap_ms);
        if gap_ms < 10 {
            assert_eq!((got, cause), (1, None), "ten bytes in {gap_ms} ms are enough");
            stage.pass(10_000);
            assert_eq!(causes(&stage.soon()), [], "between messages it may be silent");
            continue;
        }
        assert_eq!((got, cause), (0, Some(Cause::TimeoutRate)), "each {gap_ms} ms");
        // Each ten bytes put it off by 10 ms.
        let due = 500 * gap_ms / (gap_ms - 10);
        assert!((due - 10..due + gap_ms + 100).contains(&ms), "{ms} ms, {due} are right");
    }
}

/// The clock stands while the host does not read.
#[test]
fn a_pause_makes_no_peer_slow() {
    let mut stage = Stage::plain();
    let mut style = plain();
    (style.limits.min_receive_rate, style.limits.min_receive_window_ms) = (1000, 500);
    let (token, link) = stage.pair(style, WIDE);
    stage.ledger.peers[link].begin(30);
    stage.ledger.peers[link].drip(10);
    stage.soon();
    stage.net.pause(token, true).expect("it is open");
    // One receive was asked for before.
    stage.ledger.peers[link].drip(10);
    stage.soon();
    stage.ledger.peers[link].drip(10);
    for _ in 0..10 {
        stage.pass(1000);
        assert_eq!(causes(&stage.soon()), []);
    }
    stage.net.pause(token, false).expect("it is open");
    stage.soon();
    stage.pass(300);
    assert_eq!(causes(&stage.soon()), [], "some of its window is left");
    stage.ledger.peers[link].pump();
    assert_eq!(messages(&stage.soon()), 1);
}

/// A connection of weight n brings n times as many messages in a turn.
#[test]
fn a_weight_is_a_share_of_a_turn() {
    let config = Config { turn_messages: 5, ..threadless() };
    let mut stage = Stage::new(config, Faults::default());
    let links = [1, 3, 16].map(|weight| {
        let mut style = plain();
        style.weight = weight;
        stage.pair(style, WIDE)
    });
    for _ in 0..200 {
        links.iter().for_each(|&(_, link)| stage.ledger.peers[link].send(8));
    }
    let told = loop {
        let told = stage.polls(1, 1024);
        if !told.is_empty() {
            break told;
        }
    };
    let of = |token| told.iter().filter(|told| told.token == token).count();
    assert_eq!(links.map(|(token, _)| of(token)), [5, 15, 80]);
}

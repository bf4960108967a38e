//! Timers of the host: very many of them, and time that a test has in its hands.

use super::set_micros;
use super::stage::{Stage, plain};
use super::told::{Told, What};
use crate::engine::Kind;
use crate::io::Token;
use std::collections::HashMap;

/// More than any window.
const WIDE: usize = 1 << 20;

fn start(stage: &Stage, after_ms: u32, every_ms: u32, user_data: u64) -> Token {
    let mut id = 0;
    let started = stage.net.start_timer(0, (after_ms, every_ms), user_data, |given| id = given);
    started.expect("there is room");
    stage.net.token(id, Kind::Timer).expect("its own handle")
}

/// Which timers are reported, with the periods that each event stands for.
fn rung(told: &[Told]) -> Vec<(Token, u32)> {
    let rung = |told: &Told| match told.what {
        What::Timer(timer, missed) => Some((timer, 1 + missed)),
        _ => None,
    };
    told.iter().filter_map(rung).collect()
}

/// A hundred thousand at once, some of them stopped: each is reported once, in its millisecond or
/// the turns that follow, 256 a turn, and in the order of their times.
#[test]
fn a_hundred_thousand() {
    const COUNT: u64 = 100_000;
    let mut stage = Stage::plain();
    let after = |number: u64| number * 7919 % 1000;
    let timers: Vec<Token> = (0..COUNT).map(|at| start(&stage, after(at) as u32, 0, at)).collect();
    let mut left = HashMap::new();
    for (number, timer) in (0..COUNT).zip(timers) {
        if number % 5 == 0 {
            assert_eq!(stage.net.stop_timer(timer), Ok(()));
        } else {
            left.insert(timer, after(number));
        }
    }
    let mut last = 0;
    for now in 0..=1000 {
        loop {
            let told = stage.polls(1, 4096);
            assert!(told.len() <= 256, "{} in one turn", told.len());
            for (timer, _) in rung(&told) {
                let due = left.remove(&timer).expect("told once, and not stopped");
                assert!(due == now && due >= last, "{due} at {now}, behind {last}");
                last = due;
            }
            if told.is_empty() {
                break;
            }
        }
        stage.pass(1);
    }
    assert!(left.is_empty(), "{} are not told", left.len());
}

/// More than a turn may fire in one millisecond, and those that were started last are due first.
#[test]
fn in_the_order_of_their_times_within_a_millisecond() {
    const EACH: u64 = 400;
    let mut stage = Stage::plain();
    let mut started = Vec::new();
    for late in (0..4).rev() {
        set_micros(late * 200);
        started.push((0..EACH).map(|at| start(&stage, 10, 0, at)).collect::<Vec<_>>());
    }
    set_micros(900);
    stage.pass(20);
    let mut told = Vec::new();
    while told.len() < 4 * EACH as usize {
        told.extend(rung(&stage.polls(1, 4096)).into_iter().map(|(timer, _)| timer));
    }
    set_micros(0);
    let order: Vec<Token> = started.into_iter().rev().flatten().collect();
    assert!(told == order, "the last that were started come first");
}

/// A hundred thousand that are due in one millisecond do not keep a connection from being served.
#[test]
fn others_are_served_while_many_are_due() {
    let mut stage = Stage::plain();
    let (talker, link) = stage.pair(plain(), WIDE);
    for number in 0..100_000 {
        start(&stage, 10, 10, number);
    }
    stage.pass(15);
    let (mut rings, mut turns) = (0, 0);
    while rings < 100_000 {
        stage.ledger.peers[link].send(20);
        stage.ledger.peers[link].pump();
        let told = stage.polls(1, 1024);
        assert!(rung(&told).len() <= 256);
        assert!(told.iter().any(|told| told.token == talker), "served in each turn");
        rings += rung(&told).len();
        turns += 1;
    }
    assert!(turns < 2000, "{turns} turns");
}

/// A process that was stopped for hours finds one event, and the periods go on as they were.
#[test]
fn a_gap_is_one_event() {
    let mut stage = Stage::plain();
    let timer = start(&stage, 5, 10, 0);
    for gap in [5, 10, 30, 36_000_000, 1, 9, 10] {
        stage.pass(gap);
        let periods = gap / 10 + u64::from(gap == 5 || gap == 9);
        let told = rung(&stage.soon());
        let expected = (periods > 0).then_some((timer, periods as u32));
        assert_eq!(told, Vec::from_iter(expected), "after {gap}");
    }
    assert_eq!(stage.net.stop_timer(timer), Ok(()));
    stage.pass(1000);
    assert_eq!(rung(&stage.soon()), []);
}

/// A deadline of a connection and a timer of the host keep each other from nothing.
#[test]
fn deadlines_go_on_beside_them() {
    let mut stage = Stage::plain();
    let mut style = plain();
    style.limits.idle_timeout_ms = 1000;
    let (silent, _) = stage.pair(style, WIDE);
    let timer = start(&stage, 100, 100, 0);
    let mut rings = 0;
    for _ in 0..9 {
        stage.pass(100);
        let told = stage.soon();
        rings += rung(&told).len();
        assert_eq!(super::cases::causes(&told), []);
    }
    stage.pass(300);
    let told = stage.soon();
    assert_eq!(super::cases::causes(&told).first().map(|told| told.0), Some(silent));
    assert_eq!((rings, rung(&told)), (9, vec![(timer, 3)]));
}

//! Deadlines: who is late, who is not, and what many of them cost the others.

use super::cases::{causes, messages};
use super::stage::{Stage, plain};
use super::{STEPS, TIMERS, now, threadless};
use crate::engine::shared::reminder::Due;
use crate::engine::timers::{EXPIRY_STEPS, TURN_STEPS};
use crate::io::sim::Faults;
use crate::session::Cause;

/// More than any window.
const WIDE: usize = 1 << 20;

/// A peer writes a message.
fn write(stage: &mut Stage, link: usize) {
    stage.ledger.peers[link].send(20);
    stage.ledger.peers[link].pump();
}

/// Five hundred that are late at one time: each turn closes its share of them, and what another one
/// sends is reported in every turn meanwhile.
#[test]
fn others_are_served_while_many_are_late() {
    let mut stage = Stage::plain();
    let mut style = plain();
    let (talker, link) = stage.pair(style, WIDE);
    style.limits.idle_timeout_ms = 1000;
    let listener = stage.listen(style);
    for _ in 0..500 {
        stage.client(listener, WIDE);
        stage.polls(1, 64);
    }
    stage.soon();
    stage.pass(5000);
    let (mut closed, mut turns) = (0, 0);
    while closed < 500 {
        write(&mut stage, link);
        let told = stage.polls(1, 1024);
        let late = causes(&told).len();
        assert!(late <= 256, "{late} in one turn");
        assert!(told.iter().any(|told| told.token == talker), "served in each turn");
        closed += late;
        turns += 1;
        assert!(turns < 20, "{closed} are closed");
    }
    assert!(turns >= 2);
}

/// The steps that turns spend on timers, a millisecond and an echo each, for so many turns; what a
/// peer sends is reported in each.
fn steps(stage: &mut Stage, link: usize, turns: usize) -> Vec<u32> {
    STEPS.take();
    for _ in 0..turns {
        stage.pass(1);
        write(stage, link);
        assert_eq!(messages(&stage.polls(1, 64)), 1, "served in each turn");
    }
    STEPS.take()
}

/// A hundred thousand deadlines of the next hour are pending. A turn steps over those alone that
/// come near: as many in all as are due in the time that passes, not as there are.
#[test]
fn a_turn_costs_the_same_with_a_hundred_thousand_timers() {
    const TIMERS_MOST: u64 = 100_000;
    const HOUR_MS: u64 = 3_600_000;
    for count in [0, 1000, TIMERS_MOST] {
        let mut stage = Stage::plain();
        let (_, link) = stage.pair(plain(), WIDE);
        stage.soon();
        let start = now().expect("set when the stage was made");
        let timers =
            (0..count).map(|it| (Due::Transport(it), start + 10_000 + it * HOUR_MS / count));
        TIMERS.set(timers.collect());
        // The first turn sets them, none is due within these.
        let far = steps(&mut stage, link, 5000);
        let (most, sum) = (far.iter().max(), far.iter().sum::<u32>());
        // Of those whose slots begin: in 5 s a few slots of 4 s, each moved once.
        let near = u32::try_from(count * 16_384 / HOUR_MS).expect("few");
        assert!(sum <= near + 64, "{sum} steps with {count} timers");
        assert!(most <= Some(&TURN_STEPS), "{most:?}");
        let without = far.iter().filter(|steps| **steps == 0).count();
        assert!(without >= 4900, "{without} turns of 5,000 had no step with {count} timers");
        // Some are due in every second turn or so: those, and what moves near.
        stage.pass(10_000);
        stage.soon();
        let due = steps(&mut stage, link, 5000);
        let sum: u32 = due.iter().sum();
        let over = u32::try_from(count * 5 / 3600).expect("few");
        assert!(count == 0 || sum > 0, "some are due");
        assert!(sum <= 2 * EXPIRY_STEPS * over + 512, "{sum} steps with {count} timers");
        assert!(due.iter().all(|steps| *steps < TURN_STEPS), "none took a turn's most");
    }
}

/// Bytes that wait are no silence, however long the process was away.
#[test]
fn nobody_is_late_whose_bytes_wait() {
    for gap in [1100, 5000, 10_000_000] {
        // Receives come about turns after they could.
        let faults = Faults { delay: 30, late: 50, ..Faults::default() };
        let mut stage = Stage::seeded(gap, threadless(), faults);
        let mut style = plain();
        style.limits.idle_timeout_ms = 1000;
        let (talker, link) = stage.pair(style, WIDE);
        let (silent, _) = stage.pair(style, WIDE);
        stage.soon();
        write(&mut stage, link);
        stage.pass(gap);
        let mut told = stage.soon();
        told.extend(stage.soon());
        assert_eq!(causes(&told), [(silent, Cause::TimeoutIdle)], "{gap}");
        assert_eq!(messages(&told), 1);
        stage.pass(1100);
        assert_eq!(causes(&stage.soon()), [(talker, Cause::TimeoutIdle)], "and then silent");
    }
}

/// A host that does not read keeps the clock only while something of the peer waits.
#[test]
fn a_paused_connection_is_idle_when_nothing_of_it_waits() {
    let mut stage = Stage::plain();
    let mut style = plain();
    style.limits.idle_timeout_ms = 1000;
    let (full, link) = stage.pair(style, WIDE);
    let (empty, _) = stage.pair(style, WIDE);
    for token in [full, empty] {
        stage.net.pause(token, true).expect("it is open");
    }
    stage.soon();
    write(&mut stage, link);
    stage.soon();
    stage.pass(1100);
    assert_eq!(causes(&stage.soon()), [(empty, Cause::TimeoutIdle)]);
    for _ in 0..10 {
        stage.pass(1100);
        assert_eq!(causes(&stage.soon()), []);
    }
    stage.net.pause(full, false).expect("it is open");
    assert_eq!(messages(&stage.soon()), 1);
    stage.pass(1100);
    assert_eq!(causes(&stage.soon()), [(full, Cause::TimeoutIdle)]);
}

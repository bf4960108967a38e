//! Deadlines: who is late, who is not, and what many of them cost the others.

use super::cases::{causes, messages};
use super::stage::{Stage, plain};
use super::threadless;
use crate::io::sim::Faults;
use crate::session::Cause;

/// More than any window.
const WIDE: usize = 1 << 20;

/// A peer writes a message.
fn write(stage: &mut Stage, link: usize) {
    stage.ledger.peers[link].send(20);
    stage.ledger.peers[link].pump();
}

/// Five hundred that are late at one time: each turn closes its share of them, and what another
/// one sends is told in every turn meanwhile.
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

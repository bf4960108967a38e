//! `spin_us`: looking again and again before sleeping. It changes nothing but the time that
//! things take: everything that ends a sleep ends a spin, and a spin ends.

use crate::common::process::{sleeps, thread_number, thread_numbers, threads};
use crate::common::words::*;
use crate::common::{Setup, child, settle, suite, wait_for};
use crate::drive::{SHORT_US, quiet};
use crate::rest::get;
use std::sync::atomic::{AtomicI32, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

suite! {
    each: echo, echo_of_a_long_spin, all_sleep_again, timeouts_within_a_spin,
        deadlines_within_a_spin, a_shutdown_ends_a_spin, a_post_ends_a_spin;
    threaded: others_send_into_a_spin, a_spin_ends_a_rest, back_from_an_absence;
}

/// Longer than any test waits.
const LONG_US: u32 = 60_000_000;

fn echoes(setup: Setup, spin_us: u32) {
    let mut host = setup.host_with(|config| config.spin_us = spin_us);
    let door = host.door("");
    let (mut peer, conn) = host.meet(door);
    host.echo = true;
    for round in 0..200u8 {
        peer.put(&[round]);
        assert_eq!(host.read(&mut peer, 1), [round]);
    }
    host.echo = false;
    host.turn_over(&mut peer, conn);
    host.finish();
}

pub fn echo(setup: Setup) {
    echoes(setup, 500);
}

pub fn echo_of_a_long_spin(setup: Setup) {
    echoes(setup, LONG_US);
}

/// When nothing happens any more every thread sleeps, the one in poll too.
pub fn all_sleep_again(setup: Setup) {
    if !setup.polls_anywhere() {
        return;
    }
    child::alone(setup, || {
        settle();
        let before = thread_numbers();
        let mut host =
            setup.host_with(|config| (config.spin_us, config.lease_us) = (500, SHORT_US));
        let door = host.door("");
        let (mut peer, conn) = host.meet(door);
        host.turn_over(&mut peer, conn);
        let poller = AtomicI32::new(0);
        thread::scope(|scope| {
            let net = host.net.clone();
            let poller = &poller;
            scope.spawn(move || {
                poller.store(thread_number(), SeqCst);
                // SAFETY: no payload is read.
                let batch = unsafe { net.poll(0, 8, 30_000) }.expect("poll answers");
                assert_eq!(batch.raw.len(), 1);
            });
            wait_for("a poller", || poller.load(SeqCst) != 0);
            quiet(&host.net);
            let ours = || thread_numbers().into_iter().filter(|number| !before.contains(number));
            wait_for("sleep", || ours().all(sleeps));
            let turns = host.net.stats().turns;
            thread::park_timeout(Duration::from_millis(50));
            assert!(ours().all(sleeps), "a thread woke up for nothing");
            assert_eq!(host.net.stats().turns, turns);
            assert_eq!(ours().count(), threads() - before.len());
            assert_eq!(host.net.post(0, 1, 1), OK);
        });
        host.finish();
    });
}

/// A poll's time is its own, not the spin's, and not both.
pub fn timeouts_within_a_spin(setup: Setup) {
    let mut host = setup.host_with(|config| config.spin_us = LONG_US);
    for timeout in [0, 1, 30, 800] {
        let begun = Instant::now();
        assert_eq!(host.step(timeout), 0);
        let (took, timeout) = (begun.elapsed(), Duration::from_millis(timeout as u64));
        assert!(took >= timeout, "{took:?} of {timeout:?}");
        // Spun and then slept it would be 1.6 s.
        assert!(took < timeout + Duration::from_millis(700), "{took:?} of {timeout:?}");
    }
    host.finish();
}

/// Nor do deadlines of connections wait for a spin to end.
pub fn deadlines_within_a_spin(setup: Setup) {
    let mut host = setup.host_with(|config| config.spin_us = LONG_US);
    let door = host.door_with("", |endpoint| endpoint.idle_timeout_ms = 700);
    let (_peer, conn) = host.meet(door);
    let begun = Instant::now();
    host.step(-1);
    assert_eq!(host.events_of(conn).last().expect("CLOSED").cause, TIMEOUT_IDLE);
    // Spun and then slept it would be 1.4 s.
    assert!(begun.elapsed() < Duration::from_millis(1300), "{:?}", begun.elapsed());
    host.finish();
}

/// A host that spins in poll for ever.
fn with_a_spinner(setup: Setup, call: impl FnOnce(&crate::common::net::Net)) {
    let host = setup.host_with(|config| config.spin_us = LONG_US);
    let inside = AtomicI32::new(0);
    thread::scope(|scope| {
        let (net, inside) = (&host.net, &inside);
        let poller = scope.spawn(move || {
            inside.store(1, SeqCst);
            // SAFETY: no payload is read.
            unsafe { net.poll(0, 8, 30_000) }.map(|batch| batch.raw.len())
        });
        wait_for("a poller", || inside.load(SeqCst) == 1);
        thread::park_timeout(Duration::from_millis(20));
        assert!(!poller.is_finished());
        call(net);
        wait_for("the poller's return", || poller.is_finished());
    });
    host.finish();
}

pub fn a_shutdown_ends_a_spin(setup: Setup) {
    for timeout in [0, 3000] {
        with_a_spinner(setup, |net| {
            let begun = Instant::now();
            assert_eq!(net.shutdown(timeout), OK);
            assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
        });
    }
}

pub fn a_post_ends_a_spin(setup: Setup) {
    with_a_spinner(setup, |net| assert_eq!(net.post(0, 1, 1), OK));
}

/// What others send leaves while the host spins.
pub fn others_send_into_a_spin(setup: Setup) {
    let mut host = setup.host_with(|config| config.spin_us = LONG_US);
    let door = host.door("");
    let (mut peer, conn) = host.meet(door);
    let net = host.net.clone();
    thread::scope(|scope| {
        scope.spawn(|| {
            for round in 1..=50 {
                assert_eq!(net.send(conn, b"x"), OK);
                wait_for("a send into a spin", || peer.has(round));
            }
            assert_eq!(net.post(0, 1, 1), OK);
        });
        assert_eq!(host.step(30_000), 1);
    });
    host.finish();
}

/// A poll that waits ends a worker's rest at once, also when it spins first.
pub fn a_spin_ends_a_rest(setup: Setup) {
    let mut host = setup.host_with(|config| {
        (config.spin_us, config.gather_us, config.lease_us) = (LONG_US, LONG_US, SHORT_US);
    });
    let door = host.door("");
    let (mut peer, conn) = host.meet(door);
    while host.step(20) > 0 {}
    for round in 1..=3 {
        peer.put(b"1");
        wait_for("the first byte", || host.net.stats().received_bytes == 2 * round - 1);
        quiet(&host.net);
        peer.put(b"2");
        get(&mut host, 2);
        assert_eq!(host.bytes(conn).len() as u64, 2 * round);
    }
    host.finish();
}

/// A host that comes back while the worker's thread spins is served, by whomever.
pub fn back_from_an_absence(setup: Setup) {
    let mut host = setup.host_with(|config| (config.spin_us, config.lease_us) = (LONG_US, 20_000));
    let door = host.door("");
    let (mut peer, conn) = host.meet(door);
    for round in 1..=20 {
        peer.put(b"x");
        wait_for("a byte without a poll", || host.net.stats().received_bytes == 2 * round - 1);
        peer.put(b"x");
        get(&mut host, 1);
        host.until("both bytes", |host| host.bytes(conn).len() as u64 == 2 * round);
    }
    host.finish();
}

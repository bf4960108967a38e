//! Timers: when they are reported, how often, in what order, and what stops them.
//!
//! Nothing here asks how late one is reported, but where the polling thread turns the worker
//! itself.

use crate::callbacks::Called;
use crate::common::event::Kind;
use crate::common::host::Host;
use crate::common::random::Random;
use crate::common::words::*;
use crate::common::{DEADLINE, Setup, stays, suite, wait_for};
use crate::drive::quiet;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

suite! {
    each: one_shot, periodic_without_drift, stopped_before_it_is_due, stopped_while_queued,
        started_again, stale_ids, missed_periods_merge, in_the_order_of_their_times, ten_thousand,
        polls_that_do_not_wait, a_poll_wakes, beside_traffic, limits, shutdown_with_timers,
        from_a_callback, refusals;
    threaded: nobody_polls, stopped_by_other_threads;
    queues2: each_queue_its_own;
}

const HOUR_MS: u32 = 3_600_000;

fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// The periods of a timer that were reported so far: its events, and what they count.
fn periods(host: &Host, id: u64) -> u64 {
    let of_it = host.log.iter().filter(|it| (it.kind, it.detail) == (Kind::Timer, id));
    of_it.map(|event| 1 + u64::from(event.code)).sum()
}

fn told(host: &Host, id: u64) -> usize {
    host.log.iter().filter(|it| (it.kind, it.detail) == (Kind::Timer, id)).count()
}

/// Lets time pass without a poll.
fn away(begun: Instant, span: Duration) {
    wait_for("a time", || begun.elapsed() >= span);
}

/// Lets another timer come, started now: what is due before it would have come.
fn outlast(host: &mut Host, after_ms: u32) {
    let witness = host.net.start_timer(0, after_ms, 0, 0).expect("a witness");
    host.until("the witness", |host| told(host, witness) == 1);
}

/// Once, not before its time, with the host's number; its handle is gone with that.
pub fn one_shot(setup: Setup) {
    let mut host = setup.host();
    for after_ms in [0, 1, 30] {
        let begun = Instant::now();
        let id = host.net.start_timer(0, after_ms, 0, 77).expect("a timer");
        host.until("the timer", |host| told(host, id) == 1);
        assert!(begun.elapsed() >= ms(after_ms.into()), "{after_ms}: early");
        let event = host.log.last().expect("just told");
        assert_eq!((event.user_data, event.code, event.flags, event.cause), (77, 0, 0, 0));
        assert!(event.data.is_empty() && event.os_error == 0);
        assert_eq!(host.net.stop_timer(id), ERR_STALE, "it is over");
    }
    outlast(&mut host, 30);
    assert_eq!(host.count(Kind::Timer), 4, "each once");
    host.finish();
}

/// The periods are counted from the start: never more than time has passed for, and after hundreds
/// of them never fewer for long.
pub fn periodic_without_drift(setup: Setup) {
    const EVERY: u64 = 3;
    let mut host = setup.host();
    let before = Instant::now();
    let id = host.net.start_timer(0, 10, EVERY as u32, u64::MAX).expect("a timer");
    let after = Instant::now();
    let due_by = |elapsed: Duration| {
        let over = elapsed.as_millis() as u64;
        if over < 10 { 0 } else { (over - 10) / EVERY + 1 }
    };
    host.until("300 periods, and none behind", |host| {
        let periods = periods(host, id);
        assert!(periods <= due_by(before.elapsed()), "{periods} are too many");
        periods >= 300 && periods >= due_by(after.elapsed().saturating_sub(ms(2)))
    });
    assert!(host.log.iter().all(|event| event.user_data == u64::MAX));
    assert_eq!(host.net.stop_timer(id), OK);
    let before = told(&host, id);
    outlast(&mut host, 10);
    assert_eq!(told(&host, id), before, "it is stopped");
    host.finish();
}

pub fn stopped_before_it_is_due(setup: Setup) {
    let mut host = setup.host();
    let ids: Vec<u64> = (0..100)
        .map(|at| host.net.start_timer(0, 20 + at % 3, at % 2, 1).expect("a timer"))
        .collect();
    for &id in &ids {
        assert_eq!(host.net.stop_timer(id), OK);
        assert_eq!(host.net.stop_timer(id), ERR_STALE, "any number of times");
    }
    outlast(&mut host, 40);
    assert_eq!(host.count(Kind::Timer), 1, "the witness alone");
    host.finish();
}

/// A timer that is due and waits in the queue, or in what a poll took, is in no poll behind a
/// stop.
pub fn stopped_while_queued(setup: Setup) {
    let mut host = setup.host();
    for every in [0, 1] {
        let begun = Instant::now();
        let first = host.net.start_timer(0, 2, 0, 0).expect("a timer");
        let ids: Vec<u64> =
            (0..50).map(|_| host.net.start_timer(0, 3, every, 0).expect("a timer")).collect();
        away(begun, ms(20));
        let end = Instant::now() + DEADLINE;
        while told(&host, first) == 0 {
            assert!(Instant::now() < end, "the first never comes");
            host.step_queue(0, 1, 5);
        }
        let known: Vec<usize> = ids.iter().map(|&id| told(&host, id)).collect();
        assert_eq!(known.iter().sum::<usize>(), 0, "an array of one");
        for &id in &ids {
            assert_eq!(host.net.stop_timer(id), OK);
        }
        outlast(&mut host, 5);
        assert!(ids.iter().all(|&id| told(&host, id) == 0), "every {every}");
    }
    host.finish();
}

/// One after the other, each started when the one before is reported: a handle is never used again.
pub fn started_again(setup: Setup) {
    let mut host = setup.host();
    let mut known = HashSet::new();
    for round in 0..30 {
        let id = host.net.start_timer(0, round % 2, 0, round.into()).expect("a timer");
        assert!(id != 0 && known.insert(id), "{id:#x} was used before");
        host.until("the timer", |host| told(host, id) == 1);
        let stopped = host.net.start_timer(0, 1, 1, 0).expect("a timer");
        assert!(known.insert(stopped), "{stopped:#x} was used before");
        assert_eq!(host.net.stop_timer(stopped), OK);
    }
    host.finish();
}

/// Rule 4: what is no timer of this net answers ERR_STALE and touches nothing.
pub fn stale_ids(setup: Setup) {
    let mut host = setup.host();
    let other = setup.net();
    let door = host.door("");
    let (_peer, conn) = host.meet(door);
    let id = host.net.start_timer(0, HOUR_MS, 0, 0).expect("a timer");
    let foreign = other.start_timer(0, HOUR_MS, 0, 0).expect("a timer");
    let next = id + (1 << 24);
    for made_up in [0, 1, u64::MAX, conn.id, door.listener.id, foreign, next, id + 1, id ^ 1 << 60]
    {
        assert_eq!(host.net.stop_timer(made_up), ERR_STALE, "{made_up:#x}");
    }
    let as_conn = sockeye::capi::conn::sockeye_conn { id };
    assert_eq!(host.net.close(as_conn, AT_ONCE), ERR_STALE);
    assert!(host.net.conn_info(conn).is_ok());
    assert_eq!(host.net.stop_timer(id), OK);
    host.finish();
}

/// A host that stays away finds one event that counts the periods it missed.
pub fn missed_periods_merge(setup: Setup) {
    let mut host = setup.host();
    let before = Instant::now();
    let id = host.net.start_timer(0, 2, 2, 5).expect("a timer");
    let end = Instant::now() + DEADLINE;
    loop {
        assert!(Instant::now() < end, "no event counts what was missed");
        away(Instant::now(), ms(60));
        let before_poll = told(&host, id);
        host.step(5);
        let periods = periods(&host, id);
        assert!(periods <= before.elapsed().as_millis() as u64 / 2, "{periods} are too many");
        assert!(told(&host, id) <= before_poll + 1, "one event waits at most");
        if host.log.last().is_some_and(|event| event.code >= 28) {
            break;
        }
    }
    let after = before.elapsed().as_millis() as u64 / 2;
    host.until("all that were missed", |host| periods(host, id) >= after);
    host.finish();
}

/// However they are started, those that are due together are reported in the order of their times.
pub fn in_the_order_of_their_times(setup: Setup) {
    let mut host = setup.host();
    let mut random = Random::new(7);
    loop {
        let begun = Instant::now();
        let mut timers = Vec::new();
        for _ in 0..400 {
            let after = ms(60 + random.below(60) as u64);
            let from = begun.elapsed() + after;
            let id = host.net.start_timer(0, after.as_millis() as u32, 0, timers.len() as u64);
            timers.push((id.expect("a timer"), from, begun.elapsed() + after));
        }
        // The first is due when the last is started: nothing can be said.
        let slow = begun.elapsed() >= ms(50);
        away(begun, ms(130));
        host.until("all", |host| host.count(Kind::Timer) == 400);
        let order: Vec<usize> = host.log.iter().map(|it| it.user_data as usize).collect();
        host.log.clear();
        if slow {
            continue;
        }
        let mut latest = Duration::ZERO;
        for at in order {
            let (_, from, to) = timers[at];
            assert!(latest <= to, "{at} was due before one that was told before it");
            latest = latest.max(from);
        }
        break;
    }
    host.finish();
}

pub fn ten_thousand(setup: Setup) {
    const COUNT: u64 = 10_000;
    let mut host = setup.host();
    let ids: Vec<u64> = (0..COUNT)
        .map(|at| host.net.start_timer(0, at as u32 % 50, 0, at).expect("a timer"))
        .collect();
    for &id in ids.iter().skip(1).step_by(2) {
        // It may have been due already, but not reported: no thread has polled.
        assert_eq!(host.net.stop_timer(id), OK);
    }
    host.until("the others", |host| host.count(Kind::Timer) as u64 == COUNT / 2);
    outlast(&mut host, 60);
    let mut told: Vec<u64> = host.log.iter().map(|event| event.detail).collect();
    told.pop();
    told.sort_unstable();
    let mut kept: Vec<u64> = ids.into_iter().step_by(2).collect();
    kept.sort_unstable();
    assert_eq!(told, kept, "each once");
    host.finish();
}

/// A poll that begins a millisecond after a timer is due reports it where it turns the worker, with
/// whatever lease the host is away; elsewhere the worker's thread is on its way.
pub fn polls_that_do_not_wait(setup: Setup) {
    let mut host = setup.host_with(|config| config.lease_us = 10_000_000);
    for round in 0..20 {
        host.step(1); // a poll that waits takes a lease
        let id = host.net.start_timer(0, 5, round % 2, 0).expect("a timer");
        away(Instant::now(), ms(6));
        if setup.runs() == DRIVE_POOL {
            wait_for("the timer", || {
                host.step(0);
                told(&host, id) > 0
            });
        } else {
            host.step(0);
            assert_eq!(told(&host, id), 1, "round {round}");
        }
        let over = if round % 2 == 0 { ERR_STALE } else { OK };
        assert_eq!(host.net.stop_timer(id), over);
    }
    host.finish();
}

/// A poll without limit ends with the next timer.
pub fn a_poll_wakes(setup: Setup) {
    let mut host = setup.host();
    let id = host.net.start_timer(0, 5, 5, 0).expect("a timer");
    for _ in 0..10 {
        assert_eq!(host.step(-1), 1);
    }
    assert_eq!(host.net.stop_timer(id), OK);
    let late = host.net.start_timer(0, 20, 0, 0).expect("a timer");
    let begun = Instant::now();
    assert_eq!(host.step(-1), 1, "what is stopped wakes nobody");
    assert!(begun.elapsed() >= ms(18) && told(&host, late) == 1);
    host.finish();
}

/// Neither holds the other up.
pub fn beside_traffic(setup: Setup) {
    let mut host = setup.host();
    let door = host.door("");
    let (mut peer, conn) = host.meet(door);
    let id = host.net.start_timer(0, 1, 1, 0).expect("a timer");
    for round in 0..200 {
        let before = periods(&host, id);
        host.turn_over(&mut peer, conn);
        if round % 10 == 0 {
            host.until("a period", |host| periods(host, id) > before);
        }
    }
    assert_eq!(host.messages(conn).len(), 1000);
    host.finish();
}

/// Rule 6: as many as the config says, those included whose event is still to be passed over.
pub fn limits(setup: Setup) {
    let mut host = setup.host_with(|config| config.timers_max = 3);
    let start = |host: &Host, after_ms| host.net.start_timer(0, after_ms, 0, 0);
    let ids: Vec<u64> = (0..3).map(|_| start(&host, HOUR_MS).expect("a timer")).collect();
    assert_eq!(start(&host, 1), Err(ERR_LIMIT));
    assert_eq!(host.net.stop_timer(ids[1]), OK);
    // Started and stopped again and again: nothing is left of it.
    for _ in 0..2000 {
        let id = start(&host, HOUR_MS).expect("there is room");
        assert_eq!(host.net.stop_timer(id), OK);
    }
    let mut begun = 0;
    wait_for("room again", || {
        match start(&host, 0) {
            Ok(id) => {
                begun += 1;
                assert_eq!(host.net.stop_timer(id), OK);
            }
            // The one before is in the queue.
            Err(status) => {
                assert_eq!(status, ERR_LIMIT);
                host.step(0);
            }
        }
        begun >= 200
    });
    assert_eq!(host.net.stop_timer(ids[0]), OK);
    outlast(&mut host, 1);
    let mut none = setup.host_with(|config| config.timers_max = 0);
    assert_eq!(start(&none, 1), Err(ERR_LIMIT));
    none.step(0);
    none.finish();
    host.finish();
}

/// A shutdown does not wait for timers; what was queued is reported, and nothing when all is
/// reported.
pub fn shutdown_with_timers(setup: Setup) {
    let mut host = setup.host();
    let ids: Vec<u64> = (0..1000)
        .map(|at| host.net.start_timer(0, at % 2 * HOUR_MS, at % 3, 0).expect("a timer"))
        .collect();
    host.step(5);
    let begun = Instant::now();
    assert_eq!(host.net.shutdown(60_000), OK);
    assert!(begun.elapsed() < DEADLINE, "it waits for timers");
    assert_eq!(host.net.start_timer(0, 0, 0, 0), Err(ERR_SHUTDOWN));
    assert_eq!(host.net.stop_timer(ids[1]), ERR_SHUTDOWN);
    host.drain();
    let told = host.count(Kind::Timer);
    assert!(told <= 2 * 500, "{told}");
    assert_eq!(host.try_step(0, 8, 0), Err(ERR_SHUTDOWN));
    host.finish();
}

/// Started and stopped inside of a callback.
pub fn from_a_callback(setup: Setup) {
    let net = Arc::new(setup.net());
    let hour = net.start_timer(0, HOUR_MS, 1, 9).expect("a timer");
    let called = Called::new(&net, 0, move |called, event| {
        let net = &called.net;
        match event.user_data {
            left @ 1..=5 => {
                assert_eq!(net.stop_timer(event.detail), ERR_STALE, "due once, and told");
                net.start_timer(0, 1, 0, left - 1).expect("a timer");
                let stopped = net.start_timer(0, 0, 1, 8).expect("a timer");
                assert_eq!(net.stop_timer(stopped), OK);
            }
            0 => {
                assert_eq!(net.stop_timer(hour), OK);
                net.start_timer(0, 1, 1, 7).expect("a timer");
            }
            7 if called.count(Kind::Timer) >= 10 => {
                let stopped = net.stop_timer(event.detail);
                assert!([OK, ERR_STALE].contains(&stopped), "{stopped}");
            }
            _ => {}
        }
    });
    assert_eq!(called.set(), OK);
    net.start_timer(0, 0, 0, 5).expect("a timer");
    called.until("ten", |called| called.count(Kind::Timer) == 10);
    stays("stopped", ms(20), || {
        assert!(![ERR_INVALID, ERR_SHUTDOWN].contains(&net.poll_callback(0, 0)));
        called.count(Kind::Timer) == 10
    });
    let marks: Vec<u64> = called.events().iter().map(|event| event.user_data).collect();
    assert_eq!(marks, [5, 4, 3, 2, 1, 0, 7, 7, 7, 7]);
    called.finish();
}

pub fn refusals(setup: Setup) {
    let mut host = setup.host();
    let queues = host.net.info().queues;
    assert_eq!(host.net.start_timer(queues, 1, 1, 0), Err(ERR_INVALID));
    assert_eq!(host.net.start_timer(u32::MAX, 1, 1, 0), Err(ERR_INVALID));
    // The farthest there is.
    let far = host.net.start_timer(0, u32::MAX, u32::MAX, 0).expect("a timer");
    host.step(2);
    assert_eq!(host.net.stop_timer(far), OK);
    assert_eq!(host.count(Kind::Timer), 0);
    host.finish();
}

/// A host that never polls: one event of a timer waits, and no thread wakes for the next ones.
pub fn nobody_polls(setup: Setup) {
    let mut host = setup.host_with(|config| config.lease_us = 1000);
    let ids: Vec<u64> =
        (0..20).map(|at| host.net.start_timer(0, 1, 1 + at % 3, 0).expect("a timer")).collect();
    quiet(&host.net);
    let turns = host.net.stats().turns;
    stays("nobody turns", ms(60), || host.net.stats().turns == turns);
    let mut seen = 0;
    host.until("all again and again", |host| {
        seen += 1;
        ids.iter().all(|&id| told(host, id) >= 5) && seen > 1
    });
    host.finish();
}

/// Other threads start and stop while the host polls: what a stop was told OK for is in no poll
/// that begins later.
pub fn stopped_by_other_threads(setup: Setup) {
    let mut host = setup.host();
    let net = host.net.clone();
    let caller = std::thread::spawn(move || {
        let mut random = Random::new(3);
        let mut known = Vec::new();
        for round in 0..2000 {
            let every = random.below(3) as u32;
            let id = net.start_timer(0, random.below(3) as u32, every, 1).expect("a timer");
            if round % 2 == 0 {
                std::thread::yield_now();
            }
            let stopped = net.stop_timer(id);
            assert!(stopped == OK || (stopped == ERR_STALE && every == 0), "{stopped}");
            known.push(id);
        }
        known
    });
    host.until("the caller", |_| caller.is_finished());
    let known = caller.join().expect("no panic");
    host.log.clear();
    outlast(&mut host, 5);
    assert_eq!(host.count(Kind::Timer), 1, "the witness alone");
    assert!(known.iter().all(|&id| host.net.stop_timer(id) == ERR_STALE));
    host.finish();
}

/// Each comes on the queue that it was started for.
pub fn each_queue_its_own(setup: Setup) {
    let mut host = setup.host();
    let start = |queue, every| host.net.start_timer(queue, 1, every, queue.into());
    let ids: Vec<u64> = (0..40).map(|at| start(at % 2, at / 2 % 2 * 2).expect("a timer")).collect();
    host.until("all", |host| ids.iter().all(|&id| told(host, id) >= 1));
    host.until("periods", |host| ids[2..4].iter().all(|&id| periods(host, id) >= 20));
    for event in &host.log {
        assert_eq!((event.kind, event.user_data), (Kind::Timer, event.queue.into()));
    }
    for (at, &id) in ids.iter().enumerate() {
        let over = if at / 2 % 2 == 0 { ERR_STALE } else { OK };
        assert_eq!(host.net.stop_timer(id), over);
    }
    host.finish();
}

//! Stopped by SIGSTOP and going on by SIGCONT, as the harness does it with each slice.

use crate::child::{Load, until};
use crate::server::{BURST, Broadcast, Echo, HONEST, PERIOD, Unread};
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

/// Long beside anything that happens in these tests.
const STOP: Duration = Duration::from_secs(1);
const STOP_NS: u64 = 1_000_000_000;

#[test]
fn what_was_under_way_is_counted_and_no_latency() {
    for (args, under_way) in
        [("--conns 1 --in-flight 3 --size 64", 3), ("--mode churn --conns 1 --size 64", 1)]
    {
        let server = Echo::start(HONEST, 0);
        let mut load = Load::start(server.port, args).ready();
        until("it has sent", || server.arrived() == 1);
        load.speaker.stop();
        load.speaker.go_on();
        server.permit(under_way);
        load.until_counted(under_way);
        assert_eq!(load.report().count, 0, "{args}");
        server.permit(under_way);
        load.until_counted(2 * under_way);
        assert_eq!(load.report().count, under_way, "{args}");
    }
}

#[test]
fn a_stop_is_no_latency_of_the_open_loop() {
    let server = Echo::honest();
    let args = "--mode open --conns 3 --rate 500 --size 64";
    let mut load = Load::start(server.port, args).ready();
    load.until_counted(50);
    server.hold();
    let arrived = server.arrived();
    until("messages are under way", || server.arrived() > arrived);
    load.report();
    load.speaker.stop();
    // The stop itself.
    thread::sleep(STOP);
    let (count, start) = (load.count(), Instant::now());
    load.speaker.go_on();
    server.permit(u64::MAX);
    load.until_counted(count + 200);
    let report = load.report();
    assert!(report.count >= 100, "{report:?}");
    assert!(report.max < STOP_NS, "{report:?} after {:?}", start.elapsed());
}

#[test]
fn the_open_loop_makes_up_for_nothing() {
    const RATE: u64 = 500;
    let server = Echo::honest();
    let args = format!("--mode open --conns 3 --rate {RATE} --size 64");
    let mut load = Load::start(server.port, &args).ready();
    load.until_counted(50);
    load.speaker.stop();
    thread::sleep(STOP);
    let (before, start) = (server.arrived(), Instant::now());
    load.speaker.go_on();
    until("it goes on", || server.arrived() >= before + 50);
    let (after, passed) = (server.arrived(), start.elapsed());
    let due = RATE as f64 * (passed.as_secs_f64() + 0.05);
    assert!(((after - before) as f64) <= due, "{} in {passed:?}", after - before);
}

#[test]
fn broadcasts_of_the_time_of_the_stop_are_no_latencies() {
    let server = Broadcast::start(4, 200, Unread::Misses, |_, _, _| true);
    let mut load = Load::start(server.port, "--mode reader --conns 4").ready();
    load.until_counted(100);
    load.report();
    load.speaker.stop();
    thread::sleep(STOP);
    let (count, missed) = (load.count(), server.missed.load(Ordering::SeqCst));
    load.speaker.go_on();
    // More than the server can have sent during the stop.
    load.until_counted(count + 4 * BURST * STOP.div_duration_f64(PERIOD) as u64 + 100);
    let report = load.report();
    assert!(report.count > 0 && report.max < STOP_NS / 2, "{report:?}");
    assert_eq!(missed, 0);
}

#[test]
fn it_may_stop_often() {
    for args in [
        "--mode closed --conns 8 --in-flight 2 --size 64",
        "--mode open --conns 8 --rate 5000 --size 64",
        "--mode churn --conns 8 --size 64",
    ] {
        let mut load = Load::start(Echo::honest().port, args).ready();
        for _ in 0..20 {
            let count = load.count();
            load.until_counted(count + 10);
            load.speaker.stop();
            load.speaker.go_on();
        }
        assert!(load.report().count <= load.count(), "{args}");
    }
}

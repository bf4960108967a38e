//! The load generator, in each of its modes, against servers in this process.
#![cfg(target_os = "linux")]

mod child;
mod server;
mod stop;

use child::{Load, Report, Speaker, until};
use server::{Broadcast, Change, Echo, HONEST, Unread};
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

/// Each mode whose messages come back, with what makes it quick to fail.
const ECHOES: [&str; 2] = [
    "--mode closed --conns 4 --in-flight 3 --size 64",
    "--mode open --conns 4 --rate 4000 --size 64",
];
const UDP: &str = "--mode udp --conns 4 --in-flight 3 --size 64";
const CHURN: &str = "--mode churn --conns 4 --size 64";
const READER: &str = "--mode reader --conns 4";

fn failure(port: u16, args: &str) -> String {
    Load::start(port, args).failure()
}

#[test]
fn an_honest_server_is_counted_in_each_mode() {
    for args in ECHOES.into_iter().chain([CHURN]) {
        for size in [16, 64, 5000, 200_000] {
            let args = args.replace("64", &size.to_string());
            let mut load = Load::start(Echo::honest().port, &args).ready();
            load.until_counted(100);
            let Report { count, p50, p99, p999, max } = load.report();
            assert!(count >= 100 && p50 > 0, "{args}");
            assert!(p50 <= p99 && p99 <= p999 && p999 <= max, "{args}");
        }
    }
}

#[test]
fn what_a_socket_has_no_room_for_goes_out_later() {
    for args in [
        "--mode closed --conns 2 --in-flight 9 --size 1048580",
        "--mode open --conns 2 --rate 50 --size 1048580",
    ] {
        let server = Echo::start(HONEST, 0);
        let mut load = Load::start(server.port, args).ready();
        // It takes orders: it does not wait for room.
        assert_eq!(load.report().count, 0);
        server.permit(u64::MAX);
        load.until_counted(30);
    }
}

#[test]
fn without_a_mode_it_is_the_closed_loop() {
    let mut load = Load::start(Echo::honest().port, "--conns 2 --in-flight 1 --size 64").ready();
    load.until_counted(10);
}

#[test]
fn a_report_has_what_came_since_the_last() {
    let server = Echo::start(HONEST, 40);
    let mut load = Load::start(server.port, "--conns 4 --in-flight 3 --size 64").ready();
    load.until_counted(40);
    assert_eq!(load.report().count, 40);
    assert_eq!(load.report(), Report { count: 0, p50: 0, p99: 0, p999: 0, max: 0 });
    server.permit(2);
    load.until_counted(42);
    assert_eq!(load.report().count, 2);
}

#[test]
fn only_active_connections_carry_load() {
    let server = Echo::honest();
    let mut load = Load::start(server.port, "--conns 9 --active 2 --in-flight 1 --size 64").ready();
    load.until_counted(1000);
    assert_eq!(server.state.used.load(Ordering::SeqCst), 2);
}

#[test]
fn the_limit_ends_it_well() {
    for args in ECHOES.into_iter().chain([CHURN]) {
        let args = format!("{args} --limit 1");
        let mut load = Load::start(Echo::honest().port, &args).ready();
        assert_eq!(load.speaker.end(), (true, String::new()));
        assert!(load.count() > 0);
    }
}

#[test]
fn a_spoilt_byte_ends_it() {
    let spoil: Change = |number, message| {
        message[10] ^= u8::from(number == 100);
        true
    };
    for args in ECHOES {
        let words = failure(Echo::start(spoil, u64::MAX).port, args);
        assert!(words.contains("message 100, byte 10"), "{words}");
    }
    let spoil: Change = |_, message| {
        message[63] ^= 1;
        true
    };
    let words = failure(Echo::start(spoil, u64::MAX).port, CHURN);
    assert!(words.contains("byte 63"), "{words}");
}

#[test]
fn a_lost_message_ends_it() {
    for args in ECHOES {
        let words = failure(Echo::start(|number, _| number != 50, u64::MAX).port, args);
        assert!(words.contains("message 50, byte"), "{words}");
    }
}

#[test]
fn more_than_was_sent_ends_it() {
    let more: Change = |_, message| {
        message.extend_from_within(..1);
        true
    };
    for args in ECHOES {
        let words = failure(Echo::start(more, u64::MAX).port, args);
        assert!(words.contains("message 1, byte"), "{words}");
    }
    let words = failure(Echo::start(more, u64::MAX).port, CHURN);
    assert!(words.contains("more came back") || words.contains("byte 0"), "{words}");
}

#[test]
fn a_server_that_closes_ends_it() {
    for args in ECHOES.into_iter().chain([READER, CHURN]) {
        let mut load = Load::start(server::closing(), args);
        let words = load.failure();
        let known = ["the server closed it", "reset", "Broken pipe"];
        assert!(known.iter().any(|known| words.contains(known)), "{words}");
        assert_eq!(load.count(), 0);
    }
}

#[test]
fn an_end_that_comes_with_the_last_answer_is_seen() {
    for args in ["--conns 1 --in-flight 1 --size 64", "--mode open --conns 1 --rate 9 --size 64"] {
        let server = Echo::start(HONEST, 0);
        let mut load = Load::start(server.port, args).ready();
        until("it has sent", || server.arrived() == 1);
        load.speaker.stop();
        server.close_after_one();
        server.permit(1);
        until("both are there", || server.state.closed.load(Ordering::SeqCst) == 1);
        load.speaker.go_on();
        assert!(load.failure().contains("the server closed it"));
        assert_eq!(load.count(), 1);
    }
}

#[test]
fn the_open_loop_keeps_its_rate() {
    let start = Instant::now();
    let args = "--mode open --conns 3 --rate 1000 --size 64";
    let mut load = Load::start(Echo::honest().port, args).ready();
    load.until_counted(501);
    assert!(start.elapsed() >= Duration::from_millis(500), "{:?}", start.elapsed());
}

#[test]
fn the_open_loop_shows_a_server_that_stands_still() {
    let server = Echo::honest();
    let args = "--mode open --conns 4 --rate 1000 --size 64";
    let mut load = Load::start(server.port, args).ready();
    load.until_counted(100);
    let before = load.count();
    load.report();
    server.hold();
    // The standstill itself.
    thread::sleep(Duration::from_millis(100));
    server.permit(u64::MAX);
    load.until_counted(before + 1000);
    // Some 100 of some 1000 messages should have left meanwhile; a loop that waits has 4.
    let report = load.report();
    assert!(report.p99 >= 50_000_000, "{report:?}");
    assert!(report.max >= 90_000_000, "{report:?}");
}

#[test]
fn the_open_loop_sends_on_to_a_server_that_does_not_answer() {
    let server = Echo::start(HONEST, 0);
    let args = "--mode open --conns 40 --rate 2000 --size 64";
    let mut load = Load::start(server.port, args).ready();
    until("each connection has a message", || server.arrived() == 40);
    assert_eq!(load.report().count, 0);
    server.permit(u64::MAX);
    load.until_counted(200);
    assert!(load.report().count >= 200);
}

#[test]
fn datagrams_are_verified_and_counted() {
    for size in [16, 64, 5000, 65_507] {
        let args = UDP.replace("64", &size.to_string());
        let mut load = Load::start(server::datagrams(HONEST), &args).ready();
        load.until_counted(200);
        let report = load.report();
        assert!(report.count >= 200 && report.p50 > 0, "{report:?}");
    }
    let mut load = Load::start(server::datagrams(HONEST), &format!("{UDP} --limit 1")).ready();
    assert_eq!(load.speaker.end(), (true, String::new()));
    assert!(load.count() > 0);
}

#[test]
fn a_lost_datagram_is_sent_again() {
    // Each client of four has one under way, and of their second ones all are lost.
    let lossy: Change = |number, _| !(4..8).contains(&number);
    let args = "--mode udp --conns 4 --in-flight 1 --size 64";
    let mut load = Load::start(server::datagrams(lossy), args).ready();
    load.until_counted(100);
    let report = load.report();
    assert!(report.max >= 100_000_000, "{report:?}");
}

#[test]
fn dishonest_datagrams_end_it() {
    let cases: [(Change, &str); 3] = [
        (
            |number, message| {
                message[40] ^= u8::from(number == 100);
                true
            },
            ", byte 40",
        ),
        (
            |number, message| {
                message[8] ^= u8::from(number == 100);
                true
            },
            "which was never sent",
        ),
        (
            |number, message| {
                message.truncate(if number == 100 { 63 } else { 64 });
                true
            },
            "a datagram of 63 bytes",
        ),
    ];
    for (change, known) in cases {
        let words = failure(server::datagrams(change), UDP);
        assert!(words.contains(known), "{known}: {words}");
    }
}

#[test]
fn broadcasts_are_verified_and_counted() {
    for size in [24, 200, 5000, 200_000] {
        let server = Broadcast::start(4, size, Unread::Waits, |_, _, _| true);
        let mut load = Load::start(server.port, READER).ready();
        load.until_counted(200);
        let report = load.report();
        assert!(report.count >= 200 && report.max > 0, "{report:?}");
    }
}

#[test]
fn some_may_never_read() {
    let server = Broadcast::start(4, 16_384, Unread::Misses, |_, _, _| true);
    let mut load = Load::start(server.port, "--mode reader --conns 4 --slow 500").ready();
    // Two have all their buffers full; the others go on.
    until("some missed messages", || server.missed.load(Ordering::SeqCst) > 100);
    let count = load.count();
    load.until_counted(count + 100);
}

#[test]
fn dishonest_broadcasts_end_it() {
    let cases: [(server::Alter, &str); 5] = [
        (|n, sequence, _| (n, sequence) != (1, 50), "message 51 came, not 50"),
        (
            |n, sequence, message| {
                message[30] ^= u8::from((n, sequence) == (1, 50));
                true
            },
            "message 50, byte 30",
        ),
        (
            |n, sequence, message| {
                message[3] ^= u8::from((n, sequence) == (1, 50));
                true
            },
            "a length of",
        ),
        (
            |n, sequence, message| {
                message[19] ^= u8::from((n, sequence) == (1, 50));
                true
            },
            "has the time",
        ),
        (
            |_, sequence, message| {
                message[12] ^= u8::from(sequence >= 50);
                true
            },
            "ns later",
        ),
    ];
    for (alter, known) in cases {
        let words = failure(Broadcast::start(4, 200, Unread::Waits, alter).port, READER);
        assert!(words.contains(known), "{known}: {words}");
    }
}

#[test]
fn churn_ends_each_connection_in_the_ordinary_way() {
    let server = Echo::honest();
    let mut load = Load::start(server.port, CHURN).ready();
    load.until_counted(2000);
    drop(load.speaker);
    // The four that were under way may have been ended by the kill.
    let ended = || server.state.ended.load(Ordering::SeqCst);
    until("all have ended", || ended() >= 2000 && ended() >= server.arrived() - 4);
}

#[test]
fn orders_may_end_but_not_be_unknown() {
    let mut load = Load::start(Echo::honest().port, ECHOES[0]).ready();
    load.speaker.close_orders();
    let count = load.count();
    load.until_counted(count + 1000);
    let mut load = Load::start(Echo::honest().port, ECHOES[0]).ready();
    load.speaker.order("dance");
    assert!(load.failure().contains("no order 'dance'"));
}

#[test]
fn hold_echoes_in_its_size() {
    for (args, size) in [("", 64), ("--size 16384", 16_384), ("--size 65536", 65_536)] {
        let server = Echo::start(HONEST, u64::MAX);
        let mut holder = Speaker::start("hold", server.port, &format!("--conns 3 {args}"));
        assert_eq!(holder.line(), "ready");
        for round in 1..=2 {
            holder.order("echo");
            assert_eq!(holder.line(), "done", "{size}");
            assert_eq!(server.arrived(), 3 * round);
        }
        holder.order("close");
        assert_eq!(holder.line(), "done");
        until("all have ended", || server.state.ended.load(Ordering::SeqCst) == 3);
    }
    let spoil: Change = |_, message| {
        message[16_000] ^= 1;
        true
    };
    let server = Echo::start(spoil, u64::MAX);
    let mut holder = Speaker::start("hold", server.port, "--conns 3 --size 16384");
    assert_eq!(holder.line(), "ready");
    holder.order("echo");
    let (good, words) = holder.end();
    assert!(!good && words.contains("byte 16000"), "{words}");
}

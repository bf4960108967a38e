//! Pacing, the window, and when to acknowledge.

use super::*;

/// Bytes that leave in `turns` turns of `gap`, with as much bulk as the recovery lets go.
fn drain(recovery: &mut Recovery<u64>, seq: &mut u64, turns: u64, gap: Micros) -> u64 {
    let mut bytes = 0;
    for turn in 1..=turns {
        let now = turn * gap;
        recovery.begin_turn(now);
        recovery.bulk_pending(now);
        while recovery.may_send(true, now) {
            recovery.handle_sent(*seq, 1_200, Some(*seq), true, now);
            *seq += 1;
            bytes += 1_200;
        }
        if *seq > 0 {
            let acked = [0..=*seq - 1];
            recovery.skips = Skips::new(1);
            recovery.handle_ack(&acked, 0, now, |_, _| ()).unwrap();
        }
    }
    bytes
}

#[test]
fn keeps_to_the_rate_at_any_gap_between_turns() {
    for (gap, turns) in [(MS, 2_000), (5 * MS, 400), (16 * MS, 125)] {
        let config = RateConfig { rate_max_bytes: 500_000, ..config(Control::Fixed) };
        let mut recovery = Recovery::new(config, None, 1, 0);
        let bytes = drain(&mut recovery, &mut 0, turns, gap);
        assert!((950_000..1_050_000).contains(&bytes), "{bytes} bytes in 2 s, {gap} us a turn");
    }
}

#[test]
fn sends_at_most_32_packets_a_turn() {
    let config = RateConfig { rate_max_bytes: 100_000_000, ..config(Control::Fixed) };
    let mut recovery = Recovery::new(config, None, 1, 0);
    recovery.begin_turn(1_000 * MS);
    let mut sent = 0;
    while recovery.may_send(true, 1_000 * MS) {
        recovery.handle_sent(sent, 1_200, Some(sent), true, 1_000 * MS);
        sent += 1;
    }
    assert_eq!(sent, 32);
    assert!(!recovery.may_send(false, 1_000 * MS));
}

#[test]
fn lets_small_messages_into_debt_and_bulk_pay_it_back() {
    let config = RateConfig { rate_max_bytes: 100_000, ..config(Control::Fixed) };
    let mut recovery = Recovery::new(config, None, 1, 0);
    recovery.begin_turn(0);
    let mut seq = 0;
    let mut small = 0;
    while recovery.may_send(false, 0) {
        recovery.handle_sent(seq, 500, Some(seq), false, 0);
        seq += 1;
        small += 500;
    }
    // Two packets of credit and 20 ms of debt.
    assert!((4_400..5_000).contains(&small), "{small}");
    let next = recovery.next_send(0).unwrap();
    assert!(next < 6 * MS, "{next}");
    recovery.begin_turn(next);
    assert!(recovery.may_send(false, next));
    assert!(!recovery.may_send(true, next));
    let bulk = recovery.next_send(next).unwrap();
    assert!((32 * MS..36 * MS).contains(&bulk), "{bulk}");
    recovery.begin_turn(bulk);
    assert!(recovery.may_send(true, bulk));
}

#[test]
fn holds_bulk_back_when_the_window_is_full() {
    let config = RateConfig { rate_max_bytes: 100_000, ..config(Control::Fixed) };
    let mut recovery = Recovery::new(config, None, 1, 0);
    let mut now = 0;
    let mut sent = 0;
    while recovery.next_send(now).is_some() {
        assert!(sent < 1_000);
        now += 20 * MS;
        recovery.begin_turn(now);
        while recovery.may_send(true, now) {
            recovery.handle_sent(sent, 1_200, Some(sent), true, now);
            sent += 1;
        }
    }
    assert_eq!(sent, 100_000 / 1_200);
    assert!(recovery.may_send(false, now));
}

#[test]
fn makes_a_control_when_it_is_needed_and_forgets_it() {
    let mut recovery = Recovery::<u64>::new(config(Control::Game), Some(50 * MS), 1, 0);
    recovery.begin_turn(0);
    assert!(recovery.may_send(false, 0));
    recovery.handle_sent(0, SIZE, Some(0), false, 0);
    assert!(recovery.control.is_none());
    recovery.bulk_pending(0);
    assert!(recovery.control.is_some());
    ack(&mut recovery, &[0..=0], 50 * MS);
    assert!(recovery.control.is_some());
    send(&mut recovery, 1..=1, CONTROL_AGE);
    ack(&mut recovery, &[0..=1], CONTROL_AGE + MS);
    assert!(recovery.control.is_none());
}

#[test]
fn bounds_the_copies() {
    let config = RateConfig { rate_max_bytes: 20_000, ..config(Control::Fixed) };
    let mut recovery = Recovery::<u64>::new(config, None, 1, 0);
    assert!(!recovery.redundancy(100));
    recovery.begin_turn(100 * MS);
    // 4,000 bytes a second, though a tenth of the rate is less.
    assert!(recovery.redundancy(400) && !recovery.redundancy(1));
    recovery.begin_turn(100_000 * MS);
    assert!(recovery.redundancy(2_000) && !recovery.redundancy(1));
}

#[test]
fn acknowledges_seldom_what_arrives_fast() {
    let mut recovery = recovery(0);
    let often = AckPolicy { packets: 2, delay: 5 * MS, unreliable_delay: 25 * MS };
    let mut now = 1_000 * MS;
    recovery.handle_received(1_200, now);
    assert_eq!(recovery.ack_policy(), often);
    for packet in 0..1_000 {
        let before = recovery.ack_policy().packets;
        assert_eq!(before, if packet < 127 { 2 } else { 8 }, "{packet}");
        now += 400;
        recovery.handle_received(1_200, now);
    }
    // Slower, and then nothing for a while.
    for _ in 0..100 {
        now += MS;
        recovery.handle_received(1_200, now);
    }
    assert_eq!(recovery.ack_policy().packets, 2);
}

#[test]
fn lets_acknowledgements_ride_on_what_is_sent_often() {
    let mut recovery = recovery(0);
    for seq in 0..10 {
        let now = 1_000 * MS + seq * 50 * MS;
        recovery.handle_sent(seq, 100, Some(seq), false, now);
        recovery.handle_received(100, now);
    }
    assert_eq!(recovery.ack_policy().unreliable_delay, 100 * MS);
    recovery.handle_received(100, 3_000 * MS);
    assert_eq!(recovery.ack_policy().unreliable_delay, 25 * MS);
}

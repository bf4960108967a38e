//! What acknowledgements and timeouts make of packets.

use super::*;

use Fate::{Acked, Lost};

#[test]
fn is_small_when_idle() {
    assert!(size_of::<Recovery<[u64; 4]>>() <= 400, "{}", size_of::<Recovery<[u64; 4]>>());
    let recovery = Recovery::<u64>::new(config(Control::Game), None, 1, 0);
    assert!(recovery.control.is_none());
}

#[test]
fn acknowledges_each_packet_once() {
    let mut recovery = recovery(0);
    send(&mut recovery, 0..=4, 0);
    assert_eq!(recovery.facts().in_flight, 5 * SIZE as u64);
    assert_eq!(ack(&mut recovery, &[0..=1], 100 * MS), [(0, Acked), (1, Acked)]);
    assert_eq!(ack(&mut recovery, &[0..=2], 101 * MS), [(2, Acked)]);
    assert_eq!(ack(&mut recovery, &[0..=2], 102 * MS), []);
    assert_eq!(recovery.facts().in_flight, 2 * SIZE as u64);
}

#[test]
fn loses_what_three_later_packets_have_passed() {
    let mut recovery = recovery(0);
    send(&mut recovery, 0..=4, 0);
    assert_eq!(ack(&mut recovery, &[1..=2], 100 * MS), [(1, Acked), (2, Acked)]);
    assert_eq!(ack(&mut recovery, &[1..=3], 100 * MS), [(3, Acked), (0, Lost)]);
    assert_eq!(recovery.facts().in_flight, SIZE as u64);
    assert_eq!(recovery.facts().lost, 1);
}

#[test]
fn loses_what_is_missing_for_longer_than_a_round_trip() {
    let mut recovery = recovery(0);
    send(&mut recovery, 0..=1, 0);
    assert_eq!(ack(&mut recovery, &[1..=1], 100 * MS), [(1, Acked)]);
    let at = recovery.poll_timeout().unwrap();
    assert_eq!(at, 112_500);
    assert_eq!(timeout(&mut recovery, at - 1), []);
    assert_eq!(timeout(&mut recovery, at), [(0, Lost)]);
    assert_eq!(recovery.poll_timeout(), None);
}

#[test]
fn learns_how_far_the_path_reorders() {
    let mut recovery = recovery(0);
    send(&mut recovery, 0..=9, 0);
    assert_eq!(ack(&mut recovery, &[5..=5], 100 * MS).len(), 1 + 3);
    assert_eq!(ack(&mut recovery, &[5..=5, 0..=0], 101 * MS), [(0, Acked)]);
    assert_eq!(recovery.facts().lost, 2);
    // Packet 0 came five behind: six is what it takes from now on.
    send(&mut recovery, 20..=29, 200 * MS);
    let told = ack(&mut recovery, &[25..=25], 300 * MS);
    assert!(!told.contains(&(20, Lost)), "{told:?}");
    assert!(ack(&mut recovery, &[25..=26], 300 * MS).contains(&(20, Lost)));
}

#[test]
fn probes_later_and_later() {
    let mut recovery = recovery(0);
    send(&mut recovery, 0..=0, 0);
    let first = recovery.poll_timeout().unwrap();
    // The round trip, four times its variation, and the delay of an acknowledgement.
    assert_eq!(first, (100 + 4 * 50 + 25) * MS);
    assert!(!recovery.take_probe());
    assert_eq!(timeout(&mut recovery, first), []);
    assert!(recovery.take_probe() && recovery.take_probe() && !recovery.take_probe());
    assert_eq!(recovery.poll_timeout(), Some(3 * first));
    timeout(&mut recovery, 3 * first);
    assert_eq!(recovery.poll_timeout(), Some(3 * first + 1_000 * MS));
    assert_eq!(ack(&mut recovery, &[0..=0], 3 * first), [(0, Acked)]);
    assert!(!recovery.take_probe());
}

#[test]
fn subtracts_what_the_peer_held_back() {
    let mut recovery = Recovery::<u64>::new(config(Control::Game), None, 1, 0);
    assert_eq!(recovery.facts().min_rtt, 0);
    send(&mut recovery, 0..=0, 0);
    assert_eq!(recovery.poll_timeout(), Some(300 * MS));
    recovery.handle_ack(&[0..=0], 30 * MS, 80 * MS, |_, _| ()).unwrap();
    assert_eq!(recovery.facts().rtt, 50 * MS);
    assert_eq!(recovery.facts().pto, (50 + 4 * 25 + 30) * MS);
    // A delay that is longer than the round trip is a lie or a mistake.
    send(&mut recovery, 1..=1, 100 * MS);
    recovery.handle_ack(&[1..=1], Micros::MAX, 150 * MS, |_, _| ()).unwrap();
    assert_eq!(recovery.facts().rtt, 50 * MS);
}

#[test]
fn refuses_an_ack_of_what_was_never_sent() {
    let mut recovery = recovery(0);
    assert_eq!(recovery.handle_ack(&[0..=0], 0, 0, |_, _| ()), Err(Forged));
    send(&mut recovery, 0..=4, 0);
    assert_eq!(recovery.handle_ack(&[3..=5], 0, 0, |_, _| ()), Err(Forged));
    #[expect(clippy::reversed_empty_ranges)]
    let empty = 3..=2;
    assert_eq!(recovery.handle_ack(&[empty], 0, 0, |_, _| ()), Err(Forged));
    // A packet that asks for no acknowledgement has a number as well.
    recovery.handle_sent(5, 40, None, false, 0);
    assert_eq!(ack(&mut recovery, &[2..=5], 100 * MS)[..3], [(2, Acked), (3, Acked), (4, Acked)]);
    assert_eq!(recovery.facts().sent, 5);
}

#[test]
fn refuses_an_ack_of_a_number_left_out() {
    let mut recovery = Recovery::<u64>::new(config(Control::Game), None, 7, 0);
    let mut left_out = Vec::new();
    for seq in 0..100_000 {
        if recovery.skips(seq) {
            left_out.push(seq);
        }
    }
    assert!((600..1_000).contains(&left_out.len()), "{}", left_out.len());
    recovery.handle_sent(100_000, SIZE, Some(0), false, 0);
    let (old, kept) = left_out.split_at(left_out.len() - 16);
    for seq in kept {
        assert!(recovery.is_forged(&(*seq..=*seq)), "{seq}");
        assert!(!recovery.is_forged(&(seq + 1..=seq + 1)) || left_out.contains(&(seq + 1)));
    }
    assert!(recovery.is_forged(&(0..=100_000)));
    assert!(!recovery.is_forged(&(0..=*old.last().unwrap())));
}

#[test]
fn goes_on_at_the_end_of_all_numbers() {
    let first = u64::MAX - 5;
    let mut recovery = recovery(first);
    recovery.delivery = Delivery::counting_from(u64::MAX - 1_500, 0);
    let now = Micros::MAX - 200 * MS;
    recovery.begin_turn(now);
    let sent = (first..=u64::MAX).filter(|seq| !recovery.skips(*seq)).collect::<Vec<_>>();
    for seq in &sent {
        recovery.handle_sent(*seq, SIZE, Some(*seq), true, now);
    }
    assert!(recovery.poll_timeout().is_some());
    // The very last is left out, for want of a later one.
    assert_eq!(sent.last(), Some(&(u64::MAX - 1)));
    let told = ack(&mut recovery, &[u64::MAX - 2..=u64::MAX - 1], now + 100 * MS);
    let (acked, lost) = told.split_at(2);
    assert_eq!(acked, [(u64::MAX - 2, Acked), (u64::MAX - 1, Acked)]);
    assert_eq!(lost, [(first, Lost), (first + 1, Lost)]);
    assert_eq!(timeout(&mut recovery, Micros::MAX), [(first + 2, Lost)]);
    assert!(recovery.next_send(Micros::MAX).is_some());
}

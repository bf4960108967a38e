//! Rates, exactly.

use super::super::rate::{Bucket, Pace};
use super::*;

/// What a greedy mover of `step` bytes at most moves until `end`, asking each millisecond.
fn greedy(rate: u32, step: u32, end: Millis) -> u64 {
    let (mut bucket, mut moved) = (Bucket::default(), 0);
    for now in NOW..NOW + end {
        let may = bucket.poll(rate, moved, now);
        moved += u64::from(if may > 0 { step.min(may) } else { 0 });
    }
    moved
}

#[test]
fn a_second_at_once_and_then_its_rate() {
    for rate in [1024, 1031, 65_536, 1_000_003, u32::MAX] {
        for step in [1 << 30, u32::MAX] {
            let (first, rate) = (u64::from(rate.min(step)), u64::from(rate));
            assert_eq!(greedy(rate as u32, step, 1), first, "the bucket is full at first");
            let moved = greedy(rate as u32, step, 10_000);
            assert!(moved <= 11 * rate, "{moved} of {rate} a second");
            assert!(moved >= 11 * rate - rate / 8, "{moved} of {rate} a second");
        }
    }
}

/// Whoever asks every now and then, at odd times, is not given more than whoever asks always.
#[test]
fn no_fraction_is_lost_or_won() {
    let mut random = Random(5);
    for rate in [1024, 1999, 77_777] {
        let (mut bucket, mut moved, mut now) = (Bucket::default(), 0, NOW);
        while now < NOW + 100_000 {
            // Small, and so often that the bucket is never full.
            let may = bucket.poll(rate, moved, now);
            moved += u64::from(may);
            now += random.below(200) as Millis + 1;
        }
        bucket.poll(rate, moved, NOW + 101_000);
        let all = u64::from(rate) * 101;
        let short = u64::from(rate) / 2;
        assert!((all - short..=all).contains(&moved), "{moved} of {all}");
    }
}

#[test]
fn what_was_too_much_is_owed() {
    let mut bucket = Bucket::default();
    assert_eq!(bucket.poll(1024, 7, NOW), 1024, "what moved before is not counted");
    assert_eq!(bucket.ready_at(1024), None);
    // A receive brings 64 KiB: a second's bytes were there, and 63 are owed.
    let count = 7 + (64 << 10);
    assert_eq!(bucket.poll(1024, count, NOW), 0);
    let ready = NOW + 63_000 + 63;
    assert_eq!(bucket.ready_at(1024), Some(ready), "a sixteenth of a second more, rounded up");
    assert_eq!(bucket.poll(1024, count, ready - 1), 0);
    assert_eq!(bucket.poll(1024, count, ready), 64);
    assert_eq!(bucket.ready_at(1024), None);
    assert_eq!(bucket.ready_at(0), None, "without a bound none waits");
}

#[test]
fn what_did_not_move_comes_back() {
    let mut bucket = Bucket::default();
    assert_eq!(bucket.poll(2000, 0, NOW), 2000);
    bucket.take(1500);
    assert_eq!(bucket.poll(2000, 400, NOW), 1600, "1,100 of them stayed");
    bucket.take(1600);
    assert_eq!(bucket.poll(2000, 2000, NOW), 0);
    assert_eq!(bucket.poll(2000, 2000, NOW + 500), 1000);
    assert_eq!(bucket.poll(2000, 2000, NOW + 5000), 2000, "no more than a second's");
}

#[test]
fn a_pace_is_kept_over_its_window() {
    const LEAST: (u32, u32) = (1000, 500);
    let next = |before, bytes, stood, now| Pace::next(before, LEAST, (bytes, 3), stood, now);
    let begun = next(None, 10, 0, NOW);
    assert_eq!(begun.late_at(), NOW + 500);
    let slow = next(Some(begun), 110, 0, NOW + 400);
    assert_eq!(slow.late_at(), NOW + 600, "100 bytes are worth 100 ms");
    let fast = next(Some(slow), 100_000, 0, NOW + 450);
    assert_eq!(fast.late_at(), NOW + 950, "nothing is saved beyond a window");
    let paused = next(Some(fast), 100_000, 300, NOW + 900);
    assert_eq!(paused.late_at(), NOW + 1250, "not while it was not read");
    let other = Pace::next(Some(paused), LEAST, (100_000, 4), 0, NOW + 1200);
    assert_eq!(other.late_at(), NOW + 1700, "another message has a window of its own");
}

/// Bytes that come one by one are worth as much as those that come together.
#[test]
fn no_byte_of_a_pace_is_lost() {
    let least = (10_000, 500);
    let mut pace = Pace::next(None, least, (0, 0), 0, NOW);
    for byte in 1..=400 {
        pace = Pace::next(Some(pace), least, (byte, 0), 0, NOW + 499);
    }
    assert_eq!(pace.late_at(), NOW + 540, "400 bytes are 40 ms");
}

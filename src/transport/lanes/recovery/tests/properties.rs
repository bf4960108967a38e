//! Random packets, acknowledgements and times: whatever a peer says, the accounts hold.

use std::collections::HashMap;

use super::*;

/// SplitMix64, below `bound`.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % bound
    }
}

/// What was told of each packet that was sent.
#[derive(Default)]
struct Accounts {
    sizes: HashMap<u64, u64>,
    acked: HashMap<u64, u64>,
    lost: HashMap<u64, u64>,
    /// Bytes of the packets of which nothing was told.
    in_flight: u64,
}

impl Accounts {
    fn tell(&mut self, seq: u64, fate: Fate) {
        let told = if fate == Fate::Acked { &mut self.acked } else { &mut self.lost };
        let size = self.sizes[&seq];
        assert_eq!(told.insert(seq, size), None, "{seq} was told twice to be {fate:?}");
        let after_ack = fate == Fate::Lost && self.acked.contains_key(&seq);
        assert!(!after_ack, "{seq} was lost after it was acknowledged");
        if fate == Fate::Lost || !self.lost.contains_key(&seq) {
            self.in_flight -= size;
        }
    }
}

/// A few thousand steps from `seed`, with numbers from `first` on.
fn run(seed: u64, control: Control, first: u64, start: Micros) {
    let mut random = Random(seed);
    let mut recovery = Recovery::<u64>::new(config(control), None, seed, start);
    recovery.skips.start_at(first);
    recovery.delivery = Delivery::counting_from(first, start);
    let mut accounts = Accounts::default();
    let (mut next, mut now) = (first, start);
    for _ in 0..3_000 {
        now = now.saturating_add(random.below(20_000) * random.below(2));
        match random.below(10) {
            0..=3 => {
                recovery.begin_turn(now);
                recovery.bulk_pending(now);
                for _ in 0..random.below(20) {
                    let bulk = random.below(2) == 0;
                    if !recovery.may_send(bulk, now) && random.below(4) > 0 {
                        continue;
                    }
                    if recovery.skips(next) {
                        next = next.saturating_add(1);
                    }
                    if next == u64::MAX {
                        return;
                    }
                    let size = 25 + random.below(1_175);
                    let contents = (random.below(8) > 0).then_some(next);
                    if contents.is_some() {
                        accounts.sizes.insert(next, size);
                        accounts.in_flight += size;
                    }
                    recovery.handle_sent(next, size as usize, contents, bulk, now);
                    next += 1;
                }
            }
            4..=7 => {
                let mut ranges = Vec::new();
                let mut end = next - random.below(30).min(next - first);
                for _ in 0..1 + random.below(4) {
                    let from = end - random.below(20).min(end - first);
                    ranges.push(from..=end);
                    end = from - random.below(10).min(from - first);
                }
                let delay = random.below(60_000);
                let tell = |seq: &u64, fate| accounts.tell(*seq, fate);
                // An error would close the connection; the accounts hold all the same.
                let _ = recovery.handle_ack(&ranges, delay, now, tell);
            }
            8 => {
                now = recovery.poll_timeout().map_or(now, |at| at.max(now));
                recovery.handle_timeout(now, |seq, fate| accounts.tell(*seq, fate));
                while recovery.take_probe() {}
            }
            _ => recovery.handle_received(random.below(1_500) as usize, now),
        }
        assert_eq!(recovery.facts().in_flight, accounts.in_flight);
        assert!(recovery.sent.len() <= accounts.sizes.len());
        assert!(recovery.next_send(now).is_none_or(|at| at >= now));
        let rate = recovery.facts().rate;
        assert!((4_000..=125_000_000).contains(&rate), "{rate}");
    }
}

#[test]
fn tells_the_fate_of_each_packet_once() {
    for seed in 0..8 {
        run(seed, Control::Game, 0, 0);
        run(seed, Control::Fixed, 0, 0);
        run(seed, Control::Bbr, 0, 0);
    }
}

#[test]
fn counts_to_the_end_of_all_numbers() {
    for seed in 0..4 {
        run(seed, Control::Game, u64::MAX - 5_000, u64::MAX - 10_000_000);
        run(seed, Control::Fixed, u64::MAX - 3, 0);
    }
}

#[test]
fn remembers_no_more_than_it_may() {
    let config = RateConfig { rate_max_bytes: 125_000_000, ..config(Control::Fixed) };
    let mut recovery = Recovery::<u64>::new(config, None, 1, 0);
    let mut seq = 0;
    for now in (0..).step_by(100) {
        recovery.begin_turn(now);
        if !recovery.may_send(false, now) {
            break;
        }
        while recovery.may_send(false, now) {
            recovery.handle_sent(seq, 64, Some(seq), false, now);
            seq += 1;
        }
    }
    assert_eq!(recovery.sent.len(), SENT_MAX);
    // One ACK of all but the first declares that lost, and the memory is given back.
    let mut told = 0;
    let now = 10_000 * MS;
    recovery.handle_ack(&[1..=seq - 1], 0, now, |_, _| told += 1).unwrap();
    assert_eq!((told, recovery.sent.len()), (seq, 0));
    assert!(recovery.sent.memory() < 64 * 128, "{}", recovery.sent.memory());
}

#[test]
fn keeps_few_of_the_lost() {
    let mut recovery = recovery(0);
    for start in (0..10_000).step_by(100) {
        send(&mut recovery, start..=start + 99, start * 10);
        ack(&mut recovery, &[start + 99..=start + 99], start * 10 + 10);
    }
    assert!(recovery.facts().lost > 9_000);
    assert!(recovery.sent.memory() < 100 * 1_024, "{}", recovery.sent.memory());
    send(&mut recovery, 20_000..=20_000, 10_000 * MS);
    ack(&mut recovery, &[20_000..=20_000], 10_100 * MS);
    assert!(recovery.sent.memory() < 64 * 128, "{}", recovery.sent.memory());
}

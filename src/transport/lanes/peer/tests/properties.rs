//! Whatever a network does from a seed, lanes keep their promises.

use super::network::*;
use crate::session::Key;
use crate::transport::lanes::peer::{Config, PeerEvent};
use crate::transport::lanes::recovery::{Control, RateConfig};
use crate::transport::lanes::{LaneKind, LaneOptions};

fn lane(kind: LaneKind, priority: u8, weight: u8) -> LaneOptions {
    LaneOptions { kind, priority, weight }
}

fn lanes() -> Config {
    use LaneKind::*;
    let lanes = vec![
        lane(Ordered, 1, 1),
        lane(Reliable, 1, 3),
        lane(Unreliable, 0, 1),
        lane(Sequenced, 0, 1),
        lane(Ordered, 2, 1),
    ];
    Config { lanes, ..config() }
}

/// Each way to find a rate in turn.
fn with_control(seed: u64) -> Config {
    let control = [Control::Game, Control::Fixed, Control::Bbr][(seed % 3) as usize];
    let rate = RateConfig { control, ..config().rate };
    Config { rate, ..lanes() }
}

fn weather(random: &mut Random) -> Weather {
    Weather {
        lost: random.below(25),
        doubled: random.below(20),
        delay: random.below(80) * MS,
        jitter: random.below(60) * MS * random.below(2),
        mtu: 65_000,
    }
}

fn size(random: &mut Random) -> usize {
    let most = match random.below(40) {
        0 => 524_289,
        1..=3 => 20_000,
        4..=10 => 2_000,
        11..=15 => 4,
        _ => 200,
    };
    random.below(most) as usize
}

/// Numbers of the messages that came on a lane, in order. Those without room for one are left out.
fn numbers(received: &[(u8, Vec<u8>)], lane: u8) -> Vec<u32> {
    let of = received.iter().filter(|it| it.0 == lane);
    of.filter_map(|it| it.1.first_chunk().map(|head| u32::from_be_bytes(*head))).collect()
}

/// Messages of a lane as they were written.
type Written = [Vec<Vec<u8>>; 5];

fn check(received: &[(u8, Vec<u8>)], written: &Written, seed: u64) {
    for (lane, written) in written.iter().enumerate() {
        let came = received.iter().filter(|it| it.0 == lane as u8).map(|it| &it.1);
        let mut came: Vec<_> = came.collect();
        match lane {
            0 | 4 => assert!(came.iter().copied().eq(written), "seed {seed}, lane {lane}"),
            1 => {
                let mut written: Vec<_> = written.iter().collect();
                came.sort();
                written.sort();
                assert!(came == written, "seed {seed}");
            }
            _ => {
                let mut numbers = numbers(received, lane as u8);
                if lane == 2 {
                    numbers.sort_unstable();
                }
                assert!(
                    numbers.is_sorted_by(|a, b| a < b),
                    "seed {seed}, lane {lane}: {numbers:?}"
                );
                let all = came.iter().all(|it| written.contains(it));
                assert!(all && came.len() <= written.len(), "seed {seed}, lane {lane}");
            }
        }
    }
}

fn run(seed: u64) {
    let mut random = Random(seed);
    let weather = weather(&mut random);
    let mut net = Network::new(with_control(seed), weather, seed);
    let mut written: [Written; 2] = Default::default();
    for _ in 0..40 {
        for _ in 0..random.below(8) {
            let (end, lane) = (random.below(2) as usize, random.below(5) as usize);
            let of = &mut written[end][lane];
            let mut len = size(&mut random);
            if !matches!(lane, 0 | 1 | 4) {
                len = len.min(100_000);
            }
            of.push(numbered(of.len() as u32, len));
            let bytes = of[of.len() - 1].clone();
            net.write(end, lane as u8, &bytes);
        }
        let until = net.now + random.below(60) * MS;
        net.run_until(until);
        for end in &net.ends {
            assert_eq!(end.broken, None, "seed {seed}");
            assert!(end.peer.held_bytes() < 20 << 20, "{}", end.peer.held_bytes());
        }
    }
    net.ends.iter_mut().for_each(|end| end.peer.end());
    net.run(600_000 * MS, |net| {
        for (at, end) in net.ends.iter().enumerate() {
            assert_eq!(end.broken, None, "seed {seed}");
            if end.events.contains(&PeerEvent::Ended) {
                let of = |lane: usize| end.inbox.iter().filter(|it| it.lane == lane as u8).count();
                for lane in [0, 1, 4] {
                    assert_eq!(of(lane), written[1 - at][lane].len(), "seed {seed}: too early");
                }
            }
        }
        let ended = |event| net.ends.iter().all(|end| end.events.contains(&event));
        ended(PeerEvent::Ended) && ended(PeerEvent::EndAcked)
    });
    for at in 0..2 {
        check(&net.received(1 - at), &written[at], seed);
        for (lane, written) in written[at].iter().enumerate().filter(|it| !it.1.is_empty()) {
            let bytes: usize = written.iter().map(Vec::len).sum();
            let of = net.ends[at].released[&(lane as u8)];
            assert_eq!(of, (bytes as u64, written.len() as u64), "seed {seed}, lane {lane}");
        }
        let ends = |it: &&PeerEvent| !matches!(it, PeerEvent::MtuChanged(_));
        let count = net.ends[at].events.iter().filter(ends).count();
        assert_eq!(count, 2, "{:?}", net.ends[at].events);
    }
    // Unreliable messages of which something is lost.
    let held: usize = net.ends.iter().map(|end| end.peer.held_bytes()).sum();
    assert!(held < 2 << 20, "seed {seed}: {held} bytes are held");
}

#[test]
fn every_promise_in_any_weather() {
    for seed in 0..20 {
        run(seed);
    }
}

/// Values of four keys, of which the last of each must arrive, and none older after a newer.
fn run_keys(seed: u64) {
    let mut random = Random(seed);
    let weather = weather(&mut random);
    let mut net = Network::new(with_control(seed), weather, seed);
    let mut last = [[None; 4]; 5];
    let mut count = [0_u64; 5];
    for number in 0..400 {
        let lane = random.below(5) as usize;
        let key = random.below(4);
        let mut message = numbered(number, 8 + random.below(3_000) as usize);
        message[4] = key as u8;
        let at_end = random.percent(30);
        net.write_with(0, lane as u8, &message, Key { key: key + 1, at_end }, None);
        last[lane][key as usize] = Some(number);
        count[lane] += 1;
        if random.percent(20) {
            let until = net.now + random.below(20) * MS;
            net.run_until(until);
        }
    }
    net.ends[0].peer.end();
    net.run(600_000 * MS, |net| net.ends[0].events.contains(&PeerEvent::EndAcked));
    let received = net.received(1);
    for lane in 0..5 {
        for (key, &last) in last[lane].iter().enumerate() {
            let of_key: Vec<_> =
                received.iter().filter(|it| it.1[4] == key as u8).cloned().collect();
            let numbers = numbers(&of_key, lane as u8);
            if matches!(lane, 0 | 3 | 4) {
                assert!(numbers.is_sorted_by(|a, b| a < b), "seed {seed}: {numbers:?}");
            }
            if matches!(lane, 0 | 1 | 4) {
                assert_eq!(numbers.iter().max().copied(), last, "seed {seed}");
            }
        }
        assert_eq!(net.ends[0].released[&(lane as u8)].1, count[lane], "seed {seed}");
    }
}

#[test]
fn the_last_of_each_key_arrives() {
    for seed in 0..20 {
        run_keys(seed);
    }
}

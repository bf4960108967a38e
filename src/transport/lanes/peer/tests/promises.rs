//! What each lane promises.

use super::network::*;
use crate::session::Key;
use crate::transport::lanes::peer::{Config, PeerEvent};
use crate::transport::lanes::recovery::RateConfig;
use crate::transport::lanes::{LaneKind, LaneOptions};

#[test]
fn says_hello_and_then_is_silent() {
    let mut net = Network::new(config(), Weather::default(), 1);
    net.run_until(2_000 * MS);
    for end in &net.ends {
        assert!(end.peer.wide() == Some(0x1122_3344_5566_7788));
        assert!(end.packets <= 4, "{}", end.packets);
    }
    let before = net.ends[0].packets + net.ends[1].packets;
    net.run_until(60_000 * MS);
    assert_eq!(net.ends[0].packets + net.ends[1].packets, before);
}

#[test]
fn carries_messages_of_all_sizes() {
    let mut net = Network::new(config(), Weather::default(), 1);
    let sizes = [0, 1, 64, 255, 256, 257, 1_100, 1_160, 1_200, 5_000, 70_000, 524_288];
    for (number, &size) in sizes.iter().enumerate() {
        net.write(0, 0, &numbered(number as u32, size));
    }
    net.run(60_000 * MS, |net| net.ends[1].inbox.len() == sizes.len());
    for (number, &size) in sizes.iter().enumerate() {
        assert_eq!(&*net.ends[1].inbox[number].data, numbered(number as u32, size));
    }
    net.run(1_000 * MS, |net| net.ends[0].released.get(&0).is_some_and(|it| it.1 == 12));
    assert_eq!(net.ends[0].released[&0].0, sizes.iter().sum::<usize>() as u64);
}

#[test]
fn a_lost_message_delays_no_other_lane() {
    let ordered = LaneOptions { kind: LaneKind::Ordered, priority: 1, weight: 1 };
    let config = Config { lanes: vec![ordered; 2], ..config() };
    let mut net = Network::new(config, Weather::default(), 1);
    net.run_until(200 * MS);
    // All that leaves with the first message is lost, copies included.
    net.weather.lost = 100;
    net.write(0, 0, b"lost");
    net.run_until(201 * MS);
    net.weather.lost = 0;
    net.write(0, 0, b"behind it");
    net.write(0, 1, b"another lane");
    net.run_until(222 * MS);
    assert_eq!(net.received(1), [(1, b"another lane".to_vec())]);
    net.run_until(400 * MS);
    let all = [&b"another lane"[..], b"lost", b"behind it"];
    assert!(net.received(1).iter().map(|it| &it.1[..]).eq(all), "{:?}", net.received(1));
}

#[test]
fn who_does_not_read_bounds_reliable_messages_alone() {
    let mut net = Network::new(config(), Weather::default(), 1);
    net.ends[1].reads = false;
    for number in 0..40 {
        net.write(0, 0, &numbered(number, 400_000));
    }
    net.run_until(20_000 * MS);
    let held = net.ends[1].peer.held_bytes();
    assert!((3_000_000..5_000_000).contains(&held), "{held}");
    // Nothing else stalls.
    net.write(0, 1, b"unreliable");
    net.write(1, 0, b"the other way");
    net.run_until(20_100 * MS);
    assert_eq!(net.received(0), [(0, b"the other way".to_vec())]);
    assert!(net.ends[0].released[&1].1 == 1);
    assert!((held..held + 4_096).contains(&net.ends[1].peer.held_bytes()));
    net.ends[1].reads = true;
    net.ends[1].read_all();
    net.run(60_000 * MS, |net| net.ends[1].inbox.len() == 41);
}

#[test]
fn unreliable_messages_go_first_and_leave_some_for_others() {
    let mut net = Network::new(config(), Weather::default(), 1);
    net.run_until(200 * MS);
    for number in 0..20 {
        net.write(0, 0, &numbered(number, 500_000));
    }
    for tick in 0..60_u64 {
        net.write(0, 1, &numbered(tick as u32, 64));
        net.run_for(33 * MS);
        let came = net.ends[1].inbox.iter().filter(|it| it.lane == 1).count();
        assert!(came as u64 > tick, "{came} of {tick} beside bulk");
    }
}

#[test]
fn lanes_that_are_sent_first_leave_a_tenth() {
    let mut net = Network::new(config(), Weather::default(), 1);
    net.run_until(200 * MS);
    for number in 0..500 {
        net.write(0, 0, &numbered(number, 10_000));
    }
    // So large that they are bulk, and 8 MB in all.
    for number in 0..80 {
        net.write(0, 1, &numbered(number, 100_000));
    }
    net.run(10_000 * MS, |net| net.ends[0].released.get(&1).is_some_and(|it| it.1 == 80));
    let others = net.ends[1].inbox.iter().filter(|it| it.lane == 0).count();
    assert!((60..=95).contains(&others), "{others} of 10,000 B beside 8 MB");
}

#[test]
fn weights_divide_what_lanes_of_one_priority_send() {
    let lane = |weight| LaneOptions { kind: LaneKind::Ordered, priority: 1, weight };
    let config = Config { lanes: vec![lane(1), lane(3)], ..config() };
    let mut net = Network::new(config, Weather::default(), 1);
    for number in 0..600 {
        net.write(0, number as u8 % 2, &numbered(number, 20_000));
    }
    net.run(10_000 * MS, |net| net.ends[1].inbox.len() == 200);
    let first = net.ends[1].inbox.iter().filter(|it| it.lane == 0).count();
    assert!((40..=60).contains(&first), "{first} of 200 with a quarter of the weight");
}

#[test]
fn late_messages_are_dropped_when_they_would_leave() {
    let rate = RateConfig { rate_max_bytes: 100_000, ..config().rate };
    let mut net = Network::new(Config { rate, ..config() }, Weather::default(), 1);
    net.run_until(200 * MS);
    for number in 0..20 {
        let deadline = Some(net.now + 100 * MS);
        net.write_with(0, 1, &numbered(number, 5_000), Key::default(), deadline);
    }
    // A reliable lane knows no deadline.
    net.write_with(0, 0, b"late", Key::default(), Some(0));
    net.run_until(2_000 * MS);
    let came = net.ends[1].inbox.iter().filter(|it| it.lane == 1).count();
    assert!((1..5).contains(&came), "{came}");
    assert_eq!(net.ends[0].released[&1], (100_000, 20));
    assert_eq!(net.ends[0].peer.outgoing.dropped, 20 - came as u64);
    assert!(net.ends[1].inbox.iter().any(|it| it.lane == 0));
}

#[test]
fn a_newer_message_of_a_key_takes_the_place_of_one_that_waits() {
    let rate = RateConfig { rate_max_bytes: 100_000, ..config().rate };
    let mut net = Network::new(Config { rate, ..config() }, Weather::default(), 1);
    let key = |key, at_end| Key { key, at_end };
    net.write(0, 0, &numbered(0, 20_000));
    net.write_with(0, 0, &numbered(1, 3_000), key(7, false), None);
    net.write_with(0, 0, &numbered(2, 10), key(8, false), None);
    net.write(0, 0, &numbered(3, 10));
    net.write_with(0, 0, &numbered(4, 4_000), key(7, false), None);
    net.write_with(0, 0, &numbered(5, 10), key(8, true), None);
    net.run(2_000 * MS, |net| net.ends[1].inbox.len() == 4);
    let expected = [numbered(0, 20_000), numbered(4, 4_000), numbered(3, 10), numbered(5, 10)];
    assert!(net.received(1).iter().map(|it| &it.1).eq(&expected));
    net.run_until(3_000 * MS);
    assert_eq!(net.ends[0].released[&0], (27_030, 6));
    assert_eq!(net.ends[0].peer.outgoing.dropped, 2);
}

#[test]
fn small_reliable_messages_do_not_wait_for_a_timeout() {
    let weather = Weather { delay: 50 * MS, lost: 20, ..Weather::default() };
    let mut net = Network::new(config(), weather, 3);
    net.run_until(1_000 * MS);
    let mut late = 0;
    for number in 0..200 {
        net.write(0, 0, &numbered(number, 64));
        net.run_for(90 * MS);
        late += usize::from(net.ends[1].inbox.len() <= number as usize);
    }
    // Once in 125 all three are lost.
    assert!(late <= 8, "{late} of 200");
    let packets = net.ends[0].packets;
    assert!(packets < 200 * 4, "{packets}");
}

#[test]
fn nothing_is_copied_that_was_acknowledged() {
    let weather = Weather { delay: 2 * MS, ..Weather::default() };
    let mut net = Network::new(config(), weather, 3);
    net.run_until(1_000 * MS);
    let before = net.ends[0].packets;
    for number in 0..100 {
        net.write(0, 0, &numbered(number, 64));
        net.run_for(50 * MS);
    }
    assert_eq!(net.ends[0].packets - before, 100);
}

#[test]
fn unreliable_messages_are_acknowledged_in_packets_that_go_anyway() {
    let mut net = Network::new(config(), Weather::default(), 1);
    net.run_until(1_000 * MS);
    let before = net.ends[1].packets;
    for number in 0..60 {
        (0..2).for_each(|end| net.write(end, 1, &numbered(number, 64)));
        net.run_for(33 * MS);
    }
    let packets = net.ends[1].packets - before;
    assert!(packets <= 63, "{packets} packets for 60 messages");
    // To one that sends nothing, the other acknowledges on its own.
    let before = net.ends[1].packets;
    net.write(0, 1, b"alone");
    net.run_for(30 * MS);
    assert_eq!(net.ends[1].packets, before);
    net.run_for(200 * MS);
    assert_eq!(net.ends[1].packets, before + 1);
}

#[test]
fn reliable_packets_are_acknowledged_soon_and_gaps_at_once() {
    let mut net = Network::new(config(), Weather { delay: 0, ..Weather::default() }, 1);
    net.run_until(1_000 * MS);
    let acked_after = |net: &mut Network| {
        let start = net.now;
        net.write(0, 0, b"reliable");
        net.run(100 * MS, |net| net.ends[0].released.remove(&0).is_some());
        net.now - start
    };
    assert_eq!(acked_after(&mut net), 5 * MS);
    net.weather.lost = 100;
    net.write(0, 1, b"lost");
    net.run_for(1);
    net.weather.lost = 0;
    assert_eq!(acked_after(&mut net), 0);
}

#[test]
fn plain_peers_exchange_payloads() {
    let config = Config { lanes: Vec::new(), plain: true, ..config() };
    let mut net = Network::new(config, Weather::default(), 1);
    net.write(0, 0, b"datagram");
    net.write(1, 0, &[9; 1_200]);
    net.run_until(100 * MS);
    assert_eq!(net.received(1), [(0, b"datagram".to_vec())]);
    assert_eq!(net.received(0), [(0, vec![9; 1_200])]);
    assert_eq!((net.ends[0].packets, net.ends[1].packets), (1, 1), "nothing is acknowledged");
    assert!(net.ends.iter().all(|end| end.inbox[0].unreliable && end.peer.wide().is_none()));
    net.ends[0].peer.end();
    net.run_until(200 * MS);
    assert_eq!(net.ends[0].events, [PeerEvent::EndAcked]);
}

#[test]
fn a_challenge_is_answered() {
    let mut net = Network::new(config(), Weather::default(), 1);
    net.run_until(200 * MS);
    net.ends[1].peer.challenge(*b"who are?");
    net.run_until(300 * MS);
    assert_eq!(net.ends[1].events, [PeerEvent::Responded(*b"who are?")]);
}

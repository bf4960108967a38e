//! The path: how large a datagram it takes, and what the other end's clock shows.

use super::network::*;
use crate::transport::lanes::peer::clock::Clock;
use crate::transport::lanes::peer::{Config, MTU_MIN, wire};

/// Sends so many messages of bulk.
fn bulk(net: &mut Network, count: u32) {
    let before = net.ends[1].inbox.len();
    (0..count).for_each(|number| net.write(0, 0, &numbered(number, 100_000)));
    net.run(120_000 * MS, |net| net.ends[1].inbox.len() == before + count as usize);
    net.run_for(3_000 * MS);
}

fn on_path(mtu: usize, mtu_max: usize) -> Network {
    let config = Config { mtu_max, ..config() };
    let mut net = Network::new(config, Weather { mtu, ..Weather::default() }, 1);
    net.run_until(200 * MS);
    bulk(&mut net, 3);
    net
}

#[test]
fn finds_what_the_path_takes() {
    for (path, most) in [(65_000, 1_472), (1_350, 1_472), (1_200, 1_472), (9_000, 9_000)] {
        let net = on_path(path, most);
        let found = net.ends[0].peer.path_mtu();
        let bound = path.min(most);
        assert!(found <= bound && bound - found < 20, "{found} of {bound}");
        assert_eq!(net.ends[0].peer.facts().lost, 0, "a lost probe costs nothing");
        assert_eq!(net.ends[1].peer.path_mtu(), MTU_MIN, "it sent no bulk");
    }
    let mut net = on_path(20_000, 65_000);
    let found = net.ends[0].peer.path_mtu();
    assert!((19_000..=20_000).contains(&found), "{found}");
    let (packets, bytes) = (net.ends[0].packets, net.ends[0].bytes);
    bulk(&mut net, 3);
    let size = (net.ends[0].bytes - bytes) / (net.ends[0].packets - packets);
    assert!(size > 10_000, "{size} bytes a packet");
}

#[test]
fn notices_that_the_path_shrinks() {
    let mut net = on_path(65_000, 1_472);
    net.weather.mtu = 1_300;
    bulk(&mut net, 3);
    net.run_for(20_000 * MS);
    let found = net.ends[0].peer.path_mtu();
    assert!((1_280..=1_300).contains(&found), "{found}");
    bulk(&mut net, 3);
    // And after ten minutes, that it has grown.
    net.weather.mtu = 65_000;
    net.run_for(700_000 * MS);
    assert_eq!(net.ends[0].peer.path_mtu(), 1_472);
}

#[test]
fn random_loss_is_no_smaller_path() {
    let weather = Weather { lost: 20, ..Weather::default() };
    let mut net = Network::new(config(), weather, 5);
    net.run_until(500 * MS);
    bulk(&mut net, 2);
    let found = net.ends[0].peer.path_mtu();
    for _ in 0..5 {
        bulk(&mut net, 2);
        assert!(net.ends[0].peer.path_mtu() >= found);
    }
    assert!(found > MTU_MIN, "{found}");
}

#[test]
fn learns_the_clock_of_the_peer() {
    // Packets take 10 ms there and 30 back; the peer's clock is 7 s behind.
    let (mut ours, mut theirs) = (Clock::default(), Clock::default());
    let behind = 7_000_000;
    let question = ours.take(10_000_000).unwrap();
    assert_eq!(question, wire::Clock { sent: 10_000_000, echo: 0, held: 0 });
    theirs.handle(&question, 10_010_000 - behind);
    assert_eq!(theirs.offset(), None);
    let answer = theirs.take(10_015_000 - behind).unwrap();
    assert_eq!((answer.echo, answer.held), (10_000_000, 5_000));
    ours.handle(&answer, 10_045_000);
    // Half of the difference between the ways is what cannot be known.
    assert_eq!(ours.offset(), Some(-7_000_000 - 10_000));
    assert_eq!(ours.take(10_046_000), None, "not so soon again");
    // A better sample counts, a worse one does not.
    let sample = |sent: u64, echo| wire::Clock { sent, echo, held: 0 };
    ours.handle(&sample(3_110_000, 10_100_000), 10_120_000);
    assert_eq!(ours.offset(), Some(-7_000_000));
    ours.handle(&sample(1, 10_100_000), 11_000_000);
    assert_eq!(ours.offset(), Some(-7_000_000));
    ours.handle(&sample(u64::MAX, u64::MAX), 11_000_000);
    assert_eq!(ours.offset(), Some(-7_000_000));
}

#[test]
fn clocks_ride_in_packets_that_go_anyway() {
    let mut net = Network::new(config(), Weather { jitter: 5 * MS, ..Weather::default() }, 1);
    for number in 0..60 {
        (0..2).for_each(|end| net.write(end, 1, &numbered(number, 64)));
        net.run_for(33 * MS);
    }
    for end in &net.ends {
        let offset = end.peer.lane_facts().clock_offset_us.unwrap();
        assert!(offset.abs() <= 3_000, "{offset}");
    }
}

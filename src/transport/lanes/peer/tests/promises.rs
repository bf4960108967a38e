//! What each lane promises.

use super::network::*;

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

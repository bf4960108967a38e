//! Datagrams there and back: of any size, from whom, in order, whole or flagged.

use crate::common::event::{Event, Kind, socket_address};
use crate::common::host::{Door, Host};
use crate::common::random::Random;
use crate::common::udp::Raw;
use crate::common::words::*;
use crate::common::{Setup, suite};
use sockeye::capi::event::SOCKEYE_FLAG_TRUNCATED;
use std::net::{Ipv4Addr, SocketAddr};

suite! {
    each: any_size_comes_whole, answers_go_to_the_sender, too_big_is_refused_and_harms_nothing,
        many_in_a_row_with_an_empty_one, in_order_of_each_sender, what_is_too_long_is_cut,
        over_ipv6, both_families_on_one, sends_wait_for_the_flush, held_beyond_their_batch,
        a_port_of_its_own, the_url_is_read, events_carry_user_data;
}

pub fn port(host: &mut Host) -> Door {
    host.door_at("udp://127.0.0.1:0", |_| {})
}

pub fn at(door: Door) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, door.port).into()
}

pub fn datagrams(host: &Host) -> Vec<&Event> {
    host.log.iter().filter(|event| event.kind == Kind::Datagram).collect()
}

/// Waits for so many in all.
pub fn await_datagrams(host: &mut Host, count: usize) {
    host.until("datagrams", |host| host.count(Kind::Datagram) >= count);
    assert_eq!(host.count(Kind::Datagram), count, "no more than were sent");
}

/// Behaviour 50: 0 to 65,507 bytes, both ways.
pub fn any_size_comes_whole(setup: Setup) {
    let mut host = setup.host();
    let door = port(&mut host);
    let mut raw = Raw::new();
    let mut random = Random::new(50);
    let sizes = [0, 1, 23, 24, 508, 1400, 1472, 2023, 2024, 2025, 4096, 9000, 65_000, 65_507];
    for (number, size) in sizes.into_iter().enumerate() {
        let bytes = random.bytes(size);
        raw.send(at(door), &bytes);
        await_datagrams(&mut host, number + 1);
        let event = host.log.last().expect("just told").clone();
        assert_eq!((event.listener, event.conn.id), (door.listener, 0));
        assert_eq!((event.sender, event.flags), (Some(raw.address()), 0));
        assert!(event.data == bytes, "{size} bytes came as {}", event.data.len());
        assert_eq!(host.net.send_to(door.listener, raw.address(), &event.data), OK);
        host.until("the echo", |_| raw.has(number + 1));
        assert!(raw.got[number].0 == bytes, "{size} bytes went as {}", raw.got[number].0.len());
        assert_eq!(raw.got[number].1, at(door));
    }
    let stats = host.net.listener_stats(door.listener).expect("it lives");
    let (count, all) = (sizes.len() as u64, sizes.iter().sum::<usize>() as u64);
    assert_eq!(
        (stats.received_messages, stats.received_bytes, stats.sent_bytes),
        (count, all, all)
    );
    assert_eq!((stats.system_drops, stats.queue_drops, stats.send_failures), (0, 0, 0));
    host.finish();
}

/// The sender's address of an event is what an answer is sent to, for many peers in one batch.
pub fn answers_go_to_the_sender(setup: Setup) {
    let mut host = setup.host();
    let door = port(&mut host);
    let mut peers: Vec<Raw> = (0..20).map(|_| Raw::new()).collect();
    for (number, peer) in peers.iter().enumerate() {
        peer.send(at(door), &[number as u8]);
    }
    await_datagrams(&mut host, peers.len());
    for event in datagrams(&host) {
        let sender = event.sender.expect("a datagram has a sender");
        assert_eq!(sender, peers[usize::from(event.data[0])].address());
        assert_eq!(host.net.send_to(door.listener, sender, &event.data), OK);
    }
    host.until("every answer", |_| peers.iter_mut().all(|peer| peer.has(1)));
    for (number, peer) in peers.iter_mut().enumerate() {
        assert!(!peer.has(2) && peer.payloads() == [[number as u8]]);
    }
    host.finish();
}

/// Behaviour 50: refused by the call, and the socket is as it was.
pub fn too_big_is_refused_and_harms_nothing(setup: Setup) {
    let mut host = setup.host();
    let door = port(&mut host);
    let mut raw = Raw::new();
    let giant = vec![7; 70_000];
    for size in [65_508, 65_536, 70_000] {
        let status = host.net.send_to(door.listener, raw.address(), &giant[..size]);
        assert_eq!(status, ERR_TOO_BIG, "{size}");
    }
    assert_eq!(host.net.send_to(door.listener, raw.address(), b"small"), OK);
    host.until("the small one", |_| raw.has(1));
    assert_eq!(raw.payloads(), [b"small"]);
    // What could never be in the outbox is not AGAIN but too big.
    let small = host.door_at("udp://127.0.0.1:0", |endpoint| endpoint.outbox_max_bytes = 1024);
    assert_eq!(host.net.send_to(small.listener, raw.address(), &[0; 1025]), ERR_TOO_BIG);
    assert_eq!(host.net.send_to(small.listener, raw.address(), &[0; 1024]), OK);
    host.until("the largest", |_| raw.has(2));
    host.finish();
}

/// Behaviour 52: all that came is reported, an empty one among them, more than one batch has room
/// for.
pub fn many_in_a_row_with_an_empty_one(setup: Setup) {
    const COUNT: usize = 100;
    let mut host = setup.host();
    let door = port(&mut host);
    let raw = Raw::new();
    for number in 0..COUNT {
        let bytes = if number == COUNT / 2 { &[][..] } else { &[number as u8][..] };
        raw.send(at(door), bytes);
    }
    await_datagrams(&mut host, COUNT);
    for (number, event) in datagrams(&host).into_iter().enumerate() {
        let len = usize::from(number != COUNT / 2);
        assert_eq!(event.data, [number as u8][..len], "in order");
        assert_eq!(event.sender, Some(raw.address()));
    }
    host.finish();
}

/// On loopback no datagram overtakes another of its sender.
pub fn in_order_of_each_sender(setup: Setup) {
    let mut host = setup.host();
    let door = port(&mut host);
    let peers = [Raw::new(), Raw::new(), Raw::new()];
    let mut random = Random::new(7);
    for number in 0..200u32 {
        for peer in &peers {
            let mut bytes = number.to_be_bytes().to_vec();
            bytes.resize(4 + random.below(300), 0);
            peer.send(at(door), &bytes);
        }
        if number % 20 == 19 {
            // No more than the socket has room for, however slow the worker is.
            host.until("these", |host| host.count(Kind::Datagram) == 3 * (number as usize + 1));
        }
    }
    await_datagrams(&mut host, 600);
    for peer in &peers {
        let of_it = datagrams(&host).into_iter().filter(|it| it.sender == Some(peer.address()));
        let numbers = of_it.map(|it| u32::from_be_bytes(it.data[..4].try_into().expect("four")));
        assert!(numbers.eq(0..200));
    }
    host.finish();
}

/// Behaviour 54: longer than `frame_max_bytes` is cut and says so; the next one is whole.
pub fn what_is_too_long_is_cut(setup: Setup) {
    let mut host = setup.host();
    let door = host.door_at("udp://127.0.0.1:0?max=100", |_| {});
    let raw = Raw::new();
    let bytes = Random::new(54).bytes(5000);
    for (number, size) in [99, 100, 101, 5000, 0].into_iter().enumerate() {
        raw.send(at(door), &bytes[..size]);
        await_datagrams(&mut host, number + 1);
        let event = host.log.last().expect("just told");
        let cut = if size > 100 { SOCKEYE_FLAG_TRUNCATED } else { 0 };
        assert_eq!((event.flags, event.data.len()), (cut, size.min(100)), "{size}");
        assert!(event.data == bytes[..size.min(100)]);
        assert_eq!(event.sender, Some(raw.address()));
    }
    host.finish();
}

fn has_ipv6() -> bool {
    let has = std::net::UdpSocket::bind("[::1]:0").is_ok();
    if !has {
        println!("skipped: this machine has no IPv6");
    }
    has
}

pub fn over_ipv6(setup: Setup) {
    if !has_ipv6() {
        return;
    }
    let mut host = setup.host();
    let door = host.door_at("udp://[::1]:0", |_| {});
    let mut raw = Raw::at("[::1]:0");
    let to = SocketAddr::new(raw.address().ip(), door.port);
    raw.send(to, b"six");
    await_datagrams(&mut host, 1);
    assert_eq!(host.log[0].sender, Some(raw.address()));
    assert_eq!(host.net.send_to(door.listener, raw.address(), b"back"), OK);
    // An address of the other family is no place to send to.
    let four = (Ipv4Addr::LOCALHOST, 9).into();
    assert_eq!(host.net.send_to(door.listener, four, b"x"), ERR_INVALID);
    host.until("the answer", |_| raw.has(1));
    assert_eq!(raw.got, [(b"back".to_vec(), to)]);
    let conn = host.connect(&format!("udp://[::1]:{}", raw.address().port()));
    assert_eq!(host.net.send(conn, b"connected"), OK);
    host.until("it", |_| raw.has(2));
    host.finish();
}

/// A listener on `*` has both families; an IPv4 sender is reported as such, and an IPv4 address can
/// be sent to in either form, also from a listener that has IPv4 alone.
pub fn both_families_on_one(setup: Setup) {
    if !has_ipv6() {
        return;
    }
    let mut host = setup.host();
    let mapped = Ipv4Addr::LOCALHOST.to_ipv6_mapped();
    for (round, url) in ["udp://*:0", "udp://0.0.0.0:0"].into_iter().enumerate() {
        let door = host.door_at(url, |_| {});
        let mut raw = Raw::new();
        raw.send(at(door), b"four");
        await_datagrams(&mut host, round + 1);
        assert_eq!(host.log.last().expect("just told").sender, Some(raw.address()));
        let other_form = SocketAddr::new(mapped.into(), raw.address().port());
        assert_eq!(host.net.send_to(door.listener, other_form, b"1"), OK);
        assert_eq!(host.net.send_to(door.listener, raw.address(), b"2"), OK);
        host.until("both", |_| raw.has(2));
        assert_eq!(raw.payloads(), [b"1", b"2"]);
    }
    let alone = host.door_at("udp://[::]:0", |_| {});
    assert_eq!(
        host.net.send_to(alone.listener, SocketAddr::new(mapped.into(), 9), b"3"),
        ERR_INVALID
    );
    host.finish();
}

/// Rule 3: with flush MANUAL nothing leaves before it, and then all of it in few calls.
pub fn sends_wait_for_the_flush(setup: Setup) {
    let mut host = setup.host_with(|config| config.flush = FLUSH_MANUAL);
    let door = port(&mut host);
    let mut raw = Raw::new();
    let before = host.net.stats().sent_batches;
    for number in 0..30u8 {
        assert_eq!(host.net.send_to(door.listener, raw.address(), &[number]), OK);
    }
    let waits = host.net.listener_stats(door.listener).expect("it lives");
    assert_eq!((waits.outbox_messages, waits.outbox_bytes), (30, 30));
    assert!(!raw.has(1), "nothing has left");
    assert_eq!(host.net.flush(), OK);
    host.until("all", |_| raw.has(30));
    let sent: Vec<u8> = raw.got.iter().map(|(bytes, _)| bytes[0]).collect();
    assert!(sent.into_iter().eq(0..30), "in order");
    // The peer may have it before the worker has counted it.
    host.until("its count", |host| host.net.stats().sent_batches > before);
    assert_eq!(host.net.stats().sent_batches - before, 1, "in one call");
    let waits = host.net.listener_stats(door.listener).expect("it lives");
    assert_eq!((waits.outbox_messages, waits.outbox_bytes, waits.sent_bytes), (0, 0, 30));
    host.finish();
}

/// `sockeye_event_hold`: small ones and large ones, an empty one too.
pub fn held_beyond_their_batch(setup: Setup) {
    let mut host = setup.host();
    let door = port(&mut host);
    let raw = Raw::new();
    let mut random = Random::new(3);
    let mut held = Vec::new();
    for size in [0, 10, 1400, 40_000] {
        let bytes = random.bytes(size);
        raw.send(at(door), &bytes);
        let end = std::time::Instant::now() + crate::common::DEADLINE;
        loop {
            let batch = host.batch(10);
            let found = (0..batch.raw.len()).find(|&at| batch.kind(at) == Kind::Datagram);
            if let Some(at) = found {
                let buffer = batch.hold(at).expect("its batch lives");
                assert!(buffer.bytes() == bytes);
                let event = batch.raw[at];
                host.step(0);
                assert_eq!(host.net.hold(&event).err(), Some(ERR_STALE), "its batch is over");
                held.push((buffer, bytes));
                break;
            }
            assert!(std::time::Instant::now() < end, "a datagram of {size}");
        }
    }
    for number in 0..30 {
        raw.send(at(door), &[number; 1000]);
    }
    await_datagrams(&mut host, 34);
    for (buffer, bytes) in &held {
        assert!(buffer.bytes() == bytes, "kept as it was");
    }
    host.finish();
}

/// The port is reported, is taken while the listener lives, and is free again after
/// LISTENER_CLOSED.
pub fn a_port_of_its_own(setup: Setup) {
    let mut host = setup.host();
    let door = port(&mut host);
    let info = host.net.listener_info(door.listener).expect("it lives");
    assert_eq!(socket_address(&info.local), at(door));
    let url = format!("udp://127.0.0.1:{}", door.port);
    assert_eq!(host.net.listen(&url, None).err(), Some(ERR_BUSY));
    assert!(std::net::UdpSocket::bind(at(door)).is_err(), "taken");
    assert_eq!(host.net.listener_close(door.listener), OK);
    host.until("LISTENER_CLOSED", |host| host.count(Kind::ListenerClosed) == 1);
    assert_eq!(host.log.last().expect("just told").cause, HOST);
    std::net::UdpSocket::bind(at(door)).expect("free again");
    host.finish();
}

/// What means nothing for datagrams is refused in words.
pub fn the_url_is_read(setup: Setup) {
    let mut host = setup.host();
    for url in ["udp://127.0.0.1:0?frame=u32be", "udp://127.0.0.1:x", "udp://example.net:0"] {
        assert_eq!(host.net.listen(url, None).err(), Some(ERR_INVALID), "{url}");
    }
    for url in ["udp://127.0.0.1:9?frame=varint", "udp://127.0.0.1:0", "udp://*:9"] {
        assert_eq!(host.net.connect(url, None).err(), Some(ERR_INVALID), "{url}");
    }
    assert!(crate::common::net::last_error().contains('*'));
    let door = host.door_at("udp://localhost:0?frame=raw&max=9", |_| {});
    Raw::new().send(at(door), b"here");
    await_datagrams(&mut host, 1);
    host.finish();
}

pub fn events_carry_user_data(setup: Setup) {
    let mut host = setup.host();
    let door = host.door_at("udp://127.0.0.1:0", |endpoint| endpoint.user_data = 77);
    Raw::new().send(at(door), b"x");
    await_datagrams(&mut host, 1);
    assert_eq!(host.log[0].user_data, 77);
    assert_eq!(host.net.listener_close(door.listener), OK);
    host.until("LISTENER_CLOSED", |host| host.count(Kind::ListenerClosed) == 1);
    assert_eq!(host.log[1].user_data, 77);
    host.finish();
}

//! Datagrams that do not arrive: nobody there, no way, no room. Nothing of it ends a socket, stops
//! another peer, or goes uncounted.

use super::datagrams::{at, await_datagrams, datagrams, port};
use crate::common::event::Kind;
use crate::common::host::Host;
use crate::common::udp::{Raw, nobody};
use crate::common::words::*;
use crate::common::{Setup, suite};
use socket2::SockRef;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Instant;

suite! {
    each: nobody_there_ends_nothing, nobody_there_while_only_sending, a_batch_where_all_fail,
        one_that_fails_stops_no_other, a_black_hole_does_not_stall, a_full_outbox_says_so,
        oldest_are_dropped, full_closes, what_the_system_drops_is_counted,
        a_full_queue_drops_and_counts, a_burst_of_large_ones_under_little_memory,
        reports_do_not_spin, groups_are_joined_and_left;
}

/// Behaviour 51: reports that nobody is there (ICMP) come to a connected socket, and it lives.
pub fn nobody_there_ends_nothing(setup: Setup) {
    let mut host = setup.host();
    let gone = nobody();
    let conn = host.connect(&format!("udp://{gone}"));
    host.until("OPENED", |host| host.kinds_of(conn) == [Kind::Opened]);
    for round in 1..=20 {
        // A report is heard by the receive, or where a model wakes for none by the next send.
        host.until("a report", |host| {
            assert_eq!(host.net.send(conn, b"hello?"), OK);
            host.net.conn_stats(conn).expect("it lives").send_failures >= round
        });
    }
    assert!(host.net.stats().send_failures >= 20);
    // Somebody comes: the same socket reaches him.
    let mut raw = Raw::at(&gone.to_string());
    assert_eq!(host.net.send(conn, b"at last"), OK);
    host.until("it", |_| {
        raw.has(usize::MAX) || raw.got.iter().any(|(bytes, _)| bytes == b"at last")
    });
    assert_eq!(host.kinds_of(conn), [Kind::Opened]);
    let (_, from) = &raw.got[0];
    raw.send(*from, b"yes");
    await_datagrams(&mut host, 1);
    host.finish();
}

/// The same while nothing is received: paused, so that only sends hear of it.
pub fn nobody_there_while_only_sending(setup: Setup) {
    const COUNT: u64 = 200;
    let mut host = setup.host();
    let gone = nobody();
    let conn = host.connect(&format!("udp://{gone}"));
    host.until("OPENED", |host| host.kinds_of(conn) == [Kind::Opened]);
    assert_eq!(host.net.pause(conn), OK);
    for number in 0..COUNT {
        assert_eq!(host.net.send(conn, &number.to_be_bytes()), OK);
    }
    // A report is of an earlier datagram: none is lost for it.
    host.until("all are sent", |host| {
        let stats = host.net.conn_stats(conn).expect("it lives");
        stats.outbox_messages == 0 && stats.sent_bytes == 8 * COUNT
    });
    assert_eq!(host.kinds_of(conn), [Kind::Opened]);
    host.finish();
}

/// An address to which the system does not send at all: nobody has a route to class E.
fn no_way() -> Option<SocketAddr> {
    let raw = UdpSocket::bind("127.0.0.1:0").expect("a port is free");
    // From 127.0.0.1 there is no way out of the machine.
    ["240.0.0.1:9", "192.0.2.1:9", "255.255.255.255:9"]
        .into_iter()
        .map(|address| address.parse().expect("an address"))
        .find(|&address: &SocketAddr| raw.send_to(b"x", address).is_err())
}

/// Behaviour 53: each is counted, the outbox is empty, the socket lives.
pub fn a_batch_where_all_fail(setup: Setup) {
    let Some(no_way) = no_way() else {
        return println!("skipped: this machine sends from loopback to anywhere");
    };
    let mut host = setup.host_with(|config| config.flush = FLUSH_MANUAL);
    let door = port(&mut host);
    for number in 0..40u8 {
        assert_eq!(host.net.send_to(door.listener, no_way, &[number]), OK);
    }
    assert_eq!(host.net.flush(), OK);
    host.until("all failed", |host| {
        let stats = host.net.listener_stats(door.listener).expect("it lives");
        stats.send_failures == 40 && stats.outbox_messages == 0
    });
    let stats = host.net.listener_stats(door.listener).expect("it lives");
    assert_eq!((stats.outbox_bytes, stats.sent_bytes), (0, 0));
    assert_eq!(host.net.stats().send_failures, 40);
    assert_eq!(host.log, [], "nothing is told");
    Raw::new().send(at(door), b"alive");
    await_datagrams(&mut host, 1);
    host.finish();
}

/// A datagram that cannot be sent is dropped; those before and behind it are sent.
pub fn one_that_fails_stops_no_other(setup: Setup) {
    let Some(no_way) = no_way() else {
        return println!("skipped: this machine sends from loopback to anywhere");
    };
    let mut host = setup.host_with(|config| config.flush = FLUSH_MANUAL);
    let door = port(&mut host);
    let mut raw = Raw::new();
    for number in 0..100u8 {
        let to = if number % 10 == 3 { no_way } else { raw.address() };
        assert_eq!(host.net.send_to(door.listener, to, &[number]), OK);
    }
    assert_eq!(host.net.flush(), OK);
    host.until("the others", |_| raw.has(90));
    let got: Vec<u8> = raw.got.iter().map(|(bytes, _)| bytes[0]).collect();
    assert!(got.into_iter().eq((0..100).filter(|number| number % 10 != 3)));
    host.until("the count", |host| host.net.stats().send_failures == 10);
    host.finish();
}

/// Behaviour 56: a thousand to nobody, and a live peer in between has every one of his.
pub fn a_black_hole_does_not_stall(setup: Setup) {
    let mut host = setup.host();
    let door = port(&mut host);
    let mut raw = Raw::new();
    let gone = nobody();
    for number in 0..1000u32 {
        assert_eq!(host.net.send_to(door.listener, gone, &[0; 64]), OK);
        if number % 10 == 0 {
            let bytes = number.to_be_bytes();
            assert_eq!(host.net.send_to(door.listener, raw.address(), &bytes), OK);
            raw.send(at(door), &bytes);
        }
    }
    host.until("all his", |host| raw.has(100) && host.count(Kind::Datagram) == 100);
    host.until("all sent", |host| {
        host.net.listener_stats(door.listener).expect("it lives").outbox_messages == 0
    });
    host.finish();
}

/// Over the bounds of the outbox: ERR_AGAIN, then WRITABLE of the listener, then there is room.
pub fn a_full_outbox_says_so(setup: Setup) {
    let mut host = setup.host_with(|config| config.flush = FLUSH_MANUAL);
    let mut raw = Raw::new();
    let by_count = host.door_at("udp://127.0.0.1:0", |it| it.outbox_max_messages = 10);
    let by_bytes = host.door_at("udp://127.0.0.1:0", |it| it.outbox_max_bytes = 10_000);
    let conn = host.connect_with(&format!("udp://{}", raw.address()), |endpoint| {
        endpoint.outbox_max_bytes = 10_000;
    });
    host.until("OPENED", |host| host.count(Kind::Opened) == 1);
    for number in 0..13 {
        let status = if number < 10 { OK } else { ERR_AGAIN };
        let to = raw.address();
        assert_eq!(host.net.send_to(by_count.listener, to, b""), status, "{number}");
        assert_eq!(host.net.send_to(by_bytes.listener, to, &[1; 1000]), status, "{number}");
        assert_eq!(host.net.send(conn, &[1; 1000]), status, "{number}");
    }
    assert_eq!(host.count(Kind::Writable), 0);
    assert_eq!(host.net.flush(), OK);
    host.until("WRITABLE of each", |host| host.count(Kind::Writable) == 3);
    let writable = host.log.iter().filter(|event| event.kind == Kind::Writable);
    let mut told: Vec<_> = writable.map(|it| (it.listener.id | it.conn.id, it.detail)).collect();
    let mut expected = vec![(by_count.listener.id, 3), (by_bytes.listener.id, 3), (conn.id, 3)];
    told.sort_unstable();
    expected.sort_unstable();
    assert_eq!(told, expected);
    assert_eq!(host.net.send_to(by_count.listener, raw.address(), b""), OK);
    host.until("what was taken", |_| raw.has(30));
    assert!(!raw.has(31), "and nothing else");
    host.finish();
}

pub fn oldest_are_dropped(setup: Setup) {
    let mut host = setup.host_with(|config| config.flush = FLUSH_MANUAL);
    let mut raw = Raw::new();
    let door = host.door_at("udp://127.0.0.1:0", |endpoint| {
        endpoint.overflow = OVERFLOW_DROP_OLDEST;
        endpoint.outbox_max_messages = 5;
    });
    for number in 0..12u8 {
        assert_eq!(host.net.send_to(door.listener, raw.address(), &[number]), OK);
    }
    assert_eq!(host.net.flush(), OK);
    host.until("the newest", |_| raw.has(5));
    assert_eq!(raw.payloads(), [[7], [8], [9], [10], [11]]);
    let stats = host.net.listener_stats(door.listener).expect("it lives");
    assert_eq!(stats.dropped_messages, 7);
    host.finish();
}

/// OVERFLOW_CLOSE ends the socket, and says why.
pub fn full_closes(setup: Setup) {
    let mut host = setup.host_with(|config| config.flush = FLUSH_MANUAL);
    let raw = Raw::new();
    let conn = host.connect_with(&format!("udp://{}", raw.address()), |endpoint| {
        endpoint.overflow = OVERFLOW_CLOSE;
        endpoint.outbox_max_messages = 2;
    });
    host.until("OPENED", |host| host.count(Kind::Opened) == 1);
    assert_eq!((host.net.send(conn, b"1"), host.net.send(conn, b"2")), (OK, OK));
    assert_eq!(host.net.send(conn, b"3"), ERR_CLOSED);
    assert_eq!(host.closed(conn).cause, LIMIT_OUTBOX);
    host.finish();
}

/// Nobody reads the socket: the system drops, and says how many with the next that comes.
pub fn what_the_system_drops_is_counted(setup: Setup) {
    const SENT: u64 = 400;
    let mut host = setup.host();
    // A paused connection is not read, whoever turns the worker.
    let raw = Raw::new();
    let url = format!("udp://{}", raw.address());
    let conn = host.connect_with(&url, |endpoint| endpoint.recv_buffer_bytes = 8192);
    host.until("OPENED", |host| host.count(Kind::Opened) == 1);
    let info = host.net.conn_info(conn).expect("it lives");
    let to = crate::common::event::socket_address(&info.local);
    assert_eq!(host.net.pause(conn), OK);
    for _ in 0..SENT {
        raw.send(to, &[0; 1000]);
    }
    assert_eq!(host.net.resume(conn), OK);
    // The report comes with a datagram that found room again.
    host.until("each was told or counted", |host| {
        raw.send(to, b"more");
        let stats = host.net.conn_stats(conn).expect("it lives");
        let large = datagrams(host).iter().filter(|event| event.data.len() == 1000).count() as u64;
        large < SENT && stats.system_drops >= SENT - large
    });
    assert_eq!(host.net.conn_stats(conn).expect("it lives").queue_drops, 0);
    assert!(host.net.stats().system_drops > 0);
    host.finish();
}

/// Rule 6: a host that does not poll. Its queue fills, what comes further is counted; streams wait.
pub fn a_full_queue_drops_and_counts(setup: Setup) {
    const SENT: u64 = 3000;
    let mut host = setup.host_with(|config| config.queue_max_bytes = 64 * 1024);
    let door = host.door_at("udp://127.0.0.1:0", |endpoint| {
        endpoint.recv_buffer_bytes = 4 << 20;
    });
    let raw = Raw::new();
    for number in 0..SENT {
        raw.send(at(door), &number.to_be_bytes());
    }
    let dropped = |host: &Host| {
        let stats = host.net.listener_stats(door.listener).expect("it lives");
        (stats.queue_drops, stats.queue_drops + stats.system_drops)
    };
    if setup.drive.has_threads() {
        // The worker goes on without the host.
        crate::common::wait_for("drops", || dropped(&host).0 > 0);
    }
    host.until("each was told or counted", |host| {
        // What the system dropped is reported with the next.
        raw.send(at(door), b"");
        let told = datagrams(host).iter().filter(|event| !event.data.is_empty()).count() as u64;
        told + dropped(host).1 >= SENT
    });
    host.until("the net counts the same", |host| host.net.stats().queue_drops == dropped(host).0);
    let told = datagrams(&host).into_iter().filter(|event| !event.data.is_empty());
    let numbers = told.map(|it| u64::from_be_bytes(it.data[..].try_into().expect("eight")));
    assert!(numbers.collect::<Vec<_>>().is_sorted_by(|a, b| a < b), "in order, none twice");
    host.finish();
}

/// Memory short: what there is no room for is dropped and counted, and all goes on afterwards.
pub fn a_burst_of_large_ones_under_little_memory(setup: Setup) {
    let mut host = setup.host_with(|config| {
        config.memory_max_bytes = 1 << 20;
    });
    let door = host.door_at("udp://127.0.0.1:0", |endpoint| {
        endpoint.recv_buffer_bytes = 8 << 20;
    });
    let mut raw = Raw::new();
    for _ in 0..60 {
        raw.send(at(door), &[5; 60_000]);
    }
    host.until("each was told or counted", |host| {
        raw.send(at(door), b"");
        let stats = host.net.listener_stats(door.listener).expect("it lives");
        let large = datagrams(host).iter().filter(|event| event.data.len() == 60_000).count();
        large as u64 + stats.queue_drops + stats.system_drops >= 60
    });
    let before = host.count(Kind::Datagram);
    host.until("the next", |host| {
        raw.send(at(door), &[6; 60_000]);
        datagrams(host)[before..].iter().any(|event| event.data == [6; 60_000])
    });
    assert_eq!(host.net.send_to(door.listener, raw.address(), &[7; 60_000]), OK);
    host.until("an answer", |_| raw.has(1));
    host.finish();
}

/// Rule 10: when reports have come, and nothing comes any more, the worker sleeps.
pub fn reports_do_not_spin(setup: Setup) {
    let mut host = setup.host();
    let conn = host.connect(&format!("udp://{}", nobody()));
    host.until("OPENED", |host| host.count(Kind::Opened) == 1);
    for _ in 0..50 {
        assert_eq!(host.net.send(conn, b"x"), OK);
        host.step(0);
    }
    host.until("reports", |host| {
        let stats = host.net.conn_stats(conn).expect("it lives");
        if stats.send_failures == 0 {
            // tokio's reactor wakes no reader for a report: then the next send meets it.
            assert_eq!(host.net.send(conn, b"x"), OK);
        }
        stats.send_failures > 0 && stats.outbox_messages == 0
    });
    host.rests();
    host.finish();
}

/// The index of the loopback interface.
fn loopback() -> u32 {
    // SAFETY: a NUL-terminated name.
    unsafe { libc::if_nametoindex(c"lo".as_ptr()) }
}

/// Whether datagrams to a group come back on loopback, tried without the library.
fn group_works(group: Ipv4Addr) -> bool {
    let mut raw = Raw::at("0.0.0.0:0");
    let index = socket2::InterfaceIndexOrAddress::Index(loopback());
    let joined = SockRef::from(&raw.socket).join_multicast_v4_n(&group, &index);
    let sender = to_groups();
    let to = SocketAddr::new(group.into(), raw.address().port());
    let works = joined.is_ok() && sender.socket.send_to(b"x", to).is_ok();
    let end = Instant::now() + crate::common::DEADLINE / 10;
    while works && !raw.has(1) && Instant::now() < end {
        std::thread::yield_now();
    }
    raw.has(1)
}

/// A socket that sends to groups on loopback.
fn to_groups() -> Raw {
    let raw = Raw::new();
    SockRef::from(&raw.socket).set_multicast_if_v4(&Ipv4Addr::LOCALHOST).expect("it is there");
    raw
}

/// A listener has what is sent to a group from join to leave, and of no other group.
pub fn groups_are_joined_and_left(setup: Setup) {
    let [group, other] = [Ipv4Addr::new(239, 255, 7, 7), Ipv4Addr::new(239, 255, 7, 8)];
    let mut host = setup.host();
    let door = host.door_at("udp://0.0.0.0:0", |_| {});
    let member = |host: &Host, group: Ipv4Addr, join| {
        host.net.change_membership(door.listener, group.into(), loopback(), join)
    };
    assert_eq!(member(&host, group, false), ERR_OS, "never joined");
    assert_eq!(member(&host, Ipv4Addr::new(10, 1, 2, 3), true), ERR_INVALID);
    let six: IpAddr = "ff01::7".parse().expect("one");
    assert_eq!(host.net.change_membership(door.listener, six, 0, true), ERR_INVALID);
    let none = host.net.change_membership(door.listener, group.into(), 0x7FFF_FFF0, true);
    assert_eq!(none, ERR_OS, "no such interface");
    let streams = host.door("");
    let status = host.net.change_membership(streams.listener, group.into(), 0, true);
    assert_eq!(status, ERR_UNSUPPORTED);
    assert_eq!((member(&host, group, true), member(&host, group, true)), (OK, ERR_BUSY));
    if !group_works(group) {
        return println!("skipped: loopback carries no groups here");
    }
    let raw = to_groups();
    // Another member of the second group on this machine: none of it is for the listener.
    let neighbour = Raw::at("0.0.0.0:0");
    let index = socket2::InterfaceIndexOrAddress::Index(loopback());
    SockRef::from(&neighbour.socket).join_multicast_v4_n(&other, &index).expect("it works");
    raw.send(SocketAddr::new(other.into(), door.port), b"not yours");
    raw.send(SocketAddr::new(group.into(), door.port), b"yours");
    raw.send(at(door), b"yours alone");
    await_datagrams(&mut host, 2);
    assert_eq!(
        (&host.log[0].data[..], &host.log[1].data[..]),
        (&b"yours"[..], &b"yours alone"[..])
    );
    assert_eq!(member(&host, group, false), OK);
    raw.send(SocketAddr::new(group.into(), door.port), b"late");
    raw.send(at(door), b"the last");
    await_datagrams(&mut host, 3);
    assert_eq!(host.log[2].data, b"the last");
    host.finish();
}

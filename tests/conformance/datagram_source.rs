//! Where datagrams leave from, groups that are shared, zones, and systems that refuse calls.

use super::datagrams::{await_datagrams, datagrams};
use crate::common::event::{Event, Kind};
use crate::common::host::{Door, Host};
use crate::common::net::last_error;
use crate::common::process::{network, refuse_calls};
use crate::common::udp::Raw;
use crate::common::words::*;
use crate::common::{Setup, child, suite, wait_for};
use libc::{SYS_recvmmsg, SYS_sendmmsg};
use socket2::SockRef;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::process::Command;
use std::time::Instant;

suite! {
    each: an_answer_leaves_from_where_it_was_asked, over_ipv6_and_both, an_answer_to_a_broadcast,
        an_address_that_is_gone, a_group_is_shared, a_port_is_shared_when_all_say_so,
        zones_by_name_and_number, calls_for_many_are_refused, short_memory_is_no_end,
        a_firewall_ends_nothing;
}

/// A client that hears only the address it asks.
fn asks(from: &str, door: Door, ip: impl Into<IpAddr>) -> Raw {
    let raw = Raw::at(from);
    raw.socket.connect(SocketAddr::new(ip.into(), door.port)).expect("a way there");
    raw
}

fn ask(raw: &Raw, words: &[u8]) {
    assert_eq!(raw.socket.send(words).expect("the system takes it"), words.len());
}

/// Each client asks, is answered, asks again while others do, and is answered late, in another
/// order, by what the host kept.
fn all_are_answered(host: &mut Host, clients: &mut [Raw]) {
    let before = host.count(Kind::Datagram);
    for (number, client) in clients.iter_mut().enumerate() {
        ask(client, &[number as u8]);
        await_datagrams(host, before + number + 1);
        let event = host.log.last().expect("just told");
        assert_eq!(host.net.answer(event, b"at once"), OK);
        host.until("an answer from where it was asked", |_| client.has(1));
    }
    for (number, client) in clients.iter().enumerate() {
        ask(client, &[number as u8]);
    }
    await_datagrams(host, before + 2 * clients.len());
    let first = datagrams(host).into_iter().skip(before).take(clients.len()).rev();
    for event in first.cloned().collect::<Vec<_>>() {
        assert_eq!(host.net.answer(&event, b"late"), OK);
    }
    host.until("every answer", |_| clients.iter_mut().all(|client| client.has(2)));
    for client in clients {
        assert_eq!(client.payloads(), [&b"at once"[..], b"late"]);
    }
}

fn loopback(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(127, 0, 0, last)
}

pub fn an_answer_leaves_from_where_it_was_asked(setup: Setup) {
    let mut host = setup.host();
    let door = host.door_at("udp://0.0.0.0:0", |_| {});
    let asked = [1, 2, 3, 77, 2];
    let mut clients = asked.map(|last| asks("127.0.0.1:0", door, loopback(last)));
    all_are_answered(&mut host, &mut clients);
    for (event, last) in datagrams(&host).into_iter().zip(asked) {
        assert_eq!(event.asked[..4], loopback(last).octets());
    }
    assert_eq!(host.net.listener_stats(door.listener).expect("it lives").send_failures, 0);
    // An address that the host made, without any of ours, is one to send to as well; so is one
    // with what is no address of this machine.
    let raw = &mut Raw::new();
    assert_eq!(host.net.send_to(door.listener, raw.address(), b"1"), OK);
    let mut event = host.log[0].clone();
    event.sender = Some(raw.address());
    event.asked[..4].copy_from_slice(&[192, 0, 2, 1]);
    assert_eq!(host.net.answer(&event, b"2"), OK);
    host.until("both", |_| raw.has(2));
    // A listener on one address has nothing to choose.
    let one = host.door_at("udp://127.0.0.1:0", |_| {});
    raw.send(SocketAddr::new(loopback(1).into(), one.port), b"x");
    await_datagrams(&mut host, 11);
    let event = host.log.last().expect("just told");
    assert_eq!(event.asked, [0; 16]);
    assert_eq!(host.net.answer(event, b"3"), OK);
    host.until("it", |_| raw.has(3));
    host.finish();
}

pub fn over_ipv6_and_both(setup: Setup) {
    if !network("for last in 1 2 3; do ip addr add fd00::$last/128 dev lo nodad; done") {
        return;
    }
    let mut host = setup.host();
    let door = host.door_at("udp://*:0", |_| {});
    let six = |last| Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, last);
    for last in [1, 2, 3] {
        // The system may lose what comes first to an address that it was just given.
        let mut own = Raw::at(&format!("[{}]:0", six(last)));
        wait_for("its own datagram", || {
            own.send(own.address(), b"x");
            own.has(1)
        });
    }
    let mut clients = vec![asks("[::1]:0", door, Ipv6Addr::LOCALHOST)];
    clients.extend([1, 2, 3].map(|last| asks("[fd00::1]:0", door, six(last))));
    clients.extend([1, 2, 9].map(|last| asks("127.0.0.1:0", door, loopback(last))));
    all_are_answered(&mut host, &mut clients);
    assert_eq!(Ipv6Addr::from(host.log[2].asked), six(2));
    assert_eq!(host.log[6].asked[..4], loopback(9).octets());
    assert!(host.log[6].sender.is_some_and(|sender| sender.is_ipv4()), "it is one of IPv4");
    assert_eq!(host.net.listener_stats(door.listener).expect("it lives").send_failures, 0);
    host.finish();
}

/// A network of its own with these two addresses on one interface.
const TWO: &str = "ip link add v0 type veth peer name v1\nip link set v0 up\nip link set v1 up
    ip addr add 10.9.1.1/24 brd 10.9.1.255 dev v0\nip addr add 10.9.1.2/24 dev v0";

/// Discovery: the address that was asked is all of a network's, and one of it answers.
pub fn an_answer_to_a_broadcast(setup: Setup) {
    if !network(TWO) {
        return;
    }
    let mut host = setup.host();
    for (number, url) in ["udp://0.0.0.0:0", "udp://*:0"].into_iter().enumerate() {
        let door = host.door_at(url, |_| {});
        let mut raw = Raw::at("10.9.1.2:0");
        raw.socket.set_broadcast(true).expect("an option");
        for (count, to) in ["10.9.1.255", "255.255.255.255"].into_iter().enumerate() {
            raw.send(SocketAddr::new(to.parse().expect("an address"), door.port), b"who?");
            await_datagrams(&mut host, 2 * number + count + 1);
            let event = host.log.last().expect("just told");
            assert_eq!(host.net.answer(event, b"me"), OK);
            host.until("the answer", |_| raw.has(count + 1));
            assert_eq!(raw.got[count].1, SocketAddr::new([10, 9, 1, 1].into(), door.port));
        }
        let stats = host.net.listener_stats(door.listener).expect("it lives");
        assert_eq!(stats.send_failures, 0);
    }
    host.finish();
}

/// An answer by an address that this machine has no more is sent all the same, and is in no way of
/// those that are given with it.
pub fn an_address_that_is_gone(setup: Setup) {
    if !network(TWO) {
        return;
    }
    let mut host = setup.host();
    let door = host.door_at("udp://*:0", |_| {});
    let mut raws = [Raw::at("127.0.0.1:0"), Raw::at("10.9.1.1:0"), Raw::at("127.0.0.1:0")];
    for (raw, to) in raws.iter().zip(["127.0.0.1", "10.9.1.2", "127.0.0.1"]) {
        raw.send(SocketAddr::new(to.parse().expect("an address"), door.port), b"x");
    }
    await_datagrams(&mut host, 3);
    let gone = Command::new("ip").args(["addr", "del", "10.9.1.2/24", "dev", "v0"]).status();
    assert!(gone.expect("it was there before").success());
    for event in datagrams(&host) {
        assert_eq!(host.net.answer(event, b"y"), OK);
    }
    host.until("each", |_| raws.iter_mut().all(|raw| raw.has(1)));
    assert_eq!(host.net.listener_stats(door.listener).expect("it lives").send_failures, 0);
    host.finish();
}

/// Two hear one group on one port, a third on the port that joined nothing hears nothing of it.
pub fn a_group_is_shared(setup: Setup) {
    if !network(TWO) {
        return;
    }
    let group = Ipv4Addr::new(239, 1, 2, 3);
    let mut host = setup.host();
    let first = host.door_at("udp://*:0?share=1", |_| {});
    let url = format!("udp://*:{}", first.port);
    let second = host.door_at(&url, |endpoint| endpoint.share = 1);
    let quiet = host.door_at(&format!("{url}?max=1000&share=1"), |_| {});
    let bound = [(); 2].map(|()| host.door_at("udp://239.1.2.3:6000", |_| {}));
    for door in [first, second, bound[0], bound[1]] {
        let joined = host.net.change_membership(door.listener, group.into(), index("v0"), true);
        assert_eq!(joined, OK, "{}", last_error());
    }
    let mut raw = Raw::at("10.9.1.1:0");
    let interface = Ipv4Addr::new(10, 9, 1, 1);
    SockRef::from(&raw.socket).set_multicast_if_v4(&interface).expect("an interface");
    raw.send(SocketAddr::new(group.into(), first.port), b"all");
    raw.send(SocketAddr::new(group.into(), 6000), b"all");
    await_datagrams(&mut host, 4);
    for door in [first, second, bound[0], bound[1]] {
        let mut of_it = host.log.iter().filter(|event| event.listener == door.listener);
        let event = of_it.next().expect("each hears it");
        assert_eq!(host.net.answer(event, b"me"), OK);
    }
    host.until("four answers", |_| raw.has(4));
    assert!(host.log.iter().all(|event| event.listener != quiet.listener));
    host.finish();
}

fn index(name: &str) -> u32 {
    let name = std::ffi::CString::new(name).expect("no NUL");
    // SAFETY: a text with its NUL.
    unsafe { libc::if_nametoindex(name.as_ptr()) }
}

/// An address is one listener's, unless it and the others say that it is shared; only those of
/// datagrams may.
pub fn a_port_is_shared_when_all_say_so(setup: Setup) {
    let mut host = setup.host();
    let shared = host.door_at("udp://127.0.0.1:0?share=1", |_| {});
    let own = host.door_at("udp://127.0.0.1:0?share=0", |_| {});
    let url = |door: Door, query| format!("udp://127.0.0.1:{}{query}", door.port);
    for taken in [url(shared, ""), url(own, "?share=1"), url(own, "")] {
        assert_eq!(host.net.listen(&taken, None).err(), Some(ERR_BUSY), "{taken}");
    }
    host.door_at(&url(shared, "?share=1"), |_| {});
    for wrong in ["tcp://127.0.0.1:0?share=1", "unix:@x?share=1", "udp://127.0.0.1:0?share=2"] {
        assert_eq!(host.net.listen(wrong, None).err(), Some(ERR_INVALID), "{wrong}");
        assert!(last_error().contains("share"), "{}", last_error());
    }
    for wrong in ["tcp://127.0.0.1:9?share=1", "udp://127.0.0.1:9?share=1"] {
        assert_eq!(host.net.connect(wrong, None).err(), Some(ERR_INVALID), "{wrong}");
        assert!(last_error().contains("share"), "{}", last_error());
    }
    host.finish();
}

/// Link-local addresses have their interface by name or number, in either form of a URL.
pub fn zones_by_name_and_number(setup: Setup) {
    if !network(
        "ip link add v0 type veth peer name v1\nip link set v0 up\nip link set v1 up
        ip addr add fe80::5/64 dev v0 nodad\nip addr add fe80::6/64 dev v0 nodad",
    ) {
        return;
    }
    let mut host = setup.host();
    let number = index("v0");
    for zone in ["%25v0".into(), "%v0".into(), format!("%25{number}"), format!("%{number}")] {
        let door = host.door_at(&format!("tcp://[fe80::5{zone}]:0"), |_| {});
        let conn = host.connect(&format!("tcp://[fe80::5{zone}]:{}", door.port));
        host.until("OPENED", |host| host.kinds_of(conn) == [Kind::Opened]);
        let door = host.door_at(&format!("udp://[fe80::5{zone}]:0?max=9"), |_| {});
        let conn = host.connect(&format!("udp://[fe80::5{zone}]:{}", door.port));
        // The system may lose what is sent while the address is still new.
        host.until("it", |host| {
            assert_eq!(host.net.send(conn, b"near"), OK);
            host.log.iter().any(|it| it.listener == door.listener && it.kind == Kind::Datagram)
        });
    }
    for zone in ["%25nowhere", "%nowhere", "%", "%25", "%4000000000"] {
        let url = format!("udp://[fe80::5{zone}]:0");
        assert_eq!(host.net.listen(&url, None).err(), Some(ERR_INVALID), "{url}");
        assert!(last_error().contains("interface"), "{}", last_error());
        assert_eq!(host.net.connect(&format!("{url}1"), None).err(), Some(ERR_INVALID), "{url}");
    }
    // The wildcard answers from where it was asked, also where only the interface tells which.
    let door = host.door_at("udp://[::]:0", |_| {});
    for last in [5, 6] {
        let mut raw = Raw::at("[::]:0");
        let ip = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, last);
        raw.socket.connect(SocketAddrV6::new(ip, door.port, 0, number)).expect("a way there");
        // It may ask more than once, and the one before may have, too: the answer is for this one.
        let port = raw.address().port();
        let asked = |host: &Host| {
            let of_it = |it: &&Event| it.sender.is_some_and(|sender| sender.port() == port);
            host.log.iter().find(of_it).cloned()
        };
        // The system may lose what is sent while the address is still new, or take no more of it.
        host.until("what it asks", |host| {
            let _ = raw.socket.send(b"x");
            asked(host).is_some()
        });
        let event = &asked(&host).expect("just told");
        assert!(matches!(event.sender, Some(SocketAddr::V6(it)) if it.scope_id() == number));
        assert_eq!(host.net.answer(event, b"y"), OK);
        host.until("the answer", |_| raw.has(1));
    }
    host.finish();
}

/// A sandbox that knows no calls for many: they go one by one.
pub fn calls_for_many_are_refused(setup: Setup) {
    child::alone(setup, || {
        let mut host = setup.host();
        let door = host.door_at("udp://0.0.0.0:0", |_| {});
        let peers = || [1, 2, 3].map(|last| asks("127.0.0.1:0", door, loopback(last)));
        all_are_answered(&mut host, &mut peers());
        if !refuse_calls(&[SYS_recvmmsg, SYS_sendmmsg], libc::ENOSYS) {
            return;
        }
        let mut clients = peers();
        all_are_answered(&mut host, &mut clients);
        let event = host.log.last().expect("just told").clone();
        for number in 0..100_u8 {
            assert_eq!(host.net.answer(&event, &[number]), OK);
        }
        let last = clients.iter_mut().find(|raw| Some(raw.address()) == event.sender);
        let last = last.expect("one of them");
        host.until("all", |_| last.has(102));
        assert!(last.got[2..].iter().map(|(bytes, _)| bytes[0]).eq(0..100), "in order");
        assert_eq!(host.net.listener_stats(door.listener).expect("it lives").send_failures, 0);
        host.finish();
    });
}

/// A system without memory for what it received: neither an error, nor a spin, nor the end.
pub fn short_memory_is_no_end(setup: Setup) {
    child::alone(setup, || {
        if !refuse_calls(&[SYS_recvmmsg], libc::ENOMEM) {
            return;
        }
        let mut host = setup.host();
        let door = host.door_at("udp://127.0.0.1:0", |_| {});
        let mut raw = Raw::new();
        raw.send(SocketAddr::new(loopback(1).into(), door.port), b"x");
        let (start, before) = (Instant::now(), host.net.stats().turns);
        while start.elapsed().as_millis() < 300 {
            host.step(300);
        }
        let (turns, passed) = (host.net.stats().turns - before, start.elapsed().as_millis());
        assert!(u128::from(turns) < 100 + passed, "{turns} turns in {passed} ms");
        assert_eq!(host.net.send_to(door.listener, raw.address(), b"alive"), OK);
        host.until("it", |_| raw.has(1));
        // The peer may have it before the worker has counted it.
        let stats = |host: &Host| host.net.listener_stats(door.listener).expect("it lives");
        host.until("its count", |host| stats(host).sent_bytes == 5);
        assert_eq!(stats(&host).send_failures, 0);
        host.finish();
    });
}

/// What a firewall refuses is counted and gone; the socket receives, and sends what it may.
pub fn a_firewall_ends_nothing(setup: Setup) {
    child::alone(setup, || {
        let mut raw = Raw::new();
        let gone = raw.address();
        if !refuse_calls(&[SYS_sendmmsg, libc::SYS_sendmsg], libc::EPERM) {
            return;
        }
        let mut host = setup.host();
        let door = host.door_at("udp://127.0.0.1:0", |_| {});
        for _ in 0..100 {
            assert_eq!(host.net.send_to(door.listener, gone, b"no"), OK);
        }
        let stats = |host: &Host| host.net.listener_stats(door.listener).expect("it lives");
        host.until("all refused", |host| stats(host).send_failures == 100);
        raw.send(SocketAddr::new(loopback(1).into(), door.port), b"yes");
        await_datagrams(&mut host, 1);
        assert!(!raw.has(1) && stats(&host).outbox_messages == 0);
        host.finish();
    });
}

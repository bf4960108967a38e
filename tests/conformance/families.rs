//! IPv4 and IPv6: one listener for both, two that share a port, and peers that have one form of
//! their address wherever it is shown.

use super::datagrams::{await_datagrams, datagrams};
#[cfg(target_os = "linux")]
use crate::common::child;
use crate::common::event::{Kind, socket_address};
use crate::common::host::{Door, Host};
use crate::common::net::last_error;
use crate::common::peer::Peer;
#[cfg(target_os = "linux")]
use crate::common::process::{network, refuse_family};
use crate::common::udp::Raw;
use crate::common::words::*;
use crate::common::{Setup, frame, suite};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};

suite! {
    each: every_address_is_of_both, datagrams_of_both, the_families_share_a_port,
        an_address_is_of_its_family, where_ipv6_is_off, where_there_is_no_ipv6;
}

const V4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const V6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);

/// Whether this machine has IPv6; if not, says so.
fn has_v6() -> bool {
    let has = TcpListener::bind((V6, 0)).is_ok();
    if !has {
        println!("skipped: this machine has no IPv6");
    }
    has
}

/// A peer that connects to `ip` is served, and both ends of its connection are shown as `ip`'s
/// family has them.
fn serves(host: &mut Host, door: Door, ip: IpAddr) {
    let before = host.log.len();
    let mut peer = Peer::connect_to(SocketAddr::new(ip, door.port));
    peer.put(&frame(b"hello"));
    // What was accepted before may be told in between.
    let message = |host: &Host| {
        let found = host.log[before..].iter().find(|event| event.kind == Kind::Message);
        found.map(|event| event.conn)
    };
    host.until("a message", |host| message(host).is_some());
    let conn = message(host).expect("it came");
    let info = host.net.conn_info(conn).expect("it lives");
    assert_eq!(socket_address(&info.peer), peer.address());
    assert_eq!(socket_address(&info.local), SocketAddr::new(ip, door.port));
    host.turn_over_behind(&mut peer, conn, &1u32.to_be_bytes());
    drop(peer);
    let closed = host.closed(conn);
    assert_eq!(closed.cause, PEER);
}

/// Nobody listens there.
fn refuses(ip: IpAddr, port: u16) {
    assert!(TcpStream::connect((ip, port)).is_err(), "{ip} is served");
}

pub fn every_address_is_of_both(setup: Setup) {
    if !has_v6() {
        return;
    }
    let mut host = setup.host();
    for url in ["tcp://*:0?frame=u32be", "tcp://[::]:0?v6only=0&frame=u32be"] {
        let door = host.door_at(url, |_| {});
        for ip in [V4, V6] {
            serves(&mut host, door, ip);
        }
        // What a connect reaches is shown in the same way.
        let conn = host.connect(&format!("tcp://[::ffff:127.0.0.1]:{}", door.port));
        host.until("OPENED", |host| host.kinds_of(conn) == [Kind::Opened]);
        let info = host.net.conn_info(conn).expect("it lives");
        assert_eq!(socket_address(&info.peer), SocketAddr::new(V4, door.port));
        for taken in [format!("tcp://*:{}", door.port), format!("tcp://0.0.0.0:{}", door.port)] {
            assert_eq!(host.net.listen(&taken, None).err(), Some(ERR_BUSY), "{taken}");
        }
    }
    let door = host.door_at("tcp://[::]:0?frame=u32be", |endpoint| endpoint.v6only = 0);
    serves(&mut host, door, V4);
    host.finish();
}

pub fn datagrams_of_both(setup: Setup) {
    if !has_v6() {
        return;
    }
    let mut host = setup.host();
    let mut raws = [Raw::at("127.0.0.1:0"), Raw::at("[::1]:0")];
    for (round, url) in ["udp://*:0", "udp://[::]:0?v6only=0"].into_iter().enumerate() {
        let door = host.door_at(url, |_| {});
        for (at, (raw, ip)) in raws.iter_mut().zip([V4, V6]).enumerate() {
            raw.send(SocketAddr::new(ip, door.port), b"x");
            await_datagrams(&mut host, 2 * round + at + 1);
            let event = host.log.last().expect("just told");
            assert_eq!(event.sender, Some(raw.address()), "as it calls itself");
            assert_eq!(host.net.answer(event, b"answer"), OK);
            assert_eq!(host.net.send_to(door.listener, raw.address(), b"sent"), OK);
            host.until("both", |_| raw.has(2 * round + 2));
            let from = |it: &(Vec<u8>, SocketAddr)| it.1 == SocketAddr::new(ip, door.port);
            assert!(raw.got[2 * round..].iter().all(from), "{:?}", raw.got);
        }
        let stats = host.net.listener_stats(door.listener).expect("it lives");
        assert_eq!((stats.send_failures, datagrams(&host).len()), (0, 2 * round + 2));
    }
    host.finish();
}

/// 0.0.0.0 and [::] mean what they say, whichever is first.
pub fn the_families_share_a_port(setup: Setup) {
    if !has_v6() {
        return;
    }
    let mut host = setup.host();
    for (first, second) in [("0.0.0.0", "[::]"), ("[::]", "0.0.0.0")] {
        let one = host.door_at(&format!("tcp://{first}:0?frame=u32be"), |_| {});
        refuses(if first == "[::]" { V4 } else { V6 }, one.port);
        let other = host.door_at(&format!("tcp://{second}:{}?frame=u32be", one.port), |_| {});
        let of = |ip: IpAddr| if ip.is_ipv6() == (first == "[::]") { one } else { other };
        for ip in [V4, V6] {
            serves(&mut host, of(ip), ip);
            let last = host.log.iter().rfind(|event| event.kind == Kind::Opened);
            assert_eq!(last.expect("it was opened").listener, of(ip).listener);
        }
        let both = format!("tcp://*:{}", one.port);
        assert_eq!(host.net.listen(&both, None).err(), Some(ERR_BUSY), "{both}");
        let one = host.door_at(&format!("udp://{first}:0"), |_| {});
        let other = host.door_at(&format!("udp://{second}:{}", one.port), |_| {});
        let of = |ip: IpAddr| if ip.is_ipv6() == (first == "[::]") { one } else { other };
        for ip in [V4, V6] {
            let raw = Raw::at(&SocketAddr::new(ip, 0).to_string());
            raw.send(SocketAddr::new(ip, one.port), b"x");
            let before = host.count(Kind::Datagram);
            await_datagrams(&mut host, before + 1);
            assert_eq!(host.log.last().expect("just told").listener, of(ip).listener);
        }
    }
    host.finish();
}

/// A datagram to the other family is refused at once, in any case of it.
pub fn an_address_is_of_its_family(setup: Setup) {
    if !has_v6() {
        return;
    }
    let mut host = setup.host();
    for (url, to) in [
        ("udp://[::]:0", V4),
        ("udp://[::1]:0", V4),
        ("udp://0.0.0.0:0", V6),
        ("udp://127.0.0.1:0", V6),
    ] {
        let door = host.door_at(url, |_| {});
        let to = SocketAddr::new(to, door.port);
        assert_eq!(host.net.send_to(door.listener, to, b"x"), ERR_INVALID, "{url}");
    }
    let door = host.door_at("udp://[::]:0", |_| {});
    let group = Ipv4Addr::new(239, 1, 2, 3).into();
    assert_eq!(host.net.change_membership(door.listener, group, 0, true), ERR_INVALID);
    assert!(last_error().contains("family"), "{}", last_error());
    host.finish();
}

/// `*` serves who there is.
#[cfg(target_os = "linux")]
fn serves_v4(host: &mut Host) {
    let door = host.door_at("tcp://*:0?frame=u32be", |_| {});
    serves(host, door, V4);
    let door = host.door_at("udp://*:0", |_| {});
    let mut raw = Raw::new();
    raw.send(SocketAddr::new(V4, door.port), b"x");
    await_datagrams(host, 1);
    assert_eq!(host.net.answer(host.log.last().expect("just told"), b"y"), OK);
    host.until("the answer", |_| raw.has(1));
}

/// An operator has switched it off, or has sockets of IPv6 take IPv6 alone.
pub fn where_ipv6_is_off(setup: Setup) {
    #[cfg(target_os = "linux")]
    for switch in ["conf/all/disable_ipv6", "bindv6only"] {
        if !network(&format!("echo 1 > /proc/sys/net/ipv6/{switch}")) {
            return;
        }
        let mut host = setup.host();
        serves_v4(&mut host);
        host.finish();
    }
    #[cfg(not(target_os = "linux"))]
    let _ = setup;
}

/// The kernel has no IPv6.
pub fn where_there_is_no_ipv6(setup: Setup) {
    #[cfg(target_os = "linux")]
    child::alone(setup, || {
        if !refuse_family(libc::AF_INET6) {
            return;
        }
        let mut host = setup.host();
        serves_v4(&mut host);
        let local = host.door_at("tcp://*:0", |_| {});
        let info = host.net.listener_info(local.listener).expect("it lives");
        assert_eq!(socket_address(&info.local).ip(), Ipv4Addr::UNSPECIFIED);
        assert_eq!(host.net.listen("tcp://[::]:0", None).err(), Some(ERR_OS), "no such family");
        host.finish();
    });
    #[cfg(not(target_os = "linux"))]
    let _ = setup;
}

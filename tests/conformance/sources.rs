//! Where connects leave from: `bind=` in their URL.

use super::datagrams::await_datagrams;
use crate::common::event::{Event, Kind, socket_address};
use crate::common::host::{Door, Host};
use crate::common::net::last_error;
use crate::common::udp::Raw;
use crate::common::words::*;
use crate::common::{Setup, suite};
use sockeye::capi::conn::sockeye_conn;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};

suite! {
    each: a_connect_leaves_from_there, a_port_of_ones_own, a_name_is_of_its_family,
        datagrams_leave_from_there, an_address_that_cannot_be_had;
}

const NEAR: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 9));

/// The peer of the connection that a door has got since, once there is one.
fn caller(host: &mut Host, door: Door, before: usize) -> (SocketAddr, sockeye_conn) {
    let of_door = |event: &&Event| event.listener == door.listener && event.kind == Kind::Opened;
    host.until("OPENED at the door", |host| host.log[before..].iter().any(|it| of_door(&it)));
    let conn = host.log[before..].iter().find(of_door).expect("just told").conn;
    let info = host.net.conn_info(conn).expect("it lives");
    (socket_address(&info.peer), conn)
}

/// Connects from there, and checks that both ends know it.
fn leaves_from(host: &mut Host, door: Door, query: &str) -> (SocketAddr, [sockeye_conn; 2]) {
    let before = host.log.len();
    let conn = host.connect(&format!("tcp://127.0.0.1:{}?frame=u32be&{query}", door.port));
    let (peer, far) = caller(host, door, before);
    host.until("OPENED", |host| host.kinds_of(conn).contains(&Kind::Opened));
    let info = host.net.conn_info(conn).expect("it lives");
    assert_eq!(socket_address(&info.local), peer, "{query}");
    assert_eq!(host.net.send(conn, b"hello"), OK);
    host.until("a message", |host| host.bytes(far) == b"hello");
    (peer, [conn, far])
}

pub fn a_connect_leaves_from_there(setup: Setup) {
    let mut host = setup.host();
    let door = host.door("?frame=u32be");
    let mut ports = Vec::new();
    for query in ["bind=127.0.0.9", "bind=127.0.0.9:0", "bind=127.0.0.9"] {
        let (peer, _) = leaves_from(&mut host, door, query);
        assert_eq!(peer.ip(), NEAR);
        ports.push(peer.port());
    }
    // One that was made alike but for that leaves from where the system says.
    let (peer, _) = leaves_from(&mut host, door, "nodelay=1");
    assert_eq!(peer.ip(), Ipv4Addr::LOCALHOST);
    ports.sort_unstable();
    ports.dedup();
    assert_eq!(ports.len(), 3, "a port each");
    host.finish();
}

/// Again and again from the same port, though the connection before has just ended there.
pub fn a_port_of_ones_own(setup: Setup) {
    if cfg!(windows) {
        println!("skipped: a port rests here for minutes");
        return;
    }
    let mut host = setup.host();
    let port = {
        let free = TcpListener::bind((NEAR, 0)).expect("a port");
        free.local_addr().expect("bound").port()
    };
    for _ in 0..3 {
        // A door each, as the system may not take the same two ports again at once.
        let door = host.door("?frame=u32be");
        let (peer, conns) = leaves_from(&mut host, door, &format!("bind=127.0.0.9:{port}"));
        assert_eq!(peer, SocketAddr::new(NEAR, port));
        assert_eq!(host.net.close(conns[0], GRACEFUL), OK);
        conns.into_iter().for_each(|conn| drop(host.closed(conn)));
    }
    host.finish();
}

/// Of the addresses of a name only those of that family are tried.
pub fn a_name_is_of_its_family(setup: Setup) {
    if TcpListener::bind("[::1]:0").is_err() {
        println!("skipped: this machine has no IPv6");
        return;
    }
    let mut host = setup.host();
    let door = host.door_at("tcp://*:0", |_| {});
    for bind in ["::1", "[::1]:0", "127.0.0.1"] {
        let before = host.log.len();
        host.connect(&format!("tcp://localhost:{}?bind={bind}", door.port));
        let (peer, _) = caller(&mut host, door, before);
        assert_eq!(peer.is_ipv6(), bind != "127.0.0.1", "{bind}: {peer}");
    }
    for url in ["tcp://127.0.0.1:9?bind=::1", "udp://[::1]:9?bind=127.0.0.1"] {
        assert_eq!(host.net.connect(url, None).err(), Some(ERR_INVALID), "{url}");
        assert!(last_error().contains("bind="), "{}", last_error());
    }
    host.finish();
}

pub fn datagrams_leave_from_there(setup: Setup) {
    let mut host = setup.host();
    let door = host.door_at("udp://127.0.0.1:0", |_| {});
    let port = Raw::at("127.0.0.9:0").address().port();
    for (count, (bind, fixed)) in
        [("127.0.0.9".into(), None), (format!("127.0.0.9:{port}"), Some(port))].iter().enumerate()
    {
        let bind: &String = bind;
        let conn = host.connect(&format!("udp://127.0.0.1:{}?bind={bind}", door.port));
        assert_eq!(host.net.send(conn, b"x"), OK);
        await_datagrams(&mut host, count + 1);
        let sender = host.log.iter().rfind(|event| event.kind == Kind::Datagram);
        let sender = sender.and_then(|event| event.sender).expect("it has one");
        assert_eq!(sender.ip(), NEAR);
        assert!(fixed.is_none_or(|port| port == sender.port()), "{sender}");
        let info = host.net.conn_info(conn).expect("it lives");
        assert_eq!(socket_address(&info.local), sender);
    }
    host.finish();
}

/// An address of another machine, 198.51.100.0/24 is for documents (RFC 5737), and a port that is
/// in use: each fails by itself, and nothing else does.
pub fn an_address_that_cannot_be_had(setup: Setup) {
    let mut host = setup.host();
    let door = host.door("?frame=u32be");
    let listening = TcpListener::bind((NEAR, 0)).expect("a port");
    let taken = listening.local_addr().expect("bound");
    let raw = Raw::at("127.0.0.9:0");
    for (scheme, bind, cause) in [
        ("tcp", "198.51.100.77".to_owned(), UNREACHABLE),
        ("udp", "198.51.100.77:7".to_owned(), UNREACHABLE),
        ("tcp", taken.to_string(), LIMIT_DESCRIPTORS),
        ("udp", raw.address().to_string(), LIMIT_DESCRIPTORS),
    ] {
        let conn = host.connect(&format!("{scheme}://127.0.0.1:{}?bind={bind}", door.port));
        let closed = host.closed(conn);
        assert_eq!(closed.cause, cause, "{scheme} {bind}: {closed:?}");
        assert_ne!(closed.os_error, 0, "{closed:?}");
        assert_eq!(host.kinds_of(conn), [Kind::Closed]);
    }
    drop(listening);
    let (mut peer, conn) = host.meet(door);
    host.turn_over_behind(&mut peer, conn, &1u32.to_be_bytes());
    host.finish();
}

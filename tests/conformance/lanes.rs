//! `game://`: encrypted lanes over UDP, both ends ours.

pub use super::carried::accepted;
use crate::common::event::{Event, Kind};
use crate::common::groups::NOBODY;
use crate::common::host::{Door, Host};
use crate::common::lanes::{ORDERED, SEQUENCED, UNRELIABLE, lanes};
use crate::common::message::Message;
use crate::common::net::last_error;
use crate::common::udp::{Raw, nobody};
use crate::common::words::*;
use crate::common::{Setup, suite};
use sockeye::capi::conn::sockeye_conn;
use sockeye::capi::endpoint::sockeye_endpoint;
use sockeye::capi::event::SOCKEYE_FLAG_UNRELIABLE;
use sockeye::capi::lanes::{sockeye_lane, sockeye_lane_kind};
use std::net::SocketAddr;

suite! {
    each: there_and_back, every_size_in_order, a_full_lane_is_no_others, a_key_replaces,
        both_ends_of_a_close, a_reset_is_no_end, nobody_answers, a_peer_that_vanishes,
        many_players, rooms_of_lanes, no_lanes, lanes_of_ones_own, strangers;
    threaded: sends_from_other_threads;
    queues2: moves;
}

const OPEN: &str = "game://127.0.0.1:0?token=open";

pub fn door_with(host: &mut Host, change: impl FnOnce(&mut sockeye_endpoint)) -> Door {
    host.door_at(OPEN, change)
}

pub fn url(door: Door) -> String {
    format!("game://127.0.0.1:{}?token=open", door.port)
}

/// Both ends of a new connection, the one that connected first.
pub fn meet_with(
    host: &mut Host,
    door: Door,
    change: impl FnOnce(&mut sockeye_endpoint),
) -> (sockeye_conn, sockeye_conn) {
    let before = accepted(host, door).len();
    let conn = host.connect_with(&url(door), change);
    host.until("OPENED at both ends", |host| {
        accepted(host, door).len() == before + 1 && !host.kinds_of(conn).is_empty()
    });
    assert_eq!(host.kinds_of(conn), [Kind::Opened]);
    (conn, accepted(host, door)[before])
}

fn meet(host: &mut Host, door: Door) -> (sockeye_conn, sockeye_conn) {
    meet_with(host, door, |_| {})
}

/// The messages that came on one lane.
fn of_lane(host: &Host, conn: sockeye_conn, lane: u32) -> Vec<&Event> {
    let messages = host.events_of(conn).filter(|event| event.kind == Kind::Message);
    messages.filter(|event| event.code == lane).collect()
}

/// A message on each lane each way, and what the events say of it.
pub fn there_and_back(setup: Setup) {
    let mut host = setup.host();
    let door = door_with(&mut host, |_| {});
    let (conn, other) = meet(&mut host, door);
    for (from, to) in [(conn, other), (other, conn)] {
        for (lane, flags) in [
            (ORDERED, 0),
            (UNRELIABLE, SOCKEYE_FLAG_UNRELIABLE),
            (SEQUENCED, SOCKEYE_FLAG_UNRELIABLE),
        ] {
            let words = format!("on lane {lane}");
            assert_eq!(host.net.send_lane(from, lane, words.as_bytes()), OK);
            host.until("it arrives", |host| !of_lane(host, to, lane).is_empty());
            let events = of_lane(&host, to, lane);
            assert_eq!((events.len(), &events[0].data[..]), (1, words.as_bytes()));
            assert!(events[0].is_whole && events[0].flags == flags);
        }
    }
    assert_eq!(host.net.send_lane(conn, 3, b"none"), ERR_INVALID);
    host.until("it is measured", |host| {
        let info = host.net.lanes_info(conn);
        info.is_ok_and(|info| info.rtt_us > 0 && info.packets_sent > 2 && info.packets_received > 2)
    });
    let info = host.net.lanes_info(conn).expect("it lives");
    assert!(info.open == 1 && info.lanes == 1 && info.mtu_bytes >= 1200, "as both know");
    assert_eq!(host.net.close(conn, GRACEFUL), OK);
    assert_eq!((host.closed(conn).cause, host.closed(other).cause), (HOST, PEER));
    host.finish();
}

/// Messages of every size, those that were sent before OPENED among them.
pub fn every_size_in_order(setup: Setup) {
    let mut host = setup.host();
    let door = door_with(&mut host, |_| {});
    let conn = host.connect(&url(door));
    let sizes = [0, 1, 64, 1100, 1200, 1300, 20_000, 512 << 10];
    for (number, size) in sizes.into_iter().enumerate() {
        assert_eq!(host.net.send(conn, &vec![number as u8; size]), OK, "{size} bytes");
        if number == 5 {
            host.until("OPENED", |host| accepted(host, door).len() == 1);
        }
    }
    assert_eq!(host.net.send(conn, &[0; (512 << 10) + 1]), ERR_TOO_BIG);
    let other = accepted(&host, door)[0];
    host.await_messages(other, sizes.len());
    for (number, (message, size)) in host.messages(other).iter().zip(sizes).enumerate() {
        assert!(**message == vec![number as u8; size], "{size} bytes");
    }
    host.sent(conn);
    assert_eq!(host.net.close(other, GRACEFUL), OK);
    assert_eq!((host.closed(other).cause, host.closed(conn).cause), (HOST, PEER));
    host.finish();
}

/// A peer's host does not read: what is reliable waits, to its bound; and when it is read, all of
/// it comes, and WRITABLE.
pub fn a_full_lane_is_no_others(setup: Setup) {
    const SIZE: usize = 60_000;
    let mut host = setup.host();
    let door = door_with(&mut host, |_| {});
    let small = |endpoint: &mut sockeye_endpoint| endpoint.outbox_max_bytes = 600_000;
    let (conn, other) = meet_with(&mut host, door, small);
    assert_eq!(host.net.pause(other), OK);
    let (mut taken, mut refused) = (0_u32, 0);
    // What is on its way still fills what the peer's end takes, so one refusal is not the end.
    host.until("the lane is full", |host| {
        match host.net.send_lane(conn, ORDERED, &vec![taken as u8; SIZE]) {
            OK => (taken, refused) = (taken + 1, 0),
            status => {
                assert_eq!(status, ERR_AGAIN);
                refused += 1;
            }
        }
        assert!(taken < 1000, "it is bounded");
        refused == 20
    });
    assert_eq!(host.net.send_lane(conn, UNRELIABLE, b"past it"), OK);
    assert_eq!(host.net.resume(other), OK);
    host.until("all of it, and WRITABLE", |host| {
        of_lane(host, other, ORDERED).len() >= taken as usize
            && host.kinds_of(conn).contains(&Kind::Writable)
    });
    for (number, event) in of_lane(&host, other, ORDERED).iter().enumerate() {
        assert!(event.data == vec![number as u8; SIZE], "message {number}");
    }
    host.finish();
}

/// Of messages under a key only the newest one counts: those that waited together are one.
pub fn a_key_replaces(setup: Setup) {
    let mut host = setup.host_with(|config| config.flush = FLUSH_MANUAL);
    let door = door_with(&mut host, |_| {});
    let (conn, other) = meet(&mut host, door);
    for lane in [ORDERED, UNRELIABLE] {
        for number in 0..50_u8 {
            let text = [number];
            let mut message = Message::new(&[&text]).key(7);
            message.raw.lane = lane;
            assert_eq!(host.net.send_parts(conn, &message), OK);
        }
        assert_eq!(host.net.send_lane(conn, lane, b"behind"), OK);
        assert_eq!(host.net.flush(), OK);
        host.until("what is left", |host| of_lane(host, other, lane).len() >= 2);
        let got: Vec<_> = of_lane(&host, other, lane).iter().map(|it| it.data.clone()).collect();
        assert_eq!(got, [vec![49], b"behind".to_vec()]);
    }
    host.until("that is counted", |host| {
        host.net.lanes_info(conn).is_ok_and(|info| info.messages_dropped == 98)
    });
    host.finish();
}

/// What was taken before a close arrives before its end, both ways.
pub fn both_ends_of_a_close(setup: Setup) {
    let mut host = setup.host();
    let door = door_with(&mut host, |_| {});
    let (conn, other) = meet(&mut host, door);
    for number in 0..100_u8 {
        assert_eq!(host.net.send(conn, &[number; 3000]), OK);
    }
    assert_eq!(host.net.close_with(conn, GRACEFUL, b"last"), OK);
    let (closed, ended) = (host.closed(conn), host.closed(other));
    assert_eq!((closed.cause, closed.detail, ended.cause), (HOST, 0, PEER));
    let messages = host.messages(other);
    assert_eq!((messages.len(), messages[100]), (101, &b"last"[..]));
    // Both at the same time.
    let (conn, other) = meet(&mut host, door);
    assert_eq!((host.net.close(conn, GRACEFUL), host.net.close(other, GRACEFUL)), (OK, OK));
    assert_eq!((host.closed(conn).cause, host.closed(other).cause), (HOST, HOST));
    host.finish();
}

/// Who is reset sees that what was sent may be cut.
pub fn a_reset_is_no_end(setup: Setup) {
    let mut host = setup.host();
    let door = door_with(&mut host, |_| {});
    let (conn, other) = meet(&mut host, door);
    assert_eq!(host.net.close(conn, AT_ONCE), OK);
    assert_eq!((host.closed(conn).cause, host.closed(other).cause), (HOST, RESET));
    host.finish();
}

/// To where nobody is.
pub fn nobody_answers(setup: Setup) {
    let mut host = setup.host();
    let port = nobody().port();
    let soon = |endpoint: &mut sockeye_endpoint| endpoint.connect_timeout_ms = 300;
    let conn = host.connect_with(&format!("game://127.0.0.1:{port}?token=open"), soon);
    assert_eq!(host.closed(conn).cause, TIMEOUT_CONNECT);
    assert_eq!(host.kinds_of(conn), [Kind::Closed]);
    host.finish();
}

/// Copies datagrams between a client and a server, until it is told not to.
pub struct Relay {
    front: Raw,
    back: Raw,
    server: SocketAddr,
    client: Option<SocketAddr>,
}

impl Relay {
    pub fn to(server: SocketAddr) -> Relay {
        Relay { front: Raw::new(), back: Raw::new(), server, client: None }
    }

    pub fn url(&self) -> String {
        format!("game://{}?token=open", self.front.address())
    }

    /// Passes on what is there.
    pub fn pass(&mut self) {
        self.pass_with(|bytes| vec![bytes]);
    }

    /// Passes on what `change` makes of each datagram.
    pub fn pass_with(&mut self, mut change: impl FnMut(Vec<u8>) -> Vec<Vec<u8>>) {
        self.front.has(usize::MAX);
        for (bytes, from) in self.front.got.drain(..) {
            self.client = Some(from);
            change(bytes).iter().for_each(|bytes| self.back.send(self.server, bytes));
        }
        self.back.has(usize::MAX);
        for (bytes, _) in self.back.got.drain(..) {
            let Some(client) = self.client else { continue };
            change(bytes).iter().for_each(|bytes| self.front.send(client, bytes));
        }
    }

    /// What the client sends comes from another address from now on.
    pub fn moves(&mut self) {
        self.back = Raw::new();
    }
}

/// Both ends of a connection over a relay.
pub fn meet_over(
    host: &mut Host,
    door: Door,
    relay: &mut Relay,
    change: impl FnOnce(&mut sockeye_endpoint),
) -> (sockeye_conn, sockeye_conn) {
    let before = accepted(host, door).len();
    let conn = host.connect_with(&relay.url(), change);
    host.until("OPENED at both ends", |host| {
        relay.pass();
        accepted(host, door).len() == before + 1 && !host.kinds_of(conn).is_empty()
    });
    (conn, accepted(host, door)[before])
}

pub fn address(door: Door) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], door.port))
}

/// A peer whose packets do not come any more is gone at both ends.
pub fn a_peer_that_vanishes(setup: Setup) {
    let mut host = setup.host();
    let soon = lanes(|lanes| (lanes.peer_timeout_ms, lanes.ping_ms) = (400, 50));
    let door = door_with(&mut host, |endpoint| endpoint.lanes = &soon);
    let mut relay = Relay::to(address(door));
    let (conn, other) = meet_over(&mut host, door, &mut relay, |it| it.lanes = &soon);
    // Silence is no end as long as there are keep-alives.
    let end = std::time::Instant::now() + std::time::Duration::from_millis(900);
    host.until("more than the timeout", |_| {
        relay.pass();
        std::time::Instant::now() > end
    });
    assert!(!host.is_closed(conn) && !host.is_closed(other));
    assert_eq!((host.closed(conn).cause, host.closed(other).cause), (TIMEOUT_PEER, TIMEOUT_PEER));
    host.finish();
}

/// Many at one port, each with its own messages.
pub fn many_players(setup: Setup) {
    const COUNT: usize = 100;
    let mut host = setup.host();
    let door = door_with(&mut host, |_| {});
    let conns: Vec<sockeye_conn> = (0..COUNT).map(|_| host.connect(&url(door))).collect();
    host.until("OPENED of all", |host| host.count(Kind::Opened) == 2 * COUNT);
    for (number, conn) in conns.iter().enumerate() {
        let number = (number as u32).to_be_bytes();
        assert_eq!(host.net.send_lane(*conn, UNRELIABLE, &number), OK);
        assert_eq!(host.net.send_lane(*conn, ORDERED, &number), OK);
    }
    host.until("what is reliable", |host| {
        accepted(host, door).iter().all(|conn| !of_lane(host, *conn, ORDERED).is_empty())
    });
    let mut got: Vec<_> = accepted(&host, door)
        .iter()
        .map(|conn| of_lane(&host, *conn, ORDERED)[0].data.clone())
        .collect();
    got.sort();
    let all: Vec<_> = (0..COUNT as u32).map(|number| number.to_be_bytes().to_vec()).collect();
    assert_eq!(got, all);
    conns.iter().for_each(|conn| assert_eq!(host.net.close(*conn, GRACEFUL), OK));
    host.until("CLOSED of all", |host| host.count(Kind::Closed) == 2 * COUNT);
    host.finish();
}

/// One send to all members of a group, on a lane; and one of TCP among them.
pub fn rooms_of_lanes(setup: Setup) {
    let mut host = setup.host();
    let door = door_with(&mut host, |_| {});
    let streams = host.door("?frame=u32be");
    let mut pairs: Vec<_> = (0..3).map(|_| meet(&mut host, door)).collect();
    let before = host.count(Kind::Opened);
    let stream = host.connect(&format!("tcp://127.0.0.1:{}?frame=u32be", streams.port));
    host.until("OPENED at both ends", |host| host.count(Kind::Opened) == before + 2);
    pairs.push((stream, accepted(&host, streams)[0]));
    let group = host.net.group().expect("a group");
    for (_, member) in &pairs {
        assert_eq!(host.net.join(group, *member), OK);
    }
    let mut message = Message::new(&[b"to ", b"all"]);
    message.raw.lane = SEQUENCED;
    assert_eq!(host.net.tell_but(group, NOBODY, &message), Ok(0));
    assert_eq!(host.net.flush(), OK);
    for (conn, _) in &pairs {
        host.await_messages(*conn, 1);
        assert_eq!(host.messages(*conn), [b"to all"]);
    }
    assert_eq!(of_lane(&host, pairs[0].0, SEQUENCED).len(), 1);
    host.finish();
}

/// Payloads of peers that have no lanes are datagrams.
pub fn no_lanes(setup: Setup) {
    let mut host = setup.host();
    let plain = lanes(|lanes| lanes.plain = 1);
    let door = door_with(&mut host, |endpoint| endpoint.lanes = &plain);
    let (conn, other) = meet_with(&mut host, door, |endpoint| endpoint.lanes = &plain);
    assert_eq!(host.net.send(conn, &[7; 1201]), ERR_TOO_BIG);
    let got = |host: &Host| host.events_of(other).any(|it| it.kind == Kind::Datagram);
    assert_eq!(host.net.send(conn, &[7; 1200]), OK);
    host.until("it arrives", |host| got(host));
    let event = host.events_of(other).find(|it| it.kind == Kind::Datagram).expect("it came");
    assert!(event.data == [7; 1200] && event.sender.is_some());
    assert_eq!(host.net.close(conn, GRACEFUL), OK);
    assert_eq!((host.closed(conn).cause, host.closed(other).cause), (HOST, PEER));
    host.finish();
}

/// Lanes that the host has chosen, and some that cannot be.
pub fn lanes_of_ones_own(setup: Setup) {
    let mut host = setup.host();
    let lane = |kind: sockeye_lane_kind| sockeye_lane {
        kind: kind as u32,
        priority: 3,
        weight: 2,
        reserved: 0,
    };
    let all = [
        lane(sockeye_lane_kind::SOCKEYE_LANE_RELIABLE),
        lane(sockeye_lane_kind::SOCKEYE_LANE_ORDERED),
    ];
    let own = lanes(|it| (it.lanes, it.lanes_count) = (all.as_ptr(), 2));
    let door = door_with(&mut host, |endpoint| endpoint.lanes = &own);
    let (conn, other) = meet_with(&mut host, door, |endpoint| endpoint.lanes = &own);
    assert_eq!(host.net.send_lane(conn, 2, b"none"), ERR_INVALID);
    for number in 0..20_u8 {
        assert_eq!(host.net.send_lane(conn, 0, &[number; 2000]), OK);
        assert_eq!(host.net.send_lane(conn, 1, &[number; 2000]), OK);
    }
    host.await_messages(other, 40);
    let of = |lane| of_lane(&host, other, lane).iter().map(|it| it.data[0]).collect::<Vec<_>>();
    assert_eq!(of(1), (0..20).collect::<Vec<_>>(), "in order");
    let mut any = of(0);
    any.sort_unstable();
    assert_eq!(any, (0..20).collect::<Vec<_>>(), "all of it");
    for (url, words) in [
        ("game://127.0.0.1:0", "key of its tokens"),
        ("game://127.0.0.1:0?key=abc", "64 hexadecimal digits"),
        ("game://127.0.0.1:0?token=shut", "not open"),
        ("game://127.0.0.1:0?token=open&mtu=100", "1200 to 65000"),
        ("game://127.0.0.1:0?token=open&frame=u32be", "has no use here"),
        ("game://127.0.0.1:0?token=open&half_open=1", "has no use here"),
        ("game://127.0.0.1:0?token=open&overflow=drop_oldest", "a deadline or a key"),
        ("udp://127.0.0.1:0?lanes=none", "game://"),
    ] {
        assert!(host.net.listen(url, None).is_err(), "{url}");
        assert!(last_error().contains(words), "{url}: {}", last_error());
    }
    host.finish();
}

/// Whatever strangers send is answered with less, and changes nothing for players.
pub fn strangers(setup: Setup) {
    let mut host = setup.host();
    let door = door_with(&mut host, |_| {});
    let (conn, other) = meet(&mut host, door);
    let mut raw = Raw::new();
    for len in [0, 1, 17, 18, 100, 1077, 1078, 1079, 1500] {
        for first in 0..=255_u8 {
            let mut bytes = vec![first.wrapping_mul(31); len];
            bytes.iter_mut().take(1).for_each(|byte| *byte = first);
            raw.send(address(door), &bytes);
        }
        assert_eq!(host.net.send(conn, b"on"), OK);
        let before = host.messages(other).len();
        host.await_messages(other, before + 1);
    }
    assert!(!raw.has(1), "none of it is answered");
    assert_eq!(accepted(&host, door), [other]);
    host.finish();
}

/// Each thread's messages come in its order.
pub fn sends_from_other_threads(setup: Setup) {
    const THREADS: u8 = 4;
    const EACH: u32 = 200;
    let mut host = setup.host();
    let door = door_with(&mut host, |_| {});
    let (conn, other) = meet(&mut host, door);
    let net = &host.net;
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            scope.spawn(move || {
                for number in 0..EACH {
                    let message = [&[thread][..], &number.to_be_bytes()].concat();
                    assert_eq!(net.send_lane(conn, ORDERED, &message), OK);
                }
            });
        }
    });
    host.await_messages(other, usize::from(THREADS) * EACH as usize);
    for thread in 0..THREADS {
        let of_it = host.messages(other).into_iter().filter(|it| it[0] == thread);
        let numbers: Vec<u32> =
            of_it.map(|it| u32::from_be_bytes([it[1], it[2], it[3], it[4]])).collect();
        assert_eq!(numbers, (0..EACH).collect::<Vec<_>>());
    }
    host.finish();
}

/// A connection changes its queue, and goes on there.
pub fn moves(setup: Setup) {
    let mut host = setup.host();
    let door = door_with(&mut host, |_| {});
    let (conn, other) = meet(&mut host, door);
    host.moved_to(other, 1 - host.net.conn_info(other).expect("it lives").queue);
    for number in 0..5 {
        assert_eq!(host.net.send(conn, b"there"), OK);
        assert_eq!(host.net.send_lane(other, UNRELIABLE, b"and back"), OK);
        host.await_messages(other, number + 1);
        host.await_messages(conn, number + 1);
    }
    host.finish();
}

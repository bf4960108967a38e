//! Groups: one send to all members, in the order of the calls, whatever becomes of a member.

use crate::common::event::Kind;
use crate::common::groups::NOBODY;
use crate::common::host::{Door, Host};
use crate::common::message::Message;
use crate::common::peer::{End, Peer};
use crate::common::random::Random;
use crate::common::words::*;
use crate::common::{Setup, frame, layered_suite};
use sockeye::capi::conn::sockeye_conn;
use sockeye::capi::group::sockeye_group;

layered_suite! {
    each: to_all_but_one, each_has_its_framing, in_the_order_of_the_calls, who_is_full_is_skipped,
        who_overflows_is_closed, keys_in_a_group, large_messages, who_closes_leaves, bounds,
        stale_groups, manual_waits_for_a_flush, one_call_for_all_groups,
        a_last_word_behind_the_others, shut_down_behind_a_send;
    queues2: members_move;
}

fn framed(host: &mut Host) -> Door {
    host.door("?frame=u32be")
}

fn meet(host: &mut Host, door: Door, count: usize) -> (Vec<Peer>, Vec<sockeye_conn>) {
    (0..count).map(|_| host.meet(door)).unzip()
}

/// What was on its way has come. Layers of several connections have turns of their own.
fn quiet(host: &mut Host) {
    while host.step(100) > 0 {}
}

fn group_of(host: &Host, conns: &[sockeye_conn]) -> sockeye_group {
    let group = host.net.group().expect("a group");
    conns.iter().for_each(|&conn| assert_eq!(host.net.join(group, conn), OK));
    group
}

pub fn to_all_but_one(setup: Setup) {
    let mut host = setup.host();
    let door = framed(&mut host);
    let (mut peers, conns) = meet(&mut host, door, 6);
    let group = group_of(&host, &conns[..5]);
    assert_eq!((host.net.members(group), host.net.join(group, conns[0])), (5, OK));
    assert_eq!(host.net.tell(group, b"all"), Ok(0));
    assert_eq!(host.net.tell_but(group, conns[2], &Message::new(&[b"but", b"2"])), Ok(0));
    assert_eq!(host.net.part(group, conns[4]), OK);
    assert_eq!(host.net.part(group, conns[4]), ERR_STALE);
    assert_eq!(host.net.tell(group, b""), Ok(0));
    assert_eq!(host.net.send(conns[5], b"alone"), OK);
    for (at, peer) in peers.iter_mut().enumerate() {
        let expected: &[&[u8]] = match at {
            2 => &[b"all", b""],
            4 => &[b"all", b"but2"],
            5 => &[b"alone"],
            _ => &[b"all", b"but2", b""],
        };
        let expected: Vec<u8> = expected.iter().flat_map(|payload| frame(payload)).collect();
        assert_eq!(host.read(peer, expected.len()), expected, "peer {at}");
    }
    let stats = host.net.group_stats(group).expect("it lives");
    assert_eq!((stats.members, stats.sends, stats.delivered, stats.full), (4, 3, 13, 0));
    host.finish();
}

/// One message, on the wire of each member's framing.
pub fn each_has_its_framing(setup: Setup) {
    let mut host = setup.host();
    let doors = ["?frame=u32be", "?frame=u16le", "?frame=varint", "", "?frame=u32be"];
    let doors = doors.map(|query| host.door(query));
    let (mut peers, conns): (Vec<Peer>, Vec<_>) = doors.iter().map(|&door| host.meet(door)).unzip();
    let group = group_of(&host, &conns);
    for payload in [vec![7; 100], vec![8; 20_000]] {
        assert_eq!(host.net.tell(group, &payload), Ok(0));
        let len = payload.len();
        let varint = if len < 128 {
            vec![len as u8]
        } else {
            vec![len as u8 | 128, (len >> 7 & 127) as u8 | 128, (len >> 14) as u8]
        };
        let heads = [
            (len as u32).to_be_bytes().to_vec(),
            (len as u16).to_le_bytes().to_vec(),
            varint,
            vec![],
            (len as u32).to_be_bytes().to_vec(),
        ];
        for (peer, head) in peers.iter_mut().zip(heads) {
            let expected = [&head[..], &payload].concat();
            assert!(host.read(peer, expected.len()) == expected, "{head:?}");
        }
    }
    host.finish();
}

/// What a peer is to receive of a host that does at random what can be done with groups, and what
/// the host does.
struct World {
    conns: Vec<sockeye_conn>,
    groups: Vec<sockeye_group>,
    members: Vec<Vec<bool>>,
    expected: Vec<Vec<u8>>,
    random: Random,
    number: u32,
}

impl World {
    fn new(host: &Host, conns: Vec<sockeye_conn>, groups: usize, seed: u64) -> World {
        World {
            groups: (0..groups).map(|_| host.net.group().expect("a group")).collect(),
            members: vec![vec![false; conns.len()]; groups],
            expected: vec![Vec::new(); conns.len()],
            random: Random::new(seed),
            number: 0,
            conns,
        }
    }

    fn payload(&mut self) -> Vec<u8> {
        self.number += 1;
        let len = [0, 20, 5000][self.random.below(3)];
        [self.number.to_be_bytes().to_vec(), self.random.bytes(len)].concat()
    }

    /// One call.
    fn act(&mut self, host: &Host) {
        let (at, of) = (self.random.below(self.groups.len()), self.random.below(self.conns.len()));
        let (group, conn) = (self.groups[at], self.conns[of]);
        match self.random.below(10) {
            0 | 1 => {
                assert_eq!(host.net.join(group, conn), OK);
                self.members[at][of] = true;
            }
            2 => {
                let was = std::mem::take(&mut self.members[at][of]);
                assert_eq!(host.net.part(group, conn), if was { OK } else { ERR_STALE });
            }
            3 if self.random.below(10) == 0 => {
                assert_eq!(host.net.destroy(group), OK);
                self.groups[at] = host.net.group().expect("another");
                self.members[at].fill(false);
            }
            3..=5 => {
                let payload = self.payload();
                assert_eq!(host.net.send(conn, &payload), OK);
                self.expected[of].extend(frame(&payload));
            }
            _ => {
                let payload = self.payload();
                let but = (self.random.below(3) == 0).then_some(of);
                let except = but.map_or(NOBODY, |of| self.conns[of]);
                assert_eq!(host.net.tell_but(group, except, &Message::new(&[&payload])), Ok(0));
                for (of, expected) in self.expected.iter_mut().enumerate() {
                    if self.members[at][of] && but != Some(of) {
                        expected.extend(frame(&payload));
                    }
                }
            }
        }
    }

    /// Each peer has what was sent to it, and no more.
    fn check(&mut self, host: &mut Host, peers: &mut [Peer]) {
        for (of, peer) in peers.iter_mut().enumerate() {
            let expected = std::mem::take(&mut self.expected[of]);
            assert!(host.read(peer, expected.len()) == expected, "peer {of}");
            assert!(peer.got.is_empty(), "nothing more");
        }
    }
}

/// Sends to groups, sends to members, members that come and go, groups that end: each peer has all
/// of it in the order of the calls.
pub fn in_the_order_of_the_calls(setup: Setup) {
    let mut host = setup.host();
    let door = host.door_with("?frame=u32be", |endpoint| endpoint.outbox_max_bytes = 64 << 20);
    let (mut peers, conns) = meet(&mut host, door, 8);
    let mut world = World::new(&host, conns, 5, 11);
    for round in 0..400 {
        world.act(&host);
        if round % 7 == 0 {
            host.step(0);
        }
        if round % 50 == 49 {
            world.check(&mut host, &mut peers);
        }
    }
    host.finish();
}

/// The same while members change their queue, and with it their worker.
pub fn members_move(setup: Setup) {
    let mut host = setup.host();
    let door = host.door_with("?frame=u32be", |endpoint| {
        endpoint.outbox_max_bytes = 64 << 20;
        endpoint.queue = 0;
    });
    let (mut peers, conns) = meet(&mut host, door, 6);
    let mut world = World::new(&host, conns.clone(), 4, 12);
    let mut queues = [0; 6];
    for round in 0..60 {
        (0..5).for_each(|_| world.act(&host));
        let of = round % conns.len();
        queues[of] = 1 - queues[of];
        host.move_to(conns[of], queues[of]);
        (0..5).for_each(|_| world.act(&host));
        let before = host.log.len();
        host.until("the move", |host| {
            let moved = |it: &crate::common::event::Event| {
                (it.kind, it.conn, it.queue) == (Kind::Moved, conns[of], queues[of])
            };
            host.log[before..].iter().any(moved)
        });
        world.check(&mut host, &mut peers);
    }
    host.finish();
}

/// A member that does not read is skipped and counted, the others are not held up, and no WRITABLE
/// is owed.
pub fn who_is_full_is_skipped(setup: Setup) {
    let mut host = setup.host();
    let door = host.door_with("?frame=u32be", |endpoint| {
        endpoint.outbox_max_bytes = 100_000;
        endpoint.send_buffer_bytes = 16 * 1024;
    });
    let (mut peers, conns) = meet(&mut host, door, 3);
    let group = group_of(&host, &conns);
    let message = vec![9; 10_000];
    let mut sent = 0;
    while host.net.group_stats(group).expect("it lives").skipped < 5 {
        assert!(host.net.tell(group, &message).expect("taken") <= 1);
        sent += 1;
        for peer in &mut peers[1..] {
            assert!(host.read(peer, 10_004) == frame(&message));
        }
        assert!(sent < 2000, "a peer that never reads takes all");
    }
    let stats = host.net.group_stats(group).expect("it lives");
    assert_eq!((stats.full, stats.sends, stats.delivered + stats.skipped), (1, sent, 3 * sent));
    assert_eq!(host.net.tell_but(group, conns[0], &Message::new(&[b"but"])), Ok(1));
    // It reads again, and is full no more.
    let whole = (sent - stats.skipped) as usize;
    assert!(host.read(&mut peers[0], whole * 10_004) == frame(&message).repeat(whole));
    assert_eq!(host.net.tell(group, b"again"), Ok(1));
    assert_eq!(host.read(&mut peers[0], 9), frame(b"again"));
    host.until("it is full no more", |host| {
        host.net.group_stats(group).expect("it lives").full == 0
    });
    quiet(&mut host);
    assert_eq!(host.count(Kind::Writable), 0);
    host.finish();
}

/// The endpoint's overflow decides, as for a send of its own.
pub fn who_overflows_is_closed(setup: Setup) {
    let mut host = setup.host();
    let door = host.door_with("?frame=u32be", |endpoint| {
        endpoint.outbox_max_bytes = 50_000;
        endpoint.send_buffer_bytes = 16 * 1024;
        endpoint.overflow = OVERFLOW_CLOSE;
    });
    let (_peer, conn) = host.meet(door);
    let group = group_of(&host, &[conn]);
    host.until("CLOSED", |host| {
        let told = host.net.tell(group, &[1; 10_000]);
        assert!(told.is_ok(), "{told:?}");
        host.is_closed(conn)
    });
    assert_eq!(host.closed(conn).cause, LIMIT_OUTBOX);
    assert_eq!(host.net.members(group), 0);
    host.finish();
}

/// Of messages of one key that wait only the newest is delivered.
pub fn keys_in_a_group(setup: Setup) {
    let mut host = setup.host();
    let door = host.door_with("?frame=u32be&max=4194304", |endpoint| {
        endpoint.outbox_max_bytes = 8 << 20;
        endpoint.send_buffer_bytes = 16 * 1024;
    });
    let (mut peer, conn) = host.meet(door);
    let group = group_of(&host, &[conn]);
    let filler = vec![3; 2 << 20];
    assert_eq!(host.net.tell(group, &filler), Ok(0));
    let stuck = |host: &mut Host| {
        let stats = host.net.conn_stats(conn).expect("it lives");
        stats.sent_bytes > 0 && stats.outbox_bytes > 1 << 20
    };
    host.until("the system takes no more", stuck);
    for round in 0..200u32 {
        let state = round.to_be_bytes();
        assert_eq!(host.net.tell_but(group, NOBODY, &Message::new(&[&state]).key(5)), Ok(0));
    }
    assert_eq!(host.net.send(conn, b"end"), OK);
    let expected = [frame(&filler), frame(&199u32.to_be_bytes()), frame(b"end")].concat();
    assert!(host.read(&mut peer, expected.len()) == expected);
    host.finish();
}

/// A part of a buffer is sent from there, and the buffer may be released at once.
pub fn large_messages(setup: Setup) {
    let mut host = setup.host();
    let door = host.door("?frame=u32be&max=1048576");
    let (mut peers, conns) = meet(&mut host, door, 3);
    let group = group_of(&host, &conns);
    let bytes = Random::new(6).bytes(300_000);
    let mut buffer = host.net.acquire(bytes.len()).expect("memory");
    buffer.room()[..bytes.len()].copy_from_slice(&bytes);
    assert_eq!(host.net.tell_but(group, NOBODY, &Message::new(&[&bytes[..]])), Ok(0));
    let part = &buffer.written()[1000..200_000];
    let message = Message::new(&[part]).buffer(&buffer);
    assert_eq!(host.net.tell_but(group, NOBODY, &message), Ok(0));
    drop(message);
    drop(buffer);
    let expected = [frame(&bytes), frame(&bytes[1000..200_000])].concat();
    for peer in &mut peers {
        assert!(host.read(peer, expected.len()) == expected);
    }
    host.finish();
}

/// A connection leaves its groups when it ends, and its slot's next owner is in none.
pub fn who_closes_leaves(setup: Setup) {
    let mut host = setup.host();
    let door = framed(&mut host);
    let (mut peers, conns) = meet(&mut host, door, 3);
    let (one, two) = (group_of(&host, &conns), group_of(&host, &conns[..2]));
    drop(peers.remove(0));
    host.closed(conns[0]);
    assert_eq!((host.net.members(one), host.net.members(two)), (2, 1));
    assert_eq!(host.net.join(one, conns[0]), ERR_CLOSED);
    host.step(0);
    assert_eq!(host.net.join(one, conns[0]), ERR_STALE);
    assert_eq!(host.net.close(conns[1], AT_ONCE), OK);
    host.closed(conns[1]);
    assert_eq!((host.net.members(one), host.net.members(two)), (1, 0));
    host.step(0);
    let (mut next, _) = host.meet(door);
    assert_eq!(host.net.tell(one, b"here"), Ok(0));
    assert_eq!(host.net.tell(two, b"nobody"), Ok(0));
    assert_eq!(host.read(&mut peers[1], 8), frame(b"here"));
    quiet(&mut host);
    assert!(!next.has(1), "it is in no group");
    host.finish();
}

pub fn bounds(setup: Setup) {
    let mut host = setup.host_with(|config| {
        config.groups_max = 3;
        config.conn_groups_max = 2;
    });
    let door = framed(&mut host);
    let (_peer, conn) = host.meet(door);
    let groups: Vec<_> = (0..3).map(|_| host.net.group().expect("a group")).collect();
    assert_eq!(host.net.group().err(), Some(ERR_LIMIT));
    assert_eq!(host.net.join(groups[0], conn), OK);
    assert_eq!(host.net.join(groups[1], conn), OK);
    assert_eq!(host.net.join(groups[2], conn), ERR_LIMIT);
    assert_eq!(host.net.part(groups[0], conn), OK);
    assert_eq!(host.net.join(groups[2], conn), OK);
    assert_eq!(host.net.destroy(groups[0]), OK);
    assert!(host.net.group().is_ok());
    let udp = host.connect("udp://127.0.0.1:9");
    assert_eq!(host.net.join(groups[1], udp), ERR_UNSUPPORTED);
    host.finish();
}

/// Old ones, made-up ones, handles of another kind, and those of another net.
pub fn stale_groups(setup: Setup) {
    let mut host = setup.host();
    let door = framed(&mut host);
    let (_peer, conn) = host.meet(door);
    let other = setup.net();
    let foreign = other.group().expect("a group");
    let old = host.net.group().expect("a group");
    assert_eq!(host.net.destroy(old), OK);
    let next = host.net.group().expect("another, in its place");
    assert_ne!(old, next);
    for group in [old, foreign, sockeye_group { id: 0 }, sockeye_group { id: conn.id }] {
        assert_eq!(host.net.join(group, conn), ERR_STALE);
        assert_eq!(host.net.part(group, conn), ERR_STALE);
        assert_eq!(host.net.tell(group, b"x"), Err(ERR_STALE));
        assert_eq!(host.net.destroy(group), ERR_STALE);
        assert_eq!(host.net.members(group), ERR_STALE);
        assert_eq!(host.net.group_stats(group).err(), Some(ERR_STALE));
    }
    assert_eq!(host.net.join(next, sockeye_conn { id: next.id }), ERR_STALE);
    host.finish();
}

/// MANUAL: what was sent to a group leaves with a flush or a poll, behind and before what was sent
/// to the member itself.
pub fn manual_waits_for_a_flush(setup: Setup) {
    let mut host = setup.host_with(|config| config.flush = FLUSH_MANUAL);
    let door = framed(&mut host);
    let (mut peers, conns) = meet(&mut host, door, 3);
    let group = group_of(&host, &conns);
    for round in 0..20u8 {
        assert_eq!(host.net.send(conns[0], &[round, 0]), OK);
        assert_eq!(host.net.tell(group, &[round, 1]), Ok(0));
        assert_eq!(host.net.send(conns[1], &[round, 2]), OK);
        assert!(peers.iter_mut().all(|peer| !peer.has(1)), "nothing leaves before");
        assert_eq!(host.net.flush(), OK);
        let orders: [&[u8]; 3] = [&[0, 1], &[1, 2], &[1]];
        for (peer, order) in peers.iter_mut().zip(orders) {
            let expected: Vec<u8> = order.iter().flat_map(|&at| frame(&[round, at])).collect();
            assert_eq!(host.read(peer, expected.len()), expected);
        }
    }
    host.finish();
}

/// What several groups were sent before a flush leaves with one call for each member, also under
/// keys.
pub fn one_call_for_all_groups(setup: Setup) {
    let mut host = setup.host_with(|config| config.flush = FLUSH_MANUAL);
    let door = framed(&mut host);
    let (mut peers, conns) = meet(&mut host, door, 8);
    let groups: Vec<_> = (0..4).map(|_| group_of(&host, &conns)).collect();
    for round in 0..20u8 {
        let before = host.net.stats();
        for (&group, key) in groups.iter().zip(1u64..) {
            assert_eq!(host.net.tell(group, &[round]), Ok(0));
            let message = Message::new(&[b"position"]).key(key);
            assert_eq!(host.net.tell_but(group, NOBODY, &message), Ok(0));
        }
        assert_eq!(host.net.flush(), OK);
        let each = 4 * (frame(&[round]).len() + frame(b"position").len());
        for peer in &mut peers {
            host.read(peer, each);
        }
        let all = (each * conns.len()) as u64;
        host.until("the count", |host| host.net.stats().sent_bytes - before.sent_bytes >= all);
        let calls = host.net.stats().sent_batches - before.sent_batches;
        assert_eq!(calls, conns.len() as u64, "round {round}");
    }
    host.finish();
}

/// A member that is closed is given what was sent before, and its last message behind that.
pub fn a_last_word_behind_the_others(setup: Setup) {
    let mut host = setup.host();
    let door = framed(&mut host);
    let (mut peers, conns) = meet(&mut host, door, 4);
    let group = group_of(&host, &conns);
    assert_eq!(host.net.tell(group, b"for all"), Ok(0));
    for &conn in &conns {
        assert_eq!(host.net.close_with(conn, GRACEFUL, b"bye"), OK);
    }
    assert_eq!(host.net.tell(group, b"too late"), Ok(0));
    let expected = [frame(b"for all"), frame(b"bye")].concat();
    for peer in &mut peers {
        assert_eq!(host.read_to_end(peer), (expected.clone(), End::Fin));
    }
    drop(peers);
    host.until("all CLOSED", |host| host.count(Kind::Closed) == 4);
    assert_eq!(host.net.members(group), 0);
    host.finish();
}

/// A shutdown sends what groups were sent before it.
pub fn shut_down_behind_a_send(setup: Setup) {
    let mut host = setup.host();
    let door = framed(&mut host);
    let (mut peers, conns) = meet(&mut host, door, 20);
    let group = group_of(&host, &conns);
    assert_eq!(host.net.tell(group, b"good night"), Ok(0));
    assert_eq!(host.net.shutdown(20_000), OK);
    for peer in &mut peers {
        assert_eq!(host.read_to_end(peer), (frame(b"good night"), End::Fin));
    }
    host.finish();
}

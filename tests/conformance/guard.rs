//! The guard: who is refused is reset, makes no event and is counted; who may come in does.

use crate::common::event::{Event, Kind, socket_address};
use crate::common::host::{Door, Host};
use crate::common::net::{Net, last_error};
use crate::common::peer::{End, Peer};
use crate::common::udp::Raw;
use crate::common::words::*;
use crate::common::{DEADLINE, Setup, endpoint, suite};
use socket2::{Domain, SockAddr, Socket, Type};
use sockeye::capi::address::sockeye_address;
use sockeye::capi::conn::sockeye_conn;
use sockeye::capi::guard::{
    sockeye_guard, sockeye_guard_ban, sockeye_guard_get_stats, sockeye_guard_rule,
    sockeye_guard_set, sockeye_guard_stats,
};
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering::*};
use std::time::Instant;
use std::{ptr, thread};

suite! {
    each: who_is_denied_is_reset, rules_change_under_connects, a_ban_ends, so_many_of_an_address,
        so_many_in_a_second, datagrams_of_the_denied, what_cannot_be;
}

const ALLOW: u32 = 0;
const DENY: u32 = 1;
const LONG_MS: u64 = 600_000;

/// 127.0.0.`last`.
fn at(last: u8) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, last], 0))
}

fn rule(address: SocketAddr, prefix_bits: u32, action: u32) -> sockeye_guard_rule {
    sockeye_guard_rule { address: Some(address).into(), prefix_bits, action }
}

fn set(net: &Net, rules: &[sockeye_guard_rule]) -> i32 {
    // SAFETY: a live net, so many rules.
    unsafe { sockeye_guard_set(net.raw(), rules.as_ptr(), rules.len()) }
}

fn ban(net: &Net, address: SocketAddr, bits: u32, ms: u64) -> i32 {
    // SAFETY: a live net, an address.
    unsafe { sockeye_guard_ban(net.raw(), &Some(address).into(), bits, ms) }
}

fn stats(net: &Net) -> sockeye_guard_stats {
    let mut out = MaybeUninit::<sockeye_guard_stats>::zeroed();
    let size = size_of::<sockeye_guard_stats>();
    // SAFETY: a live net and room for the answer, which is plain numbers.
    unsafe {
        assert_eq!(sockeye_guard_get_stats(net.raw(), out.as_mut_ptr(), size), OK);
        out.assume_init()
    }
}

fn guarded(host: &mut Host, guard: sockeye_guard) -> Door {
    host.door_with("", |endpoint| endpoint.guard = &guard)
}

/// Connects from 127.0.0.`last`. None: it was reset before the system said that it is connected.
fn knock(last: u8, door: Door) -> Option<Peer> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.bind(&at(last).into()).expect("an address of this machine");
    let target = SockAddr::from(SocketAddr::from(([127, 0, 0, 1], door.port)));
    match socket.connect(&target) {
        Ok(()) => Some(Peer::from(std::net::TcpStream::from(socket))),
        Err(_) => None,
    }
}

/// The connection that the host got for a peer, or None when the peer was refused.
fn outcome(setup: Setup, host: &mut Host, peer: Option<Peer>) -> Option<(Peer, sockeye_conn)> {
    let mut peer = peer?;
    let mut conn = None;
    let address = peer.address();
    host.until("a decision about a peer", |host| {
        let of_it = |event: &&Event| {
            event.kind == Kind::Opened
                && host
                    .net
                    .conn_info(event.conn)
                    .is_ok_and(|it| socket_address(&it.peer) == address)
        };
        conn = host.log.iter().rev().find(of_it).map(|event| event.conn);
        peer.has(1);
        conn.is_some() || peer.end.is_some()
    });
    let reset = peer.end == Some(End::Reset) || !setup.resets();
    assert!(conn.is_some() || reset, "a refusal is a reset");
    conn.map(|conn| (peer, conn))
}

fn tries(setup: Setup, host: &mut Host, last: u8, door: Door) -> Option<(Peer, sockeye_conn)> {
    outcome(setup, host, knock(last, door))
}

/// A peer that comes in at last.
fn enters_in_time(setup: Setup, host: &mut Host, last: u8, door: Door) -> (Peer, sockeye_conn) {
    let end = Instant::now() + DEADLINE;
    loop {
        if let Some(met) = tries(setup, host, last, door) {
            return met;
        }
        assert!(Instant::now() < end, "not in time: a peer that comes in");
    }
}

pub fn who_is_denied_is_reset(setup: Setup) {
    let mut host = setup.host();
    let door = host.door("");
    let (mut before, early) = tries(setup, &mut host, 2, door).expect("there are no rules");
    assert_eq!(set(&host.net, &[rule(at(0), 8, DENY), rule(at(3), 32, ALLOW)]), OK);
    for _ in 0..3 {
        assert!(tries(setup, &mut host, 2, door).is_none());
    }
    let _allowed = tries(setup, &mut host, 3, door).expect("the longer prefix counts");
    assert_eq!(host.count(Kind::Opened), 2, "who is refused makes no event");
    let (guard, net) = (stats(&host.net), host.net.stats());
    assert_eq!((guard.rule, guard.rules, guard.ban), (3, 2, 0));
    assert_eq!((net.accepted, net.accept_failures), (2, 0));
    assert_eq!(host.net.listener_info(door.listener).expect("it lives").accepted, 2);
    host.turn_over(&mut before, early);
    assert_eq!(set(&host.net, &[]), OK);
    let _again = tries(setup, &mut host, 2, door).expect("the rules are gone");
    assert_eq!((stats(&host.net).rule, stats(&host.net).rules), (3, 0));
    host.finish();
}

/// Whatever rules there are: both deny 127.0.0.4 and allow 127.0.0.5.
pub fn rules_change_under_connects(setup: Setup) {
    let mut host = setup.host();
    let door = host.door("");
    let one = [rule(at(0), 8, DENY), rule(at(5), 32, ALLOW)];
    let other = [rule(at(4), 32, DENY)];
    assert_eq!(set(&host.net, &one), OK);
    let (net, over) = (host.net.clone(), AtomicBool::new(false));
    thread::scope(|scope| {
        scope.spawn(|| {
            // A test that fails does not say so.
            let end = Instant::now() + DEADLINE;
            while !over.load(SeqCst) && Instant::now() < end {
                assert_eq!((set(&net, &other), set(&net, &one)), (OK, OK));
            }
        });
        let mut inside = Vec::new();
        for _ in 0..20 {
            assert!(tries(setup, &mut host, 4, door).is_none());
            inside.extend(tries(setup, &mut host, 5, door));
        }
        over.store(true, SeqCst);
        assert_eq!(inside.len(), 20);
    });
    assert_eq!(stats(&host.net).rule, 20);
    drop(net);
    host.finish();
}

pub fn a_ban_ends(setup: Setup) {
    let mut host = setup.host();
    let door = host.door("");
    assert_eq!(ban(&host.net, at(2), 32, LONG_MS), OK);
    assert!(tries(setup, &mut host, 2, door).is_none());
    let _other = tries(setup, &mut host, 3, door).expect("it is not banned");
    assert_eq!((stats(&host.net).ban, stats(&host.net).bans), (1, 1));
    assert_eq!(ban(&host.net, at(2), 32, 100), OK);
    let _over = enters_in_time(setup, &mut host, 2, door);
    assert_eq!(ban(&host.net, at(0), 8, LONG_MS), OK);
    // A ban counts before every rule.
    assert_eq!(set(&host.net, &[rule(at(2), 32, ALLOW)]), OK);
    assert!(tries(setup, &mut host, 2, door).is_none());
    assert_eq!((ban(&host.net, at(9), 32, 0), ban(&host.net, at(9), 8, 0)), (OK, OK));
    let _lifted = tries(setup, &mut host, 2, door).expect("the ban is lifted");
    host.finish();
}

pub fn so_many_of_an_address(setup: Setup) {
    let mut host = setup.host();
    let door = guarded(&mut host, sockeye_guard { per_address_max: 2, ..Default::default() });
    let free = host.door("");
    let (one, conn) = tries(setup, &mut host, 2, door).expect("the first");
    let two = tries(setup, &mut host, 2, door).expect("the second");
    for refused in 1..=3 {
        assert!(tries(setup, &mut host, 2, door).is_none());
        assert_eq!(stats(&host.net).per_address, refused);
    }
    let other = tries(setup, &mut host, 3, door).expect("each address for itself");
    let _beside = tries(setup, &mut host, 2, free).expect("each listener for itself");
    assert_eq!(stats(&host.net).addresses, 2);
    drop(one);
    host.closed(conn);
    let next = enters_in_time(setup, &mut host, 2, door);
    assert!(tries(setup, &mut host, 2, door).is_none());
    // Those that came in live on without their listener, and are counted down as they go.
    assert_eq!(host.net.listener_close(door.listener), OK);
    drop((two, other, next));
    host.until("an empty table", |host| stats(&host.net).addresses == 0);
    host.finish();
}

/// So many peers at once, and how many of them came in, at most so many in the time it took.
fn rush(setup: Setup, guard: sockeye_guard, per_s: u32) -> sockeye_guard_stats {
    const PEERS: u32 = 12;
    let mut host = setup.host();
    let door = guarded(&mut host, guard);
    let begun = Instant::now();
    let knocked: Vec<_> = (0..PEERS).map(|_| knock(2, door)).collect();
    let met: Vec<_> = knocked.into_iter().map(|it| outcome(setup, &mut host, it)).collect();
    let entered = met.iter().flatten().count() as u32;
    let most = per_s + (begun.elapsed().as_secs_f64() * f64::from(per_s)) as u32 + 1;
    assert!((per_s.min(PEERS)..=most).contains(&entered), "{entered} came in, of {per_s} a second");
    let found = stats(&host.net);
    assert_eq!(u64::from(entered) + found.rate + found.address_rate, PEERS.into());
    host.finish();
    found
}

pub fn so_many_in_a_second(setup: Setup) {
    let all = rush(setup, sockeye_guard { accepts_per_s: 3, ..Default::default() }, 3);
    assert_eq!((all.address_rate, all.addresses), (0, 0));
    let each = rush(setup, sockeye_guard { per_address_per_s: 2, ..Default::default() }, 2);
    assert_eq!((each.rate, each.addresses), (0, 1));
}

pub fn datagrams_of_the_denied(setup: Setup) {
    let mut host = setup.host();
    let door = host.door_at("udp://127.0.0.1:0", |_| {});
    let target = SocketAddr::from(([127, 0, 0, 1], door.port));
    assert_eq!(set(&host.net, &[rule(at(2), 32, DENY)]), OK);
    assert_eq!(ban(&host.net, at(4), 32, LONG_MS), OK);
    for (last, refused) in [(2, true), (4, true), (3, false)] {
        let raw = Raw::at(&format!("127.0.0.{last}:0"));
        raw.send(target, b"x");
        if !refused {
            host.until("a datagram", |host| host.count(Kind::Datagram) == 1);
            assert_eq!(host.log.last().and_then(|it| it.sender), Some(raw.address()));
        }
    }
    assert_eq!((stats(&host.net).rule, stats(&host.net).ban), (1, 1));
    host.finish();
}

pub fn what_cannot_be(setup: Setup) {
    let mut host = setup.host();
    let door = host.door("");
    assert_eq!(set(&host.net, &[rule(at(2), 32, DENY)]), OK);
    for (rule, words) in [
        (rule(at(0), 33, DENY), "rules[1].prefix_bits"),
        (rule(at(0), 8, 2), "rules[1].action"),
        (rule("[::]:0".parse().expect("an address"), 129, DENY), "rules[1].prefix_bits"),
        (
            sockeye_guard_rule { address: sockeye_address::default(), ..rule(at(0), 8, DENY) },
            "rules[1].address.family",
        ),
    ] {
        assert_eq!(set(&host.net, &[self::rule(at(3), 32, DENY), rule]), ERR_INVALID);
        assert!(last_error().starts_with(words), "{}", last_error());
    }
    // SAFETY: a live net; NULL is answered.
    let status = unsafe { sockeye_guard_set(host.net.raw(), ptr::null(), 1) };
    assert_eq!(status, ERR_INVALID);
    assert_eq!(ban(&host.net, at(2), 33, 1), ERR_INVALID);
    assert!(tries(setup, &mut host, 2, door).is_none(), "the old rules stay");
    let _other = tries(setup, &mut host, 3, door).expect("and no others");
    let mut reserved = sockeye_guard::default();
    reserved.reserved[3] = 1;
    let fast = sockeye_guard { accepts_per_s: 1_000_001, ..Default::default() };
    let any = sockeye_guard::default();
    for (url, guard, words) in [
        ("tcp://127.0.0.1:0", &reserved, "guard.reserved"),
        ("tcp://127.0.0.1:0", &fast, "guard.accepts_per_s"),
        ("udp://127.0.0.1:0", &any, "endpoint.guard"),
    ] {
        let endpoint = endpoint(|endpoint| endpoint.guard = guard);
        assert_eq!(host.net.listen(url, Some(&endpoint)).err(), Some(ERR_INVALID));
        assert!(last_error().starts_with(words), "{}", last_error());
    }
    assert_eq!(host.net.shutdown(0), OK);
    let refused = (set(&host.net, &[]), ban(&host.net, at(2), 32, 1));
    assert_eq!(refused, (ERR_SHUTDOWN, ERR_SHUTDOWN));
    assert_eq!(stats(&host.net).rule, 1);
    host.finish();
}

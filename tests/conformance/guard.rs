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
use sockeye::capi::admit::{sockeye_admit_answer, sockeye_admit_fn, sockeye_set_admit};
use sockeye::capi::conn::sockeye_conn;
use sockeye::capi::guard::{
    sockeye_guard, sockeye_guard_ban, sockeye_guard_get_stats, sockeye_guard_rule,
    sockeye_guard_set, sockeye_guard_stats,
};
use sockeye::capi::listener::sockeye_listener;
use std::ffi::{CStr, c_char, c_void};
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::*};
use std::time::Instant;
use std::{ptr, thread};

suite! {
    each: who_is_denied_is_reset, rules_change_under_connects, a_ban_ends, so_many_of_an_address,
        so_many_in_a_second, datagrams_of_the_denied, datagrams_of_the_hasty, what_cannot_be,
        the_host_has_the_last_word, what_the_hosts_function_may_call, the_hosts_function_goes,
        doors_close_while_it_is_asked, a_shutdown_asks_no_more;
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

/// Of each address three in a second, and no address takes another's place.
pub fn datagrams_of_the_hasty(setup: Setup) {
    const SENT: u64 = 12;
    let mut host = setup.host();
    let door = host.door_at("udp://127.0.0.1:0?datagram_rate=3", |_| {});
    let target = SocketAddr::from(([127, 0, 0, 1], door.port));
    let (hasty, other) = (Raw::at("127.0.0.2:0"), Raw::at("127.0.0.3:0"));
    let begun = Instant::now();
    (0..SENT).for_each(|_| hasty.send(target, b"x"));
    other.send(target, b"y");
    let from = |host: &Host, raw: &Raw| {
        host.log.iter().filter(|it| it.sender == Some(raw.address())).count() as u64
    };
    host.until("a decision about each", |host| {
        from(host, &other) == 1 && from(host, &hasty) + stats(&host.net).address_rate == SENT
    });
    let most = 3 + (begun.elapsed().as_secs_f64() * 3.0) as u64 + 1;
    assert!((3..=most).contains(&from(&host, &hasty)), "{} came in", from(&host, &hasty));
    assert_eq!(stats(&host.net).addresses, 2);
    let before = from(&host, &hasty);
    host.until("the next second", |host| {
        hasty.send(target, b"z");
        from(host, &hasty) > before
    });
    assert_eq!(host.net.listener_close(door.listener), OK);
    host.until("an empty table", |host| stats(&host.net).addresses == 0);
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
    let streams = sockeye_guard { per_address_max: 1, ..Default::default() };
    let datagrams = sockeye_guard { datagrams_per_address_per_s: 1, ..Default::default() };
    for (url, guard, words) in [
        ("tcp://127.0.0.1:0", &reserved, "guard.reserved"),
        ("tcp://127.0.0.1:0", &fast, "guard.accepts_per_s"),
        ("udp://127.0.0.1:0", &streams, "guard.per_address_max is for"),
        ("tcp://127.0.0.1:0", &datagrams, "guard.datagrams_per_address_per_s is for"),
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

const REFUSE: u32 = sockeye_admit_answer::SOCKEYE_REFUSE as u32;
const ADMIT: u32 = sockeye_admit_answer::SOCKEYE_ADMIT as u32;

type Answer = dyn Fn(sockeye_listener, &sockeye_address) -> u32 + Sync;

/// What the host's function was asked and what it does, for as long as the process lives.
struct Word {
    asked: Mutex<Vec<(sockeye_listener, sockeye_address)>>,
    answer: Box<Answer>,
}

extern "C" fn ask(user: *mut c_void, door: sockeye_listener, peer: *const sockeye_address) -> u32 {
    // SAFETY: the word that was given, which lives for ever, and an address.
    let (word, peer) = unsafe { (&*user.cast::<Word>(), &*peer) };
    word.asked.lock().expect("no panic").push((door, *peer));
    (word.answer)(door, peer)
}

fn set_admit(net: &Net, admit: sockeye_admit_fn, word: *const Word) -> i32 {
    // SAFETY: a live net; the word lives for ever.
    unsafe { sockeye_set_admit(net.raw(), admit, word.cast_mut().cast()) }
}

fn asks(
    net: &Net,
    answer: impl Fn(sockeye_listener, &sockeye_address) -> u32 + Sync + 'static,
) -> &'static Word {
    let word = Box::leak(Box::new(Word { asked: Mutex::default(), answer: Box::new(answer) }));
    assert_eq!(set_admit(net, Some(ask), word), OK);
    word
}

impl Word {
    fn count(&self) -> usize {
        self.asked.lock().expect("no panic").len()
    }
}

type Lines = Mutex<Vec<String>>;

extern "C" fn keep_line(user: *mut c_void, _: u32, text: *const c_char) {
    // SAFETY: the lines that were given, which outlive the net; the text is NUL-terminated.
    let (lines, text) = unsafe { (&*user.cast::<Lines>(), CStr::from_ptr(text)) };
    lines.lock().expect("no panic").push(text.to_string_lossy().into_owned());
}

/// 127.0.0.3 may come in, 127.0.0.2 and the others may not.
pub fn the_host_has_the_last_word(setup: Setup) {
    let mut host = setup.host();
    let lines: &Lines = Box::leak(Box::default());
    let user = ptr::from_ref(lines).cast_mut().cast();
    // SAFETY: the lines live for ever.
    assert_eq!(unsafe { host.net.set_log(Some(keep_line), user, 2) }, OK);
    let one = sockeye_guard { per_address_max: 1, ..Default::default() };
    let (door, free) = (guarded(&mut host, one), host.door(""));
    let word = asks(&host.net, |_, peer| match peer.bytes[3] {
        2 => REFUSE,
        3 => ADMIT,
        _ => 7,
    });
    assert_eq!(set(&host.net, &[rule(at(6), 32, DENY)]), OK);
    for refused in [2, 4, 2, 4, 6] {
        assert!(tries(setup, &mut host, refused, door).is_none());
    }
    let (mut peer, conn) = tries(setup, &mut host, 3, door).expect("the host admits it");
    host.turn_over(&mut peer, conn);
    assert!(tries(setup, &mut host, 3, door).is_none(), "one of an address");
    let _beside = tries(setup, &mut host, 3, free).expect("at another door");
    let asked = word.asked.lock().expect("no panic").clone();
    let who: Vec<u8> = asked.iter().map(|(_, peer)| peer.bytes[3]).collect();
    assert_eq!(who, [2, 4, 2, 4, 3, 3], "once each, and not about those that rules keep out");
    let address: sockeye_address = Some(peer.address()).into();
    assert_eq!((asked[4].0, asked[5].0), (door.listener, free.listener));
    assert_eq!((asked[4].1.family, asked[4].1.port), (4, address.port));
    let (guard, net) = (stats(&host.net), host.net.stats());
    assert_eq!((guard.admit, guard.rule, guard.per_address, guard.addresses), (4, 1, 1, 1));
    assert_eq!((net.accepted, net.accept_failures, host.count(Kind::Opened)), (2, 0, 2));
    assert_eq!(host.net.listener_info(door.listener).expect("it lives").accepted, 1);
    let wondered = |line: &&String| line.contains("answered 7");
    host.until("words", |_| lines.lock().expect("no panic").iter().any(|it| wondered(&it)));
    assert_eq!(set_admit(&host.net, None, ptr::null()), OK);
    let _anybody = tries(setup, &mut host, 2, door).expect("nobody is asked any more");
    assert_eq!(word.count(), 6);
    assert_eq!(lines.lock().expect("no panic").iter().filter(wondered).count(), 1, "once");
    host.finish();
}

pub fn what_the_hosts_function_may_call(setup: Setup) {
    let mut host = setup.host();
    let (door, net) = (host.door(""), host.net.raw() as usize);
    let answers: &Mutex<Vec<i32>> = Box::leak(Box::default());
    let _word = asks(&host.net, move |listener, peer| {
        let net = net as *mut sockeye::capi::net::sockeye_net;
        let mut out = 0;
        // SAFETY: the net lives while the function runs; what is refused frees nothing.
        let given = unsafe {
            [
                sockeye::capi::net::sockeye_shutdown(net, 0),
                sockeye::capi::net::sockeye_free(net),
                sockeye::capi::event::sockeye_poll_events(net, ptr::null_mut(), 0, 0),
                sockeye::capi::descriptor::sockeye_listener_release(net, listener, &mut out),
                sockeye_guard_ban(net, peer, 32, LONG_MS),
                sockeye::capi::queue::sockeye_post(net, 0, 1, 1),
                sockeye_set_admit(net, None, ptr::null_mut()),
            ]
        };
        answers.lock().expect("no panic").extend(given);
        ADMIT
    });
    let _first = tries(setup, &mut host, 2, door).expect("it was let in");
    let refused = ERR_WOULD_DEADLOCK;
    let given = answers.lock().expect("no panic").clone();
    assert_eq!(given, [refused, refused, refused, refused, OK, OK, OK]);
    assert!(tries(setup, &mut host, 2, door).is_none(), "it is banned");
    let _third = tries(setup, &mut host, 3, door).expect("nobody is asked any more");
    assert_eq!(answers.lock().expect("no panic").len(), 7);
    host.finish();
}

/// When the call has returned, the function before is not called again, whatever else happens.
pub fn the_hosts_function_goes(setup: Setup) {
    let mut host = setup.host();
    let door = host.door("");
    let (late, over) = (&*Box::leak(Box::new(AtomicUsize::new(0))), AtomicBool::new(false));
    let net = host.net.clone();
    thread::scope(|scope| {
        scope.spawn(|| {
            let end = Instant::now() + DEADLINE;
            while !over.load(SeqCst) && Instant::now() < end {
                let gone: &AtomicBool = Box::leak(Box::default());
                let word = asks(&net, move |_, _| {
                    thread::yield_now();
                    late.fetch_add(usize::from(gone.load(SeqCst)), SeqCst);
                    ADMIT
                });
                // It is asked once at least, or the peers are all in.
                while word.count() == 0 && !over.load(SeqCst) && Instant::now() < end {
                    thread::yield_now();
                }
                assert_eq!(set_admit(&net, None, ptr::null()), OK);
                gone.store(true, SeqCst);
            }
        });
        for _ in 0..30 {
            assert!(tries(setup, &mut host, 2, door).is_some());
        }
        over.store(true, SeqCst);
    });
    assert_eq!(late.load(SeqCst), 0);
    drop(net);
    host.finish();
}

/// Who is admitted at a door that closes meanwhile comes in before the end of that.
pub fn doors_close_while_it_is_asked(setup: Setup) {
    let mut host = setup.host();
    let (door, net) = (host.door(""), host.net.raw() as usize);
    let _word = asks(&host.net, move |listener, _| {
        // SAFETY: the net lives while the function runs.
        unsafe { sockeye::capi::listener::sockeye_listener_close(net as *mut _, listener) };
        ADMIT
    });
    let (mut peer, conn) = tries(setup, &mut host, 2, door).expect("it was let in");
    host.until("LISTENER_CLOSED", |host| host.count(Kind::ListenerClosed) == 1);
    let kinds: Vec<Kind> = host.log.iter().map(|event| event.kind).collect();
    let place = |kind| kinds.iter().position(|it| *it == kind);
    assert!(place(Kind::Opened) < place(Kind::ListenerClosed), "{kinds:?}");
    host.turn_over(&mut peer, conn);
    host.finish();
}

/// Peers that wait for the host's word do not hold up the end of its net.
pub fn a_shutdown_asks_no_more(setup: Setup) {
    let mut host = setup.host();
    let door = host.door("");
    let _word = asks(&host.net, |_, _| ADMIT);
    let peers: Vec<Peer> = (2..10).filter_map(|last| knock(last, door)).collect();
    let begun = Instant::now();
    assert_eq!(host.net.shutdown(2 * DEADLINE.as_millis() as i32), OK);
    assert!(begun.elapsed() < DEADLINE, "nothing is waited for");
    host.until("LISTENER_CLOSED", |host| host.count(Kind::ListenerClosed) == 1);
    for mut peer in peers {
        host.until("the peer's end", |_| {
            peer.has(1);
            peer.end.is_some()
        });
    }
    host.finish();
}

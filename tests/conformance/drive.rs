//! Who turns a worker, and when: a lease keeps a worker's thread away and ends, nobody else waits
//! for it, and what the host itself asks for leaves with its polls.

use crate::common::event::Kind;
use crate::common::host::Host;
use crate::common::net::Net;
use crate::common::peer::{End, Peer};
use crate::common::words::*;
use crate::common::{Setup, stays, wait_for};
use sockeye::capi::conn::sockeye_conn;
use std::net::TcpListener;
use std::thread;
use std::time::{Duration, Instant};

/// Makes the tests of one theme in the drives that lend. `lend`: in LEND alone; `both`: in HOST
/// too. In both a worker's thread is the backstop.
macro_rules! lending {
    (@model $model:ident $number:ident {
        $(lend: $($lend:ident),+;)?
        $(both: $($both:ident),+;)?
    }) => {
        mod $model {
            mod lend {
                $crate::common::tests! { $number lending $($($lend)+)? $($($both)+)? }
            }
            mod host {
                $crate::common::tests! { $number host $($($both)+)? }
            }
        }
    };
    ($($group:tt)+) => {
        $crate::common::for_models! { lending! { $($group)+ } }
    };
}
pub(crate) use lending;

lending! {
    lend: polls_that_do_not_wait_do_not_turn;
    both: nobody_reads_for_an_absent_host, a_short_lease_ends, others_send, others_close,
        others_connect, others_close_a_door, others_post, others_need_no_first_poll,
        own_sends_leave_with_a_poll, own_sends_leave_with_a_flush,
        own_sends_leave_with_the_lease, own_closes_leave_with_a_poll, own_sends_time_nobody_out,
        manual_waits_for_flush_or_poll, a_wait_handle_ends_lending;
}

/// A lease that outlives a test's patience.
pub const LONG_US: u32 = 10_000_000;
/// The shortest that leaves a host time to come back.
pub const SHORT_US: u32 = 1000;
/// Patience for what must not wait for a `LONG_US` to end.
pub const SOON: Duration = Duration::from_secs(5);

/// As `wait_for`, before a long lease ends.
fn soon(what: &str, mut done: impl FnMut() -> bool) {
    let end = Instant::now() + SOON;
    while !done() {
        assert!(Instant::now() < end, "not before the lease ends: {what}");
        thread::park_timeout(Duration::from_millis(1));
    }
}

/// Waits until no thread turns a worker any more.
pub fn quiet(net: &Net) {
    let (mut turns, mut since) = (net.stats().turns, Instant::now());
    wait_for("an end of turns", || {
        let now = net.stats().turns;
        if std::mem::replace(&mut turns, now) != now {
            since = Instant::now();
        }
        since.elapsed() >= Duration::from_millis(60)
    });
}

/// Waits in poll until nothing comes any more, and goes away: a lease begins.
fn goes_away(host: &mut Host) {
    while host.step(20) > 0 {}
    quiet(&host.net);
}

/// Calls from another thread than the host's.
fn elsewhere<T: Send>(call: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| scope.spawn(call).join().expect("no panic"))
}

/// A host that is away with a long lease, a peer and its connection.
pub fn absent(setup: Setup) -> (Host, Peer, sockeye_conn) {
    let mut host = setup.host_with(|config| config.lease_us = LONG_US);
    let door = host.door("");
    let (peer, conn) = host.meet(door);
    goes_away(&mut host);
    (host, peer, conn)
}

/// While the lease lives what comes stays in the kernel; the next poll that waits gets it.
pub fn nobody_reads_for_an_absent_host(setup: Setup) {
    let (mut host, mut peer, conn) = absent(setup);
    for round in 1..=3 {
        let before = host.net.stats();
        peer.put(b"x");
        stays("unread", Duration::from_millis(80), || {
            let stats = host.net.stats();
            (stats.received_bytes, stats.turns) == (before.received_bytes, before.turns)
        });
        host.until("the message", |host| host.bytes(conn).len() == round);
        goes_away(&mut host);
    }
    host.finish();
}

/// LEND: a poll with timeout 0 looks at its queue and at nothing else.
pub fn polls_that_do_not_wait_do_not_turn(setup: Setup) {
    let (mut host, mut peer, conn) = absent(setup);
    let before = host.net.stats();
    peer.put(b"x");
    for _ in 0..500 {
        assert_eq!(host.step(0), 0, "nobody has received it");
    }
    let after = host.net.stats();
    assert_eq!((after.received_bytes, after.turns), (before.received_bytes, before.turns));
    host.until("the message", |host| host.bytes(conn) == b"x");
    host.finish();
}

/// When the lease is over the worker's thread receives, and polls that do not wait give it.
pub fn a_short_lease_ends(setup: Setup) {
    let mut host = setup.host_with(|config| config.lease_us = SHORT_US);
    let door = host.door("");
    let (mut peer, conn) = host.meet(door);
    for round in 1..=50u64 {
        peer.put(b"x");
        wait_for("a byte without a poll", || host.net.stats().received_bytes == round);
        while host.step(0) > 0 {}
        wait_for("the message", || host.step(0) == 0 && host.bytes(conn).len() as u64 == round);
    }
    host.finish();
}

/// Another thread's sends do not wait out a lease, however many there are.
pub fn others_send(setup: Setup) {
    let (host, mut peer, conn) = absent(setup);
    for round in 1..=50 {
        assert_eq!(elsewhere(|| host.net.send(conn, b"x")), OK);
        soon("another's send", || peer.has(round));
    }
    host.finish();
}

/// Nor do its closes.
pub fn others_close(setup: Setup) {
    if !setup.resets() {
        return;
    }
    let mut host = setup.host_with(|config| config.lease_us = LONG_US);
    let door = host.door("");
    for (how, end) in [(GRACEFUL, End::Fin), (AT_ONCE, End::Reset)] {
        let (mut peer, conn) = host.meet(door);
        goes_away(&mut host);
        assert_eq!(elsewhere(|| host.net.close(conn, how)), OK);
        soon("the end at the peer", || {
            peer.has(1);
            peer.end == Some(end)
        });
        drop(peer);
        assert_eq!(host.closed(conn).cause, HOST);
    }
    host.finish();
}

/// Nor its connects.
pub fn others_connect(setup: Setup) {
    let (mut host, _peer, _) = absent(setup);
    let far = TcpListener::bind("127.0.0.1:0").expect("a port");
    far.set_nonblocking(true).expect("it need not block");
    let url = format!("tcp://{}", far.local_addr().expect("an address"));
    let conn = elsewhere(|| host.connect(&url));
    soon("another's connect", || far.accept().is_ok());
    host.until("OPENED", |host| host.kinds_of(conn) == [Kind::Opened]);
    host.finish();
}

/// Nor its close of a door: the port is free.
pub fn others_close_a_door(setup: Setup) {
    let (mut host, _peer, _) = absent(setup);
    let door = host.door("");
    goes_away(&mut host);
    assert_eq!(elsewhere(|| host.net.listener_close(door.listener)), OK);
    soon("a free port", || TcpListener::bind(("127.0.0.1", door.port)).is_ok());
    host.finish();
}

/// A post needs no worker: the next poll has it, whatever it waits for.
pub fn others_post(setup: Setup) {
    let (mut host, _peer, _) = absent(setup);
    for timeout in [0, 0, 5000, -1] {
        assert_eq!(elsewhere(|| host.net.post(0, 1, 1)), OK);
        assert_eq!(host.step(timeout), 1);
    }
    host.finish();
}

/// A lease is counted from a poll: before the first nobody waits for one.
pub fn others_need_no_first_poll(setup: Setup) {
    let mut host = setup.host_with(|config| config.lease_us = LONG_US);
    let far = TcpListener::bind("127.0.0.1:0").expect("a port");
    far.set_nonblocking(true).expect("it need not block");
    let url = format!("tcp://{}", far.local_addr().expect("an address"));
    elsewhere(|| host.connect(&url));
    soon("a connect before any poll", || far.accept().is_ok());
    host.finish();
}

/// What the host itself sends leaves at its next poll, though that does not wait.
pub fn own_sends_leave_with_a_poll(setup: Setup) {
    let (mut host, mut peer, conn) = absent(setup);
    for round in 1..=20 {
        assert_eq!(host.net.send(conn, b"x"), OK);
        assert_eq!(host.step(0), 0);
        soon("the host's send", || peer.has(round));
    }
    // Also where the poll finds the queue full of events.
    for round in 21..=40 {
        assert_eq!(host.net.send(conn, b"x"), OK);
        assert_eq!((host.net.post(0, 1, 1), host.net.post(0, 2, 2)), (OK, OK));
        for timeout in [0, -1] {
            assert_eq!(host.step_queue(0, 1, timeout), 1);
        }
        soon("the host's send beside events", || peer.has(round));
    }
    host.finish();
}

/// Or at its flush.
pub fn own_sends_leave_with_a_flush(setup: Setup) {
    let (host, mut peer, conn) = absent(setup);
    for round in 1..=20 {
        assert_eq!(host.net.send(conn, b"x"), OK);
        assert_eq!(host.net.flush(), OK);
        soon("the host's send", || peer.has(round));
    }
    host.finish();
}

/// Or when the lease ends.
pub fn own_sends_leave_with_the_lease(setup: Setup) {
    let mut host = setup.host_with(|config| config.lease_us = 50_000);
    let door = host.door("");
    let (mut peer, conn) = host.meet(door);
    for round in 1..=5 {
        while host.step(2) > 0 {}
        assert_eq!(host.net.send(conn, b"x"), OK);
        wait_for("the host's send", || peer.has(round));
    }
    host.finish();
}

/// A close is no less: both ends hear of it while the host does not wait.
pub fn own_closes_leave_with_a_poll(setup: Setup) {
    if !setup.resets() {
        return;
    }
    let mut host = setup.host_with(|config| config.lease_us = LONG_US);
    let door = host.door("");
    for (how, end) in [(GRACEFUL, End::Fin), (AT_ONCE, End::Reset)] {
        let (mut peer, conn) = host.meet(door);
        goes_away(&mut host);
        assert_eq!(host.net.close(conn, how), OK);
        soon("the end at the peer", || {
            host.step(0);
            peer.has(1);
            peer.end == Some(end)
        });
        drop(peer);
        host.closed(conn);
    }
    host.finish();
}

/// Nobody is late whose words nobody has read: sends alone, with polls and flushes that do not
/// look at the sockets, time no lively peer out.
pub fn own_sends_time_nobody_out(setup: Setup) {
    let mut host = setup.host_with(|config| config.lease_us = LONG_US);
    let door = host.door_with("", |endpoint| endpoint.idle_timeout_ms = 250);
    let (mut peer, conn) = host.meet(door);
    // As in `goes_away`, in which it would be idle for too long.
    peer.put(b"x");
    host.until("the first byte", |host| host.bytes(conn) == b"x");
    let end = Instant::now() + Duration::from_millis(600);
    while Instant::now() < end {
        peer.put(b"x");
        assert_eq!(host.net.send(conn, b"y"), OK);
        assert_eq!(host.net.flush(), OK);
        thread::park_timeout(Duration::from_millis(10));
    }
    peer.put(b"x");
    host.until("all that it said", |host| host.bytes(conn).len() > 10);
    assert!(!host.is_closed(conn), "{:?}", host.log.last());
    host.finish();
}

/// MANUAL: nothing leaves with other threads' doings or a lease's end, all with a flush or a poll.
pub fn manual_waits_for_flush_or_poll(setup: Setup) {
    let mut host = setup.host_with(|config| {
        (config.flush, config.lease_us) = (FLUSH_MANUAL, LONG_US);
    });
    let door = host.door("");
    let ((mut peer, conn), (mut other, second)) = (host.meet(door), host.meet(door));
    goes_away(&mut host);
    for round in 1..=10 {
        assert_eq!(host.net.send(conn, b"x"), OK);
        assert_eq!(elsewhere(|| host.net.send(second, b"x")), OK);
        stays("nothing leaves", Duration::from_millis(10), || {
            !peer.has(round) && !other.has(round)
        });
        match round % 3 {
            0 => assert_eq!(host.net.flush(), OK),
            1 => assert_eq!(elsewhere(|| host.net.flush()), OK),
            _ => assert_eq!(host.step(0), 0),
        }
        soon("all that was sent", || peer.has(round) && other.has(round));
    }
    host.finish();
}

/// Who waits elsewhere is not waited for, also under a lease that lives.
pub fn a_wait_handle_ends_lending(setup: Setup) {
    let (mut host, mut peer, conn) = absent(setup);
    peer.put(b"x");
    host.net.wait_handle(0).expect("a wait handle");
    for round in 1..=20 {
        soon("a byte without a poll", || host.net.stats().received_bytes == round);
        host.until("the message", |host| host.bytes(conn).len() as u64 == round);
        assert_eq!(host.step(2), 0, "a poll that waits begins no lease");
        peer.put(b"x");
    }
    host.finish();
}

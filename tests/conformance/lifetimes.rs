//! What the host has outlives what it came from, or is known to be gone: events are held as long as
//! their batch lives, whatever became of their connection, and a net can be freed from anywhere.

use crate::common::event::{Batch, Kind};
use crate::common::net::Net;
use crate::common::peer::Peer;
use crate::common::udp::Raw;
use crate::common::words::*;
use crate::common::{Setup, suite, wait_for};
use sockeye::capi::event::{sockeye_event, sockeye_event_kind};
use sockeye::capi::net::sockeye_net;
use std::ffi::c_void;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

suite! {
    each: an_old_event_is_no_new_one, held_by_another_thread, held_though_it_closed,
        an_old_datagram_is_no_new_one, discarded_in_its_callback, sends_in_the_last_call;
    threaded: held_inside_a_callback, discarded_with_a_poller_inside;
    queues2: held_though_its_connection_is_gone;
}

/// An event on its way to another thread.
struct Carried(sockeye_event);

// SAFETY: a copy of plain numbers; nobody looks behind its pointer.
unsafe impl Send for Carried {}

impl Carried {
    fn hold(&self, net: &Net) -> Result<Vec<u8>, i32> {
        net.hold(&self.0).map(|held| held.bytes().to_vec())
    }
}

fn first(batch: &Batch<'_>, kind: Kind) -> Option<usize> {
    (0..batch.raw.len()).find(|&at| batch.kind(at) == kind)
}

/// The memory of a batch is used again for the next one, often at the same address; an event of a
/// batch that is over never stands for what is there since.
pub fn an_old_event_is_no_new_one(setup: Setup) {
    let mut host = setup.host();
    let door = host.door("");
    let (mut peer, _) = host.meet(door);
    let mut old: Vec<sockeye_event> = Vec::new();
    for round in 0..30u8 {
        peer.put(&[round; 10]);
        let mut found = false;
        while !found {
            let batch = host.batch(2);
            for event in &old {
                assert_eq!(batch.net.hold(event).err(), Some(ERR_STALE), "round {round}");
            }
            if let Some(at) = first(&batch, Kind::Message) {
                assert_eq!(batch.hold(at).expect("it lives").bytes()[0], round);
                old.push(batch.raw[at]);
                found = true;
            }
        }
    }
    host.finish();
}

pub fn an_old_datagram_is_no_new_one(setup: Setup) {
    let mut host = setup.host();
    let door = host.door_at("udp://127.0.0.1:0", |_| {});
    let (raw, to) = (Raw::new(), SocketAddr::from((Ipv4Addr::LOCALHOST, door.port)));
    let mut old: Vec<sockeye_event> = Vec::new();
    for round in 0..30u8 {
        raw.send(to, &[round; 10]);
        let mut found = false;
        while !found {
            let batch = host.batch(2);
            for event in &old {
                assert_eq!(batch.net.hold(event).err(), Some(ERR_STALE), "round {round}");
            }
            if let Some(at) = first(&batch, Kind::Datagram) {
                assert_eq!(batch.hold(at).expect("it lives").bytes(), [round; 10]);
                old.push(batch.raw[at]);
                found = true;
            }
        }
    }
    host.finish();
}

pub fn held_by_another_thread(setup: Setup) {
    let mut host = setup.host();
    let door = host.door("?frame=u32be");
    let (mut peer, _) = host.meet(door);
    for round in 0..20u8 {
        peer.put(&crate::common::frame(&[round; 100]));
        let mut found = false;
        while !found {
            let batch = host.batch(2);
            if let Some(at) = first(&batch, Kind::Message) {
                let (net, event) = (batch.net, Carried(batch.raw[at]));
                let held = std::thread::scope(|scope| {
                    scope.spawn(move || event.hold(net)).join().expect("no panic")
                });
                assert_eq!(held.expect("its batch lives"), [round; 100]);
                found = true;
            }
        }
    }
    host.finish();
}

/// The host closes the connection, and all of it ends, while the batch lives.
pub fn held_though_it_closed(setup: Setup) {
    let mut host = setup.host();
    let door = host.door("");
    let (mut peer, conn) = host.meet(door);
    peer.put(b"its last words");
    let mut found = false;
    while !found {
        let batch = host.batch(2);
        if let Some(at) = first(&batch, Kind::Message) {
            assert_eq!(batch.net.close(conn, AT_ONCE), OK);
            assert_eq!(batch.hold(at).expect("it lives").bytes(), b"its last words");
            assert_eq!(batch.net.shutdown(0), OK);
            assert_eq!(batch.hold(at).expect("it lives").bytes(), b"its last words");
            found = true;
        }
    }
    host.finish();
}

/// A message and MOVED lie in one batch; then a shutdown lets the new queue tell the end, and the
/// slot is free again, while that batch lives.
pub fn held_though_its_connection_is_gone(setup: Setup) {
    let mut host = setup.host();
    let door = host.door_with("", |endpoint| endpoint.queue = 0);
    let (mut peer, conn) = host.meet(door);
    peer.put(&[7; 100]);
    wait_for("the message", || host.net.stats().queued_bytes >= 164);
    host.move_to(conn, 1);
    wait_for("MOVED behind it", || host.net.stats().queued_bytes >= 164 + 64);
    let net = &host.net;
    // SAFETY: no payload of an earlier batch is looked at.
    let batch = unsafe { net.poll(0, 256, 1000) }.expect("poll answers");
    let at = first(&batch, Kind::Message).expect("it was queued");
    assert!(first(&batch, Kind::Moved) > Some(at), "in one batch");
    assert_eq!(net.shutdown(0), OK);
    assert_eq!(batch.hold(at).expect("the batch lives").bytes(), [7; 100]);
    let mut kinds = Vec::new();
    // SAFETY: nothing of the other queue's batches is looked at.
    while let Ok(other) = unsafe { net.poll(1, 256, 0) } {
        kinds.extend((0..other.raw.len()).map(|at| other.kind(at)));
    }
    assert_eq!(kinds, [Kind::Moved, Kind::Closed]);
    assert_eq!(net.conn_info(conn).err(), Some(ERR_STALE));
    assert_eq!(batch.hold(at).expect("the batch lives").bytes(), [7; 100]);
}

/// What a callback is given as `user`. Leaked: a call that comes too late is seen, and harmless.
struct Seen {
    net: Arc<Net>,
    act: fn(&Seen, &sockeye_event),
    calls: AtomicUsize,
    done: AtomicUsize,
    gone: AtomicBool,
    late: AtomicUsize,
}

extern "C" fn see(
    user: *mut c_void,
    _: *mut sockeye_net,
    _: u32,
    events: *const sockeye_event,
    count: u32,
) {
    // SAFETY: what was given, and lives for ever; so many events.
    let (seen, events) =
        unsafe { (&*user.cast::<Seen>(), std::slice::from_raw_parts(events, count as usize)) };
    seen.late.fetch_add(usize::from(seen.gone.load(SeqCst)), SeqCst);
    seen.calls.fetch_add(1, SeqCst);
    events.iter().for_each(|event| (seen.act)(seen, event));
}

fn called(net: &Arc<Net>, act: fn(&Seen, &sockeye_event)) -> &'static Seen {
    let seen: &'static Seen = Box::leak(Box::new(Seen {
        net: net.clone(),
        act,
        calls: AtomicUsize::new(0),
        done: AtomicUsize::new(0),
        gone: AtomicBool::new(false),
        late: AtomicUsize::new(0),
    }));
    let user = std::ptr::from_ref(seen).cast_mut().cast();
    // SAFETY: it lives for ever, and no payload is kept.
    assert_eq!(unsafe { net.set_callback(0, Some(see), user) }, OK);
    seen
}

fn is(event: &sockeye_event, kind: sockeye_event_kind) -> bool {
    event.kind == kind as u32
}

fn port(net: &Net) -> u16 {
    let door = net.listen("tcp://127.0.0.1:0", None).expect("a door");
    net.listener_info(door).expect("it listens").port as u16
}

/// Whether nothing listens there any more.
fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

/// Polls that come meanwhile are refused, and are not taken for the end of the batch.
pub fn held_inside_a_callback(setup: Setup) {
    let net = Arc::new(setup.net());
    let seen = called(&net, |seen, event| {
        if is(event, sockeye_event_kind::SOCKEYE_EVENT_BYTES) {
            for _ in 0..500 {
                assert!(seen.net.hold(event).is_ok_and(|held| held.bytes() == [5; 64]));
            }
            seen.done.fetch_add(event.data_len as usize, SeqCst);
        }
    });
    let mut peer = Peer::connect(port(&net));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while seen.done.load(SeqCst) < 64 {
                // SAFETY: no batch of polls is alive.
                let answer = unsafe { net.poll(0, 1, 0) };
                assert_eq!(answer.err(), Some(ERR_BUSY));
            }
        });
        peer.put(&[5; 64]);
        wait_for("what was held", || seen.done.load(SeqCst) == 64);
    });
    assert_eq!(net.shutdown(0), OK);
}

/// The net is freed inside of its callback: that is never called again, every later call is stale,
/// and all of it ends when the callback has returned.
pub fn discarded_in_its_callback(setup: Setup) {
    let net = Arc::new(setup.net());
    let (port, driven) = (port(&net), net.info().threads == 0);
    let seen = called(&net, |seen, event| {
        if is(event, sockeye_event_kind::SOCKEYE_EVENT_POSTED) && !seen.gone.load(SeqCst) {
            // More than one call is given.
            (0..300).for_each(|_| assert_eq!(seen.net.post(0, 2, 2), OK));
            assert_eq!(seen.net.discard(), OK);
            assert_eq!(seen.net.discard(), ERR_STALE);
            assert_eq!(seen.net.send(event.conn, b"x"), ERR_STALE);
            assert_eq!(seen.net.post(0, 2, 2), ERR_STALE);
            seen.gone.store(true, SeqCst);
        }
    });
    // Where no other thread turns it; else no other thread is to use the net meanwhile.
    let turn = || if driven { net.poll_callback(0, 1) } else { OK };
    let _peer = Peer::connect(port);
    wait_for("OPENED", || turn() >= 0 && seen.calls.load(SeqCst) > 0);
    assert_eq!(net.post(0, 1, 1), OK);
    wait_for("the end", || turn() >= 0 && seen.gone.load(SeqCst));
    assert_eq!((net.post(0, 1, 1), net.poll_callback(0, 1)), (ERR_STALE, ERR_STALE));
    let calls = seen.calls.load(SeqCst);
    wait_for("a free port", || is_free(port));
    assert_eq!((seen.calls.load(SeqCst), seen.late.load(SeqCst)), (calls, 0));
}

/// Another thread sleeps in a poll: it returns, and the net goes when it has.
pub fn discarded_with_a_poller_inside(setup: Setup) {
    let net = Arc::new(setup.net());
    let port = port(&net);
    std::thread::scope(|scope| {
        let poller = scope.spawn(|| {
            loop {
                // SAFETY: no payload is looked at.
                match unsafe { net.poll(0, 8, -1) } {
                    // Woken, or told of the listener's end.
                    Ok(_) => break OK,
                    Err(ERR_BUSY) => {}
                    Err(status) => break status,
                }
            }
        });
        // SAFETY: as above.
        wait_for("a poller", || unsafe { net.poll(0, 8, 0) }.err() == Some(ERR_BUSY));
        assert_eq!(net.discard(), OK);
        let answer = poller.join().expect("no panic");
        assert!([OK, ERR_SHUTDOWN].contains(&answer), "{answer}");
    });
    wait_for("a free port", || is_free(port));
}

/// A shutdown gives a callback all that is left: what is sent and asked there is refused.
pub fn sends_in_the_last_call(setup: Setup) {
    let net = Arc::new(setup.net());
    let seen = called(&net, |seen, event| {
        if is(event, sockeye_event_kind::SOCKEYE_EVENT_CLOSED) {
            assert_eq!(seen.net.send(event.conn, b"x"), ERR_SHUTDOWN);
            assert_eq!(seen.net.close(event.conn, AT_ONCE), ERR_SHUTDOWN);
            assert_eq!(seen.net.shutdown(0), ERR_WOULD_DEADLOCK);
            assert_eq!(seen.net.post(0, 1, 1), ERR_SHUTDOWN);
            assert!(seen.net.conn_info(event.conn).is_ok());
            seen.done.fetch_add(1, SeqCst);
        }
    });
    let _peer = Peer::connect(port(&net));
    wait_for("OPENED", || {
        net.poll_callback(0, 1);
        seen.calls.load(SeqCst) > 0
    });
    assert_eq!(net.shutdown(0), OK);
    assert_eq!(seen.done.load(SeqCst), 1);
}

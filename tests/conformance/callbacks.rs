//! Callbacks: a queue's events given to a function, one call at a time, gone when taken away.

use crate::common::event::{Event, Kind};
use crate::common::net::Net;
use crate::common::peer::Peer;
use crate::common::words::*;
use crate::common::{Setup, endpoint, frame, stays, suite, wait_for};
use sockeye::capi::event::sockeye_event;
use sockeye::capi::net::sockeye_net;
use std::ffi::c_void;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

suite! {
    each: events_as_with_polls, calls_from_inside, what_waits_comes_first, taken_away_from_inside,
        refusals, shutdown_tells_all, payloads_until_return, two_in_turn;
    threaded: one_at_a_time, taken_away_while_it_runs, every_post_is_told, gone_for_good,
        waiting_costs_nothing;
    pool2: a_slow_one_stops_no_other, moved_between_two;
}

/// What to do with an event, inside the callback.
type Act = Box<dyn Fn(&Called, &sockeye_event) + Send + Sync>;

/// What a callback is given as `user`: it notes every event. Leaked, so that a call that comes too
/// late is noticed and does no harm.
pub struct Called {
    pub net: Arc<Net>,
    queue: u32,
    log: Mutex<Vec<Event>>,
    calls: AtomicUsize,
    inside: AtomicUsize,
    /// Nobody may call any more.
    gone: AtomicBool,
    late: AtomicUsize,
    act: Act,
}

extern "C" fn note(
    user: *mut c_void,
    _: *mut sockeye_net,
    queue: u32,
    events: *const sockeye_event,
    count: u32,
) {
    // SAFETY: what was given, and lives for ever; so many events.
    let (called, events) =
        unsafe { (&*user.cast::<Called>(), std::slice::from_raw_parts(events, count as usize)) };
    called.late.fetch_add(usize::from(called.gone.load(SeqCst)), SeqCst);
    assert_eq!(called.inside.fetch_add(1, SeqCst), 0, "one at a time");
    assert_eq!((queue, events.is_empty()), (called.queue, false));
    called.calls.fetch_add(1, SeqCst);
    for event in events {
        // SAFETY: its batch is alive until this function returns.
        let copy = unsafe { Event::copy(event, queue) };
        called.log.lock().expect("no panic").push(copy);
        (called.act)(called, event);
    }
    assert_eq!(called.inside.fetch_sub(1, SeqCst), 1);
    called.late.fetch_add(usize::from(called.gone.load(SeqCst)), SeqCst);
}

impl Called {
    pub fn new(
        net: &Arc<Net>,
        queue: u32,
        act: impl Fn(&Called, &sockeye_event) + Send + Sync + 'static,
    ) -> &'static Called {
        Box::leak(Box::new(Called {
            net: net.clone(),
            queue,
            log: Mutex::default(),
            calls: AtomicUsize::new(0),
            inside: AtomicUsize::new(0),
            gone: AtomicBool::new(false),
            late: AtomicUsize::new(0),
            act: Box::new(act),
        }))
    }

    pub fn set(&'static self) -> i32 {
        let user = ptr::from_ref(self).cast_mut().cast();
        // SAFETY: it lives for ever, and no payload is kept.
        unsafe { self.net.set_callback(self.queue, Some(note), user) }
    }

    /// Takes it away; it must not run any more.
    fn unset(&self) {
        assert_eq!(take_away(&self.net, self.queue), OK);
        self.gone.store(true, SeqCst);
    }

    pub fn events(&self) -> Vec<Event> {
        self.log.lock().expect("no panic").clone()
    }

    pub fn count(&self, kind: Kind) -> usize {
        self.events().iter().filter(|event| event.kind == kind).count()
    }

    /// Waits for something, turning the worker where no other thread does.
    pub fn until(&self, what: &str, mut done: impl FnMut(&Called) -> bool) {
        wait_for(what, || {
            // With worker threads there is nothing to be turned; it may be taken away by now.
            let answer = self.net.poll_callback(self.queue, 1);
            assert!(answer >= 0 || [ERR_BUSY, ERR_INVALID].contains(&answer), "{answer}");
            done(self)
        });
    }

    /// Ends the net: everything is reported before that returns.
    pub fn finish(&self) {
        assert_eq!(self.net.shutdown(0), OK);
        let told = self.calls.load(SeqCst);
        // SAFETY: no batch of this queue is alive.
        let answer = unsafe { self.net.poll(self.queue, 8, 0) };
        assert_eq!(answer.err(), Some(ERR_SHUTDOWN), "nothing is left for polls");
        assert_eq!(self.net.poll_callback(self.queue, 0), ERR_SHUTDOWN);
        assert_eq!(self.calls.load(SeqCst), told);
        assert_eq!(self.late.load(SeqCst), 0, "called after it was taken away");
        let events = self.events();
        for event in events.iter().filter(|event| event.kind == Kind::Opened) {
            let mut of_it = events.iter().filter(|it| it.conn == event.conn);
            let closes = of_it.clone().filter(|it| it.kind == Kind::Closed).count();
            assert_eq!((closes, of_it.next_back().map(|it| it.kind)), (1, Some(Kind::Closed)));
        }
    }
}

fn take_away(net: &Net, queue: u32) -> i32 {
    // SAFETY: NULL takes the function away.
    unsafe { net.set_callback(queue, None, ptr::null_mut()) }
}

fn net(setup: Setup) -> Arc<Net> {
    Arc::new(setup.net())
}

fn door(net: &Net, query: &str, queue: u32) -> u16 {
    let url = format!("tcp://127.0.0.1:0{query}");
    let door = net.listen(&url, Some(&endpoint(|it| it.queue = queue))).expect("a door");
    net.listener_info(door).expect("it listens").port as u16
}

fn payload(event: &sockeye_event) -> &[u8] {
    if event.data.is_null() {
        return &[];
    }
    // SAFETY: asked for while its batch is alive.
    unsafe { std::slice::from_raw_parts(event.data, event.data_len as usize) }
}

fn is(event: &sockeye_event, kind: Kind) -> bool {
    // SAFETY: asked for while its batch is alive.
    unsafe { Event::copy(event, 0) }.kind == kind
}

/// Sends every message back.
fn echo(called: &Called, event: &sockeye_event) {
    if is(event, Kind::Message) {
        assert_eq!(called.net.send(event.conn, payload(event)), OK);
    }
}

pub fn events_as_with_polls(setup: Setup) {
    let net = net(setup);
    let called = Called::new(&net, 0, echo);
    assert_eq!(called.set(), OK);
    let mut peer = Peer::connect(door(&net, "?frame=u32be", 0));
    for round in 0..50u8 {
        peer.put(&frame(&[round]));
        called.until("the echo", |_| peer.has(5));
        assert_eq!(std::mem::take(&mut peer.got), frame(&[round]));
    }
    drop(peer);
    called.until("CLOSED", |called| called.count(Kind::Closed) == 1);
    let kinds: Vec<Kind> = called.events().iter().map(|event| event.kind).collect();
    let all = [Kind::Message; 52];
    assert_eq!(kinds[1..51], all[1..51]);
    assert_eq!((kinds[0], kinds[51], kinds.len()), (Kind::Opened, Kind::Closed, 52));
    called.until("a free slot", |called| called.net.stats().connections == 0);
    called.finish();
}

/// No lock is held that a call needs; what would wait for itself says so.
pub fn calls_from_inside(setup: Setup) {
    let net = net(setup);
    let called = Called::new(&net, 0, |called, event| {
        let net = &called.net;
        if event.conn.id == 0 {
            return;
        }
        assert_eq!(net.shutdown(0), ERR_WOULD_DEADLOCK);
        // SAFETY: it is refused, so nothing is freed.
        assert_eq!(unsafe { net.free() }, ERR_WOULD_DEADLOCK);
        assert_eq!(net.poll_callback(0, 0), ERR_BUSY);
        // SAFETY: it is refused, so no batch ends.
        assert_eq!(unsafe { net.poll(0, 8, -1) }.err(), Some(ERR_BUSY));
        assert!(net.conn_info(event.conn).is_ok() && net.conn_stats(event.conn).is_ok());
        assert_eq!(net.flush(), OK);
        assert_eq!(net.post(0, 1, 1), OK);
        assert_eq!(net.stats().connections, 1);
        if is(event, Kind::Message) {
            assert_eq!(net.hold(event).expect("its batch is alive").bytes(), payload(event));
            assert_eq!(net.set_user_data(event.conn, 7), OK);
            assert_eq!(net.set_queue(event.conn, 0), OK);
            assert_eq!(net.pause(event.conn), OK);
            assert_eq!(net.resume(event.conn), OK);
            assert_eq!(net.close_with(event.conn, GRACEFUL, b"bye"), OK);
        }
    });
    assert_eq!(called.set(), OK);
    let mut peer = Peer::connect(door(&net, "", 0));
    peer.put(b"hello");
    called.until("the last word", |_| peer.has(4) || peer.end.is_some());
    assert_eq!(peer.got, b"bye");
    drop(peer);
    called.until("CLOSED", |called| called.count(Kind::Closed) == 1);
    called.until("its own posts", |called| called.count(Kind::Posted) == 3);
    let stamps: Vec<u64> = called.events().iter().map(|event| event.user_data).collect();
    assert!(stamps.contains(&7));
    called.finish();
}

/// Events that wait are given to it, those first that polls had begun to hand out.
pub fn what_waits_comes_first(setup: Setup) {
    let net = net(setup);
    for at in 0..10 {
        assert_eq!(net.post(0, at, 0), OK);
    }
    // SAFETY: no payload is kept.
    assert_eq!(unsafe { net.poll(0, 3, 0) }.expect("poll answers").raw.len(), 3);
    let called = Called::new(&net, 0, |_, _| {});
    assert_eq!(net.post(0, 10, 0), OK);
    assert_eq!(called.set(), OK);
    called.until("all that waited", |called| called.events().len() == 8);
    let told: Vec<u64> = called.events().iter().map(|event| event.detail).collect();
    assert!(told.into_iter().eq(3..=10));
    called.finish();
}

/// Taken away from inside: its own call ends, no other comes, and polls have the rest.
pub fn taken_away_from_inside(setup: Setup) {
    let net = net(setup);
    let called = Called::new(&net, 0, |called, _| {
        if called.events().len() == 1 {
            assert_eq!(take_away(&called.net, 0), OK);
        }
    });
    assert_eq!(called.set(), OK);
    assert_eq!(net.post(0, 0, 0), OK);
    called.until("its call", |called| !called.events().is_empty());
    wait_for("its return", || called.inside.load(SeqCst) == 0);
    let answered = || {
        // SAFETY: no payload is kept.
        unsafe { net.poll(0, 8, 0) }.map(|batch| batch.raw.len())
    };
    wait_for("a queue to be polled", || answered() != Err(ERR_BUSY));
    called.gone.store(true, SeqCst);
    let told = called.events().len() as u64;
    assert_eq!(net.post(0, told, 0), OK);
    wait_for("a post by a poll", || answered() == Ok(1));
    // And back again.
    let next = Called::new(&net, 0, |_, _| {});
    assert_eq!(next.set(), OK);
    assert_eq!(net.post(0, 1, 1), OK);
    next.until("a post", |next| next.events().len() == 1);
    assert_eq!(called.late.load(SeqCst), 0);
    next.finish();
}

pub fn refusals(setup: Setup) {
    let net = net(setup);
    // SAFETY: no batch of this queue is alive.
    let poll = |timeout| unsafe { net.poll(0, 8, timeout) }.map(|batch| batch.raw.len());
    assert_eq!(net.poll_callback(0, 0), ERR_INVALID, "there is none");
    assert_eq!(take_away(&net, 0), OK, "there is none");
    let called = Called::new(&net, 0, |_, _| {});
    let wrong = Called::new(&net, 1, |_, _| {});
    assert_eq!(wrong.set(), ERR_INVALID);
    assert_eq!(take_away(&net, 1), ERR_INVALID);
    if setup.polls_anywhere() {
        std::thread::scope(|scope| {
            // The looks at it below may be what it meets.
            let poller = scope.spawn(|| {
                loop {
                    match poll(-1) {
                        Err(ERR_BUSY) => {}
                        polled => return polled,
                    }
                }
            });
            wait_for("a poller inside", || poll(0) == Err(ERR_BUSY));
            assert_eq!(called.set(), ERR_BUSY);
            assert_eq!(net.post(0, 0, 0), OK);
            assert_eq!(poller.join().expect("no panic"), Ok(1));
        });
    }
    assert_eq!(called.set(), OK);
    for timeout in [0, 5, -1] {
        assert_eq!(poll(timeout), Err(ERR_BUSY));
    }
    if setup.drive.has_threads() {
        assert_eq!(net.poll_callback(0, 0), ERR_BUSY);
    } else {
        assert_eq!(net.poll_callback(0, 20), 0, "nothing comes");
        assert_eq!(net.post(0, 0, 0), OK);
        assert_eq!(net.poll_callback(0, -1), 1);
        assert_eq!(net.wake(0), OK);
        assert_eq!(net.poll_callback(0, -1), 0);
    }
    called.finish();
    assert_eq!(called.set(), ERR_SHUTDOWN);
    assert_eq!(take_away(&net, 0), OK);
}

/// CLOSED of all that live, and everything before, when shutdown returns.
pub fn shutdown_tells_all(setup: Setup) {
    for timeout in [0, 2000] {
        let net = net(setup);
        let called = Called::new(&net, 0, echo);
        assert_eq!(called.set(), OK);
        let port = door(&net, "", 0);
        let peers: Vec<Peer> = (0..10).map(|_| Peer::connect(port)).collect();
        called.until("OPENED of all", |called| called.count(Kind::Opened) == 10);
        assert_eq!(net.post(0, 77, 0), OK);
        drop(peers.into_iter().take(5).collect::<Vec<Peer>>());
        assert_eq!(net.shutdown(timeout), OK);
        let events = called.events();
        assert_eq!((called.count(Kind::Closed), called.count(Kind::ListenerClosed)), (10, 1));
        assert!(events.iter().any(|event| (event.kind, event.detail) == (Kind::Posted, 77)));
        called.finish();
    }
}

/// A batch ends when its call returns: CLOSED's handle is known inside and stale afterwards.
pub fn payloads_until_return(setup: Setup) {
    if !setup.resets() {
        return;
    }
    let net = net(setup);
    let called = Called::new(&net, 0, |called, event| {
        if is(event, Kind::Closed) {
            assert!(called.net.conn_info(event.conn).is_ok());
            assert_eq!(called.net.send(event.conn, b"x"), ERR_CLOSED);
        }
    });
    assert_eq!(called.set(), OK);
    let mut peer = Peer::connect(door(&net, "", 0));
    peer.put(&[5; 3000]);
    called.until("OPENED", |called| called.count(Kind::Opened) == 1);
    peer.reset();
    called.until("CLOSED", |called| called.count(Kind::Closed) == 1);
    let conn = called.events()[0].conn;
    called.until("a stale handle", |called| called.net.conn_info(conn).err() == Some(ERR_STALE));
    called.finish();
}

/// One is set in place of another: each event goes to one of them, the first's come first.
pub fn two_in_turn(setup: Setup) {
    let net = net(setup);
    let (first, second) = (Called::new(&net, 0, |_, _| {}), Called::new(&net, 0, |_, _| {}));
    assert_eq!(first.set(), OK);
    for at in 0..100 {
        assert_eq!(net.post(0, at, 0), OK);
        if at == 50 {
            first.until("some", |first| !first.events().is_empty());
            assert_eq!(second.set(), OK);
            first.gone.store(true, SeqCst);
        }
    }
    let told = || [first.events(), second.events()].concat();
    second.until("all", |_| told().len() == 100);
    assert!(told().iter().map(|event| event.detail).eq(0..100));
    assert_eq!(first.late.load(SeqCst), 0);
    second.finish();
}

/// Several workers serve one queue: still one call at a time (`note` looks), nothing is lost, and
/// each connection's messages are in order.
pub fn one_at_a_time(setup: Setup) {
    const PEERS: usize = 12;
    const ROUNDS: u32 = 100;
    let net = Arc::new(setup.net_with(|config| config.workers = 4));
    let called = Called::new(&net, 0, echo);
    assert_eq!(called.set(), OK);
    let port = door(&net, "?frame=u32be", 0);
    let mut peers: Vec<Peer> = (0..PEERS).map(|_| Peer::connect(port)).collect();
    let all: Vec<u8> = (0..ROUNDS).flat_map(|round| frame(&round.to_be_bytes())).collect();
    for round in 0..ROUNDS {
        peers.iter_mut().for_each(|peer| peer.put(&frame(&round.to_be_bytes())));
        assert_eq!(net.post(0, u64::from(round), 0), OK);
    }
    for peer in &mut peers {
        called.until("all of the echo", |_| peer.has(all.len()));
        assert!(peer.got == all);
    }
    called.until("all posts", |called| called.count(Kind::Posted) == ROUNDS as usize);
    called.finish();
}

/// Whoever takes it away waits for its end.
pub fn taken_away_while_it_runs(setup: Setup) {
    let net = net(setup);
    let gate: &'static AtomicBool = Box::leak(Box::default());
    let called = Called::new(&net, 0, |_, _| wait_for("the gate", || gate.load(SeqCst)));
    assert_eq!(called.set(), OK);
    assert_eq!(net.post(0, 0, 0), OK);
    wait_for("a call", || called.inside.load(SeqCst) == 1);
    std::thread::scope(|scope| {
        let taker = scope.spawn(|| called.unset());
        stays("inside", Duration::from_millis(60), || {
            assert_eq!(net.post(0, 1, 1), OK, "no call waits for it");
            !taker.is_finished() && called.inside.load(SeqCst) == 1
        });
        gate.store(true, SeqCst);
        taker.join().expect("no panic");
    });
    assert_eq!(called.inside.load(SeqCst), 0);
    // SAFETY: no batch of this queue is alive.
    let poll = || unsafe { net.poll(0, 1000, 0) }.expect("poll answers").raw.len();
    wait_for("the posts", || poll() > 0);
    assert_eq!(net.shutdown(0), OK);
    assert_eq!(called.late.load(SeqCst), 0);
}

/// No wake-up is lost between posts and a worker that is about to sleep.
pub fn every_post_is_told(setup: Setup) {
    let net = Arc::new(setup.net_with(|config| config.workers = 2));
    let called = Called::new(&net, 0, |_, _| {});
    assert_eq!(called.set(), OK);
    for round in 1..=2000 {
        assert_eq!(net.post(0, round, 0), OK);
        if round % 3 == 0 {
            called.until("it", |called| called.log.lock().expect("no panic").len() as u64 == round);
        }
    }
    called.until("all", |called| called.events().len() == 2000);
    assert!(called.events().iter().map(|event| event.detail).eq(1..=2000));
    called.finish();
}

/// When `set_callback(NULL)` has returned, it neither runs nor is called again, whatever other
/// threads do.
pub fn gone_for_good(setup: Setup) {
    let net = net(setup);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !stop.load(SeqCst) {
                    // Refused while too many wait.
                    let _ = net.post(0, 1, 1);
                    std::thread::yield_now();
                }
            });
        }
        for _ in 0..40 {
            let called = Called::new(&net, 0, |called, _| {
                if called.log.lock().expect("no panic").len() % 64 == 1 {
                    std::thread::yield_now();
                }
            });
            assert_eq!(called.set(), OK);
            called.until("a call", |called| called.calls.load(SeqCst) > 0);
            called.unset();
            assert_eq!(called.inside.load(SeqCst), 0);
            // SAFETY: no batch of this queue is alive.
            assert!(unsafe { net.poll(0, 1000, 0) }.is_ok());
            assert_eq!(called.late.load(SeqCst), 0);
        }
        stop.store(true, SeqCst);
    });
}

/// A worker whose callback waits does not spin, nor do the others of its queue.
pub fn waiting_costs_nothing(setup: Setup) {
    let net = Arc::new(setup.net_with(|config| config.workers = 3));
    let gate: &'static AtomicBool = Box::leak(Box::default());
    let called = Called::new(&net, 0, |_, _| wait_for("the gate", || gate.load(SeqCst)));
    assert_eq!(called.set(), OK);
    let port = door(&net, "", 0);
    assert_eq!(net.post(0, 0, 0), OK);
    wait_for("a call", || called.inside.load(SeqCst) == 1);
    let mut peers: Vec<Peer> = (0..6).map(|_| Peer::connect(port)).collect();
    peers.iter_mut().for_each(|peer| peer.put(b"x"));
    assert_eq!(net.post(0, 1, 0), OK);
    let turns = net.stats().turns;
    stays("inside", Duration::from_millis(200), || called.inside.load(SeqCst) == 1);
    let turns = net.stats().turns - turns;
    assert!(turns < 100, "{turns} turns while a callback waits");
    gate.store(true, SeqCst);
    called.until("all", |called| called.count(Kind::Message) == 6);
    called.finish();
}

pub fn a_slow_one_stops_no_other(setup: Setup) {
    let net = net(setup);
    let gate: &'static AtomicBool = Box::leak(Box::default());
    let slow = Called::new(&net, 0, |_, _| wait_for("the gate", || gate.load(SeqCst)));
    let quick = Called::new(&net, 1, echo);
    assert_eq!((slow.set(), quick.set()), (OK, OK));
    let port = door(&net, "", 1);
    assert_eq!(net.post(0, 0, 0), OK);
    wait_for("a call", || slow.inside.load(SeqCst) == 1);
    let mut peer = Peer::connect(port);
    for round in 0..20u8 {
        peer.put(&[round]);
        quick.until("the echo", |_| peer.has(1));
        assert_eq!(std::mem::take(&mut peer.got), [round]);
    }
    assert_eq!(slow.inside.load(SeqCst), 1);
    gate.store(true, SeqCst);
    slow.finish();
    quick.finish();
}

/// From one callback to another and back, asked for inside them.
pub fn moved_between_two(setup: Setup) {
    let net = net(setup);
    let act = |called: &Called, event: &sockeye_event| {
        if is(event, Kind::Message) {
            assert_eq!(called.net.send(event.conn, payload(event)), OK);
            let moved = called.net.set_queue(event.conn, 1 - called.queue);
            assert!(moved == OK || moved == ERR_BUSY, "{moved}");
        }
    };
    let both = [0, 1].map(|queue| Called::new(&net, queue, act));
    assert!(both.iter().all(|called| called.set() == OK));
    let mut peer = Peer::connect(door(&net, "", 0));
    for round in 0..40u8 {
        peer.put(&[round]);
        both[0].until("the echo", |_| peer.has(1));
        assert_eq!(std::mem::take(&mut peer.got), [round]);
    }
    drop(peer);
    let count = |kind| both.iter().map(|called| called.count(kind)).sum::<usize>();
    both[0].until("CLOSED", |_| count(Kind::Closed) == 1);
    assert!(count(Kind::Moved) >= 40, "{} times", count(Kind::Moved));
    assert_eq!(net.shutdown(0), OK);
    for called in both {
        // It left and came back, in turn.
        let events = called.events();
        let moves = events.iter().filter(|event| event.kind == Kind::Moved);
        assert!(moves.clone().all(|event| event.detail == u64::from(1 - called.queue)));
        let other = |event: &Event| event.kind == Kind::Message;
        assert!(events.iter().any(other), "messages on both");
    }
}

//! Whose thread turns a worker: the host's while it waits or its lease lives, the worker's own when
//! the host is away, and the host's again when it is back.

use super::told::{What, poll};
use crate::engine::{Config, Drive, Endpoint, Kind, Net};
use crate::io::sim::{Ending, Faults, Peer, Sim, World};
use crate::io::{Affinity, Bell, Completion, Op, Proactor, Role, Setup, Token, Visit};
use parking_lot::Mutex;
use socket2::Socket;
use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

const DEADLINE: Duration = Duration::from_secs(10);
/// Longer than any test waits, in microseconds.
const LONG_US: u32 = 10_000_000;

/// Who turned, and how long a turn is to take.
#[derive(Default)]
struct Book {
    turns: Mutex<HashMap<ThreadId, u64>>,
    nap_ms: AtomicU64,
}

type Notes = Arc<Book>;

thread_local! {
    static NOTES: RefCell<Notes> = RefCell::default();
}

/// SIM, with notes on who turns it.
struct Noted {
    sim: Sim,
    notes: Notes,
}

impl Proactor for Noted {
    const AFFINITY: Affinity = Affinity::Free;

    type Shared = ();

    fn share(_workers: usize) -> io::Result<()> {
        Ok(())
    }

    fn open(setup: &Setup, shared: &()) -> io::Result<Noted> {
        Ok(Noted { sim: Sim::open(setup, shared)?, notes: NOTES.with_borrow(Arc::clone) })
    }

    fn bell(&self) -> Bell {
        self.sim.bell()
    }

    fn adopt(&mut self, token: Token, socket: &Socket, role: Role) -> io::Result<()> {
        self.sim.adopt(token, socket, role)
    }

    fn release(&mut self, token: Token) {
        self.sim.release(token);
    }

    fn submit(&mut self, token: Token, op: Op, done: &mut Vec<Completion>) {
        self.sim.submit(token, op, done);
    }

    fn cancel(&mut self, token: Token) {
        self.sim.cancel(token);
    }

    fn turn(&mut self, done: &mut Vec<Completion>, timeout: Option<Duration>) -> io::Result<()> {
        *self.notes.turns.lock().entry(thread::current().id()).or_default() += 1;
        let nap = self.notes.nap_ms.load(SeqCst);
        if nap > 0 {
            // tidy: pause, a model that is slow on purpose.
            thread::sleep(Duration::from_millis(nap));
        }
        self.sim.turn(done, timeout)
    }
}

/// A net with a connection, polled by this thread.
struct Scene {
    net: Arc<Net>,
    notes: Notes,
    peer: Arc<Peer>,
    token: Token,
    /// Bytes reported.
    told: usize,
}

impl Scene {
    fn new(config: Config) -> Scene {
        Scene::with(config, Endpoint::default())
    }

    fn with(config: Config, endpoint: Endpoint) -> Scene {
        let world = World::new(1, Faults { at_once: 100, ..Faults::default() });
        world.enter();
        let notes = Notes::default();
        NOTES.set(notes.clone());
        let net = Net::open_with(config, |_, open| open.visit::<Noted>()).expect("SIM opens");
        let mut id = 0;
        let listened = net.listen("tcp://127.0.0.1:0", endpoint, |given| id = given);
        listened.expect("a port is free");
        let listener = net.token(id, Kind::Listener).expect("its own handle");
        let peer = Arc::new(world.connect(listener, 1 << 16).expect("it listens"));
        let mut scene = Scene { net, notes, peer, token: Token(0), told: 0 };
        let end = Instant::now() + DEADLINE;
        while scene.token == Token(0) {
            assert!(Instant::now() < end, "OPENED never comes");
            scene.poll(5);
        }
        scene
    }

    /// Polls once.
    fn poll(&mut self, timeout_ms: u64) {
        let batch = poll(&self.net, 64, Duration::from_millis(timeout_ms));
        for told in batch.expect("the net runs") {
            match told.what {
                What::Opened(_) => self.token = told.token,
                What::Message(data, _) => self.told += data.len(),
                other => panic!("not expected: {other:?}"),
            }
        }
    }

    /// Turns of this thread, and of others.
    fn turns(&self) -> (u64, u64) {
        let notes = self.notes.turns.lock();
        let mine = notes.get(&thread::current().id()).copied().unwrap_or_default();
        (mine, notes.values().sum::<u64>() - mine)
    }

    /// Polls with a timeout until something is so.
    fn until(&mut self, what: &str, timeout_ms: u64, mut done: impl FnMut(&Scene) -> bool) {
        let end = Instant::now() + DEADLINE;
        while !done(self) {
            assert!(Instant::now() < end, "{what}: never; {:?}", self.turns());
            self.poll(timeout_ms);
        }
    }

    fn end(self) {
        assert_eq!(self.net.shutdown(Duration::ZERO), Ok(()));
    }
}

fn config(drive: Drive, lease_us: u32, spin_us: u32) -> Config {
    Config { workers: Some(1), drive, lease_us, spin_us, ..Config::default() }
}

/// Some bytes there and back, and no thread but the host's had a part in it.
fn crosses_no_thread(drive: Drive, spin_us: u32) {
    let mut scene = Scene::new(config(drive, LONG_US, spin_us));
    // What the backstop does for the calls before the first poll is done.
    scene.poll(50);
    let others = scene.turns().1;
    for round in 1..=200 {
        assert_eq!(scene.peer.write(b"ping"), 4);
        scene.until("the message", 5000, |scene| scene.told == round * 4);
        assert_eq!(scene.net.send(scene.token, b"pong"), Ok(()));
        scene.poll(if round % 2 == 0 { 0 } else { 1 });
        assert_eq!(scene.peer.read(16), b"pong", "a poll lets it leave");
    }
    assert_eq!(scene.turns().1, others, "the backstop turned beside a lively host");
    scene.end();
}

/// With peers that never stop, a host that was away for some turns of the backstop, and comes back.
fn comes_back(drive: Drive, spin_us: u32) {
    let mut scene = Scene::new(config(drive, 1000, spin_us));
    let done = AtomicBool::new(false);
    let peer = scene.peer.clone();
    thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(SeqCst) {
                peer.write(&[1; 100]);
                thread::park_timeout(Duration::from_micros(50));
            }
        });
        // Ends the peer also when an assertion below fails.
        let _end = Ends(&done);
        for _ in 0..20 {
            let (mine, others) = scene.turns();
            let end = Instant::now() + DEADLINE;
            while scene.turns().1 < others + 3 {
                assert!(Instant::now() < end, "the backstop never turns");
                thread::park_timeout(Duration::from_micros(200));
            }
            scene.until("the host's own turn", 5, |scene| scene.turns().0 >= mine + 3);
        }
    });
    scene.end();
}

/// A host that is back and waits has its worker within that one poll, though nothing comes.
fn one_poll_is_enough(drive: Drive, spin_us: u32) {
    let mut scene = Scene::new(config(drive, 1000, spin_us));
    for round in 1..=3 {
        assert_eq!(scene.peer.write(b"ping"), 4);
        let end = Instant::now() + DEADLINE;
        while scene.net.stats().received_bytes < round * 8 - 4 {
            assert!(Instant::now() < end, "the backstop never receives");
            thread::park_timeout(Duration::from_millis(1));
        }
        scene.until("the message", 0, |scene| scene.told as u64 == round * 8 - 4);
        let (notes, peer, host) =
            (&scene.notes.clone(), scene.peer.clone(), thread::current().id());
        let turns = move || notes.turns.lock().get(&host).copied().unwrap_or_default();
        let mine = turns();
        thread::scope(|scope| {
            let watch = scope.spawn(move || {
                let end = Instant::now() + DEADLINE / 2;
                while turns() == mine && Instant::now() < end {
                    thread::park_timeout(Duration::from_millis(1));
                }
                // Ends the poll.
                assert_eq!(peer.write(b"pong"), 4);
                turns() > mine
            });
            scene.poll(2 * DEADLINE.as_millis() as u64);
            assert!(watch.join().expect("no panic"), "it slept beside a free baton");
        });
        scene.until("the last message", 5, |scene| scene.told as u64 == round * 8);
    }
    scene.end();
}

struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, SeqCst);
    }
}

#[test]
fn messages_of_a_lending_host_cross_no_thread() {
    crosses_no_thread(Drive::Lend, 0);
}

#[test]
fn messages_of_a_driving_host_cross_no_thread() {
    crosses_no_thread(Drive::Host, 0);
}

#[test]
fn messages_of_a_host_that_spins_cross_no_thread() {
    crosses_no_thread(Drive::Lend, 50);
}

#[test]
fn a_lending_host_that_is_back_turns() {
    comes_back(Drive::Lend, 0);
}

#[test]
fn a_driving_host_that_is_back_turns() {
    comes_back(Drive::Host, 0);
}

#[test]
fn a_host_that_is_back_and_spins_turns() {
    comes_back(Drive::Lend, LONG_US);
    comes_back(Drive::Host, LONG_US);
}

/// A deadline that is met in a look before a rest: the connection is not only ordered to close, it
/// is, and the rest begins afterwards.
#[test]
fn a_rest_leaves_nothing_half_closed() {
    let mut endpoint = Endpoint::default();
    endpoint.limits.idle_timeout_ms = 150;
    let gather_us = LONG_US;
    let scene = Scene::with(Config { gather_us, ..config(Drive::Pool, 1000, 0) }, endpoint);
    assert_eq!(scene.peer.write(b"ping"), 4);
    let received = |scene: &Scene| scene.net.stats().received_bytes == 4;
    let wait = |scene: &Scene, what: &str, done: &dyn Fn(&Scene) -> bool| {
        let end = Instant::now() + DEADLINE / 2;
        while !done(scene) {
            assert!(Instant::now() < end, "{what}: never");
            thread::park_timeout(Duration::from_millis(1));
        }
    };
    wait(&scene, "the message", &received);
    // The look that follows this command takes longer than the deadline is away.
    thread::park_timeout(Duration::from_millis(100));
    scene.notes.nap_ms.store(100, SeqCst);
    assert_eq!(scene.net.pause(scene.token, false), Ok(()));
    wait(&scene, "CLOSED", &|scene| scene.net.stats().queued_bytes == 2 * 64 + 4);
    scene.notes.nap_ms.store(0, SeqCst);
    wait(&scene, "the end at the peer", &|scene| scene.peer.ending() != Ending::Open);
    scene.end();
}

#[test]
fn one_poll_of_a_host_that_is_back_is_enough() {
    for spin_us in [0, LONG_US] {
        one_poll_is_enough(Drive::Lend, spin_us);
        one_poll_is_enough(Drive::Host, spin_us);
    }
}

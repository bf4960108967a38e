//! What a fault inside a worker leaves behind: its connections are closed and reported as such, the
//! net says ERR_PANIC, other nets live on, and the end is as clean as any.

use super::told::{Told, What, poll};
use super::{open, threadless};
use crate::engine::{CloseHow, Config, Drive, Endpoint, Error, Kind, Net, Notice};
use crate::io::Token;
use crate::io::sim::{Ending, Faults, Peer, Trouble, World};
use crate::session::Cause;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::thread;
use std::time::{Duration, Instant};

const DEADLINE: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(5);
const CLIENTS: usize = 4;

fn pool(workers: u32) -> Config {
    Config { workers: Some(workers), drive: Drive::Pool, ..Config::default() }
}

fn host() -> Config {
    Config { workers: Some(1), drive: Drive::Host, lease_us: 1000, ..Config::default() }
}

/// A net with a listener and some connections.
struct House {
    world: World,
    net: Arc<Net>,
    listener: Token,
    peers: Vec<Peer>,
    conns: Vec<Token>,
    /// Events reported and not yet looked at.
    told: Vec<Told>,
}

impl House {
    fn new(config: Config) -> House {
        let world = World::new(1, Faults::default());
        let net = open(&world, config);
        let mut id = 0;
        let listened = net.listen("tcp://127.0.0.1:0", Endpoint::default(), |given| id = given);
        listened.expect("a port is free");
        let listener = net.token(id, Kind::Listener).expect("its own handle");
        let connect = |_| world.connect(listener, 1 << 16).expect("it listens");
        let peers: Vec<Peer> = (0..CLIENTS).map(connect).collect();
        let (conns, told) = (Vec::new(), Vec::new());
        let mut house = House { world, net, listener, peers, conns, told };
        house.wait("all are opened", |house| {
            let opened = |told: &Told| matches!(told.what, What::Opened(_)).then_some(told.token);
            house.conns.extend(house.told.drain(..).filter_map(|told| opened(&told)));
            house.conns.len() == CLIENTS
        });
        house
    }

    /// Polls until `done`.
    fn wait(&mut self, what: &str, mut done: impl FnMut(&mut House) -> bool) {
        let until = Instant::now() + DEADLINE;
        while !done(self) {
            assert!(Instant::now() < until, "{what}: never");
            if let Ok(batch) = poll(&self.net, 64, LOOK) {
                self.told.extend(batch);
            }
        }
    }

    /// Polls until that is refused; each token's CLOSED or LISTENER_CLOSED, once.
    fn drain(&mut self) -> BTreeMap<Token, Cause> {
        let until = Instant::now() + DEADLINE;
        let error = loop {
            assert!(Instant::now() < until, "polls never end");
            match poll(&self.net, 3, LOOK) {
                Ok(batch) => self.told.extend(batch),
                Err(error) => break error,
            }
        };
        assert_eq!(error, Error::Panic);
        let mut causes = BTreeMap::new();
        for told in self.told.drain(..) {
            if let What::Closed(cause, _) | What::ListenerClosed(cause) = told.what {
                assert!(causes.insert(told.token, cause).is_none(), "told twice");
            }
        }
        causes
    }

    /// Every call that starts something says what happened.
    fn refuses(&self) {
        let (net, fault) = (&self.net, Err(Error::Panic));
        let nothing = |_| panic!("a handle was given");
        let endpoint = Endpoint::default;
        for &conn in &self.conns {
            assert_eq!(net.send(conn, b"late"), fault);
            assert_eq!(net.close(conn, CloseHow::Reset, None), fault);
            assert_eq!(net.pause(conn, true), fault);
        }
        assert_eq!(net.listener_close(self.listener), fault);
        assert_eq!(net.flush(None), fault);
        assert_eq!(net.post(0, 1, 2), fault);
        let listened = net.listen("tcp://127.0.0.1:0", endpoint(), nothing);
        assert_eq!(listened.err().map(|refusal| refusal.error), Some(Error::Panic));
        let connected = net.connect("tcp://127.0.0.1:1", endpoint(), nothing);
        assert_eq!(connected.err().map(|refusal| refusal.error), Some(Error::Panic));
    }

    /// Shutdown and free; nothing is left.
    fn free(self) {
        let House { net, peers, world, .. } = self;
        for _ in 0..2 {
            assert_eq!(net.shutdown(Duration::ZERO), Err(Error::Panic));
        }
        assert_eq!(net.info().threads, 0, "every thread is joined");
        for peer in &peers {
            assert!(peer.ending() != Ending::Open, "a peer was not told");
        }
        let (core, memory) = (Arc::downgrade(&net.core), net.core.pool.clone());
        assert_eq!(net.retire(), Ok(()));
        drop((net, world));
        assert!(core.upgrade().is_none(), "somebody still has the net");
        assert_eq!(memory.bytes(), 0, "memory is left");
    }

    /// A message there and one back.
    fn echoes(&mut self) {
        let Some(peer) = self.peers.first() else { return };
        assert_eq!(peer.write(b"ping"), 4);
        let mut from = None;
        self.wait("a message", |house| {
            let mut told = house.told.drain(..);
            from = told.find_map(|told| match told.what {
                What::Message(data, _) => (data == b"ping").then_some(told.token),
                _ => None,
            });
            from.is_some()
        });
        assert_eq!(self.net.send(from.expect("waited for"), b"pong"), Ok(()));
        self.wait("an answer", |house| house.peers[0].read(16) == b"pong");
    }
}

/// The whole story, for one way of driving.
fn story(config: Config) {
    let mut other = House::new(config.clone());
    let mut house = House::new(config);
    house.world.trouble(Trouble::Panics);
    house.wait("the fault is told", |house| house.net.core.panicked.load(SeqCst));
    house.refuses();
    let causes = house.drain();
    for conn in &house.conns {
        assert_eq!(causes.get(conn), Some(&Cause::Internal), "{conn:?}");
    }
    assert_eq!(causes.get(&house.listener), Some(&Cause::Internal));
    house.refuses();
    other.echoes();
    house.free();
    other.echoes();
    assert_eq!(other.net.shutdown(Duration::ZERO), Ok(()), "the other net had no fault");
}

#[test]
fn a_fault_in_a_pool_closes_its_net_alone() {
    story(pool(1));
}

#[test]
fn a_fault_under_a_driving_host_closes_its_net_alone() {
    story(host());
}

#[test]
fn a_fault_without_threads_closes_its_net_alone() {
    story(threadless());
}

#[test]
fn a_fault_of_one_worker_ends_the_others_too() {
    let mut house = House::new(pool(2));
    house.world.trouble(Trouble::Panics);
    let causes = house.drain();
    assert_eq!(causes.len(), CLIENTS + 1, "each of them, and the listener");
    let mut found: Vec<Cause> = causes.into_values().collect();
    found.sort_by_key(|cause| *cause as i32);
    found.dedup();
    assert_eq!(found, [Cause::Shutdown, Cause::Internal], "the other worker had no fault");
    house.free();
}

#[test]
fn a_poller_asleep_hears_of_a_fault() {
    let house = House::new(pool(1));
    let net = house.net.clone();
    let sleeper = thread::spawn(move || {
        let mut closed = 0;
        loop {
            let count = net.poll(0, 64, None, |_, handed| {
                closed += usize::from(matches!(handed.event.notice, Notice::Closed { .. }));
            });
            if let Err(error) = count {
                return (error, closed);
            }
        }
    });
    house.world.trouble(Trouble::Panics);
    let until = Instant::now() + DEADLINE;
    while !sleeper.is_finished() {
        assert!(Instant::now() < until, "a poll without a limit never ends");
        thread::yield_now();
    }
    assert_eq!(sleeper.join().ok(), Some((Error::Panic, CLIENTS)));
    house.free();
}

/// What was reported to the desk in the same turn, before the fault, is not lost.
#[test]
fn what_closed_in_the_turn_of_the_fault_is_told() {
    let mut house = House::new(threadless());
    let closed = house.conns[0];
    assert_eq!(house.net.close(closed, CloseHow::Reset, None), Ok(()));
    assert_eq!(house.net.listener_close(house.listener), Ok(()));
    house.world.trouble(Trouble::Panics);
    let causes = house.drain();
    assert!(causes.contains_key(&closed), "CLOSED of a connection closed just before is lost");
    assert!(causes.contains_key(&house.listener), "LISTENER_CLOSED is lost");
    assert_eq!(causes.len(), CLIENTS + 1);
    house.free();
}

#[test]
fn a_model_that_is_short_of_something_recovers() {
    for config in [pool(1), host(), threadless()] {
        let mut house = House::new(config);
        for _ in 0..3 {
            house.world.trouble(Trouble::Short);
            house.echoes();
        }
        let counters = &house.net.core.homes[0].counters;
        assert!(counters.wait_failures.load(Relaxed) > 0, "counted");
        assert!(!house.net.core.panicked.load(SeqCst));
        assert_eq!(house.net.shutdown(Duration::ZERO), Ok(()));
    }
}

#[test]
fn a_model_that_fails_is_a_fault() {
    for config in [pool(1), host(), threadless()] {
        let mut house = House::new(config);
        house.world.trouble(Trouble::Fails);
        let causes = house.drain();
        assert_eq!(causes.len(), CLIENTS + 1, "each of them, and the listener");
        assert!(causes.values().all(|cause| *cause == Cause::Internal));
        house.free();
    }
}

//! Moves over a model that cannot give a socket back: the connection lives with its worker, and its
//! events go to another queue.

use super::open;
use super::told::{Told, What, poll_queue};
use crate::engine::shared::config::Flush;
use crate::engine::{CloseHow, Config, Drive, Endpoint, Error, Kind, Net};
use crate::io::Token;
use crate::io::sim::{Faults, Peer, Trouble, World};
use crate::session::Cause;
use std::sync::Arc;
use std::time::{Duration, Instant};

const DEADLINE: Duration = Duration::from_secs(20);

struct Zones {
    world: World,
    net: Arc<Net>,
    peer: Peer,
    conn: Token,
    told: [Vec<Told>; 2],
}

impl Zones {
    /// A connection on queue 0.
    fn new(change: impl FnOnce(&mut Config)) -> Zones {
        let mut config =
            Config { workers: Some(2), queues: 2, drive: Drive::Pool, ..Config::default() };
        change(&mut config);
        let world = World::new(1, Faults::default());
        let net = open(&world, config);
        let mut id = 0;
        let endpoint = Endpoint { queue: Some(0), ..Endpoint::default() };
        net.listen("tcp://127.0.0.1:0", endpoint, |given| id = given).expect("a port is free");
        let listener = net.token(id, Kind::Listener).expect("its own handle");
        let peer = world.connect(listener, 1 << 20).expect("it listens");
        let mut zones = Zones { world, net, peer, conn: Token(0), told: Default::default() };
        zones.wait("OPENED", |zones| zones.told.iter().any(|told| !told.is_empty()));
        let opened = zones.told.iter().flatten().next().expect("just seen");
        zones.conn = opened.token;
        zones
    }

    fn look(&mut self) {
        for (queue, told) in self.told.iter_mut().enumerate() {
            let batch = poll_queue(&self.net, queue as u32, 64, Duration::from_millis(1));
            told.extend(batch.unwrap_or_default());
        }
    }

    fn wait(&mut self, what: &str, mut done: impl FnMut(&Zones) -> bool) {
        let until = Instant::now() + DEADLINE;
        while !done(self) {
            assert!(Instant::now() < until, "{what}: never; {:?}", self.told);
            self.look();
        }
    }

    fn moved(&mut self, to: usize) {
        let before = self.told[to].len();
        assert_eq!(self.net.conn_set_queue(self.conn, to as u32), Ok(()));
        self.wait("MOVED", |zones| zones.told[to].len() > before);
        let from = self.told[to][before..].first().map(|told| &told.what);
        assert!(matches!(from, Some(What::Moved(other)) if usize::from(*other) == 1 - to));
    }

    /// The payloads reported on a queue.
    fn bytes(&self, queue: usize) -> Vec<u8> {
        let data = self.told[queue].iter().filter_map(|told| match &told.what {
            What::Message(data, _) => Some(&data[..]),
            _ => None,
        });
        data.collect::<Vec<_>>().concat()
    }

    fn closed(&mut self, queue: usize, causes: &[Cause]) {
        self.wait("CLOSED", |zones| {
            let mut all = zones.told.iter().flatten();
            all.any(|told| matches!(told.what, What::Closed(..)))
        });
        let last = self.told[queue].iter().rfind(|told| told.token == self.conn);
        let what = last.map(|told| &told.what);
        assert!(matches!(what, Some(What::Closed(told, _)) if causes.contains(told)), "{what:?}");
    }
}

#[test]
fn events_go_to_the_new_queue_and_back() {
    let mut zones = Zones::new(|_| {});
    for round in 0..10u8 {
        let to = 1 - usize::from(round % 2);
        zones.moved(to);
        let before = zones.bytes(to).len();
        assert_eq!(zones.peer.write(&[round; 100]), 100);
        zones.wait("its bytes", |zones| zones.bytes(to).len() == before + 100);
        assert_eq!(zones.net.send(zones.conn, &[round]), Ok(()));
        let mut got = Vec::new();
        zones.wait("the answer", |zones| {
            got.extend(zones.peer.read(10));
            !got.is_empty()
        });
        assert_eq!(got, [round]);
    }
    zones.moved(1);
    zones.peer.reset();
    zones.closed(1, &[Cause::Reset]);
    assert_eq!(zones.net.shutdown(Duration::ZERO), Ok(()));
}

/// A full queue stops it, and draining that queue lets it go on, though another worker has it.
#[test]
fn its_new_queue_stops_it_and_lets_it_go_on() {
    let mut zones = Zones::new(|config| config.queue_max_bytes = 64 * 1024);
    zones.moved(1);
    let bytes: Vec<u8> = (0..500_000u32).map(|at| (at % 241) as u8).collect();
    let mut rest = &bytes[..];
    let until = Instant::now() + DEADLINE;
    while zones.net.core.queues[1].bytes() < 64 * 1024 {
        assert!(Instant::now() < until, "the new queue is never full");
        rest = &rest[zones.peer.write(rest)..];
    }
    assert_eq!(zones.net.core.queues[0].bytes(), 0, "the old one has nothing of it");
    zones.wait("all of it", |zones| {
        rest = &rest[zones.peer.write(rest)..];
        zones.bytes(1).len() == bytes.len()
    });
    assert!(zones.bytes(1) == bytes);
    assert_eq!(zones.net.close(zones.conn, CloseHow::Reset, None), Ok(()));
    zones.closed(1, &[Cause::Host]);
    assert_eq!(zones.net.shutdown(Duration::ZERO), Ok(()));
}

/// Its sends wait for a flush of the new queue, and for no other.
#[test]
fn its_sends_wait_for_its_own_flush() {
    let mut zones = Zones::new(|config| config.flush = Flush::Manual);
    zones.moved(1);
    assert_eq!(zones.net.send(zones.conn, b"late"), Ok(()));
    let until = Instant::now() + Duration::from_millis(50);
    while Instant::now() < until {
        assert_eq!(zones.net.flush(Some(0)), Ok(()));
        assert_eq!(zones.peer.taken(), 0, "the old queue's flush lets it leave");
    }
    assert_eq!(zones.net.flush(Some(1)), Ok(()));
    let until = Instant::now() + DEADLINE;
    while zones.peer.taken() < 4 {
        assert!(Instant::now() < until, "its own flush does not let it leave");
    }
    assert_eq!(zones.peer.read(10), b"late");
    assert_eq!(zones.net.shutdown(Duration::ZERO), Ok(()));
}

/// A fault of a worker between the two MOVED: the second and CLOSED come on the new queue.
#[test]
fn a_fault_meanwhile_is_told_on_the_new_queue() {
    let mut zones = Zones::new(|_| {});
    assert_eq!(zones.net.conn_set_queue(zones.conn, 1), Ok(()));
    let until = Instant::now() + DEADLINE;
    while !zones.told[0].iter().any(|told| matches!(told.what, What::Moved(1))) {
        assert!(Instant::now() < until, "MOVED: never");
        let batch = poll_queue(&zones.net, 0, 64, Duration::from_millis(1));
        zones.told[0].extend(batch.expect("it runs"));
    }
    zones.world.trouble(Trouble::Panics);
    // It has its fault in the next turn, which may have begun already.
    assert!([Ok(()), Err(Error::Panic)].contains(&zones.net.send(zones.conn, b"x")));
    // The other worker may have its fault first, and end the net.
    zones.closed(1, &[Cause::Internal, Cause::Shutdown]);
    let moved = zones.told[1].iter().position(|told| matches!(told.what, What::Moved(0)));
    assert_eq!(moved, Some(0), "first of all");
    assert_eq!(zones.net.shutdown(Duration::ZERO), Err(Error::Panic));
}

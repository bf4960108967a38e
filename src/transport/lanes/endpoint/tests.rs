//! Two sockets with lanes over a network that loses, doubles and delays datagrams.

use super::Lanes;
use crate::buf::{Pool, Slice};
use crate::session::{Cause, Key, Side, Tag};
use crate::transport::lanes::{Micros, Options};
use crate::transport::{
    Datagram, Endpoint, Event, Handled, Message, Reason, Run, Stream, Target, Transmit,
};
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;

/// The time of day at 0 of the clock.
const UNIX_S: u64 = 1_800_000_000;

/// One socket.
struct End {
    address: SocketAddr,
    pool: Pool,
    lanes: Lanes,
    events: Vec<Event>,
    read: Vec<(Stream, Message)>,
    released: u64,
    /// The next stream that a peer opens.
    vacant: u32,
}

/// Datagrams on their way, by when they come: to whom, from whom, bytes.
type Wire = BTreeMap<(Micros, u64), (SocketAddr, SocketAddr, Vec<u8>)>;

/// A network, and its sockets.
struct World {
    now: Micros,
    sent: u64,
    wire: Wire,
    ends: Vec<End>,
    random: u64,
    /// Of a thousand datagrams, how many are lost and how many are doubled.
    loss: u64,
    doubled: u64,
    delay: Micros,
    jitter: Micros,
}

fn open() -> Options {
    Options { open: true, ..Options::default() }
}

impl End {
    fn new(side: Side, address: &str, options: Options) -> End {
        let seed = [address.len() as u8 ^ address.as_bytes()[address.len() - 1]; 32];
        End {
            address: address.parse().expect("an address"),
            pool: Pool::new(64 << 20),
            lanes: Lanes::new(&Arc::new(options), side, seed, UNIX_S),
            events: Vec::new(),
            read: Vec::new(),
            released: 0,
            vacant: 0,
        }
    }

    fn slice(&self, bytes: &[u8]) -> Slice {
        self.pool.take(bytes.len().max(1)).expect("memory").write(bytes)
    }

    fn look(&mut self) {
        while let Some(event) = self.lanes.poll_event() {
            match event {
                Event::Readable(stream) => {
                    while let Some(message) = self.lanes.read(stream) {
                        self.read.push((stream, message));
                    }
                }
                Event::Released(_, _, bytes) => self.released += u64::from(bytes),
                event => self.events.push(event),
            }
        }
    }

    fn write(&mut self, stream: Stream, lane: u8, message: &[u8], now: Micros) {
        let data = self.slice(message);
        let tag = Tag { lane, deadline: 0, key: Key::default() };
        let run = Run { data, first: true, last: true, len: message.len(), tag };
        assert!(self.lanes.write(stream, run, now).is_ok());
    }

    fn got(&self, lane: u8) -> Vec<Vec<u8>> {
        let of_it = self.read.iter().filter(|(_, message)| message.lane == lane);
        of_it.map(|(_, message)| message.data.to_vec()).collect()
    }
}

impl World {
    fn new(seed: u64) -> World {
        World {
            now: 1_000_000,
            sent: 0,
            wire: Wire::new(),
            ends: Vec::new(),
            random: seed,
            loss: 0,
            doubled: 0,
            delay: 20_000,
            jitter: 0,
        }
    }

    /// A server at 0, and a client at 1 that connects to it.
    fn pair(seed: u64, options: &Options) -> World {
        let mut world = World::new(seed);
        world.ends.push(End::new(Side::Accepted, "10.0.0.1:7777", options.clone()));
        world.ends.push(End::new(Side::Connected, "10.0.0.2:4001", options.clone()));
        world.connect(1, 0);
        world
    }

    fn connect(&mut self, from: usize, to: usize) {
        let target = Target { peer: self.ends[to].address, token: None };
        self.ends[from].lanes.connect(Stream(0), target, self.now);
    }

    fn below(&mut self, end: u64) -> u64 {
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.random >> 33) % end.max(1)
    }

    /// Everything that can be sent now is.
    fn transmit(&mut self) {
        for at in 0..self.ends.len() {
            let end = &mut self.ends[at];
            end.look();
            let mut all = VecDeque::new();
            while let Transmit::Datagram(datagram) = end.lanes.poll_transmit(&end.pool, self.now) {
                all.push_back((datagram.peer, datagram.data.to_vec()));
            }
            end.look();
            let from = end.address;
            for (to, bytes) in all {
                let copies = match self.below(1000) {
                    it if it < self.loss => 0,
                    it if it < self.loss + self.doubled => 2,
                    _ => 1,
                };
                for _ in 0..copies {
                    let at = self.now + self.delay + self.below(self.jitter);
                    self.sent += 1;
                    self.wire.insert((at, self.sent), (to, from, bytes.clone()));
                }
            }
        }
    }

    /// Goes on to whatever happens next; at most until `end`.
    fn step(&mut self, end: Micros) -> bool {
        self.transmit();
        let due = self.ends.iter().filter_map(|end| end.lanes.poll_timeout()).min();
        let wire = self.wire.first_key_value().map(|((at, _), _)| *at);
        let Some(next) = [due, wire].into_iter().flatten().min().filter(|at| *at <= end) else {
            self.now = end;
            return false;
        };
        // The engine's timers have milliseconds.
        self.now = self.now.max(next) + if wire == Some(next) { 0 } else { 500 };
        while let Some(entry) = self.wire.first_entry().filter(|it| it.key().0 <= self.now) {
            let (to, peer, bytes) = entry.remove();
            if let Some(end) = self.ends.iter_mut().find(|end| end.address == to) {
                let datagram = Datagram { peer, local: None, data: end.slice(&bytes) };
                let vacant = Some(Stream(end.vacant));
                let handled = end.lanes.handle_datagram(datagram, vacant, self.now);
                end.vacant += u32::from(handled == Handled::New);
                end.look();
            }
        }
        for end in &mut self.ends {
            if end.lanes.poll_timeout().is_some_and(|at| at <= self.now) {
                end.lanes.handle_timeout(self.now);
                end.look();
            }
        }
        true
    }

    /// Goes on until something is so.
    fn until(&mut self, what: &str, seconds: u64, done: impl Fn(&World) -> bool) {
        let end = self.now + seconds * 1_000_000;
        while !done(self) {
            assert!(self.step(end), "not in time: {what}; {:?}", self.ends[1].events);
        }
    }

    fn opened(&mut self) {
        self.until("OPENED", 10, |world| {
            world.ends[0].vacant == 1 && world.ends[1].events == [Event::Opened(Stream(0))]
        });
        self.ends[1].events.clear();
    }
}

#[test]
fn it_opens_carries_and_ends() {
    let mut world = World::pair(1, &open());
    world.opened();
    let now = world.now;
    for (from, to) in [(0, 1), (1, 0)] {
        for lane in 0..3 {
            world.ends[from].write(Stream(0), lane, &[lane; 100], now);
        }
        world.until("all", 2, |world| world.ends[to].read.len() == 3);
    }
    world.until("acknowledged", 2, |world| world.ends[1].released == 3 * 116);
    world.ends[1].write(Stream(0), 0, &[9; 300_000], now);
    let now = world.now;
    world.ends[1].lanes.close(Stream(0), now);
    world.until("the end", 20, |world| {
        world.ends[0].events == [Event::Closed(Stream(0), Cause::Peer)]
    });
    assert_eq!(world.ends[0].got(0)[1].len(), 300_000);
    // Also where the host of the other end does not look.
    world.until("the end is known", 1, |world| {
        world.ends[1].events == [Event::Closed(Stream(0), Cause::Host)]
    });
    let now = world.now;
    world.ends[0].lanes.forget(Stream(0), now);
    world.ends[1].lanes.forget(Stream(0), now);
    while world.step(now + 5_000_000) {}
    assert!(world.ends.iter().all(|end| end.lanes.poll_timeout().is_none()), "nothing is left");
}

#[test]
fn over_a_bad_network_what_is_reliable_arrives() {
    for seed in 0..20 {
        let mut world = World::pair(seed, &open());
        (world.loss, world.doubled, world.jitter) = (100, 50, 30_000);
        world.until("OPENED", 30, |world| world.ends[1].events.len() == 1);
        world.ends[1].events.clear();
        for number in 0..200_u32 {
            let (now, bytes) = (world.now, number.to_be_bytes());
            world.ends[1].write(Stream(0), 0, &bytes.repeat(1 + number as usize * 7), now);
            world.ends[1].write(Stream(0), 2, &bytes, now);
            world.step(now + 10_000);
        }
        world.until("all of it", 60, |world| world.ends[0].got(0).len() == 200);
        let got = world.ends[0].got(0);
        for (number, message) in got.iter().enumerate() {
            let bytes = (number as u32).to_be_bytes();
            assert_eq!(*message, bytes.repeat(1 + number * 7), "seed {seed}");
        }
        let sequenced: Vec<u32> = world.ends[0]
            .got(2)
            .iter()
            .map(|it| u32::from_be_bytes(it[..].try_into().expect("four bytes")))
            .collect();
        assert!(sequenced.is_sorted_by(|a, b| a < b), "seed {seed}: {sequenced:?}");
        assert!(!sequenced.is_empty(), "seed {seed}");
        let now = world.now;
        world.ends[1].lanes.close(Stream(0), now);
        world.until("the end", 20, |world| !world.ends[0].events.is_empty());
        assert_eq!(world.ends[0].events, [Event::Closed(Stream(0), Cause::Peer)], "seed {seed}");
        let now = world.now;
        world.ends[0].lanes.forget(Stream(0), now);
        world.until("the end is known", 20, |world| !world.ends[1].events.is_empty());
        assert_eq!(world.ends[1].events, [Event::Closed(Stream(0), Cause::Host)], "seed {seed}");
    }
}

#[test]
fn a_client_that_moves_goes_on() {
    let mut world = World::pair(3, &open());
    world.opened();
    let now = world.now;
    world.ends[1].write(Stream(0), 0, b"before", now);
    world.until("it comes", 2, |world| world.ends[0].read.len() == 1);
    world.ends[1].address = "10.0.0.9:5005".parse().expect("another one");
    let moved = world.now;
    world.ends[1].write(Stream(0), 0, b"behind", moved);
    world.until("it comes from there", 5, |world| world.ends[0].read.len() == 2);
    world.until("that is known", 5, |world| world.ends[0].events == [Event::Migrated(Stream(0))]);
    assert_eq!(world.ends[0].lanes.peer(Stream(0)), Some(world.ends[1].address));
    let took = world.now - moved;
    assert!(took < 1_000_000, "{took} us");
    let now = world.now;
    world.ends[0].write(Stream(0), 0, b"back", now);
    world.until("the way back", 2, |world| world.ends[1].read.len() == 1);
    // Nobody else can do that: the packet is taken, and its address proves nothing.
    let before = world.ends[0].lanes.peer(Stream(0));
    for number in 0..4 {
        // It hears nothing for a while, so that it says who it is.
        world.loss = 1000;
        let now = world.now;
        while world.step(now + 400_000) {}
        world.loss = 0;
        world.ends[1].address = "10.0.0.66:6".parse().expect("one that hears nothing");
        let now = world.now;
        world.ends[1].write(Stream(0), 0, b"from a mirror", now);
        world.transmit();
        world.ends[1].address = "10.0.0.9:5005".parse().expect("the true one");
        world.until("it comes", 2, |world| world.ends[0].read.len() == 3 + number);
    }
    let now = world.now;
    while world.step(now + 900_000) {}
    assert_eq!(world.ends[0].events, [Event::Migrated(Stream(0))], "no more than once");
    assert_eq!(world.ends[0].lanes.peer(Stream(0)), before);
}

#[test]
fn a_peer_that_is_silent_is_gone() {
    let options = Options { peer_timeout: 2_000_000, ..open() };
    let mut world = World::pair(5, &options);
    world.opened();
    let start = world.now;
    while world.step(start + 10_000_000) {}
    assert!(world.ends.iter().all(|end| end.events.is_empty()), "keep-alives are enough");
    world.loss = 1000;
    let start = world.now;
    while world.step(start + 3_000_000) {}
    for end in &world.ends {
        assert_eq!(end.events, [Event::Closed(Stream(0), Cause::TimeoutPeer)]);
    }
}

#[test]
fn who_has_the_wrong_key_does_not_come_in() {
    let mut world = World::new(7);
    let closed = Options { key: [7; 32], open: false, ..Options::default() };
    world.ends.push(End::new(Side::Accepted, "10.0.0.1:7777", closed));
    world.ends.push(End::new(Side::Connected, "10.0.0.2:4001", open()));
    world.connect(1, 0);
    world.until("it gives up", 30, |world| !world.ends[1].events.is_empty());
    assert_eq!(world.ends[1].events, [Event::Closed(Stream(0), Cause::TimeoutConnect)]);
    assert_eq!(world.ends[0].vacant, 0);
}

#[test]
fn a_full_server_says_so() {
    let mut world = World::pair(9, &open());
    world.transmit();
    // The first request comes when there is no room.
    let (_, (_, peer, bytes)) = world.wire.pop_first().expect("a request");
    let end = &mut world.ends[0];
    let data = end.slice(&bytes);
    let handled = end.lanes.handle_datagram(Datagram { peer, local: None, data }, None, world.now);
    assert!(matches!(handled, Handled::Reply | Handled::Dropped(Reason::Refused)));
    world.until("it is told", 5, |world| !world.ends[1].events.is_empty());
    assert_eq!(world.ends[1].events, [Event::Closed(Stream(0), Cause::Full)]);
}

#[test]
fn a_token_ends_by_the_clock_of_now() {
    let mut world = World::pair(11, &open());
    // The system's clock was wrong when the net began.
    world.ends[0].lanes.set_unix(UNIX_S + 3600);
    let now = world.now;
    while world.step(now + 2_000_000) {}
    assert_eq!(world.ends[0].vacant, 0, "its time is over");
    world.ends[0].lanes.set_unix(UNIX_S);
    world.opened();
}

//! Flows over links, event by event and from a seed: what the algorithms of `recovery` make of
//! paths that no test machine has.
//!
//! A flow is two nodes and their messages. All flows share one link each way. Nothing here knows
//! what a node does: `peers` are real ones, `sender` and `receiver` the least around `Recovery`,
//! for a `rival` that is a TCP with CUBIC.
//!
//! `SOCKEYE_LANES_SEEDS=20 cargo test --lib lanes::sim -- --test-threads 1` prints a table of what
//! the tests judge, from so many seeds.

mod goals;
mod link;
mod measure;
mod peers;
mod receiver;
mod rival;
mod sender;
mod vectors;
mod weather;

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::Micros;
use link::{Link, Path};
use measure::Record;

const MS: Micros = 1_000;
const S: Micros = 1_000_000;
/// What IP and UDP add to a datagram.
const HEADERS: u64 = 28;

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// From 0 to 1.
    fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    fn chance(&mut self, share: f64) -> bool {
        share > 0.0 && self.share() < share
    }
}

/// What a flow sends: of bulk, so many bytes; of the others, one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Kind {
    Unreliable,
    Reliable,
    Bulk,
}

#[derive(Clone, Copy, Debug)]
struct Message {
    kind: Kind,
    /// Counted for each kind.
    id: u64,
    bytes: u64,
    /// When the application wrote it.
    at: Micros,
}

/// What a datagram carries.
#[derive(Clone)]
struct Datagram {
    seq: u64,
    /// With what the envelope adds.
    size: usize,
    body: Body,
}

#[derive(Clone)]
enum Body {
    /// Of a `sender`.
    Pieces(Vec<Message>),
    /// Of a `receiver`.
    Ack(Acks),
    /// Of a peer.
    Payload { wide: bool, bytes: Vec<u8> },
}

/// Ranges, newest first, and how long the newest was held back.
#[derive(Clone)]
struct Acks {
    ranges: Vec<std::ops::RangeInclusive<u64>>,
    delay: Micros,
}

/// One end of a flow.
trait Node {
    fn write(&mut self, message: Message, now: Micros);
    fn receive(&mut self, datagram: Datagram, now: Micros);
    /// After each event: what leaves now.
    fn turn(&mut self, now: Micros) -> Vec<Datagram>;
    fn poll_timeout(&self, now: Micros) -> Option<Micros>;
    fn handle_timeout(&mut self, now: Micros);
    /// What has arrived since the last time, for the application.
    fn take_delivered(&mut self) -> Vec<Message>;
}

/// Messages of one kind at a fixed pace.
#[derive(Clone, Copy)]
struct Source {
    kind: Kind,
    bytes: u64,
    period: Micros,
    from: Micros,
    until: Micros,
}

struct Flow {
    /// The one that writes, and the one that reads.
    nodes: [Box<dyn Node>; 2],
    timers: [Micros; 2],
    sources: Vec<Source>,
    next_id: [u64; 3],
    /// Timers are served on multiples of it.
    tick: Micros,
    record: Record,
}

enum Event {
    Timer(usize, usize),
    Write(usize, Message),
    Source(usize, usize),
    /// The first datagram of a link's queue is through.
    Served(usize),
    Arrived(usize, usize, Datagram),
}

struct Entry(Micros, u64, Event);

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        (self.0, self.1) == (other.0, other.1)
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.0, self.1).cmp(&(other.0, other.1))
    }
}

struct Sim {
    now: Micros,
    count: u64,
    events: BinaryHeap<Reverse<Entry>>,
    links: [Link; 2],
    flows: Vec<Flow>,
    random: Random,
}

impl Sim {
    fn new(forward: Path, back: Path, seed: u64) -> Self {
        Self {
            now: 0,
            count: 0,
            events: BinaryHeap::new(),
            links: [Link::new(forward), Link::new(back)],
            flows: Vec::new(),
            random: Random(seed.wrapping_mul(7919) + 12345),
        }
    }

    /// Adds a flow; `bulk`: when how many bytes of it are written.
    fn add(
        &mut self,
        nodes: [Box<dyn Node>; 2],
        sources: Vec<Source>,
        bulk: &[(Micros, u64)],
        tick: Micros,
    ) {
        let flow = self.flows.len();
        for (index, source) in sources.iter().enumerate() {
            let phase = (self.random.share() * source.period as f64) as Micros;
            self.at(source.from + phase, Event::Source(flow, index));
        }
        for (id, &(at, bytes)) in bulk.iter().enumerate() {
            let message = Message { kind: Kind::Bulk, id: id as u64, bytes, at };
            self.at(at, Event::Write(flow, message));
        }
        self.flows.push(Flow {
            nodes,
            timers: [Micros::MAX; 2],
            sources,
            next_id: [0; 3],
            tick,
            record: Record::default(),
        });
    }

    fn at(&mut self, at: Micros, event: Event) {
        self.count += 1;
        self.events.push(Reverse(Entry(at, self.count, event)));
    }

    fn run(&mut self, until: Micros) {
        while let Some(Reverse(entry)) = self.events.peek()
            && entry.0 <= until
        {
            let Some(Reverse(Entry(at, _, event))) = self.events.pop() else { break };
            self.now = at;
            self.handle(event);
        }
        self.now = until;
    }

    fn handle(&mut self, event: Event) {
        let now = self.now;
        match event {
            Event::Write(flow, message) => {
                self.flows[flow].nodes[0].write(message, now);
                self.turn(flow, 0);
            }
            Event::Source(flow, index) => self.write_source(flow, index),
            Event::Timer(flow, node) => {
                // A timer that was set anew since is another event.
                if self.flows[flow].timers[node] == now {
                    self.flows[flow].timers[node] = Micros::MAX;
                    self.flows[flow].nodes[node].handle_timeout(now);
                    self.turn(flow, node);
                }
            }
            Event::Served(link) => self.serve(link),
            Event::Arrived(flow, node, datagram) => {
                self.flows[flow].nodes[node].receive(datagram, now);
                for message in self.flows[flow].nodes[node].take_delivered() {
                    self.flows[flow].record.delivered(message, now);
                }
                self.turn(flow, node);
            }
        }
    }

    fn write_source(&mut self, flow: usize, index: usize) {
        let now = self.now;
        let source = self.flows[flow].sources[index];
        if now >= source.until {
            return;
        }
        let id = &mut self.flows[flow].next_id[source.kind as usize];
        let message = Message { kind: source.kind, id: *id, bytes: source.bytes, at: now };
        *id += 1;
        self.flows[flow].nodes[0].write(message, now);
        self.at(now + source.period, Event::Source(flow, index));
        self.turn(flow, 0);
    }

    fn turn(&mut self, flow: usize, node: usize) {
        let now = self.now;
        for datagram in self.flows[flow].nodes[node].turn(now) {
            if node == 0 {
                self.flows[flow].record.sent(datagram.size as u64 + HEADERS);
            }
            let random = &mut self.random;
            if let Some(at) = self.links[node].push((flow, datagram), now, random) {
                self.at(at, Event::Served(node));
            }
        }
        let Flow { nodes, timers, tick, .. } = &mut self.flows[flow];
        let Some(at) = nodes[node].poll_timeout(now) else {
            timers[node] = Micros::MAX;
            return;
        };
        let at = at.max(now + 1).next_multiple_of(*tick);
        if timers[node] != at {
            timers[node] = at;
            self.at(at, Event::Timer(flow, node));
        }
    }

    fn serve(&mut self, link: usize) {
        let now = self.now;
        let (arrivals, next) = self.links[link].serve(now, &mut self.random);
        for (at, (flow, datagram)) in arrivals {
            self.at(at, Event::Arrived(flow, 1 - link, datagram));
        }
        if let Some(at) = next {
            self.at(at, Event::Served(link));
        }
    }
}

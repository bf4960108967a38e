//! Two peers, and a network between them that loses, doubles, delays and reorders packets.

use super::super::*;
use crate::buf::Slice;
use crate::session::Key;
use crate::transport::lanes::options::LANES;
use crate::transport::lanes::recovery::Control;
use std::collections::{BTreeMap, HashSet};

pub const MS: Micros = 1_000;

/// SplitMix64.
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % bound
    }

    pub fn percent(&mut self, chance: u64) -> bool {
        self.below(100) < chance
    }
}

/// What the network does to packets.
#[derive(Clone, Copy)]
pub struct Weather {
    pub lost: u64,
    pub doubled: u64,
    pub delay: Micros,
    /// At most so much more.
    pub jitter: Micros,
    /// Datagrams above this size are lost.
    pub mtu: usize,
}

impl Default for Weather {
    fn default() -> Weather {
        Weather { lost: 0, doubled: 0, delay: 20 * MS, jitter: 0, mtu: 65_000 }
    }
}

pub struct End {
    pub peer: Peer,
    pub next: u64,
    /// The envelope lets no packet through twice.
    seen: HashSet<u64>,
    pub inbox: Vec<Received>,
    pub reads: bool,
    pub released: BTreeMap<u8, (u64, u64)>,
    pub events: Vec<PeerEvent>,
    /// Packets and bytes that left.
    pub packets: u64,
    pub bytes: u64,
    pub broken: Option<Cause>,
}

/// Where to, sequence, whether it is wide, payload.
type Packet = (usize, u64, bool, Vec<u8>);

pub struct Network {
    pub ends: [End; 2],
    pub pool: Pool,
    pub now: Micros,
    pub weather: Weather,
    pub random: Random,
    /// By when they arrive, and a number.
    wire: BTreeMap<(Micros, u64), Packet>,
    sent: u64,
}

pub fn config() -> Config {
    Config {
        lanes: LANES.into(),
        message_max_bytes: 512 << 10,
        rate: RateConfig { control: Control::Fixed, rate_min_bytes: 0, rate_max_bytes: 4_000_000 },
        mtu_max: 1_472,
        plain: false,
    }
}

impl End {
    fn new(config: &Arc<Config>, side: Side, seed: u64) -> End {
        End {
            peer: Peer::new(config, side, 0x1122_3344_5566_7788, None, seed, 0),
            next: 1,
            seen: HashSet::new(),
            inbox: Vec::new(),
            reads: true,
            released: BTreeMap::new(),
            events: Vec::new(),
            packets: 0,
            bytes: 0,
            broken: None,
        }
    }

    pub fn look(&mut self) {
        while let Some(event) = self.peer.poll_event() {
            match event {
                PeerEvent::Readable if self.reads => {
                    while let Some(message) = self.peer.read() {
                        self.inbox.push(message);
                    }
                }
                PeerEvent::Released { lane, bytes, messages } => {
                    let of = self.released.entry(lane).or_default();
                    *of = (of.0 + u64::from(bytes), of.1 + u64::from(messages));
                }
                event => self.events.push(event),
            }
        }
    }

    /// Reads all, as a host that had stopped to.
    pub fn read_all(&mut self) {
        while let Some(message) = self.peer.read() {
            self.inbox.push(message);
        }
    }
}

impl Network {
    pub fn new(config: Config, weather: Weather, seed: u64) -> Network {
        let config = Arc::new(config);
        Network {
            ends: [
                End::new(&config, Side::Connected, seed),
                End::new(&config, Side::Accepted, !seed),
            ],
            pool: Pool::new(1 << 30),
            now: 0,
            weather,
            random: Random(seed),
            wire: BTreeMap::new(),
            sent: 0,
        }
    }

    pub fn slice(&self, bytes: &[u8]) -> Slice {
        if bytes.is_empty() {
            return Slice::default();
        }
        self.pool.take(bytes.len()).unwrap().write(bytes)
    }

    pub fn write(&mut self, end: usize, lane: u8, bytes: &[u8]) {
        self.write_with(end, lane, bytes, Key::default(), None);
    }

    pub fn write_with(
        &mut self,
        end: usize,
        lane: u8,
        bytes: &[u8],
        key: Key,
        deadline: Option<Micros>,
    ) {
        let data = self.slice(bytes).into();
        self.ends[end].peer.write(Message { lane, data, deadline, key });
    }

    /// Sends what an end has.
    fn transmit(&mut self, end: usize) {
        let mut out = vec![0; 65_536];
        let it = &mut self.ends[end];
        while let Some(ready) = it.peer.poll_payload(&mut it.next, &mut out, self.now) {
            it.packets += 1;
            it.bytes += ready.len as u64;
            let size = ready.len + if ready.wide { OVERHEAD_WIDE } else { OVERHEAD };
            let copies = 1 + u64::from(self.random.percent(self.weather.doubled));
            for _ in 0..copies {
                if self.random.percent(self.weather.lost) || size > self.weather.mtu {
                    continue;
                }
                let jitter = self.random.below(self.weather.jitter + 1);
                let at = self.now + self.weather.delay + jitter;
                let packet = (1 - end, ready.seq, ready.wide, out[..ready.len].to_vec());
                self.wire.insert((at, self.sent), packet);
                self.sent += 1;
            }
        }
        it.look();
    }

    /// Goes on to the next thing that happens, by `until` at the latest. False: that is reached.
    pub fn step(&mut self, until: Micros) -> bool {
        for end in 0..2 {
            self.ends[end].look();
            self.transmit(end);
        }
        let arrival = self.wire.keys().next().map(|key| key.0);
        let timeouts = self.ends.iter().filter_map(|end| end.peer.poll_timeout());
        let next = timeouts.chain(arrival).min().unwrap_or(until);
        if next >= until {
            self.now = self.now.max(until);
            return false;
        }
        // A timer that does not move on would hang.
        self.now = next.max(self.now + u64::from(Some(next) != arrival));
        while let Some(entry) = self.wire.first_entry()
            && entry.key().0 <= self.now
        {
            let (end, seq, wide, payload) = entry.remove();
            let it = &mut self.ends[end];
            if it.broken.is_some() || !it.seen.insert(seq) {
                continue;
            }
            let result = it.peer.handle_payload(seq, wide, &payload, &self.pool, self.now);
            it.broken = result.err();
            it.look();
        }
        for end in &mut self.ends {
            if end.peer.poll_timeout().is_some_and(|at| at <= self.now) {
                end.peer.handle_timeout(self.now);
            }
        }
        true
    }

    pub fn run_until(&mut self, until: Micros) {
        while self.step(until) {}
    }

    pub fn run_for(&mut self, time: Micros) {
        self.run_until(self.now + time);
    }

    /// Goes on until `done`, which is to be so within `limit`.
    pub fn run(&mut self, limit: Micros, mut done: impl FnMut(&mut Network) -> bool) {
        let until = self.now + limit;
        while !done(self) {
            assert!(self.step(until), "not done by {until}");
        }
    }

    pub fn received(&self, end: usize) -> Vec<(u8, Vec<u8>)> {
        self.ends[end].inbox.iter().map(|it| (it.lane, it.data.to_vec())).collect()
    }
}

pub fn numbered(number: u32, len: usize) -> Vec<u8> {
    let mut bytes: Vec<u8> =
        (0..len).map(|at| (at as u32 ^ number.wrapping_mul(31)) as u8).collect();
    let head = number.to_be_bytes();
    let most = len.min(4);
    bytes[..most].copy_from_slice(&head[..most]);
    bytes
}

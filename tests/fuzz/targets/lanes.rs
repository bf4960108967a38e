//! A socket of `game://` whose two players were let in, and say what the input says.
//!
//! The input is a program: payloads of any bytes in packets that are sealed with the true keys,
//! messages of the server, and time. Whatever it is, the socket has no fault, keeps no more than it
//! may, and does not answer without end.

use super::program::Program;
use sockeye::buf::Pool;
use sockeye::session::{Side, Tag};
use sockeye::transport::lanes::envelope::{
    Client, ClientEvent, Kind, OVERHEAD_MAX, Session, token,
};
use sockeye::transport::lanes::{Lanes, Options};
use sockeye::transport::{Datagram, Endpoint, Event, Handled, Run, Stream, Transmit};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

const UNIX_S: u64 = 1_800_000_000;
const PLAYERS: u8 = 2;
/// Packets that one step may bring forth: the first window, twice, for each player.
const PACKETS_MAX: usize = 256;
/// Bytes of messages of one player that are kept: 4 MiB of credit and what is read late.
const HELD_MAX: u64 = 6 << 20;

fn address(number: u8) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 10 + number], 1000))
}

/// A player, who seals what the program says.
struct Player {
    session: Session,
    over: bool,
}

struct World {
    lanes: Lanes,
    pool: Pool,
    players: Vec<Player>,
    /// What the socket has sent, to each address.
    sent: BTreeMap<SocketAddr, Vec<Vec<u8>>>,
    reads: bool,
    now: u64,
}

pub fn run(input: &[u8]) {
    let mut program = Program::new(input);
    let mut world = World::new();
    while !program.is_over() {
        world.step(&mut program);
    }
    world.reads = true;
    world.turn();
}

impl World {
    fn new() -> World {
        let options = Arc::new(Options { open: true, ..Options::default() });
        let mut world = World {
            lanes: Lanes::new(&options, Side::Accepted, [7; 32], UNIX_S),
            pool: Pool::new(64 << 20),
            players: Vec::new(),
            sent: BTreeMap::new(),
            reads: true,
            now: 1_000_000,
        };
        world.turn();
        for number in 0..PLAYERS {
            let player = world.let_in(number);
            world.players.push(player);
        }
        world
    }

    /// The handshake of a player.
    fn let_in(&mut self, number: u8) -> Player {
        let token = token::make(&token::Config {
            protocol_id: 0,
            key: [0; 32],
            client_id: number.into(),
            expire_s: 30,
            timeout_s: 10,
            public: &[address(200)],
            user_data: &[],
            unix_s: UNIX_S,
        });
        let token = token.expect("a token");
        let mut client = Client::new(&token, [number; 32], self.now).expect("a client");
        let mut out = vec![0; 2048];
        loop {
            if let Some(len) = client.poll_transmit(&mut out, self.now) {
                self.hear(number, &out[..len]);
            }
            for mut packet in self.sent.remove(&address(number)).unwrap_or_default() {
                if let ClientEvent::Connected(connected) = client.handle(&mut packet, self.now) {
                    return Player { session: connected.session, over: false };
                }
            }
            self.now += 100_000;
            assert!(self.now < 9_000_000, "it is let in");
        }
    }

    /// A packet of a player comes.
    fn hear(&mut self, number: u8, packet: &[u8]) -> Handled {
        let data = self.pool.take(packet.len()).expect("memory").write(packet);
        let datagram = Datagram { peer: address(number), local: None, data };
        let vacant = Some(Stream(self.players.len() as u32));
        let handled = self.lanes.handle_datagram(datagram, vacant, self.now);
        self.turn();
        handled
    }

    /// What the engine does at the end of a turn.
    fn turn(&mut self) {
        let mut count = 0;
        loop {
            while let Some(event) = self.lanes.poll_event() {
                match event {
                    Event::Readable(stream) if self.reads => {
                        while self.lanes.read(stream).is_some() {}
                    }
                    Event::Closed(stream, _) => {
                        if let Some(player) = self.players.get_mut(stream.0 as usize) {
                            assert!(!player.over, "it ends once");
                            player.over = true;
                        }
                    }
                    _ => {}
                }
            }
            match self.lanes.poll_transmit(&self.pool, self.now) {
                Transmit::Datagram(datagram) => {
                    count += 1;
                    assert!(count <= PACKETS_MAX, "it answers without end");
                    let all = self.sent.entry(datagram.peer).or_default();
                    all.truncate(8);
                    all.push(datagram.data.to_vec());
                }
                Transmit::Nothing => break,
                Transmit::Starved(bytes) => panic!("there is memory for {bytes} bytes"),
            }
        }
        for number in 0..self.players.len() {
            let facts = self.lanes.facts(Stream(number as u32), self.now);
            assert!(facts.is_none_or(|facts| facts.held_bytes <= HELD_MAX), "{facts:?}");
        }
    }

    fn step(&mut self, program: &mut Program<'_>) {
        let what = program.byte();
        let number = what >> 7;
        match what % 8 {
            0..=3 => {
                let len = usize::from(program.byte()).max(1);
                let payload: Vec<u8> = (0..len).map(|_| program.byte()).collect();
                let wide = (what % 8 == 3).then(|| program.byte().into());
                self.say(number, wide, &payload);
            }
            4 => {
                let (lane, len) = (program.byte() % 3, usize::from(program.byte()) * 40);
                let data = self.pool.take(len.max(1)).expect("memory").write(&vec![lane; len]);
                let tag = Tag { lane, ..Tag::default() };
                let run = Run { data, first: true, last: true, len, tag };
                assert!(self.lanes.write(Stream(number.into()), run, self.now).is_ok());
                self.turn();
            }
            5 | 6 => {
                self.now += u64::from(program.byte()) * 5_000;
                if self.lanes.poll_timeout().is_some_and(|at| at <= self.now) {
                    self.lanes.handle_timeout(self.now);
                }
                self.turn();
            }
            _ => self.reads = !self.reads,
        }
    }

    /// A player says this.
    fn say(&mut self, number: u8, id: Option<u64>, payload: &[u8]) {
        let player = &mut self.players[usize::from(number)];
        let mut packet = vec![0; payload.len() + OVERHEAD_MAX];
        let kind = if id.is_some() { Kind::Wide } else { Kind::Payload };
        let sequence = player.session.next;
        player.session.next += 1;
        let len = player.session.seal(kind, id, sequence, payload, &mut packet);
        self.hear(number, &packet[..len]);
    }
}

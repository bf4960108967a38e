//! The door of a `game://` server, its clients, and the connections that they get.
//!
//! The input is a program: who sends, what is done to the packets on their way, and where they end
//! up. Whatever it is, nothing comes of a packet that neither end has made.

use super::program::Program;
use sockeye::transport::lanes::envelope::{
    Answer, Client, ClientEvent, KeepAlive, Kind, OVERHEAD_MAX, Server, ServerConfig, Session, peek,
};
use std::collections::HashSet;
use std::net::SocketAddr;

const VECTORS: &str = include_str!("../../lanes/netcode_vectors.txt");
/// Those of the vectors.
const PROTOCOL: u64 = 0x1234_5678_90AB_CDEF;
const PENDING_MAX: usize = 2;
/// Packets on their way.
const FLYING_MAX: usize = 16;

/// The same each time, so that an input does the same.
fn token(name: &str) -> Box<[u8; 2048]> {
    let hex = VECTORS.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    let hex = hex.expect("a vector").as_bytes();
    let digit = |at: usize| (hex[at] as char).to_digit(16).expect("a digit") as u8;
    Box::new(std::array::from_fn(|at| digit(2 * at) << 4 | digit(2 * at + 1)))
}

fn address(number: u8) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, number & 3], 1000))
}

/// One end of a connection, with what it has taken.
struct End {
    session: Session,
    taken: HashSet<u64>,
}

impl End {
    fn new(session: Session) -> End {
        End { session, taken: HashSet::new() }
    }

    fn seal(&mut self, kind: u8) -> Vec<u8> {
        let (kind, plain): (_, &[u8]) = match kind % 4 {
            0 => (Kind::KeepAlive, &[0; 8]),
            1 => (Kind::Payload, b"payload"),
            2 => (Kind::Wide, b"wide payload"),
            _ => (Kind::Disconnect, b""),
        };
        let mut out = vec![0; plain.len() + OVERHEAD_MAX];
        let id = (kind == Kind::Wide).then_some(7);
        let len = self.session.seal(kind, id, self.session.next, plain, &mut out);
        self.session.next += 1;
        out.truncate(len);
        out
    }

    /// Whether it takes this packet.
    fn hear(&mut self, packet: &mut [u8]) -> bool {
        let Ok(opened) = self.session.open(packet) else { return false };
        assert!(opened.range.end <= packet.len());
        let once = matches!(opened.kind, Kind::Denied | Kind::Challenge | Kind::Response)
            || self.taken.insert(opened.sequence);
        assert!(once, "{} is taken again", opened.sequence);
        true
    }
}

/// See the module.
struct World {
    server: Server,
    clients: Vec<(Box<[u8; 2048]>, Client)>,
    ends: Vec<End>,
    flying: Vec<Vec<u8>>,
    /// All that either end ever made.
    genuine: HashSet<Vec<u8>>,
    room: bool,
    unix_s: u64,
    now: u64,
}

pub fn run(input: &[u8]) {
    let mut program = Program::new(input);
    let mut world = World::new();
    while !program.is_over() {
        world.step(&mut program);
        assert!(world.server.pending() <= PENDING_MAX);
    }
}

impl World {
    fn new() -> World {
        let config = ServerConfig {
            protocol_id: PROTOCOL,
            key: std::array::from_fn(|i| i as u8),
            addresses: vec![],
            pending_max: PENDING_MAX,
            tokens_max: 2,
        };
        let tokens = [token("token_mixed"), token("token_ipv6")];
        let unix_s = u64::from_le_bytes(tokens[0][21..29].try_into().expect("8 bytes"));
        let client = |token: Box<[u8; 2048]>| {
            let client = Client::new(&token, [1; 32], 0).expect("it is right");
            (token, client)
        };
        World {
            server: Server::new(config, [2; 32]),
            clients: tokens.map(client).into(),
            ends: Vec::new(),
            flying: Vec::new(),
            genuine: HashSet::new(),
            room: true,
            unix_s,
            now: 0,
        }
    }

    fn send(&mut self, packet: Vec<u8>) {
        self.genuine.insert(packet.clone());
        self.flying.insert(0, packet);
        self.flying.truncate(FLYING_MAX);
    }

    fn step(&mut self, program: &mut Program) {
        let (op, which) = (program.byte(), program.byte() as usize);
        let client = which % self.clients.len();
        let flying = which % self.flying.len().max(1);
        match op % 12 {
            0 | 1 => {
                let mut out = [0; 1200];
                if let Some(len) = self.clients[client].1.poll_transmit(&mut out, self.now) {
                    self.send(out[..len].to_vec());
                }
            }
            2 | 3 => self.at_server(flying, program.byte()),
            4 | 5 => self.at_client(flying, program.byte()),
            6 => self.at_end(flying, program.byte()),
            7 => {
                let kind = program.byte();
                let count = self.ends.len().max(1);
                if let Some(end) = self.ends.get_mut(which % count) {
                    let packet = end.seal(kind);
                    self.send(packet);
                }
            }
            8 => {
                let (at, bits) = (program.byte() as usize, program.byte());
                if let Some(packet) = self.flying.get_mut(flying) {
                    let at = at * 5 % packet.len().max(1);
                    packet.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= bits);
                }
            }
            9 => {
                let len = program.byte() as usize * 5;
                if let Some(packet) = self.flying.get_mut(flying) {
                    packet.truncate(len);
                }
            }
            10 => {
                let packet = (0..which).map(|_| program.byte()).collect();
                self.flying.insert(0, packet);
                self.flying.truncate(FLYING_MAX);
            }
            _ => self.pass(which as u8),
        }
    }

    fn at_server(&mut self, flying: usize, from: u8) {
        let Some(packet) = self.flying.get(flying).cloned() else { return };
        peek(&packet);
        let mut copy = packet.clone();
        match self.server.handle(address(from), &mut copy, self.room, self.unix_s, self.now) {
            Answer::Nothing(_) => {}
            Answer::Reply(reply) => {
                assert!(self.genuine.contains(&packet), "a reply to what nobody made");
                assert!(reply.len() <= packet.len());
                self.send(reply);
            }
            Answer::Accepted(accepted) => {
                assert!(self.genuine.contains(&packet), "accepted for what nobody made");
                let mut end = End::new(accepted.session);
                let packet = end.seal(0);
                self.send(packet);
                self.ends.push(end);
            }
        }
    }

    fn at_client(&mut self, flying: usize, client: u8) {
        let Some(packet) = self.flying.get(flying).cloned() else { return };
        let at = client as usize % self.clients.len();
        let client = &mut self.clients[at].1;
        client.peer();
        match client.handle(&mut packet.clone(), self.now) {
            ClientEvent::Connected(connected) => {
                assert!(self.genuine.contains(&packet), "connected by what nobody made");
                assert_eq!(connected.at, KeepAlive::default());
                self.ends.push(End::new(connected.session));
            }
            ClientEvent::Failed(_) => assert!(self.genuine.contains(&packet)),
            ClientEvent::Nothing | ClientEvent::Dropped(_) => {}
        }
    }

    fn at_end(&mut self, flying: usize, end: u8) {
        let Some(packet) = self.flying.get(flying).cloned() else { return };
        let count = self.ends.len().max(1);
        if let Some(end) = self.ends.get_mut(end as usize % count) {
            let taken = end.hear(&mut packet.clone());
            assert!(!taken || self.genuine.contains(&packet), "taken, and nobody made it");
        }
    }

    fn pass(&mut self, how: u8) {
        match how % 6 {
            0 => self.room = !self.room,
            1 => self.unix_s += u64::from(how),
            2 => self.server.release(0x1122_3344_5566_7788),
            3 => {
                let at = usize::from(how) % self.clients.len();
                let token = self.clients[at].0.clone();
                let client = Client::new(&token, [how; 32], self.now).expect("it is right");
                self.clients[at] = (token, client);
            }
            _ => self.now += 50_000 * u64::from(how),
        }
        self.server.handle_timeout(self.now);
        assert!(self.server.poll_timeout().is_none_or(|at| at > self.now));
        for (_, client) in &mut self.clients {
            client.handle_timeout(self.now);
        }
    }
}

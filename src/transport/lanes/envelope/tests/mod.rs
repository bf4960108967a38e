//! The envelope by itself, in memory.

mod client;
mod packets;
mod server;
mod tokens;
mod traps;
mod vectors;

use super::token::{self, Config, TOKEN};
use super::{Accepted, Answer, Client, ClientEvent, Connected, KeepAlive, Kind};
use super::{Key, Keys, OVERHEAD_MAX, Reason, Server, ServerConfig, Session};
use crate::transport::lanes::Micros;
use std::net::SocketAddr;

const PROTOCOL: u64 = 0x1234_5678_90AB_CDEF;
const UNIX_S: u64 = 1_800_000_000;
const SECOND: Micros = 1_000_000;

/// The bytes 0 to 31.
fn key() -> Key {
    std::array::from_fn(|i| i as u8)
}

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

/// Where the server of these tests is.
fn here() -> SocketAddr {
    address("192.0.2.1:7777")
}

/// An address of a client.
fn player(number: u16) -> SocketAddr {
    SocketAddr::from(([198, 51, 100, 1], 1000 + number))
}

fn config(client_id: u64, public: &[SocketAddr]) -> Config<'_> {
    Config {
        protocol_id: PROTOCOL,
        key: key(),
        client_id,
        expire_s: 45,
        timeout_s: 5,
        public,
        user_data: b"a ranger, level 3",
        unix_s: UNIX_S,
    }
}

fn token(client_id: u64) -> [u8; TOKEN] {
    token::make(&config(client_id, &[here()])).expect("a token")
}

fn client(token: &[u8; TOKEN], now: Micros) -> Client {
    Client::new(token, [7; 32], now).expect("a token that is right")
}

fn server_config() -> ServerConfig {
    ServerConfig {
        protocol_id: PROTOCOL,
        key: key(),
        addresses: vec![here()],
        pending_max: 4,
        tokens_max: 8,
    }
}

fn server() -> Server {
    Server::new(server_config(), [9; 32])
}

/// What a client sends now.
fn sent(client: &mut Client, now: Micros) -> Vec<u8> {
    let mut out = vec![0; 1200];
    let len = client.poll_transmit(&mut out, now).expect("a packet is due");
    out.truncate(len);
    out
}

fn request(token: &[u8; TOKEN]) -> Vec<u8> {
    sent(&mut client(token, 0), 0)
}

fn ask(server: &mut Server, from: SocketAddr, packet: &[u8]) -> Answer {
    server.handle(from, &mut packet.to_vec(), true, UNIX_S, 0)
}

fn reply(answer: Answer) -> Vec<u8> {
    match answer {
        Answer::Reply(reply) => reply,
        Answer::Nothing(reason) => panic!("no reply: {reason:?}"),
        Answer::Accepted(_) => panic!("accepted"),
    }
}

fn refusal(answer: Answer) -> Reason {
    match answer {
        Answer::Nothing(reason) => reason,
        Answer::Reply(_) => panic!("a reply"),
        Answer::Accepted(_) => panic!("accepted"),
    }
}

fn accepted(answer: Answer) -> Accepted {
    match answer {
        Answer::Accepted(accepted) => *accepted,
        Answer::Reply(_) => panic!("a reply"),
        Answer::Nothing(reason) => panic!("not accepted: {reason:?}"),
    }
}

fn dropped(event: ClientEvent) -> Reason {
    match event {
        ClientEvent::Dropped(reason) => reason,
        _ => panic!("not dropped"),
    }
}

/// The keys that a token has for its client.
fn keys(token: &[u8; TOKEN]) -> Keys {
    token::Public::read(token).expect("it is right").keys
}

/// The server's end of the connection of a token.
fn of_server(token: &[u8; TOKEN]) -> Session {
    let Keys { send, receive } = keys(token);
    Session::new(Keys { send: receive, receive: send }, PROTOCOL)
}

/// The same numbers each time.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(0x1405_7B7E_F767_814F);
        (self.0 >> 33) % end
    }
}

fn sealed(session: &mut Session, kind: Kind, plain: &[u8]) -> Vec<u8> {
    let mut out = vec![0; plain.len() + OVERHEAD_MAX];
    let id = (kind == Kind::Wide).then_some(0x0102_0304_0506_0708);
    let sequence = session.next;
    session.next += 1;
    let len = session.seal(kind, id, sequence, plain, &mut out);
    out.truncate(len);
    out
}

/// Takes a client as far as its response.
fn challenged(server: &mut Server, client: &mut Client, from: SocketAddr) -> Vec<u8> {
    let request = sent(client, 0);
    let mut challenge = reply(ask(server, from, &request));
    assert!(challenge.len() < request.len());
    assert!(matches!(client.handle(&mut challenge, 0), ClientEvent::Nothing));
    sent(client, 0)
}

/// A whole handshake.
fn connect(server: &mut Server, client: &mut Client, from: SocketAddr) -> (Accepted, Connected) {
    let response = challenged(server, client, from);
    let mut accepted = accepted(ask(server, from, &response));
    let status = KeepAlive { client_index: 3, max_clients: 1000 };
    let mut alive = sealed(&mut accepted.session, Kind::KeepAlive, &status.to_bytes());
    assert!(alive.len() < response.len());
    match client.handle(&mut alive, 0) {
        ClientEvent::Connected(connected) => {
            assert_eq!((connected.at, connected.server), (status, client.peer()));
            (accepted, *connected)
        }
        _ => panic!("not connected"),
    }
}

//! The layer against frames as RFC 6455 has them, against requests, and against itself.

mod compressed;
mod control;
mod data;
mod http;
mod random;

use super::frames::{BINARY, FIN, RSV1, TEXT};
use super::*;
use crate::buf::Chunk;
use crate::session::framer::{Framing, HEADER_MAX};

const NOW: Millis = 1000;
/// The key of RFC 6455, section 1.3, and what it is answered with.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const PROOF: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// Messages, and whether they are text.
type Messages = Vec<(Vec<u8>, bool)>;

/// A layer, and what came out of it.
struct End {
    web: Web,
    pool: Pool,
    messages: Messages,
    ended: bool,
    broken: Option<Cause>,
}

impl End {
    fn new(end: &WebEnd) -> End {
        let web = Web::new(end).expect("random numbers");
        let pool = Pool::new(64 << 20);
        End { web, pool, messages: Vec::new(), ended: false, broken: None }
    }

    fn server(server: WebServer) -> End {
        End::new(&WebEnd::Server(Arc::new(server)))
    }

    fn client(client: WebClient) -> End {
        let client = WebClient { host: "game.test".into(), ..client };
        End::new(&WebEnd::Client(Arc::new(client)))
    }

    /// A server that a client has connected to.
    fn open(server: WebServer) -> End {
        let mut end = End::server(server);
        end.receive(request("GET /play HTTP/1.1", &UPGRADE).as_bytes());
        assert_eq!(end.web.state(), State::Open);
        end.say();
        end
    }

    fn receive(&mut self, wire: &[u8]) {
        if !wire.is_empty() {
            let slice = self.pool.take(wire.len()).expect("memory").write(wire);
            self.web.handle_received(slice, NOW);
        }
        loop {
            match self.web.poll_plain(&self.pool, NOW) {
                Plain::Nothing => return,
                Plain::Message { data, text } => self.messages.push((data.to_vec(), text)),
                Plain::Bytes(_) => panic!("it has messages alone"),
                Plain::End => return self.ended = true,
                Plain::Broken(cause) => return self.broken = Some(cause),
                Plain::Starved(bytes) => panic!("{bytes} bytes are there"),
            }
        }
    }

    /// What it has to say, and so much of some frames as it takes.
    fn write(&mut self, plain: &[u8]) -> (Vec<u8>, usize) {
        let (mut all, mut wire) = (Train::default(), Train::default());
        for piece in plain.chunks(plain.len().div_ceil(3).max(1)) {
            all.push(self.pool.take(piece.len()).expect("memory").write(piece));
        }
        let taken = self.web.poll_wire(&all, &mut wire, &self.pool, NOW).expect("memory");
        (wire.slices().flat_map(|slice| slice.to_vec()).collect(), taken)
    }

    /// All that it has to say by itself.
    fn say(&mut self) -> Vec<u8> {
        let mut wire = Vec::new();
        loop {
            let (bytes, _) = self.write(&[]);
            if bytes.is_empty() {
                return wire;
            }
            wire.extend(bytes);
        }
    }

    /// All frames, as they leave.
    fn send(&mut self, mut plain: &[u8]) -> Vec<u8> {
        let mut wire = Vec::new();
        while !plain.is_empty() {
            let (bytes, taken) = self.write(plain);
            wire.extend(bytes);
            plain = &plain[taken..];
        }
        wire
    }
}

const UPGRADE: [&str; 5] = [
    "Host: game.test",
    "Upgrade: websocket",
    "Connection: keep-alive, Upgrade",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version: 13",
];

fn request(line: &str, headers: &[&str]) -> String {
    format!("{line}\r\n{}\r\n\r\n", headers.join("\r\n"))
}

/// A pool with so many bytes left, and who has the others.
fn tight(bytes: usize) -> (Pool, Vec<Chunk>) {
    let pool = Pool::new(1 << 20);
    let mut all: Vec<_> = std::iter::from_fn(|| pool.take(1)).collect();
    all.truncate(all.len() - bytes / 512);
    (pool, all)
}

/// The header of a frame without a mask.
fn header(lead: u8, len: usize) -> Vec<u8> {
    let framing = Framing { frame_max_bytes: u32::MAX, ..Framing::default() }.web();
    let mut header = [0; HEADER_MAX];
    let size = framing.header_of(&[], len, &mut header).expect("it is not too big");
    header[0] = lead;
    header[..size].to_vec()
}

/// A frame without a mask.
fn bare(lead: u8, payload: &[u8]) -> Vec<u8> {
    [&header(lead, payload.len()), payload].concat()
}

/// A frame as a client sends it.
fn masked(lead: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = header(lead, payload.len());
    frame[1] |= 0x80;
    frame.extend_from_slice(&MASK);
    frame.extend(payload.iter().enumerate().map(|(at, byte)| byte ^ MASK[at % 4]));
    frame
}

/// A Close with this code.
fn close(code: u16) -> Vec<u8> {
    bare(FIN | CLOSE, &code.to_be_bytes())
}

/// Brings all that both have to say across, until neither has anything.
fn settle(one: &mut End, other: &mut End) {
    loop {
        let (there, back) = (one.say(), other.say());
        if there.is_empty() && back.is_empty() {
            return;
        }
        other.receive(&there);
        one.receive(&back);
    }
}

/// A client and a server that are open.
fn pair(client: WebClient, server: WebServer) -> (End, End) {
    let (mut client, mut server) = (End::client(client), End::server(server));
    settle(&mut client, &mut server);
    assert_eq!((client.web.state(), server.web.state()), (State::Open, State::Open));
    (client, server)
}

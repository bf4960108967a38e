//! WebSocket between two ends of ours, and a port that takes whatever comes.

use super::program::{Peer, READ_MAX};
use super::tls;
use super::under::{MEMORY, NOW, Under, frame};
use sockeye::buf::{Pool, Train};
use sockeye::session::{AnyEnd, Layer, Maker, Plain, Side, State, WebClient, WebEnd, WebServer};
use std::mem;
use std::sync::Arc;

const MESSAGE_MAX: u32 = 1 << 16;
/// A request, what was given last, and the answer.
const OPENING_MAX: usize = (8 << 10) + READ_MAX + (4 << 10);
/// As that, or a record of TLS that has not come whole: what is inside is still to be told.
const ANY_OPENING_MAX: usize = OPENING_MAX + (17 << 10);
/// A message, the rest of what was given, and what is deflated.
const OPEN_MAX: usize = 4 * MESSAGE_MAX as usize;

fn web_server(compress: bool) -> WebEnd {
    WebEnd::Server(Arc::new(WebServer { compress, message_max: MESSAGE_MAX, ..Default::default() }))
}

fn web_client(compress: bool) -> WebEnd {
    let host = "game.test".into();
    let client = WebClient { host, compress, message_max: MESSAGE_MAX, ..Default::default() };
    WebEnd::Client(Arc::new(client))
}

fn layer(end: WebEnd, side: Side) -> Box<dyn Layer> {
    Maker::Web(end, None).make(side).expect("random numbers")
}

/// Our server and our client; which of them is looked at.
pub fn server(choice: u8) -> (Under, Ours) {
    let [one, other] = [choice & 1 > 0, choice & 2 > 0];
    let under = layer(web_server(one), Side::Accepted);
    (Under::new(under, OPENING_MAX, OPEN_MAX), Ours::new(layer(web_client(other), Side::Connected)))
}

/// The other way around.
pub fn client(choice: u8) -> (Under, Ours) {
    let [one, other] = [choice & 1 > 0, choice & 2 > 0];
    let under = layer(web_client(one), Side::Connected);
    (Under::new(under, OPENING_MAX, OPEN_MAX), Ours::new(layer(web_server(other), Side::Accepted)))
}

/// A port for all, and one of those that may come.
pub fn any(choice: u8) -> (Under, Box<dyn Peer>) {
    let (secure, client) = tls::of_any();
    let end = AnyEnd { tls: Some(secure.into()), web: web_server(choice & 4 > 0), framed: true };
    let layer_of_any = Maker::Any(end.into()).make(Side::Accepted).expect("random numbers");
    let peer: Box<dyn Peer> = match choice & 3 {
        0 => Box::new(client),
        1 => Box::new(Ours::new(layer(web_client(true), Side::Connected))),
        _ => Box::new(Plainly::default()),
    };
    (Under::new(layer_of_any, ANY_OPENING_MAX, OPEN_MAX), peer)
}

/// Another end of ours.
pub struct Ours {
    layer: Box<dyn Layer>,
    pool: Pool,
    outbox: Vec<u8>,
    /// It says its goodbye behind the outbox.
    ends: bool,
    /// The other end said that nothing follows, or is broken.
    deaf: bool,
}

impl Ours {
    fn new(layer: Box<dyn Layer>) -> Ours {
        Ours { layer, pool: Pool::new(MEMORY), outbox: Vec::new(), ends: false, deaf: false }
    }
}

impl Drop for Ours {
    /// Blocks that come back later are not kept.
    fn drop(&mut self) {
        self.pool.close();
    }
}

impl Peer for Ours {
    fn say(&mut self, plain: &[u8]) {
        self.outbox.extend_from_slice(plain);
    }

    fn wire(&mut self) -> Vec<u8> {
        let mut all = Vec::new();
        loop {
            let (mut plain, mut wire) = (Train::default(), Train::default());
            if self.layer.state() == State::Open && !self.outbox.is_empty() {
                let chunk = self.pool.take(self.outbox.len()).expect("memory");
                plain.push({ chunk }.write(&self.outbox));
            }
            let taken = self.layer.poll_wire(&plain, &mut wire, &self.pool, NOW);
            let taken = taken.expect("memory");
            self.outbox.drain(..taken);
            if taken == 0 && wire.is_empty() {
                if !mem::take(&mut self.ends) {
                    return all;
                }
                self.layer.end();
            }
            wire.slices().for_each(|slice| all.extend_from_slice(slice));
        }
    }

    fn hear(&mut self, wire: &[u8]) -> Option<Vec<u8>> {
        if !wire.is_empty() {
            let slice = self.pool.take(wire.len()).expect("memory").write(wire);
            self.layer.handle_received(slice, NOW);
        }
        let mut plain = Vec::new();
        while !self.deaf {
            match self.layer.poll_plain(&self.pool, NOW) {
                Plain::Nothing => break,
                Plain::Bytes(data) => plain.extend_from_slice(&data),
                Plain::Message { data, text } => plain.extend(frame(text, &data)),
                Plain::End => self.deaf = true,
                Plain::Starved(bytes) => panic!("{bytes} bytes are there"),
                Plain::Broken(_) => {
                    self.deaf = true;
                    return None;
                }
            }
        }
        Some(plain)
    }

    fn end(&mut self) -> bool {
        self.ends = true;
        true
    }

    fn wrap(&self, plain: Vec<u8>) -> Vec<u8> {
        frame(false, &plain)
    }

    fn is_sealed(&self) -> bool {
        false
    }
}

/// A peer without a layer.
#[derive(Default)]
struct Plainly(Vec<u8>);

impl Peer for Plainly {
    fn say(&mut self, plain: &[u8]) {
        self.0.extend_from_slice(plain);
    }

    fn wire(&mut self) -> Vec<u8> {
        mem::take(&mut self.0)
    }

    fn hear(&mut self, wire: &[u8]) -> Option<Vec<u8>> {
        Some(wire.to_vec())
    }

    fn end(&mut self) -> bool {
        false
    }

    fn is_sealed(&self) -> bool {
        false
    }
}

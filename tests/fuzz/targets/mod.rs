//! The bodies of the fuzz targets, shared by `fuzz/`, which hands them to libFuzzer, and by the
//! test beside, which needs no nightly compiler.
//!
//! Bytes at random do not get past a handshake. So a target's input is a program (`program.rs`): a
//! true peer talks with the layer, and the program says who speaks when, how the bytes are cut, and
//! what is done to them on their way. The envelope of lanes
//! and a socket with lanes have programs of their own.

mod envelope;
mod lanes;
mod program;
mod tls;
mod under;
mod web;

pub use envelope::run as envelope;
pub use lanes::run as lanes;
use program::{Peer, Program};
use under::Under;

/// A target's name, as that of its folder in `fuzz/corpus`, and its body.
type Target = (&'static str, fn(&[u8]));

pub const TARGETS: [Target; 7] = [
    ("tls_server", tls_server),
    ("tls_client", tls_client),
    ("web_server", web_server),
    ("web_client", web_client),
    ("any", any),
    ("envelope", envelope),
    ("lanes", lanes),
];

/// Our server against a client that means well, over a line that does not.
pub fn tls_server(input: &[u8]) {
    run(input, |choice| boxed(tls::server(choice)));
}

/// Our client against such a server.
pub fn tls_client(input: &[u8]) {
    run(input, |choice| boxed(tls::client(choice)));
}

/// The same of a WebSocket.
pub fn web_server(input: &[u8]) {
    run(input, |choice| boxed(web::server(choice)));
}

/// The same.
pub fn web_client(input: &[u8]) {
    run(input, |choice| boxed(web::client(choice)));
}

/// A port for all.
pub fn any(input: &[u8]) {
    run(input, web::any);
}

/// The first byte chooses between kinds of ends.
fn run(input: &[u8], make: impl FnOnce(u8) -> (Under, Box<dyn Peer>)) {
    let mut program = Program::new(input);
    let (under, peer) = make(program.byte());
    program.run(under, peer);
}

fn boxed((under, peer): (Under, impl Peer + 'static)) -> (Under, Box<dyn Peer>) {
    (under, Box::new(peer))
}

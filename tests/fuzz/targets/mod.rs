//! The bodies of the fuzz targets, shared by `fuzz/`, which hands them to libFuzzer, and by the
//! test beside, which needs no nightly compiler.
//!
//! Bytes at random do not get past a handshake. So a target's input is a program (`program.rs`): a
//! true peer talks with the layer, and the program says who speaks when, how the bytes are cut, and
//! what is done to them on their way.

mod program;
mod tls;
mod under;

use program::Program;

/// A target's name, as that of its folder in `fuzz/corpus`, and its body. The layer of WebSocket
/// at both ends (`web_server`, `web_client`) and the look at the first bytes of a port for all
/// (`any`) have their place here.
pub const TARGETS: [(&str, fn(&[u8])); 2] =
    [("tls_server", tls_server), ("tls_client", tls_client)];

/// Our server against a client that means well, over a line that does not.
pub fn tls_server(input: &[u8]) {
    let mut program = Program::new(input);
    let (under, peer) = tls::server(program.byte());
    program.run(under, peer);
}

/// Our client against such a server.
pub fn tls_client(input: &[u8]) {
    let mut program = Program::new(input);
    let (under, peer) = tls::client(program.byte());
    program.run(under, peer);
}

//! WebSockets of a test: endpoints that have them, and raw peers that speak by hand.

use super::host::{Door, Host};
use super::peer::Peer;
use super::words::OK;
use sockeye::capi::http::{sockeye_http, sockeye_http_init};
use std::mem::{MaybeUninit, size_of};

/// What a raw client puts over its frames.
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
pub const TEXT: u8 = 0x81;
pub const BINARY: u8 = 0x82;
pub const CLOSE: u8 = 0x88;
pub const PING: u8 = 0x89;
pub const PONG: u8 = 0x8a;
/// The first byte says that the payload is deflated.
pub const DEFLATED: u8 = 0x40;

/// The defaults, with changes.
pub fn http(change: impl FnOnce(&mut sockeye_http)) -> sockeye_http {
    let mut http = MaybeUninit::<sockeye_http>::zeroed();
    // SAFETY: the struct is numbers and pointers, writable, and its size is given.
    let mut http = unsafe {
        assert_eq!(sockeye_http_init(http.as_mut_ptr(), size_of::<sockeye_http>()), OK);
        http.assume_init()
    };
    change(&mut http);
    http
}

/// The request of a client, with the key of RFC 6455, section 1.3, and further lines.
pub fn request(path: &str, lines: &str) -> Vec<u8> {
    format!(
        "GET {path} HTTP/1.1\r\nHost: game.test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{lines}\r\n"
    )
    .into_bytes()
}

/// A frame of a client's: the first byte, and its payload under the mask.
pub fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = headed(first, 0x80, payload.len());
    frame.extend_from_slice(&MASK);
    frame.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}

/// A frame of a server's.
pub fn plain(first: u8, payload: &[u8]) -> Vec<u8> {
    [headed(first, 0, payload.len()), payload.to_vec()].concat()
}

fn headed(first: u8, mask: u8, len: usize) -> Vec<u8> {
    match len {
        0..=125 => vec![first, mask | len as u8],
        126..=0xffff => [&[first, mask | 126][..], &(len as u16).to_be_bytes()].concat(),
        _ => [&[first, mask | 127][..], &(len as u64).to_be_bytes()].concat(),
    }
}

impl Host {
    /// What HTTP answers, up to the empty line.
    pub fn http_head(&mut self, peer: &mut Peer) -> String {
        self.until("a head of HTTP", |_| {
            peer.has(usize::MAX);
            peer.got.windows(4).any(|it| it == b"\r\n\r\n") || peer.end.is_some()
        });
        let end = peer.got.windows(4).position(|it| it == b"\r\n\r\n").map(|at| at + 4);
        let head = peer.got.drain(..end.unwrap_or(0)).collect();
        String::from_utf8(head).expect("HTTP is text")
    }

    /// A raw peer whose WebSocket is open.
    pub fn web_peer(&mut self, door: Door, lines: &str) -> Peer {
        let mut peer = Peer::connect(door.port);
        peer.put(&request("/", lines));
        let head = self.http_head(&mut peer);
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        assert!(head.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{head}");
        peer
    }
}

//! A raw datagram socket, to talk to the library with.

use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};

/// Does not block; keeps what it received.
pub struct Raw {
    pub socket: UdpSocket,
    pub got: Vec<(Vec<u8>, SocketAddr)>,
}

impl Raw {
    /// On 127.0.0.1, any port.
    pub fn new() -> Raw {
        Raw::at("127.0.0.1:0")
    }

    pub fn at(address: &str) -> Raw {
        let socket = UdpSocket::bind(address).expect("a port is free");
        socket.set_nonblocking(true).expect("a socket need not block");
        Raw { socket, got: Vec::new() }
    }

    pub fn address(&self) -> SocketAddr {
        self.socket.local_addr().expect("a socket has an address")
    }

    pub fn send(&self, to: SocketAddr, bytes: &[u8]) {
        assert_eq!(self.socket.send_to(bytes, to).expect("the system takes it"), bytes.len());
    }

    /// Reads what is there; whether that makes at least `count` datagrams.
    pub fn has(&mut self, count: usize) -> bool {
        let mut room = vec![0; 65_536];
        while self.got.len() < count {
            match self.socket.recv_from(&mut room) {
                Ok((len, sender)) => self.got.push((room[..len].to_vec(), sender)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => {}
                Err(error) => panic!("a datagram could not be read: {error}"),
            }
        }
        self.got.len() >= count
    }

    pub fn payloads(&self) -> Vec<&[u8]> {
        self.got.iter().map(|(bytes, _)| bytes.as_slice()).collect()
    }
}

/// A port of 127.0.0.1 without a listener: one that was just closed.
pub fn nobody() -> SocketAddr {
    Raw::new().address()
}

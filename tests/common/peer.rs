//! A raw peer: a plain non-blocking socket of the system, without anything of ours.

use super::DEADLINE;
use socket2::SockRef;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

fn is_reset(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted)
}

/// How a connection ended for the peer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    Fin,
    Reset,
}

pub struct Peer {
    stream: TcpStream,
    /// Received and not taken.
    pub got: Vec<u8>,
    pub end: Option<End>,
}

impl Peer {
    pub fn connect(port: u16) -> Peer {
        Peer::connect_to(SocketAddr::from(([127, 0, 0, 1], port)))
    }

    pub fn connect_to(address: SocketAddr) -> Peer {
        Peer::from(TcpStream::connect_timeout(&address, DEADLINE).expect("a peer connects"))
    }

    /// Writes all of a few bytes, which the system's buffer always takes.
    pub fn put(&mut self, bytes: &[u8]) {
        assert_eq!(self.offer(bytes), bytes.len(), "a small write is taken whole");
    }

    /// Writes what the system takes now.
    pub fn offer(&mut self, bytes: &[u8]) -> usize {
        match self.stream.write(bytes) {
            Ok(taken) => taken,
            Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
            Err(error) => panic!("a peer's write failed: {error}"),
        }
    }

    /// Writes to a connection that may have been reset; that is found out by reading.
    pub fn try_offer(&mut self, bytes: &[u8]) {
        // A refusal leaves nothing to do: the peer is on its way out.
        let _ = self.stream.write(bytes);
    }

    /// Reads what is there; whether that makes at least `len` bytes.
    pub fn has(&mut self, len: usize) -> bool {
        let mut room = [0; 65536];
        while self.end.is_none() && self.got.len() < len {
            match self.stream.read(&mut room) {
                Ok(0) => self.end = Some(End::Fin),
                Ok(count) => self.got.extend_from_slice(&room[..count]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                // Windows tells some resets as the system's own decision.
                Err(error) if is_reset(error.kind()) => {
                    self.end = Some(End::Reset);
                }
                Err(error) => panic!("a peer's read failed: {error}"),
            }
        }
        self.got.len() >= len
    }

    /// Ends the write side.
    pub fn fin(&self) {
        self.stream.shutdown(Shutdown::Write).expect("a peer ends its writing");
    }

    /// Sends a byte of urgent data.
    pub fn urgent(&self, byte: u8) {
        SockRef::from(&self.stream).send_out_of_band(&[byte]).expect("a byte fits");
    }

    /// Closes with RST.
    pub fn reset(self) {
        SockRef::from(&self.stream).set_linger(Some(Duration::ZERO)).expect("linger is set");
    }

    /// The socket for a thread of its own, blocking.
    pub fn into_stream(self) -> TcpStream {
        self.stream.set_nonblocking(false).expect("a socket may block");
        self.stream.set_read_timeout(Some(DEADLINE)).expect("a socket has timeouts");
        self.stream.set_write_timeout(Some(DEADLINE)).expect("a socket has timeouts");
        self.stream
    }

    /// The address of its own side.
    pub fn address(&self) -> SocketAddr {
        self.stream.local_addr().expect("a socket has an address")
    }
}

impl From<TcpStream> for Peer {
    fn from(stream: TcpStream) -> Peer {
        stream.set_nonblocking(true).expect("a socket need not block");
        // A local socket has nothing to delay, and says so.
        let _ = stream.set_nodelay(true);
        Peer { stream, got: Vec::new(), end: None }
    }
}

//! A raw peer: a plain non-blocking socket of the system, without anything of ours. Where the
//! endpoints of a test have a layer, the peer speaks it too (`veil.rs`).

use super::DEADLINE;
use super::veil::{self, Veil};
use socket2::SockRef;
use sockeye::session::Side;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
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
    /// Bytes that the system has taken, but for those of a layer.
    written: u64,
    /// Of a test with layers.
    veil: Option<Arc<Mutex<Veil>>>,
}

impl Peer {
    pub fn connect(port: u16) -> Peer {
        Peer::connect_to(SocketAddr::from(([127, 0, 0, 1], port)))
    }

    pub fn connect_to(address: SocketAddr) -> Peer {
        let stream = TcpStream::connect_timeout(&address, DEADLINE).expect("a peer connects");
        Peer::new(stream, Side::Connected)
    }

    /// One whose socket has connected, and may have written something in front of its layer.
    pub fn begun(stream: TcpStream) -> Peer {
        Peer::new(stream, Side::Connected)
    }

    fn new(stream: TcpStream, side: Side) -> Peer {
        stream.set_nonblocking(true).expect("a socket need not block");
        // A local socket has nothing to delay, and says so.
        let _ = stream.set_nodelay(true);
        let veil = veil::for_peer(&stream, side);
        Peer { stream, got: Vec::new(), end: None, written: 0, veil }
    }

    fn veil(&self) -> Option<MutexGuard<'_, Veil>> {
        self.veil.as_ref().map(|veil| veil.lock().expect("no peer panics with it"))
    }

    /// Writes all of a few bytes, which the system's buffer always takes.
    pub fn put(&mut self, bytes: &[u8]) {
        assert_eq!(self.offer(bytes), bytes.len(), "a small write is taken whole");
    }

    /// Writes what the system takes now.
    pub fn offer(&mut self, bytes: &[u8]) -> usize {
        if let Some(mut veil) = self.veil() {
            return veil.offer(bytes).expect("a peer's write is taken");
        }
        match self.stream.write(bytes) {
            Ok(taken) => {
                self.written += taken as u64;
                taken
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
            Err(error) => panic!("a peer's write failed: {error}"),
        }
    }

    /// Bytes that the system has taken, those of a layer included.
    pub fn written(&self) -> u64 {
        self.veil().map_or(self.written, |veil| veil.written())
    }

    /// Whether its layer is open, if it has one.
    pub fn is_open(&self) -> bool {
        self.veil().is_none_or(|veil| veil.is_open())
    }

    /// Writes to a connection that may have been reset; that is found out by reading.
    pub fn try_offer(&mut self, bytes: &[u8]) {
        // A refusal leaves nothing to do: the peer is on its way out.
        let _ = match self.veil() {
            Some(mut veil) => veil.offer(bytes),
            None => (&self.stream).write(bytes),
        };
    }

    /// Reads what is there; whether that makes at least `len` bytes.
    pub fn has(&mut self, len: usize) -> bool {
        let mut room = [0; 65536];
        while self.end.is_none() && self.got.len() < len {
            let read = match &self.veil {
                Some(veil) => veil.lock().expect("no peer panics with it").read(&mut self.got),
                None => self.stream.read(&mut room).inspect(|&count| {
                    self.got.extend_from_slice(&room[..count]);
                }),
            };
            match read {
                Ok(0) => self.end = Some(End::Fin),
                Ok(_) => {}
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
        match self.veil() {
            Some(mut veil) => veil.end(),
            None => self.stream.shutdown(Shutdown::Write).expect("a peer ends its writing"),
        }
    }

    /// Sends a byte of urgent data.
    pub fn urgent(&self, byte: u8) {
        SockRef::from(&self.stream).send_out_of_band(&[byte]).expect("a byte fits");
    }

    /// Closes with RST.
    pub fn reset(self) {
        if let Some(mut veil) = self.veil() {
            veil.cut();
        }
        SockRef::from(&self.stream).set_linger(Some(Duration::ZERO)).expect("linger is set");
    }

    /// Its layer says no goodbye.
    pub fn cut(&self) {
        self.veil().expect("a test with layers").cut();
    }

    /// Whether the other end's layer has said goodbye.
    pub fn was_left_in_order(&self) -> bool {
        self.veil().expect("a test with layers").was_left_in_order()
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
    /// A peer that was connected to.
    fn from(stream: TcpStream) -> Peer {
        Peer::new(stream, Side::Accepted)
    }
}

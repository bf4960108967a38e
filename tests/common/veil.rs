//! The layer at the other end: a raw peer's bytes go through it both ways, by hand.

use super::pad::Pad;
use sockeye::buf::{Pool, Slice, Train};
use sockeye::engine::layer_of_tests;
use sockeye::session::{Layer, Plain, Side, State};
use std::cell::RefCell;
use std::io::{Error, ErrorKind, Read, Result, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Mutex, Weak};

/// Time does not matter to it: it says nothing by itself.
const NOW: u64 = 0;
/// What a test may write before the layer is open.
const EARLY_MAX: usize = 64 << 10;

/// A socket with a layer.
pub struct Veil {
    stream: TcpStream,
    pad: Pad,
    pool: Pool,
    /// Plaintext that waits for the layer to open.
    early: Vec<u8>,
    /// To be written.
    wire: Vec<u8>,
    /// Received, and not taken.
    plain: Vec<u8>,
    /// The write side ends once all is written.
    ends: bool,
    ended: bool,
    written: u64,
    left: bool,
}

thread_local! {
    /// Those that may still have to open.
    static OPENING: RefCell<Vec<Weak<Mutex<Veil>>>> = const { RefCell::new(Vec::new()) };
}

/// What a peer needs in a test with layers.
pub fn for_peer(stream: &TcpStream, side: Side) -> Option<Arc<Mutex<Veil>>> {
    layer_of_tests()?;
    let veil = Arc::new(Mutex::new(Veil {
        stream: stream.try_clone().expect("a socket can be had twice"),
        pad: Pad::new(side),
        pool: Pool::new(64 << 20),
        early: Vec::new(),
        wire: Vec::new(),
        plain: Vec::new(),
        ends: false,
        ended: false,
        written: 0,
        left: false,
    }));
    OPENING.with_borrow_mut(|all| all.push(Arc::downgrade(&veil)));
    open_all();
    Some(veil)
}

/// Goes on with what the peers of this thread have to do to open. A host calls it in every step.
pub fn open_all() {
    OPENING.with_borrow_mut(|all| {
        all.retain(|veil| {
            veil.upgrade().is_some_and(|veil| veil.lock().expect("no peer panics with it").open())
        });
    });
}

impl Veil {
    /// Goes on opening. False: nothing more is to be done for that.
    fn open(&mut self) -> bool {
        if self.pad.state() == State::Opening && self.flush().is_ok() {
            // What else there is to be read, a reset say, is found by who reads.
            let _ = self.receive();
        }
        let _ = self.flush();
        self.pad.state() == State::Opening || !self.wire.is_empty()
    }

    /// Writes plaintext, as much as the system takes now.
    pub fn offer(&mut self, bytes: &[u8]) -> Result<usize> {
        self.flush()?;
        if self.pad.state() == State::Opening {
            let taken = bytes.len().min(EARLY_MAX - self.early.len());
            self.early.extend_from_slice(&bytes[..taken]);
            return Ok(taken);
        }
        let mut taken = 0;
        while taken < bytes.len() && self.wire.is_empty() {
            taken += self.seal(&bytes[taken..]);
            self.flush()?;
        }
        Ok(taken)
    }

    /// Makes wire bytes of what the layer has to say and of some plaintext; of how much.
    fn seal(&mut self, plain: &[u8]) -> usize {
        let mut train = Train::default();
        if !plain.is_empty() {
            let piece = &plain[..plain.len().min(32 << 10)];
            train.push(self.pool.take(piece.len()).expect("memory").write(piece));
        }
        let mut wire = Train::default();
        let taken = self.pad.poll_wire(&train, &mut wire, &self.pool, NOW).expect("memory");
        wire.slices().for_each(|slice| self.wire.extend_from_slice(slice));
        taken
    }

    /// Writes what the system takes, and ends the write side behind it.
    fn flush(&mut self) -> Result<()> {
        loop {
            if self.wire.is_empty() {
                let early = std::mem::take(&mut self.early);
                let opening = self.pad.state() == State::Opening;
                let taken = self.seal(if opening { &[] } else { &early });
                self.early = early[taken..].to_vec();
            }
            if self.wire.is_empty() {
                break;
            }
            match self.stream.write(&self.wire) {
                Ok(count) => {
                    self.wire.drain(..count);
                    self.written += count as u64;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        if self.ends && !self.ended && self.pad.state() != State::Opening {
            self.pad.end();
            self.seal(&[]);
            // A goodbye of a few bytes is taken.
            self.stream.write_all(&std::mem::take(&mut self.wire))?;
            self.stream.shutdown(Shutdown::Write)?;
            self.ended = true;
        }
        Ok(())
    }

    /// Reads once; 0 is the end.
    fn receive(&mut self) -> Result<usize> {
        let mut room = [0; 65536];
        let count = self.stream.read(&mut room)?;
        let slice = match count {
            0 => Slice::default(),
            _ => self.pool.take(count).expect("memory").write(&room[..count]),
        };
        self.pad.handle_received(slice, NOW);
        loop {
            match self.pad.poll_plain(&self.pool, NOW) {
                Plain::Nothing => break,
                Plain::End => self.left = true,
                Plain::Bytes(data) => self.plain.extend_from_slice(&data),
                Plain::Message { .. } => panic!("the layer of tests knows no messages"),
                Plain::Starved(_) => panic!("there is memory"),
                Plain::Broken(cause) => panic!("the host's end broke the layer: {cause:?}"),
            }
        }
        Ok(count)
    }

    /// Reads what is there once, behind `got`; 0 is the end.
    pub fn read(&mut self, got: &mut Vec<u8>) -> Result<usize> {
        let count = if self.plain.is_empty() { self.receive()? } else { self.plain.len() };
        got.append(&mut self.plain);
        // A write that fails is found by the next read.
        let _ = self.flush();
        Ok(count)
    }

    /// Bytes that the system has taken.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Whether plaintext goes both ways.
    pub fn is_open(&self) -> bool {
        self.pad.state() != State::Opening
    }

    /// Whether the other end has said goodbye.
    pub fn was_left_in_order(&self) -> bool {
        self.left
    }

    /// Says no goodbye.
    pub fn cut(&mut self) {
        self.ended = true;
    }

    /// Ends the write side.
    pub fn end(&mut self) {
        self.ends = true;
        match self.flush() {
            Err(error) if error.kind() != ErrorKind::NotConnected => {
                panic!("a peer ends its writing: {}", Error::from(error.kind()))
            }
            _ => {}
        }
    }
}

impl Drop for Veil {
    /// A socket that is closed ends its stream, behind a goodbye.
    fn drop(&mut self) {
        if !self.ended && self.is_open() && !std::thread::panicking() {
            self.ends = true;
            // The other end may be gone.
            let _ = self.flush();
        }
    }
}

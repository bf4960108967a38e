//! Servers in this process: honest, and not.

use bench::load::clock;
use bench::pattern::broadcast;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

/// What becomes of the message with this number on its connection; false: it is lost.
pub type Change = fn(u64, &mut Vec<u8>) -> bool;

pub const HONEST: Change = |_, _| true;

/// Sends messages back.
pub struct Echo {
    pub port: u16,
    pub state: Arc<State>,
}

/// What the server did, and what it may do.
pub struct State {
    change: Change,
    /// How many messages it may still send back.
    permits: Mutex<u64>,
    permitted: Condvar,
    /// Messages that arrived, and connections on which some did.
    pub arrived: AtomicU64,
    pub used: AtomicU64,
    /// Connections that ended in the ordinary way, and those that the server closed.
    pub ended: AtomicU64,
    pub closed: AtomicU64,
    /// It closes after the answer that it gives next.
    closes: AtomicBool,
}

impl Echo {
    pub fn start(change: Change, permits: u64) -> Self {
        let door = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = door.local_addr().unwrap().port();
        let zero = || AtomicU64::new(0);
        let (arrived, used, ended, closed) = (zero(), zero(), zero(), zero());
        let (permits, permitted) = (Mutex::new(permits), Condvar::new());
        let closes = AtomicBool::new(false);
        let state = State { change, permits, permitted, arrived, used, ended, closed, closes };
        let state = Arc::new(state);
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for stream in door.incoming() {
                let (stream, state) = (stream.unwrap(), Arc::clone(&shared));
                thread::spawn(move || state.serve(stream));
            }
        });
        Self { port, state }
    }

    pub fn honest() -> Self {
        Self::start(HONEST, u64::MAX)
    }

    /// Lets it send so many messages more, or all.
    pub fn permit(&self, count: u64) {
        let mut permits = self.state.permits.lock().unwrap();
        *permits = permits.saturating_add(count);
        self.state.permitted.notify_all();
    }

    pub fn hold(&self) {
        *self.state.permits.lock().unwrap() = 0;
    }

    pub fn close_after_one(&self) {
        self.state.closes.store(true, Ordering::SeqCst);
    }

    pub fn arrived(&self) -> u64 {
        self.state.arrived.load(Ordering::SeqCst)
    }
}

impl State {
    /// Until its end or a failure; then the load generator is gone.
    fn serve(&self, mut stream: TcpStream) {
        stream.set_nodelay(true).unwrap();
        for number in 0.. {
            let mut message = vec![0; 4];
            match stream.read(&mut message) {
                Ok(0) => {
                    self.ended.fetch_add(1, Ordering::SeqCst);
                    return;
                }
                Ok(count) if stream.read_exact(&mut message[count..]).is_ok() => {}
                _ => return,
            }
            let length = u32::from_be_bytes(message[..4].try_into().unwrap());
            message.resize(4 + length as usize, 0);
            if stream.read_exact(&mut message[4..]).is_err() {
                return;
            }
            self.arrived.fetch_add(1, Ordering::SeqCst);
            if number == 0 {
                self.used.fetch_add(1, Ordering::SeqCst);
            }
            self.await_permit();
            if (self.change)(number, &mut message) && stream.write_all(&message).is_err() {
                return;
            }
            if self.closes.load(Ordering::SeqCst) {
                drop(stream);
                self.closed.fetch_add(1, Ordering::SeqCst);
                return;
            }
        }
    }

    fn await_permit(&self) {
        let permits = self.permits.lock().unwrap();
        let mut permits = self.permitted.wait_while(permits, |permits| *permits == 0).unwrap();
        if *permits < u64::MAX {
            *permits -= 1;
        }
    }
}

/// A connection's number, a message's number, and the message; false: it is lost.
pub type Alter = fn(usize, u64, &mut [u8]) -> bool;

/// Sends messages to all.
pub struct Broadcast {
    pub port: u16,
    /// Messages that connections missed because they did not read.
    pub missed: Arc<AtomicU64>,
}

/// Of the ticks, and messages in each.
pub const PERIOD: Duration = Duration::from_millis(5);
pub const BURST: u64 = 4;
/// With more than this unwritten a connection misses messages.
const UNWRITTEN: usize = 256 * 1024;

/// What it does about connections that do not read.
#[derive(Clone, Copy, PartialEq)]
pub enum Unread {
    /// There is no tick until all is written.
    Waits,
    /// They miss messages.
    Misses,
}

/// A connection, and what its socket had no room for.
struct Conn {
    stream: TcpStream,
    unwritten: Vec<u8>,
}

impl Conn {
    /// False: the connection is gone.
    fn write(&mut self) -> bool {
        match self.stream.write(&self.unwritten) {
            Ok(count) => drop(self.unwritten.drain(..count)),
            Err(error) => return error.kind() == ErrorKind::WouldBlock,
        }
        true
    }
}

impl Broadcast {
    /// Serves so many connections, from the moment when all are there.
    pub fn start(conns: usize, size: usize, unread: Unread, alter: Alter) -> Self {
        let door = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = door.local_addr().unwrap().port();
        let missed = Arc::new(AtomicU64::new(0));
        let shared = Arc::clone(&missed);
        thread::spawn(move || {
            let accepted = door.incoming().take(conns).map(Result::unwrap);
            let mut conns: Vec<Conn> =
                accepted.map(|stream| Conn { stream, unwritten: Vec::new() }).collect();
            conns.iter().for_each(|conn| conn.stream.set_nonblocking(true).unwrap());
            let mut tick = 0;
            while conns.iter_mut().all(Conn::write) {
                let written = conns.iter().all(|conn| conn.unwritten.is_empty());
                if written || unread == Unread::Misses {
                    prepare(tick, size, &mut conns, alter, &missed);
                    tick += 1;
                }
                // The pace of the ticks.
                thread::sleep(PERIOD);
            }
        });
        Self { port, missed: shared }
    }
}

/// Makes the messages of a tick.
fn prepare(tick: u64, size: usize, conns: &mut [Conn], alter: Alter, missed: &AtomicU64) {
    let time = clock::now();
    // Who misses a tick misses all of it.
    let slow: Vec<bool> = conns.iter().map(|conn| conn.unwritten.len() > UNWRITTEN).collect();
    for sequence in tick * BURST..(tick + 1) * BURST {
        for (n, conn) in conns.iter_mut().enumerate() {
            let mut message = vec![0; size];
            broadcast::write(sequence, time, &mut message);
            if slow[n] {
                missed.fetch_add(1, Ordering::SeqCst);
            } else if alter(n, sequence, &mut message) {
                conn.unwritten.extend_from_slice(&message);
            }
        }
    }
}

/// Sends datagrams back; they are counted over all clients. It ends with the test's process.
pub fn datagrams(change: Change) -> u16 {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = socket.local_addr().unwrap().port();
    thread::spawn(move || {
        let mut buffer = vec![0; 65_536];
        for number in 0.. {
            let (count, sender) = socket.recv_from(&mut buffer).unwrap();
            let mut message = buffer[..count].to_vec();
            if change(number, &mut message) {
                // There may be no room at the other end, or nobody.
                drop(socket.send_to(&message, sender));
            }
        }
    });
    port
}

/// Closes each connection as soon as it is there.
pub fn closing() -> u16 {
    let door = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = door.local_addr().unwrap().port();
    thread::spawn(move || door.incoming().for_each(drop));
    port
}

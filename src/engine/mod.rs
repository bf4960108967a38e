//! Nets: workers, queues and every listener and connection in them. The one place where a
//! completion meets a session. Read `worker.rs` first.

mod baton;
mod callback;
mod calls;
mod config;
mod conn;
mod crew;
mod desk;
mod doors;
mod error;
mod events;
mod facts;
mod hook;
mod inbox;
pub mod kept;
mod late;
mod log;
mod memory;
mod moves;
mod net;
mod places;
mod port;
mod quiet;
mod race;
mod resolve;
mod roam;
mod sends;
mod stop;
mod table;
mod tags;
mod tend;
#[cfg(test)]
mod tests;
pub mod timers;
mod url;
mod worker;
mod zone;

pub use crate::io::datagram::ADDRESS_BYTES;
pub use crate::io::model::{Model, probe};
pub use crate::io::op::Token;
pub use crate::io::os::sys::uncancelled;
pub use crate::session::{Cause, Framing, FramingKind, Limits, Overflow};
pub use callback::Receiver;
pub use config::{CloseHow, Config, Drive, Endpoint, Flush, Kind, SocketOptions};
pub use error::{Error, Refusal};
pub use events::{Event, Handed, Notice};
pub use facts::{ConnInfo, ConnStats, ListenerInfo, NetInfo, NetStats};
pub use log::{Level, Sink};
pub use net::Net;
pub use port::Target;
pub use sends::Message;
pub use zone::parse_address;

use crate::buf::{Pool, Purpose};
use crate::io::os::sys;
use crate::session::Millis;
use crew::Crew;
use events::Queue;
use inbox::Home;
use parking_lot::{Condvar, Mutex};
use socket2::{SockAddr, Socket, Type};
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering::*};
use std::sync::{OnceLock, Weak};
use std::time::{Duration, Instant};
use table::{Entry, Held, Table};
use tags::Tag;

/// Calls are taken.
const RUNNING: u8 = 0;
/// Shutdown was called; workers close what is there.
const STOPPING: u8 = 1;
/// Workers leave.
const ENDED: u8 = 2;
/// They have left, and all is in the queues that will ever be.
const OVER: u8 = 3;

/// What the host's calls and the workers share. Lock order: baton, slot, then one of inbox, queue,
/// pool and free list. Calls of the host only try a baton, shutdown excepted.
pub struct Core {
    config: Config,
    table: Table,
    queues: Box<[Queue]>,
    /// One for each worker there may be.
    homes: Box<[Home]>,
    /// So many of the workers stay; others come and go.
    base: usize,
    /// Sockets that one of them can watch.
    sockets_max: usize,
    crew: OnceLock<Weak<Crew>>,
    pool: Pool,
    clock: Instant,
    state: AtomicU8,
    /// A worker had a fault.
    panicked: AtomicBool,
    /// Some connection has lived with a worker that does not serve its queue.
    abroad: AtomicBool,
    /// Workers reap from one place, and connections go with what is reaped.
    roams: bool,
    log: log::Log,
    names: resolve::Resolver,
    pressure: memory::Pressure,
    /// Told when a socket is gone while the net stops.
    gone: (Mutex<()>, Condvar),
}

/// Whether the process is at its end and a net's threads are gone, in the middle of what they did:
/// nothing of a net may be touched any more, or waited for.
pub fn process_ends() -> bool {
    sys::process_ends()
}

impl Core {
    fn new(
        config: Config,
        tag: Tag,
        base: usize,
        homes: usize,
        sockets_max: Option<u32>,
        roams: bool,
    ) -> Core {
        let queue = |home| Queue::new(home, config.queue_max_bytes, config.memory_max_bytes);
        let pool = Pool::new(config.memory_max_bytes);
        Core {
            table: Table::new(config.connections_max, tag),
            queues: (0..config.queues as usize).map(queue).collect(),
            homes: crew::homes(&pool, base, homes),
            base,
            sockets_max: sockets_max.map_or(usize::MAX, |most| most as usize),
            crew: OnceLock::new(),
            pool,
            clock: Instant::now(),
            state: AtomicU8::new(RUNNING),
            panicked: AtomicBool::new(false),
            abroad: AtomicBool::new(roams),
            roams,
            log: log::Log::default(),
            names: resolve::Resolver::default(),
            pressure: memory::Pressure::default(),
            gone: (Mutex::new(()), Condvar::new()),
            config,
        }
    }

    fn is_running(&self) -> bool {
        self.state.load(SeqCst) == RUNNING
    }

    fn has_ended(&self) -> bool {
        self.state.load(SeqCst) >= ENDED
    }

    fn is_over(&self) -> bool {
        self.state.load(SeqCst) == OVER
    }

    fn is_manual(&self) -> bool {
        self.config.flush == Flush::Manual
    }

    /// The net's clock, never 0.
    fn now(&self) -> Millis {
        #[cfg(test)]
        if let Some(now) = tests::now() {
            return now;
        }
        self.clock.elapsed().as_millis() as Millis + 1
    }

    fn nanos(&self) -> i64 {
        self.clock.elapsed().as_nanos() as i64
    }

    fn lease_nanos(&self) -> i64 {
        i64::from(self.config.lease_us) * 1000
    }

    fn gather(&self) -> Duration {
        Duration::from_micros(u64::from(self.config.gather_us))
    }

    fn spin(&self) -> Duration {
        Duration::from_micros(u64::from(self.config.spin_us))
    }

    /// Somebody waits for a queue, and has said so: its workers come back to their sockets.
    fn nobody_rests(&self, queue: &Queue) {
        if self.config.gather_us == 0 {
            return;
        }
        for home in self.homes.iter().skip(queue.home).step_by(self.queues.len()) {
            if home.owner.load(SeqCst) == inbox::RESTING {
                home.call_backstop();
            }
        }
    }

    /// Puts something in the table that has its place with a worker. None: the table is full, and
    /// the place is given back.
    fn insert(&self, entry: Entry, user_data: u64, home: usize) -> Option<Token> {
        let token = self.table.insert(entry, user_data);
        if token.is_none() {
            self.move_out(home);
        }
        token
    }

    /// A socket of this worker is closed.
    fn gone(&self, home: usize) {
        self.move_out(home);
        if !self.is_running() && self.homes[home].population() == 0 {
            let _held = self.gone.0.lock();
            self.gone.1.notify_all();
        }
    }

    /// Runs `work` with the socket of a connection or listener, if it has one.
    fn with_socket<T>(&self, token: Token, work: impl FnOnce(&Socket) -> T) -> Option<T> {
        let mut held = self.table.hold(token)?;
        if let Some(listener) = held.listener() {
            return listener.socket.as_ref().map(work);
        }
        if let Some(port) = held.port() {
            return port.socket.as_ref().map(work);
        }
        held.conn()?.socket.as_ref().map(work)
    }

    /// The batch with a connection's CLOSED is over. Its slot is free when the socket is gone too.
    fn conn_ended(&self, token: Token) {
        let Some(mut held) = self.table.hold(token) else { return };
        if held.port().is_some() {
            return self.table.free(token, held);
        }
        let Some(conn) = held.conn() else { return };
        conn.ended = true;
        if conn.joined {
            return self.table.free(token, held);
        }
        if conn.end == conn::End::Peer {
            let home = usize::from(conn.home);
            self.summon(token, held, home);
        }
    }

    /// Another worker has told, or lost, a connection that this listener handed to it.
    fn handed_told(&self, token: Token) {
        let Some(mut held) = self.table.hold(token) else { return };
        let Some(listener) = held.listener() else { return };
        listener.handed -= 1;
        if listener.handed == 0 && listener.closing.is_some() {
            let home = usize::from(listener.home);
            self.summon(token, held, home);
        }
    }

    /// Has its worker look at a connection, a listener or a port.
    fn summon(&self, token: Token, held: Held<'_>, home: usize) {
        let needed = held.summon();
        drop(held);
        if needed {
            self.homes[home].post(inbox::Command::Tend(token));
        }
    }

    /// Has its worker look at it when there is memory again.
    fn thirst(&self, token: Token, home: usize) {
        if self.table.thirst(token) {
            self.homes[home].thirst(token.index() as u32);
        }
    }

    /// As `thirst`, for what was refused: so many bytes for a purpose. The caller tries once more
    /// afterwards.
    fn thirst_for(&self, token: Token, home: usize, bytes: usize, purpose: Purpose) {
        self.thirst(token, home);
        self.pool.thirst_for(bytes, purpose);
    }

    /// The batch with a listener's LISTENER_CLOSED is over; its socket was gone before.
    fn listener_ended(&self, token: Token) {
        if let Some(held) = self.table.hold(token) {
            self.table.free(token, held);
        }
    }

    /// A socket to connect with.
    fn new_socket(&self, address: &SockAddr, options: &SocketOptions) -> std::io::Result<Socket> {
        let socket = sys::socket(address.domain(), Type::STREAM)?;
        self.set_options(&socket, options);
        sys::prepare_connect(&socket, address);
        Ok(socket)
    }

    /// Sets what can be set; a system that refuses one of them still has a socket that works.
    fn set_options(&self, socket: &Socket, options: &SocketOptions) {
        if options.nodelay {
            let _ = socket.set_tcp_nodelay(true);
        }
        if options.keepalive_s > 0 {
            let time = Duration::from_secs(u64::from(options.keepalive_s));
            let _ = socket.set_tcp_keepalive(&sys::keepalive(time));
        }
        if options.recv_buffer_bytes > 0 {
            let _ = socket.set_recv_buffer_size(options.recv_buffer_bytes as usize);
        }
        if options.send_buffer_bytes > 0 {
            let _ = socket.set_send_buffer_size(options.send_buffer_bytes as usize);
        }
    }
}

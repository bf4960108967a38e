//! What the host's calls and the workers share.

use crate::buf::{Condvar, HEAP, Mutex, Pool, Purpose, heap, rank};
use crate::engine::shared::config::{Config, Flush};
use crate::engine::shared::conn::{Conn, End, Moving, Report};
use crate::engine::shared::crew::Crew;
use crate::engine::shared::groups::Groups;
use crate::engine::shared::guard::Guard;
use crate::engine::shared::histogram::Histograms;
use crate::engine::shared::home::{self, Command, Home};
use crate::engine::shared::host_timers::HostTimers;
use crate::engine::shared::log;
use crate::engine::shared::pressure::Pressure;
use crate::engine::shared::queue::Queue;
use crate::engine::shared::resolve;
use crate::engine::shared::table::{Held, Resident, Table};
use crate::engine::shared::tags::Tag;
use crate::engine::shared::waiter::Owner;
use crate::io::os::sys;
use crate::io::{Token, Weather};
use crate::session::Millis;
use socket2::Socket;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering::*};
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};

/// Longest wait between two looks at what is left.
pub const LOOK: Duration = Duration::from_millis(10);

/// Calls are taken.
pub const RUNNING: u8 = 0;
/// Shutdown was called; workers close what is there.
pub const STOPPING: u8 = 1;
/// Workers leave.
pub const ENDED: u8 = 2;
/// They have left, and all is in the queues that will ever be.
pub const OVER: u8 = 3;

/// What the host's calls and the workers share. The order of its locks is that of `buf::rank`;
/// calls of the host only try a baton, shutdown excepted.
pub struct Core {
    pub config: Config,
    pub table: Table,
    pub queues: Box<[Queue]>,
    /// One for each worker there may be.
    pub homes: Box<[Home]>,
    /// So many of the workers stay; others come and go.
    pub base: usize,
    /// Sockets that one of them can watch.
    pub sockets_max: usize,
    pub crew: OnceLock<Weak<dyn Crew>>,
    pub pool: Pool,
    pub clock: Instant,
    pub state: AtomicU8,
    /// A worker had a fault.
    pub panicked: AtomicBool,
    /// Some connection has lived with a worker that does not serve its queue.
    pub abroad: AtomicBool,
    /// Workers reap from one place, and connections go with what is reaped.
    pub roams: bool,
    pub log: log::Log,
    /// What is done to the bytes of all that have nothing of their own (`config.taps`).
    pub weather: Mutex<rank::Weather, Option<Arc<Weather>>>,
    pub names: resolve::Resolver,
    pub pressure: Pressure,
    pub host_timers: HostTimers,
    pub groups: Groups,
    /// Who may come in.
    pub guard: Guard,
    /// Where latencies are counted (`config.histograms`).
    pub histograms: Option<Box<Histograms>>,
    /// Notified when a socket is gone while the net stops.
    pub emptied: (Mutex<rank::Gone, ()>, Condvar),
}

/// What the net's clock that counts milliseconds shows, so long after it began.
pub fn millis(elapsed: Duration) -> Millis {
    elapsed.as_millis() as Millis + 1
}

impl Core {
    pub fn new(
        config: Config,
        tag: Tag,
        base: usize,
        homes: usize,
        sockets_max: Option<u32>,
        roams: bool,
    ) -> Core {
        let queue = |home| Queue::new(home, config.queue_max_bytes, config.memory_max_bytes);
        let mapper = if heap::is_of_host() { HEAP } else { sys::MAPPER };
        let pool = Pool::mapping(config.memory_max_bytes, mapper);
        let host_timers = HostTimers::new(config.timers_max, config.queues as usize, tag.first);
        let slots = config.connections_max + config.lingering_max();
        let groups = Groups::new(config.groups_max, config.conn_groups_max, slots, base, tag.first);
        let histograms = (config.histograms)
            .then(|| Box::new(Histograms::new(config.queues as usize, homes, slots as usize)));
        Core {
            table: Table::new(config.connections_max, config.lingering_max(), tag),
            queues: (0..config.queues as usize).map(queue).collect(),
            homes: home::homes(&pool, base, homes),
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
            weather: Mutex::default(),
            names: resolve::Resolver::default(),
            pressure: Pressure::default(),
            emptied: (Mutex::new(()), Condvar::new()),
            host_timers,
            groups,
            guard: Guard::default(),
            histograms,
            config,
        }
    }

    pub fn is_running(&self) -> bool {
        self.state.load(SeqCst) == RUNNING
    }

    pub fn has_ended(&self) -> bool {
        self.state.load(SeqCst) >= ENDED
    }

    pub fn is_over(&self) -> bool {
        self.state.load(SeqCst) == OVER
    }

    pub fn is_manual(&self) -> bool {
        self.config.flush == Flush::Manual
    }

    /// The net's clock, never 0.
    pub fn now(&self) -> Millis {
        millis(self.elapsed())
    }

    /// Since the net's clock began.
    pub fn elapsed(&self) -> Duration {
        #[cfg(test)]
        if let Some(now) = crate::engine::tests::now() {
            let micros = crate::engine::tests::micros();
            return Duration::from_micros(now.saturating_sub(1) * 1000 + micros);
        }
        self.clock.elapsed()
    }

    pub fn nanos(&self) -> i64 {
        self.clock.elapsed().as_nanos() as i64
    }

    pub fn lease_nanos(&self) -> i64 {
        i64::from(self.config.lease_us) * 1000
    }

    pub fn gather(&self) -> Duration {
        Duration::from_micros(u64::from(self.config.gather_us))
    }

    pub fn spin(&self) -> Duration {
        Duration::from_micros(u64::from(self.config.spin_us))
    }

    /// A poll waits for a queue, and has registered: its workers return to their sockets.
    pub fn nobody_rests(&self, queue: &Queue) {
        if self.config.gather_us == 0 {
            return;
        }
        for home in self.homes.iter().skip(queue.home).step_by(self.queues.len()) {
            if home.owner.get() == Owner::Resting {
                home.call_backstop();
            }
        }
    }

    /// Puts something in the table that has its place with a worker. None: the table is full, and
    /// the place is given back.
    pub fn insert(&self, entry: Resident, user_data: u64, home: usize) -> Option<Token> {
        let token = self.table.insert(entry, user_data);
        match (token, &self.histograms) {
            (None, _) => self.move_out(home),
            (Some(token), Some(histograms)) => histograms.begin(token.index()),
            (Some(_), None) => {}
        }
        token
    }

    /// A message was put into the outbox of a connection, whose slot is locked. `since`: when the
    /// host gave it, if that was before.
    #[inline]
    pub fn note_send(&self, token: Token, since: Option<Duration>) {
        if let Some(histograms) = &self.histograms {
            histograms.sent(token.index(), || since.unwrap_or_else(|| self.elapsed()));
        }
    }

    /// A socket of this worker is closed.
    pub fn socket_closed(&self, home: usize) {
        self.move_out(home);
        if !self.is_running() && self.homes[home].population() == 0 {
            let _held = self.emptied.0.lock();
            self.emptied.1.notify_all();
        }
    }

    /// Runs `work` with the socket of a connection or listener, if it has one.
    pub fn with_socket<T>(&self, token: Token, work: impl FnOnce(&Socket) -> T) -> Option<T> {
        let mut held = self.table.hold(token)?;
        let link = match held.resident() {
            Resident::Conn(conn) => &conn.link,
            Resident::Listener(listener) => &listener.link,
            Resident::Datagram(udp) => &udp.link,
            Resident::Free => return None,
        };
        link.socket().map(work)
    }

    /// What is done to a socket's bytes.
    pub fn weather_of(&self, token: Token) -> Option<Arc<Weather>> {
        let mut held = self.table.hold(token)?;
        let own = match held.resident() {
            Resident::Conn(conn) => {
                let origin = conn.endpoint.weather();
                conn.weather().cloned().or_else(|| origin.lock().clone())
            }
            Resident::Datagram(udp) => udp.weather.clone(),
            Resident::Listener(_) | Resident::Free => None,
        };
        own.or_else(|| self.weather.lock().clone())
    }

    /// The batch with a connection's CLOSED is over. Its slot is free when the socket is gone too.
    pub fn conn_ended(&self, token: Token) {
        let Some(mut held) = self.table.hold(token) else { return };
        if held.datagram().is_some() {
            return self.table.free(token, held);
        }
        let Some(conn) = held.conn() else { return };
        conn.life.report = Report::Over;
        if conn.link.is_joined() {
            return self.table.free(token, held);
        }
        if conn.life.end == End::Peer {
            let home = usize::from(conn.home);
            self.summon(token, held, home);
        }
    }

    /// The batch with the MOVED of a connection's old queue is over.
    pub fn conn_left(&self, token: Token) {
        let Some(mut held) = self.table.hold(token) else { return };
        let Some(conn) = held.conn() else { return };
        if conn.moving.stage == Moving::Left {
            conn.moving.stage = Moving::Due;
            let home = usize::from(conn.home);
            drop(held);
            self.homes[home].post(Command::Move(token));
        }
    }

    /// The home whose flush releases a connection's sends (MANUAL): a worker of its queue.
    pub fn stage_home(&self, conn: &Conn) -> usize {
        if conn.moving.abroad || self.roams {
            self.queues[usize::from(conn.queue)].home
        } else {
            conn.home.into()
        }
    }

    /// Another worker has reported, or lost, a connection that this listener handed to it.
    pub fn handed_told(&self, token: Token) {
        let Some(mut held) = self.table.hold(token) else { return };
        let Some(listener) = held.listener() else { return };
        let crowded = listener.is_crowded();
        listener.handed -= 1;
        let ends = listener.handed == 0 && listener.closing.is_some();
        if ends || crowded != listener.is_crowded() {
            let home = usize::from(listener.home);
            self.summon(token, held, home);
        }
    }

    /// Has its worker look at a connection, a listener or a udp.
    pub fn summon<'a>(&self, token: Token, held: impl Into<Held<'a>>, home: usize) {
        let held = held.into();
        let needed = held.summon();
        drop(held);
        if needed {
            self.homes[home].post(Command::Tend(token));
        }
    }

    /// Has its worker look at it when there is memory again.
    pub fn thirst(&self, token: Token, home: usize) {
        if self.table.thirst(token) {
            self.homes[home].thirst(token.index() as u32);
        }
    }

    /// As `thirst`, for what was refused: so many bytes for a purpose. The caller tries once more
    /// afterwards.
    pub fn thirst_for(&self, token: Token, home: usize, bytes: usize, purpose: Purpose) {
        self.thirst(token, home);
        self.pool.thirst_for(bytes, purpose);
    }

    /// The batch with a listener's LISTENER_CLOSED is over; its socket was gone before.
    pub fn listener_ended(&self, token: Token) {
        if let Some(held) = self.table.hold(token) {
            self.table.free(token, held);
        }
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        // Timers and groups have their generations beside those of the table, under the same tag.
        self.table.used_up_to(self.host_timers.highest());
        self.table.used_up_to(self.groups.highest());
    }
}

//! The desk of a worker: every decision of a turn. It knows no model; what it wants done it writes
//! down as orders. `tend.rs` is its other half: what to do next with one connection.

use super::Core;
use super::conn::{Conn, End, LaneState, Phase, linger};
use super::events::{Event, Notice};
use super::inbox::{Command, count};
use super::log::Level;
use super::table::Entry;
use super::timers::Timers;
use crate::buf::{Chunk, Release, Slice, Train};
use crate::io::os::sys;
use crate::io::{Accepted, Completion, Lane, Op, Outcome, Role, Token};
use crate::session::{Cause, Millis, Session};
use socket2::Socket;
use std::io;
use std::mem;
use std::sync::atomic::Ordering::*;

/// The first wait after an accept that failed for want of something, and the longest.
const ACCEPT_BACKOFF_MS: (Millis, Millis) = (100, 1000);

/// A gap between two turns after which peers are not late before they were read.
const CATCH_UP_MS: Millis = 1000;
/// Completions of a turn from which on more are likely to wait.
const BUSY: usize = 64;
/// Warnings come no faster, so that a storm of peers does not become one of lines.
const SAY_MS: Millis = 100;

/// How often room that was not used since goes back, and how much of it never does.
const SLIM: (Millis, usize) = (1000, 1024);

/// What the desk wants done by the model.
pub enum Order {
    Adopt(Token, Role),
    Submit(Token, Op),
    Cancel(Token),
    Release(Token, Socket),
    /// There is no socket to release.
    Join(Token),
}

/// See the module.
pub struct Desk {
    pub(super) home: usize,
    pub(super) queue: usize,
    /// Filled by the model, emptied by `apply`.
    pub done: Vec<Completion>,
    pub orders: Vec<Order>,
    /// Events of this turn, not yet published.
    pub(super) batch: Vec<Event>,
    /// Bytes they count for, and how many of them are messages.
    pub(super) batch_bytes: u64,
    pub(super) batch_messages: u64,
    /// Connections with input left over from their budget.
    pub(super) hungry: Vec<Token>,
    /// Connections and listeners that wait for the queue to be drained.
    pub(super) stalled: Vec<Token>,
    /// Listeners of other workers whose connections this turn tells.
    handed: Vec<Token>,
    commands: Vec<Command>,
    pub(super) timers: Timers,
    pub(super) now: Millis,
    /// A warning to be told, and when the last one was; 0: never.
    words: Option<String>,
    said: Millis,
    /// The longest list of any turn since the last slimming, and when that was.
    longest: usize,
    slimmed: Millis,
    /// When the sockets were last looked at.
    last_read: Millis,
    /// The process was stopped for a while: timers wait until what came meanwhile is read.
    catching_up: bool,
}

impl Desk {
    pub fn new(home: usize, queue: usize) -> Desk {
        Desk {
            home,
            queue,
            done: Vec::new(),
            orders: Vec::new(),
            batch: Vec::new(),
            batch_bytes: 0,
            batch_messages: 0,
            hungry: Vec::new(),
            stalled: Vec::new(),
            handed: Vec::new(),
            commands: Vec::new(),
            timers: Timers::default(),
            now: 0,
            words: None,
            said: 0,
            longest: 0,
            slimmed: 0,
            last_read: 0,
            catching_up: false,
        }
    }

    /// Whether nothing is left to do before the next wait.
    pub fn at_rest(&self) -> bool {
        self.done.is_empty()
            && self.orders.is_empty()
            && self.batch.is_empty()
            && self.hungry.is_empty()
            && self.handed.is_empty()
    }

    /// Has a warning told when no lock is held, at most one in `SAY_MS`.
    fn say(&mut self, words: impl FnOnce() -> String) {
        if self.said == 0 || self.said + SAY_MS <= self.now {
            self.said = self.now;
            self.words = Some(words());
        }
    }

    /// When the next deadline is due.
    pub fn next_timer(&self) -> Option<Millis> {
        self.timers.next()
    }

    #[inline(always)]
    pub(super) fn emit(&mut self, token: Token, notice: Notice) {
        let event = Event { token, notice };
        self.batch_bytes += event.cost();
        self.batch.push(event);
    }

    /// Takes what others asked for. The first step of a turn.
    pub fn take_commands(&mut self, core: &Core) {
        let home = &core.homes[self.home];
        let mut commands = mem::take(&mut self.commands);
        home.take(&mut commands);
        self.longest = self.longest.max(commands.len());
        if !commands.is_empty() || !self.hungry.is_empty() {
            self.now = core.now();
        }
        for command in commands.drain(..) {
            match command {
                Command::Adopt(token) => self.adopt(core, token),
                Command::Tend(token) => self.tend_flushed(core, token),
                Command::Resolved(token, found) => self.resolved(core, token, found),
                Command::Drained => {
                    for token in mem::take(&mut self.stalled) {
                        self.tend_stalled(core, token);
                    }
                }
                Command::Stop { abrupt } => self.stop(core, abrupt),
            }
        }
        self.commands = commands;
        for token in mem::take(&mut self.hungry) {
            self.tend_hungry(core, token);
        }
        if home.is_thirsty() {
            self.relieve(core);
        }
    }

    /// Looks at those that waited for memory, if there is some.
    fn relieve(&mut self, core: &Core) {
        // Thirst first: a block that comes back between the two rings the bell.
        core.pool.thirst();
        if core.pool.has_room(crate::buf::CHUNK_BYTES) {
            for token in core.homes[self.home].take_thirsty() {
                self.tend_hungry(core, token);
            }
        }
    }

    fn adopt(&mut self, core: &Core, token: Token) {
        let Some(mut held) = core.table.hold(token) else { return };
        let role = match held.conn() {
            None => Role::Listener,
            Some(conn) if conn.phase == Phase::Open => Role::Stream,
            Some(_) => Role::Connecting,
        };
        self.orders.push(Order::Adopt(token, role));
    }

    /// The model took the socket, or refused it.
    pub fn adopted(&mut self, core: &Core, token: Token, answer: io::Result<()>) {
        let Some(mut held) = core.table.hold(token) else { return };
        if let Some(listener) = held.listener() {
            listener.adopted = answer.is_ok();
            if let Err(error) = answer {
                listener.closing = Some(refusal(&error));
            }
            return self.tend_listener(core, token, listener);
        }
        let Some(conn) = held.conn() else { return };
        conn.adopted = answer.is_ok();
        if mem::take(&mut conn.handed) {
            self.handed.extend(conn.listener());
        }
        if let Err(error) = answer {
            let (cause, os_error) = refusal(&error);
            conn.end_abruptly(cause, os_error);
        } else if !core.is_running() {
            conn.end_abruptly(Cause::Shutdown, 0);
        } else if conn.phase == Phase::Connecting {
            self.start_connect(token, conn);
        } else if conn.end == End::Not {
            conn.announced = true;
            self.emit(token, Notice::Opened(conn.listener()));
        }
        self.tend_conn(core, token, conn);
    }

    fn start_connect(&mut self, token: Token, conn: &mut Conn) {
        if conn.end == End::Abrupt {
            return;
        }
        let Some(peer) = conn.peer() else { return };
        conn.lanes[Lane::Out as usize] = LaneState::InFlight;
        self.orders.push(Order::Submit(token, Op::Connect(Box::new(peer.into()))));
    }

    /// Applies what the model completed. What is to follow is written down as orders; they are
    /// carried out when the events are published. `looked`: the sockets were looked at; else
    /// nobody is late, for nobody has heard whether he spoke.
    pub fn apply(&mut self, core: &Core, looked: bool) {
        let now = core.now();
        self.now = now;
        if looked {
            self.catching_up |= now - self.last_read > CATCH_UP_MS;
            self.last_read = now;
        }
        let mut done = mem::take(&mut self.done);
        let busy = done.len() > BUSY;
        self.longest = self.longest.max(done.len());
        let mut release = Release::default();
        for Completion { token, lane: _, outcome } in done.drain(..) {
            match outcome {
                Outcome::Accepted(all, error) => self.accepted(core, token, all, error),
                Outcome::Received(answer, chunk) => self.received(core, token, answer, chunk),
                Outcome::Connected(answer) => self.connected(core, token, answer),
                Outcome::Sent(answer, train) => {
                    self.sent(core, token, answer, train, &mut release);
                }
            }
        }
        self.done = done;
        if !looked || (self.catching_up && busy) {
            return;
        }
        self.catching_up = false;
        self.fire_timers(core);
        if now - self.slimmed >= SLIM.0 {
            self.slim();
        }
    }

    /// Gives room back that a burst needed and nobody since.
    fn slim(&mut self) {
        self.slimmed = self.now;
        let room = SLIM.1.max(2 * mem::take(&mut self.longest));
        self.commands.shrink_to(room);
        self.done.shrink_to(room);
        self.orders.shrink_to(room);
        self.batch.shrink_to(room);
    }

    fn accepted(
        &mut self,
        core: &Core,
        token: Token,
        all: Vec<Accepted>,
        error: Option<io::Error>,
    ) {
        let counters = &core.homes[self.home].counters;
        let Some(mut held) = core.table.hold(token) else { return };
        let Some(listener) = held.listener() else { return };
        listener.lane = LaneState::Idle;
        listener.accepted += all.len() as u64;
        count(&counters.accepted, all.len() as u64);
        if !all.is_empty() {
            listener.backoff_ms = 0;
        }
        if let Some(error) = error
            && listener.closing.is_none()
        {
            count(&counters.accept_failures, 1);
            self.say(|| format!("a connection could not be accepted: {error}"));
            if !sys::accept_goes_on(&error) {
                // Never a spin, never the end of the listener: wait, then ask again.
                let (first, longest) = ACCEPT_BACKOFF_MS;
                listener.backoff_ms = (listener.backoff_ms * 2).clamp(first, longest);
                listener.resume_at = self.now + listener.backoff_ms;
                self.timers.add(listener.resume_at, token);
            }
        }
        let endpoint = listener.endpoint.clone();
        drop(held);
        let mut handed = Vec::new();
        for one in all {
            let session = Session::new(self.now, core.is_manual());
            let (queue, home) = core.place(endpoint.queue);
            let mut conn = Conn::new(endpoint.clone(), session, home, queue);
            core.set_options(&one.socket, &endpoint.socket);
            conn.set_peer(one.peer.as_socket());
            conn.socket = Some(one.socket);
            conn.phase = Phase::Open;
            conn.handed = home != self.home;
            match core.insert(Entry::Conn(conn), endpoint.user_data, home) {
                Some(fresh) if home == self.home => {
                    self.orders.push(Order::Adopt(fresh, Role::Stream));
                }
                Some(fresh) => handed.push((home, fresh)),
                // The entry was dropped, which closed the socket: the peer is told by a reset
                // or an end, and the host by this count.
                None => {
                    count(&counters.accept_failures, 1);
                    self.say(|| "a connection was refused: connections_max is reached".into());
                }
            }
        }
        // Behind the orders for what it accepted: nothing of it comes after its own end.
        let Some(mut held) = core.table.hold(token) else { return };
        if let Some(listener) = held.listener() {
            listener.handed += handed.len() as u32;
            self.tend_listener(core, token, listener);
        }
        drop(held);
        for (home, fresh) in handed {
            core.homes[home].post(Command::Adopt(fresh));
        }
    }

    fn received(
        &mut self,
        core: &Core,
        token: Token,
        answer: io::Result<Slice>,
        chunk: Option<Chunk>,
    ) {
        let Some(mut held) = core.table.hold(token) else { return };
        let Some(conn) = held.conn() else { return };
        conn.lanes[Lane::In as usize] = LaneState::Idle;
        match answer {
            Ok(slice) if slice.is_empty() => {
                conn.eof = true;
                if let Some(chunk) = chunk {
                    conn.session.handle_returned(chunk);
                }
            }
            Ok(slice) => {
                conn.received_bytes += slice.len() as u64;
                count(&core.homes[self.home].counters.received_bytes, slice.len() as u64);
                if conn.end == End::Not {
                    self.parse(core, token, conn, Some((slice, chunk)));
                }
            }
            Err(error) => {
                let (cause, os_error) = breakage(&error);
                conn.eof = true;
                conn.break_off(cause, os_error);
            }
        }
        self.tend_conn(core, token, conn);
    }

    fn connected(&mut self, core: &Core, token: Token, answer: io::Result<()>) {
        let Some(mut held) = core.table.hold(token) else { return };
        let Some(conn) = held.conn() else { return };
        conn.lanes[Lane::Out as usize] = LaneState::Idle;
        match answer {
            Ok(()) if conn.end == End::Abrupt => {}
            Ok(()) => {
                conn.phase = Phase::Open;
                conn.begun();
                if conn.end == End::Not {
                    self.emit(token, Notice::Opened(None));
                    self.tell_writable(token, conn);
                } else {
                    conn.set_deadline(Some(linger(conn, self.now)));
                }
            }
            Err(_) if conn.end == End::Not && conn.has_addresses() => conn.redial = true,
            Err(error) => {
                let (cause, os_error) = connect_failure(&error);
                conn.end_abruptly(cause, os_error);
            }
        }
        self.tend_conn(core, token, conn);
    }

    fn sent(
        &mut self,
        core: &Core,
        token: Token,
        answer: io::Result<usize>,
        train: Train,
        release: &mut Release,
    ) {
        let counters = &core.homes[self.home].counters;
        let Some(mut held) = core.table.hold(token) else { return };
        let Some(conn) = held.conn() else { return };
        conn.lanes[Lane::Out as usize] = LaneState::Idle;
        match answer {
            Ok(bytes) => {
                conn.sent_bytes += bytes as u64;
                count(&counters.sent_bytes, bytes as u64);
                count(&counters.sent_batches, 1);
                conn.session.handle_sent(bytes, train, release);
                self.tell_writable(token, conn);
                // The most frequent case: nothing follows.
                if conn.end == End::Not
                    && conn.session.outbox().bytes() == 0
                    && !conn.endpoint.limits.gate_reads
                {
                    return;
                }
            }
            Err(error) if conn.end != End::Abrupt => {
                let (cause, os_error) = breakage(&error);
                conn.session.handle_sent(0, train, release);
                conn.give_up();
                // What the peer sent before is still told; a paused connection has nothing to
                // wait for.
                conn.break_off(cause, os_error);
                if conn.paused || conn.end != End::Not {
                    conn.end_abruptly(cause, os_error);
                }
            }
            Err(_) => conn.session.handle_sent(0, train, release),
        }
        self.tend_conn(core, token, conn);
    }

    /// Gives the turn's events to the queue.
    pub fn publish(&mut self, core: &Core) {
        if !self.batch.is_empty() {
            let (bytes, messages) = (self.batch_bytes, self.batch_messages);
            (self.batch_bytes, self.batch_messages) = (0, 0);
            count(&core.homes[self.home].counters.received_messages, messages);
            let queue = &core.queues[self.queue];
            self.longest = self.longest.max(self.batch.len());
            queue.publish(core, &mut self.batch, bytes, Some(self.home));
        }
        for token in self.handed.drain(..) {
            core.handed_told(token);
        }
        if let Some(words) = self.words.take() {
            core.log.tell(Level::Warning, || words);
        }
    }

    /// A new session's first socket: dials the next address of a connection.
    pub(super) fn dial(&mut self, core: &Core, token: Token, conn: &mut Conn) {
        let Some(address) = conn.next_address() else {
            return conn.end_abruptly(Cause::Resolve, 0);
        };
        conn.set_peer(Some(address));
        conn.phase = Phase::Connecting;
        match core.new_socket(address, &conn.endpoint.socket) {
            Ok(socket) => {
                conn.socket = Some(socket);
                self.orders.push(Order::Adopt(token, Role::Connecting));
            }
            Err(error) => {
                let (cause, os_error) = refusal(&error);
                conn.end_abruptly(cause, os_error);
            }
        }
    }

    fn resolved(
        &mut self,
        core: &Core,
        token: Token,
        found: Result<Vec<std::net::SocketAddr>, i32>,
    ) {
        let Some(mut held) = core.table.hold(token) else { return };
        let Some(conn) = held.conn() else { return };
        if conn.end == End::Abrupt || conn.phase != Phase::Resolving {
            return;
        }
        match found {
            Ok(addresses) => {
                conn.set_addresses(addresses);
                self.dial(core, token, conn);
            }
            Err(os_error) => conn.end_abruptly(Cause::Resolve, os_error),
        }
        self.tend_conn(core, token, conn);
    }

    /// Shutdown: in order first, then at once.
    fn stop(&mut self, core: &Core, abrupt: bool) {
        for token in core.table.tokens() {
            let Some(mut held) = core.table.hold(token) else { continue };
            if let Some(listener) = held.listener() {
                if usize::from(listener.home) == self.home {
                    listener.closing.get_or_insert((Cause::Shutdown, 0));
                    self.tend_listener(core, token, listener);
                }
                continue;
            }
            let Some(conn) = held.conn() else { continue };
            if usize::from(conn.home) != self.home {
                continue;
            }
            conn.session.flush();
            if abrupt || conn.phase != Phase::Open {
                conn.reset |= abrupt;
                conn.end_abruptly(Cause::Shutdown, 0);
            } else if conn.end == End::Not {
                conn.end = End::Graceful;
                conn.cause = Cause::Shutdown;
            }
            self.tend_conn(core, token, conn);
        }
    }

    /// Lets everybody know why a worker's sockets are gone: it had a fault.
    pub fn fault(core: &Core, home: usize) {
        let (mut batch, mut handed) = (Vec::new(), Vec::new());
        for token in core.table.tokens() {
            let Some(mut held) = core.table.hold(token) else { continue };
            if let Some(listener) = held.listener()
                && usize::from(listener.home) == home
                && !mem::replace(&mut listener.told, true)
            {
                listener.socket = None;
                let (cause, os_error) = (Cause::Internal, 0);
                batch.push(Event { token, notice: Notice::ListenerClosed { cause, os_error } });
            } else if let Some(conn) = held.conn()
                && usize::from(conn.home) == home
                && !mem::replace(&mut conn.joined, true)
            {
                conn.end_abruptly(Cause::Internal, 0);
                conn.socket = None;
                handed.extend(conn.listener().filter(|_| mem::take(&mut conn.handed)));
                let unsent = conn.session.abandon();
                if conn.announced && !mem::replace(&mut conn.told, true) {
                    let (cause, os_error) = (Cause::Internal, 0);
                    let notice = Notice::Closed { cause, os_error, unsent };
                    batch.push(Event { token, notice });
                }
            }
        }
        handed.into_iter().for_each(|token| core.handed_told(token));
        core.homes[home].population.store(0, SeqCst);
        let bytes = batch.iter().map(Event::cost).sum();
        core.queues[home % core.queues.len()].publish(core, &mut batch, bytes, None);
    }
}

/// Why a socket could not be made or watched.
fn refusal(error: &io::Error) -> (Cause, i32) {
    let cause = match error.kind() {
        io::ErrorKind::QuotaExceeded => Cause::LimitModel,
        _ if sys::out_of_descriptors(error) => Cause::LimitDescriptors,
        _ => Cause::Reset,
    };
    (cause, error.raw_os_error().unwrap_or(0))
}

/// Why a connection broke.
fn breakage(error: &io::Error) -> (Cause, i32) {
    let cause = match error.kind() {
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => Cause::Unreachable,
        _ => Cause::Reset,
    };
    (cause, error.raw_os_error().unwrap_or(0))
}

/// Why a connection was not made.
fn connect_failure(error: &io::Error) -> (Cause, i32) {
    let cause = match error.kind() {
        io::ErrorKind::ConnectionRefused => Cause::Refused,
        io::ErrorKind::TimedOut => Cause::TimeoutConnect,
        io::ErrorKind::ConnectionReset => Cause::Reset,
        _ => Cause::Unreachable,
    };
    (cause, error.raw_os_error().unwrap_or(0))
}

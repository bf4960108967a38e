//! The desk of a worker: every decision of a turn. It knows no model and writes down orders for it.
//! `tend.rs` has what to do next with one connection, `doors.rs` how they begin.

use crate::buf::{Chunk, Release, Slice, Train};
use crate::engine::shared::cause::breakage;
use crate::engine::shared::conn::{End, Eof, Tie};
use crate::engine::shared::core::{Core, millis};
use crate::engine::shared::counters::count;
use crate::engine::shared::event::{Event, Notice};
use crate::engine::shared::home::Command;
use crate::engine::shared::log::Level;
use crate::engine::shared::reminder::Due;
use crate::engine::worker::abroad::Abroad;
use crate::engine::worker::carriers::Carriers;
use crate::engine::worker::rings::Rings;
use crate::engine::worker::timers::Wheel;
use crate::engine::worker::walk::FanOut;
use crate::engine::worker::watch::Watch;
use crate::io::proactor::is_cancelled;
use crate::io::tap::unsent;
use crate::io::{Completion, Lane, Look, Op, Outcome, Role, Token};
use crate::session::Millis;
use crate::transport::lanes::Micros;
use socket2::Socket;
use std::collections::VecDeque;
use std::io;
use std::mem;
use std::time::Duration;

/// The least time between two warnings, so that many peers do not fill the log.
const SAY_MS: Millis = 100;

/// How often the desk gives unused room back, and how much it keeps.
const SLIM: (Millis, usize) = (1000, 1024);

/// What the desk wants done by the model.
pub enum Order {
    Adopt(Token, Role),
    Submit(Token, Op),
    Cancel(Token),
    /// Check whether something is pending that the model has not reported: if not, the peer is
    /// late.
    Look(Token, Look),
    Release(Token, Socket),
    /// As Release, and the socket goes to the connection that this is an attempt for.
    HandOver(Token, Socket),
    /// There is no socket to release.
    Join(Token),
    /// To another worker, if the model can give it back.
    Move(Token),
    /// To the host, if the model can let go.
    Part(Token),
    /// Set its faults in the tap.
    Dial(Token),
}

/// See the module.
pub struct Desk {
    pub home: usize,
    pub queue: usize,
    /// Filled by the model, emptied by `apply`.
    pub done: Vec<Completion>,
    pub orders: Vec<Order>,
    /// Events of this turn, not yet published.
    pub batch: Vec<Event>,
    /// Bytes they count for, and how many of them are messages.
    pub batch_bytes: u64,
    pub batch_messages: u64,
    /// Connections with input left over from their budget.
    pub hungry: Vec<Token>,
    /// Connections whose layer has costly work to do, in the order in which that came.
    pub hellos: VecDeque<Token>,
    /// The one of them whose turn it is.
    pub served: Option<Token>,
    /// Connections and listeners that wait for the queue to be drained.
    pub stalled: Vec<Token>,
    /// Listeners of other workers whose connections this turn reports.
    pub handed: Vec<Token>,
    /// Connections whose end a shutdown waits for: it is not acknowledged yet.
    pub awaited: Vec<Token>,
    /// Connections that this turn looked at, where another worker may reap for them.
    pub claimed: Vec<Token>,
    /// Connections here whose events go to another queue.
    pub abroad: Abroad,
    /// Transports, and the connections that they carry.
    pub carriers: Carriers,
    commands: Vec<Command>,
    pub timers: Wheel,
    /// What was sent to groups, on its way to members.
    pub fan_out: FanOut,
    /// Timers of the host that are about to be due.
    pub rings: Rings,
    /// When the clock was last read, in both of its forms.
    pub now: Millis,
    pub elapsed: Duration,
    /// A warning to be reported, and when the last one was; 0: never.
    words: Option<String>,
    said: Millis,
    /// When memory is looked at next.
    pub watch: Watch,
    /// The model is to give back what it does not need.
    pub trims: bool,
    /// The pool's `reliefs` when those who wait for memory were last looked at.
    pub reliefs: u64,
    /// So many of them are still to be looked at, in the turns that follow.
    pub relieving: usize,
    /// Connections that are closed for what they hold, one after the other.
    pub doomed: Vec<Token>,
    /// Connections and listeners whose socket the host waits for.
    pub parting: Vec<Token>,
    /// The longest list of any turn since the last slimming, and when that was.
    longest: usize,
    slimmed: Millis,
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
            hellos: VecDeque::new(),
            served: None,
            stalled: Vec::new(),
            handed: Vec::new(),
            awaited: Vec::new(),
            claimed: Vec::new(),
            abroad: Abroad::default(),
            carriers: Carriers::default(),
            commands: Vec::new(),
            timers: Wheel::default(),
            fan_out: FanOut::default(),
            rings: Rings::default(),
            now: 0,
            elapsed: Duration::ZERO,
            words: None,
            said: 0,
            watch: Watch::default(),
            trims: false,
            reliefs: 0,
            relieving: 0,
            doomed: Vec::new(),
            parting: Vec::new(),
            longest: 0,
            slimmed: 0,
        }
    }

    /// Whether nothing is left to do before the next wait.
    pub fn at_rest(&self) -> bool {
        self.done.is_empty()
            && self.orders.is_empty()
            && self.batch.is_empty()
            && self.hungry.is_empty()
            && self.hellos.is_empty()
            && self.handed.is_empty()
            && self.relieving == 0
            && self.carriers.at_rest()
            && self.parting.is_empty()
            && !self.fan_out.wanted
    }

    fn read_clock(&mut self, core: &Core) {
        self.elapsed = core.elapsed();
        self.now = millis(self.elapsed);
    }

    /// The turn's time for a transport.
    pub fn micros(&self) -> Micros {
        self.elapsed.as_micros() as Micros
    }

    /// Notes a warning, which is reported when no lock is held; at most one in `SAY_MS`.
    pub fn say(&mut self, words: impl FnOnce() -> String) {
        if self.said == 0 || self.said + SAY_MS <= self.now {
            self.said = self.now;
            self.words = Some(words());
        }
    }

    /// When the next deadline is due, by the net's clock.
    pub fn next_timer(&self) -> Option<Duration> {
        let counted = [self.timers.next(), self.watch.due()].into_iter().flatten().min();
        // The clock that counts milliseconds begins with 1.
        let counted = counted.map(|at| Duration::from_millis(at.saturating_sub(1)));
        [counted, self.rings.next()].into_iter().flatten().min()
    }

    #[inline(always)]
    pub fn emit(&mut self, token: Token, notice: Notice) {
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
        if !commands.is_empty() || !self.hungry.is_empty() || self.fan_out.wanted {
            self.read_clock(core);
        }
        for command in commands.drain(..) {
            match command {
                Command::Adopt(token) => self.adopt(core, token),
                Command::Admitted(token, peers) => self.let_in(core, token, peers),
                Command::Tend(token) => self.tend_summoned(core, token, false),
                Command::Flush(token) => self.tend_summoned(core, token, true),
                Command::Move(token) => self.tend_moving(core, token),
                Command::Part(token) => self.begin_part(core, token),
                Command::Resolved(token, found) => self.resolved(core, token, found),
                Command::Attempt(token) => self.attempt(core, token),
                Command::Attempted(token, attempt, answer) => {
                    self.attempted(core, token, attempt, *answer);
                }
                Command::CallOff(token) => self.called_off(core, token),
                Command::Apply(one) => self.done.push(*one),
                Command::Overdue(token) => self.overdue(core, token),
                Command::Forget(token, timer) => self.timers.cancel(timer, Due::Conn(token)),
                Command::Timers => self.look_at_host_timers(core),
                Command::FanOut => self.called_by_groups(core),
                Command::Drained => {
                    for token in mem::take(&mut self.stalled) {
                        self.tend_stalled(core, token);
                    }
                }
                Command::Stop { abrupt } => self.stop(core, abrupt),
                Command::Look => self.tend_awaited(core),
                Command::Dial(Some(token)) => self.orders.push(Order::Dial(token)),
                Command::Dial(None) => {
                    self.orders.extend(core.table.tokens().into_iter().map(Order::Dial));
                }
            }
        }
        self.commands = commands;
        for token in mem::take(&mut self.hungry) {
            self.tend_hungry(core, token);
        }
        if home.is_thirsty() {
            self.relieve(core);
        } else {
            self.relieving = 0;
        }
        if !self.parting.is_empty() {
            self.order_parts();
        }
        if self.fan_out.wanted {
            self.fan_out(core);
        }
        self.drive_carriers(core);
    }

    /// Applies what the model completed. What is to follow is written down as orders; they are
    /// carried out when the events are published. `looked`: the sockets were looked at, so those
    /// whose deadline is over come up.
    pub fn apply(&mut self, core: &Core, looked: bool) {
        self.read_clock(core);
        let now = self.now;
        if core.roams {
            self.claim(core);
        }
        let mut done = mem::take(&mut self.done);
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
                Outcome::ReceivedFrom(answer) => self.received_from(core, token, answer),
                Outcome::SentTo(answer, all) => {
                    self.sent_to(core, token, answer, all, &mut release);
                }
            }
        }
        self.done = done;
        if looked {
            self.watch_memory(core);
            self.fire_timers(core);
            if now - self.slimmed >= SLIM.0 {
                self.slim();
            }
        }
        self.drive_carriers(core);
    }

    /// Gives back room that only a burst needed.
    pub fn slim(&mut self) {
        self.slimmed = self.now;
        let room = SLIM.1.max(2 * mem::take(&mut self.longest));
        self.commands.shrink_to(room);
        self.done.shrink_to(room);
        self.orders.shrink_to(room);
        self.batch.shrink_to(room);
        self.hellos.shrink_to(room);
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
        conn.link.end(Lane::In);
        match answer {
            Ok(slice) if slice.is_empty() => {
                conn.life.eof = Eof::Received;
                if let Some(chunk) = chunk {
                    conn.session.handle_returned(chunk);
                }
            }
            Ok(slice) => {
                conn.received_bytes += slice.len() as u64;
                count(&core.homes[self.home].counters.received_bytes, slice.len() as u64);
                if conn.awaits_header() && conn.life.end == End::Not {
                    return self.header_came(core, token, held, slice);
                }
                if conn.life.end == End::Not {
                    self.parse(core, token, conn, Some((slice, chunk)));
                } else if conn.life.end == End::Graceful {
                    self.drop_input(core, conn, slice);
                }
            }
            // It was cancelled, which says nothing of the peer.
            Err(_) if conn.life.end == End::Abrupt => {}
            Err(error) if is_cancelled(&error) && conn.link.tie() == Tie::Adopted => {
                if let Some(chunk) = chunk {
                    conn.session.handle_returned(chunk);
                }
            }
            Err(error) => {
                let (cause, os_error) = breakage(&error);
                conn.life.eof = Eof::Received;
                conn.break_off(cause, os_error);
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
        conn.link.end(Lane::Out);
        let answer = answer.map_err(|error| {
            let (lost, error) = unsent(error);
            conn.lose(lost);
            conn.sent_bytes = conn.sent_bytes.saturating_sub(lost);
            error
        });
        match answer {
            Ok(bytes) => {
                conn.sent_bytes += bytes as u64;
                count(&counters.sent_bytes, bytes as u64);
                count(&counters.sent_batches, 1);
                if let Some(histograms) = core.histograms.as_ref().filter(|_| bytes == train.len())
                {
                    histograms.left(token.index(), self.home, self.elapsed);
                }
                conn.session.handle_sent(bytes, train, release);
                self.tell_writable(core, token, conn);
                // The most frequent case: nothing follows.
                if conn.life.end == End::Not
                    && conn.life.eof == Eof::No
                    && conn.session.outbox().bytes() == 0
                    && !conn.endpoint.limits.gate_reads
                    && !conn.session.is_layered()
                {
                    return;
                }
            }
            Err(error) if is_cancelled(&error) && conn.link.tie() == Tie::Adopted => {
                conn.session.handle_sent(0, train, release);
            }
            Err(error) if conn.life.end != End::Abrupt => {
                let (cause, os_error) = breakage(&error);
                conn.session.handle_sent(0, train, release);
                conn.give_up();
                // What the peer sent before is still reported; a paused connection has nothing to
                // wait for.
                conn.break_off(cause, os_error);
                if conn.marks.paused || conn.life.end != End::Not {
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
            let (mut bytes, messages) = (self.batch_bytes, self.batch_messages);
            (self.batch_bytes, self.batch_messages) = (0, 0);
            count(&core.homes[self.home].counters.received_messages, messages);
            let queue = &core.queues[self.queue];
            self.longest = self.longest.max(self.batch.len());
            bytes -= self.publish_abroad(core);
            if !self.batch.is_empty() {
                core.publish(queue, &mut self.batch, bytes, self.elapsed, Some(self.home));
            }
        }
        for token in self.handed.drain(..) {
            core.handed_told(token);
        }
        if let Some(words) = self.words.take() {
            core.log.note(Level::Warning, || words);
        }
    }
}

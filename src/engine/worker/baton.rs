//! The baton: who turns a worker. A worker is an object; whoever holds its baton may turn it.
//!
//! * POOL: the worker's thread holds the baton for ever.
//! * LEND: a poll that would sleep takes the baton and turns the worker itself. When it lays the
//!   baton down it leaves a lease: the worker's own thread, the backstop, takes over only when that
//!   has expired because the host did not come back, or for one turn when another thread posts a
//!   command meanwhile.
//! * HOST: as LEND, but every poll turns the worker once.
//! * No worker threads: as HOST, without a backstop.
//!
//! With `gather_us` a worker's thread rests while events are pending that no thread polls for: it
//! lays the baton down with a lease that belongs to no thread, and any request ends that.
//!
//! Two checks keep this from stalling; without either of them it did. After a thread has laid the
//! baton down it checks the bell once more (a command posted in between saw no owner), and the
//! parked threads (which check the baton once more after they have registered).

use crate::buf::{Mutex, MutexGuard, rank};
use crate::engine::shared::core::{Core, LOOK};
use crate::engine::shared::crew::{Baton, Lead, Led};
use crate::engine::shared::error::{Error, Refusal};
use crate::engine::shared::home::{Command, me};
use crate::engine::shared::log::Level;
use crate::engine::shared::queue::Queue;
use crate::engine::shared::quiet::caught;
use crate::engine::shared::waiter::{Owner, Waiting};
use crate::engine::worker::turn::Worker;
use crate::io::os::sys::WaitSet;
use crate::io::{Affinity, Proactor, Setup};
use crate::session::Cause;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::*};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

/// `until` of a baton that a thread of the host holds.
const HELD: i64 = i64::MAX;
/// Turns in which a stopping worker publishes what it has, and how long one of them waits for a
/// model to give sockets back.
const LAST_TURNS: usize = 1000;
const LAST_WAIT: Duration = Duration::from_millis(1);

/// A worker, its baton, and the lease.
pub struct WorkerBaton<P: Proactor> {
    /// None before `open`, and after a fault or `close`.
    baton: Mutex<rank::Baton, Option<Worker<P>>>,
    core: Arc<Core>,
    setup: Setup,
    shared: P::Shared,
    home: usize,
    /// The host may turn it.
    lendable: bool,
    /// The end of the lease, in nanoseconds of the net's clock; HELD while a host turns.
    until: AtomicI64,
    /// The next deadline of a tap when the baton was laid down; HELD: none.
    due: AtomicI64,
    /// A host is back and the backstop has the baton: it is to be laid down.
    asked: AtomicBool,
    /// Counts polls, so that the backstop sees whether the host polls.
    moved: AtomicU64,
    /// The backstop sleeps without limit: one poll of the host had lasted a whole lease.
    deep: AtomicBool,
    /// What a host waits for that has no thread to fill its queue.
    watched: OnceLock<WaitSet>,
    /// The thread that a worker which is bound and lent belongs to; 0 before its first poll.
    bound: AtomicU64,
}

type Turning<'a, P> = MutexGuard<'a, rank::Baton, Option<Worker<P>>>;

impl<P: Proactor> WorkerBaton<P> {
    pub fn new(
        core: Arc<Core>,
        setup: Setup,
        shared: P::Shared,
        home: usize,
        lendable: bool,
    ) -> WorkerBaton<P> {
        if lendable {
            core.homes[home].owner.set(Owner::Offered);
        }
        WorkerBaton {
            baton: Mutex::new(None),
            until: AtomicI64::new(core.nanos() + core.lease_nanos()),
            due: AtomicI64::new(HELD),
            core,
            setup,
            shared,
            home,
            lendable,
            asked: AtomicBool::new(false),
            moved: AtomicU64::new(0),
            deep: AtomicBool::new(false),
            watched: OnceLock::new(),
            bound: AtomicU64::new(0),
        }
    }

    /// Where its events go.
    fn queue(&self) -> &Queue {
        &self.core.queues[self.home % self.core.queues.len()]
    }

    /// Whether another thread than this one may turn the worker, and this one not.
    fn is_elsewhere(&self) -> bool {
        let bound = P::AFFINITY == Affinity::Bound && self.lendable;
        bound && self.bound.load(SeqCst) != me()
    }

    fn lends(&self) -> bool {
        self.lendable && self.core.is_running() && !self.core.homes[self.home].pooled.load(SeqCst)
    }

    /// One turn; whether anything happened in it. None: the worker has ended. `hurried`: see
    /// `Worker::turn`.
    fn turn(
        &self,
        held: &mut Turning<'_, P>,
        timeout: Option<Duration>,
        hurried: impl FnOnce() -> bool,
    ) -> Option<bool> {
        let mut happened = false;
        let turn = |worker: &mut Worker<P>| worker.turn(timeout, hurried).map(|it| happened = it);
        self.guard(held, turn).then_some(happened)
    }

    /// A turn that does not wait.
    fn look(&self, held: &mut Turning<'_, P>) -> Option<bool> {
        self.turn(held, Some(Duration::ZERO), || true)
    }

    /// One turn of the worker's own thread, which waits for the sockets or, when events are pending
    /// that no thread polls for, only checks them. Answers how long it may rest if there was
    /// nothing.
    fn turn_alone(&self, held: &mut Turning<'_, P>) -> Option<Option<Duration>> {
        let looks = self.may_rest(held).map(|_| Duration::ZERO);
        let queue = self.queue();
        let hurried =
            || (self.asked.load(SeqCst) && self.lends()) || self.core.has_ended() || queue.calls();
        let happened = self.turn(held, looks, hurried)?;
        self.call_out(held, queue);
        // Asked anew: a deadline may have begun in this turn.
        Some(looks.filter(|_| !happened).and_then(|_| self.may_rest(held)))
    }

    /// Calls the host's functions for the events of the turn, with the baton laid down.
    fn call_out(&self, held: &mut Turning<'_, P>, queue: &Queue) {
        if !queue.calls() && !self.core.calls_out(self.home) {
            return;
        }
        MutexGuard::unlocked(held, || {
            self.core.call(queue);
            self.core.call_out(self.home);
        });
        // A host may have turned it meanwhile.
        self.core.homes[self.home].owner.set(Owner::Anyone);
    }

    fn may_rest(&self, held: &Turning<'_, P>) -> Option<Duration> {
        let core = &self.core;
        if core.config.gather_us == 0 || !core.is_running() {
            return None;
        }
        let rests = |worker: &&Worker<P>| self.is_uncollected() && worker.at_rest();
        let worker = held.as_ref().filter(rests)?;
        Some(worker.may_rest()).filter(|rest| !rest.is_zero())
    }

    /// Whether events wait that no thread polls for.
    fn is_uncollected(&self) -> bool {
        let queue = self.queue();
        queue.is_ready() && queue.waiter.get() == Waiting::Nobody
    }

    /// The part of a turn that comes before the wait.
    fn send_out(&self, held: &mut Turning<'_, P>) {
        self.guard(held, |worker| {
            worker.send_out();
            worker.begin();
            Ok(())
        });
    }

    /// Runs the worker. A panic or a broken model ends it, not the host. False: it has ended.
    fn guard(
        &self,
        held: &mut Turning<'_, P>,
        work: impl FnOnce(&mut Worker<P>) -> io::Result<()>,
    ) -> bool {
        let Some(worker) = held.as_mut() else { return false };
        let fault = match caught(|| work(worker)) {
            Ok(Ok(())) => return true,
            Ok(Err(error)) => format!("cannot wait for its sockets any more: {error}"),
            Err(words) => format!("had a fault: {words}"),
        };
        // Its state may be half changed; nothing of it is used again, and dropping it must not
        // bring the panic back.
        let worker = held.take();
        let _ = caught(|| {
            if let Some(mut worker) = worker {
                worker.publish();
            }
        });
        self.core.panicked.store(true, SeqCst);
        self.core.log.note(Level::Error, || format!("worker {} {fault}", self.home));
        self.core.report_lost(Some(self.home), Cause::Internal);
        self.core.everybody_stops();
        false
    }

    /// The only function that lays a baton down, with a new lease or the rest of the old one.
    fn lay_down(&self, mut held: Turning<'_, P>, owner: Owner, lease: Option<i64>) {
        let home = &self.core.homes[self.home];
        if let Some(nanos) = lease {
            self.until.store(self.core.nanos() + nanos, SeqCst);
        }
        home.owner.set(owner);
        if P::TAPS {
            self.note_due(&held);
        }
        if let Some(set) = self.watched.get() {
            self.leave_to(set, &mut held);
        }
        let has_hellos = held.as_ref().is_some_and(Worker::has_hellos);
        drop(held);
        if has_hellos || home.rung() {
            home.call_backstop();
        } else if P::TAPS && self.due.load(SeqCst) < self.until.load(SeqCst) {
            self.unpark_backstop();
        }
        for queue in self.core.queues.iter().filter(|queue| queue.home == self.home) {
            if queue.waiter.get() == Waiting::Parked {
                queue.unpark();
            }
        }
        if self.deep.load(SeqCst) && self.deep.swap(false, SeqCst) {
            self.unpark_backstop();
        }
    }

    /// Has the set be readable when the worker is to be turned.
    #[cold]
    fn leave_to(&self, set: &WaitSet, held: &mut Turning<'_, P>) {
        // At once where the worker ends here: polls report that.
        let mut due = Some(Duration::ZERO);
        self.guard(held, |worker| {
            due = worker.leave();
            Ok(())
        });
        set.due(due);
    }

    /// Notes the next deadline of a tap, for a backstop that sleeps under a lease.
    fn note_due(&self, held: &Turning<'_, P>) {
        let next = held.as_ref().and_then(Worker::next_due);
        let left = next.map(|at| at.saturating_duration_since(Instant::now()).as_nanos() as i64);
        self.due.store(left.map_or(HELD, |left| self.core.nanos() + left), SeqCst);
    }

    /// Whether a deadline of a tap has passed while a host has the lease.
    fn is_due(&self, until: i64) -> bool {
        P::TAPS && until != HELD && self.due.load(SeqCst) <= self.core.nanos()
    }

    fn unpark_backstop(&self) {
        self.core.homes[self.home].unpark_backstop();
    }

    /// POOL: turns until the net has ended, or an extra worker is not needed any more.
    fn run_pool(&self) {
        let mut held = self.baton.lock();
        self.core.homes[self.home].owner.set(Owner::Anyone);
        while !self.core.has_ended()
            && let Some(rest) = self.turn_alone(&mut held)
        {
            if held.as_ref().is_some_and(Worker::at_rest) && self.core.may_go(self.home) {
                drop(held);
                return self.close();
            }
            if let Some(rest) = rest {
                held = self.rest(held, rest);
            }
        }
        self.last_turns(&mut held);
    }

    /// Sleeps, without a wait for the sockets, until another thread asks for something.
    fn rest<'a>(&'a self, held: Turning<'a, P>, time: Duration) -> Turning<'a, P> {
        let home = &self.core.homes[self.home];
        let until = Instant::now() + time;
        self.lay_down(held, Owner::Resting, None);
        // A poll just before saw no rest that it could end.
        while self.core.is_running() && !home.wanted.swap(false, SeqCst) && self.is_uncollected() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            thread::park_timeout(left);
        }
        let held = self.baton.lock();
        home.owner.set(Owner::Anyone);
        held
    }

    /// Closes and publishes what a stopping worker still has. On a busy machine it may take the
    /// command to stop only now.
    fn last_turns(&self, held: &mut Turning<'_, P>) {
        let home = &self.core.homes[self.home];
        let mut wait = Duration::ZERO;
        for _ in 0..LAST_TURNS {
            let turned = self.turn(held, Some(wait), || false);
            let rests = held.as_ref().is_none_or(Worker::at_rest);
            let gone = if self.core.roams { self.core.left() } else { home.population() } == 0;
            if turned.is_none() || (rests && gone) {
                break;
            }
            wait = if rests { LAST_WAIT } else { Duration::ZERO };
        }
    }

    /// LEND, HOST: turns only when the lease has expired, or once when another thread asks for it.
    fn run_backstop(&self) {
        let (core, home) = (&self.core, &self.core.homes[self.home]);
        let mut seen = 0;
        'awake: while self.lends() {
            let until = self.until.load(SeqCst);
            let live = until > core.nanos();
            if live && !home.wanted.swap(false, SeqCst) && !self.is_due(until) {
                seen = self.doze(until, seen);
                continue;
            }
            // Under a live lease only a free baton is taken: its holder checks the bell when it
            // lays it down.
            let held = if live { self.baton.try_lock() } else { Some(self.baton.lock()) };
            let Some(mut held) = held else { continue };
            let owner = home.owner.take();
            // A rest ends, a lease goes on.
            if owner != Owner::Resting && self.until.load(SeqCst) > core.nanos() {
                self.look(&mut held);
                self.lay_down(held, owner, None);
                core.call_out(self.home);
                continue;
            }
            while self.lends()
                && let Some(rest) = self.turn_alone(&mut held)
            {
                if self.asked.swap(false, SeqCst) {
                    break;
                }
                if let Some(rest) = rest {
                    self.lay_down(held, Owner::Resting, Some(rest.as_nanos() as i64));
                    // As in `rest`.
                    home.wanted.fetch_or(!self.is_uncollected(), SeqCst);
                    continue 'awake;
                }
            }
            self.lay_down(held, Owner::Offered, Some(core.lease_nanos()));
        }
        self.run_pool();
    }

    /// Sleeps for the rest of the lease; without limit once a poll has lasted for a whole lease.
    fn doze(&self, until: i64, seen: u64) -> u64 {
        let moved = self.moved.load(SeqCst);
        if until == HELD && moved == seen {
            self.deep.store(true, SeqCst);
            if self.until.load(SeqCst) == HELD && self.lends() {
                thread::park();
            }
            self.deep.store(false, SeqCst);
        } else if until == HELD {
            thread::park_timeout(Duration::from_nanos(self.core.lease_nanos() as u64));
        } else {
            let until = if P::TAPS { until.min(self.due.load(SeqCst)) } else { until };
            let left = (until - self.core.nanos()).max(0);
            thread::park_timeout(Duration::from_nanos(left as u64));
        }
        moved
    }
}

impl<P: Proactor> Baton for WorkerBaton<P> {
    fn admits(&self) -> bool {
        if P::AFFINITY == Affinity::Bound && self.lendable {
            let _ = self.bound.compare_exchange(0, me(), SeqCst, SeqCst);
        }
        !self.is_elsewhere()
    }

    fn lead(&self, queue: &Queue, how: Lead) -> Led {
        if !self.lends() {
            return Led::Never;
        }
        let Some(mut held) = self.baton.try_lock() else {
            self.asked.store(true, SeqCst);
            self.core.homes[self.home].ring();
            return Led::Busy;
        };
        self.asked.store(false, SeqCst);
        self.until.store(HELD, SeqCst);
        if self.core.homes[self.home].owner.take() == Owner::Resting {
            // It sleeps for as long as it wanted to rest, which may be more than a lease.
            self.unpark_backstop();
        }
        // Only who holds the baton counts.
        self.moved.store(self.moved.load(Relaxed) + 1, Relaxed);
        queue.waiter.set(Waiting::Turning(self.home));
        if matches!(how, Lead::Wait(_)) {
            self.core.nobody_rests(queue);
        }
        let hurried = || queue.stirs() || !self.lends();
        loop {
            let timeout = match how {
                Lead::Send => {
                    match P::SUMMONS {
                        // As in `flush`.
                        true => drop(self.look(&mut held)),
                        false => self.send_out(&mut held),
                    }
                    break;
                }
                Lead::Wait(None) if !queue.stirs() => None,
                Lead::Wait(Some(until)) if !queue.stirs() => {
                    Some(until.saturating_duration_since(Instant::now()))
                }
                _ => Some(Duration::ZERO),
            };
            let turned = self.turn(&mut held, timeout, hurried);
            let over = timeout == Some(Duration::ZERO) || turned.is_none() || !self.lends();
            if over || queue.stirs() || self.core.calls_out(self.home) {
                break;
            }
        }
        if how != Lead::Send && self.lends() && self.core.homes[self.home].rung() {
            // Another thread rang for what is in the queue now, or asked for something: this thread
            // does it for less than another would.
            self.look(&mut held);
        }
        queue.waiter.set(Waiting::Nobody);
        self.lay_down(held, Owner::thread(me()), Some(self.core.lease_nanos()));
        Led::Done
    }

    fn flush(&self) -> bool {
        if !self.lends() || self.is_elsewhere() {
            return false;
        }
        if !self.core.homes[self.home].rung() {
            return true;
        }
        let Some(mut held) = self.baton.try_lock() else { return false };
        let owner = self.core.homes[self.home].owner.get();
        // Taking commands silences the bell, also where a thread of the model rang it.
        let looks = P::AFFINITY == Affinity::Bound || P::SUMMONS;
        if !looks {
            self.send_out(&mut held);
        }
        if looks || held.as_ref().is_some_and(|worker| !worker.at_rest()) {
            // More follows from it, and no other thread turns the worker before the lease ends.
            self.look(&mut held);
        }
        self.lay_down(held, owner, None);
        true
    }

    fn hasten(&self) {
        if !self.lends() || self.is_elsewhere() {
            return;
        }
        let Some(mut held) = self.baton.try_lock() else { return };
        let owner = self.core.homes[self.home].owner.get();
        self.look(&mut held);
        self.lay_down(held, owner, None);
    }

    fn flush_lease(&self) {
        let home = &self.core.homes[self.home];
        if home.rung() && home.owner.get() == Owner::thread(me()) {
            self.flush();
        }
        // A timer of the host has expired, and the thread that would turn for it is away with a
        // lease.
        let alarm = home.alarm.load(Relaxed);
        let away = !matches!(home.owner.get(), Owner::Anyone | Owner::Resting);
        if alarm == u64::MAX || !away || !self.lends() || self.is_elsewhere() {
            return;
        }
        if alarm <= self.core.elapsed().as_nanos() as u64
            && let Some(mut held) = self.baton.try_lock()
        {
            let owner = home.owner.get();
            self.look(&mut held);
            self.lay_down(held, owner, None);
        }
    }

    fn recall(&self) {
        self.until.store(0, SeqCst);
        self.core.homes[self.home].ring();
        self.unpark_backstop();
    }

    fn watch(&self, signal: isize) -> Result<isize, Refusal> {
        if let Some(set) = self.watched.get() {
            return Ok(set.raw());
        }
        if self.bound.load(SeqCst) != 0 && self.is_elsewhere() {
            let words =
                "without worker threads this model is bound to the thread that polled first";
            return Err(Refusal::new(Error::Invalid, words));
        }
        let mut held = self.baton.try_lock().ok_or(Error::Busy)?;
        let set = held.as_mut().ok_or(Error::Shutdown)?.wait_set(signal)?;
        Ok(self.watched.get_or_init(|| set).raw())
    }

    fn wind_down(&self, until: Instant) {
        let home = &self.core.homes[self.home];
        let Some(mut held) = self.baton.try_lock_until(until) else { return };
        if !self.admits() {
            // Only its thread could turn it, which may never poll again: it ends where it is, and
            // its operations with it.
            if let Some(worker) = held.take() {
                drop(worker);
                self.core.report_lost(Some(self.home), Cause::Shutdown);
            }
            return;
        }
        let mut look = Instant::now() + LOOK;
        loop {
            // Before the wait: it may take what has to be closed, and be all.
            self.send_out(&mut held);
            let now = Instant::now();
            let left = until.saturating_duration_since(now);
            let rests = held.as_ref().is_none_or(Worker::at_rest);
            let done = home.population() == 0 && rests;
            // What completed in it is still to be looked at.
            let wait =
                if rests { left.min(look.saturating_duration_since(now)) } else { Duration::ZERO };
            if done || left.is_zero() || self.turn(&mut held, Some(wait), || false).is_none() {
                break;
            }
            if look <= Instant::now() {
                look = Instant::now() + LOOK;
                home.post(Command::Look);
            }
        }
        self.last_turns(&mut held);
    }

    fn run(&self) {
        let home = &self.core.homes[self.home];
        let before = home.backstop.lock().replace(thread::current());
        debug_assert!(before.is_none(), "a worker has one thread");
        if self.lendable {
            self.run_backstop()
        } else {
            self.run_pool()
        }
        // The events of its last turns, or its fault.
        self.core.call(self.queue());
        self.core.log.tell_later();
    }
    fn open(&self) -> io::Result<()> {
        let proactor = P::open(&self.setup, &self.shared)?;
        let bell = proactor.bell();
        let worker = Worker::new(proactor, self.core.clone(), self.home);
        // Not waited for: the caller may hold the lock of the threads, which turners wait for.
        let free = self.baton.try_lock();
        *free.expect("nobody turns a worker that is not there") = Some(worker);
        // Known from here on.
        self.core.homes[self.home].open(bell, &self.core.pool);
        Ok(())
    }

    fn close(&self) {
        // Not waited for where the worker was never turned, with the lock of the threads held.
        let mut held = self.baton.try_lock().unwrap_or_else(|| self.baton.lock());
        let worker = held.take();
        drop(held);
        drop(worker);
        if let Some(set) = self.watched.get() {
            set.due(Some(Duration::ZERO));
        }
        let home = &self.core.homes[self.home];
        home.close();
        let thirsty = home.take_thirsty(usize::MAX).into_iter();
        for token in thirsty.filter_map(|it| self.core.table.quench(it)) {
            // The slot holds a connection of another worker by now.
            let held = self.core.table.hold(token);
            let other = held.and_then(|mut held| Some(usize::from(held.conn()?.home)));
            if let Some(other) = other.filter(|&other| other != self.home) {
                self.core.thirst(token, other);
                self.core.homes[other].wake();
            }
        }
    }
}

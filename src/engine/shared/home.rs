//! Host to worker: what others ask of a worker, and the bell that wakes it.

use crate::buf::{Arena, Lock, Mutex, Pool, RwLock, rank};
use crate::engine::shared::counters::Counters;
use crate::engine::shared::guard::asked::Askings;
use crate::engine::shared::reminder::Timer;
use crate::engine::shared::waiter::{Owner, Ownership};
use crate::io::{Accepted, Bell, Completion, Token};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::*};
use std::sync::{Arc, OnceLock};
use std::thread::Thread;

/// `population` of a home whose worker is not there, and of one whose worker is about to go. Both
/// are more than any home ever has.
const CLOSED: usize = usize::MAX / 2;
const LEAVING: usize = CLOSED + 1;

/// What is asked. A command names a connection; one that is gone is passed over.
pub enum Command {
    /// Take a socket: a connection accepted elsewhere, or a new listener.
    Adopt(Token),
    /// Of the peers that a listener accepted, the host lets these in.
    Admitted(Token, Vec<Accepted>),
    /// Look at a connection: a close, a resume, the end of a batch. At most one for each slot is
    /// on its way.
    Tend(Token),
    /// As Tend, and what waits for a flush may leave. At most one for each slot, too.
    Flush(Token),
    /// Look at a connection that moves.
    Move(Token),
    /// The host takes the socket of a connection or a listener back.
    Part(Token),
    /// Its name was looked up.
    Resolved(Token, Result<Vec<SocketAddr>, i32>),
    /// Begin the next attempt of a connection that connects.
    Attempt(Token),
    /// An attempt beside a connection's own has ended: the connection's token, then its own.
    Attempted(Token, Token, Box<crate::engine::shared::conn::race::Attempted>),
    /// No connection waits for this attempt any more.
    CallOff(Token),
    /// Apply what another worker reaped.
    Apply(Box<Completion>),
    /// A deadline that another worker was to watch is due.
    Overdue(Token),
    /// A deadline that this worker watches has gone, or another one watches it.
    Forget(Token, Timer),
    /// Look at the timers of the host that changed. At most one is on its way.
    Timers,
    /// Give members what was sent to groups. At most one is on its way.
    FanOut,
    /// The queue was drained to its low mark.
    Drained,
    /// Close everything: in order, or now.
    Stop { abrupt: bool },
    /// Look whether the ends that a shutdown sent are acknowledged.
    Look,
    /// Have the tap do what was set for this socket, or for all.
    Dial(Option<Token>),
}

// Every worker has room for many.
const _: () = assert!(size_of::<Command>() <= 40);

/// A worker as others see it.
pub struct Home {
    inbox: Mutex<rank::Inbox, Vec<Command>>,
    /// Connections with sends that wait for a flush (MANUAL).
    staged: Lock<rank::Staged, Vec<Token>>,
    /// Slots of those that wait for memory: to be sent to, or to be read. Each is on one list.
    thirsty: Mutex<rank::Thirsty, VecDeque<u32>>,
    /// True exactly when that list is not empty.
    is_thirsty: AtomicBool,
    /// Of a worker that stays.
    bell: OnceLock<Bell>,
    /// Of a worker that comes and goes, while it is there.
    extra_bell: Arc<RwLock<rank::ExtraBell, Option<Bell>>>,
    /// Strikes of the bells of those that went.
    struck: AtomicU64,
    /// Nanoseconds that their workers waited.
    slept: AtomicU64,
    /// The thread that left with a live lease; 0 while a thread turns, or before any did.
    pub owner: Ownership,
    /// A command came while the owner was away: the backstop turns once.
    pub wanted: AtomicBool,
    /// The worker's own thread.
    pub backstop: Mutex<rank::Backstop, Option<Thread>>,
    /// Driven as in POOL from now on: the host waits elsewhere.
    pub pooled: AtomicBool,
    /// When the worker is to turn for a timer of the host, in nanoseconds of the net's clock.
    pub alarm: AtomicU64,
    /// Connections and listeners that live here, or are on their way.
    population: AtomicUsize,
    pub counters: Counters,
    /// Peers that wait for the host's word.
    pub asked: Askings,
    /// Small sends of the connections that live here.
    pub arena: Arena,
}

/// A number for the calling thread, never 0.
pub fn me() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    thread_local!(static ME: u64 = NEXT.fetch_add(1, Relaxed));
    ME.with(|me| *me)
}

impl Home {
    /// A home without a worker as yet.
    pub fn new(pool: &Pool) -> Home {
        Home {
            inbox: Mutex::default(),
            staged: Lock::default(),
            thirsty: Mutex::default(),
            is_thirsty: AtomicBool::new(false),
            bell: OnceLock::new(),
            extra_bell: Arc::default(),
            struck: AtomicU64::new(0),
            slept: AtomicU64::new(0),
            owner: Ownership::default(),
            wanted: AtomicBool::new(false),
            backstop: Mutex::default(),
            pooled: AtomicBool::new(false),
            alarm: AtomicU64::new(u64::MAX),
            population: AtomicUsize::new(0),
            counters: Counters::default(),
            asked: Askings::default(),
            arena: Arena::new(pool.clone()),
        }
    }

    /// A home whose worker comes and goes; it is not there now.
    pub fn extra(pool: &Pool) -> Home {
        let home = Home { population: AtomicUsize::new(CLOSED), ..Home::new(pool) };
        let bell = home.extra_bell.clone();
        pool.on_relief(move || {
            if let Some(bell) = &*bell.read() {
                bell.ring();
            }
        });
        home
    }

    /// The worker exists. An extra one gets no connection before `admit`.
    pub fn open(&self, bell: Bell, pool: &Pool) {
        if self.is_closed() {
            *self.extra_bell.write() = Some(bell);
            return;
        }
        pool.on_relief({
            let bell = bell.clone();
            move || bell.ring()
        });
        let first = self.bell.set(bell).is_ok();
        debug_assert!(first, "a worker that stays is opened once");
    }

    /// Opens an extra worker's home, with one place taken.
    pub fn admit(&self) {
        self.population.store(1, SeqCst);
    }

    /// An extra worker is gone. What is in its inbox names connections that are gone too.
    pub fn close(&self) {
        let bell = self.extra_bell.write().take();
        if let Some(bell) = bell {
            self.struck.fetch_add(bell.strikes(), SeqCst);
            self.slept.fetch_add(bell.waited_ns(), SeqCst);
            *self.backstop.lock() = None;
            self.staged.lock().clear();
            self.inbox.lock().clear();
            self.population.store(CLOSED, SeqCst);
        }
    }

    /// Whether there is a worker.
    pub fn is_open(&self) -> bool {
        self.population.load(SeqCst) < CLOSED
    }

    /// Whether its worker is not there and may be opened.
    pub fn is_closed(&self) -> bool {
        self.population.load(SeqCst) == CLOSED
    }

    /// Connections and listeners that live here.
    pub fn population(&self) -> usize {
        Some(self.population.load(SeqCst)).filter(|&count| count < CLOSED).unwrap_or(0)
    }

    /// Whether there is a worker with nothing to watch.
    pub fn is_empty(&self) -> bool {
        self.population.load(SeqCst) == 0
    }

    /// Takes a place. False: there is none.
    pub fn move_in(&self, most: usize) -> bool {
        let next = |count: usize| (count < most.min(CLOSED)).then_some(count + 1);
        self.population.fetch_update(SeqCst, SeqCst, next).is_ok()
    }

    /// Takes a place, though there may be none, with a worker that stays.
    pub fn squeeze_in(&self) {
        self.population.fetch_add(1, SeqCst);
    }

    /// Gives a place back.
    pub fn move_out(&self) {
        self.population.fetch_sub(1, SeqCst);
    }

    /// Everybody is gone at once: the worker had a fault.
    pub fn clear(&self) {
        self.population.store(0, SeqCst);
    }

    /// An extra worker that is empty ends. False: a connection moved in.
    pub fn leave(&self) -> bool {
        self.population.compare_exchange(0, LEAVING, SeqCst, SeqCst).is_ok()
    }

    /// Asks the worker's bell. The worker may not be there.
    #[inline]
    fn with_bell<T: Default>(&self, ask: impl FnOnce(&Bell) -> T) -> T {
        match self.bell.get() {
            Some(bell) => ask(bell),
            None => self.extra_bell.read().as_ref().map(ask).unwrap_or_default(),
        }
    }

    /// Rings the worker's bell.
    #[inline]
    pub fn ring(&self) {
        self.with_bell(Bell::ring);
    }

    /// Whether the bell was rung, and the worker has not seen it yet.
    #[inline]
    pub fn rung(&self) -> bool {
        self.with_bell(Bell::rung)
    }

    /// System calls made to wake the worker.
    pub fn strikes(&self) -> u64 {
        self.struck.load(SeqCst) + self.with_bell(Bell::strikes)
    }

    /// Nanoseconds that the worker waited in the system.
    pub fn waited_ns(&self) -> u64 {
        self.slept.load(SeqCst) + self.with_bell(Bell::waited_ns)
    }

    /// Asks something of the worker and wakes it.
    pub fn post(&self, command: Command) {
        self.put(command);
        self.wake();
    }

    /// Asks something of the worker, whom the caller wakes.
    pub fn put(&self, command: Command) {
        self.inbox.lock().push(command);
    }

    /// Wakes the worker for what is in its inbox.
    pub fn wake(&self) {
        self.ring();
        let owner = self.owner.get();
        if owner != Owner::Anyone && owner != Owner::thread(me()) {
            self.call_backstop();
        }
    }

    /// Has the worker's own thread turn once, under a live lease too.
    pub fn call_backstop(&self) {
        // First, so that a thread that only now begins to run sees it.
        self.wanted.store(true, SeqCst);
        self.unpark_backstop();
    }

    /// Wakes the worker's own thread.
    pub fn unpark_backstop(&self) {
        if let Some(thread) = &*self.backstop.lock() {
            thread.unpark();
        }
    }

    /// Puts a connection on the list for the next flush.
    pub fn stage(&self, token: Token) {
        self.staged.lock().push(token);
    }

    /// Takes a connection from that list. True: it was there.
    pub fn unstage(&self, token: Token) -> bool {
        let mut staged = self.staged.lock();
        let place = staged.iter().position(|it| *it == token);
        place.map(|at| staged.remove(at)).is_some()
    }

    /// Has what was staged leave. True: there was something.
    pub fn flush(&self) -> bool {
        let mut staged = self.staged.lock();
        if staged.is_empty() {
            return false;
        }
        self.inbox.lock().extend(staged.drain(..).map(Command::Flush));
        true
    }

    /// Has the worker look at a slot when there is memory again.
    pub fn thirst(&self, index: u32) {
        let mut thirsty = self.thirsty.lock();
        thirsty.push_back(index);
        self.is_thirsty.store(true, SeqCst);
    }

    /// The turner takes everything. `commands` is empty and comes back full.
    pub fn take(&self, commands: &mut Vec<Command>) {
        if self.with_bell(Bell::hush) {
            std::mem::swap(&mut *self.inbox.lock(), commands);
        }
    }

    /// The turner takes the first of those that waited for memory, `most` of them.
    pub fn take_thirsty(&self, most: usize) -> Vec<u32> {
        let mut thirsty = self.thirsty.lock();
        let count = thirsty.len().min(most);
        let first = thirsty.drain(..count).collect();
        self.is_thirsty.store(!thirsty.is_empty(), SeqCst);
        first
    }

    /// How many wait for memory.
    pub fn thirsty(&self) -> usize {
        self.thirsty.lock().len()
    }

    /// Whether a connection waits for memory.
    pub fn is_thirsty(&self) -> bool {
        self.is_thirsty.load(SeqCst)
    }
}

/// Homes of a net: those that stay, and those of workers that come and go.
pub fn homes(pool: &Pool, base: usize, count: usize) -> Box<[Home]> {
    let home = |home| if home < base { Home::new(pool) } else { Home::extra(pool) };
    (0..count).map(home).collect()
}

//! Host to worker: what others ask of a worker, and the bell that wakes it.

use crate::buf::{Arena, Lock, Pool};
use crate::io::{Bell, Token};
use parking_lot::Mutex;
use std::net::SocketAddr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::*};
use std::thread::Thread;

/// `owner` of a home whose worker rests: it stays away from its sockets until somebody calls.
pub const RESTING: u64 = u64::MAX;
/// `owner` of a home whose lease is nobody's as yet: it was laid down for a host that asked.
pub const OFFERED: u64 = u64::MAX - 1;

/// What is asked. A command names a connection; one that is gone is passed over.
pub enum Command {
    /// Take a socket: a connection accepted elsewhere, or a new listener.
    Adopt(Token),
    /// Look at a connection: something to send, a close, a resume.
    Tend(Token),
    /// Look at a connection that moves. Unlike Tend it lets nothing leave that waits for a flush.
    Move(Token),
    /// Its name was looked up.
    Resolved(Token, Result<Vec<SocketAddr>, i32>),
    /// The queue was drained to its low mark.
    Drained,
    /// Close everything: in order, or now.
    Stop { abrupt: bool },
}

/// What a worker counted, written by its turner.
#[derive(Default)]
#[allow(missing_docs, reason = "the C ABI's `sockeye_net_stats` documents each")]
pub struct Counters {
    pub accepted: AtomicU64,
    pub accept_failures: AtomicU64,
    pub received_bytes: AtomicU64,
    pub received_messages: AtomicU64,
    pub sent_bytes: AtomicU64,
    pub sent_batches: AtomicU64,
    pub turns: AtomicU64,
    pub waits: AtomicU64,
}

/// Adds to a counter that only this thread writes.
pub fn count(counter: &AtomicU64, by: u64) {
    counter.store(counter.load(Relaxed) + by, Relaxed);
}

/// A worker as others see it.
pub struct Home {
    inbox: Mutex<Vec<Command>>,
    /// Connections with sends that wait for a flush (MANUAL).
    staged: Lock<Vec<Token>>,
    /// Connections whose sends were refused for want of memory.
    thirsty: Mutex<Vec<Token>>,
    /// True exactly when that list is not empty.
    is_thirsty: AtomicBool,
    bell: OnceLock<Bell>,
    /// The thread that left with a live lease; 0 while somebody turns or nobody did.
    pub owner: AtomicU64,
    /// A command came while the owner was away: the backstop turns once.
    pub wanted: AtomicBool,
    /// The worker's own thread.
    pub backstop: OnceLock<Thread>,
    /// Driven as in POOL from now on: the host waits elsewhere.
    pub pooled: AtomicBool,
    /// Connections and listeners that live here.
    pub population: AtomicUsize,
    pub counters: Counters,
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
            owner: AtomicU64::new(0),
            wanted: AtomicBool::new(false),
            backstop: OnceLock::new(),
            pooled: AtomicBool::new(false),
            population: AtomicUsize::new(0),
            counters: Counters::default(),
            arena: Arena::new(pool.clone()),
        }
    }

    /// Set once, when the worker is opened.
    pub fn set_bell(&self, bell: Bell) {
        let first = self.bell.set(bell).is_ok();
        debug_assert!(first, "a worker is opened once");
    }

    /// The worker's bell.
    pub fn bell(&self) -> &Bell {
        self.bell.get().expect("the worker is opened before anybody knows it")
    }

    /// Asks something of the worker and wakes it.
    pub fn post(&self, command: Command) {
        self.inbox.lock().push(command);
        self.wake();
    }

    /// Wakes the worker for what is in its inbox.
    pub fn wake(&self) {
        self.bell().ring();
        let owner = self.owner.load(SeqCst);
        if owner != 0 && owner != me() {
            self.call_backstop();
        }
    }

    /// Has the worker's own thread turn once, under a live lease too.
    pub fn call_backstop(&self) {
        // First, so that a thread that only now begins to run sees it.
        self.wanted.store(true, SeqCst);
        if let Some(thread) = self.backstop.get() {
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
        self.inbox.lock().extend(staged.drain(..).map(Command::Tend));
        true
    }

    /// Has the worker look at a connection when there is memory again.
    pub fn thirst(&self, token: Token) {
        let mut thirsty = self.thirsty.lock();
        thirsty.push(token);
        self.is_thirsty.store(true, SeqCst);
    }

    /// The turner takes everything. `commands` is empty and comes back full.
    pub fn take(&self, commands: &mut Vec<Command>) {
        if self.bell().hush() {
            std::mem::swap(&mut *self.inbox.lock(), commands);
        }
    }

    /// The turner takes those that waited for memory.
    pub fn take_thirsty(&self) -> Vec<Token> {
        let mut thirsty = self.thirsty.lock();
        self.is_thirsty.store(false, SeqCst);
        std::mem::take(&mut *thirsty)
    }

    /// Whether anybody waits for memory.
    pub fn is_thirsty(&self) -> bool {
        self.is_thirsty.load(SeqCst)
    }
}

//! Worker to host: events, published once per turn, handed out in batches.

use crate::buf::{Mutex, MutexGuard, Slice, rank};
use crate::engine::shared::arrivals::Arrivals;
use crate::engine::shared::callback::Callback;
use crate::engine::shared::event::{Event, Notice};
use crate::engine::shared::waiter::{Waiter, Waiting};
use crate::io::os::sys::{WaitObject, WaitPort};
use crate::io::{ADDRESS_BYTES, Gate, Token};
use once_cell::sync::OnceCell;
use std::collections::HashMap;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::*, fence};
use std::time::{Duration, Instant};

/// What is in a queue. While that is more than one connection may have, it is counted whose it is.
#[derive(Default)]
struct Inside {
    events: Vec<Event>,
    /// When they came.
    arrivals: Arrivals,
    /// Bytes of the messages here, by connection.
    here: HashMap<Token, u64>,
    /// The same of those that the poller took and has not handed out all.
    taken: HashMap<Token, u64>,
}

/// Room for so many events is kept between polls; that of a longer burst goes back.
pub const KEEP_EVENTS: usize = 16 * 1024;

/// An event's number is its queue and, in so many bits, how many came before it there.
const NUMBER_BITS: u32 = 56;

/// The queue that gave out the event of this number, if there is such a queue.
pub fn queue_of(number: u64) -> usize {
    (number >> NUMBER_BITS) as usize
}

/// A queue of events.
pub struct Queue {
    /// The first of its workers.
    pub home: usize,
    bytes_max: u64,
    /// Bytes of messages that one connection may have here before it alone is not read.
    own_max: u64,
    inside: Mutex<rank::Events, Inside>,
    /// Events published and not delivered, to be read without the lock.
    count: AtomicUsize,
    /// Events that the poller took and has not handed out.
    taken: AtomicUsize,
    /// When the oldest of each came, in nanoseconds of the net's clock; valid while there is one.
    came: AtomicU64,
    taken_came: AtomicU64,
    /// Bytes of them.
    bytes: AtomicU64,
    /// Some connections are not read because the queue is full.
    stalled: AtomicBool,
    /// Some are not read because they have too much here.
    crowded: AtomicBool,
    /// True where it is counted who has how much.
    tallied: AtomicBool,
    pub waiter: Waiter,
    /// In place of polls.
    pub callback: Callback,
    /// The poller's own: one at a time.
    pub poller: Mutex<rank::Poller, Poller>,
    /// Held by a thread that looks at the poller's own for a moment, beside no poller.
    visit: Mutex<rank::Visit, ()>,
    /// Where a poller is parked.
    gate: Gate,
    /// The host asked for a poll that answers 0.
    woken: AtomicBool,
    /// The wait object may be signalled for a wake that a poll has taken already.
    stirred: AtomicBool,
    signal: OnceCell<WaitObject>,
    port: OnceLock<Mutex<rank::Port, Option<WaitPort>>>,
}

/// What the polling thread has: events taken from the queue, in order. Those before `from` are
/// gone, those up to `next` are the current batch, the others are still to be handed out.
pub struct Poller {
    pub events: Vec<Event>,
    /// When those came that are still to be handed out.
    pub arrivals: Arrivals,
    /// The number of the first of them.
    pub first: u64,
    pub from: usize,
    pub next: usize,
    /// Its thread is inside a function of the host: the lock is free, and still no other thread
    /// comes in.
    away: bool,
    /// Bytes handed out since those that have too much here were last looked at.
    handed: u64,
}

impl Queue {
    /// An empty queue of a net with so much memory.
    pub fn new(home: usize, bytes_max: u64, memory: u64) -> Queue {
        let poller = Poller {
            events: Vec::new(),
            arrivals: Arrivals::default(),
            first: (home as u64) << NUMBER_BITS,
            from: 0,
            next: 0,
            away: false,
            handed: 0,
        };
        Queue {
            home,
            bytes_max,
            own_max: bytes_max.min(memory / 4) / 8,
            inside: Mutex::default(),
            count: AtomicUsize::new(0),
            taken: AtomicUsize::new(0),
            came: AtomicU64::new(0),
            taken_came: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            stalled: AtomicBool::new(false),
            crowded: AtomicBool::new(false),
            tallied: AtomicBool::new(false),
            waiter: Waiter::default(),
            callback: Callback::default(),
            poller: Mutex::new(poller),
            visit: Mutex::default(),
            gate: Gate::default(),
            woken: AtomicBool::new(false),
            stirred: AtomicBool::new(false),
            signal: OnceCell::new(),
            port: OnceLock::new(),
        }
    }

    /// Makes the calling thread the poller. None: another thread is inside.
    pub fn enter(&self) -> Option<MutexGuard<'_, rank::Poller, Poller>> {
        // Whoever only visits is out soon.
        let poller = self.poller.try_lock().or_else(|| {
            let _visit = self.visit.lock();
            self.poller.try_lock()
        });
        poller.filter(|poller| !poller.away)
    }

    /// Calls what may call a function of the host's from the middle of a poll, without the lock.
    pub fn step_out(poller: &mut MutexGuard<'_, rank::Poller, Poller>, call: impl FnOnce()) {
        poller.away = true;
        MutexGuard::unlocked(poller, call);
        poller.away = false;
    }

    /// Lets no poller in any more, once the one that is inside has left.
    pub fn shut_out(&self) {
        loop {
            let poller = self.poller.lock();
            if !poller.away {
                return MutexGuard::forget(poller);
            }
            // Its function has returned, or is about to.
            drop(poller);
            std::thread::yield_now();
        }
    }

    /// Looks at what the poller has, behind other visitors. None: a poller is inside.
    pub fn visit<T>(&self, look: impl FnOnce(&Poller) -> T) -> Option<T> {
        let _visit = self.visit.lock();
        loop {
            if let Some(poller) = self.poller.try_lock() {
                return Some(look(&poller));
            }
            // While a callback runs its batch lives: a poll that comes then is refused, and out
            // soon.
            if !self.callback.runs() {
                return None;
            }
            std::thread::yield_now();
        }
    }

    /// Puts a turn's events of `bytes` in, that came at `now`. Whoever waits for them is still to
    /// be woken.
    pub fn put(&self, batch: &mut Vec<Event>, bytes: u64, now: Duration) {
        let mut inside = self.inside.lock();
        inside.arrivals.put(now, batch.len());
        let all = self.bytes.fetch_add(bytes, SeqCst) + bytes;
        if all >= self.own_max {
            self.tally(&mut inside, batch);
        }
        let events = &mut inside.events;
        let before = events.len();
        if before == 0 {
            self.came.store(now.as_nanos() as u64, Relaxed);
            std::mem::swap(events, batch);
        } else {
            events.append(batch);
        }
        self.count.store(events.len(), SeqCst);
        if before == 0
            && let Some(signal) = self.signal.get()
        {
            signal.set();
        }
        self.tell_port(WaitPort::set);
    }

    /// Whether events wait.
    pub fn is_ready(&self) -> bool {
        self.count.load(SeqCst) > 0
    }

    /// Whether a poll is not to wait: it has events, or it was woken.
    pub fn stirs(&self) -> bool {
        self.is_ready() || self.woken.load(SeqCst)
    }

    /// Has the poll that waits, or else the next one, answer 0 events. Who waits is still to be
    /// woken. Async-signal-safe on Unix.
    pub fn stir(&self) {
        self.woken.store(true, SeqCst);
        // Who makes the object, or has it end, looks for a wake afterwards.
        fence(SeqCst);
        if let Some(signal) = self.signal.get() {
            signal.set();
            self.stirred.store(true, SeqCst);
        }
        self.tell_port(WaitPort::set);
    }

    /// A poll takes a wake, if there was one: it answers 0. A host that was signalled may take that
    /// for the end of the events, so it is signalled for them once more.
    pub fn take_stir(&self, poller: &Poller) -> bool {
        let woken = self.woken.load(SeqCst) && self.woken.swap(false, SeqCst);
        if woken || self.stirred.load(Relaxed) {
            self.stirred.store(false, SeqCst);
            self.tell_port(WaitPort::clear);
            if let Some(signal) = self.signal.get() {
                signal.set();
            }
            self.hush(poller);
        }
        woken
    }

    /// Bytes of the events that wait.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(SeqCst)
    }

    /// Events that wait to be handed out, by and by.
    pub fn depth(&self) -> usize {
        self.count.load(SeqCst) + self.taken.load(SeqCst)
    }

    /// When the oldest of them came, by the net's clock.
    pub fn oldest(&self) -> Option<Duration> {
        let came = match (self.taken.load(SeqCst), self.count.load(SeqCst)) {
            (0, 0) => return None,
            (0, _) => &self.came,
            (..) => &self.taken_came,
        };
        Some(Duration::from_nanos(came.load(Relaxed)))
    }

    /// Whether its connections are not to be read now. A worker that acts on it puts the
    /// connection on its list first, and asks `stall` afterwards.
    /// `more`: bytes that the worker is about to publish.
    pub fn is_full(&self, more: u64) -> bool {
        self.bytes() + more >= self.bytes_max
    }

    /// Some connection waits for the queue to be drained. False: it was meanwhile.
    pub fn stall(&self, more: u64) -> bool {
        self.stalled.store(true, SeqCst);
        self.is_full(more)
    }

    /// Counts whose the messages of a batch are, and of what was there when that began.
    #[cold]
    fn tally(&self, inside: &mut Inside, batch: &[Event]) {
        let before = if self.tallied.swap(true, SeqCst) { 0 } else { inside.events.len() };
        for event in inside.events[..before].iter().chain(batch) {
            let bytes = event.own_cost();
            if bytes > 0 {
                *inside.here.entry(event.token).or_default() += bytes;
            }
        }
    }

    /// Whether a connection, or a socket for datagrams, has too much here. `eighths`: of the queue,
    /// that it may have.
    pub fn is_filled_by(&self, token: Token, eighths: u64) -> bool {
        let inside = self.inside.lock();
        let of = |tally: &HashMap<Token, u64>| tally.get(&token).copied().unwrap_or(0);
        of(&inside.here) + of(&inside.taken) >= self.own_max * eighths
    }

    /// Whether an event of a connection may be still to be handed out: one is here, or a poll is
    /// in the middle of a batch, which is the poller's to look at.
    pub fn holds(&self, token: Token) -> bool {
        let inside = self.inside.lock();
        self.taken.load(SeqCst) > 0 || inside.events.iter().any(|event| event.token == token)
    }

    /// Notes what the poller has left.
    pub fn note_taken(&self, poller: &Poller) {
        self.note_oldest(poller);
        self.taken.store(poller.pending(), Release);
    }

    fn note_oldest(&self, poller: &Poller) {
        if let Some(at) = poller.arrivals.oldest() {
            self.taken_came.store(at.as_nanos() as u64, Relaxed);
        }
    }

    /// Whether there is so much here that one may have too much of it.
    #[inline]
    pub fn is_crowded(&self, more: u64) -> bool {
        self.bytes() + more >= self.own_max
    }

    /// Some connection waits for what it has here to be drained.
    pub fn crowd(&self) {
        self.crowded.store(true, SeqCst);
    }

    /// Ends the signal when nothing waits any more, and sees to it that there is one if not.
    pub fn hush(&self, poller: &Poller) {
        if self.signal.get().is_none() && self.port.get().is_none() {
            return;
        }
        let inside = self.inside.lock();
        if inside.events.is_empty() && poller.pending() == 0 {
            if let Some(signal) = self.signal.get() {
                signal.clear();
            }
            self.tell_port(WaitPort::clear);
            if !self.woken.load(SeqCst) {
                return;
            }
            // Woken meanwhile.
            if let Some(signal) = self.signal.get() {
                signal.set();
            }
            self.tell_port(WaitPort::set);
        } else {
            // The system may have had no memory for it when the events came.
            self.tell_port(WaitPort::set);
        }
    }

    /// Who empties the queue or fills it has the lock of the events.
    fn tell_port(&self, what: fn(&mut WaitPort)) {
        if let Some(port) = self.port.get()
            && let Some(port) = &mut *port.lock()
        {
            what(port);
        }
    }

    /// Takes everything from the queue. All that was taken before is gone.
    pub fn refill(&self, poller: &mut Poller) {
        poller.first += poller.events.len() as u64;
        poller.events.clear();
        if poller.events.capacity() > KEEP_EVENTS {
            poller.events = Vec::new();
        }
        (poller.from, poller.next) = (0, 0);
        let mut inside = self.inside.lock();
        std::mem::swap(&mut inside.events, &mut poller.events);
        std::mem::swap(&mut inside.arrivals, &mut poller.arrivals);
        self.note_oldest(poller);
        self.count.store(0, SeqCst);
        self.taken.store(poller.events.len(), SeqCst);
        if self.tallied.load(SeqCst) {
            inside.taken = std::mem::take(&mut inside.here);
        }
    }

    /// Puts back what was taken and not handed out.
    pub fn put_back(&self, poller: &mut Poller) {
        if poller.pending() == 0 {
            return;
        }
        let mut rest = poller.events.split_off(poller.next);
        let mut inside = self.inside.lock();
        rest.append(&mut inside.events);
        inside.events = rest;
        poller.arrivals.append(&mut inside.arrivals);
        std::mem::swap(&mut inside.arrivals, &mut poller.arrivals);
        if let Some(at) = inside.arrivals.oldest() {
            self.came.store(at.as_nanos() as u64, Relaxed);
        }
        self.count.store(inside.events.len(), SeqCst);
        self.taken.store(0, SeqCst);
        for (token, bytes) in std::mem::take(&mut inside.taken) {
            *inside.here.entry(token).or_default() += bytes;
        }
    }

    /// All that was taken is handed out.
    #[cold]
    fn forget_taken(&self) {
        let mut inside = self.inside.lock();
        inside.taken = HashMap::new();
        if inside.here.is_empty() {
            self.tallied.store(false, SeqCst);
        }
    }

    /// Counts what was handed out. True: connections wait for it, and are to be read again.
    pub fn drained(&self, poller: &mut Poller, bytes: u64) -> bool {
        let left = self.bytes.fetch_sub(bytes, SeqCst) - bytes;
        let mut again = left <= self.bytes_max / 2 && self.stalled.swap(false, SeqCst);
        poller.handed += bytes;
        if poller.pending() == 0 && self.tallied.load(SeqCst) {
            self.forget_taken();
        }
        if self.crowded.load(SeqCst) && (poller.pending() == 0 || poller.handed >= self.own_max / 2)
        {
            poller.handed = 0;
            again |= self.crowded.swap(false, SeqCst);
        }
        again
    }

    /// Whether there is something to give to the callback, and no thread does so.
    pub fn calls(&self) -> bool {
        self.waiter.get() == Waiting::Called && self.is_ready() && !self.callback.is_taken()
    }

    /// Wakes a parked poller.
    pub fn unpark(&self) {
        self.gate.open();
    }

    /// Sleeps until `unpark` or `until`.
    pub fn park(&self, until: Option<Instant>) {
        self.gate.pass(until);
    }

    /// The object that is signalled while events wait, made on first use.
    pub fn signal(&self, poller: &Poller) -> std::io::Result<isize> {
        let signal = self.signal.get_or_try_init(WaitObject::new)?;
        let inside = self.inside.lock();
        fence(SeqCst);
        if !inside.events.is_empty() || poller.pending() > 0 || self.woken.load(SeqCst) {
            signal.set();
        }
        Ok(signal.raw())
    }

    /// Posts to this port when events come to the empty queue, in place of another.
    pub fn set_port(&self, poller: &Poller, port: Option<WaitPort>) {
        // Where there are no ports, no handler of a signal finds a lock here.
        if port.is_none() && self.port.get().is_none() {
            return;
        }
        let inside = self.inside.lock();
        *self.port.get_or_init(Mutex::default).lock() = port;
        if !inside.events.is_empty() || poller.pending() > 0 {
            self.tell_port(WaitPort::set);
        }
    }
}

impl Poller {
    /// Events that were taken and not handed out.
    pub fn pending(&self) -> usize {
        self.events.len() - self.next
    }

    /// The payload at this address of an event of the current batch that is of no connection.
    pub fn mail(&self, data: *const u8) -> Option<&Slice> {
        let payloads = self.events[..self.next].iter().filter_map(|event| match &event.notice {
            Notice::Mail(mail) => Some(&mail.data),
            _ => None,
        });
        payloads.into_iter().find(|payload| payload.as_ptr() == data)
    }

    /// The payload of the event of this number, if it is of the current batch, that connection's,
    /// and at that address; and the bytes in front of it.
    pub fn payload(&self, token: Token, number: u64, data: *const u8) -> Option<(&Slice, usize)> {
        let at = usize::try_from(number.checked_sub(self.first)?).ok()?;
        let event = self.events[..self.next].get(at)?;
        let (slice, front) = match &event.notice {
            Notice::Message { data: slice, .. } => (slice, 0),
            Notice::Datagram { data, .. } => (data, ADDRESS_BYTES),
            _ => return None,
        };
        let same = event.token == token && slice[front..].as_ptr() == data;
        same.then_some((slice, front))
    }
}

//! Worker to host: events, published once per turn, handed out in batches.

use crate::buf::{Release, Slice};
use crate::engine::shared::callback::Callback;
use crate::engine::shared::core::Core;
use crate::engine::shared::home::Command;
use crate::engine::shared::table::Slot;
use crate::io::os::sys::{SLOT_BYTES, WaitObject, WaitPort};
use crate::io::{ADDRESS_BYTES, Token};
use crate::session::Cause;
use parking_lot::{Condvar, Mutex, MutexGuard};
use std::collections::HashMap;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::*};
use std::time::Instant;

/// Bytes that an event counts for beside its payload.
const EVENT_BYTES: u64 = 64;

/// What is in a queue. While that is more than one connection may have, it is counted whose it is.
#[derive(Default)]
struct Inside {
    events: Vec<Event>,
    /// Bytes of the messages here, by connection.
    here: HashMap<Token, u64>,
    /// The same of those that the poller took and has not handed out all.
    taken: HashMap<Token, u64>,
}

/// Room for so many events is kept between polls; that of a longer burst goes back.
const KEEP_EVENTS: usize = 16 * 1024;

/// One thing that happened.
pub struct Event {
    /// The connection or listener it happened to.
    pub token: Token,
    /// What happened.
    pub notice: Notice,
}

/// What an event tells. The C ABI's `sockeye_event_kind` documents each.
#[allow(missing_docs, reason = "the C ABI documents each")]
pub enum Notice {
    Opened(Option<Token>),
    Message(Slice),
    /// The sender's address, then the payload.
    Datagram {
        data: Slice,
        truncated: bool,
        connected: bool,
    },
    Writable {
        refused: u32,
        /// Of a listener of datagrams.
        listener: bool,
    },
    /// The other queue, and whether this one is left.
    Moved {
        queue: u8,
        left: bool,
    },
    Closed {
        cause: Cause,
        os_error: i32,
        unsent: u64,
        /// Bytes of a partial frame.
        code: u32,
    },
    /// The peer ended its side, and the connection stays.
    Ended,
    ListenerClosed {
        cause: Cause,
        os_error: i32,
    },
    Posted {
        detail: u64,
        user_data: u64,
    },
    /// Handed out, and its batch is over.
    Gone,
}

impl Event {
    /// Bytes it counts for while it waits.
    #[inline(always)]
    pub fn cost(&self) -> u64 {
        match &self.notice {
            Notice::Message(data) => EVENT_BYTES + data.len() as u64,
            // What it keeps from being used again.
            Notice::Datagram { data, .. } => EVENT_BYTES + data.len().max(SLOT_BYTES) as u64,
            _ => EVENT_BYTES,
        }
    }

    /// Of them, those that are counted for its connection too: of messages.
    #[inline(always)]
    pub fn own_cost(&self) -> u64 {
        match &self.notice {
            Notice::Message(_) | Notice::Datagram { .. } => self.cost(),
            _ => 0,
        }
    }
}

/// An event on its way to the host.
pub struct Handed<'a> {
    /// The event.
    pub event: &'a Event,
    /// The host's number for its connection or listener, as it is now.
    pub user_data: u64,
    /// Its number among all events that queues gave out, for `hold`.
    pub number: u64,
}

/// An event's number is its queue and, in so many bits, how many came before it there.
const NUMBER_BITS: u32 = 56;

/// The queue that gave out the event of this number, if there is such a queue.
pub fn queue_of(number: u64) -> usize {
    (number >> NUMBER_BITS) as usize
}

/// Nobody waits for this queue.
pub const NOBODY: usize = 0;
/// A poller sleeps; it is to be unparked.
pub const PARKED: usize = 1;
/// A poller turns the worker of home `h`: `TURNING + h`. Its bell is to be rung.
pub const TURNING: usize = 2;
/// A callback takes them; its worker calls it.
pub const CALLED: usize = usize::MAX - 1;
/// A poller looks at the queue again and again.
pub const LOOKING: usize = usize::MAX;

/// A queue of events.
pub struct Queue {
    /// The first of its workers.
    pub home: usize,
    bytes_max: u64,
    /// Bytes of messages that one connection may have here before it alone is not read.
    own_max: u64,
    inside: Mutex<Inside>,
    /// Events published and not handed out, told without the lock.
    count: AtomicUsize,
    /// Bytes of them.
    bytes: AtomicU64,
    /// Some connections are not read because the queue is full.
    stalled: AtomicBool,
    /// Some are not read because they have too much here.
    crowded: AtomicBool,
    /// True where it is counted who has how much.
    tallied: AtomicBool,
    pub waiter: AtomicUsize,
    /// In place of polls.
    pub callback: Callback,
    /// The poller's own: one at a time.
    pub poller: Mutex<Poller>,
    /// Held by a thread that looks at the poller's own for a moment, beside no poller.
    visit: Mutex<()>,
    gate: Mutex<bool>,
    opened: Condvar,
    signal: OnceLock<WaitObject>,
    port: OnceLock<Mutex<Option<WaitPort>>>,
}

/// What the polling thread has: events taken from the queue, in order. Those before `from` are
/// gone, those up to `next` are the current batch, the others are still to be handed out.
pub struct Poller {
    events: Vec<Event>,
    /// The number of the first of them.
    first: u64,
    from: usize,
    next: usize,
    /// Its thread is inside a function of the host's: the lock is down, and still nobody comes in.
    away: bool,
    /// Bytes handed out since those that have too much here were last looked at.
    handed: u64,
}

impl Queue {
    /// An empty queue of a net with so much memory.
    pub fn new(home: usize, bytes_max: u64, memory: u64) -> Queue {
        let poller = Poller {
            events: Vec::new(),
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
            bytes: AtomicU64::new(0),
            stalled: AtomicBool::new(false),
            crowded: AtomicBool::new(false),
            tallied: AtomicBool::new(false),
            waiter: AtomicUsize::new(NOBODY),
            callback: Callback::default(),
            poller: Mutex::new(poller),
            visit: Mutex::default(),
            gate: Mutex::new(false),
            opened: Condvar::new(),
            signal: OnceLock::new(),
            port: OnceLock::new(),
        }
    }

    /// Makes the calling thread the poller. None: another thread is inside.
    pub fn enter(&self) -> Option<MutexGuard<'_, Poller>> {
        // Whoever only visits is out soon.
        let poller = self.poller.try_lock().or_else(|| {
            let _visit = self.visit.lock();
            self.poller.try_lock()
        });
        poller.filter(|poller| !poller.away)
    }

    /// Calls a function of the host's from the middle of a poll, without the lock.
    pub fn step_out(poller: &mut MutexGuard<'_, Poller>, call: impl FnOnce()) {
        poller.away = true;
        MutexGuard::unlocked(poller, call);
        poller.away = false;
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

    /// Puts a turn's events of `bytes` in, and wakes who waits for them. `turner`: the home that
    /// the calling thread turns, if it turns one.
    pub fn publish(&self, core: &Core, batch: &mut Vec<Event>, bytes: u64, turner: Option<usize>) {
        {
            let mut inside = self.inside.lock();
            let all = self.bytes.fetch_add(bytes, SeqCst) + bytes;
            if all >= self.own_max {
                self.tally(&mut inside, batch);
            }
            let events = &mut inside.events;
            let before = events.len();
            if before == 0 {
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
        match self.waiter.load(SeqCst) {
            NOBODY | LOOKING => {}
            PARKED => self.unpark(),
            // A worker of this queue calls it when its turn ends.
            CALLED if turner.is_some_and(|home| home % core.queues.len() == self.home) => {}
            CALLED => core.homes[self.home].wake(),
            turning if Some(turning - TURNING) == turner => {}
            turning => core.homes[turning - TURNING].ring(),
        }
    }

    /// Whether events wait.
    pub fn is_ready(&self) -> bool {
        self.count.load(SeqCst) > 0
    }

    /// Bytes of the events that wait.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(SeqCst)
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

    /// Whether there is so much here that one may have too much of it.
    #[inline]
    pub fn is_crowded(&self, more: u64) -> bool {
        self.bytes() + more >= self.own_max
    }

    /// Some connection waits for what it has here to be drained.
    pub fn crowd(&self) {
        self.crowded.store(true, SeqCst);
    }

    /// Ends the batch before: payloads go back, slots of closed connections are free again.
    pub fn end_batch(&self, core: &Core, poller: &mut Poller) {
        let mut release = Release::default();
        for event in &mut poller.events[poller.from..poller.next] {
            match std::mem::replace(&mut event.notice, Notice::Gone) {
                Notice::Message(data) | Notice::Datagram { data, .. } => release.add(data),
                Notice::Opened(_) => {
                    if let Some(slot) = core.table.slot(event.token) {
                        slot.opened.store(false, Relaxed);
                    }
                }
                Notice::Closed { .. } => core.conn_ended(event.token),
                Notice::Moved { left: true, .. } => core.conn_left(event.token),
                Notice::ListenerClosed { .. } => core.listener_ended(event.token),
                _ => {}
            }
        }
        poller.from = poller.next;
        if poller.pending() == 0 && poller.events.capacity() > KEEP_EVENTS {
            // Now: after a burst nothing may come for long.
            poller.events = Vec::new();
            (poller.from, poller.next) = (0, 0);
        }
    }

    /// Hands out up to `cap` events. Ends early behind an OPENED, so that what the host sets for
    /// a connection there is on every later event.
    #[inline]
    pub fn hand_out(
        &self,
        core: &Core,
        poller: &mut Poller,
        cap: usize,
        mut write: impl FnMut(usize, Handed),
    ) -> usize {
        if poller.pending() == 0 {
            if !self.is_ready() {
                return 0;
            }
            self.refill(poller);
        }
        let (mut count, mut bytes) = (0, 0);
        let mut last: Option<(Token, Option<&Slot>)> = None;
        while count < cap
            && let Some(event) = poller.events.get_mut(poller.next)
        {
            let slot = match last {
                Some((token, slot)) if token == event.token => slot,
                _ => core.table.slot(event.token),
            };
            last = Some((event.token, slot));
            let mut user_data = 0;
            if let Some(slot) = slot {
                user_data = slot.user_data.load(Acquire);
                if slot.opened.load(Relaxed) {
                    break;
                }
                if slot.muted.load(Acquire) && !matches!(event.notice, Notice::Closed { .. }) {
                    bytes += event.cost();
                    poller.next += 1;
                    let left = matches!(event.notice, Notice::Moved { left: true, .. });
                    if left && count > 0 {
                        // Told by nobody, and looked at when the batch is over.
                        continue;
                    }
                    event.notice = Notice::Gone;
                    if left {
                        core.conn_left(event.token);
                    }
                    continue;
                }
                if matches!(event.notice, Notice::Opened(_)) {
                    slot.opened.store(true, Relaxed);
                }
            }
            bytes += event.cost();
            let number = poller.first + poller.next as u64;
            write(count, Handed { event, user_data, number });
            count += 1;
            poller.next += 1;
        }
        self.drained(core, poller, bytes);
        self.hush(poller);
        count
    }

    /// Ends the signal when nothing waits any more, and sees to it that there is one if not.
    fn hush(&self, poller: &Poller) {
        if self.signal.get().is_none() && self.port.get().is_none() {
            return;
        }
        let inside = self.inside.lock();
        if inside.events.is_empty() && poller.pending() == 0 {
            if let Some(signal) = self.signal.get() {
                signal.clear();
            }
            self.tell_port(WaitPort::clear);
        } else {
            // The system may have had no memory for it when the events came.
            self.tell_port(WaitPort::set);
        }
    }

    /// Under the lock of the events.
    fn tell_port(&self, what: fn(&mut WaitPort)) {
        if let Some(port) = self.port.get()
            && let Some(port) = &mut *port.lock()
        {
            what(port);
        }
    }

    /// Takes everything from the queue. All that was taken before is gone.
    fn refill(&self, poller: &mut Poller) {
        poller.first += poller.events.len() as u64;
        poller.events.clear();
        if poller.events.capacity() > KEEP_EVENTS {
            poller.events = Vec::new();
        }
        (poller.from, poller.next) = (0, 0);
        let mut inside = self.inside.lock();
        std::mem::swap(&mut inside.events, &mut poller.events);
        self.count.store(0, SeqCst);
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
        self.count.store(inside.events.len(), SeqCst);
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

    /// Counts what was handed out, and has the connections read again that waited for it.
    fn drained(&self, core: &Core, poller: &mut Poller, bytes: u64) {
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
        if again {
            let away = core.abroad.load(SeqCst);
            for home in core.workers() {
                if away || home % core.queues.len() == self.home {
                    core.homes[home].post(Command::Drained);
                }
            }
        }
    }

    /// Wakes a parked poller.
    pub fn unpark(&self) {
        *self.gate.lock() = true;
        self.opened.notify_one();
    }

    /// Sleeps until `unpark` or `until`.
    pub fn park(&self, until: Option<Instant>) {
        let mut open = self.gate.lock();
        while !*open {
            match until {
                None => self.opened.wait(&mut open),
                Some(until) => {
                    if self.opened.wait_until(&mut open, until).timed_out() {
                        break;
                    }
                }
            }
        }
        *open = false;
    }

    /// The object that is signalled while events wait, made on first use.
    pub fn signal(&self, poller: &Poller) -> std::io::Result<isize> {
        let fresh = if self.signal.get().is_none() { Some(WaitObject::new()?) } else { None };
        let inside = self.inside.lock();
        let signal = self.signal.get_or_init(|| fresh.expect("made when there was none"));
        if !inside.events.is_empty() || poller.pending() > 0 {
            signal.set();
        }
        Ok(signal.raw())
    }

    /// Has this port told when events come to the queue while it is empty, in place of another.
    pub fn set_port(&self, poller: &Poller, port: Option<WaitPort>) {
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

    /// The payload of the event of this number, if it is of the current batch, that connection's,
    /// and at that address; and the bytes in front of it.
    pub fn payload(&self, token: Token, number: u64, data: *const u8) -> Option<(&Slice, usize)> {
        let at = usize::try_from(number.checked_sub(self.first)?).ok()?;
        let event = self.events[..self.next].get(at)?;
        let (slice, front) = match &event.notice {
            Notice::Message(slice) => (slice, 0),
            Notice::Datagram { data, .. } => (data, ADDRESS_BYTES),
            _ => return None,
        };
        let same = event.token == token && slice[front..].as_ptr() == data;
        same.then_some((slice, front))
    }
}

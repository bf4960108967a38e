//! Overlapped I/O: an operation is handed to the system with an OVERLAPPED that names it, and the
//! system reports when it is over. This is what the three models share; they differ in how they
//! learn of that (`iocp.rs`, `overlapped_event.rs`, `overlapped_routine.rs`).
//!
//! * The OVERLAPPED and all that the system reads or writes stay at their place until the
//!   completion is *reaped*: a cancel is only a wish.
//! * A connection waits for bytes with a receive of none, so that an idle one pins no memory; what
//!   it announces is received without blocking. While whole chunks come that is tried first.
//! * A send is tried without blocking, which mostly does it all. What the system has no room for
//!   is handed to it, gathered.
//! * A listener has several accepts in flight, each with a socket to be. Those that complete before
//!   the engine asks are kept, and count among the several.
//! * Datagrams: the first is received to memory of its socket's own, for a receive of none would
//!   eat it; those behind it come in batches.
//! * An operation may be reaped by any worker of those that share the slots, and goes on there. A
//!   slot's lock is held while one of its operations is begun, reaped or cancelled.

mod accepts;
mod calls;
mod datagrams;
mod doors;
mod farewell;
mod hands;
mod inward;
mod joint;
mod operation;
mod outgoing;
mod outward;
mod reaper;
mod slots;

pub use hands::Counts;
pub use joint::Joint;
pub use operation::{Kind, Operation, named};
pub use reaper::{Reaper, Wish, limit};

use super::sys;
use crate::io::bell::Bell;
use crate::io::common::receiving::TURN_BYTES;
use crate::io::common::tried::LATER;
use crate::io::op::{Completion, LANES, Lane, Look, Op, Role, Token};
use crate::io::proactor::{Affinity, Proactor, Setup, cancelled};
use accepts::Doors;
use hands::Hands;
use slots::{Entry, Inward, Slots};
use socket2::Socket;
use std::io;
use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::Duration;
use windows_sys::Win32::System::IO::OVERLAPPED;

/// What the workers of a net have in common.
pub struct Common<R: Reaper> {
    slots: Arc<Slots>,
    place: R::Place,
    /// What any worker may reap, and the workers there are.
    counts: Arc<Counts>,
    workers: Arc<AtomicUsize>,
}

impl<R: Reaper> Common<R> {
    /// Whether the system still had operations when a worker was dropped.
    pub fn is_forsaken(&self) -> bool {
        self.slots.is_forsaken()
    }
}

impl<R: Reaper> Clone for Common<R> {
    fn clone(&self) -> Self {
        Common {
            slots: self.slots.clone(),
            place: self.place.clone(),
            counts: self.counts.clone(),
            workers: self.workers.clone(),
        }
    }
}

/// One worker's half. See the module.
pub struct Overlapped<R: Reaper> {
    slots: Arc<Slots>,
    hands: Hands<R>,
    over: Vec<*mut OVERLAPPED>,
    workers: Arc<AtomicUsize>,
}

// SAFETY: an operation that is over is not named elsewhere.
unsafe impl<R: Reaper> Send for Overlapped<R> {}

impl<R: Reaper> Overlapped<R> {
    /// What the system has: of this worker, or of all that reap from one place.
    pub fn counts(&self) -> &Arc<Counts> {
        &self.hands.counts
    }

    /// An operation is over. `spent`: what it announces is left for the next turn. Bytes.
    fn reaped(&mut self, name: *mut OVERLAPPED, spent: bool, done: &mut Vec<Completion>) -> usize {
        let Overlapped { slots, hands, .. } = self;
        hands.counts.flying.fetch_sub(1, SeqCst);
        // SAFETY: begun by a worker of these slots and not reaped before, so it is still there.
        let operation = unsafe { named(name) };
        let lane = match operation.kind {
            // SAFETY: as above; the box is taken back once.
            Kind::Accept => return unsafe { hands.accepted(slots, operation, done) },
            Kind::Lane(lane) => lane,
        };
        let Some(mut held) = slots.hold_index(operation.index as usize) else { return 0 };
        debug_assert!(held.flying[lane as usize], "released when both lanes are idle");
        held.flying[lane as usize] = false;
        if held.closing {
            hands.counts.ending.fetch_sub(1, SeqCst);
        }
        let answer = operation.result(&held.socket);
        match lane {
            Lane::Out => hands.sent(&mut held, answer, done),
            Lane::In => return hands.announced(&mut held, answer, spent, done),
        }
        0
    }

    /// Tries the first `count` receives that are runnable, as many bytes as a turn may bring.
    fn serve(&mut self, count: usize, mut bytes: usize, done: &mut Vec<Completion>) {
        let mut served = 0;
        while served < count && bytes < TURN_BYTES {
            let token = self.hands.runnable[served];
            served += 1;
            if let Some(mut held) = self.slots.hold(token) {
                bytes += self.hands.receive(&mut held, done);
            }
        }
        self.hands.runnable.drain(..served);
    }

    /// Begins again what the system had no memory for.
    fn retry(&mut self, done: &mut Vec<Completion>) {
        for (token, lane) in mem::take(&mut self.hands.later) {
            let Some(mut held) = self.slots.hold(token) else { continue };
            match lane {
                _ if held.flying[lane as usize] => {}
                Lane::In => self.hands.ask(&mut held, done),
                Lane::Out => self.hands.send_again(&mut held, done),
            }
        }
    }

    /// Whether it has the operations in flight to itself.
    fn is_last(&self) -> bool {
        R::AFFINITY != Affinity::Shared || self.workers.load(SeqCst) == 1
    }
}

impl<R: Reaper> Proactor for Overlapped<R> {
    const AFFINITY: Affinity = R::AFFINITY;
    const SOCKETS_MAX: Option<u32> = R::SOCKETS_MAX;
    const HOSTED: bool = R::HOSTED;

    type Shared = Common<R>;

    fn share(workers: usize) -> io::Result<Common<R>> {
        let place = R::place(workers)?;
        let (slots, counts, workers) = Default::default();
        Ok(Common { slots, place, counts, workers })
    }

    fn open(setup: &Setup, shared: &Common<R>) -> io::Result<Self> {
        let reaper = R::open(&shared.place)?;
        let together = R::AFFINITY == Affinity::Shared;
        let counts = if together { shared.counts.clone() } else { Arc::default() };
        let hands = Hands::new(reaper, setup, shared.slots.owner(), counts)?;
        shared.workers.fetch_add(1, SeqCst);
        let (slots, workers) = (shared.slots.clone(), shared.workers.clone());
        Ok(Overlapped { slots, hands, over: Vec::new(), workers })
    }

    fn bell(&self) -> Bell {
        self.hands.reaper.bell().clone()
    }

    fn adopt(&mut self, token: Token, socket: &Socket, role: Role) -> io::Result<()> {
        let doors = (role == Role::Listener).then(|| Doors::of(socket)).transpose()?;
        let skips = self.hands.reaper.attach(token, socket)? && self.hands.calls.skips;
        let mut entry = Entry {
            token,
            owner: self.hands.owner,
            socket: sys::borrow(socket),
            inward: Inward::Nothing,
            flying: [false; 2],
            closing: false,
            skips,
            bulk: false,
            outward: None,
            behind: None,
        };
        if doors.is_some() {
            entry.behind().doors = doors;
        }
        self.slots.put(entry);
        Ok(())
    }

    fn release(&mut self, token: Token) {
        let Some(held) = self.slots.hold(token) else { return };
        debug_assert!(held.flying == [false; 2], "both lanes are idle");
        if let Some(doors) = held.behind.as_ref().and_then(|behind| behind.doors.as_ref()) {
            // Before it is gone: from then on whoever reaps one of its accepts frees it.
            doors.shut(&held.socket);
        }
        drop(held.take());
        self.hands.reaper.detach(token);
        if let Some(datagrams) = &mut self.hands.datagrams {
            datagrams.forget(token);
        }
    }

    fn submit(&mut self, token: Token, op: Op, done: &mut Vec<Completion>) {
        let (hands, lane) = (&mut self.hands, op.lane());
        let held = self.slots.hold(token).filter(|held| !held.closing);
        let Some(mut held) = held else {
            return done.push(Completion { token, lane, outcome: op.fail(cancelled()) });
        };
        held.inward = match op {
            Op::Accept => Inward::Accept,
            Op::RecvFrom => Inward::RecvFrom,
            Op::Recv(chunk) => {
                if chunk.is_some() {
                    held.behind().chunk = chunk;
                }
                Inward::Recv
            }
            op => return hands.send(&mut held, op, done),
        };
        hands.ask(&mut held, done);
    }

    /// The system first. What the engine waits for and neither the system nor this has is on its
    /// way from another worker.
    fn waits(&mut self, token: Token, socket: &Socket, look: Look) -> bool {
        if look != Look::Output && sys::shows(socket, look) {
            return true;
        }
        let Some(held) = self.slots.hold(token) else { return false };
        let lane = look.lane() as usize;
        match look {
            Look::Unread => false,
            _ if held.flying[lane] => held.slot.operations[lane].is_over(),
            Look::Input => held.inward == Inward::Nothing,
            Look::Output => held.outward.is_none(),
        }
    }

    fn cancel(&mut self, token: Token) {
        let Some(mut held) = self.slots.hold(token) else { return };
        if mem::replace(&mut held.closing, true) {
            return;
        }
        let (slot, counts) = (held.slot, self.hands.counts.clone());
        let before = counts.ending.load(SeqCst);
        for lane in LANES {
            if held.flying[lane as usize] {
                counts.ending.fetch_add(1, SeqCst);
                slot.operations[lane as usize].cancel(&held.socket);
                continue;
            }
            let doors = held.behind.as_mut().and_then(|behind| behind.doors.as_mut());
            if lane == Lane::In && doors.is_some_and(|doors| doors.close()) {
                let doors = held.behind.as_ref().and_then(|behind| behind.doors.as_ref());
                counts.ending.fetch_add(1, SeqCst);
                doors.expect("just seen").shut(&held.socket);
                continue;
            }
            let op = match lane {
                Lane::In => held.take_inward(),
                Lane::Out => held.outward.take().map(|outward| outward.op),
            };
            if let Some(op) = op {
                let outcome = op.fail(cancelled());
                self.hands.cancelled.push(Completion { token, lane, outcome });
            }
        }
        if counts.ending.load(SeqCst) > before {
            // Its end may come when no thread waits.
            (self.hands.setup.summon)();
        }
    }

    fn turn(
        &mut self,
        done: &mut Vec<Completion>,
        mut timeout: Option<Duration>,
    ) -> io::Result<()> {
        let hands = &mut self.hands;
        hands.revive();
        if !hands.runnable.is_empty() || !hands.cancelled.is_empty() {
            timeout = Some(Duration::ZERO);
        } else if !hands.later.is_empty() {
            timeout = Some(timeout.unwrap_or(LATER).min(LATER));
        }
        let bell = hands.reaper.bell().clone();
        let (reaper, over) = (&mut hands.reaper, &mut self.over);
        bell.rounds(timeout, |timeout| {
            reaper.wait(timeout, over)?;
            Ok(!over.is_empty())
        })?;
        done.append(&mut hands.cancelled);
        if let Some(chunk) = &mut hands.chunk {
            chunk.rewind();
        }
        if let Some(datagrams) = &mut hands.datagrams {
            datagrams.rewind();
        }
        self.retry(done);
        let mut bytes = 0;
        // What becomes so in this turn is served in the next.
        let runnable = self.hands.runnable.len();
        let mut over = mem::take(&mut self.over);
        for name in over.drain(..) {
            bytes += self.reaped(name, bytes >= TURN_BYTES, done);
        }
        self.over = over;
        self.serve(runnable, bytes, done);
        if timeout == Some(Duration::ZERO) && self.hands.counts.ending.load(SeqCst) > 0 {
            // The system is at it on another thread.
            thread::yield_now();
            (self.hands.setup.summon)();
        }
        Ok(())
    }
}

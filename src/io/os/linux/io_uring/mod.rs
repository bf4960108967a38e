//! io_uring(7): operations are handed to the kernel in batches and it reports their completions,
//! one system call for both. One ring for a worker, bound to the thread that turned it first.
//!
//! * A connection's receive is one operation for as long as it lives (multishot): the kernel takes
//!   a buffer of the stock when bytes come. It may so run ahead of the engine; what comes before
//!   the engine asks is parked, and past a bound the operation is ended, so that the peer's window
//!   closes. It begins anew when the engine has taken what is parked.
//! * A receive into the engine's own chunk is a single one, straight to it.
//! * A receive of a long frame is tried by recv(2), a few in a turn and behind all others, and
//!   polled for where it would block. Done by the kernel, those of many would stand in its queue
//!   ahead of what is short.
//! * An accept is a single one, followed by accept4(2) for those that came at once: the repeating
//!   kind does not report who connected.
//! * Datagrams come and go in batches by recvmmsg(2) and sendmmsg(2), for which the ring has no
//!   operation; it polls for them.
//! * What the kernel reads or writes stays at its place until the completion of the operation is
//!   reaped. Its user data names the socket with its generation, so that a late completion is not
//!   taken for another socket's.

mod datagrams;
mod entry;
mod inward;
mod long;
mod outgoing;
mod outward;
mod ring;
mod stock;

use crate::buf::CHUNK_BYTES;
use crate::io::bell::Bell;
use crate::io::common::datagrams::Datagrams;
use crate::io::common::receiving::TURN_BYTES;
use crate::io::common::tried::LATER;
use crate::io::op::{Completion, Lane, Look, Op, Role, Token};
use crate::io::os::unix::sys;
use crate::io::pages::Pages;
use crate::io::proactor::{Affinity, LetGo, Proactor, Setup, cancelled};
use entry::{Entry, Inward, Kind, cancel, name};
use io_uring::{cqueue, squeue};
use outgoing::Outward;
use ring::Ring;
use socket2::Socket;
use std::collections::VecDeque;
use std::io;
use std::mem;
use std::os::fd::FromRawFd;
use std::time::Duration;
use stock::{PLACES, Stock};

/// One worker's ring, and what it does.
pub struct Uring {
    /// None: closed.
    ring: Option<Ring>,
    stock: Stock,
    /// By token index.
    entries: Pages<Entry>,
    /// Operations in the kernel that may touch memory of ours.
    flying: usize,
    /// Sockets whose receive can be answered without the kernel telling first: with what is parked,
    /// or with more datagrams.
    runnable: VecDeque<Token>,
    /// Receives of long frames, to be tried.
    long: VecDeque<Token>,
    /// Receives that found no memory.
    starved: Vec<Token>,
    /// Operations to be begun again after `LATER` at most: the system was short of memory.
    later: Vec<(Token, Lane)>,
    /// Completions of operations that were cancelled outside the kernel, reported by the next turn.
    cancelled: Vec<Completion>,
    /// The kernel has the stock's ring.
    provided: bool,
    /// Boxes for lane Out to be used again.
    #[expect(clippy::vec_box, reason = "the kernel knows what is in a box by its place")]
    spare: Vec<Box<Outward>>,
    /// What receives of datagrams need; made with the first.
    datagrams: Option<Box<Datagrams>>,
}

impl Uring {
    #[inline]
    fn entry(&mut self, token: Token) -> Option<&mut Entry> {
        let entry = self.entries.get_mut(token.index())?;
        (entry.generation == token.generation()).then_some(entry)
    }

    /// Hands an operation to the kernel.
    ///
    /// # Safety
    /// What it points at stays where it is until it has completed.
    #[inline]
    unsafe fn start(&mut self, token: Token, kind: Kind, entry: squeue::Entry) {
        self.flying += 1;
        if let Some(ring) = &mut self.ring {
            // SAFETY: the caller's.
            unsafe { ring.push(entry.user_data(name(token, kind))) };
        }
    }

    /// Has the kernel end an operation.
    fn stop(&mut self, token: Token, kind: Kind) {
        if let Some(ring) = &mut self.ring {
            // SAFETY: it points at nothing.
            unsafe { ring.push(cancel(token, kind)) };
        }
    }

    /// One completion of the kernel's. Answers the bytes that it brought.
    #[inline]
    fn reaped(&mut self, reaped: &cqueue::Entry, done: &mut Vec<Completion>) -> usize {
        let (token, kind, target) = entry::read(reaped.user_data());
        if let Some(target) = target {
            self.not_cancelled(token, target);
            return 0;
        }
        let more = kind == Kind::Multi && cqueue::more(reaped.flags());
        self.flying -= usize::from(!more);
        match kind {
            Kind::Out => {
                self.sent(token, reaped.result(), done);
                0
            }
            Kind::Accept => {
                self.accepted(token, reaped.result(), done);
                0
            }
            Kind::Into => self.received_into(token, reaped.result(), done),
            Kind::Poll if self.is_long(token) => self.polled_long(token, reaped.result(), done),
            Kind::Poll => self.polled(token, reaped.result(), done),
            _ => self.received(token, reaped, more, done),
        }
    }

    /// A cancel found nothing to cancel. Mostly the operation had just completed; one that was
    /// just being looked at by the kernel is still there.
    fn not_cancelled(&mut self, token: Token, target: Kind) {
        let Some(entry) = self.entry(token) else { return };
        let lives = match target {
            Kind::Out => entry.sending && (entry.closing || entry.leaving),
            kind => entry.flying == Some(kind) && entry.stopping,
        };
        if lives {
            self.stop(token, target);
        }
    }

    /// Answers receives that need not wait, the first `count` of them or as many bytes as a turn
    /// may bring; those that are left come first in the next.
    fn serve(&mut self, count: usize, done: &mut Vec<Completion>) {
        let mut bytes = 0;
        for _ in 0..count {
            if bytes >= TURN_BYTES {
                return;
            }
            let Some(token) = self.runnable.pop_front() else { return };
            let Some(entry) = self.entry(token) else { continue };
            entry.runnable = false;
            bytes += match entry.inward {
                Inward::Recv if entry.has_surplus() => self.deliver(token, done),
                Inward::RecvFrom if entry.flying.is_none() => self.receive_from(token, done),
                _ => 0,
            };
        }
    }

    /// Puts a receive among those that wait for the pool to have room.
    fn starve(&mut self, token: Token) {
        if let Some(entry) = self.entry(token)
            && !mem::replace(&mut entry.starved, true)
        {
            self.starved.push(token);
        }
    }

    /// Begins again what the system had no memory for.
    fn retry(&mut self) {
        for (token, lane) in mem::take(&mut self.later) {
            let Some(entry) = self.entry(token) else { continue };
            match lane {
                Lane::In => self.ask(token),
                Lane::Out if !entry.sending => self.send(token),
                Lane::Out => {}
            }
        }
    }

    /// Takes the buffers that lie ready back, and lays as many ready as at first: else only
    /// receives use them up, and after a burst there may be none.
    fn renew_stock(&mut self) -> io::Result<()> {
        let Some(ring) = &mut self.ring else { return Ok(()) };
        ring.withdraw()?;
        self.provided = false;
        // From here on a receive finds none, and is asked for again.
        let mut done = mem::take(&mut self.cancelled);
        let mut entered = Ok(());
        while entered.is_ok() {
            while let Some(reaped) = self.ring.as_mut().and_then(Ring::next) {
                self.reaped(&reaped, &mut done);
            }
            let Some(ring) = &mut self.ring else { break };
            if !ring.has_more() {
                break;
            }
            entered = ring.enter(Some(Duration::ZERO));
        }
        self.cancelled = done;
        entered?;
        self.stock.renew();
        self.provide()
    }

    /// Gives the kernel the ring of buffers, if it does not have it.
    fn provide(&mut self) -> io::Result<()> {
        if let Some(ring) = self.ring.as_ref().filter(|_| !self.provided) {
            // SAFETY: the stock's ring stays until this one is closed, see `drop`.
            unsafe { ring.provide(self.stock.address(), PLACES) }?;
            self.provided = true;
        }
        Ok(())
    }

    /// Begins the receives that wait for the pool to have room.
    fn revive(&mut self) {
        if !self.starved.is_empty() {
            // Thirst first: a block that comes back between the two rings the bell.
            self.stock.setup().pool.thirst();
        }
        self.stock.fill();
        if let Some(datagrams) = &mut self.datagrams {
            datagrams.rewind();
        }
        if self.starved.is_empty() {
            return;
        }
        let (dry, room) = (self.stock.is_dry(), self.stock.setup().pool.has_room(CHUNK_BYTES));
        if dry && !room {
            return;
        }
        for token in mem::take(&mut self.starved) {
            let Some(entry) = self.entry(token) else { continue };
            entry.starved = false;
            match entry.inward {
                // Datagrams go to a chunk of their own.
                Inward::RecvFrom if !room => self.starve(token),
                _ => self.ask(token),
            }
        }
    }
}

impl Proactor for Uring {
    const AFFINITY: Affinity = Affinity::Bound;
    const LETS_GO: bool = true;

    type Shared = ();

    fn share(_workers: usize) -> io::Result<()> {
        Ok(())
    }

    fn open(setup: &Setup, _shared: &()) -> io::Result<Self> {
        let (ring, stock) = (Ring::new()?, Stock::new(setup));
        let mut uring = Uring {
            ring: Some(ring),
            stock,
            provided: false,
            entries: Pages::default(),
            flying: 0,
            runnable: VecDeque::new(),
            long: VecDeque::new(),
            starved: Vec::new(),
            later: Vec::new(),
            cancelled: Vec::new(),
            spare: Vec::new(),
            datagrams: None,
        };
        uring.provide()?;
        Ok(uring)
    }

    fn bell(&self) -> Bell {
        self.ring.as_ref().expect("it is open").bell().clone()
    }

    fn descriptors(&mut self) -> io::Result<Vec<isize>> {
        self.ring.as_mut().expect("it is open").descriptors()
    }

    #[inline]
    fn may_wait(&self) -> Option<Duration> {
        if !self.runnable.is_empty() || !self.long.is_empty() || !self.cancelled.is_empty() {
            return Some(Duration::ZERO);
        }
        (!self.later.is_empty()).then_some(LATER)
    }

    fn adopt(&mut self, token: Token, socket: &Socket, _role: Role) -> io::Result<()> {
        self.entries.insert(token.index(), Entry::new(token, sys::borrow(socket)));
        Ok(())
    }

    fn release(&mut self, token: Token) {
        let Some(entry) = self.entries.remove(token.index()) else { return };
        debug_assert!(entry.generation == token.generation(), "nobody else's");
        debug_assert!(entry.inward == Inward::Nothing && entry.outward.is_none(), "idle lanes");
        if entry.flying == Some(Kind::Multi) {
            // The operation keeps the socket open: it is over before the engine closes it.
            self.stop(token, Kind::Multi);
            self.begin();
        }
        if let Some(datagrams) = &mut self.datagrams {
            datagrams.forget(token);
        }
        if entry.starved {
            self.starved.retain(|it| *it != token);
        }
    }

    fn submit(&mut self, token: Token, op: Op, done: &mut Vec<Completion>) {
        let lane = op.lane();
        let Some(entry) = self.entry(token) else {
            return done.push(Completion { token, lane, outcome: op.fail(cancelled()) });
        };
        match op {
            Op::Accept => entry.inward = Inward::Accept,
            Op::RecvFrom => entry.inward = Inward::RecvFrom,
            Op::Recv(chunk) => {
                entry.inward = Inward::Recv;
                if chunk.is_some() {
                    entry.behind().chunk = chunk;
                }
            }
            Op::SendTo(all) => return self.send_to(token, all, done),
            op => {
                self.put_outward(token, op);
                return self.send(token);
            }
        }
        self.ask(token);
    }

    /// What the kernel does for it ends. What comes until then is parked, or completes.
    fn let_go(&mut self, token: Token) -> LetGo {
        let Some(entry) = self.entry(token) else { return LetGo::Never };
        let first = !mem::replace(&mut entry.leaving, true);
        let (flying, sending) = (entry.flying, entry.sending);
        if let Some(kind) = flying
            && !mem::replace(&mut entry.stopping, true)
        {
            self.stop(token, kind);
        }
        if sending && first {
            self.stop(token, Kind::Out);
        }
        if flying.is_some() || sending {
            return LetGo::Later;
        }
        let Some(entry) = self.entry(token) else { return LetGo::Never };
        let inward = entry.take_inward();
        let surplus = entry.behind.as_mut().map(|behind| mem::take(&mut behind.surplus));
        let outward = self.take_outward(token);
        self.later.retain(|(it, _)| *it != token);
        self.release(token);
        LetGo::Done([inward, outward], surplus.unwrap_or_default().into())
    }

    fn keep_on(&mut self, token: Token) {
        let Some(entry) = self.entry(token) else { return };
        if mem::take(&mut entry.leaving) && entry.flying.is_none() {
            self.ask(token);
        }
    }

    /// The system first: the kernel moves bytes from there to the ring, and this thread from the
    /// ring to what is parked.
    fn waits(&mut self, token: Token, socket: &Socket, look: Look) -> bool {
        let parked = |entry: &mut Entry| match look {
            Look::Input => entry.has_surplus(),
            Look::Unread => entry.surplus_bytes() > 0,
            Look::Output => false,
        };
        sys::shows(socket, look)
            || self.entry(token).is_some_and(parked)
            || self
                .ring
                .as_mut()
                .is_some_and(|ring| ring.has(|user_data| entry::read(user_data).0 == token))
    }

    fn cancel(&mut self, token: Token) {
        let Some(entry) = self.entry(token) else { return };
        entry.closing = true;
        if let Some(behind) = entry.behind.as_deref_mut() {
            (behind.surplus, behind.end) = Default::default();
        }
        let (flying, sending) = (entry.flying, entry.sending);
        if let Some(kind) = flying {
            if !mem::replace(&mut entry.stopping, true) {
                self.stop(token, kind);
            }
        } else if let Some(op) = entry.take_inward() {
            let outcome = op.fail(cancelled());
            self.cancelled.push(Completion { token, lane: Lane::In, outcome });
        }
        if sending {
            self.stop(token, Kind::Out);
        } else if let Some(op) = self.take_outward(token) {
            let outcome = op.fail(cancelled());
            self.cancelled.push(Completion { token, lane: Lane::Out, outcome });
        }
    }

    fn begin(&mut self) {
        if let Some(ring) = &mut self.ring {
            // What fails here fails in the next turn too, and is reported there.
            let _ = ring.enter(Some(Duration::ZERO));
        }
    }

    fn trim(&mut self) {
        self.spare = Vec::new();
        if self.stock.calm_down() {
            // What fails here is tried again after the next burst, or reported by the next turn.
            let _ = self.renew_stock();
        }
    }

    fn turn(&mut self, done: &mut Vec<Completion>, timeout: Option<Duration>) -> io::Result<()> {
        self.provide()?;
        self.revive();
        let timeout = timeout.into_iter().chain(self.may_wait()).min();
        let Some(ring) = &mut self.ring else { return Ok(()) };
        let entered = ring.enter(timeout);
        done.append(&mut self.cancelled);
        self.retry();
        let mut bytes = 0;
        // What becomes so in this turn is served in the next.
        let runnable = self.runnable.len();
        while bytes < TURN_BYTES
            && let Some(reaped) = self.ring.as_mut().and_then(Ring::next)
        {
            bytes += self.reaped(&reaped, done);
        }
        self.serve(runnable, done);
        self.receive_long(bytes, done);
        entered
    }
}

impl Drop for Uring {
    fn drop(&mut self) {
        let Some(mut ring) = self.ring.take() else { return };
        while let Some(reaped) = ring.next() {
            let (_, kind, _) = entry::read(reaped.user_data());
            self.flying -= usize::from(kind != Kind::Cancel && !cqueue::more(reaped.flags()));
            if kind == Kind::Accept && reaped.result() >= 0 {
                // SAFETY: fresh from the kernel and not shared.
                drop(unsafe { Socket::from_raw_fd(reaped.result()) });
            }
        }
        if self.flying > 0 && !ring.close() {
            // The kernel may still write: nothing of it is ever used for anything else.
            mem::forget(mem::take(&mut self.entries));
            self.stock.forsake();
        }
    }
}

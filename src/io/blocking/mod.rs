//! BLOCKING: a pair of threads for each socket, one for each lane, in calls that block.
//!
//! The threads carry out the operations (`blocking/half.rs`); whoever turns the worker gives them
//! out and collects what came of them, and waits for that, not for sockets. A thread is started
//! with the first operation of its lane, so a connection that only listens to its peer has one.
//!
//! A call that blocks is ended from outside: `sys::interrupt`, again and again until the thread is
//! out of it, for a call that only now begins may not notice. The receiving side is ended without a
//! trace on the wire. Ending the sending side is an orderly end to the peer, which may not be what
//! the engine is about to do: so a send is first given the time that it takes if it does not block.
//!
//! When the system gives no thread for a send, whoever turns the worker tries it without blocking,
//! until it is done or there is a thread: the receiving threads of many do not silence the others.

mod half;
#[cfg(test)]
mod tests;

use super::bell::Bell;
use super::op::{Completion, LANES, Lane, Look, Op, Role, Token};
use super::os::sys;
use super::proactor::{Affinity, Proactor, Setup, cancelled};
use half::{Half, Shared};
use socket2::Socket;
use std::collections::HashMap;
use std::io;
use std::mem::{self, ManuallyDrop};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// As many sockets, and up to twice as many threads, does one turner keep busy.
const SOCKETS: u32 = 1024;
/// Between two looks at threads that are to come out of a call, or to end.
const AGAIN: Duration = Duration::from_millis(2);
/// The next try of a send without a thread.
const ALONE: Duration = Duration::from_millis(10);

/// A socket that the engine lent.
struct Entry {
    /// Borrowed: the engine keeps it open until `release`, and closes it.
    socket: ManuallyDrop<Socket>,
    halves: [Option<Thread>; 2],
}

/// One lane's thread.
struct Thread {
    half: Arc<Half>,
    handle: JoinHandle<()>,
}

/// One worker's half. See the module.
pub struct Blocking {
    shared: Arc<Shared>,
    bell: Bell,
    entries: HashMap<Token, Entry>,
    /// Lanes whose operation was cancelled while their thread was in a call.
    ending: Vec<Arc<Half>>,
    /// When these are interrupted again.
    again: Instant,
    /// Sends without a thread.
    alone: Vec<(Token, Op)>,
    /// Threads that have nothing to do any more and end, to be joined.
    leaving: Vec<JoinHandle<()>>,
}

impl Entry {
    /// The lane's thread, which is started if there is none. It fails when the system gives no
    /// thread: that is the limit of this model.
    fn half(&mut self, token: Token, lane: Lane, shared: &Arc<Shared>) -> io::Result<&Arc<Half>> {
        let place = &mut self.halves[lane as usize];
        if place.is_none() {
            let half = Half::new(token, lane, sys::borrow(&self.socket), shared);
            let handle = half.start().map_err(|_| io::Error::from(io::ErrorKind::QuotaExceeded))?;
            *place = Some(Thread { half, handle });
        }
        Ok(&place.as_ref().expect("there is one now").half)
    }
}

impl Blocking {
    /// Has an entry's threads end. They are in no call.
    fn dismiss(&mut self, entry: Entry) {
        for Thread { half, handle } in entry.halves.into_iter().flatten() {
            half.leave();
            self.leaving.push(handle);
        }
    }

    /// Joins those that have ended.
    fn join(&mut self) {
        for at in (0..self.leaving.len()).rev() {
            if self.leaving[at].is_finished() {
                self.shared.joined(self.leaving.swap_remove(at));
            }
        }
    }
}

impl Blocking {
    /// Tries the sends that have no thread.
    fn send_alone(&mut self, done: &mut Vec<Completion>) {
        for (token, op) in mem::take(&mut self.alone) {
            let lane = op.lane();
            let Some(entry) = self.entries.get_mut(&token) else {
                done.push(Completion { token, lane, outcome: op.fail(cancelled()) });
                continue;
            };
            if let Ok(half) = entry.half(token, lane, &self.shared) {
                half.ask(op);
                continue;
            }
            match half::send_now(&entry.socket, op) {
                Ok(outcome) => done.push(Completion { token, lane, outcome }),
                Err(op) => self.alone.push((token, op)),
            }
        }
    }
}

impl Proactor for Blocking {
    const SUMMONS: bool = true;
    const AFFINITY: Affinity = Affinity::Free;
    const SOCKETS_MAX: Option<u32> = Some(SOCKETS);

    type Shared = ();

    fn share(_workers: usize) -> io::Result<()> {
        Ok(())
    }

    fn open(setup: &Setup, _shared: &()) -> io::Result<Self> {
        let shared = Arc::new(Shared::new(setup));
        let struck = shared.clone();
        Ok(Blocking {
            shared,
            bell: Bell::new(move || struck.wake()),
            entries: HashMap::new(),
            ending: Vec::new(),
            again: Instant::now(),
            alone: Vec::new(),
            leaving: Vec::new(),
        })
    }

    fn bell(&self) -> Bell {
        self.bell.clone()
    }

    fn adopt(&mut self, token: Token, socket: &Socket, role: Role) -> io::Result<()> {
        if self.entries.len() >= SOCKETS as usize {
            return Err(io::ErrorKind::QuotaExceeded.into());
        }
        socket.set_nonblocking(false)?;
        let mut entry = Entry { socket: sys::borrow(socket), halves: [None, None] };
        // What will be needed at any rate: a lack of threads is reported now, as what it is.
        let lanes = if role == Role::Connecting { &LANES[..] } else { &[Lane::In] };
        for &lane in lanes {
            if let Err(error) = entry.half(token, lane, &self.shared) {
                self.dismiss(entry);
                return Err(error);
            }
        }
        self.entries.insert(token, entry);
        Ok(())
    }

    fn release(&mut self, token: Token) {
        if let Some(entry) = self.entries.remove(&token) {
            self.shared.forget(token);
            self.dismiss(entry);
        }
    }

    fn submit(&mut self, token: Token, op: Op, done: &mut Vec<Completion>) {
        let lane = op.lane();
        let half = match self.entries.get_mut(&token) {
            Some(entry) => entry.half(token, lane, &self.shared),
            None => Err(cancelled()),
        };
        match half {
            Ok(half) => half.ask(op),
            Err(_) if matches!(op, Op::Send(_) | Op::SendTo(_)) => {
                self.alone.push((token, op));
                self.send_alone(done);
            }
            Err(error) => done.push(Completion { token, lane, outcome: op.fail(error) }),
        }
    }

    /// The system first: what a thread takes from there it has announced before.
    fn waits(&mut self, token: Token, socket: &Socket, look: Look) -> bool {
        let takes = |entry: &Entry| {
            let thread = entry.halves[look.lane() as usize].as_ref();
            thread.is_some_and(|thread| thread.half.is_taking())
        };
        sys::shows(socket, look)
            || self.entries.get(&token).is_some_and(takes)
            || self.shared.has(token)
    }

    fn cancel(&mut self, token: Token) {
        if let Some(at) = self.alone.iter().position(|it| it.0 == token) {
            let (_, op) = self.alone.swap_remove(at);
            let (lane, outcome) = (op.lane(), op.fail(cancelled()));
            self.shared.tell(Completion { token, lane, outcome }, false);
        }
        let Some(entry) = self.entries.get(&token) else { return };
        for Thread { half, .. } in entry.halves.iter().flatten() {
            if half.cancel() && (half.lane == Lane::Out || half.interrupt()) {
                if self.ending.is_empty() {
                    self.again = Instant::now() + AGAIN;
                }
                self.ending.push(half.clone());
            }
        }
    }

    fn trim(&mut self) {
        self.shared.trim();
    }

    fn turn(
        &mut self,
        done: &mut Vec<Completion>,
        mut timeout: Option<Duration>,
    ) -> io::Result<()> {
        self.shared.revive();
        self.join();
        if !self.ending.is_empty() || !self.leaving.is_empty() {
            timeout = Some(timeout.map_or(AGAIN, |timeout| timeout.min(AGAIN)));
        }
        self.send_alone(done);
        if !done.is_empty() {
            timeout = Some(Duration::ZERO);
        } else if !self.alone.is_empty() {
            timeout = Some(timeout.map_or(ALONE, |timeout| timeout.min(ALONE)));
        }
        self.shared.collect(done, timeout, &self.bell);
        let begun = Instant::now();
        if !self.ending.is_empty() && self.again <= begun {
            self.ending.retain(|half| half.interrupt());
            // With many it takes a while, and they are to have most of the time to come out.
            self.again = Instant::now() + AGAIN.max(3 * begun.elapsed());
        }
        Ok(())
    }
}

impl Drop for Blocking {
    /// Every thread is joined, also those in the middle of an operation: after a fault, or when a
    /// net ends that could not wait for them.
    fn drop(&mut self) {
        let entries = mem::take(&mut self.entries);
        let halves = || entries.values().flat_map(|entry| entry.halves.iter().flatten());
        halves().for_each(|thread| {
            thread.half.cancel();
        });
        while halves().filter(|thread| thread.half.interrupt()).count() > 0 {
            thread::park_timeout(AGAIN);
        }
        entries.into_values().for_each(|entry| self.dismiss(entry));
        for handle in self.leaving.drain(..) {
            self.shared.joined(handle);
        }
        // Its threads know it, and are not to be known by it any more.
        self.shared.forget_starved();
    }
}

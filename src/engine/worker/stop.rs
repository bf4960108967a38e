//! The end of a net: bounded, idempotent, leaving nothing behind.

use crate::engine::host::net::Net;
use crate::engine::shared::config::Kind;
use crate::engine::shared::conn::{End, Phase};
use crate::engine::shared::core::{Core, ENDED, OVER, STOPPING};
use crate::engine::shared::error::Error;
use crate::engine::shared::home::Command;
use crate::engine::shared::log::Level;
use crate::engine::shared::queue::{Event, Notice};
use crate::engine::worker::desk::Desk;
use crate::engine::worker::moves::Moving;
use crate::io::Token;
use crate::io::os::sys;
use crate::session::Cause;
use std::collections::BTreeMap;
use std::mem;
use std::sync::Arc;
use std::sync::atomic::Ordering::*;
use std::thread;
use std::time::{Duration, Instant};

/// Time for the model to let go of what is closed at once.
const ABRUPT: Duration = Duration::from_millis(40);
/// Longest wait between two looks at what is left.
pub const LOOK: Duration = Duration::from_millis(10);

impl Core {
    /// A worker had a fault: the others close what they have, and pollers look.
    pub fn everybody_stops(&self) {
        if self
            .state
            .compare_exchange(crate::engine::shared::core::RUNNING, STOPPING, SeqCst, SeqCst)
            .is_ok()
        {
            self.tell_all(true);
        }
        self.queues.iter().for_each(crate::engine::shared::queue::Queue::unpark);
    }

    /// Has every worker look whether the ends that it sent are acknowledged.
    pub fn look(&self) {
        for home in self.workers() {
            self.homes[home].post(Command::Look);
        }
    }

    fn tell_all(&self, abrupt: bool) {
        for home in self.workers() {
            self.homes[home].post(Command::Stop { abrupt });
        }
    }

    pub fn left(&self) -> usize {
        self.homes.iter().map(crate::engine::shared::home::Home::population).sum()
    }
}

impl Desk {
    /// Shutdown: in order first, then at once.
    pub fn stop(&mut self, core: &Core, abrupt: bool) {
        // A batch has one queue for one connection.
        self.publish(core);
        for token in core.table.tokens() {
            let Some(mut held) = core.table.hold(token) else { continue };
            if let Some(listener) = held.listener() {
                if usize::from(listener.home) == self.home {
                    listener.closing.get_or_insert((Cause::Shutdown, 0));
                    self.tend_listener(core, token, listener);
                }
                continue;
            }
            if let Some(port) = held.port() {
                self.stop_port(core, token, port, abrupt);
                continue;
            }
            let Some(conn) = held.conn() else { continue };
            if usize::from(conn.home) != self.home {
                continue;
            }
            conn.session.flush();
            if matches!(conn.moving, Moving::Left | Moving::Due) {
                // Nobody may poll the old queue again before the end.
                self.stay(core, token, conn);
            }
            if abrupt || conn.phase != Phase::Open {
                // One that is about to end in order does.
                conn.reset |= abrupt && conn.end != End::Abrupt;
                conn.end_abruptly(Cause::Shutdown, 0);
            } else if conn.end == End::Not {
                conn.end = End::Graceful;
                conn.cause = Cause::Shutdown;
            }
            self.tend_conn(core, token, conn);
        }
    }

    /// Tells of all whose worker tells nothing any more: it had a fault, or is gone itself. None:
    /// of every worker, whatever is left.
    pub fn gone(core: &Core, home: Option<usize>, cause: Cause) {
        let is_gone = |of: usize| home.is_none_or(|home| home == of);
        let (mut batches, mut handed) = (BTreeMap::<usize, Vec<Event>>::new(), Vec::new());
        for token in core.table.tokens() {
            let Some(mut held) = core.table.hold(token) else { continue };
            if let Some(listener) = held.listener()
                && is_gone(listener.home.into())
                && !mem::replace(&mut listener.told, true)
            {
                if let Some(socket) = listener.socket.take() {
                    sys::end(&socket);
                }
                listener.file = None;
                let (cause, os_error) = listener.closing.unwrap_or((cause, 0));
                let notice = Notice::ListenerClosed { cause, os_error };
                let queue = usize::from(listener.home) % core.queues.len();
                batches.entry(queue).or_default().push(Event { token, notice });
            } else if let Some(port) = held.port().filter(|port| is_gone(port.home)) {
                let queue = port.queue;
                batches.entry(queue).or_default().extend(port.fault(token, cause));
            } else if let Some(conn) = held.conn()
                && is_gone(conn.home.into())
            {
                let moved = conn.cut_move();
                if mem::replace(&mut conn.joined, true) && moved.is_none() {
                    continue;
                }
                conn.end_abruptly(cause, 0);
                conn.give_up();
                if let Some(socket) = conn.socket.take() {
                    match cause == Cause::Shutdown || conn.reset || conn.unsent() > 0 {
                        true => sys::reset(&socket),
                        false => sys::end(&socket),
                    }
                }
                handed.extend(conn.listener().filter(|_| mem::take(&mut conn.handed)));
                if conn.announced && !mem::replace(&mut conn.told, true) {
                    let (cause, os_error, unsent) = (conn.cause, conn.os_error(), conn.unsent());
                    let closed = Notice::Closed { cause, os_error, unsent, code: 0 };
                    let notices = moved.into_iter().chain([closed]);
                    let events = notices.map(|notice| Event { token, notice });
                    batches.entry(conn.queue.into()).or_default().extend(events);
                }
            }
        }
        handed.into_iter().for_each(|token| core.handed_told(token));
        if let Some(home) = home {
            core.homes[home].clear();
        }
        for (queue, mut batch) in batches {
            let bytes = batch.iter().map(Event::cost).sum();
            core.queues[queue].publish(core, &mut batch, bytes, None);
        }
    }
}

impl Net {
    /// Ends the net; see the C ABI's `sockeye_shutdown`.
    pub fn shutdown(&self, timeout: Duration) -> Result<(), Error> {
        if self.is_inside() {
            return Err(Error::WouldDeadlock);
        }
        let core = &*self.core;
        let _ending = loop {
            match self.ending.enter_alone() {
                Some(ending) => break ending,
                None => self.ending.wait()?,
            }
        };
        if let Some(answer) = *self.stopped.lock() {
            return answer;
        }
        let called = core.queues.iter().map(|queue| queue.callback.hook());
        let waiting = crate::engine::shared::hook::waiting(called.chain([core.log.hook()]))?;
        let until = Instant::now() + timeout;
        let opening = self.opening.write();
        core.state.store(STOPPING, SeqCst);
        drop(opening);
        self.crew.seats.iter().for_each(|seat| seat.recall());
        core.queues.iter().for_each(crate::engine::shared::queue::Queue::unpark);
        core.names.stop();
        if !timeout.is_zero() {
            core.tell_all(false);
            self.wait_gone(until);
        }
        core.tell_all(true);
        self.wait_gone(Instant::now() + ABRUPT);
        core.state.store(ENDED, SeqCst);
        for (home, seat) in core.homes.iter().zip(&self.crew.seats) {
            home.ring();
            seat.recall();
        }
        let faulty = self.crew.end() || core.panicked.load(SeqCst);
        Desk::gone(core, None, Cause::Shutdown);
        drop(waiting);
        core.queues.iter().for_each(|queue| queue.last_call(core));
        core.state.store(OVER, SeqCst);
        core.queues.iter().for_each(crate::engine::shared::queue::Queue::unpark);
        let answer = if faulty { Err(Error::Panic) } else { Ok(()) };
        *self.stopped.lock() = Some(answer);
        core.log.tell_later();
        core.log.tell(Level::Info, || "the net is shut down".into());
        answer
    }

    /// Takes the host's functions away: whichever this thread is inside of is not called again
    /// when it has returned, the others do not even run. One that waits for this thread is left.
    pub fn silence(&self) {
        let _ = self.set_log(None, 0);
        for queue in 0..self.core.queues.len() as u32 {
            let _ = self.set_callback(queue, None);
        }
    }

    /// Ends a net that nobody calls any more, and lets go of it. Those who are inside still, this
    /// thread among them, are waited for by a thread of its own. An error: there is none to be had.
    pub fn discard(self: Arc<Net>) -> Result<(), Error> {
        if !self.is_inside() {
            // A fault of a worker goes away with the net.
            let _ = self.shutdown(Duration::ZERO);
            if self.retire().is_ok() {
                return Ok(());
            }
        }
        let thread = thread::Builder::new().name("sockeye-end".into());
        let body = move || {
            // Those that waited for whoever discarded it do not any more.
            self.silence();
            let _ = self.shutdown(Duration::ZERO);
            self.outlast();
        };
        let started = sys::without_signals(|| thread.spawn(body));
        started.map(drop).map_err(|_| Error::Os)
    }

    /// As `retire`, but waits until whoever is inside has left.
    fn outlast(&self) {
        for queue in &self.core.queues {
            // Nobody waits for this thread, so nothing refuses it. A poll that is about to call
            // finds that it may not, and leaves.
            let _ = queue.callback.shut();
            mem::forget(queue.poller.lock());
        }
        self.core.pool.close();
    }

    /// Waits until no socket is left, or `until`.
    fn wait_gone(&self, until: Instant) {
        let core = &*self.core;
        if self.core.config.workers == Some(0) {
            return self.crew.seats[0].wind_down(until);
        }
        loop {
            let mut held = core.gone.0.lock();
            if core.left() == 0 || Instant::now() >= until {
                return;
            }
            let look = until.min(Instant::now() + LOOK);
            let late = core.gone.1.wait_until(&mut held, look).timed_out();
            drop(held);
            if late {
                core.look();
            }
        }
    }

    /// The public handle of a connection.
    #[inline]
    pub fn conn_id(&self, token: Token) -> u64 {
        Kind::Conn.handle(self.core.table.tag(), token)
    }

    /// The public handle of a listener.
    pub fn listener_id(&self, token: Token) -> u64 {
        Kind::Listener.handle(self.core.table.tag(), token)
    }
}

//! The end of a net: bounded, idempotent, leaving nothing behind.

use crate::engine::host::net::Net;
use crate::engine::shared::config::Kind;
use crate::engine::shared::core::{ENDED, LOOK, OVER, STOPPING};
use crate::engine::shared::error::Error;
use crate::engine::shared::hook;
use crate::engine::shared::log::Level;
use crate::engine::shared::queue::Queue;
use crate::io::Token;
use crate::io::os::sys;
use crate::session::Cause;
use std::sync::Arc;
use std::sync::atomic::Ordering::*;
use std::thread;
use std::time::{Duration, Instant};

/// Time for the model to give back sockets that are closed at once.
const ABRUPT: Duration = Duration::from_millis(40);
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
        let waiting = hook::waiting(called.chain([core.log.hook(), core.guard.admit.hook()]))?;
        let until = Instant::now() + timeout;
        let opening = self.opening.write();
        core.state.store(STOPPING, SeqCst);
        drop(opening);
        self.batons.iter().for_each(|baton| baton.recall());
        core.queues.iter().for_each(Queue::unpark);
        core.names.stop();
        if !timeout.is_zero() {
            core.tell_all(false);
            self.wait_gone(until);
        }
        core.tell_all(true);
        self.wait_gone(Instant::now() + ABRUPT);
        core.state.store(ENDED, SeqCst);
        for (home, baton) in core.homes.iter().zip(&self.batons) {
            home.ring();
            baton.recall();
        }
        self.metrics_close();
        let faulty = self.crew.end() || core.panicked.load(SeqCst);
        core.report_lost(None, Cause::Shutdown);
        drop(waiting);
        core.queues.iter().for_each(|queue| core.last_call(queue));
        core.state.store(OVER, SeqCst);
        core.queues.iter().for_each(Queue::unpark);
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
        let _ = self.set_admit(None);
        for queue in 0..self.core.queues.len() as u32 {
            let _ = self.set_callback(queue, None);
        }
    }

    /// Ends and drops a net that is not called any more. Where threads are still inside, this one
    /// perhaps among them, a thread of its own waits for them. An error: that thread cannot be
    /// created.
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
            // No thread waits for this one, so nothing refuses it. A poll that is about to call
            // finds that it may not, and leaves.
            let _ = queue.callback.shut();
            queue.shut_out();
        }
        self.core.pool.close();
    }

    /// Waits until no socket is left, or `until`.
    fn wait_gone(&self, until: Instant) {
        let core = &*self.core;
        if self.core.config.workers == Some(0) {
            return self.batons[0].wind_down(until);
        }
        loop {
            let mut held = core.emptied.0.lock();
            if core.left() == 0 || Instant::now() >= until {
                return;
            }
            let look = until.min(Instant::now() + LOOK);
            let late = core.emptied.1.wait_until(&mut held, look);
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

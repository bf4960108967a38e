//! The end of a net: bounded, idempotent, leaving nothing behind.

use super::config::Kind;
use super::error::Error;
use super::inbox::Command;
use super::log::Level;
use super::net::Net;
use super::{Core, ENDED, STOPPING};
use crate::io::Token;
use std::sync::atomic::Ordering::*;
use std::time::{Duration, Instant};

/// Time for the model to let go of what is closed at once.
const ABRUPT: Duration = Duration::from_millis(40);
/// Longest wait between two looks at what is left.
const LOOK: Duration = Duration::from_millis(10);

impl Core {
    /// A worker had a fault: the others close what they have, and pollers look.
    pub(super) fn everybody_stops(&self) {
        if self.state.compare_exchange(super::RUNNING, STOPPING, SeqCst, SeqCst).is_ok() {
            self.tell_all(true);
        }
        self.queues.iter().for_each(super::events::Queue::unpark);
    }

    fn tell_all(&self, abrupt: bool) {
        for home in &self.homes {
            home.post(Command::Stop { abrupt });
        }
    }

    fn left(&self) -> usize {
        self.homes.iter().map(|home| home.population.load(SeqCst)).sum()
    }
}

impl Net {
    /// Ends the net; see the C ABI's `sockeye_shutdown`.
    pub fn shutdown(&self, timeout: Duration) -> Result<(), Error> {
        if super::log::inside() {
            return Err(Error::WouldDeadlock);
        }
        let mut stopped = self.stopped.lock();
        if let Some(answer) = *stopped {
            return answer;
        }
        let core = &*self.core;
        let until = Instant::now() + timeout;
        core.state.store(STOPPING, SeqCst);
        self.seats.iter().for_each(|seat| seat.recall());
        core.queues.iter().for_each(super::events::Queue::unpark);
        self.resolver.stop();
        if !timeout.is_zero() {
            core.tell_all(false);
            self.wait_gone(until);
        }
        core.tell_all(true);
        self.wait_gone(Instant::now() + ABRUPT);
        core.state.store(ENDED, SeqCst);
        for (home, seat) in core.homes.iter().zip(&self.seats) {
            home.bell().ring();
            seat.recall();
        }
        let mut faulty = core.panicked.load(SeqCst);
        for thread in self.threads.lock().drain(..) {
            faulty |= thread.join().is_err();
        }
        self.threads_now.store(0, Relaxed);
        core.queues.iter().for_each(super::events::Queue::unpark);
        let answer = if faulty { Err(Error::Panic) } else { Ok(()) };
        *stopped = Some(answer);
        drop(stopped);
        core.log.tell(Level::Info, || "the net is shut down".into());
        answer
    }

    /// Waits until no socket is left, or `until`.
    fn wait_gone(&self, until: Instant) {
        let core = &*self.core;
        if self.core.config.workers == Some(0) {
            return self.seats[0].wind_down(until);
        }
        let mut held = core.gone.0.lock();
        while core.left() > 0 && Instant::now() < until {
            let look = until.min(Instant::now() + LOOK);
            core.gone.1.wait_until(&mut held, look);
        }
    }

    /// The public handle of a connection.
    #[inline]
    pub fn conn_id(&self, token: Token) -> u64 {
        Kind::Conn.handle(self.core.tag, token)
    }

    /// The public handle of a listener.
    pub fn listener_id(&self, token: Token) -> u64 {
        Kind::Listener.handle(self.core.tag, token)
    }
}

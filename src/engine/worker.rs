//! One turn of a worker: the page to read first.
//!
//! A worker is an object, not a thread: whoever holds its baton may turn it (`baton.rs`). The desk
//! makes every decision and knows no model; the worker carries its orders to one model, as a type,
//! so that there is no dynamic call for an operation.

use super::Core;
use super::desk::{Desk, Order};
use super::inbox::count;
use crate::io::Proactor;
use crate::session::Millis;
use std::io;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

/// A model, and the desk that tells it what to do.
pub struct Worker<P: Proactor> {
    proactor: P,
    desk: Desk,
    core: Arc<Core>,
    home: usize,
}

impl<P: Proactor> Worker<P> {
    /// A worker of `home`, whose events go to the home's queue.
    pub fn new(proactor: P, core: Arc<Core>, home: usize) -> Worker<P> {
        let queue = home % core.queues.len();
        Worker { proactor, desk: Desk::new(home, queue), core, home }
    }

    /// Takes what was asked for, sends, waits once for all sockets, applies what happened and
    /// publishes it. `timeout`: None waits without limit, zero only looks. True: something
    /// happened.
    ///
    /// `hurried` is asked after the commands were taken, which ends the bell's ring: who rang for
    /// anything but a command has said before what it is. True: this turn only looks.
    pub fn turn(
        &mut self,
        timeout: Option<Duration>,
        hurried: impl FnOnce() -> bool,
    ) -> io::Result<bool> {
        self.send_out();
        let looks = timeout == Some(Duration::ZERO) || !self.desk.at_rest() || hurried();
        let timeout = if !looks {
            let next = self.desk.next_timer().map(|at| self.until(at));
            [timeout, next].into_iter().flatten().min()
        } else {
            Some(Duration::ZERO)
        };
        if !looks {
            self.desk.settle(&self.core);
        }
        let left = if looks { timeout } else { self.spin(timeout)? };
        // What a spin found is for this turn, and enough for it.
        if looks || self.desk.done.is_empty() {
            self.proactor.turn(&mut self.desk.done, left)?;
        }
        let mut happened = !self.desk.done.is_empty();
        self.digest(true);
        // Who was late is cancelled now, and that is told by the next turn.
        happened |= !self.desk.orders.is_empty();
        self.carry_out();
        self.desk.settle(&self.core);
        let counters = &self.core.homes[self.home].counters;
        count(&counters.turns, 1);
        count(&counters.waits, u64::from(timeout != Some(Duration::ZERO)));
        Ok(happened)
    }

    /// Looks again and again for up to `spin_us`, in place of blocking. What is left of the
    /// timeout: nothing when there is something to do.
    fn spin(&mut self, timeout: Option<Duration>) -> io::Result<Option<Duration>> {
        let spin = self.core.spin();
        if spin.is_zero() {
            return Ok(timeout);
        }
        let begun = Instant::now();
        let most = timeout.map_or(spin, |timeout| timeout.min(spin));
        loop {
            self.proactor.turn(&mut self.desk.done, Some(Duration::ZERO))?;
            if !self.desk.done.is_empty() || self.core.homes[self.home].rung() {
                return Ok(Some(Duration::ZERO));
            }
            let spun = begun.elapsed();
            if spun >= most {
                return Ok(timeout.map(|timeout| timeout.saturating_sub(spun)));
            }
            // Whoever is to answer may need this processor.
            thread::yield_now();
        }
    }

    /// All of a turn that comes before the wait; a flush by the host is this alone. Commands come
    /// before the wait, or a send followed by a poll without limit would wait for ever.
    pub fn send_out(&mut self) {
        self.desk.take_commands(&self.core);
        self.carry_out();
        if !self.desk.done.is_empty() {
            self.digest(false);
            self.carry_out();
        }
    }

    /// Has the model begin what it was given: no turn follows soon.
    pub fn begin(&mut self) {
        self.proactor.begin();
    }

    /// Publishes what was told before a fault.
    pub fn publish(&mut self) {
        self.desk.publish(&self.core);
    }

    /// Applies completions and publishes their events. What follows from them is carried out
    /// afterwards: nothing can be received or told out of order. `looked`: the sockets were looked
    /// at for it.
    fn digest(&mut self, looked: bool) {
        self.desk.apply(&self.core, looked);
        self.desk.publish(&self.core);
    }

    /// Does what the desk wrote down. Doing it may make it write down more.
    fn carry_out(&mut self) {
        let mut orders = Vec::new();
        while !self.desk.orders.is_empty() {
            std::mem::swap(&mut orders, &mut self.desk.orders);
            for order in orders.drain(..) {
                self.carry(order);
            }
        }
        self.desk.orders = orders;
    }

    fn carry(&mut self, order: Order) {
        match order {
            Order::Submit(token, op) => self.proactor.submit(token, op, &mut self.desk.done),
            Order::Cancel(token) => self.proactor.cancel(token),
            Order::Adopt(token, role) => {
                let answer =
                    self.core.with_socket(token, |socket| self.proactor.adopt(token, socket, role));
                if let Some(answer) = answer {
                    self.desk.adopted(&self.core, token, answer);
                }
            }
            Order::Release(token, socket) => {
                self.proactor.release(token);
                drop(socket);
                self.desk.joined(&self.core, token);
            }
            Order::Join(token) => {
                self.core.names.forget(&self.core, token);
                self.desk.joined(&self.core, token);
            }
            Order::Move(token) => {
                self.desk.hand_over(&self.core, token, || self.proactor.detach(token));
            }
        }
    }

    /// Whether nothing is left to do before the next wait.
    pub fn at_rest(&self) -> bool {
        self.desk.at_rest()
    }

    /// How long it may stay away from its sockets: `gather_us`, or to its next deadline.
    pub fn may_rest(&self) -> Duration {
        let next = self.desk.next_timer().map(|at| self.until(at));
        next.map_or(self.core.gather(), |next| next.min(self.core.gather()))
    }

    fn until(&self, at: Millis) -> Duration {
        Duration::from_millis(at.saturating_sub(self.core.now()))
    }
}

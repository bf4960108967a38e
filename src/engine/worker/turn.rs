//! One turn of a worker: the page to read first.
//!
//! A worker is an object, not a thread: whoever holds its baton may turn it (`baton.rs`). The desk
//! makes every decision and knows no model; the worker carries its orders to one model, as a type,
//! so that there is no dynamic call for an operation.

use crate::engine::shared::core::Core;
use crate::engine::shared::counters::count;
use crate::engine::shared::error::{Error, Refusal};
use crate::engine::worker::desk::{Desk, Order};
use crate::engine::worker::part::Part;
use crate::engine::worker::places::Places;
use crate::io::os::sys::{self, WaitSet};
use crate::io::proactor::cancelled;
use crate::io::{Bell, Completion, LetGo, Look, Op, Proactor, Role, Token, Wait};
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::{Duration, Instant};

/// The first pause after a wait that the system refused, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(100));
/// Warnings of refused waits come no faster.
const SAY: Duration = Duration::from_secs(1);

/// A model, and the desk whose orders it carries out.
pub struct Worker<P: Proactor> {
    proactor: P,
    desk: Desk,
    core: Arc<Core>,
    home: usize,
    /// What the model calls its sockets; unused where workers reap from one place.
    places: Places,
    refused: Refused,
}

/// Waits that the system refused because it ran short of something.
struct Refused {
    bell: Bell,
    /// The last pause; zero while waits succeed.
    pause: Duration,
    said: Option<Instant>,
}

impl<P: Proactor> Worker<P> {
    /// A worker of `home`, whose events go to the home's queue.
    pub fn new(proactor: P, core: Arc<Core>, home: usize) -> Worker<P> {
        let queue = home % core.queues.len();
        let refused = Refused { bell: proactor.bell(), pause: Duration::ZERO, said: None };
        let (desk, places) = (Desk::new(home, queue), Places::default());
        Worker { proactor, desk, core, home, places, refused }
    }

    /// Takes commands, sends, waits once for all sockets, applies what completed and publishes it.
    /// `timeout`: None waits without limit, zero only looks. True: something happened.
    ///
    /// `hurried` is called after the commands were taken, which silences the bell. A thread that
    /// rings for another reason than a command stores that reason first, so that it is not missed.
    /// True: the turn checks the sockets and does not wait.
    pub fn turn(
        &mut self,
        timeout: Option<Duration>,
        hurried: impl FnOnce() -> bool,
    ) -> io::Result<bool> {
        self.send_out();
        let asks = self.core.homes[self.home].asked.wait();
        if timeout == Some(Duration::ZERO) || asks || !self.desk.at_rest() || hurried() {
            self.reap(Some(Duration::ZERO))?;
        } else {
            self.wait(timeout)?;
        }
        let mut happened = !self.desk.done.is_empty();
        self.digest(true);
        // Operations of connections that time out are cancelled now, and complete in the next turn.
        happened |= !self.desk.orders.is_empty();
        self.carry_out();
        // What is not in a hurry: those who are in are served, and their events published.
        if self.desk.serve_hello(&self.core) {
            self.desk.publish(&self.core);
            self.carry_out();
        }
        self.desk.end_claims(&self.core);
        if std::mem::take(&mut self.desk.trims) {
            self.proactor.trim();
            self.desk.give_back(&self.core);
        }
        count(&self.core.homes[self.home].counters.turns, 1);
        Ok(happened)
    }

    /// Waits for the sockets, until the next timer at most.
    fn wait(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        let timeout = [timeout, self.until_next()].into_iter().flatten().min();
        self.desk.end_claims(&self.core);
        let left = self.spin(timeout)?;
        // What a spin found is enough for this turn.
        if self.desk.done.is_empty() {
            self.reap(left)?;
        }
        let waits = timeout != Some(Duration::ZERO);
        count(&self.core.homes[self.home].counters.waits, u64::from(waits));
        Ok(())
    }

    /// Checks the sockets for up to `spin_us`, in place of blocking. Answers the rest of the
    /// timeout: zero when there is something to do.
    fn spin(&mut self, timeout: Option<Duration>) -> io::Result<Option<Duration>> {
        let spin = self.core.spin();
        if spin.is_zero() {
            return Ok(timeout);
        }
        let begun = Instant::now();
        let most = timeout.map_or(spin, |timeout| timeout.min(spin));
        loop {
            self.reap(Some(Duration::ZERO))?;
            if !self.desk.done.is_empty() || self.core.homes[self.home].rung() {
                return Ok(Some(Duration::ZERO));
            }
            let spun = begun.elapsed();
            if spun >= most {
                return Ok(timeout.map(|timeout| timeout.saturating_sub(spun)));
            }
            // The thread that is to answer may need this processor.
            thread::yield_now();
        }
    }

    /// Has the model turn, once.
    fn reap(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        let before = self.desk.done.len();
        let answer = self.proactor.turn(&mut self.desk.done, timeout);
        self.name(before);
        match answer {
            Ok(()) => self.refused.pause = Duration::ZERO,
            Err(error) => self.wait_out(error, timeout)?,
        }
        Ok(())
    }

    /// A wait failed. After a passing failure the worker pauses, longer each time, at most for as
    /// long as the turn may wait, and until the bell rings.
    #[cold]
    fn wait_out(&mut self, error: io::Error, timeout: Option<Duration>) -> io::Result<()> {
        match sys::wait_failure(&error) {
            Wait::Again => return Ok(()),
            Wait::Passing => {}
            Wait::Fatal => return Err(error),
        }
        let Refused { bell, pause, said } = &mut self.refused;
        *pause = (*pause * 2).clamp(PAUSES.0, PAUSES.1);
        let failures = &self.core.homes[self.home].counters.wait_failures;
        count(failures, 1);
        if said.is_none_or(|said| said.elapsed() >= SAY) {
            *said = Some(Instant::now());
            let (home, times) = (self.home, failures.load(Relaxed));
            self.desk.say(|| format!("worker {home} cannot wait, {times} times so far: {error}"));
        }
        if self.desk.done.is_empty() {
            bell.nap(timeout.map_or(*pause, |timeout| timeout.min(*pause)));
        }
        Ok(())
    }

    /// Puts the net's tokens in place of the model's, in what is done from `before` on.
    #[inline]
    fn name(&mut self, before: usize) {
        if !P::DENSE {
            return;
        }
        for completion in &mut self.desk.done[before..] {
            let owner = self.places.owner(completion.token);
            debug_assert!(owner.is_some(), "a socket is given back with both lanes idle");
            completion.token = owner.unwrap_or(completion.token);
        }
    }

    /// What the model calls a socket, if it has it.
    #[inline]
    fn lent(&self, token: Token) -> Option<Token> {
        if P::DENSE { self.core.table.lent(token) } else { Some(token) }
    }

    /// The model has a socket no more.
    fn give_back(core: &Core, places: &mut Places, token: Token, lent: Token) {
        if P::DENSE {
            core.table.lend(token, None);
            places.give_back(lent);
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

    /// Publishes what was reported before a fault.
    pub fn publish(&mut self) {
        self.desk.publish(&self.core);
    }

    /// Applies completions and publishes their events. What follows from them is carried out
    /// afterwards: nothing can be received or reported out of order. `looked`: the sockets were
    /// checked for it.
    fn digest(&mut self, looked: bool) {
        self.desk.apply(&self.core, looked);
        self.desk.publish(&self.core);
    }

    /// Carries out the orders of the desk, which may lead to further orders.
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
            Order::Submit(token, op) => self.submit(token, op),
            Order::Cancel(token) => {
                if let Some(lent) = self.lent(token) {
                    self.proactor.cancel(lent);
                }
            }
            Order::Look(token, look) => {
                let found = self.look(token, look);
                self.desk.looked_at(&self.core, token, look, found);
            }
            Order::Adopt(token, role) => {
                if let Some(answer) = self.adopt(token, role) {
                    self.dial(token);
                    self.desk.adopted(&self.core, token, answer);
                }
            }
            Order::Release(token, socket) => {
                self.release(token, true);
                drop(socket);
                self.desk.joined(&self.core, token);
            }
            Order::HandOver(token, socket) => {
                self.release(token, false);
                self.desk.handed_over(&self.core, token, socket);
            }
            Order::Join(token) => {
                self.core.names.forget(&self.core, token);
                self.desk.joined(&self.core, token);
            }
            Order::Move(token) => {
                let lent = self.lent(token);
                let Worker { proactor, desk, core, places, .. } = self;
                desk.hand_over(core, token, || {
                    let (lent, ops) = (lent?, proactor.detach(lent?)?);
                    Self::give_back(core, places, token, lent);
                    Some(ops)
                });
            }
            Order::Part(token) => self.part(token),
            Order::Dial(token) => self.dial(token),
        }
    }

    /// Has the model let go of a socket that the host takes back.
    fn part(&mut self, token: Token) {
        let lent = self.lent(token);
        let Worker { proactor, desk, core, places, .. } = self;
        desk.part(core, token, |part| match (lent, part) {
            (None, _) => LetGo::Later,
            (Some(lent), Part::Stay) => {
                proactor.keep_on(lent);
                LetGo::Later
            }
            (Some(lent), Part::Go) => {
                let answer = proactor.let_go(lent);
                if matches!(answer, LetGo::Done(..)) {
                    Self::give_back(core, places, token, lent);
                }
                answer
            }
        });
    }

    #[inline]
    fn submit(&mut self, token: Token, op: Op) {
        let before = self.desk.done.len();
        let Some(lent) = self.lent(token) else {
            // Not with this model, so nothing comes of it.
            let (lane, outcome) = (op.lane(), op.fail(cancelled()));
            return self.desk.done.push(Completion { token, lane, outcome });
        };
        self.proactor.submit(lent, op, &mut self.desk.done);
        self.name(before);
    }

    /// Lends a socket to the model. None: there is none.
    fn adopt(&mut self, token: Token, role: Role) -> Option<io::Result<()>> {
        let Worker { proactor, core, places, .. } = self;
        core.with_socket(token, |socket| {
            let lent = if P::DENSE { places.lend(token)? } else { token };
            proactor.name(lent, token);
            let answer = proactor.adopt(lent, socket, role);
            match &answer {
                Ok(()) if P::DENSE => core.table.lend(token, Some(lent)),
                Ok(()) => {}
                Err(_) => Self::give_back(core, places, token, lent),
            }
            Some(answer)
        })?
    }

    /// Sets the faults of a socket in its tap.
    fn dial(&mut self, token: Token) {
        if P::TAPS
            && let Some(lent) = self.lent(token)
        {
            self.proactor.dial(lent, self.core.weather_of(token));
        }
    }

    /// Takes a socket back from the model, if that has it. `closes`: it is closed next.
    fn release(&mut self, token: Token, closes: bool) {
        if let Some(lent) = self.lent(token) {
            match closes {
                true => self.proactor.release_to_close(lent),
                false => self.proactor.release(lent),
            }
            Self::give_back(&self.core, &mut self.places, token, lent);
        } else {
            self.proactor.pass_over(token);
        }
    }

    /// Whether something of this lane is still to be reported, by the system or by the model.
    fn look(&mut self, token: Token, look: Look) -> bool {
        // Whatever a carried connection waits for comes as a datagram.
        let (token, look) = match self.desk.socket_behind(&self.core, token) {
            Some(socket) => (socket, Look::Input),
            None => (token, look),
        };
        let Some(lent) = self.lent(token) else { return false };
        let proactor = &mut self.proactor;
        let waits = |socket: &_| proactor.waits(lent, socket, look);
        self.desk.done.iter().any(|it| it.token == token)
            || self.core.with_socket(token, waits).unwrap_or(false)
    }

    /// Whether connections that open wait for turns.
    pub fn has_hellos(&self) -> bool {
        !self.desk.hellos.is_empty()
    }

    /// Whether nothing is left to do before the next wait.
    pub fn at_rest(&self) -> bool {
        self.desk.at_rest()
    }

    /// How long it may leave its sockets alone: `gather_us`, or until its next deadline.
    pub fn may_rest(&self) -> Duration {
        self.until_next().map_or(self.core.gather(), |next| next.min(self.core.gather()))
    }

    /// What a host waits for that has no thread: the model, a deadline, and the object of its
    /// queue by that number.
    pub fn wait_set(&mut self, signal: isize) -> Result<WaitSet, Refusal> {
        let members = self.proactor.descriptors().map(|it| [it, vec![signal]].concat());
        members.and_then(|members| WaitSet::new(&members)).map_err(|error| match error.kind() {
            io::ErrorKind::Unsupported => {
                let name = self.core.config.model.name();
                let words = format!(
                    "with workers 0 the model {name} has no object that covers sockets, bell and \
                     deadlines; EPOLL and IO_URING have one"
                );
                Refusal::new(Error::Unsupported, words)
            }
            _ => Refusal::system("the wait object cannot be made", &error),
        })
    }

    /// No thread turns it until the host hears of a descriptor, or this time has passed: all that
    /// was submitted is begun, and the bell strikes.
    pub fn leave(&mut self) -> Option<Duration> {
        self.proactor.begin();
        let now = !self.at_rest() || !self.refused.bell.doze() && self.refused.bell.rung();
        let due = if now { Some(Duration::ZERO) } else { self.proactor.may_wait() };
        due.into_iter().chain(self.until_next()).min()
    }

    /// The time to its next deadline, or to its model's.
    fn until_next(&self) -> Option<Duration> {
        let next = self.desk.next_timer().map(|at| self.until(at));
        let due = self.next_due().map(|at| at.saturating_duration_since(Instant::now()));
        next.into_iter().chain(due).min()
    }

    /// When its model is to be turned at the latest.
    pub fn next_due(&self) -> Option<Instant> {
        self.proactor.next_due()
    }

    fn until(&self, at: Duration) -> Duration {
        at.saturating_sub(self.core.elapsed())
    }
}

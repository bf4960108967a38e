//! A tap: a proactor around a proactor, which does to the bytes of a socket what a bad network
//! would. A net has one for each of its workers when its config asks (`model::pick_tapped`); else
//! there is none, and none of this runs.
//!
//! * **It reads ahead.** Once the engine receives from a socket, the tap has a receive of its own
//!   with the model, until it holds `AHEAD_BYTES`, or something that is due and not asked for. So a
//!   delay is no stop-and-wait, and a paused connection still has its peer wait.
//! * **It takes sends ahead**, up to as much: a send completes when the tap has taken it. *An empty
//!   send completes when nothing is held any more*: the engine asks for one before it ends a stream
//!   or closes a socket, so what was taken leaves first. When it fails, its error says how many
//!   bytes did not leave (`unsent`).
//! * **It is quiet behind a cancel.** The engine's operations that it has then, or is given,
//!   complete when the model has none of its own any more. So before the engine gives up a socket
//!   it cancels, and awaits an empty send behind that (`Desk::is_tapped`).
//! * **It has deadlines** (`Proactor::next_due`), which the wait of a turn includes.
//!
//! What leaves when is decided in `stream.rs` and `datagrams.rs`, without any input or output;
//! `flow.rs` and `scatter.rs` carry it out.

mod datagrams;
mod flow;
mod lanes;
mod scatter;
mod stream;
pub mod weather;

pub use lanes::unsent;

use super::bell::Bell;
use super::op::{Completion, LANES, Lane, Look, Op, Outcome, Role, Token};
use super::proactor::{Affinity, Proactor, Setup, cancelled};
use flow::Flow;
use lanes::{Flying, Lanes, OUT, Turn};
use scatter::Scatter;
use socket2::Socket;
use std::collections::{BTreeSet, HashMap};
use std::io;
use std::mem;
use std::sync::Arc;
use std::time::{Duration, Instant};
use weather::{Micros, Weather};

/// What is done with a socket's operations.
enum Course {
    /// They go through: a listener's.
    Through,
    Flow(Flow),
    Scatter(Scatter),
}

/// A socket.
struct Tapped {
    lanes: Lanes,
    course: Course,
    weather: Option<Arc<Weather>>,
}

/// See the module.
pub struct Tap<P: Proactor> {
    model: P,
    setup: Setup,
    begun: Instant,
    sockets: HashMap<Token, Box<Tapped>>,
    /// When sockets are to be looked at.
    alarms: BTreeSet<(Micros, Token)>,
    /// Those to be looked at in the next turn, or in this.
    soon: Vec<Token>,
    /// What the model completed.
    reaped: Vec<Completion>,
}

impl Tapped {
    /// Gives the model what it may have without the tap's doing, or begins to do it.
    fn begin<P: Proactor>(&mut self, turn: &mut Turn<'_, P>, op: Op) {
        let through = match &self.course {
            Course::Through => true,
            Course::Flow(flow) => flow.lets_through(&op),
            Course::Scatter(scatter) => scatter.lets_through(&op),
        };
        let lane = op.lane();
        // The tap may be empty, and its last operation not over.
        if through && self.lanes.flying[lane as usize] == Flying::Nothing {
            return self.lanes.forward(turn, op);
        }
        self.lanes.asked[lane as usize] = Some(op);
        match &mut self.course {
            Course::Through => {}
            Course::Flow(flow) if lane == Lane::In => flow.read(&mut self.lanes, turn),
            Course::Flow(flow) => flow.write(&mut self.lanes, turn),
            Course::Scatter(scatter) if lane == Lane::In => scatter.read(&mut self.lanes, turn),
            Course::Scatter(scatter) => scatter.write(&mut self.lanes, turn),
        }
    }

    /// Does what may be done now, on both lanes.
    fn step<P: Proactor>(&mut self, turn: &mut Turn<'_, P>) {
        let lanes = &mut self.lanes;
        if lanes.cancelled {
            return self.end(turn);
        }
        match &mut self.course {
            Course::Through => {}
            Course::Flow(flow) => {
                flow.deliver(lanes, turn);
                flow.read(lanes, turn);
                flow.write(lanes, turn);
            }
            Course::Scatter(scatter) => {
                scatter.deliver(lanes, turn);
                scatter.read(lanes, turn);
                scatter.write(lanes, turn);
            }
        }
    }

    /// Completes the engine's operations after a cancel, when the model has none any more.
    fn end<P: Proactor>(&mut self, turn: &mut Turn<'_, P>) {
        if !self.lanes.is_quiet() {
            return;
        }
        for lane in LANES {
            if let Some(outcome) = self.lanes.ends[lane as usize].take() {
                turn.tell(lane, outcome);
            }
            if let Some(op) = self.lanes.asked[lane as usize].take() {
                let outcome = match (&mut self.course, op) {
                    (Course::Flow(flow), op @ Op::Send(_)) => op.fail(flow.give_up()),
                    (_, Op::SendTo(all)) if all.is_empty() => Outcome::SentTo(Ok(0), all),
                    (_, op) => op.fail(cancelled()),
                };
                turn.tell(lane, outcome);
            }
        }
    }

    /// When something is to be done that nothing else brings about.
    fn next(&self) -> Option<Micros> {
        if self.lanes.cancelled {
            return None;
        }
        match &self.course {
            Course::Through => None,
            Course::Flow(flow) => flow.next(&self.lanes),
            Course::Scatter(scatter) => scatter.next(&self.lanes),
        }
    }

    /// An operation of the tap's has completed.
    fn completed<P: Proactor>(&mut self, outcome: Outcome, turn: &mut Turn<'_, P>) {
        match &mut self.course {
            Course::Through => {}
            Course::Flow(flow) => flow.completed(&mut self.lanes, outcome, turn.now),
            Course::Scatter(scatter) => scatter.completed(&self.lanes, outcome, turn),
        }
    }
}

impl<P: Proactor> Tap<P> {
    fn now(&self) -> Micros {
        self.begun.elapsed().as_micros() as Micros
    }

    /// Works on one socket, then sees to it that it is looked at again in time.
    fn with(
        &mut self,
        token: Token,
        done: &mut Vec<Completion>,
        work: impl FnOnce(&mut Tapped, &mut Turn<'_, P>),
    ) {
        let now = self.now();
        let Tap { model, setup, sockets, alarms, soon, reaped, .. } = self;
        let Some(one) = sockets.get_mut(&token) else { return };
        work(one, &mut Turn { token, now, model, reaped, done, setup });
        let next = one.next();
        let lanes = &mut one.lanes;
        let alarm = next.filter(|&at| at > now);
        if lanes.alarm != alarm {
            if let Some(at) = mem::replace(&mut lanes.alarm, alarm) {
                alarms.remove(&(at, token));
            }
            alarms.extend(alarm.map(|at| (at, token)));
        }
        if next.is_some_and(|at| at <= now) && !mem::replace(&mut lanes.soon, true) {
            soon.push(token);
        }
    }

    /// Has the next turn look at a socket.
    fn look_soon(&mut self, token: Token) {
        if let Some(one) = self.sockets.get_mut(&token)
            && !mem::replace(&mut one.lanes.soon, true)
        {
            self.soon.push(token);
        }
    }

    /// Takes what the model completed. The engine's own goes on to it.
    fn absorb(&mut self, done: &mut Vec<Completion>) {
        let mut reaped = mem::take(&mut self.reaped);
        for Completion { token, lane, outcome } in reaped.drain(..) {
            let Some(one) = self.sockets.get_mut(&token) else { continue };
            let lanes = &mut one.lanes;
            let whose = mem::replace(&mut lanes.flying[lane as usize], Flying::Nothing);
            if whose == Flying::Own {
                self.with(token, done, |one, turn| one.completed(outcome, turn));
            } else if lanes.cancelled {
                lanes.ends[lane as usize] = Some(outcome);
            } else {
                done.push(Completion { token, lane, outcome });
                continue;
            }
            self.look_soon(token);
        }
        if self.reaped.is_empty() {
            self.reaped = reaped;
        }
    }
}

impl<P: Proactor> Proactor for Tap<P> {
    /// What is held is one worker's, so workers do not reap from one place.
    const AFFINITY: Affinity = match P::AFFINITY {
        Affinity::Shared => Affinity::Free,
        affinity => affinity,
    };
    const DENSE: bool = P::DENSE;
    const SOCKETS_MAX: Option<u32> = P::SOCKETS_MAX;
    const HOSTED: bool = P::HOSTED;
    const TAPS: bool = true;
    const SUMMONS: bool = P::SUMMONS;

    type Shared = P::Shared;

    fn share(workers: usize) -> io::Result<P::Shared> {
        P::share(workers)
    }

    fn open(setup: &Setup, shared: &P::Shared) -> io::Result<Self> {
        Ok(Tap {
            model: P::open(setup, shared)?,
            setup: setup.clone(),
            begun: Instant::now(),
            sockets: HashMap::new(),
            alarms: BTreeSet::new(),
            soon: Vec::new(),
            reaped: Vec::new(),
        })
    }

    fn bell(&self) -> Bell {
        self.model.bell()
    }

    fn descriptors(&mut self) -> io::Result<Vec<isize>> {
        self.model.descriptors()
    }

    fn may_wait(&self) -> Option<Duration> {
        self.model.may_wait()
    }

    fn adopt(&mut self, token: Token, socket: &Socket, role: Role) -> io::Result<()> {
        self.model.adopt(token, socket, role)?;
        let course = match role {
            Role::Listener => Course::Through,
            Role::Connecting | Role::Stream | Role::Local => Course::Flow(Flow::default()),
            Role::Datagram => Course::Scatter(Scatter::default()),
        };
        let one = Tapped { lanes: Lanes::new(socket), course, weather: None };
        let before = self.sockets.insert(token, Box::new(one));
        debug_assert!(before.is_none(), "it is lent once");
        Ok(())
    }

    fn release(&mut self, token: Token) {
        if let Some(one) = self.sockets.remove(&token) {
            debug_assert!(one.lanes.is_quiet(), "the engine cancels before it releases");
            if let Some(at) = one.lanes.alarm {
                self.alarms.remove(&(at, token));
            }
        }
        self.model.release(token);
    }

    fn submit(&mut self, token: Token, op: Op, done: &mut Vec<Completion>) {
        let lane = op.lane();
        let Some(one) = self.sockets.get_mut(&token) else {
            return done.push(Completion { token, lane, outcome: op.fail(cancelled()) });
        };
        if one.lanes.cancelled {
            one.lanes.asked[lane as usize] = Some(op);
            return self.look_soon(token);
        }
        self.with(token, done, |one, turn| one.begin(turn, op));
        self.absorb(done);
    }

    fn detach(&mut self, token: Token) -> Option<[Option<Op>; 2]> {
        let one = self.sockets.get(&token)?;
        let Course::Flow(flow) = &one.course else { return None };
        let ahead = one.lanes.flying[OUT] == Flying::Own;
        if ahead || one.lanes.cancelled || !flow.is_empty() {
            return None;
        }
        let ops = self.model.detach(token)?;
        let one = self.sockets.remove(&token)?;
        if let Some(at) = one.lanes.alarm {
            self.alarms.remove(&(at, token));
        }
        // What the model had on lane In was the tap's own receive.
        let [_, out] = ops;
        let [asked, waits] = one.lanes.asked;
        Some([asked, out.or(waits)])
    }

    fn waits(&mut self, token: Token, socket: &Socket, look: Look) -> bool {
        if self.model.waits(token, socket, look) {
            return true;
        }
        let Some(one) = self.sockets.get(&token) else { return false };
        let held = match &one.course {
            Course::Through => false,
            Course::Flow(flow) => flow.has_input(),
            Course::Scatter(scatter) => scatter.has_input(),
        };
        match look {
            Look::Input | Look::Unread => held,
            // It waits for the tap.
            Look::Output => {
                one.lanes.asked[OUT].is_some() && one.lanes.flying[OUT] == Flying::Nothing
            }
        }
    }

    fn cancel(&mut self, token: Token) {
        let Some(one) = self.sockets.get_mut(&token) else { return };
        one.lanes.cancelled = true;
        if !one.lanes.is_quiet() {
            self.model.cancel(token);
        }
        self.look_soon(token);
    }

    fn begin(&mut self) {
        self.model.begin();
    }

    fn trim(&mut self) {
        self.model.trim();
        self.sockets.shrink_to(2 * self.sockets.len());
    }

    fn next_due(&self) -> Option<Instant> {
        if !self.soon.is_empty() {
            return Some(self.begun);
        }
        let &(at, _) = self.alarms.first()?;
        Some(self.begun + Duration::from_micros(at))
    }

    fn dial(&mut self, token: Token, weather: Option<Arc<Weather>>) {
        let now = self.now();
        let Some(one) = self.sockets.get_mut(&token) else { return };
        let same = match (&one.weather, &weather) {
            (Some(old), Some(new)) => Arc::ptr_eq(old, new),
            (old, new) => old.is_none() && new.is_none(),
        };
        if same {
            return;
        }
        match &mut one.course {
            Course::Through => return,
            Course::Flow(flow) => flow.set(weather.as_deref(), now),
            Course::Scatter(scatter) => scatter.set(weather.as_deref(), now),
        }
        one.weather = weather;
        self.look_soon(token);
    }

    fn turn(
        &mut self,
        done: &mut Vec<Completion>,
        mut timeout: Option<Duration>,
    ) -> io::Result<()> {
        if !self.soon.is_empty() {
            timeout = Some(Duration::ZERO);
        }
        let mut reaped = mem::take(&mut self.reaped);
        let answer = self.model.turn(&mut reaped, timeout);
        self.reaped = reaped;
        self.absorb(done);
        let now = self.now();
        while let Some(&(at, token)) = self.alarms.first()
            && at <= now
        {
            self.alarms.pop_first();
            if let Some(one) = self.sockets.get_mut(&token) {
                one.lanes.alarm = None;
            }
            self.look_soon(token);
        }
        // What becomes due by it is for the next turn.
        for token in mem::take(&mut self.soon) {
            if let Some(one) = self.sockets.get_mut(&token) {
                one.lanes.soon = false;
            }
            self.with(token, done, |one, turn| one.step(turn));
        }
        self.absorb(done);
        answer
    }
}

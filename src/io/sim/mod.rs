//! SIM: a model whose network is memory, deterministic from a seed.
//!
//! It is for tests. A test makes a `World`, enters it and opens a net; its `Peer`s are the other
//! ends. Everything that a network may do is drawn from the world's seed: short receives and sends,
//! delays counted in turns, completions in any order or long after the fact, cancelled operations
//! that happened nevertheless, no memory to receive into, failing accepts, resets. With one thread
//! for all of it the same seed gives the same run.
//!
//! The contract of `proactor.rs` is asserted here: one operation per lane, none for a socket that
//! was not lent, none behind a cancel, none behind the end of writing, a release only with both
//! lanes idle. A broken assertion is a panic in a worker, which the net reports as such.
//!
//! Sockets are real descriptors that carry no traffic. An accepted one is an end of a socket pair,
//! and one that connects becomes such an end (dup2(2)), because the engine ends its writing and
//! chooses between end and reset on the descriptor, not through the model: the other end of the
//! pair shows the former, SO_LINGER at the release the latter. Listeners stay what they are and no
//! socket connects to them. So this model wants a Unix.

mod dense;
mod dice;
mod link;
mod peer;
mod world;

pub use dense::Dense;
pub use dice::Dice;
pub use peer::{Ending, Peer};
pub use world::{ACCEPT_ERRORS, AcceptError, Answer, Faults, Trouble, World};

use super::bell::Bell;
use super::op::{Completion, LANES, Lane, Look, Op, Outcome, Role, Token};
use super::os::sys;
use super::proactor::{Affinity, Proactor, Setup, cancelled};
use crate::buf::{CHUNK_BYTES, Chunk, Slice};
use socket2::Socket;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::mem::ManuallyDrop;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::Duration;
use world::{Alarm, State};

/// A shared receive chunk with less room is given up.
const SPARE_MIN: usize = 1024;
/// Of a hundred cancelled operations, those that are tried once more.
const RACED: u32 = 50;

enum Stage {
    Waits(Op),
    /// It happened; its completion is on its way.
    Done(Outcome),
}

struct Flight {
    stage: Stage,
    /// The turn in which it is looked at.
    due: u64,
    /// It was, and waits for something to change.
    tried: bool,
}

impl Flight {
    fn new(stage: Stage, due: u64) -> Flight {
        Flight { stage, due, tried: false }
    }
}

struct Entry {
    role: Role,
    /// Borrowed: the engine keeps it open until `release`, and closes it.
    socket: ManuallyDrop<Socket>,
    /// None until connected, and for listeners.
    link: Option<usize>,
    flights: [Option<Flight>; 2],
    cancelled: bool,
}

/// One worker's half.
pub struct Sim {
    world: World,
    bell: Bell,
    alarm: Arc<Alarm>,
    setup: Setup,
    entries: BTreeMap<Token, Entry>,
    /// Every socket that was lent and released since.
    released: BTreeSet<Token>,
    /// Where receives go that have no chunk of their own.
    chunk: Option<Chunk>,
}

impl Entry {
    fn is_idle(&self) -> bool {
        self.flights.iter().all(Option::is_none)
    }
}

impl Sim {
    /// Looks at everything that is due. True: nothing will happen before something changes.
    fn step(&mut self, done: &mut Vec<Completion>) -> io::Result<bool> {
        let world = self.world.clone();
        let mut state = world.lock();
        match state.trouble.take() {
            Some(Trouble::Short) => return Err(io::ErrorKind::OutOfMemory.into()),
            Some(Trouble::Fails) => return Err(io::ErrorKind::Other.into()),
            Some(Trouble::Panics) => panic!("asked for by a test"),
            None => {}
        }
        state.turn += 1;
        let answered = state.answer_ends();
        let mut due = Vec::new();
        for (&token, entry) in &self.entries {
            for lane in LANES {
                let flight = entry.flights[lane as usize].as_ref();
                if flight.is_some_and(|flight| flight.due <= state.turn) {
                    due.push((token, lane));
                }
            }
        }
        if state.faults.shuffle {
            state.dice.shuffle(&mut due);
        }
        for (token, lane) in due {
            self.attempt(token, lane, &mut state, done);
        }
        let mut flights = self.entries.values().flat_map(|entry| entry.flights.iter().flatten());
        Ok(!answered && !state.has_clients() && flights.all(|flight| flight.tried))
    }

    /// Tries what waits on a lane, or reports what came of it before.
    fn attempt(&mut self, token: Token, lane: Lane, state: &mut State, done: &mut Vec<Completion>) {
        let Sim { entries, setup, chunk, .. } = self;
        let Some(entry) = entries.get_mut(&token) else { return };
        let Some(flight) = entry.flights[lane as usize].take() else { return };
        let op = match flight.stage {
            Stage::Waits(op) => op,
            Stage::Done(outcome) => return done.push(Completion { token, lane, outcome }),
        };
        let tried = if !entry.cancelled || state.dice.chance(RACED) {
            entry.carry_out(token, op, state, setup, chunk)
        } else {
            Err(op)
        };
        let outcome = match tried {
            Ok(outcome) => outcome,
            Err(op) if entry.cancelled => op.fail(cancelled()),
            Err(op) => {
                let due = state.turn + 1;
                let flight = Flight { stage: Stage::Waits(op), due, tried: true };
                entry.flights[lane as usize] = Some(flight);
                return;
            }
        };
        if state.dice.chance(state.faults.late) {
            let due = state.due() + 1;
            entry.flights[lane as usize] = Some(Flight::new(Stage::Done(outcome), due));
        } else {
            done.push(Completion { token, lane, outcome });
        }
    }
}

impl Entry {
    /// Err: it cannot be done now.
    fn carry_out(
        &mut self,
        token: Token,
        op: Op,
        state: &mut State,
        setup: &Setup,
        chunk: &mut Option<Chunk>,
    ) -> Result<Outcome, Op> {
        match op {
            Op::Accept => match state.accept(token) {
                Some((all, error)) => Ok(Outcome::Accepted(all, error)),
                None => Err(Op::Accept),
            },
            Op::Connect(address) => match state.dial(token, &self.socket, &address) {
                Some(answer) => {
                    self.link = answer.as_ref().ok().copied();
                    Ok(Outcome::Connected(answer.map(|_| ())))
                }
                None => Err(Op::Connect(address)),
            },
            Op::Send(train) => {
                let link = self.link.expect("asserted when it was submitted");
                match state.send(link, &train) {
                    Some(answer) => Ok(Outcome::Sent(answer, train)),
                    None => Err(Op::Send(train)),
                }
            }
            Op::Recv(given) => self.recv(given, state, setup, chunk),
            Op::RecvFrom | Op::SendTo(_) => panic!("refused when it was submitted"),
        }
    }

    fn recv(
        &mut self,
        given: Option<Chunk>,
        state: &mut State,
        setup: &Setup,
        shared: &mut Option<Chunk>,
    ) -> Result<Outcome, Op> {
        let link = self.link.expect("asserted when it was submitted");
        if let Some(mut chunk) = given {
            let room = chunk.room().min(setup.recv_max);
            return match state.recv(link, room) {
                Some(answer) => {
                    let slice = answer.map(|bytes| write(&mut chunk, &bytes));
                    Ok(Outcome::Received(slice, Some(chunk)))
                }
                None => Err(Op::Recv(Some(chunk))),
            };
        }
        if !state.is_readable(link) {
            return Err(Op::Recv(None));
        }
        let kept = shared.take().filter(|chunk| chunk.room() >= SPARE_MIN);
        // Thirst before the second look: a block that comes back in between rings the bell.
        let fresh = || {
            setup.pool.take(CHUNK_BYTES).or_else(|| {
                setup.pool.thirst();
                setup.pool.take(CHUNK_BYTES)
            })
        };
        let Some(mut chunk) = kept.or_else(fresh) else { return Err(Op::Recv(None)) };
        let room = chunk.room().min(setup.recv_max);
        let Some(answer) = state.recv(link, room) else { return Err(Op::Recv(None)) };
        let slice = answer.map(|bytes| write(&mut chunk, &bytes));
        if !state.faults.lavish {
            *shared = Some(chunk);
        }
        Ok(Outcome::Received(slice, None))
    }
}

fn write(chunk: &mut Chunk, bytes: &[u8]) -> Slice {
    if bytes.is_empty() { Slice::default() } else { chunk.write(bytes) }
}

impl State {
    /// The turn in which an operation that begins now is looked at.
    fn due(&mut self) -> u64 {
        let most = self.faults.delay;
        self.turn + self.dice.below(most + 1) as u64
    }

    fn is_readable(&self, link: usize) -> bool {
        let link = &self.links[link];
        link.readable() > 0 || link.is_reset() || link.has_peer_ended()
    }
}

impl Proactor for Sim {
    const AFFINITY: Affinity = Affinity::Free;
    /// Its worlds are of several workers, and tests speak of their sockets as the net does. `Dense`
    /// is for the other case.
    const DENSE: bool = false;

    type Shared = ();

    fn share(_workers: usize) -> io::Result<()> {
        Ok(())
    }

    fn open(setup: &Setup, _shared: &()) -> io::Result<Sim> {
        let world = World::current().ok_or(io::ErrorKind::NotFound)?;
        let alarm = Arc::new(Alarm::default());
        world.watch(alarm.clone());
        let struck = alarm.clone();
        Ok(Sim {
            world,
            bell: Bell::new(move || struck.strike()),
            alarm,
            setup: setup.clone(),
            entries: BTreeMap::new(),
            released: BTreeSet::new(),
            chunk: None,
        })
    }

    fn bell(&self) -> Bell {
        self.bell.clone()
    }

    fn adopt(&mut self, token: Token, socket: &Socket, role: Role) -> io::Result<()> {
        let mut state = self.world.lock();
        self.released.remove(&token);
        let same = self.entries.keys().any(|other| other.index() == token.index());
        assert!(!same, "{token:?} was lent before the last owner of its slot was released");
        // A descriptor that was accepted and closed may have come back as something else.
        let link = state.fresh.remove(&socket.as_raw_fd()).filter(|_| role == Role::Stream);
        assert!(link.is_some() || role != Role::Stream, "{token:?} was never accepted");
        if let Some(link) = link {
            state.links[link].token = Some(token);
            state.link_of.insert(token, link);
        }
        let most = state.faults.sockets;
        if most > 0 && self.entries.len() >= most {
            return Err(io::ErrorKind::QuotaExceeded.into());
        }
        let socket = sys::borrow(socket);
        let flights = [None, None];
        self.entries.insert(token, Entry { role, socket, link, flights, cancelled: false });
        Ok(())
    }

    fn release(&mut self, token: Token) {
        let mut state = self.world.lock();
        let Some(entry) = self.entries.remove(&token) else {
            // A socket that was refused, or closed before it was lent, is passed over.
            assert!(!self.released.contains(&token), "{token:?} was released before");
            if let Some(link) = state.link_of.get(&token).copied() {
                state.links[link].close(false, 0);
            } else {
                state.close_listener(token);
            }
            return;
        };
        assert!(entry.is_idle(), "{token:?} was released with an operation in flight");
        self.released.insert(token);
        match (entry.role, entry.link) {
            (Role::Listener, _) => state.close_listener(token),
            (_, Some(link)) => state.close(link, &entry.socket),
            (_, None) => {}
        }
    }

    fn submit(&mut self, token: Token, op: Op, done: &mut Vec<Completion>) {
        let world = self.world.clone();
        let state = &mut *world.lock();
        let lane = op.lane();
        let entry = self.entries.get_mut(&token).expect("operations are for sockets that are lent");
        assert!(!entry.cancelled, "{token:?} has an operation behind its cancel");
        assert!(entry.flights[lane as usize].is_none(), "{token:?} has two operations on {lane:?}");
        match &op {
            Op::Accept => assert_eq!(entry.role, Role::Listener, "{token:?} cannot accept"),
            Op::Connect(_) => {
                let fresh = entry.role == Role::Connecting && entry.link.is_none();
                assert!(fresh, "{token:?} cannot connect");
            }
            Op::Recv(chunk) => {
                assert!(entry.link.is_some(), "{token:?} receives and is not connected");
                let room = chunk.as_ref().is_none_or(|chunk| chunk.room() > 0);
                assert!(room, "{token:?} receives into a full chunk");
            }
            Op::RecvFrom | Op::SendTo(_) => panic!("{token:?} is not for datagrams"),
            Op::Send(train) => {
                let link = entry.link.expect("what is not connected cannot send");
                assert!(!train.is_empty(), "{token:?} sends nothing");
                let open = state.links[link].refresh() == link::End::Open;
                assert!(open, "{token:?} sends behind its end");
            }
        }
        let due = state.due();
        entry.flights[lane as usize] = Some(Flight::new(Stage::Waits(op), due));
        if lane == Lane::Out && state.dice.chance(state.faults.at_once) {
            self.attempt(token, lane, state, done);
        }
    }

    fn waits(&mut self, token: Token, _socket: &Socket, look: Look) -> bool {
        let state = self.world.lock();
        let Some(entry) = self.entries.get(&token) else { return false };
        let flight = entry.flights[look.lane() as usize].as_ref();
        let link = entry.link.map(|link| &state.links[link]);
        flight.is_some_and(|flight| matches!(flight.stage, Stage::Done(_)))
            || link.is_some_and(|link| match look {
                Look::Input => link.readable() > 0 || link.is_reset() || link.has_peer_ended(),
                Look::Unread => link.readable() > 0,
                Look::Output => link.room() > 0,
            })
    }

    fn cancel(&mut self, token: Token) {
        let mut state = self.world.lock();
        let entry = self.entries.get_mut(&token).expect("what is cancelled was lent");
        assert!(!entry.cancelled, "{token:?} was cancelled before");
        entry.cancelled = true;
        for flight in entry.flights.iter_mut().flatten() {
            flight.due = state.due();
            flight.tried = false;
        }
    }

    fn turn(&mut self, done: &mut Vec<Completion>, timeout: Option<Duration>) -> io::Result<()> {
        let seen = self.alarm.count();
        let resting = self.step(done)?;
        let waits = resting && done.is_empty() && timeout != Some(Duration::ZERO);
        if waits && self.bell.doze() {
            self.alarm.wait(seen, timeout);
            self.bell.rouse();
            self.step(done)?;
        }
        Ok(())
    }
}

impl Drop for Sim {
    /// What a worker had when it ended is reset.
    fn drop(&mut self) {
        let mut state = self.world.lock();
        for (&token, entry) in &self.entries {
            match entry.link {
                Some(link) => state.links[link].close(true, 0),
                None if entry.role == Role::Listener => state.close_listener(token),
                None => {}
            }
        }
    }
}

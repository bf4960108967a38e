//! Readiness made to look like completion: try, arm, retry.

use super::bell::Bell;
use super::common::datagrams::{Datagrams, try_send_to};
use super::common::receiving::{LONG_BYTES, LONG_ROOM, TURN_BYTES, received, with_room};
use super::common::tried::{LATER, Tried};
use super::op::{Accepted, Completion, LANES, Lane, Op, Outcome, Role, Token};
use super::os::sys;
use super::pages::Pages;
use super::proactor::{ACCEPT_MAX, Affinity, LetGo, Proactor, Setup, cancelled};
use super::readiness::{Readiness, Ready};
use crate::buf::{CHUNK_BYTES, Chunk, Slice, Train};
use socket2::{SockAddr, Socket};
use std::collections::VecDeque;
use std::io;
use std::mem::{self, ManuallyDrop};
use std::thread;
use std::time::Duration;

/// What waits on lane In.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Inward {
    Nothing,
    Accept,
    Recv,
    RecvFrom,
}

/// What a waiting operation has with it, where that is more than an idle socket's.
#[derive(Default)]
struct Kept {
    /// Of a receive into a frame's own memory.
    chunk: Option<Chunk>,
    /// What waits on lane Out.
    outward: Option<Op>,
}

/// What a receive of less than there is room for means.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Short {
    /// That nothing is left: a further try would block.
    Drained,
    /// Nothing, the first time: an end may have been reported together with the connect.
    First,
    /// Nothing: the peer ended or broke the connection, or a receive stops for another reason.
    Nothing,
}

/// A socket that the engine lent.
struct Entry {
    /// Of its token; the index is its place among the entries.
    generation: u32,
    /// Borrowed: the engine keeps it open until `release`, and closes it.
    socket: ManuallyDrop<Socket>,
    /// A try on this lane may succeed. True at first: only a try can show it.
    ready: [bool; 2],
    /// The poller knows the socket. It is reported at the first try that blocks: epoll reports a
    /// socket that was never connected as hung up.
    added: bool,
    /// Whether a short receive means that nothing is left.
    short: Short,
    /// connect(2) was called and is not yet answered.
    connecting: bool,
    /// It stands among those that wait for the pool to have room.
    starved: bool,
    inward: Inward,
    /// In a box: an idle socket waits for bytes and has nothing with it. The box stays until that
    /// is so again, as one operation of this kind follows another.
    kept: Option<Box<Kept>>,
}

// Every connection has one, idle or not.
const _: () = assert!(size_of::<Option<Entry>>() <= 16 + 2 * size_of::<Socket>());

/// Any readiness model as a proactor. Receives are tried in `turn`, so that one flooding peer
/// cannot hold it; sends at once in `submit`.
pub struct Emulated<R: Readiness> {
    poller: R,
    bell: Bell,
    setup: Setup,
    /// By token index.
    entries: Pages<Entry>,
    count: u32,
    /// Operations on ready lanes, to be tried in the next turn.
    runnable: Vec<(Token, Lane)>,
    /// The same for receives of long frames.
    long: VecDeque<Token>,
    /// Receives that wait for the pool to have room.
    starved: Vec<Token>,
    /// Operations to be tried again after `LATER` at most.
    later: Vec<(Token, Lane)>,
    /// Completions of cancelled operations, reported by the next turn.
    cancelled: Vec<Completion>,
    ready: Vec<Ready>,
    /// The chunk that small receives of all sockets go to.
    chunk: Option<Chunk>,
    /// What receives of datagrams need; made with the first.
    datagrams: Option<Box<Datagrams>>,
}

impl Entry {
    #[inline(always)]
    fn take(&mut self, lane: Lane) -> Option<Op> {
        match lane {
            Lane::Out => self.kept.as_mut()?.outward.take(),
            Lane::In => match mem::replace(&mut self.inward, Inward::Nothing) {
                Inward::Nothing => None,
                Inward::Accept => Some(Op::Accept),
                Inward::RecvFrom => Some(Op::RecvFrom),
                Inward::Recv => {
                    Some(Op::Recv(self.kept.as_mut().and_then(|kept| kept.chunk.take())))
                }
            },
        }
    }

    #[inline(always)]
    fn put(&mut self, op: Op) {
        match op {
            Op::Accept => self.inward = Inward::Accept,
            Op::Recv(None) | Op::RecvFrom => {
                let datagrams = matches!(op, Op::RecvFrom);
                self.inward = if datagrams { Inward::RecvFrom } else { Inward::Recv };
                if self.kept.as_ref().is_some_and(|kept| kept.outward.is_none()) {
                    self.kept = None;
                }
            }
            Op::Recv(chunk) => {
                self.inward = Inward::Recv;
                self.kept.get_or_insert_default().chunk = chunk;
            }
            op => self.kept.get_or_insert_default().outward = Some(op),
        }
    }

    #[inline(always)]
    fn waits(&self, lane: Lane) -> bool {
        match lane {
            Lane::In => self.inward != Inward::Nothing,
            Lane::Out => self.kept.as_ref().is_some_and(|kept| kept.outward.is_some()),
        }
    }

    /// Whether what waits on lane In is a receive of a long frame.
    fn is_long(&self) -> bool {
        let chunk = self.kept.as_ref().and_then(|kept| kept.chunk.as_ref());
        self.inward == Inward::Recv && chunk.is_some_and(|chunk| chunk.room() >= LONG_ROOM)
    }

    fn try_accept(&self) -> Tried {
        let mut all = Vec::new();
        while all.len() < ACCEPT_MAX {
            match sys::accept(&self.socket) {
                Ok((socket, peer)) => all.push(Accepted { socket, peer }),
                Err(error) if sys::would_block(&error) => break,
                Err(error) => return Tried::Done(Outcome::Accepted(all, Some(error))),
            }
        }
        if all.is_empty() {
            Tried::Blocked(Op::Accept)
        } else {
            Tried::Done(Outcome::Accepted(all, None))
        }
    }

    fn try_connect(&mut self, address: Box<SockAddr>) -> Tried {
        if address.is_unix() {
            self.short = Short::Nothing;
        }
        let answer = if !mem::replace(&mut self.connecting, true) {
            self.socket.connect(&address)
        } else {
            match self.socket.take_error() {
                Ok(Some(error)) | Err(error) => Err(error),
                Ok(None) if self.socket.peer_addr().is_ok() => Ok(()),
                Ok(None) => return Tried::Blocked(Op::Connect(address)),
            }
        };
        match answer {
            Err(error) if sys::in_progress(&error) => Tried::Blocked(Op::Connect(address)),
            // A local listener whose backlog is full: connect(2). Nothing reports when it is not.
            Err(error) if sys::would_block(&error) => {
                self.connecting = false;
                Tried::Later(Op::Connect(address))
            }
            answer => {
                self.connecting = false;
                if self.short == Short::Drained {
                    self.short = Short::First;
                }
                Tried::Done(Outcome::Connected(answer))
            }
        }
    }

    /// The second answer: the lane is drained, a further try would block. Bytes go to the chunk
    /// that was given, or to the shared one.
    #[inline(always)]
    fn try_recv(
        &mut self,
        mut given: Option<Chunk>,
        shared: &mut Option<Chunk>,
        setup: &Setup,
    ) -> (Tried, bool) {
        let chunk = match &mut given {
            Some(chunk) => chunk,
            None => match with_room(shared, setup) {
                Some(chunk) => chunk,
                None => return (Tried::Starved(Op::Recv(None)), false),
            },
        };
        let (spare, room) = chunk.spare();
        let room = room.min(setup.recv_max);
        // SAFETY: `room` bytes at `spare` are the chunk's, and not shared.
        let slice = match unsafe { sys::recv(&self.socket, spare, room) } {
            Err(error) if sys::would_block(&error) => {
                return (Tried::Blocked(Op::Recv(given)), false);
            }
            Err(error) => Err(error),
            Ok(0) => Ok(Slice::default()),
            Ok(count) => Ok(chunk.take(count)),
        };
        let short = slice.as_ref().is_ok_and(|it| !it.is_empty() && it.len() < room);
        let drained = short && self.short == Short::Drained;
        if self.short == Short::First {
            self.short = Short::Drained;
        }
        (Tried::Done(Outcome::Received(slice, given)), drained)
    }

    /// The second answer: the lane is full, a further try would block.
    #[inline(always)]
    fn try_send(&self, train: Train) -> (Tried, bool) {
        match sys::send(&self.socket, &train) {
            Err(error) if sys::would_block(&error) => (Tried::Blocked(Op::Send(train)), false),
            Err(error) if sys::no_buffers(&error) => (Tried::Later(Op::Send(train)), false),
            answer => {
                let full = answer.as_ref().is_ok_and(|&it| it < sys::send_len(&train));
                (Tried::Done(Outcome::Sent(answer, train)), full)
            }
        }
    }
}

/// A try with the error that a report has taken from its socket: without that it waits for ever,
/// finds an end in order, or reports another error.
#[inline(always)]
fn amended(tried: Tried, error: impl FnOnce() -> Option<io::Error>) -> Tried {
    let bare = match &tried {
        Tried::Blocked(_) | Tried::Done(Outcome::Sent(Err(_), _)) => true,
        Tried::Done(Outcome::Received(Ok(slice), _)) => slice.is_empty(),
        _ => false,
    };
    let Some(error) = bare.then(error).flatten() else { return tried };
    Tried::Done(match tried {
        Tried::Blocked(op) => op.fail(error),
        Tried::Done(Outcome::Sent(_, train)) => Outcome::Sent(Err(error), train),
        Tried::Done(Outcome::Received(_, chunk)) => Outcome::Received(Err(error), chunk),
        other => return other,
    })
}

impl<R: Readiness> Emulated<R> {
    /// Gives a socket back. `removed`: the poller needs no call.
    fn part(&mut self, token: Token, removed: bool) {
        let Some(entry) = self.entries.remove(token.index()) else { return };
        debug_assert!(entry.generation == token.generation(), "nobody else's");
        debug_assert!(!LANES.iter().any(|&lane| entry.waits(lane)), "both lanes are idle");
        if entry.added && !removed {
            self.poller.remove(token, &entry.socket);
        }
        self.count -= 1;
        if let Some(datagrams) = &mut self.datagrams {
            datagrams.forget(token);
        }
        if entry.starved {
            self.starved.retain(|it| *it != token);
        }
    }

    #[inline(always)]
    fn entry(&mut self, token: Token) -> Option<&mut Entry> {
        let entry = self.entries.get_mut(token.index())?;
        (entry.generation == token.generation()).then_some(entry)
    }

    /// The next turns try the operation that waits on this lane.
    #[inline(always)]
    fn run(&mut self, token: Token, lane: Lane) {
        if lane == Lane::In && self.entry(token).is_some_and(|entry| entry.is_long()) {
            self.long.push_back(token);
        } else {
            self.runnable.push((token, lane));
        }
    }

    /// One try of the operation that waits on this lane.
    fn attempt(&mut self, token: Token, lane: Lane, done: &mut Vec<Completion>) {
        if let Some(op) = self.entry(token).and_then(|entry| entry.take(lane)) {
            self.attempt_op(token, op, done);
        }
    }

    fn attempt_op(&mut self, token: Token, op: Op, done: &mut Vec<Completion>) {
        let Some(entry) = self.entries.get_mut(token.index()) else { return };
        let lane = op.lane();
        let (tried, drained) = match op {
            Op::Accept => (entry.try_accept(), false),
            Op::Recv(given) => entry.try_recv(given, &mut self.chunk, &self.setup),
            Op::Connect(address) => (entry.try_connect(address), false),
            Op::Send(train) => entry.try_send(train),
            Op::RecvFrom => {
                let datagrams = self.datagrams.get_or_insert_default();
                datagrams.try_recv_from(token, &entry.socket, &self.setup)
            }
            Op::SendTo(all) => try_send_to(&entry.socket, all),
        };
        match amended(tried, || self.poller.error(token)) {
            Tried::Done(outcome) => {
                if drained && entry.added && (lane == Lane::In || R::PART_BLOCKS) {
                    entry.ready[lane as usize] = false;
                    self.poller.blocked(token, lane);
                }
                done.push(Completion { token, lane, outcome });
            }
            Tried::Blocked(op) => {
                entry.put(op);
                entry.ready[lane as usize] = false;
                self.watch(token, lane, done);
            }
            Tried::Starved(op) => {
                entry.put(op);
                entry.starved = true;
                self.starved.push(token);
            }
            Tried::Later(op) => {
                entry.put(op);
                self.later.push((token, lane));
            }
        }
    }

    /// Has the poller report the lane on which a try just blocked.
    fn watch(&mut self, token: Token, lane: Lane, done: &mut Vec<Completion>) {
        let Some(entry) = self.entries.get_mut(token.index()) else { return };
        let known = if mem::replace(&mut entry.added, true) {
            self.poller.blocked(token, lane);
            Ok(())
        } else {
            self.poller.add(token, &entry.socket).inspect_err(|_| entry.added = false)
        };
        if let Err(error) = known.and_then(|()| self.poller.arm(token, lane)) {
            self.fail(token, lane, error, done);
        }
    }

    fn fail(&mut self, token: Token, lane: Lane, error: io::Error, done: &mut Vec<Completion>) {
        if let Some(op) = self.entry(token).and_then(|entry| entry.take(lane)) {
            done.push(Completion { token, lane, outcome: op.fail(error) });
        }
    }

    /// Receives of long frames, when all others of a turn brought so many bytes.
    fn receive_long(&mut self, mut bytes: usize, done: &mut Vec<Completion>) {
        let most = TURN_BYTES.min(bytes + LONG_BYTES);
        for _ in 0..self.long.len() {
            let Some(token) = self.long.pop_front() else { return };
            let before = done.len();
            self.attempt(token, Lane::In, done);
            bytes += done[before..].iter().map(received).sum::<usize>();
            if bytes >= most {
                break;
            }
        }
        if !self.long.is_empty() {
            // There is no end of them: whoever answers the others may need this processor.
            thread::yield_now();
        }
    }

    /// Receives that waited for memory may be tried again when there is some.
    fn revive(&mut self) {
        if self.starved.is_empty() {
            return;
        }
        // Thirst first: a block that comes back between the two rings the bell.
        self.setup.pool.thirst();
        if self.setup.pool.has_room(CHUNK_BYTES) {
            for token in mem::take(&mut self.starved) {
                if let Some(entry) = self.entry(token) {
                    entry.starved = false;
                    self.runnable.push((token, Lane::In));
                }
            }
        }
    }
}

impl<R: Readiness> Proactor for Emulated<R> {
    const AFFINITY: Affinity = Affinity::Free;
    const SOCKETS_MAX: Option<u32> = R::SOCKETS_MAX;

    const LETS_GO: bool = true;
    type Shared = ();

    fn share(_workers: usize) -> io::Result<()> {
        Ok(())
    }

    fn open(setup: &Setup, _shared: &()) -> io::Result<Self> {
        let (poller, bell) = R::open()?;
        Ok(Emulated {
            poller,
            bell,
            setup: setup.clone(),
            entries: Pages::default(),
            count: 0,
            runnable: Vec::new(),
            long: VecDeque::new(),
            starved: Vec::new(),
            later: Vec::new(),
            cancelled: Vec::new(),
            ready: Vec::new(),
            chunk: None,
            datagrams: None,
        })
    }

    fn bell(&self) -> Bell {
        self.bell.clone()
    }

    fn descriptors(&mut self) -> io::Result<Vec<isize>> {
        self.poller.descriptor().map(|it| vec![it])
    }

    #[inline]
    fn may_wait(&self) -> Option<Duration> {
        if !self.runnable.is_empty() || !self.long.is_empty() || !self.cancelled.is_empty() {
            return Some(Duration::ZERO);
        }
        (!self.later.is_empty()).then_some(LATER)
    }

    fn adopt(&mut self, token: Token, socket: &Socket, role: Role) -> io::Result<()> {
        if R::SOCKETS_MAX.is_some_and(|max| self.count >= max) {
            return Err(io::ErrorKind::QuotaExceeded.into());
        }
        self.poller.admit(socket)?;
        let entry = Entry {
            generation: token.generation(),
            socket: sys::borrow(socket),
            ready: [true; 2],
            added: false,
            short: if role == Role::Local { Short::Nothing } else { Short::Drained },
            connecting: false,
            starved: false,
            inward: Inward::Nothing,
            kept: None,
        };
        self.entries.insert(token.index(), entry);
        self.count += 1;
        Ok(())
    }

    fn release(&mut self, token: Token) {
        self.part(token, false);
    }

    fn release_to_close(&mut self, token: Token) {
        self.part(token, R::CLOSE_REMOVES && !sys::has_forked());
    }

    fn submit(&mut self, token: Token, op: Op, done: &mut Vec<Completion>) {
        let lane = op.lane();
        let Some(entry) = self.entry(token) else {
            return done.push(Completion { token, lane, outcome: op.fail(cancelled()) });
        };
        debug_assert!(!entry.waits(lane), "one operation per lane");
        if entry.ready[lane as usize] && lane == Lane::Out {
            return self.attempt_op(token, op, done);
        }
        entry.put(op);
        if entry.ready[lane as usize] {
            self.run(token, lane);
        } else if let Err(error) = self.poller.arm(token, lane) {
            self.fail(token, lane, error, done);
        }
    }

    fn detach(&mut self, token: Token) -> Option<[Option<Op>; 2]> {
        if self.poller.has_error(token) {
            // It would not go along.
            return None;
        }
        let entry = self.entry(token)?;
        let ops = LANES.map(|lane| entry.take(lane));
        self.release(token);
        Some(ops)
    }

    fn let_go(&mut self, token: Token) -> LetGo {
        self.detach(token).map_or(LetGo::Later, |ops| LetGo::Done(ops, Vec::new()))
    }

    fn trim(&mut self) {
        self.chunk = None;
    }

    fn cancel(&mut self, token: Token) {
        let Some(entry) = self.entries.get_mut(token.index()) else { return };
        for lane in LANES {
            if entry.generation == token.generation()
                && let Some(op) = entry.take(lane)
            {
                let outcome = op.fail(cancelled());
                self.cancelled.push(Completion { token, lane, outcome });
            }
        }
    }

    fn turn(&mut self, done: &mut Vec<Completion>, timeout: Option<Duration>) -> io::Result<()> {
        self.revive();
        let timeout = timeout.into_iter().chain(self.may_wait()).min();
        let mut ready = mem::take(&mut self.ready);
        let (poller, bell) = (&mut self.poller, &self.bell);
        let waited = bell.rounds(timeout, |timeout| {
            poller.wait(&mut ready, timeout, bell)?;
            Ok(!ready.is_empty())
        });
        for Ready { token, lane, ended } in ready.drain(..) {
            let Some(entry) = self.entry(token) else { continue };
            // What was ready is runnable, or waits for something else than a report.
            let was = mem::replace(&mut entry.ready[lane as usize], true);
            if ended {
                entry.short = Short::Nothing;
            }
            if !was && entry.waits(lane) {
                self.run(token, lane);
            }
        }
        self.ready = ready;
        done.append(&mut self.cancelled);
        if let Some(chunk) = &mut self.chunk {
            chunk.rewind();
        }
        if let Some(datagrams) = &mut self.datagrams {
            datagrams.rewind();
        }
        let fresh = self.chunk.is_none();
        let mut runnable = mem::take(&mut self.runnable);
        runnable.append(&mut self.later);
        let (mut tried, mut bytes) = (0, 0);
        for &(token, lane) in &runnable {
            if bytes >= TURN_BYTES {
                break;
            }
            let before = done.len();
            self.attempt(token, lane, done);
            tried += 1;
            bytes += done[before..].iter().map(received).sum::<usize>();
        }
        // A try never makes another lane runnable. Those that are left come first in the next turn.
        runnable.drain(..tried);
        self.runnable = runnable;
        self.receive_long(bytes, done);
        // Those that were just adopted have nothing to receive yet: each worker of many would keep
        // a chunk for them.
        self.chunk.take_if(|chunk| fresh && chunk.room() == chunk.capacity());
        waited
    }
}

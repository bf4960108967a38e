//! One lane of a socket, as its thread and the turner of its worker share it.

use crate::buf::{CHUNK_BYTES, Chunk, Condvar, Mutex, MutexGuard, Slice, Train, rank};
use crate::io::bell::Bell;
use crate::io::common::datagrams::Datagrams;
use crate::io::common::receiving::{LONG_ROOM, SPARE_MIN};
use crate::io::common::tried::{LATER, Tried};
use crate::io::datagram::Datagram;
use crate::io::gate::Gate;
use crate::io::op::{Accepted, Completion, Lane, Op, Outcome, Token};
use crate::io::os::sys;
use crate::io::proactor::{Setup, cancelled};
use crate::io::threads;
use socket2::{SockAddr, Socket};
use std::collections::VecDeque;
use std::io;
use std::mem::{self, ManuallyDrop, MaybeUninit};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Chunks that wait for the next receive. Few threads receive at the same moment: the data is
/// there already when one of them takes a chunk.
const SPARES: usize = 2;
/// Bytes that one send may block for, so that a slow peer is seen to take something.
const SEND_MAX: usize = 64 * 1024;

/// What the threads of one worker share.
pub struct Shared {
    setup: Setup,
    /// What the next turn collects.
    done: Mutex<rank::News, Vec<Completion>>,
    /// Opened when there is something in it, and by the bell.
    gate: Gate,
    /// Those that wait for the pool to have room.
    starved: Mutex<rank::Starved, Vec<Arc<Half>>>,
    /// Who receives of long frames.
    long: Mutex<rank::Long, Long>,
    /// Chunks that were received into, with room left.
    spares: Mutex<rank::Spares, Vec<Chunk>>,
    /// What receives of datagrams need; made with the first.
    datagrams: Mutex<rank::Datagrams, Option<Box<Datagrams>>>,
}

/// Receives of long frames: one at a time, until the turner has collected it. The threads of many
/// would take the processor from those of short messages.
#[derive(Default)]
struct Long {
    /// Whose turn it is. It stays its own until the turner has what came of it.
    running: Option<Token>,
    waiting: VecDeque<Arc<Half>>,
}

enum State {
    /// The thread waits for an operation.
    Idle,
    /// It has one and has not begun.
    Asked(Op),
    /// It is in it. Cancelled: it is to come out as soon as it can.
    Busy { cancelled: bool },
    /// It is to end.
    Leaving,
}

/// See the module.
pub struct Half {
    token: Token,
    pub lane: Lane,
    /// Borrowed. The thread touches it only while it is busy, and the engine closes it only when
    /// both lanes are idle.
    socket: ManuallyDrop<Socket>,
    shared: Arc<Shared>,
    state: Mutex<rank::Lane, State>,
    changed: Condvar,
    /// The thread saw something to receive and has not reported it. Set before it takes it from the
    /// system.
    taking: AtomicBool,
}

impl Shared {
    pub fn new(setup: &Setup) -> Shared {
        Shared {
            setup: setup.clone(),
            done: Mutex::default(),
            gate: Gate::default(),
            starved: Mutex::default(),
            long: Mutex::default(),
            spares: Mutex::default(),
            datagrams: Mutex::default(),
        }
    }

    /// Ends a wait of the turner, always.
    pub fn wake(&self) -> bool {
        self.gate.open();
        true
    }

    /// Has the turner collect it. `urgent`: soon, whoever leads the worker.
    pub fn tell(&self, completion: Completion, urgent: bool) {
        let mut done = self.done.lock();
        done.push(completion);
        let first = done.len() == 1;
        drop(done);
        if first {
            self.gate.open();
        }
        if urgent {
            (self.setup.summon)();
        }
    }

    /// Takes what is done; waits for something if there is nothing.
    pub fn collect(&self, done: &mut Vec<Completion>, timeout: Option<Duration>, bell: &Bell) {
        let mut told = self.done.lock();
        if told.is_empty() && timeout != Some(Duration::ZERO) && bell.doze() {
            let until = timeout.map(|timeout| Instant::now() + timeout);
            let late = || until.is_some_and(|until| until <= Instant::now());
            while told.is_empty() && !bell.rung() && !late() {
                MutexGuard::unlocked(&mut told, || self.gate.pass(until));
            }
            bell.rouse();
        }
        done.append(&mut told);
        drop(told);
        self.next_long(done);
    }

    /// Whether something is to be collected.
    #[cfg(test)]
    pub fn is_told(&self) -> bool {
        !self.done.lock().is_empty()
    }

    /// How many wait to receive of long frames.
    #[cfg(test)]
    pub fn long_waiting(&self) -> usize {
        self.long.lock().waiting.len()
    }

    /// The next of those that wait to receive, if the one whose turn it was is done.
    fn next_long(&self, done: &[Completion]) {
        let long = self.long.lock();
        let Some(token) = long.running else { return };
        if done.iter().any(|it| it.lane == Lane::In && it.token == token) {
            self.pass_on(long);
        }
    }

    /// A receive of a long frame has ended.
    fn pass_on(&self, mut long: MutexGuard<'_, rank::Long, Long>) {
        let next = long.waiting.pop_front();
        long.running = next.as_ref().map(|half| half.token);
        drop(long);
        if let Some(half) = next {
            // Who waits takes the two locks the other way round: never both here.
            let _held = half.state.lock();
            half.changed.notify_one();
        }
    }

    /// Completions that the next turn collects.
    #[cfg(test)]
    pub fn count(&self) -> usize {
        self.done.lock().len()
    }

    /// Whether something of this socket is to be collected.
    pub fn has(&self, token: Token) -> bool {
        self.done.lock().iter().any(|it| it.token == token)
    }

    /// Gives up the chunks that wait for a next receive.
    pub fn trim(&self) {
        self.spares.lock().clear();
    }

    /// No thread waits for memory any more.
    pub fn forget_starved(&self) {
        self.starved.lock().clear();
        self.long.lock().waiting.clear();
    }

    /// Those that waited for memory look again when there is some.
    pub fn revive(&self) {
        if self.starved.lock().is_empty() {
            return;
        }
        // Thirst first: a block that comes back between the two rings the bell.
        self.setup.pool.thirst();
        if self.setup.pool.has_room(CHUNK_BYTES) {
            // Who is starved takes the two locks the other way round: never both here.
            let starved = mem::take(&mut *self.starved.lock());
            for half in starved {
                let _held = half.state.lock();
                half.changed.notify_one();
            }
        }
    }

    /// A chunk with room to receive into. None: no memory.
    fn chunk(&self) -> Option<Chunk> {
        let mut spare = self.spares.lock().pop();
        if let Some(chunk) = &mut spare {
            chunk.rewind();
        }
        spare
            .filter(|chunk| chunk.room() >= SPARE_MIN)
            .or_else(|| self.setup.pool.take(CHUNK_BYTES))
    }

    fn keep(&self, chunk: Chunk) {
        let mut spares = self.spares.lock();
        if spares.len() < SPARES {
            spares.push(chunk);
        }
    }

    /// One try, which does not block. None: no memory.
    fn try_recv_from(&self, token: Token, socket: &Socket) -> Option<Tried> {
        let mut datagrams = self.datagrams.lock();
        let datagrams = datagrams.get_or_insert_default();
        datagrams.rewind();
        let (tried, _) =
            sys::without_blocking(socket, || datagrams.try_recv_from(token, socket, &self.setup));
        (!matches!(tried, Tried::Starved(_))).then_some(tried)
    }

    /// The socket goes.
    pub fn forget(&self, token: Token) {
        if let Some(datagrams) = &mut *self.datagrams.lock() {
            datagrams.forget(token);
        }
    }

    /// Joins a thread.
    pub fn joined(&self, handle: JoinHandle<()>) {
        let _ = handle.join();
        self.setup.threads.fetch_sub(1, Relaxed);
    }
}

/// One try of a send, which does not block. It comes back if it would.
pub fn send_now(socket: &Socket, op: Op) -> Result<Outcome, Op> {
    if socket.set_nonblocking(true).is_err() {
        return Err(op);
    }
    // The other lane's thread may find that its call would block meanwhile: it repeats that.
    let later = |error: &io::Error| sys::would_block(error) || sys::no_buffers(error);
    let tried = match op {
        Op::Send(train) => match sys::send_up_to(socket, &train, SEND_MAX) {
            Err(error) if later(&error) => Err(Op::Send(train)),
            answer => Ok(Outcome::Sent(answer, train)),
        },
        Op::SendTo(all) => match sys::send_batch(socket, &all) {
            Err(error) if later(&error) => Err(Op::SendTo(all)),
            answer => Ok(Outcome::SentTo(answer, all)),
        },
        other => Err(other),
    };
    // It was blocking before, so it can be.
    let _ = socket.set_nonblocking(false);
    tried
}

impl Half {
    /// A lane without a thread as yet.
    pub fn new(
        token: Token,
        lane: Lane,
        socket: ManuallyDrop<Socket>,
        shared: &Arc<Shared>,
    ) -> Arc<Half> {
        let (state, changed) = (Mutex::new(State::Idle), Condvar::new());
        let (shared, taking) = (shared.clone(), AtomicBool::new(false));
        Arc::new(Half { token, lane, socket, shared, state, changed, taking })
    }

    /// Starts its thread.
    pub fn start(self: &Arc<Half>) -> io::Result<JoinHandle<()>> {
        let name = if self.lane == Lane::In { "sockeye-recv" } else { "sockeye-send" };
        let half = self.clone();
        let handle = threads::start(name.into(), Some(sys::STACK_BYTES), move |_| half.run())?;
        self.shared.setup.threads.fetch_add(1, Relaxed);
        Ok(handle)
    }

    /// Gives it an operation.
    pub fn ask(&self, op: Op) {
        let mut state = self.state.lock();
        debug_assert!(matches!(*state, State::Idle), "one operation per lane");
        *state = State::Asked(op);
        self.changed.notify_one();
    }

    /// Ends its operation. True: the thread is in it and may have to be interrupted.
    pub fn cancel(&self) -> bool {
        let mut state = self.state.lock();
        match mem::replace(&mut *state, State::Idle) {
            State::Asked(op) => {
                drop(state);
                self.tell(op.fail(cancelled()), true);
                false
            }
            State::Busy { .. } => {
                *state = State::Busy { cancelled: true };
                self.changed.notify_one();
                true
            }
            other => {
                *state = other;
                false
            }
        }
    }

    /// Ends the call that its thread is in. False: it is in none.
    pub fn interrupt(&self) -> bool {
        let busy = matches!(*self.state.lock(), State::Busy { .. });
        if busy {
            sys::interrupt(&self.socket, self.lane);
        }
        busy
    }

    /// Has its thread end, which is idle.
    pub fn leave(&self) {
        let before = mem::replace(&mut *self.state.lock(), State::Leaving);
        debug_assert!(matches!(before, State::Idle), "both lanes are idle");
        self.changed.notify_one();
    }

    /// The body of its thread.
    fn run(self: Arc<Half>) {
        while let Some(op) = self.next() {
            let outcome = self.carry_out(op);
            // Idle first: the next operation may come as soon as this one's end is reported.
            let before = mem::replace(&mut *self.state.lock(), State::Idle);
            let cancelled = matches!(before, State::Busy { cancelled: true });
            self.tell(outcome, cancelled || self.lane == Lane::Out);
            self.taking.store(false, SeqCst);
        }
    }

    /// Whether its thread has, or is about to take, what the turner has not collected.
    pub fn is_taking(&self) -> bool {
        self.taking.load(SeqCst)
    }

    fn next(&self) -> Option<Op> {
        let mut state = self.state.lock();
        loop {
            match mem::replace(&mut *state, State::Busy { cancelled: false }) {
                State::Asked(op) => return Some(op),
                State::Leaving => {
                    *state = State::Leaving;
                    return None;
                }
                State::Idle | State::Busy { .. } => *state = State::Idle,
            }
            self.changed.wait(&mut state);
        }
    }

    fn tell(&self, outcome: Outcome, urgent: bool) {
        let completion = Completion { token: self.token, lane: self.lane, outcome };
        self.shared.tell(completion, urgent);
    }

    fn is_cancelled(&self) -> bool {
        matches!(*self.state.lock(), State::Busy { cancelled: true })
    }

    /// Why a call failed: because it was interrupted, if it was.
    fn reason(&self, error: io::Error) -> io::Error {
        if self.is_cancelled() { cancelled() } else { error }
    }

    fn carry_out(self: &Arc<Half>, op: Op) -> Outcome {
        if self.is_cancelled() {
            return op.fail(cancelled());
        }
        match op {
            Op::Accept => self.accept(),
            Op::Recv(chunk) => self.recv(chunk),
            Op::Connect(address) => self.connect(&address),
            Op::Send(train) => self.send(train),
            Op::RecvFrom => self.recv_from(),
            Op::SendTo(all) => self.send_to(all),
        }
    }

    fn accept(&self) -> Outcome {
        match sys::accept(&self.socket) {
            Ok((socket, peer)) => Outcome::Accepted(vec![Accepted { socket, peer }], None),
            Err(error) => Outcome::Accepted(Vec::new(), Some(self.reason(error))),
        }
    }

    fn connect(&self, address: &SockAddr) -> Outcome {
        let connect = || self.socket.connect(address);
        let answer = if address.is_unix() {
            // It is answered at once, or waits for room behind the listener, in a way that nothing
            // interrupts: better asked again and again.
            let asked = || self.again(|| connect().map(|()| 0));
            let socket = &self.socket;
            socket.set_nonblocking(true).and_then(|()| asked()).and(socket.set_nonblocking(false))
        } else {
            connect()
        };
        Outcome::Connected(answer.map_err(|error| self.reason(error)))
    }

    fn recv(self: &Arc<Half>, mut given: Option<Chunk>) -> Outcome {
        // Who waits has no buffer: it is taken when there is something to put in it.
        let mut byte = [MaybeUninit::uninit()];
        let seen = self.again(|| self.socket.peek(&mut byte));
        let long = given.as_ref().is_some_and(|chunk| chunk.room() >= LONG_ROOM);
        if long && seen.is_ok() && !self.await_turn() {
            return Outcome::Received(Err(cancelled()), given);
        }
        self.taking.store(true, SeqCst);
        let received = match (seen, &mut given) {
            (Err(error), _) => Err(self.reason(error)),
            (Ok(0), _) => self.end_of_stream(),
            (Ok(_), Some(chunk)) => self.recv_to(chunk),
            (Ok(_), None) => match self.with_memory(|| self.shared.chunk()) {
                None => Err(cancelled()),
                Some(mut chunk) => {
                    let received = self.recv_to(&mut chunk);
                    self.shared.keep(chunk);
                    received
                }
            },
        };
        Outcome::Received(received, given)
    }

    /// Waits until it may receive of a long frame. False: cancelled.
    fn await_turn(self: &Arc<Half>) -> bool {
        let mut state = self.state.lock();
        let mut long = self.shared.long.lock();
        if long.running.is_none() {
            long.running = Some(self.token);
            return true;
        }
        long.waiting.push_back(self.clone());
        drop(long);
        while matches!(*state, State::Busy { cancelled: false }) {
            self.changed.wait(&mut state);
            if self.shared.long.lock().running == Some(self.token) {
                return true;
            }
        }
        self.shared.long.lock().waiting.retain(|half| !Arc::ptr_eq(half, self));
        false
    }

    fn recv_to(&self, chunk: &mut Chunk) -> io::Result<Slice> {
        let (spare, room) = chunk.spare();
        let room = room.min(self.shared.setup.recv_max);
        // SAFETY: `room` bytes at `spare` are the chunk's, and not shared.
        match self.again(|| unsafe { sys::recv(&self.socket, spare, room) }) {
            Ok(0) => self.end_of_stream(),
            Ok(count) => Ok(chunk.take(count)),
            Err(error) => Err(self.reason(error)),
        }
    }

    /// An interrupted receive looks like the end of the stream.
    fn end_of_stream(&self) -> io::Result<Slice> {
        if self.is_cancelled() { Err(cancelled()) } else { Ok(Slice::default()) }
    }

    /// As `recv`: who waits has no memory for datagrams.
    fn recv_from(self: &Arc<Half>) -> Outcome {
        loop {
            // There may be none: an interrupt. The try shows it.
            if let Err(error) = self.again(|| sys::await_datagram(&self.socket).map(|()| 0)) {
                return Outcome::ReceivedFrom(Err(self.reason(error)));
            }
            self.taking.store(true, SeqCst);
            let tried = || self.shared.try_recv_from(self.token, &self.socket);
            match self.with_memory(tried) {
                Some(Tried::Done(outcome)) => return outcome,
                Some(_) if self.pause() => {}
                _ => return Outcome::ReceivedFrom(Err(cancelled())),
            }
        }
    }

    /// What `take` takes, as soon as there is memory. None: cancelled before there was.
    fn with_memory<T>(self: &Arc<Half>, take: impl Fn() -> Option<T>) -> Option<T> {
        let taken = take();
        if taken.is_some() {
            return taken;
        }
        let taken = self.await_memory(take);
        self.shared.starved.lock().retain(|half| !Arc::ptr_eq(half, self));
        taken
    }

    /// The wait of `with_memory`, on the list of those that wait once at most.
    fn await_memory<T>(self: &Arc<Half>, take: impl Fn() -> Option<T>) -> Option<T> {
        let pool = &self.shared.setup.pool;
        let mut state = self.state.lock();
        loop {
            if !matches!(*state, State::Busy { cancelled: false }) {
                return None;
            }
            let mut starved = self.shared.starved.lock();
            if !starved.iter().any(|half| Arc::ptr_eq(half, self)) {
                starved.push(self.clone());
            }
            drop(starved);
            // Thirst first: a block that comes back between the two rings the bell.
            pool.thirst();
            if !pool.has_room(CHUNK_BYTES) {
                self.changed.wait(&mut state);
            }
            let taken = take();
            if taken.is_some() {
                return taken;
            }
            if pool.has_room(CHUNK_BYTES) {
                // It is the system that has no memory.
                self.changed.wait_for(&mut state, LATER);
            }
        }
    }

    fn send(&self, train: Train) -> Outcome {
        let sent = self.again(|| sys::send_up_to(&self.socket, &train, SEND_MAX));
        Outcome::Sent(sent.map_err(|error| self.reason(error)), train)
    }

    fn send_to(&self, all: Vec<Datagram>) -> Outcome {
        let sent = self.again(|| sys::send_batch(&self.socket, &all));
        Outcome::SentTo(sent.map_err(|error| self.reason(error)), all)
    }

    /// Repeats a call that the system could not carry out for the moment.
    fn again(&self, mut call: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
        loop {
            match call() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error)
                    if (sys::would_block(&error) || sys::no_buffers(&error)) && self.pause() => {}
                answer => return answer,
            }
        }
    }

    /// Waits for the system to have buffers again. False: cancelled.
    fn pause(&self) -> bool {
        let mut state = self.state.lock();
        let mut goes_on = matches!(*state, State::Busy { cancelled: false });
        if goes_on {
            self.changed.wait_for(&mut state, LATER);
            goes_on = matches!(*state, State::Busy { cancelled: false });
        }
        goes_on
    }
}

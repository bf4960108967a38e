//! The network that SIM's workers and the test share.

use super::super::op::{Accepted, Token};
use super::super::proactor::ACCEPT_MAX;
use super::dice::Dice;
use super::link::{End, Link};
use crate::buf::{Condvar, Mutex, MutexGuard, Train, rank};
use socket2::{Domain, SockAddr, Socket, Type};
use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How unkind a network is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    /// Of a hundred receives and sends, those that move less than they could.
    pub short: u32,
    /// Turns until an operation is looked at, at most.
    pub delay: usize,
    /// Of a hundred operations, those whose completion comes some turns after it happened.
    pub late: u32,
    /// Of a hundred sends, those that complete within `submit`.
    pub at_once: u32,
    /// Completions of one turn come in any order.
    pub shuffle: bool,
    /// Receives have a chunk of their own, as if each connection had a buffer posted.
    pub lavish: bool,
    /// Of a hundred accepts, those that fail too.
    pub accept: u32,
    /// Sockets that one worker takes; 0: no limit.
    pub sockets: usize,
}

/// What becomes of connections to an address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Answer {
    /// They are accepted.
    Accept,
    /// They are refused.
    Refuse,
    /// There is no way to the host.
    Unreachable,
    /// There is no answer.
    Silence,
}

/// Ways in which a turn goes wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Trouble {
    /// It answers an error, like that of a poller whose descriptor is bad.
    Fails,
    /// It answers that the system is short of memory.
    Short,
    /// It panics.
    Panics,
}

/// Ways in which accept(2) fails.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AcceptError {
    /// ECONNABORTED: the peer went away in the queue.
    Aborted,
    /// EPROTO.
    Protocol,
    /// EMFILE.
    Process,
    /// ENFILE.
    System,
    /// ENOBUFS.
    Buffers,
    /// ENOMEM.
    Memory,
    /// One that no manual names.
    Unknown,
}

/// All of them.
pub const ACCEPT_ERRORS: [AcceptError; 7] = [
    AcceptError::Aborted,
    AcceptError::Protocol,
    AcceptError::Process,
    AcceptError::System,
    AcceptError::Buffers,
    AcceptError::Memory,
    AcceptError::Unknown,
];

impl AcceptError {
    fn error(self) -> io::Error {
        io::Error::from_raw_os_error(match self {
            AcceptError::Aborted => libc::ECONNABORTED,
            AcceptError::Protocol => libc::EPROTO,
            AcceptError::Process => libc::EMFILE,
            AcceptError::System => libc::ENFILE,
            AcceptError::Buffers => libc::ENOBUFS,
            AcceptError::Memory => libc::ENOMEM,
            AcceptError::Unknown => libc::EXDEV,
        })
    }
}

/// What waits at a listener.
#[derive(Default)]
struct Backlog {
    links: VecDeque<usize>,
    errors: VecDeque<AcceptError>,
    closed: bool,
}

/// The network. Links are never forgotten: their number is their name.
pub struct State {
    pub dice: Dice,
    pub faults: Faults,
    /// Turns of all workers.
    pub turn: u64,
    pub links: Vec<Link>,
    pub link_of: BTreeMap<Token, usize>,
    /// Accepted and not yet adopted, by the engine's descriptor.
    pub fresh: BTreeMap<RawFd, usize>,
    /// Peers answer an end with an end, and read without limit.
    pub polite: bool,
    /// How the next turn goes wrong as a whole.
    pub trouble: Option<Trouble>,
    listeners: BTreeMap<Token, Backlog>,
    doors: BTreeMap<SocketAddr, Answer>,
    incoming: VecDeque<usize>,
}

/// Wakes a worker that sleeps in `turn`.
#[derive(Default)]
pub struct Alarm {
    count: Mutex<rank::News, u64>,
    struck: Condvar,
}

impl Alarm {
    pub fn count(&self) -> u64 {
        *self.count.lock()
    }

    pub fn strike(&self) -> bool {
        *self.count.lock() += 1;
        self.struck.notify_all();
        true
    }

    /// Sleeps until it is struck once more than `seen` times.
    pub fn wait(&self, seen: u64, timeout: Option<Duration>) {
        let mut count = self.count.lock();
        let until = timeout.map(|timeout| Instant::now() + timeout);
        let mut late = false;
        while *count == seen && !late {
            match until {
                None => self.struck.wait(&mut count),
                Some(until) => late = self.struck.wait_until(&mut count, until),
            }
        }
    }
}

thread_local! {
    static WORLD: RefCell<Option<World>> = const { RefCell::new(None) };
}

/// A handle to one simulated network; clones are the same network.
#[derive(Clone)]
pub struct World(Arc<(Mutex<rank::World, State>, Alarms)>);

type Alarms = Mutex<rank::Alarms, Vec<Arc<Alarm>>>;

impl World {
    /// A network without sockets.
    pub fn new(seed: u64, faults: Faults) -> World {
        let state = State {
            dice: Dice::new(seed),
            faults,
            turn: 0,
            links: Vec::new(),
            link_of: BTreeMap::new(),
            fresh: BTreeMap::new(),
            polite: false,
            trouble: None,
            listeners: BTreeMap::new(),
            doors: BTreeMap::new(),
            incoming: VecDeque::new(),
        };
        World(Arc::new((Mutex::new(state), Mutex::default())))
    }

    /// Makes this the network of every `Sim` that this thread opens from now on.
    pub fn enter(&self) {
        WORLD.with(|world| *world.borrow_mut() = Some(self.clone()));
    }

    pub(super) fn current() -> Option<World> {
        WORLD.with(|world| world.borrow().clone())
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, rank::World, State> {
        self.0.0.lock()
    }

    pub(super) fn watch(&self, alarm: Arc<Alarm>) {
        self.0.1.lock().push(alarm);
    }

    /// Something changed: workers look.
    pub(super) fn alert(&self) {
        for alarm in self.0.1.lock().iter() {
            alarm.strike();
        }
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let answer = change(&mut self.lock());
        self.alert();
        answer
    }

    /// A client connects to a listener: its link. None: there is no such listener any more.
    pub(super) fn open(&self, listener: Token, window: usize) -> Option<usize> {
        self.change(|state| {
            let backlog = state.listeners.entry(listener).or_default();
            if backlog.closed {
                return None;
            }
            let link = state.links.len();
            backlog.links.push_back(link);
            state.links.push(Link::new(window));
            Some(link)
        })
    }

    /// The link of a connection that the engine made since the last call.
    pub(super) fn next_incoming(&self) -> Option<usize> {
        self.lock().incoming.pop_front()
    }

    /// The listener's next accept fails, behind the connections that it brings.
    pub fn fail_accept(&self, listener: Token, error: AcceptError) {
        self.change(|state| {
            state.listeners.entry(listener).or_default().errors.push_back(error);
        });
    }

    /// What becomes of connections to this address; Refuse where nothing was said.
    pub fn set_door(&self, address: SocketAddr, answer: Answer) {
        self.change(|state| state.doors.insert(address, answer));
    }

    /// Whom a link belongs to, once it is adopted.
    pub fn token_of(&self, link: usize) -> Option<Token> {
        self.lock().links[link].token
    }

    /// The link of a connection that is or was connected.
    pub fn link_of(&self, token: Token) -> Option<usize> {
        self.lock().link_of.get(&token).copied()
    }

    /// From now on peers answer an end with an end, and read as fast as they are sent to; what
    /// they read can still be asked for.
    pub fn be_polite(&self) {
        self.change(|state| state.polite = true);
    }

    /// From now on the network has these faults.
    pub fn set_faults(&self, faults: Faults) {
        self.change(|state| state.faults = faults);
    }

    /// The next turn of a worker goes wrong as a whole.
    pub fn trouble(&self, trouble: Trouble) {
        self.change(|state| state.trouble = Some(trouble));
    }
}

impl State {
    /// What an accept brings now. None: nothing waits.
    pub fn accept(&mut self, listener: Token) -> Option<(Vec<Accepted>, Option<io::Error>)> {
        let State { listeners, links, dice, fresh, faults, .. } = self;
        let backlog = listeners.entry(listener).or_default();
        if backlog.links.is_empty() && backlog.errors.is_empty() {
            return None;
        }
        let most = backlog.links.len().min(ACCEPT_MAX);
        let count = if faults.shuffle { dice.below(most + 1) } else { most };
        let mut all = Vec::new();
        for number in backlog.links.drain(..count) {
            let (socket, probe) = match pair() {
                Ok(pair) => pair,
                Err(error) => return Some((all, Some(error))),
            };
            fresh.insert(socket.as_raw_fd(), number);
            links[number].probe = Some(probe);
            all.push(Accepted { socket, peer: client_address(number) });
        }
        let error = backlog.errors.pop_front();
        let error = error.or_else(|| dice.chance(faults.accept).then(|| dice.pick(&ACCEPT_ERRORS)));
        if all.is_empty() && error.is_none() {
            return None;
        }
        Some((all, error.map(AcceptError::error)))
    }

    /// Whether a connection waits at a listener; when that is asked for again, the answer may
    /// differ.
    pub fn has_clients(&self) -> bool {
        let draws = self.faults.shuffle || self.faults.accept > 0;
        draws && self.listeners.values().any(|backlog| !backlog.links.is_empty())
    }

    /// Connects an engine's socket. None: there is no answer.
    pub fn dial(
        &mut self,
        token: Token,
        socket: &Socket,
        address: &SockAddr,
    ) -> Option<io::Result<usize>> {
        let address = address.as_socket().expect("an address of the internet");
        match self.doors.get(&address).copied().unwrap_or(Answer::Refuse) {
            Answer::Silence => return None,
            Answer::Refuse => return Some(Err(error(libc::ECONNREFUSED))),
            Answer::Unreachable => return Some(Err(error(libc::EHOSTUNREACH))),
            Answer::Accept => {}
        }
        let (ours, probe) = match pair() {
            Ok(pair) => pair,
            Err(error) => return Some(Err(error)),
        };
        // SAFETY: both descriptors are open; the engine's own number now names our pair's end,
        // which it closes like any other.
        if unsafe { libc::dup2(ours.as_raw_fd(), socket.as_raw_fd()) } < 0 {
            return Some(Err(io::Error::last_os_error()));
        }
        let number = self.links.len();
        let mut link = Link::new(64 * 1024);
        link.probe = Some(probe);
        link.token = Some(token);
        self.links.push(link);
        self.link_of.insert(token, number);
        self.incoming.push_back(number);
        Some(Ok(number))
    }

    /// Bytes written by an engine. None: the peer's window is closed.
    pub fn send(&mut self, number: usize, train: &Train) -> Option<io::Result<usize>> {
        let most = train.len();
        let link = &mut self.links[number];
        if link.is_reset() {
            return Some(Err(error(libc::EPIPE)));
        }
        let most = if self.polite { most } else { most.min(link.room()) };
        if most == 0 {
            return None;
        }
        let short = self.dice.chance(self.faults.short);
        let count = if short { 1 + self.dice.below(most) } else { most };
        link.write(train, count);
        Some(Ok(count))
    }

    /// What an engine can read, at most `room` bytes of it; empty at the end. None: nothing.
    pub fn recv(&mut self, number: usize, room: usize) -> Option<io::Result<Vec<u8>>> {
        let link = &mut self.links[number];
        let most = link.readable().min(room);
        if most == 0 {
            if link.is_reset() {
                return Some(Err(error(libc::ECONNRESET)));
            }
            return link.has_peer_ended().then(|| Ok(Vec::new()));
        }
        let short = self.dice.chance(self.faults.short);
        let count = if short { 1 + self.dice.below(most) } else { most };
        Some(Ok(link.read(count)))
    }

    /// An engine closed its end.
    pub fn close(&mut self, number: usize, socket: &Socket) {
        let reset = socket.linger().ok().flatten() == Some(Duration::ZERO);
        let lost = self.dice.roll();
        self.links[number].close(reset, lost);
    }

    /// An engine closed a listener: connections that still wait there are reset.
    pub fn close_listener(&mut self, listener: Token) {
        let backlog = self.listeners.entry(listener).or_default();
        backlog.closed = true;
        for number in backlog.links.drain(..) {
            self.links[number].end = End::Reset;
        }
    }

    /// Lets polite peers answer. True: some did.
    pub fn answer_ends(&mut self) -> bool {
        let mut moved = false;
        if self.polite {
            for link in &mut self.links {
                moved |= link.answer_end();
            }
        }
        moved
    }
}

/// Two ends that carry no traffic but the end of it: shutdown(2) on one is seen on the other.
fn pair() -> io::Result<(Socket, Socket)> {
    let (one, other) = Socket::pair(Domain::UNIX, Type::STREAM, None)?;
    one.set_nonblocking(true)?;
    other.set_nonblocking(true)?;
    Ok((one, other))
}

fn client_address(link: usize) -> SockAddr {
    let [high, low] = (link as u16).to_be_bytes();
    SocketAddr::from(([10, 0, high, low], 40_000)).into()
}

fn error(number: i32) -> io::Error {
    io::Error::from_raw_os_error(number)
}

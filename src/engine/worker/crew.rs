//! The workers of a net and their threads.
//!
//! A model that watches only so many sockets gets further workers as those it has fill: `place`
//! opens one when none of a queue's has room, and one that is empty goes again. A seat and a home
//! of its own are there for each from the beginning, since waiters and slots hold their numbers;
//! what comes and goes is the worker in the seat, with its thread and what the model has in the
//! system. Extra workers are driven as in POOL.

use crate::engine::shared::config::{Config, Drive, WORKERS_MAX};
use crate::engine::shared::core::Core;
use crate::engine::shared::error::{Error, Refusal};
use crate::engine::shared::home::Home;
use crate::engine::shared::log::Level;
use crate::engine::shared::tags::{NETS_MAX, Tag};
use crate::engine::worker::baton::{Chair, Seat};
use crate::io::os::sys;
use crate::io::{Affinity, Proactor, Setup, Visit};
use parking_lot::Mutex;
use std::io;
use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::*};
use std::thread::{self, JoinHandle};

/// See the module.
pub struct Crew {
    core: Arc<Core>,
    /// One for each home.
    pub seats: Box<[Arc<dyn Seat>]>,
    /// Of workers and of the model, now.
    pub threads: Arc<AtomicU32>,
    /// The workers' threads. Whoever has the lock may start one.
    handles: Mutex<Vec<JoinHandle<()>>>,
}

/// Opens the workers of any model, so that the rest of the net need not know which.
pub struct Open {
    pub config: Config,
    pub drive: Drive,
}

impl Visit for Open {
    type Out = Result<Arc<Crew>, Refusal>;

    fn visit<P: Proactor>(self) -> Self::Out {
        let Open { config, drive } = self;
        let base = config.workers_in_all() as usize;
        let elastic = P::SOCKETS_MAX.is_some() && config.workers != Some(0);
        let homes = if elastic { WORKERS_MAX as usize } else { base };
        // Where a host may turn a worker, its completions are to be its own.
        let roams = P::AFFINITY == Affinity::Shared && drive == Drive::Pool && base > 1;
        let common = if roams { Some(P::share(base)) } else { None };
        let common = common.transpose().map_err(|error| cannot_open(&error))?;
        let tag = Tag::take().ok_or_else(|| {
            Refusal::new(Error::Limit, format!("{NETS_MAX} nets live in this process"))
        })?;
        let core = Arc::new(Core::new(config, tag, base, homes, P::SOCKETS_MAX, roams));
        let threads = Arc::new(AtomicU32::new(0));
        let seat = |home: usize| -> io::Result<Arc<dyn Seat>> {
            let away = Arc::downgrade(&core);
            let setup = Setup {
                pool: core.pool.clone(),
                recv_max: core.config.turn_bytes as usize,
                threads: threads.clone(),
                summon: Arc::new(move || {
                    if let Some(core) = away.upgrade() {
                        core.homes[home].wake();
                    }
                }),
            };
            // A bound one is lent for good, where it has no thread of its own.
            let lends = drive != Drive::Pool && core.queues.iter().any(|queue| queue.home == home);
            let shared = common.clone().map_or_else(|| P::share(1), Ok)?;
            Ok(Arc::new(Chair::<P>::new(core.clone(), setup, shared, home, lends)))
        };
        let seats: io::Result<Box<[_]>> = (0..homes).map(seat).collect();
        let seats = seats.map_err(|error| cannot_open(&error))?;
        for seat in &seats[..base] {
            seat.open().map_err(|error| cannot_open(&error))?;
        }
        let crew = Arc::new(Crew { core, seats, threads, handles: Mutex::default() });
        let first = crew.core.crew.set(Arc::downgrade(&crew)).is_ok();
        debug_assert!(first, "a net has one crew");
        Ok(crew)
    }

    fn absent(self, reason: &'static str) -> Self::Out {
        Err(Refusal::new(Error::Unsupported, reason))
    }
}

/// Why a model has no worker: it cannot run here, or something is short for now.
fn cannot_open(error: &io::Error) -> Refusal {
    match error.kind() {
        io::ErrorKind::Unsupported | io::ErrorKind::PermissionDenied => {
            Refusal::new(Error::Unsupported, error.to_string())
        }
        _ => Refusal::system("the model cannot be opened", error),
    }
}

impl Crew {
    /// What its workers share with the host's calls.
    pub fn core(&self) -> &Arc<Core> {
        &self.core
    }

    /// Starts the threads of the workers that stay.
    pub fn start(&self) -> io::Result<()> {
        let mut handles = self.handles.lock();
        (0..self.core.base).try_for_each(|home| self.start_one(home, &mut handles))
    }

    fn start_one(&self, home: usize, handles: &mut Vec<JoinHandle<()>>) -> io::Result<()> {
        let (seat, threads) = (self.seats[home].clone(), self.threads.clone());
        let name = thread::Builder::new().name(format!("sockeye-{home}"));
        // Before it runs: it counts itself off.
        threads.fetch_add(1, Relaxed);
        let body = move || {
            seat.run();
            threads.fetch_sub(1, Relaxed);
        };
        let started = sys::without_signals(|| name.spawn(body));
        let handle = started.inspect_err(|_| {
            self.threads.fetch_sub(1, Relaxed);
        })?;
        handles.push(handle);
        Ok(())
    }

    /// Opens one more worker of this queue, or of any, with a place in it taken. None: there are
    /// as many as there may be, or the system has no room for one.
    fn open_one(&self, queue: Option<usize>) -> Option<usize> {
        let core = &self.core;
        let mut handles = self.handles.lock();
        for at in (0..handles.len()).rev() {
            if handles[at].is_finished() {
                let _ = handles.swap_remove(at).join();
            }
        }
        if !core.is_running() {
            return None;
        }
        // Somebody else may just have opened one.
        if let Some(home) = core.move_in(queue) {
            return Some(home);
        }
        let mut free = (core.base..core.homes.len()).filter(|&home| core.serves(home, queue));
        let home = free.find(|&home| core.homes[home].is_closed())?;
        let opened = self.seats[home].open().and_then(|()| {
            let started = self.start_one(home, &mut handles);
            started.inspect_err(|_| self.seats[home].close())
        });
        match opened {
            Ok(()) => {
                core.homes[home].admit();
                Some(home)
            }
            Err(error) => {
                let words = || format!("a worker more cannot be had: {error}");
                core.log.note(Level::Warning, words);
                None
            }
        }
    }

    /// Joins every thread and closes every worker. The net has ended. True: one had a fault.
    pub fn end(&self) -> bool {
        let handles = mem::take(&mut *self.handles.lock());
        let faults = handles.into_iter().filter_map(|handle| handle.join().err()).count();
        self.seats.iter().for_each(|seat| seat.close());
        faults > 0
    }
}

impl Core {
    fn serves(&self, home: usize, queue: Option<usize>) -> bool {
        queue.is_none_or(|queue| home % self.queues.len() == queue)
    }

    /// Workers that are there now, by number.
    pub fn workers(&self) -> impl Iterator<Item = usize> {
        (0..self.homes.len()).filter(|&home| self.homes[home].is_open())
    }

    /// Those of a queue.
    pub fn workers_of(&self, queue: usize) -> impl Iterator<Item = usize> {
        let all = (queue..self.homes.len()).step_by(self.queues.len());
        all.filter(|&home| self.homes[home].is_open())
    }

    /// Queue and worker of a new connection, with its place there taken: the asked-for queue or
    /// the one with the fewest, and of its workers the one with the fewest. None: none has room.
    pub fn place(&self, queue: Option<u32>) -> Option<(usize, usize)> {
        let queue = queue.map(|queue| queue as usize);
        let home = self.move_in(queue).or_else(|| {
            if self.homes.len() == self.base {
                return None;
            }
            self.crew.get()?.upgrade()?.open_one(queue)
        })?;
        Some((home % self.queues.len(), home))
    }

    /// As `place` where none has room: the model is to refuse it, which tells why.
    pub fn squeeze(&self, queue: Option<u32>) -> (usize, usize) {
        let home = queue.unwrap_or(0) as usize;
        self.homes[home].squeeze_in();
        (home, home)
    }

    /// As `place` for a listener: the workers of a queue take turns.
    pub fn place_listener(&self, queue: u32, turn: usize) -> Option<usize> {
        let queues = self.queues.len();
        let first = queue as usize;
        let home = first + turn % (self.base - first).div_ceil(queues) * queues;
        if self.homes[home].move_in(self.sockets_max) {
            return Some(home);
        }
        self.place(Some(queue)).map(|(_, home)| home)
    }

    /// A place with one of the workers that are there. Those that stay come first, and of the
    /// others the first that has room, so that the last ones become empty.
    pub fn move_in(&self, queue: Option<usize>) -> Option<usize> {
        loop {
            let has_room = |&home: &usize| {
                self.serves(home, queue) && self.homes[home].population() < self.sockets_max
            };
            let places = if self.roams { self.queues.len() } else { self.base };
            let stays = (0..places).filter(has_room);
            let fewest = stays.min_by_key(|&home| self.homes[home].population());
            let mut extra = self.base..self.homes.len();
            let open = |home: &usize| self.homes[*home].is_open() && has_room(home);
            let home = fewest.or_else(|| extra.find(open))?;
            if self.homes[home].move_in(self.sockets_max) {
                return Some(home);
            }
        }
    }

    /// Whether an extra worker is empty and the others of its queue have some room: not so little
    /// that the next connections would bring it back.
    fn is_superfluous(&self, home: usize) -> bool {
        if home < self.base || !self.homes[home].is_empty() {
            return false;
        }
        let others = self.workers_of(home % self.queues.len()).filter(|&other| other != home);
        let room = |home: usize| self.sockets_max.saturating_sub(self.homes[home].population());
        others.map(room).sum::<usize>() >= self.sockets_max.div_ceil(4)
    }

    /// Whether this extra worker goes. From then on nobody moves in.
    pub fn may_go(&self, home: usize) -> bool {
        self.is_superfluous(home) && self.is_running() && self.homes[home].leave()
    }

    /// A place became free: an extra worker may have become superfluous, and looks.
    pub fn let_go(&self) {
        for home in self.base..self.homes.len() {
            if self.homes[home].is_open() && self.is_superfluous(home) {
                self.homes[home].wake();
            }
        }
    }

    /// Takes a place back.
    pub fn move_out(&self, home: usize) {
        self.homes[home].move_out();
        if self.homes.len() > self.base {
            self.let_go();
        }
    }
}

/// Homes of a net: those that stay, and those of workers that come and go.
pub fn homes(pool: &crate::buf::Pool, base: usize, count: usize) -> Box<[Home]> {
    let home = |home| if home < base { Home::new(pool) } else { Home::extra(pool) };
    (0..count).map(home).collect()
}

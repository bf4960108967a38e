//! The workers of a net and their threads.
//!
//! A model that watches only so many sockets gets further workers as those it has fill: `place`
//! opens one when none of a queue's has room, and one that is empty goes again. A baton and a home
//! of its own are there for each from the beginning, since waiters and slots hold their numbers;
//! what comes and goes is the worker in the baton, with its thread and what the model has in the
//! system. Extra workers are driven as in POOL.

use crate::buf::{Mutex, rank};
use crate::engine::shared::config::{Config, Drive, WORKERS_MAX};
use crate::engine::shared::core::Core;
use crate::engine::shared::crew::{Baton, Crew};
use crate::engine::shared::error::{Error, Refusal};
use crate::engine::shared::log::Level;
use crate::engine::shared::tags::{NETS_MAX, Tag};
use crate::engine::worker::baton::WorkerBaton;
use crate::io::threads;
use crate::io::{Affinity, Proactor, Setup, Visit};
use std::io;
use std::mem;
use std::sync::atomic::{AtomicU32, Ordering::*};
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;

/// See the module.
pub struct Workers {
    pub core: Arc<Core>,
    /// One for each home.
    pub batons: Box<[Arc<dyn Baton>]>,
    /// Of workers and of the model, now.
    pub threads: Arc<AtomicU32>,
    /// The workers' threads. Whoever has the lock may start one.
    handles: Mutex<rank::Threads, Vec<JoinHandle<()>>>,
}

/// Opens the workers of any model, so that the rest of the net need not know which.
pub struct Open {
    pub config: Config,
    pub drive: Drive,
}

impl Visit for Open {
    type Out = Result<Arc<Workers>, Refusal>;

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
        let baton = |home: usize| -> io::Result<Arc<dyn Baton>> {
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
            // A bound one is always lent, where it has no thread of its own.
            let lendable =
                drive != Drive::Pool && core.queues.iter().any(|queue| queue.home == home);
            let shared = common.clone().map_or_else(|| P::share(1), Ok)?;
            Ok(Arc::new(WorkerBaton::<P>::new(core.clone(), setup, shared, home, lendable)))
        };
        let batons: io::Result<Box<[_]>> = (0..homes).map(baton).collect();
        let batons = batons.map_err(|error| cannot_open(&error))?;
        for baton in &batons[..base] {
            baton.open().map_err(|error| cannot_open(&error))?;
        }
        let crew = Arc::new(Workers { core, batons, threads, handles: Mutex::default() });
        let weak: Weak<dyn Crew> = Arc::downgrade(&crew) as _;
        let first = crew.core.crew.set(weak).is_ok();
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

impl Workers {
    fn start_one(&self, home: usize, handles: &mut Vec<JoinHandle<()>>) -> io::Result<()> {
        let (baton, threads) = (self.batons[home].clone(), self.threads.clone());
        // Before it runs: it counts itself off.
        threads.fetch_add(1, Relaxed);
        let body = move |_: &mut threads::Announced| {
            baton.run();
            threads.fetch_sub(1, Relaxed);
        };
        let started = threads::start(format!("sockeye-{home}"), None, body);
        let handle = started.inspect_err(|_| {
            self.threads.fetch_sub(1, Relaxed);
        })?;
        handles.push(handle);
        Ok(())
    }
}

impl Crew for Workers {
    fn start(&self) -> io::Result<()> {
        let mut handles = self.handles.lock();
        (0..self.core.base).try_for_each(|home| self.start_one(home, &mut handles))
    }

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
        // Another thread may just have opened one.
        if let Some(home) = core.move_in(queue) {
            return Some(home);
        }
        let mut free = (core.base..core.homes.len()).filter(|&home| core.serves(home, queue));
        let home = free.find(|&home| core.homes[home].is_closed())?;
        let opened = self.batons[home].open().and_then(|()| {
            let started = self.start_one(home, &mut handles);
            started.inspect_err(|_| self.batons[home].close())
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

    fn end(&self) -> bool {
        let handles = mem::take(&mut *self.handles.lock());
        let faults = handles.into_iter().filter_map(|handle| handle.join().err()).count();
        self.batons.iter().for_each(|baton| baton.close());
        faults > 0
    }
}

//! A net: made, polled, flushed. `calls.rs` has what is asked of one connection, `stop.rs` the end.

use crate::buf::{Mutex, MutexGuard, RwLock, Slice, rank};
use crate::engine::host::certificates::TlsClients;
use crate::engine::shared::config::{Config, Drive};
use crate::engine::shared::core::{Core, RUNNING};
use crate::engine::shared::crew::{Baton, Crew, Lead, Led};
use crate::engine::shared::error::{Error, Refusal};
use crate::engine::shared::event::{Event, Handed, Mail, Notice};
use crate::engine::shared::home::Command;
use crate::engine::shared::hook::Hook;
use crate::engine::shared::log::Sink;
use crate::engine::shared::queue::{Poller, Queue};
use crate::engine::shared::quiet;
use crate::engine::shared::waiter::Waiting;
use crate::io::http::Service;
use crate::io::os::sys::{self, WaitPort};
use crate::io::{Affinity, Model, Token, model};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering::*};
use std::thread;
use std::time::{Duration, Instant};

/// A net. All calls are safe from any thread.
pub struct Net {
    pub(in crate::engine) core: Arc<Core>,
    /// Of each worker there may be.
    pub(in crate::engine) batons: Box<[Arc<dyn Baton>]>,
    /// Threads of workers and of the model, now.
    pub(in crate::engine) threads: Arc<AtomicU32>,
    pub(in crate::engine) crew: Arc<dyn Crew>,
    /// The drive that runs, and why.
    pub drive: (Drive, &'static str),
    pub(in crate::engine) next_listener: AtomicUsize,
    pub(in crate::engine) next_carried: AtomicUsize,
    /// Who answers scrapes of the metrics.
    pub(in crate::engine) scrapes: Mutex<rank::Scrapes, Option<Service>>,
    pub(in crate::engine) stopped: Mutex<rank::Stopped, Option<Result<(), Error>>>,
    /// The thread that ends the net.
    pub ending: Arc<Hook>,
    /// Shared while something is opened or posted: a shutdown waits for it, so that all of it is
    /// reported before the end.
    pub opening: RwLock<rank::Opening, ()>,
    pub(in crate::engine) tls_clients: TlsClients,
    forks: u32,
    /// Last: nothing of the net needs it any more.
    _running: sys::Running,
}

/// Workers that are open, and whose threads are not yet started.
pub struct Opened {
    pub core: Arc<Core>,
    pub batons: Box<[Arc<dyn Baton>]>,
    pub threads: Arc<AtomicU32>,
    pub crew: Arc<dyn Crew>,
}

/// The drive that runs for the one that was asked for.
fn resolve_drive(config: &Config) -> Result<(Drive, &'static str), Refusal> {
    let bound = model::affinity(config.model) == Some(Affinity::Bound);
    if bound && config.workers != Some(0) {
        return match config.drive {
            Drive::Pool => Ok((Drive::Pool, "asked for by name")),
            Drive::Lend => Ok((Drive::Pool, "LEND runs as POOL: the model is bound to a thread")),
            Drive::Host => {
                let name = config.model.name();
                let words = format!(
                    "drive HOST with worker threads: {name} is bound to one thread; take POOL, or \
                     workers 0"
                );
                Err(Refusal::new(Error::Unsupported, words))
            }
        };
    }
    if config.workers == Some(0) && !model::hosted(config.model) {
        let name = config.model.name();
        let words = format!(
            "workers 0: {name} takes a thread of its own, since no call of the host's thread waits \
             alertably"
        );
        return Err(Refusal::new(Error::Unsupported, words));
    }
    Ok(match (config.drive, config.workers) {
        (Drive::Host, Some(0)) => (Drive::Host, "asked for by name, without a worker thread"),
        (Drive::Lend, Some(0)) => (Drive::Host, "workers is 0: the polling thread does everything"),
        (Drive::Lend, _) => (Drive::Lend, "the default, or asked for by name"),
        (drive, _) => (drive, "asked for by name"),
    })
}

impl Net {
    /// Makes a net and starts its threads. `open` opens the workers, in the drive that runs.
    pub(in crate::engine) fn start(
        config: Config,
        open: impl FnOnce(Config, Drive) -> Result<Opened, Refusal>,
    ) -> Result<Arc<Net>, Refusal> {
        quiet::hush();
        let drive = resolve_drive(&config)?;
        let running = sys::start();
        let running = running.map_err(|error| Refusal::system("sockets cannot be had", &error))?;
        let forks = sys::forks();
        let forks = forks.map_err(|error| Refusal::system("forks cannot be seen", &error))?;
        let Opened { core, batons, threads, crew } = open(config, drive.0)?;
        let net = Arc::new(Net {
            core,
            batons,
            threads,
            crew,
            drive,
            next_listener: AtomicUsize::new(0),
            next_carried: AtomicUsize::new(0),
            scrapes: Mutex::new(None),
            stopped: Mutex::new(None),
            ending: Arc::default(),
            opening: RwLock::new(()),
            tls_clients: TlsClients::default(),
            forks,
            _running: running,
        });
        if net.core.config.workers != Some(0) {
            net.crew.start().map_err(|error| {
                let _ = net.shutdown(Duration::ZERO);
                Refusal::system("a worker's thread cannot be started", &error)
            })?;
        }
        Ok(net)
    }

    /// Whether this is a forked child, which has none of the net's threads.
    #[inline]
    pub fn forked(&self) -> bool {
        sys::forks_now() != self.forks
    }

    /// Whether calls that start something are taken.
    #[inline]
    pub fn check_running(&self) -> Result<(), Error> {
        if self.core.panicked.load(Relaxed) {
            return Err(Error::Panic);
        }
        if self.core.is_running() { Ok(()) } else { Err(Error::Shutdown) }
    }

    pub(in crate::engine) fn queue(&self, queue: u32) -> Result<&Queue, Error> {
        self.core.queues.get(queue as usize).ok_or(Error::Invalid)
    }

    /// Waits for events of a queue and hands out up to `cap` of them.
    pub fn poll(
        &self,
        queue: u32,
        cap: usize,
        timeout: Option<Duration>,
        mut write: impl FnMut(usize, Handed),
    ) -> Result<usize, Error> {
        let queue = self.queue(queue)?;
        self.check_polls()?;
        // Asked before, too: who looks at the batch of a callback is not to find a poller inside.
        if self.is_called(queue) {
            return Err(Error::Busy);
        }
        let mut poller = queue.enter().ok_or(Error::Busy)?;
        if self.is_called(queue) {
            return Err(Error::Busy);
        }
        self.poll_with(queue, &mut poller, cap, timeout, |poller| {
            Some(self.core.hand_out(queue, poller, cap, &mut write))
        })
    }

    /// Whoever is asked about a peer keeps a worker, so no event may come before the answer.
    pub fn check_polls(&self) -> Result<(), Error> {
        let inside = self.core.guard.admit.is_inside();
        if inside { Err(Error::WouldDeadlock) } else { Ok(()) }
    }

    /// `give` hands out what is there; None: not any more.
    pub fn poll_with(
        &self,
        queue: &Queue,
        poller: &mut MutexGuard<'_, rank::Poller, Poller>,
        cap: usize,
        timeout: Option<Duration>,
        mut give: impl FnMut(&mut MutexGuard<'_, rank::Poller, Poller>) -> Option<usize>,
    ) -> Result<usize, Error> {
        let core = &*self.core;
        if core.is_running() && !self.batons[queue.home].admits() {
            return Err(Error::Invalid);
        }
        let state = core.state.load(SeqCst);
        core.end_batch(poller);
        self.let_leave(queue.home);
        let now = timeout == Some(Duration::ZERO);
        let until = timeout.filter(|_| !now).map(|timeout| Instant::now() + timeout);
        let mut ahead = poller.pending() >= cap;
        let first = if ahead {
            Lead::Send
        } else if now || poller.pending() > 0 || queue.stirs() {
            Lead::Look
        } else {
            Lead::Wait(until)
        };
        let mut led = self.lead(queue, first);
        loop {
            // Asked before the queue: what is there when it is over is all there will be.
            let over = core.is_over();
            if core.calls_out(queue.home) {
                Queue::step_out(poller, || match led {
                    // It has turned the worker, so it calls for that.
                    Led::Done => core.call_out(queue.home),
                    Led::Busy | Led::Never => core.log.tell_later(),
                });
            }
            if queue.take_stir(poller) {
                return Ok(0);
            }
            let Some(count) = give(poller) else { return Ok(0) };
            if count > 0 {
                return Ok(count);
            }
            if queue.is_ready() || ahead {
                // What was taken was all of connections that the host has closed.
                if std::mem::take(&mut ahead) {
                    led = self.lead(queue, Lead::Look);
                }
                continue;
            }
            if core.panicked.load(SeqCst) && !core.has_ended() {
                // What is left of the net ends here, so that no thread waits for it.
                Queue::step_out(poller, || {
                    let _ = self.shutdown(Duration::ZERO);
                });
                continue;
            }
            if over {
                return Err(self.over());
            }
            let late = until.is_some_and(|until| until <= Instant::now());
            if now || late || (core.state.load(SeqCst) != state && state == RUNNING) {
                return Ok(0);
            }
            if led != Led::Done {
                self.park(queue, until, led == Led::Never);
            }
            led = self.lead(queue, Lead::Wait(until));
        }
    }

    /// Words for a poll of this queue that is refused. Asked before it: afterwards the net may be
    /// gone.
    pub fn poll_words(&self, queue: u32) -> impl Fn(Error) -> &'static str + use<> {
        let known = self.queue(queue).is_ok();
        move |error| match error {
            Error::Invalid if known => {
                "without worker threads this model is bound to the thread that polled first"
            }
            _ => error.words(),
        }
    }

    /// Turns the queue's home worker, where that is the host's to do.
    fn lead(&self, queue: &Queue, how: Lead) -> Led {
        let baton = &self.batons[queue.home];
        match (self.drive.0, how) {
            (Drive::Pool, _) => Led::Never,
            // It would not sleep, so it does not turn; its sends do not wait for that.
            (Drive::Lend, Lead::Look | Lead::Send) => {
                baton.flush_lease();
                Led::Done
            }
            _ => baton.lead(queue, how),
        }
    }

    /// Sleeps until the queue has events, the baton is free, or the net stops. `pooled`: the baton
    /// will not be free.
    fn park(&self, queue: &Queue, until: Option<Instant>, pooled: bool) {
        let state = self.core.state.load(SeqCst);
        if pooled && self.spin(queue, until) {
            return;
        }
        queue.waiter.set(Waiting::Parked);
        // Registered; look once more before sleeping.
        let baton = &self.batons[queue.home];
        let lead = || self.drive.0 != Drive::Pool && baton.lead(queue, Lead::Look) == Led::Done;
        if !queue.stirs() && state == self.core.state.load(SeqCst) && !lead() {
            queue.waiter.set(Waiting::Parked);
            if !queue.stirs() && state == self.core.state.load(SeqCst) {
                self.core.nobody_rests(queue);
                queue.park(until);
            }
        }
        queue.waiter.set(Waiting::Nobody);
    }

    /// Looks at the queue for up to `spin_us`, in place of sleeping. True: it has something.
    fn spin(&self, queue: &Queue, until: Option<Instant>) -> bool {
        let spin = self.core.spin();
        if spin.is_zero() {
            return false;
        }
        let end = Instant::now() + spin;
        let end = until.map_or(end, |until| until.min(end));
        queue.waiter.set(Waiting::Looking);
        self.core.nobody_rests(queue);
        while !queue.stirs() && self.core.is_running() && Instant::now() < end {
            thread::yield_now();
        }
        queue.waiter.set(Waiting::Nobody);
        queue.stirs()
    }

    /// Why a poll of a net that has ended gives nothing any more.
    pub fn over(&self) -> Error {
        if self.core.panicked.load(SeqCst) { Error::Panic } else { Error::Shutdown }
    }

    /// Has what waits for a flush leave with the worker's next turn.
    fn let_leave(&self, queue: usize) {
        if !self.core.is_manual() {
            return;
        }
        for home in self.core.workers_of(queue) {
            if self.flush_home(home) {
                self.core.homes[home].wake();
            }
        }
    }

    /// Lets a worker's connections have what waits for a flush, of their own and of their groups.
    /// True: there is something, and the worker is to be woken.
    fn flush_home(&self, home: usize) -> bool {
        let core = &*self.core;
        let staged = core.homes[home].flush();
        let groups = home < core.base && core.groups.log.count() > 0;
        if !groups || !core.groups.log.flush(home) {
            return staged;
        }
        if core.groups.log.call(home) {
            core.homes[home].put(Command::FanOut);
        }
        true
    }

    /// Lets what was sent leave. None: on all queues.
    pub fn flush(&self, queue: Option<u32>) -> Result<(), Error> {
        self.check_running()?;
        let core = &*self.core;
        let queues = match queue {
            Some(queue) => {
                let _known = self.queue(queue)?;
                queue as usize..queue as usize + 1
            }
            None => 0..core.queues.len(),
        };
        let homes = queues.flat_map(|queue| core.workers_of(queue));
        for number in homes {
            let (baton, home) = (&self.batons[number], &core.homes[number]);
            let staged = core.is_manual() && self.flush_home(number);
            if staged {
                home.ring();
            }
            if !baton.flush() && staged {
                home.wake();
            }
        }
        core.log.tell_later();
        Ok(())
    }

    /// Has the poll that waits for a queue, or else the next one, answer 0 events. A handler of a
    /// signal may call it: it takes no lock and no memory, and asks no thread-local.
    pub fn wake(&self, queue: u32) -> Result<(), Error> {
        let queue = self.queue(queue)?;
        if self.core.is_over() {
            return Err(self.over());
        }
        queue.stir();
        match queue.waiter.get() {
            Waiting::Parked => queue.unpark(),
            // Only the bell of a worker that comes and goes is behind a lock: none that leads.
            Waiting::Turning(home) => self.core.homes[home].ring(),
            // A callback takes the events, and no poll waits.
            Waiting::Nobody | Waiting::Looking | Waiting::Called => {}
        }
        Ok(())
    }

    /// Puts an event of the host's in a queue.
    pub fn post(&self, queue: u32, detail: u64, user_data: u64) -> Result<(), Error> {
        let _opening = self.opening.read();
        self.check_running()?;
        let queue = self.queue(queue)?;
        // Half is for what peers send: posts alone never keep connections from being read.
        if queue.is_full(self.core.config.queue_max_bytes / 2) {
            return Err(Error::Again);
        }
        let event = Event { token: Token(0), notice: Notice::Posted { detail, user_data } };
        let bytes = event.cost();
        self.core.publish(queue, &mut vec![event], bytes, self.core.elapsed(), None);
        Ok(())
    }

    /// Puts an event of the host's with a payload in a queue.
    pub fn post_message(&self, queue: u32, mail: Mail, data: &[u8]) -> Result<(), Error> {
        let _opening = self.opening.read();
        self.check_running()?;
        let queue = self.queue(queue)?;
        let most = self.core.config.queue_max_bytes / 2;
        if data.len() as u64 > most {
            return Err(Error::TooBig);
        }
        if queue.is_full(most) {
            return Err(Error::Again);
        }
        let copy = match data {
            [] => Slice::default(),
            _ => self.core.pool.take(data.len()).ok_or(Error::NoMemory)?.write(data),
        };
        let mail = Box::new(Mail { data: copy, ..mail });
        let event = Event { token: Token(0), notice: Notice::Mail(mail) };
        let bytes = event.cost();
        self.core.publish(queue, &mut vec![event], bytes, self.core.elapsed(), None);
        Ok(())
    }

    /// The object that is signalled while a queue has events.
    pub fn wait_handle(&self, queue: u32) -> Result<isize, Refusal> {
        self.check_running()?;
        let queue = self.queue(queue)?;
        let hosted = self.core.config.workers == Some(0);
        queue
            .visit(|poller| {
                let signal = queue.signal(poller);
                let signal = signal
                    .map_err(|error| Refusal::system("the wait object cannot be made", &error))?;
                match hosted {
                    true => self.batons[queue.home].watch(signal),
                    false => Ok(signal),
                }
            })
            .ok_or(Error::Busy)?
            .inspect(|_| {
                if !hosted {
                    self.waits_elsewhere(queue);
                }
            })
    }

    /// Posts to the host's own completion port when events come to an empty queue; port 0 ends
    /// that.
    pub fn wait_port(&self, queue: u32, port: isize, key: u64) -> Result<(), Refusal> {
        self.check_running()?;
        if self.core.config.workers == Some(0) {
            let words = "with workers 0 nobody fills the queue while the host waits elsewhere";
            return Err(Refusal::new(Error::Unsupported, words));
        }
        let queue = self.queue(queue)?;
        let made = if port == 0 { Ok(None) } else { WaitPort::new(port, key).map(Some) };
        let port = made.map_err(|error| match error.kind() {
            io::ErrorKind::Unsupported => {
                let words = "this system has no completion ports: take sockeye_wait_handle";
                Refusal::new(Error::Unsupported, words)
            }
            _ => Refusal::new(Error::Invalid, format!("port is not a handle: {error}")),
        })?;
        queue.visit(|poller| queue.set_port(poller, port)).ok_or(Error::Busy)?;
        self.waits_elsewhere(queue);
        Ok(())
    }

    fn waits_elsewhere(&self, queue: &Queue) {
        self.core.homes[queue.home].pooled.store(true, SeqCst);
        self.batons[queue.home].recall();
    }

    /// Passes lines of up to `level` to the host.
    pub fn set_log(&self, sink: Option<Arc<Sink>>, level: u32) -> Result<(), Error> {
        self.core.log.set(sink, level)
    }

    /// Whether this thread is inside a function of the host's for this net.
    pub fn is_inside(&self) -> bool {
        let core = &*self.core;
        core.log.is_inside() || core.guard.admit.is_inside() || core.inside_callback()
    }

    /// Whether no poller is inside; from then on none comes in.
    pub fn retire(&self) -> Result<(), Error> {
        if self.is_inside() {
            return Err(Error::WouldDeadlock);
        }
        if self.core.queues.iter().any(|queue| queue.callback.runs()) {
            return Err(Error::Busy);
        }
        let pollers = self.core.queues.iter().map(Queue::enter);
        let inside: Option<Vec<_>> = pollers.collect();
        inside.ok_or(Error::Busy)?.into_iter().for_each(MutexGuard::forget);
        self.core.pool.close();
        Ok(())
    }

    /// The model that runs, and why.
    pub fn model(&self) -> (Model, &'static str) {
        match self.core.config.model {
            Model::Auto => (Model::Auto.resolve(), model::AUTO_REASON),
            model => (model, "asked for by name"),
        }
    }
}

//! tokio's reactor, driven from the worker's turn: no task for a connection, no thread.
//!
//! Each socket has a waker that writes its token down. A wait is one `block_on` of a future that
//! looks whether something was written down or the bell rung; so it ends after one visit to the
//! kernel, whichever thread it runs on.

use super::bell::Bell;
use super::op::{LANES, Lane, Token};
use super::os::sys::{self, Door, Watch};
use super::pages::Pages;
use super::readiness::{Readiness, Ready};
use crate::buf::{Mutex, rank};
use socket2::Socket;
use std::future::poll_fn;
use std::io;
use std::mem::{self, ManuallyDrop};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio::task::yield_now;
use tokio::time;

/// What the waker of the door writes down: the token of no socket.
const STRUCK: Token = Token(u64::MAX);

/// A reactor and what it watches.
pub struct Tokio {
    /// By token index.
    entries: Pages<Entry>,
    /// Sockets to be looked at when the next wait is over.
    woken: Vec<Token>,
    news: Arc<News>,
    door: Door,
    /// Called at a strike.
    struck: Waker,
    /// Its reactor failed, and is of no use any more.
    broken: bool,
    /// Last: the entries leave its reactor first.
    runtime: Runtime,
}

struct Entry {
    token: Token,
    /// Borrowed, for a new reactor.
    socket: ManuallyDrop<Socket>,
    watch: Watch,
    waker: Waker,
    /// An operation waits, by lane.
    armed: [bool; 2],
}

/// What ends a wait.
#[derive(Default)]
struct News(Mutex<rank::News, Inner>);

#[derive(Default)]
struct Inner {
    /// Sockets that the reactor reported.
    woken: Vec<Token>,
    /// Of the current wait.
    waiter: Option<Waker>,
}

/// The waker of a socket.
struct Signal {
    token: Token,
    news: Arc<News>,
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.news.tell(Some(self.token));
    }
}

impl News {
    /// Ends the wait, for a socket or for the bell. False: it could not, and may be called again.
    fn tell(&self, token: Option<Token>) -> bool {
        let mut inner = self.0.lock();
        inner.woken.extend(token);
        let Some(waiter) = inner.waiter.take() else { return true };
        drop(inner);
        // A reactor that the system refuses to wake panics.
        let woke = catch_unwind(AssertUnwindSafe(|| waiter.wake_by_ref())).is_ok();
        if !woke {
            self.0.lock().waiter.get_or_insert(waiter);
        }
        woke
    }

    /// Whether the wait is over. Who rings between this look and the sleep finds the waiter.
    fn poll(&self, bell: &Bell, context: &Context) -> Poll<()> {
        let mut inner = self.0.lock();
        if !inner.woken.is_empty() || bell.rung() {
            return Poll::Ready(());
        }
        inner.waiter = Some(context.waker().clone());
        Poll::Pending
    }

    /// Moves the reported sockets to `woken`; the wait is over.
    fn take(&self, woken: &mut Vec<Token>) {
        let mut inner = self.0.lock();
        inner.waiter = None;
        woken.append(&mut inner.woken);
    }
}

impl Entry {
    fn poll(&self, lane: Lane) -> Poll<bool> {
        self.watch.poll(lane, &mut Context::from_waker(&self.waker))
    }
}

impl Tokio {
    fn entry(&mut self, token: Token) -> Option<&mut Entry> {
        let entry = self.entries.get_mut(token.index())?;
        (entry.token == token).then_some(entry)
    }

    /// One visit to the system, or a wait for it.
    fn visit(&self, timeout: Option<Duration>, look: bool, bell: &Bell) {
        if look {
            return (0..Watch::LOOKS).for_each(|_| self.runtime.block_on(yield_now()));
        }
        let told = poll_fn(|context| self.news.poll(bell, context));
        match timeout {
            None => self.runtime.block_on(told),
            // Made inside: a timer needs the runtime around it.
            Some(timeout) => self.runtime.block_on(async move {
                let _ = time::timeout(timeout, told).await;
            }),
        }
    }

    /// Moves every socket to a new reactor.
    #[cold]
    fn renew(&mut self) -> io::Result<()> {
        let fresh = runtime()?;
        {
            let _entered = fresh.enter();
            self.door.attend(&self.struck)?;
            for entry in self.entries.values_mut() {
                let former = mem::replace(&mut entry.watch, Watch::new(&entry.socket)?);
                // What a reactor that failed does at its end is of no matter.
                let _ = catch_unwind(AssertUnwindSafe(|| drop(former)));
                // What came meanwhile was not reported, and its waker is not known to the reactor.
                self.woken.push(entry.token);
            }
        }
        let former = mem::replace(&mut self.runtime, fresh);
        let _ = catch_unwind(AssertUnwindSafe(|| drop(former)));
        self.broken = false;
        Ok(())
    }
}

fn runtime() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_io().enable_time().build()
}

impl Readiness for Tokio {
    fn open() -> io::Result<(Self, Bell)> {
        let runtime = runtime()?;
        let news = Arc::new(News::default());
        let rung = news.clone();
        let (mut door, bell) = Door::new(move || rung.tell(None))?;
        let struck = Waker::from(Arc::new(Signal { token: STRUCK, news: news.clone() }));
        {
            let _entered = runtime.enter();
            door.attend(&struck)?;
        }
        let (entries, woken) = (Pages::default(), Vec::new());
        let tokio = Tokio { entries, woken, news, door, struck, broken: false, runtime };
        Ok((tokio, bell))
    }

    fn add(&mut self, token: Token, socket: &Socket) -> io::Result<()> {
        let _entered = self.runtime.enter();
        let watch = Watch::new(socket)?;
        let waker = Waker::from(Arc::new(Signal { token, news: self.news.clone() }));
        let socket = sys::borrow(socket);
        let entry = Entry { token, socket, watch, waker, armed: [false; 2] };
        self.entries.insert(token.index(), entry);
        Ok(())
    }

    fn remove(&mut self, token: Token, _socket: &Socket) {
        if self.entry(token).is_some() {
            self.entries.remove(token.index());
        }
    }

    fn blocked(&mut self, token: Token, lane: Lane) {
        if let Some(entry) = self.entry(token) {
            entry.watch.clear(lane);
        }
    }

    fn arm(&mut self, token: Token, lane: Lane) -> io::Result<()> {
        if let Some(entry) = self.entry(token) {
            entry.armed[lane as usize] = true;
            if entry.poll(lane).is_ready() {
                self.woken.push(token);
            }
        }
        Ok(())
    }

    fn wait(
        &mut self,
        ready: &mut Vec<Ready>,
        timeout: Option<Duration>,
        bell: &Bell,
    ) -> io::Result<()> {
        if self.broken {
            self.woken.clear();
            self.renew()?;
        }
        let look = timeout == Some(Duration::ZERO) || !self.woken.is_empty();
        let look = look || !bell.doze();
        // A reactor whose wait fails panics.
        let visit = catch_unwind(AssertUnwindSafe(|| self.visit(timeout, look, bell)));
        if !look {
            bell.rouse();
        }
        if visit.is_err() {
            self.broken = true;
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        self.door.settle(&self.struck);
        let mut woken = mem::take(&mut self.woken);
        self.news.take(&mut woken);
        for token in woken.drain(..) {
            let Some(entry) = self.entry(token) else { continue };
            for lane in LANES {
                if entry.armed[lane as usize]
                    && let Poll::Ready(ended) = entry.poll(lane)
                {
                    entry.armed[lane as usize] = false;
                    ready.push(Ready { token, lane, ended });
                }
            }
        }
        self.woken = woken;
        Ok(())
    }
}

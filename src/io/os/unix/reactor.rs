//! A socket in tokio's reactor, which is epoll(7) or kqueue(2), edge-triggered.

use super::doorbell::EventFd;
use crate::io::bell::Bell;
use crate::io::op::Lane;
use socket2::Socket;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Urgent data: a receive stops at its mark with more behind it, and no edge reports that.
#[cfg(target_os = "linux")]
const URGENT: Option<Interest> = Some(Interest::PRIORITY);
/// kqueue does not report it, so there a short receive never means that nothing is left.
#[cfg(not(target_os = "linux"))]
const URGENT: Option<Interest> = None;

/// What the reactor knows of one socket. It borrows the descriptor and never closes it.
pub struct Watch(AsyncFd<RawFd>);

fn interest(lane: Lane) -> Interest {
    match lane {
        Lane::In => Interest::READABLE,
        Lane::Out => Interest::WRITABLE,
    }
}

impl Watch {
    /// Visits to the system until it has reported everything.
    pub const LOOKS: usize = 1;

    /// Registers a socket with the reactor of the runtime that is entered.
    pub fn new(socket: &Socket) -> io::Result<Watch> {
        Watch::register(socket.as_raw_fd())
    }

    fn register(fd: RawFd) -> io::Result<Watch> {
        let both = Interest::READABLE | Interest::WRITABLE;
        let all = URGENT.map_or(both, |urgent| both | urgent);
        // SAFETY: the descriptor is open as long as its socket, which the caller of `new` keeps for
        // longer than this watch; a number gives the same number each time.
        let register = |interest| unsafe { AsyncFd::register_with_interest(fd, interest) };
        // Some kqueues refuse to watch a listener for writing.
        let watch = register(all).or_else(|_| register(Interest::READABLE))?;
        Ok(Watch(watch))
    }

    /// Whether a try on the lane is worth it; if not, has the waker called when it is. The answer
    /// is that of `Ready::ended`.
    pub fn poll(&self, lane: Lane, context: &mut Context) -> Poll<bool> {
        let told = match lane {
            Lane::In => self.0.poll_read_ready(context),
            Lane::Out => self.0.poll_write_ready(context),
        };
        told.map(|told| {
            let urgent = URGENT.is_none_or(|urgent| self.0.try_io(urgent, |_| Ok(())).is_ok());
            // It fails only when the runtime is gone.
            let closed = |guard: tokio::io::unix::AsyncFdReadyGuard<'_, RawFd>| {
                guard.ready().is_read_closed() || guard.ready().is_write_closed()
            };
            urgent || told.map_or(true, closed)
        })
    }

    /// A try just blocked, or drained the lane: forgets that it was worth it.
    pub fn clear(&self, lane: Lane) {
        let blocked = |_: &RawFd| Err::<(), _>(io::ErrorKind::WouldBlock.into());
        let _ = self.0.try_io(interest(lane), blocked);
    }
}

/// What the reactor's bell strikes: a descriptor among its sockets, since nothing says that a waker
/// of tokio's may be called in a signal handler.
pub struct Door {
    line: Arc<EventFd>,
    /// None before it is first attended to.
    watch: Option<Watch>,
}

impl Door {
    /// A door and its bell. `_tell` would end a wait, too.
    pub fn new(_tell: impl Fn() -> bool + Send + Sync + 'static) -> io::Result<(Door, Bell)> {
        let line = Arc::new(EventFd::new()?);
        let strike = line.clone();
        Ok((Door { line, watch: None }, Bell::new(move || strike.set())))
    }

    /// Has the runtime that is entered call `waker` at the next strike.
    pub fn attend(&mut self, waker: &Waker) -> io::Result<()> {
        let former = self.watch.replace(Watch::register(self.line.fd())?);
        // What a reactor that failed does at its end is of no matter.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(former)));
        self.settle(waker);
        Ok(())
    }

    /// The wait is over: takes a strike, if there was one, and is ready for the next.
    pub fn settle(&self, waker: &Waker) {
        let Some(watch) = &self.watch else { return };
        for _ in 0..2 {
            if watch.poll(Lane::In, &mut Context::from_waker(waker)).is_pending() {
                return;
            }
            self.line.clear();
            watch.clear(Lane::In);
        }
        // One strike after another: the next wait is a short one.
        waker.wake_by_ref();
    }
}

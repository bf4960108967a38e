//! The contract of a model.
//!
//! A model carries out operations on sockets that the engine lends it, and completes each exactly
//! once. All of them look like completion here, also those that only watch readiness (`emulated.rs`
//! turns one into the other).
//!
//! * **Verbs.** `Accept` and `Recv` on lane In, `Connect` and `Send` on lane Out; for datagrams
//!   `RecvFrom` and `SendTo` on the same two lanes. At most one operation is in flight on each
//!   lane. The engine keeps count; a model may assert it.
//! * **Submit never fails and never blocks.** A failure is a completion like any other, with the
//!   buffers in it. What completes at once may be pushed to `done` in `submit`.
//! * **Completions are applied after reaping, never inside it.** A model only pushes to `done`.
//! * **Buffers.** `Recv(None)` takes a buffer as late as it can. With the pool empty a receive
//!   stays in flight until the pool has room; it never completes for that reason.
//! * **Release** may name a socket that was never lent or that `adopt` refused.
//! * **Cancel is for closing.** It ends both lanes; each operation in flight still completes, with
//!   its real outcome or `cancelled()`.
//! * **Lifetime.** The engine keeps a socket open from `adopt` until `release`, and releases it
//!   only when both lanes are idle. So operation state may point at it for as long as needed.
//! * **A turn waits at most once in the kernel,** at most for `timeout`, and returns early when the
//!   bell rings, a completion is there, or for no reason at all.
//! * **Fair.** One operation per lane per turn; a receive brings at most one chunk and no more than
//!   `Setup::recv_max`, an accept at most `ACCEPT_MAX`, one of datagrams `DATAGRAMS_MAX`.
//! * **Errors of a turn** are classed by `sys::wait_failure`. What was to be done without waiting
//!   is done nevertheless. An error of one socket is never one of the turn: its operations fail.
//! * **Errors of sockets that mean "later"** (WouldBlock, EINTR, ENOBUFS on send) are the model's
//!   to wait out. Errors of accept end that accept; the engine decides when to ask again.

use super::bell::Bell;
use super::op::{Completion, Look, Op, Role, Token};
use super::os::sys;
use super::tap::weather::Weather;
use crate::buf::{Pool, Slice};
use socket2::Socket;
use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::{Duration, Instant};

/// Which threads may turn a worker of this model.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Affinity {
    /// One thread at a time, any thread: whoever holds the baton.
    Free,
    /// As Free where it was shared by one worker. Shared by several, each has a thread of its own
    /// and all reap from one place: a completion may come out of the turn of another worker than
    /// its operation was begun with, and the next operation is begun there. One worker at a time
    /// has to do with a socket.
    Shared,
    /// The thread that turned first, for ever.
    Bound,
}

/// Connections that one accept may bring.
pub const ACCEPT_MAX: usize = 64;

/// What a model is opened with.
#[derive(Clone)]
pub struct Setup {
    /// Where receive buffers come from.
    pub pool: Pool,
    /// Bytes that one receive may bring.
    pub recv_max: usize,
    /// Counts the threads of the net; a model adds those of its own.
    pub threads: Arc<AtomicU32>,
    /// Has the worker turned soon, also while a host that leads it is away. From any thread, for
    /// completions that elsewhere come in the turn of their operation: of sends, of what was
    /// cancelled. What peers send waits for the host.
    pub summon: Arc<dyn Fn() + Send + Sync>,
}

/// What became of `let_go`.
pub enum LetGo {
    /// The model has the socket no more. What was in flight, of which nothing is done, and what
    /// was received and not yet asked for, in order.
    Done([Option<Op>; 2], Vec<Slice>),
    /// Something has to end first, and completes where it does more: to be asked again after the
    /// next turn.
    Later,
    /// This model cannot.
    Never,
}

/// One worker's half of a model. See the module for the contract.
pub trait Proactor: Send + Sized + 'static {
    /// Who may turn it.
    const AFFINITY: Affinity;
    /// The tokens that it is given are dense numbers of its worker's, with a generation of their
    /// own; else they are the net's, as where workers share what they reap.
    const DENSE: bool = !matches!(Self::AFFINITY, Affinity::Shared);
    /// Sockets one worker can watch; `adopt` past it answers `QuotaExceeded`.
    const SOCKETS_MAX: Option<u32> = None;

    /// It is a tap: sends complete ahead, and it works by itself; see `tap`.
    const TAPS: bool = false;

    /// Threads of its own complete operations and ring for that (`Setup::summon`).
    const SUMMONS: bool = false;

    /// Whether a thread of the host may turn it. If not, its worker has one of its own.
    const HOSTED: bool = true;

    /// Whether it can give a socket back that goes on: `let_go` does not answer `Never`.
    const LETS_GO: bool = false;

    /// What the workers of one net have in common.
    type Shared: Clone + Send + Sync + 'static;

    /// Makes that, for so many workers, before any of them is opened.
    fn share(workers: usize) -> io::Result<Self::Shared>;

    /// May run on another thread than the turner's.
    fn open(setup: &Setup, shared: &Self::Shared) -> io::Result<Self>;

    /// Ends a kernel wait of `turn`, from any thread.
    fn bell(&self) -> Bell;

    /// Descriptors of which one is readable while its sockets or its bell bring something that a
    /// turn would report, for a host that waits elsewhere. Unsupported: it has none.
    fn descriptors(&mut self) -> io::Result<Vec<isize>> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// How long its next turn may wait, whatever its sockets bring. None: without limit.
    fn may_wait(&self) -> Option<Duration> {
        None
    }

    /// What the net calls the socket that is lent next by a dense number. For tests.
    fn name(&mut self, _lent: Token, _token: Token) {}

    /// A socket of the net's is closed that was not lent. For tests, too.
    fn pass_over(&mut self, _token: Token) {}

    /// Lends a socket. The engine keeps it open until `release` has returned.
    fn adopt(&mut self, token: Token, socket: &Socket, role: Role) -> io::Result<()>;

    /// Takes the socket back. Both lanes are idle.
    fn release(&mut self, token: Token);

    /// As `release`, of a socket that is closed next.
    fn release_to_close(&mut self, token: Token) {
        self.release(token);
    }

    /// Starts an operation.
    fn submit(&mut self, token: Token, op: Op, done: &mut Vec<Completion>);

    /// Takes the socket back in the middle of its work, for another worker, and gives back what
    /// was in flight, of which nothing is done and nothing will complete. None: this model cannot,
    /// and goes on.
    fn detach(&mut self, _token: Token) -> Option<[Option<Op>; 2]> {
        None
    }

    /// Takes the socket back in the middle of its work, for the host, which goes on with it: what
    /// is in flight ends without a trace on the wire, and nothing that was received is lost.
    fn let_go(&mut self, token: Token) -> LetGo {
        match self.detach(token) {
            Some(ops) => LetGo::Done(ops, Vec::new()),
            None => LetGo::Never,
        }
    }

    /// The socket stays, though `let_go` was asked for it and answered `Later`.
    fn keep_on(&mut self, _token: Token) {}

    /// Whether something waits to be reported: in the system, or taken from there and not yet
    /// pushed to `done`. A model that takes bytes elsewhere than in `turn` has to report those too,
    /// after it has asked the system, so that none is missed on the way.
    fn waits(&mut self, _token: Token, socket: &Socket, look: Look) -> bool {
        sys::shows(socket, look)
    }

    /// Ends both lanes, to close.
    fn cancel(&mut self, token: Token);

    /// Has begin now what was submitted: no turn follows soon.
    fn begin(&mut self) {}

    /// Gives up memory that only a burst needed.
    fn trim(&mut self) {}

    /// When it is to be turned at the latest, beside what its sockets bring: a tap's deadlines.
    fn next_due(&self) -> Option<Instant> {
        None
    }

    /// Sets what is done to a socket's bytes from now on; only a tap does anything.
    fn dial(&mut self, _token: Token, _weather: Option<Arc<Weather>>) {}

    /// Reaps completions. `timeout`: None waits without limit, zero only looks.
    fn turn(&mut self, done: &mut Vec<Completion>, timeout: Option<Duration>) -> io::Result<()>;
}

/// The error of an operation that was cancelled.
pub fn cancelled() -> io::Error {
    io::ErrorKind::ConnectionAborted.into()
}

/// Whether it is that. Those of the system have a number.
pub fn is_cancelled(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::ConnectionAborted && error.raw_os_error().is_none()
}

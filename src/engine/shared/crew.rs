//! The workers of a net, as those see them who call them and need not know the model.

use crate::engine::shared::error::Refusal;
use crate::engine::shared::queue::Queue;
use std::io;
use std::time::Instant;

/// How far a poll turns the worker.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Lead {
    /// Until the queue has events, the time is past, or the net stops.
    Wait(Option<Instant>),
    /// One turn that does not wait.
    Look,
    /// Only what comes before the wait: the array will be full with what was received before.
    /// Receiving ahead of the host would find each socket's memory cold again when it is sent to.
    Send,
}

/// What became of an attempt to turn.
#[derive(PartialEq, Eq)]
pub enum Led {
    /// The worker was turned, at least once.
    Done,
    /// Another thread turns it, and lays the baton down soon.
    Busy,
    /// It is not the host's to turn.
    Never,
}

/// A worker's place as polls see it: one dynamic call for a poll, none for an operation.
pub trait Baton: Send + Sync {
    /// Whether this thread may poll what the worker serves: one that is bound and has no thread of
    /// its own belongs to the thread that polls first.
    fn admits(&self) -> bool;
    /// Turns the worker on this thread, unless another thread does.
    fn lead(&self, queue: &Queue, how: Lead) -> Led;
    /// Has what was sent leave now, if the baton is free.
    fn flush(&self) -> bool;
    /// Turns it once on this thread, if the baton is free: no other thread would soon.
    fn hasten(&self);
    /// Sends what is pending, if the host holds the lease: no other thread would before its end.
    fn flush_lease(&self);
    /// Ends a lease, so that the worker's own thread takes over permanently.
    fn recall(&self);
    /// A descriptor that is readable while the worker, or its queue by the object of that number,
    /// has something for a poll, also a deadline. The same each time.
    fn watch(&self, signal: isize) -> Result<isize, Refusal>;
    /// Turns the worker for a net that stops and has no thread for it, until `until`.
    fn wind_down(&self, until: Instant);
    /// The body of the worker's thread.
    fn run(&self);
    /// Opens the worker.
    fn open(&self) -> io::Result<()>;
    /// Closes it: nothing of the model is left. No thread turns it any more.
    fn close(&self);
}

/// The workers of a net and their threads.
pub trait Crew: Send + Sync {
    /// Starts the threads of the workers that stay.
    fn start(&self) -> io::Result<()>;
    /// Opens one more worker of this queue, or of any, with a place in it taken. None: there are
    /// as many as there may be, or the system has no room for one.
    fn open_one(&self, queue: Option<usize>) -> Option<usize>;
    /// Joins every thread and closes every worker. The net has ended. True: one had a fault.
    fn end(&self) -> bool;
}

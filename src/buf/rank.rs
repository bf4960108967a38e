//! The order of all locks, and the check of it.
//!
//! Each lock has a rank as a type parameter. A thread that waits for a lock holds none of the same
//! rank or of one further down in the list below, so no two threads wait for each other; and none
//! at all where it calls a function of the host's. Debug builds check both, in release builds
//! nothing of it is left.
//!
//! `try_lock` does not wait, so it may go against the order. What it got counts as held.

use std::marker::PhantomData;

/// The place of a lock in the order.
pub trait Rank {
    /// The higher, the later it is taken.
    const AT: usize;
    /// For the words of the check.
    const NAME: &'static str;
}

macro_rules! ranks {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        #[allow(non_camel_case_types, reason = "numbers for the types below")]
        enum At { $($name,)* }
        #[cfg(debug_assertions)]
        const NAMES: &[&str] = &[$(stringify!($name)),*];
        #[cfg(debug_assertions)]
        const ALL: usize = NAMES.len();
        $(
            $(#[$doc])*
            pub enum $name {}
            impl Rank for $name {
                const AT: usize = At::$name as usize;
                const NAME: &'static str = stringify!($name);
            }
        )*
    };
}

ranks! {
    /// Read by calls that open something, written by the shutdown that refuses them from then on.
    Opening,
    /// What the polling thread of a queue took from it. Held for as long as a poll takes, but for
    /// the functions of the host's in the middle of it.
    Poller,
    /// Held by who looks at the poller of a queue for a moment, which it only tries.
    Visit,
    /// A worker. Whoever holds it may turn it. Calls of the host only try it, shutdown excepted.
    Baton,
    /// The threads of the workers, and with it the right to open one more.
    Threads,
    /// The thread that answers scrapes of the metrics.
    Scrapes,
    /// Names that are looked up, and the threads that do.
    Names,
    /// What is in a slot of the table: a connection, a listener, a port.
    Slot,
    /// One lane of a socket of the BLOCKING model, between its thread and the turner.
    Lane,
    /// One socket of the overlapped models.
    OverlappedSlot,
    /// The sockets and connections of a simulated network.
    World,
    /// Who is notified of changes in a simulated network.
    Alarms,
    /// What the connections begin with that are made by connect.
    Origin,
    /// What the host has done to the bytes of a net, or of a listener's connections.
    Weather,
    /// Rules and bans of a net's guard, or whom a listener has let in.
    Guard,
    /// What the TLS of connects is made with, for the next one.
    TlsClients,
    /// Connect tokens that were used, and clients that are connected. Under the lock of a slot.
    Tokens,
    /// What the TLS of a listener is made with. Under the lock of a connection's slot.
    Tls,
    /// Timers of the host.
    HostTimers,
    /// Groups and their members. Under the lock of the slot of a connection.
    Groups,
    /// What was sent to groups.
    GroupLog,
    /// Slots of the table that are free.
    FreeSlots,
    /// Connections of a worker that wait for a flush.
    Staged,
    /// Peers of a worker that wait for the host's word.
    Asked,
    /// What was asked of a worker.
    Inbox,
    /// Slots that wait for memory.
    Thirsty,
    /// Published events of a queue.
    Events,
    /// The completion port of the host's that is notified of a queue's events. Under their lock.
    Port,
    /// What receives of datagrams of the BLOCKING model need.
    Datagrams,
    /// Lanes of the BLOCKING model that wait to receive more of a long frame. Under a lane's lock.
    Long,
    /// Lanes of the BLOCKING model that wait for memory. Under the lock of such a lane.
    Starved,
    /// Chunks of the BLOCKING model with room left.
    Spares,
    /// The chunk of which small sends get their parts.
    Arena,
    /// One of the free lists of a pool.
    FreeBlocks,
    /// Who is called when memory comes back to a pool.
    Wakers,
    /// The bell of a worker that comes and goes.
    ExtraBell,
    /// What a bell strikes: what ends the wait of a turner.
    News,
    /// The thread of a worker, to be unparked.
    Backstop,
    /// Where a shutdown waits for the last socket.
    Gone,
    /// What a net's shutdown answered.
    Stopped,
    /// What connections had done when memory was short before.
    Seen,
    /// The function that the host's log lines go to.
    Sink,
    /// Lines for it that wait until no lock is held.
    Later,
    /// The function that is asked about peers.
    Admit,
    /// The place of a queue's callback.
    Receiver,
    /// What takes its place when it returns.
    Next,
    /// Threads that wait for a function of the host's to return.
    Waits,
    /// Threads that are inside of one.
    Hooked,
    /// Some of the buffers that hosts keep.
    Shelf,
    /// Tags of nets.
    Tags,
    /// The function that threads are announced to. Under the lock of the tags.
    ThreadHook,
    /// Places of nets that were freed.
    Freed,
    /// Where a thread sleeps for a moment.
    Bed,
}

/// A lock of rank `R` is held by this thread, until this is dropped.
pub struct Hold<R: Rank> {
    /// Not `Send`: what is held is counted by thread.
    _thread: PhantomData<(*const (), R)>,
}

impl<R: Rank> Hold<R> {
    /// The lock was just taken.
    #[inline(always)]
    pub fn taken() -> Hold<R> {
        #[cfg(debug_assertions)]
        held::add(R::AT);
        Hold { _thread: PhantomData }
    }

    /// Runs `work`, in which the lock is down, and which takes it again at its end.
    #[inline(always)]
    pub fn without<T>(&mut self, work: impl FnOnce() -> T) -> T {
        /// Counts it again, also where `work` panics.
        struct Again<R: Rank>(PhantomData<R>);

        impl<R: Rank> Drop for Again<R> {
            #[inline(always)]
            fn drop(&mut self) {
                #[cfg(debug_assertions)]
                held::add(R::AT);
            }
        }

        #[cfg(debug_assertions)]
        held::remove(R::AT);
        let _again = Again::<R>(PhantomData);
        work()
    }
}

impl<R: Rank> Drop for Hold<R> {
    #[inline(always)]
    fn drop(&mut self) {
        #[cfg(debug_assertions)]
        held::remove(R::AT);
    }
}

/// Checks that this thread may wait for a lock of rank `R`.
#[inline(always)]
pub fn may_wait<R: Rank>() {
    #[cfg(debug_assertions)]
    if let Some(held) = held::highest().filter(|&held| held >= R::AT) {
        held::wrong(&format!("waits for {} while it holds {}", R::NAME, NAMES[held]));
    }
}

/// Checks that this thread may call a function of the host's: it holds no lock.
#[inline(always)]
pub fn may_call_out() {
    #[cfg(debug_assertions)]
    if let Some(held) = held::highest() {
        held::wrong(&format!("calls the host while it holds {}", NAMES[held]));
    }
}

/// What this thread holds.
#[cfg(debug_assertions)]
mod held {
    use super::ALL;
    use std::cell::Cell;

    // Without a destructor, so that it is there for as long as the thread.
    thread_local!(static COUNTS: [Cell<u32>; ALL] = const { [const { Cell::new(0) }; ALL] });

    pub fn add(at: usize) {
        COUNTS.with(|counts| counts[at].set(counts[at].get() + 1));
    }

    pub fn remove(at: usize) {
        COUNTS.with(|counts| counts[at].set(counts[at].get() - 1));
    }

    pub fn highest() -> Option<usize> {
        COUNTS.with(|counts| counts.iter().rposition(|count| count.get() > 0))
    }

    #[cold]
    #[track_caller]
    pub fn wrong(what: &str) {
        // A second panic would end the process.
        assert!(std::thread::panicking(), "the order of locks: this thread {what}");
    }
}

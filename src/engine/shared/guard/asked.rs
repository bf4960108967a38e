//! Peers that wait for the host's own word: nobody calls the host with a lock held.

use crate::buf::{Mutex, rank};
use crate::io::{Accepted, Token};
use std::mem;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering::*};

/// What the host's function is given: the handle of a listener, and the peer's address, which a
/// local socket does not have. It answers one of the two numbers below.
pub type Ask = dyn Fn(u64, Option<SocketAddr>) -> u32 + Send + Sync;

/// The peer is refused.
pub const REFUSE: u32 = 0;
/// It may come in.
pub const ADMIT: u32 = 1;

/// What a listener accepted in one go; it accepts no more before these are decided.
pub struct Asked {
    pub listener: Token,
    pub peers: Vec<Accepted>,
}

/// Those of one worker.
#[derive(Default)]
pub struct Askings {
    all: Mutex<rank::Asked, Vec<Asked>>,
    /// True exactly when there are some.
    waits: AtomicBool,
}

impl Askings {
    /// Whether peers wait.
    #[inline]
    pub fn wait(&self) -> bool {
        self.waits.load(Relaxed)
    }

    pub fn add(&self, asked: Asked) {
        let mut all = self.all.lock();
        all.push(asked);
        self.waits.store(true, SeqCst);
    }

    pub fn take(&self) -> Vec<Asked> {
        let mut all = self.all.lock();
        self.waits.store(false, SeqCst);
        mem::take(&mut *all)
    }
}

//! What may be taken of a pool, and for what. Unfinished frames and unread sends have a share each,
//! so that neither keeps the net from receiving; the rest is for receives, events and the host.

use super::{CHUNK_BYTES, HEADER, Pool, Shared};
use crate::buf::block::Block;
use std::sync::atomic::{AtomicU64, Ordering::*};

/// A share: so many eighths of the bound.
const EIGHTHS: u64 = 3;
/// A frame in a block of this size, header included, may take the last of the share, a larger one
/// may not: many that hold much leave room for those that hold little.
const SMALL_BYTES: u64 = 8 * 1024;

/// What a block is for.
#[repr(u8)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Purpose {
    /// Received bytes, events, buffers of the host: all that the shares leave.
    Any = 0,
    /// A frame that did not come whole.
    Frame = 1,
    /// Messages to be sent.
    Send = 2,
    /// Messages to be sent to a peer that is behind already: not the last of the share.
    SendMore = 3,
}

/// What callers that were refused wait for, one bit each.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Thirst(u8);

impl Thirst {
    /// The next block that comes back.
    const BLOCK: Thirst = Thirst(1);

    /// Room in the share of a purpose.
    fn share(at: usize) -> Thirst {
        Thirst(2 << at)
    }

    fn has(self, other: Thirst) -> bool {
        self.0 & other.0 != 0
    }
}

/// Bytes that are out for one purpose, headers included. Invariant: at most the pool's share.
#[derive(Default)]
pub(super) struct Share(AtomicU64);

impl Purpose {
    /// The purpose with this number.
    pub fn from_number(number: u8) -> Purpose {
        match number {
            1 => Purpose::Frame,
            2 => Purpose::Send,
            3 => Purpose::SendMore,
            _ => Purpose::Any,
        }
    }

    /// Which of the shares it has.
    #[inline]
    fn share(self) -> Option<usize> {
        match self {
            Purpose::Any => None,
            Purpose::Frame => Some(0),
            Purpose::Send | Purpose::SendMore => Some(1),
        }
    }
}

impl Shared {
    fn share_max(&self) -> u64 {
        self.bytes_max / 8 * EIGHTHS
    }

    /// The part of the share that `whole` bytes for this purpose may fill. More than half a share
    /// may: there is no room for two of that kind.
    fn most(&self, whole: u64, purpose: Purpose) -> u64 {
        let share = self.share_max();
        let last = match purpose {
            Purpose::Any | Purpose::Send => true,
            Purpose::Frame => whole <= SMALL_BYTES || whole > share / 2,
            Purpose::SendMore => whole > share / 2,
        };
        if last { share } else { share / 4 * 3 }
    }

    /// Counts `bytes` more for a purpose, of a block that has `whole` then. False: there is no
    /// room for them, and nothing was counted.
    pub(super) fn charge(&self, bytes: u64, whole: u64, purpose: Purpose) -> bool {
        // Not added and taken off again: others would be refused meanwhile, and not woken.
        let under = |most: u64| move |out: u64| out.checked_add(bytes).filter(|sum| *sum <= most);
        if let Some(at) = purpose.share() {
            let share = under(self.most(whole, purpose));
            if self.shares[at].0.fetch_update(SeqCst, SeqCst, share).is_err() {
                return false;
            }
        }
        let taken = self.bytes.fetch_update(SeqCst, SeqCst, under(self.bytes_max));
        match taken {
            Ok(before) if before + bytes > self.peak.load(Relaxed) => {
                self.peak.fetch_max(before + bytes, Relaxed);
            }
            Ok(_) => {}
            Err(_) => {
                if let Some(at) = purpose.share() {
                    self.shares[at].0.fetch_sub(bytes, SeqCst);
                    self.wake_thirsty();
                }
            }
        }
        taken.is_ok()
    }

    /// Counts `bytes` less for a purpose.
    #[inline]
    pub(super) fn discharge(&self, bytes: u64, purpose: Purpose) {
        if let Some(at) = purpose.share() {
            self.shares[at].0.fetch_sub(bytes, SeqCst);
        }
        self.bytes.fetch_sub(bytes, SeqCst);
        self.wake_thirsty();
    }

    /// A block is for something else from now on that has no share.
    pub(super) fn change_purpose(&self, block: &Block, purpose: Purpose) {
        debug_assert!(purpose.share().is_none(), "a share is asked first");
        if let Some(at) = block.purpose().share() {
            let bytes = (block.capacity as usize + HEADER) as u64;
            self.shares[at].0.fetch_sub(bytes, SeqCst);
            block.set_purpose(purpose);
            self.wake_thirsty();
        }
    }

    /// Whether a share has room for those who wait for it. Less than they were refused at, so
    /// that they do not all come for each block.
    fn is_relieved(&self, at: usize) -> bool {
        self.shares[at].0.load(SeqCst) <= self.share_max() / 8 * 5
    }

    #[inline]
    fn wake_thirsty(&self) {
        let thirsty = self.thirsty.load(SeqCst);
        if thirsty != 0 {
            self.relieve(Thirst(thirsty));
        }
    }

    #[cold]
    fn relieve(&self, thirsty: Thirst) {
        let mut met = 0;
        if thirsty.has(Thirst::BLOCK) {
            met |= Thirst::BLOCK.0;
        }
        for at in 0..self.shares.len() {
            let share = Thirst::share(at);
            if thirsty.has(share) && self.is_relieved(at) {
                met |= share.0;
            }
        }
        if met != 0 && self.thirsty.fetch_and(!met, SeqCst) & met != 0 {
            self.call_wakers();
        }
    }

    fn call_wakers(&self) {
        self.reliefs.fetch_add(1, SeqCst);
        self.wakers.lock().iter().for_each(|wake| wake());
    }
}

impl Pool {
    /// Asks for the wakers to be called at the next block that comes back. The caller looks at
    /// `has_room` once more afterwards: one may have come back in between.
    pub fn thirst(&self) {
        self.0.thirsty.fetch_or(Thirst::BLOCK.0, SeqCst);
    }

    /// As `thirst`, for a caller that was refused `capacity` bytes for a purpose. It tries once
    /// more afterwards, or asks `would_take`.
    pub fn thirst_for(&self, capacity: usize, purpose: Purpose) {
        let mut bits = 0;
        if let Some(at) = purpose.share() {
            bits |= Thirst::share(at).0;
        }
        if !self.has_room(capacity.max(CHUNK_BYTES)) || bits == 0 {
            bits |= Thirst::BLOCK.0;
        }
        self.0.thirsty.fetch_or(bits, SeqCst);
    }

    /// Whether `capacity` bytes for a purpose would be given now.
    pub fn would_take(&self, capacity: usize, purpose: Purpose) -> bool {
        let bytes = (capacity + HEADER) as u64;
        let share = purpose.share().is_none_or(|at| {
            self.0.shares[at].0.load(SeqCst) + bytes <= self.0.most(bytes, purpose)
        });
        share && self.has_room(capacity)
    }

    /// How often those who were refused could have been served since. Who waits looks again when
    /// it has changed.
    pub fn reliefs(&self) -> u64 {
        self.0.reliefs.load(SeqCst)
    }

    /// Has those who wait look again.
    pub fn poke(&self) {
        self.0.call_wakers();
    }

    /// Whether a share is more than half taken, or all of the pool but little.
    pub fn is_pressed(&self) -> bool {
        let half = self.0.share_max() / 2;
        let most = self.0.bytes_max / 8 * 7;
        self.frame_bytes() > half || self.send_bytes() > half || self.bytes() > most
    }

    /// Bytes that one block of a share can have at most.
    pub fn share_max(&self) -> u64 {
        self.0.share_max().saturating_sub(HEADER as u64)
    }

    /// Bytes that are out for unfinished frames.
    pub fn frame_bytes(&self) -> u64 {
        self.0.shares[0].0.load(Relaxed)
    }

    /// Bytes that are out for messages to be sent.
    pub fn send_bytes(&self) -> u64 {
        self.0.shares[1].0.load(Relaxed)
    }
}

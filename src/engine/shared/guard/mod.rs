//! Who may come in, decided before anything of a peer is allocated. Rules and bans are the net's,
//! how many and how fast is each listener's.

pub mod asked;
pub mod bans;
pub mod proxies;
pub mod reason;
pub mod rules;
pub mod table;
#[cfg(test)]
mod tests;

use crate::buf::{Mutex, rank};
use crate::engine::shared::host_fn::HostFn;
use crate::io::canonical;
use crate::session::Millis;
use asked::Ask;
use bans::Bans;
use reason::Reason;
use rules::{Prefix, Rules};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::*};
use table::{Limits, Table};

/// The least time between two lines of the log.
const SAY_MS: Millis = 1000;

/// What was refused, by reason, and what is kept.
#[derive(Default)]
#[allow(missing_docs, reason = "the C ABI's `sockeye_guard_stats` documents each")]
pub struct GuardStats {
    pub rule: u64,
    pub ban: u64,
    pub per_address: u64,
    pub rate: u64,
    pub address_rate: u64,
    pub admit: u64,
    pub rules: u64,
    pub bans: u64,
    pub addresses: u64,
}

/// The guard of a net.
#[derive(Default)]
pub struct Guard {
    /// False: there are neither rules nor bans.
    on: AtomicBool,
    lists: Mutex<rank::Guard, Lists>,
    refused: [AtomicU64; Reason::COUNT],
    /// In the tables of all its listeners.
    addresses: Arc<AtomicU64>,
    /// When the log was given a line last.
    said: AtomicU64,
    /// The host's own word, behind all else.
    pub admit: HostFn<rank::Admit, Ask>,
    /// It answered with a number that is no answer.
    wondered: AtomicBool,
}

#[derive(Default)]
struct Lists {
    rules: Rules,
    bans: Bans,
}

impl Lists {
    fn decide(&mut self, peer: SocketAddr, now: Millis) -> Result<(), Reason> {
        if self.bans.hit(peer.ip(), now) {
            return Err(Reason::Ban);
        }
        if self.rules.deny(peer.ip()) { Err(Reason::Rule) } else { Ok(()) }
    }

    fn is_empty(&self) -> bool {
        self.rules.count() == 0 && self.bans.count() == 0
    }
}

/// What a listener lets in, and whom it has.
pub struct Door {
    table: Mutex<rank::Guard, Table>,
    addresses: Arc<AtomicU64>,
}

impl Door {
    pub fn new(limits: Limits, guard: &Guard) -> Door {
        Door { table: Mutex::new(Table::new(limits)), addresses: guard.addresses.clone() }
    }

    fn with<T>(&self, work: impl FnOnce(&mut Table) -> T) -> T {
        let mut table = self.table.lock();
        let before = table.len() as u64;
        let done = work(&mut table);
        self.addresses.fetch_add((table.len() as u64).wrapping_sub(before), Relaxed);
        done
    }

    fn admit(&self, peer: Option<SocketAddr>, now: Millis) -> Result<(), Reason> {
        self.with(|table| table.admit(peer.map(|peer| Prefix::source(peer.ip())), now))
    }

    /// A connection that was admitted is gone.
    pub fn leave(&self, peer: Option<SocketAddr>) {
        if let Some(peer) = peer {
            self.with(|table| table.leave(Prefix::source(peer.ip())));
        }
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.addresses.fetch_sub(self.table.get_mut().len() as u64, Relaxed);
    }
}

impl Guard {
    /// Whether there are rules or bans.
    #[inline]
    pub fn is_on(&self) -> bool {
        self.on.load(Relaxed)
    }

    /// Whether a peer may come in; a door counts it then. Those that may not are counted too.
    pub fn decide(
        &self,
        door: Option<&Door>,
        peer: Option<SocketAddr>,
        now: Millis,
    ) -> Result<(), Reason> {
        let listed = peer.filter(|_| self.is_on()).map_or(Ok(()), |peer| self.ask(peer, now));
        let decided = listed.and_then(|()| door.map_or(Ok(()), |door| door.admit(peer, now)));
        decided.inspect_err(|&reason| self.refuse(reason))
    }

    /// Counts a peer that is refused.
    pub fn refuse(&self, reason: Reason) {
        self.refused[reason as usize].fetch_add(1, Relaxed);
    }

    fn ask(&self, peer: SocketAddr, now: Millis) -> Result<(), Reason> {
        let mut lists = self.lists.lock();
        let decided = lists.decide(peer, now);
        if lists.is_empty() {
            self.on.store(false, Relaxed);
        }
        decided
    }

    /// What the log is to be told of a peer that is refused, if it is.
    pub fn line(&self, peer: Option<SocketAddr>, reason: Reason, now: Millis) -> Option<String> {
        let said = self.said.load(Relaxed);
        let says = (said == 0 || said + SAY_MS <= now)
            && self.said.compare_exchange(said, now, Relaxed, Relaxed).is_ok();
        says.then(|| {
            let who = peer.map_or("a local socket".into(), |peer| canonical(peer).to_string());
            format!("{who} was refused: {}", reason.words())
        })
    }

    /// Runs `say` for the first answer of the host's that is none.
    pub fn wonder(&self, say: impl FnOnce()) {
        if !self.wondered.swap(true, Relaxed) {
            say();
        }
    }

    /// Replaces all rules at once: a peer meets the old ones or the new ones.
    pub fn set_rules(&self, rules: Rules) {
        let mut lists = self.lists.lock();
        let old = std::mem::replace(&mut lists.rules, rules);
        self.on.store(!lists.is_empty(), Relaxed);
        drop(lists);
        // Without the lock, for which workers may wait.
        drop(old);
    }

    /// Bans a prefix until then, or lifts its ban. False: there are too many.
    pub fn ban(&self, prefix: Prefix, until: Option<Millis>, now: Millis) -> bool {
        let mut lists = self.lists.lock();
        let done = match until {
            Some(until) => lists.bans.ban(prefix, until, now),
            None => {
                lists.bans.lift(prefix);
                true
            }
        };
        self.on.store(!lists.is_empty(), Relaxed);
        done
    }

    /// How many were refused for it.
    pub fn refused(&self, reason: Reason) -> u64 {
        self.refused[reason as usize].load(Relaxed)
    }

    /// Sources in the tables of all listeners.
    pub fn addresses(&self) -> u64 {
        self.addresses.load(Relaxed)
    }

    /// What was refused, and what is kept.
    pub fn stats(&self) -> GuardStats {
        let refused = |reason| self.refused(reason);
        let lists = self.lists.lock();
        GuardStats {
            rule: refused(Reason::Rule),
            ban: refused(Reason::Ban),
            per_address: refused(Reason::PerAddress),
            rate: refused(Reason::Rate),
            address_rate: refused(Reason::AddressRate),
            admit: refused(Reason::Admit),
            rules: lists.rules.count() as u64,
            bans: lists.bans.count() as u64,
            addresses: self.addresses(),
        }
    }
}

//! Which tokens were used, and which clients are connected: what the servers of several sockets
//! have in common. Only what was sealed with the server's key gets as far as its lock.

use super::Reason;
use super::token::Mac;
use crate::buf::{Mutex, rank};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::net::SocketAddr;

/// Tokens until they expire, and clients until they leave.
pub struct Ledger(Mutex<rank::Tokens, Book>);

struct Book {
    /// Most tokens that are remembered.
    tokens_max: usize,
    used: HashMap<Mac, Use>,
    /// Those in `used`, by when they expire.
    expiries: BTreeSet<(u64, Mac)>,
    connected: HashSet<u64>,
}

#[derive(Clone, Copy)]
struct Use {
    from: SocketAddr,
    /// It has opened a connection.
    spent: bool,
}

/// A token that was sealed with the server's key, and where it came from.
#[derive(Clone, Copy)]
pub(super) struct Claim {
    pub mac: Mac,
    pub expire_s: u64,
    pub client_id: u64,
    pub from: SocketAddr,
}

impl Ledger {
    /// One that remembers at most so many tokens: past that, those that expire first are forgotten.
    pub fn new(tokens_max: usize) -> Ledger {
        Ledger(Mutex::new(Book {
            tokens_max: tokens_max.max(1),
            used: HashMap::new(),
            expiries: BTreeSet::new(),
            connected: HashSet::new(),
        }))
    }

    /// The connection of a client is over.
    pub fn release(&self, client_id: u64) {
        self.0.lock().connected.remove(&client_id);
    }

    /// Whether a handshake may begin with this token. From then on it is of this address.
    pub(super) fn claim(&self, claim: &Claim, unix_s: u64) -> Result<(), Reason> {
        let mut book = self.0.lock();
        book.check(claim)?;
        book.forget_expired(unix_s);
        book.note(claim, false);
        Ok(())
    }

    /// Whether a connection may be opened with this token. No other can be from then on, and none
    /// of its client until `release`.
    pub(super) fn spend(&self, claim: &Claim) -> Result<(), Reason> {
        let mut book = self.0.lock();
        book.check(claim)?;
        book.note(claim, true);
        book.connected.insert(claim.client_id);
        Ok(())
    }

    /// Tokens that are remembered.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        let book = self.0.lock();
        assert_eq!(book.used.len(), book.expiries.len());
        book.used.len()
    }
}

impl Book {
    fn check(&self, claim: &Claim) -> Result<(), Reason> {
        if self.connected.contains(&claim.client_id) {
            return Err(Reason::Connected);
        }
        match self.used.get(&claim.mac) {
            Some(used) if used.spent || used.from != claim.from => Err(Reason::TokenUsed),
            _ => Ok(()),
        }
    }

    fn forget_expired(&mut self, unix_s: u64) {
        while let Some(&(expire_s, mac)) = self.expiries.first()
            && expire_s <= unix_s
        {
            self.forget(expire_s, mac);
        }
    }

    fn forget(&mut self, expire_s: u64, mac: Mac) {
        self.expiries.remove(&(expire_s, mac));
        self.used.remove(&mac);
    }

    fn note(&mut self, claim: &Claim, spent: bool) {
        let Claim { mac, expire_s, from, .. } = *claim;
        if !self.used.contains_key(&mac)
            && self.used.len() >= self.tokens_max
            && let Some(&(expire_s, mac)) = self.expiries.first()
        {
            self.forget(expire_s, mac);
        }
        self.used.insert(mac, Use { from, spent });
        self.expiries.insert((expire_s, mac));
    }
}

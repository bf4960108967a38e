//! How many connections an address has at a listener, and how fast they come.

use crate::engine::shared::guard::reason::Reason;
use crate::engine::shared::guard::rules::Prefix;
use crate::session::Millis;
use std::collections::{BTreeMap, HashMap};

/// Addresses without a connection that are remembered for their rate.
pub const IDLE_MAX: usize = 1 << 16;
/// More in a second would be less than a microsecond each.
pub const RATE_MAX: u32 = 1_000_000;

/// What a listener lets in. 0: no bound.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Limits {
    /// Connections of one address at the same time.
    pub per_address_max: u32,
    /// Connections of one address in a second.
    pub per_address_per_s: u32,
    /// Connections in a second.
    pub accepts_per_s: u32,
    /// Datagrams of one address in a second. All others are for streams.
    pub datagrams_per_address_per_s: u32,
}

impl Limits {
    /// Whether the numbers are possible and of any use; the message names the field.
    pub fn check(&self, datagrams: bool) -> Result<(), String> {
        let most = ("per_address_max", self.per_address_max);
        let rates =
            [("per_address_per_s", self.per_address_per_s), ("accepts_per_s", self.accepts_per_s)];
        let rate = ("datagrams_per_address_per_s", self.datagrams_per_address_per_s);
        let useless = match datagrams {
            true => [most].iter().chain(&rates).find(|(_, value)| *value > 0).copied(),
            false => Some(rate).filter(|(_, value)| *value > 0),
        };
        if let Some((field, _)) = useless {
            let which = if datagrams { "streams (tcp://, unix:)" } else { "datagrams (udp://)" };
            return Err(format!("guard.{field} is for listeners of {which}"));
        }
        match rates.into_iter().chain([rate]).find(|&(_, value)| value > RATE_MAX) {
            Some((field, value)) => Err(format!("guard.{field} is {value}, must be 0 to 1000000")),
            None => Ok(()),
        }
    }
}

/// A bucket with as many tokens as come in a second.
#[derive(Clone, Copy, Default)]
struct Bucket {
    /// When it is full again, in microseconds.
    full_at: u64,
}

const SECOND_US: u64 = 1_000_000;

impl Bucket {
    /// Whether there is a token. 0 a second: always.
    fn has(self, per_s: u32, now_us: u64) -> bool {
        per_s == 0 || self.after(per_s, now_us) <= now_us + SECOND_US
    }

    fn take(&mut self, per_s: u32, now_us: u64) {
        if per_s > 0 {
            self.full_at = self.after(per_s, now_us);
        }
    }

    fn after(self, per_s: u32, now_us: u64) -> u64 {
        self.full_at.max(now_us) + SECOND_US / u64::from(per_s)
    }
}

#[derive(Clone, Copy, Default)]
struct Entry {
    conns: u32,
    bucket: Bucket,
    /// Its place among those without a connection, in the order of datagrams; 0: it is not there.
    idle: u64,
}

/// The addresses of one listener. Those with connections are as many as the net has connections at
/// most; of the others the longest without one is forgotten when there are too many.
#[derive(Default)]
pub struct Table {
    limits: Limits,
    all: Bucket,
    entries: HashMap<Prefix, Entry>,
    idle: BTreeMap<u64, Prefix>,
    /// The last place among those.
    last: u64,
}

impl Table {
    pub fn new(limits: Limits) -> Table {
        Table { limits, ..Table::default() }
    }

    /// Addresses in it.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Counts a connection of a source, unless that is one too many. Those that are refused take
    /// no token. None: a local socket, which has no address.
    pub fn admit(&mut self, source: Option<Prefix>, now: Millis) -> Result<(), Reason> {
        let (limits, now) = (self.limits, now * 1000);
        if limits.datagrams_per_address_per_s > 0 {
            return source.map_or(Ok(()), |source| self.pass(source, now));
        }
        let source = source.filter(|_| limits.per_address_max > 0 || limits.per_address_per_s > 0);
        let mut entry = Entry::default();
        if let Some(source) = source {
            entry = self.entries.get(&source).copied().unwrap_or_default();
            if limits.per_address_max > 0 && entry.conns >= limits.per_address_max {
                return Err(Reason::PerAddress);
            }
            if !entry.bucket.has(limits.per_address_per_s, now) {
                return Err(Reason::AddressRate);
            }
        }
        if !self.all.has(limits.accepts_per_s, now) {
            return Err(Reason::Rate);
        }
        self.all.take(limits.accepts_per_s, now);
        if let Some(source) = source {
            entry.bucket.take(limits.per_address_per_s, now);
            entry.conns += 1;
            self.idle.remove(&std::mem::take(&mut entry.idle));
            self.entries.insert(source, entry);
        }
        Ok(())
    }

    /// Counts a datagram of a source, unless that is one too many. Who sends too many is not
    /// forgotten for it.
    fn pass(&mut self, source: Prefix, now_us: u64) -> Result<(), Reason> {
        let per_s = self.limits.datagrams_per_address_per_s;
        let entry = self.entries.entry(source).or_default();
        let passes = entry.bucket.has(per_s, now_us);
        if passes {
            entry.bucket.take(per_s, now_us);
        }
        self.idle.remove(&entry.idle);
        self.rest(source);
        if passes { Ok(()) } else { Err(Reason::AddressRate) }
    }

    /// Remembers a source as the newest of those without a connection.
    fn rest(&mut self, source: Prefix) {
        let Some(entry) = self.entries.get_mut(&source) else { return };
        self.last += 1;
        entry.idle = self.last;
        self.idle.insert(self.last, source);
        if self.idle.len() > IDLE_MAX
            && let Some((_, oldest)) = self.idle.pop_first()
        {
            self.entries.remove(&oldest);
        }
    }

    /// A connection of a source, which was counted, is gone.
    pub fn leave(&mut self, source: Prefix) {
        let Some(entry) = self.entries.get_mut(&source) else { return };
        entry.conns -= 1;
        if entry.conns > 0 {
            return;
        }
        if self.limits.per_address_per_s == 0 {
            self.entries.remove(&source);
        } else {
            self.rest(source);
        }
    }
}

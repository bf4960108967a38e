//! Prefixes that are banned for a time.

use crate::engine::shared::guard::rules::Prefix;
use crate::session::Millis;
use std::collections::HashMap;
use std::net::IpAddr;

/// At the same time.
pub const BANS_MAX: usize = 1 << 16;

/// Bans, by prefix. A look-up asks once for each length that occurs.
pub struct Bans {
    /// When each is over.
    ends: HashMap<Prefix, Millis>,
    /// How many there are of each length, of IPv4 and IPv6.
    lengths: [[u32; 129]; 2],
    /// When the last one is over.
    last: Millis,
}

impl Default for Bans {
    fn default() -> Bans {
        Bans { ends: HashMap::new(), lengths: [[0; 129]; 2], last: 0 }
    }
}

impl Bans {
    /// How many bans are kept. One that has ended counts until a peer of it is looked up.
    pub fn count(&self) -> usize {
        self.ends.len()
    }

    /// Bans a prefix until then, in place of what was said of it before. False: there are too many.
    pub fn ban(&mut self, prefix: Prefix, until: Millis, now: Millis) -> bool {
        if self.ends.len() >= BANS_MAX && !self.ends.contains_key(&prefix) {
            self.drop_over(now);
            if self.ends.len() >= BANS_MAX {
                return false;
            }
        }
        if self.ends.insert(prefix, until).is_none() {
            self.lengths[usize::from(prefix.is_v6())][usize::from(prefix.length())] += 1;
        }
        self.last = self.last.max(until);
        true
    }

    /// Lifts the ban of this very prefix.
    pub fn lift(&mut self, prefix: Prefix) {
        if self.ends.remove(&prefix).is_some() {
            self.lengths[usize::from(prefix.is_v6())][usize::from(prefix.length())] -= 1;
        }
    }

    /// Whether an address is banned now.
    pub fn hit(&mut self, ip: IpAddr, now: Millis) -> bool {
        if self.ends.is_empty() {
            return false;
        }
        if self.last <= now {
            // All are over.
            *self = Bans::default();
            return false;
        }
        let lengths = &self.lengths[usize::from(ip.to_canonical().is_ipv6())];
        let ends = |len| self.ends.get(&Prefix::of(ip, len));
        (0..=128_u8)
            .filter(|&len| lengths[usize::from(len)] > 0)
            .any(|len| ends(len).is_some_and(|&until| until > now))
    }

    fn drop_over(&mut self, now: Millis) {
        let lengths = &mut self.lengths;
        self.ends.retain(|prefix, until| {
            let stays = *until > now;
            lengths[usize::from(prefix.is_v6())][usize::from(prefix.length())] -= u32::from(!stays);
            stays
        });
    }
}

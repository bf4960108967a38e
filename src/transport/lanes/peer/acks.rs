//! Which packets came, and when to say so.

use super::wire::RANGES_MAX;
use crate::transport::lanes::Micros;
use crate::transport::lanes::recovery::AckPolicy;

/// The packets that came. Invariant: ranges are apart from each other by at least one number,
/// newest first, and at most `RANGES_MAX`.
#[derive(Default)]
pub struct Acks {
    ranges: Vec<(u64, u64)>,
    /// When the newest of them came.
    newest_at: Micros,
    /// Packets with something reliable that were not acknowledged.
    reliable: u32,
    /// When to acknowledge at the latest; None: nothing is to be acknowledged.
    due: Option<Micros>,
}

impl Acks {
    /// Whether a packet with this number came before, as far as that is remembered.
    pub fn contains(&self, seq: u64) -> bool {
        let newer = self.ranges.iter().take_while(|range| range.0 > seq).count();
        self.ranges.get(newer).is_some_and(|range| seq <= range.1)
    }

    /// A packet came. Answers whether others are missing before it, or came before it.
    pub fn insert(&mut self, seq: u64, now: Micros) -> bool {
        if let Some((_, end)) = self.ranges.first_mut()
            && *end + 1 == seq
        {
            *end = seq;
            self.newest_at = now;
            return false;
        }
        let at = self.ranges.iter().take_while(|range| range.0 > seq).count();
        let apart = at > 0 || !self.ranges.is_empty();
        if at == 0 {
            self.newest_at = now;
        }
        // Its neighbours: the range above ends the search, the one below begins at `at`.
        let above = at > 0 && self.ranges[at - 1].0 == seq + 1;
        let below = self.ranges.get(at).is_some_and(|range| range.1 + 1 == seq);
        match (above, below) {
            (true, true) => {
                self.ranges[at - 1].0 = self.ranges[at].0;
                self.ranges.remove(at);
            }
            (true, false) => self.ranges[at - 1].0 = seq,
            (false, true) => self.ranges[at].1 = seq,
            (false, false) => {
                if self.ranges.len() == RANGES_MAX {
                    if at == RANGES_MAX {
                        return apart;
                    }
                    self.ranges.pop();
                }
                self.ranges.insert(at, (seq, seq));
            }
        }
        apart
    }

    /// What came is to be acknowledged: `apart` as `insert` answered.
    pub fn expect(&mut self, reliable: bool, apart: bool, policy: AckPolicy, now: Micros) {
        let mut wait = policy.unreliable_delay;
        if reliable {
            self.reliable += 1;
            wait = if apart || self.reliable >= policy.packets { 0 } else { policy.delay };
        } else if apart {
            // What is missing may have been reliable.
            wait = policy.delay;
        }
        let due = now.saturating_add(wait);
        self.due = Some(self.due.map_or(due, |before| before.min(due)));
    }

    /// When a packet of its own is due for them.
    pub fn due(&self) -> Option<Micros> {
        self.due
    }

    /// What is to be acknowledged is so in a packet that is made now.
    pub fn hasten(&mut self, now: Micros) {
        self.due = self.due.map(|due| due.min(now));
    }

    /// Newest first.
    pub fn ranges(&self) -> &[(u64, u64)] {
        &self.ranges
    }

    /// How long the newest was held back.
    pub fn delay(&self, now: Micros) -> Micros {
        now.saturating_sub(self.newest_at)
    }

    /// An ACK of all of it leaves. Answers its largest number.
    pub fn handle_sent(&mut self) -> u64 {
        self.due = None;
        self.reliable = 0;
        self.ranges.first().map_or(0, |range| range.1)
    }

    /// The peer has an ACK whose largest number was this: it knows of what is below.
    pub fn forget(&mut self, largest: u64) {
        while self.ranges.len() > 1 && self.ranges.last().is_some_and(|it| it.1 <= largest) {
            self.ranges.pop();
        }
        if self.ranges.len() == 1 && self.ranges.capacity() > 2 {
            self.ranges.shrink_to(1);
        }
    }
}

#[cfg(test)]
impl Acks {
    pub fn heap_bytes(&self) -> usize {
        self.ranges.capacity() * size_of::<(u64, u64)>()
    }
}

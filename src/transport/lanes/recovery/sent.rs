//! The packets that were sent, until their fate is known.

use std::collections::VecDeque;
use std::ops::RangeInclusive;

use super::delivery::Stamp;
use crate::transport::lanes::{self, Micros};

/// So many lost packets are remembered, in case they were only late.
const LOST_MAX: usize = 256;
/// And for so long.
const LOST_AGE: Micros = 2_000_000;
/// A list longer than this is given back once it is empty.
const SPARE: usize = 32;

pub struct Packet<C> {
    pub seq: u64,
    pub sent_at: Micros,
    pub size: u16,
    /// What had been delivered when it was sent.
    pub stamp: Stamp,
    /// None: acknowledged or lost.
    contents: Option<C>,
}

impl<C> Packet<C> {
    pub fn new(seq: u64, sent_at: Micros, size: u16, stamp: Stamp, contents: C) -> Self {
        Self { seq, sent_at, size, stamp, contents: Some(contents) }
    }
}

/// In the order of their numbers. A lost packet leaves the first list for the second, so that the
/// first is hardly longer than what is in flight.
pub struct Sent<C> {
    packets: VecDeque<Packet<C>>,
    lost: VecDeque<Packet<C>>,
    /// Bytes of the packets of which neither is known.
    in_flight: u64,
}

impl<C> Sent<C> {
    pub fn new() -> Self {
        Self { packets: VecDeque::new(), lost: VecDeque::new(), in_flight: 0 }
    }

    pub fn in_flight(&self) -> u64 {
        self.in_flight
    }

    /// Packets that take memory.
    pub fn len(&self) -> usize {
        self.packets.len()
    }

    pub fn push(&mut self, packet: Packet<C>) {
        debug_assert!(self.packets.back().is_none_or(|last| last.seq < packet.seq));
        self.in_flight += u64::from(packet.size);
        lanes::push(&mut self.packets, packet);
    }

    /// Takes what `range` acknowledges, in order: `each` gets the packet, its contents, and whether
    /// it had been declared lost.
    pub fn acknowledge(
        &mut self,
        range: &RangeInclusive<u64>,
        mut each: impl FnMut(&Packet<C>, C, bool),
    ) {
        if !self.lost.is_empty() {
            let first = self.lost.partition_point(|packet| packet.seq < *range.start());
            for packet in self.lost.range_mut(first..) {
                if packet.seq > *range.end() {
                    break;
                }
                if let Some(contents) = packet.contents.take() {
                    each(packet, contents, true);
                }
            }
        }
        let first = match self.packets.front() {
            Some(packet) if packet.seq >= *range.start() => 0,
            _ => self.packets.partition_point(|packet| packet.seq < *range.start()),
        };
        for packet in self.packets.range_mut(first..) {
            if packet.seq > *range.end() {
                break;
            }
            if let Some(contents) = packet.contents.take() {
                self.in_flight -= u64::from(packet.size);
                each(packet, contents, false);
            }
        }
    }

    /// Declares packets lost, oldest first, as long as `is_lost` says so of those up to `largest`.
    /// `each` gets them. The oldest that was spared, if any, decides when to look again.
    pub fn detect(
        &mut self,
        largest: u64,
        is_lost: impl Fn(&Packet<C>) -> bool,
        mut each: impl FnMut(&Packet<C>, &C),
    ) -> Option<Micros> {
        while let Some(packet) = self.packets.front_mut() {
            if packet.contents.is_none() {
                self.packets.pop_front();
                continue;
            }
            if packet.seq > largest {
                return None;
            }
            // What was sent later is never lost before: the first one spared ends the search.
            if !is_lost(packet) {
                return Some(packet.sent_at);
            }
            self.in_flight -= u64::from(packet.size);
            let packet = self.packets.pop_front()?;
            if let Some(contents) = &packet.contents {
                each(&packet, contents);
            }
            if self.lost.len() == LOST_MAX {
                self.lost.pop_front();
            }
            self.lost.push_back(packet);
        }
        if self.packets.capacity() > SPARE {
            self.packets = VecDeque::new();
        }
        None
    }

    /// Forgets the lost packets that are no longer expected to come.
    pub fn forget_lost(&mut self, now: Micros) {
        while let Some(packet) = self.lost.front() {
            let waits = packet.contents.is_some() && now.saturating_sub(packet.sent_at) < LOST_AGE;
            if waits {
                return;
            }
            self.lost.pop_front();
        }
        if self.lost.capacity() > 0 {
            self.lost = VecDeque::new();
        }
    }
}

#[cfg(test)]
impl<C> Sent<C> {
    /// Bytes that both lists take.
    pub fn memory(&self) -> usize {
        (self.packets.capacity() + self.lost.capacity()) * size_of::<Packet<C>>()
    }
}

//! How much is lost, and how much of it whatever the rate.
//!
//! A path may lose packets at random, or because it is given too many. A test tells the two apart:
//! the rate is lowered for a round, and if the losses stay, they are not its fault.

use super::super::{Ack, PACKET};
use crate::transport::lanes::Micros;

/// Losses of a round below so many packets mean nothing.
const FEW: u32 = 3;
/// Losses over so much more than the known share are to be tested.
const MARGIN: f64 = 0.02;
/// Losses since the last test from which on their mean is to be trusted.
const MANY: u32 = 10;

#[derive(Default)]
pub struct Losses {
    /// The share that is lost whatever the rate.
    base: f64,
    /// The mean over some rounds.
    average: f64,
    pub test: Option<Test>,
    /// Until when the rate is not raised.
    pub hold_until: Micros,
    /// When the share is to be tested again.
    pub retest_at: Micros,
    lost: u64,
    acked: u64,
    lost_packets: u32,
    since_test: u32,
}

/// A rate that was lowered to see whether less is lost.
pub struct Test {
    /// The share before.
    pub share: f64,
    /// The rate before.
    pub rate: f64,
    /// It is decided after this round.
    pub round: u64,
}

/// What was lost in a round.
pub struct Round {
    pub share: f64,
    /// It is more than the known share by so much that it is no chance.
    pub heavy: bool,
}

impl Losses {
    pub fn add(&mut self, ack: &Ack) {
        self.lost += ack.lost;
        self.lost_packets += ack.lost_packets;
        self.acked += ack.acked;
    }

    /// Losses of an outage say nothing about the rate.
    pub fn forgive(&mut self) {
        self.lost = 0;
        self.acked = 0;
        self.lost_packets = 0;
        self.average = self.base;
    }

    /// Ends a round. `cruising`: its losses count for the mean; `settled`: the rate was not just
    /// cut.
    pub fn end_round(&mut self, cruising: bool, settled: bool) -> Round {
        let bytes = (self.lost + self.acked) as f64;
        let share = if bytes > 0.0 { self.lost as f64 / bytes } else { 0.0 };
        let packets = (bytes / PACKET).max(1.0);
        let chance = 2.5 * (share.max(0.01) / packets).sqrt().min(0.1);
        let mut heavy = self.lost_packets >= FEW && share > self.base + MARGIN + chance;
        if cruising {
            self.average += (share - self.average) / 8.0;
            self.since_test += self.lost_packets;
        }
        heavy |= self.average > self.base + MARGIN && self.since_test >= MANY && settled;
        self.lost = 0;
        self.acked = 0;
        self.lost_packets = 0;
        Round { share, heavy }
    }

    /// What must be sent for one byte that arrives, as far as it is known.
    pub fn correction(&self) -> f64 {
        1.0 / (1.0 - self.base)
    }

    pub fn base(&self) -> f64 {
        self.base
    }

    pub fn average(&self) -> f64 {
        self.average
    }

    /// A heavy loss is tested: what was counted before counts no more.
    pub fn begin_test(&mut self, test: Test) {
        self.since_test = 0;
        self.average = self.base;
        self.test = Some(test);
    }

    /// The losses stayed though the rate was lowered.
    pub fn learn(&mut self, share: f64) {
        self.base = share.min(0.5);
        self.average = self.base;
        self.test = None;
    }

    /// They did not: the share is at most what is left of them.
    pub fn unlearn(&mut self, share: f64) {
        self.base = self.base.min(share);
    }

    /// Without a test, the known share only shrinks.
    pub fn decay(&mut self, share: f64) {
        self.base = self.base.min(0.9 * self.base + 0.1 * share);
    }

    pub fn reset(&mut self) {
        self.base = 0.0;
    }
}

//! A TCP with CUBIC, as the flow beside ours: a control that `Recovery` takes in a simulation.

use crate::transport::lanes::Micros;
use crate::transport::lanes::recovery::rate::{Ack, Cubic, PACKET, RateControl};

/// Fast enough that the window alone counts.
const UNPACED: f64 = 1e9;

pub struct Rival {
    cubic: Cubic,
    /// The shortest round trips of this round and the last, and samples of this one.
    shortest: f64,
    shortest_before: f64,
    samples: u32,
}

impl Rival {
    pub fn new() -> Self {
        Self {
            cubic: Cubic::new(10.0 * PACKET, f64::INFINITY, 0.1),
            shortest: f64::INFINITY,
            shortest_before: f64::INFINITY,
            samples: 0,
        }
    }
}

impl RateControl for Rival {
    fn handle_sent(&mut self, _size: u64, _in_flight: u64, _now: Micros) {}

    fn handle_ack(&mut self, ack: &Ack) {
        if ack.lost > 0 {
            self.cubic.handle_lost(ack);
        }
        if let Some(rtt) = ack.rtt {
            self.shortest = self.shortest.min(rtt);
            self.samples += 1;
        }
        if ack.round_start {
            self.shortest_before = self.shortest;
            self.shortest = f64::INFINITY;
            self.samples = 0;
        }
        // HyStart, RFC 9406.
        let slack = (self.shortest_before / 8.0).clamp(0.004, 0.016);
        let known = self.shortest.is_finite() && self.shortest_before.is_finite();
        let rises = known && self.shortest > self.shortest_before + slack;
        if self.cubic.starts_slowly() && self.samples >= 8 && rises {
            self.cubic.end_slow_start();
        }
        self.cubic.handle_ack(ack);
    }

    fn handle_lost(&mut self, ack: &Ack) {
        self.cubic.handle_lost(ack);
    }

    fn handle_pto(&mut self, fired: u32, now: Micros) {
        if fired >= 3 {
            self.cubic.collapse(fired == 3, now);
        }
    }

    fn handle_pending(&mut self, _now: Micros) {}

    fn rate(&self) -> f64 {
        UNPACED
    }

    fn window(&self) -> u64 {
        self.cubic.window() as u64
    }
}

//! A rate that the host has chosen.

use super::{Ack, FIRST_RATE, PACKET, RateConfig, RateControl, packet_at};
use crate::transport::lanes::Micros;

/// In flight is at most what is sent in so many seconds.
const WINDOW: f64 = 1.0;

/// Sends at `rate_max_bytes`.
pub struct Fixed {
    rate: f64,
}

impl Fixed {
    /// See above.
    pub fn new(config: &RateConfig) -> Self {
        let (min, max) = config.bounds();
        Self { rate: if config.rate_max_bytes == 0 { FIRST_RATE.max(min) } else { max } }
    }
}

impl RateControl for Fixed {
    fn handle_sent(&mut self, _size: u64, _in_flight: u64, _now: Micros) {}

    fn handle_ack(&mut self, _ack: &Ack) {}

    fn handle_lost(&mut self, _ack: &Ack) {}

    fn handle_pto(&mut self, _fired: u32, _now: Micros) {}

    fn handle_pending(&mut self, _now: Micros) {}

    fn rate(&self) -> f64 {
        self.rate
    }

    fn window(&self) -> u64 {
        (self.rate * WINDOW).max(64.0 * PACKET) as u64
    }

    fn packet(&self) -> f64 {
        packet_at(self.rate)
    }
}

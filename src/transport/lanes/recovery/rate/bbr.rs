//! A plain BBR (draft-cardwell-iccrg-bbr-congestion-control-00): the greatest bandwidth of ten
//! rounds times the shortest round trip of ten seconds is what it keeps in flight, and it looks for
//! more in one round trip of eight. Losses do not slow it down.

use super::filters::Highest;
use super::{Ack, FIRST_RATE, PACKET, RateConfig, RateControl, packet_at};
use crate::transport::lanes::Micros;

/// It doubles in a round trip.
const STARTUP: f64 = 2.885;
const ROUNDS: u64 = 10;
/// A bandwidth that grows by less in each of so many rounds is full.
const GROWTH: f64 = 1.25;
const FULL_ROUNDS: u32 = 3;
/// The gains of the round trips of a cycle.
const CYCLE: [f64; 8] = [1.25, 0.75, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0];
/// After so long without a shorter round trip, the queue is emptied for as long as this.
const STALE: Micros = 10_000_000;
const PROBE: Micros = 200_000;
const WINDOW_MIN: f64 = 4.0 * PACKET;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Startup,
    Drain,
    /// The round trip of the cycle, and when it began.
    Cruise(usize, Micros),
    /// Few packets are in flight; until when, once they are.
    ProbeRtt(Option<Micros>),
}

/// See above.
pub struct Bbr {
    min: f64,
    max: f64,
    mode: Mode,
    bandwidth: Highest,
    round: u64,
    full: f64,
    full_rounds: u32,
    /// Seconds, and when it was measured.
    min_rtt: f64,
    min_rtt_at: Micros,
}

impl Bbr {
    /// `min_rtt` in seconds, as the connection has measured it so far.
    pub fn new(config: &RateConfig, min_rtt: Option<f64>, now: Micros) -> Self {
        let (min, max) = config.bounds();
        Self {
            min,
            max,
            mode: Mode::Startup,
            bandwidth: Highest::default(),
            round: 0,
            full: 0.0,
            full_rounds: 0,
            min_rtt: min_rtt.unwrap_or(f64::INFINITY),
            min_rtt_at: now,
        }
    }

    fn product(&self) -> f64 {
        let min_rtt = if self.min_rtt.is_finite() { self.min_rtt } else { 0.1 };
        self.bandwidth.get() * min_rtt
    }

    fn gain(&self) -> f64 {
        match self.mode {
            Mode::Startup => STARTUP,
            Mode::Drain => 1.0 / STARTUP,
            Mode::Cruise(at, _) => CYCLE[at],
            Mode::ProbeRtt(_) => 1.0,
        }
    }

    fn is_full(&mut self, ack: &Ack) -> bool {
        if ack.round_start && !ack.app_limited {
            if self.bandwidth.get() >= GROWTH * self.full {
                self.full = self.bandwidth.get();
                self.full_rounds = 0;
            } else {
                self.full_rounds += 1;
            }
        }
        self.full_rounds >= FULL_ROUNDS
    }

    fn measure(&mut self, ack: &Ack) {
        self.round += u64::from(ack.round_start);
        if !ack.app_limited || ack.rate > self.bandwidth.get() {
            self.bandwidth.add(self.round, ack.rate, ROUNDS);
        }
        let Some(rtt) = ack.rtt else { return };
        let stale = ack.now.saturating_sub(self.min_rtt_at) > STALE;
        if rtt <= self.min_rtt || stale {
            let probes = matches!(self.mode, Mode::ProbeRtt(_));
            if stale && rtt > self.min_rtt && !probes && self.full_rounds >= FULL_ROUNDS {
                self.mode = Mode::ProbeRtt(None);
            }
            self.min_rtt = rtt;
            self.min_rtt_at = ack.now;
        }
    }
}

impl RateControl for Bbr {
    fn handle_sent(&mut self, _size: u64, _in_flight: u64, _now: Micros) {}

    fn handle_ack(&mut self, ack: &Ack) {
        self.measure(ack);
        let (now, in_flight) = (ack.now, ack.in_flight as f64);
        match self.mode {
            Mode::Startup => {
                if self.is_full(ack) {
                    self.mode = Mode::Drain;
                }
            }
            Mode::Drain => {
                if in_flight <= self.product() {
                    self.mode = Mode::Cruise(2, now);
                }
            }
            Mode::Cruise(at, since) => {
                let over = now.saturating_sub(since) as f64 / 1e6 > self.min_rtt;
                let prior = ack.prior_in_flight as f64;
                let next = match at {
                    // More was in flight, or more cannot be.
                    0 => over && (ack.lost > 0 || prior >= 1.25 * self.product()),
                    1 => over || prior <= self.product(),
                    _ => over,
                };
                if next {
                    self.mode = Mode::Cruise((at + 1) % CYCLE.len(), now);
                }
            }
            Mode::ProbeRtt(None) => {
                if in_flight <= WINDOW_MIN + PACKET {
                    self.mode = Mode::ProbeRtt(Some(now.saturating_add(PROBE)));
                }
            }
            Mode::ProbeRtt(Some(until)) => {
                if now > until {
                    self.min_rtt_at = now;
                    self.mode = Mode::Cruise(2, now);
                }
            }
        }
    }

    fn handle_lost(&mut self, _ack: &Ack) {}

    fn handle_pto(&mut self, _fired: u32, _now: Micros) {}

    fn handle_pending(&mut self, _now: Micros) {}

    fn rate(&self) -> f64 {
        let mut rate = 0.99 * self.gain() * self.bandwidth.get();
        if self.mode == Mode::Startup {
            rate = rate.max(FIRST_RATE);
        }
        rate.clamp(self.min, self.max)
    }

    fn window(&self) -> u64 {
        let window = match self.mode {
            Mode::Startup => (STARTUP * self.product()).max(32.0 * PACKET),
            Mode::ProbeRtt(_) => WINDOW_MIN,
            _ => 2.0 * self.product() + 3.0 * PACKET,
        };
        window.max(WINDOW_MIN) as u64
    }

    fn packet(&self) -> f64 {
        let startup = self.mode == Mode::Startup;
        packet_at(if startup { FIRST_RATE } else { self.bandwidth.get() })
    }
}

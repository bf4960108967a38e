//! What round trips tell of the queue at the bottleneck, and of the noise of the path.

use super::super::filters::{Highest, Lowest};
use crate::transport::lanes::Micros;

/// The queue that counts as one, in seconds: the one that comes of it is around 2 ms.
const TARGET: f64 = 0.0015;
/// The threshold in times of the noise, and its bound.
const NOISE: f64 = 7.0;
const THRESHOLD_MAX: f64 = 0.060;
/// Noise that is a matter of the clocks.
const GRAIN: f64 = 0.001;
/// How long the shortest round trip and the longest queue are remembered.
const LONG: Micros = 10_000_000;
/// A window of noise has at least so many samples.
const SAMPLES: u32 = 4;

/// Which mode the control is in, as far as the measurement depends on it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    Startup,
    Steady,
    Compete,
}

pub struct Delay {
    shortest: Lowest,
    min_rtt: f64,
    /// The least of a short window: what stands in the queue, whatever comes and goes.
    standing: Lowest,
    stand: f64,
    /// Delay that is no queue of ours, though it is more than the shortest round trip.
    floor: f64,
    floor_at: Micros,
    queue: f64,
    longest: Highest,
    queue_max: f64,
    noise: Noise,
}

impl Delay {
    pub fn new(min_rtt: Option<f64>, now: Micros) -> Self {
        let mut shortest = Lowest::default();
        if let Some(rtt) = min_rtt {
            shortest.reset(now, rtt);
        }
        Self {
            min_rtt: shortest.get(),
            shortest,
            standing: Lowest::default(),
            stand: min_rtt.unwrap_or(0.0),
            floor: 0.0,
            floor_at: 0,
            queue: 0.0,
            longest: Highest::default(),
            queue_max: 0.0,
            noise: Noise::default(),
        }
    }

    pub fn add(&mut self, rtt: f64, phase: Phase, now: Micros) {
        if phase == Phase::Compete {
            // The queue is never empty: a minimum that expired would hide it.
            self.min_rtt = self.min_rtt.min(rtt);
            self.shortest.reset(now, self.min_rtt);
        } else {
            let before = self.min_rtt;
            self.min_rtt = self.shortest.add(now, rtt, LONG);
            if before < self.min_rtt {
                self.floor = (self.floor - (self.min_rtt - before)).max(0.0);
            }
        }
        let window = if phase == Phase::Startup {
            (self.min_rtt / 16.0).max(0.004)
        } else {
            self.noise.add(rtt, self.min_rtt, now);
            let spread = 4.0 * (self.noise.spread - GRAIN).max(0.0);
            (self.min_rtt / 4.0 + spread).min(self.min_rtt).clamp(0.004, 0.100)
        };
        self.stand = self.standing.add(now, rtt, (window * 1e6) as Micros);
        if self.floor > 0.0 && now.saturating_sub(self.floor_at) > LONG {
            self.floor = 0.0;
        }
        let floor = if phase == Phase::Steady { self.floor } else { 0.0 };
        self.queue = (self.stand - self.min_rtt - floor).max(0.0);
        self.queue_max = self.longest.add(now, self.queue, LONG);
    }

    /// Takes `queue` for a part of the path.
    pub fn raise_floor(&mut self, queue: f64, now: Micros) {
        self.floor += queue;
        self.floor_at = now;
    }

    pub fn is_known(&self) -> bool {
        self.min_rtt.is_finite()
    }

    /// Seconds, of the last ten.
    pub fn min_rtt(&self) -> f64 {
        if self.is_known() { self.min_rtt } else { 0.1 }
    }

    /// Seconds, of the last moments.
    pub fn stand(&self) -> f64 {
        self.stand
    }

    /// Seconds that the queue takes.
    pub fn queue(&self) -> f64 {
        self.queue
    }

    /// The most of it in ten seconds.
    pub fn queue_max(&self) -> f64 {
        self.queue_max
    }

    /// The queue that counts as one, if a packet takes `serial` seconds to send.
    pub fn threshold(&self, serial: f64) -> f64 {
        let noise = self.noise.jitter.max(self.noise.spread - GRAIN);
        // On a slow link, packets of others between ours are no noise.
        let slow = 0.6 * (serial - 0.004).max(0.0);
        TARGET.max(1.5 * serial).max(NOISE * (noise - slow)).min(THRESHOLD_MAX)
    }
}

/// How much round trips vary that have the same queue in front of them.
#[derive(Default)]
struct Noise {
    since: Micros,
    least: Option<f64>,
    sum: f64,
    samples: u32,
    /// How far the mean of a window is from its least.
    spread: f64,
    /// How far the least of a window is off the line through those of its neighbours: of a queue
    /// that grows slowly nothing is left, of jitter all.
    jitter: f64,
    before: [Option<f64>; 2],
}

impl Noise {
    fn add(&mut self, rtt: f64, min_rtt: f64, now: Micros) {
        let least = self.least.map_or(rtt, |least| least.min(rtt));
        self.least = Some(least);
        self.sum += rtt;
        self.samples += 1;
        let window = (min_rtt / 4.0).clamp(0.008, 0.100);
        if self.samples < SAMPLES || seconds(now, self.since) <= window {
            return;
        }
        self.spread += (self.sum / f64::from(self.samples) - least - self.spread) / 8.0;
        if let [Some(last), Some(older)] = self.before {
            let off = ((least - 2.0 * last + older).abs() / 2.0).min(3.0 * self.jitter + GRAIN);
            self.jitter += (off - self.jitter) / 16.0;
        }
        self.before = [Some(least), self.before[0]];
        self.since = now;
        self.least = None;
        self.sum = 0.0;
        self.samples = 0;
    }
}

fn seconds(now: Micros, then: Micros) -> f64 {
    now.saturating_sub(then) as f64 / 1e6
}

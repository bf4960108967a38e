//! The start: trains, faster each round, until the bottleneck's rate is known.

use super::losses::{Round, Test};
use super::train::{TRAIN, Trains};
use super::{Ack, GAIN, Game, Micros, Mode, PACKET};

/// A train takes so many seconds at the rate, in packets between `TRAIN` and this.
const TRAIN_TIME: f64 = 0.004;
const TRAIN_MAX: f64 = 32.0;
/// How much of the measured rate of trains is used.
const MEASURED: f64 = 0.95;
/// A bandwidth that grows by less in a round is full.
const GROWTH: f64 = 1.25;
const FULL_ROUNDS: u32 = 3;
/// Trains in a row that found a queue, the least queue in seconds and in round trips.
const QUEUED: u32 = 2;
const QUEUE: f64 = 0.004;
const QUEUE_ROUNDS: f64 = 1.0 / 32.0;
/// A rate from before may be used after so many rounds without a queue.
const RESUME_ROUNDS: u64 = 2;
/// Losses at the end of the start keep the rate from growing for so long.
const HOLD: Micros = 1_000_000;

#[derive(Default)]
pub struct Startup {
    trains: Trains,
    /// Trains in a row that found a queue.
    queued: u32,
    /// The bandwidth that was great enough, and for how many rounds it did not grow.
    full: f64,
    full_rounds: u32,
    /// A rate from before a pause, and from which round on it may be used untested.
    saved: f64,
    saved_round: u64,
}

impl Startup {
    pub fn resume(&mut self, rate: f64, round: u64) {
        self.saved = rate;
        self.saved_round = round + RESUME_ROUNDS;
    }
}

impl Game {
    pub(super) fn start(&mut self, ack: &Ack) {
        let min_rtt = self.delay.min_rtt();
        let queue = QUEUE.max(QUEUE_ROUNDS * min_rtt).max(self.threshold());
        let startup = &mut self.startup;
        if startup.trains.handle_ack(ack)
            && let Some(rtt) = ack.rtt
        {
            startup.queued = if rtt - min_rtt > queue { startup.queued + 1 } else { 0 };
        }
        let measured = MEASURED * startup.trains.rate();
        let trusted = startup.trains.is_measured() || self.round >= startup.saved_round;
        let saved = if trusted && startup.queued == 0 { startup.saved } else { 0.0 };
        let queued = startup.queued;
        let bandwidth = self.bandwidth();
        let first = self.rate.min(self.first_rate());
        self.rate = (GAIN * bandwidth).max(saved).max(first).min(self.max).min(measured);
        if queued >= QUEUED {
            self.begin_drain();
        } else if bandwidth >= 0.9 * measured {
            self.cap = measured;
            self.cruise(measured);
        }
    }

    pub(super) fn end_round_of_startup(&mut self, losses: &Round) {
        let bandwidth = self.bandwidth();
        if bandwidth >= GROWTH * self.startup.full {
            self.startup.full = bandwidth;
            self.startup.full_rounds = 0;
        } else {
            self.startup.full_rounds += 1;
        }
        let full = self.startup.full_rounds;
        if losses.heavy && full >= 1 {
            self.cap = bandwidth;
            self.cruise(bandwidth);
            self.losses.hold_until = self.now.saturating_add(HOLD);
            let rate = GAIN * bandwidth;
            self.losses.test = Some(Test { share: losses.share, rate, round: self.round + 1 });
        } else if full >= FULL_ROUNDS {
            self.begin_drain();
        }
    }

    fn begin_drain(&mut self) {
        self.mode = Mode::Drain;
        self.cut_round = self.round;
    }
}

/// Packets of a train.
pub fn train(rate: f64) -> u32 {
    (rate * TRAIN_TIME / PACKET).clamp(TRAIN, TRAIN_MAX) as u32
}

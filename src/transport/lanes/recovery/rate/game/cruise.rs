//! The steady state: grows slowly, cuts a little, and finds out whose the queue and the losses are.

use super::losses::{Round, Test};
use super::{Compete, Game, Micros, Mode, PACKET, seconds};

/// What a cut takes of the rate.
const CUT: f64 = 0.04;
/// The rate grows by the square root of its packets in flight, times this, and by one at least.
const GROWTH: f64 = 0.1;
/// So near the rate that was last found, a step past which makes a queue, it grows by less.
const NEAR: f64 = 0.05;
const PACE_NEAR: f64 = 0.6;
/// After so many rounds past it, the rate grows faster each round.
const PATIENCE: u32 = 3;
/// Cuts in a row that did not help, until the queue is a rival's: first, after an exit in a common
/// drain, and after any other exit.
const CUTS: u32 = 5;
const CUTS_DRAINED: u32 = 3;
const CUTS_RECENT: u32 = 1;
/// An exit so many seconds ago is recent.
const RECENT: f64 = 5.0;
/// A share of losses that were not caused by the rate is tested again after so long.
const RETEST: Micros = 10_000_000;
const RETEST_SHARE: f64 = 0.05;
/// After a test, the rate is left alone for so long.
const HOLD: Micros = 1_000_000;

/// Cuts in a row after each of which the queue was still there.
#[derive(Default)]
pub struct High {
    pub rounds: u32,
    /// The rate before the first.
    rate: f64,
    /// The least and the greatest queue since the first.
    least: f64,
    greatest: f64,
    last: f64,
}

impl High {
    fn add(&mut self, queue: f64, rate: f64) {
        if self.rounds == 0 {
            self.rate = rate;
            self.last = 0.0;
        }
        if self.rounds <= 1 {
            self.least = queue;
            self.greatest = queue;
        }
        self.least = self.least.min(queue);
        self.greatest = self.greatest.max(queue);
        // A queue that shrinks fast is ours.
        if queue >= 0.6 * self.last {
            self.rounds += 1;
        }
        self.last = queue;
    }
}

impl Game {
    /// After each ACK: a queue longer than the threshold is ours, the path's, or a rival's.
    pub(super) fn watch_queue(&mut self) {
        let queue = self.delay.queue();
        let threshold = self.threshold();
        if self.round <= self.cut_round + 1 {
            return;
        }
        if queue <= threshold {
            self.high.rounds = 0;
            return;
        }
        if self.app_limited && self.recent_bandwidth() < 0.5 * self.rate {
            return;
        }
        self.high.add(queue, self.rate);
        let now = self.now;
        let recent = self.exit.recent.is_some_and(|at| seconds(now, at) < RECENT);
        let cuts = match self.exit.drained {
            _ if recent => CUTS_RECENT,
            true => CUTS_DRAINED,
            false => CUTS,
        };
        if self.high.rounds <= cuts {
            self.cut(queue);
            return;
        }
        let moved = self.high.greatest - self.high.least;
        if !recent && moved < (1.5 * threshold).max(0.1 * queue) {
            // Our cuts moved nothing: the delay is the path's or the radio's.
            self.delay.raise_floor(self.high.least, now);
            self.high.rounds = 0;
            self.rate = 0.95 * self.high.rate;
            self.cap = self.high.rate;
            self.cut_round = self.round;
        } else {
            let window = self.high.rate * self.delay.stand();
            let again = recent.then_some(&self.exit);
            self.compete = Some(Box::new(Compete::new(window, self.srtt, again, now)));
            self.mode = Mode::Compete;
        }
    }

    fn cut(&mut self, queue: f64) {
        let recent = self.recent_bandwidth() * self.losses.correction();
        let base = if recent > 0.0 { self.rate.min(recent) } else { self.rate };
        // What is in the queue, and what will be when this takes effect.
        let over = queue + (self.rate / base - 1.0) * self.srtt;
        let over = over.min(self.srtt.max(0.020));
        self.drain_rate = base / 2.0;
        self.drain_until = self.now.saturating_add((2e6 * over) as Micros);
        self.cap = base;
        self.rate = (1.0 - CUT) * base;
        self.settle();
    }

    pub(super) fn end_round_of_cruise(&mut self, losses: &Round) {
        let queue = self.delay.queue();
        let threshold = self.threshold();
        let short = queue <= threshold;
        if self.drained && short {
            self.drained = false;
            self.cap = self.cap.max(self.capacity());
            self.rate = self.rate.max(0.95 * self.cap).min(self.max);
        }
        if self.losses.test.is_some() {
            self.judge_test(losses.share, short);
        } else if losses.heavy && queue <= 4.0 * threshold {
            let test = self.test_from(losses.share.max(self.losses.average()));
            self.rate = 0.98 * self.bandwidth_last.min(self.rate);
            self.cap = self.rate;
            self.losses.begin_test(test);
            self.losses.hold_until = self.now.saturating_add(HOLD);
            self.settle();
        } else if self.losses.base() > RETEST_SHARE && self.now > self.losses.retest_at && short {
            let test = self.test_from(losses.share.max(self.losses.base()));
            self.rate *= 1.0 - self.losses.base();
            self.losses.test = Some(test);
            self.losses.retest_at = self.now.saturating_add(RETEST);
            self.cut_round = self.round;
        } else {
            self.losses.decay(losses.share);
        }
        if short && self.now >= self.losses.hold_until && self.round > self.cut_round + 1 {
            self.grow();
        }
    }

    fn test_from(&self, share: f64) -> Test {
        Test { share, rate: self.rate, round: self.round + 1 }
    }

    /// The rate was lowered: are the losses gone?
    fn judge_test(&mut self, share: f64, short: bool) {
        let Some(test) = &self.losses.test else { return };
        if self.round <= test.round {
            return;
        }
        let (before, rate) = (test.share, test.rate);
        if share > 0.6 * before && short {
            self.losses.learn((share + before) / 2.0);
            self.losses.retest_at = self.now.saturating_add(RETEST);
            self.losses.hold_until = 0;
            self.rate = rate.min(2.0 * self.rate).min(1.3 * self.capacity());
        } else if share <= 0.6 * before || self.round > test.round + 1 {
            self.losses.test = None;
            self.losses.unlearn(share);
            self.losses.hold_until = self.now.saturating_add(HOLD);
        }
    }

    fn grow(&mut self) {
        let used = self.bandwidth_last * self.losses.correction() > 0.95 * self.rate;
        if used && self.rate > (1.0 + NEAR) * self.cap {
            self.good += 1;
        }
        if self.good > PATIENCE {
            self.velocity *= 2.0;
        }
        let near = (self.rate - self.cap).abs() < NEAR * self.cap;
        let pace = if near { PACE_NEAR } else { self.velocity };
        let (packet, min_rtt) = (self.packet_counted(), self.delay.min_rtt());
        let packets = (GROWTH * (self.rate * min_rtt / packet).sqrt()).max(1.0) * pace;
        let step = (packets * packet / min_rtt).min(0.25 * self.rate);
        let most = 1.3 * self.capacity() + 2.0 * PACKET / min_rtt;
        self.rate = (self.rate + step).min(most).clamp(self.min, self.max);
    }
}

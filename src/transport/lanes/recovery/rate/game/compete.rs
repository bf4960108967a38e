//! While a rival fills the queue: CUBIC, so that something is left for us.

use super::super::cubic::Cubic;
use super::super::{Ack, PACKET};
use super::delay::Delay;
use crate::transport::lanes::Micros;

/// A queue that fell below so much of its peak was drained by a rival that backed off.
const DROP: f64 = 0.9;
/// Then all flows like this one drain it together, and see whether the rival is still there. Not
/// more often than this, in seconds and in round trips.
const DRAIN_EVERY: f64 = 2.0;
const DRAIN_ROUNDS: f64 = 10.0;
/// How long to stay after an entry soon after an exit, in seconds: twice the time before.
const STAY_MIN: f64 = 2.0;
const STAY_MAX: f64 = 4.0;
/// A queue deeper than so many round trips is told apart from none even in a drain.
const DEEP: f64 = 1.2;

pub struct Compete {
    cubic: Cubic,
    since: Micros,
    stay: f64,
    queue_peak: f64,
    drained_at: Micros,
    drain: Option<Drain>,
}

/// The queue is drained in common.
struct Drain {
    /// Bytes that may be in flight.
    window: f64,
    /// It was reached; the drain ends then.
    ends_at: Option<Micros>,
}

/// How the competition ended.
#[derive(Default)]
pub struct Exit {
    /// It was found in a drain that the rival has left: it takes a little less to come back.
    pub drained: bool,
    /// When, if coming back is likely.
    pub recent: Option<Micros>,
    /// The window of it.
    pub window: f64,
    pub stay: f64,
}

impl Compete {
    /// `again`: the last one has just ended.
    pub fn new(window: f64, srtt: f64, again: Option<&Exit>, now: Micros) -> Self {
        let window = window.max(again.map_or(0.0, |exit| exit.window));
        Self {
            cubic: Cubic::new(window, window, srtt),
            since: now,
            stay: again.map_or(0.0, |exit| (2.0 * exit.stay).clamp(STAY_MIN, STAY_MAX)),
            queue_peak: 0.0,
            drained_at: now,
            drain: None,
        }
    }

    /// `threshold`: a queue that counts as one. Some: the rival has left.
    pub fn handle_ack(&mut self, ack: &Ack, delay: &Delay, threshold: f64) -> Option<Exit> {
        self.cubic.handle_ack(ack);
        self.update_drain(ack, delay);
        let queue = delay.queue();
        let none = match self.drain {
            Some(_) => threshold,
            None => threshold.max(0.1 * delay.queue_max()),
        };
        let stays = self.stay + 2.0 * ack.srtt;
        if queue >= none || seconds(ack.now, self.since) <= stays {
            return None;
        }
        let drained = self.drain.is_some() && delay.queue_max() > DEEP * delay.min_rtt();
        let recent = (!drained).then_some(ack.now);
        Some(Exit { drained, recent, window: self.cubic.window(), stay: self.stay })
    }

    fn update_drain(&mut self, ack: &Ack, delay: &Delay) {
        let now = ack.now;
        match &mut self.drain {
            Some(Drain { window, ends_at: ends_at @ None }) => {
                if ack.in_flight as f64 <= *window + PACKET {
                    *ends_at = Some(now.saturating_add((delay.stand() * 1e6) as Micros));
                }
            }
            Some(Drain { ends_at: Some(ends_at), .. }) => {
                if now > *ends_at {
                    self.drain = None;
                    self.drained_at = now;
                    self.queue_peak = 0.0;
                }
            }
            None => {
                self.queue_peak = self.queue_peak.max(delay.queue());
                let pause = DRAIN_EVERY.max(DRAIN_ROUNDS * ack.srtt);
                let falls = delay.queue() < DROP * self.queue_peak;
                if falls && seconds(now, self.drained_at) > pause {
                    let share = delay.min_rtt() / delay.stand();
                    let window = (0.9 * self.cubic.window() * share).max(4.0 * PACKET);
                    self.drain = Some(Drain { window, ends_at: None });
                }
            }
        }
    }

    /// Losses while the queue is short are not of the queue.
    pub fn handle_lost(&mut self, ack: &Ack, delay: &Delay) {
        if delay.queue() >= 0.5 * delay.queue_max() && self.drain.is_none() {
            self.cubic.handle_lost(ack);
        }
    }

    pub fn rate(&self) -> f64 {
        self.cubic.rate()
    }

    pub fn window(&self) -> f64 {
        self.drain.as_ref().map_or(self.cubic.window(), |drain| drain.window)
    }
}

fn seconds(now: Micros, then: Micros) -> f64 {
    now.saturating_sub(then) as f64 / 1e6
}

//! A window that grows as CUBIC does (RFC 9438).

use super::{Ack, PACKET};
use crate::transport::lanes::Micros;

/// The window after a loss, as a share of the one before.
const BETA: f64 = 0.7;
/// Packets per cubic second.
const C: f64 = 0.4;
/// The window that Reno would have grows by so many packets a round trip, RFC 9438 §4.3.
const RENO: f64 = 3.0 * (1.0 - BETA) / (1.0 + BETA);

pub struct Cubic {
    window: f64,
    /// Below it, the window doubles each round trip.
    threshold: f64,
    srtt: f64,
    /// Losses of what was sent until then belong to the one that halved the window.
    recovers_until: Option<Micros>,
    /// The window before the last loss.
    window_max: f64,
    /// When the window began to grow again.
    epoch: Option<Micros>,
    /// After how many seconds it is back at `window_max`.
    k: f64,
    /// The window that Reno would have.
    estimate: f64,
}

impl Cubic {
    pub fn new(window: f64, threshold: f64, srtt: f64) -> Self {
        let window = window.max(4.0 * PACKET);
        Self {
            window,
            threshold: threshold.max(4.0 * PACKET),
            srtt,
            recovers_until: None,
            window_max: window,
            epoch: None,
            k: 0.0,
            estimate: window,
        }
    }

    /// Bytes that may be in flight.
    pub fn window(&self) -> f64 {
        self.window
    }

    /// Bytes a second that the window is paced at.
    pub fn rate(&self) -> f64 {
        let gain = if self.starts_slowly() { 2.0 } else { 1.25 };
        gain * self.window / self.srtt
    }

    pub fn starts_slowly(&self) -> bool {
        self.window < self.threshold
    }

    /// Ends slow start.
    #[cfg(test)]
    pub fn end_slow_start(&mut self) {
        self.threshold = self.window;
    }

    /// Begins again from two packets: nothing was heard for long.
    #[cfg(test)]
    pub fn collapse(&mut self, first: bool, now: Micros) {
        if first {
            self.threshold = (self.window / 2.0).max(2.0 * PACKET);
        }
        self.window = 2.0 * PACKET;
        self.recovers_until = Some(now);
        self.epoch = None;
    }

    pub fn handle_ack(&mut self, ack: &Ack) {
        self.srtt = ack.srtt;
        if self.is_of_last_loss(ack.sent_at) {
            return;
        }
        let unused = (ack.prior_in_flight as f64) < 0.7 * self.window - 2.0 * PACKET;
        if unused && ack.app_limited {
            return;
        }
        let acked = ack.acked as f64;
        if self.starts_slowly() {
            self.window += acked;
            return;
        }
        let epoch = *self.epoch.get_or_insert_with(|| {
            self.estimate = self.window;
            self.window_max = self.window_max.max(self.window);
            self.k = ((self.window_max - self.window) / PACKET / C).cbrt();
            ack.now
        });
        let elapsed = ack.now.saturating_sub(epoch) as f64 / 1e6 + self.srtt;
        let target = self.window_max + C * (elapsed - self.k).powi(3) * PACKET;
        self.estimate += RENO * PACKET * acked / self.window;
        self.window += if target > self.window {
            (target.min(1.5 * self.window) - self.window) / self.window * acked
        } else {
            0.01 * PACKET * acked / self.window
        };
        self.window = self.window.max(self.estimate);
    }

    pub fn handle_lost(&mut self, ack: &Ack) {
        if self.is_of_last_loss(ack.lost_sent_at) {
            return;
        }
        self.recovers_until = Some(ack.now);
        // A flow whose window shrinks from loss to loss leaves room to others.
        let shrinks = self.window < self.window_max;
        self.window_max = if shrinks { 0.85 * self.window } else { self.window };
        self.epoch = None;
        self.window = (BETA * self.window).max(2.0 * PACKET);
        self.threshold = self.window;
    }

    fn is_of_last_loss(&self, sent_at: Micros) -> bool {
        self.recovers_until.is_some_and(|until| sent_at <= until)
    }
}

//! The default control: a short queue at the bottleneck, and no less than a fair share of it.
//!
//! It starts with trains of packets, whose spacing on arrival is the bottleneck's rate, and drains
//! what that put into the queue. Then it cruises: the rate grows while the queue is shorter than
//! the noise of the path allows to see, and is cut a little when it is longer. A queue that stays
//! through several cuts is a rival's, who fills it until packets are lost: then the control
//! competes as CUBIC would, until the rival has left. Losses are tested before they count.

mod compete;
mod cruise;
mod delay;
mod losses;
mod startup;
mod train;

use super::filters::Highest;
use super::{Ack, FIRST_RATE, FIRST_WINDOW, PACKET, RateConfig, RateControl, packet_at};
use crate::transport::lanes::Micros;
use compete::{Compete, Exit};
use cruise::High;
use delay::{Delay, Phase};
use losses::Losses;
use startup::Startup;

/// How much faster than the bandwidth the start is: it doubles in a round trip.
const GAIN: f64 = 2.77;
/// Rounds over which the greatest bandwidth counts.
const ROUNDS: u64 = 10;
/// A sample over less than so much of the shortest round trip is none.
const SAMPLE: f64 = 0.9;
/// An acknowledgement after so many seconds and round trips without one: the path was away.
const GAP: f64 = 0.5;
const GAP_ROUNDS: f64 = 4.0;
/// Seconds without traffic or without bulk after which the rate is no longer trusted.
const IDLE: f64 = 1.0;
const IDLE_BULK: f64 = 2.0;
/// Timeouts in a row that make an outage, and the rate then.
const OUTAGE: u32 = 3;
const OUTAGE_RATE: f64 = 4.0 * PACKET / 0.1;
/// Nothing less is ever in flight.
const WINDOW_MIN: f64 = 4.0 * PACKET;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Startup,
    Drain,
    Cruise,
    Compete,
}

/// See above.
pub struct Game {
    /// Bounds in bytes a second.
    min: f64,
    max: f64,
    mode: Mode,
    /// When the last ACK was received, or a packet was sent since.
    now: Micros,
    srtt: f64,
    /// Bytes a second, in Startup and Cruise.
    rate: f64,
    delay: Delay,
    losses: Losses,
    bandwidth: Highest,
    /// The greatest samples of this round and of the last.
    bandwidth_round: f64,
    bandwidth_last: f64,
    round: u64,
    /// In this round, there was not always enough to send.
    app_limited: bool,
    startup: Startup,
    high: High,
    compete: Option<Box<Compete>>,
    exit: Exit,
    /// The round of the last change of the rate that takes effect later.
    cut_round: u64,
    /// The last rate that was known to be ours.
    cap: f64,
    /// It comes out of a drain: what that found may still be on its way.
    drained: bool,
    /// Rounds in which the rate grew since, and how fast it does.
    good: u32,
    velocity: f64,
    /// After a cut, a lower rate until then empties the queue.
    drain_until: Micros,
    drain_rate: f64,
    outage: bool,
    last_sent: Option<Micros>,
    last_ack: Option<Micros>,
    last_pending: Option<Micros>,
}

impl Game {
    /// `srtt` and `min_rtt` in seconds, as the connection has measured them so far.
    pub fn new(config: &RateConfig, srtt: f64, min_rtt: Option<f64>, now: Micros) -> Self {
        let (min, max) = config.bounds();
        Self {
            min,
            max,
            mode: Mode::Startup,
            now,
            srtt,
            rate: FIRST_RATE,
            delay: Delay::new(min_rtt, now),
            losses: Losses::default(),
            bandwidth: Highest::default(),
            bandwidth_round: 0.0,
            bandwidth_last: 0.0,
            round: 0,
            app_limited: false,
            startup: Startup::default(),
            high: High::default(),
            compete: None,
            exit: Exit::default(),
            cut_round: 0,
            cap: 0.0,
            drained: false,
            good: 0,
            velocity: 1.0,
            drain_until: 0,
            drain_rate: 0.0,
            outage: false,
            last_sent: None,
            last_ack: None,
            last_pending: None,
        }
    }

    /// The greatest bandwidth of the last rounds.
    fn bandwidth(&self) -> f64 {
        self.bandwidth.get()
    }

    /// The greatest of this round and the last.
    fn recent_bandwidth(&self) -> f64 {
        self.bandwidth_round.max(self.bandwidth_last)
    }

    /// What is to be sent to have that bandwidth, losses included.
    fn capacity(&self) -> f64 {
        self.bandwidth() * self.losses.correction()
    }

    fn threshold(&self) -> f64 {
        self.delay.threshold(self.packet_counted() / self.bandwidth().max(1.0))
    }

    /// A full packet. The constants were found with packets of 1,200 bytes at most.
    fn packet_counted(&self) -> f64 {
        self.packet().min(PACKET)
    }

    fn cruise(&mut self, rate: f64) {
        self.mode = Mode::Cruise;
        self.rate = rate.clamp(self.min, self.max);
        self.losses.test = None;
        self.drained = false;
        self.settle();
    }

    /// The rate has changed: its growth begins anew, when the change can be seen.
    fn settle(&mut self) {
        self.good = 0;
        self.velocity = 1.0;
        self.cut_round = self.round;
    }

    /// Starts again, from a bandwidth that is trusted.
    fn start_from(&mut self, bandwidth: f64) {
        let bandwidth = bandwidth.max(self.first_rate() / GAIN);
        self.bandwidth.reset(self.round, bandwidth);
        self.bandwidth_round = 0.0;
        self.bandwidth_last = bandwidth;
        self.mode = Mode::Startup;
        self.compete = None;
        self.startup = Startup::default();
        self.rate = GAIN * bandwidth;
        self.high.rounds = 0;
        self.losses.test = None;
        self.good = 0;
        self.velocity = 1.0;
        self.drain_until = 0;
    }

    /// What the first window is, spread over a round trip.
    fn first_rate(&self) -> f64 {
        FIRST_WINDOW * PACKET / self.srtt.max(0.001)
    }

    fn measure(&mut self, ack: &Ack) {
        if ack.round_start {
            self.round += 1;
        }
        self.app_limited |= ack.app_limited;
        let long =
            self.delay.is_known() && ack.interval as f64 / 1e6 >= SAMPLE * self.delay.min_rtt();
        let counts = !ack.app_limited || ack.rate > self.bandwidth();
        if ack.rate > 0.0 && long && counts {
            self.bandwidth_round = self.bandwidth_round.max(ack.rate);
            self.bandwidth.add(self.round, ack.rate, ROUNDS);
        }
    }

    /// After the start: sends slowly until what is in flight fits the path.
    fn drain(&mut self, ack: &Ack) {
        let capacity = self.capacity();
        let fits = ack.in_flight as f64 <= capacity * self.delay.min_rtt();
        if fits || self.round > self.cut_round + 3 {
            self.cap = capacity;
            self.cruise(0.95 * capacity);
            self.drained = true;
        }
    }

    fn compete(&mut self, ack: &Ack) {
        let threshold = self.threshold();
        let Some(compete) = &mut self.compete else { return };
        let Some(exit) = compete.handle_ack(ack, &self.delay, threshold) else { return };
        self.exit = exit;
        self.compete = None;
        self.high.rounds = 0;
        let recent = self.recent_bandwidth();
        let bandwidth = if recent > 0.0 { recent } else { self.bandwidth() };
        self.cap = bandwidth * self.losses.correction();
        self.cruise(0.95 * self.cap);
    }

    fn end_round(&mut self) {
        let cruising = self.mode == Mode::Cruise;
        let losses = self.losses.end_round(cruising, self.round > self.cut_round + 2);
        let bandwidth = self.bandwidth_round;
        let app_limited = self.app_limited;
        self.bandwidth_last = bandwidth;
        self.bandwidth_round = 0.0;
        self.app_limited = false;
        match self.mode {
            Mode::Startup if !app_limited => self.end_round_of_startup(&losses),
            // A rate that is not used neither grows nor shrinks.
            Mode::Cruise if !app_limited || bandwidth >= 0.7 * self.rate => {
                self.end_round_of_cruise(&losses);
            }
            _ => {}
        }
    }
}

impl RateControl for Game {
    fn handle_sent(&mut self, size: u64, in_flight: u64, now: Micros) {
        self.now = now;
        let idle = |since: Option<Micros>| since.is_some_and(|since| seconds(now, since) > IDLE);
        let trusted = self.mode == Mode::Startup || !self.delay.is_known();
        if in_flight <= size && !trusted && idle(self.last_sent) && idle(self.last_ack) {
            self.start_from(0.5 * self.bandwidth());
        }
        self.last_sent = Some(now);
    }

    fn handle_ack(&mut self, ack: &Ack) {
        self.now = ack.now;
        self.srtt = ack.srtt;
        let long = GAP.max(GAP_ROUNDS * ack.srtt);
        let gap = self.last_ack.is_some_and(|last| seconds(ack.now, last) > long);
        self.last_ack = Some(ack.now);
        if let Some(compete) = &mut self.compete
            && ack.lost > 0
        {
            compete.handle_lost(ack, &self.delay);
        }
        if self.outage || gap && self.mode != Mode::Startup {
            self.outage = false;
            self.start_from(0.5 * self.bandwidth());
        }
        if let Some(rtt) = ack.rtt {
            let phase = match self.mode {
                Mode::Startup => Phase::Startup,
                Mode::Compete => Phase::Compete,
                Mode::Drain | Mode::Cruise => Phase::Steady,
            };
            self.delay.add(rtt, phase, ack.now);
        }
        self.measure(ack);
        self.losses.add(ack);
        if gap {
            self.losses.forgive();
        }
        match self.mode {
            Mode::Startup => self.start(ack),
            Mode::Drain => self.drain(ack),
            Mode::Cruise => self.watch_queue(),
            Mode::Compete => self.compete(ack),
        }
        if ack.round_start {
            self.end_round();
        }
    }

    fn handle_lost(&mut self, ack: &Ack) {
        if let Some(compete) = &mut self.compete {
            compete.handle_lost(ack, &self.delay);
        }
        self.losses.add(ack);
    }

    fn handle_pto(&mut self, fired: u32, now: Micros) {
        let silent = self.last_ack.is_none_or(|last| seconds(now, last) > GAP);
        self.outage |= fired >= OUTAGE && silent;
    }

    fn handle_pending(&mut self, now: Micros) {
        self.now = now;
        let idle = self.last_pending.is_some_and(|last| seconds(now, last) > IDLE_BULK);
        if idle && self.mode != Mode::Startup && self.delay.is_known() {
            let bandwidth = self.bandwidth();
            let before = 0.5 * self.rate.max(bandwidth).min(2.0 * bandwidth.max(1.0));
            self.start_from(0.0);
            self.startup.resume(before, self.round);
            self.losses.reset();
        }
        self.last_pending = Some(now);
    }

    fn rate(&self) -> f64 {
        let rate = match (self.mode, &self.compete) {
            _ if self.outage => OUTAGE_RATE.min(self.rate),
            (Mode::Drain, _) => 0.3 * self.bandwidth(),
            (Mode::Compete, Some(compete)) => compete.rate(),
            _ if self.now < self.drain_until => self.drain_rate,
            _ => self.rate,
        };
        rate.clamp(self.min, self.max)
    }

    fn window(&self) -> u64 {
        // Half more than was measured may be there, if the rate says so.
        let bandwidth = self.bandwidth();
        let bandwidth = self.capacity().max(0.8 * self.rate.min(2.0 * bandwidth));
        let product = bandwidth * self.delay.min_rtt();
        let window = match (self.mode, &self.compete) {
            _ if self.outage => WINDOW_MIN,
            (Mode::Startup, _) => (3.0 * product).max(2.0 * FIRST_WINDOW * PACKET),
            (Mode::Drain, _) => product,
            (Mode::Compete, Some(compete)) => compete.window(),
            _ => 1.25 * product + 0.015 * bandwidth + 8.0 * PACKET,
        };
        window.max(WINDOW_MIN) as u64
    }

    fn train(&self) -> u32 {
        if self.mode == Mode::Startup { startup::train(self.rate) } else { 1 }
    }

    fn packet(&self) -> f64 {
        // A rate above the bandwidth is a question; its packets would be half of the answer.
        let known = if self.mode == Mode::Startup { f64::INFINITY } else { self.capacity() };
        packet_at(self.rate.min(known))
    }

    fn queue(&self) -> f64 {
        self.delay.queue()
    }
}

fn seconds(now: Micros, then: Micros) -> f64 {
    now.saturating_sub(then) as f64 / 1e6
}

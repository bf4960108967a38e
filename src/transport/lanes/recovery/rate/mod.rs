//! How fast to send.
//!
//! A control is told what was sent and what became of it, and says how many bytes a second may
//! leave and how many may be in flight. Small messages do not wait for it.

mod bbr;
mod cubic;
mod filters;
mod fixed;
mod game;

pub use bbr::Bbr;
#[cfg(test)]
pub use cubic::Cubic;
pub use fixed::Fixed;
pub use game::Game;

use crate::transport::lanes::Micros;

/// Which control a connection has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Control {
    /// Holds a short queue at the bottleneck, and its share beside those that fill it.
    #[default]
    Game,
    /// Measures the bottleneck and fills the path once.
    Bbr,
    /// Sends at `rate_max_bytes`, whatever is lost.
    Fixed,
}

/// What the endpoint says of the rate.
#[derive(Clone, Copy, Debug, Default)]
pub struct RateConfig {
    /// Which control.
    pub control: Control,
    /// Bytes a second that it never goes below; at least 4,000.
    pub rate_min_bytes: u64,
    /// Bytes a second that it never goes above; 0: no bound of the host's.
    pub rate_max_bytes: u64,
}

/// A full packet before the path is known to take more; what the constants are counted in.
pub const PACKET: f64 = 1_200.0;
/// Packets of the first round trip.
pub const FIRST_WINDOW: f64 = 32.0;
/// Bytes a second before anything is measured: the first window over 100 ms.
pub const FIRST_RATE: f64 = FIRST_WINDOW * PACKET / 0.1;
const RATE_MIN: f64 = 4_000.0;
const RATE_MAX: f64 = 125e6;
/// A full packet takes so long to send, in seconds, where that makes it smaller than the path's.
const PACKET_TIME: f64 = 0.012;
const PACKET_MIN: f64 = 320.0;

/// What one ACK says.
#[derive(Default)]
pub struct Ack {
    /// When it was received.
    pub now: Micros,
    /// When the peer received the newest packet of it, on a clock that is a constant off.
    pub received_at: Micros,
    /// Seconds; None: the newest packet of it was known.
    pub rtt: Option<f64>,
    /// The smoothed round trip time in seconds.
    pub srtt: f64,
    /// Bytes.
    pub acked: u64,
    /// Bytes that count as lost since the ACK before.
    pub lost: u64,
    /// Packets of it.
    pub lost_packets: u32,
    /// When the newest of those was sent.
    pub lost_sent_at: Micros,
    /// Bytes in flight before it, and now.
    pub prior_in_flight: u64,
    /// See above.
    pub in_flight: u64,
    /// The delivery rate in bytes a second,
    pub rate: f64,
    /// measured over so long.
    pub interval: Micros,
    /// There was not enough to send when it was measured.
    pub app_limited: bool,
    /// When the newest packet of it was sent.
    pub sent_at: Micros,
    /// Bytes delivered in all.
    pub delivered: u64,
    /// The first ACK of a round.
    pub round_start: bool,
}

/// A rate control.
pub trait RateControl: Send {
    /// A packet that asks for an acknowledgement leaves; `in_flight` counts it.
    fn handle_sent(&mut self, size: u64, in_flight: u64, now: Micros);
    /// Something new was acknowledged.
    fn handle_ack(&mut self, ack: &Ack);
    /// The timer declared packets lost: `ack` has nothing acknowledged.
    fn handle_lost(&mut self, ack: &Ack);
    /// Nothing was heard for a probe timeout, `fired` times in a row.
    fn handle_pto(&mut self, fired: u32, now: Micros);
    /// There is bulk to send.
    fn handle_pending(&mut self, now: Micros);
    /// Bytes a second.
    fn rate(&self) -> f64;
    /// Bytes that may be in flight.
    fn window(&self) -> u64;
    /// Packets that leave together.
    fn train(&self) -> u32 {
        1
    }
    /// Bytes of a full packet, as far as the rate decides it.
    fn packet(&self) -> f64 {
        f64::INFINITY
    }
    /// How long the queue at the bottleneck is, in seconds.
    fn queue(&self) -> f64 {
        0.0
    }
}

impl RateConfig {
    /// The bounds in bytes a second.
    pub fn bounds(&self) -> (f64, f64) {
        let max = if self.rate_max_bytes == 0 { RATE_MAX } else { self.rate_max_bytes as f64 };
        let min = (self.rate_min_bytes as f64).max(RATE_MIN).min(max);
        (min, max)
    }

    /// The rate before there is a control.
    pub fn first(&self) -> f64 {
        let (min, max) = self.bounds();
        FIRST_RATE.clamp(min, max)
    }

    /// Makes the control. `rtt` in seconds: the smoothed one and the shortest.
    pub fn make(&self, srtt: f64, min_rtt: Option<f64>, now: Micros) -> Box<dyn RateControl> {
        match self.control {
            Control::Game => Box::new(Game::new(self, srtt, min_rtt, now)),
            Control::Bbr => Box::new(Bbr::new(self, min_rtt, now)),
            Control::Fixed => Box::new(Fixed::new(self)),
        }
    }
}

/// Bytes of a full packet at `rate`: on a slow uplink, a large one would hold the small ones up.
pub fn packet_at(rate: f64) -> f64 {
    (rate * PACKET_TIME).max(PACKET_MIN)
}

//! What was lost, and how fast to send.
//!
//! One `Recovery` belongs to one connection and knows packets only by their netcode sequence
//! number, their size, and whatever `C` its user keeps for each. An idle connection has little:
//! what only a fast sender needs is made when there is bulk for the first time.

mod delivery;
mod loss;
mod pacer;
pub mod rate;
mod receiving;
mod rtt;
mod sent;
mod skip;
#[cfg(test)]
mod tests;

use std::ops::RangeInclusive;

use super::Micros;
use delivery::Delivery;
use loss::Loss;
use pacer::{Pace, Pacer};
use rate::{Ack, PACKET, RateControl};
use rtt::Rtt;
use sent::{Packet, Sent};
use skip::Skips;

pub use rate::{Control, RateConfig};
pub use receiving::AckPolicy;
use receiving::Receiving;

/// Reliable messages of at most so many bytes are sent more than once,
pub const COPIED_MAX: usize = 256;
/// so many times in all,
pub const COPIES: u8 = 3;
/// so long after each other.
pub const COPY_GAP: Micros = 15_000;
/// Packets whose fate is not known. A peer that acknowledges nothing makes this list grow.
const SENT_MAX: usize = 32_768;
/// The control goes when it was not needed for so long.
const CONTROL_AGE: Micros = 60_000_000;

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The peer has it.
    Acked,
    /// It counts as lost. It may still come.
    Lost,
}

/// The peer has acknowledged a packet that was never sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forged;

/// What a host is told of the path.
#[derive(Clone, Copy, Debug, Default)]
pub struct Facts {
    /// The smoothed round trip time.
    pub rtt: Micros,
    /// Its mean deviation.
    pub jitter: Micros,
    /// The shortest of the connection.
    pub min_rtt: Micros,
    /// Bytes a second that may be sent.
    pub rate: u64,
    /// What the queue at the bottleneck adds to the round trip.
    pub queue: Micros,
    /// Packets that asked for an acknowledgement,
    pub sent: u64,
    /// and those of them that counted as lost and did not come later.
    pub lost: u64,
    /// Bytes.
    pub in_flight: u64,
    /// The probe timeout.
    pub pto: Micros,
}

/// Loss detection, round trip time and rate of one connection.
pub struct Recovery<C> {
    config: RateConfig,
    sent: Sent<C>,
    rtt: Rtt,
    loss: Loss,
    skips: Skips,
    delivery: Delivery,
    pacer: Pacer,
    receiving: Receiving,
    /// None: the first rate is enough.
    control: Option<Box<dyn RateControl>>,
    /// When the control was last needed.
    needed_at: Micros,
    /// The greatest number that was used.
    last: Option<u64>,
    count_sent: u64,
    count_lost: u64,
    /// The size of the largest packet of bulk.
    packet: u16,
    /// Since the turn began, bulk was refused: there is more of it.
    refused: bool,
    /// The turn before is not yet judged.
    open: bool,
}

impl<C> Recovery<C> {
    /// `rtt`: what the handshake took, if it was measured.
    pub fn new(config: RateConfig, rtt: Option<Micros>, seed: u64, now: Micros) -> Self {
        let rtt = Rtt::new(rtt);
        let control = (config.control == Control::Fixed).then(|| config.make(0.0, None, now));
        let pace = Pace { rate: config.first(), packet: PACKET, train: 1 };
        Self {
            config,
            sent: Sent::new(),
            rtt,
            loss: Loss::new(now),
            skips: Skips::new(seed),
            delivery: Delivery::new(now),
            pacer: Pacer::new(pace, now),
            receiving: Receiving::new(now),
            control,
            needed_at: now,
            last: None,
            count_sent: 0,
            count_lost: 0,
            packet: PACKET as u16,
            refused: false,
            open: false,
        }
    }

    /// Asked before each packet that asks for an acknowledgement, with the number that it would
    /// have. True: that number is left out.
    pub fn skips(&mut self, seq: u64) -> bool {
        self.skips.takes(seq)
    }

    /// A packet leaves. `size` counts what the envelope adds. Without `contents` it asks for no
    /// acknowledgement, and nothing is remembered of it. The packets of one turn have one `now`.
    pub fn handle_sent(
        &mut self,
        seq: u64,
        size: usize,
        contents: Option<C>,
        bulk: bool,
        now: Micros,
    ) {
        self.last = Some(self.last.map_or(seq, |last| last.max(seq)));
        let Some(contents) = contents else { return };
        let size = size.min(usize::from(u16::MAX));
        let idle = self.sent.in_flight() == 0;
        let stamp = self.delivery.stamp(idle, self.control.is_none(), now);
        self.sent.push(Packet::new(seq, now, size as u16, stamp, contents));
        self.loss.handle_sent(now);
        self.pacer.handle_sent(size);
        self.receiving.handle_sent(now);
        self.count_sent += 1;
        if bulk {
            self.packet = self.packet.max(size as u16);
        }
        if let Some(control) = &mut self.control {
            control.handle_sent(size as u64, self.sent.in_flight(), now);
        }
    }

    /// An ACK: what the peer has, newest first, and for how long it held the newest of it back.
    /// `fate` is told of each packet at most once that it is acknowledged, and at most once that it
    /// is lost. After an error the connection is to be closed.
    pub fn handle_ack(
        &mut self,
        ranges: &[RangeInclusive<u64>],
        delay: Micros,
        now: Micros,
        mut fate: impl FnMut(&C, Fate),
    ) -> Result<(), Forged> {
        if ranges.iter().any(|range| self.is_forged(range)) {
            return Err(Forged);
        }
        self.close_turn();
        let mut ack = Ack { now, prior_in_flight: self.sent.in_flight(), ..Ack::default() };
        let Some(largest) = ranges.iter().map(|range| *range.end()).max() else { return Ok(()) };
        let (mut newest, mut at_largest) = (None, None);
        for range in ranges {
            self.sent.acknowledge(range, |packet, contents, spurious| {
                ack.acked += u64::from(packet.size);
                self.delivery.handle_delivered(packet, &mut newest, now);
                if packet.seq == largest {
                    at_largest = Some(packet.sent_at);
                }
                if spurious {
                    self.loss.handle_spurious(largest - packet.seq);
                    self.count_lost = self.count_lost.saturating_sub(1);
                }
                fate(&contents, Fate::Acked);
            });
        }
        let Some(newest) = newest else { return Ok(()) };
        if self.loss.handle_acked(largest)
            && let Some(sent_at) = at_largest
        {
            let sample = self.rtt.handle_sample(now.saturating_sub(sent_at), delay);
            ack.rtt = Some(seconds(sample));
        }
        ack.received_at = now.saturating_sub(delay);
        self.delivery.sample(newest, &mut ack);
        self.detect(&mut ack, fate);
        if let Some(control) = &mut self.control {
            control.handle_ack(&ack);
        }
        self.sent.forget_lost(now);
        if self.config.control != Control::Fixed && now.saturating_sub(self.needed_at) > CONTROL_AGE
        {
            self.control = None;
        }
        Ok(())
    }

    /// The time of `poll_timeout` has come.
    pub fn handle_timeout(&mut self, now: Micros, fate: impl FnMut(&C, Fate)) {
        if self.poll_timeout().is_none_or(|at| now < at) {
            return;
        }
        if self.loss.is_due(now) {
            let prior_in_flight = self.sent.in_flight();
            let mut ack = Ack { now, prior_in_flight, app_limited: true, ..Ack::default() };
            self.detect(&mut ack, fate);
            if ack.lost > 0
                && let Some(control) = &mut self.control
            {
                control.handle_lost(&ack);
            }
        } else {
            let fired = self.loss.handle_pto(now);
            if let Some(control) = &mut self.control {
                control.handle_pto(fired, now);
            }
        }
    }

    /// When a packet will count as lost, or a probe is due.
    pub fn poll_timeout(&self) -> Option<Micros> {
        (self.sent.in_flight() > 0).then(|| self.loss.timeout(&self.rtt))
    }

    /// Whether to send a packet with the oldest reliable data that is not acknowledged, or a PING,
    /// whatever `may_send` says. True as often as there are probes to send.
    pub fn take_probe(&mut self) -> bool {
        self.loss.take_probe()
    }

    /// A turn begins: credit grows by the time since the last.
    pub fn begin_turn(&mut self, now: Micros) {
        self.close_turn();
        self.pacer.begin_turn(self.pace(), now);
        self.open = true;
    }

    /// There is bulk to send. Said in each turn that begins with some, before it is sent.
    pub fn bulk_pending(&mut self, now: Micros) {
        self.need_control(now).handle_pending(now);
    }

    /// Whether a packet may leave now. `bulk`: it has anything but small messages. Asked before
    /// each; that bulk is refused says that there is more of it.
    pub fn may_send(&mut self, bulk: bool, now: Micros) -> bool {
        if self.sent.len() >= SENT_MAX {
            return false;
        }
        let pace = self.pace();
        let may = if bulk {
            let idle = self.sent.in_flight() == 0;
            self.fits_window() && self.pacer.lets_bulk(pace, idle)
        } else {
            self.pacer.lets_small(pace)
        };
        if bulk {
            self.refused = !may;
        }
        if !may {
            self.need_control(now);
        }
        may
    }

    /// When credit lets go what was refused; None: an acknowledgement decides.
    pub fn next_send(&self, now: Micros) -> Option<Micros> {
        let small = self.pacer.holds_small();
        (small || self.fits_window()).then(|| self.pacer.next(self.pace(), now))
    }

    /// Bytes of a full packet of bulk, with what the envelope adds: less than the path takes where
    /// one would keep a slow link busy for long.
    pub fn packet_bytes(&self, path_mtu: usize) -> usize {
        let packet = self.control.as_ref().map_or(f64::INFINITY, |control| control.packet());
        path_mtu.min(packet as usize)
    }

    /// Whether a small reliable message of `size` bytes may be sent another time. True: it is
    /// taken from the allowance for copies.
    pub fn redundancy(&mut self, size: usize) -> bool {
        self.pacer.take_copy(size)
    }

    /// A packet of the peer's arrived that asks for an acknowledgement.
    pub fn handle_received(&mut self, size: usize, now: Micros) {
        self.receiving.handle_received(size, now);
    }

    /// When to acknowledge.
    pub fn ack_policy(&self) -> AckPolicy {
        self.receiving.policy()
    }

    /// What a host is told of the path.
    pub fn facts(&self) -> Facts {
        let queue = self.control.as_ref().map_or(0.0, |control| control.queue());
        Facts {
            rtt: self.rtt.smoothed(),
            jitter: self.rtt.variation(),
            min_rtt: self.rtt.min().unwrap_or(0),
            rate: self.rate() as u64,
            queue: (queue * 1e6) as Micros,
            sent: self.count_sent,
            lost: self.count_lost,
            in_flight: self.sent.in_flight(),
            pto: self.rtt.pto(self.loss.fired()),
        }
    }

    fn is_forged(&self, range: &RangeInclusive<u64>) -> bool {
        range.is_empty()
            || self.last.is_none_or(|last| last < *range.end())
            || self.skips.cover(range)
    }

    /// Declares lost what is missing for too long, and says when to look again.
    fn detect(&mut self, ack: &mut Ack, mut fate: impl FnMut(&C, Fate)) {
        let Some(largest) = self.loss.largest() else { return };
        let patience = self.loss.patience(&self.rtt);
        let now = ack.now;
        let spared = self.sent.detect(
            largest,
            |packet| self.loss.is_lost(packet, largest, patience, now),
            |packet, contents| {
                ack.lost += u64::from(packet.size);
                ack.lost_packets += 1;
                ack.lost_sent_at = ack.lost_sent_at.max(packet.sent_at);
                fate(contents, Fate::Lost);
            },
        );
        self.loss.set_due(spared.map(|sent_at| sent_at.saturating_add(patience)));
        self.count_lost += u64::from(ack.lost_packets);
        ack.in_flight = self.sent.in_flight();
        ack.srtt = seconds(self.rtt.smoothed());
    }

    /// Judges the turn before: if there was nothing left to send and room in the window, what is
    /// measured until all of it is delivered says nothing about the path.
    fn close_turn(&mut self) {
        if self.open && !self.refused && self.sent.in_flight() < self.window() {
            self.delivery.mark_app_limited(self.sent.in_flight());
        }
        self.open = false;
        self.refused = false;
    }

    fn need_control(&mut self, now: Micros) -> &mut Box<dyn RateControl> {
        self.needed_at = now;
        let Self { control, config, rtt, .. } = self;
        control.get_or_insert_with(|| {
            config.make(seconds(rtt.smoothed()), rtt.min().map(seconds), now)
        })
    }

    fn rate(&self) -> f64 {
        self.control.as_ref().map_or(self.config.first(), |control| control.rate())
    }

    fn window(&self) -> u64 {
        self.control.as_ref().map_or(u64::MAX, |control| control.window())
    }

    fn fits_window(&self) -> bool {
        let packet = self.packet_bytes(self.packet.into()) as u64;
        self.sent.in_flight() + packet <= self.window()
    }

    fn pace(&self) -> Pace {
        let packet = self.packet_bytes(self.packet.into()) as f64;
        let train = self.control.as_ref().map_or(1, |control| control.train());
        Pace { rate: self.rate(), packet, train }
    }
}

#[cfg(test)]
impl<C> Recovery<C> {
    /// Takes another control, for a simulation.
    pub fn set_control(&mut self, control: Box<dyn RateControl>) {
        self.control = Some(control);
    }
}

fn seconds(time: Micros) -> f64 {
    time as f64 / 1e6
}

//! The round trip time, as RFC 9002 §5 estimates it.

use crate::transport::lanes::Micros;

/// Before there is a sample.
const INITIAL: u32 = 100_000;
/// How long a peer may hold an acknowledgement back, until it has shown how long it does.
const ACK_DELAY: u32 = 25_000;
/// No peer is believed to hold one back for longer.
const ACK_DELAY_MAX: u32 = 125_000;
/// The timer's grain: no variation is taken to be less.
const GRAIN: u32 = 1_000;
/// The probe timeout without a sample.
const PTO_INITIAL: Micros = 300_000;
/// No probe waits longer than this, unless one round trip does.
const PTO_MAX: Micros = 1_000_000;

/// All of it in microseconds; 32 bits last for an hour, and no round trip does.
pub struct Rtt {
    latest: u32,
    smoothed: u32,
    variation: u32,
    min: u32,
    /// The longest delay that the peer reported of its acknowledgements, slowly forgotten.
    ack_delay: u32,
    known: bool,
}

impl Rtt {
    pub fn new(first: Option<Micros>) -> Self {
        let mut rtt = Self {
            latest: INITIAL,
            smoothed: INITIAL,
            variation: INITIAL / 2,
            min: u32::MAX,
            ack_delay: ACK_DELAY,
            known: false,
        };
        if let Some(first) = first {
            rtt.add(first);
        }
        rtt
    }

    /// A packet was acknowledged `elapsed` after it was sent; the peer says that `delay` of it was
    /// its own. The sample is what is left of it.
    pub fn handle_sample(&mut self, elapsed: Micros, delay: Micros) -> Micros {
        let held = clamp(delay).min(ACK_DELAY_MAX);
        self.ack_delay = held.max(self.ack_delay - self.ack_delay / 64);
        // A delay longer than the whole round is no delay that anything can be made of.
        let sample = if delay < elapsed { elapsed - delay } else { elapsed };
        self.add(sample)
    }

    fn add(&mut self, sample: Micros) -> Micros {
        let sample = clamp(sample).max(1);
        self.latest = sample;
        self.min = self.min.min(sample);
        if self.known {
            let off = self.smoothed.abs_diff(sample);
            self.variation = mix(self.variation, off, 2);
            self.smoothed = mix(self.smoothed, sample, 3);
        } else {
            self.known = true;
            self.smoothed = sample;
            self.variation = sample / 2;
        }
        Micros::from(sample)
    }

    pub fn smoothed(&self) -> Micros {
        self.smoothed.into()
    }

    pub fn variation(&self) -> Micros {
        self.variation.into()
    }

    /// The shortest of the connection. None: there was no sample.
    pub fn min(&self) -> Option<Micros> {
        self.known.then(|| self.min.into())
    }

    /// What the loss detection counts in: the longer of the newest and the smoothed one.
    pub fn longest(&self) -> Micros {
        self.smoothed.max(self.latest).into()
    }

    /// After how long without an acknowledgement to probe, when `fired` timeouts have passed.
    pub fn pto(&self, fired: u32) -> Micros {
        let base = if self.known {
            let slack = self.variation.saturating_mul(4).max(GRAIN);
            self.smoothed() + Micros::from(slack) + Micros::from(self.ack_delay)
        } else {
            PTO_INITIAL
        };
        (base << fired.min(16)).min(PTO_MAX.max(base))
    }
}

fn clamp(time: Micros) -> u32 {
    u32::try_from(time).unwrap_or(u32::MAX)
}

/// Moves `old` towards `new` by 1 / 2^`shift` of the way.
fn mix(old: u32, new: u32, shift: u32) -> u32 {
    let (old, new) = (u64::from(old), u64::from(new));
    // No more than the greater of the two, so it fits.
    (((old << shift) - old + new) >> shift) as u32
}

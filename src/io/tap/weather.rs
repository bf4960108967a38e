//! What a tap does to the bytes of a socket, as it is set: plain numbers, and the dice that they
//! are drawn with. No input, output or clock.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Microseconds of a tap's clock.
pub type Micros = u64;

/// A millisecond of it.
pub const MILLI: Micros = 1000;
/// All of a million.
pub const MILLION: u32 = 1_000_000;
/// The longest delay, and the longest stall.
const DELAY_MAX_MS: u32 = 60_000;
/// A terabyte a second: more is no limit.
const RATE_MAX_BYTES: u64 = 1 << 40;

/// What happens to one direction.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the C ABI's `sockeye_fault_way` documents each")]
pub struct Way {
    pub delay_ms: u32,
    pub jitter_ms: u32,
    pub stall_ms: u32,
    pub split_bytes: u32,
    pub loss_ppm: u32,
    pub burst: u32,
    pub duplicate_ppm: u32,
    pub reorder_ppm: u32,
    pub corrupt_ppm: u32,
    pub rate_bytes: u64,
    pub reset_after_bytes: u64,
}

impl Way {
    /// Nothing happens to it.
    pub const CALM: Way = Way {
        delay_ms: 0,
        jitter_ms: 0,
        stall_ms: 0,
        split_bytes: 0,
        loss_ppm: 0,
        burst: 0,
        duplicate_ppm: 0,
        reorder_ppm: 0,
        corrupt_ppm: 0,
        rate_bytes: 0,
        reset_after_bytes: 0,
    };

    /// Whether the numbers are ones that can be drawn; the message names the field.
    pub fn check(&self, name: &str) -> Result<(), String> {
        let most = |field: &str, value: u64, most: u64| {
            let words = || format!("fault.{name}.{field} is {value}, must be at most {most}");
            (value <= most).then_some(()).ok_or_else(words)
        };
        most("delay_ms", self.delay_ms.into(), DELAY_MAX_MS.into())?;
        most("stall_ms", self.stall_ms.into(), DELAY_MAX_MS.into())?;
        most("rate_bytes", self.rate_bytes, RATE_MAX_BYTES)?;
        most("burst", self.burst.into(), MILLION.into())?;
        for (field, value) in [
            ("loss_ppm", self.loss_ppm),
            ("duplicate_ppm", self.duplicate_ppm),
            ("reorder_ppm", self.reorder_ppm),
            ("corrupt_ppm", self.corrupt_ppm),
        ] {
            most(field, value.into(), MILLION.into())?;
        }
        if self.jitter_ms > self.delay_ms {
            let (jitter, delay) = (self.jitter_ms, self.delay_ms);
            return Err(format!(
                "fault.{name}.jitter_ms is {jitter}, must be at most delay_ms, {delay}"
            ));
        }
        Ok(())
    }

    /// A delay: `delay_ms`, up to `jitter_ms` more or less, each as likely as the others.
    pub fn delay(&self, dice: &mut Dice) -> Micros {
        let (delay, jitter) = (Micros::from(self.delay_ms), Micros::from(self.jitter_ms));
        if jitter == 0 {
            return delay * MILLI;
        }
        (delay - jitter) * MILLI + dice.below(2 * jitter * MILLI + 1)
    }

    /// How long so many bytes take at its rate; 0 where it has none.
    pub fn takes(&self, bytes: u64) -> Micros {
        let all = u128::from(bytes) * 1_000_000;
        all.checked_div(self.rate_bytes.into()).unwrap_or(0) as Micros
    }
}

/// What happens to the bytes of a socket, or to those of many.
#[derive(Debug, Default)]
pub struct Weather {
    /// What all that is drawn comes from.
    pub seed: u64,
    /// To what is received.
    pub inward: Way,
    /// To what is sent.
    pub outward: Way,
    /// Sockets that it was set for: each draws for itself.
    sockets: AtomicU64,
}

impl Weather {
    /// Both directions, drawn from `seed`.
    pub fn new(seed: u64, inward: Way, outward: Way) -> Weather {
        Weather { seed, inward, outward, sockets: AtomicU64::new(0) }
    }

    /// The dice of one more socket, one pair for each direction: the first, the second … have the
    /// same ones each time.
    pub fn dice(&self) -> [Dice; 2] {
        let number = self.sockets.fetch_add(1, Relaxed);
        let mut first = Dice(self.seed ^ number.wrapping_mul(0xD1B5_4A32_D192_ED03));
        [Dice(first.roll()), Dice(first.roll())]
    }
}

impl PartialEq for Weather {
    fn eq(&self, other: &Weather) -> bool {
        let of = |it: &Weather| (it.seed, it.inward, it.outward);
        of(self) == of(other)
    }
}

/// Which of those that pass are lost: independently of each other, or in bursts. Then it is a chain
/// of two states (Gilbert 1960) that loses nothing in one and everything in the other, and is in
/// the latter for `burst` in the mean, for longer where that many cannot be lost otherwise.
#[derive(Debug, Default)]
pub struct Losses {
    bad: bool,
}

impl Losses {
    /// Whether the next one is lost.
    pub fn next(&mut self, way: &Way, dice: &mut Dice) -> bool {
        let Way { loss_ppm, burst, .. } = *way;
        if burst <= 1 || loss_ppm == 0 || loss_ppm >= MILLION {
            return dice.chance(loss_ppm);
        }
        let loss = f64::from(loss_ppm) / f64::from(MILLION);
        let odds = loss / (1.0 - loss);
        let burst = f64::from(burst).max(odds);
        self.bad = if self.bad { !dice.happens(1.0 / burst) } else { dice.happens(odds / burst) };
        self.bad
    }
}

/// Numbers from a seed: SplitMix64 (Steele, Lea, Flood 2014).
#[derive(Clone, Debug, Default)]
pub struct Dice(pub u64);

impl Dice {
    /// Any number.
    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let once = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let twice = (once ^ (once >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        twice ^ (twice >> 31)
    }

    /// A number below `most`.
    pub fn below(&mut self, most: u64) -> u64 {
        ((u128::from(self.roll()) * u128::from(most)) >> 64) as u64
    }

    /// Whether one of so many in a million happens.
    pub fn chance(&mut self, ppm: u32) -> bool {
        ppm > 0 && self.below(MILLION.into()) < ppm.into()
    }

    /// Whether something of this likelihood, 0 to 1, happens.
    pub fn happens(&mut self, likelihood: f64) -> bool {
        ((self.roll() >> 11) as f64) < likelihood * (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_drawn_is_refused_with_the_name_of_its_field() {
        let refused = |way: Way, field: &str| {
            let words = way.check("inward").expect_err(field);
            assert!(words.starts_with(&format!("fault.inward.{field} is ")), "{words}");
        };
        assert_eq!(Way::CALM, Way::default());
        assert_eq!(Way::CALM.check("inward"), Ok(()));
        refused(Way { delay_ms: 60_001, ..Way::CALM }, "delay_ms");
        refused(Way { jitter_ms: 2, delay_ms: 1, ..Way::CALM }, "jitter_ms");
        refused(Way { stall_ms: 60_001, ..Way::CALM }, "stall_ms");
        refused(Way { loss_ppm: MILLION + 1, ..Way::CALM }, "loss_ppm");
        refused(Way { duplicate_ppm: MILLION + 1, ..Way::CALM }, "duplicate_ppm");
        refused(Way { reorder_ppm: MILLION + 1, ..Way::CALM }, "reorder_ppm");
        refused(Way { corrupt_ppm: u32::MAX, ..Way::CALM }, "corrupt_ppm");
        refused(Way { burst: MILLION + 1, ..Way::CALM }, "burst");
        refused(Way { rate_bytes: u64::MAX, ..Way::CALM }, "rate_bytes");
    }

    #[test]
    fn each_socket_draws_for_itself_and_the_same_each_time() {
        let rolls = |weather: &Weather| weather.dice().map(|mut dice| dice.roll());
        let make = |seed| Weather::new(seed, Way::CALM, Way::CALM);
        let (one, other) = (make(7), make(7));
        let first = rolls(&one);
        assert_eq!(first, rolls(&other), "from the same seed");
        assert_ne!(first[0], first[1], "each direction by itself");
        assert_ne!(first, rolls(&one), "each socket by itself");
        assert_ne!(first, rolls(&make(8)));
    }

    #[test]
    fn dice_are_fair() {
        let mut dice = Dice(1);
        let often = (0..100_000).filter(|_| dice.chance(250_000)).count();
        assert!(often.abs_diff(25_000) < 500, "{often}");
        let often = (0..100_000).filter(|_| dice.happens(0.25)).count();
        assert!(often.abs_diff(25_000) < 500, "{often}");
        assert!((0..1000).all(|_| dice.chance(MILLION) && !dice.chance(0) && dice.below(3) < 3));
    }
}

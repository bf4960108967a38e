//! The peer's clock less ours, from samples that go back and forth in packets that go anyway.

use super::wire;
use crate::transport::lanes::Micros;

/// A sample is sent so often at first, and so often later.
const OFTEN: Micros = 200_000;
const SELDOM: Micros = 5_000_000;
/// So many at first.
const FIRST: u8 = 5;
/// A better sample is forgotten after so long: clocks drift.
const AGE: Micros = 30_000_000;

/// See the module.
#[derive(Default)]
pub struct Clock {
    /// The newest sample of the peer, and when it came.
    echo: Option<(u64, Micros)>,
    best: Option<Sample>,
    due: Micros,
    sent: u8,
}

struct Sample {
    round_trip: Micros,
    offset: i64,
    at: Micros,
}

impl Clock {
    /// What a packet is to say that leaves now.
    pub fn take(&mut self, now: Micros) -> Option<wire::Clock> {
        if now < self.due {
            return None;
        }
        self.sent = self.sent.saturating_add(1);
        self.due = now.saturating_add(if self.sent < FIRST { OFTEN } else { SELDOM });
        let (echo, came) = self.echo.take().unwrap_or((0, now));
        Some(wire::Clock { sent: now, echo, held: now.saturating_sub(came) })
    }

    /// The peer has said this. No error of its clock is an error of ours.
    pub fn handle(&mut self, clock: &wire::Clock, now: Micros) {
        self.echo = Some((clock.sent, now));
        if clock.echo == 0 {
            return;
        }
        let Some(elapsed) = now.checked_sub(clock.echo) else { return };
        let Some(round_trip) = elapsed.checked_sub(clock.held) else { return };
        let better = self
            .best
            .as_ref()
            .is_none_or(|best| round_trip <= best.round_trip || now.saturating_sub(best.at) > AGE);
        if better {
            let theirs = clock.sent.wrapping_add(round_trip / 2);
            let offset = theirs.wrapping_sub(now) as i64;
            self.best = Some(Sample { round_trip, offset, at: now });
        }
    }

    /// The peer's clock less ours.
    pub fn offset(&self) -> Option<i64> {
        self.best.as_ref().map(|best| best.offset)
    }
}

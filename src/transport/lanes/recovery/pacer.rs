//! Credit to send: it grows with time at the rate, and packets use it up.

use crate::transport::lanes::Micros;

/// Datagrams of one turn, and the most that credit is saved up for.
pub const TURN: u8 = 32;
/// Credit that is saved while nothing is sent, as seconds of the rate.
const SAVED: f64 = 0.002;
/// How far small messages may go into debt, as seconds of the rate. What is not urgent pays back.
const DEBT: f64 = 0.020;
/// What copies of small reliable messages may use of the rate, and bytes a second at least.
const COPIES: f64 = 0.10;
const COPIES_MIN: f64 = 4_000.0;
/// For how many seconds that allowance is saved up.
const COPIES_SAVED: f64 = 0.5;

pub struct Pacer {
    credit: f64,
    at: Micros,
    copies: f32,
    /// Datagrams that the turn may still send.
    left: u8,
    /// The turn before ended for want of credit: the credit of the whole gap counts, as far as a
    /// turn can use it. A host that calls rarely gets its rate all the same.
    starved: bool,
    /// The train of this turn has begun.
    begun: bool,
    /// A small message was refused in this turn.
    held: bool,
}

/// What the control says at the moment.
#[derive(Clone, Copy)]
pub struct Pace {
    /// Bytes a second.
    pub rate: f64,
    /// Bytes of a packet.
    pub packet: f64,
    /// Packets that leave together.
    pub train: u32,
}

impl Pacer {
    pub fn new(pace: Pace, now: Micros) -> Self {
        Self {
            credit: 2.0 * pace.packet,
            at: now,
            copies: 0.0,
            left: TURN,
            starved: false,
            begun: false,
            held: false,
        }
    }

    pub fn begin_turn(&mut self, pace: Pace, now: Micros) {
        let elapsed = now.saturating_sub(self.at) as f64 / 1e6;
        self.at = self.at.max(now);
        let most = f64::from(TURN) * pace.packet;
        let saved = if self.starved {
            most
        } else {
            let packets = if pace.train > 1 { pace.train + 1 } else { 2 };
            (pace.rate * SAVED).max(f64::from(packets) * pace.packet).min(most)
        };
        self.credit = (self.credit + pace.rate * elapsed).min(saved);
        let copies = copies_rate(pace.rate);
        let saved = f64::from(self.copies) + copies * elapsed;
        self.copies = saved.min(copies * COPIES_SAVED) as f32;
        self.left = TURN;
        self.starved = false;
        self.begun = false;
        self.held = false;
    }

    pub fn handle_sent(&mut self, size: usize) {
        self.credit -= size as f64;
        self.left = self.left.saturating_sub(1);
    }

    /// Whether credit lets a packet of small messages go.
    pub fn lets_small(&mut self, pace: Pace) -> bool {
        let lets = self.left > 0 && self.credit > -debt(pace);
        self.held |= !lets;
        lets
    }

    /// Whether credit lets a full packet go. `idle`: nothing is in flight.
    pub fn lets_bulk(&mut self, pace: Pace, idle: bool) -> bool {
        self.begun |= idle || self.credit >= f64::from(pace.train) * pace.packet;
        let enough = self.begun && self.credit >= pace.packet;
        self.starved = !enough;
        enough && self.left > 0
    }

    /// Whether a small message was refused in this turn.
    pub fn holds_small(&self) -> bool {
        self.held
    }

    /// When to try again what was refused.
    pub fn next(&self, pace: Pace, now: Micros) -> Micros {
        let needed = if self.held { -debt(pace) } else { f64::from(pace.train) * pace.packet };
        let missing = needed - self.credit;
        if missing <= 0.0 {
            return now;
        }
        // Rounded up, so that the credit is there; `as` saturates.
        let micros = (missing / pace.rate.max(1.0) * 1e6) as Micros;
        self.at.saturating_add(micros).saturating_add(1).max(now)
    }

    /// Takes `size` bytes from the allowance for copies, if they are there.
    pub fn take_copy(&mut self, size: usize) -> bool {
        let enough = self.copies >= size as f32;
        if enough {
            self.copies -= size as f32;
        }
        enough
    }
}

fn debt(pace: Pace) -> f64 {
    (DEBT * pace.rate).max(pace.packet)
}

fn copies_rate(rate: f64) -> f64 {
    (COPIES * rate).max(COPIES_MIN)
}

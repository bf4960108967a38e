//! The rate at which packets that left together arrive: the bottleneck's, before it is full.

use super::super::{Ack, PACKET};
use crate::transport::lanes::Micros;

/// Packets of a train at least.
pub const TRAIN: f64 = 5.0;
/// So much of it must have been acknowledged apart from its first packets.
const COUNTED: f64 = 0.55 * TRAIN * PACKET;
/// Over at least so long: less is the grain of the clocks.
const SPAN: Micros = 1_000;
/// The median of so many trains counts.
const KEPT: usize = 5;

#[derive(Default)]
pub struct Trains {
    current: Option<Train>,
    /// Bytes a second, oldest first.
    rates: Vec<f64>,
}

struct Train {
    sent_at: Micros,
    /// When the first and the newest ACK of it were sent, and what had been delivered by then.
    first: (Micros, u64),
    newest: (Micros, u64),
}

impl Trains {
    /// An ACK. True: it is the first of its train.
    pub fn handle_ack(&mut self, ack: &Ack) -> bool {
        let newest = (ack.received_at, ack.delivered);
        match &mut self.current {
            Some(train) if ack.sent_at < train.sent_at => false,
            Some(train) if ack.sent_at == train.sent_at => {
                train.newest = newest;
                false
            }
            current => {
                let next = Train { sent_at: ack.sent_at, first: newest, newest };
                if let Some(rate) = current.replace(next).and_then(|train| train.rate()) {
                    if self.rates.len() == KEPT {
                        self.rates.remove(0);
                    }
                    self.rates.push(rate);
                }
                true
            }
        }
    }

    pub fn is_measured(&self) -> bool {
        !self.rates.is_empty()
    }

    /// Bytes a second; infinite before a train was measured.
    pub fn rate(&self) -> f64 {
        let mut rates = self.rates.clone();
        rates.sort_by(f64::total_cmp);
        rates.get(rates.len() / 2).copied().unwrap_or(f64::INFINITY)
    }
}

impl Train {
    fn rate(&self) -> Option<f64> {
        let bytes = self.newest.1.wrapping_sub(self.first.1) as f64;
        let span = self.newest.0.saturating_sub(self.first.0);
        (bytes >= COUNTED && span > SPAN).then(|| bytes * 1e6 / span as f64)
    }
}

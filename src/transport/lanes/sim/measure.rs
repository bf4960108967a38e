//! What a flow achieved.

use std::collections::HashSet;

use super::{Kind, Message, Micros};

#[derive(Default)]
pub struct Record {
    /// When bulk arrived, and bytes of it.
    bulk: Vec<(Micros, u64)>,
    /// When a message was written, and how long it took.
    pub unreliable: Vec<(Micros, Micros)>,
    pub reliable: Vec<(Micros, Micros)>,
    seen: HashSet<(Kind, u64)>,
    /// Bytes on the wire, and packets.
    pub wire: u64,
    pub packets: u64,
}

impl Record {
    pub fn sent(&mut self, size: u64) {
        self.wire += size;
        self.packets += 1;
    }

    pub fn delivered(&mut self, message: Message, now: Micros) {
        assert!(self.seen.insert((message.kind, message.id)), "{message:?} was delivered twice");
        let took = (message.at, now - message.at);
        match message.kind {
            Kind::Bulk => self.bulk.push((now, message.bytes)),
            Kind::Unreliable => self.unreliable.push(took),
            Kind::Reliable => {
                assert_eq!(message.id, self.reliable.len() as u64, "out of order");
                self.reliable.push(took);
            }
        }
    }

    /// When so many bytes of bulk had arrived.
    pub fn bulk_at(&self, bytes: u64) -> Option<Micros> {
        let mut sum = 0;
        self.bulk.iter().find_map(|(at, more)| {
            sum += more;
            (sum >= bytes).then_some(*at)
        })
    }

    /// Mbit/s of bulk in a time.
    pub fn goodput(&self, from: Micros, until: Micros) -> f64 {
        let within = self.bulk.iter().filter(|(at, _)| (from..until).contains(at));
        within.map(|(_, bytes)| bytes).sum::<u64>() as f64 * 8.0 / (until - from) as f64
    }

    /// The 99th percentile, in milliseconds, of what unreliable messages written in a time took
    /// over `least`.
    pub fn excess(&self, from: Micros, until: Micros, least: Micros) -> f64 {
        excess(&self.unreliable, from, until, least)
    }
}

pub fn excess(list: &[(Micros, Micros)], from: Micros, until: Micros, least: Micros) -> f64 {
    let within = list.iter().filter(|(at, _)| (from..until).contains(at));
    let times = within.map(|(_, took)| (*took as f64 - least as f64) / 1e3).collect::<Vec<_>>();
    percentile(times, 0.99)
}

pub fn percentile(mut values: Vec<f64>, share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let index = (values.len().saturating_sub(1) as f64 * share).round() as usize;
    values.get(index).copied().unwrap_or(f64::NAN)
}

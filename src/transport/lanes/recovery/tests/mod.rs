//! Loss detection, acknowledgements and pacing, without a link.

mod acks;
mod credit;
mod properties;

use std::ops::RangeInclusive;

use super::*;

/// Bytes of the packets that these tests send.
const SIZE: usize = 1_000;
const MS: Micros = 1_000;

fn config(control: Control) -> RateConfig {
    RateConfig { control, ..RateConfig::default() }
}

/// What is remembered of a packet here is its number.
fn recovery(first: u64) -> Recovery<u64> {
    let mut recovery = Recovery::new(config(Control::Fixed), Some(100 * MS), 1, 0);
    recovery.skips.start_at(first);
    recovery
}

fn send(recovery: &mut Recovery<u64>, seqs: RangeInclusive<u64>, now: Micros) {
    for seq in seqs {
        recovery.handle_sent(seq, SIZE, Some(seq), false, now);
    }
}

/// The packets that an ACK tells of.
fn ack(
    recovery: &mut Recovery<u64>,
    ranges: &[RangeInclusive<u64>],
    now: Micros,
) -> Vec<(u64, Fate)> {
    let mut told = Vec::new();
    let done = recovery.handle_ack(ranges, 0, now, |seq, fate| told.push((*seq, fate)));
    assert_eq!(done, Ok(()));
    told
}

fn timeout(recovery: &mut Recovery<u64>, now: Micros) -> Vec<(u64, Fate)> {
    let mut told = Vec::new();
    recovery.handle_timeout(now, |seq, fate| told.push((*seq, fate)));
    told
}

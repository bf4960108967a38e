//! Broadcasts: every connection gets the same messages, and each gets all of them in order.

use super::{LENGTH, fill};
use std::fmt;
use std::ops::RangeInclusive;

/// Length, sequence, time of the tick.
const HEADER: usize = LENGTH + 8 + 8;
/// Header and filler; servers send no more than 1 MiB.
pub const SIZES: RangeInclusive<usize> = HEADER + 4..=1 << 20;
/// Memory for messages that are kept to compare with, and how many are at most.
const KEPT_BYTES: usize = 4 << 20;
const KEPT: RangeInclusive<usize> = 16..=4096;

/// Writes message `sequence` of a tick at `time`, in ns of the monotonic clock.
pub fn write(sequence: u64, time: u64, message: &mut [u8]) {
    let (header, filler) = message.split_at_mut(HEADER);
    let payload = u32::try_from(HEADER - LENGTH + filler.len()).expect("a message's size");
    header[..4].copy_from_slice(&payload.to_be_bytes());
    header[4..12].copy_from_slice(&sequence.to_be_bytes());
    header[12..].copy_from_slice(&time.to_be_bytes());
    fill(sequence, filler);
}

/// What is wrong with a broadcast.
#[derive(Debug, PartialEq)]
pub enum Wrong {
    /// Neither the size of the others nor, if it is the first, a possible one.
    Length {
        got: u32,
    },
    Sequence {
        want: u64,
        got: u64,
    },
    /// Another than on another connection, or earlier than that of the message before.
    Time {
        sequence: u64,
        want: u64,
        got: u64,
    },
    Byte {
        sequence: u64,
        at: usize,
        want: u8,
        got: u8,
    },
}

impl fmt::Display for Wrong {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Length { got } => write!(out, "a message with a length of {got}"),
            Self::Sequence { want, got } => write!(out, "message {got} came, not {want}"),
            Self::Time { sequence, want, got } => {
                write!(out, "message {sequence} has the time {got}, not {want}")
            }
            Self::Byte { sequence, at, want, got } => {
                write!(out, "message {sequence}, byte {at}: {got:#04x}, not {want:#04x}")
            }
        }
    }
}

impl std::error::Error for Wrong {}

/// The messages that came last, for all connections: each is made once and then compared with.
#[derive(Default)]
pub struct Messages {
    /// Of a message; 0 until the first has come.
    size: usize,
    /// Message `n` is in place `n` modulo their number, unless another has come there.
    kept: Vec<Kept>,
}

#[derive(Clone, Default)]
struct Kept {
    sequence: u64,
    time: u64,
    /// Empty: there is none yet.
    bytes: Vec<u8>,
}

impl Messages {
    /// Bytes of one message, which the first one tells.
    fn size(&mut self, bytes: &[u8]) -> Result<Option<usize>, Wrong> {
        let Some(length) = bytes.first_chunk() else { return Ok(None) };
        let length = u32::from_be_bytes(*length);
        let size = length as usize + LENGTH;
        if self.size == 0 && SIZES.contains(&size) {
            self.size = size;
            let count = (KEPT_BYTES / size).clamp(*KEPT.start(), *KEPT.end());
            self.kept.resize(count, Kept::default());
        }
        if size == self.size { Ok(Some(size)) } else { Err(Wrong::Length { got: length }) }
    }

    /// Message `sequence`; if it has not come before, one with this time.
    fn get(&mut self, sequence: u64, time: u64) -> &Kept {
        let place = (sequence % self.kept.len() as u64) as usize;
        let kept = &mut self.kept[place];
        if kept.sequence != sequence || kept.bytes.is_empty() {
            kept.bytes.resize(self.size, 0);
            (kept.sequence, kept.time) = (sequence, time);
            write(sequence, time, &mut kept.bytes);
        }
        kept
    }
}

/// Checks what one connection gets, however it is cut.
#[derive(Default)]
pub struct Verifier {
    /// The message that has to come next; before the first, any.
    next: Option<u64>,
    /// Of the message before.
    time: u64,
    /// The beginning of a message whose end has not come.
    part: Vec<u8>,
}

impl Verifier {
    /// Takes received bytes; `each` sees the time of each message that they complete.
    pub fn feed(
        &mut self,
        messages: &mut Messages,
        mut bytes: &[u8],
        mut each: impl FnMut(u64),
    ) -> Result<(), Wrong> {
        while !self.part.is_empty() && !bytes.is_empty() {
            let size = messages.size(&self.part)?.unwrap_or(LENGTH);
            let missing = (size - self.part.len()).min(bytes.len());
            self.part.extend_from_slice(&bytes[..missing]);
            bytes = &bytes[missing..];
            if messages.size(&self.part)? == Some(self.part.len()) {
                let message = std::mem::take(&mut self.part);
                each(self.check(messages, &message)?);
                // Its memory serves the next one.
                self.part = message;
                self.part.clear();
            }
        }
        while let Some(size) = messages.size(bytes)?
            && let Some((message, rest)) = bytes.split_at_checked(size)
        {
            each(self.check(messages, message)?);
            bytes = rest;
        }
        self.part.extend_from_slice(bytes);
        Ok(())
    }

    /// A whole message with the right length; gives its time.
    fn check(&mut self, messages: &mut Messages, message: &[u8]) -> Result<u64, Wrong> {
        let number = |at| message[at..].first_chunk().map(|word| u64::from_be_bytes(*word));
        let (sequence, time) = number(LENGTH).zip(number(LENGTH + 8)).expect("it has a header");
        let want = self.next.unwrap_or(sequence);
        if sequence != want {
            return Err(Wrong::Sequence { want, got: sequence });
        }
        let kept = messages.get(sequence, time);
        if time != kept.time || time < self.time {
            let want = kept.time.max(self.time);
            return Err(Wrong::Time { sequence, want, got: time });
        }
        if *message != *kept.bytes {
            let mut pairs = message.iter().zip(&kept.bytes).enumerate();
            let (at, (got, want)) =
                pairs.find(|(_, (got, want))| got != want).expect("they differ somewhere");
            return Err(Wrong::Byte { sequence, at, want: *want, got: *got });
        }
        self.next = Some(sequence + 1);
        self.time = time;
        Ok(time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Messages from `first` on, two for each tick; the first tick is at 1000, the next at 1010.
    fn stream(first: u64, count: u64, size: usize) -> Vec<u8> {
        let mut all = vec![0; size * count as usize];
        for (sequence, message) in (first..).zip(all.chunks_mut(size)) {
            write(sequence, 1000 + sequence / 2 * 10, message);
        }
        all
    }

    /// The times of all messages in some parts.
    fn feed(
        verifier: &mut Verifier,
        messages: &mut Messages,
        parts: &[&[u8]],
    ) -> Result<Vec<u64>, Wrong> {
        let mut times = Vec::new();
        for part in parts {
            verifier.feed(messages, part, |time| times.push(time))?;
        }
        Ok(times)
    }

    fn alone(parts: &[&[u8]]) -> Result<Vec<u64>, Wrong> {
        feed(&mut Verifier::default(), &mut Messages::default(), parts)
    }

    #[test]
    fn a_message_is_what_the_servers_send() {
        let mut message = [0; 31];
        write(0x0102, 0x0304, &mut message);
        assert_eq!(message[..4], [0, 0, 0, 27]);
        assert_eq!(message[4..12], [0, 0, 0, 0, 0, 0, 1, 2]);
        assert_eq!(message[12..20], [0, 0, 0, 0, 0, 0, 3, 4]);
        let mut seed = 0x0102;
        assert_eq!(message[20..28], super::super::next(&mut seed).to_be_bytes());
        assert_eq!(message[28..], super::super::next(&mut seed).to_be_bytes()[..3]);
    }

    #[test]
    fn every_cut_of_the_stream_is_verified() {
        for size in [24, 31] {
            let all = stream(7, 3, size);
            for first in 0..all.len() {
                for second in first..all.len() {
                    let times = alone(&[&all[..first], &all[first..second], &all[second..]]);
                    assert_eq!(times.unwrap(), [1030, 1040, 1040], "{first} {second}");
                }
            }
            let bytes: Vec<&[u8]> = all.chunks(1).collect();
            assert_eq!(alone(&bytes).unwrap().len(), 3);
        }
    }

    #[test]
    fn every_changed_byte_is_found() {
        let all = stream(7, 3, 31);
        for at in 0..all.len() {
            let mut bad = all.clone();
            bad[at] ^= 0x10;
            let mut messages = Messages::default();
            feed(&mut Verifier::default(), &mut messages, &[&all]).unwrap();
            for cut in [0, 3, 40] {
                let mut verifier = Verifier::default();
                let parts = [&bad[..cut], &bad[cut..]];
                let found = feed(&mut verifier, &mut messages, &parts);
                // The first message may be any; the second then has to be the one after it.
                let (message, byte) = ((7 + at / 31) as u64, at % 31);
                match found.unwrap_err() {
                    Wrong::Length { .. } => assert!(byte < 4),
                    Wrong::Sequence { .. } => assert!((4..12).contains(&byte)),
                    Wrong::Time { sequence, .. } => {
                        assert!(message == sequence && (12..20).contains(&byte));
                    }
                    Wrong::Byte { sequence, at: found, want, got } => {
                        assert_eq!(want ^ got, if byte < 20 { want ^ got } else { 0x10 });
                        assert!(byte < 12 || (sequence, found) == (message, byte));
                    }
                }
            }
        }
    }

    #[test]
    fn lost_doubled_and_swapped_messages_are_found() {
        let all = stream(0, 4, 24);
        let part = |n: usize| &all[24 * n..24 * (n + 1)];
        let wrong = |parts: &[&[u8]]| alone(parts).unwrap_err();
        assert_eq!(wrong(&[part(0), part(2)]), Wrong::Sequence { want: 1, got: 2 });
        assert_eq!(wrong(&[part(0), part(0)]), Wrong::Sequence { want: 1, got: 0 });
        assert_eq!(wrong(&[part(1), part(0)]), Wrong::Sequence { want: 2, got: 0 });
        // One may begin anywhere.
        assert_eq!(alone(&[part(2), part(3)]).unwrap(), [1010, 1010]);
    }

    #[test]
    fn sizes_and_times_hold_for_all() {
        let (mut messages, mut first) = (Messages::default(), Verifier::default());
        feed(&mut first, &mut messages, &[&stream(0, 2, 24)]).unwrap();
        let mut other = |bytes: &[u8]| feed(&mut Verifier::default(), &mut messages, &[bytes]);
        assert_eq!(other(&stream(0, 1, 25)), Err(Wrong::Length { got: 21 }));
        let mut late = [0; 24];
        write(1, 1001, &mut late);
        assert_eq!(other(&late), Err(Wrong::Time { sequence: 1, want: 1000, got: 1001 }));
        write(2, 999, &mut late);
        let found = feed(&mut first, &mut messages, &[&late]);
        assert_eq!(found, Err(Wrong::Time { sequence: 2, want: 1000, got: 999 }));
        for length in [0, 19, (1 << 20) - 3, u32::MAX] {
            assert_eq!(alone(&[&length.to_be_bytes()]), Err(Wrong::Length { got: length }));
        }
    }

    #[test]
    fn who_is_far_behind_is_verified_too() {
        let all = stream(0, 10_000, 24);
        let (mut messages, mut early, mut late) =
            (Messages::default(), Verifier::default(), Verifier::default());
        feed(&mut late, &mut messages, &[&all[..30]]).unwrap();
        feed(&mut early, &mut messages, &[&all]).unwrap();
        let rest = feed(&mut late, &mut messages, &[&all[30..]]).unwrap();
        assert_eq!(rest.len(), 9_999);
    }
}

//! The messages, and the verifier that every byte of an echo passes.

pub mod broadcast;

use std::fmt;
use std::ops::RangeInclusive;

/// Before the payload stands its length, big-endian.
pub const LENGTH: usize = 4;
/// Length, connection, sequence.
const HEADER: usize = 16;
/// How large a message may be: it has its header, and servers take a payload of up to 1 MiB.
pub const SIZES: RangeInclusive<usize> = HEADER..=LENGTH + (1 << 20);
/// Places of the table where a message's filler may begin.
const STARTS_LOG2: u32 = 12;
/// 2^64 divided by the golden ratio: multiplied with it, neighbours come to lie far apart.
const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

/// SplitMix64 (Steele, Lea, Flood 2014).
pub fn next(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_add(GOLDEN);
    let mut word = *seed;
    word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    word ^ (word >> 31)
}

/// Fills with the words of a generator, each big-endian, the last one cut.
pub fn fill(mut seed: u64, bytes: &mut [u8]) {
    for part in bytes.chunks_mut(8) {
        let word = next(&mut seed).to_be_bytes();
        part.copy_from_slice(&word[..part.len()]);
    }
}

/// The messages of one size. A message is a 4-byte length in network order, then a payload in which
/// every byte follows from the numbers of the connection and of the message: a framed server and a
/// raw one see one stream. The filler is a piece of one random table, from a place that the two
/// numbers choose, so that writing is copying and verifying is comparing.
pub struct Pattern {
    size: usize,
    table: Box<[u8]>,
}

impl Pattern {
    pub fn new(size: usize) -> Self {
        assert!(SIZES.contains(&size), "a message has {SIZES:?} bytes");
        let mut table = vec![0; (1 << STARTS_LOG2) + size - HEADER].into_boxed_slice();
        fill(0, &mut table);
        Self { size, table }
    }

    pub fn size(&self) -> usize {
        self.size
    }

    /// Writes message `sequence` of connection `conn`.
    pub fn write(&self, conn: u32, sequence: u64, message: &mut [u8]) {
        let (header, filler) = message.split_at_mut(HEADER);
        header.copy_from_slice(&self.header(conn, sequence));
        filler.copy_from_slice(self.filler(conn, sequence));
    }

    fn header(&self, conn: u32, sequence: u64) -> [u8; HEADER] {
        let length = u128::try_from(self.size - LENGTH).expect("a message's size");
        (length << 96 | u128::from(conn) << 64 | u128::from(sequence)).to_be_bytes()
    }

    fn filler(&self, conn: u32, sequence: u64) -> &[u8] {
        let both = u64::from(conn).rotate_left(32) ^ sequence;
        let start = (both.wrapping_mul(GOLDEN) >> (u64::BITS - STARTS_LOG2)) as usize;
        &self.table[start..][..self.size - HEADER]
    }

    fn byte(&self, conn: u32, sequence: u64, at: usize) -> u8 {
        match at.checked_sub(HEADER) {
            Some(at) => self.filler(conn, sequence)[at],
            None => self.header(conn, sequence)[at],
        }
    }
}

/// A byte that is not what was sent.
#[derive(Debug, PartialEq)]
pub struct Mismatch {
    pub conn: u32,
    pub sequence: u64,
    pub at: usize,
    pub want: u8,
    pub got: u8,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        let Self { conn, sequence, at, want, got } = self;
        write!(out, "connection {conn}, message {sequence}, byte {at}: {got:#04x}, not {want:#04x}")
    }
}

impl std::error::Error for Mismatch {}

/// Checks one connection's stream of echoes, however it is cut.
pub struct Verifier {
    conn: u32,
    sequence: u64,
    /// Bytes of message `sequence` that have come.
    at: usize,
}

impl Verifier {
    /// The next message to come is number `sequence`.
    pub fn new(conn: u32, sequence: u64) -> Self {
        Self { conn, sequence, at: 0 }
    }

    /// The message that comes now, or next.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Whether nothing of the next message has come yet.
    pub fn between_messages(&self) -> bool {
        self.at == 0
    }

    /// Takes received bytes; gives how many messages they completed.
    pub fn feed(&mut self, pattern: &Pattern, mut bytes: &[u8]) -> Result<u64, Mismatch> {
        let mut complete = 0;
        while !bytes.is_empty() {
            let (now, rest) = bytes.split_at(bytes.len().min(pattern.size - self.at));
            if !self.matches(pattern, now) {
                return Err(self.mismatch(pattern, now));
            }
            self.at += now.len();
            bytes = rest;
            if self.at == pattern.size {
                complete += 1;
                self.sequence += 1;
                self.at = 0;
            }
        }
        Ok(complete)
    }

    /// Whether this is what comes next of the message that is in flight.
    fn matches(&self, pattern: &Pattern, bytes: &[u8]) -> bool {
        let header = pattern.header(self.conn, self.sequence);
        let header = &header[self.at.min(HEADER)..];
        let filler = pattern.filler(self.conn, self.sequence);
        let filler = &filler[self.at.saturating_sub(HEADER)..];
        let (first, second) = bytes.split_at(header.len().min(bytes.len()));
        *first == header[..first.len()] && *second == filler[..second.len()]
    }

    fn mismatch(&self, pattern: &Pattern, bytes: &[u8]) -> Mismatch {
        let (conn, sequence) = (self.conn, self.sequence);
        let wants = (self.at..).map(|at| (at, pattern.byte(conn, sequence, at)));
        let mut pairs = wants.zip(bytes);
        let ((at, want), got) =
            pairs.find(|((_, want), got)| want != *got).expect("they differ somewhere");
        Mismatch { conn, sequence, at, want, got: *got }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(conn: u32, count: u64, size: usize) -> Vec<u8> {
        let pattern = Pattern::new(size);
        let mut all = vec![0; size * count as usize];
        for (sequence, message) in all.chunks_mut(size).enumerate() {
            pattern.write(conn, sequence as u64, message);
        }
        all
    }

    #[test]
    fn a_message_begins_with_its_length() {
        let mut message = [0; 64];
        Pattern::new(64).write(7, 1, &mut message);
        assert_eq!(message[..4], [0, 0, 0, 60]);
        assert_eq!(message[4..16], [0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 1]);
    }

    #[test]
    fn messages_differ_in_their_fillers_too() {
        let all = [stream(0, 100, 64), stream(1, 100, 64)].concat();
        let mut fillers: Vec<_> = all.chunks(64).map(|message| &message[16..]).collect();
        fillers.sort_unstable();
        fillers.dedup();
        // The table has some thousand places: a few may fall together.
        assert!(fillers.len() > 180, "{}", fillers.len());
    }

    #[test]
    fn every_cut_of_the_stream_is_verified() {
        for size in [16, 17, 64] {
            let (pattern, all) = (Pattern::new(size), stream(3, 3, size));
            for first in 0..all.len() {
                for second in first..all.len() {
                    let mut verifier = Verifier::new(3, 0);
                    let parts = [&all[..first], &all[first..second], &all[second..]];
                    let complete: u64 =
                        parts.iter().map(|part| verifier.feed(&pattern, part).unwrap()).sum();
                    assert_eq!((complete, verifier.sequence()), (3, 3));
                    assert!(verifier.between_messages());
                }
            }
        }
    }

    #[test]
    fn every_changed_byte_is_found_where_it_is() {
        let (pattern, all) = (Pattern::new(64), stream(3, 3, 64));
        for at in 0..all.len() {
            let mut bad = all.clone();
            bad[at] ^= 0x10;
            for cut in [0, 7, 64, 100] {
                let mut verifier = Verifier::new(3, 0);
                let found = verifier.feed(&pattern, &bad[..cut]);
                let found = found.and_then(|_| verifier.feed(&pattern, &bad[cut..])).unwrap_err();
                assert_eq!((found.sequence, found.at), ((at / 64) as u64, at % 64));
                assert_eq!((found.want, found.got), (all[at], all[at] ^ 0x10));
            }
        }
    }

    #[test]
    fn lost_doubled_swapped_and_foreign_messages_are_found() {
        let (pattern, all) = (Pattern::new(64), stream(3, 4, 64));
        let (first, second) = (&all[..64], &all[64..128]);
        let bad = [
            second.to_vec(),
            [first, first].concat(),
            [first, &all[128..]].concat(),
            stream(4, 1, 64),
            all[1..].to_vec(),
        ];
        for (n, bytes) in bad.iter().enumerate() {
            assert!(Verifier::new(3, 0).feed(&pattern, bytes).is_err(), "case {n}");
        }
    }

    #[test]
    fn a_part_of_a_message_does_not_count() {
        let (pattern, all) = (Pattern::new(64), stream(0, 2, 64));
        let mut verifier = Verifier::new(0, 0);
        assert_eq!(verifier.feed(&pattern, &all[..63]), Ok(0));
        assert!(!verifier.between_messages());
        assert_eq!(verifier.feed(&pattern, &all[63..127]), Ok(1));
        assert_eq!(verifier.feed(&pattern, &all[127..]), Ok(1));
        assert_eq!(verifier.feed(&pattern, &[]), Ok(0));
    }

    #[test]
    fn a_stream_may_be_joined_later() {
        let (pattern, all) = (Pattern::new(64), stream(5, 4, 64));
        assert_eq!(Verifier::new(5, 2).feed(&pattern, &all[128..]), Ok(2));
        assert!(Verifier::new(5, 2).feed(&pattern, &all).is_err());
    }
}

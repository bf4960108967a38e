//! The messages, and the verifier that every byte of an echo passes.

use std::fmt;

/// Smallest message: length, connection, sequence.
pub const SIZE_MIN: usize = 16;

/// Writes message `sequence` of connection `conn`: a 4-byte length in network order, then a payload
/// in which every byte follows from the two numbers. A framed server and a raw one see one stream.
pub fn write(conn: u32, sequence: u64, message: &mut [u8]) {
    assert!(message.len() >= SIZE_MIN, "a message has at least {SIZE_MIN} bytes");
    let payload = u32::try_from(message.len() - 4).expect("a message fits its length field");
    message[..4].copy_from_slice(&payload.to_be_bytes());
    message[4..8].copy_from_slice(&conn.to_be_bytes());
    message[8..16].copy_from_slice(&sequence.to_be_bytes());
    let mut seed = (u64::from(conn) << 32) ^ sequence;
    for part in message[16..].chunks_mut(8) {
        let word = next(&mut seed).to_be_bytes();
        part.copy_from_slice(&word[..part.len()]);
    }
}

/// SplitMix64 (Steele, Lea, Flood 2014).
pub fn next(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut word = *seed;
    word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    word ^ (word >> 31)
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

/// Checks one connection's stream of echoes, however it is cut.
pub struct Verifier {
    conn: u32,
    sequence: u64,
    /// Bytes of `expected` that have come.
    at: usize,
    /// Message `sequence`.
    expected: Box<[u8]>,
}

impl Verifier {
    pub fn new(conn: u32, size: usize) -> Self {
        let mut expected = vec![0; size].into_boxed_slice();
        write(conn, 0, &mut expected);
        Self { conn, sequence: 0, at: 0, expected }
    }

    /// Takes received bytes; gives how many messages they completed.
    pub fn feed(&mut self, mut bytes: &[u8]) -> Result<u64, Mismatch> {
        let mut complete = 0;
        while !bytes.is_empty() {
            let want = &self.expected[self.at..];
            let (now, rest) = bytes.split_at(want.len().min(bytes.len()));
            if *now != want[..now.len()] {
                return Err(self.mismatch(now));
            }
            self.at += now.len();
            bytes = rest;
            if self.at == self.expected.len() {
                complete += 1;
                self.sequence += 1;
                self.at = 0;
                write(self.conn, self.sequence, &mut self.expected);
            }
        }
        Ok(complete)
    }

    fn mismatch(&self, bytes: &[u8]) -> Mismatch {
        let pairs = bytes.iter().zip(&self.expected[self.at..]);
        let (n, (got, want)) =
            pairs.enumerate().find(|(_, (got, want))| got != want).expect("they differ somewhere");
        let (conn, sequence) = (self.conn, self.sequence);
        Mismatch { conn, sequence, at: self.at + n, want: *want, got: *got }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(conn: u32, count: u64, size: usize) -> Vec<u8> {
        let mut all = vec![0; size * count as usize];
        for (sequence, message) in all.chunks_mut(size).enumerate() {
            write(conn, sequence as u64, message);
        }
        all
    }

    #[test]
    fn a_message_begins_with_its_length() {
        let mut message = [0; 64];
        write(7, 1, &mut message);
        assert_eq!(message[..4], [0, 0, 0, 60]);
        assert_eq!(message[4..16], [0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 1]);
    }

    #[test]
    fn every_cut_of_the_stream_is_verified() {
        for size in [16, 17, 64] {
            let all = stream(3, 3, size);
            for first in 0..all.len() {
                for second in first..all.len() {
                    let mut verifier = Verifier::new(3, size);
                    let parts = [&all[..first], &all[first..second], &all[second..]];
                    let complete: u64 = parts.iter().map(|p| verifier.feed(p).unwrap()).sum();
                    assert_eq!(complete, 3);
                }
            }
        }
    }

    #[test]
    fn every_changed_byte_is_found_where_it_is() {
        let all = stream(3, 3, 64);
        for at in 0..all.len() {
            let mut bad = all.clone();
            bad[at] ^= 0x10;
            let found = Verifier::new(3, 64).feed(&bad).unwrap_err();
            assert_eq!((found.sequence, found.at), ((at / 64) as u64, at % 64));
            assert_eq!((found.want, found.got), (all[at], all[at] ^ 0x10));
        }
    }

    #[test]
    fn lost_doubled_swapped_and_foreign_messages_are_found() {
        let all = stream(3, 4, 64);
        let (first, second) = (&all[..64], &all[64..128]);
        let bad = [
            second.to_vec(),
            [first, first].concat(),
            [first, &all[128..]].concat(),
            stream(4, 1, 64),
            all[1..].to_vec(),
        ];
        for (n, bytes) in bad.iter().enumerate() {
            assert!(Verifier::new(3, 64).feed(bytes).is_err(), "case {n}");
        }
    }

    #[test]
    fn a_part_of_a_message_does_not_count() {
        let all = stream(0, 2, 64);
        let mut verifier = Verifier::new(0, 64);
        assert_eq!(verifier.feed(&all[..63]), Ok(0));
        assert_eq!(verifier.feed(&all[63..127]), Ok(1));
        assert_eq!(verifier.feed(&all[127..]), Ok(1));
        assert_eq!(verifier.feed(&[]), Ok(0));
    }
}

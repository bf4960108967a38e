//! Which packets came before.

const WORDS: usize = 8;
/// How far behind the newest a packet may come.
pub const WINDOW: u64 = 64 * WORDS as u64;

/// The newest sequence number that came, and which of the `WINDOW` up to it.
#[derive(Clone, Default)]
pub struct Replay {
    newest: u64,
    /// The bit of a number is at the number modulo `WINDOW`.
    seen: [u64; WORDS],
}

impl Replay {
    /// Whether it neither came nor is too old to know.
    pub fn is_new(&self, sequence: u64) -> bool {
        if sequence > self.newest {
            return true;
        }
        // Subtracted, since a sum could pass the end of the sequence.
        let (word, bit) = place(sequence);
        self.newest - sequence < WINDOW && self.seen[word] & bit == 0
    }

    /// It came, and was opened.
    pub fn remember(&mut self, sequence: u64) {
        if sequence > self.newest {
            if sequence - self.newest >= WINDOW {
                self.seen = [0; WORDS];
            } else {
                for passed in self.newest + 1..=sequence {
                    let (word, bit) = place(passed);
                    self.seen[word] &= !bit;
                }
            }
            self.newest = sequence;
        }
        let (word, bit) = place(sequence);
        self.seen[word] |= bit;
    }
}

fn place(sequence: u64) -> (usize, u64) {
    let at = sequence % WINDOW;
    ((at / 64) as usize, 1 << (at % 64))
}

//! When the connections of a socket want to be looked at.

use crate::transport::Stream;
use crate::transport::lanes::Micros;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Times of streams, the earliest first. An entry may be of a stream that wants to be looked at
/// later by then, or that is gone: who is looked at says anew when.
#[derive(Default)]
pub struct Timers {
    heap: BinaryHeap<Reverse<(Micros, Stream)>>,
}

/// What a stream has of it: the earliest of its entries; MAX: it has none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Armed(Micros);

impl Default for Armed {
    fn default() -> Armed {
        Armed(Micros::MAX)
    }
}

impl Timers {
    /// The earliest.
    pub fn next(&self) -> Option<Micros> {
        self.heap.peek().map(|Reverse((at, _))| *at)
    }

    /// A stream wants to be looked at by then. It is, unless it is before.
    pub fn arm(&mut self, stream: Stream, armed: &mut Armed, at: Micros) {
        if at < armed.0 {
            armed.0 = at;
            self.heap.push(Reverse((at, stream)));
        }
    }

    /// The next one that is due, and when it was to be.
    pub fn due(&mut self, now: Micros) -> Option<(Stream, Micros)> {
        let &Reverse((at, stream)) = self.heap.peek()?;
        if at > now {
            return None;
        }
        self.heap.pop();
        if self.heap.is_empty() {
            self.heap = BinaryHeap::new();
        }
        Some((stream, at))
    }
}

impl Armed {
    /// An entry came up. Whether it was the one that counts.
    pub fn fired(&mut self, at: Micros) -> bool {
        let counts = self.0 == at;
        if counts {
            self.0 = Micros::MAX;
        }
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_earliest_entry_of_a_stream_counts() {
        let (mut timers, mut armed) = (Timers::default(), Armed::default());
        let stream = Stream(3);
        timers.arm(stream, &mut armed, 50);
        timers.arm(stream, &mut armed, 60);
        timers.arm(stream, &mut armed, 40);
        assert_eq!(timers.next(), Some(40));
        assert_eq!(timers.due(39), None);
        let (_, at) = timers.due(45).expect("due");
        assert!(armed.fired(at), "it is to be looked at");
        timers.arm(stream, &mut armed, 100);
        let (_, at) = timers.due(200).expect("the old one");
        assert_eq!(at, 50);
        assert!(!armed.fired(at), "which counts no more");
        let (_, at) = timers.due(200).expect("the new one");
        assert!(armed.fired(at));
        assert_eq!((timers.due(200), timers.next()), (None, None));
    }
}

//! When the events of a queue came: how old the oldest is, and how long each waited for its poll.

use std::collections::VecDeque;
use std::time::Duration;

/// Room for so many entries is kept.
const KEEP: usize = 1024;

/// One entry for all events that came at a time, in their order.
#[derive(Default)]
pub struct Arrivals(VecDeque<(Duration, usize)>);

impl Arrivals {
    /// So many events come, by the net's clock.
    pub fn put(&mut self, now: Duration, events: usize) {
        match self.0.back_mut() {
            Some((at, there)) if *at == now => *there += events,
            _ => self.0.push_back((now, events)),
        }
    }

    /// When the oldest came.
    pub fn oldest(&self) -> Option<Duration> {
        self.0.front().map(|(at, _)| *at)
    }

    /// The first `events` go. `see` is told how many came when, in order.
    pub fn take(&mut self, mut events: usize, mut see: impl FnMut(Duration, usize)) {
        while events > 0
            && let Some((at, there)) = self.0.front_mut()
        {
            let some = events.min(*there);
            see(*at, some);
            *there -= some;
            events -= some;
            if *there == 0 {
                self.0.pop_front();
            }
        }
        if self.0.is_empty() && self.0.capacity() > KEEP {
            self.0 = VecDeque::new();
        }
    }

    /// Those of `others` are behind these.
    pub fn append(&mut self, others: &mut Arrivals) {
        self.0.append(&mut others.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_go_as_they_came() {
        let at = Duration::from_nanos;
        let (mut first, mut second) = (Arrivals::default(), Arrivals::default());
        first.put(at(0), 2);
        first.put(at(0), 1);
        first.put(at(7), 4);
        second.put(at(9), 1);
        first.append(&mut second);
        assert_eq!((first.oldest(), second.oldest()), (Some(at(0)), None));
        let mut seen = Vec::new();
        first.take(5, |at, events| seen.push((at, events)));
        assert_eq!(seen, [(at(0), 3), (at(7), 2)]);
        assert_eq!(first.oldest(), Some(at(7)));
        first.take(9, |at, events| seen.push((at, events)));
        assert_eq!(seen[2..], [(at(7), 2), (at(9), 1)]);
        assert_eq!(first.oldest(), None);
    }
}

//! The open loop: messages leave when they should, whether the server keeps up or not, and are late
//! from then on. A server that stands still so shows in all the messages that should have left
//! meanwhile, not just in those that it had.

use super::link::Link;
use super::{Common, Work, clock};
use crate::pattern::Pattern;
use anyhow::Result;

/// From this long before a message has to leave, it is waited for without sleep, unless sleep is
/// asked for: waking may take hundreds of microseconds. And a server then does not pay for waking
/// its client, which in other places is another machine.
const AWAKE_NS: u64 = 1_000_000;
/// Messages that are sent before answers are looked for, if all are late.
const BURST: u32 = 16;

pub struct Open {
    pattern: Pattern,
    links: Vec<Link>,
    schedule: Schedule,
    /// From this long before a message has to leave, it is waited for without sleep.
    awake_ns: u64,
    out: Vec<u8>,
}

/// When which message has to leave. Message `number` belongs to connection `number` modulo their
/// count, in which all messages so have their turn.
struct Schedule {
    rate: u64,
    /// The next message.
    next: u64,
    /// Message `first` has to leave at `start`. Those before it are of another schedule.
    first: u64,
    start: u64,
}

impl Schedule {
    /// Starts anew: the next message has to leave at `start`.
    fn restart(&mut self, start: u64) {
        (self.first, self.start) = (self.next, start);
    }

    /// When a message has or had to leave; none if that was before the restart.
    fn time(&self, number: u64) -> Option<u64> {
        let after = number.checked_sub(self.first)?;
        let ns = u128::from(after) * 1_000_000_000 / u128::from(self.rate);
        Some(self.start + u64::try_from(ns).expect("centuries"))
    }

    /// When the next message has to leave.
    fn due(&self) -> u64 {
        self.time(self.next).expect("it is not before the first")
    }
}

impl Open {
    pub fn connect(common: &Common, pattern: Pattern, rate: u32, asleep: bool) -> Result<Self> {
        clock::wake_sharply()?;
        let links = Link::connect(common)?;
        let schedule = Schedule { rate: rate.into(), next: 0, first: 0, start: 0 };
        let awake_ns = if asleep { 0 } else { AWAKE_NS };
        Ok(Self { pattern, links, schedule, awake_ns, out: Vec::new() })
    }

    /// Sends what is due, but some only; gives how long it is until the next message is.
    fn send_due(&mut self) -> Result<u64> {
        for _ in 0..BURST {
            let mut now = clock::now();
            if self.schedule.start < clock::went_on() {
                // What should have left during the stop is not made up for.
                now = clock::now();
                self.schedule.restart(now);
            }
            if let early @ 1.. = self.schedule.due().saturating_sub(now) {
                return Ok(early);
            }
            let n = self.schedule.next % self.links.len() as u64;
            self.schedule.next += 1;
            self.links[n as usize].send(&self.pattern, 1, &mut self.out)?;
        }
        Ok(0)
    }
}

impl Work for Open {
    fn start(&mut self, _common: &mut Common) -> Result<()> {
        self.schedule.restart(clock::now());
        Ok(())
    }

    fn due(&mut self, _common: &mut Common) -> Result<u64> {
        Ok(self.send_due()?.saturating_sub(self.awake_ns))
    }

    fn turn(&mut self, common: &mut Common, n: u32, ready: u32) -> Result<()> {
        let mut more = true;
        self.links[n as usize].send_rest()?;
        while more && ready & !libc::EPOLLOUT as u32 != 0 {
            let link = &mut self.links[n as usize];
            let first = link.verifier.sequence();
            let verified;
            (verified, more) = link.receive(&self.pattern, ready, &mut common.received)?;
            let now = clock::now();
            for sequence in first..first + verified {
                let number = sequence * self.links.len() as u64 + u64::from(n);
                if let Some(began) = self.schedule.time(number) {
                    common.latencies.record(began, now);
                }
            }
            common.counter.add(verified);
            // Many may be ready; meanwhile others are due.
            self.send_due()?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_leave_at_the_rate() {
        let mut schedule = Schedule { rate: 3, next: 0, first: 0, start: 5 };
        assert_eq!(schedule.due(), 5);
        schedule.next = 3_000_000_000;
        assert_eq!(schedule.due(), 1_000_000_000 * 1_000_000_000 + 5);
        assert_eq!(schedule.time(1), Some(333_333_338));
    }

    #[test]
    fn a_restart_forgets_what_was_due() {
        let mut schedule = Schedule { rate: 1000, next: 7, first: 0, start: 5 };
        schedule.restart(50);
        assert_eq!((schedule.due(), schedule.time(8)), (50, Some(1_000_050)));
        assert_eq!(schedule.time(6), None);
    }
}

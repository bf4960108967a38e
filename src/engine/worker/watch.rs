//! When a worker looks at memory, and when what a burst took goes back to the system.

use crate::session::Millis;
use std::mem;

/// So much that was in use and is not any more is a burst, and goes back to the system.
pub const BURST_BYTES: u64 = 4 << 20;
/// How long it is not needed before that.
pub const CALM_MS: Millis = 1000;
/// A worker's own: when it looks at memory next.
#[derive(Default)]
pub struct Watch {
    /// 0: when something changes.
    pub pressed: Millis,
    /// The next connection is closed for its memory no sooner.
    pub closes: Millis,
    pub calm: Millis,
    /// The most that was out since memory last went back, and since the last look.
    pub high: u64,
    pub recent: u64,
    /// The wait after a look that found nothing to give back.
    pub wait: Millis,
    /// The pool's peak when it was last looked at: it is counted once.
    pub peak: u64,
    /// Another worker had the allocator's memory go back just before: this one's part is still due.
    pub owed: bool,
}

impl Watch {
    /// When to look.
    pub fn due(&self) -> Option<Millis> {
        [self.pressed, self.calm].into_iter().filter(|&at| at > 0).min()
    }

    /// Notes how much is out, and the most that was since the last time. True: memory is to go
    /// back to the system.
    pub fn note(&mut self, bytes: u64, peak: u64, now: Millis) -> bool {
        self.recent = self.recent.max(bytes).max(peak);
        if self.high.max(self.recent) - bytes >= BURST_BYTES {
            // Some was given back: the wait is as short as at first.
            (self.wait, self.calm) = (CALM_MS, self.calm.min(now + CALM_MS));
        }
        if self.calm == 0 || self.recent >= self.high + BURST_BYTES {
            if self.recent < BURST_BYTES.max(self.high) {
                return false;
            }
            self.high = self.high.max(self.recent);
            (self.wait, self.calm) = (CALM_MS, now + CALM_MS);
        }
        if now < self.calm {
            return false;
        }
        let unused = self.high - self.recent.min(self.high);
        let falls = self.recent - bytes >= BURST_BYTES;
        let gives_back = unused >= BURST_BYTES;
        if gives_back || falls {
            self.wait = CALM_MS;
        } else {
            // The host keeps it: one more look after twice the time, so that there are few in all.
            self.wait *= 2;
        }
        if gives_back {
            self.high = self.recent;
        }
        self.recent = bytes;
        self.calm = if self.high >= BURST_BYTES { now + self.wait } else { 0 };
        gives_back | mem::take(&mut self.owed)
    }

    /// What is noted at `now` did not free all: once more in a while.
    pub fn owe(&mut self, now: Millis) {
        self.owed = true;
        self.wait = CALM_MS;
        self.calm = if self.calm == 0 { now + CALM_MS } else { self.calm.min(now + CALM_MS) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_goes_back_when_it_is_over_and_looks_become_rare() {
        let mut watch = Watch::default();
        assert!(!watch.note(BURST_BYTES - 1, 0, 1) && watch.due().is_none(), "no burst");
        assert!(!watch.note(20 * BURST_BYTES, 0, 10));
        let (mut now, mut looks, mut given) = (10, 0, 0);
        while let Some(due) = watch.due() {
            now = due;
            looks += 1;
            given += u32::from(watch.note(100, 100, now));
            assert!(looks < 5, "it ends");
        }
        assert_eq!((given, now <= 10 + 3 * CALM_MS), (1, true));
        // The host keeps it for a day.
        assert!(!watch.note(20 * BURST_BYTES, 0, now));
        let day = now + 86_400_000;
        looks = 0;
        while watch.due().is_some_and(|due| due < day) {
            now = watch.due().expect("as asked");
            assert!(!watch.note(20 * BURST_BYTES, 0, now));
            looks += 1;
        }
        assert!(looks < 20, "{looks} looks in a day");
    }
}

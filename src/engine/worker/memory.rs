//! Memory: which connections are closed when unfinished frames or unread sends fill their share of
//! it, and when what a burst took goes back to the system.
//!
//! The pool bounds both shares, so neither keeps the net from receiving. From half a share on the
//! net is under *pressure*: a worker looks at all connections, and of the source that holds most it
//! closes those that make no progress, the largest first, until half a share is free. A source is
//! an address, or the /64 of an IPv6 one. Nothing is counted for that while there is no pressure.

use crate::buf::CHUNK_BYTES;
use crate::engine::shared::conn::{End, LaneState};
use crate::engine::shared::core::Core;
use crate::engine::shared::counters::count;
use crate::engine::shared::home::Command;
use crate::engine::shared::pressure::{Holder, LOOKS_MS, Progress, STILL_MS, Seen, name, victims};
use crate::engine::worker::desk::Desk;
use crate::io::os::sys;
use crate::io::{Lane, Token};
use crate::session::{Cause, Millis};
use std::collections::HashMap;
use std::mem;
use std::sync::atomic::Ordering::*;

/// So much that was in use and is not any more is a burst, and goes back to the system.
const BURST_BYTES: u64 = 4 << 20;
/// How long it is not needed before that.
const CALM_MS: Millis = 1000;

/// A worker's own: when it looks at memory next.
#[derive(Default)]
pub struct Watch {
    /// 0: when something changes.
    pressed: Millis,
    calm: Millis,
    /// The most that was out since memory last went back, and since the last look.
    high: u64,
    recent: u64,
    /// The wait after a look that found nothing to give back.
    wait: Millis,
}

impl Watch {
    /// When to look.
    pub fn due(&self) -> Option<Millis> {
        [self.pressed, self.calm].into_iter().filter(|&at| at > 0).min()
    }

    /// Notes how much is out. True: memory is to go back to the system.
    fn note(&mut self, bytes: u64, now: Millis) -> bool {
        self.recent = self.recent.max(bytes);
        if self.high.max(self.recent) - bytes >= BURST_BYTES {
            // Somebody gave some up: no longer a wait than at first.
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
        gives_back
    }
}

/// Every connection that holds something.
fn holders(core: &Core, now: Millis) -> Vec<Holder> {
    let mut before = mem::take(&mut *core.pressure.seen.lock());
    if now - before.at > 2 * STILL_MS {
        before.by.clear();
    }
    let (mut holders, mut by) = (Vec::new(), HashMap::new());
    core.table.each_conn(|token, conn| {
        let Some(mut holder) = Holder::new(conn, token, now) else { return };
        let progress = match before.by.get(&token) {
            Some(progress) => progress.next(conn, now),
            None => Progress::new(conn, now),
        };
        let read = conn.lanes[Lane::In as usize] == LaneState::InFlight || holder.starved;
        holder.still[0] |= progress.slow[0] && read && !conn.paused;
        holder.still[1] |=
            progress.slow[1] && conn.lanes[Lane::Out as usize] == LaneState::InFlight;
        by.insert(token, progress);
        holders.push(holder);
    });
    *core.pressure.seen.lock() = Seen { at: now, by };
    holders
}

/// Closes a connection for what it holds.
fn starve(core: &Core, token: Token) -> bool {
    let Some(mut held) = core.table.hold(token) else { return false };
    let Some(conn) = held.conn().filter(|conn| conn.end != End::Abrupt) else { return false };
    conn.reset = true;
    conn.end_abruptly(Cause::LimitMemory, 0);
    let home = usize::from(conn.home);
    drop(held);
    core.homes[home].post(Command::Tend(token));
    true
}

impl Desk {
    /// Looks at memory, at the end of a turn: whether it is short, and whether a burst is over.
    pub fn watch_memory(&mut self, core: &Core) {
        self.watch.pressed = 0;
        if core.pool.is_pressed() {
            if core.pressure.claim(self.now) {
                self.press(core);
            }
            let next = core.pressure.next.load(SeqCst);
            self.watch.pressed = next.max(self.now + 1);
        }
        if self.watch.note(core.pool.bytes(), self.now) {
            self.give_back(core);
        }
    }

    /// Closes those that hold what others need and make no progress.
    #[cold]
    fn press(&mut self, core: &Core) {
        let holders = holders(core, self.now);
        let mut closed = 0;
        for kind in 0..2 {
            let sum: u64 = holders.iter().map(|holder| holder.held[kind]).sum();
            let (what, out) = match kind {
                0 => ("unfinished frames", core.pool.frame_bytes()),
                _ => ("unread messages", core.pool.send_bytes().max(sum)),
            };
            let half = core.pool.share_max() / 2;
            // Without memory to receive into nobody is served: no second is waited then.
            let urgent = out > half && !core.pool.has_room(CHUNK_BYTES);
            let excess = if urgent { out } else { out.saturating_sub(half) };
            let mut all = victims(&holders, kind, excess, urgent);
            all.retain(|holder| starve(core, holder.token));
            if let Some(first) = all.first() {
                let (ones, from) = (all.len(), name(first.source));
                self.say(|| {
                    format!(
                        "{ones} connections were closed (LIMIT_MEMORY), most of {from}: {what} \
                         take {out} bytes of memory_max_bytes {}",
                        core.config.memory_max_bytes
                    )
                });
            }
            closed += all.len();
        }
        count(&core.homes[self.home].counters.memory_closes, closed as u64);
        if closed == 0 {
            core.pressure.next.store(self.now + LOOKS_MS.1, SeqCst);
        }
    }

    /// Has what a burst took go back to the system.
    #[cold]
    fn give_back(&mut self, core: &Core) {
        self.slim();
        self.trims = true;
        core.pool.trim();
        // The allocator's own is gone through once for all workers.
        let due = |last: u64| (last == 0 || last + CALM_MS / 2 <= self.now).then_some(self.now);
        if core.pressure.trimmed.fetch_update(SeqCst, SeqCst, due).is_ok() {
            sys::trim_heap();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_goes_back_when_it_is_over_and_looks_become_rare() {
        let mut watch = Watch::default();
        assert!(!watch.note(BURST_BYTES - 1, 1) && watch.due().is_none(), "no burst");
        assert!(!watch.note(20 * BURST_BYTES, 10));
        let (mut now, mut looks, mut given) = (10, 0, 0);
        while let Some(due) = watch.due() {
            now = due;
            looks += 1;
            given += u32::from(watch.note(100, now));
            assert!(looks < 5, "it ends");
        }
        assert_eq!((given, now <= 10 + 3 * CALM_MS), (1, true));
        // The host keeps it for a day.
        assert!(!watch.note(20 * BURST_BYTES, now));
        let day = now + 86_400_000;
        looks = 0;
        while watch.due().is_some_and(|due| due < day) {
            now = watch.due().expect("as asked");
            assert!(!watch.note(20 * BURST_BYTES, now));
            looks += 1;
        }
        assert!(looks < 20, "{looks} looks in a day");
    }
}

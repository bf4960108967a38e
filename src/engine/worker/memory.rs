//! Memory: which connections are closed when unfinished frames or unread sends fill their share of
//! it, and when what a burst took goes back to the system.
//!
//! The pool bounds both shares, so neither keeps the net from receiving. From half a share on the
//! net is under *pressure*: a worker looks at all connections, and of the source that holds most it
//! closes those that make no progress, the largest first, until half a share is free. A source is
//! an address, or the /64 of an IPv6 one. Nothing is counted for that while there is no pressure.

use crate::buf::CHUNK_BYTES;
use crate::engine::shared::conn::{Conn, End};
use crate::engine::shared::core::Core;
use crate::engine::shared::counters::count;
use crate::engine::shared::home::Command;
use crate::engine::shared::pressure::{Holder, LOOKS_MS, Progress, STILL_MS, Seen, name, victims};
use crate::engine::worker::desk::Desk;
use crate::engine::worker::watch::CALM_MS;
use crate::io::os::sys;
use crate::io::{Lane, Token};
use crate::session::{Cause, Millis};
use std::collections::HashMap;
use std::mem;
use std::sync::atomic::Ordering::*;

/// From one close for memory to the next. The system takes long to take back a block and what a
/// socket has received, and those who behave wait meanwhile.
const CLOSE_MS: Millis = 2;
/// So many are closed in a turn, and without a pause, while there is no memory to receive into.
const URGENT_MOST: usize = 2;

/// What a connection has of the allocator's beside its slot, about.
const CONN_BYTES: u64 = 512;

/// Connections that waited for memory and are looked at in one turn: this many, or as many as hold
/// this many bytes of frames.
const RELIEVED_MOST: usize = 16;
const RELIEVED_BYTES: usize = 1 << 17;

/// What a connection holds, and whether it makes progress; with what it did before.
fn holder(
    conn: &Conn,
    token: Token,
    before: Option<&Progress>,
    now: Millis,
) -> Option<(Holder, Progress)> {
    let mut holder = Holder::new(conn, token, now)?;
    let progress = match before {
        Some(progress) => progress.next(conn, now),
        None => Progress::new(conn, now),
    };
    let read = conn.link.is_busy(Lane::In) || holder.starved;
    holder.still[0] |= progress.slow[0] && read && !conn.marks.paused;
    holder.still[1] |= progress.slow[1] && conn.link.is_busy(Lane::Out);
    Some((holder, progress))
}

/// Every connection that holds something.
fn holders(core: &Core, now: Millis) -> Vec<Holder> {
    let mut before = mem::take(&mut *core.pressure.seen.lock());
    if now - before.at > 2 * STILL_MS {
        before.by.clear();
    }
    let (mut holders, mut by) = (Vec::new(), HashMap::new());
    core.table.each_conn(|token, conn| {
        let Some((holder, progress)) = holder(conn, token, before.by.get(&token), now) else {
            return;
        };
        by.insert(token, progress);
        holders.push(holder);
    });
    *core.pressure.seen.lock() = Seen { at: now, by };
    holders
}

/// Closes a connection for what it holds, unless it made progress since it was chosen.
fn starve(core: &Core, token: Token, now: Millis, urgent: bool) -> bool {
    let before = core.pressure.seen.lock().by.get(&token).copied();
    let Some(mut held) = core.table.hold(token) else { return false };
    let Some(conn) = held.conn().filter(|conn| conn.life.end != End::Abrupt) else { return false };
    let found = holder(conn, token, before.as_ref(), now);
    if !found.is_some_and(|(it, _)| it.still != [false; 2] || (urgent && it.starved)) {
        return false;
    }
    conn.life.reset = true;
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
            if self.doomed.is_empty() && core.pressure.claim(self.now) {
                self.press(core);
            }
            self.close_doomed(core);
            let next = match self.doomed.is_empty() {
                true => core.pressure.next.load(SeqCst),
                false => self.watch.closes,
            };
            self.watch.pressed = next.max(self.now + 1);
        } else {
            self.doomed = Vec::new();
        }
        let bytes = core.pool.bytes();
        let mut peak = core.pressure.peak(&core.pool, self.now);
        if mem::replace(&mut self.watch.peak, peak) == peak {
            peak = bytes;
        }
        // What is not of the pool, but goes with what happens: events and connections.
        let queued = core.queues[self.queue].bytes() + self.batch_bytes;
        let beside = queued + core.table.conns() * CONN_BYTES;
        if self.watch.note(bytes + beside, peak + beside, self.now) {
            self.slim();
            self.trims = true;
        }
    }

    /// Closes the next of those that are to be.
    fn close_doomed(&mut self, core: &Core) {
        let urgent = !core.pool.has_room(CHUNK_BYTES);
        if self.now < self.watch.closes && !urgent {
            return;
        }
        let most = if urgent { URGENT_MOST } else { 1 };
        let mut closed = 0;
        while closed < most
            && let Some(token) = self.doomed.pop()
        {
            closed += usize::from(starve(core, token, self.now, urgent));
        }
        self.watch.closes = self.now + CLOSE_MS;
        count(&core.homes[self.home].counters.memory_closes, closed as u64);
    }

    /// Finds those that hold what others need and make no progress.
    #[cold]
    fn press(&mut self, core: &Core) {
        let holders = holders(core, self.now);
        for kind in 0..2 {
            let sum: u64 = holders.iter().map(|holder| holder.held[kind]).sum();
            let (what, out) = match kind {
                0 => ("unfinished frames", core.pool.frame_bytes()),
                _ => ("unread messages", core.pool.send_bytes().max(sum)),
            };
            let half = core.pool.share_max() / 2;
            // Without memory to receive into no connection is served, so there is no wait of a
            // second.
            let urgent = out > half && !core.pool.has_room(CHUNK_BYTES);
            let excess = if urgent { out } else { out.saturating_sub(half) };
            let all = victims(&holders, kind, excess, urgent);
            self.doomed.extend(all.iter().rev().map(|holder| holder.token));
            if let Some(first) = all.first() {
                let (ones, from) = (all.len(), name(first.source));
                self.say(|| {
                    format!(
                        "up to {ones} connections are closed (LIMIT_MEMORY), most of {from}: \
                         {what} take {out} bytes of memory_max_bytes {}",
                        core.config.memory_max_bytes
                    )
                });
            }
        }
        if self.doomed.is_empty() {
            core.pressure.next.store(self.now + LOOKS_MS.1, SeqCst);
        }
    }

    /// Looks at the connections that wait for memory, only when memory came back, as they may be
    /// many. A turn looks at some of them: each may copy its frame to a larger block, and other
    /// connections must not wait for that.
    pub fn relieve(&mut self, core: &Core) {
        let home = &core.homes[self.home];
        let left = mem::take(&mut self.relieving);
        if !core.pool.has_room(CHUNK_BYTES) {
            // Thirst first: a block that comes back between the two calls rings the bell.
            core.pool.thirst();
            if !core.pool.has_room(CHUNK_BYTES) {
                return;
            }
        }
        let reliefs = core.pool.reliefs();
        let again = mem::replace(&mut self.reliefs, reliefs) != reliefs;
        // A connection that is refused once more comes after those of this round.
        let all = if again { home.thirsty() } else { left };
        self.relieving = all;
        let mut bytes = 0;
        while self.relieving > 0
            && bytes < RELIEVED_BYTES
            && let Some(index) = home.take_thirsty(1).first().copied()
        {
            self.relieving -= 1;
            bytes += RELIEVED_BYTES / RELIEVED_MOST;
            if let Some(token) = core.table.quench(index) {
                let mut held = core.table.hold(token);
                let conn = held.as_mut().and_then(|held| held.conn());
                bytes += conn.map_or(0, |conn| conn.session.held_bytes());
                drop(held);
                self.tend_hungry(core, token);
            }
        }
    }

    /// Has what a burst took go back to the system. The model has given up its own.
    #[cold]
    pub fn give_back(&mut self, core: &Core) {
        core.pool.trim();
        // The allocator's own is gone through once for all workers.
        let due = |last: u64| (last == 0 || last + CALM_MS / 2 <= self.now).then_some(self.now);
        if core.pressure.trimmed.fetch_update(SeqCst, SeqCst, due).is_ok() {
            sys::trim_heap();
        } else {
            self.watch.owe(self.now);
        }
    }
}

//! Memory: which connections are closed when unfinished frames or unread sends fill their share of
//! it, and when what a burst took goes back to the system.
//!
//! The pool bounds both shares, so neither keeps the net from receiving. From half a share on the
//! net is under *pressure*: a worker looks at all connections, and of the source that holds most it
//! closes those that make no progress, the largest first, until half a share is free. A source is
//! an address, or the /64 of an IPv6 one. Nothing is counted for that while there is no pressure.

use crate::buf::CHUNK_BYTES;
use crate::engine::shared::conn::{Conn, End, LaneState};
use crate::engine::shared::core::Core;
use crate::engine::shared::home::{Command, count};
use crate::engine::worker::desk::Desk;
use crate::io::os::sys;
use crate::io::{Lane, Token};
use crate::session::{Cause, Millis};
use parking_lot::Mutex;
use std::collections::{BinaryHeap, HashMap};
use std::mem;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering::*};

/// A connection makes no progress when so long nothing moved, or less than `PACE` a second.
const STILL_MS: Millis = 1000;
const PACE: u64 = 8 << 10;
/// From one look at all connections to the next, if that one closed some, and if it did not.
const LOOKS_MS: (Millis, Millis) = (100, 500);

/// So much that was in use and is not any more is a burst, and goes back to the system.
const BURST_BYTES: u64 = 4 << 20;
/// How long it is not needed before that.
const CALM_MS: Millis = 1000;

/// What the workers of a net share.
#[derive(Default)]
pub struct Pressure {
    /// When the next look may be.
    next: AtomicU64,
    /// What those that held something had done at the looks before.
    seen: Mutex<Seen>,
    /// When memory went back to the system last.
    trimmed: AtomicU64,
}

#[derive(Default)]
struct Seen {
    at: Millis,
    by: HashMap<Token, Progress>,
}

/// What a connection had done when its pace was last measured.
#[derive(Clone, Copy)]
struct Progress {
    at: Millis,
    received: u64,
    messages: u64,
    sent: u64,
    /// It was below `PACE`, of receiving and of sending.
    slow: [bool; 2],
}

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

/// A connection that holds something.
struct Holder {
    token: Token,
    source: u128,
    /// Bytes of an unfinished frame, and of what waits to be sent.
    held: [u64; 2],
    /// No progress of it.
    still: [bool; 2],
    /// It waits for memory with input that takes some.
    starved: bool,
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

/// Where a connection comes from: an IPv4 address, the network of an IPv6 one, or this system.
fn source(peer: Option<SocketAddr>) -> u128 {
    const NETWORK: u128 = !0 << 64;
    match peer.map(|peer| peer.ip().to_canonical()) {
        None => 0,
        Some(IpAddr::V4(ip)) => ip.to_ipv6_mapped().to_bits(),
        Some(IpAddr::V6(ip)) => ip.to_bits() & NETWORK,
    }
}

/// A source in words.
fn name(source: u128) -> String {
    let ip = Ipv6Addr::from_bits(source);
    match ip.to_canonical() {
        _ if source == 0 => "local sockets".into(),
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(_) => format!("{ip}/64"),
    }
}

impl Holder {
    /// What a connection holds. None: nothing.
    fn new(conn: &Conn, token: Token, now: Millis) -> Option<Holder> {
        let held = [conn.session.held_bytes(), conn.session.outbox().bytes() as usize];
        if held == [0; 2] {
            return None;
        }
        let since = |since: Millis| now.saturating_sub(since) >= STILL_MS;
        let busy = |lane: Lane| conn.lanes[lane as usize] == LaneState::InFlight;
        let starved = conn.parse_later && conn.session.has_input();
        // Nobody is slow that is not listened to.
        let read = (busy(Lane::In) || starved) && !conn.paused && !conn.moving.is_quiet();
        let still = [
            read && since(conn.session.quiet_since()),
            busy(Lane::Out) && since(conn.session.send_since()),
        ];
        let source = source(conn.peer());
        let held = held.map(|bytes| bytes as u64);
        Some(Holder { token, source, held, still, starved })
    }
}

impl Progress {
    fn new(conn: &Conn, now: Millis) -> Progress {
        Progress {
            at: now,
            received: conn.received_bytes,
            messages: conn.received_messages,
            sent: conn.sent_bytes,
            slow: [false; 2],
        }
    }

    /// What is known of a connection now, if this was before.
    fn next(self, conn: &Conn, now: Millis) -> Progress {
        let fresh = Progress::new(conn, now);
        let passed = now - self.at;
        // Whoever ended a frame has begun another one since.
        if passed < STILL_MS && self.messages == fresh.messages {
            return self;
        }
        let slow = |bytes: u64| bytes * 1000 < PACE * passed;
        let receives = slow(fresh.received - self.received) && self.messages == fresh.messages;
        Progress { slow: [receives, slow(fresh.sent - self.sent)], ..fresh }
    }
}

/// Those to be closed so that `excess` bytes of one kind go: of the source that holds most, the one
/// that holds most, again and again.
fn victims(holders: &[Holder], kind: usize, mut excess: u64, urgent: bool) -> Vec<&Holder> {
    let mut sources: HashMap<u128, (u64, Vec<&Holder>)> = HashMap::new();
    for holder in holders.iter().filter(|holder| holder.held[kind] > 0) {
        let (sum, still) = sources.entry(holder.source).or_default();
        *sum += holder.held[kind];
        if holder.still[kind] || (urgent && holder.starved) {
            still.push(holder);
        }
    }
    let mut heap = BinaryHeap::new();
    for (&source, (sum, still)) in &mut sources {
        still.sort_unstable_by_key(|holder| holder.held[kind]);
        heap.push((*sum, source));
    }
    let mut all = Vec::new();
    while excess > 0
        && let Some((sum, source)) = heap.pop()
    {
        let next = sources.get_mut(&source).and_then(|(_, still)| still.pop());
        let Some(holder) = next else { continue };
        excess = excess.saturating_sub(holder.held[kind]);
        heap.push((sum - holder.held[kind], source));
        all.push(holder);
    }
    all
}

impl Pressure {
    /// Whether the calling worker is to look at all connections now.
    fn claim(&self, now: Millis) -> bool {
        let due = |next: u64| (next <= now).then_some(now + LOOKS_MS.0);
        self.next.fetch_update(SeqCst, SeqCst, due).is_ok()
    }
}

impl Core {
    /// Every connection that holds something.
    fn holders(&self, now: Millis) -> Vec<Holder> {
        let mut before = mem::take(&mut *self.pressure.seen.lock());
        if now - before.at > 2 * STILL_MS {
            before.by.clear();
        }
        let (mut holders, mut by) = (Vec::new(), HashMap::new());
        self.table.each_conn(|token, conn| {
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
        *self.pressure.seen.lock() = Seen { at: now, by };
        holders
    }

    /// Closes a connection for what it holds.
    fn starve(&self, token: Token) -> bool {
        let Some(mut held) = self.table.hold(token) else { return false };
        let Some(conn) = held.conn().filter(|conn| conn.end != End::Abrupt) else { return false };
        conn.reset = true;
        conn.end_abruptly(Cause::LimitMemory, 0);
        let home = usize::from(conn.home);
        drop(held);
        self.homes[home].post(Command::Tend(token));
        true
    }
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
        let holders = core.holders(self.now);
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
            all.retain(|holder| core.starve(holder.token));
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

    fn holder(index: u32, source: u128, bytes: u64, still: bool) -> Holder {
        let token = Token::new(index, 1);
        Holder { token, source, held: [bytes, 0], still: [still; 2], starved: false }
    }

    fn indices(all: &[&Holder]) -> Vec<usize> {
        all.iter().map(|holder| holder.token.index()).collect()
    }

    #[test]
    fn the_source_that_holds_most_goes_first_and_who_moves_never() {
        let all = [
            holder(0, 7, 50, true),
            holder(1, 8, 30, true),
            holder(2, 8, 40, true),
            holder(3, 8, 20, false),
            holder(4, 9, 1000, false),
        ];
        assert_eq!(indices(&victims(&all, 0, 1, false)), [2], "90 of source 8, 50 of source 7");
        assert_eq!(indices(&victims(&all, 0, 41, false)), [2, 1], "the sums are 50 and 50: either");
        assert_eq!(victims(&all, 0, u64::MAX, false).len(), 3);
        assert!(victims(&all, 1, u64::MAX, false).is_empty(), "nothing of that kind is held");
    }

    #[test]
    fn a_source_is_an_address_or_a_network() {
        let of = |text: &str| source(Some(text.parse().expect("an address")));
        assert_eq!(of("10.0.0.1:5"), of("10.0.0.1:6"));
        assert_eq!(of("10.0.0.1:5"), of("[::ffff:10.0.0.1]:6"));
        assert_ne!(of("10.0.0.1:5"), of("10.0.0.2:5"));
        assert_eq!(of("[2001:db8::1]:5"), of("[2001:db8::ffff:0:0:1]:5"));
        assert_ne!(of("[2001:db8::1]:5"), of("[2001:db8:0:1::1]:5"));
        assert_eq!(name(of("10.0.0.1:5")), "10.0.0.1");
        assert_eq!(name(of("[2001:db8::1]:5")), "2001:db8::/64");
        assert_eq!(name(source(None)), "local sockets");
    }

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

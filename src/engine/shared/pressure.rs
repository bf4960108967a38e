//! Who holds memory that others need: what a look at all connections finds, and whom it names.
//! `worker/memory.rs` closes them.

use crate::buf::{Mutex, Pool, rank};
use crate::engine::shared::conn::Conn;
use crate::io::{Lane, Token};
use crate::session::Millis;
use std::collections::{BinaryHeap, HashMap};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering::*};

/// A connection makes no progress when so long nothing moved, or less than `PACE` a second.
pub const STILL_MS: Millis = 1000;
const PACE: u64 = 8 << 10;
/// From one look at all connections to the next, if that one closed some, and if it did not.
pub const LOOKS_MS: (Millis, Millis) = (100, 500);

/// How often the pool's peak is counted anew.
const PEAK_MS: Millis = 250;

/// What the workers of a net share.
#[derive(Default)]
pub struct Pressure {
    /// When the next look may be.
    pub next: AtomicU64,
    /// What those that held something had done at the looks before.
    pub seen: Mutex<rank::Seen, Seen>,
    /// When memory went back to the system last.
    pub trimmed: AtomicU64,
    /// When the pool's peak is counted anew.
    pub peak: AtomicU64,
}

#[derive(Default)]
pub struct Seen {
    pub at: Millis,
    pub by: HashMap<Token, Progress>,
}

/// What a connection had done when its pace was last measured.
#[derive(Clone, Copy)]
pub struct Progress {
    pub at: Millis,
    pub received: u64,
    pub messages: u64,
    pub sent: u64,
    /// It was below `PACE`, of receiving and of sending.
    pub slow: [bool; 2],
}

/// A connection that holds something.
pub struct Holder {
    pub token: Token,
    pub source: u128,
    /// Bytes of an unfinished frame, and of what waits to be sent.
    pub held: [u64; 2],
    /// No progress of it.
    pub still: [bool; 2],
    /// It waits for memory with input that takes some.
    pub starved: bool,
}

/// Where a connection comes from: an IPv4 address, the network of an IPv6 one, or this system.
pub fn source(peer: Option<SocketAddr>) -> u128 {
    const NETWORK: u128 = !0 << 64;
    match peer.map(|peer| peer.ip().to_canonical()) {
        None => 0,
        Some(IpAddr::V4(ip)) => ip.to_ipv6_mapped().to_bits(),
        Some(IpAddr::V6(ip)) => ip.to_bits() & NETWORK,
    }
}

/// A source in words.
pub fn name(source: u128) -> String {
    let ip = Ipv6Addr::from_bits(source);
    match ip.to_canonical() {
        _ if source == 0 => "local sockets".into(),
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(_) => format!("{ip}/64"),
    }
}

impl Holder {
    /// What a connection holds. None: nothing.
    pub fn new(conn: &Conn, token: Token, now: Millis) -> Option<Holder> {
        let held = [conn.session.held_bytes(), conn.session.pending_bytes() as usize];
        if held == [0; 2] {
            return None;
        }
        let since = |since: Millis| now.saturating_sub(since) >= STILL_MS;
        let busy = |lane: Lane| conn.link.is_busy(lane);
        let starved = conn.marks.hungry && conn.session.has_input();
        // A peer that is not read is not slow.
        let read =
            (busy(Lane::In) || starved) && !conn.marks.paused && !conn.moving.stage.is_quiet();
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
    pub fn new(conn: &Conn, now: Millis) -> Progress {
        Progress {
            at: now,
            received: conn.received_bytes,
            messages: conn.received_messages,
            sent: conn.sent_bytes,
            slow: [false; 2],
        }
    }

    /// What is known of a connection now, if this was before.
    pub fn next(self, conn: &Conn, now: Millis) -> Progress {
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
pub fn victims(holders: &[Holder], kind: usize, mut excess: u64, urgent: bool) -> Vec<&Holder> {
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
    pub fn claim(&self, now: Millis) -> bool {
        let due = |next: u64| (next <= now).then_some(now + LOOKS_MS.0);
        self.next.fetch_update(SeqCst, SeqCst, due).is_ok()
    }

    /// The most that was out since this was last asked, by any worker. A burst may begin and end
    /// between two looks of them: the host sends, and the turn that would see it sends all of it.
    pub fn peak(&self, pool: &Pool, now: Millis) -> u64 {
        let due = |next: u64| (next <= now).then_some(now + PEAK_MS);
        match self.peak.fetch_update(SeqCst, SeqCst, due) {
            Ok(_) => pool.take_peak(),
            Err(_) => pool.peak(),
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
}

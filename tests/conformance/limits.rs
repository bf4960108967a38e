//! How many sockets: one more than a thread of the system can wait for, and than its lists are made
//! for. The listener is one of them.

use crate::common::event::Kind;
use crate::common::host::{Door, Host};
use crate::common::peer::Peer;
use crate::common::process::limit_descriptors;
use crate::common::{DEADLINE, Setup, child, suite};
use sockeye::capi::conn::sockeye_conn;
use sockeye::capi::model::sockeye_model::SOCKEYE_MODEL_SELECT;
use std::time::Instant;

suite! {
    each: around_each_limit, past_the_lists_of_select, all_that_is_ready_is_served;
}

/// A wait takes 64 objects, one of them the doorbell's; a model may need two for each socket.
const LIMITS: [usize; 9] = [31, 32, 33, 62, 63, 64, 65, 129, 130];

type Met = (Peer, sockeye_conn);

/// Every peer says a byte, all at once, and each gets it back.
fn all_talk(host: &mut Host, all: &mut [Met]) {
    host.echo = true;
    all.iter_mut().for_each(|(peer, _)| peer.put(b"x"));
    host.until("an echo for each", |_| all.iter_mut().all(|(peer, _)| peer.has(1)));
    for (peer, _) in all {
        assert_eq!(std::mem::take(&mut peer.got), b"x");
        assert_eq!(peer.end, None);
    }
}

/// Peers until there are so many sockets, the listener included.
fn fill(host: &mut Host, door: Door, sockets: usize, all: &mut Vec<Met>) {
    while all.len() + 1 < sockets {
        all.push(host.meet(door));
    }
}

/// Everybody is served at each limit and past it; where no worker can be added, whoever is too
/// much is refused and counted, and the others stay.
pub fn around_each_limit(setup: Setup) {
    let mut host = setup.host();
    let door = host.door("");
    let mut all = Vec::new();
    for sockets in LIMITS {
        if !setup.holds(sockets as u32) {
            fill(&mut host, door, setup.sockets_max() as usize, &mut all);
            let _surplus = Peer::connect(door.port);
            host.until("a refusal", |host| host.net.stats().accept_failures == 1);
            all_talk(&mut host, &mut all);
            break;
        }
        fill(&mut host, door, sockets, &mut all);
        all_talk(&mut host, &mut all);
        let max = setup.sockets_max() as usize;
        let workers = if max == 0 { 1 } else { sockets.div_ceil(max).max(1) };
        let net = host.net.info();
        assert!(net.workers as usize >= workers, "{} workers for {sockets}", net.workers);
    }
    let count = all.len();
    all.clear();
    host.until("every end", |host| host.count(Kind::Closed) == count);
    assert_eq!(host.count(Kind::Opened), count);
    let base = setup.drive.workers.max(1);
    host.until("the workers of the beginning", |host| host.net.info().workers == base);
    all.push(host.meet(door));
    all_talk(&mut host, &mut all);
    host.finish();
}

/// SELECT alone: more sockets than a list is declared for on any system, 64 and 1,024.
pub fn past_the_lists_of_select(setup: Setup) {
    const SOCKETS: usize = 1100;
    // A net without threads has the one worker, and so no more sockets than it can watch.
    if setup.model != SOCKEYE_MODEL_SELECT as u32 || !setup.drive.has_threads() {
        return;
    }
    child::alone(setup, || {
        limit_descriptors(4096);
        let mut host = setup.host();
        let door = host.door_with("", |endpoint| endpoint.backlog = SOCKETS as u32);
        let mut peers: Vec<Peer> = (1..SOCKETS).map(|_| Peer::connect(door.port)).collect();
        host.echo = true;
        for _ in 0..2 {
            peers.iter_mut().for_each(|peer| peer.put(b"x"));
            host.until("an echo for each", |_| peers.iter_mut().all(|peer| peer.has(1)));
            peers.iter_mut().for_each(|peer| peer.got.clear());
        }
        assert_eq!(host.count(Kind::Opened), SOCKETS - 1);
        host.finish();
    });
}

/// What is ready at the same time comes with the same turn, not only the first of it: else a few
/// busy ones would keep the others from ever being served.
pub fn all_that_is_ready_is_served(setup: Setup) {
    const PEERS: usize = 30;
    if setup.drive.has_threads() {
        println!("left out: a poll may bring what many turns found");
        return;
    }
    let mut host = setup.host();
    let door = host.door("");
    let mut all = Vec::new();
    fill(&mut host, door, PEERS + 1, &mut all);
    let end = Instant::now() + DEADLINE;
    // The system may tell of some before the others have written all. It never does each time.
    let mut most = 0;
    while most < PEERS / 2 {
        assert!(Instant::now() < end, "never more than {most} of {PEERS} in one poll");
        host.log.clear();
        all.iter_mut().for_each(|(peer, _)| peer.put(b"x"));
        while host.log.len() < PEERS {
            assert!(Instant::now() < end, "not in time: a byte of each");
            most = most.max(host.step(2));
        }
    }
    host.finish();
}

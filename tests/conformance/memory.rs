//! Memory is not a way to silence others: strangers with unfinished frames or unread answers, a
//! flooder that fills the queue, frames that can never fit.

use crate::common::event::Kind;
use crate::common::host::{Door, Host};
use crate::common::peer::Peer;
use crate::common::process::resident_bytes;
use crate::common::words::*;
use crate::common::{Setup, frame, suite, wait_for};
use sockeye::capi::conn::sockeye_conn;
use sockeye::capi::model::sockeye_model;

suite! {
    each: unfinished_frames_silence_nobody, unread_answers_silence_nobody,
        what_never_fits_is_refused, a_partial_frame_costs_twice_its_bytes, a_burst_goes_back,
        a_burst_leaves_the_process, who_sends_nothing_costs_no_chunk;
    threaded: a_flooder_leaves_room_in_the_queue;
}

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const STRANGERS: usize = 12;

/// A net of 2 MiB: each share has 768 KiB.
fn small(setup: Setup) -> (Host, Door) {
    let mut host = setup.host_with(|config| config.memory_max_bytes = 2 * MIB);
    let door = host.door_with("?frame=u32be", |endpoint| endpoint.send_buffer_bytes = 16 * 1024);
    (host, door)
}

/// Who behaves is served, while and after the net gets rid of the others.
fn is_served(host: &mut Host, peer: &mut Peer, conn: sockeye_conn) {
    host.turn_over_behind(peer, conn, &1u32.to_be_bytes());
}

pub fn unfinished_frames_silence_nobody(setup: Setup) {
    let (mut host, door) = small(setup);
    let (mut player, conn) = host.meet(door);
    is_served(&mut host, &mut player, conn);
    let mut strangers: Vec<Peer> = (0..STRANGERS).map(|_| Peer::connect(door.port)).collect();
    let junk = [7; 16 * 1024];
    for stranger in &mut strangers {
        stranger.put(&(700 * 1024_u32).to_be_bytes());
    }
    let mut offered = [0; STRANGERS];
    host.until("strangers that are closed", |host| {
        for (stranger, offered) in strangers.iter_mut().zip(&mut offered) {
            if *offered < 300 * 1024 {
                stranger.try_offer(&junk);
                *offered += junk.len();
            }
        }
        let stats = host.net.stats();
        assert!(stats.frame_bytes <= 2 * MIB / 8 * 3, "{} bytes of frames", stats.frame_bytes);
        stats.memory_closes > 0 && stats.frame_bytes <= 2 * MIB / 16 * 3
    });
    is_served(&mut host, &mut player, conn);
    let mut late = host.meet(door);
    is_served(&mut host, &mut late.0, late.1);
    let causes = host.log.iter().filter(|event| event.kind == Kind::Closed);
    assert!(causes.clone().count() > 0, "some were closed");
    for closed in causes {
        assert_eq!(closed.cause, LIMIT_MEMORY, "{closed:?}");
        assert_ne!(closed.conn, conn, "who behaves stays");
    }
    host.finish();
}

pub fn unread_answers_silence_nobody(setup: Setup) {
    let (mut host, door) = small(setup);
    let (mut player, conn) = host.meet(door);
    let strangers: Vec<_> = (0..STRANGERS).map(|_| host.meet(door)).collect();
    let answer = vec![5; 16 * 1024];
    host.until("strangers that are closed", |host| {
        for (_, stranger) in &strangers {
            let status = host.net.send(*stranger, &answer);
            assert!([OK, ERR_AGAIN, ERR_CLOSED, ERR_STALE].contains(&status), "{status}");
        }
        let stats = host.net.stats();
        assert!(stats.send_bytes <= 2 * MIB / 8 * 3, "{} bytes of sends", stats.send_bytes);
        stats.memory_closes > 0
    });
    is_served(&mut host, &mut player, conn);
    assert!(host.log.iter().all(|it| it.kind != Kind::Closed || it.cause == LIMIT_MEMORY));
    host.finish();
}

pub fn what_never_fits_is_refused(setup: Setup) {
    let (mut host, door) = small(setup);
    let (mut peer, conn) = host.meet(door);
    assert_eq!(host.net.send(conn, &vec![1; 800 * 1024]), ERR_TOO_BIG);
    peer.put(&(800 * 1024_u32).to_be_bytes());
    assert_eq!(host.closed(conn).cause, LIMIT_MEMORY, "its length is enough");
    // One that just fits comes, whatever growing takes.
    let (mut peer, conn) = host.meet(door);
    host.write(&mut peer, &frame(&vec![2; 700 * 1024]));
    host.await_messages(conn, 1);
    assert_eq!(host.messages(conn)[0].len(), 700 * 1024);
    host.finish();
}

pub fn a_partial_frame_costs_twice_its_bytes(setup: Setup) {
    let mut host = setup.host();
    let door = host.door("?frame=u32be");
    let (mut peer, _) = host.meet(door);
    peer.put(&(MIB as u32).to_be_bytes());
    let mut sent = 4;
    for step in [1, 500, 3000, 10_000, 60_000, 200_000, 300_000] {
        host.write(&mut peer, &vec![3; step]);
        sent += step as u64;
        host.until("the bytes", |host| host.net.stats().received_bytes == sent);
        // While a frame moves to a larger block both count.
        host.until("what they cost", |host| {
            let bytes = host.net.stats().frame_bytes;
            (sent..=2 * sent + 512).contains(&bytes)
        });
    }
    host.finish();
}

pub fn a_burst_goes_back(setup: Setup) {
    const PEERS: usize = 20;
    let mut host = setup.host();
    let door = host.door("?frame=u32be");
    let mut peers: Vec<_> = (0..PEERS).map(|_| host.meet(door)).collect();
    let message = frame(&vec![4; 400_000]);
    for (peer, conn) in &mut peers {
        assert_eq!(host.net.send(*conn, &vec![6; 900_000]), OK);
        host.write(peer, &message);
    }
    for (_, conn) in &peers {
        host.await_messages(*conn, 1);
    }
    peers.into_iter().for_each(|(peer, _)| peer.reset());
    host.log.iter_mut().for_each(|event| event.data = Vec::new());
    host.until("memory that goes back", |host| host.net.stats().memory_bytes < MIB);
    host.finish();
}

/// A burst of sends that the system takes as soon as it is asked to: no look at memory between two
/// turns meets it. The second one is of memory that the allocator knows and would keep.
pub fn a_burst_leaves_the_process(setup: Setup) {
    const PEERS: usize = 150;
    let mut host = setup.host();
    let door = host.door("?frame=u32be");
    let message = vec![6; 200_000];
    let before = resident_bytes();
    for round in 1..=3 {
        let peers: Vec<_> = (0..PEERS).map(|_| host.meet(door)).collect();
        for (_, conn) in &peers {
            assert_eq!(host.net.send(*conn, &message), OK);
        }
        let all = round * PEERS as u64 * (message.len() as u64 + 4);
        host.until("messages that are sent", |host| host.net.stats().sent_bytes == all);
        let gone = host.count(Kind::Closed) + PEERS;
        peers.into_iter().for_each(|(peer, _)| peer.reset());
        host.until("connections that are over", |host| host.count(Kind::Closed) == gone);
        host.until("memory that leaves the process", |host| {
            host.log.shrink_to_fit();
            // The allocator of Windows sees to that by itself, when it likes.
            cfg!(windows) || resident_bytes() < before + 10 * MIB
        });
    }
    host.finish();
}

/// With many workers each would keep a chunk for peers that have sent nothing as yet.
pub fn who_sends_nothing_costs_no_chunk(setup: Setup) {
    let mut host = setup.host();
    let door = host.door("?frame=u32be");
    let _peers: Vec<_> = (0..8).map(|_| host.meet(door)).collect();
    // A completion model lends the system its buffers ahead.
    let lends = setup.model == sockeye_model::SOCKEYE_MODEL_IO_URING as u32 || cfg!(windows);
    host.until("no memory", |host| lends || host.net.stats().memory_bytes == 0);
    host.finish();
}

/// The host is away while one peer floods: what it fills leaves room for the others, whose
/// messages come with what is there.
pub fn a_flooder_leaves_room_in_the_queue(setup: Setup) {
    const QUEUE: u64 = MIB;
    let mut host = setup.host_with(|config| config.queue_max_bytes = QUEUE);
    let door = host.door_with("?frame=u32be", |endpoint| endpoint.recv_buffer_bytes = 64 * 1024);
    let (mut flooder, flood) = host.meet(door);
    let (mut quiet, conn) = host.meet(door);
    let stream = frame(&[9; 1000]).repeat(12_000);
    let (mut at, mut still) = (0, 0);
    wait_for("the flooder's wait", || {
        let taken = flooder.offer(&stream[at..]);
        at += taken;
        still = if taken == 0 { still + 1 } else { 0 };
        still == 50
    });
    let before = host.net.stats();
    // An eighth, and one turn of 64 KiB on top.
    let most = QUEUE / 8 + 64 * KIB + 256 * 64;
    assert!(before.queued_bytes <= most, "{} bytes of one connection", before.queued_bytes);
    quiet.put(&frame(b"heard"));
    wait_for("the message of another", || {
        host.net.stats().received_messages > before.received_messages
    });
    let there = host.net.stats().received_messages;
    host.until("it comes with what is there", |host| {
        let told = host.count(Kind::Message) as u64;
        assert!(told <= there || !host.messages(conn).is_empty(), "it came behind the flood");
        !host.messages(conn).is_empty()
    });
    host.write(&mut flooder, &stream[at..]);
    host.await_messages(flood, 12_000);
    host.finish();
}

//! Rule 6: everything is bounded, and the bound is a named field.

use crate::common::event::Kind;
use crate::common::host::Host;
use crate::common::peer::Peer;
use crate::common::process::resident_bytes;
use crate::common::words::*;
use crate::common::{Setup, child, frame, suite, wait_for};
use std::io::Write;
use std::time::{Duration, Instant};

suite! {
    each: stalled_host_loses_nothing, claimed_length_reserves_nothing, frame_over_the_limit,
        memory_is_bounded, connections_are_bounded, posts_are_bounded,
        queue_is_bounded_in_small_steps;
    threaded: queue_is_bounded;
}

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;

/// Rule 6: a host that does not poll for two seconds under 20,000 messages a second: queue and
/// memory stay below their bounds, nothing is lost, order is kept.
pub fn stalled_host_loses_nothing(setup: Setup) {
    child::alone(setup, || stall(setup));
}

const STALL: Duration = Duration::from_secs(2);
const SENDERS: usize = 4;
/// For each sender: 5,000 a second.
const MESSAGES: u64 = 10_000;

/// Writes numbered messages of 64 bytes, ten every two milliseconds.
fn send_paced(peer: Peer, begun: Instant) {
    let mut stream = peer.into_stream();
    for at in 0..MESSAGES {
        if at % 10 == 0 {
            let due = STALL.mul_f64(at as f64 / MESSAGES as f64);
            // tidy: pause, the pace of the load: so many messages a second and no more.
            std::thread::sleep(due.saturating_sub(begun.elapsed()));
        }
        let mut message = frame(&[0x5A; 64]);
        message[4..12].copy_from_slice(&at.to_be_bytes());
        stream.write_all(&message).expect("the peer is patient");
    }
}

fn stall(setup: Setup) {
    let mut host = setup.host_with(|config| config.queue_max_bytes = 256 * KIB);
    let door = host.door("?frame=u32be");
    let (peers, conns): (Vec<Peer>, Vec<_>) = (0..SENDERS).map(|_| host.meet(door)).unzip();
    let resident = resident_bytes();
    let begun = Instant::now();
    let senders: Vec<_> =
        peers.into_iter().map(|peer| std::thread::spawn(move || send_paced(peer, begun))).collect();
    let mut most = 0;
    while begun.elapsed() < STALL {
        most = most.max(host.net.stats().queued_bytes);
        std::thread::park_timeout(Duration::from_millis(5));
    }
    // The bound, and one turn of each connection on top: 64 KiB in frames of 68 bytes.
    let turn = SENDERS as u64 * (64 * KIB + 1024 * 64);
    assert!(most <= 256 * KIB + turn, "{most} bytes in the queue");
    let grown = resident_bytes().saturating_sub(resident);
    assert!(grown < 16 * MIB, "{grown} bytes more in memory");
    if setup.drive.has_threads() {
        assert!(most > 128 * KIB, "the stall was felt: {most} bytes in the queue");
    }
    let all = SENDERS * MESSAGES as usize;
    host.until("every message", |host| host.count(Kind::Message) == all);
    for conn in conns {
        let mut expected = 0u64;
        for message in host.messages(conn) {
            assert_eq!(message[..8], expected.to_be_bytes(), "in order, none lost");
            expected += 1;
        }
        assert_eq!(expected, MESSAGES);
    }
    senders.into_iter().for_each(|sender| sender.join().expect("a sender ends well"));
    host.finish();
}

/// Rule 6: a claimed length allocates nothing, memory grows with what came. Twenty peers claim
/// the most that can be, send a little of it and fall silent; one claims 4 GiB and is closed at
/// once.
pub fn claimed_length_reserves_nothing(setup: Setup) {
    child::alone(setup, || {
        // So much that the frames are not refused for what they claim.
        let mut host = setup.host_with(|config| config.memory_max_bytes = 8 << 30);
        let door = host.door(&format!("?frame=u32be&max={}", i32::MAX));
        let (mut peers, conns): (Vec<Peer>, Vec<_>) = (0..20).map(|_| host.meet(door)).unzip();
        peers.iter_mut().for_each(|peer| peer.put(&(i32::MAX as u32).to_be_bytes()));
        let (memory, resident) = (host.net.stats().memory_bytes, resident_bytes());
        let mut sent = 4;
        for more in [10, 1000, 99_000] {
            sent += more;
            peers.iter_mut().for_each(|peer| host.write(peer, &vec![1; more as usize]));
            host.until("all bytes", |host| {
                let received = |&conn| host.net.conn_stats(conn).map(|stats| stats.received_bytes);
                conns.iter().all(|conn| received(conn) == Ok(sent))
            });
            let grown = host.net.stats().memory_bytes.saturating_sub(memory);
            assert!(grown <= 20 * (4 * sent + 64 * KIB), "{grown} bytes for 20 times {sent}");
            let grown = resident_bytes().saturating_sub(resident);
            assert!(grown <= 20 * (4 * sent + 64 * KIB) + 4 * MIB, "{grown} bytes more");
        }
        let (mut liar, conn) = host.meet(door);
        liar.put(&[0xFF; 4]);
        assert_eq!(host.closed(conn).cause, LIMIT_FRAME);
        assert!(conns.iter().all(|&conn| !host.is_closed(conn)), "the others wait");
        host.finish();
    });
}

/// Rule 6: the largest frame is a message; one byte more is LIMIT_FRAME, behind what came before.
pub fn frame_over_the_limit(setup: Setup) {
    let mut host = setup.host();
    let door = host.door("?frame=u32be&max=1000");
    let (mut peer, conn) = host.meet(door);
    peer.put(&frame(&[1; 1000]));
    peer.put(&frame(&[2; 1001]));
    assert_eq!(host.closed(conn).cause, LIMIT_FRAME);
    assert_eq!(host.messages(conn), [&[1; 1000]]);
    let (mut peer, conn) = host.meet(door);
    peer.put(&1001u32.to_be_bytes());
    assert_eq!(host.closed(conn).cause, LIMIT_FRAME, "the length alone is enough");
    host.finish();
}

/// Rule 6: `memory_max_bytes` reached: sends are refused with ERR_AGAIN, and WRITABLE follows
/// when a peer has read.
pub fn memory_is_bounded(setup: Setup) {
    let mut host = setup.host_with(|config| config.memory_max_bytes = 2 * MIB);
    let door = host.door_with("", |endpoint| {
        endpoint.outbox_max_bytes = 64 << 20;
        endpoint.send_buffer_bytes = 16 * 1024;
    });
    let (mut peer, conn) = host.meet(door);
    let mut taken = 0;
    let (mut quiet, mut before) = (0, 0);
    while quiet < 10 {
        match host.net.send(conn, &[3; 16 * 1024]) {
            OK => (taken, quiet) = (taken + 1, 0),
            status => {
                assert_eq!(status, ERR_AGAIN);
                quiet += 1;
                // The system may take some more before the next send.
                before = host.count(Kind::Writable);
                host.step(2);
            }
        }
        let memory = host.net.stats().memory_bytes;
        assert!(memory <= 2 * MIB, "{memory} bytes");
        assert!(taken < 1000, "16 MiB did not fill 2 MiB and the system's buffers");
    }
    host.until("WRITABLE", |host| {
        peer.has(usize::MAX);
        host.count(Kind::Writable) > before
    });
    assert_eq!(host.net.send(conn, &[3; 1024]), OK, "there is memory again");
    host.until("all bytes", |_| {
        peer.has(usize::MAX);
        peer.got.len() == taken * 16 * 1024 + 1024
    });
    let (mut peer, conn) = host.meet(door);
    host.turn_over(&mut peer, conn);
    host.finish();
}

/// Rule 6: `queue_max_bytes` holds while no thread polls, the peer is made to wait, and everything
/// comes once the host drains.
pub fn queue_is_bounded(setup: Setup) {
    let mut host = setup.host_with(|config| config.queue_max_bytes = 64 * KIB);
    let door = host.door_with("?frame=u32be", |endpoint| endpoint.recv_buffer_bytes = 64 * 1024);
    let (mut peer, conn) = host.meet(door);
    // More than the systems' buffers can grow to take: 4 MiB and 64 KiB.
    let stream = frame(&[9; 1000]).repeat(12_000);
    let mut at = 0;
    let mut quiet = 0;
    wait_for("the peer's wait", || {
        let taken = peer.offer(&stream[at..]);
        at += taken;
        let queued = host.net.stats().queued_bytes;
        // The bound, and one turn of 64 KiB on top.
        assert!(queued <= 64 * KIB + 64 * KIB + 128 * 64, "{queued} bytes in the queue");
        quiet = if taken == 0 { quiet + 1 } else { 0 };
        quiet == 50
    });
    assert!(at < stream.len(), "the peer waits: {at} bytes were taken");
    let received = host.net.stats().received_bytes;
    assert!(received < 512 * KIB, "reading stopped: {received} bytes");
    host.write(&mut peer, &stream[at..]);
    host.await_messages(conn, 12_000);
    host.until("an empty queue", |host| host.net.stats().queued_bytes == 0);
    host.finish();
}

/// Rule 6: the same seen by a host that takes one event at a time.
pub fn queue_is_bounded_in_small_steps(setup: Setup) {
    let mut host = setup.host_with(|config| config.queue_max_bytes = 64 * KIB);
    let door = host.door("?frame=u32be");
    let (mut peer, conn) = host.meet(door);
    let stream = frame(&[9; 100]).repeat(5000);
    let mut at = 0;
    let end = Instant::now() + crate::common::DEADLINE;
    while host.messages(conn).len() < 1000 {
        at += peer.offer(&stream[at..]);
        host.step_queue(0, 1, 2);
        let queued = host.net.stats().queued_bytes;
        assert!(queued <= 64 * KIB + 64 * KIB + 700 * 64, "{queued} bytes in the queue");
        assert!(Instant::now() < end, "not in time: messages");
    }
    host.write(&mut peer, &stream[at..]);
    host.await_messages(conn, 5000);
    host.finish();
}

/// Rule 6: `connections_max` reached is reported, and it recovers.
pub fn connections_are_bounded(setup: Setup) {
    let mut host = setup.host_with(|config| config.connections_max = 8);
    let door = host.door("");
    let (mut peers, conns): (Vec<Peer>, Vec<_>) = (0..7).map(|_| host.meet(door)).unzip();
    let surplus: Vec<Peer> = (0..10).map(|_| Peer::connect(door.port)).collect();
    host.until("told", |host| host.net.stats().accept_failures > 0);
    assert_eq!(host.count(Kind::Opened), 7, "no eighth");
    let url = format!("tcp://127.0.0.1:{}", door.port);
    assert_eq!(host.net.connect(&url, None).err(), Some(ERR_LIMIT));
    assert_eq!(host.net.listen("tcp://127.0.0.1:0", None).err(), Some(ERR_LIMIT));
    for (peer, &conn) in peers.iter_mut().zip(&conns) {
        host.turn_over(peer, conn);
    }
    drop((peers, surplus));
    host.until("the ends", |host| host.count(Kind::Closed) >= 7);
    recovers(&mut host, door.port);
    host.finish();
}

/// A new peer is served. The first ones may come before the slots of the old ones are free.
fn recovers(host: &mut Host, port: u16) {
    let mut peer = Peer::connect(port);
    peer.try_offer(b"new");
    host.until("a message of a new one", |host| {
        if peer.has(usize::MAX) || peer.end.is_some() {
            peer = Peer::connect(port);
            peer.try_offer(b"new");
        }
        host.log.iter().any(|event| event.data == b"new")
    });
    let conn = host.log.iter().find(|event| event.data == b"new").expect("just seen").conn;
    host.turn_over(&mut peer, conn);
}

/// Rule 6: posts beyond `queue_max_bytes` are refused whole, and room comes back.
pub fn posts_are_bounded(setup: Setup) {
    let mut host = setup.host_with(|config| config.queue_max_bytes = 64 * KIB);
    let mut posted = 0;
    while host.net.post(0, posted, 100 + posted) == OK {
        posted += 1;
        assert!(posted <= 1024, "64 bytes are counted for each");
    }
    assert!(posted >= 512, "{posted}");
    assert_eq!(host.net.post(0, 0, 0), ERR_AGAIN);
    host.until("the posts", |host| host.count(Kind::Posted) as u64 == posted);
    for (at, event) in host.log.iter().enumerate() {
        assert_eq!((event.detail, event.user_data), (at as u64, 100 + at as u64), "in order");
    }
    assert_eq!(host.net.post(0, 1, 1), OK);
    host.until("one more", |host| host.count(Kind::Posted) as u64 == posted + 1);
    host.finish();
}

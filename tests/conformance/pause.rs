//! Pause: nothing of a paused connection is told but its reset and that it is idle, and nothing
//! spins meanwhile.

use crate::common::event::Kind;
use crate::common::host::Host;
use crate::common::peer::Peer;
use crate::common::process::RESET_BY_PEER;
use crate::common::words::*;
use crate::common::{Setup, suite};
use sockeye::capi::conn::sockeye_conn;
use std::time::{Duration, Instant};

suite! {
    each: bytes_wait, fin_waits, reset_is_told, reset_behind_bytes_is_told,
        silence_is_told, silence_behind_a_fin_is_told, bytes_that_wait_are_no_silence,
        bytes_behind_a_gate_are_no_silence, reset_is_told_on_a_send, back_pressure,
        does_not_spin_with_data, does_not_spin_with_a_fin, does_not_spin_with_a_reset,
        again_is_fine, sends_go_on, closing_a_paused_one;
}

/// A paused connection, and another that shows that the worker turns.
struct Scene {
    host: Host,
    conn: sockeye_conn,
    witness: Peer,
    witness_conn: sockeye_conn,
}

/// The scene, and the peer of the paused connection.
fn scene(setup: Setup) -> (Scene, Peer) {
    let mut host = setup.host();
    let door = host.door_with("", |endpoint| endpoint.recv_buffer_bytes = 64 * 1024);
    let (peer, conn) = host.meet(door);
    let (mut witness, witness_conn) = host.meet(door);
    assert_eq!(host.net.pause(conn), OK);
    host.turn_over(&mut witness, witness_conn);
    (Scene { host, conn, witness, witness_conn }, peer)
}

impl Scene {
    /// Turns the worker several times and sees that nothing came of the paused one.
    fn nothing_comes(&mut self) {
        self.host.turn_over(&mut self.witness, self.witness_conn);
        assert_eq!(self.host.kinds_of(self.conn), [Kind::Opened]);
    }

    fn resume(&mut self) {
        assert_eq!(self.host.net.resume(self.conn), OK);
    }
}

pub fn bytes_wait(setup: Setup) {
    let (mut scene, mut peer) = scene(setup);
    peer.put(b"one");
    scene.nothing_comes();
    peer.put(b"two");
    scene.nothing_comes();
    scene.resume();
    scene.host.until("both", |host| host.bytes(scene.conn) == b"onetwo");
    scene.host.finish();
}

/// The peer's FIN waits too, behind its bytes.
pub fn fin_waits(setup: Setup) {
    let (mut scene, mut peer) = scene(setup);
    peer.put(b"last");
    drop(peer);
    scene.nothing_comes();
    scene.resume();
    assert_eq!(scene.host.closed(scene.conn).cause, PEER);
    assert_eq!(scene.host.bytes(scene.conn), b"last");
    scene.host.finish();
}

/// A reset does not: there is nothing to go on with.
pub fn reset_is_told(setup: Setup) {
    if !setup.resets() {
        return;
    }
    let (mut scene, peer) = scene(setup);
    peer.reset();
    let closed = scene.host.closed(scene.conn);
    assert_eq!((closed.cause, closed.os_error), (RESET, RESET_BY_PEER));
    assert_eq!(scene.host.kinds_of(scene.conn), [Kind::Opened, Kind::Closed]);
    scene.host.finish();
}

/// Also when nothing is asked of the system any more that would tell of it.
pub fn reset_behind_bytes_is_told(setup: Setup) {
    if !setup.resets() {
        return;
    }
    let (mut scene, mut peer) = scene(setup);
    for bytes in [&b"received before the engine hears of it"[..], b"or behind"] {
        peer.put(bytes);
        scene.nothing_comes();
    }
    peer.reset();
    let closed = scene.host.closed(scene.conn);
    assert_eq!((closed.cause, closed.os_error), (RESET, RESET_BY_PEER));
    scene.host.finish();
}

/// The idle limit in these tests.
const LIMIT_MS: u32 = 200;

/// A peer of a connection with that limit, which the host does not read.
fn unread(setup: Setup) -> (Host, Peer, sockeye_conn) {
    let mut host = setup.host();
    let door = host.door_with("", |endpoint| endpoint.idle_timeout_ms = LIMIT_MS);
    let (peer, conn) = host.meet(door);
    assert_eq!(host.net.pause(conn), OK);
    (host, peer, conn)
}

fn limit_passes(host: &mut Host) {
    let until = Instant::now() + 4 * Duration::from_millis(LIMIT_MS.into());
    host.until("some time", |_| Instant::now() >= until);
}

pub fn silence_is_told(setup: Setup) {
    let (mut host, _peer, conn) = unread(setup);
    assert_eq!(host.closed(conn).cause, TIMEOUT_IDLE);
    host.finish();
}

/// A FIN is no byte.
pub fn silence_behind_a_fin_is_told(setup: Setup) {
    let (mut host, peer, conn) = unread(setup);
    peer.fin();
    assert_eq!(host.closed(conn).cause, TIMEOUT_IDLE);
    host.finish();
}

/// The clock stands for as long as the host has not got what the peer sent.
pub fn bytes_that_wait_are_no_silence(setup: Setup) {
    let (mut host, mut peer, conn) = unread(setup);
    peer.put(b"x");
    if host.is_closed(conn) {
        println!("skipped: the machine held this thread up");
        return host.finish();
    }
    limit_passes(&mut host);
    peer.put(b"y");
    limit_passes(&mut host);
    assert_eq!(host.kinds_of(conn), [Kind::Opened]);
    assert_eq!(host.net.resume(conn), OK);
    host.until("both", |host| host.bytes(conn) == b"xy");
    assert_eq!(host.closed(conn).cause, TIMEOUT_IDLE);
    host.finish();
}

/// As that, where the outbox keeps it from being read.
pub fn bytes_behind_a_gate_are_no_silence(setup: Setup) {
    let mut host = setup.host();
    let door = host.door_with("", |endpoint| {
        endpoint.idle_timeout_ms = LIMIT_MS;
        endpoint.gate_reads = 1;
        endpoint.send_buffer_bytes = 16 * 1024;
        endpoint.outbox_max_bytes = 32 << 20;
        endpoint.outbox_low_bytes = 1024;
    });
    let (mut peer, conn) = host.meet(door);
    if host.net.send(conn, &vec![1; 20 << 20]) != OK {
        println!("skipped: the machine held this thread up");
        return host.finish();
    }
    peer.put(b"x");
    host.until("a byte", |host| !host.bytes(conn).is_empty() || host.is_closed(conn));
    peer.put(b"y");
    limit_passes(&mut host);
    assert!(!host.is_closed(conn), "a byte waits");
    host.finish();
}

/// A send that fails tells of the reset before any resume.
pub fn reset_is_told_on_a_send(setup: Setup) {
    let (mut scene, peer) = scene(setup);
    peer.reset();
    scene.host.until("CLOSED", |host| {
        let status = host.net.send(scene.conn, b"anybody?");
        assert!([OK, ERR_CLOSED, ERR_STALE].contains(&status), "{status}");
        host.is_closed(scene.conn)
    });
    let closed = scene.host.closed(scene.conn);
    assert_eq!(closed.cause, RESET);
    scene.host.finish();
}

/// The peer is made to wait: what it can send is bounded by the system's buffers.
pub fn back_pressure(setup: Setup) {
    let (mut scene, mut peer) = scene(setup);
    let received = scene.host.net.stats().received_bytes;
    let sent: Vec<u8> = (0..20_000_000u32).map(|at| (at % 241) as u8).collect();
    let (mut at, mut quiet) = (0, 0);
    scene.host.until("the peer's wait", |_| {
        let taken = peer.offer(&sent[at..]);
        at += taken;
        quiet = if taken == 0 { quiet + 1 } else { 0 };
        quiet == 10
    });
    assert!(at < sent.len(), "somebody took 20 MB");
    // One receive may have been on its way when the pause came.
    let read = scene.host.net.stats().received_bytes - received;
    assert!(read <= 65_536, "{read} bytes were read");
    scene.nothing_comes();
    scene.resume();
    let expected = &sent[..at];
    scene.host.until("what waited", |host| {
        host.net.conn_stats(scene.conn).is_ok_and(|stats| stats.received_bytes == at as u64)
    });
    scene.host.until("its events", |host| host.net.stats().queued_bytes == 0);
    assert!(scene.host.bytes(scene.conn) == expected, "in order, none lost");
    scene.host.finish();
}

pub fn does_not_spin_with_data(setup: Setup) {
    let (mut scene, mut peer) = scene(setup);
    peer.put(&[1; 1000]);
    scene.host.rests();
    scene.host.finish();
}

pub fn does_not_spin_with_a_fin(setup: Setup) {
    let (mut scene, mut peer) = scene(setup);
    peer.put(b"x");
    drop(peer);
    scene.host.rests();
    scene.nothing_comes();
    scene.resume();
    assert_eq!(scene.host.closed(scene.conn).cause, PEER);
    scene.host.finish();
}

/// The hardest: every poll of the system reports a reset, asked or not.
pub fn does_not_spin_with_a_reset(setup: Setup) {
    if !setup.resets() {
        return;
    }
    let (mut scene, peer) = scene(setup);
    peer.reset();
    assert_eq!(scene.host.closed(scene.conn).cause, RESET);
    scene.host.rests();
    scene.host.finish();
}

/// Pause and resume may be repeated, and the last one counts.
pub fn again_is_fine(setup: Setup) {
    let (mut scene, mut peer) = scene(setup);
    let net = &scene.host.net;
    assert_eq!(net.pause(scene.conn), OK);
    assert_eq!(net.resume(scene.conn), OK);
    assert_eq!(net.resume(scene.conn), OK);
    assert_eq!(net.pause(scene.conn), OK);
    peer.put(b"x");
    scene.nothing_comes();
    for _ in 0..50 {
        scene.resume();
        assert_eq!(scene.host.net.pause(scene.conn), OK);
    }
    scene.resume();
    scene.host.until("a byte", |host| host.bytes(scene.conn) == b"x");
    scene.host.finish();
}

/// Pausing is about reading: sends leave.
pub fn sends_go_on(setup: Setup) {
    let (mut scene, mut peer) = scene(setup);
    assert_eq!(scene.host.net.send(scene.conn, &[4; 100_000]), OK);
    assert_eq!(scene.host.read(&mut peer, 100_000), [4; 100_000]);
    scene.host.finish();
}

/// A paused connection can be closed both ways; only CLOSED comes.
pub fn closing_a_paused_one(setup: Setup) {
    for how in [GRACEFUL, AT_ONCE] {
        let (mut scene, mut peer) = scene(setup);
        peer.put(b"never told");
        assert_eq!(scene.host.net.close(scene.conn, how), OK);
        if how == GRACEFUL {
            peer.fin();
        }
        assert_eq!(scene.host.closed(scene.conn).cause, HOST);
        assert_eq!(scene.host.kinds_of(scene.conn), [Kind::Opened, Kind::Closed]);
        scene.host.finish();
    }
}

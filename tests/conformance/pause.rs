//! Pause: nothing of a paused connection is told, not even its end, and nothing spins meanwhile.

use crate::common::event::Kind;
use crate::common::host::Host;
use crate::common::peer::Peer;
use crate::common::process::RESET_BY_PEER;
use crate::common::words::*;
use crate::common::{Setup, suite};
use sockeye::capi::conn::sockeye_conn;

suite! {
    each: bytes_wait, fin_waits, reset_waits, reset_is_told_on_a_send, back_pressure,
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

/// So does a reset.
pub fn reset_waits(setup: Setup) {
    if !setup.resets() {
        return;
    }
    let (mut scene, mut peer) = scene(setup);
    peer.put(b"lost or not");
    peer.reset();
    scene.nothing_comes();
    scene.resume();
    let closed = scene.host.closed(scene.conn);
    assert_eq!((closed.cause, closed.os_error), (RESET, RESET_BY_PEER));
    scene.host.finish();
}

/// A send that fails tells of the reset before any resume.
pub fn reset_is_told_on_a_send(setup: Setup) {
    let (mut scene, peer) = scene(setup);
    peer.reset();
    scene.nothing_comes();
    scene.host.until("CLOSED", |host| {
        let status = host.net.send(scene.conn, b"anybody?");
        assert!([OK, ERR_CLOSED].contains(&status), "{status}");
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
    scene.host.rests();
    scene.nothing_comes();
    scene.resume();
    assert_eq!(scene.host.closed(scene.conn).cause, RESET);
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

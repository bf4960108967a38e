//! Closing: GRACEFUL brings the last message over, RESET does not wait, and after either only
//! CLOSED comes.

use crate::common::event::Kind;
use crate::common::host::Host;
use crate::common::peer::End;
use crate::common::words::*;
use crate::common::{Setup, frame, layered_suite, unframe};
use std::io::Write;
use std::time::{Duration, Instant};

layered_suite! {
    each: graceful_flushes_a_large_outbox, unread_input_does_not_destroy_the_last_message,
        linger_has_an_end, zero_linger_waits_not, reset_is_at_once, reset_loses_and_counts,
        reset_escalates, last_message_past_the_cap, last_message_of_a_reset,
        only_closed_comes_after, graceful_with_a_silent_peer_holds_nobody_up,
        both_sides_at_once, lingering_does_not_spin, half_closed_with_a_reply_does_not_spin;
}

/// GRACEFUL: everything that was taken is sent, then FIN.
pub fn graceful_flushes_a_large_outbox(setup: Setup) {
    let mut host = setup.host();
    let door = host.door_with("?frame=u32be", |endpoint| endpoint.send_buffer_bytes = 16 * 1024);
    let (mut peer, conn) = host.meet(door);
    let mut expected = Vec::new();
    for at in 0..100u8 {
        let message = vec![at; 10_000];
        assert_eq!(host.net.send(conn, &message), OK);
        expected.extend(frame(&message));
    }
    assert_eq!(host.net.close_with(conn, GRACEFUL, b"goodbye"), OK);
    expected.extend(frame(b"goodbye"));
    assert_eq!(host.net.send(conn, b"late"), ERR_CLOSED);
    let (arrived, end) = host.read_to_end(&mut peer);
    assert!(arrived == expected, "{} of {} bytes", arrived.len(), expected.len());
    assert_eq!(end, End::Fin);
    drop(peer);
    let closed = host.closed(conn);
    assert_eq!((closed.cause, closed.detail), (HOST, 0));
    host.finish();
}

/// GRACEFUL: input that the host never read does not turn the end into a reset, which would
/// destroy the last message on its way.
pub fn unread_input_does_not_destroy_the_last_message(setup: Setup) {
    let mut host = setup.host();
    let door = host.door("");
    let (mut peer, conn) = host.meet(door);
    assert_eq!(host.net.pause(conn), OK);
    host.step(0);
    peer.put(&[1; 60_000]);
    assert_eq!(host.net.close_with(conn, GRACEFUL, b"you are kicked"), OK);
    peer.put(&[2; 10_000]);
    assert_eq!(host.read_to_end(&mut peer), (b"you are kicked".to_vec(), End::Fin));
    drop(peer);
    assert_eq!(host.closed(conn).cause, HOST);
    host.finish();
}

/// GRACEFUL: a peer that never ends its side is reset after `linger_ms`, not before:
/// TIMEOUT_LINGER.
pub fn linger_has_an_end(setup: Setup) {
    let mut host = setup.host();
    let door = host.door_with("", |endpoint| endpoint.linger_ms = 150);
    let (mut peer, conn) = host.meet(door);
    let begun = Instant::now();
    assert_eq!(host.net.close(conn, GRACEFUL), OK);
    let closed = host.closed(conn);
    assert_eq!(closed.cause, TIMEOUT_LINGER);
    assert!(begun.elapsed() >= Duration::from_millis(150), "{:?}", begun.elapsed());
    // The FIN came first; the reset behind it shows on the next write.
    assert_eq!(host.read_to_end(&mut peer), (vec![], End::Fin));
    host.finish();
}

/// `linger_ms` 0: no waiting for the peer.
pub fn zero_linger_waits_not(setup: Setup) {
    let mut host = setup.host();
    let door = host.door_with("", |endpoint| endpoint.linger_ms = 0);
    let (_peer, conn) = host.meet(door);
    assert_eq!(host.net.close(conn, GRACEFUL), OK);
    let closed = host.closed(conn);
    assert!([HOST, TIMEOUT_LINGER].contains(&closed.cause), "{closed:?}");
    host.finish();
}

/// RESET: the peer sees a reset, and CLOSED comes without waiting for it.
pub fn reset_is_at_once(setup: Setup) {
    if !setup.resets() {
        return;
    }
    let mut host = setup.host();
    let door = host.door("");
    let (mut peer, conn) = host.meet(door);
    assert_eq!(host.net.close(conn, AT_ONCE), OK);
    assert_eq!(host.closed(conn).cause, HOST);
    assert_eq!(host.read_to_end(&mut peer), (vec![], End::Reset));
    host.finish();
}

/// RESET: what was taken and not handed to the system is counted in CLOSED.
pub fn reset_loses_and_counts(setup: Setup) {
    if !setup.resets() {
        return;
    }
    let mut host = setup.host_with(|config| config.flush = FLUSH_MANUAL);
    let door = host.door("");
    let (mut peer, conn) = host.meet(door);
    assert_eq!(host.net.send(conn, &[1; 1234]), OK);
    assert_eq!(host.net.close(conn, AT_ONCE), OK);
    let closed = host.closed(conn);
    assert_eq!((closed.cause, closed.detail), (HOST, 1234));
    assert_eq!(host.read_to_end(&mut peer), (vec![], End::Reset));
    host.finish();
}

/// RESET after GRACEFUL escalates; any other repeat is ERR_CLOSED.
pub fn reset_escalates(setup: Setup) {
    let mut host = setup.host();
    let door = host.door_with("", |endpoint| endpoint.linger_ms = 60_000);
    let (_peer, conn) = host.meet(door);
    assert_eq!(host.net.close(conn, GRACEFUL), OK);
    host.step(5);
    assert!(!host.is_closed(conn), "the peer has not ended its side");
    assert_eq!(host.net.close(conn, GRACEFUL), ERR_CLOSED);
    assert_eq!(host.net.close_with(conn, GRACEFUL, b"x"), ERR_CLOSED);
    assert_eq!(host.net.close(conn, AT_ONCE), OK);
    assert_eq!(host.net.close(conn, AT_ONCE), ERR_CLOSED);
    assert_eq!(host.closed(conn).cause, HOST);
    host.finish();
}

/// `close_with` takes its message though the outbox is full.
pub fn last_message_past_the_cap(setup: Setup) {
    let mut host = setup.host_with(|config| config.flush = FLUSH_MANUAL);
    let door = host.door_with("?frame=u32be", |endpoint| endpoint.outbox_max_bytes = 4096);
    let (mut peer, conn) = host.meet(door);
    let mut taken = 0;
    while host.net.send(conn, &[taken; 100]) == OK {
        taken += 1;
        assert!(taken < 50, "4096 bytes have no more");
    }
    assert_eq!(host.net.close_with(conn, GRACEFUL, &[0xFF; 500]), OK);
    let (arrived, end) = host.read_to_end(&mut peer);
    let messages = unframe(&arrived);
    assert_eq!(messages.len(), usize::from(taken) + 1);
    assert!((0..taken).all(|at| messages[usize::from(at)] == [at; 100]));
    assert_eq!((*messages.last().expect("one"), end), (&[0xFF; 500][..], End::Fin));
    host.finish();
}

/// `close_with` RESET: the message is not sent.
pub fn last_message_of_a_reset(setup: Setup) {
    if !setup.resets() {
        return;
    }
    let mut host = setup.host();
    let door = host.door("");
    let (mut peer, conn) = host.meet(door);
    assert_eq!(host.net.close_with(conn, AT_ONCE, b"never"), OK);
    assert_eq!(host.closed(conn).cause, HOST);
    assert_eq!(host.read_to_end(&mut peer), (vec![], End::Reset));
    host.finish();
}

/// After close has returned, polls give only CLOSED for that connection, though it floods.
pub fn only_closed_comes_after(setup: Setup) {
    if !setup.writes_beside() {
        return;
    }
    for how in [GRACEFUL, AT_ONCE] {
        let mut host = setup.host();
        let door = host.door_with("?frame=u32be", |endpoint| endpoint.linger_ms = 300);
        let (peer, conn) = host.meet(door);
        let mut stream = peer.into_stream();
        let flood = std::thread::spawn(move || {
            let block = frame(&[1; 100]).repeat(100);
            while stream.write_all(&block).is_ok() {}
        });
        host.await_messages(conn, 100);
        assert_eq!(host.net.close(conn, how), OK);
        let before = host.log.len();
        host.closed(conn);
        let after: Vec<Kind> = host.log[before..].iter().map(|event| event.kind).collect();
        assert_eq!(after, [Kind::Closed]);
        host.until("the flood's end", |_| flood.is_finished());
        flood.join().expect("the flood ends with its connection");
        host.finish();
    }
}

/// A lingering close keeps neither the others nor a new peer waiting.
pub fn graceful_with_a_silent_peer_holds_nobody_up(setup: Setup) {
    let mut host = setup.host();
    let door = host.door_with("", |endpoint| endpoint.linger_ms = 60_000);
    let (_silent, closing) = host.meet(door);
    assert_eq!(host.net.close(closing, GRACEFUL), OK);
    let (mut peer, conn) = host.meet(door);
    host.turn_over(&mut peer, conn);
    assert!(!host.is_closed(closing));
    host.finish();
}

/// Both sides end at once, many times: one CLOSED each, HOST or PEER by who was first.
pub fn both_sides_at_once(setup: Setup) {
    let mut host: Host = setup.host();
    let door = host.door("");
    for _ in 0..50 {
        let (peer, conn) = host.meet(door);
        peer.fin();
        let status = host.net.close(conn, GRACEFUL);
        assert!([OK, ERR_CLOSED].contains(&status), "{status}");
        let cause = host.closed(conn).cause;
        assert!([HOST, PEER].contains(&cause), "{cause}");
    }
    host.until("free slots", |host| host.net.stats().connections == 0);
    host.finish();
}

/// A close that waits for its peer waits: with nothing left to do, and with input that is
/// discarded as it comes.
pub fn lingering_does_not_spin(setup: Setup) {
    let mut host = setup.host();
    let door = host.door_with("", |endpoint| endpoint.linger_ms = 60_000);
    let (mut peer, conn) = host.meet(door);
    assert_eq!(host.net.close(conn, GRACEFUL), OK);
    host.rests();
    peer.put(&[1; 10_000]);
    host.rests();
    peer.fin();
    assert_eq!(host.closed(conn).cause, HOST);
    host.finish();
}

/// The peer has ended its side and does not read the long reply: the system reports that end
/// each time it is asked, which is no work.
pub fn half_closed_with_a_reply_does_not_spin(setup: Setup) {
    let mut host = setup.host();
    let door = host.door_with("", |endpoint| {
        endpoint.linger_ms = 60_000;
        endpoint.send_buffer_bytes = 16 * 1024;
        endpoint.outbox_max_bytes = 32 << 20;
    });
    let (mut peer, conn) = host.meet(door);
    // More than both systems' buffers can grow to take.
    let reply = vec![6; 20 << 20];
    assert_eq!(host.net.send(conn, &reply), OK);
    peer.fin();
    assert_eq!(host.closed(conn).cause, PEER);
    let mut sent = 0;
    host.until("full buffers", |host| {
        host.step(30);
        let before = std::mem::replace(&mut sent, host.net.stats().sent_bytes);
        before == sent
    });
    host.rests();
    let (arrived, end) = host.read_to_end(&mut peer);
    assert!(arrived == reply, "{} bytes", arrived.len());
    assert_eq!(end, End::Fin);
    host.finish();
}

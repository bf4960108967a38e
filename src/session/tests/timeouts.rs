//! When the peer is late.

use super::*;

const OFF: Limits = Limits {
    outbox_max_bytes: 1024,
    outbox_low_bytes: 512,
    outbox_max_messages: 10,
    overflow: Overflow::Reject,
    gate_reads: false,
    connect_timeout_ms: 0,
    idle_timeout_ms: 0,
    first_byte_timeout_ms: 0,
    frame_timeout_ms: 0,
    send_timeout_ms: 0,
    linger_ms: 0,
    half_open: false,
    receive_rate: 0,
    send_rate: 0,
    min_receive_rate: 0,
    min_receive_window_ms: 5_000,
};

const IDLE: Limits = Limits { idle_timeout_ms: 50, ..OFF };
const FIRST: Limits = Limits { first_byte_timeout_ms: 40, ..OFF };
const FRAME: Limits = Limits { frame_timeout_ms: 30, ..OFF };
const SEND: Limits = Limits { send_timeout_ms: 20, ..OFF };
const ALL: Limits = Limits {
    idle_timeout_ms: 50,
    first_byte_timeout_ms: 40,
    frame_timeout_ms: 30,
    send_timeout_ms: 20,
    ..OFF
};

/// A session with a message with the model since `NOW`, and `begun` bytes of a frame received at
/// `NOW + 1` or none.
fn busy(pool: &Bounded, begun: usize) -> (Session, Train) {
    let mut session = Session::new(0, false);
    pool.send(&mut session, &length(1, false), &[1]);
    let train = session.poll_transmit(u32::MAX, NOW).expect("something waits");
    assert!(matches!(session.poll_recv(NOW), Want::Fresh));
    if begun > 0 {
        receive(&mut session, pool, &[9; 8][..begun], NOW + 1);
        assert!(matches!(session.poll_recv(NOW + 2), Want::Fresh));
    }
    (session, train)
}

fn receive(session: &mut Session, pool: &Pool, bytes: &[u8], now: Millis) {
    let slice = pool.take(100).expect("memory").write(bytes);
    let mut input = session.handle_received(slice, None, now);
    while input.poll_event(&length(1, false), pool, now).is_some() {}
}

#[test]
fn there_is_no_deadline_where_there_is_no_timeout() {
    let pool = Bounded::new(1 << 20);
    for flags in 0..8 {
        for begun in [0, 3] {
            let (session, _train) = busy(&pool, begun);
            let [accepted, reading, sending] = [1, 2, 4].map(|flag| flags & flag != 0);
            assert_eq!(session.poll_timeout(&OFF, accepted, reading, sending), None);
        }
    }
}

#[test]
fn each_timeout_runs_exactly_while_its_peer_is_waited_for() {
    let pool = Bounded::new(1 << 20);
    for flags in 0..8 {
        for begun in [0, 3] {
            let (session, _train) = busy(&pool, begun);
            let [accepted, reading, sending] = [1, 2, 4].map(|flag| flags & flag != 0);
            let at = |limits| session.poll_timeout(limits, accepted, reading, sending);
            let quiet = if begun > 0 { NOW + 2 } else { NOW };
            let idle = reading.then_some((quiet + 50, Cause::TimeoutIdle));
            let first = accepted && reading && begun == 0;
            let first = first.then_some((NOW + 40, Cause::TimeoutFirstByte));
            let frame = (reading && begun > 0).then_some((NOW + 1 + 30, Cause::TimeoutFrame));
            let send = sending.then_some((NOW + 20, Cause::TimeoutSend));
            assert_eq!(at(&IDLE), idle);
            assert_eq!(at(&FIRST), first);
            assert_eq!(at(&SEND), send);
            let late = at(&FRAME).map(|(_, cause)| cause);
            assert_eq!(late, frame.map(|(_, cause)| cause));
            let earliest = [idle, first, frame, send].into_iter().flatten().min_by_key(|due| due.0);
            assert_eq!(at(&ALL).map(|due| due.1), earliest.map(|due| due.1));
        }
    }
}

#[test]
fn idle_is_counted_from_the_last_byte_and_from_the_asking() {
    let pool = Bounded::new(1 << 20);
    let mut session = Session::new(5, false);
    let idle = |session: &Session| session.poll_timeout(&IDLE, true, true, false);
    assert_eq!(idle(&session), Some((55, Cause::TimeoutIdle)));
    assert!(matches!(session.poll_recv(10), Want::Fresh));
    assert_eq!(idle(&session), Some((60, Cause::TimeoutIdle)));
    receive(&mut session, &pool, &[0], 30);
    assert_eq!(idle(&session), Some((80, Cause::TimeoutIdle)));
    // A host that does not read for a while does not make its peer late.
    assert!(matches!(session.poll_recv(500), Want::Fresh));
    assert_eq!(idle(&session), Some((550, Cause::TimeoutIdle)));
}

#[test]
fn asking_in_vain_starts_no_clock() {
    let pool = Bounded::new(1 << 20);
    let mut session = Session::new(0, false);
    assert!(matches!(session.poll_recv(10), Want::Fresh));
    let slice = pool.take(10).expect("memory").write(&[1, 1, 0]);
    drop(session.handle_received(slice, None, 20));
    assert!(matches!(session.poll_recv(30), Want::No), "there is input to be parsed");
    assert_eq!(session.poll_timeout(&IDLE, true, true, false), Some((70, Cause::TimeoutIdle)));
}

#[test]
fn the_first_byte_is_awaited_once() {
    let pool = Bounded::new(1 << 20);
    let mut session = Session::new(5, false);
    assert!(matches!(session.poll_recv(10), Want::Fresh));
    let first = |session: &Session| session.poll_timeout(&FIRST, true, true, false);
    assert_eq!(first(&session), Some((50, Cause::TimeoutFirstByte)));
    assert_eq!(session.poll_timeout(&FIRST, false, true, false), None, "it was not accepted");
    receive(&mut session, &pool, &[0], 20);
    assert!(matches!(session.poll_recv(20), Want::Fresh));
    assert_eq!(first(&session), None);
}

#[test]
fn a_frame_s_clock_runs_from_its_first_byte_to_its_last() {
    let pool = Bounded::new(1 << 20);
    let mut session = Session::new(0, false);
    assert!(matches!(session.poll_recv(0), Want::Fresh));
    let mut due = |bytes: &[u8], now| {
        receive(&mut session, &pool, bytes, now);
        assert!(matches!(session.poll_recv(now), Want::Fresh));
        let due = session.poll_timeout(&FRAME, true, true, false)?;
        assert_eq!(due.1, Cause::TimeoutFrame);
        Some(due.0)
    };
    assert_eq!(due(&[1, 7], 10), None, "a whole frame");
    assert_eq!(due(&[5], 20), Some(50));
    assert_eq!(due(&[1, 2], 30), Some(50), "more of the same frame wins no time");
    assert_eq!(due(&[3, 4, 5, 2, 1], 40), Some(70), "the next one begins");
    assert_eq!(due(&[2], 45), None);
}

#[test]
fn a_frame_s_clock_stands_while_nothing_is_asked_for() {
    let pool = Bounded::new(1 << 20);
    let mut session = Session::new(0, false);
    assert!(matches!(session.poll_recv(10), Want::Fresh));
    receive(&mut session, &pool, &[5, 1], 10);
    assert!(matches!(session.poll_recv(10), Want::Fresh));
    receive(&mut session, &pool, &[2], 20);
    // The host pauses here for a second.
    assert!(matches!(session.poll_recv(1020), Want::Fresh));
    let due = session.poll_timeout(&FRAME, true, true, false);
    assert_eq!(due, Some((1040, Cause::TimeoutFrame)), "20 of 30 are left");
}

#[test]
fn a_frame_that_is_parsed_late_has_all_its_time() {
    let pool = Bounded::new(1 << 20);
    let mut session = Session::new(0, false);
    assert!(matches!(session.poll_recv(10), Want::Fresh));
    let slice = pool.take(10).expect("memory").write(&[5, 1]);
    drop(session.handle_received(slice, None, 10));
    // The host pauses before the parse.
    assert!(session.input().poll_event(&length(1, false), &pool, 1000).is_none());
    assert!(matches!(session.poll_recv(1000), Want::Fresh));
    let due = session.poll_timeout(&FRAME, true, true, false);
    assert_eq!(due, Some((1030, Cause::TimeoutFrame)), "and no more than that");
}

#[test]
fn a_send_s_clock_starts_anew_when_some_of_it_was_written() {
    let pool = Bounded::new(1 << 20);
    let mut session = Session::new(0, false);
    pool.send(&mut session, &Framing::default(), &[1; 9]);
    let due = |session: &Session| session.poll_timeout(&SEND, false, false, true);
    let train = session.poll_transmit(u32::MAX, 10).expect("something waits");
    assert!(session.poll_transmit(u32::MAX, 15).is_none());
    assert_eq!(due(&session), Some((30, Cause::TimeoutSend)));
    sent(&mut session, 1, train);
    let train = session.poll_transmit(u32::MAX, 25).expect("something waits");
    assert_eq!(due(&session), Some((45, Cause::TimeoutSend)));
    assert_eq!(session.poll_timeout(&SEND, false, false, false), None, "nothing is with the model");
    sent(&mut session, 8, train);
}

#[test]
fn long_timeouts_do_not_overflow() {
    let limits = Limits { idle_timeout_ms: u32::MAX, ..OFF };
    let session = Session::new(NOW, false);
    let due = session.poll_timeout(&limits, false, true, false);
    assert_eq!(due, Some((NOW + Millis::from(u32::MAX), Cause::TimeoutIdle)));
}

#[test]
fn a_moment_is_a_time_in_six_bytes() {
    for bit in 0..48 {
        for now in [1_u64 << bit, (1 << bit) - 1, (1 << 48) - (1 << bit)] {
            assert_eq!(Millis::from(Moment::from(now)), now);
        }
    }
    assert_eq!((size_of::<Moment>(), Millis::from(Moment::default())), (6, 0));
}

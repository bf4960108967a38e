//! The outbox, one rule at a time.

use super::sending::{bytes_of, write_all};
use super::*;

struct Out {
    session: Session,
    /// With the model.
    train: Option<Train>,
    pool: Bounded,
    framing: Framing,
    limits: Limits,
}

impl Out {
    fn new(limits: Limits, manual: bool) -> Out {
        let session = Session::new(NOW, manual);
        let (pool, framing) = (Bounded::new(64 << 20), length(1, false));
        Out { session, train: None, pool, framing, limits }
    }

    fn send(&mut self, message: &[u8]) -> Result<(), SendError> {
        let message = Outgoing::Copy(message);
        let memory = self.pool.memory();
        self.session.send(&self.framing, &self.limits, memory, message, false)
    }

    fn taken(&mut self, message: &[u8]) {
        self.send(message).expect("room");
    }

    /// The next train's bytes; the model has it.
    fn transmit(&mut self) -> Vec<u8> {
        let train =
            self.train.insert(self.session.poll_transmit(u32::MAX, NOW).expect("something waits"));
        bytes_of(train)
    }

    /// The slices of the train that the model has.
    fn slices(&self) -> usize {
        self.train.as_ref().map_or(0, |train| train.slices().count())
    }

    fn sent(&mut self, count: usize) {
        sent(&mut self.session, count, self.train.take().expect("the model has a train"));
    }
}

fn small(messages: u32) -> Limits {
    let (outbox_max_bytes, outbox_low_bytes) = (1024, 512);
    let outbox_max_messages = messages;
    Limits { outbox_max_bytes, outbox_low_bytes, outbox_max_messages, ..Limits::default() }
}

#[test]
fn small_messages_are_gathered() {
    let mut out = Out::new(Limits::default(), false);
    for round in 0..3 {
        let mut expected = Vec::new();
        for at in 0..60 {
            out.taken(&[at; 6]);
            expected.extend([6, at, at, at, at, at, at]);
        }
        let wire = out.transmit();
        assert_eq!(wire.len(), expected.len(), "{} pieces were not enough", out.slices());
        assert_eq!(wire, expected);
        let most = if round == 0 { 8 } else { 1 };
        assert!(out.slices() <= most, "{} pieces for 420 bytes, round {round}", out.slices());
        out.sent(420);
    }
}

#[test]
fn what_many_are_sent_lies_side_by_side() {
    let pool = Bounded::new(1 << 20);
    let mut all: Vec<Session> = (0..100).map(|_| Session::new(NOW, false)).collect();
    for session in &mut all {
        pool.send(session, &length(1, false), &[7; 99]);
    }
    assert!(pool.bytes() <= ARENA_COST, "{} for 100 sends of 100 bytes", pool.bytes());
    assert!(all.iter_mut().all(|session| write_all(session, 60).len() == 100));
}

#[test]
fn a_burst_of_small_messages_is_one_train() {
    let mut out = Out::new(Limits::default(), false);
    out.taken(&[1]);
    out.transmit();
    out.sent(2);
    for _ in 0..1000 {
        out.taken(&[1; 63]);
    }
    assert_eq!(out.transmit().len(), 64_000, "{} pieces were not enough", out.slices());
    out.sent(64_000);
    assert!(out.pool.bytes() <= ARENA_COST, "an outbox without messages has no memory");
}

#[test]
fn messages_that_come_while_others_are_written_are_gathered_too() {
    let mut out = Out::new(Limits::default(), false);
    out.taken(&[1; 9]);
    let first = out.transmit();
    for _ in 0..9 {
        out.taken(&[2; 9]);
    }
    let train = out.train.as_ref().map(bytes_of);
    assert_eq!(train.as_deref(), Some(&first[..]), "a train does not grow");
    out.sent(10);
    assert_eq!(out.session.outbox().messages(), 9);
    assert_eq!(out.transmit().len(), 90);
    assert!(out.slices() <= 2);
    out.sent(90);
}

#[test]
fn a_train_is_never_longer_than_the_system_takes() {
    let mut out = Out::new(Limits { outbox_max_bytes: 4 << 20, ..Limits::default() }, false);
    out.framing = length(4, false);
    let mut expected = Vec::new();
    for at in 0..100 {
        let message = vec![at; 5000 + usize::from(at)];
        expected.extend(frame(&out.framing, &[], &message));
        out.taken(&message);
    }
    out.transmit();
    assert_eq!(out.slices(), TRAIN_MAX);
    out.sent(0);
    assert_eq!(write_all(&mut out.session, usize::MAX), expected);
}

#[test]
fn waiting_costs_memory_in_proportion() {
    for (overflow, size, factor) in [
        (Overflow::Reject, 60, 2),
        (Overflow::Reject, 5000, 4),
        (Overflow::Reject, 20_000, 4),
        (Overflow::DropOldest, 1000, 5),
        (Overflow::DropOldest, 5000, 4),
    ] {
        let limits = Limits { outbox_max_bytes: 256 << 10, overflow, ..Limits::default() };
        let mut out = Out::new(Limits { outbox_low_bytes: 0, ..limits }, false);
        out.framing = length(4, false);
        while out.session.outbox().bytes() as usize + size + 4 <= 256 << 10 {
            out.taken(&vec![1; size]);
            let waiting = u64::from(out.session.outbox().bytes());
            let most = waiting * factor + 2 * ARENA_COST + 1024;
            let bytes = out.pool.bytes();
            assert!(bytes <= most, "{bytes} for {waiting} in messages of {size}, {overflow:?}");
        }
    }
}

#[test]
fn a_message_over_the_whole_outbox_is_never_again() {
    for overflow in [Overflow::Reject, Overflow::DropOldest, Overflow::Close] {
        let mut out = Out::new(Limits { overflow, ..small(9) }, false);
        out.framing = length(2, false);
        assert_eq!(out.send(&[0; 1023]), Err(SendError::TooBig), "with its header");
        out.taken(&[0; 1022]);
    }
}

#[test]
fn a_writable_is_told_once_for_all_refusals() {
    let mut out = Out::new(small(100), false);
    for _ in 0..5 {
        out.taken(&[0; 199]);
    }
    assert_eq!(out.session.poll_writable(&out.limits), None, "none was refused");
    for _ in 0..3 {
        assert_eq!(out.send(&[0; 199]), Err(SendError::Again));
    }
    out.transmit();
    out.sent(487);
    assert_eq!(out.session.poll_writable(&out.limits), None, "513 bytes are above the low mark");
    out.transmit();
    out.sent(1);
    assert_eq!(out.session.poll_writable(&out.limits), Some(3));
    assert_eq!(out.session.poll_writable(&out.limits), None);
    out.transmit();
    out.sent(512);
    assert_eq!(out.session.poll_writable(&out.limits), None, "once");
}

#[test]
fn the_messages_have_a_cap_and_a_low_mark_too() {
    let mut out = Out::new(small(4), false);
    for at in 0..4 {
        out.taken(&[at]);
    }
    assert_eq!(out.send(&[4]), Err(SendError::Again));
    assert_eq!(out.transmit(), [1, 0, 1, 1, 1, 2, 1, 3]);
    out.sent(3);
    assert_eq!(out.session.outbox().messages(), 3, "the second is half written");
    assert_eq!(out.session.poll_writable(&out.limits), None);
    out.transmit();
    out.sent(1);
    assert_eq!(out.session.outbox().messages(), 2);
    assert_eq!(out.session.poll_writable(&out.limits), Some(1));
    out.taken(&[4]);
}

#[test]
fn messages_are_counted_until_they_are_written_also_while_others_come() {
    // Never more than two wait, so a cap of four refuses none.
    let mut out = Out::new(small(4), false);
    out.taken(&[0]);
    for at in 1..100 {
        let bytes = out.transmit();
        out.taken(&[at]);
        assert_eq!(out.session.outbox().messages(), 2);
        out.sent(bytes.len());
        assert_eq!(out.session.outbox().messages(), 1);
    }
}

#[test]
fn the_oldest_go_first_but_never_what_was_begun() {
    let limits = Limits { overflow: Overflow::DropOldest, ..small(4) };
    let mut out = Out::new(limits, false);
    for at in 0..4 {
        out.taken(&[at; 2]);
    }
    out.transmit();
    out.sent(4);
    assert_eq!(out.session.outbox().messages(), 3, "one is written, one begun");
    for at in 4..9 {
        out.taken(&[at; 2]);
    }
    assert_eq!((out.session.outbox().messages(), out.session.outbox().dropped()), (4, 4));
    assert_eq!(write_all(&mut out.session, 99), [1, 1, 2, 6, 6, 2, 7, 7, 2, 8, 8]);
}

#[test]
fn what_is_with_the_model_is_not_dropped() {
    let limits = Limits { overflow: Overflow::DropOldest, ..small(2) };
    let mut out = Out::new(limits, false);
    out.taken(&[0]);
    out.taken(&[1]);
    assert_eq!(out.transmit(), [1, 0, 1, 1]);
    assert_eq!(out.send(&[2]), Err(SendError::Again), "all are with the model");
    out.sent(0);
    out.taken(&[2]);
    assert_eq!(out.session.outbox().dropped(), 1);
    assert_eq!(write_all(&mut out.session, 1), [1, 1, 1, 2]);
}

#[test]
fn nothing_is_dropped_for_a_message_that_finds_no_room_anyway() {
    let limits = Limits { overflow: Overflow::DropOldest, ..small(9) };
    let mut out = Out::new(limits, false);
    out.framing = length(2, false);
    out.taken(&[0; 700]);
    out.transmit();
    out.taken(&[1; 100]);
    assert_eq!(out.send(&[2; 500]), Err(SendError::Again), "a refused send does nothing");
    assert_eq!((out.session.outbox().messages(), out.session.outbox().dropped()), (2, 0));
    out.sent(702);
    assert_eq!(out.transmit(), frame(&out.framing, &[], &[1; 100]));
    out.sent(0);
}

#[test]
fn nothing_is_dropped_for_a_message_that_finds_no_memory() {
    let limits = Limits { overflow: Overflow::DropOldest, ..small(2) };
    let mut out = Out::new(limits, false);
    out.pool = Bounded::new(8 * 512);
    out.taken(&[0]);
    out.taken(&[1]);
    let kept = out.pool.take_for(1, Purpose::Send).expect("a third block");
    assert!(out.pool.take_for(1, Purpose::Send).is_none(), "and no fourth");
    let answer = out.send(&[2]);
    let outbox = out.session.outbox();
    match answer {
        Ok(()) => assert_eq!((outbox.messages(), outbox.dropped()), (2, 1)),
        Err(_) => assert_eq!((outbox.messages(), outbox.dropped()), (2, 0)),
    }
    drop(kept);
}

#[test]
fn what_was_flushed_leaves_also_when_held_messages_are_dropped() {
    let limits = Limits { overflow: Overflow::DropOldest, ..small(2) };
    let mut out = Out::new(limits, true);
    out.taken(&[0; 9]);
    out.session.flush();
    assert_eq!(out.transmit().len(), 10);
    out.taken(&[1; 9]);
    out.taken(&[2; 9]);
    assert_eq!(out.session.outbox().dropped(), 1, "the one that was not flushed");
    out.sent(5);
    assert_eq!(out.transmit(), [0; 5], "the rest of what was flushed");
    out.sent(5);
    assert!(out.session.poll_transmit(u32::MAX, NOW).is_none(), "the other waits for a flush");
    out.session.flush();
    assert_eq!(out.transmit().len(), 10);
    out.sent(10);
}

#[test]
fn a_flush_lets_all_leave_and_no_later_send() {
    let mut out = Out::new(Limits::default(), true);
    out.taken(&[1]);
    assert!(out.session.poll_transmit(u32::MAX, NOW).is_none());
    out.session.flush();
    out.taken(&[2]);
    assert_eq!(out.transmit(), [1, 1]);
    out.sent(2);
    assert!(out.session.poll_transmit(u32::MAX, NOW).is_none());
    out.session.flush();
    assert_eq!(write_all(&mut out.session, 9), [1, 2]);
}

#[test]
fn what_is_given_up_is_counted() {
    let mut out = Out::new(Limits::default(), true);
    assert_eq!(out.session.abandon(), 0);
    out.taken(&[1; 99]);
    out.session.flush();
    out.taken(&[2; 49]);
    out.transmit();
    out.sent(30);
    assert_eq!(out.session.abandon(), 120);
    assert_eq!((out.session.outbox().bytes(), out.session.outbox().messages()), (0, 0));
    assert!(out.session.poll_transmit(u32::MAX, NOW).is_none());
    assert!(out.pool.bytes() <= ARENA_COST);
    out.taken(&[3]);
    out.session.flush();
    assert_eq!(write_all(&mut out.session, 9), [1, 3]);
}

#[test]
fn a_last_message_goes_over_the_cap() {
    let mut out = Out::new(small(1), false);
    out.taken(&[1; 200]);
    assert_eq!(out.send(&[2; 200]), Err(SendError::Again));
    let last = Outgoing::Copy(&[3; 200]);
    let (framing, limits, memory) = (out.framing, out.limits, out.pool.memory());
    out.session.send(&framing, &limits, memory, last, true).expect("forced");
    assert_eq!((out.session.outbox().bytes(), out.session.outbox().messages()), (402, 2));
}

#[test]
fn a_last_message_without_memory_is_owed_nothing() {
    for overflow in [Overflow::Reject, Overflow::DropOldest, Overflow::Close] {
        let out = Out::new(Limits { overflow, ..Limits::default() }, false);
        let Out { mut session, framing, limits, pool, .. } = out;
        let hog = empty(&pool);
        let last = Outgoing::Copy(&[1; 200]);
        let answer = session.send(&framing, &limits, pool.memory(), last, true);
        assert_eq!(answer, Err(SendError::Memory));
        drop(hog);
        assert_eq!(session.poll_writable(&limits), None);
        assert_eq!(session.outbox().messages(), 0);
    }
}

#[test]
fn a_send_without_memory_is_owed_a_writable() {
    let mut out = Out::new(Limits::default(), false);
    let hog = empty(&out.pool);
    assert_eq!(out.send(&[1]), Err(SendError::Memory));
    assert_eq!(out.session.refuse_for_memory(2), SendError::Memory);
    assert_eq!((out.session.outbox().bytes(), out.session.outbox().messages()), (0, 0));
    assert_eq!(
        Session::frame(&out.framing, &out.pool, &[1], Purpose::Send).err(),
        Some(SendError::Memory)
    );
    drop(hog);
    assert_eq!(out.session.poll_writable(&out.limits), Some(2));
    out.taken(&[1]);
    assert_eq!(write_all(&mut out.session, 9), [1, 1]);
}

#[test]
fn what_was_refused_and_dropped_is_known_while_memory_is_given_up() {
    let limits = Limits { overflow: Overflow::DropOldest, ..small(2) };
    let mut out = Out::new(limits, false);
    for at in 0..5 {
        out.taken(&[at]);
    }
    out.session.relax();
    assert_eq!((out.session.outbox().messages(), out.session.outbox().dropped()), (2, 3));
    assert_eq!(write_all(&mut out.session, 9), [1, 3, 1, 4]);
    out.session.relax();
    assert_eq!((out.session.outbox().bytes(), out.session.outbox().dropped()), (0, 3));
    let mut out = Out::new(small(2), false);
    out.taken(&[0]);
    out.taken(&[1]);
    assert_eq!(out.send(&[2]), Err(SendError::Again));
    out.session.relax();
    assert_eq!(write_all(&mut out.session, 9), [1, 0, 1, 1]);
    out.session.relax();
    assert_eq!(out.session.poll_writable(&out.limits), Some(1));
    out.session.relax();
    out.taken(&[3]);
    assert_eq!(write_all(&mut out.session, 9), [1, 3]);
}

/// No more leaves than may, from the oldest byte on; what is cut goes on where it was.
#[test]
fn a_train_is_as_long_as_it_may_be() {
    let mut out = Out::new(Limits { overflow: Overflow::DropOldest, ..small(3) }, false);
    out.taken(&[1; 9]);
    out.taken(&[2; 9]);
    let train = out.session.poll_transmit(13, NOW).expect("something waits");
    assert_eq!(bytes_of(&train), [&[9, 1, 1, 1, 1, 1, 1, 1, 1, 1][..], &[9, 2, 2]].concat());
    sent(&mut out.session, 13, train);
    assert_eq!((out.session.outbox().bytes(), out.session.outbox().messages()), (7, 1));
    out.taken(&[3; 9]);
    out.taken(&[4; 9]);
    out.taken(&[5; 9]);
    assert_eq!(out.session.outbox().dropped(), 1, "the third; the second was begun");
    assert_eq!(out.transmit(), [&[2; 7][..], &[9], &[4; 9], &[9], &[5; 9]].concat());
    out.sent(27);
}

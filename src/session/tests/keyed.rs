//! Messages with a key, one rule at a time.

use super::sending::{bytes_of, write_all};
use super::*;
use std::time::{Duration, Instant};

struct Out {
    session: Session,
    pool: Bounded,
    limits: Limits,
}

impl Out {
    fn new(limits: Limits, manual: bool) -> Out {
        Out { session: Session::new(NOW, manual), pool: Bounded::new(256 << 20), limits }
    }

    fn send(&mut self, key: u64, message: &[u8]) -> Result<(), SendError> {
        self.send_as(Key { key, at_end: false }, message)
    }

    fn send_as(&mut self, key: Key, message: &[u8]) -> Result<(), SendError> {
        let parts = [message];
        let parts = Parts::new(&parts, None).expect("there is no buffer");
        let (framing, memory) = (length(2, false), self.pool.memory());
        let mut framed = parts.frame(&framing, &self.pool, 1, Purpose::Send).expect("memory");
        self.session.send_framed(&framing, &self.limits, memory, &mut framed, key)
    }

    fn taken(&mut self, key: u64, message: &[u8]) {
        self.send(key, message).expect("room");
    }

    fn waits(&self) -> (u32, u32) {
        (self.session.outbox().bytes(), self.session.outbox().messages())
    }

    /// What is written from here on, as payloads.
    fn rest(&mut self) -> Vec<Vec<u8>> {
        let mut feed = Feed::new(&self.pool, length(2, false));
        feed.feed(&write_all(&mut self.session, usize::MAX));
        feed.messages
    }
}

fn small(bytes: u32, messages: u32, overflow: Overflow) -> Limits {
    let (outbox_max_bytes, outbox_low_bytes) = (bytes, bytes / 2);
    let outbox_max_messages = messages;
    Limits {
        outbox_max_bytes,
        outbox_low_bytes,
        outbox_max_messages,
        overflow,
        ..Limits::default()
    }
}

#[test]
fn the_newer_one_takes_the_older_one_s_place() {
    for manual in [false, true] {
        let mut out = Out::new(Limits::default(), manual);
        out.taken(1, b"first of 1");
        out.taken(0, b"plain");
        out.taken(2, b"first of 2");
        out.pool.send(&mut out.session, &length(2, false), b"small");
        out.taken(1, b"second");
        out.taken(u64::MAX, b"other");
        out.taken(1, b"the third of 1");
        out.taken(2, b"2");
        assert_eq!(out.waits(), (14 + 5 + 1 + 5 + 5 + 2 * 5, 5));
        out.session.flush();
        assert_eq!(out.rest(), [&b"the third of 1"[..], b"plain", b"2", b"small", b"other"]);
        assert_eq!(out.waits(), (0, 0));
        assert_eq!(out.session.outbox().dropped(), 0, "in the place of is not dropped");
    }
}

#[test]
fn what_the_model_was_given_is_not_replaced() {
    let mut out = Out::new(Limits::default(), false);
    out.taken(1, b"first");
    let train = out.session.poll_transmit(u32::MAX, NOW).expect("it may leave");
    out.taken(1, b"second");
    assert_eq!(bytes_of(&train), b"\0\x05first");
    assert_eq!(out.waits(), (7 + 8, 2));
    sent(&mut out.session, 3, train);
    out.taken(1, b"third");
    assert_eq!(out.waits(), (4 + 7, 2), "the second was not given to it");
    let train = out.session.poll_transmit(u32::MAX, NOW).expect("it may leave");
    assert_eq!(bytes_of(&train), b"irst\0\x05third");
    sent(&mut out.session, 0, train);
    out.taken(1, b"fourth");
    assert_eq!(write_all(&mut out.session, 99), b"irst\0\x05third\0\x06fourth");
}

#[test]
fn a_key_is_free_again_when_its_message_has_left() {
    let mut out = Out::new(Limits::default(), false);
    for round in 0..100 {
        out.taken(7, &[round]);
        assert_eq!(out.rest(), [[round]]);
    }
}

#[test]
fn what_does_not_fit_a_train_is_not_given_to_the_model() {
    let mut out = Out::new(Limits::default(), false);
    (0..20).for_each(|key| out.taken(key + 1, &[key as u8]));
    let train = out.session.poll_transmit(u32::MAX, NOW).expect("it may leave");
    assert_eq!(train.slices().count(), TRAIN_MAX);
    (0..20).for_each(|key| out.taken(key + 1, &[key as u8 + 100]));
    let len = train.len();
    sent(&mut out.session, len, train);
    let rest: Vec<u8> = out.rest().concat();
    assert_eq!(rest, [116, 117, 118, 119].into_iter().chain(100..116).collect::<Vec<u8>>());
}

#[test]
fn caps_count_without_the_older_one() {
    for overflow in [Overflow::Reject, Overflow::DropOldest, Overflow::Close] {
        let mut out = Out::new(small(1024, 3, overflow), false);
        out.taken(1, &[1; 500]);
        out.taken(2, &[2; 300]);
        out.taken(0, &[0; 100]);
        out.taken(1, &[3; 618]);
        assert_eq!(out.waits(), (1024, 3), "to the last byte, and the last message");
        assert_eq!(out.session.outbox().dropped(), 0);
        assert_eq!(out.send(1, &[4; 1023]), Err(SendError::TooBig), "never again");
        assert_eq!(out.rest(), [&[3; 618][..], &[2; 300], &[0; 100]]);
    }
}

#[test]
fn what_finds_no_room_leaves_the_older_one_where_it_is() {
    let mut out = Out::new(small(1024, 9, Overflow::Reject), false);
    out.taken(1, &[1; 500]);
    out.taken(0, &[0; 400]);
    assert_eq!(out.send(1, &[2; 700]), Err(SendError::Again));
    assert_eq!(out.send(2, &[2; 200]), Err(SendError::Again));
    assert_eq!(out.rest(), [&[1; 500][..], &[0; 400]]);
    assert_eq!(out.session.poll_writable(&out.limits), Some(2));
    let mut out = Out::new(small(1024, 9, Overflow::Close), false);
    out.taken(1, &[1; 500]);
    out.taken(0, &[0; 400]);
    assert_eq!(out.send(1, &[2; 700]), Err(SendError::Overflow));
}

#[test]
fn the_oldest_are_dropped_for_one_with_a_key() {
    let mut out = Out::new(small(1024, 9, Overflow::DropOldest), false);
    out.taken(0, &[0; 300]);
    out.taken(1, &[1; 100]);
    out.taken(0, &[2; 400]);
    out.taken(1, &[3; 400]);
    assert_eq!(out.session.outbox().dropped(), 1, "the first is enough");
    assert_eq!(out.rest(), [&[3; 400][..], &[2; 400]], "in its place");
    out.taken(1, &[1; 100]);
    out.taken(2, &[2; 100]);
    out.taken(0, &[4; 700]);
    out.taken(1, &[5; 300]);
    assert_eq!(out.session.outbox().dropped(), 3, "the older one is the oldest, then 2");
    assert_eq!(out.rest(), [&[4; 700][..], &[5; 300]], "it has no place any more");
    assert_eq!(out.waits(), (0, 0));
}

#[test]
fn what_was_flushed_leaves_with_what_took_its_place() {
    for (first, second) in [(10, 300), (300, 10)] {
        let mut out = Out::new(Limits::default(), true);
        out.taken(1, &vec![1; first]);
        out.taken(2, &[2]);
        out.session.flush();
        out.taken(3, &vec![3; first]);
        out.taken(1, &vec![4; second]);
        out.taken(3, &vec![5; second]);
        assert_eq!(out.rest(), [&vec![4; second][..], &[2]], "all that was flushed, no more");
        out.taken(3, &[6]);
        assert!(out.session.poll_transmit(u32::MAX, NOW).is_none(), "the third waits for a flush");
        out.session.flush();
        out.taken(3, &[7; 30]);
        assert_eq!(out.rest(), [[7; 30]]);
        assert_eq!(out.waits(), (0, 0));
    }
}

#[test]
fn held_ones_are_dropped_and_replaced_behind_what_was_flushed() {
    let mut out = Out::new(small(1024, 3, Overflow::DropOldest), true);
    out.taken(0, &[0]);
    out.taken(1, &[1; 100]);
    out.session.flush();
    out.taken(2, &[2; 200]);
    out.taken(3, &[3; 9]);
    out.taken(2, &[4; 300]);
    out.taken(1, &[5; 50]);
    assert_eq!(out.session.outbox().dropped(), 1);
    assert_eq!(out.rest(), [[5; 50]], "of what was flushed one is left");
    assert_eq!(out.waits(), (302 + 11, 2));
    out.session.flush();
    assert_eq!(out.rest(), [&[4; 300][..], &[3; 9]]);
}

#[test]
fn what_is_replaced_or_given_up_is_given_back() {
    let mut out = Out::new(Limits::default(), false);
    let idle = out.pool.bytes();
    out.taken(1, &[1; 50_000]);
    let one = out.pool.bytes() - idle;
    for round in 0..10 {
        out.taken(1, &[round; 50_000]);
        assert_eq!(out.pool.bytes() - idle, one, "one of them waits");
    }
    assert_eq!(out.session.abandon(), 50_002);
    assert_eq!((out.pool.bytes(), out.waits()), (idle, (0, 0)));
    out.taken(1, b"as if none had been");
    assert_eq!(out.rest().len(), 1);
}

#[test]
fn memory_that_is_given_up_has_none_of_what_waits() {
    let mut out = Out::new(Limits::default(), false);
    for key in 1..4 {
        out.taken(key, b"early");
        out.session.relax();
        out.taken(key, b"late");
        out.session.relax();
    }
    assert_eq!(out.waits(), (3 * 6, 3));
    assert_eq!(out.rest(), [b"late"; 3]);
    out.session.relax();
    out.taken(1, b"again");
    assert_eq!(out.rest(), [b"again"]);
}

#[test]
fn a_writable_may_come_of_a_smaller_one() {
    let mut out = Out::new(small(1024, 9, Overflow::Reject), false);
    out.taken(1, &[1; 1000]);
    assert_eq!(out.send(2, &[2; 100]), Err(SendError::Again));
    assert_eq!(out.session.poll_writable(&out.limits), None);
    out.taken(1, &[1; 10]);
    assert_eq!(out.session.poll_writable(&out.limits), Some(1));
    out.taken(2, &[2; 100]);
    assert_eq!(out.rest(), [&[1; 10][..], &[2; 100]]);
}

/// With a search of all that waits this would take minutes.
#[test]
fn keys_may_be_many() {
    const KEYS: u64 = 60_000;
    let limits = Limits { outbox_max_bytes: 64 << 20, ..Limits::default() };
    let mut out = Out::new(Limits { outbox_max_messages: u32::MAX, ..limits }, false);
    let begun = Instant::now();
    for round in 0..3_u8 {
        (1..=KEYS).for_each(|key| out.taken(key, &[round]));
    }
    assert_eq!(out.waits(), (3 * KEYS as u32, KEYS as u32));
    assert!(out.rest().iter().all(|message| message == &[2]));
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
}

#[test]
fn the_newer_one_may_go_behind_all_others() {
    for manual in [false, true] {
        for front in [false, true] {
            let mut out = Out::new(Limits::default(), manual);
            if front {
                out.taken(0, b"plain");
            }
            for key in 1..=5 {
                out.taken(key, &[key as u8]);
            }
            for key in [3, 1, 9] {
                out.send_as(Key { key, at_end: true }, &[key as u8 + 100]).expect("room");
            }
            // In their places, which have moved.
            out.taken(4, b"d");
            out.taken(1, b"a");
            let count = out.waits().1;
            assert_eq!(count, 6 + u32::from(front));
            out.session.flush();
            let mut rest = out.rest();
            if front {
                assert_eq!(rest.remove(0), b"plain");
            }
            assert_eq!(rest, [&[2][..], b"d", &[5], &[103], b"a", &[109]]);
            assert_eq!(out.waits(), (0, 0));
        }
    }
}

#[test]
fn what_goes_to_the_end_waits_for_the_flush_alone() {
    let mut out = Out::new(Limits::default(), true);
    out.taken(1, b"flushed");
    out.taken(2, b"too");
    out.session.flush();
    out.taken(3, b"held");
    let at_end = |key| Key { key, at_end: true };
    out.send_as(at_end(1), b"newer").expect("room");
    out.send_as(at_end(3), b"newest").expect("room");
    assert_eq!(out.rest(), [b"too"]);
    out.session.flush();
    assert_eq!(out.rest(), [&b"newer"[..], b"newest"]);
}

/// Keys of both kinds, against a plain list.
#[test]
fn a_list_says_the_same() {
    for seed in 0..300 {
        let mut random = Random(seed);
        let mut out = Out::new(Limits::default(), false);
        let mut list: Vec<(u64, Vec<u8>)> = Vec::new();
        for number in 0..200_u8 {
            let key = Key { key: random.below(8) as u64, at_end: random.below(2) == 0 };
            let message = vec![number; 1 + random.below(5000)];
            out.send_as(key, &message).expect("room");
            let older = list.iter().position(|(other, _)| key.key != 0 && *other == key.key);
            match older {
                Some(at) if key.at_end => {
                    list.remove(at);
                    list.push((key.key, message));
                }
                Some(at) => list[at].1 = message,
                None => list.push((key.key, message)),
            }
        }
        let list: Vec<Vec<u8>> = list.into_iter().map(|(_, message)| message).collect();
        assert!(out.rest() == list, "seed {seed}");
    }
}

/// Of a message that was begun the rest follows, whatever is sent under its key meanwhile.
#[test]
fn a_message_that_may_leave_only_in_part_is_begun() {
    let mut out = Out::new(Limits::default(), false);
    out.taken(1, b"first");
    out.taken(2, b"other");
    let train = out.session.poll_transmit(3, NOW).expect("it may leave");
    assert_eq!(bytes_of(&train), b"\0\x05f");
    out.taken(1, b"second");
    out.taken(2, b"newer");
    sent(&mut out.session, 3, train);
    assert_eq!(write_all(&mut out.session, 99), b"irst\0\x05newer\0\x06second");
    assert_eq!(out.waits(), (0, 0));
}

//! Messages in parts: they are on the wire what they are in one piece, and what need not be copied
//! is not.

use super::sending::{bytes_of, write_all};
use super::*;

/// What is shared rather than copied, and a little more.
const LARGE: usize = 5000;

/// A buffer of so many bytes, no two stretches of which are alike.
fn buffer(pool: &Bounded, len: usize) -> Slice {
    let bytes: Vec<u8> = (0..len).map(|at| ((at * 7) ^ (at >> 8)) as u8).collect();
    pool.take(len).expect("memory").write(&bytes)
}

fn framed(pool: &Bounded, framing: &Framing, parts: &[&[u8]], buffer: &Slice) -> Framed {
    let parts = Parts::new(parts, Some(buffer)).expect("none is half in it");
    parts.frame(framing, pool, 1, Purpose::Send).expect("memory")
}

/// Sends in every way in which the parts may go, and looks at the wire.
fn check(pool: &Bounded, framing: &Framing, parts: &[&[u8]], buffer: &Slice) {
    let whole = parts.concat();
    let mut session = Session::new(NOW, false);
    pool.send(&mut session, framing, &whole);
    let wire = write_all(&mut session, usize::MAX);
    let parts = Parts::new(parts, Some(buffer)).expect("none is half in it");
    assert_eq!(parts.wire_bytes(framing), Ok(wire.len()));
    let (limits, memory) = (Limits::default(), pool.memory());
    let mut framed = parts.frame(framing, pool, 1, Purpose::Send).expect("memory");
    assert_eq!(framed.bytes(), wire.len());
    session.send_framed(framing, &limits, memory, &mut framed, Key::default()).expect("room");
    session.send_parts(framing, &limits, memory, &parts).expect("room");
    let messages = if wire.is_empty() { 0 } else { 2 };
    assert_eq!(session.outbox().messages(), messages);
    assert_eq!(session.outbox().bytes() as usize, 2 * wire.len());
    assert_eq!(write_all(&mut session, 700), [&wire[..], &wire].concat(), "{framing:?}");
    assert_eq!((session.outbox().bytes(), session.outbox().messages()), (0, 0));
}

#[test]
fn parts_are_on_the_wire_what_the_whole_is() {
    let pool = Bounded::new(16 << 20);
    let buffer = buffer(&pool, 3 * LARGE);
    let (short, long) = (&[1, 2, 3, 4, 5][..], &[7; 20][..]);
    let mut framings = all_lengths();
    framings.retain(|framing| framing.length_bytes > 1);
    framings.extend([Framing::default(), of_varint()]);
    for framing in framings {
        let (large, all) = (&buffer[100..100 + LARGE], &buffer[..]);
        for parts in [
            &[long][..],
            &[short, short, short, long],
            &[&short[..1], &[], &short[1..2], &short[2..], long, &[]],
            &[large],
            &[long, large],
            &[large, long, large],
            &[short, large, all, &buffer[5..9], &buffer[LARGE..], short],
        ] {
            check(&pool, &framing, parts, &buffer);
        }
    }
}

#[test]
fn a_message_of_no_parts_is_an_empty_one() {
    let pool = Bounded::new(1 << 20);
    let buffer = buffer(&pool, 1);
    for framing in [length(2, false), of_varint(), Framing::default()] {
        for count in 0..3 {
            check(&pool, &framing, &vec![&[][..]; count], &buffer);
        }
    }
}

#[test]
fn large_parts_of_the_buffer_are_not_copied() {
    let pool = Bounded::new(16 << 20);
    let buffer = buffer(&pool, 1 << 20);
    let framing = Framing { frame_max_bytes: 4 << 20, ..length(4, false) };
    let out = pool.bytes();
    for (parts, slices) in [
        (&[&buffer[..]][..], 2),
        (&[b"head", &buffer[9..], b"tail"], 3),
        (&[&buffer[..4096], b"a", b"b", &buffer[..4096], &buffer[8192..]], 5),
        (&[&buffer[..4095], &buffer[1..4096]], 1),
    ] {
        let mut framed = framed(&pool, &framing, parts, &buffer);
        assert_eq!(framed.count(), slices);
        assert!(pool.bytes() <= out + ARENA_COST, "{} bytes copied", pool.bytes() - out);
        let mut seen: Vec<u8> = Vec::new();
        for at in 0..slices {
            let slice = framed.slice(at);
            let inside = buffer.as_ptr_range().contains(&slice.as_ptr());
            assert_eq!(inside, slice.len() >= 4096 && slices > 1, "slice {at} of {slices}");
            seen.extend(&*slice);
        }
        assert_eq!(seen, frame(&framing, &[], &parts.concat()));
    }
    assert_eq!(pool.bytes(), out, "nothing is kept");
}

#[test]
fn a_part_is_in_the_buffer_or_outside() {
    let pool = Bounded::new(1 << 20);
    let mut chunk = pool.take(3 * LARGE).expect("memory");
    let around = chunk.write(&[1; 3 * LARGE]);
    let mut buffer = around.clone();
    buffer.advance(LARGE);
    buffer.truncate(LARGE);
    let well =
        |start: usize, end: usize| Parts::new(&[&around[start..end]], Some(&buffer)).is_some();
    for (start, end) in [
        (0, LARGE),
        (2 * LARGE, 3 * LARGE),
        (LARGE, 2 * LARGE),
        (LARGE + 1, 2 * LARGE - 1),
        (LARGE, LARGE + 1),
        (0, 0),
        (LARGE - 1, LARGE - 1),
        (LARGE + 9, LARGE + 9),
    ] {
        assert!(well(start, end), "{start} to {end}");
    }
    for (start, end) in [
        (0, 3 * LARGE),
        (LARGE - 1, 2 * LARGE),
        (LARGE, 2 * LARGE + 1),
        (LARGE - 1, LARGE + 1),
        (2 * LARGE - 1, 2 * LARGE + 1),
    ] {
        assert!(!well(start, end), "{start} to {end}");
        let parts = [&[1, 2][..], &around[start..end]];
        assert!(Parts::new(&parts, Some(&buffer)).is_none(), "whichever part");
    }
    let outside = [&around[..LARGE]];
    let parts = Parts::new(&outside, Some(&buffer)).expect("not in it");
    assert!(!parts.is_small(LARGE - 1) && parts.is_small(LARGE));
    let inside = [&around[LARGE..2 * LARGE]];
    assert!(!Parts::new(&inside, Some(&buffer)).expect("in it").is_small(LARGE));
}

#[test]
fn many_share_what_is_copied_too() {
    let pool = Bounded::new(16 << 20);
    let buffer = buffer(&pool, LARGE);
    let framing = length(2, false);
    let parts: [&[u8]; 3] = [&[7; 3000], &buffer, &[8; 2000]];
    let mut framed = framed(&pool, &framing, &parts, &buffer);
    let out = pool.bytes();
    let mut all: Vec<Session> = (0..50).map(|_| Session::new(NOW, false)).collect();
    for (at, session) in all.iter_mut().enumerate() {
        let key = at as u64 % 2;
        let (limits, memory) = (Limits::default(), pool.memory());
        session.send_framed(&framing, &limits, memory, &mut framed, key.into()).expect("room");
    }
    drop(framed);
    assert_eq!(pool.bytes(), out, "all have the same bytes");
    let expected = frame(&framing, &[], &parts.concat());
    assert!(all.iter_mut().all(|session| write_all(session, 3300) == expected));
    let held = pool.bytes();
    drop(buffer);
    assert!(pool.bytes() < held, "nobody else has the buffer any more");
}

#[test]
fn small_messages_in_parts_are_gathered() {
    let pool = Bounded::new(1 << 20);
    let framing = length(2, false);
    let mut session = Session::new(NOW, false);
    let mut expected = Vec::new();
    for at in 0..60 {
        let message: [&[u8]; 3] = [&[at; 3], b"", &[at, at]];
        let parts = Parts::new(&message, None).expect("there is no buffer");
        let (limits, memory) = (Limits::default(), pool.memory());
        session.send_parts(&framing, &limits, memory, &parts).expect("room");
        pool.send(&mut session, &framing, &[at]);
        expected.extend([0, 5, at, at, at, at, at, 0, 1, at]);
    }
    assert_eq!(session.outbox().messages(), 120);
    let train = session.poll_transmit(u32::MAX, NOW).expect("it may leave");
    assert!(train.slices().count() <= 8, "{} pieces", train.slices().count());
    assert_eq!(bytes_of(&train), expected);
    sent(&mut session, expected.len(), train);
    assert!(pool.bytes() <= ARENA_COST, "an outbox without messages has no memory");
}

#[test]
fn parts_without_memory_are_owed_a_writable() {
    let pool = Bounded::new(1 << 20);
    let hog = empty(&pool);
    let parts = Parts::new(&[b"a", b"b"], None).expect("there is no buffer");
    let (framing, limits) = (length(2, false), Limits::default());
    let mut session = Session::new(NOW, false);
    let answer = session.send_parts(&framing, &limits, pool.memory(), &parts);
    assert_eq!(answer, Err(SendError::Memory));
    assert_eq!(parts.frame(&framing, &pool, 1, Purpose::Send).err(), Some(SendError::Memory));
    assert_eq!((session.outbox().bytes(), session.outbox().messages()), (0, 0));
    drop(hog);
    assert_eq!(session.poll_writable(&limits), Some(1));
}

#[test]
fn what_needs_no_copy_needs_no_memory() {
    let pool = Bounded::new(1 << 20);
    let buffer = buffer(&pool, LARGE);
    let hog = empty(&pool);
    let parts = [&buffer[..]];
    let parts = Parts::new(&parts, Some(&buffer)).expect("all of it");
    let mut framed =
        parts.frame(&Framing::default(), &pool, 1, Purpose::Send).expect("nothing is copied");
    assert_eq!((framed.count(), framed.slice(0).as_ptr()), (1, buffer.as_ptr()));
    drop(hog);
}

#[test]
fn parts_are_too_big_or_malformed_as_the_whole_is() {
    let framing = Framing { frame_max_bytes: 10, ..length(1, false) };
    let bytes = |parts: &[&[u8]], framing: &Framing| {
        Parts::new(parts, None).expect("there is no buffer").wire_bytes(framing)
    };
    assert_eq!(bytes(&[&[1; 5], &[1; 5]], &framing), Ok(11));
    assert_eq!(bytes(&[&[1; 5], &[1; 6]], &framing), Err(SendError::TooBig));
    let framing = Framing { keep_header: true, length_offset: 2, ..framing };
    assert_eq!(bytes(&[&[1], &[1], &[1]], &framing), Ok(3));
    assert_eq!(bytes(&[&[1], &[1]], &framing), Err(SendError::Malformed));
}

/// DROP_OLDEST: a message goes with all its pieces, and none of it when the model has one.
#[test]
fn messages_of_many_pieces_are_dropped_whole() {
    let pool = Bounded::new(16 << 20);
    let buffer = buffer(&pool, LARGE);
    let framing = length(2, false);
    let (overflow, outbox_max_messages) = (Overflow::DropOldest, 3);
    let limits = Limits { overflow, outbox_max_messages, ..Limits::default() };
    let mut session = Session::new(NOW, false);
    let mut wires = Vec::new();
    let mut send = |session: &mut Session, number: u8| {
        // More slices than a train has.
        let pair = [&[number][..], &buffer];
        let parts: Vec<&[u8]> = pair.into_iter().cycle().take(20).collect();
        wires.push(frame(&framing, &[], &parts.concat()));
        let (mut framed, memory) = (framed(&pool, &framing, &parts, &buffer), pool.memory());
        let answer = session.send_framed(&framing, &limits, memory, &mut framed, Key::default());
        assert_eq!(answer, Ok(()), "message {number}");
    };
    (0..5).for_each(|number| send(&mut session, number));
    assert_eq!((session.outbox().messages(), session.outbox().dropped()), (3, 2));
    let train = session.poll_transmit(u32::MAX, NOW).expect("it may leave");
    assert_eq!(train.slices().count(), TRAIN_MAX, "not all of the third message");
    let begun = bytes_of(&train);
    send(&mut session, 5);
    assert_eq!(session.outbox().dropped(), 3, "the fourth: the third is with the model");
    sent(&mut session, begun.len(), train);
    send(&mut session, 6);
    assert_eq!(session.outbox().dropped(), 4, "the fifth: the third is partly written");
    let rest = write_all(&mut session, 4000);
    assert_eq!([begun, rest].concat(), [&wires[2][..], &wires[5], &wires[6]].concat());
}

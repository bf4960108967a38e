//! Streams that cannot go on.

use super::*;

/// The most that a frame of which only the header came may cost, headers of blocks included.
const BEGIN_COST: u64 = 1024;

/// Feeds `stream` byte by byte: nothing before the last byte, then the end, and nothing after it.
fn breaks_at_the_end(pool: &Pool, framing: Framing, stream: &[u8], cause: Cause) {
    {
        let mut feed = Feed::new(pool, framing);
        for (at, byte) in stream.iter().enumerate() {
            feed.feed(std::slice::from_ref(byte));
            let expected = (at + 1 == stream.len()).then_some(cause);
            assert_eq!(feed.broken, expected, "byte {at} of {stream:?} for {framing:?}");
            assert!(pool.bytes() <= CHUNK_BYTES as u64 + BEGIN_COST);
        }
        assert!(feed.messages.is_empty());
    }
    // In one piece, behind a whole frame and before others, which are not parsed any more.
    let good = frame(&framing, &vec![0; framing.length_offset as usize], &[1, 2, 3]);
    let mut feed = Feed::new(pool, framing);
    feed.feed(&[&good, stream, &good, &good].concat());
    assert_eq!((feed.messages.len(), feed.broken), (1, Some(cause)));
    feed.chunk = None;
    assert_eq!(pool.bytes(), 0, "a broken session keeps nothing");
    let slice = feed.receive(&good);
    let mut input = feed.session.handle_received(slice, None, NOW);
    assert!(input.poll_event(&framing, pool, NOW).is_none());
    drop(input);
    assert!(!feed.session.has_input(), "what comes later is dropped");
}

/// The header alone of a frame whose length field says `length`.
fn header(framing: &Framing, length: u32) -> Vec<u8> {
    let framing = Framing { length_adjustment: -(length as i32), ..*framing };
    frame(&framing, &vec![9; framing.length_offset as usize], &[])
}

#[test]
fn one_byte_over_the_limit_breaks_the_stream_with_its_header() {
    let pool = Bounded::new(1 << 20);
    for framing in all_lengths().into_iter().chain([of_varint()]) {
        let framing = Framing { frame_max_bytes: 100, ..framing };
        let adjusted = |payload: i32| (payload - framing.length_adjustment) as u32;
        let over = header(&framing, adjusted(101));
        breaks_at_the_end(&pool, framing, &over, Cause::LimitFrame);
        let mut feed = Feed::new(&pool, framing);
        feed.feed(&header(&framing, adjusted(100)));
        assert_eq!(feed.broken, None, "the limit itself is within");
    }
}

#[test]
fn the_largest_lengths_reserve_nothing() {
    let pool = Bounded::new(8 << 30);
    let framing = Framing { frame_max_bytes: i32::MAX as u32, ..length(4, false) };
    for length_offset in [0, 12] {
        let framing = Framing { length_offset, ..framing };
        for over in [1 << 31, u32::MAX] {
            let header = frame(&framing, &vec![0; length_offset as usize], &[]);
            let at = length_offset as usize;
            let header = [&header[..at], &over.to_be_bytes()].concat();
            breaks_at_the_end(&pool, framing, &header, Cause::LimitFrame);
        }
        let mut feed = Feed::new(&pool, framing);
        feed.feed(&header(&framing, i32::MAX as u32));
        feed.feed(&[1; 100]);
        feed.chunk = None;
        assert_eq!((feed.broken, feed.messages.len()), (None, 0));
        assert!(pool.bytes() <= BEGIN_COST, "{} bytes for 2 GiB that were claimed", pool.bytes());
        assert!(matches!(feed.session.poll_recv(NOW), Want::Fresh));
    }
    let varint = Framing { frame_max_bytes: i32::MAX as u32, ..of_varint() };
    breaks_at_the_end(&pool, varint, &super::varint(u32::MAX), Cause::LimitFrame);
    breaks_at_the_end(&pool, varint, &super::varint(1 << 31), Cause::LimitFrame);
    let mut feed = Feed::new(&pool, varint);
    feed.feed(&super::varint(i32::MAX as u32));
    feed.chunk = None;
    assert!(feed.broken.is_none() && pool.bytes() <= BEGIN_COST);
}

#[test]
fn an_adjustment_does_not_overflow() {
    let pool = Bounded::new(1 << 20);
    let largest = Framing { length_adjustment: i32::MAX, ..length(4, false) };
    breaks_at_the_end_alone(&pool, largest, &[0xff; 4], Cause::LimitFrame);
    let least = Framing { length_adjustment: i32::MIN, ..length(4, false) };
    breaks_at_the_end_alone(&pool, least, &[0x7f, 0xff, 0xff, 0xff], Cause::Protocol);
    let mut feed = Feed::new(&pool, least);
    feed.feed(&[0x80, 0, 0, 0]);
    assert_eq!(feed.messages, [[]], "a length of 2^31 is none");
}

/// As `breaks_at_the_end`, for framings that hardly have a good frame.
fn breaks_at_the_end_alone(pool: &Pool, framing: Framing, stream: &[u8], cause: Cause) {
    let mut feed = Feed::new(pool, framing);
    feed.feed(&stream[..stream.len() - 1]);
    assert_eq!(feed.broken, None);
    feed.feed(&stream[stream.len() - 1..]);
    assert_eq!(feed.broken, Some(cause));
}

#[test]
fn a_length_below_its_adjustment_breaks_the_stream() {
    let pool = Bounded::new(1 << 20);
    for plain in plain_lengths() {
        for length_offset in [0, 7] {
            let bytes = plain.length_bytes + length_offset;
            let length_adjustment = -(bytes as i32);
            let framing = Framing { length_offset, length_adjustment, ..plain };
            for length in [0, bytes - 1] {
                let header = header(&framing, length);
                breaks_at_the_end(&pool, framing, &header, Cause::Protocol);
            }
        }
    }
    let varint = Framing { length_adjustment: -1, ..of_varint() };
    breaks_at_the_end(&pool, varint, &[0], Cause::Protocol);
}

#[test]
fn a_varint_of_more_than_32_bits_breaks_the_stream() {
    let pool = Bounded::new(1 << 20);
    for (stream, cause) in [
        (&[0x80, 0x80, 0x80, 0x80, 0x80][..], Cause::Protocol),
        (&[0xff, 0xff, 0xff, 0xff, 0xff], Cause::Protocol),
        (&[0xff, 0xff, 0xff, 0xff, 0x1f], Cause::Protocol),
        (&[0x80, 0x80, 0x80, 0x80, 0x10], Cause::Protocol),
        (&[0x80, 0x80, 0x80, 0x80, 0x7f], Cause::Protocol),
        (&[0xff, 0xff, 0xff, 0xff, 0x0f], Cause::LimitFrame),
    ] {
        breaks_at_the_end(&pool, of_varint(), stream, cause);
    }
}

#[test]
fn messages_before_the_fault_are_told_first() {
    let pool = Bounded::new(1 << 20);
    let framing = Framing { frame_max_bytes: 3, ..length(1, false) };
    for cut in 1..9 {
        let stream = [1, 7, 0, 3, 7, 8, 9, 4, 1, 1];
        let mut feed = Feed::new(&pool, framing);
        feed.feed(&stream[..cut]);
        feed.feed(&stream[cut..]);
        assert_eq!(feed.messages, [&[7][..], &[], &[7, 8, 9]]);
        assert_eq!(feed.broken, Some(Cause::LimitFrame));
    }
}

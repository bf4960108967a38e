//! A stream gives the same messages however it is cut.

use super::*;

/// Every way to cut `stream` into pieces: 2^(len - 1).
fn every_cut(stream: &[u8], mut each: impl FnMut(&[&[u8]])) {
    let mut pieces = Vec::new();
    for mask in 0..1_u32 << (stream.len() - 1) {
        pieces.clear();
        let mut start = 0;
        for end in 1..=stream.len() {
            if end == stream.len() || mask >> (end - 1) & 1 == 1 {
                pieces.push(&stream[start..end]);
                start = end;
            }
        }
        each(&pieces);
    }
}

/// Every way to cut `stream` into two pieces, and into three.
fn two_and_three(stream: &[u8], mut each: impl FnMut(&[&[u8]])) {
    for first in 1..stream.len() {
        each(&[&stream[..first], &stream[first..]]);
        for second in first + 1..stream.len() {
            each(&[&stream[..first], &stream[first..second], &stream[second..]]);
        }
    }
}

#[test]
fn a_small_stream_of_lengths_may_be_cut_anywhere() {
    let pool = Bounded::new(1 << 20);
    for framing in plain_lengths() {
        let case = Case::small(framing, 14);
        assert!(case.stream.len() >= 10 && case.messages.len() >= 2);
        every_cut(&case.stream, |pieces| case.check(&pool, pieces));
    }
}

#[test]
fn a_small_stream_with_any_header_may_be_cut_anywhere() {
    let pool = Bounded::new(1 << 20);
    for framing in all_lengths() {
        let case = Case::small(framing, 9);
        if case.stream.len() <= 12 {
            every_cut(&case.stream, |pieces| case.check(&pool, pieces));
        } else {
            two_and_three(&case.stream, |pieces| case.check(&pool, pieces));
        }
    }
}

#[test]
fn a_small_stream_of_varints_may_be_cut_anywhere() {
    let pool = Bounded::new(1 << 20);
    for length_adjustment in [0, -1, 2] {
        let case = Case::small(Framing { length_adjustment, ..of_varint() }, 14);
        every_cut(&case.stream, |pieces| case.check(&pool, pieces));
    }
    // A length that is written longer than it need be is a length, as in protobuf.
    let long = Case {
        framing: of_varint(),
        stream: [&[0x81, 0x80, 0x80, 0x80, 0x00, 7][..], &[0x80, 0x00], &[0x82, 0x00, 8, 9]]
            .concat(),
        messages: vec![vec![7], vec![], vec![8, 9]],
        ends: vec![6, 8, 12],
    };
    every_cut(&long.stream, |pieces| long.check(&pool, pieces));
}

#[test]
fn a_small_raw_stream_may_be_cut_anywhere() {
    let pool = Bounded::new(1 << 20);
    let case = Case::new(Framing::default(), &[14]);
    every_cut(&case.stream, |pieces| case.check(&pool, pieces));
    // There is no frame to wait for: each receive is a message.
    let mut feed = Feed::new(&pool, case.framing);
    case.stream.chunks(5).for_each(|piece| feed.feed(piece));
    assert!(feed.messages.iter().eq(case.stream.chunks(5)));
}

#[test]
fn a_longer_stream_may_be_cut_twice_anywhere() {
    let pool = Bounded::new(1 << 20);
    let sizes = [0, 40, 1, 0, 20, 7];
    for framing in plain_lengths() {
        let case = Case::new(framing, &sizes);
        two_and_three(&case.stream, |pieces| case.check(&pool, pieces));
    }
    for keep_header in [false, true] {
        let (length_offset, length_adjustment) = (6, -8);
        let framing = Framing { length_offset, length_adjustment, keep_header, ..length(2, true) };
        let case = Case::new(framing, &[0, 33, 1, 20, 8]);
        two_and_three(&case.stream, |pieces| case.check(&pool, pieces));
    }
    let case = Case::new(Framing::default(), &[100]);
    two_and_three(&case.stream, |pieces| case.check(&pool, pieces));
    // Lengths of one byte and of two.
    let case = Case::new(of_varint(), &[0, 127, 1, 128, 0]);
    two_and_three(&case.stream, |pieces| case.check(&pool, pieces));
}

#[test]
fn a_stream_that_ends_early_gives_its_whole_frames() {
    let pool = Bounded::new(1 << 20);
    let mut cases: Vec<Case> = all_lengths().into_iter().map(|f| Case::small(f, 20)).collect();
    cases.push(Case::new(of_varint(), &[0, 127, 1, 128]));
    for case in cases {
        for end in 1..case.stream.len() {
            let stream = &case.stream[..end];
            case.check(&pool, &[stream]);
            for cut in 1..end {
                case.check(&pool, &[&stream[..cut], &stream[cut..]]);
            }
        }
    }
}

#[test]
fn a_header_in_single_bytes_is_read_when_it_is_complete() {
    let pool = Bounded::new(1 << 20);
    for framing in all_lengths() {
        let case = Case::small(framing, 40);
        let mut feed = Feed::new(&pool, case.framing);
        for (at, byte) in case.stream.iter().enumerate() {
            feed.feed(std::slice::from_ref(byte));
            let whole = case.ends.iter().filter(|end| **end <= at + 1).count();
            assert_eq!(feed.messages.len(), whole, "a message comes with its last byte");
        }
        case.compare(&feed, &[&case.stream]);
    }
}

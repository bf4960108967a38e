//! Framings that are none, and messages that no header can be made for.

use super::*;

#[test]
fn numbers_that_do_not_go_together_are_told_by_name() {
    let good = [length(1, false), of_varint(), Framing::default()];
    assert!(good.iter().all(|framing| framing.check().is_ok()));
    let edges = Framing { length_offset: 12, frame_max_bytes: i32::MAX as u32, ..length(4, true) };
    assert_eq!(edges.check(), Ok(()));
    for (framing, field) in [
        (Framing { frame_max_bytes: 0, ..Framing::default() }, "frame_max_bytes"),
        (Framing { frame_max_bytes: 1 << 31, ..length(4, false) }, "frame_max_bytes"),
        (length(0, false), "length_bytes"),
        (length(5, false), "length_bytes"),
        (Framing { length_offset: 13, ..length(4, false) }, "length_offset"),
        (Framing { keep_header: true, ..of_varint() }, "keep_header"),
        (Framing { keep_header: true, ..Framing::default() }, "keep_header"),
    ] {
        let words = framing.check().expect_err("out of bounds");
        assert!(words.contains(&format!("endpoint.framing.{field}")), "{words}");
    }
}

#[test]
fn kinds_and_policies_have_their_numbers() {
    for number in 0..5 {
        assert_eq!(FramingKind::from_number(number).map(|kind| kind as u32), Some(number));
    }
    assert_eq!(FramingKind::from_number(5), None);
    for number in 0..3 {
        assert_eq!(Overflow::from_number(number).map(|policy| policy as u32), Some(number));
    }
    assert_eq!(Overflow::from_number(3), None);
    assert_eq!(Overflow::from_number(u32::MAX), None);
}

#[test]
fn limits_that_do_not_go_together_are_told_by_name() {
    assert_eq!(Limits::default().check(), Ok(()));
    let low = Limits { outbox_max_bytes: 1024, outbox_low_bytes: 1023, ..Limits::default() };
    assert_eq!(low.check(), Ok(()));
    for (limits, field) in [
        (Limits { outbox_max_bytes: 1023, outbox_low_bytes: 0, ..low }, "outbox_max_bytes"),
        (Limits { outbox_low_bytes: 1024, ..low }, "outbox_low_bytes"),
        (Limits { outbox_max_messages: 0, ..low }, "outbox_max_messages"),
    ] {
        let words = limits.check().expect_err("out of bounds");
        assert!(words.contains(&format!("endpoint.{field}")), "{words}");
    }
}

/// What a send of `len` bytes answers, both ways of giving them; nothing is taken if it fails.
fn send(pool: &Bounded, framing: &Framing, len: usize) -> Result<(), SendError> {
    let limits = Limits { outbox_max_bytes: 1 << 30, ..Limits::default() };
    let mut session = Session::new(NOW, false);
    let message = vec![3; len];
    let answer = session.send(framing, &limits, pool.memory(), Outgoing::Copy(&message), false);
    assert_eq!(Session::frame(framing, pool, &message, Purpose::Send).map(|_| ()), answer);
    assert_eq!(session.outbox().messages(), u32::from(answer.is_ok()));
    assert_eq!(session.outbox().bytes() > 0, answer.is_ok());
    assert_eq!(session.poll_writable(&limits), None, "no room would help");
    answer
}

#[test]
fn a_length_that_its_field_cannot_say_is_too_big() {
    let pool = Bounded::new(1 << 30);
    for (bytes, most) in [(1, 0xff), (2, 0xffff), (3, 0xff_ffff)] {
        for plain in [length(bytes, false), length(bytes, true)] {
            for length_adjustment in [0, -5, 100] {
                let frame_max_bytes = 1 << 30;
                let framing = Framing { length_adjustment, frame_max_bytes, ..plain };
                let most = (most + length_adjustment) as usize;
                assert_eq!(send(&pool, &framing, most), Ok(()));
                assert_eq!(send(&pool, &framing, most + 1), Err(SendError::TooBig));
            }
        }
    }
}

#[test]
fn a_message_over_the_frame_s_maximum_is_too_big() {
    let pool = Bounded::new(1 << 20);
    for framing in plain_lengths().into_iter().chain([of_varint()]) {
        let framing = Framing { frame_max_bytes: 200, ..framing };
        assert_eq!(send(&pool, &framing, 200), Ok(()));
        assert_eq!(send(&pool, &framing, 201), Err(SendError::TooBig));
        if framing.kind == FramingKind::Length {
            // The header that the message brings does not count.
            let framing = Framing { keep_header: true, length_offset: 2, ..framing };
            let header = framing.length_bytes as usize + 2;
            assert_eq!(send(&pool, &framing, 200 + header), Ok(()));
            assert_eq!(send(&pool, &framing, 201 + header), Err(SendError::TooBig));
        }
    }
    let raw = Framing { frame_max_bytes: 200, ..Framing::default() };
    assert_eq!(send(&pool, &raw, 5000), Ok(()), "there are no frames");
}

#[test]
fn a_message_without_room_for_its_header_is_malformed() {
    let pool = Bounded::new(1 << 20);
    for framing in all_lengths().into_iter().filter(|framing| framing.keep_header) {
        let least = (framing.length_offset + framing.length_bytes) as usize
            + framing.length_adjustment.max(0) as usize;
        assert_eq!(send(&pool, &framing, least), Ok(()));
        for len in 0..least {
            assert_eq!(send(&pool, &framing, len), Err(SendError::Malformed));
        }
    }
}

#[test]
fn a_message_below_the_adjustment_is_malformed() {
    let pool = Bounded::new(1 << 20);
    for framing in [length(1, false), length(4, true), of_varint()] {
        let framing = Framing { length_adjustment: 3, ..framing };
        assert_eq!(send(&pool, &framing, 2), Err(SendError::Malformed));
        assert_eq!(send(&pool, &framing, 3), Ok(()));
    }
}

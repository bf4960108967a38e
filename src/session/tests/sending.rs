//! What is sent is what is parsed.

use super::*;

/// Writes all that waits, `most` bytes at a time, and gives the bytes.
pub fn write_all(session: &mut Session, most: usize) -> Vec<u8> {
    let mut wire = Vec::new();
    while let Some(train) = session.poll_transmit(u32::MAX, NOW) {
        assert!(session.poll_transmit(u32::MAX, NOW).is_none(), "one train at a time");
        let written = train.len().min(most);
        wire.extend(train.slices().flat_map(|slice| slice.iter()).take(written));
        sent(session, written, train);
    }
    wire
}

/// The bytes of a train that keeps to its own bounds.
pub fn bytes_of(train: &Train) -> Vec<u8> {
    assert!(!train.is_empty(), "there is something to write");
    assert!(train.slices().count() <= TRAIN_MAX);
    assert!(train.slices().all(|slice| !slice.is_empty()), "no piece is empty");
    let bytes: Vec<u8> = train.slices().flat_map(|slice| slice.iter().copied()).collect();
    assert_eq!(bytes.len(), train.len());
    bytes
}

/// Sends each message of the case in both ways and looks at the wire and at what it parses to.
fn round_trip(pool: &Bounded, case: &Case) {
    for (framed, most) in [(false, usize::MAX), (true, usize::MAX), (false, 700)] {
        let mut session = Session::new(NOW, false);
        for message in &case.messages {
            let limits = Limits::default();
            let outgoing = if framed {
                let slice = Session::frame(&case.framing, pool, message, Purpose::Send)
                    .expect("it has a header")
                    .into_slice();
                Outgoing::Framed(slice)
            } else {
                Outgoing::Copy(message)
            };
            let memory = pool.memory();
            session.send(&case.framing, &limits, memory, outgoing, false).expect("room");
        }
        assert_eq!(session.outbox().bytes() as usize, case.stream.len());
        assert_eq!(session.outbox().messages() as usize, case.messages.len());
        assert_eq!(write_all(&mut session, most), case.stream, "{:?}", case.framing);
        assert_eq!((session.outbox().bytes(), session.outbox().messages()), (0, 0));
        case.check(pool, &[&case.stream]);
    }
}

/// The prefix of a header that a session makes itself is zeros; here it is made so.
fn zeroed(mut case: Case) -> Case {
    let mut start = 0;
    for &end in &case.ends {
        let prefix = case.framing.length_offset as usize;
        case.stream[start..start + prefix].fill(0);
        start = end;
    }
    case
}

#[test]
fn every_length_framing_goes_there_and_back() {
    let pool = Bounded::new(4 << 20);
    for framing in all_lengths() {
        let least = framing.length_adjustment.max(0) as usize;
        let small = [0, 1, 100, 0, 230].map(|size| size + least);
        let large = [300, 5000, 0, 20_000, 65_000, 0].map(|size| size + least);
        let sizes = if framing.length_bytes == 1 { &small[..] } else { &large };
        let case = Case::new(framing, sizes);
        round_trip(&pool, &if framing.keep_header { case } else { zeroed(case) });
    }
}

#[test]
fn varints_and_raw_bytes_go_there_and_back() {
    let pool = Bounded::new(4 << 20);
    for length_adjustment in [0, -1, 2] {
        let framing = Framing { length_adjustment, ..of_varint() };
        let sizes = [2, 127, 128, 16_383, 16_384, 129, 125, 2, 100_000];
        round_trip(&pool, &Case::new(framing, &sizes));
    }
    round_trip(&pool, &Case::new(Framing::default(), &[1, 500, 5000, 3, 100_000]));
}

#[test]
fn the_longest_header_goes_there_and_back() {
    let pool = Bounded::new(1 << 20);
    let framing = Framing { length_offset: 12, ..length(4, true) };
    round_trip(&pool, &zeroed(Case::new(framing, &[0, 10, 5000])));
    let framing = Framing { keep_header: true, ..framing };
    round_trip(&pool, &Case::new(framing, &[0, 10, 5000]));
}

#[test]
fn what_is_written_byte_by_byte_is_the_same() {
    let pool = Bounded::new(1 << 20);
    for framing in [length(2, false), of_varint(), Framing::default()] {
        let case = Case::new(framing, &[1, 130, 5000, 2, 2]);
        let mut session = Session::new(NOW, false);
        case.messages.iter().for_each(|message| pool.send(&mut session, &case.framing, message));
        assert_eq!(write_all(&mut session, 1), case.stream);
    }
}

#[test]
fn the_length_field_of_a_kept_header_is_written_over() {
    let pool = Bounded::new(1 << 20);
    let framing = Framing { length_offset: 1, keep_header: true, ..length(2, false) };
    let mut session = Session::new(NOW, false);
    let message = [0xAA, 0xFF, 0xFF, 1, 2, 3, 4];
    pool.send(&mut session, &framing, &message);
    assert_eq!(write_all(&mut session, 1), [0xAA, 0, 4, 1, 2, 3, 4]);
}

#[test]
fn a_message_of_no_bytes_without_framing_is_nothing() {
    let pool = Bounded::new(1 << 20);
    let framing = Framing::default();
    let mut session = Session::new(NOW, false);
    let send = |session: &mut Session, bytes: &[u8]| pool.send(session, &framing, bytes);
    send(&mut session, &[]);
    assert!(session.poll_transmit(u32::MAX, NOW).is_none());
    assert!(pool.bytes() <= ARENA_COST, "an idle session has no memory");
    send(&mut session, &[1]);
    send(&mut session, &[]);
    send(&mut session, &[2]);
    assert_eq!((session.outbox().bytes(), session.outbox().messages()), (2, 2));
    assert_eq!(write_all(&mut session, 9), [1, 2]);
    assert_eq!(session.outbox().messages(), 0);
}

#[test]
fn one_slice_may_be_sent_to_many() {
    let pool = Bounded::new(1 << 20);
    let framing = length(2, false);
    let slice = Session::frame(&framing, &pool, &[7; 1000], Purpose::Send)
        .expect("it has a header")
        .into_slice();
    let out = pool.bytes();
    let mut all: Vec<Session> = (0..50).map(|_| Session::new(NOW, false)).collect();
    for session in &mut all {
        let message = Outgoing::Framed(slice.clone());
        let memory = pool.memory();
        session.send(&framing, &Limits::default(), memory, message, false).expect("room");
    }
    drop(slice);
    assert_eq!(pool.bytes(), out, "all share the same bytes");
    let expected = frame(&framing, &[], &[7; 1000]);
    assert!(all.iter_mut().all(|session| write_all(session, 300) == expected));
}

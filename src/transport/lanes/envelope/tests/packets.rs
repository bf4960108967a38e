//! Packets of a connection, right and wrong.

use super::*;
use crate::transport::lanes::envelope::packet::{CHALLENGE, Peek, WIDE_MAX};
use crate::transport::lanes::envelope::peek;
use crate::transport::lanes::envelope::replay::{Replay, WINDOW};

const KINDS: [Kind; 7] = [
    Kind::Denied,
    Kind::Challenge,
    Kind::Response,
    Kind::KeepAlive,
    Kind::Payload,
    Kind::Disconnect,
    Kind::Wide,
];

fn pair() -> (Session, Session) {
    let (a, b) = ([1; 32], [2; 32]);
    let one = Session::new(Keys { send: a, receive: b }, PROTOCOL);
    (one, Session::new(Keys { send: b, receive: a }, PROTOCOL))
}

fn plain(kind: Kind) -> Vec<u8> {
    let len = match kind {
        Kind::Challenge | Kind::Response => CHALLENGE,
        Kind::KeepAlive => 8,
        Kind::Payload => 80,
        Kind::Wide => 1400,
        _ => 0,
    };
    (0..len).map(|i| i as u8).collect()
}

#[test]
fn a_session_is_small() {
    assert!(size_of::<Session>() <= 200, "{}", size_of::<Session>());
}

#[test]
fn round_trips() {
    for kind in KINDS {
        for sequence in [0, 1, 255, 256, 1 << 24, 1 << 32, (1 << 56) - 1, 1 << 62, u64::MAX] {
            let (one, mut other) = pair();
            let mut out = vec![0; plain(kind).len() + OVERHEAD_MAX];
            let id = (kind == Kind::Wide).then_some(77);
            let len = one.seal(kind, id, sequence, &plain(kind), &mut out);
            let packet = &mut out[..len];
            assert_eq!(peek(packet), Some(Peek { kind, id }));
            let opened = other.open(packet).expect("it opens");
            assert_eq!((opened.kind, opened.sequence), (kind, sequence));
            assert_eq!(packet[opened.range], plain(kind));
        }
    }
    let longest = vec![5; WIDE_MAX];
    let (mut one, mut other) = pair();
    let mut packet = sealed(&mut one, Kind::Wide, &longest);
    let opened = other.open(&mut packet).expect("it opens");
    assert_eq!(packet[opened.range], longest);
}

#[test]
fn cut_and_flipped() {
    for kind in KINDS {
        let (mut one, mut other) = pair();
        let packet = sealed(&mut one, kind, &plain(kind));
        for len in 0..packet.len() {
            assert!(other.open(&mut packet[..len].to_vec()).is_err(), "{kind:?} cut to {len}");
        }
        for bit in 0..packet.len() * 8 {
            let mut wrong = packet.clone();
            wrong[bit / 8] ^= 1 << (bit % 8);
            assert!(other.open(&mut wrong).is_err(), "{kind:?} with bit {bit} flipped");
        }
        let longer = [&packet[..], &[0]].concat();
        assert!(other.open(&mut longer.clone()).is_err());
        // None of all that is remembered.
        other.open(&mut packet.clone()).expect("it opens");
    }
}

#[test]
fn of_another_protocol_or_key() {
    let (mut one, mut other) = pair();
    let mut packet = sealed(&mut one, Kind::Payload, b"x");
    let mut foreign = Session::new(Keys { send: [2; 32], receive: [1; 32] }, PROTOCOL + 1);
    assert_eq!(foreign.open(&mut packet.clone()), Err(Reason::Forged));
    assert_eq!(one.open(&mut packet.clone()), Err(Reason::Forged), "its own, come back");
    other.open(&mut packet).expect("it opens");
}

#[test]
fn what_has_no_right_length_is_not_taken() {
    let (_, mut other) = pair();
    for (kind, len) in [(1, 1), (2, 307), (3, 309), (4, 7), (4, 9), (5, 0), (5, 1201), (6, 1)] {
        let mut packet = vec![0; 1 + 1 + len + 16];
        packet[0] = 0x10 | kind;
        assert_eq!(other.open(&mut packet), Err(Reason::Malformed), "{kind} with {len}");
    }
    for prefix in [0x00, 0x10, 0x05, 0x95, 0xF5, 0x18, 0x1F] {
        let mut packet = vec![prefix; 100];
        assert_eq!(other.open(&mut packet), Err(Reason::Malformed), "{prefix:#x}");
        assert_eq!(peek(&packet), None, "{prefix:#x}");
    }
}

#[test]
fn each_is_taken_once() {
    let (mut one, mut other) = pair();
    for kind in [Kind::KeepAlive, Kind::Payload, Kind::Disconnect, Kind::Wide] {
        let packet = sealed(&mut one, kind, &plain(kind));
        other.open(&mut packet.clone()).expect("it opens");
        assert_eq!(other.open(&mut packet.clone()), Err(Reason::Replayed), "{kind:?}");
    }
    // The packets of a handshake are sent again as they were.
    let response = sealed(&mut one, Kind::Response, &plain(Kind::Response));
    other.open(&mut response.clone()).expect("it opens");
    other.open(&mut response.clone()).expect("it opens again");
}

/// A slow and obvious one beside it.
#[test]
fn the_window_is_that_of_a_list() {
    let mut random = Random(5);
    for start in [0, 1 << 32, u64::MAX - 3000] {
        let (mut replay, mut came) = (Replay::default(), Vec::<u64>::new());
        let mut middle = start;
        for _ in 0..5000 {
            middle = middle.saturating_add(random.below(3));
            if random.below(500) == 0 {
                middle = middle.saturating_add(random.below(2 * WINDOW));
            }
            let spread = random.below(3 * WINDOW);
            let sequence = middle.saturating_sub(spread / 2).saturating_add(spread % 7);
            let newest = came.iter().copied().max().unwrap_or(0);
            let old = newest >= WINDOW && sequence <= newest - WINDOW;
            let expected = !old && !came.contains(&sequence);
            assert_eq!(replay.is_new(sequence), expected, "{sequence}, the newest is {newest}");
            if expected {
                replay.remember(sequence);
                came.push(sequence);
            }
        }
        assert!(came.len() > 1000, "{}", came.len());
    }
}

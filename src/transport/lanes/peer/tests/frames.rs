//! Each frame, whole, cut short and wrong.

use super::network::*;
use crate::session::{Cause, Side};
use crate::transport::lanes::peer::wire::*;
use crate::transport::lanes::peer::{OVERHEAD, Peer};
use std::sync::Arc;

fn write(with: impl FnOnce(&mut Writer<'_>)) -> Vec<u8> {
    let mut out = vec![0; 4_096];
    let mut writer = Writer::new(&mut out);
    with(&mut writer);
    let len = writer.finish();
    out.truncate(len);
    out
}

const HELLO: Hello =
    Hello { version: 1, features: 300, datagram_max: 1_472, id: 77, lanes: 3, kinds: 0b11_10_00 };
const CLOCK: Clock = Clock { sent: 5, echo: u64::MAX, held: 70_000 };

/// A payload with each frame there is; the second message goes to its end.
fn every_frame() -> Vec<u8> {
    write(|it| {
        it.hello(&HELLO);
        it.challenge(*b"question");
        it.response(*b"answered");
        it.window(5 << 20);
        it.end([3, 70].into_iter());
        it.ping();
        it.clock(&CLOCK);
        it.ack(&[(95, 100), (80, 90), (3, 3)], 20_000, 4_096);
        let part = Part { lane: 1, id: 9, fragment: None, data: &[] };
        it.part(&part, 5, |out| out.copy_from_slice(b"whole"));
        let part = Part { lane: 0, id: 70_000, fragment: Some((9_000, 64)), data: &[] };
        it.part(&part, 8, |out| out.copy_from_slice(b"fragment"));
    })
}

#[test]
fn varints_are_those_of_quic() {
    for value in [0, 63, 64, 16_383, 16_384, (1 << 30) - 1, 1 << 30, VARINT_MAX] {
        let bytes = write(|it| it.window(value));
        assert_eq!(bytes.len(), 1 + varint_len(value));
        assert_eq!(take_frame(&mut &bytes[..]), Ok(Some(Frame::Window(value))));
    }
    // RFC 9000 §A.1.
    for (bytes, value) in [
        (&[0xc2, 0x19, 0x7c, 0x5e, 0xff, 0x14, 0xe8, 0x8c][..], 151_288_809_941_952_652),
        (&[0x9d, 0x7f, 0x3e, 0x7d], 494_878_333),
        (&[0x7b, 0xbd], 15_293),
        (&[0x25], 37),
        (&[0x40, 0x25], 37),
    ] {
        assert_eq!(take_varint(&mut &bytes[..]), Ok(value));
    }
}

#[test]
fn each_frame_is_read_as_it_was_written() {
    let bytes = every_frame();
    let mut rest = &bytes[..];
    let mut next = || take_frame(&mut rest).unwrap();
    assert_eq!(next(), Some(Frame::Hello(HELLO)));
    assert_eq!(next(), Some(Frame::Challenge(*b"question")));
    assert_eq!(next(), Some(Frame::Response(*b"answered")));
    assert_eq!(next(), Some(Frame::Window(5 << 20)));
    let Some(Frame::End(mut counts)) = next() else { panic!("no END") };
    assert_eq!((counts.take(), counts.take(), counts.is_empty()), (Ok(3), Ok(70), true));
    assert_eq!(next(), Some(Frame::Ping));
    assert_eq!(next(), Some(Frame::Clock(CLOCK)));
    let Some(Frame::Ack(ack)) = next() else { panic!("no ACK") };
    let mut ranges = [const { 0..=0 }; RANGES_MAX];
    assert_eq!((ack.delay, ack.range(), ack.ranges(&mut ranges)), (20_000, None, Ok(3)));
    assert_eq!(ranges[..3], [95..=100, 80..=90, 3..=3]);
    let whole = Part { lane: 1, id: 9, fragment: None, data: b"whole" };
    assert_eq!(next(), Some(Frame::Message(whole)));
    let fragment = Part { lane: 0, id: 70_000, fragment: Some((9_000, 64)), data: b"fragment" };
    assert_eq!(next(), Some(Frame::Message(fragment)));
    assert_eq!(next(), None);
}

#[test]
fn a_message_with_its_ack_is_small() {
    let bytes = write(|it| {
        it.ack(&[(0, 100_000)], 30_000, 1_167);
        let part = Part { lane: 1, id: 100_000, fragment: None, data: &[] };
        it.part(&part, 64, |out| out.fill(7));
    });
    assert!(bytes.len() <= 64 + 20, "{}", bytes.len());
}

#[test]
fn an_ack_has_as_many_ranges_as_fit() {
    let ranges: Vec<(u64, u64)> = (0..32).rev().map(|at| (at * 100, at * 100 + 9)).collect();
    for limit in 0..200 {
        let bytes = write(|it| it.ack(&ranges, 0, limit));
        assert!(bytes.len() <= limit);
        let mut all = [const { 0..=0 }; RANGES_MAX];
        match take_frame(&mut &bytes[..]).unwrap() {
            None => assert!(limit < 7, "{limit}"),
            Some(Frame::Ack(ack)) => {
                let count = ack.ranges(&mut all).unwrap();
                assert!(
                    count >= 1
                        && all[..count]
                            .iter()
                            .zip(&ranges)
                            .all(|(got, of)| { (*got.start(), *got.end()) == *of })
                );
                assert!(count == 32 || limit < 110, "{count} in {limit}");
            }
            other => panic!("{other:?}"),
        }
    }
}

fn peer() -> Peer {
    Peer::new(&Arc::new(config()), Side::Accepted, 1, None, 1, 0)
}

#[test]
fn payloads_that_are_cut_short_are_refused_or_shorter() {
    let pool = crate::buf::Pool::new(1 << 20);
    let bytes = every_frame();
    let count = |mut rest: &[u8]| {
        let mut count = 0;
        loop {
            match take_frame(&mut rest) {
                Ok(Some(_)) => count += 1,
                Ok(None) => return Ok(count),
                Err(Malformed) => return Err(Malformed),
            }
        }
    };
    assert_eq!(count(&bytes), Ok(10));
    let mut refused = 0;
    for len in 0..bytes.len() {
        match count(&bytes[..len]) {
            Ok(count) => assert!(count <= 10),
            Err(Malformed) => refused += 1,
        }
        let result = peer().handle_payload(1, false, &bytes[..len], &pool, 0);
        assert!(matches!(result, Ok(()) | Err(Cause::Protocol)), "{len}: {result:?}");
    }
    assert!(refused > bytes.len() / 2, "{refused} of {}", bytes.len());
}

#[test]
fn garbage_ends_the_connection_and_nothing_else() {
    let pool = crate::buf::Pool::new(4 << 20);
    let mut random = Random(5);
    let whole = every_frame();
    let mut causes = [0; 3];
    for round in 0..60_000 {
        let mut bytes = whole.clone();
        if round % 2 == 0 {
            let len = random.below(60) as usize;
            bytes = (0..len).map(|_| random.below(256) as u8).collect();
        } else {
            for _ in 0..=random.below(4) {
                let at = random.below(bytes.len() as u64) as usize;
                bytes[at] = random.below(256) as u8;
            }
        }
        let mut peer = peer();
        match peer.handle_payload(random.below(1 << 62), true, &bytes, &pool, 1) {
            Ok(()) => causes[0] += 1,
            Err(Cause::Protocol) => causes[1] += 1,
            Err(Cause::LimitFrame | Cause::Version) => causes[2] += 1,
            Err(cause) => panic!("{cause:?} for {bytes:?}"),
        }
        let mut out = [0; 1_200];
        while let Some(ready) = peer.poll_payload(&mut 1, &mut out, 1) {
            assert!(ready.len <= 1_200 - OVERHEAD);
        }
        while peer.poll_event().is_some() || peer.read().is_some() {}
    }
    assert!(causes.iter().all(|&count| count > 50), "{causes:?}");
    assert_eq!(pool.bytes(), 0);
}

//! Payloads that were written by hand, as others would write them.

use super::network::*;
use crate::buf::Pool;
use crate::session::{Cause, Side};
use crate::transport::lanes::peer::wire::*;
use crate::transport::lanes::peer::{MTU_MIN, Peer};
use data_encoding::HEXLOWER;
use std::sync::Arc;

const VECTORS: &str = include_str!("../../../../../tests/lanes/payload_vectors.txt");

/// The lines of one kind: what is encoded, and what it means.
fn vectors(kind: &str) -> Vec<(Vec<u8>, &'static str)> {
    let lines = VECTORS.lines().filter_map(|line| line.strip_prefix(kind)?.strip_prefix(' '));
    let all: Vec<_> = lines
        .map(|line| {
            let (hex, meaning) = line.split_once(' ').expect("two parts");
            (HEXLOWER.decode(hex.as_bytes()).expect("hexadecimal digits"), meaning)
        })
        .collect();
    assert!(!all.is_empty(), "no {kind}");
    all
}

fn describe(frame: &Frame<'_>) -> String {
    let hex = |bytes: &[u8]| HEXLOWER.encode(bytes);
    match frame {
        Frame::Ping => "PING".into(),
        Frame::Window(credit) => format!("WINDOW {credit}"),
        Frame::Challenge(data) => format!("CHALLENGE {}", hex(data)),
        Frame::Response(data) => format!("RESPONSE {}", hex(data)),
        Frame::Clock(Clock { sent, echo, held }) => {
            format!("CLOCK sent {sent} echo {echo} held {held}")
        }
        Frame::End(counts) => {
            let mut counts = counts.clone();
            let mut text = String::from("END");
            while !counts.is_empty() {
                text += &format!(" {}", counts.take().unwrap());
            }
            text
        }
        Frame::Ack(ack) => {
            let mut ranges = [const { 0..=0 }; RANGES_MAX];
            let count = ack.ranges(&mut ranges).unwrap();
            let mut text = format!("ACK delay {} of", ack.delay);
            for range in &ranges[..count] {
                text += &format!(" {}-{}", range.start(), range.end());
            }
            text
        }
        Frame::Hello(Hello { version, features, datagram_max, id, lanes, kinds }) => format!(
            "HELLO version {version} features {features} datagram {datagram_max} id {id:#018x} \
             lanes {lanes} kinds {kinds:#010x}"
        ),
        Frame::Message(Part { lane, id, fragment, data }) => {
            let text = match fragment {
                None => format!("MESSAGE lane {lane} id {id} data {}", hex(data)),
                Some((total, offset)) => {
                    let at = format!("bytes {offset} of {total}");
                    format!("FRAGMENT lane {lane} id {id} {at} data {}", hex(data))
                }
            };
            text.trim_end().into()
        }
    }
}

fn write(writer: &mut Writer<'_>, frame: &Frame<'_>) {
    match frame {
        Frame::Ping => writer.ping(),
        Frame::Window(credit) => writer.window(*credit),
        Frame::Challenge(data) => writer.challenge(*data),
        Frame::Response(data) => writer.response(*data),
        Frame::Clock(clock) => writer.clock(clock),
        Frame::Hello(hello) => writer.hello(hello),
        Frame::End(counts) => {
            let mut counts = counts.clone();
            let all: Vec<_> = std::iter::from_fn(|| counts.take().ok()).collect();
            writer.end(all.iter().copied());
        }
        Frame::Ack(ack) => {
            let mut ranges = [const { 0..=0 }; RANGES_MAX];
            let count = ack.ranges(&mut ranges).unwrap();
            let pair = |range: &std::ops::RangeInclusive<u64>| (*range.start(), *range.end());
            let ranges: Vec<_> = ranges[..count].iter().map(pair).collect();
            writer.ack(&ranges, ack.delay, 1_200);
        }
        Frame::Message(part) => {
            writer.part(part, part.data.len(), |out| out.copy_from_slice(part.data));
        }
    }
}

#[test]
fn reads_and_writes_what_is_specified() {
    let both = vectors("both").into_iter().chain(vectors("first")).map(|it| (it, true));
    for ((bytes, meaning), written) in both.chain(vectors("read").into_iter().map(|it| (it, false)))
    {
        let (mut rest, mut texts) = (&bytes[..], Vec::new());
        let mut out = [0; 1_200];
        let mut writer = Writer::new(&mut out);
        while let Some(frame) = take_frame(&mut rest).expect(meaning) {
            texts.push(describe(&frame));
            write(&mut writer, &frame);
        }
        assert_eq!(texts.join("; "), meaning);
        let len = writer.finish();
        assert_eq!(out[..len] == bytes, written, "{meaning}");
    }
}

#[test]
fn refuses_what_is_against_the_rules() {
    let pool = Pool::new(1 << 20);
    for (bytes, why) in vectors("bad") {
        let mut peer = Peer::new(&Arc::new(config()), Side::Accepted, 1, None, 1, 0);
        let result = peer.handle_payload(1, false, &bytes, &pool, 0);
        assert_eq!(result, Err(Cause::Protocol), "{why}");
    }
}

#[test]
fn begins_as_is_specified() {
    let sides = [(Side::Connected, 0), (Side::Accepted, 0x1122_3344_5566_7788)];
    for ((side, id), (bytes, _)) in sides.into_iter().zip(vectors("first")) {
        let mut peer = Peer::new(&Arc::new(config()), side, id, None, 1, 0);
        let mut out = [0; MTU_MIN];
        let ready = peer.poll_payload(&mut 0, &mut out, 0).expect("a first payload");
        assert_eq!(HEXLOWER.encode(&out[..ready.len]), HEXLOWER.encode(&bytes), "{side:?}");
    }
}

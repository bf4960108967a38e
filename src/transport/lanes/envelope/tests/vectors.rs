//! What the reference implementation writes, byte for byte.

use super::*;
use crate::transport::lanes::envelope::bytes::Reader;
use crate::transport::lanes::envelope::packet::{self, Opened};
use crate::transport::lanes::envelope::replay::Replay;
use crate::transport::lanes::envelope::token::{Challenge, PRIVATE, Private, Public, Secrets};

const VECTORS: &str = include_str!("../../../../../tests/lanes/netcode_vectors.txt");

fn vector(name: &str) -> Vec<u8> {
    let hex = VECTORS.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    let hex = hex.unwrap_or_else(|| panic!("no vector {name}"));
    data_encoding::HEXLOWER.decode(hex.as_bytes()).expect("hexadecimal digits")
}

fn check_token(name: &str, config: Config) {
    let theirs: [u8; TOKEN] = vector(name).try_into().expect("2,048 bytes");
    let mut public = Public::read(&theirs).expect("a token");
    assert_eq!(public.protocol_id, config.protocol_id);
    assert_eq!(public.expire_s - public.create_s, config.expire_s);
    assert_eq!(public.timeout_s, config.timeout_s);
    assert_eq!(public.servers, config.public);

    let (nonce, expire_s) = (public.nonce, public.expire_s);
    let sealed: &mut [u8; PRIVATE] = &mut public.private;
    let private = Private::open(&key(), PROTOCOL, expire_s, &nonce, sealed).expect("it opens");
    assert_eq!(private.client_id, config.client_id);
    assert_eq!(private.timeout_s, config.timeout_s);
    assert_eq!(private.servers, config.public);
    assert_eq!(private.user_data, config.user_data);
    assert_eq!(private.keys.receive, public.keys.send);
    assert_eq!(private.keys.send, public.keys.receive);

    let secrets = Secrets { nonce, to_server: public.keys.send, to_client: public.keys.receive };
    let ours = token::make_with(&Config { unix_s: public.create_s, ..config }, &secrets);
    assert_eq!(ours.expect("a token"), theirs);
}

#[test]
fn tokens() {
    let base = config(0x1122_3344_5566_7788, &[]);
    check_token(
        "token_mixed",
        Config {
            timeout_s: 17,
            public: &[address("127.0.0.1:40000"), address("[::1]:40001")],
            user_data: &std::array::from_fn::<u8, 256, _>(|i| 255 - i as u8),
            ..base
        },
    );
    check_token(
        "token_ipv6",
        Config {
            client_id: u64::MAX - 1,
            expire_s: 3600,
            timeout_s: -1,
            public: &[address("[2001:db8:1:2:3:4:5:6789]:50001"), address("10.1.2.3:65535")],
            user_data: &std::array::from_fn::<u8, 256, _>(|i| (i * 7) as u8),
            ..base
        },
    );
}

fn challenge() -> Challenge {
    let user_data = std::array::from_fn(|i| i as u8 ^ 0x5A);
    Challenge { client_id: 0x0102_0304_0506_0708, user_data }
}

#[test]
fn challenge_tokens() {
    const SEQUENCE: u64 = 0x01_0203_0405;
    assert_eq!(challenge().to_bytes()[..], vector("challenge"));
    let sealed = challenge().seal(&key(), SEQUENCE);
    assert_eq!(sealed[..], vector("challenge_sealed"));
    assert_eq!(Challenge::open(&key(), SEQUENCE, sealed), Some(challenge()));
    assert_eq!(Challenge::open(&key(), SEQUENCE + 1, sealed), None);
}

fn check_packet(name: &str, kind: Kind, sequence: u64, plain: &[u8]) {
    let theirs = vector(name);
    let mut ours = vec![0; plain.len() + OVERHEAD_MAX];
    let len = packet::seal(&key(), PROTOCOL, (kind, None), sequence, plain, &mut ours);
    assert_eq!(ours[..len], theirs, "{name}");
    let mut packet = theirs;
    let opened = packet::open(&key(), PROTOCOL, &mut Replay::default(), &mut packet);
    let Opened { range, .. } = opened.clone().expect("it opens");
    assert_eq!(packet[range.clone()], *plain, "{name}");
    assert_eq!(opened, Ok(Opened { kind, sequence, range }), "{name}");
}

#[test]
fn packets() {
    let status = KeepAlive { client_index: 3, max_clients: 32 };
    let mut count = 0;
    for line in VECTORS.lines() {
        let Some((number, _)) = line.strip_prefix("keep_alive_").and_then(|l| l.split_once(' '))
        else {
            continue;
        };
        let sequence = number.parse().expect("a number");
        check_packet(
            &format!("keep_alive_{number}"),
            Kind::KeepAlive,
            sequence,
            &status.to_bytes(),
        );
        count += 1;
    }
    assert_eq!(count, 10);

    let body = [&0x01_0203_0405u64.to_le_bytes()[..], &vector("challenge_sealed")].concat();
    check_packet("packet_challenge", Kind::Challenge, (1 << 63) + 5, &body);
    check_packet("packet_response", Kind::Response, 9, &body);
    check_packet("packet_denied", Kind::Denied, 1 << 63, &[]);
    check_packet("packet_disconnect", Kind::Disconnect, 77_777, &[]);
    let payload: Vec<u8> = (0..1200u32).map(|i| (i * 3 + 1) as u8).collect();
    check_packet("packet_payload_1", Kind::Payload, 1000, &payload[..1]);
    check_packet("packet_payload_1200", Kind::Payload, 1001, &payload);
}

#[test]
fn a_request_is_of_a_token() {
    let token = vector("token_mixed").try_into().expect("2,048 bytes");
    let request = sent(&mut client(&token, 0), 0);
    assert_eq!(request.len(), 1078);
    let mut reader = Reader(&request);
    assert_eq!(reader.u8(), Some(0));
    assert_eq!(reader.0[..21], token[..21]);
    // The time of creation is the client's alone.
    assert_eq!(reader.0[21..], token[29..29 + 8 + 24 + 1024]);
}

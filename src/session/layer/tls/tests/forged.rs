//! A peer that has the keys and does not keep the rules: it seals what no library would.

use super::*;
use rustls::crypto::cipher::{
    AeadKey, InboundOpaqueMessage, Iv, MessageDecrypter, MessageEncrypter, OutboundChunks,
    OutboundPlainMessage,
};
use rustls::{ConnectionTrafficSecrets, ContentType, ProtocolVersion, SupportedCipherSuite};

/// The most that a record carries, its type and its padding among it: RFC 8446, section 5.2.
const INNER_MAX: usize = RECORD_MAX + 1;
const ALERT_WARNING: u8 = 1;
const ALERT_FATAL: u8 = 2;
const RECORD_OVERFLOW: u8 = 22;
const DECODE_ERROR: u8 = 50;
const NO_RENEGOTIATION: u8 = 100;
const CLOSE_NOTIFY: [u8; 2] = [ALERT_WARNING, 0];
/// An empty HelloRequest, which a client is asked to begin anew with: RFC 5246, section 7.4.1.1.
const HELLO_REQUEST: [u8; 4] = [0; 4];
/// A KeyUpdate that asks for another: RFC 8446, section 4.6.3.
const KEY_UPDATE: [u8; 5] = [24, 0, 0, 1, 1];

/// One end's keys, taken out of it.
struct Forger {
    sealer: (u64, Box<dyn MessageEncrypter>),
    opener: (u64, Box<dyn MessageDecrypter>),
}

impl Forger {
    fn new(end: End) -> Forger {
        let (suite, secrets) = match end.tls.conn {
            Conn::Client(conn) => {
                let suite = conn.negotiated_cipher_suite();
                (suite, conn.dangerous_into_kernel_connection().map(|(secrets, _)| secrets))
            }
            Conn::Server(conn) => {
                let suite = conn.negotiated_cipher_suite();
                (suite, conn.dangerous_into_kernel_connection().map(|(secrets, _)| secrets))
            }
        };
        let (suite, secrets) = (suite.expect("it is open"), secrets.expect("its config allows it"));
        let ((sealed, seals), (opened, opens)) = (secrets.tx, secrets.rx);
        let ((seal_key, seal_iv), (open_key, open_iv)) = (parts(seals), parts(opens));
        match suite {
            SupportedCipherSuite::Tls13(suite) => Forger {
                sealer: (sealed, suite.aead_alg.encrypter(seal_key, seal_iv)),
                opener: (opened, suite.aead_alg.decrypter(open_key, open_iv)),
            },
            SupportedCipherSuite::Tls12(suite) => {
                let (fixed, explicit) = seal_iv.as_ref().split_at(4);
                Forger {
                    sealer: (sealed, suite.aead_alg.encrypter(seal_key, fixed, explicit)),
                    opener: (opened, suite.aead_alg.decrypter(open_key, &open_iv.as_ref()[..4])),
                }
            }
        }
    }

    /// One record, whatever is in it.
    fn seal(&mut self, typ: u8, payload: &[u8]) -> Vec<u8> {
        let message = OutboundPlainMessage {
            typ: ContentType::from(typ),
            version: ProtocolVersion::TLSv1_2,
            payload: OutboundChunks::Single(payload),
        };
        let (sequence, sealer) = &mut self.sealer;
        let record = sealer.encrypt(message, *sequence).expect("a record");
        *sequence += 1;
        record.encode()
    }

    /// The records of what the other end has said: their types and what is in them.
    fn open(&mut self, mut wire: &[u8]) -> Vec<(u8, Vec<u8>)> {
        let mut records = Vec::new();
        while let Some((header, rest)) = wire.split_first_chunk::<5>() {
            let (sealed, rest) = rest.split_at(u16::from_be_bytes([header[3], header[4]]).into());
            let mut sealed = sealed.to_vec();
            let version = ProtocolVersion::TLSv1_2;
            let message = InboundOpaqueMessage::new(header[0].into(), version, &mut sealed);
            let (sequence, opener) = &mut self.opener;
            let plain = opener.decrypt(message, *sequence).expect("it was not changed");
            *sequence += 1;
            records.push((plain.typ.into(), plain.payload.to_vec()));
            wire = rest;
        }
        records
    }
}

fn parts(secrets: ConnectionTrafficSecrets) -> (AeadKey, Iv) {
    match secrets {
        ConnectionTrafficSecrets::Aes128Gcm { key, iv }
        | ConnectionTrafficSecrets::Aes256Gcm { key, iv }
        | ConnectionTrafficSecrets::Chacha20Poly1305 { key, iv } => (key, iv),
        _ => panic!("no suite of ours"),
    }
}

/// A server whose client is forged.
fn server_of(version: &'static rustls::SupportedProtocolVersion) -> (Forger, End) {
    let [client, server] = open(version, usize::MAX);
    (Forger::new(client), server)
}

const ALERT: u8 = 21;
const DATA: u8 = 23;

/// What was said in answer to all that came, if it is one alert.
fn alert_of(forger: &mut Forger, end: &mut End) -> Option<[u8; 2]> {
    let (wire, _) = end.write(b"");
    match &forger.open(&wire)[..] {
        [] => None,
        [(ALERT, alert)] => Some([alert[0], alert[1]]),
        other => panic!("more than an alert: {other:?}"),
    }
}

#[test]
fn half_a_key_update_waits_for_the_other_half() {
    for at in 1..KEY_UPDATE.len() {
        for cut in [1, 7, usize::MAX] {
            let (mut forger, mut end) = server_of(&TLS13);
            let (first, second) = KEY_UPDATE.split_at(at);
            let data = forger.seal(DATA, b"before");
            let halves = [first, second].map(|half| forger.seal(HANDSHAKE, half));
            data.chunks(cut).for_each(|piece| end.receive(piece));
            halves[0].chunks(cut).for_each(|piece| end.receive(piece));
            // It is asked and writes meanwhile: rustls keeps its place in bytes that we carry.
            end.receive(b"");
            let answer = end.seal(b"meanwhile");
            assert_eq!(forger.open(&answer), [(DATA, b"meanwhile".to_vec())]);
            halves[1].chunks(cut).for_each(|piece| end.receive(piece));
            assert_eq!((end.broken, &end.plain[..]), (None, &b"before"[..]), "cut at {at}");
            // Its own new keys, which it was asked for, are in front of what it says next.
            let answer = end.seal(b"and on");
            let keys = 5 + usize::from(u16::from_be_bytes([answer[3], answer[4]]));
            let keys = forger.open(&answer[..keys]);
            assert_eq!(keys, [(HANDSHAKE, vec![24, 0, 0, 1, 0])]);
            assert_eq!(end.tls.held_bytes(), 0);
        }
    }
}

/// Also where the connection ends with the half of a message that it has.
#[test]
fn half_a_key_update_may_be_the_last() {
    let (mut forger, mut end) = server_of(&TLS13);
    let half = forger.seal(HANDSHAKE, &KEY_UPDATE[..3]);
    end.receive(&half);
    end.tls.end();
    assert_eq!(alert_of(&mut forger, &mut end), Some(CLOSE_NOTIFY));
    assert_eq!(end.tls.state(), State::Done(Cause::Host));
    let (mut forger, mut end) = server_of(&TLS13);
    let wire = [forger.seal(HANDSHAKE, &KEY_UPDATE[..3]), forger.seal(ALERT, &CLOSE_NOTIFY)];
    wire.iter().for_each(|record| end.receive(record));
    assert!(end.broken.is_some() || end.ended, "an alert may not interrupt a message");
    end.receive(b"");
    end.write(b"");
}

#[test]
fn a_record_has_a_most() {
    // As much as is allowed: plaintext, its type, and the rest of it padding or nothing.
    for data in [0, 1, 5000, RECORD_MAX] {
        for cut in [100, usize::MAX] {
            let (mut forger, mut end) = server_of(&TLS13);
            let mut inner = vec![7; data];
            inner.push(DATA);
            // The last byte of the padding is where the sealer puts the type.
            inner.resize(INNER_MAX.max(data + 1), 0);
            let (typ, inner) = inner.split_last().expect("a type");
            let wire = forger.seal(*typ, inner);
            wire.chunks(cut).for_each(|piece| end.receive(piece));
            assert_eq!((end.broken, end.plain.len()), (None, data));
            assert_eq!(end.tls.held_bytes(), 0);
        }
    }
    for version in [&TLS12, &TLS13] {
        for (over, broken) in [(0, None), (1, Some(Cause::TlsProtocol))] {
            let (mut forger, mut end) = server_of(version);
            let wire = forger.seal(DATA, &vec![7; RECORD_MAX + over]);
            end.receive(&wire);
            assert_eq!(end.broken, broken);
            let alert = broken.map(|_| [ALERT_FATAL, RECORD_OVERFLOW]);
            assert_eq!(alert_of(&mut forger, &mut end), alert);
        }
    }
}

/// The header of a record says that it is longer than any may be: nobody waits for its end.
#[test]
fn a_record_that_says_it_is_too_long_is_not_waited_for() {
    for version in [&TLS12, &TLS13] {
        let (mut forger, mut end) = server_of(version);
        end.receive(&[DATA, 3, 3, 0x48, 0x01, 0]);
        assert_eq!(end.broken, Some(Cause::TlsProtocol));
        assert_eq!(alert_of(&mut forger, &mut end), Some([ALERT_FATAL, DECODE_ERROR]));
        assert_eq!(end.tls.held_bytes(), 0);
    }
}

/// TLS 1.2 alone has it. The peer that asks is told no, and goes on with the keys that it has; who
/// asks again is cut off.
#[test]
fn nobody_begins_anew() {
    let hello = {
        let [client, _] = ends(&TLS12);
        // Without the header of its record.
        End::new(&client).write(b"").0.split_off(5)
    };
    for (forged, request) in [(0, &hello[..]), (1, &HELLO_REQUEST)] {
        let mut both = open(&TLS12, usize::MAX).map(Some);
        let mut forger = Forger::new(both[forged].take().expect("one of two"));
        let mut end = both[1 - forged].take().expect("the other");
        let wire = forger.seal(HANDSHAKE, request);
        end.receive(&wire);
        assert_eq!(end.broken, None);
        let alert = alert_of(&mut forger, &mut end);
        assert_eq!(alert, Some([ALERT_WARNING, NO_RENEGOTIATION]));
        let wire = forger.seal(DATA, b"as before");
        end.receive(&wire);
        assert_eq!(end.plain, b"as before");
        let wire = forger.seal(HANDSHAKE, request);
        end.receive(&wire);
        assert_eq!(end.broken, Some(Cause::TlsProtocol));
    }
}

#[test]
fn nothing_stands_behind_the_end() {
    for version in [&TLS12, &TLS13] {
        for together in [true, false] {
            let (mut forger, mut end) = server_of(version);
            let mut wire = forger.seal(DATA, b"all");
            wire.extend(forger.seal(ALERT, &CLOSE_NOTIFY));
            let late = forger.seal(DATA, b"late");
            if together {
                wire.extend_from_slice(&late);
            }
            end.receive(&wire);
            for _ in 0..3 {
                end.receive(&late);
            }
            assert_eq!((end.ended, end.broken, &end.plain[..]), (true, None, &b"all"[..]));
            assert_eq!(end.tls.held_bytes(), 0, "and is not kept");
            // This side still speaks, and ends for itself.
            let answer = end.seal(b"mine");
            assert_eq!(forger.open(&answer), [(DATA, b"mine".to_vec())]);
            end.tls.end();
            assert_eq!(alert_of(&mut forger, &mut end), Some(CLOSE_NOTIFY));
        }
    }
}

/// A hello in records of a few bytes, each read for itself and in one read.
#[test]
fn a_hello_may_be_cut_into_records() {
    for version in [&TLS12, &TLS13] {
        for (piece, cut) in [(1, 1), (1, usize::MAX), (3, 5), (50, 7), (50, usize::MAX)] {
            let mut both = ends(version).each_ref().map(End::new);
            let hello = both[0].write(b"").0;
            let records = hello[5..].chunks(piece).flat_map(|part| {
                let len = (part.len() as u16).to_be_bytes();
                [&[HANDSHAKE, 3, 1, len[0], len[1]], part].concat()
            });
            let records: Vec<u8> = records.collect();
            records.chunks(cut).for_each(|bytes| both[1].receive(bytes));
            assert_eq!(both[1].broken, None, "{piece} by {cut}");
            talk(&mut both, usize::MAX);
            assert!(both.iter().all(|end| end.tls.state() == State::Open), "{piece} by {cut}");
        }
    }
}

/// However a stranger begins, it has its few kilobytes and no more.
#[test]
fn no_stranger_gets_more() {
    let empty = [HANDSHAKE, 3, 1, 0, 0];
    let tiny = [HANDSHAKE, 3, 1, 0, 1, 1];
    let spec = [CHANGE_CIPHER, 3, 3, 0, 1, 1];
    // A hello that claims all that its length can say, in records of one kilobyte.
    let mut long = vec![HANDSHAKE, 3, 1, 4, 0];
    long.extend([1, 0xff, 0xff, 0xff]);
    long.resize(5 + 1024, 0);
    for flood in [&empty[..], &tiny, &spec, &long] {
        let [_, server] = ends(&TLS13);
        let mut end = End::new(&server);
        let mut sent = 0;
        while end.broken.is_none() && sent < 100_000 {
            end.receive(flood);
            sent += flood.len();
            assert!(end.tls.held_bytes() <= STRANGER_MAX + flood.len(), "{flood:?}");
        }
        assert_eq!(end.broken, Some(Cause::TlsProtocol), "{flood:?}");
        assert_eq!(end.tls.state(), State::Done(Cause::TlsProtocol));
    }
}

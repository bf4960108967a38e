//! Two ends of TLS against each other, however their bytes are cut, and against what is none.

mod forged;

use super::*;
use rcgen::{CertificateParams, KeyPair, PKCS_ED25519};
use rustls::RootCertStore;
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::version::{TLS12, TLS13};

const NOW: Millis = 1000;

/// A layer and what came out of it.
struct End {
    tls: Tls,
    pool: Pool,
    plain: Vec<u8>,
    ended: bool,
    broken: Option<Cause>,
}

impl End {
    fn new(end: &TlsEnd) -> End {
        let tls = Tls::new(end).expect("random numbers");
        End { tls, pool: Pool::new(8 << 20), plain: Vec::new(), ended: false, broken: None }
    }

    fn receive(&mut self, wire: &[u8]) {
        if !wire.is_empty() {
            let slice = self.pool.take(wire.len()).expect("memory").write(wire);
            self.tls.handle_received(slice, NOW);
        }
        loop {
            match self.tls.poll_plain(&self.pool, NOW) {
                Plain::Nothing => return,
                Plain::Bytes(slice) => self.plain.extend_from_slice(&slice),
                Plain::End => return self.ended = true,
                Plain::Message { .. } => panic!("TLS knows no messages"),
                Plain::Broken(cause) => return self.broken = Some(cause),
                Plain::Starved(bytes) => panic!("{bytes} bytes are there"),
            }
        }
    }

    /// What it has to say, and so much of some plaintext as it takes.
    fn write(&mut self, plain: &[u8]) -> (Vec<u8>, usize) {
        let (mut all, mut wire) = (Train::default(), Train::default());
        if !plain.is_empty() {
            all.push(self.pool.take(plain.len()).expect("memory").write(plain));
        }
        let taken = self.tls.poll_wire(&all, &mut wire, &self.pool, NOW).expect("memory");
        (wire.slices().flat_map(|slice| slice.to_vec()).collect(), taken)
    }

    fn seal(&mut self, mut plain: &[u8]) -> Vec<u8> {
        let mut wire = Vec::new();
        while !plain.is_empty() {
            let (bytes, taken) = self.write(plain);
            wire.extend(bytes);
            plain = &plain[taken..];
        }
        wire
    }
}

/// A server, and a client that trusts it, of one version.
fn ends(version: &'static rustls::SupportedProtocolVersion) -> [TlsEnd; 2] {
    // Its signatures always have the same length, so that a simulated network does the same again.
    let key = KeyPair::generate_for(&PKCS_ED25519).expect("a key");
    let params = CertificateParams::new(["game.test".to_owned()]).expect("a name");
    let cert: CertificateDer<'static> = params.self_signed(&key).expect("itself").der().clone();
    let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
    let mut roots = RootCertStore::empty();
    roots.add(cert.clone()).expect("a root");
    let mut server = ServerConfig::builder_with_provider(ring::default_provider().into())
        .with_protocol_versions(&[version])
        .expect("a version")
        .with_no_client_auth()
        .with_single_cert(vec![cert], key)
        .expect("they go together");
    let mut client = ClientConfig::builder_with_provider(ring::default_provider().into())
        .with_protocol_versions(&[version])
        .expect("a version")
        .with_root_certificates(roots)
        .with_no_client_auth();
    (server.enable_secret_extraction, client.enable_secret_extraction) = (true, true);
    let name = ServerName::try_from("game.test").expect("a name");
    [
        TlsEnd::Client(Arc::new(client), name),
        TlsEnd::Server { config: Arc::new(server), asks: false },
    ]
}

/// The same, for whom the layer is one of many: a client and a server of TLS 1.3.
pub fn tls_ends() -> [TlsEnd; 2] {
    ends(&TLS13)
}

/// Carries what both have to say, in pieces of `cut` bytes, until neither says anything.
fn talk(ends: &mut [End; 2], cut: usize) {
    let mut silent = 0;
    for turn in 0.. {
        let (from, to) = (turn % 2, (turn + 1) % 2);
        let (wire, _) = ends[from].write(b"");
        wire.chunks(cut).for_each(|piece| ends[to].receive(piece));
        silent = if wire.is_empty() { silent + 1 } else { 0 };
        if silent == 2 {
            return;
        }
    }
}

fn open(version: &'static rustls::SupportedProtocolVersion, cut: usize) -> [End; 2] {
    let mut both = ends(version).each_ref().map(End::new);
    talk(&mut both, cut);
    assert!(both.iter().all(|end| end.tls.state() == State::Open), "open");
    both
}

#[test]
fn it_opens_and_carries_however_it_is_cut() {
    let long: Vec<u8> = (0..70_000u32).map(|at| at as u8).collect();
    for version in [&TLS12, &TLS13] {
        for cut in [1, 2, 5, 6, 100, 1000, 16_406, usize::MAX] {
            let mut both = open(version, cut);
            for (from, to) in [(0, 1), (1, 0)] {
                let mut wire = both[from].seal(b"hello");
                wire.extend(both[from].seal(&long));
                wire.chunks(cut).for_each(|piece| both[to].receive(piece));
                assert!(both[to].plain.starts_with(b"hello") && both[to].plain[5..] == *long);
                assert_eq!(both[to].tls.held_bytes(), 0, "an idle one holds nothing");
            }
            both[0].tls.end();
            assert_eq!(both[0].tls.state(), State::Ending);
            let (wire, _) = both[0].write(b"");
            assert_eq!(both[0].tls.state(), State::Done(Cause::Host));
            wire.chunks(cut).for_each(|piece| both[1].receive(piece));
            assert!(both[1].ended && both[1].broken.is_none());
            both[1].receive(b"what stands behind the end is nobody's");
            assert_eq!((both[1].broken, both[1].tls.held_bytes()), (None, 0));
            let bytes = both[1].seal(b"a last word");
            both[1].tls.end();
            both[0].receive(&bytes);
            assert!(both[0].plain.ends_with(b"a last word"));
        }
    }
}

#[test]
fn a_client_knows_whom_it_talks_to() {
    let [client, _] = ends(&TLS13);
    let [_, other] = ends(&TLS13);
    let mut both = [End::new(&client), End::new(&other)];
    talk(&mut both, usize::MAX);
    assert_eq!(both[0].broken, Some(Cause::TlsCertificateUntrusted));
    assert_eq!(both[1].broken, Some(Cause::TlsAlert), "it is told");
    assert_ne!(both[1].tls.code(), 0);
    let [client, server] = ends(&TLS13);
    let TlsEnd::Client(config, _) = client else { panic!("it comes first") };
    let name = ServerName::try_from("other.test").expect("a name");
    let mut both = [End::new(&TlsEnd::Client(config, name)), End::new(&server)];
    talk(&mut both, usize::MAX);
    assert_eq!(both[0].broken, Some(Cause::TlsCertificateName));
}

#[test]
fn what_is_no_tls_is_told_once_and_ends_it() {
    let [client, server] = ends(&TLS13);
    for noise in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0x16, 3, 1, 0xff, 0xff, 1], &[0; 40]] {
        for cut in [1, usize::MAX] {
            let mut end = End::new(&server);
            noise.chunks(cut).for_each(|piece| end.receive(piece));
            assert_eq!(end.broken, Some(Cause::TlsProtocol), "{noise:?} by {cut}");
            assert_eq!(end.tls.state(), State::Done(Cause::TlsProtocol));
            assert!(end.tls.has_last_word());
            let (alert, _) = end.write(b"");
            assert_eq!((alert.len(), alert[0]), (7, 21), "one alert");
            assert_eq!(end.write(b"").0.len(), 0, "and no second");
        }
    }
    let mut end = End::new(&client);
    end.write(b"");
    end.receive(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    assert_eq!(end.broken, Some(Cause::TlsProtocol));
}

#[test]
fn a_bit_that_changed_ends_it() {
    for version in [&TLS12, &TLS13] {
        let mut both = open(version, usize::MAX);
        let mut wire = both[0].seal(b"hello");
        *wire.last_mut().expect("a byte") ^= 1;
        both[1].receive(&wire);
        assert_eq!(both[1].broken, Some(Cause::TlsProtocol));
        assert!(both[1].plain.is_empty());
    }
}

#[test]
fn a_stranger_gets_eight_kilobytes() {
    let [_, server] = ends(&TLS13);
    let mut end = End::new(&server);
    // A hello of 16,000 bytes, in one record that never comes whole.
    end.receive(&[0x16, 3, 1, 0x3e, 0x84, 1, 0, 0x3e, 0x80]);
    let mut sent = 0;
    while end.broken.is_none() && sent < 20_000 {
        end.receive(&[0; 100]);
        sent += 100;
        assert!(end.tls.held_bytes() <= STRANGER_MAX + 100, "{}", end.tls.held_bytes());
    }
    assert_eq!(end.broken, Some(Cause::TlsProtocol));
    assert!(sent <= STRANGER_MAX + 100, "{sent}");
}

#[test]
fn without_memory_nothing_is_lost() {
    let mut both = open(&TLS13, usize::MAX);
    let wire = both[0].seal(b"hello");
    let slice = Pool::new(1 << 20).take(wire.len()).expect("memory").write(&wire);
    let none = Pool::new(0);
    both[1].tls.handle_received(slice, NOW);
    assert!(matches!(both[1].tls.poll_plain(&none, NOW), Plain::Starved(_)));
    // What it says meanwhile does not touch what has come.
    let answer = both[1].seal(b"wait");
    both[0].receive(&answer);
    assert_eq!(both[0].plain, b"wait");
    both[1].receive(b"");
    assert_eq!(both[1].plain, b"hello");
}

#[test]
fn new_keys_are_taken_however_they_are_cut() {
    for at in 0.. {
        let mut both = open(&TLS13, usize::MAX);
        let Conn::Client(client) = &mut both[0].tls.conn else { panic!("it comes first") };
        match client.process_tls_records(&mut []).state {
            Ok(ConnectionState::WriteTraffic(traffic)) => traffic.refresh_traffic_keys(),
            other => panic!("it is open: {other:?}"),
        }
        .expect("new keys");
        let wire = both[0].seal(b"hello");
        if at == wire.len() {
            return;
        }
        let (first, second) = wire.split_at(at);
        both[1].receive(first);
        // The other way meanwhile: rustls is never given less than it had.
        let answer = both[1].seal(b"there");
        both[0].receive(&answer);
        both[1].receive(second);
        let got = [&both[0].plain[..], &both[1].plain[..]];
        assert_eq!(got, [b"there", b"hello"], "cut at {at}");
    }
}

//! TLS against rustls as its makers mean it to be used, with buffers.

use super::program::{Peer, READ_MAX};
use super::under::Under;
use rcgen::{CertificateParams, KeyPair, PKCS_ED25519};
use rustls::client::{ClientConfig, Resumption};
use rustls::crypto::ring;
use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::server::ServerConfig;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConnection, Connection, RootCertStore, ServerConnection};
use sockeye::session::{Tls, TlsEnd, TlsMaker};
use std::io::{Read, Write};
use std::sync::{Arc, LazyLock};

/// What a stranger may make a server hold, and what it was given last; its own words beside it.
const STRANGER_MAX: usize = (8 << 10) + READ_MAX + (4 << 10);
/// What a server may make a client hold: certificates.
const CERTIFICATES_MAX: usize = (64 << 10) + READ_MAX + (4 << 10);
/// A record, what was given last, and new keys.
const OPEN_MAX: usize = 18_442 + READ_MAX + (4 << 10);
/// New keys without data in between are bounded by rustls.
const KEYS_MAX: usize = 16;

struct Ends {
    client: Arc<ClientConfig>,
    server: Arc<ServerConfig>,
}

/// Of TLS 1.2 and 1.3. An Ed25519 signature always has the same length, and no handshake knows of
/// another, so that a program does to one run what it did to another.
static ENDS: LazyLock<[Ends; 2]> = LazyLock::new(|| {
    let key = KeyPair::generate_for(&PKCS_ED25519).expect("a key");
    let params = CertificateParams::new(["game.test".to_owned()]).expect("a name");
    let cert = params.self_signed(&key).expect("a certificate").der().clone();
    [&TLS12, &TLS13].map(|version| {
        let mut roots = RootCertStore::empty();
        roots.add(cert.clone()).expect("a root");
        let der = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
        let server = ServerConfig::builder_with_provider(ring::default_provider().into())
            .with_protocol_versions(&[version])
            .expect("a version")
            .with_no_client_auth()
            .with_single_cert(vec![cert.clone()], der)
            .expect("they go together");
        let mut client = ClientConfig::builder_with_provider(ring::default_provider().into())
            .with_protocol_versions(&[version])
            .expect("a version")
            .with_root_certificates(roots)
            .with_no_client_auth();
        client.resumption = Resumption::disabled();
        Ends { client: client.into(), server: server.into() }
    })
});

fn ends(choice: u8) -> &'static Ends {
    &ENDS[usize::from(choice & 1)]
}

fn name() -> ServerName<'static> {
    ServerName::try_from("game.test").expect("a name")
}

/// Our server, and its client.
pub fn server(choice: u8) -> (Under, Rustls) {
    let ends = ends(choice);
    let end = TlsEnd::Server { config: ends.server.clone(), asks: false };
    let layer = Box::new(Tls::new(&end).expect("random numbers"));
    let peer = ClientConnection::new(ends.client.clone(), name()).expect("random numbers");
    (Under::new(layer, STRANGER_MAX, OPEN_MAX), Rustls::new(peer.into()))
}

/// Our client, and its server.
pub fn client(choice: u8) -> (Under, Rustls) {
    let ends = ends(choice);
    let end = TlsEnd::Client(ends.client.clone(), name());
    let layer = Box::new(Tls::new(&end).expect("random numbers"));
    let peer = ServerConnection::new(ends.server.clone()).expect("random numbers");
    (Under::new(layer, CERTIFICATES_MAX, OPEN_MAX), Rustls::new(peer.into()))
}

/// How a port for all does TLS, and a client of it.
pub fn of_any() -> (TlsMaker, Rustls) {
    let ends = ends(1);
    let end = TlsEnd::Server { config: ends.server.clone(), asks: false };
    let peer = ClientConnection::new(ends.client.clone(), name()).expect("random numbers");
    // A bit less, and it is not TLS that came.
    (TlsMaker::new(end), Rustls { is_sealed: false, ..Rustls::new(peer.into()) })
}

/// See the module.
pub struct Rustls {
    conn: Connection,
    keys: usize,
    failed: bool,
    is_sealed: bool,
}

impl Rustls {
    fn new(mut conn: Connection) -> Rustls {
        conn.set_buffer_limit(None);
        Rustls { conn, keys: 0, failed: false, is_sealed: true }
    }
}

impl Peer for Rustls {
    fn say(&mut self, plain: &[u8]) {
        if !self.failed {
            self.conn.writer().write_all(plain).expect("its buffer has no bound");
        }
    }

    fn wire(&mut self) -> Vec<u8> {
        let mut wire = Vec::new();
        while self.conn.wants_write() {
            self.conn.write_tls(&mut wire).expect("a vector takes all");
        }
        wire
    }

    fn hear(&mut self, mut wire: &[u8]) -> Option<Vec<u8>> {
        let mut plain = Vec::new();
        while !wire.is_empty() && !self.failed {
            let read = self.conn.read_tls(&mut wire);
            let Ok(state) = self.conn.process_new_packets() else {
                self.failed = true;
                return None;
            };
            let from = plain.len();
            plain.resize(from + state.plaintext_bytes_to_read(), 0);
            self.conn.reader().read_exact(&mut plain[from..]).expect("they are there");
            if read.is_ok_and(|count| count == 0) {
                break;
            }
        }
        Some(plain)
    }

    fn end(&mut self) -> bool {
        self.conn.send_close_notify();
        true
    }

    /// New keys, which TLS 1.2 has not.
    fn act(&mut self) {
        if self.keys < KEYS_MAX && self.conn.refresh_traffic_keys().is_ok() {
            self.keys += 1;
        }
    }

    fn is_sealed(&self) -> bool {
        self.is_sealed
    }
}

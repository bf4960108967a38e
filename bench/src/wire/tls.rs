//! TLS 1.3 by rustls, with one suite and one group for all servers, and each handshake a full one.

use super::certificate::NAME;
use anyhow::{Context, Result, ensure};
use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, version};
use std::io::{BufRead, Write};
use std::path::Path;
use std::sync::Arc;

pub fn config(ca: &Path) -> Result<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(ca).context("the certificate")?)?;
    let provider = CryptoProvider {
        cipher_suites: vec![ring::cipher_suite::TLS13_AES_128_GCM_SHA256],
        kx_groups: vec![ring::kx_group::X25519],
        ..ring::default_provider()
    };
    let builder = ClientConfig::builder_with_provider(Arc::new(provider));
    let builder = builder.with_protocol_versions(&[&version::TLS13])?;
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.resumption = Resumption::disabled();
    Ok(Arc::new(config))
}

pub struct Tls {
    conn: ClientConnection,
}

impl Tls {
    pub fn new(config: &Arc<ClientConfig>) -> Result<Self> {
        let name = ServerName::try_from(NAME).context("a name")?;
        let mut conn = ClientConnection::new(Arc::clone(config), name)?;
        conn.set_buffer_limit(None);
        Ok(Self { conn })
    }

    pub fn is_open(&self) -> bool {
        !self.conn.is_handshaking() && !self.conn.wants_write()
    }

    pub fn speak(&mut self, out: &mut Vec<u8>) -> Result<()> {
        while self.conn.wants_write() {
            self.conn.write_tls(out)?;
        }
        Ok(())
    }

    /// A record for each message, as who sends one by one has it.
    pub fn wrap(&mut self, messages: &[u8], size: usize, out: &mut Vec<u8>) -> Result<()> {
        for message in messages.chunks(size) {
            self.conn.writer().write_all(message)?;
        }
        self.speak(out)
    }

    pub fn unwrap(
        &mut self,
        mut bytes: &[u8],
        mut take: impl FnMut(&[u8]) -> Result<()>,
    ) -> Result<()> {
        while !bytes.is_empty() {
            self.conn.read_tls(&mut bytes)?;
            let state = self.conn.process_new_packets().context("TLS")?;
            let mut left = state.plaintext_bytes_to_read();
            while left > 0 {
                let mut reader = self.conn.reader();
                let plain = reader.fill_buf().context("plaintext")?;
                let count = plain.len();
                take(plain)?;
                reader.consume(count);
                left -= count;
            }
            ensure!(!state.peer_has_closed(), "the server said that nothing follows");
        }
        Ok(())
    }

    pub fn end(&mut self, out: &mut Vec<u8>) -> Result<()> {
        self.conn.send_close_notify();
        self.speak(out)
    }
}

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

#[cfg(test)]
mod tests {
    use super::super::certificate;
    use super::*;
    use rustls::pki_types::PrivateKeyDer;
    use rustls::{ServerConfig, ServerConnection};
    use std::io::Read;

    fn server() -> ServerConnection {
        let files = certificate::files().unwrap();
        let chain = CertificateDer::from_pem_file(&files.certificate).unwrap();
        let key = PrivateKeyDer::from_pem_file(&files.key).unwrap();
        let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let builder = builder.with_safe_default_protocol_versions().unwrap();
        let config = builder.with_no_client_auth().with_single_cert(vec![chain], key).unwrap();
        ServerConnection::new(Arc::new(config)).unwrap()
    }

    /// Gives the server what the client says, and the client what that comes to.
    fn exchange(tls: &mut Tls, server: &mut ServerConnection, got: &mut Vec<u8>) -> usize {
        let (mut out, mut back) = (Vec::new(), Vec::new());
        tls.speak(&mut out).unwrap();
        let mut bytes = &out[..];
        while !bytes.is_empty() {
            server.read_tls(&mut bytes).unwrap();
            server.process_new_packets().unwrap();
        }
        while server.wants_write() {
            server.write_tls(&mut back).unwrap();
        }
        let take = |bytes: &[u8]| {
            got.extend_from_slice(bytes);
            Ok(())
        };
        tls.unwrap(&back, take).unwrap();
        out.len() + back.len()
    }

    #[test]
    fn each_message_has_a_record_and_comes_back() {
        let (mut tls, mut server) = (
            Tls::new(&config(&certificate::files().unwrap().certificate).unwrap()).unwrap(),
            server(),
        );
        let mut got = Vec::new();
        while exchange(&mut tls, &mut server, &mut got) > 0 {}
        assert!(tls.is_open() && got.is_empty());
        let (messages, mut out) = ([7; 192], Vec::new());
        tls.wrap(&messages, 64, &mut out).unwrap();
        // Head, type and tag.
        assert_eq!(out.len(), 3 * (64 + 5 + 1 + 16));
        server.read_tls(&mut &out[..]).unwrap();
        let state = server.process_new_packets().unwrap();
        let mut plain = vec![0; state.plaintext_bytes_to_read()];
        server.reader().read_exact(&mut plain).unwrap();
        server.writer().write_all(&plain).unwrap();
        exchange(&mut tls, &mut server, &mut got);
        assert_eq!(got, messages);
        server.send_close_notify();
        let mut end = Vec::new();
        server.write_tls(&mut end).unwrap();
        assert!(tls.unwrap(&end, |_| Ok(())).is_err(), "a server has no reason to close");
    }
}

//! Certificates: what the host gives of TLS, made into what rustls makes connections with.

use crate::buf::{Mutex, rank};
use crate::engine::host::url::HostName;
use crate::engine::shared::error::{Error, Refusal};
use crate::engine::shared::tls::{Chain, ClientAuth, TlsOptions, Verify};
use crate::session::{TlsEnd, note_name};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ClientConfig, verify_server_name};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::{
    ClientHello, ParsedCertificate, ResolvesServerCert, ServerConfig, WebPkiClientVerifier,
};
use rustls::sign::CertifiedKey;
use rustls::{
    DigitallySignedStruct, KeyLog, RootCertStore, SignatureScheme, SupportedProtocolVersion,
};
use rustls_platform_verifier::BuilderVerifierExt;
use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::sync::Arc;

/// What `only_13` leaves.
static TLS13: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13];

/// Clients that were made with some options, for the next connect with the same: they share what
/// is needed to resume.
const CLIENTS_MAX: usize = 16;

/// See `CLIENTS_MAX`.
#[derive(Default)]
pub struct TlsClients(Mutex<rank::TlsClients, Vec<(TlsOptions, Arc<ClientConfig>)>>);

fn invalid(words: impl Into<String>) -> Refusal {
    Refusal::new(Error::Invalid, words)
}

impl TlsOptions {
    fn provider() -> Arc<CryptoProvider> {
        Arc::new(ring::default_provider())
    }

    fn versions(&self) -> &'static [&'static SupportedProtocolVersion] {
        match self.only_13 {
            true => TLS13,
            false => rustls::ALL_VERSIONS,
        }
    }

    fn roots(&self) -> Result<Arc<RootCertStore>, Refusal> {
        let pem = self.ca.as_deref().ok_or_else(|| invalid("tls.ca_pem is NULL"))?;
        let mut roots = RootCertStore::empty();
        for certificate in certificates(pem, "tls.ca_pem")? {
            roots.add(certificate).map_err(|error| invalid(format!("tls.ca_pem: {error}")))?;
        }
        Ok(Arc::new(roots))
    }

    fn keys(&self) -> Result<Vec<Arc<CertifiedKey>>, Refusal> {
        let key = |(chain, key): &Chain| {
            let chain = certificates(chain, "tls.cert_pem")?;
            let key = PrivateKeyDer::from_pem_slice(key)
                .map_err(|error| invalid(format!("tls.key_pem: {error}")))?;
            CertifiedKey::from_der(chain, key, &Self::provider())
                .map(Arc::new)
                .map_err(|error| invalid(format!("tls.cert_pem and tls.key_pem: {error}")))
        };
        self.chains.iter().map(key).collect()
    }

    fn alpn(&self) -> Vec<Vec<u8>> {
        self.alpn.iter().map(|name| name.clone().into_bytes()).collect()
    }

    fn key_log(&self) -> Result<Option<Arc<dyn KeyLog>>, Refusal> {
        let Some(path) = &self.key_log else { return Ok(None) };
        let file = OpenOptions::new().create(true).append(true).open(path);
        let file = file.map_err(|error| invalid(format!("tls.key_log_path {path}: {error}")))?;
        Ok(Some(Arc::new(KeyFile(file))))
    }

    /// What accepted connections are made with.
    pub fn server(&self) -> Result<TlsEnd, Refusal> {
        let keys = self.keys()?;
        if keys.is_empty() {
            return Err(invalid("tls:// needs endpoint.tls with cert_pem and key_pem to listen"));
        }
        let builder = ServerConfig::builder_with_provider(Self::provider())
            .with_protocol_versions(self.versions())
            .map_err(|error| invalid(error.to_string()))?;
        let asks = self.client_auth != ClientAuth::None;
        let builder = if asks {
            let mut verifier =
                WebPkiClientVerifier::builder_with_provider(self.roots()?, Self::provider());
            if self.client_auth == ClientAuth::Optional {
                verifier = verifier.allow_unauthenticated();
            }
            let verifier = verifier.build();
            builder.with_client_cert_verifier(
                verifier.map_err(|error| invalid(format!("tls.ca_pem: {error}")))?,
            )
        } else {
            builder.with_no_client_auth()
        };
        let mut config = builder.with_cert_resolver(Arc::new(ByName(keys)));
        config.alpn_protocols = self.alpn();
        config.ticketer = ring::Ticketer::new()
            .map_err(|error| Refusal::new(Error::Os, format!("no random numbers: {error}")))?;
        if let Some(log) = self.key_log()? {
            config.key_log = log;
        }
        Ok(TlsEnd::Server { config: Arc::new(config), asks })
    }

    fn client(&self) -> Result<ClientConfig, Refusal> {
        let builder = ClientConfig::builder_with_provider(Self::provider())
            .with_protocol_versions(self.versions())
            .map_err(|error| invalid(error.to_string()))?;
        let builder = match self.verify {
            Verify::System => builder.with_platform_verifier().map_err(|error| {
                Refusal::new(Error::Os, format!("what the system trusts is not known: {error}"))
            })?,
            Verify::Ca => builder.with_root_certificates(self.roots()?),
            Verify::None => builder.dangerous().with_custom_certificate_verifier(Arc::new(Anyone)),
        };
        let mut config = match self.chains.first() {
            None => builder.with_no_client_auth(),
            Some((chain, key)) => {
                let key = PrivateKeyDer::from_pem_slice(key)
                    .map_err(|error| invalid(format!("tls.key_pem: {error}")))?;
                builder
                    .with_client_auth_cert(certificates(chain, "tls.cert_pem")?, key)
                    .map_err(|error| invalid(format!("tls.cert_pem and tls.key_pem: {error}")))?
            }
        };
        config.alpn_protocols = self.alpn();
        if let Some(log) = self.key_log()? {
            config.key_log = log;
        }
        Ok(config)
    }
}

impl TlsClients {
    /// What a connection to that host is made with.
    pub fn end(&self, options: &TlsOptions, host: &HostName) -> Result<TlsEnd, Refusal> {
        let name = match (&options.server_name, host) {
            (Some(name), _) | (None, HostName::Name(name)) => ServerName::try_from(name.clone())
                .map_err(|_| invalid(format!("tls: {name} is no name that a server can prove")))?,
            (None, HostName::Address(ip)) => ServerName::IpAddress((*ip).into()),
            (None, HostName::Zoned(ip, _)) => {
                ServerName::IpAddress(std::net::IpAddr::V6(*ip).into())
            }
            (None, HostName::Any) => return Err(invalid("* is for listeners")),
        };
        let mut clients = self.0.lock();
        let known = clients.iter().find(|(of, _)| of == options).map(|(_, it)| it.clone());
        let config = match known {
            Some(config) => config,
            None => {
                let config = Arc::new(options.client()?);
                if clients.len() == CLIENTS_MAX {
                    clients.remove(0);
                }
                clients.push((options.clone(), config.clone()));
                config
            }
        };
        Ok(TlsEnd::Client(config, name))
    }
}

fn certificates(pem: &[u8], field: &str) -> Result<Vec<CertificateDer<'static>>, Refusal> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match all {
        Ok(all) if !all.is_empty() => Ok(all),
        Ok(_) => Err(invalid(format!("{field}: there is no certificate in it"))),
        Err(error) => Err(invalid(format!("{field}: {error}"))),
    }
}

/// Certificates, chosen by the name that a client asks for.
#[derive(Debug)]
struct ByName(Vec<Arc<CertifiedKey>>);

impl ResolvesServerCert for ByName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let asked = hello.server_name();
        note_name(asked);
        let name = asked.and_then(|name| ServerName::try_from(name).ok());
        let fits = |key: &&Arc<CertifiedKey>| {
            let parsed = key.cert.first().map(ParsedCertificate::try_from);
            match (parsed, &name) {
                (Some(Ok(parsed)), Some(name)) => verify_server_name(&parsed, name).is_ok(),
                _ => false,
            }
        };
        self.0.iter().find(fits).or(self.0.first()).cloned()
    }
}

/// Trusts everyone. What they sign is still checked.
#[derive(Debug)]
struct Anyone;

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &TlsOptions::provider().signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &TlsOptions::provider().signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        TlsOptions::provider().signature_verification_algorithms.supported_schemes()
    }
}

/// Keys in the form that Wireshark reads (NSS key log).
#[derive(Debug)]
struct KeyFile(File);

impl KeyLog for KeyFile {
    fn log(&self, label: &str, client_random: &[u8], secret: &[u8]) {
        let hex = |bytes: &[u8]| {
            bytes.iter().fold(String::new(), |mut text, byte| {
                let _ = write!(text, "{byte:02x}");
                text
            })
        };
        let line = format!("{label} {} {}\n", hex(client_random), hex(secret));
        // One write, so lines are whole. A full disk is no reason to end a connection.
        let _ = (&self.0).write_all(line.as_bytes());
    }
}

//! TLS of an endpoint, as the host gives it.

/// Against what the peer's certificate is checked.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Verify {
    /// What the system trusts.
    #[default]
    System,
    /// The authorities of `ca`.
    Ca,
    /// Nothing.
    None,
}

/// Whether clients show a certificate.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum ClientAuth {
    /// They are not asked.
    #[default]
    None,
    /// They may have none.
    Optional,
    /// They must have one.
    Required,
}

/// A certificate chain and its key, as PEM.
pub type Chain = (Vec<u8>, Vec<u8>);

/// TLS of an endpoint, as the host gives it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct TlsOptions {
    /// The first serves where no name fits.
    pub chains: Vec<Chain>,
    /// Authorities, as PEM.
    pub ca: Option<Vec<u8>>,
    /// How the server's certificate is checked.
    pub verify: Verify,
    /// How clients are.
    pub client_auth: ClientAuth,
    /// TLS 1.3 alone.
    pub only_13: bool,
    /// Protocols of the application, the preferred one first.
    pub alpn: Vec<String>,
    /// The name that a server is to prove, in place of the URL's.
    pub server_name: Option<String>,
    /// A file to which keys are written.
    pub key_log: Option<String>,
}

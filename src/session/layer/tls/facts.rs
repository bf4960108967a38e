//! What a TLS connection turned out to be.

use rustls::CommonState;

/// What both ends agreed on, and who the peer is.
#[derive(Clone, Debug, Default)]
pub struct TlsFacts {
    /// 0x0303: TLS 1.2, 0x0304: TLS 1.3. 0: not agreed on.
    pub version: u16,
    /// The number of the cipher suite, as IANA lists it.
    pub suite: u16,
    /// The protocol of the application (ALPN).
    pub alpn: Vec<u8>,
    /// The name that the client asked for (SNI); of accepted connections.
    pub server_name: String,
    /// The peer's own certificate, in DER.
    pub peer_certificate: Vec<u8>,
}

impl TlsFacts {
    pub(super) fn new(state: &CommonState, server_name: Option<&str>) -> TlsFacts {
        let suite = state.negotiated_cipher_suite();
        let certificate = state.peer_certificates().and_then(|chain| chain.first());
        TlsFacts {
            version: state.protocol_version().map_or(0, u16::from),
            suite: suite.map_or(0, |suite| u16::from(suite.suite())),
            alpn: state.alpn_protocol().unwrap_or_default().to_vec(),
            server_name: server_name.unwrap_or_default().to_owned(),
            peer_certificate: certificate.map(|it| it.to_vec()).unwrap_or_default(),
        }
    }
}

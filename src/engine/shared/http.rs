//! HTTP and WebSocket of an endpoint, as the host gives it.

use crate::session::Page;

/// HTTP and WebSocket of an endpoint, as the host gives it.
#[derive(Clone, Debug)]
pub struct HttpOptions {
    /// The path of the WebSocket; to connect, with its query.
    pub path: Option<String>,
    /// The origins that browsers may come from, or the one that a client says it is of.
    pub origins: Vec<String>,
    /// Subprotocols, the preferred one first.
    pub protocols: Vec<String>,
    /// Further lines of a client's request.
    pub headers: Vec<(String, String)>,
    /// What a listener serves beside its WebSockets.
    pub pages: Vec<Page>,
    /// Messages are deflated where the peer does it too.
    pub compress: bool,
    /// After so much silence the peer is asked for a sign of life; 0: never.
    pub ping_ms: u32,
    /// Bytes of a request, or of the answer to one, at most.
    pub header_max: u32,
}

impl Default for HttpOptions {
    fn default() -> HttpOptions {
        HttpOptions {
            path: None,
            origins: Vec::new(),
            protocols: Vec::new(),
            headers: Vec::new(),
            pages: Vec::new(),
            compress: true,
            ping_ms: 0,
            header_max: 8 << 10,
        }
    }
}

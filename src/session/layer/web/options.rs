//! What WebSocket connections are made with, and what they agreed on.

use std::sync::Arc;

/// Bytes of a request or response that are read, where nothing else is said.
const HEADER_MAX: usize = 8192;
/// Bytes of a message, where nothing else is said.
const MESSAGE_MAX: u32 = 1 << 20;

/// What the WebSocket of a connection is made with.
#[derive(Clone)]
pub enum WebEnd {
    /// Of accepted ones.
    Server(Arc<WebServer>),
    /// Of one that connects.
    Client(Arc<WebClient>),
}

/// What accepted connections are made with.
#[derive(Clone, Debug)]
pub struct WebServer {
    /// Where it is. None: anywhere.
    pub path: Option<String>,
    /// Pages of these may connect; without any, all may. What sends no Origin is no browser.
    pub origins: Vec<String>,
    /// Subprotocols that are spoken.
    pub protocols: Vec<String>,
    /// What else is answered to HTTP.
    pub pages: Vec<Page>,
    /// Bytes of a request, until its empty line.
    pub header_max: usize,
    /// Whether messages may be deflated.
    pub compress: bool,
    /// Silence behind which the peer is pinged, and again until it is given up. 0: any.
    pub ping_ms: u32,
    /// Bytes of a message.
    pub message_max: u32,
    /// Time for a message to come whole. 0: any.
    pub frame_timeout_ms: u32,
}

/// What is answered to a GET.
#[derive(Clone, Debug)]
pub struct Page {
    /// Where it is.
    pub path: String,
    /// As in Content-Type.
    pub content_type: String,
    /// What it is.
    pub body: Arc<[u8]>,
}

/// What a connection that connects is made with. No string has control characters.
#[derive(Clone, Debug)]
pub struct WebClient {
    /// As in Host: the name, and the port if it is not the usual one.
    pub host: String,
    /// The path, with its query.
    pub target: String,
    /// As in Origin.
    pub origin: Option<String>,
    /// Subprotocols that are asked for.
    pub protocols: Vec<String>,
    /// Further headers.
    pub headers: Vec<(String, String)>,
    /// Bytes of a response, until its empty line.
    pub header_max: usize,
    /// Whether messages may be deflated.
    pub compress: bool,
    /// As for servers.
    pub ping_ms: u32,
    /// Bytes of a message.
    pub message_max: u32,
    /// As for servers.
    pub frame_timeout_ms: u32,
}

impl Default for WebServer {
    fn default() -> WebServer {
        WebServer {
            path: None,
            origins: Vec::new(),
            protocols: Vec::new(),
            pages: Vec::new(),
            header_max: HEADER_MAX,
            compress: false,
            ping_ms: 0,
            message_max: MESSAGE_MAX,
            frame_timeout_ms: 0,
        }
    }
}

impl Default for WebClient {
    fn default() -> WebClient {
        WebClient {
            host: String::new(),
            target: "/".into(),
            origin: None,
            protocols: Vec::new(),
            headers: Vec::new(),
            header_max: HEADER_MAX,
            compress: false,
            ping_ms: 0,
            message_max: MESSAGE_MAX,
            frame_timeout_ms: 0,
        }
    }
}

impl WebEnd {
    pub(super) fn protocols(&self) -> &[String] {
        match self {
            WebEnd::Server(server) => &server.protocols,
            WebEnd::Client(client) => &client.protocols,
        }
    }

    pub(super) fn header_max(&self) -> usize {
        match self {
            WebEnd::Server(server) => server.header_max,
            WebEnd::Client(client) => client.header_max,
        }
    }

    pub(super) fn message_max(&self) -> u32 {
        match self {
            WebEnd::Server(server) => server.message_max,
            WebEnd::Client(client) => client.message_max,
        }
    }

    pub(super) fn ping_ms(&self) -> u64 {
        match self {
            WebEnd::Server(server) => server.ping_ms.into(),
            WebEnd::Client(client) => client.ping_ms.into(),
        }
    }

    pub(super) fn frame_timeout_ms(&self) -> u64 {
        match self {
            WebEnd::Server(server) => server.frame_timeout_ms.into(),
            WebEnd::Client(client) => client.frame_timeout_ms.into(),
        }
    }
}

/// What a handshake has agreed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebFacts {
    /// As it was asked for, with its query.
    pub path: Box<str>,
    /// The subprotocol; empty: none.
    pub protocol: Box<str>,
    /// Whether messages may be deflated.
    pub compressed: bool,
}

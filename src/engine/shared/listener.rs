//! A listener: a socket that brings connections.

use crate::engine::shared::conn::{Link, Origin};
use crate::engine::shared::event::{Event, Notice};
use crate::engine::shared::parting::Answer;
use crate::engine::shared::reminder::Reminder;
use crate::io::Token;
use crate::io::os::local::SocketFile;
use crate::io::os::sys;
use crate::session::{Cause, Millis};
use std::net::SocketAddr;
use std::sync::Arc;

/// A listener.
pub struct Listener {
    /// One lane, In, is used.
    pub link: Link,
    /// Of a local socket; goes with it.
    pub file: Option<SocketFile>,
    pub endpoint: Arc<Origin>,
    pub local: Option<SocketAddr>,
    pub home: u16,
    /// Why it ends, once it does.
    pub closing: Option<(Cause, i32)>,
    /// The host waits for its socket: nothing more is accepted.
    pub parting: Option<Answer>,
    /// LISTENER_CLOSED was emitted.
    pub told: bool,
    pub stalled: bool,
    /// Connections that are opening, or were given to other workers, and are not reported yet.
    /// LISTENER_CLOSED waits for them: no OPENED comes after it.
    pub handed: u32,
    /// The host is asked about peers: nothing more is accepted, and its end waits.
    pub asks: bool,
    /// When it accepts again after the system ran out of something; 0: now.
    pub resume_at: Millis,
    /// The wait after the next such failure.
    pub backoff_ms: Millis,
    /// Accepts in a row that failed for the one connection.
    pub lost: u32,
    /// Of `resume_at`.
    pub reminder: Reminder,
    pub accepted: u64,
}

impl Listener {
    /// A listener that is bound to `local`; its socket is still to be put there.
    pub fn new(local: Option<SocketAddr>, endpoint: Arc<Origin>, home: usize) -> Listener {
        Listener { local, ..Listener::bare(endpoint, home) }
    }

    fn bare(endpoint: Arc<Origin>, home: usize) -> Listener {
        Listener {
            link: Link::new(None),
            file: None,
            endpoint,
            local: None,
            home: home as u16,
            closing: None,
            parting: None,
            told: false,
            stalled: false,
            handed: 0,
            asks: false,
            resume_at: 0,
            backoff_ms: 0,
            lost: 0,
            reminder: Reminder::default(),
            accepted: 0,
        }
    }

    /// Whether as many of its connections are opening as may be.
    pub fn is_crowded(&self) -> bool {
        let opens = self.endpoint.layer.is_some() || self.endpoint.proxies.is_some();
        opens && self.handed >= self.endpoint.handshakes_max
    }

    /// Its worker is gone: the socket goes, and the last event, if it was not emitted.
    pub fn fault(&mut self, token: Token, cause: Cause) -> Option<Event> {
        self.parting = None;
        if std::mem::replace(&mut self.told, true) {
            return None;
        }
        if let Some(socket) = self.link.take_socket() {
            sys::end(&socket);
        }
        self.file = None;
        let (cause, os_error) = self.closing.unwrap_or((cause, 0));
        Some(Event { token, notice: Notice::ListenerClosed { cause, os_error } })
    }

    /// A listener without a socket.
    #[cfg(test)]
    pub fn for_tests() -> Listener {
        Listener::bare(Arc::default(), 0)
    }
}

//! What many connections share.

use crate::buf::{Mutex, rank};
use crate::engine::shared::config::Endpoint;
use crate::engine::shared::guard::Door;
use crate::engine::shared::options::SocketOptions;
use crate::io::{Token, Weather};
use std::net::SocketAddr;
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

/// What the connections of a listener share; one that was made by connect shares it with those
/// that were made alike.
#[derive(Default)]
pub struct Origin {
    endpoint: Endpoint,
    /// Set before its worker knows the listener; never for those that were made by connect.
    listener: OnceLock<Token>,
    /// The address of the listener, where all its connections have that.
    local: Option<SocketAddr>,
    /// What is done to the bytes of a listener's; nothing to those that were made by connect.
    weather: Mutex<rank::Weather, Option<Arc<Weather>>>,
    /// Of a listener that bounds how many come in.
    door: Option<Door>,
    /// Where it came from, if the host has changed its endpoint since; all but that is there.
    before: Option<Arc<Origin>>,
}

impl Origin {
    /// What connections to an endpoint begin with.
    pub fn new(endpoint: Endpoint) -> Origin {
        Origin { endpoint, ..Origin::default() }
    }

    /// As `new`, of a listener that is bound to this address.
    pub fn bound(endpoint: Endpoint, local: Option<SocketAddr>, door: Option<Door>) -> Origin {
        let local = local.filter(|local| !local.ip().is_unspecified());
        Origin { local, door, ..Origin::new(endpoint) }
    }

    /// What a connection goes on with whose endpoint the host has changed.
    pub fn changed(endpoint: Endpoint, before: &Arc<Origin>) -> Origin {
        let first = before.before.as_ref().unwrap_or(before).clone();
        Origin { before: Some(first), ..Origin::new(endpoint) }
    }

    fn first(&self) -> &Origin {
        self.before.as_deref().unwrap_or(self)
    }

    /// What is done to the bytes of all that come from here.
    pub fn weather(&self) -> &Mutex<rank::Weather, Option<Arc<Weather>>> {
        &self.first().weather
    }

    /// Where those that come in are counted, if they are.
    pub fn door(&self) -> Option<&Door> {
        self.first().door.as_ref()
    }

    /// Whether one that comes from there is made by a proxy, whose header is to be awaited.
    pub fn is_proxy(&self, peer: Option<SocketAddr>) -> bool {
        let proxies = self.first().endpoint.proxies.as_ref();
        proxies.zip(peer).is_some_and(|(proxies, peer)| proxies.has(peer.ip()))
    }

    /// One that came in is gone.
    pub fn left(&self, peer: Option<SocketAddr>) {
        if let Some(door) = self.door() {
            door.leave(peer);
        }
    }

    /// The address at this end, if it is the same for all.
    pub fn local(&self) -> Option<SocketAddr> {
        self.first().local
    }

    /// The connections come from this listener.
    pub fn set_listener(&self, token: Token) {
        let first = self.listener.set(token).is_ok();
        debug_assert!(first, "a listener has one token");
    }

    /// The listener that they come from.
    #[inline]
    pub fn listener(&self) -> Option<Token> {
        self.first().listener.get().copied()
    }

    /// Whether a connection that is made by connect can have it just as well.
    pub fn serves(&self, endpoint: &Endpoint) -> bool {
        let Endpoint {
            queue,
            user_data,
            framing,
            limits,
            socket,
            weight,
            step,
            layer,
            carrying,
            // The layer has what they came to.
            scheme: _,
            http: _,
            sniff: _,
            // Follows from the framing.
            web_framing: _,
            tls: _,
            lanes: _,
            // The connection's own.
            connect_token: _,
            handshake_timeout_ms: _,
            // Of listeners.
            handshakes_max: _,
            guard: _,
            proxies: _,
        } = endpoint;
        let numbers = |socket: &SocketOptions| {
            let SocketOptions {
                backlog,
                nodelay,
                keepalive_s,
                recv_buffer_bytes,
                send_buffer_bytes,
                // Of datagram sockets, which have no origin.
                share: _,
                // Of listeners.
                v6only: _,
                // Of transports.
                unfragmented: _,
                user_timeout_ms,
                bind,
            } = *socket;
            let buffers = (recv_buffer_bytes, send_buffer_bytes);
            (backlog, nodelay, keepalive_s, buffers, user_timeout_ms, bind)
        };
        self.listener().is_none()
            && (self.queue, self.user_data) == (*queue, *user_data)
            && (self.framing, self.limits) == (*framing, *limits)
            && (self.weight, self.step, &self.layer) == (*weight, *step, layer)
            && self.carrying == *carrying
            && numbers(&self.socket) == numbers(socket)
    }
}

impl Deref for Origin {
    type Target = Endpoint;

    #[inline]
    fn deref(&self) -> &Endpoint {
        &self.endpoint
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_serves_those_that_are_made_alike() {
        let origin = Origin::new(Endpoint::default());
        assert!(origin.serves(&Endpoint::default()));
        let different: [fn(&mut Endpoint); 12] = [
            |endpoint| endpoint.queue = Some(0),
            |endpoint| endpoint.user_data = 1,
            |endpoint| endpoint.framing.frame_max_bytes = 9,
            |endpoint| endpoint.limits.linger_ms = 9,
            |endpoint| endpoint.socket.nodelay = false,
            |endpoint| endpoint.socket.keepalive_s = 9,
            |endpoint| endpoint.socket.recv_buffer_bytes = 9,
            |endpoint| endpoint.socket.send_buffer_bytes = 9,
            |endpoint| endpoint.socket.user_timeout_ms = 9,
            |endpoint| endpoint.socket.bind = Some(([127, 0, 0, 1], 0).into()),
            |endpoint| endpoint.step = true,
            |endpoint| endpoint.weight = 2,
        ];
        for change in different {
            let mut endpoint = Endpoint::default();
            change(&mut endpoint);
            assert!(!origin.serves(&endpoint) && Origin::new(endpoint.clone()).serves(&endpoint));
        }
        origin.set_listener(Token::new(1, 1));
        assert!(!origin.serves(&Endpoint::default()), "a listener's are its own");
    }
}

//! What stands between the bytes and the messages of an endpoint, as its URL and the host say it.

use crate::engine::host::net::Net;
use crate::engine::host::url::{HostName, Place};
use crate::engine::shared::config::{CloseHow, Endpoint, Scheme};
use crate::engine::shared::conn::End;
use crate::engine::shared::error::{Error, Refusal};
use crate::engine::shared::http::HttpOptions;
use crate::io::Token;
use crate::session::{
    AnyEnd, Layering, Maker, TlsMaker, WebClient, WebEnd, WebFacts, WebServer, looks_like,
};
use std::sync::Arc;

fn invalid(words: impl Into<String>) -> Refusal {
    Refusal::new(Error::Invalid, words)
}

impl Net {
    /// Puts below the connections of an endpoint what its URL asks for.
    pub fn add_layer(
        &self,
        place: &Place,
        listens: bool,
        endpoint: &mut Endpoint,
    ) -> Result<(), Refusal> {
        let scheme = endpoint.scheme;
        let http = match endpoint.http.take() {
            Some(_) if matches!(scheme, Scheme::Plain | Scheme::Tls | Scheme::Game) => {
                return Err(invalid("endpoint.http is for ws://, wss:// and any://"));
            }
            http => http.unwrap_or_default(),
        };
        let maker = match scheme {
            Scheme::Plain | Scheme::Tls | Scheme::Game => {
                self.tls_maker(place, listens, endpoint)?.map(Maker::Tls)
            }
            Scheme::Web | Scheme::WebTls => {
                let tls = self.tls_maker(place, listens, endpoint)?;
                let web = match listens {
                    true => WebEnd::Server(Arc::new(server(*http, endpoint)?)),
                    false => WebEnd::Client(Arc::new(client(*http, endpoint, place)?)),
                };
                Some(Maker::Web(web, tls))
            }
            Scheme::Any => Some(self.any(place, *http, endpoint)?),
        };
        if scheme.is_web() || scheme == Scheme::Any {
            check(endpoint)?;
        }
        endpoint.layer = maker
            .map(|maker| Layering { maker, handshake_timeout_ms: endpoint.handshake_timeout_ms });
        Ok(())
    }

    fn any(
        &self,
        place: &Place,
        http: HttpOptions,
        endpoint: &mut Endpoint,
    ) -> Result<Maker, Refusal> {
        let framed = endpoint.sniff != Some(false);
        if framed && let Some(other) = looks_like(&endpoint.framing) {
            return Err(invalid(format!(
                "any://: the first bytes of such frames can look like {other}: choose another \
                 framing (frame=u32be), a smaller max=, or sniff=0 for no frames of your own"
            )));
        }
        let tls = match endpoint.tls {
            Some(_) => self.tls_maker(place, true, endpoint)?,
            None => None,
        };
        let web = WebEnd::Server(Arc::new(server(http, endpoint)?));
        Ok(Maker::Any(Arc::new(AnyEnd { tls, web, framed })))
    }

    /// How TLS is done, where the endpoint has it.
    fn tls_maker(
        &self,
        place: &Place,
        listens: bool,
        endpoint: &mut Endpoint,
    ) -> Result<Option<Arc<TlsMaker>>, Refusal> {
        let end = self.tls_end(place, listens, endpoint)?;
        Ok(end.map(|end| Arc::new(TlsMaker::new(end))))
    }

    /// Closes a WebSocket in order, with a code of the host's. Unsupported: it is none.
    pub fn close_web(&self, token: Token, code: u16) -> Result<(), Error> {
        let mut held = self.hold_conn(token)?;
        if held.life.end != End::Not {
            return Err(Error::Closed);
        }
        if held.session.web_facts().is_none() || !held.session.set_code(code) {
            return Err(Error::Unsupported);
        }
        drop(held);
        self.close(token, CloseHow::Graceful, None)
    }

    /// What a WebSocket has agreed on. None: it is not one, or not open.
    pub fn web_facts(&self, conn: Token) -> Result<Option<WebFacts>, Error> {
        let mut held = self.core.table.hold(conn).ok_or(Error::Stale)?;
        Ok(held.conn().ok_or(Error::Stale)?.session.web_facts())
    }
}

/// What an endpoint of WebSockets cannot have.
fn check(endpoint: &Endpoint) -> Result<(), Refusal> {
    if endpoint.limits.half_open {
        return Err(invalid("endpoint.half_open: a WebSocket ends in both directions at once"));
    }
    if endpoint.limits.min_receive_rate > 0 {
        return Err(invalid("endpoint.min_receive_rate is for tcp://, tls:// and unix:"));
    }
    if endpoint.step && endpoint.scheme == Scheme::Any {
        return Err(invalid("endpoint.step is not for any://"));
    }
    Ok(())
}

fn server(http: HttpOptions, endpoint: &Endpoint) -> Result<WebServer, Refusal> {
    if !http.headers.is_empty() {
        return Err(invalid("http.headers is for connect"));
    }
    if http.path.as_ref().is_some_and(|path| path.contains('?')) {
        return Err(invalid("http.path: that of a listener has no query"));
    }
    let HttpOptions { path, origins, protocols, pages, compress, ping_ms, header_max, .. } = http;
    Ok(WebServer {
        path,
        origins,
        protocols,
        pages,
        header_max: header_max as usize,
        compress,
        ping_ms,
        message_max: endpoint.framing.frame_max_bytes,
        frame_timeout_ms: endpoint.limits.frame_timeout_ms,
    })
}

fn client(mut http: HttpOptions, endpoint: &Endpoint, place: &Place) -> Result<WebClient, Refusal> {
    if !http.pages.is_empty() {
        return Err(invalid("http.pages is for listeners"));
    }
    if http.origins.len() > 1 {
        return Err(invalid("http.origins: to connect there is one"));
    }
    let Place::Internet(name, port) = place else {
        return Err(invalid("a WebSocket connects to a host (ws://host:port/path)"));
    };
    let host = match name {
        HostName::Address(address) if address.is_ipv6() => format!("[{address}]"),
        HostName::Address(address) => address.to_string(),
        HostName::Zoned(address, _) => format!("[{address}]"),
        HostName::Name(name) => name.clone(),
        HostName::Any => return Err(invalid("host * cannot be connected to")),
    };
    let usual = if endpoint.scheme == Scheme::WebTls { 443 } else { 80 };
    let host = if *port == usual { host } else { format!("{host}:{port}") };
    Ok(WebClient {
        host,
        target: http.path.take().unwrap_or_else(|| "/".into()),
        origin: http.origins.pop(),
        protocols: http.protocols,
        headers: http.headers,
        header_max: http.header_max as usize,
        compress: http.compress,
        ping_ms: http.ping_ms,
        message_max: endpoint.framing.frame_max_bytes,
        frame_timeout_ms: endpoint.limits.frame_timeout_ms,
    })
}

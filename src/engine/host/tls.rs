//! TLS of endpoints, listeners and connections, as the host's calls know it.

use crate::engine::host::net::Net;
use crate::engine::host::url::Place;
use crate::engine::shared::config::{Endpoint, Scheme};
use crate::engine::shared::error::{Error, Refusal};
use crate::engine::shared::tls::TlsOptions;
use crate::io::Token;
use crate::session::{TlsEnd, TlsFacts};

fn invalid(words: &str) -> Refusal {
    Refusal::new(Error::Invalid, words)
}

impl Net {
    /// How TLS is done below the connections of an endpoint whose URL asks for it, or of a
    /// descriptor whose endpoint has it. None: it is not.
    pub fn tls_end(
        &self,
        place: &Place,
        listens: bool,
        endpoint: &mut Endpoint,
    ) -> Result<Option<TlsEnd>, Refusal> {
        let adopts = matches!(place, Place::Descriptor(_));
        let given = endpoint.tls.take();
        match endpoint.scheme {
            Scheme::Tls | Scheme::WebTls | Scheme::Any => {}
            Scheme::Plain if adopts && given.is_some() => {}
            _ if given.is_none() => return Ok(None),
            _ => return Err(invalid("endpoint.tls is for tls://, wss:// and any:// (and fd://)")),
        }
        let options = given.unwrap_or_default();
        Ok(Some(match place {
            _ if listens => options.server()?,
            Place::Internet(host, _) => self.tls_clients.end(&options, host)?,
            _ => return Err(invalid("endpoint.tls: to connect needs tls://")),
        }))
    }

    /// Makes new connections of a listener with another certificate.
    pub fn set_tls(&self, listener: Token, options: &TlsOptions) -> Result<(), Refusal> {
        let end = options.server()?;
        let mut held = self.core.table.hold(listener).ok_or(Error::Stale)?;
        let listener = held.listener().ok_or(Error::Stale)?;
        let layer = listener.endpoint.layer.as_ref();
        let maker = layer.and_then(|layer| layer.maker.tls());
        maker.ok_or_else(|| invalid("the listener has no TLS"))?.replace(end);
        Ok(())
    }

    /// What the TLS of a connection has agreed on. None: it has none, or is not open.
    pub fn tls_facts(&self, conn: Token) -> Result<Option<TlsFacts>, Error> {
        let mut held = self.core.table.hold(conn).ok_or(Error::Stale)?;
        Ok(held.conn().ok_or(Error::Stale)?.session.tls())
    }
}

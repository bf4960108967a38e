//! TLS of endpoints, listeners and connections, as the host's calls know it.

use crate::engine::host::net::Net;
use crate::engine::host::url::Place;
use crate::engine::shared::config::Endpoint;
use crate::engine::shared::error::{Error, Refusal};
use crate::engine::shared::tls::TlsOptions;
use crate::io::Token;
use crate::session::{Layering, Maker, TlsFacts, TlsMaker};
use std::sync::Arc;

fn invalid(words: &str) -> Refusal {
    Refusal::new(Error::Invalid, words)
}

impl Net {
    /// Puts TLS below the connections of an endpoint whose URL asks for it, or of a descriptor
    /// whose endpoint has it.
    pub fn add_tls(
        &self,
        place: &Place,
        listens: bool,
        endpoint: &mut Endpoint,
    ) -> Result<(), Refusal> {
        let adopts = matches!(place, Place::Descriptor(_));
        if !endpoint.secure && (endpoint.tls.is_none() || !adopts) {
            return match endpoint.tls {
                None => Ok(()),
                Some(_) => Err(invalid("endpoint.tls is for tls:// (and fd://)")),
            };
        }
        let options = endpoint.tls.take().unwrap_or_default();
        let end = match place {
            _ if listens => options.server()?,
            Place::Internet(host, _) => self.tls_clients.end(&options, host)?,
            _ => return Err(invalid("endpoint.tls: to connect needs tls://")),
        };
        endpoint.layer = Some(Layering {
            maker: Maker::Tls(Arc::new(TlsMaker::new(end))),
            handshake_timeout_ms: endpoint.handshake_timeout_ms,
        });
        Ok(())
    }

    /// Makes new connections of a listener with another certificate.
    pub fn set_tls(&self, listener: Token, options: &TlsOptions) -> Result<(), Refusal> {
        let end = options.server()?;
        let mut held = self.core.table.hold(listener).ok_or(Error::Stale)?;
        let listener = held.listener().ok_or(Error::Stale)?;
        match &listener.endpoint.layer {
            Some(Layering { maker: Maker::Tls(maker), .. }) => {
                maker.replace(end);
                Ok(())
            }
            _ => Err(invalid("the listener has no TLS")),
        }
    }

    /// What the TLS of a connection has agreed on. None: it has none, or is not open.
    pub fn tls_facts(&self, conn: Token) -> Result<Option<TlsFacts>, Error> {
        let mut held = self.core.table.hold(conn).ok_or(Error::Stale)?;
        Ok(held.conn().ok_or(Error::Stale)?.session.tls())
    }
}

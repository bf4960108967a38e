//! The metrics at a port of their own, on a thread of its own: a scrape takes no turn of a worker,
//! and is answered also while those are busy.

use crate::engine::host::metrics::{Format, write_metrics};
use crate::engine::host::net::Net;
use crate::engine::host::url::{self, Place};
use crate::engine::shared::config::Endpoint;
use crate::engine::shared::core::Core;
use crate::engine::shared::error::{Error, Refusal};
use crate::engine::shared::quiet::caught;
use crate::io::http::{Page, Request, Server, Service, Site};
use crate::io::threads;
use std::net::SocketAddr;
use std::sync::atomic::Ordering::*;

/// Where the metrics are, as Prometheus asks for them.
const PATH: &str = "/metrics";
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// The thread formats numbers and calls nothing that is deep.
const STACK_BYTES: usize = 256 * 1024;

impl Site for Core {
    fn admits(&self, peer: SocketAddr) -> bool {
        self.guard.decide(None, Some(peer), self.now()).is_ok()
    }

    fn page(&self, request: &Request<'_>) -> Option<Page> {
        if request.path != PATH {
            return None;
        }
        let open = request.accept.contains("application/openmetrics-text");
        let (format, kind) =
            if open { (Format::OpenMetrics, OPEN_METRICS) } else { (Format::Text, TEXT) };
        let text = caught(|| {
            let mut text = String::new();
            write_metrics(self, &mut text, format).map(|()| text)
        });
        Some(Page { kind, text: text.ok()?.ok()? })
    }
}

impl Net {
    /// Serves the metrics at this URL. Answers the port.
    pub fn metrics_listen(&self, url: &str) -> Result<u16, Refusal> {
        let _opening = self.opening.read();
        self.check_running()?;
        let mut endpoint = Endpoint::default();
        let place = url::parse(url, true, &mut endpoint)?;
        if !matches!(place, Place::Internet(..)) || url.contains('?') {
            let words = "metrics are served at tcp://host:port, without a query";
            return Err(Refusal::new(Error::Invalid, words));
        }
        let mut scrapes = self.scrapes.lock();
        if scrapes.is_some() {
            let words = "metrics are served already; sockeye_metrics_close ends that";
            return Err(Refusal::new(Error::Busy, words));
        }
        let refused = |error| Refusal::system(&format!("metrics at {url}"), &error);
        let addresses = place.into_listen(&mut endpoint.socket)?;
        let (socket, _) = endpoint.socket.listener(&addresses).map_err(refused)?;
        let bound = socket.local_addr().map_err(refused)?.as_socket();
        let (server, closer) = Server::new(socket).map_err(refused)?;
        let (core, threads) = (self.core.clone(), self.threads.clone());
        threads.fetch_add(1, Relaxed);
        let count = threads.clone();
        let started = threads::start("sockeye-metrics".into(), Some(STACK_BYTES), move |_| {
            // What ends it early ends the scrapes alone.
            let _ = caught(|| server.run(core));
            count.fetch_sub(1, Relaxed);
        });
        let thread = started.map_err(|error| {
            threads.fetch_sub(1, Relaxed);
            refused(error)
        })?;
        *scrapes = Some(Service { closer, thread });
        Ok(bound.map_or(0, |bound| bound.port()))
    }

    /// Ends that. When it returns the port is free and the thread gone.
    pub fn metrics_close(&self) {
        let scrapes = self.scrapes.lock().take();
        if let Some(scrapes) = scrapes {
            scrapes.close();
        }
    }
}

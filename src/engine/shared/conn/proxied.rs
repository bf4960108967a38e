//! What a connection has to do with the proxy that made it for its peer.

use super::Conn;
use super::proxy::Proxied;
use crate::session::proxy::{Reader, Source, Wrong};
use std::net::SocketAddr;

impl Conn {
    fn proxied(&self) -> &Proxied {
        self.more.as_ref().map_or(&Proxied::No, |more| &more.proxied)
    }

    /// It comes from a proxy.
    pub fn await_header(&mut self) {
        self.more().proxied = Proxied::Awaited(Reader::default());
    }

    /// Whether the header of its proxy is still to come.
    #[inline]
    pub fn awaits_header(&self) -> bool {
        self.more.is_some() && matches!(self.proxied(), Proxied::Awaited(_))
    }

    /// More of the stream while its header is awaited. Answers the header once it is whole, and how
    /// many of these bytes are of it.
    pub fn read_header(&mut self, bytes: &[u8]) -> Result<Option<(Source, usize)>, Wrong> {
        match &mut self.more().proxied {
            Proxied::Awaited(reader) => reader.read(bytes),
            _ => Ok(None),
        }
    }

    /// Whether it is not in: no door has counted it.
    pub fn is_outside(&self) -> bool {
        matches!(self.proxied(), Proxied::Awaited(_) | Proxied::Refused)
    }

    /// It does not come in.
    pub fn keep_out(&mut self) {
        self.more().proxied = Proxied::Refused;
    }

    /// It comes in, for a peer there.
    pub fn let_in(&mut self, source: Source) {
        let by = match source {
            Source::Own => Proxied::No,
            Source::Peer(peer) => {
                let proxy = self.peer();
                self.set_peer(Some(peer));
                proxy.map_or(Proxied::No, Proxied::By)
            }
        };
        self.more().proxied = by;
    }

    /// The address of the proxy that made it for its peer.
    pub fn proxy(&self) -> Option<SocketAddr> {
        match self.proxied() {
            Proxied::By(proxy) => Some(*proxy),
            _ => None,
        }
    }
}

//! The proxy of a connection.

use crate::session::proxy::Reader;
use std::net::SocketAddr;

/// Whether a proxy made a connection, and how far it is known for whom.
#[derive(Default, PartialEq)]
pub enum Proxied {
    /// None did, or one for itself.
    #[default]
    No,
    /// One did, and its header has not come whole.
    Awaited(Reader),
    /// One did, it does not come in, and that was counted.
    Refused,
    /// One at this address; the peer's is what its header says.
    By(SocketAddr),
}

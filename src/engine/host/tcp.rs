//! What the system knows of a connection.

use crate::engine::host::net::Net;
use crate::engine::shared::error::Error;
use crate::io::Token;
use crate::io::os::tcp::{self, TcpInfo};

impl Net {
    /// What the system has measured of a connection.
    pub fn tcp_info(&self, token: Token) -> Result<TcpInfo, Error> {
        let held = self.hold_conn(token).map_err(|error| {
            self.hold_datagram(token, true).map_or(error, |_| Error::Unsupported)
        })?;
        if held.link.is_carried() {
            return Err(Error::Unsupported);
        }
        let socket = held.link.socket().ok_or(Error::Closed)?;
        tcp::info(socket).map_err(|_| Error::Unsupported)
    }
}

//! What lies between TCP and the messages, on the client's side: nothing, TLS or WebSocket.

pub mod certificate;
mod tls;
mod web;

use anyhow::{Context, Result, bail};
use rustls::ClientConfig;
use std::ffi::OsString;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use tls::Tls;
use web::Web;

/// Bytes that are received at a time while a connection opens.
const OPENING: usize = 4096;

/// Which of them.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Kind {
    #[default]
    Tcp,
    /// With the certificate of `certificate`.
    Tls,
    Web,
}

impl Kind {
    pub fn of(name: &str) -> Result<Self> {
        Ok(match name {
            "tcp" => Self::Tcp,
            "tls" => Self::Tls,
            "web" => Self::Web,
            other => bail!("no wire '{other}'"),
        })
    }

    /// The arguments of a load generator.
    pub fn load_args(self) -> Result<Vec<OsString>> {
        Ok(match self {
            Self::Tcp => Vec::new(),
            Self::Tls => {
                let ca = &certificate::files()?.certificate;
                vec!["--wire".into(), "tls".into(), "--ca".into(), ca.into()]
            }
            Self::Web => vec!["--wire".into(), "web".into()],
        })
    }

    /// The arguments of a server.
    pub fn server_args(self) -> Result<Vec<OsString>> {
        Ok(match self {
            Self::Tcp | Self::Web => Vec::new(),
            Self::Tls => {
                let files = certificate::files()?;
                let (certificate, key) = (&files.certificate, &files.key);
                vec!["--cert".into(), certificate.into(), "--key".into(), key.into()]
            }
        })
    }
}

/// Makes the wires of a load generator.
pub enum Wires {
    Tcp,
    Tls(Arc<ClientConfig>),
    Web,
}

impl Wires {
    pub fn new(kind: Kind, ca: Option<&Path>) -> Result<Self> {
        Ok(match kind {
            Kind::Tcp => Self::Tcp,
            Kind::Tls => Self::Tls(tls::config(ca.context("--ca FILE is missing")?)?),
            Kind::Web => Self::Web,
        })
    }

    pub fn make(&self, n: u32) -> Result<Wire> {
        Ok(match self {
            Self::Tcp => Wire::Tcp,
            Self::Tls(config) => Wire::Tls(Box::new(Tls::new(config)?)),
            Self::Web => Wire::Web(Web::new(n)),
        })
    }
}

/// That of one connection.
pub enum Wire {
    Tcp,
    Tls(Box<Tls>),
    Web(Web),
}

impl Wire {
    /// Whether messages may pass.
    pub fn is_open(&self) -> bool {
        match self {
            Self::Tcp => true,
            Self::Tls(tls) => tls.is_open(),
            Self::Web(web) => web.is_open(),
        }
    }

    /// Adds what is to be said beside messages to `out`.
    pub fn speak(&mut self, out: &mut Vec<u8>) -> Result<()> {
        match self {
            Self::Tcp => Ok(()),
            Self::Tls(tls) => tls.speak(out),
            Self::Web(web) => {
                web.speak(out);
                Ok(())
            }
        }
    }

    /// Adds messages, all of one size, to `out`: in frames or records of their own.
    pub fn wrap(&mut self, messages: &[u8], size: usize, out: &mut Vec<u8>) -> Result<()> {
        match self {
            Self::Tcp => out.extend_from_slice(messages),
            Self::Tls(tls) => tls.wrap(messages, size, out)?,
            Self::Web(web) => web.wrap(messages, size, out),
        }
        Ok(())
    }

    /// Takes received bytes; `take` sees the parts of messages in them.
    pub fn unwrap(
        &mut self,
        bytes: &[u8],
        mut take: impl FnMut(&[u8]) -> Result<()>,
    ) -> Result<()> {
        match self {
            Self::Tcp => take(bytes),
            Self::Tls(tls) => tls.unwrap(bytes, take),
            Self::Web(web) => web.unwrap(bytes, take),
        }
    }

    /// Adds what is said at the end.
    pub fn end(&mut self, out: &mut Vec<u8>) -> Result<()> {
        match self {
            Self::Tls(tls) => tls.end(out),
            Self::Tcp | Self::Web(_) => Ok(()),
        }
    }

    /// Sends what opens it, and does not wait for an answer: a server that looks at its sockets
    /// by the clock then answers many at once.
    pub fn greet(&mut self, stream: &mut TcpStream) -> Result<()> {
        let mut out = Vec::new();
        self.speak(&mut out)?;
        stream.write_all(&out).context("opening")
    }

    /// Waits until messages may pass.
    pub fn open(&mut self, stream: &mut TcpStream) -> Result<()> {
        let mut bytes = [0; OPENING];
        loop {
            self.greet(stream)?;
            if self.is_open() {
                return Ok(());
            }
            // Behind the answer of a web server a message may follow: that is left to the socket.
            let most = if let Self::Web(_) = self { 1 } else { OPENING };
            let count = stream.read(&mut bytes[..most]).context("opening")?;
            anyhow::ensure!(count > 0, "the server closed it");
            self.unwrap(&bytes[..count], |_| bail!("a message before the connection is open"))?;
        }
    }
}

//! URLs of endpoints: `tcp://host:port?frame=u32be&max=65536`.

use super::config::Endpoint;
use super::error::{Error, Refusal};
use crate::session::{Framing, FramingKind};
use fluent_uri::{Uri, component::Host};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Where a URL points.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Place {
    /// A number or a name.
    pub host: HostName,
    /// 0 lets the system choose, for listeners.
    pub port: u16,
}

/// The host part of a URL.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum HostName {
    /// An address, or every address of a family.
    Address(IpAddr),
    /// A name to be looked up.
    Name(String),
    /// `*`: every address of this machine.
    Any,
}

fn invalid(words: impl Into<String>) -> Refusal {
    Refusal::new(Error::Invalid, words)
}

/// Reads a URL; its query goes before the endpoint's framing.
pub fn parse(url: &str, endpoint: &mut Endpoint) -> Result<Place, Refusal> {
    let uri = Uri::parse(url)
        .map_err(|error| invalid(format!("\"{url}\" is not a URL (tcp://host:port): {error}")))?;
    match uri.scheme().as_str() {
        "tcp" => {}
        scheme @ ("udp" | "unix" | "tls" | "ws" | "wss" | "quic") => {
            let words = format!("scheme {scheme} is not in this version");
            return Err(Refusal::new(Error::Unsupported, words));
        }
        scheme => return Err(invalid(format!("scheme {scheme} is unknown (tcp://host:port)"))),
    }
    let authority =
        uri.authority().ok_or_else(|| invalid("the URL has no host (tcp://host:port)"))?;
    if authority.has_userinfo() || !matches!(uri.path().as_str(), "" | "/") || uri.has_fragment() {
        return Err(invalid("only host, port and query may be in the URL (tcp://host:port?query)"));
    }
    let port = match authority.port().map(|port| port.as_str()) {
        None | Some("") => return Err(invalid("the URL has no port (tcp://host:port)")),
        Some(port) => {
            port.parse().map_err(|_| invalid(format!("port {port} is not 0 to 65535")))?
        }
    };
    let host = match authority.host_parsed() {
        Host::Ipv4(address) => HostName::Address(IpAddr::V4(address)),
        Host::Ipv6(address) => HostName::Address(IpAddr::V6(address)),
        Host::RegName(name) if name.as_str() == "*" => HostName::Any,
        Host::RegName(name) if name.as_str().is_empty() => {
            return Err(invalid("the URL has no host"));
        }
        Host::RegName(name) => HostName::Name(name.as_str().to_owned()),
        _ => return Err(invalid("the URL's host is neither a name nor an address")),
    };
    if let Some(query) = uri.query() {
        presets(query.as_str(), &mut endpoint.framing)?;
    }
    Ok(Place { host, port })
}

fn presets(query: &str, framing: &mut Framing) -> Result<(), Refusal> {
    for pair in query.split('&') {
        match pair.split_once('=') {
            Some(("frame", value)) => preset(value, framing)?,
            Some(("max", value)) => {
                framing.frame_max_bytes = value
                    .parse()
                    .map_err(|_| invalid(format!("max={value} is not a number of bytes")))?;
            }
            _ => return Err(invalid(format!("\"{pair}\" in the URL is neither frame= nor max="))),
        }
    }
    Ok(())
}

fn preset(value: &str, framing: &mut Framing) -> Result<(), Refusal> {
    let (kind, bytes, little) = match value {
        "raw" => (FramingKind::Raw, 4, false),
        "varint" => (FramingKind::Varint, 4, false),
        "u8" => (FramingKind::Length, 1, false),
        "u16be" => (FramingKind::Length, 2, false),
        "u16le" => (FramingKind::Length, 2, true),
        "u24be" => (FramingKind::Length, 3, false),
        "u24le" => (FramingKind::Length, 3, true),
        "u32be" => (FramingKind::Length, 4, false),
        "u32le" => (FramingKind::Length, 4, true),
        "line" => {
            let words = "frame=line is not in this version";
            return Err(Refusal::new(Error::Unsupported, words));
        }
        _ => {
            return Err(invalid(format!("frame={value} is unknown (u32be, u16le, varint, raw …)")));
        }
    };
    *framing = Framing {
        kind,
        length_bytes: bytes,
        little_endian: little,
        length_offset: 0,
        length_adjustment: 0,
        keep_header: false,
        ..*framing
    };
    Ok(())
}

impl Place {
    /// The address to listen on. Names are not looked up here, but for `localhost` and `*`.
    pub fn to_listen(&self) -> Result<IpAddr, Refusal> {
        match &self.host {
            HostName::Address(address) => Ok(*address),
            HostName::Any => Ok(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
            HostName::Name(name) if name.eq_ignore_ascii_case("localhost") => {
                Ok(IpAddr::V4(Ipv4Addr::LOCALHOST))
            }
            HostName::Name(name) => {
                Err(invalid(format!("to listen, host must be a number, localhost or *: {name}")))
            }
        }
    }

    /// The addresses to connect to, where no name has to be looked up.
    pub fn to_connect(&self) -> Result<Option<Vec<IpAddr>>, Refusal> {
        let localhost = || vec![IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
        match &self.host {
            _ if self.port == 0 => Err(invalid("port 0 cannot be connected to")),
            HostName::Any => Err(invalid("host * cannot be connected to")),
            HostName::Address(address) => Ok(Some(vec![*address])),
            HostName::Name(name) if name.eq_ignore_ascii_case("localhost") => Ok(Some(localhost())),
            HostName::Name(_) => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(url: &str) -> Result<(Place, Framing), Error> {
        let mut endpoint = Endpoint::default();
        let place = parse(url, &mut endpoint).map_err(|refusal| refusal.error)?;
        Ok((place, endpoint.framing))
    }

    #[test]
    fn addresses_names_and_presets_are_read() {
        let (place, framing) = read("tcp://0.0.0.0:7777?frame=u16le&max=65536").unwrap();
        assert_eq!(place.to_listen().unwrap(), IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        assert_eq!((place.port, framing.length_bytes, framing.little_endian), (7777, 2, true));
        assert_eq!(framing.frame_max_bytes, 65_536);
        let (place, _) = read("tcp://[::1]:0").unwrap();
        assert_eq!(place.to_listen().unwrap(), IpAddr::V6(Ipv6Addr::LOCALHOST));
        assert_eq!(read("tcp://*:1").unwrap().0.host, HostName::Any);
        let (place, _) = read("tcp://play.example.net:9").unwrap();
        assert_eq!(place.to_connect().unwrap(), None);
    }

    #[test]
    fn what_is_no_url_is_refused() {
        for url in [
            "",
            "127.0.0.1:80",
            "tcp:127.0.0.1:80",
            "tcp://",
            "tcp://:80",
            "tcp://h",
            "tcp://h:",
            "tcp://h:65536",
            "tcp://h:-1",
            "tcp://h:x",
            "tcp://u@h:1",
            "tcp://h:1/path",
            "tcp://h:1#f",
            "tcp://h:1?frame=u64be",
            "tcp://h:1?max=x",
            "tcp://h:1?colour=red",
            "ftp://h:1",
            "tcp://h h:1",
            "tcp://[::1:1",
        ] {
            assert_eq!(read(url).err(), Some(Error::Invalid), "{url}");
        }
        for url in ["udp://h:1", "unix:///tmp/x", "wss://h:1", "tcp://h:1?frame=line"] {
            assert_eq!(read(url).err(), Some(Error::Unsupported), "{url}");
        }
    }
}

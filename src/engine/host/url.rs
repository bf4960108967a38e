//! URLs of endpoints: `tcp://host:port?frame=u32be&max=65536`, `unix:///run/game.sock`.

use crate::engine::host::query::{self, Use};
use crate::engine::host::zone;
use crate::engine::shared::config::{Endpoint, Scheme};
use crate::engine::shared::error::{Error, Refusal};
use crate::engine::shared::options::SocketOptions;
use crate::io::os::{descriptor, local};
use crate::session::FramingKind;
use fluent_uri::{Uri, component::Host};
use socket2::SockAddr;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

/// Where a URL points.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Place {
    /// `tcp`: a host and its port; 0 lets the system choose, for listeners.
    Internet(HostName, u16),
    /// `udp`: the same, for datagrams.
    Datagrams(HostName, u16),
    /// `fd`: a socket that is there already.
    Descriptor(isize),
    /// `unix`: a path, or a name that begins with a zero byte (abstract).
    Local(SockAddr),
}

/// Where to connect to.
pub enum Dial {
    /// To be tried one after the other.
    Addresses(Vec<SockAddr>),
    /// To be looked up first.
    Name(String, u16),
}

/// The host part of a URL.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum HostName {
    /// An address, or every address of a family.
    Address(IpAddr),
    /// A link-local address, and the number of the interface that it is meant on.
    Zoned(Ipv6Addr, u32),
    /// A name to be looked up.
    Name(String),
    /// `*`: every address of this machine.
    Any,
}

fn invalid(words: impl Into<String>) -> Refusal {
    Refusal::new(Error::Invalid, words)
}

/// Reads a URL to listen on, or to connect to. Its query goes before the endpoint.
pub fn parse(url: &str, listens: bool, endpoint: &mut Endpoint) -> Result<Place, Refusal> {
    let (cut, zone) = zone::cut(url).map_or((None, None), |(cut, zone)| (Some(cut), Some(zone)));
    let whole = query::escape_brackets(cut.as_deref().unwrap_or(url));
    let uri = Uri::parse(&*whole)
        .map_err(|error| invalid(format!("\"{url}\" is not a URL (tcp://host:port): {error}")))?;
    let place = match uri.scheme().as_str() {
        "tcp" => internet(&uri, zone, Place::Internet)?,
        "tls" => {
            endpoint.scheme = Scheme::Tls;
            internet(&uri, zone, Place::Internet)?
        }
        "ws" | "wss" => {
            let secure = uri.scheme().as_str() == "wss";
            endpoint.scheme = if secure { Scheme::WebTls } else { Scheme::Web };
            frame_web(endpoint)?;
            put_path(endpoint, uri.path().as_str())?;
            internet(&uri, zone, Place::Internet)?
        }
        "any" if !listens => {
            return Err(invalid(
                "any:// is for listeners: to connect, say which (tcp://, wss:// …)",
            ));
        }
        "any" => {
            endpoint.scheme = Scheme::Any;
            put_path(endpoint, uri.path().as_str())?;
            internet(&uri, zone, Place::Internet)?
        }
        "udp" => internet(&uri, zone, Place::Datagrams)?,
        "game" => {
            endpoint.scheme = Scheme::Game;
            match uri.authority() {
                // The token of a connect says where.
                Some(nowhere) if nowhere.as_str().is_empty() && !listens => {
                    Place::Datagrams(HostName::Name(String::new()), 0)
                }
                _ => internet(&uri, zone, Place::Datagrams)?,
            }
        }
        "unix" => local_name(&uri)?,
        "fd" => descriptor_of(&uri)?,
        scheme @ "quic" => {
            let words = format!("scheme {scheme} is not in this version");
            return Err(Refusal::new(Error::Unsupported, words));
        }
        scheme => return Err(invalid(format!("scheme {scheme} is unknown (tcp://host:port)"))),
    };
    if let Some(query) = uri.query() {
        let used = Use { scheme: uri.scheme(), listens, any_v6: place.is_any_v6() };
        query::read(query.as_str(), used, endpoint).map_err(invalid)?;
    }
    Ok(place)
}

/// Makes the framing of an endpoint that of WebSockets, whose messages are the frames.
fn frame_web(endpoint: &mut Endpoint) -> Result<(), Refusal> {
    if endpoint.framing.kind != FramingKind::Raw {
        return Err(invalid("endpoint.framing: a WebSocket's messages are the frames (RAW)"));
    }
    endpoint.framing = endpoint.framing.web();
    Ok(())
}

/// The path that a URL has, for one whose `http.path` is to be that.
fn put_path(endpoint: &mut Endpoint, path: &str) -> Result<(), Refusal> {
    if path.is_empty() || path == "/" {
        return Ok(());
    }
    let http = endpoint.http.get_or_insert_default();
    match &http.path {
        Some(other) if other != path => Err(invalid("http.path and the path of the URL differ")),
        _ => {
            http.path = Some(path.to_owned());
            Ok(())
        }
    }
}

fn internet(
    uri: &Uri<&str>,
    zone: Option<&str>,
    place: impl FnOnce(HostName, u16) -> Place,
) -> Result<Place, Refusal> {
    let authority =
        uri.authority().ok_or_else(|| invalid("the URL has no host (tcp://host:port)"))?;
    let has_path = matches!(uri.scheme().as_str(), "ws" | "wss" | "any");
    let well = has_path || matches!(uri.path().as_str(), "" | "/");
    if authority.has_userinfo() || !well || uri.has_fragment() {
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
        // One of IPv4 in the form of IPv6.
        Host::Ipv6(address) if address.to_ipv4_mapped().is_some() && zone.is_none() => {
            HostName::Address(IpAddr::V6(address).to_canonical())
        }
        Host::Ipv6(address) => match zone {
            Some(zone) => HostName::Zoned(address, zone::of_url(address, zone).map_err(invalid)?),
            None => HostName::Address(IpAddr::V6(address)),
        },
        Host::RegName(name) if name.as_str() == "*" => HostName::Any,
        Host::RegName(name) if name.as_str().is_empty() => {
            return Err(invalid("the URL has no host"));
        }
        Host::RegName(name) => HostName::Name(name.as_str().to_owned()),
        _ => return Err(invalid("the URL's host is neither a name nor an address")),
    };
    Ok(place(host, port))
}

/// `fd://3`, or the name that a service manager gave it: `fd://game`.
fn descriptor_of(uri: &Uri<&str>) -> Result<Place, Refusal> {
    let known =
        |it: &fluent_uri::component::Authority<'_>| it.port().is_none() && !it.has_userinfo();
    let name = uri.authority().filter(known).map_or("", |authority| authority.host());
    if name.is_empty() || !matches!(uri.path().as_str(), "" | "/") || uri.has_fragment() {
        return Err(invalid("the URL has no descriptor (fd://3, or fd://name of LISTEN_FDNAMES)"));
    }
    let handle = match name.parse::<u32>() {
        Ok(number) => number as isize,
        Err(_) => descriptor::named(name).map_err(invalid)?,
    };
    Ok(Place::Descriptor(handle))
}

/// `unix:///path` and `unix:/path`, or `unix:@name` for a name without a file: unix(7).
fn local_name(uri: &Uri<&str>) -> Result<Place, Refusal> {
    if uri.authority().is_some_and(|authority| !authority.as_str().is_empty()) {
        return Err(invalid("a local socket has no host (unix:///path or unix:@name)"));
    }
    let path = uri.path().decode().to_bytes();
    if uri.has_fragment() || path.contains(&0) {
        return Err(invalid("only a path and a query may be in the URL (unix:///path?query)"));
    }
    let address = match path.split_first() {
        Some((b'@', name)) if !name.is_empty() => local::unnamed(name),
        Some((b'/', name)) if !name.is_empty() => local::named(&path),
        _ => return Err(invalid("the URL has no path (unix:///path or unix:@name)")),
    };
    let address = address.map_err(|error| match error.kind() {
        std::io::ErrorKind::Unsupported => {
            Refusal::new(Error::Unsupported, "this system has no such local sockets")
        }
        _ => invalid("the path is longer than the system allows"),
    })?;
    Ok(Place::Local(address))
}

impl Place {
    /// Whether it is for datagrams.
    pub fn is_of_datagrams(&self) -> bool {
        matches!(self, Place::Datagrams(..))
    }

    /// Whether its host is every IPv6 address.
    fn is_any_v6(&self) -> bool {
        match self {
            Place::Internet(HostName::Address(ip), _)
            | Place::Datagrams(HostName::Address(ip), _) => *ip == Ipv6Addr::UNSPECIFIED,
            _ => false,
        }
    }

    /// The address to listen on, and the one in its place where this machine has none of that
    /// family. Names are not looked up here, but for `localhost` and `*`.
    pub fn into_listen(self, socket: &mut SocketOptions) -> Result<Vec<SockAddr>, Refusal> {
        let all_v6 = self.is_any_v6();
        let (host, port) = match self {
            Place::Local(address) => return Ok(vec![address]),
            Place::Descriptor(_) => return Err(Error::Invalid.into()),
            Place::Internet(host, port) | Place::Datagrams(host, port) => (host, port),
        };
        if host == HostName::Any || all_v6 && !socket.v6only {
            // One socket for both families, else of IPv4 alone.
            socket.v6only = false;
            let any: [IpAddr; 2] = [Ipv6Addr::UNSPECIFIED.into(), Ipv4Addr::UNSPECIFIED.into()];
            return Ok(any.map(|ip| SocketAddr::new(ip, port).into()).into());
        }
        let ip = match host {
            HostName::Address(ip) => ip,
            HostName::Zoned(ip, zone) => {
                return Ok(vec![SocketAddrV6::new(ip, port, 0, zone).into()]);
            }
            HostName::Any => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
            HostName::Name(name) if name.eq_ignore_ascii_case("localhost") => {
                IpAddr::V4(Ipv4Addr::LOCALHOST)
            }
            HostName::Name(name) => {
                let words = format!("to listen, host must be a number, localhost or *: {name}");
                return Err(invalid(words));
            }
        };
        Ok(vec![SocketAddr::new(ip, port).into()])
    }

    /// The addresses to connect to, or the name to be looked up for them.
    pub fn into_connect(self, socket: &SocketOptions) -> Result<Dial, Refusal> {
        let dial = self.into_dial()?;
        let Dial::Addresses(mut all) = dial else { return Ok(dial) };
        all.retain(|address| address.as_socket().is_none_or(|address| socket.reaches(address)));
        match socket.bind {
            Some(from) if all.is_empty() => Err(invalid(format!(
                "bind={} in the URL is of another family than the host",
                from.ip()
            ))),
            _ => Ok(Dial::Addresses(all)),
        }
    }

    fn into_dial(self) -> Result<Dial, Refusal> {
        let (host, port) = match self {
            Place::Local(address) => return Ok(Dial::Addresses(vec![address])),
            Place::Descriptor(_) => {
                return Err(invalid("fd:// is to listen; sockeye_conn_adopt takes a connection"));
            }
            Place::Internet(_, 0) | Place::Datagrams(_, 0) => {
                return Err(invalid("port 0 cannot be connected to"));
            }
            Place::Internet(host, port) | Place::Datagrams(host, port) => (host, port),
        };
        let all = match host {
            HostName::Any => return Err(invalid("host * cannot be connected to")),
            HostName::Address(address) => vec![address],
            HostName::Zoned(ip, zone) => {
                return Ok(Dial::Addresses(vec![SocketAddrV6::new(ip, port, 0, zone).into()]));
            }
            HostName::Name(name) if name.eq_ignore_ascii_case("localhost") => {
                vec![IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)]
            }
            HostName::Name(name) => return Ok(Dial::Name(name, port)),
        };
        Ok(Dial::Addresses(all.into_iter().map(|ip| SocketAddr::new(ip, port).into()).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::Framing;

    fn read(url: &str) -> Result<(Place, Framing), Error> {
        let mut endpoint = Endpoint::default();
        let place = parse(url, true, &mut endpoint).map_err(|refusal| refusal.error)?;
        Ok((place, endpoint.framing))
    }

    #[test]
    fn addresses_names_and_presets_are_read() {
        let (place, framing) = read("tcp://0.0.0.0:7777?frame=u16le&max=65536").unwrap();
        assert_eq!(bound(place), "0.0.0.0:7777");
        assert_eq!((framing.length_bytes, framing.little_endian), (2, true));
        assert_eq!(framing.frame_max_bytes, 65_536);
        let (place, _) = read("tcp://[::1]:0").unwrap();
        assert_eq!(bound(place), "[::1]:0");
        assert_eq!(read("tcp://*:1").unwrap().0, Place::Internet(HostName::Any, 1));
        let (place, _) = read("tcp://play.example.net:9").unwrap();
        assert!(matches!(place.into_connect(&SocketOptions::default()), Ok(Dial::Name(_, 9))));
        let (place, framing) = read("udp://[::]:9?max=1200").unwrap();
        assert_eq!((place.is_of_datagrams(), framing.frame_max_bytes), (true, 1200));
        assert_eq!(bound(place), "[::]:9");
    }

    fn bound(place: Place) -> String {
        let all = place.into_listen(&mut SocketOptions::default()).unwrap();
        let all = all.iter().map(|it| it.as_socket().expect("of the internet").to_string());
        all.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn every_address_is_that_of_both_families() {
        let mut endpoint = Endpoint::default();
        for url in ["tcp://*:7", "udp://*:7", "tcp://[::]:7?v6only=0"] {
            let place = parse(url, true, &mut endpoint).unwrap();
            let all = place.into_listen(&mut endpoint.socket).unwrap();
            let all: Vec<_> = all.iter().filter_map(SockAddr::as_socket).collect();
            assert_eq!(all, ["[::]:7".parse().unwrap(), "0.0.0.0:7".parse().unwrap()], "{url}");
            assert!(!endpoint.socket.v6only, "{url}");
        }
        assert_eq!(bound(read("tcp://[::]:7").unwrap().0), "[::]:7");
        assert_eq!(bound(read("tcp://[::]:7?v6only=1").unwrap().0), "[::]:7");
        assert_eq!(bound(read("tcp://[::ffff:1.2.3.4]:7").unwrap().0), "1.2.3.4:7");
    }

    #[test]
    fn a_local_address_chooses_the_family() {
        let dial = |url: &str| {
            let mut endpoint = Endpoint::default();
            let place = parse(url, false, &mut endpoint)?;
            place.into_connect(&endpoint.socket)
        };
        for (url, first) in [
            ("tcp://localhost:7?bind=[::1]", "[::1]:7"),
            ("tcp://localhost:7?bind=127.0.0.9:8", "127.0.0.1:7"),
            ("udp://[::1]:7?bind=::", "[::1]:7"),
        ] {
            let Ok(Dial::Addresses(all)) = dial(url) else { panic!("{url}") };
            let all: Vec<_> = all.iter().filter_map(SockAddr::as_socket).collect();
            assert_eq!(all, [first.parse().unwrap()], "{url}");
        }
        for url in ["tcp://1.2.3.4:7?bind=::1", "udp://[::1]:7?bind=127.0.0.1:9"] {
            assert_eq!(dial(url).err().map(|refusal| refusal.error), Some(Error::Invalid), "{url}");
        }
        assert!(matches!(dial("tcp://play.example.net:9?bind=::1"), Ok(Dial::Name(_, 9))));
    }

    #[test]
    fn local_sockets_have_a_path_or_a_name() {
        let place = |url: &str| match read(url).unwrap().0 {
            Place::Local(address) => address,
            other => panic!("{other:?}"),
        };
        let path = std::path::Path::new("/run/a game.sock");
        for url in ["unix:///run/a%20game.sock", "unix:/run/a%20game.sock?frame=u16le"] {
            assert_eq!(place(url).as_pathname(), Some(path), "{url}");
        }
        assert_eq!(place("unix:@game").as_abstract_namespace(), Some(&b"game"[..]));
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
            "unix:",
            "unix:///",
            "unix:@",
            "unix:game.sock",
            "unix://host/path",
            "unix:///a%00b",
            "unix:///a#f",
        ] {
            assert_eq!(read(url).err(), Some(Error::Invalid), "{url}");
        }
        assert_eq!(read("quic://h:1").err(), Some(Error::Unsupported));
    }
}

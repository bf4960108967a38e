//! The query of a URL: what an operator tunes without a new program. `docs/urls.md` has the table
//! for readers, and a test here holds the two together.

use crate::engine::host::values::{
    Wrong, address, addresses, duration, flag, micros, number, one_of, queue, seconds, size, some,
    token_key, whole,
};
use crate::engine::shared::config::{Endpoint, Scheme};
use crate::engine::shared::guard::table::Limits;
use crate::session::{DELIMITER_MAX, Framing, FramingKind, Overflow, Overlong};
use crate::transport::lanes::Control;
use fluent_uri::component;
use fluent_uri::pct_enc::{EStr, encoder};
use std::borrow::Cow;

/// What a URL is for, as far as its keys depend on it.
#[derive(Clone, Copy)]
pub struct Use<'a> {
    /// Of the URL.
    pub scheme: &'a component::Scheme,
    /// It is listened on, else connected to.
    pub listens: bool,
    /// Its host is every IPv6 address, `[::]`.
    pub any_v6: bool,
}

impl Use<'_> {
    fn is(&self, scheme: &str) -> bool {
        self.scheme.as_str() == scheme
    }

    fn is_stream(&self) -> bool {
        !self.is("udp") && !self.is("game")
    }
}

/// A key of the query.
struct Key {
    name: &'static str,
    /// Whether an endpoint with this framing, at such a URL, has any use for it.
    fits: fn(&Use<'_>, &Framing) -> bool,
    /// What it is for, to complete "it is for …".
    purpose: &'static str,
    set: Set,
}

type Set = fn(&mut Endpoint, &[u8]) -> Result<(), Wrong>;

const fn key(
    name: &'static str,
    purpose: &'static str,
    fits: fn(&Use<'_>, &Framing) -> bool,
    set: Set,
) -> Key {
    Key { name, fits, purpose, set }
}

const GAME: &str = "game://";
const STREAMS: &str = "streams (tcp://, unix:)";
const ACCEPTS: &str = "listeners of streams";
const LETS_IN: &str = "listeners of streams and game://";
const TCP: &str = "tcp://, tls://, ws://, wss:// and any://";
const FRAMED: &str = "streams with a frame= that is not raw";
const DELIMITED: &str = "frame=line and frame=delimiter";

fn all(_: &Use<'_>, _: &Framing) -> bool {
    true
}

fn streams(used: &Use<'_>, _: &Framing) -> bool {
    used.is_stream()
}

fn accepts(used: &Use<'_>, _: &Framing) -> bool {
    used.is_stream() && used.listens
}

fn lets_in(used: &Use<'_>, _: &Framing) -> bool {
    !used.is("udp") && used.listens
}

fn bound_datagrams(used: &Use<'_>, _: &Framing) -> bool {
    used.is("udp") && used.listens
}

fn tcp(used: &Use<'_>, _: &Framing) -> bool {
    used.is_stream() && !used.is("unix") && !used.is("fd")
}

fn sniffs(used: &Use<'_>, _: &Framing) -> bool {
    used.is("any")
}

fn framed(used: &Use<'_>, framing: &Framing) -> bool {
    used.is_stream() && framing.kind != FramingKind::Raw
}

fn delimited(used: &Use<'_>, framing: &Framing) -> bool {
    used.is_stream() && framing.kind == FramingKind::Delimiter
}

fn game(used: &Use<'_>, _: &Framing) -> bool {
    used.is("game")
}

fn connects(used: &Use<'_>, _: &Framing) -> bool {
    !used.listens
}

/// Every key. They are applied in this order: what a value means depends on those before it.
const KEYS: &[Key] = &[
    key(
        "frame",
        "tcp://, tls://, any:// and unix:; a datagram, and what a WebSocket sends, is a message",
        |used, framing| match used.scheme.as_str() {
            "udp" | "game" => framing.kind == FramingKind::Raw,
            scheme => !scheme.starts_with("ws"),
        },
        |e, v| preset(&mut e.framing, v),
    ),
    key(
        "max",
        "udp://, game:// and for streams with a frame= that is not raw",
        |used, framing| !used.is_stream() || framed(used, framing),
        |e, v| match e.scheme {
            Scheme::Game => put(&mut e.lanes_given().options.message_max_bytes, some(v)),
            _ => put(&mut e.framing.frame_max_bytes, some(v)),
        },
    ),
    key("delimiter", "frame=delimiter", delimited, |e, v| delimiter(&mut e.framing, v)),
    key("append", DELIMITED, delimited, |e, v| put(&mut e.framing.append_delimiter, flag(v))),
    key("overlong", DELIMITED, delimited, |e, v| {
        let named = [("close", Overlong::Close), ("cut", Overlong::Cut)];
        put(&mut e.framing.overlong, one_of(v, &named, "close or cut"))
    }),
    key("sniff", "any://", sniffs, |e, v| {
        e.sniff = Some(flag(v)?);
        Ok(())
    }),
    key("outbox", "", all, |e, v| put(&mut e.limits.outbox_max_bytes, size(v))),
    key("outbox_low", "", all, |e, v| put(&mut e.limits.outbox_low_bytes, size(v))),
    key("outbox_messages", "", all, |e, v| put(&mut e.limits.outbox_max_messages, number(v))),
    key("overflow", "", all, |e, v| {
        let named = [
            ("reject", Overflow::Reject),
            ("drop_oldest", Overflow::DropOldest),
            ("close", Overflow::Close),
        ];
        put(&mut e.limits.overflow, one_of(v, &named, "reject, drop_oldest or close"))
    }),
    key("gate_reads", "", all, |e, v| put(&mut e.limits.gate_reads, flag(v))),
    key("half_open", STREAMS, streams, |e, v| put(&mut e.limits.half_open, flag(v))),
    key("step", STREAMS, streams, |e, v| put(&mut e.step, flag(v))),
    key("queue", "", all, |e, v| put(&mut e.queue, queue(v))),
    key("connect_timeout", "connect", connects, |e, v| {
        put(&mut e.limits.connect_timeout_ms, duration(v))
    }),
    key(
        "idle",
        "streams, game:// and connected udp://",
        |used, _| !used.is("udp") || !used.listens,
        |e, v| put(&mut e.limits.idle_timeout_ms, duration(v)),
    ),
    key("first_byte", ACCEPTS, accepts, |e, v| {
        put(&mut e.limits.first_byte_timeout_ms, duration(v))
    }),
    key("frame_timeout", FRAMED, framed, |e, v| put(&mut e.limits.frame_timeout_ms, duration(v))),
    key("send_timeout", STREAMS, streams, |e, v| put(&mut e.limits.send_timeout_ms, duration(v))),
    key("linger", "", all, |e, v| put(&mut e.limits.linger_ms, duration(v))),
    key("receive_rate", STREAMS, streams, |e, v| put(&mut e.limits.receive_rate, size(v))),
    key("send_rate", STREAMS, streams, |e, v| put(&mut e.limits.send_rate, size(v))),
    key("min_receive_rate", FRAMED, framed, |e, v| put(&mut e.limits.min_receive_rate, size(v))),
    key("min_receive_window", FRAMED, framed, |e, v| {
        put(&mut e.limits.min_receive_window_ms, duration(v))
    }),
    key("weight", STREAMS, streams, |e, v| put(&mut e.weight, number(v))),
    key("backlog", ACCEPTS, accepts, |e, v| put(&mut e.socket.backlog, number(v))),
    key("handshakes", ACCEPTS, accepts, |e, v| put(&mut e.handshakes_max, number(v))),
    key("per_address", LETS_IN, lets_in, |e, v| put(&mut bounds(e).per_address_max, number(v))),
    key("per_address_rate", LETS_IN, lets_in, |e, v| {
        put(&mut bounds(e).per_address_per_s, number(v))
    }),
    key("accept_rate", LETS_IN, lets_in, |e, v| put(&mut bounds(e).accepts_per_s, number(v))),
    key("datagram_rate", "udp:// listeners", bound_datagrams, |e, v| {
        put(&mut bounds(e).datagrams_per_address_per_s, number(v))
    }),
    key("nodelay", TCP, tcp, |e, v| put(&mut e.socket.nodelay, flag(v))),
    key("keepalive", TCP, tcp, |e, v| put(&mut e.socket.keepalive_s, seconds(v))),
    key("user_timeout", TCP, tcp, |e, v| put(&mut e.socket.user_timeout_ms, duration(v))),
    key("recv_buffer", "", all, |e, v| put(&mut e.socket.recv_buffer_bytes, size(v))),
    key("send_buffer", "", all, |e, v| put(&mut e.socket.send_buffer_bytes, size(v))),
    key(
        "key",
        "listeners at game://",
        |used, _| used.is("game") && used.listens,
        |e, v| {
            let lanes = e.lanes_given();
            lanes.keyed = true;
            put(&mut lanes.options.key, token_key(v))
        },
    ),
    key("token", GAME, game, |e, v| {
        put(&mut e.lanes_given().options.open, one_of(v, &[("open", true)], "open"))
    }),
    key(
        "public",
        "listeners at game://",
        |used, _| used.is("game") && used.listens,
        |e, v| put(&mut e.lanes_given().options.public, addresses(v)),
    ),
    key("protocol", GAME, game, |e, v| put(&mut e.lanes_given().options.protocol_id, whole(v))),
    key("lanes", GAME, game, |e, v| {
        one_of(v, &[("none", ())], "none")?;
        e.lanes_given().options.lanes.clear();
        Ok(())
    }),
    key("rate", GAME, game, |e, v| {
        let named = [("game", Control::Game), ("bbr", Control::Bbr), ("fixed", Control::Fixed)];
        put(&mut e.lanes_given().options.control, one_of(v, &named, "game, bbr or fixed"))
    }),
    key("rate_min", GAME, game, |e, v| {
        put(&mut e.lanes_given().options.rate_min_bytes, size(v).map(u64::from))
    }),
    key("rate_max", GAME, game, |e, v| {
        put(&mut e.lanes_given().options.rate_max_bytes, size(v).map(u64::from))
    }),
    key("mtu", GAME, game, |e, v| put(&mut e.lanes_given().options.mtu_max_bytes, number(v))),
    key("peer_timeout", GAME, game, |e, v| {
        put(&mut e.lanes_given().options.peer_timeout, micros(v))
    }),
    key("ping", GAME, game, |e, v| put(&mut e.lanes_given().options.ping, micros(v))),
    key("share", "udp:// listeners", bound_datagrams, |e, v| put(&mut e.socket.share, flag(v))),
    key(
        "v6only",
        "listeners at [::]",
        |used, _| used.listens && used.any_v6,
        |e, v| put(&mut e.socket.v6only, flag(v)),
    ),
    key(
        "bind",
        "connects by tcp:// and udp://",
        |used, _| !used.listens && !used.is("unix"),
        |e, v| put(&mut e.socket.bind, address(v).map(Some)),
    ),
];

/// Reads a query into an endpoint. The words name the key that is wrong.
pub fn read(query: &str, used: Use<'_>, endpoint: &mut Endpoint) -> Result<(), String> {
    let mut given: Vec<(usize, &str)> = Vec::new();
    for pair in query.split('&') {
        let (name, value) = pair.split_once('=').ok_or_else(|| {
            format!("\"{pair}\" in the URL's query is no key=value (frame=u32be, max=64K …)")
        })?;
        let at = KEYS.iter().position(|key| key.name == name).ok_or_else(|| {
            format!("{name}= in the URL is not known; docs/urls.md lists the keys")
        })?;
        if given.iter().any(|(other, _)| *other == at) {
            return Err(format!("{name}= is in the URL twice"));
        }
        given.push((at, value));
    }
    given.sort_unstable_by_key(|(at, _)| *at);
    for &(at, value) in &given {
        let decoded = EStr::<encoder::Query>::new(value).map(|value| value.decode().to_bytes());
        let decoded = decoded.unwrap_or(Cow::Borrowed(value.as_bytes()));
        let name = KEYS[at].name;
        let wrong = |right| format!("{name}={value} in the URL is not {right}");
        (KEYS[at].set)(endpoint, &decoded).map_err(wrong)?;
    }
    for &(at, value) in &given {
        let Key { name, fits, purpose, .. } = &KEYS[at];
        if !fits(&used, &endpoint.framing) {
            return Err(format!("{name}={value} in the URL has no use here: it is for {purpose}"));
        }
    }
    check_delimiter(&given, &endpoint.framing)
}

/// A line's end is not chosen, and a delimiter is.
fn check_delimiter(given: &[(usize, &str)], framing: &Framing) -> Result<(), String> {
    let value = |name| given.iter().find(|(at, _)| KEYS[*at].name == name).map(|given| given.1);
    match (value("frame"), value("delimiter")) {
        (Some("line"), Some(_)) => {
            Err("delimiter= in the URL is for frame=delimiter; frame=line has its own".into())
        }
        (Some("delimiter"), _) if framing.is_line() => {
            Err("frame=delimiter in the URL needs delimiter= (1 to 8 bytes, %00 to %FF)".into())
        }
        _ => Ok(()),
    }
}

/// The brackets of an IPv6 address in a query, as the grammar of URLs wants them (RFC 3986).
pub fn escape_brackets(url: &str) -> Cow<'_, str> {
    match url.split_once('?') {
        Some((front, query)) if query.contains(['[', ']']) => {
            format!("{front}?{}", query.replace('[', "%5B").replace(']', "%5D")).into()
        }
        _ => url.into(),
    }
}

fn put<T>(field: &mut T, value: Result<T, Wrong>) -> Result<(), Wrong> {
    *field = value?;
    Ok(())
}

/// The guard of an endpoint, which bounds nothing where it had none.
fn bounds(endpoint: &mut Endpoint) -> &mut Limits {
    endpoint.guard.get_or_insert_default()
}

fn preset(framing: &mut Framing, value: &[u8]) -> Result<(), Wrong> {
    use FramingKind::{Delimiter, Fixed, Length, Raw, Varint};
    let named = [
        ("raw", (Raw, 4, false)),
        ("u8", (Length, 1, false)),
        ("u16be", (Length, 2, false)),
        ("u16le", (Length, 2, true)),
        ("u24be", (Length, 3, false)),
        ("u24le", (Length, 3, true)),
        ("u32be", (Length, 4, false)),
        ("u32le", (Length, 4, true)),
        ("varint", (Varint, 4, false)),
        ("line", (Delimiter, 4, false)),
        ("delimiter", (Delimiter, 4, false)),
        ("fixed", (Fixed, 4, false)),
    ];
    let right = "a framing (raw, u8, u16be … u32le, varint, line, delimiter, fixed)";
    let (kind, length_bytes, little_endian) = one_of(value, &named, right)?;
    let before = *framing;
    let frame_max_bytes = before.frame_max_bytes;
    *framing = Framing { kind, length_bytes, little_endian, frame_max_bytes, ..Framing::default() };
    if (kind, before.kind) == (Delimiter, Delimiter) {
        framing.append_delimiter = before.append_delimiter;
        framing.overlong = before.overlong;
        if value == b"delimiter" {
            (framing.delimiter, framing.delimiter_len) = (before.delimiter, before.delimiter_len);
        }
    }
    Ok(())
}

fn delimiter(framing: &mut Framing, value: &[u8]) -> Result<(), Wrong> {
    if value.is_empty() || value.len() > DELIMITER_MAX {
        return Err("1 to 8 bytes, each a character or %00 to %FF");
    }
    framing.delimiter = [0; DELIMITER_MAX];
    framing.delimiter[..value.len()].copy_from_slice(value);
    framing.delimiter_len = value.len() as u32;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use fluent_uri::Uri;

    /// Reads the query of a URL with a `[::]` host if it says so.
    fn read_url(url: &str, listens: bool, endpoint: &mut Endpoint) -> Result<(), String> {
        let url = escape_brackets(url);
        let uri = Uri::parse(&*url).expect("a URL");
        let used = Use { scheme: uri.scheme(), listens, any_v6: url.contains("[::]") };
        read(uri.query().expect("a query").as_str(), used, endpoint)
    }

    fn listen(query: &str) -> Result<Endpoint, String> {
        let mut endpoint = Endpoint::default();
        read_url(&format!("tcp://h:1?{query}"), true, &mut endpoint).map(|()| endpoint)
    }

    #[test]
    fn framings_are_read() {
        for (query, kind, bytes, little) in [
            ("frame=raw", FramingKind::Raw, 4, false),
            ("frame=u8", FramingKind::Length, 1, false),
            ("frame=u16le", FramingKind::Length, 2, true),
            ("frame=u24be", FramingKind::Length, 3, false),
            ("frame=u32le", FramingKind::Length, 4, true),
            ("frame=varint", FramingKind::Varint, 4, false),
            ("max=16&frame=fixed", FramingKind::Fixed, 4, false),
        ] {
            let framing = listen(query).expect(query).framing;
            let is = (framing.kind, framing.length_bytes, framing.little_endian);
            assert_eq!(is, (kind, bytes, little), "{query}");
        }
        let line = listen("overlong=cut&append=1&max=512&frame=line").expect("lines").framing;
        assert!(line.is_line() && line.append_delimiter && line.overlong == Overlong::Cut);
        assert_eq!(line.frame_max_bytes, 512);
        let two = listen("delimiter=%0D%00&frame=delimiter").expect("two bytes").framing;
        assert_eq!((&two.delimiter[..3], two.delimiter_len), (&b"\r\0\0"[..], 2));
        assert_eq!(listen("frame=delimiter&delimiter=;").expect("one").framing.delimiter[0], b';');
    }

    #[test]
    fn a_framing_replaces_the_endpoints_own() {
        let mut endpoint = Endpoint::default();
        endpoint.framing.kind = FramingKind::Delimiter;
        endpoint.framing.append_delimiter = true;
        (endpoint.framing.delimiter[0], endpoint.framing.delimiter_len) = (b';', 1);
        let mut other = endpoint.clone();
        read_url("tcp://h:1?frame=line", true, &mut other).expect("lines");
        assert!(other.framing.is_line() && other.framing.append_delimiter);
        read_url("tcp://h:1?frame=delimiter", true, &mut endpoint).expect("its own delimiter");
        assert_eq!(endpoint.framing.delimiter_len, 1);
        read_url("tcp://h:1?frame=u8&max=9", true, &mut endpoint).expect("a length");
        assert_eq!(endpoint.framing.check(), Ok(()), "nothing of the delimiter is left");
    }

    #[test]
    fn values_have_units() {
        let tuned = listen(
            "frame=u16be&outbox=4M&outbox_low=64K&outbox_messages=9&overflow=drop_oldest&\
             gate_reads=1&half_open=1&step=1&queue=2&idle=30s&first_byte=500ms&frame_timeout=2m&\
             send_timeout=0&linger=0s&receive_rate=64K&send_rate=1M&min_receive_rate=100&\
             min_receive_window=3s&weight=4&backlog=7&handshakes=70&accept_rate=500&per_address=8&\
             per_address_rate=4&nodelay=0&keepalive=1m&user_timeout=9s&\
             recv_buffer=65536&send_buffer=1K",
        )
        .expect("all of them");
        let limits = &tuned.limits;
        assert_eq!((limits.outbox_max_bytes, limits.outbox_low_bytes), (4 << 20, 64 << 10));
        assert_eq!((limits.outbox_max_messages, limits.overflow), (9, Overflow::DropOldest));
        assert!(limits.gate_reads && limits.half_open && tuned.step);
        assert_eq!(tuned.handshakes_max, 70);
        assert_eq!((tuned.queue, limits.idle_timeout_ms), (Some(2), 30_000));
        assert_eq!((limits.first_byte_timeout_ms, limits.frame_timeout_ms), (500, 120_000));
        assert_eq!((limits.send_timeout_ms, limits.linger_ms), (0, 0));
        assert_eq!((limits.receive_rate, limits.send_rate), (64 << 10, 1 << 20));
        let least = (limits.min_receive_rate, limits.min_receive_window_ms);
        assert_eq!((least, tuned.weight), ((100, 3_000), 4));
        let socket = &tuned.socket;
        assert_eq!((socket.backlog, socket.nodelay, socket.keepalive_s), (7, false, 60));
        assert_eq!(socket.user_timeout_ms, 9_000);
        assert_eq!((socket.recv_buffer_bytes, socket.send_buffer_bytes), (65_536, 1024));
        let guard = tuned.guard.expect("it has bounds");
        assert_eq!((guard.per_address_max, guard.per_address_per_s), (8, 4));
        assert_eq!((guard.accepts_per_s, guard.datagrams_per_address_per_s), (500, 0));
        assert_eq!(listen("queue=spread").expect("any queue").queue, None);
    }

    #[test]
    fn local_addresses_are_read() {
        for (value, address) in [
            ("10.0.0.5", "10.0.0.5:0"),
            ("10.0.0.5:7", "10.0.0.5:7"),
            ("::1", "[::1]:0"),
            ("[::1]", "[::1]:0"),
            ("%5B::1%5D:7", "[::1]:7"),
            ("[::1]:7", "[::1]:7"),
        ] {
            let mut endpoint = Endpoint::default();
            let url = format!("udp://h:1?connect_timeout=1s&bind={value}");
            read_url(&url, false, &mut endpoint).expect(value);
            assert_eq!(endpoint.socket.bind, Some(address.parse().expect("one")), "{value}");
        }
    }

    /// Each is refused in words that name the key.
    #[test]
    fn wrong_values_are_refused() {
        for pair in [
            "idle=30",
            "idle=s",
            "idle=-1s",
            "idle=1h",
            "idle=1.5s",
            "idle=+1s",
            "idle=",
            "idle=4294967295ms",
            "idle=4294968s",
            "keepalive=1500ms",
            "keepalive=30",
            "outbox=4k",
            "outbox=4G",
            "outbox=M",
            "outbox=4096M",
            "backlog=4K",
            "backlog=",
            "per_address=",
            "accept_rate=5/s",
            "nodelay=true",
            "queue=x",
            "queue=-1",
            "overflow=drop",
            "overlong=keep",
            "delimiter=",
            "delimiter=123456789",
            "bind=localhost",
            "bind=1.2.3.4:x",
            "bind=%FF",
            "frame=lines",
            "frame=LINE",
            "share=2",
            "max=0",
            "v6only=",
            "step=2",
        ] {
            let words = listen(pair).expect_err(pair);
            assert!(words.contains(&format!("{pair} in the URL is not")), "{words}");
        }
        for (query, word) in [
            ("idle=1s&idle=1s", "idle= is in the URL twice"),
            ("frame=u8&nodelay=1&frame=u8", "frame= is in the URL twice"),
            ("colour=red", "colour="),
            ("Idle=1s", "Idle="),
            ("idle", "\"idle\""),
            ("frame=u8&", "\"\""),
            ("frame=delimiter", "needs delimiter="),
            ("frame=line&delimiter=x", "delimiter="),
        ] {
            let words = listen(query).expect_err(query);
            assert!(words.contains(word), "{query}: {words}");
        }
    }

    #[test]
    fn what_is_not_used_is_refused() {
        let (listening, connecting) = (true, false);
        for (url, listens, key) in [
            ("tcp://h:1?max=9", listening, "max="),
            ("unix:/x?frame=raw&max=9", listening, "max="),
            ("tcp://h:1?frame_timeout=9s", connecting, "frame_timeout="),
            ("tcp://h:1?delimiter=x", listening, "delimiter="),
            ("tcp://h:1?frame=u8&append=1", listening, "append="),
            ("tcp://h:1?frame=fixed&max=9&overlong=cut", listening, "overlong="),
            ("udp://h:1?frame=u8", listening, "frame="),
            ("udp://h:1?half_open=1", connecting, "half_open="),
            ("udp://h:1?step=1", listening, "step="),
            ("udp://h:1?idle=1s", listening, "idle="),
            ("udp://h:1?send_timeout=1s", listening, "send_timeout="),
            ("udp://h:1?first_byte=1s", listening, "first_byte="),
            ("udp://h:1?receive_rate=9K", listening, "receive_rate="),
            ("udp://h:1?weight=2", listening, "weight="),
            ("udp://h:1?send_rate=9K", connecting, "send_rate="),
            ("tcp://h:1?min_receive_rate=9", listening, "min_receive_rate="),
            ("unix:/x?min_receive_window=1s", connecting, "min_receive_window="),
            ("tcp://h:1?first_byte=1s", connecting, "first_byte="),
            ("tcp://h:1?connect_timeout=1s", listening, "connect_timeout="),
            ("tcp://h:1?backlog=9", connecting, "backlog="),
            ("udp://h:1?backlog=9", listening, "backlog="),
            ("udp://h:1?accept_rate=9", listening, "accept_rate="),
            ("tcp://h:1?per_address=9", connecting, "per_address="),
            ("tcp://h:1?datagram_rate=9", listening, "datagram_rate="),
            ("udp://h:1?datagram_rate=9", connecting, "datagram_rate="),
            ("unix:/x?nodelay=1", listening, "nodelay="),
            ("udp://h:1?keepalive=1s", connecting, "keepalive="),
            ("unix:/x?user_timeout=1s", connecting, "user_timeout="),
            ("tcp://h:1?share=1", listening, "share="),
            ("udp://h:1?share=1", connecting, "share="),
            ("tcp://h:1?v6only=1", listening, "v6only="),
            ("tcp://[::]:1?v6only=1", connecting, "v6only="),
            ("tcp://h:1?bind=::1", listening, "bind="),
            ("unix:/x?bind=::1", connecting, "bind="),
        ] {
            let words = read_url(url, listens, &mut Endpoint::default()).expect_err(url);
            assert!(words.contains(key) && words.contains("it is for "), "{url}: {words}");
        }
        for (url, listens) in [
            ("udp://h:1?frame=raw&max=9&share=1&gate_reads=1&datagram_rate=9", listening),
            ("udp://h:1?idle=1s&connect_timeout=1s&linger=1s", connecting),
            ("unix:/x?frame=line&backlog=9&first_byte=1s", listening),
            ("udp://[::]:1?v6only=0", listening),
        ] {
            assert_eq!(read_url(url, listens, &mut Endpoint::default()), Ok(()), "{url}");
        }
    }

    /// The page for readers has a row for each key, in this order.
    #[test]
    fn the_page_lists_every_key() {
        let page = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/urls.md");
        let page = std::fs::read_to_string(page).expect("docs/urls.md");
        let rows = page.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("=`"));
        let listed: Vec<&str> = rows.map(|(name, _)| name).collect();
        let keys: Vec<&str> = KEYS.iter().map(|key| key.name).collect();
        assert_eq!(listed, keys);
    }
}

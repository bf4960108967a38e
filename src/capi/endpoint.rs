//! Endpoints: what the connections of a listener, and outgoing ones, are made with.

use super::boundary::{fail, guard, in_words, init_sized, read_sized, text_arg};
use super::guard::{read_guard, sockeye_guard};
use super::http::{read_http, sockeye_http};
use super::lanes::{read_lanes, sockeye_lanes};
use super::net::{enter_shared, sockeye_net};
use super::status::sockeye_status;
use super::tls::{read_tls, sockeye_tls};
use crate::engine::{self, Error, Net};
use std::ffi::c_char;
use std::ptr;
use std::sync::Arc;

/// How the byte stream is divided into messages.
#[repr(C)]
pub enum sockeye_framing_kind {
    /// No framing: BYTES reports the bytes that arrived, a send writes its bytes unchanged.
    SOCKEYE_FRAMING_RAW = 0,
    /// A length field of 1, 2, 3 or 4 bytes before each message.
    SOCKEYE_FRAMING_LENGTH = 1,
    /// A length of 7 bits a byte, least significant first (LEB128 as in protobuf), 1 to 5 bytes.
    SOCKEYE_FRAMING_VARINT = 2,
    /// A delimiter of 1 to 8 bytes after each message, or the end of a line.
    SOCKEYE_FRAMING_DELIMITER = 3,
    /// Messages of one size, `frame_max_bytes`, with nothing between them.
    SOCKEYE_FRAMING_FIXED = 4,
}

/// What happens to a message that is over `frame_max_bytes` before its delimiter comes.
#[repr(C)]
pub enum sockeye_overlong {
    /// The connection is closed with LIMIT_FRAME.
    SOCKEYE_OVERLONG_CLOSE = 0,
    /// Its first `frame_max_bytes` bytes are reported with SOCKEYE_FLAG_TRUNCATED, and the rest of
    /// it is dropped.
    SOCKEYE_OVERLONG_CUT = 1,
}

/// `frame_timeout_ms`: 10,000, and none with DELIMITER.
pub const SOCKEYE_FRAME_TIMEOUT_AUTO: u32 = 0xFFFF_FFFF;
const _: () = assert!(SOCKEYE_FRAME_TIMEOUT_AUTO == engine::FRAME_TIMEOUT_AUTO);

/// What happens to a send when the outbox is full.
#[repr(C)]
pub enum sockeye_overflow {
    /// The send answers ERR_AGAIN; a WRITABLE is reported at the low mark.
    SOCKEYE_OVERFLOW_REJECT = 0,
    /// The oldest pending messages are dropped, except one that is partly written. Needs framing.
    SOCKEYE_OVERFLOW_DROP_OLDEST = 1,
    /// The connection is closed with LIMIT_OUTBOX.
    SOCKEYE_OVERFLOW_CLOSE = 2,
}

/// `queue` of an endpoint: each new connection goes to the queue with the fewest.
pub const SOCKEYE_QUEUE_SPREAD: u32 = 0xFFFF_FFFF;

/// Framing. A frame is header, then payload: the header is `length_offset` bytes and the length
/// field, and the payload has `length + length_adjustment` bytes.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sockeye_framing {
    /// A `sockeye_framing_kind`. Default RAW.
    pub kind: u32,
    /// LENGTH: size of the length field, 1 to 4 bytes. Default 4.
    pub length_bytes: u32,
    /// LENGTH: bytes of the header before the length field, at most 12. Sends fill them with
    /// zeros unless `keep_header`. Default 0.
    pub length_offset: u32,
    /// LENGTH: 1: least significant byte first. Default 0, network order.
    pub little_endian: u32,
    /// Added to the length field to get the size of the payload; -4 says that a 4-byte length
    /// counts itself. Default 0.
    pub length_adjustment: i32,
    /// 1: a message is the whole frame, header included, in both directions. A send begins with
    /// room for the header, of which the library writes only the length field. LENGTH only. Default
    /// 0.
    pub keep_header: u32,
    /// Largest payload, 1 to 2,147,483,647 bytes. A larger one closes the connection with
    /// LIMIT_FRAME as soon as its length is read; nothing is allocated for it. One over 3/8 of
    /// `memory_max_bytes`, which could never fit, closes it with LIMIT_MEMORY. A longer datagram is
    /// truncated and has SOCKEYE_FLAG_TRUNCATED. FIXED: the size
    /// of every message; a send of another size is ERR_INVALID or ERR_TOO_BIG. Default 0: 1 MiB,
    /// with DELIMITER 4 KiB; FIXED has none.
    pub frame_max_bytes: u32,
    /// DELIMITER: what ends a message, `delimiter_len` bytes of it. It is no part of the message.
    pub delimiter: [u8; 8],
    /// DELIMITER: 1 to 8. Default 0: the end of a line, which is LF, CR LF, CR or CR NUL.
    pub delimiter_len: u32,
    /// DELIMITER: 1: sends end with the delimiter, a line's with CR LF (RFC 854), and a longer
    /// message than `frame_max_bytes` is ERR_TOO_BIG. Default 0: a send writes its bytes as they
    /// are.
    pub append_delimiter: u32,
    /// DELIMITER: a `sockeye_overlong`. Default CLOSE.
    pub overlong: u32,
    /// Must be 0.
    pub reserved: [u32; 4],
}

/// What the connections of a listener, or one outgoing connection, are made with.
///
/// For `udp://` the framing is RAW, with `frame_max_bytes`; `connect_timeout_ms` bounds the lookup
/// of the name, and `linger_ms` the sending of what is pending; `idle_timeout_ms` is for connected
/// sockets. The other timeouts, `backlog`, `nodelay` and `keepalive_s` have no effect.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sockeye_endpoint {
    /// The size this program was built with; set by `sockeye_endpoint_init`.
    pub struct_size: u32,
    /// The queue of the events, or `SOCKEYE_QUEUE_SPREAD`. With SPREAD a listener's own events are
    /// reported in queue 0. Default 0.
    pub queue: u32,
    /// The `user_data` that a new connection starts with, and that of the listener's own events.
    pub user_data: u64,
    /// How messages are framed. The URL's query has precedence.
    pub framing: sockeye_framing,
    /// Bytes that may be pending in the outbox, 1024 or more; a larger message is ERR_TOO_BIG.
    /// Never more than 3/8 of `memory_max_bytes`. 0, the default: `frame_max_bytes` plus 64 KiB.
    pub outbox_max_bytes: u32,
    /// WRITABLE is reported when at most this many bytes are pending; below the maximum. 0, the
    /// default: a quarter of the maximum.
    pub outbox_low_bytes: u32,
    /// Messages that may be pending in the outbox, 1 or more. Default 65,536.
    pub outbox_max_messages: u32,
    /// A `sockeye_overflow`. Default REJECT.
    pub overflow: u32,
    /// 1: the connection is not read while more than `outbox_low_bytes` are pending. Default 0.
    pub gate_reads: u32,
    /// Time for the lookup of the name and the connect together, in milliseconds; 0: the system's
    /// own. Default 10,000.
    pub connect_timeout_ms: u32,
    /// Time without a received byte after which the connection is closed; 0: none. Default 0. A
    /// peer is not idle while bytes of it are pending in the system, be it that the process was
    /// stopped or that the host does not read the connection.
    pub idle_timeout_ms: u32,
    /// Time for an accepted connection's first byte; 0: none. Default 0.
    pub first_byte_timeout_ms: u32,
    /// Time from a frame's first byte to its last, plus a second for each 8 KiB of its stated
    /// length; 0: none. Default `SOCKEYE_FRAME_TIMEOUT_AUTO`: 10,000, and none with DELIMITER.
    pub frame_timeout_ms: u32,
    /// Time within which the peer must take some of the pending bytes; 0: none. Default 30,000.
    pub send_timeout_ms: u32,
    /// Time for a graceful close; 0: bytes that the system does not take at once are lost, those
    /// that it took arrive. Default 2000.
    pub linger_ms: u32,
    /// Connections the system may hold before they are accepted. Default 1024.
    pub backlog: u32,
    /// 1: small messages leave at once (TCP_NODELAY). Default 1.
    pub nodelay: u32,
    /// TCP keep-alive: after so many idle seconds the system asks the peer, up to 4 times, so that
    /// a connection whose peer is gone ends within 2 times as many and 3 more. 0: off. Default 0.
    /// Linux takes at most 32,767, and more as that.
    pub keepalive_s: u32,
    /// SO_RCVBUF; 0: the system's own. Default 0.
    pub recv_buffer_bytes: u32,
    /// SO_SNDBUF; 0: the system's own. Default 0.
    pub send_buffer_bytes: u32,
    /// 1: a peer that ends its side is reported as ENDED, and the connection stays open until the
    /// host closes it. From then on the timeouts for received bytes do not apply; `send_timeout_ms`
    /// does, and a later reset is reported by the next send. An incomplete frame closes the
    /// connection nevertheless (TRUNCATED). Default 0: the peer's end is reported as CLOSED.
    pub half_open: u32,
    /// `udp://` listeners only: 1: other sockets that also ask for it, in this program or another,
    /// may be bound to the same address and port. Each receives what is sent to the groups that it
    /// joined (discovery on a well-known port); a datagram to a single address is delivered to one
    /// of them. A listener bound to a group's address always shares it. For others it must be 0.
    /// Default 0.
    pub share: u32,
    /// 1: the host decides message by message how the stream goes on. After OPENED and after each
    /// MESSAGE or BYTES the connection is paused, and nothing behind it is cut into messages, until
    /// `sockeye_conn_resume`, or `sockeye_conn_configure`, which may change the framing. Default 0.
    pub step: u32,
    /// `tcp://[::]` and `udp://[::]` listeners: 1: IPv6 alone, so that another listener may have
    /// 0.0.0.0 and the same port. 0: IPv4 too, as `*` does. Default 1.
    pub v6only: u32,
    /// TCP: how long the peer's system may leave what was sent unacknowledged before the connection
    /// ends, in milliseconds (TCP_USER_TIMEOUT of Linux; elsewhere nothing). 0: the system's own.
    /// Default 0.
    pub user_timeout_ms: u32,
    /// `tls://`, `ws://`, `wss://` and `any://`: time for the handshake, in milliseconds; 0: any.
    /// It begins when TCP is connected, and ends the connection with TIMEOUT_HANDSHAKE. Default
    /// 10,000.
    pub handshake_timeout_ms: u32,
    /// TLS of `tls://`, `wss://` and `any://`. To listen it must have a certificate; without one
    /// `any://` has no TLS. It is copied, and files are read by the call. Default NULL: to connect,
    /// the server's certificate is checked against what the system trusts.
    pub tls: *const sockeye_tls,
    /// HTTP and WebSocket of `ws://`, `wss://` and `any://`. It is copied. Default NULL: as
    /// `sockeye_http_init` fills it.
    pub http: *const sockeye_http,
    /// Lanes of `game://`. They are copied. Default NULL: as `sockeye_lanes_init` fills them.
    pub lanes: *const sockeye_lanes,
    /// Of listeners: how many connections or datagrams come in, and how fast. It is copied; a
    /// connect does not look at it. Default NULL: no bounds.
    pub guard: *const sockeye_guard,
    /// Streams: bytes a second that are received from the connection, 1,024 or more; 0: no bound.
    /// As many may come at once after a pause, and up to `turn_bytes` more. The rest waits: the
    /// connection is not read until it is due, so the peer is slowed by its window. Default 0.
    pub receive_rate: u32,
    /// Streams: bytes a second that are sent to the connection, 1,024 or more; 0: no bound. As many
    /// may leave at once after a pause. The rest waits in the outbox, also in a graceful close,
    /// which has `linger_ms` for it. Default 0.
    pub send_rate: u32,
    /// Streams with framing: bytes a second at which the rest of a message has to come that has
    /// begun; 0: any. A peer that sends fewer over `min_receive_window_ms` is closed with
    /// TIMEOUT_RATE. Between messages, and while the connection is not read, a peer may be silent.
    /// Default 0.
    pub min_receive_rate: u32,
    /// Streams: how many times `turn_messages` the connection may bring in a turn, 1 to 16. Bytes
    /// are `turn_bytes` for all. Default 1.
    pub weight: u32,
    /// The time over which `min_receive_rate` is judged, in milliseconds, 1 or more. Default 5,000.
    pub min_receive_window_ms: u32,
    /// Listeners whose connections have a handshake or a proxy's header: so many may be at it at a
    /// time. While they are, nothing more is accepted and peers wait in the backlog. What one
    /// accept brings may come on top, 64 at most. 0: 1,024. Default 0.
    pub handshakes_max: u32,
    /// Must be 0.
    pub reserved: [u32; 2],
}

const _: () = assert!(size_of::<sockeye_framing>() == 64);
const _: () = assert!(size_of::<sockeye_endpoint>() == 232);

impl From<engine::Framing> for sockeye_framing {
    fn from(framing: engine::Framing) -> Self {
        sockeye_framing {
            kind: framing.kind as u32,
            length_bytes: framing.length_bytes,
            length_offset: framing.length_offset,
            little_endian: u32::from(framing.little_endian),
            length_adjustment: framing.length_adjustment,
            keep_header: u32::from(framing.keep_header),
            frame_max_bytes: framing.frame_max_bytes,
            delimiter: framing.delimiter,
            delimiter_len: framing.delimiter_len,
            append_delimiter: u32::from(framing.append_delimiter),
            overlong: framing.overlong as u32,
            reserved: Default::default(),
        }
    }
}

impl Default for sockeye_endpoint {
    fn default() -> Self {
        let limits = engine::Limits::default();
        let socket = engine::SocketOptions::default();
        sockeye_endpoint {
            struct_size: size_of::<Self>() as u32,
            queue: 0,
            user_data: 0,
            framing: engine::Framing { frame_max_bytes: 0, ..Default::default() }.into(),
            outbox_max_bytes: 0,
            outbox_low_bytes: 0,
            outbox_max_messages: limits.outbox_max_messages,
            overflow: limits.overflow as u32,
            gate_reads: u32::from(limits.gate_reads),
            connect_timeout_ms: limits.connect_timeout_ms,
            idle_timeout_ms: limits.idle_timeout_ms,
            first_byte_timeout_ms: limits.first_byte_timeout_ms,
            frame_timeout_ms: SOCKEYE_FRAME_TIMEOUT_AUTO,
            send_timeout_ms: limits.send_timeout_ms,
            linger_ms: limits.linger_ms,
            backlog: socket.backlog,
            nodelay: u32::from(socket.nodelay),
            keepalive_s: socket.keepalive_s,
            recv_buffer_bytes: socket.recv_buffer_bytes,
            send_buffer_bytes: socket.send_buffer_bytes,
            half_open: u32::from(limits.half_open),
            share: u32::from(socket.share),
            step: 0,
            v6only: u32::from(socket.v6only),
            user_timeout_ms: socket.user_timeout_ms,
            handshake_timeout_ms: 10_000,
            min_receive_window_ms: limits.min_receive_window_ms,
            tls: ptr::null(),
            http: ptr::null(),
            lanes: ptr::null(),
            guard: ptr::null(),
            receive_rate: limits.receive_rate,
            send_rate: limits.send_rate,
            min_receive_rate: limits.min_receive_rate,
            weight: 1,
            handshakes_max: 0,
            reserved: Default::default(),
        }
    }
}

/// Only 0 or 1: a later version may give other numbers a meaning.
fn flag(field: &str, value: u32) -> Result<bool, String> {
    match value {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(format!("endpoint.{field}: {value} is neither 0 nor 1")),
    }
}

impl sockeye_framing {
    fn parse(&self) -> Result<engine::Framing, String> {
        if self.reserved.iter().any(|&it| it != 0) {
            return Err("endpoint.framing.reserved must be 0".into());
        }
        Ok(engine::Framing {
            kind: engine::FramingKind::from_number(self.kind)
                .ok_or_else(|| format!("endpoint.framing.kind: {} is unknown", self.kind))?,
            length_bytes: self.length_bytes,
            length_offset: self.length_offset,
            little_endian: flag("framing.little_endian", self.little_endian)?,
            length_adjustment: self.length_adjustment,
            keep_header: flag("framing.keep_header", self.keep_header)?,
            frame_max_bytes: self.frame_max_bytes,
            delimiter: self.delimiter,
            delimiter_len: self.delimiter_len,
            append_delimiter: flag("framing.append_delimiter", self.append_delimiter)?,
            overlong: engine::Overlong::from_number(self.overlong).ok_or_else(|| {
                format!("endpoint.framing.overlong: {} is unknown", self.overlong)
            })?,
            ..engine::Framing::default()
        })
    }
}

impl sockeye_endpoint {
    fn parse(&self) -> Result<engine::Endpoint, String> {
        if self.reserved.iter().any(|&it| it != 0) {
            return Err("endpoint.reserved must be 0".into());
        }
        Ok(engine::Endpoint {
            queue: (self.queue != SOCKEYE_QUEUE_SPREAD).then_some(self.queue),
            user_data: self.user_data,
            framing: self.framing.parse()?,
            limits: engine::Limits {
                outbox_max_bytes: self.outbox_max_bytes,
                outbox_low_bytes: self.outbox_low_bytes,
                outbox_max_messages: self.outbox_max_messages,
                overflow: engine::Overflow::from_number(self.overflow)
                    .ok_or_else(|| format!("endpoint.overflow: {} is unknown", self.overflow))?,
                gate_reads: flag("gate_reads", self.gate_reads)?,
                connect_timeout_ms: self.connect_timeout_ms,
                idle_timeout_ms: self.idle_timeout_ms,
                first_byte_timeout_ms: self.first_byte_timeout_ms,
                frame_timeout_ms: self.frame_timeout_ms,
                send_timeout_ms: self.send_timeout_ms,
                linger_ms: self.linger_ms,
                half_open: flag("half_open", self.half_open)?,
                receive_rate: self.receive_rate,
                send_rate: self.send_rate,
                min_receive_rate: self.min_receive_rate,
                min_receive_window_ms: self.min_receive_window_ms,
            },
            socket: engine::SocketOptions {
                backlog: self.backlog,
                nodelay: flag("nodelay", self.nodelay)?,
                keepalive_s: self.keepalive_s,
                recv_buffer_bytes: self.recv_buffer_bytes,
                send_buffer_bytes: self.send_buffer_bytes,
                share: flag("share", self.share)?,
                v6only: flag("v6only", self.v6only)?,
                user_timeout_ms: self.user_timeout_ms,
                unfragmented: false,
                bind: None,
            },
            weight: self.weight,
            step: flag("step", self.step)?,
            scheme: engine::Scheme::Plain,
            tls: None,
            http: None,
            sniff: None,
            web_framing: Default::default(),
            handshake_timeout_ms: self.handshake_timeout_ms,
            handshakes_max: self.handshakes_max,
            layer: None,
            lanes: None,
            connect_token: None,
            carrying: None,
            guard: None,
            proxies: None,
        })
    }
}

/// Fills `endpoint` with the defaults, up to `size` bytes, and zeroes the bytes after those that
/// this library knows.
///
/// Ownership: `endpoint` is the caller's, written before return.
/// NULL:      not allowed.
/// Threads:   any thread.
/// Returns:   OK; ERR_INVALID (NULL, or a size that no release had and that is not larger).
/// Since:     0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sockeye_endpoint_init(
    endpoint: *mut sockeye_endpoint,
    size: usize,
) -> sockeye_status {
    // SAFETY: the caller gives `size` writable bytes.
    guard(|| unsafe { init_sized(endpoint, size, sockeye_endpoint::default()) })
}

/// Reads an endpoint.
///
/// # Safety
/// `endpoint` is NULL or has as many readable bytes as its `struct_size` says, and so its `tls`,
/// its `http`, its `lanes` and its `guard`, each with as many certificates, pages, lanes and
/// proxies as it says.
pub(super) unsafe fn read_endpoint(
    endpoint: *const sockeye_endpoint,
) -> Result<engine::Endpoint, Error> {
    let given = if endpoint.is_null() {
        sockeye_endpoint::default()
    } else {
        // SAFETY: not NULL; the caller gives as many bytes as its struct_size says.
        unsafe { read_sized(endpoint, &sockeye_endpoint::default(), "endpoint") }?
    };
    let mut endpoint = given.parse().map_err(|words| fail(Error::Invalid, words))?;
    // SAFETY: NULL, or the caller's guard.
    if let Some((limits, proxies)) = unsafe { read_guard(given.guard) }? {
        (endpoint.guard, endpoint.proxies) = (Some(limits), proxies);
    }
    // SAFETY: NULL, or the caller's TLS.
    endpoint.tls = unsafe { read_tls(given.tls) }?;
    // SAFETY: NULL, or the caller's HTTP.
    endpoint.http = unsafe { read_http(given.http) }?;
    // SAFETY: NULL, or the caller's lanes.
    endpoint.lanes = unsafe { read_lanes(given.lanes) }?;
    Ok(endpoint)
}

/// Reads the arguments that listen and connect share.
///
/// # Safety
/// As for `sockeye_listen`.
pub(super) unsafe fn door<'a>(
    net: *const sockeye_net,
    url: *const c_char,
    endpoint: *const sockeye_endpoint,
) -> Result<(Arc<Net>, &'a str, engine::Endpoint), Error> {
    // SAFETY: the caller gives NULL or a net.
    let net = unsafe { enter_shared(net) }.map_err(in_words)?;
    // SAFETY: the caller gives a NUL-terminated text or NULL.
    let url = unsafe { text_arg(url, "url") }?;
    // SAFETY: the caller gives NULL or an endpoint of its `struct_size`.
    let endpoint = unsafe { read_endpoint(endpoint) }?;
    Ok((net, url, endpoint))
}

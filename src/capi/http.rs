//! HTTP and WebSocket: paths, origins, and what is served beside.

use super::boundary::{bytes_arg, fail, guard, init_sized, read_sized, text_arg};
use super::boundary::{write_sized, write_text};
use super::conn::sockeye_conn;
use super::net::{enter, sockeye_net};
use super::status::sockeye_status;
use crate::engine::{Error, HttpOptions, Kind, Page};
use std::ffi::{c_char, c_void};
use std::ptr;

/// Something that a listener serves beside its WebSockets, to anyone who asks with GET.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sockeye_http_page {
    /// Its path, without a query: "/" or "/play.js".
    pub path: *const c_char,
    /// Its `Content-Type`: "text/html; charset=utf-8".
    pub content_type: *const c_char,
    /// Its first byte; may be NULL when `len` is 0.
    pub data: *const c_void,
    /// Bytes of it, at most 16 MiB.
    pub len: usize,
}

/// HTTP and WebSocket of an endpoint: RFC 6455, and RFC 7692 for compression. Fill it with
/// `sockeye_http_init`, then change what you need.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sockeye_http {
    /// The size this program was built with; set by `sockeye_http_init`.
    pub struct_size: u32,
    /// 1: messages are deflated where the peer does it too, each for itself (no context take-over),
    /// so that an idle connection has no memory for it. 0: they are not. Default 1.
    pub compression: u32,
    /// After so many milliseconds of silence the peer is asked for a sign of life (ping), and after
    /// as many more without one the connection ends with TIMEOUT_IDLE. 0: never. Default 0.
    pub ping_ms: u32,
    /// Bytes of a request, or of the answer to one, 256 to 65,536. Default 8,192.
    pub header_max_bytes: u32,
    /// The path of the WebSocket: "/play"; to connect, with its query: "/play?room=2". Default
    /// NULL: that of the URL; if it has none, a listener takes every path, and a connect asks for
    /// "/".
    pub path: *const c_char,
    /// The origins that browsers may come from, with commas: "https://game.example". Who says no
    /// origin is no browser, and comes in. To connect: the one origin that is said. Default NULL:
    /// all, or none.
    pub origins: *const c_char,
    /// Subprotocols, the preferred one first, with commas. Ends that have none in common go on
    /// without. Default NULL.
    pub protocols: *const c_char,
    /// To connect: further lines of the request, each `Name: value` and a line feed (LF). Default
    /// NULL.
    pub headers: *const c_char,
    /// To listen: what is served beside. Default NULL.
    pub pages: *const sockeye_http_page,
    /// How many pages these are, at most 256.
    pub pages_count: u32,
    /// Must be 0.
    pub reserved: [u32; 7],
}

/// What the ends of a WebSocket agreed on.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sockeye_web_info {
    /// `sizeof(sockeye_web_info)` of the library, at most that of the caller.
    pub struct_size: u32,
    /// 1: messages may be deflated.
    pub compression: u32,
    /// The subprotocol, NUL-terminated; empty for none.
    pub protocol: [c_char; 64],
    /// The path that the client asked for, with its query, NUL-terminated; what is over 511 bytes
    /// is cut.
    pub path: [c_char; 512],
}

const _: () = assert!(size_of::<sockeye_http>() == 48 + 5 * size_of::<usize>());
const _: () = assert!(size_of::<sockeye_web_info>() == 584);

/// Pages of one endpoint.
const PAGES_MAX: u32 = 256;
/// Bytes of one page.
const PAGE_MAX: usize = 16 << 20;
/// Bytes of a subprotocol.
const PROTOCOL_MAX: usize = 63;

impl Default for sockeye_http {
    fn default() -> Self {
        sockeye_http {
            struct_size: size_of::<Self>() as u32,
            compression: 1,
            ping_ms: 0,
            header_max_bytes: 8192,
            path: ptr::null(),
            origins: ptr::null(),
            protocols: ptr::null(),
            headers: ptr::null(),
            pages: ptr::null(),
            pages_count: 0,
            reserved: Default::default(),
        }
    }
}

fn invalid(words: impl Into<String>) -> Error {
    fail(Error::Invalid, words)
}

/// A text that stands in a line of HTTP: no control characters.
///
/// # Safety
/// `text` is NULL or NUL-terminated.
unsafe fn line<'a>(text: *const c_char, field: &str) -> Result<Option<&'a str>, Error> {
    if text.is_null() {
        return Ok(None);
    }
    // SAFETY: as this function's own.
    let text = unsafe { text_arg(text, field) }?;
    match text.chars().any(|it| it.is_control() && it != '\n') {
        true => Err(invalid(format!("{field} has a control character"))),
        false => Ok(Some(text)),
    }
}

/// What stands between commas.
fn list(all: Option<&str>) -> Vec<String> {
    let parts = all.unwrap_or_default().split(',').map(str::trim);
    parts.filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

fn is_path(path: &str) -> bool {
    path.starts_with('/') && path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#')
}

/// Whether it can be a name in HTTP: RFC 9110, section 5.6.2.
fn is_token(name: &str) -> bool {
    let extra = b"!#$%&'*+-.^_`|~";
    let token = |byte: u8| byte.is_ascii_alphanumeric() || extra.contains(&byte);
    !name.is_empty() && name.bytes().all(token)
}

fn headers(lines: Option<&str>) -> Result<Vec<(String, String)>, Error> {
    let lines = lines.unwrap_or_default().split('\n').filter(|line| !line.is_empty());
    let header = |line: &str| {
        let (name, value) = line.split_once(':').filter(|(name, _)| is_token(name))?;
        Some((name.to_owned(), value.trim().to_owned()))
    };
    let each =
        |line| header(line).ok_or_else(|| invalid("http.headers: a line is \"Name: value\""));
    lines.map(each).collect()
}

/// # Safety
/// The page's texts are NULL or NUL-terminated, and it has as many bytes as it says.
unsafe fn page(given: &sockeye_http_page, at: usize) -> Result<Page, Error> {
    let field = |name: &str| format!("http.pages[{at}].{name}");
    // SAFETY: as this function's own.
    let path = unsafe { line(given.path, &field("path")) }?;
    // SAFETY: as this function's own.
    let content_type = unsafe { line(given.content_type, &field("content_type")) }?;
    let path = path.filter(|path| is_path(path) && !path.contains('?'));
    let path = path.ok_or_else(|| invalid(field("path is no path (\"/play.js\")")))?;
    let content_type = content_type.ok_or_else(|| invalid(field("content_type is NULL")))?;
    if given.len > PAGE_MAX {
        return Err(invalid(field("len is over 16 MiB")));
    }
    // SAFETY: as this function's own.
    let body = unsafe { bytes_arg(given.data, given.len) }?;
    Ok(Page { path: path.into(), content_type: content_type.into(), body: body.into() })
}

/// Reads the HTTP of an endpoint. None: there is none.
///
/// # Safety
/// `http` is NULL or has as many readable bytes as its `struct_size` says; its texts are NULL or
/// NUL-terminated, and it has as many pages as it says.
pub(super) unsafe fn read_http(
    http: *const sockeye_http,
) -> Result<Option<Box<HttpOptions>>, Error> {
    if http.is_null() {
        return Ok(None);
    }
    // SAFETY: not NULL; the caller gives as many bytes as its struct_size says.
    let given = unsafe { read_sized(http, &sockeye_http::default(), "http") }?;
    if given.reserved.iter().any(|&it| it != 0) {
        return Err(invalid("http.reserved must be 0"));
    }
    if given.compression > 1 {
        return Err(invalid(format!("http.compression: {} is unknown", given.compression)));
    }
    if !(256..=65_536).contains(&given.header_max_bytes) {
        return Err(invalid("http.header_max_bytes must be 256 to 65536"));
    }
    // SAFETY: as this function's own, for these four.
    let (path, origins, protocols, lines) = unsafe {
        (
            line(given.path, "http.path")?,
            line(given.origins, "http.origins")?,
            line(given.protocols, "http.protocols")?,
            line(given.headers, "http.headers")?,
        )
    };
    if path.is_some_and(|path| !is_path(path)) {
        return Err(invalid("http.path is no path (\"/play\")"));
    }
    let protocols = list(protocols);
    if protocols.iter().any(|name| !is_token(name) || name.len() > PROTOCOL_MAX) {
        return Err(invalid("http.protocols: a name is a token of 1 to 63 bytes"));
    }
    let pages = match given.pages_count {
        0 => &[],
        _ if given.pages.is_null() => return Err(invalid("http.pages is NULL")),
        count if count > PAGES_MAX => {
            return Err(invalid(format!("http.pages_count: {count} is over 256")));
        }
        // SAFETY: not NULL, and the caller gives so many.
        count => unsafe { std::slice::from_raw_parts(given.pages, count as usize) },
    };
    // SAFETY: as this function's own.
    let pages = pages.iter().enumerate().map(|(at, given)| unsafe { page(given, at) });
    Ok(Some(Box::new(HttpOptions {
        path: path.map(str::to_owned),
        origins: list(origins),
        protocols,
        headers: headers(lines)?,
        pages: pages.collect::<Result<_, _>>()?,
        compress: given.compression == 1,
        ping_ms: given.ping_ms,
        header_max: given.header_max_bytes,
    })))
}

/// Fills `http` with the defaults, up to `size` bytes, and zeroes the bytes after those that this
/// library knows.
///
/// Ownership: `http` is the caller's, written before return.
/// NULL:      not allowed.
/// Threads:   any thread.
/// Returns:   OK; ERR_INVALID (NULL, or a size that no release had and that is not larger).
/// Since:     0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sockeye_http_init(http: *mut sockeye_http, size: usize) -> sockeye_status {
    // SAFETY: the caller gives `size` writable bytes.
    guard(|| unsafe { init_sized(http, size, sockeye_http::default()) })
}

/// What the ends of a WebSocket agreed on.
///
/// Ownership: `out_info` is written before return, up to `size` bytes.
/// NULL:      not allowed.
/// Threads:   any thread.
/// Returns:   OK; ERR_UNSUPPORTED (it is no WebSocket, or its OPENED is still to come); ERR_STALE;
///            ERR_INVALID (NULL, size below 8).
/// Since:     0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sockeye_conn_get_web(
    net: *mut sockeye_net,
    conn: sockeye_conn,
    out_info: *mut sockeye_web_info,
    size: usize,
) -> sockeye_status {
    guard(|| {
        // SAFETY: the caller gives NULL or a live net.
        let net = unsafe { enter(net) }?;
        let facts = net.web_facts(net.token(conn.id, Kind::Conn)?)?.ok_or(Error::Unsupported)?;
        let mut info = sockeye_web_info {
            struct_size: size.min(size_of::<sockeye_web_info>()) as u32,
            compression: u32::from(facts.compressed),
            protocol: [0; 64],
            path: [0; 512],
        };
        write_text(&mut info.protocol, &facts.protocol);
        write_text(&mut info.path, &facts.path);
        // SAFETY: the caller gives `size` writable bytes.
        unsafe { write_sized(out_info, size, &info) }
    })
}

/// Closes a WebSocket as `sockeye_close` GRACEFUL does, and tells the peer why: its CLOSED has the
/// number in `code`. `sockeye_close` says 1000.
///
/// NULL:      not allowed.
/// Threads:   any thread.
/// Returns:   OK; ERR_INVALID (a code that is neither 1000 to 1003, 1007 to 1014, nor 3000 to 4999:
///            RFC 6455, section 7.4); ERR_UNSUPPORTED (it is no WebSocket, or its OPENED is still
///            to come); ERR_CLOSED; ERR_STALE; ERR_SHUTDOWN.
/// Since:     0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sockeye_close_web(
    net: *mut sockeye_net,
    conn: sockeye_conn,
    code: u32,
) -> sockeye_status {
    guard(|| {
        // SAFETY: the caller gives NULL or a live net.
        let net = unsafe { enter(net) }?;
        if !matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999) {
            return Err(invalid(format!("code {code} is not for a close (3000 to 4999 are free)")));
        }
        net.close_web(net.token(conn.id, Kind::Conn)?, code as u16)
    })
}

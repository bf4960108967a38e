//! TLS: certificates, what is verified, and what was agreed on.

use super::boundary::{
    fail, guard, in_words, init_sized, read_sized, text_arg, write_sized, write_text,
};
use super::conn::sockeye_conn;
use super::listener::sockeye_listener;
use super::net::{enter, sockeye_net};
use super::status::sockeye_status;
use crate::engine::{Chain, ClientAuth, Error, Kind, TlsOptions, Verify};
use std::ffi::{c_char, c_void};
use std::ptr;

/// Against what a client checks the certificate of its server.
#[repr(C)]
pub enum sockeye_tls_verify {
    /// The authorities that the system trusts.
    SOCKEYE_TLS_VERIFY_SYSTEM = 0,
    /// The authorities of `ca_pem` alone.
    SOCKEYE_TLS_VERIFY_CA = 1,
    /// Nothing: the connection is encrypted, but the server may be anyone. For tests.
    SOCKEYE_TLS_VERIFY_NONE = 2,
}

/// Whether a server asks its clients for a certificate.
#[repr(C)]
pub enum sockeye_tls_client_auth {
    /// It does not.
    SOCKEYE_TLS_CLIENT_AUTH_NONE = 0,
    /// It asks; a client without one may come in. One that is shown must be of `ca_pem`.
    SOCKEYE_TLS_CLIENT_AUTH_OPTIONAL = 1,
    /// A client without one of `ca_pem` is turned away.
    SOCKEYE_TLS_CLIENT_AUTH_REQUIRED = 2,
}

/// `min_version`: TLS 1.2 (RFC 5246).
pub const SOCKEYE_TLS12: u32 = 0x0303;
/// `min_version`: TLS 1.3 (RFC 8446).
pub const SOCKEYE_TLS13: u32 = 0x0304;

/// A certificate chain and its private key. Each is a text in PEM if it begins with `-----BEGIN`,
/// and else the path of a file with such a text, which is read by the call.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sockeye_tls_certificate {
    /// The certificate, and behind it those that it was signed with.
    pub cert_pem: *const c_char,
    /// Its private key: PKCS #8, PKCS #1 or SEC 1.
    pub key_pem: *const c_char,
}

/// TLS of an endpoint: TLS 1.2 and 1.3. Fill it with `sockeye_tls_init`, then change what you
/// need. PEM is given as in `sockeye_tls_certificate`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sockeye_tls {
    /// The size this program was built with; set by `sockeye_tls_init`.
    pub struct_size: u32,
    /// Clients: a `sockeye_tls_verify`. Default SYSTEM.
    pub verify: u32,
    /// Servers: a `sockeye_tls_client_auth`. Default NONE.
    pub client_auth: u32,
    /// SOCKEYE_TLS12 or SOCKEYE_TLS13. Default SOCKEYE_TLS12.
    pub min_version: u32,
    /// A server's chain, or the one that a client shows when it is asked. Default NULL: a client
    /// has none; a server must have one.
    pub cert_pem: *const c_char,
    /// The key of `cert_pem`.
    pub key_pem: *const c_char,
    /// Authorities: those that a client checks its server against (VERIFY_CA), and a server its
    /// clients (`client_auth`). Default NULL.
    pub ca_pem: *const c_char,
    /// Clients: the name that the server's certificate must have. Default NULL: the URL's host.
    pub server_name: *const c_char,
    /// Protocols of the application (ALPN, RFC 7301), the preferred one first, with commas:
    /// `"game/2,game/1"`. Ends that both have some and none in common do not connect. Default NULL.
    pub alpn: *const c_char,
    /// A file to which the library appends the keys of all connections, for Wireshark: anyone who
    /// has the file can decrypt them. Default NULL: the library writes no keys.
    pub key_log_path: *const c_char,
    /// Servers: further chains. A client gets the first whose certificate has the name that it asks
    /// for (SNI), and `cert_pem` if none has. Default NULL.
    pub certificates: *const sockeye_tls_certificate,
    /// How many these are, at most 1024.
    pub certificates_count: u32,
    /// Must be 0.
    pub reserved: [u32; 7],
}

/// What the two ends of a TLS connection agreed on.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sockeye_tls_info {
    /// `sizeof(sockeye_tls_info)` of the library, at most that of the caller.
    pub struct_size: u32,
    /// SOCKEYE_TLS12 or SOCKEYE_TLS13.
    pub version: u32,
    /// The cipher suite, by its number in IANA's list: 0x1301 is TLS_AES_128_GCM_SHA256.
    pub suite: u32,
    /// Bytes of the peer's certificate (DER), which `sockeye_conn_get_tls_certificate` gives. 0: it
    /// showed none.
    pub certificate_bytes: u32,
    /// The protocol of the application, NUL-terminated; empty for none.
    pub alpn: [c_char; 64],
    /// Of accepted connections: the name that the client asked for (SNI), NUL-terminated.
    pub server_name: [c_char; 256],
}

const _: () = assert!(size_of::<sockeye_tls>() == 48 + 7 * size_of::<usize>());
const _: () = assert!(size_of::<sockeye_tls_info>() == 336);

/// Chains of one endpoint.
const CERTIFICATES_MAX: u32 = 1024;
/// Bytes of one PEM file.
const PEM_MAX: u64 = 4 << 20;

impl Default for sockeye_tls {
    fn default() -> Self {
        sockeye_tls {
            struct_size: size_of::<Self>() as u32,
            verify: 0,
            client_auth: 0,
            min_version: SOCKEYE_TLS12,
            cert_pem: ptr::null(),
            key_pem: ptr::null(),
            ca_pem: ptr::null(),
            server_name: ptr::null(),
            alpn: ptr::null(),
            key_log_path: ptr::null(),
            certificates: ptr::null(),
            certificates_count: 0,
            reserved: Default::default(),
        }
    }
}

fn invalid(words: impl Into<String>) -> Error {
    fail(Error::Invalid, words)
}

/// A text of the caller's, or none.
///
/// # Safety
/// `text` is NULL or NUL-terminated.
unsafe fn text(text: *const c_char, field: &str) -> Result<Option<String>, Error> {
    if text.is_null() {
        return Ok(None);
    }
    // SAFETY: as this function's own.
    Ok(Some(unsafe { text_arg(text, field) }?.to_owned()))
}

/// What is in a PEM argument, or in the file that it names.
///
/// # Safety
/// `given` is NULL or NUL-terminated.
unsafe fn pem(given: *const c_char, field: &str) -> Result<Option<Vec<u8>>, Error> {
    // SAFETY: as this function's own.
    let Some(given) = unsafe { text(given, field) }? else { return Ok(None) };
    if given.trim_start().starts_with("-----BEGIN") {
        return Ok(Some(given.into_bytes()));
    }
    let size = std::fs::metadata(&given).map(|it| it.len());
    match size.and_then(|size| Ok((size, std::fs::read(&given)?))) {
        Ok((size, _)) if size > PEM_MAX => Err(invalid(format!("{field}: {given} is over 4 MiB"))),
        Ok((_, bytes)) => Ok(Some(bytes)),
        Err(error) => Err(invalid(format!("{field}: {given}: {error}"))),
    }
}

/// A chain and its key; None where both are NULL.
///
/// # Safety
/// As of `pem`.
unsafe fn chain(given: &sockeye_tls_certificate, field: &str) -> Result<Option<Chain>, Error> {
    // SAFETY: as this function's own.
    let cert = unsafe { pem(given.cert_pem, &format!("{field}cert_pem")) }?;
    // SAFETY: as this function's own.
    let key = unsafe { pem(given.key_pem, &format!("{field}key_pem")) }?;
    match (cert, key) {
        (Some(cert), Some(key)) => Ok(Some((cert, key))),
        (None, None) => Ok(None),
        _ => Err(invalid(format!("{field}cert_pem and key_pem go together"))),
    }
}

/// Reads the TLS of an endpoint. None: there is none.
///
/// # Safety
/// `tls` is NULL or has as many readable bytes as its `struct_size` says; its texts are NULL or
/// NUL-terminated, and it has as many certificates as it says.
pub(super) unsafe fn read_tls(tls: *const sockeye_tls) -> Result<Option<Box<TlsOptions>>, Error> {
    if tls.is_null() {
        return Ok(None);
    }
    // SAFETY: not NULL; the caller gives as many bytes as its struct_size says.
    let given = unsafe { read_sized(tls, &sockeye_tls::default(), "tls") }?;
    if given.reserved.iter().any(|&it| it != 0) {
        return Err(invalid("tls.reserved must be 0"));
    }
    let unknown = |field: &str, value| invalid(format!("tls.{field}: {value} is unknown"));
    let first = sockeye_tls_certificate { cert_pem: given.cert_pem, key_pem: given.key_pem };
    // SAFETY: as this function's own.
    let mut chains: Vec<_> = unsafe { chain(&first, "tls.") }?.into_iter().collect();
    let more = match given.certificates_count {
        0 => &[],
        _ if given.certificates.is_null() => return Err(invalid("tls.certificates is NULL")),
        count if count > CERTIFICATES_MAX => {
            return Err(invalid(format!("tls.certificates_count: {count} is over 1024")));
        }
        // SAFETY: not NULL, and the caller gives so many.
        count => unsafe { std::slice::from_raw_parts(given.certificates, count as usize) },
    };
    for (at, certificate) in more.iter().enumerate() {
        let field = format!("tls.certificates[{at}].");
        // SAFETY: as this function's own.
        let chain = unsafe { chain(certificate, &field) }?;
        chains.push(chain.ok_or_else(|| invalid(format!("{field}cert_pem is NULL")))?);
    }
    // SAFETY: as this function's own, for these four.
    let (ca, server_name, alpn, key_log) = unsafe {
        (
            pem(given.ca_pem, "tls.ca_pem")?,
            text(given.server_name, "tls.server_name")?,
            text(given.alpn, "tls.alpn")?,
            text(given.key_log_path, "tls.key_log_path")?,
        )
    };
    let alpn: Vec<String> =
        alpn.map(|all| all.split(',').map(str::to_owned).collect()).unwrap_or_default();
    if alpn.iter().any(|name| name.is_empty() || name.len() > 63) {
        return Err(invalid("tls.alpn: a name has 1 to 63 bytes"));
    }
    Ok(Some(Box::new(TlsOptions {
        chains,
        ca,
        verify: match given.verify {
            0 => Verify::System,
            1 => Verify::Ca,
            2 => Verify::None,
            other => return Err(unknown("verify", other)),
        },
        client_auth: match given.client_auth {
            0 => ClientAuth::None,
            1 => ClientAuth::Optional,
            2 => ClientAuth::Required,
            other => return Err(unknown("client_auth", other)),
        },
        only_13: match given.min_version {
            SOCKEYE_TLS12 => false,
            SOCKEYE_TLS13 => true,
            other => return Err(unknown("min_version", other)),
        },
        alpn,
        server_name,
        key_log,
    })))
}

/// Fills `tls` with the defaults, up to `size` bytes, and zeroes the bytes after those that this
/// library knows.
///
/// Ownership: `tls` is the caller's, written before return.
/// NULL:      not allowed.
/// Threads:   any thread.
/// Returns:   OK; ERR_INVALID (NULL, or a size that no release had and that is not larger).
/// Since:     0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sockeye_tls_init(tls: *mut sockeye_tls, size: usize) -> sockeye_status {
    // SAFETY: the caller gives `size` writable bytes.
    guard(|| unsafe { init_sized(tls, size, sockeye_tls::default()) })
}

/// Has a `tls://` listener do its TLS in another way from now on: a new certificate before the old
/// one ends. Connections that are there, and handshakes that have begun, are not touched, and none
/// is refused meanwhile.
///
/// Ownership: `tls` is copied; files are read by this call.
/// NULL:      not allowed.
/// Threads:   any thread.
/// Returns:   OK; ERR_INVALID (NULL, no TLS listener, a file that cannot be read, a key that does
///            not fit: in words), and then the old certificate stays; ERR_STALE; ERR_OS.
/// Since:     0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sockeye_listener_set_tls(
    net: *mut sockeye_net,
    listener: sockeye_listener,
    tls: *const sockeye_tls,
) -> sockeye_status {
    guard(|| {
        // SAFETY: the caller gives NULL or a live net.
        let net = unsafe { enter(net) }.map_err(in_words)?;
        // SAFETY: NULL, or the caller's TLS.
        let options = unsafe { read_tls(tls) }?.ok_or_else(|| invalid("tls is NULL"))?;
        let listener = net.token(listener.id, Kind::Listener)?;
        net.set_tls(listener, &options).map_err(in_words)
    })
}

/// What the ends of a TLS connection agreed on.
///
/// Ownership: `out_info` is written before return, up to `size` bytes.
/// NULL:      not allowed.
/// Threads:   any thread.
/// Returns:   OK; ERR_UNSUPPORTED (no TLS, or its OPENED is still to come); ERR_STALE; ERR_INVALID
///            (NULL, size below 16).
/// Since:     0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sockeye_conn_get_tls(
    net: *mut sockeye_net,
    conn: sockeye_conn,
    out_info: *mut sockeye_tls_info,
    size: usize,
) -> sockeye_status {
    guard(|| {
        // SAFETY: the caller gives NULL or a live net.
        let net = unsafe { enter(net) }?;
        let facts = net.tls_facts(net.token(conn.id, Kind::Conn)?)?.ok_or(Error::Unsupported)?;
        let mut info = sockeye_tls_info {
            struct_size: size.min(size_of::<sockeye_tls_info>()) as u32,
            version: facts.version.into(),
            suite: facts.suite.into(),
            certificate_bytes: facts.peer_certificate.len() as u32,
            alpn: [0; 64],
            server_name: [0; 256],
        };
        write_text(&mut info.alpn, &String::from_utf8_lossy(&facts.alpn));
        write_text(&mut info.server_name, &facts.server_name);
        // SAFETY: the caller gives `size` writable bytes.
        unsafe { write_sized(out_info, size, &info) }
    })
}

/// The peer's own certificate, in DER.
///
/// Ownership: `buffer` is borrowed until return. `out_len`, the certificate's length in bytes, is
///            written with ERR_TOO_BIG too.
/// NULL:      `buffer` when `cap` is 0, which asks for the length alone.
/// Threads:   any thread.
/// Returns:   OK, with a length of 0 where the peer showed none; ERR_TOO_BIG (nothing is written to
///            `buffer`); ERR_UNSUPPORTED (no TLS, or its OPENED is still to come); ERR_STALE;
///            ERR_INVALID (NULL).
/// Since:     0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sockeye_conn_get_tls_certificate(
    net: *mut sockeye_net,
    conn: sockeye_conn,
    buffer: *mut c_void,
    cap: usize,
    out_len: *mut usize,
) -> sockeye_status {
    guard(|| {
        // SAFETY: the caller gives NULL or a live net.
        let net = unsafe { enter(net) }?;
        if out_len.is_null() || (buffer.is_null() && cap > 0) {
            return Err(Error::Invalid);
        }
        let facts = net.tls_facts(net.token(conn.id, Kind::Conn)?)?.ok_or(Error::Unsupported)?;
        let certificate = facts.peer_certificate;
        // SAFETY: not NULL, and the caller's.
        unsafe { out_len.write(certificate.len()) };
        if certificate.len() > cap {
            return Err(Error::TooBig);
        }
        if !certificate.is_empty() {
            // SAFETY: the caller gives `cap` bytes, which are enough.
            unsafe {
                buffer
                    .cast::<u8>()
                    .copy_from_nonoverlapping(certificate.as_ptr(), certificate.len())
            };
        }
        Ok(())
    })
}
